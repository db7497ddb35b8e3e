\set ECHO none
-- Included by tests of what is refused, into the schema they work in.
-- What a statement is refused with.
CREATE FUNCTION refused(statement text) RETURNS TABLE (sqlstate text, said text) LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', 'nothing is wrong with it';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN QUERY SELECT SQLSTATE, SQLERRM
        UNION ALL SELECT 'detail', detail WHERE detail <> ''
        UNION ALL SELECT 'hint', hint WHERE hint <> '';
END $$;
\set ECHO all
