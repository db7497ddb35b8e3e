--
-- What is easily lost: rows behind a NULL, comparisons that a cast changes,
-- orders that somebody made himself, keys that identify no row.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
CREATE SCHEMA r;
SET search_path = r, test;
CREATE FOREIGN TABLE item (id bigint NOT NULL, itemid text, itemtype text) SERVER erp;
CREATE FOREIGN TABLE narrow (id int NOT NULL, itemid text) SERVER erp OPTIONS (entity 'item');
CREATE FOREIGN TABLE customer (id bigint NOT NULL, entityid text, parent bigint) SERVER erp;
CREATE FOREIGN TABLE line (transaction bigint NOT NULL, id bigint NOT NULL, mainline boolean) SERVER erp
    OPTIONS (entity 'transactionline', key 'transaction,id');
CREATE FOREIGN TABLE misnamed (transaction bigint NOT NULL, id bigint NOT NULL, mainline boolean) SERVER erp
    OPTIONS (entity 'transactionline', key 'transaction,mainline');
ALTER SERVER erp OPTIONS (ADD page_size '50');

-- ====
-- the inner side of a left join, in whose order the pages are read, is never
-- null but where nothing meets
-- ====
SELECT plan($$SELECT c.id, p.id FROM customer c LEFT JOIN customer p ON p.id = c.parent ORDER BY p.id$$);
SELECT same($$SELECT c.id, p.id AS parent FROM customer c LEFT JOIN customer p ON p.id = c.parent ORDER BY p.id$$);
SELECT same($$SELECT c.id, p.id AS parent FROM customer c LEFT JOIN customer p ON p.id = c.parent ORDER BY p.id DESC$$);
SELECT same($$SELECT c.id, p.id AS parent FROM customer c LEFT JOIN customer p ON p.id = c.parent AND c.id < 1300 ORDER BY p.id, c.id$$, true);
SELECT same($$SELECT i.id AS itself, count(*) FROM item j LEFT JOIN item i ON i.id = j.id AND j.id < 400 GROUP BY i.id$$);

-- ====
-- casts to types that compare by rules of their own
-- ====
SET plan_cache_mode = force_generic_plan;
PREPARE blanks(text) AS SELECT count(*) > 0 FROM item WHERE itemtype::bpchar = $1::bpchar;
EXECUTE blanks('InvtPart');
EXECUTE blanks('InvtPart   ');
PREPARE unsigned(int) AS SELECT count(*) > 400 FROM narrow WHERE id::oid < $1::oid;
EXECUTE unsigned(-1);
PREPARE domained(varchar) AS SELECT count(*) > 0 FROM item WHERE itemtype::text = $1::text;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE domained('InvtPart');
DEALLOCATE ALL;
RESET plan_cache_mode;

-- ====
-- a date behind which a time of day is hidden, where no catalogue says so
-- ====
CREATE FOREIGN TABLE changed (id bigint NOT NULL, day date) SERVER erp
    OPTIONS (query 'SELECT id, lastmodifieddate AS day FROM item', key 'id');
SELECT same($$SELECT id FROM changed WHERE day = (SELECT max(day) FROM (SELECT day FROM changed OFFSET 0) c)$$);
SELECT same($$SELECT day, count(*) FROM changed GROUP BY day$$);

-- ====
-- an operator class that orders the other way round
-- ====
CREATE FUNCTION before(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 OPERATOR(pg_catalog.>) $2';
CREATE FUNCTION before_or_at(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 OPERATOR(pg_catalog.>=) $2';
CREATE FUNCTION behind_or_at(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 OPERATOR(pg_catalog.<=) $2';
CREATE FUNCTION behind(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 OPERATOR(pg_catalog.<) $2';
CREATE FUNCTION backwards(bigint, bigint) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint8cmp($2, $1)';
CREATE OPERATOR <% (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = before);
CREATE OPERATOR <=% (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = before_or_at);
CREATE OPERATOR >=% (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = behind_or_at);
CREATE OPERATOR >% (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = behind);
CREATE OPERATOR CLASS backwards FOR TYPE bigint USING btree AS
    OPERATOR 1 <%, OPERATOR 2 <=%, OPERATOR 3 =, OPERATOR 4 >=%, OPERATOR 5 >%, FUNCTION 1 backwards(bigint, bigint);
SELECT same($$SELECT id FROM item ORDER BY id USING <% LIMIT 5$$, true);

-- ====
-- a key of several columns that identifies no row is an error, as one of a
-- single column is, and so are rows that come again
-- ====
SELECT same($$SELECT * FROM line$$);
\set VERBOSITY terse
SELECT count(*) FROM (SELECT * FROM misnamed OFFSET 0) m;
ALTER FOREIGN TABLE misnamed OPTIONS (SET key 'transaction');
SELECT count(*) FROM (SELECT * FROM misnamed OFFSET 0) m;
\! $SIM fault '{"kind": "duplicate", "table": "transactionline", "after": 1, "rows": 2, "count": 3}'
\set VERBOSITY sqlstate
SELECT count(*) FROM (SELECT * FROM line OFFSET 0) l;
\set VERBOSITY default
\! $SIM reset
SET client_min_messages = warning;
DROP SERVER erp CASCADE;
DROP SCHEMA r, test CASCADE;
