--
-- IMPORT FOREIGN SCHEMA: from the built-in catalogue, from the account, and
-- what comes along.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
SET search_path = test;

-- A schema's tables as their definitions say them.
CREATE VIEW test.definition AS
SELECT c.relnamespace::regnamespace::text AS schema, c.relname AS name, t.ftoptions AS options,
       obj_description(c.oid) AS comment, a.attnum AS n, a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS not_null, a.attfdwoptions AS column_options, col_description(c.oid, a.attnum) AS column_comment
FROM pg_class c JOIN pg_foreign_table t ON t.ftrelid = c.oid JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attnum > 0 AND NOT a.attisdropped;
CREATE FUNCTION test.difference(schema_a text, schema_b text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (
        (SELECT to_jsonb(a) - 'schema' FROM test.definition a WHERE schema = schema_a
         EXCEPT ALL SELECT to_jsonb(b) - 'schema' FROM test.definition b WHERE schema = schema_b)
        UNION ALL
        (SELECT to_jsonb(b) - 'schema' FROM test.definition b WHERE schema = schema_b
         EXCEPT ALL SELECT to_jsonb(a) - 'schema' FROM test.definition a WHERE schema = schema_a)) d
$$;
CREATE FUNCTION test.empty(schema_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = warning;
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE; CREATE SCHEMA %I', schema_name, schema_name);
END $$;
CREATE SCHEMA one;
CREATE SCHEMA two;

-- ====
-- the catalogue alone
-- ====
\! $SIM forget
IMPORT FOREIGN SCHEMA v1 FROM SERVER erp INTO one OPTIONS (custom_fields 'false', probe 'false');
\! $SIM requests
SELECT count(DISTINCT name) AS tables, count(*) AS columns FROM definition WHERE schema = 'one';
SELECT DISTINCT name, options, comment FROM definition
WHERE schema = 'one' AND name IN ('item', 'transactionline', 'accounttype', 'deletedrecord', 'inventorybalance') ORDER BY name;
SELECT "column", type, not_null, column_options, column_comment FROM definition WHERE schema = 'one' AND name = 'location' ORDER BY n;
-- only columns of keys are NOT NULL, and everything has a comment and a type one knows
SELECT name, array_agg("column"::text ORDER BY n) FILTER (WHERE not_null) AS not_null, options FROM definition
WHERE schema = 'one' AND name IN ('item', 'transactionline', 'deletedrecord', 'inventorybalance') GROUP BY name, options ORDER BY name;
SELECT count(*) FROM definition
WHERE schema = 'one' AND not_null AND NOT "column" = ANY (string_to_array(replace((SELECT o FROM unnest(options) o WHERE o LIKE 'key=%'), 'key=', ''), ','));
SELECT type, count(*) > 0 AS used FROM definition WHERE schema = 'one' GROUP BY type ORDER BY type;
SELECT count(*) FROM definition WHERE schema = 'one' AND (comment IS NULL OR name <> lower(name) OR "column" <> lower("column"));
-- a second time it is the same
IMPORT FOREIGN SCHEMA v1 FROM SERVER erp INTO two OPTIONS (custom_fields 'false', probe 'false');
SELECT difference('one', 'two');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item) FROM SERVER erp INTO two OPTIONS (custom_fields 'false', probe 'false');

-- ====
-- some tables
-- ====
SELECT empty('one');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, customer, currency) FROM SERVER erp INTO one OPTIONS (custom_fields 'false', probe 'false');
SELECT DISTINCT name FROM definition WHERE schema = 'one' ORDER BY 1;
SELECT empty('one');
IMPORT FOREIGN SCHEMA v1 EXCEPT (item, customer, currency) FROM SERVER erp INTO one OPTIONS (custom_fields 'false', probe 'false');
SELECT DISTINCT name FROM definition WHERE schema = 'two' EXCEPT SELECT name FROM definition WHERE schema = 'one' ORDER BY 1;
-- names that nobody knows
SELECT empty('one');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, custommer) FROM SERVER erp INTO one;
IMPORT FOREIGN SCHEMA v1 LIMIT TO ("Item") FROM SERVER erp INTO one;
IMPORT FOREIGN SCHEMA v1 EXCEPT (itm) FROM SERVER erp INTO one;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (something_quite_different) FROM SERVER erp INTO one;
IMPORT FOREIGN SCHEMA v2 FROM SERVER erp INTO one;
IMPORT FOREIGN SCHEMA "V1" FROM SERVER erp INTO one;
IMPORT FOREIGN SCHEMA public FROM SERVER erp INTO one;
-- options
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item) FROM SERVER erp INTO one OPTIONS (custom_field 'false');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item) FROM SERVER erp INTO one OPTIONS (something 'false');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item) FROM SERVER erp INTO one OPTIONS (probe 'perhaps');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item) FROM SERVER erp INTO one OPTIONS (display 'everything');
SELECT count(*) FROM definition WHERE schema = 'one';

-- ====
-- from the account
-- ====
\! $SIM forget
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, currency) FROM SERVER erp INTO one;
\! $SIM requests
SELECT "column", type, column_options, column_comment FROM definition
WHERE schema = 'one' AND name = 'item' AND "column" LIKE 'cust%sim%' ORDER BY n;
-- but for its custom fields it is the catalogue
SELECT empty('two');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, currency) FROM SERVER erp INTO two OPTIONS (custom_fields 'false', probe 'false');
SELECT "column" FROM definition WHERE schema = 'one' EXCEPT SELECT "column" FROM definition WHERE schema = 'two' ORDER BY 1;
SELECT count(*) FROM one.item;
SELECT id, custitem_sim_color, custitem_sim_shelf_days, custitem_sim_approved_on FROM one.item WHERE id < 3 ORDER BY id;

-- all tables: two requests each at most
SELECT empty('two');
\! $SIM forget
IMPORT FOREIGN SCHEMA v1 FROM SERVER erp INTO two;
\set requests `$SIM requests`
SELECT :requests BETWEEN 66 AND 131 AS few;
SELECT count(DISTINCT name) AS tables, count(*) AS columns FROM definition WHERE schema = 'two';

-- columns that the role can't read
SELECT empty('two');
\! $SIM hide item displayname unknown
\! $SIM hide item cost not_exposed
\! $SIM hide item upccode 400
\! $SIM hide item custitem_sim_color unknown
\! $SIM hide currency symbol 500
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, currency) FROM SERVER erp INTO two;
SELECT name, "column" FROM definition WHERE schema = 'one' EXCEPT SELECT name, "column" FROM definition WHERE schema = 'two' ORDER BY 1, 2;
SELECT count(*) FROM (SELECT * FROM two.item OFFSET 0) i;
SELECT * FROM two.currency WHERE id = 1;
-- without probing they are there, and only who asks for one hears of it
SELECT empty('two');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency) FROM SERVER erp INTO two OPTIONS (probe 'false');
SELECT id, name FROM two.currency WHERE id = 1;
\set VERBOSITY terse
SELECT id, symbol FROM two.currency WHERE id = 1;
\set VERBOSITY default

-- a table that the role can't read, or that the account does not have
\! $SIM reset
\! $SIM hide item - record
\! $SIM hide vendor - type
SELECT empty('two');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, vendor, currency) FROM SERVER erp INTO two;
SELECT DISTINCT name FROM definition WHERE schema = 'two' ORDER BY 1;
-- custom fields that nobody may read
\! $SIM reset
\! $SIM hide customfield - record
SELECT empty('two');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item) FROM SERVER erp INTO two;
SELECT count(*) FROM definition WHERE schema = 'two' AND "column" LIKE 'cust%sim%';
\! $SIM reset

-- ====
-- display texts
-- ====
SELECT empty('two');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (location, customer) FROM SERVER erp INTO two OPTIONS (display 'lists', custom_fields 'false');
SELECT name, "column", type, column_options, column_comment FROM definition
WHERE schema = 'two' AND name = 'location' AND "column" LIKE '%display' ORDER BY n;
SELECT id, parent, parent_display FROM two.location WHERE id IN (1, 5) ORDER BY id;
SELECT remote($$SELECT id FROM two.location WHERE parent_display = 'x'$$);
SELECT remote($$SELECT id, parent FROM two.location$$);
SELECT empty('two');
IMPORT FOREIGN SCHEMA v1 LIMIT TO (location) FROM SERVER erp INTO two OPTIONS (display 'none', custom_fields 'false');
SELECT count(*) FROM definition WHERE schema = 'two' AND "column" LIKE '%display';

-- ====
-- without a user mapping the catalogue has to do
-- ====
CREATE ROLE import_owner;
GRANT USAGE ON FOREIGN SERVER erp TO import_owner;
GRANT USAGE ON SCHEMA test TO import_owner;
CREATE SCHEMA three AUTHORIZATION import_owner;
SET ROLE import_owner;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item) FROM SERVER erp INTO three;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency) FROM SERVER erp INTO three OPTIONS (custom_fields 'false', probe 'false');
RESET ROLE;
SELECT obj_description('three.item'::regclass) IS NOT NULL AS commented;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'three'::regnamespace;
REVOKE USAGE ON FOREIGN SERVER erp FROM import_owner;
SET ROLE import_owner;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (vendor) FROM SERVER erp INTO three;
RESET ROLE;

-- ====
-- an import that fails creates nothing, one that is rolled back neither
-- ====
SELECT empty('two');
CREATE TABLE two.item ();
IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency, item) FROM SERVER erp INTO two;
SELECT count(*) FROM definition WHERE schema = 'two';
BEGIN;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency) FROM SERVER erp INTO two;
ROLLBACK;
SELECT count(*) FROM definition WHERE schema = 'two';

-- ====
-- comments, once more
-- ====
SELECT empty('two');
SET client_min_messages = warning;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency, location) FROM SERVER erp INTO two;
RESET client_min_messages;
COMMENT ON FOREIGN TABLE two.currency IS 'ours';
COMMENT ON COLUMN two.location.parent IS NULL;
CREATE TABLE two.local (id bigint);
CREATE FOREIGN TABLE two.own (id bigint, name text, mine text) SERVER erp OPTIONS (entity 'currency');
CREATE FOREIGN TABLE two.theirs (id bigint) SERVER erp OPTIONS (query 'SELECT id FROM currency', key 'id');
CREATE FOREIGN DATA WRAPPER import_other;
CREATE SERVER other FOREIGN DATA WRAPPER import_other;
CREATE FOREIGN TABLE two.elsewhere (id bigint) SERVER other;
-- the catalogue's tables, however they came; not those of a query or of others
SELECT makini.comment_tables('two');
SELECT DISTINCT name, comment FROM definition WHERE schema = 'two' ORDER BY name;
SELECT "column", column_comment FROM definition WHERE schema = 'two' AND (name = 'own' OR name = 'location' AND "column" = 'parent') ORDER BY 1;
SELECT makini.comment_tables('no_such_schema');
SELECT makini.comment_tables(NULL) IS NULL;

SET client_min_messages = warning;
DROP SERVER erp, other CASCADE;
DROP FOREIGN DATA WRAPPER import_other;
DROP SCHEMA one, two, three, test CASCADE;
DROP OWNED BY import_owner;
DROP ROLE import_owner;
