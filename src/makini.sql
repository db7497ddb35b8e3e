-- The extension's schema, its versions.  Relations and functions whose name
-- begins with an underscore are private.

\echo Use "CREATE EXTENSION makini" to load this file. \quit

-- No IF NOT EXISTS: a schema that was there before belongs to somebody else.
CREATE SCHEMA makini;
COMMENT ON SCHEMA makini IS 'NetSuite and ASCTrac as SQL: connections, and what is known of them';
GRANT USAGE ON SCHEMA makini TO PUBLIC;

CREATE FUNCTION makini.version() RETURNS text
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'makini_version';
COMMENT ON FUNCTION makini.version() IS 'Version of the loaded library.';
REVOKE ALL ON FUNCTION makini.version() FROM PUBLIC;

CREATE FUNCTION makini.api_version() RETURNS text
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'makini_api_version_in_force';
COMMENT ON FUNCTION makini.api_version() IS 'Version of the SQL interface and of events that this session speaks.';
REVOKE ALL ON FUNCTION makini.api_version() FROM PUBLIC;

-- Whoever relies on a version has a year and its successor's guide to leave it.
CREATE TABLE makini._api_version (
	version text PRIMARY KEY,
	status text NOT NULL CHECK (status IN ('current', 'deprecated', 'removed')),
	released_at date NOT NULL,
	deprecated_at date CHECK (deprecated_at >= released_at),
	sunset_at date CHECK (sunset_at >= deprecated_at + interval '12 months'),
	replacement text REFERENCES makini._api_version,
	migration_guide text,
	CHECK ((status = 'current') = (deprecated_at IS NULL)),
	CHECK ((status = 'current') = (sunset_at IS NULL)),
	CHECK ((status = 'current') OR (replacement IS NOT NULL AND migration_guide IS NOT NULL))
);
INSERT INTO makini._api_version (version, status, released_at) VALUES ('v1', 'current', '2026-11-23');

CREATE VIEW makini.api_versions WITH (security_barrier) AS
	SELECT version, status, released_at, deprecated_at, sunset_at, replacement, migration_guide
	FROM makini._api_version;
COMMENT ON VIEW makini.api_versions IS 'Versions of the SQL interface: which are in force, until when, and what follows them.';
GRANT SELECT ON makini.api_versions TO PUBLIC;
