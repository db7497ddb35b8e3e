--
-- Options of servers, user mappings, foreign tables and columns: what is taken,
-- what is refused and what the refusal says.  Nothing here sends a request.
--
\set VERBOSITY default

-- ====
-- servers: what is taken
-- ====
CREATE SERVER option_full FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (
    account_id '1234567_SB1', base_url 'https://netsuite.example.com:8443/gate', token_url 'https://id.example.com/token',
    api_version 'v1', page_size '1', max_concurrency '20', sync_concurrency '1', connect_timeout '500ms',
    request_timeout '5 min', max_retries '0', accept_language 'de', ca_file '/etc/ssl/ca.pem',
    proxy 'http://proxy.example.com:3128', allow_http 'true', allow_private 'off', use_remote_estimate 'on',
    fetch_ahead '0', time_zone 'America/Los_Angeles');
DROP SERVER option_full;
CREATE SERVER option_test FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1234567');
ALTER SERVER option_test OPTIONS (ADD page_size '1000');
ALTER SERVER option_test OPTIONS (SET page_size '1');
ALTER SERVER option_test OPTIONS (DROP page_size);
ALTER SERVER option_test OPTIONS (SET account_id 'TSTDRV1234567');
ALTER SERVER option_test OPTIONS (SET account_id '1234567-sb1');
ALTER SERVER option_test OPTIONS (SET account_id '1234567_RP');

-- ====
-- servers: values out of range
-- ====
ALTER SERVER option_test OPTIONS (ADD page_size '0');
ALTER SERVER option_test OPTIONS (ADD page_size '1001');
ALTER SERVER option_test OPTIONS (ADD page_size 'many');
ALTER SERVER option_test OPTIONS (ADD page_size '');
ALTER SERVER option_test OPTIONS (ADD page_size '10 kB');
ALTER SERVER option_test OPTIONS (ADD max_concurrency '0');
ALTER SERVER option_test OPTIONS (ADD sync_concurrency '-1');
ALTER SERVER option_test OPTIONS (ADD fetch_ahead '1000000');
ALTER SERVER option_test OPTIONS (ADD max_retries '-1');
ALTER SERVER option_test OPTIONS (ADD connect_timeout '0');
ALTER SERVER option_test OPTIONS (ADD request_timeout '10 parsecs');
ALTER SERVER option_test OPTIONS (ADD request_timeout '100 years');
ALTER SERVER option_test OPTIONS (ADD use_remote_estimate 'perhaps');
ALTER SERVER option_test OPTIONS (ADD time_zone 'Mars/Olympus');
ALTER SERVER option_test OPTIONS (ADD api_version 'v2');
ALTER SERVER option_test OPTIONS (ADD ca_file 'ca.pem');
ALTER SERVER option_test OPTIONS (ADD accept_language '');

-- ====
-- servers: an account id becomes a host name, and nothing else does
-- ====
ALTER SERVER option_test OPTIONS (SET account_id 'evil.com/');
ALTER SERVER option_test OPTIONS (SET account_id 'a_b_c');
ALTER SERVER option_test OPTIONS (SET account_id 'x@y');
ALTER SERVER option_test OPTIONS (SET account_id '1234567#');
ALTER SERVER option_test OPTIONS (SET account_id '_SB1');
ALTER SERVER option_test OPTIONS (SET account_id '1234567_');
ALTER SERVER option_test OPTIONS (SET account_id '');
ALTER SERVER option_test OPTIONS (SET account_id 'schön');
ALTER SERVER option_test OPTIONS (SET account_id E'1234567\n');
ALTER SERVER option_test OPTIONS (SET account_id '1234567 ');

-- ====
-- servers: the forms of an address
-- ====
ALTER SERVER option_test OPTIONS (ADD base_url 'https://netsuite.example.com');
ALTER SERVER option_test OPTIONS (SET base_url 'https://netsuite.example.com/');
ALTER SERVER option_test OPTIONS (SET base_url 'https://[2001:db8::1]:8443/a/b');
ALTER SERVER option_test OPTIONS (SET base_url 'netsuite.example.com');
ALTER SERVER option_test OPTIONS (SET base_url 'ftp://netsuite.example.com');
ALTER SERVER option_test OPTIONS (SET base_url 'https://');
ALTER SERVER option_test OPTIONS (SET base_url 'https://me:secret@netsuite.example.com');
ALTER SERVER option_test OPTIONS (SET base_url 'https://netsuite.example.com/?a=b');
ALTER SERVER option_test OPTIONS (SET base_url 'https://netsuite.example.com/#a');
ALTER SERVER option_test OPTIONS (SET base_url 'https://netsuite.example.com:99999');
ALTER SERVER option_test OPTIONS (SET base_url 'https://netsuite.example.com:');
ALTER SERVER option_test OPTIONS (SET base_url E'https://netsuite.example.com/\r\nHost: evil');
ALTER SERVER option_test OPTIONS (SET base_url 'https://netsuite.exa mple.com');
ALTER SERVER option_test OPTIONS (ADD token_url 'file:///etc/passwd');

-- ====
-- names: misspelt, and out of place
-- ====
ALTER SERVER option_test OPTIONS (ADD pagesize '10');
ALTER SERVER option_test OPTIONS (ADD acount_id '10');
ALTER SERVER option_test OPTIONS (ADD "PAGE_SIZE" '10');
ALTER SERVER option_test OPTIONS (ADD something_else '10');
ALTER SERVER option_test OPTIONS (ADD client_id '10');
CREATE USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (clientid 'x');
CREATE USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (page_size '10');
CREATE FOREIGN TABLE option_table (id bigint) SERVER option_test OPTIONS (entitty 'item');
CREATE FOREIGN TABLE option_table (id bigint) SERVER option_test OPTIONS (entity '');
CREATE FOREIGN TABLE option_table (id bigint) SERVER option_test OPTIONS (writable 'sometimes');
CREATE FOREIGN TABLE option_table (id bigint OPTIONS (columnname 'x')) SERVER option_test;
CREATE FOREIGN TABLE option_table (id bigint OPTIONS (display 'of course')) SERVER option_test;
CREATE FOREIGN DATA WRAPPER option_wrapper HANDLER makini.fdw_handler VALIDATOR makini.netsuite_fdw_validator OPTIONS (a 'b');
ALTER FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (ADD a 'b');
CREATE FOREIGN TABLE option_table (
    id bigint, buyer text OPTIONS (column_name 'custitem_sim_buyer', display 'true', record_field 'buyer')
) SERVER option_test OPTIONS (entity 'item', key 'id', cursor 'lastmodifieddate', record_type 'inventoryitem', writable 'off');
ALTER FOREIGN TABLE option_table OPTIONS (SET writable 'always', ADD querry 'SELECT 1');
ALTER FOREIGN TABLE option_table ALTER COLUMN buyer OPTIONS (SET display 'no', DROP record_field);

-- ====
-- user mappings: values, which are never repeated where they could be secrets
-- ====
CREATE USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (
    client_id '2c81', certificate_id 'abc', private_key '-----BEGIN PRIVATE KEY-----', certificate '-----BEGIN CERTIFICATE-----',
    certificate_expires_at '2028-01-31 00:00:00+00', key_passphrase 'x', algorithm 'ES256', scope 'rest_webservices');
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (SET algorithm 'RS256');
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (SET certificate_expires_at 'next year');
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (SET private_key '');
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (ADD private_key_file 'erp.pem');
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (ADD consumer_key '');
DROP USER MAPPING FOR CURRENT_USER SERVER option_test;

-- ====
-- what is missing is said when it is used
-- ====
ALTER SERVER option_test OPTIONS (DROP base_url);
SELECT id FROM option_table;
EXPLAIN (COSTS OFF) SELECT id FROM option_table;
CREATE USER MAPPING FOR PUBLIC SERVER option_test;
SELECT id FROM option_table;
DROP USER MAPPING FOR PUBLIC SERVER option_test;
CREATE USER MAPPING FOR CURRENT_USER SERVER option_test;
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (ADD client_id '2c81');
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (ADD certificate_id 'abc');
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (ADD consumer_key 'k');
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (DROP client_id, DROP certificate_id);
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (ADD consumer_secret 's', ADD token_id 't');
SELECT id FROM option_table;
DROP USER MAPPING FOR CURRENT_USER SERVER option_test;
CREATE USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (client_id '2c81', private_key 'not a key');
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (ADD certificate_id 'abc', ADD private_key_file '/nowhere/erp.pem');
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (DROP private_key);
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (DROP private_key_file, ADD private_key 'not a key', ADD certificate 'nor a certificate');
SELECT id FROM option_table;
ALTER USER MAPPING FOR CURRENT_USER SERVER option_test OPTIONS (DROP certificate);
SELECT id FROM option_table;
ALTER SERVER option_test OPTIONS (DROP account_id);
SELECT id FROM option_table;
CREATE SERVER option_empty FOREIGN DATA WRAPPER netsuite_fdw;
CREATE FOREIGN TABLE option_keyless (id bigint) SERVER option_empty OPTIONS (entity 'item', key 'id,,x');
SELECT id FROM option_keyless;

-- ====
-- what only superusers may set, in the hands of a server's owner
-- ====
CREATE ROLE option_owner;
GRANT USAGE ON FOREIGN DATA WRAPPER netsuite_fdw TO option_owner;
CREATE SERVER option_owned FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (
    account_id '1234567', ca_file '/etc/ssl/ca.pem', proxy 'http://proxy.example.com', allow_private 'true', allow_http 'false');
ALTER SERVER option_owned OWNER TO option_owner;
CREATE USER MAPPING FOR option_owner SERVER option_owned OPTIONS (private_key_file '/etc/makini/erp.pem');
SET ROLE option_owner;

-- the rest can be altered ...
ALTER SERVER option_owned OPTIONS (ADD page_size '100');
ALTER SERVER option_owned OPTIONS (SET page_size '200', ADD max_retries '2');
ALTER USER MAPPING FOR option_owner SERVER option_owned OPTIONS (ADD client_id 'x');
ALTER USER MAPPING FOR CURRENT_USER SERVER option_owned OPTIONS (SET client_id 'y');
-- ... those can be dropped, but neither set nor added
ALTER SERVER option_owned OPTIONS (SET ca_file '/home/me/ca.pem');
ALTER SERVER option_owned OPTIONS (SET allow_http 'true');
ALTER SERVER option_owned OPTIONS (DROP proxy);
ALTER SERVER option_owned OPTIONS (ADD proxy 'http://proxy.example.com');
ALTER SERVER option_owned OPTIONS (SET page_size '300', SET allow_private 'false');
ALTER USER MAPPING FOR option_owner SERVER option_owned OPTIONS (SET private_key_file '/etc/passwd');
ALTER USER MAPPING FOR option_owner SERVER option_owned OPTIONS (ADD certificate_file '/etc/passwd');
ALTER USER MAPPING FOR option_owner SERVER option_owned OPTIONS (DROP private_key_file, ADD private_key 'x');
CREATE SERVER option_mine FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1', allow_private 'true');
CREATE SERVER option_mine FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1', allow_private 'false');
CREATE SERVER option_mine FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1', base_url 'http://netsuite.example.com');

-- nor by way of a function, and what stands there stays
DO $$ BEGIN EXECUTE $q$ALTER SERVER option_owned OPTIONS (SET ca_file '/home/me/ca.pem')$q$; END $$;
DO $$ BEGIN EXECUTE $q$ALTER SERVER option_owned OPTIONS (SET page_size '400')$q$; END $$;
RESET ROLE;
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'option_owned';

-- members of pg_read_server_files may name files, though not a server's
GRANT pg_read_server_files TO option_owner;
SET ROLE option_owner;
ALTER USER MAPPING FOR option_owner SERVER option_owned OPTIONS (ADD certificate_file '/etc/makini/erp.crt');
ALTER SERVER option_owned OPTIONS (SET ca_file '/home/me/ca.pem');
RESET ROLE;

DROP SERVER option_owned, option_empty, option_test CASCADE;
DROP SERVER IF EXISTS option_mine CASCADE;
DROP OWNED BY option_owner;
DROP ROLE option_owner;
