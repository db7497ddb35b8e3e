--
-- Drains: created and refused, the tables they fill, rows that are decided by
-- hand, and what is said when something about them is wrong.
--
\set ECHO none
SET client_min_messages = warning;
\getenv url MAKINI_ASC_URL
\getenv ca_file MAKINI_ASC_CA_FILE
\getenv token MAKINI_ASC_TOKEN
\getenv control MAKINI_ASC_CONTROL_URL
\setenv CONTROL :control
\! /usr/bin/python3 -c 'import os, urllib.request as u; u.urlopen(u.Request(os.environ["CONTROL"] + "/reset", method="POST", data=b"{}"))'
DROP SERVER IF EXISTS wms CASCADE;
DROP SCHEMA IF EXISTS drain CASCADE;
DROP SCHEMA IF EXISTS drained CASCADE;
CREATE SERVER wms FOREIGN DATA WRAPPER asctrac_fdw OPTIONS (base_url :'url', ca_file :'ca_file', allow_private 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER wms OPTIONS (token :'token');
CREATE SCHEMA drain;
SELECT setval('makini._sync_sync_id_seq', 6001, false) AS first_id \gset
\set ECHO all
SET search_path = drain;
SET client_min_messages = notice;
IMPORT FOREIGN SCHEMA v1 FROM SERVER wms INTO drain;

\getenv here PG_ABS_SRCDIR
\set refused :here '/test/lib/refused.sql'
\i :refused
CREATE FUNCTION refused_drain(arguments text) RETURNS TABLE (sqlstate text, said text) LANGUAGE sql AS
    $$ SELECT * FROM refused(format('SELECT makini.create_drain(%s)', arguments)) $$;

-- ====================================================================
-- What can't be drained, and how it can't be asked for
-- ====================================================================
SELECT * FROM refused_drain($$'drain.tranfile_export', 'drained'$$);
SELECT * FROM refused_drain($$'drain.inventory_audit', 'drained'$$);
SELECT * FROM refused_drain($$'drain.cust_order_export_picks', 'drained'$$);
SELECT * FROM refused_drain($$'drain.item_master_import', 'drained'$$);
SELECT * FROM refused_drain($$'pg_class', 'drained'$$);
SELECT * FROM refused_drain($$'drain.tranfile_export', NULL$$);
SELECT * FROM refused_drain($$'drain.tranfile_export', 'drained', 'now and then'$$);
SELECT * FROM refused_drain($$'drain.tranfile_export', 'drained', acknowledge => 'always'$$);
SELECT * FROM refused_drain($$'drain.tranfile_export', 'drained', refuse => 'always'$$);
SELECT * FROM refused_drain($$'drain.tranfile_export', 'drained', options => '{"accept_loss": "yes"}'$$);
SELECT * FROM refused_drain($$'drain.tranfile_export', 'drained', options => '{"acceptloss": true}'$$);
SELECT * FROM refused($$SELECT makini.create_sync('drain.tranfile_export', 'drained.moves')$$);

-- ====================================================================
-- Tables
-- ====================================================================
SELECT makini.create_drain('drain.cust_order_export', 'drained', options => '{"accept_loss": true}');
SELECT sync_id, source, target, schedule, mode, deletes, enabled, state FROM makini.sync WHERE mode = 'drain';
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'drained'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attname LIKE '\_%'
ORDER BY c.relname, a.attnum;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'drained' ORDER BY indexname;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'drained.cust_order_export'::regclass AND contype <> 'n' ORDER BY conname;

-- once only
SELECT * FROM refused_drain($$'drain.cust_order_export', 'elsewhere', options => '{"accept_loss": true}'$$);
-- nor two that share a flag
SELECT makini.create_drain('drain.po_lines_export', 'drained', options => '{"accept_loss": true}');
SELECT * FROM refused_drain($$'drain.po_licenses_export', 'drained', options => '{"accept_loss": true}'$$);
-- nor into a table that another one fills
CREATE FOREIGN TABLE other (ordernumber text OPTIONS (column_name 'ORDERNUMBER')) SERVER wms OPTIONS (entity 'cust_order_status_export');
ALTER FOREIGN TABLE other RENAME TO po_lines;
CREATE VIEW drained.po_lines AS SELECT 1 AS one;
SELECT * FROM refused_drain($$'drain.po_lines', 'drained', options => '{"accept_loss": true}'$$);
DROP VIEW drained.po_lines;
CREATE TABLE drained.po_lines (_row_id bigint, _received_at timestamptz, _run_id bigint, _ack text, _duplicate_of bigint, _raw jsonb);
ALTER TABLE drained.po_lines SET UNLOGGED;
SELECT * FROM refused_drain($$'drain.po_lines', 'drained', options => '{"accept_loss": true}'$$);
ALTER TABLE drained.po_lines SET LOGGED;
SELECT * FROM refused_drain($$'drain.po_lines', 'drained', options => '{"accept_loss": true}'$$);
ALTER TABLE drained.po_lines ALTER _ack TYPE int USING NULL;
SELECT * FROM refused_drain($$'drain.po_lines', 'drained', options => '{"accept_loss": true}'$$);
DROP TABLE drained.po_lines;

-- ====================================================================
-- Running
-- ====================================================================
CALL makini.run_sync(6001);
SELECT makini.resume_sync(6001);
BEGIN;
CALL makini.run_sync(6001);
ROLLBACK;
CALL makini.run_sync(6001, 'verify');
CALL makini.run_sync(6001, 'full');
CALL makini.run_sync(6001);
SELECT status, rows_read = rows_inserted AS all_landed, rows_rejected, requests > 1 AS acknowledged FROM makini.sync_run WHERE sync_id = 6001;
SELECT _ack, count(*) > 0 FROM drained.cust_order_export GROUP BY 1 ORDER BY 1;
SELECT target, key, accepted, message, attempts, last_error FROM makini.owed_acknowledgement;
SELECT * FROM refused('SELECT makini.reset_sync(6001)');
SELECT * FROM refused($$SELECT makini.alter_sync(6001, '{"mode": "full"}')$$);
SELECT makini.alter_sync(6001, '{"schedule": "1 hour"}');

-- ====================================================================
-- By hand
-- ====================================================================
SELECT * FROM refused($$SELECT makini.acknowledge(4711, '{1}')$$);
SELECT * FROM refused($$SELECT makini.acknowledge(6001, NULL)$$);
SELECT * FROM refused($$SELECT makini.acknowledge(6001, '{1}', NULL)$$);
SELECT makini.acknowledge(6001, '{}');
SELECT makini.acknowledge(6001, ARRAY(SELECT row_id FROM makini.owed_acknowledgement), false, 'has no customer');
SELECT accepted, message FROM makini.owed_acknowledgement;
SELECT * FROM refused($$SELECT makini.resolve_drain(4711, 'x')$$);
SELECT makini.resolve_drain(6001, 'nothing was lost');

-- ====================================================================
-- Dropping
-- ====================================================================
SELECT makini.drop_sync(6001, true);
SELECT makini.drop_sync(6002, true);
SELECT count(*) FROM makini._owed;
SELECT relname FROM pg_class WHERE relnamespace = 'drained'::regnamespace;
SET client_min_messages = warning;
DROP SCHEMA drained;
DROP SERVER wms CASCADE;
DROP SCHEMA drain CASCADE;
