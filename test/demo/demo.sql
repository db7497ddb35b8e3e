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
IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, customer, location, transaction, transactionline)
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
\echo '==== 10. Tables of our own that follow NetSuite ===='
\echo
CREATE SCHEMA warehouse;
SELECT * FROM makini.create_syncs('erp', 'warehouse', '{item,customer,location,transaction,transactionline}',
                                  schedule => NULL, initial_window => 'all');
\echo
\echo '-- Without a schedule they are run by hand, the first time from the beginning; what takes longer'
\echo '-- than a few seconds says how far it is.'
SELECT format('CALL makini.run_sync(%s)', sync_id) FROM makini.sync ORDER BY sync_id \gexec
\echo
SELECT s.source, s.target, s.state, r.rows_inserted AS rows, r.pages, r.requests
FROM makini.sync s JOIN makini.sync_run r USING (sync_id) WHERE r.mode = 'initial' ORDER BY s.sync_id;

\echo '==== 11. Something happens in NetSuite ===='
\echo
\echo '-- An item is renamed, an order loses a line, another order is deleted.'
SELECT min(id) AS item FROM erp.item \gset
SELECT min(id) AS shorter, max(id) AS gone FROM erp.transaction WHERE type = 'SalesOrd' \gset
\setenv ITEM :item
\setenv SHORTER :shorter
\setenv GONE :gone
\! ../lib/sim sql "UPDATE netsuite.item SET displayname = 'Renamed just now', lastmodifieddate = now() WHERE id = $ITEM"
\! ../lib/sim sql "DELETE FROM netsuite.transactionline WHERE transaction = $SHORTER AND id = (SELECT max(id) FROM netsuite.transactionline WHERE transaction = $SHORTER)"
\! ../lib/sim sql "UPDATE netsuite.transaction SET lastmodifieddate = now() WHERE id = $SHORTER"
\! ../lib/sim sql "DELETE FROM netsuite.transactionline WHERE transaction = $GONE"
\! ../lib/sim delete transaction "Sales Order" $GONE
\echo
SELECT format('CALL makini.run_sync(%s)', sync_id) FROM makini.sync ORDER BY sync_id \gexec
\echo
SELECT s.source, r.requests, r.rows_read AS read, r.rows_inserted AS inserted, r.rows_updated AS updated,
       r.rows_deleted AS deleted, r.rows_unchanged AS unchanged, r.finished_at - r.started_at AS took
FROM makini.sync s JOIN LATERAL (
    SELECT * FROM makini.sync_run r WHERE r.sync_id = s.sync_id ORDER BY run_id DESC LIMIT 1) r ON true
ORDER BY s.sync_id;
SELECT id, itemid, displayname, _synced_at FROM warehouse.item ORDER BY _synced_at DESC, id LIMIT 1;
\echo
\echo '-- Is it really the same? Every row is compared with the source.'
SELECT sync_id AS item_sync FROM makini.sync WHERE source = 'erp.transaction' \gset
CALL makini.run_sync(:item_sync, 'verify');
SELECT sum(source_rows) AS source_rows, sum(target_rows) AS target_rows,
       sum(missing) AS missing, sum(extra) AS extra, sum(different) AS different FROM makini.sync_check;

\echo '==== 12. Feeds of the warehouse, landed once and acknowledged ===='
\echo
SELECT item, status, detail FROM makini.check_drain('wms.tranfile_export');
SELECT makini.create_drain('wms.tranfile_export', 'landing', options => '{"accept_loss": true}') AS moves \gset
SELECT makini.create_drain('wms.cust_order_export', 'landing', options => '{"accept_loss": true}') AS orders \gset
\echo '-- Draining takes rows away over there, so nothing runs before somebody says so.'
SELECT makini.resume_sync(:moves), makini.resume_sync(:orders);
CALL makini.run_sync(:moves);
CALL makini.run_sync(:orders);
\echo
SELECT s.target, r.status, r.rows_inserted AS rows, r.requests
FROM makini.sync s JOIN makini.sync_run r USING (sync_id) WHERE s.mode = 'drain' ORDER BY s.sync_id;
SELECT _row_id, tranfile_rec_id, trans_type, product_code, facility, _ack FROM landing.tranfile_export ORDER BY _row_id LIMIT 3;
SELECT o._row_id, o.ordernumber, count(p._row_id) AS picks, o._ack
FROM landing.cust_order_export o LEFT JOIN landing.cust_order_export_picks p ON p._parent_row_id = o._row_id
GROUP BY o._row_id ORDER BY o._row_id LIMIT 3;

\echo
\echo '==== 13. What it cost ===='
\echo
SELECT server_name, used_by, requests, retries, throttled, bytes, wait_ms
FROM makini.connection_stat JOIN makini.connection USING (connection_id) ORDER BY 1, 2;
SELECT server_name, health, auth, mapped_role, certificate_expires_at FROM makini.connection;

\echo
\echo '==== 14. Nobody at the keyboard, and others hear of it ===='
\echo
\echo '-- From now on a background worker runs them, and tells somebody else what happens.'
SELECT makini.alter_sync(sync_id, '{"schedule": "10 seconds"}') FROM makini.sync WHERE mode = 'incremental';
\getenv inbox DEMO_INBOX_URL
SELECT webhook_id, secret FROM makini.create_webhook(:'inbox',
    events => '{sync.completed,stock.low,connection.auth_required}', options => '{"skip_empty": true}') \gset
\setenv SECRET :secret
SELECT makini.create_rule('low_stock', 'warehouse.item', 'NEW.quantityavailable < 10', 'stock.low', 'UPDATE',
                          payload => 'jsonb_build_object(''item'', NEW.itemid, ''available'', NEW.quantityavailable)');
\echo
\echo '-- Somebody sells nearly all of an item in NetSuite; makini is left alone.'
SELECT min(id) AS item FROM warehouse.item WHERE quantityavailable > 100 \gset
\setenv ITEM :item
\! ../lib/sim sql "UPDATE netsuite.item SET quantityavailable = 3, lastmodifieddate = now() WHERE id = $ITEM"
CREATE PROCEDURE await(type text) LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM makini.delivery d JOIN makini.event e USING (event_id)
                      WHERE e.type = await.type AND d.status = 'delivered') LOOP
        COMMIT;
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;
CALL await('stock.low');
CALL await('sync.completed');
SELECT id, itemid, quantityavailable, _synced_at FROM warehouse.item WHERE id = :item;
\echo '-- Then somebody revokes our certificate.'
\! ../lib/sim revoke "$MAKINI_SIM_CERTIFICATE_ID"
CALL await('connection.auth_required');
SELECT severity, object, message, hint FROM makini.problem WHERE object LIKE 'server%';
SELECT source, state, waiting_for FROM makini.sync WHERE mode = 'incremental' ORDER BY sync_id LIMIT 2;
\echo '-- What the other side received of all that, and whether the signature is right.'
\! "${MAKINI_PYTHON:-/usr/bin/python3}" inbox.py && touch "$DEMO_INBOX_RIGHT"
