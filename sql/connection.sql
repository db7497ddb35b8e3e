-- Connections: asking how they are, their states and events, pausing, and who
-- may see what of it.
\getenv here PG_ABS_SRCDIR
\set connect :here '/test/lib/connect.sql'
\i :connect

CREATE VIEW test.state AS
	SELECT health, auth, mapped_role = current_user AS mine, last_ok_at IS NOT NULL AS was_ok, last_error FROM makini.connection WHERE server_name = 'erp';
CREATE VIEW test.told AS
	SELECT type, data->>'server' AS server, data->>'role' AS role, data->>'from' AS was, data->>'to' AS is, data->>'reason' AS reason,
		data->'error'->>'code' AS code, data->'error'->>'http_status' AS http
	FROM makini.event WHERE type LIKE 'connection.%' AND connection_id IN (SELECT connection_id FROM makini.connection WHERE server_name = 'erp')
	ORDER BY event_id;

-- Nothing is known, then what was asked for.
SELECT * FROM test.state;
SELECT server_name, health, auth, lifecycle FROM makini.check_connection('erp');
SELECT * FROM test.state;
SELECT * FROM test.told;
SELECT mapped_role = current_user AS mine, auth, last_error, used_by_syncs FROM makini.connection_auth;

-- One failure of a check is enough, and is told once.
\! $SIM fault '{"kind": "503", "count": 1000}' > /dev/null
SELECT server_name, health, auth FROM makini.check_connection('erp');
SELECT server_name, health, auth FROM makini.check_connection('erp');
SELECT * FROM test.told;
\! $SIM reset > /dev/null
SELECT server_name, health, auth FROM makini.check_connection('erp');
SELECT * FROM test.told;

-- Within five minutes a server that comes and goes is told of once.
\! $SIM fault '{"kind": "503", "count": 1000}' > /dev/null
SELECT server_name, health FROM makini.check_connection('erp');
\! $SIM reset > /dev/null
SELECT server_name, health FROM makini.check_connection('erp');
SELECT count(*) FROM test.told;

-- Credentials.
ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET certificate_id 'nobody');
SELECT server_name, health, auth FROM makini.check_connection('erp');
SELECT server_name, health, auth FROM makini.check_connection('erp');
SELECT type, role = current_user AS mine, was, "is", reason, code FROM test.told OFFSET 2;
SELECT auth, last_error FROM makini.connection_auth;
ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET certificate_id :'certificate_id');
SELECT server_name, health, auth FROM makini.check_connection('erp');
SELECT type, role = current_user AS mine, was, "is", reason, code FROM test.told OFFSET 3;

-- A transaction that is rolled back takes its events with it, not what was learned.
BEGIN;
\! $SIM fault '{"kind": "503", "count": 1000}' > /dev/null
SELECT server_name, health FROM makini.check_connection('erp');
ROLLBACK;
\! $SIM reset > /dev/null
SELECT health FROM test.state;
SELECT server_name, health FROM makini.check_connection('erp');

-- Pausing.
SELECT makini.pause_connection('erp');
SELECT makini.pause_connection('erp');
SELECT lifecycle FROM makini.connection WHERE server_name = 'erp';
SELECT makini.resume_connection('erp');
SELECT makini.resume_connection('erp');
SELECT makini.check_connection('nowhere');

-- Who may.
CREATE ROLE makini_state_reader;
CREATE ROLE makini_state_operator;
CREATE ROLE makini_state_owner;
SELECT makini.grant_access('makini_state_reader', 'reader', 'erp');
SELECT makini.grant_access('makini_state_operator', 'operator', 'erp');
SELECT makini.grant_access('makini_state_owner', 'operator', 'erp');
CREATE USER MAPPING FOR makini_state_reader SERVER erp OPTIONS (client_id 'x');
ALTER SERVER erp OWNER TO makini_state_owner;
SET ROLE makini_state_reader;
SELECT mapped_role FROM makini.connection_auth;
SELECT makini.check_connection('erp');
SELECT makini.pause_connection('erp');
RESET ROLE;
SET ROLE makini_state_operator;
SELECT mapped_role FROM makini.connection_auth;
SELECT makini.pause_connection('erp'), makini.resume_connection('erp');
RESET ROLE;
SET ROLE makini_state_owner;
SELECT count(*) FROM makini.connection_auth;
RESET ROLE;

SET client_min_messages = warning;
DROP SERVER erp CASCADE;
SELECT makini.revoke_access(r, 'reader') FROM unnest('{makini_state_reader,makini_state_operator,makini_state_owner}'::name[]) r;
DROP OWNED BY makini_state_reader, makini_state_operator, makini_state_owner;
DROP ROLE makini_state_reader, makini_state_operator, makini_state_owner;
DROP SCHEMA test CASCADE;
