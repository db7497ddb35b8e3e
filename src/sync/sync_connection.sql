-- Connections: asking how they are, stopping and starting what uses them.

CREATE FUNCTION makini.check_connection(server name) RETURNS makini.connection
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_check_connection';
COMMENT ON FUNCTION makini.check_connection(name) IS
	'Asks the other side now whether it answers and lets you in, keeps the result, and raises the events that it implies.';
REVOKE ALL ON FUNCTION makini.check_connection(name) FROM PUBLIC;

CREATE FUNCTION makini.pause_connection(server name) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_pause_connection';
COMMENT ON FUNCTION makini.pause_connection(name) IS
	'Starts no more runs of the syncs of a server; those that are running go on. False where it is paused already.';
REVOKE ALL ON FUNCTION makini.pause_connection(name) FROM PUBLIC;

CREATE FUNCTION makini.resume_connection(server name) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_resume_connection';
COMMENT ON FUNCTION makini.resume_connection(name) IS
	'Lets the syncs of a server that was paused run again. False where it was not.';
REVOKE ALL ON FUNCTION makini.resume_connection(name) FROM PUBLIC;
