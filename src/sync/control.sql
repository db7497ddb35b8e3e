-- Syncs: what people say about them.

CREATE FUNCTION makini.create_sync(source regclass, target text, schedule text DEFAULT '15 min',
		initial_window text DEFAULT 'auto', mode text DEFAULT 'incremental', deletes text DEFAULT 'soft',
		lookback interval DEFAULT '10 min', initial_filter text DEFAULT NULL, columns text[] DEFAULT NULL,
		filter text DEFAULT NULL, key text[] DEFAULT NULL, constants jsonb DEFAULT '{}',
		options jsonb DEFAULT '{}')
	RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_create_sync';
COMMENT ON FUNCTION makini.create_sync(regclass, text, text, text, text, text, interval, text, text[], text, text[], jsonb, jsonb) IS
	'Keeps a local table in step with a foreign table. The table is made where it is missing; gives the sync''s id.';
REVOKE ALL ON FUNCTION makini.create_sync(regclass, text, text, text, text, text, interval, text, text[], text, text[], jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION makini.create_syncs(source_schema name, target_schema name, tables text[] DEFAULT NULL,
		schedule text DEFAULT '15 min', initial_window text DEFAULT 'auto', mode text DEFAULT 'incremental',
		deletes text DEFAULT 'soft', lookback interval DEFAULT '10 min', initial_filter text DEFAULT NULL,
		columns text[] DEFAULT NULL, filter text DEFAULT NULL, key text[] DEFAULT NULL,
		constants jsonb DEFAULT '{}', options jsonb DEFAULT '{}')
	RETURNS TABLE (source regclass, sync_id bigint, skipped text)
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_create_syncs';
COMMENT ON FUNCTION makini.create_syncs(name, name, text[], text, text, text, text, interval, text, text[], text, text[], jsonb, jsonb) IS
	'A sync for each foreign table of a schema, or for those named, into tables of the same names; says which were left out, and why.';
REVOKE ALL ON FUNCTION makini.create_syncs(name, name, text[], text, text, text, text, interval, text, text[], text, text[], jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION makini.alter_sync(sync_id bigint, changes jsonb) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_alter_sync';
COMMENT ON FUNCTION makini.alter_sync(bigint, jsonb) IS
	'Changes what create_sync was told: a JSON object with the names of its arguments. False where nothing is different.';
REVOKE ALL ON FUNCTION makini.alter_sync(bigint, jsonb) FROM PUBLIC;

CREATE FUNCTION makini.pause_sync(sync_id bigint) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_pause_sync';
COMMENT ON FUNCTION makini.pause_sync(bigint) IS
	'Starts no more runs of a sync; one that is running goes on. False where it is paused already.';
REVOKE ALL ON FUNCTION makini.pause_sync(bigint) FROM PUBLIC;

CREATE FUNCTION makini.resume_sync(sync_id bigint) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_resume_sync';
COMMENT ON FUNCTION makini.resume_sync(bigint) IS
	'Lets a sync run again that was paused, was created without start, is denied or has failed. False where there is nothing to resume.';
REVOKE ALL ON FUNCTION makini.resume_sync(bigint) FROM PUBLIC;

CREATE FUNCTION makini.cancel_sync(sync_id bigint) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_cancel_sync';
COMMENT ON FUNCTION makini.cancel_sync(bigint) IS
	'Stops the runs of a sync, whoever runs them; what they have committed stays, and the next run goes on from there. False where none is running.';
REVOKE ALL ON FUNCTION makini.cancel_sync(bigint) FROM PUBLIC;

CREATE FUNCTION makini.drop_sync(sync_id bigint, drop_target boolean DEFAULT false) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_drop_sync';
COMMENT ON FUNCTION makini.drop_sync(bigint, boolean) IS
	'Forgets a sync and all that is kept about it; its target stays unless drop_target says otherwise. False where the target was gone.';
REVOKE ALL ON FUNCTION makini.drop_sync(bigint, boolean) FROM PUBLIC;

CREATE FUNCTION makini.reset_sync(sync_id bigint, target text DEFAULT 'reconcile') RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_reset_sync';
COMMENT ON FUNCTION makini.reset_sync(bigint, text) IS
	'Begins a sync anew, as when the server points at another account. reconcile: compare everything; truncate: empty the target first; keep: leave in it what the source does not have.';
REVOKE ALL ON FUNCTION makini.reset_sync(bigint, text) FROM PUBLIC;

CREATE FUNCTION makini.reset_connection(server name, target text DEFAULT 'reconcile') RETURNS integer
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_reset_connection';
COMMENT ON FUNCTION makini.reset_connection(name, text) IS
	'reset_sync for every sync of a server but drains; gives their number.';
REVOKE ALL ON FUNCTION makini.reset_connection(name, text) FROM PUBLIC;
