\set ECHO none
-- Included by tests that say what a sync waits for, or what was told: on a server
-- that has workers those would be at it meanwhile.  Such a test ends with
-- ALTER SYSTEM RESET makini.launcher and a reload.
LOAD 'makini';
ALTER SYSTEM SET makini.launcher = off;
\o /dev/null
SELECT pg_reload_conf();
-- Sessions take settings over between two statements, after the postmaster has.
SELECT $$DO 'BEGIN IF current_setting(''makini.launcher'')::boolean THEN PERFORM pg_sleep(0.05); END IF; END'$$
FROM generate_series(1, 2000) \gexec
\o
DO $$
BEGIN
    WHILE EXISTS (SELECT FROM pg_stat_activity WHERE backend_type IN ('makini scheduler', 'makini run', 'makini sender')) LOOP
        PERFORM pg_sleep(0.01);
        PERFORM pg_stat_clear_snapshot();
    END LOOP;
END $$;
\set ECHO all
