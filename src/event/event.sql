-- Events: the outbox, the log, and what people see of both.

-- Committed or not: what no sender has seen yet.  Writers only insert, so it has
-- one index, which grows at its end.  Vacuumed often, because each row leaves soon.
CREATE TABLE makini._event (
	event_id uuid PRIMARY KEY,
	type text NOT NULL,
	occurred_at timestamptz NOT NULL,
	connection_id uuid,
	owner_oid oid NOT NULL,
	owner text NOT NULL,
	key text,
	data jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
	-- the rule that raised it, for its counter
	rule_id bigint
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
	autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0,
	autovacuum_analyze_threshold = 50000, autovacuum_vacuum_cost_delay = 0);
SELECT pg_extension_config_dump('makini._event', '');

-- What a sender has seen.  Never updated.
CREATE TABLE makini._event_log (
	event_id uuid PRIMARY KEY,
	type text NOT NULL,
	occurred_at timestamptz NOT NULL,
	connection_id uuid,
	owner_oid oid NOT NULL,
	owner text NOT NULL,
	key text,
	sequence bigint,
	data jsonb NOT NULL
);
CREATE UNIQUE INDEX ON makini._event_log (connection_id, sequence) WHERE connection_id IS NOT NULL;
CREATE INDEX ON makini._event_log USING brin (occurred_at) WITH (autosummarize);

-- The last number given to an event of a connection.
CREATE TABLE makini._event_counter (
	connection_id uuid PRIMARY KEY,
	last_sequence bigint NOT NULL
) WITH (fillfactor = 50);
SELECT pg_extension_config_dump('makini._event_counter', '');

-- Keys given to emit() and their likes, as long as events are kept.  Each owner
-- has its own, lest one could suppress another's events.
CREATE TABLE makini._event_dedupe (
	owner text NOT NULL,
	dedupe_key text NOT NULL,
	event_id uuid NOT NULL,
	PRIMARY KEY (owner, dedupe_key)
);
CREATE INDEX ON makini._event_dedupe (event_id);
SELECT pg_extension_config_dump('makini._event_dedupe', '');

-- What needs a person, as long as it goes on: one event of it each hour.
CREATE TABLE makini._condition (
	component text NOT NULL,
	code text NOT NULL,
	affected text NOT NULL,
	connection_id uuid NOT NULL,
	message text NOT NULL,
	first_seen timestamptz NOT NULL,
	last_seen timestamptz NOT NULL,
	raised_at timestamptz NOT NULL,
	count bigint NOT NULL,
	PRIMARY KEY (component, code, affected, connection_id)
) WITH (fillfactor = 50);

-- The id of this installation, once a sender has told it to somebody.
CREATE TABLE makini._instance (
	instance_id uuid PRIMARY KEY,
	home text NOT NULL
);
CREATE UNIQUE INDEX ON makini._instance ((true));
SELECT pg_extension_config_dump('makini._instance', '');

CREATE FUNCTION makini._instance_id() RETURNS uuid
	LANGUAGE C STABLE STRICT
	AS 'MODULE_PATHNAME', 'makini_instance_id';
REVOKE ALL ON FUNCTION makini._instance_id() FROM PUBLIC;

-- After a restore or a copy, when it has been decided that this is the place where
-- rules and watches run: finds their tables and owners again.
CREATE FUNCTION makini._rehome_events() RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_rehome_events';
REVOKE ALL ON FUNCTION makini._rehome_events() FROM PUBLIC;

-- What senders and schedulers do, for tests and for whoever has neither.
CREATE FUNCTION makini._sequence_events(most integer) RETURNS bigint
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_sequence_events';
REVOKE ALL ON FUNCTION makini._sequence_events(integer) FROM PUBLIC;

CREATE FUNCTION makini._purge_events(most integer) RETURNS bigint
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_purge_events';
REVOKE ALL ON FUNCTION makini._purge_events(integer) FROM PUBLIC;

CREATE VIEW makini.event WITH (security_barrier) AS
	SELECT e.event_id,
		e.type,
		e.occurred_at,
		e.connection_id,
		e.owner::name AS owner,
		e.key,
		e.sequence,
		e.data
	FROM (SELECT event_id, type, occurred_at, connection_id, owner_oid, owner, key, NULL::bigint AS sequence, data
			FROM makini._event
		UNION ALL
		SELECT event_id, type, occurred_at, connection_id, owner_oid, owner, key, sequence, data
			FROM makini._event_log) e
	LEFT JOIN makini._server s ON s.connection_id = e.connection_id
	WHERE CASE
		WHEN s.server_oid IS NOT NULL THEN pg_catalog.has_server_privilege(s.server_oid, 'USAGE')
		-- after a restore the OID may be another role's; at home it was renamed
		ELSE pg_catalog.pg_has_role(e.owner_oid, 'USAGE')
			AND (pg_catalog.pg_get_userbyid(e.owner_oid) = e.owner
				OR (pg_catalog.to_regrole(pg_catalog.quote_ident(e.owner)) IS NULL
					AND EXISTS (SELECT FROM makini._instance i WHERE i.home = makini._home()))
				OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)) END;
COMMENT ON VIEW makini.event IS 'Events of the connections that you may use, and those without a connection that you or a role of yours raised.';
REVOKE ALL ON makini.event FROM PUBLIC;

CREATE FUNCTION makini.emit(type text, data jsonb DEFAULT '{}', connection name DEFAULT NULL,
		key text DEFAULT NULL, dedupe_key text DEFAULT NULL) RETURNS uuid
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_emit';
COMMENT ON FUNCTION makini.emit(text, jsonb, name, text, text) IS
	'Raises an event that is delivered if, and only if, you commit. With a dedupe_key of yours that was there before it raises none and gives the id of that event.';
REVOKE ALL ON FUNCTION makini.emit(text, jsonb, name, text, text) FROM PUBLIC;

CREATE FUNCTION makini.preview_event(event_id uuid, api_version text DEFAULT 'v1') RETURNS text
	LANGUAGE C STABLE STRICT
	AS 'MODULE_PATHNAME', 'makini_preview_event';
COMMENT ON FUNCTION makini.preview_event(uuid, text) IS 'The exact body that is delivered for an event.';
REVOKE ALL ON FUNCTION makini.preview_event(uuid, text) FROM PUBLIC;

CREATE FUNCTION makini._server_dropped() RETURNS event_trigger
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'makini_server_dropped';
REVOKE ALL ON FUNCTION makini._server_dropped() FROM PUBLIC;

CREATE EVENT TRIGGER makini_server_dropped ON sql_drop
	WHEN TAG IN ('DROP SERVER', 'DROP FOREIGN DATA WRAPPER', 'DROP OWNED')
	EXECUTE FUNCTION makini._server_dropped();
COMMENT ON EVENT TRIGGER makini_server_dropped IS 'raises connection.deleted';
