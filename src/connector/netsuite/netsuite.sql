CREATE FUNCTION makini.query(server name, statement text, params text[] DEFAULT '{}')
		RETURNS SETOF jsonb
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_query';
COMMENT ON FUNCTION makini.query(name, text, text[]) IS
	'Runs SuiteQL on a NetSuite server with your user mapping; one JSON object a row. Parameters stand for its question marks.';
REVOKE ALL ON FUNCTION makini.query(name, text, text[]) FROM PUBLIC;
