--
-- Watches: rows that newly appear in a query, whose rights, errors.
--
\set VERBOSITY default
\set SHOW_CONTEXT never
-- what other tests left
DELETE FROM makini._event;
DELETE FROM makini._event_log;
CREATE ROLE watch_owner;
CREATE ROLE watch_other;
CREATE SERVER watch_erp FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1234567_SB1');
SELECT makini.grant_access('watch_owner', 'admin', 'watch_erp');
SELECT makini.grant_access('watch_other', 'admin');
CREATE SCHEMA watch;
GRANT ALL ON SCHEMA watch TO watch_owner;
GRANT EXECUTE ON FUNCTION makini._run_watch(text) TO watch_owner;
SET ROLE watch_owner;
SET search_path = watch;
CREATE TABLE po (id int PRIMARY KEY, vendor text, late boolean);
INSERT INTO po VALUES (1, 'a', true), (2, 'b', false);

-- ====
-- what create_watch takes
-- ====
SELECT makini.create_watch('late', 'DELETE FROM po RETURNING id', '1 hour', 'po.late', '{id}');
SELECT makini.create_watch('late', 'SELECT id FROM po; SELECT 1', '1 hour', 'po.late', '{id}');
SELECT makini.create_watch('late', 'SELECT id FROM po;', '1 hour', 'po.late', '{id}');
SELECT makini.create_watch('late', 'SELECT id INTO x FROM po', '1 hour', 'po.late', '{id}');
SELECT makini.create_watch('late', 'SELECT id FROM po) AS x, (SELECT 1', '1 hour', 'po.late', '{id}');
SELECT makini.create_watch('late', '', '1 hour', 'po.late', '{id}');
-- a string is as long here as where it runs
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT makini.create_watch('late', $$SELECT id, '\') AS x; SELECT 1, 2 FROM (SELECT 1 -- ' AS y FROM po$$, '1 hour', 'po.late', '{id}');
SHOW standard_conforming_strings;
RESET standard_conforming_strings;
RESET escape_string_warning;
SELECT makini.create_watch('late', 'SELECT id FROM nowhere', '1 hour', 'po.late', '{id}');
SELECT makini.create_watch('late', 'SELECT id FROM po', '1 hour', 'po.late', '{number}');
SELECT makini.create_watch('late', 'SELECT id FROM po', '1 hour', 'po.late', '{}');
SELECT makini.create_watch('late', 'SELECT id FROM po', '1 hour', 'po.late', NULL);
SELECT makini.create_watch('late', 'SELECT id FROM po', 'now and then', 'po.late', '{id}');
SELECT makini.create_watch('late', 'SELECT id FROM po', '1 hour', 'sync.late', '{id}');
SELECT makini.create_watch('late', 'SELECT id FROM po', '1 hour', 'po.late', '{id}', options => '{"resolved_type": "sync.late"}');
SELECT makini.create_watch('late', 'SELECT id FROM po', '1 hour', 'po.late', '{id}', options => '{"maxrows": 1}');
SELECT makini.create_watch('late', 'SELECT id FROM po', '1 hour', 'po.late', '{id}', 'watch_nowhere');

-- ====
-- the first look is silent; then what is new counts, also when it comes back
-- ====
-- without a worker it says so once
SET client_min_messages = warning;
SELECT makini.create_watch('late', 'SELECT id, vendor FROM po WHERE late -- those', '1 hour', 'po.late', '{id}', 'watch_erp');
RESET client_min_messages;
SELECT makini.create_watch('late', 'SELECT 1 AS id', '1 hour', 'po.late', '{id}');
SELECT * FROM makini.test_watch('late');
SELECT known_rows, fired, next_run_at <= now() AS due FROM makini.watch;
SELECT makini._run_watch('late');
SELECT known_rows, fired, next_run_at > now() AS later FROM makini.watch;
UPDATE po SET late = true;
SELECT makini._run_watch('late');
SELECT makini._run_watch('late');
SELECT type, key, owner, connection_id IS NOT NULL AS of_erp, data FROM makini.event ORDER BY event_id;
UPDATE po SET late = false WHERE id = 1;
SELECT makini._run_watch('late');
UPDATE po SET late = true WHERE id = 1;
SELECT makini._run_watch('late');
SELECT key FROM makini.event ORDER BY event_id;
SELECT name, owner, query, type, connection, enabled, fired, last_fired_at IS NOT NULL AS fired_at, errors, last_error, known_rows FROM makini.watch;

-- ====
-- what is resolved; composite keys; the first look not silent
-- ====
SELECT makini.alter_watch('late', '{"options": {"resolved_type": "po.resolved", "initial": "emit"}, "key": ["id", "vendor"], "connection": null}');
RESET ROLE;
DELETE FROM makini._event;
SET ROLE watch_owner;
SELECT makini._run_watch('late');
UPDATE po SET late = false WHERE id = 1;
UPDATE po SET vendor = 'c' WHERE id = 2;
SELECT makini._run_watch('late');
SELECT type, key, data FROM makini.event ORDER BY event_id;

-- ====
-- errors are noted; the next run is later all the same
-- ====
SELECT makini.alter_watch('late', '{"options": {"max_rows": 2}, "query": "SELECT g AS id, ''x'' AS vendor FROM generate_series(1, 3) g"}');
SELECT makini._run_watch('late');
SELECT errors, last_error, known_rows, next_run_at > now() AS later FROM makini.watch;
SELECT makini.alter_watch('late', '{"query": "SELECT 1 / (id - id) AS id, vendor FROM po"}');
SELECT makini._run_watch('late');
SELECT errors, last_error FROM makini.watch;
SELECT makini.test_watch('late');
SELECT severity, object, message, hint, fix_sql FROM makini.problem WHERE object LIKE 'watch %' AND message LIKE '%zero%';
-- a key that no index can hold
SELECT makini.alter_watch('late', '{"query": "SELECT string_agg(md5(g::text), '''' ORDER BY g) AS id, 1 AS vendor FROM generate_series(1, 200) g"}');
SELECT makini._run_watch('late');
SELECT errors, last_error, known_rows, next_run_at > now() AS later FROM makini.watch;
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM po; RETURN 1; END $$;
SELECT makini.alter_watch('late', '{"query": "SELECT writes() AS id, current_user AS vendor"}');
SELECT makini._run_watch('late');
SELECT last_error FROM makini.watch;
SELECT type, key, data ->> 'code' AS code, data ->> 'component' AS component FROM makini.event WHERE type = 'system.error' ORDER BY event_id;

-- ====
-- whose it is
-- ====
SET ROLE watch_other;
SELECT name FROM makini.watch;
SELECT makini.test_watch('late');
SELECT makini.drop_watch('late');
SELECT makini.alter_watch('late', '{}');
RESET ROLE;
-- it runs as its owner, whoever lets it
SELECT makini.alter_watch('late', '{"query": "SELECT 1 AS id, current_user AS vendor, current_schema() AS at, current_setting(''transaction_read_only'') AS ro", "options": {"initial": "emit"}}');
SELECT makini._run_watch('late');
SELECT count(*) AS problems FROM makini.problem WHERE object LIKE 'watch %';
SELECT data -> 'row' AS "row" FROM makini.event WHERE type = 'po.late' ORDER BY event_id DESC LIMIT 1;

-- ====
-- off, on, gone
-- ====
SET ROLE watch_owner;
SELECT makini.disable_watch('late');
SELECT makini.disable_watch('late');
SELECT enabled, next_run_at FROM makini.watch;
SELECT makini.enable_watch('late');
SELECT makini.alter_watch('late', '{"query": "SELECT id, vendor FROM po"}');
DELETE FROM po;
SELECT makini._run_watch('late');
SELECT makini.disable_watch('late');
INSERT INTO po VALUES (7, 'g', true);
SELECT makini.enable_watch('late');
SELECT makini._run_watch('late');
INSERT INTO po VALUES (8, 'h', true);
SELECT makini._run_watch('late');
SELECT key FROM makini.event WHERE type = 'po.late' ORDER BY event_id DESC LIMIT 2;
SELECT makini.alter_watch('late', '{"name": "later"}');
SELECT next_run_at > now() AS as_before FROM makini.watch;
-- the session's time zone has no say in when it is asked
SET timezone = 'Asia/Tokyo';
SELECT makini.alter_watch('later', '{"schedule": "30 2 * * mon-fri"}');
RESET timezone;
SELECT name, schedule, next_run_at <= now() AS at_once FROM makini.watch;
SELECT makini.drop_watch('late');
SELECT makini.drop_watch('later');
SELECT name FROM makini.watch;

RESET ROLE;
RESET search_path;
DELETE FROM makini._event;
DELETE FROM makini._condition;
DELETE FROM makini._connection WHERE server_name = 'watch_erp';
SET client_min_messages = warning;
DROP SCHEMA watch CASCADE;
DROP SERVER watch_erp CASCADE;
DROP OWNED BY watch_owner, watch_other;
DROP ROLE watch_owner, watch_other;
