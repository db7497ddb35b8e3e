-- What still uses which version of the interface, so that a version can be left
-- before it ends.

CREATE VIEW makini.api_usage WITH (security_barrier) AS
	SELECT u.kind,
		u.object,
		u.owner,
		u.connection_id,
		u.api_version,
		v.status,
		v.deprecated_at,
		v.sunset_at,
		v.replacement
	FROM (
		SELECT 'server' AS kind, s.server_name::text AS object, pg_catalog.pg_get_userbyid(f.srvowner) AS owner,
			s.connection_id, s.api_version
		FROM makini._server s
		JOIN pg_catalog.pg_foreign_server f ON f.oid = s.server_oid
		WHERE pg_catalog.has_server_privilege(s.server_oid, 'USAGE')
		UNION ALL
		-- a table that does not say so is of the first version, which IMPORT FOREIGN SCHEMA v1 makes
		SELECT 'foreign table', t.ftrelid::regclass::text, pg_catalog.pg_get_userbyid(c.relowner), s.connection_id,
			coalesce((SELECT o.option_value FROM pg_catalog.pg_options_to_table(t.ftoptions) o
				WHERE o.option_name = 'api_version'), 'v1')
		FROM makini._server s
		JOIN pg_catalog.pg_foreign_table t ON t.ftserver = s.server_oid
		JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid
		WHERE pg_catalog.has_server_privilege(s.server_oid, 'USAGE')
		UNION ALL
		SELECT 'webhook', w.webhook_id::text, w.owner, NULL, w.api_version
		FROM makini.webhook w
		UNION ALL
		SELECT 'setting',
			CASE WHEN r.setrole = 0 THEN 'every role' ELSE format('role %s', r.setrole::regrole) END,
			CASE WHEN r.setrole <> 0 THEN pg_catalog.pg_get_userbyid(r.setrole) END, NULL, split_part(g.setting, '=', 2)
		FROM pg_catalog.pg_db_role_setting r
		CROSS JOIN LATERAL unnest(r.setconfig) AS g (setting)
		WHERE g.setting LIKE 'makini.api\_version=%'
			AND r.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))
			AND (r.setrole = 0 OR pg_catalog.pg_has_role(r.setrole, 'USAGE'))
	) u
	LEFT JOIN makini._api_version v ON v.version = u.api_version;
COMMENT ON VIEW makini.api_usage IS
	'What still uses which version of the interface: servers, foreign tables, webhooks, and roles for which makini.api_version is set.';
REVOKE ALL ON makini.api_usage FROM PUBLIC;
