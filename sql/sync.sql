--
-- Syncs: created, run, looked at, altered, reset and dropped; and what is said
-- when something about them is wrong.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
\set without_workers :here '/test/lib/without_workers.sql'
\i :without_workers
SELECT setval('makini._sync_sync_id_seq', 4001, false) AS first_id;
CREATE SCHEMA sync;
SET search_path = sync, test;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (department, location, transaction, transactionline, inventorybalance, deletedrecord)
    FROM SERVER erp INTO sync OPTIONS (probe 'false', custom_fields 'false');

\set refused :here '/test/lib/refused.sql'
\i :refused
CREATE FUNCTION refused_sync(arguments text) RETURNS TABLE (sqlstate text, said text) LANGUAGE sql AS
    $$ SELECT * FROM refused(format('SELECT makini.create_sync(%s)', arguments)) $$;

-- What the last run of a sync did.
CREATE FUNCTION last_run(which bigint) RETURNS TABLE (lane text, mode text, status text, read bigint, inserted bigint,
    updated bigint, deleted bigint, unchanged bigint, rejected bigint) LANGUAGE sql AS $$
    SELECT lane, mode, status, rows_read, rows_inserted, rows_updated, rows_deleted, rows_unchanged, rows_rejected
    FROM makini.sync_run WHERE sync_id = which ORDER BY run_id DESC LIMIT 1 $$;

-- Rows of two queries that are not in both.
CREATE FUNCTION difference(a text, b text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((%1$s EXCEPT ALL %2$s) UNION ALL (%2$s EXCEPT ALL %1$s)) d', a, b) INTO n;
    RETURN n;
END $$;

-- Rows of this test's own; the others' stay as they are.
\! $SIM sql "INSERT INTO netsuite.department (id, name, lastmodifieddate) SELECT id, 'old', '2020-01-01 00:00:00+00' FROM generate_series(9001, 9003) id"
SELECT count(*) AS departments FROM department;

-- ====
-- created: the target is made
-- ====
-- without a worker it says so once
SET client_min_messages = warning;
SELECT makini.create_sync('department', 'warehouse.department', '5 min');
RESET client_min_messages;
\d warehouse.department
SELECT col_description('warehouse.department'::regclass, attnum) FROM pg_attribute
WHERE attrelid = 'warehouse.department'::regclass AND attname IN ('name', '_deleted_at') ORDER BY attnum;
SELECT sync_id, source, target, server_name, owner = current_user AS mine, schedule, mode, initial_window, history_from,
    lookback, deletes, enabled, state, waiting_for, cursor, data_as_of, lag, next_run_at <= now() AS due, last_success_at,
    consecutive_failures, last_error
FROM makini.sync WHERE sync_id = 4001;
SELECT count(*) FROM makini.sync_run WHERE sync_id = 4001;

-- ====
-- run: history, then what has changed
-- ====
CALL makini.run_sync(4001);
SELECT lane, mode, status, window_from IS NULL AS all_of_it, pages, requests, rows_read, rows_inserted
FROM makini.sync_run WHERE sync_id = 4001 ORDER BY run_id;
SELECT difference('SELECT id, name, lastmodifieddate FROM department', 'SELECT id, name, lastmodifieddate FROM warehouse.department');
SELECT state, cursor ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$' AS cursor_in_utc, data_as_of < now() AS has_data,
    lag > '0' AS has_lag, last_success_at IS NOT NULL AS succeeded
FROM makini.sync WHERE sync_id = 4001;
SELECT count(*) AS running FROM makini.sync_progress;

-- nothing has changed: nothing is written
SELECT xmin AS before FROM warehouse.department WHERE id = 3 \gset
CALL makini.run_sync(4001);
SELECT * FROM last_run(4001);
SELECT xmin = :before AS untouched FROM warehouse.department WHERE id = 3;

-- two rows change, one is new
\! $SIM sql "UPDATE netsuite.department SET name = 'changed', lastmodifieddate = now() WHERE id IN (9001, 9002)"
\! $SIM sql "INSERT INTO netsuite.department (id, name, lastmodifieddate) VALUES (9004, 'new', now())"
CALL makini.run_sync(4001);
SELECT * FROM last_run(4001);
SELECT id, name FROM warehouse.department WHERE name IN ('changed', 'new') ORDER BY id;

-- what is read again is not written again
CALL makini.run_sync(4001);
SELECT * FROM last_run(4001);

-- a row is deleted, and comes back
\! $SIM delete department Department 9004
CALL makini.run_sync(4001);
SELECT * FROM last_run(4001);
SELECT id, name, _deleted_at IS NOT NULL AS deleted FROM warehouse.department WHERE id = 9004;
\! $SIM sql "INSERT INTO netsuite.department (id, name, lastmodifieddate) VALUES (9004, 'back', now())"
CALL makini.run_sync(4001);
SELECT id, name, _deleted_at IS NOT NULL AS deleted FROM warehouse.department WHERE id = 9004;

-- gone without a trace: a full pass notices
\! $SIM sql "DELETE FROM netsuite.department WHERE id = 9004"
\! $SIM sql "DELETE FROM netsuite.deletedrecord WHERE recordid > 9000"
CALL makini.run_sync(4001);
SELECT _deleted_at IS NOT NULL AS deleted FROM warehouse.department WHERE id = 9004;
CALL makini.run_sync(4001, 'full');
SELECT * FROM last_run(4001);
SELECT _deleted_at IS NOT NULL AS deleted FROM warehouse.department WHERE id = 9004;

-- it commits as it goes
BEGIN;
CALL makini.run_sync(4001);
ROLLBACK;
SELECT * FROM refused('CALL makini.run_sync(4001)');
CALL makini.run_sync(4001, 'sometimes');
CALL makini.run_sync(NULL);
CALL makini.run_sync(4999);

-- ====
-- paused, resumed, cancelled
-- ====
SELECT makini.pause_sync(4001), makini.pause_sync(4001) AS again;
SELECT enabled, state, next_run_at FROM makini.sync WHERE sync_id = 4001;
SELECT severity, connection, object, message, hint, fix_sql FROM makini.problem WHERE object ~ 'sync 4001 ';
SELECT makini.resume_sync(4001), makini.resume_sync(4001) AS again;
SELECT enabled, state, next_run_at <= now() AS due FROM makini.sync WHERE sync_id = 4001;
SELECT makini.cancel_sync(4001);
SELECT makini.pause_sync(4999);
SELECT makini.cancel_sync(4999);

-- ====
-- lines follow their headers
-- ====
SELECT makini.create_sync('transaction', 'warehouse.header', NULL, initial_window => 'all', columns => '{tranid,type}',
    filter => 'id <= 400') AS header,
    makini.create_sync('transactionline', 'warehouse.line', NULL, initial_window => 'all', columns => '{item,quantity}',
    filter => 'transaction <= 400') AS line \gset
CALL makini.run_sync(:header);
CALL makini.run_sync(:line);
SELECT attname FROM pg_attribute WHERE attrelid = 'warehouse.line'::regclass AND attnum > 0 ORDER BY attnum;
SELECT schedule, history_from, next_run_at FROM makini.sync WHERE sync_id = :line;
SELECT difference('SELECT id, tranid, type FROM transaction WHERE id <= 400', 'SELECT id, tranid, type FROM warehouse.header');
SELECT difference('SELECT transaction, id, item, quantity FROM transactionline WHERE transaction <= 400',
    'SELECT transaction, id, item, quantity FROM warehouse.line');

-- ====
-- a window, and a wider one
-- ====
SELECT makini.create_sync('transaction', 'warehouse.recent', initial_window => '500 days', columns => '{tranid}',
    initial_filter => 'id <= 20', options => '{"start": false}') AS recent \gset
SELECT initial_window, history_from = (SELECT created_at FROM makini._sync WHERE sync_id = :recent) - interval '500 days' AS fixed,
    enabled, state
FROM makini.sync WHERE sync_id = :recent;
CALL makini.run_sync(:recent);
CREATE FUNCTION window_difference(which bigint) RETURNS bigint LANGUAGE sql AS $$
    SELECT difference(format('SELECT id, tranid FROM transaction WHERE lastmodifieddate >= %L OR lastmodifieddate IS NULL OR id <= 20',
        coalesce(history_from, '-infinity')), 'SELECT id, tranid FROM warehouse.recent')
    FROM makini.sync WHERE sync_id = which $$;
SELECT window_difference(:recent);
SELECT history_from AS before FROM makini.sync WHERE sync_id = :recent \gset
SELECT makini.alter_sync(:recent, '{"initial_window": "all"}');
SELECT mode, lane, window_from, window_to = :'before' AS up_to_what_was_there FROM makini._load WHERE sync_id = :recent;
CALL makini.run_sync(:recent);
SELECT window_difference(:recent);
SELECT mode, window_from IS NULL AS all_of_it, rows_unchanged <= 20 AS only_the_slice
FROM makini.sync_run WHERE sync_id = :recent AND lane = 'backfill' ORDER BY run_id;
-- narrower: nothing is deleted
SELECT count(*) AS before FROM warehouse.recent WHERE _deleted_at IS NULL \gset
SELECT makini.alter_sync(:recent, '{"initial_window": "10 days"}');
SELECT count(*) FROM makini._load WHERE sync_id = :recent;
CALL makini.run_sync(:recent, 'full');
SELECT count(*) = :before AS nothing_deleted FROM warehouse.recent WHERE _deleted_at IS NULL;

-- ====
-- no cursor: read whole and compared
-- ====
SELECT makini.create_sync('inventorybalance', 'warehouse.balance', NULL, deletes => 'hard') AS balance \gset
CALL makini.run_sync(:balance);
CALL makini.run_sync(:balance);
SELECT mode, status, rows_inserted = rows_read AS all_new, rows_unchanged = rows_read AS all_known, rows_updated, rows_deleted
FROM makini.sync_run WHERE sync_id = :balance ORDER BY run_id;

-- ====
-- one target, two syncs
-- ====
SELECT makini.create_sync('location', 'warehouse.location', NULL, columns => '{name}', constants => '{"tenant": "a", "site": 1}') AS a,
    makini.create_sync('location', 'warehouse.location', NULL, columns => '{name}', constants => '{"tenant": "b", "site": 1}',
    deletes => 'hard') AS b \gset
CALL makini.run_sync(:a);
CALL makini.run_sync(:b);
\d warehouse.location
SELECT tenant, site, count(*) = (SELECT count(*) FROM location) AS complete FROM warehouse.location GROUP BY 1, 2 ORDER BY 1;
SELECT * FROM refused_sync($$'location', 'warehouse.location', columns => '{name}', constants => '{"tenant": "c"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.location', columns => '{name}', constants => '{"tenant": "a", "site": 1.0}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.location', columns => '{name}', constants => '{"tenant": "a", "site": "01"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.location'$$);

-- ====
-- begun anew
-- ====
UPDATE warehouse.location SET name = 'wrong', lastmodifieddate = NULL WHERE id = 1;
INSERT INTO warehouse.location (tenant, site, id, name, _synced_at)
VALUES ('a', 1, 9001, 'ours', '2020-01-01'), ('b', 1, 9001, 'ours', '2020-01-01');
SELECT makini.reset_sync(:b);
SELECT state, cursor, data_as_of FROM makini.sync WHERE sync_id = :b;
CALL makini.run_sync(:b);
SELECT mode, status, rows_updated, rows_deleted FROM makini.sync_run WHERE sync_id = :b AND lane = 'backfill' ORDER BY run_id DESC LIMIT 1;
SELECT tenant, id, name = 'wrong' AS wrong FROM warehouse.location WHERE id IN (1, 9001) ORDER BY 1, 2;
SELECT makini.reset_sync(:a, 'keep');
CALL makini.run_sync(:a);
SELECT tenant, id, name = 'wrong' AS wrong FROM warehouse.location WHERE id IN (1, 9001) AND tenant = 'a' ORDER BY 1, 2;
SELECT makini.reset_sync(:a, 'truncate');
SELECT tenant, count(*) > 0 AS has_rows FROM warehouse.location GROUP BY 1;
CALL makini.run_sync(:a);
SELECT tenant, count(*) = (SELECT count(*) FROM location) AS complete FROM warehouse.location GROUP BY 1 ORDER BY 1;
SELECT makini.reset_sync(:a, 'forget');
SELECT makini.reset_sync(4999);

-- ====
-- the server points somewhere else
-- ====
\getenv http_url MAKINI_SIM_HTTP_URL
ALTER SERVER erp OPTIONS (SET base_url :'http_url', ADD allow_http 'true');
\set VERBOSITY sqlstate
CALL makini.run_sync(:a);
\set VERBOSITY default
SELECT state, consecutive_failures, last_error IS NOT NULL AS has_error FROM makini.sync WHERE sync_id = :a;
SELECT status, error_code, error_http_status FROM makini.sync_run WHERE sync_id = :a ORDER BY run_id DESC LIMIT 1;
SELECT severity, since IS NOT NULL AS since, connection, regexp_replace(object || ': ' || message, '\d+', 'N', 'g') AS what,
    regexp_replace(hint, '\d+', 'N') AS hint, regexp_replace(fix_sql, '\d+', 'N') AS fix_sql
FROM makini.problem WHERE object ~ 'sync\.location$' AND severity = 'error';
-- resumed, it fails again; reset, it goes on
SELECT makini.resume_sync(:a);
SELECT state FROM makini.sync WHERE sync_id = :a;
\set VERBOSITY sqlstate
CALL makini.run_sync(:a);
\set VERBOSITY default
SELECT makini.reset_connection('erp', 'keep') > 2 AS all_of_them;
CALL makini.run_sync(:a);
SELECT state, consecutive_failures, last_error FROM makini.sync WHERE sync_id = :a;
\getenv url MAKINI_SIM_URL
ALTER SERVER erp OPTIONS (SET base_url :'url', DROP allow_http);
SELECT makini.reset_connection('erp') > 2 AS all_of_them;

-- ====
-- rows that can't be written
-- ====
ALTER TABLE warehouse.location ADD CONSTRAINT first CHECK (tenant <> 'b' OR id <> 1) NOT VALID;
DELETE FROM warehouse.location WHERE tenant = 'b';
SELECT makini.alter_sync(:b, '{"options": {"reject_limit": 1}}');
CALL makini.run_sync(:b);
SELECT status, rows_rejected, rows_deleted FROM makini.sync_run WHERE sync_id = :b AND lane = 'backfill' ORDER BY run_id DESC LIMIT 1;
SELECT key, data ->> 'id' AS id, column_name, split_part(reason, ' (', 1) AS reason, resolved_at, resolution FROM makini.rejected_row WHERE sync_id = :b;
SELECT severity, since IS NOT NULL AS since, message, hint, regexp_replace(fix_sql, '\d+', 'N') AS fix_sql
FROM makini.problem WHERE object ~ format('^sync %s ', :b);

-- ====
-- what the other side refuses
-- ====
\! $SIM hide deletedrecord - record
CALL makini.run_sync(4001);
SELECT status FROM makini.sync_run WHERE sync_id = 4001 ORDER BY run_id DESC LIMIT 1;
SELECT severity, since IS NOT NULL AS since, message, hint, fix_sql FROM makini.problem WHERE object ~ '^sync 4001 ';
\! $SIM show deletedrecord -
CALL makini.run_sync(4001);
SELECT count(*) FROM makini.problem WHERE object ~ '^sync 4001 ';
\! $SIM hide department - record
\set VERBOSITY sqlstate
CALL makini.run_sync(4001);
\set VERBOSITY default
SELECT state, consecutive_failures FROM makini.sync WHERE sync_id = 4001;
SELECT type, data->>'status' AS status, data->'error'->>'code' AS code, data->'rows'->>'deleted' AS deleted FROM makini._event
WHERE (data->>'sync_id')::bigint = 4001 ORDER BY occurred_at DESC LIMIT 1;
SELECT severity, since IS NOT NULL AS since, message, hint, fix_sql FROM makini.problem WHERE object ~ '^sync 4001 ';
\! $SIM show department -
SELECT makini.resume_sync(4001);
CALL makini.run_sync(4001);
SELECT state, waiting_for FROM makini.sync WHERE sync_id = 4001;
\! $SIM fault '{"kind": "401", "count": 0}'
\set VERBOSITY sqlstate
CALL makini.run_sync(4001);
\set VERBOSITY default
SELECT state, waiting_for, consecutive_failures FROM makini.sync WHERE sync_id = 4001;
SELECT severity, since IS NOT NULL AS since, connection, object, message, hint, fix_sql FROM makini.problem WHERE object ~ '^server erp';
\! $SIM reset
CALL makini.run_sync(4001);
SELECT state, waiting_for, consecutive_failures FROM makini.sync WHERE sync_id = 4001;
SELECT count(*) FROM makini.problem WHERE object ~ '^(server erp|sync 4001 )';
-- an owner without credentials
DROP USER MAPPING FOR CURRENT_USER SERVER erp;
\set VERBOSITY sqlstate
CALL makini.run_sync(4001);
\set VERBOSITY default
SELECT severity, since IS NOT NULL AS since, message, regexp_replace(hint, ' FOR \S+', ' FOR me') AS hint, fix_sql FROM makini.problem WHERE object ~ '^sync 4001 ';
CREATE USER MAPPING FOR CURRENT_USER SERVER erp
    OPTIONS (client_id :'client_id', certificate_id :'certificate_id', private_key_file :'key_file');
CALL makini.run_sync(4001);
SELECT count(*) FROM makini.problem WHERE object ~ '^sync 4001 ';

-- ====
-- altered
-- ====
SELECT makini.alter_sync(4001, '{}');
SELECT makini.alter_sync(4001, '{"schedule": "5 min", "mode": "incremental", "constants": {}, "options": {}}');
SELECT makini.alter_sync(4001, '{"schedule": null}');
SELECT schedule, next_run_at FROM makini.sync WHERE sync_id = 4001;
SELECT makini.alter_sync(4001, '{"schedule": "30 6 * * 1-5", "lookback": "1 hour", "deletes": "ignore", "options": {"reject_limit": 0.5, "full_every": null}}');
SELECT schedule, lookback, deletes, options FROM makini._sync WHERE sync_id = 4001;
SELECT makini.alter_sync(4001, '{"options": {"reject_limit": 0.05, "backfill_between": "18:00-06:00"}}');
SELECT makini.alter_sync(4001, '{"options": {"backfill_between": null}}');
SELECT options FROM makini._sync WHERE sync_id = 4001;
-- other columns
SELECT makini.alter_sync(4001, '{"columns": ["name"]}');
SELECT makini.alter_sync(4001, '{"columns": ["name", "fullname"]}');
-- another filter is met by a full pass
SELECT makini.alter_sync(4001, '{"filter": "id <= 3"}');
CALL makini.run_sync(4001);
SELECT mode, rows_read FROM makini.sync_run WHERE sync_id = 4001 AND lane = 'backfill' ORDER BY run_id DESC LIMIT 1;
-- another target: it begins anew
SELECT makini.alter_sync(4001, '{"target": "warehouse.elsewhere", "filter": null}');
SELECT state, target FROM makini.sync WHERE sync_id = 4001;
CALL makini.run_sync(4001);
SELECT difference('SELECT id, name FROM department', 'SELECT id, name FROM warehouse.elsewhere');
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"source": "sync.location"}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"schedul": "1 hour"}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"schedule": 5}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"mode": null}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"columns": []}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"columns": ["name", 5]}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"columns": ["nam"]}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"constants": {"id": 5}}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"options": {"stat": true}}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '{"target": "warehouse.location"}')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4001, '[]')$$);
SELECT * FROM refused($$SELECT makini.alter_sync(4999, '{}')$$);

-- ====
-- refused, each with its SQLSTATE
-- ====
-- source
SELECT * FROM refused_sync($$NULL, 'warehouse.x'$$);
SELECT * FROM refused_sync($$'pg_class', 'warehouse.x'$$);
SELECT * FROM refused_sync($$'nothing', 'warehouse.x'$$);
CREATE FOREIGN DATA WRAPPER sync_other;
CREATE SERVER sync_other FOREIGN DATA WRAPPER sync_other;
CREATE FOREIGN TABLE other (id int) SERVER sync_other;
SELECT * FROM refused_sync($$'other', 'warehouse.x'$$);
-- target
SELECT * FROM refused_sync($$'location', 'x'$$);
SELECT * FROM refused_sync($$'location', 'a.b.c.d'$$);
SELECT * FROM refused_sync($$'location', 'nowhere.warehouse.x'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.'$$);
SELECT * FROM refused_sync($$'location', 'makini.x'$$);
SELECT * FROM refused_sync($$'location', 'pg_temp.x'$$);
-- schedule
SELECT * FROM refused_sync($$'location', 'warehouse.x', 'now and then'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', '0 seconds'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', '* * * *'$$);
-- window
SELECT * FROM refused_sync($$'location', 'warehouse.x', initial_window => 'much'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', initial_window => '-1 day'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', initial_window => NULL$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', lookback => '-1 s'$$);
-- mode and deletes
SELECT * FROM refused_sync($$'location', 'warehouse.x', mode => 'drain'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', mode => 'ful'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', deletes => 'never'$$);
-- columns and key
SELECT * FROM refused_sync($$'location', 'warehouse.x', columns => '{}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', columns => '{name,nam}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', columns => '{name,name}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', columns => '{name,NULL}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', key => '{idd}'$$);
-- conditions
SELECT * FROM refused_sync($$'location', 'warehouse.x', filter => 'nam = 1'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', filter => 'id'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', filter => 'id = 1, id = 2'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', filter => 'id = 1; DROP SCHEMA warehouse'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', filter => 'true UNION SELECT true'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', filter => 'id = (SELECT 1)'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', filter => 'md5(name) = fullname'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', initial_filter => 'random() < 0.5'$$);
SELECT makini.create_sync('location', 'warehouse.x', filter => 'nam = 1');
-- constants
SELECT * FROM refused_sync($$'location', 'warehouse.x', constants => '[1]'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', constants => '{"tenant": null}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', constants => '{"tenant": {}}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', constants => '{"name": "a"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', constants => '{"_extra": "a"}'$$);
-- options
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"ful_every": "1 day"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"zzz": "1 day"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"full_every": 1}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"full_every": "x"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"full_every": "-1 day"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"start": "yes"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"backfill_between": "at night"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"backfill_order": "random"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"on_schema_change": "panic"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"max_staleness": true}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"reject_limit": 2}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '{"reject_limit": "5 %"}'$$);
SELECT * FROM refused_sync($$'location', 'warehouse.x', options => '"start"'$$);
SELECT to_regclass('warehouse.x') AS nothing_made;

-- ====
-- tables that no sync can read, and a schema of syncs
-- ====
CREATE SERVER sync_wms FOREIGN DATA WRAPPER asctrac_fdw
    OPTIONS (base_url 'https://wms.example.com', rest_base_url 'https://rest.example.com', site_id '1', rest_user 'MAKINI');
CREATE SCHEMA sync_wms;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (cust_order_export, asn_import, inventory_audit, rest_inventory) FROM SERVER sync_wms INTO sync_wms;
SELECT * FROM refused_sync($$'sync_wms.cust_order_export', 'warehouse.x'$$);
SELECT * FROM refused_sync($$'sync_wms.asn_import', 'warehouse.x'$$);
SELECT * FROM refused_sync($$'sync_wms.rest_inventory', 'warehouse.x'$$);
SELECT * FROM makini.create_syncs('sync_wms', 'warehouse', '{inventory_audt}');
SELECT * FROM makini.create_syncs('nowhere', 'warehouse');
SELECT source, sync_id IS NOT NULL AS created, skipped FROM makini.create_syncs('sync_wms', 'warehouse', options => '{"start": false}');
SELECT source, sync_id IS NOT NULL AS created, regexp_replace(skipped, '\d+', 'N') AS skipped
FROM makini.create_syncs('sync', 'sync_all', '{location,inventorybalance,deletedrecord}', NULL);
SELECT source, sync_id IS NOT NULL AS created, regexp_replace(skipped, '\d+', 'N') AS skipped
FROM makini.create_syncs('sync', 'sync_all', '{location,department}', NULL);

-- ====
-- names that are no trouble, names that change, and what is gone
-- ====
SELECT makini.create_sync('department', '"sync_all"."t''a""b; x"', NULL, columns => '{name}', constants => '{"a\"b''; x": "v''\"; --"}') AS odd \gset
CALL makini.run_sync(:odd);
SELECT target FROM makini.sync WHERE sync_id = :odd;
SELECT count(*) > 0 AS has_rows, min("a""b'; x") FROM sync_all."t'a""b; x";
SELECT makini.reset_sync(:odd, 'truncate');
SELECT count(*) FROM sync_all."t'a""b; x";
CALL makini.run_sync(:odd);
SELECT count(*) > 0 AS has_rows FROM sync_all."t'a""b; x";
ALTER TABLE sync_all."t'a""b; x" RENAME TO renamed;
ALTER FOREIGN TABLE department RENAME TO origin;
SELECT source, target FROM makini.sync WHERE sync_id = :odd;
SELECT makini.alter_sync(:odd, '{"lookback": "1 hour"}');
CALL makini.run_sync(:odd);
SELECT state FROM makini.sync WHERE sync_id = :odd;
SELECT to_regclass('sync_all."t''a""b; x"') AS not_made_again;
DROP TABLE sync_all.renamed;
SELECT makini.alter_sync(:odd, '{"lookback": "2 hours"}');
CALL makini.run_sync(:odd);
SELECT regexp_replace(object, '\d+', 'N') AS object, message, hint, regexp_replace(fix_sql, '\d+', 'N') AS fix_sql
FROM makini.problem WHERE object ~ format('^sync %s ', :odd);
SELECT makini.alter_sync(:odd, '{"target": "sync_all.again"}');
CALL makini.run_sync(:odd);
SELECT count(*) > 0 AS has_rows FROM sync_all.again;
ALTER FOREIGN TABLE origin RENAME TO department;
CREATE FOREIGN TABLE gone (id bigint NOT NULL, name text) SERVER erp OPTIONS (entity 'department');
SELECT makini.create_sync('gone', 'sync_all.gone', NULL) AS gone \gset
DROP FOREIGN TABLE gone;
SELECT makini.alter_sync(:gone, '{"lookback": "1 hour"}');
SELECT makini.alter_sync(:gone, '{"schedule": "1 hour"}');
CALL makini.run_sync(:gone);
SELECT source, target FROM makini.sync WHERE sync_id = :gone;
SELECT regexp_replace(object, '\d+', 'N') AS object, message, hint, regexp_replace(fix_sql, '\d+', 'N') AS fix_sql
FROM makini.problem WHERE object ~ format('^sync %s ', :gone);
-- restored or copied from another database
UPDATE makini._sync SET home = 'elsewhere/1' WHERE sync_id = :odd;
SELECT source, target, owner = current_user AS mine, waiting_for FROM makini.sync WHERE sync_id = :odd;
CALL makini.run_sync(:odd);
SELECT makini.alter_sync(:odd, '{"schedule": "5 min"}');
SELECT makini.reset_sync(:odd);
SELECT makini.resume_sync(:odd);
SELECT message, hint, fix_sql FROM makini.problem WHERE object ~ format('^sync %s ', :odd);
SELECT makini.drop_sync(:odd, true);
SELECT makini.drop_sync(:odd);

-- ====
-- whose they are, and who may do what
-- ====
CREATE ROLE sync_owner;
CREATE ROLE sync_reader;
CREATE ROLE sync_operator;
CREATE ROLE sync_admin;
CREATE ROLE sync_stranger;
SELECT makini.grant_access('sync_owner', 'admin', 'erp'), makini.grant_access('sync_reader', 'reader', 'erp'),
    makini.grant_access('sync_operator', 'operator', 'erp'), makini.grant_access('sync_admin', 'admin', 'erp'),
    makini.grant_access('sync_stranger', 'admin');
CREATE SCHEMA sync_own AUTHORIZATION sync_owner;
\getenv client_id MAKINI_SIM_CLIENT_ID
\getenv certificate_id MAKINI_SIM_CERTIFICATE_ID
\getenv key_file MAKINI_SIM_PRIVATE_KEY_FILE
CREATE USER MAPPING FOR sync_owner SERVER erp
    OPTIONS (client_id :'client_id', certificate_id :'certificate_id', private_key_file :'key_file');
GRANT USAGE ON SCHEMA sync TO sync_owner;
SET ROLE sync_owner;
SELECT makini.create_sync('sync.department', 'sync_own.department', NULL);
RESET ROLE;
GRANT SELECT ON sync.department TO sync_owner;
SET ROLE sync_owner;
SELECT makini.create_sync('sync.department', 'warehouse.x', NULL);
SELECT makini.create_sync('sync.department', 'sync_new.x', NULL);
SELECT makini.create_sync('sync.department', 'warehouse.department', NULL);
SELECT makini.create_sync('sync.department', 'sync_own.department', NULL) AS own \gset
CALL makini.run_sync(:own);
SELECT count(*) = (SELECT count(*) FROM sync.department) AS complete FROM sync_own.department;
SELECT target, owner FROM makini.sync WHERE owner = 'sync_owner';
RESET ROLE;
-- a reader sees it
SET ROLE sync_reader;
SELECT target, owner, state FROM makini.sync WHERE sync_id = :own;
SELECT count(*) FROM makini.sync_run WHERE sync_id = :own;
SELECT count(*) FROM makini.problem WHERE object ~ format('^sync %s ', :own);
SELECT makini.pause_sync(:own);
SELECT * FROM makini._sync;
RESET ROLE;
-- an operator runs it, with its owner's rights
SET ROLE sync_operator;
SELECT makini.pause_sync(:own), makini.resume_sync(:own);
CALL makini.run_sync(:own);
SELECT makini.alter_sync(:own, '{"schedule": "1 hour"}');
RESET ROLE;
-- an administrator makes his own, and leaves this one to its owner
SET ROLE sync_admin;
SELECT makini.alter_sync(:own, '{"filter": "id = 1"}');
SELECT makini.reset_sync(:own, 'truncate');
SELECT makini.reset_connection('erp');
SELECT makini.drop_sync(:own, true);
RESET ROLE;
-- who may not use the server, sees nothing
SET ROLE sync_stranger;
SELECT count(*) FROM makini.sync;
SELECT count(*) FROM makini.sync_run;
SELECT count(*) FROM makini.rejected_row;
SELECT count(*) FROM makini.problem;
SELECT makini.pause_sync(:own);
SELECT makini.drop_sync(:own);
CALL makini.run_sync(:own);
RESET ROLE;
-- a member of the owner is as good as he, a superuser too
GRANT sync_owner TO sync_stranger;
SET ROLE sync_stranger;
SELECT target FROM makini.sync ORDER BY target COLLATE "C";
SELECT makini.alter_sync(:own, '{"filter": "id < 5"}');
RESET ROLE;
-- rights that are lost show at the next run
REVOKE SELECT ON sync.department FROM sync_owner;
SET ROLE sync_owner;
CALL makini.run_sync(:own);
SELECT state FROM makini.sync WHERE sync_id = :own;
RESET ROLE;
GRANT SELECT ON sync.department TO sync_owner;
SELECT makini.resume_sync(:own);
CALL makini.run_sync(:own);
SELECT state FROM makini.sync WHERE sync_id = :own;
SET ROLE sync_owner;
SELECT makini.drop_sync(:own, true);
RESET ROLE;

-- the columns of the views
SELECT relname, string_agg(attname, ' ' ORDER BY attnum) AS columns
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
WHERE relnamespace = 'makini'::regnamespace AND relkind = 'v'
    AND relname IN ('sync', 'sync_run', 'sync_progress', 'rejected_row', 'sync_check', 'sync_difference', 'owed_acknowledgement', 'problem')
GROUP BY 1 ORDER BY 1;

-- ====
-- dropped
-- ====
SELECT makini.drop_sync(:a, true);
SELECT makini.drop_sync(:a);
SELECT makini.drop_sync(:b, true), to_regclass('warehouse.location') AS location;
SELECT makini.drop_sync(4001), to_regclass('warehouse.department') AS stays;
SELECT count(*) FROM makini.sync_run WHERE sync_id IN (4001, :a, :b);
SELECT makini.drop_sync(sync_id, target LIKE 'sync_all.%') FROM makini.sync WHERE sync_id > 4000 ORDER BY sync_id;
SELECT count(*) FROM makini.sync WHERE sync_id > 4000;
SELECT count(*) FROM pg_class WHERE relnamespace = 'sync_all'::regnamespace;
-- a statement that makes one has it
SELECT makini.pause_sync(s) AS paused, makini.drop_sync(s, true) AS dropped
FROM (SELECT makini.create_sync('sync.department', 'warehouse.once', schedule => NULL) AS s OFFSET 0) AS made;

-- what of the source the other tests want as it was
\! $SIM sql "DELETE FROM netsuite.department WHERE id > 9000"
SET client_min_messages = warning;
DROP SCHEMA sync_own CASCADE;
DROP OWNED BY sync_owner, sync_reader, sync_operator, sync_admin, sync_stranger CASCADE;
DROP ROLE sync_owner, sync_reader, sync_operator, sync_admin, sync_stranger;
DROP SCHEMA sync, sync_wms, sync_all, warehouse CASCADE;
DROP SERVER sync_wms, sync_other CASCADE;
DROP FOREIGN DATA WRAPPER sync_other;

ALTER SYSTEM RESET makini.launcher;
SELECT pg_reload_conf();
