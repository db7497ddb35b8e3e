--
-- makini.refresh_schema(): what has changed remotely, and following it.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
SET search_path = test;
CREATE SCHEMA one;
SELECT clock_timestamp() AS began \gset

-- ====
-- a table that was imported
-- ====
\! $SIM hide item custitem_sim_color unknown
\! $SIM hide item upccode not_exposed
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, currency) FROM SERVER erp INTO one;
SELECT * FROM makini.refresh_schema('one');
-- what the user drops is not news
ALTER FOREIGN TABLE one.item DROP COLUMN cost;
SELECT * FROM makini.refresh_schema('one.item');
-- two columns more, one less
\! $SIM reset
\! $SIM hide item displayname not_exposed
SELECT * FROM makini.refresh_schema('one.item');
SELECT * FROM makini.refresh_schema('one');
SELECT * FROM makini.refresh_schema('one', apply => true);
SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'one.item'::regclass AND attname IN ('custitem_sim_color', 'upccode', 'displayname') ORDER BY 1;
SELECT * FROM makini.refresh_schema('one');
SELECT type, key, data - 'server' AS data, connection_id IS NOT NULL AS connection FROM makini._event WHERE data->>'relation' LIKE 'one.%' AND occurred_at > :'began';
SELECT id, custitem_sim_color, upccode FROM one.item WHERE id = 1;
-- what was dropped because it was gone comes back with it
\! $SIM reset
SELECT * FROM makini.refresh_schema('one', apply => true);

-- ====
-- types
-- ====
UPDATE makini._imported SET columns = array_replace(columns, 'numeric', 'bigint') WHERE relation = 'one.currency';
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.currency');
ALTER FOREIGN TABLE one.currency ALTER COLUMN exchangerate TYPE bigint;
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.currency');
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.currency', true);
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.currency', true);
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'one.currency'::regclass AND attname = 'exchangerate';

-- ====
-- a table that was declared by hand
-- ====
\! $SIM hide currency symbol unknown
CREATE FOREIGN TABLE one.own (id bigint NOT NULL, label text OPTIONS (column_name 'name'), symbol text, nonsense text)
    SERVER erp OPTIONS (entity 'currency');
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.own');
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.own', true);
\! $SIM reset
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.own', true);
SELECT * FROM one.own WHERE id = 1;
-- a query of one's own, and a key that is gone
CREATE FOREIGN TABLE one.asked (id bigint, name text, other text) SERVER erp
    OPTIONS (query 'SELECT id, name FROM currency', key 'id');
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.asked');
CREATE FOREIGN TABLE one.keyed (nokey bigint, name text) SERVER erp OPTIONS (entity 'currency', key 'nokey');
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.keyed', true);

-- ====
-- what depends on a column keeps it
-- ====
\! $SIM hide currency displaysymbol unknown
CREATE VIEW one.shown AS SELECT displaysymbol FROM one.currency;
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.currency', true);
\! $SIM reset

-- ====
-- columns that are refused without being named
-- ====
\! $SIM hide currency symbolplacement 400
\! $SIM hide currency externalid 500
SELECT column_name, change, remote_type, sql, applied FROM makini.refresh_schema('one.currency');
\! $SIM reset

-- ====
-- a table that the role may not read any more
-- ====
\! $SIM hide item - record
SELECT * FROM makini.refresh_schema('one.item');
\! $SIM reset

-- ====
-- names and rights
-- ====
SELECT * FROM makini.refresh_schema('nothing');
SELECT * FROM makini.refresh_schema('one.nothing');
SELECT * FROM makini.refresh_schema('one.shown');
SELECT * FROM makini.refresh_schema('');
SELECT * FROM makini.refresh_schema(NULL);
BEGIN READ ONLY;
SELECT * FROM makini.refresh_schema('one.currency', true);
ROLLBACK;
CREATE ROLE refresh_reader;
GRANT USAGE ON SCHEMA one TO refresh_reader;
SET ROLE refresh_reader;
SELECT * FROM makini.refresh_schema('one.currency');
RESET ROLE;
SELECT makini.grant_access('refresh_reader', 'admin', 'erp');
SET ROLE refresh_reader;
SELECT * FROM makini.refresh_schema('one.currency');
RESET ROLE;
GRANT SELECT ON one.currency TO refresh_reader;
SET ROLE refresh_reader;
-- with a mapping of one's own only
SELECT * FROM makini.refresh_schema('one.currency');
SELECT * FROM makini.refresh_schema('one.currency', true);
SELECT * FROM makini.refresh_schema('one', true);
RESET ROLE;

SET client_min_messages = warning;
DROP SERVER erp CASCADE;
DROP SCHEMA one, test CASCADE;
DROP OWNED BY refresh_reader;
DROP ROLE refresh_reader;
