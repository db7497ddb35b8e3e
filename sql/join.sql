--
-- Joins of two foreign tables: which travel, which do not, and that it makes
-- no difference to the rows.
--
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect
CREATE SCHEMA j;
SET search_path = j, test;
CREATE FOREIGN TABLE item (id bigint NOT NULL, itemid text, itemtype text, isinactive boolean, averagecost numeric,
    lastmodifieddate timestamptz) SERVER erp;
CREATE FOREIGN TABLE line (transaction bigint NOT NULL, id bigint NOT NULL, item bigint, quantity numeric, memo text,
    mainline boolean) SERVER erp OPTIONS (entity 'transactionline', key 'transaction,id');
CREATE FOREIGN TABLE document (id bigint NOT NULL, tranid text, type text, trandate date, entity bigint, currency bigint,
    foreigntotal numeric) SERVER erp OPTIONS (entity 'transaction');
CREATE FOREIGN TABLE customer (id bigint NOT NULL, entityid text, parent bigint, isperson boolean) SERVER erp;
CREATE FOREIGN TABLE keyless (id bigint, currency bigint) SERVER erp OPTIONS (query 'SELECT id, currency FROM transaction');
-- as after ANALYZE, so that plans do not hang on guesses
UPDATE pg_class SET reltuples = 20000, relpages = 200 WHERE oid IN ('item'::regclass, 'customer'::regclass, 'document'::regclass);
UPDATE pg_class SET reltuples = 60000, relpages = 600 WHERE oid = 'line'::regclass;

-- ====
-- inner and left joins on ids travel
-- ====
SELECT plan($$SELECT d.id, c.entityid FROM document d JOIN customer c ON c.id = d.entity$$);
SELECT same($$SELECT d.id, c.entityid FROM document d JOIN customer c ON c.id = d.entity$$);
SELECT plan($$SELECT d.id, c.entityid FROM document d LEFT JOIN customer c ON c.id = d.entity$$);
SELECT same($$SELECT d.id, c.entityid FROM document d LEFT JOIN customer c ON c.id = d.entity$$);
SELECT same($$SELECT c.id, d.tranid FROM customer c LEFT JOIN document d ON d.entity = c.id$$);
SELECT same($$SELECT c.id, d.tranid FROM document d RIGHT JOIN customer c ON d.entity = c.id$$);
SELECT same($$SELECT c.entityid, p.entityid AS parent FROM customer c JOIN customer p ON p.id = c.parent$$);
SELECT plan($$SELECT c.entityid, p.entityid FROM customer c LEFT JOIN customer p ON p.id = c.parent$$);
-- more columns than one, and inequalities besides
SELECT plan($$SELECT d.id, l.id FROM document d JOIN line l ON l.transaction = d.id AND l.id < d.currency$$);
SELECT same($$SELECT d.id, l.id AS line FROM document d JOIN line l ON l.transaction = d.id AND l.id < d.currency$$);
SELECT same($$SELECT d.id, l.id AS line FROM document d LEFT JOIN line l ON l.transaction = d.id AND l.id = d.currency$$);
-- written as a condition, or by subquery
SELECT remote($$SELECT d.id FROM document d, customer c WHERE c.id = d.entity AND c.id < 1010$$);
SELECT same($$SELECT d.id FROM document d, customer c WHERE c.id = d.entity AND c.id < 1010$$);

-- ====
-- conditions: of either side, and of both
-- ====
SELECT plan($$SELECT d.id, c.entityid FROM document d JOIN customer c ON c.id = d.entity
              WHERE d.type = 'SalesOrd' AND d.trandate >= '2026-01-01' AND c.isperson$$);
SELECT same($$SELECT d.id, c.entityid FROM document d JOIN customer c ON c.id = d.entity
              WHERE d.type = 'SalesOrd' AND d.trandate >= '2026-01-01' AND c.isperson$$);
-- checked again here, of an inner join
SELECT plan($$SELECT d.id FROM document d JOIN customer c ON c.id = d.entity WHERE c.entityid LIKE 'CUST00001%' AND d.id % 2 = 0$$);
SELECT same($$SELECT d.id FROM document d JOIN customer c ON c.id = d.entity WHERE c.entityid LIKE 'CUST00001%' AND d.id % 2 = 0$$);
-- of a left join: on the outer side anything; on the inner one what is exact, and it belongs to the join
SELECT plan($$SELECT d.id, c.id FROM document d LEFT JOIN customer c ON c.id = d.entity AND c.isperson WHERE d.tranid LIKE 'SO%'$$);
SELECT same($$SELECT d.id, c.id AS customer FROM document d LEFT JOIN customer c ON c.id = d.entity AND c.isperson WHERE d.tranid LIKE 'SO%'$$);
SELECT scans($$SELECT d.id, c.id FROM document d LEFT JOIN customer c ON c.id = d.entity AND c.entityid = 'CUST000001'$$);
SELECT same($$SELECT d.id, c.id AS customer FROM document d LEFT JOIN customer c ON c.id = d.entity AND c.entityid = 'CUST000001'$$);
SELECT plan($$SELECT d.id, c.id FROM document d LEFT JOIN customer c ON c.id = d.entity AND d.type = 'SalesOrd'$$);
SELECT same($$SELECT d.id, c.id AS customer FROM document d LEFT JOIN customer c ON c.id = d.entity AND d.type = 'SalesOrd'$$);
SELECT same($$SELECT d.id, c.id AS customer FROM document d LEFT JOIN customer c ON c.id = d.entity AND d.tranid > 'S'$$);
-- above an outer join
SELECT scans($$SELECT d.id FROM document d LEFT JOIN customer c ON c.id = d.entity WHERE c.id IS NULL$$);
SELECT same($$SELECT d.id FROM document d LEFT JOIN customer c ON c.id = d.entity WHERE c.id IS NULL$$);
SELECT same($$SELECT d.id FROM document d LEFT JOIN customer c ON c.id = d.entity WHERE c.isperson IS NOT TRUE$$);
-- values known at the start, and one that is NULL
PREPARE of_customer(bigint, text) AS
    SELECT count(*), count(c.id) FROM document d LEFT JOIN customer c ON c.id = d.entity AND c.id = $1 WHERE d.type = $2;
SET plan_cache_mode = force_generic_plan;
SELECT remote($$EXECUTE of_customer(1001, 'SalesOrd')$$);
EXECUTE of_customer(1001, 'SalesOrd');
EXECUTE of_customer(NULL, 'SalesOrd');
EXECUTE of_customer(1001, NULL);
RESET plan_cache_mode;
DEALLOCATE of_customer;

-- ====
-- order and limit of a join
-- ====
SELECT plan($$SELECT d.id, c.entityid FROM document d JOIN customer c ON c.id = d.entity ORDER BY d.trandate DESC, d.id LIMIT 5$$);
SELECT same($$SELECT d.id, c.entityid FROM document d JOIN customer c ON c.id = d.entity ORDER BY d.trandate DESC, d.id LIMIT 5$$, true);
SELECT plan($$SELECT d.id, c.entityid FROM document d LEFT JOIN customer c ON c.id = d.entity ORDER BY c.id DESC, d.id LIMIT 5$$);
SELECT same($$SELECT d.id, c.id AS customer FROM document d LEFT JOIN customer c ON c.id = d.entity ORDER BY c.id DESC, d.id LIMIT 500$$, true);
SELECT same($$SELECT c.id, d.id AS document FROM customer c LEFT JOIN document d ON c.id = d.entity ORDER BY c.id, d.id$$, true);
SELECT same($$SELECT d.id, c.entityid FROM document d JOIN customer c ON c.id = d.entity WHERE c.entityid > 'C' ORDER BY d.id LIMIT 5$$, true);

-- ====
-- more pages than one: by the key of the many, or by both keys
-- ====
CREATE TABLE pages (way text, query text);
INSERT INTO pages VALUES
    ('many to one', 'SELECT d.id, c.entityid FROM document d JOIN customer c ON c.id = d.entity'),
    ('one to many', 'SELECT c.id, d.tranid FROM customer c LEFT JOIN document d ON d.entity = c.id'),
    ('many to many', 'SELECT a.id, b.id AS other FROM document a JOIN document b ON b.entity = a.entity WHERE a.id < 2050 AND b.id < 2100'),
    ('many to many or none', 'SELECT a.id, b.id AS other FROM document a LEFT JOIN document b ON b.entity = a.entity AND b.id < 2020 WHERE a.id < 2400'),
    ('in order', 'SELECT a.id, b.id AS other FROM document a LEFT JOIN document b ON b.entity = a.entity AND b.id < 2020 WHERE a.id < 2400 ORDER BY b.currency DESC, a.id');
SELECT way, same(query, way = 'in order') FROM pages;
ALTER SERVER erp OPTIONS (ADD page_size '60');
SELECT way, same(query, way = 'in order') FROM pages;
ALTER SERVER erp OPTIONS (DROP page_size);

-- ====
-- what does not travel
-- ====
-- other kinds of join
SELECT scans($$SELECT d.id, c.id FROM document d FULL JOIN customer c ON c.id = d.entity$$);
SELECT scans($$SELECT c.id FROM customer c WHERE EXISTS (SELECT FROM document d WHERE d.entity = c.id)$$);
SELECT scans($$SELECT c.id FROM customer c WHERE NOT EXISTS (SELECT FROM document d WHERE d.entity = c.id)$$);
SELECT form, same(form) FROM unnest(ARRAY[
    'SELECT d.id, c.id AS customer FROM document d FULL JOIN customer c ON c.id = d.entity',
    'SELECT c.id FROM customer c WHERE EXISTS (SELECT FROM document d WHERE d.entity = c.id)',
    'SELECT c.id FROM customer c WHERE NOT EXISTS (SELECT FROM document d WHERE d.entity = c.id)',
    'SELECT c.id FROM customer c WHERE c.id IN (SELECT entity FROM document WHERE type = ''CustInvc'')']) form;
-- not on ids, not equal, or nothing in common
SELECT scans($$SELECT d.id FROM document d JOIN customer c ON c.entityid = d.tranid$$);
SELECT scans($$SELECT d.id FROM document d JOIN customer c ON c.id = d.foreigntotal WHERE d.id < 2005$$);
SELECT scans($$SELECT 1 FROM customer a JOIN customer b ON b.id < a.parent WHERE a.id < 1010 AND b.id < 1010$$);
SELECT scans($$SELECT 1 FROM customer a, document b WHERE a.id < 1010 AND b.id < 2010$$);
SELECT same($$SELECT a.id FROM customer a JOIN customer b ON b.id < a.parent WHERE a.id < 1010 AND b.id < 1010$$);
-- a query's text has no place in a join
SELECT scans($$SELECT k.id FROM keyless k JOIN customer c ON c.id = k.currency$$);
-- two together, and the third here
SELECT scans($$SELECT 1 FROM document d JOIN customer c ON c.id = d.entity JOIN line l ON l.transaction = d.id JOIN item i ON i.id = l.item
    WHERE d.id < 2010$$) < 4 AS fewer;
SELECT same($$SELECT d.id, c.entityid, l.quantity, i.itemid FROM document d JOIN customer c ON c.id = d.entity JOIN line l ON l.transaction = d.id
              LEFT JOIN item i ON i.id = l.item WHERE d.id < 2100$$);
-- whole rows, system columns
SELECT scans($$SELECT d, c.id FROM document d JOIN customer c ON c.id = d.entity WHERE d.id < 2010$$);
SELECT same($$SELECT d, c.id FROM document d JOIN customer c ON c.id = d.entity WHERE d.id < 2100$$);
SELECT scans($$SELECT d.tableoid, c.id FROM document d JOIN customer c ON c.id = d.entity WHERE d.id < 2010$$);
-- rows that are locked, and those another statement changes by them
SELECT scans($$SELECT d.id, c.id FROM document d JOIN customer c ON c.id = d.entity WHERE d.id < 2010 FOR UPDATE$$);
CREATE TABLE noted (id bigint PRIMARY KEY, customer text);
INSERT INTO noted SELECT id FROM document WHERE id < 2010;
UPDATE noted n SET customer = c.entityid FROM document d JOIN customer c ON c.id = d.entity WHERE d.id = n.id;
SELECT count(*), count(customer) FROM noted;
-- LATERAL
SELECT same($$SELECT c.id, d.id AS document FROM customer c, LATERAL (SELECT id FROM document d WHERE d.entity = c.id ORDER BY id LIMIT 2) d WHERE c.id < 1100$$);
-- two servers
\getenv account MAKINI_SIM_ACCOUNT_ID
\getenv url MAKINI_SIM_URL
\getenv ca_file MAKINI_SIM_CA_FILE
CREATE SERVER erp_twin FOREIGN DATA WRAPPER netsuite_fdw
    OPTIONS (account_id :'account', base_url :'url', ca_file :'ca_file', allow_private 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER erp_twin
    OPTIONS (client_id :'client_id', certificate_id :'certificate_id', private_key_file :'key_file');
CREATE FOREIGN TABLE twin (id bigint NOT NULL, entityid text) SERVER erp_twin OPTIONS (entity 'customer');
SELECT scans($$SELECT 1 FROM document d JOIN twin c ON c.id = d.entity$$);
SELECT (SELECT count(*) FROM document d JOIN twin c ON c.id = d.entity) = (SELECT count(*) FROM document d JOIN customer c ON c.id = d.entity) AS equal;
-- two users
CREATE ROLE join_owner;
GRANT USAGE ON SCHEMA j TO join_owner;
GRANT SELECT ON customer TO join_owner;
CREATE VIEW their_customer AS SELECT id, entityid FROM customer;
ALTER VIEW their_customer OWNER TO join_owner;
CREATE USER MAPPING FOR join_owner SERVER erp
    OPTIONS (client_id :'client_id', certificate_id :'certificate_id', private_key_file :'key_file');
SELECT scans($$SELECT 1 FROM document d JOIN their_customer c ON c.id = d.entity$$);
SELECT (SELECT count(*) FROM document d JOIN their_customer c ON c.id = d.entity) = (SELECT count(*) FROM document d JOIN customer c ON c.id = d.entity) AS equal;

SET client_min_messages = warning;
DROP SERVER erp, erp_twin CASCADE;
DROP SCHEMA j, test CASCADE;
DROP OWNED BY join_owner;
DROP ROLE join_owner;
