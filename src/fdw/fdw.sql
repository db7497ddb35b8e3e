-- The foreign-data wrappers, and what goes with importing tables.

CREATE FUNCTION makini.fdw_handler() RETURNS fdw_handler
    LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'makini_fdw_handler';
COMMENT ON FUNCTION makini.fdw_handler() IS 'routines of makini''s foreign-data wrappers';

CREATE FUNCTION makini.netsuite_fdw_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'netsuite_fdw_validator';
COMMENT ON FUNCTION makini.netsuite_fdw_validator(text[], oid) IS 'checks options of netsuite_fdw';

CREATE FUNCTION makini.asctrac_fdw_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'asctrac_fdw_validator';
COMMENT ON FUNCTION makini.asctrac_fdw_validator(text[], oid) IS 'checks options of asctrac_fdw';

REVOKE ALL ON FUNCTION makini.fdw_handler(), makini.netsuite_fdw_validator(text[], oid),
    makini.asctrac_fdw_validator(text[], oid) FROM PUBLIC;

CREATE FOREIGN DATA WRAPPER netsuite_fdw
    HANDLER makini.fdw_handler
    VALIDATOR makini.netsuite_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER netsuite_fdw IS 'NetSuite, read with SuiteQL';

CREATE FOREIGN DATA WRAPPER asctrac_fdw
    HANDLER makini.fdw_handler
    VALIDATOR makini.asctrac_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER asctrac_fdw IS 'ASCTrac WMS: host interface and interactive service';

CREATE FUNCTION makini.comment_imported() RETURNS event_trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'makini_comment_imported';
REVOKE ALL ON FUNCTION makini.comment_imported() FROM PUBLIC;
COMMENT ON FUNCTION makini.comment_imported() IS
    'comments what an IMPORT FOREIGN SCHEMA has created';

CREATE EVENT TRIGGER makini_comment_imported ON ddl_command_end
    WHEN TAG IN ('IMPORT FOREIGN SCHEMA')
    EXECUTE FUNCTION makini.comment_imported();
COMMENT ON EVENT TRIGGER makini_comment_imported IS
    'comments what an IMPORT FOREIGN SCHEMA has created';

CREATE FUNCTION makini.comment_tables(schema name) RETURNS integer
    LANGUAGE c STRICT
    AS 'MODULE_PATHNAME', 'makini_comment_tables';
REVOKE ALL ON FUNCTION makini.comment_tables(name) FROM PUBLIC;
COMMENT ON FUNCTION makini.comment_tables(name) IS
    'comments the caller''s own foreign tables of makini in a schema from the catalogue; gives their number';

-- What was known of the remote side of a foreign table when it was imported, or
-- when makini.refresh_schema last looked: names and types of columns in turn.
-- relation_oid means something where home is this database, relation elsewhere.
CREATE TABLE makini._imported (
    relation_oid oid NOT NULL,
    relation text NOT NULL,
    home text NOT NULL,
    custom_fields boolean NOT NULL,
    display boolean NOT NULL,
    columns text[] NOT NULL
);
CREATE INDEX ON makini._imported (relation_oid);
SELECT pg_extension_config_dump('makini._imported', '');
