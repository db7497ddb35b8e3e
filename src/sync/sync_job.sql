-- The worker: the queue of jobs, and how people ask for one.

-- A lane of a sync that is to run, or runs.  Not dumped: what is due is queued
-- again from makini._sync.
CREATE TABLE makini._job (
	sync_id bigint NOT NULL REFERENCES makini._sync ON DELETE CASCADE,
	lane text NOT NULL CHECK (lane IN ('incremental', 'backfill')),
	-- NULL: what the sync needs
	mode text CHECK (mode IN ('incremental', 'full', 'verify')),
	due_at timestamptz NOT NULL,
	-- NULL: queued; else the place of the worker that has it, and which use of
	-- that place in which life of the cluster
	worker int,
	token bigint,
	epoch bigint,
	started_at timestamptz,
	-- counted before the work begins, forgotten when it ends
	crashes int NOT NULL DEFAULT 0,
	PRIMARY KEY (sync_id, lane)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
	autovacuum_analyze_threshold = 10000);

-- When the fields of an account were looked at, as a role sees them.  Not dumped:
-- they are looked at again.
CREATE TABLE makini._account_look (
	connection_id uuid NOT NULL,
	role_oid oid NOT NULL,
	due_at timestamptz NOT NULL,
	-- tells the fields there were from others
	mark text,
	-- findings that nothing was done about, each of which is told once
	told text[] NOT NULL DEFAULT '{}',
	PRIMARY KEY (connection_id, role_oid)
);

CREATE FUNCTION makini._instance_obstacle() RETURNS text
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_instance_obstacle';

CREATE FUNCTION makini._worker_remedy() RETURNS text
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_worker_remedy';

-- What a run worker calls for a job.
CREATE PROCEDURE makini._run_job(sync_id bigint, lane text, mode text)
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'makini_run_job';
REVOKE ALL ON PROCEDURE makini._run_job(bigint, text, text) FROM PUBLIC;

CREATE FUNCTION makini.request_sync(sync_id bigint, mode text DEFAULT NULL) RETURNS boolean
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_request_sync';
COMMENT ON FUNCTION makini.request_sync(bigint, text) IS
	'Has the background worker run a sync now; false when it is queued or running already.';
REVOKE ALL ON FUNCTION makini.request_sync(bigint, text) FROM PUBLIC;

CREATE FUNCTION makini.request_syncs(server name, mode text DEFAULT NULL) RETURNS int
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_request_syncs';
COMMENT ON FUNCTION makini.request_syncs(name, text) IS
	'Has the background worker run every enabled sync of a server but drains now; says how many were queued.';
REVOKE ALL ON FUNCTION makini.request_syncs(name, text) FROM PUBLIC;

-- Tells the launcher that there is something to look at in this database.
CREATE FUNCTION makini._wake() RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_wake';
REVOKE ALL ON FUNCTION makini._wake() FROM PUBLIC;
SELECT makini._wake();
