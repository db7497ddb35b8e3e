--
-- Rules: conditions over the rows of a table, whose rights, errors, cooldown.
--
\set VERBOSITY default
\set SHOW_CONTEXT never
-- what other tests left
DELETE FROM makini._event;
DELETE FROM makini._event_log;
CREATE ROLE rule_owner;
CREATE ROLE rule_writer;
CREATE ROLE rule_reader;
CREATE SERVER rule_erp FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1234567_SB1');
SELECT makini.grant_access('rule_owner', 'admin', 'rule_erp');
SELECT makini.grant_access('rule_writer', 'admin');
SELECT makini.grant_access('rule_reader', 'reader', 'rule_erp');
CREATE SCHEMA rule;
GRANT ALL ON SCHEMA rule TO rule_owner, rule_writer;
SET ROLE rule_owner;
SET search_path = rule;
CREATE TABLE stock (id int PRIMARY KEY, sku text, available numeric, reorder numeric);
GRANT ALL ON stock TO rule_writer;

-- ====
-- what create_rule takes
-- ====
SELECT makini.create_rule('low', 'stock', 'NEW.available < NEW.reorder; SELECT 1', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'NEW.available < NEW.reorder) OR (true', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'true WHERE true', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'true, false', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'true AS yes', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'true /* NEW', 'stock.low');
SELECT makini.create_rule('low', 'stock', '', 'stock.low');
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT makini.create_rule('low', 'stock', $$NEW.sku <> '\'); SELECT 1, 2 WHERE (true -- '$$, 'stock.low');
RESET standard_conforming_strings;
RESET escape_string_warning;
SELECT makini.create_rule('low', 'stock', 'available < reorder', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'NEW.missing < 1', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'NEW.available', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'NEW.available < $1', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'count(*) > 1', 'stock.low');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low', payload => 'generate_series(1, 3)');
SELECT makini.create_rule('low', 'stock', 'true', 'sync.low');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low', 'DELETE');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low', connection => 'rule_nowhere');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low', options => '{"cooldwn": "1 s"}');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low', options => '{"backfill": "perhaps"}');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low', options => '{"max_events": 0}');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low', options => '{"cooldown": "soon"}');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low', options => '[]');
SELECT makini.create_rule('', 'stock', 'true', 'stock.low');
SELECT makini.create_rule(NULL, 'stock', 'true', 'stock.low');
SELECT makini.create_rule('low', 'pg_class', 'true', 'stock.low');
-- a writing function is found out by running it
CREATE FUNCTION writes() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN UPDATE stock SET sku = 'x'; RETURN true; END $$;
CREATE TABLE other (id int PRIMARY KEY);
SELECT makini.create_rule('writes', 'other', 'writes()', 'other.new');
INSERT INTO other VALUES (1);
SELECT name, errors, last_error FROM makini.rule;
SELECT severity, object, message, hint, fix_sql FROM makini.problem WHERE object LIKE 'rule %';
SELECT makini.drop_rule('writes');

-- ====
-- relations that can't have rules
-- ====
CREATE VIEW shown AS SELECT * FROM stock;
CREATE TEMP TABLE passing (id int);
CREATE TABLE unkeyed (n int);
SELECT makini.create_rule('low', 'shown', 'true', 'stock.low');
SELECT makini.create_rule('low', 'passing', 'true', 'stock.low');
SELECT makini.create_rule('low', 'unkeyed', 'NEW.n > 1', 'stock.low');
RESET ROLE;
SELECT makini.create_rule('low', 'pg_class', 'true', 'stock.low');
SELECT makini.create_rule('low', 'makini._event', 'true', 'stock.low');
CREATE TABLE parted (id int, d int) PARTITION BY LIST (d);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE FOREIGN TABLE parted_2 PARTITION OF parted FOR VALUES IN (2) SERVER rule_erp OPTIONS (entity 'item');
SELECT makini.create_rule('low', 'parted', 'true', 'stock.low', 'INSERT');
SELECT makini.create_rule('low', 'parted_2', 'true', 'stock.low', 'INSERT');
DROP TABLE parted;
SET ROLE rule_writer;
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low');

-- ====
-- when it becomes true; whoever writes
-- ====
SET ROLE rule_owner;
SELECT makini.create_rule('low', 'stock', 'NEW.available < NEW.reorder -- a comment', 'stock.low', connection => 'rule_erp');
SELECT makini.create_rule('low', 'stock', 'true', 'stock.low');
SET ROLE rule_writer;
INSERT INTO stock VALUES (1, 'a', 10, 5), (2, 'b', 3, 5);
UPDATE stock SET available = 4 WHERE id = 1;
UPDATE stock SET available = 3 WHERE id = 1;
UPDATE stock SET available = 30 WHERE id = 1;
-- an upsert is both
INSERT INTO stock VALUES (1, 'a', 1, 5), (3, 'c', NULL, 9), (4, 'd', 0, 9) ON CONFLICT (id) DO UPDATE SET available = excluded.available;
-- a changed key is a new row
UPDATE stock SET id = 20 WHERE id = 2;
BEGIN;
UPDATE stock SET available = 0 WHERE id = 3;
ROLLBACK;
COPY stock FROM stdin;
5	e	1	2
6	f	3	2
\.
MERGE INTO stock USING (VALUES (6, 1), (7, 1)) AS s (id, n) ON s.id = stock.id
	WHEN MATCHED THEN UPDATE SET available = s.n
	WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'g', s.n, 2);
SELECT type, key, owner, data FROM makini.event ORDER BY event_id;
SET ROLE rule_reader;
SELECT type, key, data -> 'operation' AS operation, data -> 'old' ->> 'available' AS before, data -> 'new' ->> 'available' AS now
FROM makini.event WHERE type = 'stock.low' ORDER BY event_id;
SELECT name, owner, relation, condition, type, connection, enabled, fired, errors, last_error FROM makini.rule;
RESET ROLE;
SELECT makini._sequence_events(4);
SET ROLE rule_owner;
SELECT name, fired, last_fired_at = (SELECT max(occurred_at) FROM makini.event) AS last FROM makini.rule;

-- ====
-- trying, and what it says to others
-- ====
SELECT test_rule ->> 'key' AS key, test_rule ->> 'operation' AS operation FROM makini.test_rule('low', 3);
SELECT makini.test_rule('low', 0);
SELECT makini.test_rule('high');
SET ROLE rule_reader;
SELECT makini.test_rule('low');
SELECT makini.drop_rule('low');
SET ROLE rule_writer;
SELECT makini.drop_rule('low');
SELECT makini.alter_rule('low', '{}');
SELECT name FROM makini.rule;
-- nobody may put it on a table of his own
CREATE TABLE mine (id int PRIMARY KEY, available int, reorder int);
CREATE TRIGGER mine AFTER INSERT ON mine REFERENCING NEW TABLE AS makini_new FOR EACH STATEMENT EXECUTE FUNCTION makini._fire_rule('1');
RESET ROLE;
SELECT rule_id FROM makini._rule WHERE name = 'low' \gset
CREATE TRIGGER mine AFTER INSERT ON mine REFERENCING NEW TABLE AS makini_new FOR EACH STATEMENT EXECUTE FUNCTION makini._fire_rule(:'rule_id');
INSERT INTO mine VALUES (1, 1, 2);
SELECT makini._fire_rule();
SET ROLE rule_owner;
SELECT fired FROM makini.rule;

-- ====
-- changing
-- ====
SELECT makini.alter_rule('low', '{"conditon": "true"}');
SELECT makini.alter_rule('low', '{"relation": "stock"}');
SELECT makini.alter_rule('low', '{"condition": null}');
SELECT makini.alter_rule('low', '{"condition": "NEW.missing"}');
SELECT makini.alter_rule('low', '{"name": "changed", "condition": "NEW.available IS DISTINCT FROM OLD.available", "type": "stock.changed", "connection": null, "on_operation": "UPDATE", "payload": "jsonb_build_object(''sku'', NEW.sku, ''by'', NEW.available - OLD.available)"}');
SELECT name, condition, type, connection, on_operation, payload FROM makini.rule;
SELECT regexp_replace(tgname, '\d+', 'N') AS tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'stock'::regclass;
RESET ROLE;
DELETE FROM makini._event;
DELETE FROM makini._event_log;
SET ROLE rule_owner;
INSERT INTO stock VALUES (8, 'h', 1, 9);
UPDATE stock SET available = available + 1;
UPDATE stock SET sku = 'nothing';
SELECT type, key, connection_id, data FROM makini.event ORDER BY key::int;
SELECT makini.disable_rule('changed');
SELECT makini.disable_rule('changed');
SELECT enabled FROM makini.rule;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'stock'::regclass;
UPDATE stock SET available = available + 1;
SELECT makini.enable_rule('changed');
SELECT makini.enable_rule('changed');
SELECT count(*) FROM makini.event;

-- ====
-- errors are the rule's, not the statement's, unless it says so
-- ====
SELECT makini.alter_rule('changed', '{"condition": "1 / NEW.available > 0", "payload": null}');
UPDATE stock SET available = 0 WHERE id = 1;
UPDATE stock SET available = 0 WHERE id = 1;
SELECT available FROM stock WHERE id = 1;
SELECT errors, last_error FROM makini.rule;
SELECT type, key, data - 'first_seen' AS data FROM makini.event WHERE type LIKE 'system.%';
SELECT makini.alter_rule('changed', '{"options": {"on_error": "raise"}}');
UPDATE stock SET available = 0 WHERE id = 1;
SELECT makini.alter_rule('changed', '{"condition": "NEW.available >= 0", "payload": "17", "options": {}}');
UPDATE stock SET sku = 'y' WHERE id = 1;
SELECT makini.alter_rule('changed', '{"condition": "NEW.available > OLD.available", "payload": "NEW", "options": {"max_events": 2}}');
SET ROLE rule_owner;
UPDATE stock SET available = available + 1;
SELECT errors, last_error FROM makini.rule;
SELECT count(*) FROM makini.event WHERE type = 'stock.changed';

-- ====
-- cooldown: a row raises one event only, until it is over
-- ====
SELECT makini.alter_rule('changed', '{"options": {"cooldown": "1 hour"}}');
RESET ROLE;
DELETE FROM makini._event;
SET ROLE rule_owner;
UPDATE stock SET available = available + 1 WHERE id IN (1, 3);
UPDATE stock SET available = available + 1 WHERE id IN (1, 4);
SELECT key FROM makini.event ORDER BY key;
RESET ROLE;
UPDATE makini._rule_cooldown SET until = now() - interval '1 s' WHERE key = '1';
SET ROLE rule_owner;
UPDATE stock SET available = available + 1 WHERE id IN (1, 4);
SELECT key FROM makini.event ORDER BY key;

-- keys that fill the table's own index
CREATE TABLE long_key (a text, b text, PRIMARY KEY (a, b));
SELECT makini.create_rule('long', 'long_key', 'true', 'long.key', 'INSERT', 'jsonb_build_object()', options => '{"cooldown": "1 hour"}');
INSERT INTO long_key SELECT left(t, 1340), right(t, 1340) FROM (SELECT string_agg(md5(g::text), '' ORDER BY g) FROM generate_series(1, 100) g) AS x (t);
DELETE FROM long_key;
INSERT INTO long_key SELECT left(t, 1340), right(t, 1340) FROM (SELECT string_agg(md5(g::text), '' ORDER BY g) FROM generate_series(1, 100) g) AS x (t);
SELECT count(*), min(length(key)) FROM makini.event WHERE type = 'long.key';
SELECT makini.drop_rule('long');

-- the same moment is the same key in every session
CREATE TABLE moment (at timestamptz, day date, PRIMARY KEY (at, day));
CREATE TABLE day (day date PRIMARY KEY);
CREATE TABLE instant (at timestamptz PRIMARY KEY);
SELECT makini.create_rule(t, t::regclass, 'true', 'moment.new', 'INSERT', 'jsonb_build_object()', options => '{"cooldown": "1 hour"}') FROM unnest('{moment,day,instant}'::text[]) t;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'SQL, DMY';
INSERT INTO moment VALUES ('2026-02-01 00:00:00.5Z', '2026-02-01');
INSERT INTO day VALUES ('2026-02-01');
INSERT INTO instant VALUES ('2026-02-01 00:00:00.5Z');
DELETE FROM moment;
DELETE FROM day;
DELETE FROM instant;
RESET timezone;
RESET datestyle;
INSERT INTO moment VALUES ('2026-02-01 00:00:00.5Z', '2026-02-01');
INSERT INTO day VALUES ('2026-02-01');
INSERT INTO instant VALUES ('2026-02-01 00:00:00.5Z');
SELECT key FROM makini.event WHERE type = 'moment.new' ORDER BY key COLLATE "C";
SELECT makini.drop_rule(t) FROM unnest('{moment,day,instant}'::text[]) t;

-- ====
-- rights and names at the time of firing are the author's
-- ====
CREATE FUNCTION who() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';
SELECT makini.drop_rule('changed');
SELECT makini.create_rule('who', 'stock', 'who() = ''rule_owner''', 'stock.who', payload => 'jsonb_build_object(''who'', who(), ''ro'', current_setting(''transaction_read_only''), ''schema'', current_schema())');
SET ROLE rule_writer;
SET search_path = pg_catalog;
CREATE TEMP TABLE stock (id int);
INSERT INTO rule.stock VALUES (100, 'who');
SHOW transaction_read_only;
RESET ROLE;
SELECT data FROM makini.event WHERE type = 'stock.who';
DROP TABLE pg_temp.stock;
SET search_path = rule;
-- a rule whose owner lost the table
ALTER TABLE stock OWNER TO rule_writer;
INSERT INTO stock VALUES (101, 'lost');
SELECT errors, last_error FROM makini.rule;
SELECT count(*) FROM makini.event WHERE type = 'stock.who';
ALTER TABLE stock OWNER TO rule_owner;

-- ====
-- dropping the table drops the rule
-- ====
DROP VIEW shown;
DROP TABLE stock;
SELECT name FROM makini.rule;
SELECT makini.drop_rule('who');
CREATE TABLE stock (id int PRIMARY KEY);
SELECT makini.create_rule('who', 'stock', 'true', 'stock.again');
SELECT name, fired, errors FROM makini.rule;

-- ====
-- partitioned tables and composite keys; what is written to a partition is not seen
-- ====
CREATE TABLE parted (d int, id int, v int, PRIMARY KEY (id, d)) PARTITION BY LIST (d);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
DELETE FROM makini._event;
SELECT makini.create_rule('parted', 'parted', 'NEW.v > 0', 'parted.new');
INSERT INTO parted VALUES (1, 1, 1), (2, 2, 0);
INSERT INTO parted_1 VALUES (1, 3, 1);
UPDATE parted SET v = 1;
UPDATE parted SET d = 2 WHERE id = 1;
SELECT key, data -> 'operation' AS operation, data -> 'old' AS old FROM makini.event ORDER BY occurred_at;

-- ====
-- a primary key that goes later
-- ====
SELECT makini.create_rule('keyless', 'stock', 'NEW.id > 5', 'stock.high');
ALTER TABLE stock DROP CONSTRAINT stock_pkey;
INSERT INTO stock VALUES (4);
UPDATE stock SET id = 6;
SELECT errors, last_error FROM makini.rule WHERE name = 'keyless';

RESET search_path;
DELETE FROM makini._event;
DELETE FROM makini._event_log;
DELETE FROM makini._event_counter;
DELETE FROM makini._rule;
DELETE FROM makini._rule_stat;
DELETE FROM makini._condition;
DELETE FROM makini._connection WHERE server_name = 'rule_erp';
SET client_min_messages = warning;
DROP SCHEMA rule CASCADE;
DROP SERVER rule_erp CASCADE;
DROP OWNED BY rule_owner, rule_writer, rule_reader;
DROP ROLE rule_owner, rule_writer, rule_reader;
