-- Connections: what makini keeps about foreign servers, and what it shows of them.

CREATE FUNCTION makini._home() RETURNS text
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'makini_home';

CREATE FUNCTION makini._computed_connection_id(server_oid oid) RETURNS uuid
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'makini_computed_connection_id';

-- One row per connection that something was ever noted about.  server_oid means
-- something where home is this database, server_name everywhere else.
CREATE TABLE makini._connection (
	connection_id uuid PRIMARY KEY,
	server_oid oid NOT NULL,
	server_name name NOT NULL,
	home text NOT NULL,
	lifecycle text NOT NULL DEFAULT 'active' CHECK (lifecycle IN ('active', 'paused')),
	labels jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(labels) = 'object')
);
CREATE INDEX ON makini._connection (server_oid);
CREATE INDEX ON makini._connection (server_name);
SELECT pg_extension_config_dump('makini._connection', '');

-- What was last made known of a server.  What was learned since is in shared
-- memory; src/event/connection_state.c brings the two together.
CREATE TABLE makini._connection_health (
	connection_id uuid PRIMARY KEY REFERENCES makini._connection ON UPDATE CASCADE ON DELETE CASCADE,
	health text NOT NULL DEFAULT 'unknown' CHECK (health IN ('online', 'offline', 'unknown')),
	changed_at timestamptz,
	last_ok_at timestamptz,
	last_checked_at timestamptz,
	last_error text,
	-- which row of pg_foreign_server this is about
	server_version text NOT NULL,
	-- what the last event said, and when one last said "offline"
	told text CHECK (told IN ('online', 'offline')),
	told_offline_at timestamptz,
	-- while it is offline: one sync at a time tries, later and later
	probes int NOT NULL DEFAULT 0,
	probe_at timestamptz,
	probe_started_at timestamptz,
	probe_sync_id bigint,
	probing boolean NOT NULL DEFAULT false
);
SELECT pg_extension_config_dump('makini._connection_health', '');

-- The same of a user mapping; mapped_role is 'public' for that of PUBLIC.
CREATE TABLE makini._connection_auth (
	connection_id uuid NOT NULL REFERENCES makini._connection ON UPDATE CASCADE ON DELETE CASCADE,
	mapped_role name NOT NULL,
	role_oid oid NOT NULL,
	auth text NOT NULL DEFAULT 'unknown' CHECK (auth IN ('ok', 'required', 'expiring', 'unknown')),
	changed_at timestamptz,
	last_error text,
	-- which rows of pg_foreign_server and pg_user_mapping it was refused with
	version text NOT NULL DEFAULT '',
	certificate_expires_at timestamptz,
	-- an event has said that it expires within so many days
	told_days int,
	PRIMARY KEY (connection_id, mapped_role)
);
SELECT pg_extension_config_dump('makini._connection_auth', '');

-- Every server of makini's wrappers with its stored row, whoever may see it.
CREATE VIEW makini._server AS
	SELECT coalesce(c.connection_id, makini._computed_connection_id(s.oid)) AS connection_id,
		s.oid AS server_oid,
		s.srvname AS server_name,
		w.fdwname AS wrapper,
		coalesce((SELECT option_value FROM pg_catalog.pg_options_to_table(s.srvoptions)
				WHERE option_name = 'api_version'), 'v1') AS api_version,
		coalesce(c.lifecycle, 'active') AS lifecycle,
		coalesce(c.labels, '{}') AS labels
	FROM pg_catalog.pg_foreign_server s
	JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw
	JOIN pg_catalog.pg_proc p ON p.oid = w.fdwhandler
	LEFT JOIN LATERAL (
		SELECT k.connection_id, k.lifecycle, k.labels
		FROM makini._connection k
		WHERE (k.home = makini._home() AND k.server_oid = s.oid)
			OR (k.home <> makini._home() AND k.server_name = s.srvname)
		ORDER BY k.home = makini._home() DESC, k.connection_id
		LIMIT 1) c ON true
	WHERE p.pronamespace = 'makini'::pg_catalog.regnamespace;

-- Every mapping of those servers; role is NULL for the one of PUBLIC.
CREATE VIEW makini._mapping AS
	SELECT s.connection_id,
		s.server_oid,
		u.oid AS mapping_oid,
		u.umuser AS role_oid,
		coalesce(r.rolname, 'public') AS mapped_role
	FROM makini._server s
	JOIN pg_catalog.pg_user_mapping u ON u.umserver = s.server_oid
	LEFT JOIN pg_catalog.pg_authid r ON r.oid = u.umuser;

CREATE FUNCTION makini._certificate_expires_at(server_oid oid, mapping_oid oid) RETURNS timestamptz
	LANGUAGE C STABLE STRICT
	AS 'MODULE_PATHNAME', 'makini_certificate_expires_at';

-- Functions in a view run with its reader's rights, so PUBLIC may execute these
-- and makini._connection_state; each judges for itself what the reader may see.
--
-- Shared memory forgets with a restart what was last made known.
CREATE VIEW makini.connection WITH (security_barrier) AS
	SELECT s.connection_id,
		s.server_name,
		s.wrapper,
		s.api_version,
		s.lifecycle,
		coalesce(nullif(state.health, 'unknown'), h.health, 'unknown') AS health,
		coalesce(nullif(state.auth, 'unknown'), a.auth, 'unknown') AS auth,
		m.mapped_role,
		makini._certificate_expires_at(s.server_oid, m.mapping_oid) AS certificate_expires_at,
		greatest(state.last_ok_at, h.last_ok_at) AS last_ok_at,
		greatest(state.last_checked_at, h.last_checked_at) AS last_checked_at,
		CASE WHEN state.health IS DISTINCT FROM h.health THEN coalesce(state.health_changed_at, h.changed_at)
			ELSE h.changed_at END AS health_changed_at,
		CASE WHEN state.auth IS DISTINCT FROM a.auth THEN coalesce(state.auth_changed_at, a.changed_at)
			ELSE a.changed_at END AS auth_changed_at,
		coalesce(CASE WHEN state.auth = 'unknown' THEN a.last_error ELSE state.auth_error END,
			CASE WHEN state.health = 'unknown' THEN h.last_error ELSE state.health_error END) AS last_error,
		s.labels
	FROM makini._server s
	LEFT JOIN LATERAL (
		SELECT k.mapping_oid, k.mapped_role
		FROM makini._mapping k
		WHERE k.server_oid = s.server_oid
			AND (k.role_oid = 0 OR k.mapped_role = current_user)
		ORDER BY k.role_oid = 0
		LIMIT 1) m ON true
	LEFT JOIN makini._connection_health h ON h.connection_id = s.connection_id
	LEFT JOIN makini._connection_auth a ON a.connection_id = s.connection_id AND a.mapped_role = m.mapped_role
	LEFT JOIN LATERAL makini._connection_state(s.server_oid, m.mapping_oid) state ON true
	WHERE pg_catalog.has_server_privilege(s.server_oid, 'USAGE');
COMMENT ON VIEW makini.connection IS 'Foreign servers of makini''s wrappers that you may use: their state, and that of your own user mapping.';
GRANT SELECT ON makini.connection TO PUBLIC;

CREATE VIEW makini.connection_stat WITH (security_barrier) AS
	SELECT s.connection_id,
		c.day,
		c.used_by,
		c.requests,
		c.retries,
		c.throttled,
		c.bytes,
		c.wait_ms
	FROM makini._connection_stat() c
	JOIN makini._server s ON s.server_oid = c.serverid
	WHERE pg_catalog.has_server_privilege(s.server_oid, 'USAGE');
COMMENT ON VIEW makini.connection_stat IS 'Requests per connection, day and purpose, counted outside transactions since the server started.';

CREATE FUNCTION makini.set_labels(server name, labels jsonb) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_set_labels';
COMMENT ON FUNCTION makini.set_labels(name, jsonb) IS 'Keeps a JSON object of your own notes with a connection.';
REVOKE ALL ON FUNCTION makini.set_labels(name, jsonb) FROM PUBLIC;
