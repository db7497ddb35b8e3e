-- Keys of connections, and trying connections out.

CREATE FUNCTION makini.create_key(algorithm text DEFAULT 'ES256', subject text DEFAULT 'makini',
		days integer DEFAULT 730, server name DEFAULT NULL,
		OUT private_key text, OUT certificate text, OUT expires_at timestamptz)
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_create_key';
COMMENT ON FUNCTION makini.create_key(text, text, integer, name) IS
	'Makes a private key and its self-signed certificate. With a server the key goes unseen into your own user mapping.';
REVOKE ALL ON FUNCTION makini.create_key(text, text, integer, name) FROM PUBLIC;

CREATE FUNCTION makini.test_connection(server name,
		OUT step text, OUT status text, OUT detail text, OUT hint text, OUT ms double precision)
	RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_test_connection';
COMMENT ON FUNCTION makini.test_connection(name) IS
	'Walks from the options of a server and your user mapping to a row, and says at each step how it went.';
REVOKE ALL ON FUNCTION makini.test_connection(name) FROM PUBLIC;

CREATE FUNCTION makini.check_drain(source regclass,
		OUT item text, OUT status text, OUT detail text, OUT hint text)
	RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_check_drain';
COMMENT ON FUNCTION makini.check_drain(regclass) IS
	'What to know before a feed is drained: whether rows can be lost, who else reads them. Asks nothing of the feed.';
REVOKE ALL ON FUNCTION makini.check_drain(regclass) FROM PUBLIC;
