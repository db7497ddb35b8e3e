-- Runs.

-- Neither SECURITY DEFINER nor SET: either would forbid it to commit.
CREATE PROCEDURE makini.run_sync(sync_id bigint, mode text DEFAULT NULL)
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'makini_run_sync';
COMMENT ON PROCEDURE makini.run_sync(bigint, text) IS
	'Runs a sync now, in this session, committing page by page; mode is incremental, full, verify or what is due.';
REVOKE ALL ON PROCEDURE makini.run_sync(bigint, text) FROM PUBLIC;
