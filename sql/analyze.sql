--
-- ANALYZE of foreign tables: a bounded number of requests, statistics that fit,
-- and what the planner makes of them.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
CREATE SCHEMA a;
SET search_path = a, test;
CREATE FOREIGN TABLE item (id bigint NOT NULL, itemid text, itemtype text, isinactive boolean, averagecost numeric,
    lastmodifieddate timestamptz, lastinvtcountdate date) SERVER erp;
CREATE FOREIGN TABLE line (transaction bigint NOT NULL, id bigint NOT NULL, item bigint, quantity numeric) SERVER erp
    OPTIONS (entity 'transactionline', key 'transaction,id');
CREATE FOREIGN TABLE unknown (id bigint) SERVER erp OPTIONS (query 'SELECT id FROM item');

-- the rows a query is expected to give
CREATE FUNCTION expected(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    answer jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO answer;
    RETURN answer #>> '{0,Plan,Plan Rows}';
END $$;
-- and whether that is near enough
CREATE FUNCTION near(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    guess bigint := expected(query);
BEGIN
    EXECUTE format('SELECT count(*) FROM (%s) q', query) INTO n;
    RETURN CASE WHEN guess BETWEEN n / 2.0 AND n * 2 + 5 THEN 'near' ELSE format('%s expected, %s given', guess, n) END;
END $$;

-- ====
-- before: by the size that the catalogue knows, and by the key
-- ====
SELECT expected('SELECT * FROM item'), expected('SELECT * FROM line'), expected('SELECT * FROM unknown');
SELECT expected('SELECT * FROM item WHERE id = 5'), expected('SELECT * FROM item WHERE id IN (5, 6)'),
       expected('SELECT * FROM line WHERE transaction = 2002 AND id = 0');
SELECT reltuples FROM pg_class WHERE oid = 'item'::regclass;

-- ====
-- a table of few pages is read whole: one request to count, one for each page
-- ====
\! $SIM forget
ANALYZE item;
\! $SIM requests
\! $SIM queries
SELECT reltuples FROM pg_class WHERE oid = 'item'::regclass;
SELECT attname, null_frac, n_distinct FROM pg_stats WHERE schemaname = 'a' AND tablename = 'item' ORDER BY attname COLLATE "C";
SELECT near('SELECT * FROM item'), near('SELECT * FROM item WHERE id < 100'), near('SELECT * FROM item WHERE isinactive'),
       near($$SELECT * FROM item WHERE itemtype = 'Kit'$$), near('SELECT * FROM item WHERE averagecost IS NULL'),
       near('SELECT * FROM item WHERE lastinvtcountdate IS NOT NULL');
\! $SIM forget
ANALYZE unknown;
\! $SIM requests
ANALYZE item (id, itemtype);

-- ====
-- of a long one a page is read at each of 32 places
-- ====
ALTER SERVER erp OPTIONS (ADD page_size '10');
\! $SIM forget
ANALYZE item;
\! $SIM requests
SELECT reltuples FROM pg_class WHERE oid = 'item'::regclass;
SELECT near('SELECT * FROM item'), near('SELECT * FROM item WHERE id < 100'), near('SELECT * FROM item WHERE id > 500');
SET default_statistics_target = 1;
ANALYZE item;
RESET default_statistics_target;
-- where no single number is the key, the first pages have to do
\! $SIM forget
ANALYZE line;
\! $SIM requests
SELECT reltuples FROM pg_class WHERE oid = 'line'::regclass;
SELECT near('SELECT * FROM line');
ALTER SERVER erp OPTIONS (DROP page_size);
ANALYZE line;
SELECT near('SELECT * FROM line WHERE transaction < 2200'), near('SELECT * FROM line WHERE quantity IS NULL'),
       near('SELECT * FROM line l JOIN item i ON i.id = l.item');

-- ====
-- asking the remote side for the number of rows
-- ====
ALTER SERVER erp OPTIONS (ADD use_remote_estimate 'true');
SELECT expected('SELECT * FROM item WHERE id < 100') = (SELECT count(*) FROM item WHERE id < 100) AS exactly;
SELECT expected($$SELECT * FROM item WHERE id < 100 AND itemtype = 'Kit'$$) = (SELECT count(*) FROM item WHERE id < 100 AND itemtype = 'Kit') AS exactly;
SELECT expected('SELECT * FROM item WHERE false');
SELECT remote('SELECT id FROM item WHERE id = (SELECT 5)');
ALTER SERVER erp OPTIONS (DROP use_remote_estimate);

-- ====
-- errors, and those who may not
-- ====
CREATE ROLE analyze_owner;
GRANT USAGE ON FOREIGN SERVER erp TO analyze_owner;
GRANT CREATE, USAGE ON SCHEMA a TO analyze_owner;
ALTER FOREIGN TABLE unknown OWNER TO analyze_owner;
ANALYZE unknown;
ALTER FOREIGN TABLE unknown OWNER TO CURRENT_USER;
ALTER FOREIGN TABLE unknown OPTIONS (SET query 'SELECT nothing FROM item');
\set SHOW_CONTEXT never
ANALYZE unknown;

SET client_min_messages = warning;
DROP SERVER erp CASCADE;
DROP SCHEMA a, test CASCADE;
DROP OWNED BY analyze_owner;
DROP ROLE analyze_owner;
