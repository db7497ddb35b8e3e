-- What is known of connections, as people see it.

-- Shared memory says what was learned last, the table what it forgot.
CREATE VIEW makini.connection_auth WITH (security_barrier) AS
	SELECT m.connection_id,
		m.mapped_role,
		coalesce(nullif(state.auth, 'unknown'), a.auth, 'unknown') AS auth,
		makini._certificate_expires_at(m.server_oid, m.mapping_oid) AS certificate_expires_at,
		CASE WHEN state.auth IS DISTINCT FROM a.auth THEN coalesce(state.auth_changed_at, a.changed_at)
			ELSE a.changed_at END AS auth_changed_at,
		CASE WHEN state.auth = 'unknown' THEN a.last_error ELSE state.auth_error END AS last_error,
		ARRAY (
			SELECT s.sync_id
			FROM makini._sync s
			WHERE s.connection_id = m.connection_id
				AND (s.owner = m.mapped_role OR m.role_oid = 0 AND NOT EXISTS (
					SELECT FROM makini._mapping o
					WHERE o.server_oid = m.server_oid AND o.mapped_role = s.owner))
			ORDER BY s.sync_id) AS used_by_syncs
	FROM makini._mapping m
	JOIN pg_catalog.pg_foreign_server f ON f.oid = m.server_oid
	LEFT JOIN makini._connection_auth a ON a.connection_id = m.connection_id AND a.mapped_role = m.mapped_role
	LEFT JOIN LATERAL makini._connection_state(m.server_oid, m.mapping_oid) state ON true
	WHERE pg_catalog.has_server_privilege(m.server_oid, 'USAGE')
		AND (m.role_oid = 0 OR pg_catalog.pg_has_role(f.srvowner, 'USAGE')
			OR pg_catalog.pg_has_role(m.role_oid, 'USAGE'));
COMMENT ON VIEW makini.connection_auth IS
	'User mappings that are yours, or on a server of yours: whether the other side lets them in, and which syncs depend on it.';
REVOKE ALL ON makini.connection_auth FROM PUBLIC;
