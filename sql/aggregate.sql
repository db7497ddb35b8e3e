--
-- Aggregates: which are computed remotely, which here, and that it makes no
-- difference to the numbers.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
CREATE SCHEMA g;
SET search_path = g, test;
CREATE FOREIGN TABLE item (id bigint NOT NULL, itemid text, itemtype text, isinactive boolean, isfulfillable boolean,
    averagecost numeric, cost numeric, leadtime bigint, short int OPTIONS (column_name 'leadtime'),
    rounded numeric(12,2) OPTIONS (column_name 'cost'), lastmodifieddate timestamptz, lastinvtcountdate date) SERVER erp;
CREATE FOREIGN TABLE document (id bigint NOT NULL, type text, trandate date, entity bigint, currency bigint,
    exchangerate numeric, foreigntotal numeric, voided boolean, memo text) SERVER erp OPTIONS (entity 'transaction');
CREATE FOREIGN TABLE customer (id bigint NOT NULL, entityid text, isperson boolean) SERVER erp;

-- ====
-- over all rows
-- ====
SELECT plan('SELECT count(*) FROM item');
SELECT count(*) FROM item;
SELECT remote('SELECT count(*), count(cost), sum(cost), avg(cost), min(cost), max(cost) FROM item');
SELECT same('SELECT count(*), count(cost) AS c, sum(cost), avg(cost), min(cost), max(cost) FROM item');
SELECT remote('SELECT sum(leadtime), avg(leadtime), sum(short), avg(short), max(short) FROM item');
SELECT same('SELECT sum(leadtime), avg(leadtime), sum(short) AS s, avg(short) AS a, max(short) FROM item');
SELECT pg_typeof(sum(leadtime)), pg_typeof(sum(short)), pg_typeof(avg(short)), pg_typeof(max(short)), pg_typeof(count(*)) FROM item;
SELECT remote('SELECT min(lastinvtcountdate), max(lastinvtcountdate), count(lastmodifieddate), count(itemid), count(isinactive) FROM item');
SELECT same('SELECT min(lastinvtcountdate), max(lastinvtcountdate), count(lastmodifieddate), count(itemid) AS i, count(isinactive) AS n FROM item');
-- an average is exact, not the quotient of the other side
SELECT avg(id) FROM item WHERE id IN (1, 2, 4);
SELECT same('SELECT avg(foreigntotal), avg(exchangerate) AS e, avg(foreigntotal) * 3 AS m FROM document');
-- of one column alone the least and greatest is a row in its order
SELECT remote('SELECT max(cost) FROM item');
SELECT remote('SELECT min(lastmodifieddate) FROM item');
SELECT same('SELECT min(cost), max(id) FROM item');
SELECT same('SELECT min(lastmodifieddate), max(lastmodifieddate) FROM item');

-- ====
-- with conditions
-- ====
SELECT remote($$SELECT count(*), max(cost) FROM item WHERE itemtype = 'Kit' AND NOT isinactive$$);
SELECT same($$SELECT count(*), max(cost) FROM item WHERE itemtype = 'Kit' AND NOT isinactive$$);
-- no row to count, and nothing that could be asked
SELECT count(*), sum(cost), avg(cost), max(cost) FROM item WHERE id < -100;
SELECT count(*), sum(cost), avg(cost), max(cost) FROM item WHERE id = ANY ('{}');
SELECT count(*), sum(cost), avg(cost) FROM item WHERE id = (SELECT NULL::bigint);
SELECT count(*), sum(cost) FROM item WHERE false;
SELECT itemtype, count(*) FROM item WHERE id = (SELECT NULL::bigint) GROUP BY itemtype;
SELECT isinactive, count(*) FROM item WHERE id = (SELECT NULL::bigint) GROUP BY isinactive;

-- ====
-- groups
-- ====
SELECT plan('SELECT currency, count(*), sum(foreigntotal) FROM document GROUP BY currency');
SELECT same('SELECT currency, count(*), sum(foreigntotal) FROM document GROUP BY currency');
SELECT remote('SELECT currency, voided, max(trandate) FROM document WHERE entity IS NOT NULL GROUP BY voided, currency');
SELECT same('SELECT currency, voided, max(trandate) FROM document WHERE entity IS NOT NULL GROUP BY voided, currency');
SELECT remote('SELECT trandate FROM document GROUP BY trandate');
SELECT same('SELECT trandate FROM document GROUP BY trandate');
-- NULL is a group
SELECT isfulfillable, count(*), count(isfulfillable) FROM item GROUP BY isfulfillable ORDER BY 1;
SELECT same('SELECT entity, count(*), avg(exchangerate) FROM document GROUP BY entity');
-- expressions over aggregates and groups are computed here
SELECT plan('SELECT currency + 1 AS next, round(avg(foreigntotal), 2), sum(foreigntotal) / count(*) AS a FROM document GROUP BY currency ORDER BY 2');
SELECT same('SELECT currency + 1 AS next, round(avg(foreigntotal), 2), sum(foreigntotal) / nullif(count(foreigntotal), 0) AS a FROM document GROUP BY currency ORDER BY 2', true);
SELECT same('SELECT currency, count(*) FROM document GROUP BY currency ORDER BY 2 DESC, 1 LIMIT 2', true);
SELECT same('SELECT sum(n) FROM (SELECT entity, count(*) AS n FROM document GROUP BY entity) d');
-- a group that a condition has made the only one is still none without rows
SELECT remote('SELECT currency, count(*) FROM document WHERE currency = 1 GROUP BY currency');
SELECT same('SELECT currency, count(*) FROM document WHERE currency = 1 GROUP BY currency');
SELECT same('SELECT currency, count(*) FROM document WHERE currency = 99 GROUP BY currency');
SELECT count(*) FROM document WHERE currency = 99 GROUP BY currency;

-- groups on more pages than one
ALTER SERVER erp OPTIONS (ADD page_size '50');
SELECT remote('SELECT entity, currency, count(*) FROM document GROUP BY entity, currency');
SELECT same('SELECT entity, currency, count(*), avg(foreigntotal) FROM document GROUP BY entity, currency');
SELECT same('SELECT entity, voided, count(*) FROM document GROUP BY entity, voided');
SELECT same('SELECT lastinvtcountdate, sum(cost) FROM item GROUP BY lastinvtcountdate');
SELECT requests('SELECT currency, count(*) FROM document GROUP BY currency');
ALTER SERVER erp OPTIONS (DROP page_size);

-- ====
-- over a join
-- ====
SELECT remote($$SELECT c.isperson, count(*), sum(d.foreigntotal) FROM document d JOIN customer c ON c.id = d.entity WHERE d.type = 'SalesOrd' GROUP BY c.isperson$$);
SELECT same($$SELECT c.isperson, count(*), sum(d.foreigntotal) FROM document d JOIN customer c ON c.id = d.entity WHERE d.type = 'SalesOrd' GROUP BY c.isperson$$);
SELECT same($$SELECT c.isperson, count(*), count(c.id) AS c, max(d.trandate) FROM document d LEFT JOIN customer c ON c.id = d.entity GROUP BY c.isperson$$);
SELECT same($$SELECT count(*) FROM document d JOIN customer c ON c.id = d.entity$$);

-- ====
-- what is computed here
-- ====
-- a condition is checked here, or stays
SELECT remote($$SELECT count(*) FROM item WHERE itemid LIKE 'W%'$$);
SELECT remote($$SELECT count(*) FROM item WHERE id % 2 = 0$$);
SELECT remote($$SELECT count(*) FROM item WHERE lastmodifieddate > '2026-01-01'$$);
-- text: sorted, grouped and told apart by rules nobody knows
SELECT remote('SELECT min(itemid) FROM item');
SELECT remote('SELECT itemtype, count(*) FROM item GROUP BY itemtype');
SELECT remote('SELECT DISTINCT currency FROM document');
-- timestamps as groups
SELECT remote('SELECT lastmodifieddate, count(*) FROM item GROUP BY lastmodifieddate');
-- a column declared to change its values
SELECT remote('SELECT sum(rounded) FROM item');
-- other aggregates and other forms of those
SELECT remote('SELECT stddev(cost) FROM item');
SELECT remote('SELECT count(*) FILTER (WHERE voided) FROM document');
SELECT remote('SELECT array_agg(id ORDER BY id) FROM item WHERE id < 5');
SELECT remote('SELECT bool_and(voided) FROM document');
SELECT remote('SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM item');
SELECT remote('SELECT sum(cost + 1) FROM item');
SELECT remote('SELECT sum(cost), sum(cost * 2) FROM item');
SELECT remote('SELECT sum(cost) OVER () FROM item');
-- groups of expressions, several sets, groups sorted out afterwards
SELECT remote('SELECT id % 2, count(*) FROM item GROUP BY 1');
SELECT remote('SELECT currency, voided, count(*) FROM document GROUP BY ROLLUP (currency, voided)');
SELECT remote('SELECT currency, count(*) FROM document GROUP BY currency HAVING count(*) > 10');
SELECT remote('SELECT currency, generate_series(1, 2), count(*) FROM document GROUP BY 1, 2');
SELECT query, same(query) FROM unnest(ARRAY[
    'SELECT count(*) FROM item WHERE itemid LIKE ''W%''', 'SELECT min(itemid), max(itemid) FROM item',
    'SELECT itemtype, count(*) FROM item GROUP BY itemtype', 'SELECT DISTINCT currency FROM document',
    'SELECT lastmodifieddate, count(*) FROM item GROUP BY lastmodifieddate', 'SELECT count(DISTINCT currency) FROM document',
    'SELECT count(*) FILTER (WHERE voided) FROM document', 'SELECT array_agg(id ORDER BY id) FROM item WHERE id < 5',
    'SELECT sum(cost + 1) FROM item', 'SELECT id % 2 AS odd, count(*) FROM item GROUP BY 1',
    'SELECT currency, voided, count(*) FROM document GROUP BY ROLLUP (currency, voided)',
    'SELECT currency, voided, count(*) FROM document GROUP BY GROUPING SETS ((currency), (voided), ())',
    'SELECT currency, count(*) FROM document GROUP BY currency HAVING count(*) > 150',
    'SELECT sum(cost) OVER (ORDER BY id) FROM item', 'SELECT currency, generate_series(1, 2) AS s, count(*) FROM document GROUP BY 1, 2']) query;

SET client_min_messages = warning;
DROP SERVER erp CASCADE;
DROP SCHEMA g, test CASCADE;
