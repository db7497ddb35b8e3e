--
-- makini.query(): any SuiteQL, one row of jsonb for each of its rows.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
SET search_path = makini, test;

SELECT query('erp', 'SELECT id, name, symbol FROM currency WHERE id < 4 ORDER BY id');
SELECT q->>'symbol' FROM query('erp', 'SELECT symbol FROM currency ORDER BY id') q;

-- NULLs are left out, names come as NetSuite gives them, links do not come at all
SELECT q FROM query('erp', 'SELECT id, exchangerate, COUNT(*) FROM currency WHERE exchangerate IS NULL GROUP BY id, exchangerate') q;
SELECT q ? 'links' AS links, jsonb_typeof(q->'id') FROM query('erp', 'SELECT * FROM currency WHERE id = 1') q;
SELECT count(*) FROM query('erp', 'SELECT id FROM currency WHERE 1 = 0');

-- ====
-- parameters
-- ====
SELECT q->>'symbol' FROM query('erp', 'SELECT symbol FROM currency WHERE id > ? AND symbol <> ? ORDER BY id', ARRAY['1', 'EUR']) q;
SELECT query('erp', 'SELECT ? AS a, ? AS b FROM currency WHERE id = 1', ARRAY['O''Neill "?" \', 'schön']);
SELECT query('erp', 'SELECT id FROM currency WHERE id = ?', ARRAY[NULL]);
\set SHOW_CONTEXT never
SELECT query('erp', 'SELECT id FROM currency WHERE id = ?');
SELECT query('erp', 'SELECT id FROM currency WHERE id = 1', '{1}');
SELECT query('erp', 'SELECT id FROM currency', statement => 'x');
SELECT query('erp', NULL) IS NULL;
SELECT count(*) FROM query(NULL, 'SELECT id FROM currency');

-- ====
-- more than a page
-- ====
SELECT count(*), count(DISTINCT q->>'id'), min((q->>'id')::bigint), max((q->>'id')::bigint)
FROM query('erp', 'SELECT id FROM transaction ORDER BY id') q;
ALTER SERVER erp OPTIONS (ADD page_size '100');
SELECT count(*), count(DISTINCT q->>'id'), min((q->>'id')::bigint), max((q->>'id')::bigint)
FROM query('erp', 'SELECT id FROM transaction ORDER BY id') q;
SELECT count(*) FROM query('erp', 'SELECT id FROM transaction ORDER BY id FETCH FIRST 100 ROWS ONLY') q;
SELECT count(*) FROM query('erp', 'SELECT id FROM transaction ORDER BY id FETCH FIRST 101 ROWS ONLY') q;
SET makini.max_requests_per_query = 3;
SELECT count(*) FROM query('erp', 'SELECT id FROM transaction ORDER BY id');
\echo :LAST_ERROR_SQLSTATE
RESET makini.max_requests_per_query;
ALTER SERVER erp OPTIONS (DROP page_size);

-- what one text can reach
\! $SIM set row_cap 1000
SELECT count(*) FROM query('erp', 'SELECT a.id FROM transaction a, transaction b WHERE a.id < 2100');
\! $SIM reset

-- ====
-- what SuiteQL refuses
-- ====
SELECT query('erp', 'SELECT id FROM currency LIMIT 1');
SELECT query('erp', 'SELECT id, nothing FROM currency');
SELECT query('erp', 'SELECT id FROM nothing');
SELECT query('erp', 'DELETE FROM currency');
SELECT query('erp', '');
SELECT query('nowhere', 'SELECT 1 FROM currency');
CREATE FOREIGN DATA WRAPPER query_other;
CREATE SERVER other FOREIGN DATA WRAPPER query_other;
SELECT query('other', 'SELECT 1 FROM currency');

-- ====
-- who may ask
-- ====
CREATE ROLE query_reader;
SET ROLE query_reader;
SELECT makini.query('erp', 'SELECT id FROM currency');
RESET ROLE;
SELECT makini.grant_access('query_reader', 'admin');
SET ROLE query_reader;
SELECT makini.query('erp', 'SELECT id FROM currency');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER erp TO query_reader;
SET ROLE query_reader;
SELECT makini.query('erp', 'SELECT id FROM currency');
RESET ROLE;
CREATE USER MAPPING FOR query_reader SERVER erp
    OPTIONS (client_id :'client_id', certificate_id :'certificate_id', private_key_file :'key_file');
SET ROLE query_reader;
SELECT count(*) FROM makini.query('erp', 'SELECT id FROM currency');
RESET ROLE;

SET client_min_messages = warning;
SELECT makini.revoke_access('query_reader', 'admin');
DROP SERVER erp, other CASCADE;
DROP SCHEMA test CASCADE;
DROP FOREIGN DATA WRAPPER query_other;
DROP OWNED BY query_reader;
DROP ROLE query_reader;
