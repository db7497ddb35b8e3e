\set ECHO none
-- Included by tests that read from the simulator.  Makes server "erp" with a
-- mapping for the session's user, and schema "test" of functions that show
-- plans without what differs from run to run and from major to major.
-- \! $SIM ... is a call of test/lib/sim.
SET client_min_messages = warning;
\getenv account MAKINI_SIM_ACCOUNT_ID
\getenv url MAKINI_SIM_URL
\getenv ca_file MAKINI_SIM_CA_FILE
\getenv client_id MAKINI_SIM_CLIENT_ID
\getenv certificate_id MAKINI_SIM_CERTIFICATE_ID
\getenv key_file MAKINI_SIM_PRIVATE_KEY_FILE
\getenv here PG_ABS_SRCDIR
\set sim :here '/test/lib/sim'
\setenv SIM :sim
\! $SIM reset
DROP SERVER IF EXISTS erp CASCADE;
DROP SCHEMA IF EXISTS test CASCADE;
CREATE SERVER erp FOREIGN DATA WRAPPER netsuite_fdw
    OPTIONS (account_id :'account', base_url :'url', ca_file :'ca_file', allow_private 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER erp
    OPTIONS (client_id :'client_id', certificate_id :'certificate_id', private_key_file :'key_file');
CREATE SCHEMA test;

-- The plan of a query, without its output lists.
CREATE FUNCTION test.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        CONTINUE WHEN line ~ '^ *(Output|Query Identifier|Disabled|Inner Unique):';
        RETURN NEXT line;
    END LOOP;
END $$;

-- What a query asks the remote side, and what it checks again here.
CREATE FUNCTION test.remote(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        CONTINUE WHEN line !~ '^ *(SuiteQL|SuiteQL Parameters|Filter|Join Filter):';
        RETURN NEXT ltrim(line);
    END LOOP;
END $$;

-- How many foreign scans a query takes.
CREATE FUNCTION test.scans(query text) RETURNS bigint LANGUAGE sql AS
    $$ SELECT count(*) FROM test.plan(query) line WHERE line ~ '^ *SuiteQL:' $$;

-- What running a query took.
CREATE FUNCTION test.analyzed(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        CONTINUE WHEN line ~ '^ *(Buckets|Batches|Sort Method|Storage|Index Searches|Window|Heap Fetches|Buffers|Planning|Disabled|Memory)';
        line := regexp_replace(line, 'Bytes: [1-9]\d*', 'Bytes: N');
        line := regexp_replace(line, ' \(actual rows=[\d.]+ loops=1\)', '');
        RETURN NEXT regexp_replace(line, 'rows=[\d.]+ ', '');
    END LOOP;
END $$;

-- The requests that running a query took.
CREATE FUNCTION test.requests(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    answer jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) ' || query INTO answer;
    RETURN (SELECT coalesce(sum((r #>> '{}')::bigint), 0) FROM jsonb_path_query(answer, 'strict $.**.Requests') r);
END $$;

-- Runs a query with and without pushdown and says whether that made a
-- difference; with ordered, also in the order of the rows.
CREATE FUNCTION test.same(query text, ordered boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    place text := CASE WHEN ordered THEN 'row_number() OVER ()' ELSE '1' END;
    differences bigint;
    n bigint;
BEGIN
    EXECUTE format('CREATE TEMP TABLE pushed AS SELECT %s AS place, q.* FROM (%s) q', place, query);
    PERFORM set_config('makini.enable_pushdown', 'off', true);
    EXECUTE format('CREATE TEMP TABLE kept AS SELECT %s AS place, q.* FROM (%s) q', place, query);
    PERFORM set_config('makini.enable_pushdown', 'on', true);
    SELECT count(*) INTO n FROM kept;
    SELECT count(*) INTO differences FROM (
        (TABLE pushed EXCEPT ALL TABLE kept) UNION ALL (TABLE kept EXCEPT ALL TABLE pushed)) d;
    DROP TABLE pushed, kept;
    RETURN CASE differences WHEN 0 THEN format('same %s rows', n) ELSE format('%s rows DIFFER', differences) END;
END $$;

RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET makini.retry_base = '1ms';
\pset format unaligned
\pset footer off
\pset tuples_only on
\set ECHO all
