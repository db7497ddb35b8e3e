-- What keeps syncs from being run although they are due.

-- A row for each reason.  A mapping that was refused lets its syncs wait until it
-- is another one; a server that is away, all but the one that is to try.
CREATE VIEW makini._sync_waiting AS
	SELECT s.sync_id, 1 AS rank, 'connection paused' AS waiting_for
	FROM makini._sync s
	JOIN makini._connection c ON c.connection_id = s.connection_id
	WHERE c.lifecycle = 'paused'
	UNION ALL
	SELECT s.sync_id, 2, 'auth'
	FROM makini._sync s
	JOIN makini._connection c ON c.connection_id = s.connection_id
	JOIN makini._connection_auth a ON a.connection_id = s.connection_id AND a.auth = 'required'
	JOIN pg_catalog.pg_foreign_server f ON f.oid = c.server_oid
	JOIN pg_catalog.pg_user_mapping u ON u.umserver = c.server_oid AND u.umuser = a.role_oid
	WHERE a.version = f.xmin || '/' || u.xmin
		AND (u.umuser = s.owner_oid OR u.umuser = 0 AND NOT EXISTS (
			SELECT FROM pg_catalog.pg_user_mapping o WHERE o.umserver = u.umserver AND o.umuser = s.owner_oid))
	UNION ALL
	SELECT s.sync_id, 3, 'offline'
	FROM makini._sync s
	JOIN makini._connection_health h ON h.connection_id = s.connection_id
	WHERE h.health = 'offline' AND NOT (h.probing AND h.probe_sync_id = s.sync_id);
