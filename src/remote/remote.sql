/* ---- remote: what shared memory knows (the functions judge each row themselves) ---- */

CREATE FUNCTION makini._connection_state(
    serverid oid, umid oid,
    OUT health text, OUT last_ok_at timestamptz, OUT last_checked_at timestamptz,
    OUT health_changed_at timestamptz, OUT health_error text,
    OUT auth text, OUT auth_changed_at timestamptz, OUT auth_error text)
    LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT
    AS 'MODULE_PATHNAME', 'makini_connection_state';

CREATE FUNCTION makini._connection_stat(
    OUT serverid oid, OUT day date, OUT used_by text, OUT requests bigint, OUT retries bigint,
    OUT throttled bigint, OUT bytes bigint, OUT wait_ms bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'makini_connection_stat';

CREATE FUNCTION makini._announced_deprecation(
    OUT serverid oid, OUT path text, OUT first_seen timestamptz, OUT last_seen timestamptz,
    OUT deprecated_at timestamptz, OUT sunset_at timestamptz, OUT link text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'makini_announced_deprecation';
