--
-- Columns that come and go under a sync, and rows that could not be written.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
SET search_path = test;
-- other tests read the same source
\! $SIM sql "CREATE TABLE public.currency_before AS TABLE netsuite.currency"
CREATE SCHEMA drift;
CREATE SCHEMA local;
SELECT setval('makini._sync_sync_id_seq', 5000) > 0 AS numbered;
CREATE FUNCTION test.run_of(sync bigint) RETURNS TABLE (mode text, status text, read bigint, inserted bigint, updated bigint,
    deleted bigint, unchanged bigint, rejected bigint, error text) LANGUAGE sql AS $$
    SELECT mode, status, rows_read, rows_inserted, rows_updated, rows_deleted, rows_unchanged, rows_rejected, error_message
    FROM makini.sync_run WHERE sync_id = sync ORDER BY run_id DESC LIMIT 1
$$;
-- What was told since the last time.
CREATE TABLE test.known AS SELECT event_id FROM makini._event;
CREATE FUNCTION test.told() RETURNS TABLE (relation text, changes text, applied boolean) LANGUAGE sql AS $$
    WITH news AS (INSERT INTO test.known SELECT event_id FROM makini._event EXCEPT SELECT event_id FROM test.known RETURNING event_id)
    SELECT data->>'relation', string_agg((c->>'change') || ' ' || (c->>'column'), ', ' ORDER BY n), (data->>'applied')::boolean
    FROM news JOIN makini._event USING (event_id), jsonb_array_elements(data->'changes') WITH ORDINALITY AS e(c, n)
    WHERE type = 'schema.changed' GROUP BY event_id, data ORDER BY event_id
$$;

-- ====
-- a column that vanishes: left out, its values stay, told once
-- ====
IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency) FROM SERVER erp INTO drift;
SELECT makini.create_sync('drift.currency', 'local.currency', schedule => NULL) AS sync \gset
CALL makini.run_sync(:sync);
\! $SIM hide currency symbol unknown
\! $SIM sql "UPDATE netsuite.currency SET name = 'Dollar', lastmodifieddate = now() WHERE id = 1"
CALL makini.run_sync(:sync);
SELECT * FROM run_of(:sync);
SELECT id, name, symbol FROM local.currency WHERE id < 3 ORDER BY id;
SELECT * FROM told();
SELECT left_out FROM makini._sync WHERE sync_id = :sync;
SELECT severity, object, message, hint, fix_sql FROM makini.problem WHERE object LIKE 'sync 500%';
CALL makini.run_sync(:sync);
CALL makini.run_sync(:sync, 'full');
SELECT * FROM run_of(:sync);
SELECT id, name, symbol FROM local.currency WHERE id < 3 ORDER BY id;
SELECT * FROM told();
-- two more at once
\! $SIM hide currency displaysymbol not_exposed
\! $SIM hide currency exchangerate unknown
CALL makini.run_sync(:sync, 'full');
SELECT * FROM told();
SELECT left_out FROM makini._sync WHERE sync_id = :sync;
-- back again: a full pass asks for them
\! $SIM reset
\! $SIM sql "UPDATE netsuite.currency SET name = 'US Dollar', symbol = 'US$', lastmodifieddate = now() WHERE id = 1"
CALL makini.run_sync(:sync);
SELECT id, name, symbol FROM local.currency WHERE id = 1;
CALL makini.run_sync(:sync, 'full');
SELECT * FROM run_of(:sync);
SELECT id, name, symbol FROM local.currency WHERE id = 1;
SELECT * FROM told();
\! $SIM sql "UPDATE netsuite.currency SET symbol = 'USD' WHERE id = 1"
-- the key can't be done without
\! $SIM hide currency id unknown
\set VERBOSITY terse
CALL makini.run_sync(:sync, 'full');
\set VERBOSITY default
SELECT mode, status, error FROM run_of(:sync);
SELECT * FROM told();
\! $SIM reset
CALL makini.run_sync(:sync);
CALL makini.run_sync(:sync);
SELECT mode, status, error FROM run_of(:sync);

-- ====
-- a column that appears: added
-- ====
ALTER FOREIGN TABLE drift.currency DROP COLUMN symbolplacement;
SELECT makini.create_sync('drift.currency', 'local.added', schedule => NULL) AS adding \gset
SELECT makini.create_sync('drift.currency', 'local.extra', schedule => NULL, options => '{"on_schema_change": "extra"}') AS extra \gset
SELECT makini.create_sync('drift.currency', 'local.reported', schedule => NULL, options => '{"on_schema_change": "report"}') AS reporting \gset
CALL makini.run_sync(:adding);
CALL makini.run_sync(:extra);
CALL makini.run_sync(:reporting);
SELECT * FROM told();
ALTER FOREIGN TABLE drift.currency ADD COLUMN symbolplacement text;
CALL makini.run_sync(:adding);
SELECT * FROM told();
CALL makini.run_sync(:extra);
SELECT * FROM told();
CALL makini.run_sync(:reporting);
SELECT * FROM told();
SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid IN ('local.added'::regclass, 'local.extra'::regclass, 'local.reported'::regclass) AND attname = 'symbolplacement';
-- known by now
CALL makini.run_sync(:adding, 'full');
CALL makini.run_sync(:extra, 'full');
CALL makini.run_sync(:reporting, 'full');
SELECT * FROM told();
SELECT id, symbolplacement, _extra FROM local.added WHERE id < 3 ORDER BY id;
SELECT id, _extra FROM local.extra WHERE id < 3 ORDER BY id;
SELECT id, _extra FROM local.reported WHERE id < 3 ORDER BY id;
-- a type that does not fit any more
ALTER TABLE local.extra ALTER COLUMN exchangerate TYPE date USING NULL;
CALL makini.run_sync(:extra, 'full');
SELECT status, updated, rejected FROM run_of(:extra);
SELECT id, exchangerate, _extra->'exchangerate' AS extra FROM local.extra WHERE id < 3 ORDER BY id;
SELECT * FROM told();
SELECT severity, object, message, hint, fix_sql FROM makini.problem WHERE object LIKE 'sync 500%' ORDER BY object;
-- refresh_schema does the same for foreign table and target at once
ALTER FOREIGN TABLE drift.currency DROP COLUMN symbolplacement;
ALTER TABLE local.added DROP COLUMN symbolplacement;
UPDATE makini._imported SET columns = array_remove(columns, 'symbolplacement') WHERE relation = 'drift.currency';
SELECT * FROM makini.refresh_schema('drift');
SELECT * FROM makini.refresh_schema('drift', true);
SELECT * FROM told();

-- ====
-- only some columns of what has been read before
-- ====
SELECT id, symbolplacement FROM local.added WHERE id < 3 ORDER BY id;
UPDATE local.added SET name = 'ours' WHERE id = 2;
DELETE FROM local.added WHERE id = 3;
SELECT makini.backfill_columns(:adding, '{symbolplacement}');
SELECT makini.backfill_columns(:adding, '{symbolplacement}');
\! $SIM forget
CALL makini.run_sync(:adding);
\! $SIM queries | sed -n 1p
SELECT id, name, symbolplacement FROM local.added WHERE id < 4 ORDER BY id;
SELECT mode, status, rows_read, rows_inserted, rows_updated, rows_unchanged FROM makini.sync_run WHERE sync_id = :adding ORDER BY run_id DESC LIMIT 2;
SELECT makini.backfill_columns(:adding, '{symbolplacment}');
SELECT makini.backfill_columns(:adding, '{}');
SELECT makini.backfill_columns(0, '{name}');

-- ====
-- verify and repair
-- ====
CALL makini.run_sync(:adding, 'verify');
SELECT source_rows, target_rows, missing, extra, different FROM makini.sync_check WHERE sync_id = :adding;
SELECT key, kind, columns FROM makini.sync_difference JOIN makini.sync_check USING (check_id) WHERE sync_id = :adding ORDER BY kind, key;
INSERT INTO local.added (id, name) VALUES (77, 'nobody knows');
UPDATE local.added SET symbol = NULL, exchangerate = exchangerate + 1 WHERE id = 4;
CALL makini.run_sync(:adding, 'verify');
SELECT max(check_id) AS latest FROM makini.sync_check \gset
SELECT source_rows, target_rows, missing, extra, different FROM makini.sync_check WHERE check_id = :latest;
SELECT key, kind, columns FROM makini.sync_difference WHERE check_id = :latest ORDER BY kind, key;
-- ours is not written, theirs is not touched
UPDATE local.added SET symbol = 'own' WHERE id = 5;
\! $SIM forget
SELECT makini.repair_sync(:latest);
\! $SIM requests
SELECT id, name, symbol, _deleted_at IS NOT NULL AS deleted FROM local.added ORDER BY id;
SELECT makini.repair_sync(:latest);
SELECT makini.repair_sync(0);
CALL makini.run_sync(:adding, 'verify');
SELECT key, kind, columns FROM makini.sync_difference d WHERE check_id > :latest ORDER BY kind, key;

-- ====
-- rows that can't be written
-- ====
DELETE FROM local.reported;
ALTER TABLE local.reported ADD CONSTRAINT no_euro CHECK (name <> 'Euro');
-- more than a twentieth: that is a failure, and counted
CALL makini.run_sync(:reporting, 'full');
SELECT * FROM run_of(:reporting);
SELECT count(*) FROM local.reported;
SELECT key, column_name, split_part(reason, ' (', 1) AS reason, data->>'name' AS name, resolved_at IS NULL AS open FROM makini.rejected_row WHERE sync_id = :reporting;
-- it may be called fine
SELECT makini.alter_sync(:reporting, '{"options": {"on_schema_change": "report", "reject_limit": 0.5}}');
CALL makini.run_sync(:reporting, 'full');
SELECT * FROM run_of(:reporting);
SELECT count(*) FROM makini.rejected_row WHERE sync_id = :reporting AND resolved_at IS NULL;
-- no better yet
SELECT makini.retry_rejected(:reporting);
SELECT count(*), count(resolved_at) FROM makini.rejected_row WHERE sync_id = :reporting;
ALTER TABLE local.reported DROP CONSTRAINT no_euro;
SELECT makini.retry_rejected(:reporting, '{0}');
SELECT makini.retry_rejected(:reporting);
SELECT key, resolved_at IS NOT NULL AS settled, resolution FROM makini.rejected_row WHERE sync_id = :reporting;
SELECT count(*) FROM local.reported;
SELECT makini.retry_rejected(:reporting);
-- settled by hand
ALTER TABLE local.reported ADD CONSTRAINT no_yen CHECK (name <> 'Yen');
\! $SIM sql "UPDATE netsuite.currency SET name = 'Yen', lastmodifieddate = now() WHERE id = 5"
CALL makini.run_sync(:reporting);
SELECT mode, status, rejected FROM run_of(:reporting);
SELECT rejected_id AS open FROM makini.rejected_row WHERE sync_id = :reporting AND resolved_at IS NULL \gset
SELECT key, split_part(reason, ' (', 1) AS reason FROM makini.rejected_row WHERE rejected_id = :open;
SELECT makini.resolve_rejected(ARRAY[:open], 'we know');
SELECT makini.resolve_rejected(ARRAY[:open], 'we know');
SELECT resolution FROM makini.rejected_row WHERE rejected_id = :open;
\! $SIM sql "UPDATE netsuite.currency SET name = 'Japanese Yen', lastmodifieddate = now() WHERE id = 5"

-- ====
-- who may
-- ====
CREATE ROLE drift_reader;
SELECT makini.grant_access('drift_reader', 'reader', 'erp');
SET ROLE drift_reader;
SELECT makini.retry_rejected(:reporting);
RESET ROLE;
CREATE ROLE drift_operator;
SELECT makini.grant_access('drift_operator', 'operator', 'erp');
SET ROLE drift_operator;
SELECT makini.retry_rejected(:reporting);
SELECT makini.repair_sync(:latest);
SELECT makini.resolve_rejected(ARRAY[:open], 'mine');
SELECT makini.backfill_columns(:adding, '{name}');
RESET ROLE;

\! $SIM sql "UPDATE netsuite.currency c SET name = b.name, symbol = b.symbol, lastmodifieddate = b.lastmodifieddate FROM public.currency_before b WHERE b.id = c.id"
\! $SIM sql "DROP TABLE public.currency_before"
SET client_min_messages = warning;
SELECT count(makini.drop_sync(sync_id)) FROM makini.sync WHERE sync_id > 5000;
DROP SERVER erp CASCADE;
DROP SCHEMA drift, local, test CASCADE;
DROP OWNED BY drift_reader, drift_operator;
DROP ROLE drift_reader, drift_operator;
