--
-- Connections as their readers see them, labels, levels of access, versions,
-- settings: everything that sends no request.
--
\set VERBOSITY default

-- ====
-- versions and settings
-- ====
SELECT makini.version(), makini.api_version();
SELECT version, status, deprecated_at, sunset_at FROM makini.api_versions;
SHOW makini.max_requests_per_query;
SHOW makini.log_requests;
SET makini.api_version = 'v0';
SET makini.max_request = 1;

-- ====
-- a connection is a server of our wrapper that one may use
-- ====
CREATE ROLE access_reader;
CREATE ROLE access_admin;
CREATE ROLE "access Odd";
CREATE SERVER access_erp FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1234567_SB1');
CREATE SERVER access_other FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '7654321');
CREATE USER MAPPING FOR PUBLIC SERVER access_erp;

SELECT server_name, wrapper, api_version, lifecycle, health, auth, mapped_role,
       certificate_expires_at, last_ok_at, last_error, labels
FROM makini.connection WHERE server_name LIKE 'access%' ORDER BY server_name;

-- the id is a UUID of version 8, another for each server, the same each time
SELECT count(DISTINCT connection_id), bool_and(connection_id::text ~ '^.{14}8.{4}[89ab]') AS version_8
FROM makini.connection WHERE server_name LIKE 'access%';
SELECT connection_id AS computed FROM makini.connection WHERE server_name = 'access_erp' \gset

-- one's own mapping comes before that of PUBLIC
CREATE USER MAPPING FOR "access Odd" SERVER access_erp;
GRANT USAGE ON FOREIGN SERVER access_erp TO "access Odd", access_reader;
SET ROLE "access Odd";
SELECT server_name, mapped_role FROM makini.connection WHERE server_name LIKE 'access%';
SET ROLE access_reader;
SELECT server_name, mapped_role FROM makini.connection WHERE server_name LIKE 'access%';
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER access_erp FROM "access Odd", access_reader;

-- ====
-- without a level: the public views, and nothing else
-- ====
SET ROLE access_reader;
SELECT count(*) FROM makini.connection WHERE server_name LIKE 'access%';
SELECT count(*) FROM makini.api_versions;
SELECT makini.version();
SELECT makini.set_labels('access_erp', '{}');
SELECT makini.grant_access('access_reader', 'admin');
SELECT * FROM makini._connection;
SELECT * FROM makini._server;
SELECT * FROM makini._mapping;
SELECT * FROM makini.connection_stat;
RESET ROLE;

-- what PUBLIC has: the public views, and the functions that those call
SELECT proname FROM pg_proc
WHERE pronamespace = 'makini'::regnamespace AND has_function_privilege('access_reader', oid, 'EXECUTE')
ORDER BY 1;
SELECT relname FROM pg_class
WHERE relnamespace = 'makini'::regnamespace AND has_table_privilege('access_reader', oid, 'SELECT')
ORDER BY 1;

-- ====
-- levels
-- ====
SELECT makini.grant_access('access_reader', 'reader', 'access_erp');
SELECT makini.grant_access('access_admin', 'admin', 'access_erp');
SELECT makini.grant_access('access Odd', 'operator');
SELECT makini.grant_access('access_reader', 'king');
SELECT makini.grant_access('access_nobody', 'reader');
SELECT makini.grant_access('access_reader', 'reader', 'access_nowhere');
SELECT makini.grant_access('access_reader', NULL);

SET ROLE access_reader;
SELECT server_name FROM makini.connection WHERE server_name LIKE 'access%';
SELECT makini.version();
SELECT makini.set_labels('access_erp', '{}');
RESET ROLE;

-- what belongs to no level is for superusers
SELECT proname FROM pg_proc
WHERE pronamespace = 'makini'::regnamespace AND NOT has_function_privilege('access_admin', oid, 'EXECUTE')
	AND left(proname, 1) <> '_'
ORDER BY 1;

-- every object of a level exists, and the highest level has them all
SELECT object FROM makini._access
WHERE CASE kind WHEN 'table' THEN to_regclass(object)::oid ELSE to_regprocedure(object)::oid END IS NULL;
SELECT level, kind, object FROM makini._access
WHERE CASE kind WHEN 'table' THEN has_table_privilege('access_admin', object, 'SELECT')
           ELSE has_function_privilege('access_admin', object, 'EXECUTE') END IS NOT TRUE;

-- a level granted without grant option can't be passed on
GRANT EXECUTE ON FUNCTION makini.grant_access(name, text, name) TO access_admin;
SET ROLE access_admin;
SELECT makini.grant_access('access_reader', 'reader');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION makini.grant_access(name, text, name) FROM access_admin;

-- ====
-- labels
-- ====
SET ROLE access_admin;
SELECT makini.set_labels('access_erp', '{"team": "finance"}');
SELECT makini.set_labels('access_erp', '["team"]');
SELECT makini.set_labels('access_other', '{}');
SELECT makini.set_labels('access_nowhere', '{}');
RESET ROLE;

-- stored now: neither a new name nor new options change the id
ALTER SERVER access_erp RENAME TO access_renamed;
SELECT makini.set_labels('access_renamed', '{"team": "sales"}');
SELECT server_name, labels, connection_id = :'computed' AS same_id
FROM makini.connection WHERE server_name LIKE 'access%' ORDER BY server_name;

-- as after a restore: another home, other OIDs, found by name
UPDATE makini._connection SET home = 'elsewhere/1', server_oid = 1 WHERE connection_id = :'computed';
SELECT server_name, labels, connection_id = :'computed' AS same_id
FROM makini.connection WHERE server_name LIKE 'access%' ORDER BY server_name;
SELECT makini.set_labels('access_renamed', '{"team": "home again"}');
SELECT server_name, labels, home = makini._home() AS at_home FROM makini._connection WHERE server_name LIKE 'access%';

-- ====
-- taking away
-- ====
SELECT makini.revoke_access('access_admin', 'admin');
SET ROLE access_admin;
SELECT makini.set_labels('access_renamed', '{}');
SELECT makini.version();
RESET ROLE;
SELECT makini.revoke_access('access_admin', 'reader');
SELECT makini.revoke_access('access_admin', 'reader', 'access_renamed');
SET ROLE access_admin;
SELECT makini.version();
SELECT count(*) FROM makini.connection WHERE server_name LIKE 'access%';
RESET ROLE;

DELETE FROM makini._connection WHERE connection_id = :'computed';
DROP SERVER access_renamed, access_other CASCADE;
SELECT makini.revoke_access('access_reader', 'reader');
SELECT makini.revoke_access('access Odd', 'reader');
DROP ROLE access_reader, access_admin, "access Odd";
