-- What "make demo" shows.  Read from standard input, so that errors carry no
-- file name; -e prints each statement as it is sent.
\set QUIET on
\set VERBOSITY default
\pset null ''

\echo
\echo '==== 1. The account and who we are there ===='
\echo
\getenv account MAKINI_SIM_ACCOUNT_ID
\getenv url MAKINI_SIM_URL
\getenv ca_file MAKINI_SIM_CA_FILE
\getenv client_id MAKINI_SIM_CLIENT_ID
\getenv certificate_id MAKINI_SIM_CERTIFICATE_ID
\getenv key_file MAKINI_SIM_PRIVATE_KEY_FILE
\getenv certificate_file MAKINI_SIM_CERTIFICATE_FILE
CREATE EXTENSION makini;
\echo
\echo '-- A real account needs only account_id; the simulator also its address, its'
\echo '-- certificate authority and leave to be on this machine.'
CREATE SERVER erp FOREIGN DATA WRAPPER netsuite_fdw
    OPTIONS (account_id :'account', base_url :'url',
             ca_file :'ca_file', allow_private 'true');
\echo
CREATE USER MAPPING FOR CURRENT_USER SERVER erp
    OPTIONS (client_id :'client_id',
             certificate_id :'certificate_id',
             private_key_file :'key_file',
             certificate_file :'certificate_file');

\echo
\echo '==== 2. Does it work? ===='
\echo
SELECT step, status, detail FROM makini.test_connection('erp');

\echo '==== 3. Tables, as this role may read them ===='
\echo
CREATE SCHEMA erp;
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, customer, transaction, transactionline)
    FROM SERVER erp INTO erp;
\echo
SELECT c.relname AS foreign_table, count(*) AS columns,
       left(pg_catalog.obj_description(c.oid), 66) || '...' AS comment
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'erp'::regnamespace
GROUP BY c.oid, c.relname ORDER BY c.relname;

\echo '==== 4. Live rows ===='
\echo
SELECT id, itemid, itemtype, quantityavailable, lastmodifieddate
FROM erp.item WHERE quantityavailable > 100 ORDER BY id LIMIT 5;

\echo '==== 5. Three tables of theirs, one of ours ===='
\echo
CREATE TABLE account_manager (customer bigint PRIMARY KEY, name text);
INSERT INTO account_manager VALUES (1012, 'Amara'), (1027, 'Jonas'), (1046, 'Mei');
\echo
\echo '-- Each table is counted and sampled, with a bounded number of requests.'
ANALYZE account_manager, erp.item, erp.customer, erp.transaction, erp.transactionline;
\echo
PREPARE ordered AS
SELECT m.name AS manager, c.entityid AS customer, h.tranid, h.trandate, i.itemid, -l.quantity AS quantity
FROM account_manager m
JOIN erp.customer c ON c.id = m.customer
JOIN erp.transaction h ON h.entity = c.id AND h.type = 'SalesOrd'
JOIN erp.transactionline l ON l.transaction = h.id AND NOT l.mainline
JOIN erp.item i ON i.id = l.item
WHERE h.trandate >= DATE '2025-01-01'
ORDER BY h.trandate, l.id LIMIT 6;
\echo
EXECUTE ordered;

\echo '==== 6. What is asked of NetSuite for it ===='
\echo
\pset format unaligned
\pset tuples_only on
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE ordered;
\echo
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE ordered;
\echo
\echo '-- Aggregates are computed there where they mean the same.'
EXPLAIN (VERBOSE, COSTS OFF)
SELECT currency, count(*), sum(foreigntotal) FROM erp.transaction WHERE type = 'SalesOrd' GROUP BY currency;
\pset format aligned
\pset tuples_only off

\echo
\echo '==== 7. Any SuiteQL at all ===='
\echo
SELECT makini.query('erp', 'SELECT id, companyname FROM customer WHERE id > ? ORDER BY id FETCH FIRST 3 ROWS ONLY', '{1000}');

\echo '==== 8. When something is wrong ===='
\echo
\set ON_ERROR_STOP off
CREATE FOREIGN TABLE erp.vendor (id bigint, entity_id text) SERVER erp OPTIONS (entity 'vendor');
SELECT * FROM erp.vendor;
\echo
CREATE FOREIGN TABLE erp.currency (id bigint) SERVER erp OPTIONS (entitty 'currency');
\echo
SET makini.max_requests_per_query = 2;
SELECT max(memo) FROM erp.transactionline;
\set ON_ERROR_STOP on

\echo
\echo '==== 9. A warehouse beside it ===='
\echo
\getenv wms_url MAKINI_ASC_URL
\getenv wms_rest_url MAKINI_ASC_REST_URL
\getenv wms_ca_file MAKINI_ASC_CA_FILE
\getenv wms_token MAKINI_ASC_TOKEN
CREATE SERVER wms FOREIGN DATA WRAPPER asctrac_fdw
    OPTIONS (base_url :'wms_url', rest_base_url :'wms_rest_url', site_id '1',
             ca_file :'wms_ca_file', allow_private 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER wms OPTIONS (token :'wms_token');
CREATE SCHEMA wms;
IMPORT FOREIGN SCHEMA v1 FROM SERVER wms INTO wms;
\echo
\echo '-- What lies in the warehouse now, by what NetSuite knows of it.'
SELECT i.id, i.itemid, s.facility, s.quantity, s.qty_onhold, s.uom, i.quantityavailable AS in_netsuite
FROM wms.inventory_audit s
JOIN erp.item i ON upper(i.itemid) = s.product_code
WHERE s.quantity > 100
ORDER BY s.quantity DESC LIMIT 6;
\echo
\echo '-- One item of it, pallet by pallet.'
SELECT skidid, locationid, lotid, qtytotal, reasonforhold
FROM wms.rest_inventory WHERE itemid = 'SENSOR-00001' ORDER BY skidid LIMIT 4;
\echo
\echo '-- An import is an INSERT.'
INSERT INTO wms.vendor_import (vendor_code, vendor_desc, status) VALUES ('V777', 'Analytical Engines', 'A');
\echo
\echo '-- A feed hands its rows out once: nobody takes them by accident.'
\set ON_ERROR_STOP off
SELECT * FROM wms.tranfile_export;
\set ON_ERROR_STOP on

\echo
\echo '==== 10. What it cost ===='
\echo
SELECT server_name, used_by, requests, retries, throttled, bytes, wait_ms
FROM makini.connection_stat JOIN makini.connection USING (connection_id) ORDER BY 1, 2;
SELECT server_name, health, auth, mapped_role, certificate_expires_at FROM makini.connection;
