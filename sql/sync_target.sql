--
-- Targets: how they are made, and what of an existing table syncs refuse.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
SELECT setval('makini._sync_sync_id_seq', 5001, false) AS first_id;
CREATE SCHEMA target;
SET search_path = target, test;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (department, inventorybalance) FROM SERVER erp INTO target
    OPTIONS (probe 'false', custom_fields 'false');

\set refused :here '/test/lib/refused.sql'
\i :refused
CREATE FUNCTION into_target(name text, more text DEFAULT '') RETURNS TABLE (sqlstate text, said text) LANGUAGE sql AS
    $$ SELECT * FROM refused(format('SELECT makini.create_sync(''target.department'', %L, NULL, columns => ''{name}'' %s)', name, more)) $$;

-- ====
-- made: columns and types of the foreign table, comments, constants, a key
-- ====
COMMENT ON FOREIGN TABLE department IS 'Departments, as the people of "ERP" call them';
CREATE DOMAIN short AS varchar(20) CHECK (VALUE <> 'refused');
ALTER FOREIGN TABLE department ALTER COLUMN name TYPE short;
SELECT makini.create_sync('department', '"Made here".depts', NULL, columns => '{name}',
    constants => '{"site": "north", "tenant": 17, "share": 0.5, "ours": true, "big": 12345678901234567890}') AS s \gset
\d "Made here".depts
SELECT obj_description('"Made here".depts'::regclass);
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = '"Made here".depts'::regclass AND attnum > 0 AND col_description(attrelid, attnum) IS NOT NULL ORDER BY attnum;
-- a key that may be null
SELECT makini.create_sync('inventorybalance', '"Made here".balance', NULL) AS b \gset
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '"Made here".balance'::regclass;
-- a name that the search_path of the caller has, and pg_catalog has not
CREATE TABLE target.pg_class (id int);
SELECT * FROM into_target('pg_class');

-- ====
-- constants
-- ====
SELECT * FROM into_target('target.c', $$, constants => '{"a": null}'$$);
SELECT * FROM into_target('target.c', $$, constants => '{"a": [1]}'$$);
SELECT * FROM into_target('target.c', $$, constants => '[1]'$$);

-- ====
-- kinds of relations
-- ====
CREATE VIEW v AS SELECT 1 AS id, 'a'::text AS name, now() AS _synced_at, now() AS _deleted_at;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM v;
CREATE SEQUENCE seq;
SELECT * FROM into_target('target.v');
SELECT * FROM into_target('target.mv');
SELECT * FROM into_target('target.seq');
CREATE TEMP TABLE temporary (id bigint PRIMARY KEY);
SELECT * FROM into_target('pg_temp.temporary');
SELECT * FROM into_target('target.inventorybalance');

-- ====
-- columns
-- ====
CREATE TABLE t (id bigint PRIMARY KEY, name text);
SELECT * FROM into_target('target.t');
ALTER TABLE t ADD COLUMN lastmodifieddate timestamptz;
SELECT * FROM into_target('target.t');
ALTER TABLE t ADD COLUMN _synced_at timestamptz;
SELECT * FROM into_target('target.t');
SELECT * FROM into_target('target.t', $$, deletes => 'hard'$$);
SELECT makini.drop_sync(max(sync_id)) FROM makini.sync WHERE sync_id BETWEEN 5001 AND 5999;
ALTER TABLE t ADD COLUMN _deleted_at date;
SELECT * FROM into_target('target.t');
ALTER TABLE t ALTER COLUMN _deleted_at TYPE timestamptz;
ALTER TABLE t DROP COLUMN name;
SELECT * FROM into_target('target.t');
ALTER TABLE t ADD COLUMN name date;
SELECT * FROM into_target('target.t');
ALTER TABLE t DROP COLUMN name, ADD COLUMN name varchar(10), DROP COLUMN id;
SELECT * FROM into_target('target.t');
ALTER TABLE t ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
SELECT * FROM into_target('target.t');
ALTER TABLE t ALTER COLUMN id DROP IDENTITY;
SELECT * FROM into_target('target.t', $$, constants => '{"tenant": 1}'$$);
-- no index on the key
SELECT makini.create_sync('department', 'target.t', NULL, columns => '{name}') AS t \gset
SELECT makini.drop_sync(:t);
CREATE UNIQUE INDEX t_id ON t (id);
-- what a crash empties
ALTER TABLE t SET UNLOGGED;
SELECT makini.create_sync('department', 'target.t', NULL, columns => '{name}') AS t \gset
SELECT makini.drop_sync(:t);
ALTER TABLE t SET LOGGED;
SELECT makini.create_sync('department', 'target.t', NULL, columns => '{name}') AS t \gset
SELECT makini.drop_sync(:t);

-- ====
-- rights
-- ====
CREATE ROLE target_maker;
CREATE ROLE target_keeper;
GRANT USAGE ON SCHEMA makini, target TO target_maker, target_keeper;
GRANT USAGE ON FOREIGN SERVER erp TO target_maker;
GRANT SELECT ON department TO target_maker;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA makini, target TO target_maker;
GRANT USAGE ON SCHEMA test TO target_maker;
ALTER TABLE t OWNER TO target_keeper;
CREATE USER MAPPING FOR target_maker SERVER erp OPTIONS (client_id 'x', certificate_id 'y', private_key '-');
SET ROLE target_maker;
SELECT * FROM into_target('target.made');
SELECT * FROM into_target('target.t');
RESET ROLE;
GRANT target_keeper TO target_maker;
SET ROLE target_maker;
SELECT * FROM into_target('target.t');
RESET ROLE;
SELECT makini.drop_sync(max(sync_id)) FROM makini.sync WHERE sync_id BETWEEN 5001 AND 5999;
-- the owner is above row-level security, unless it is forced
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
SET ROLE target_maker;
SELECT * FROM into_target('target.t');
RESET ROLE;
SELECT makini.drop_sync(max(sync_id)) FROM makini.sync WHERE sync_id BETWEEN 5001 AND 5999;
ALTER TABLE t FORCE ROW LEVEL SECURITY;
SET ROLE target_maker;
SELECT * FROM into_target('target.t');
RESET ROLE;

SET client_min_messages = warning;
SELECT makini.drop_sync(sync_id, true) FROM makini.sync WHERE sync_id BETWEEN 5001 AND 5999 ORDER BY sync_id;
DROP OWNED BY target_maker, target_keeper CASCADE;
DROP ROLE target_maker, target_keeper;
DROP SCHEMA target, "Made here" CASCADE;
DROP SERVER erp CASCADE;
DROP SCHEMA test CASCADE;
