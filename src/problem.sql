-- The morning query: what of all of makini needs a person.

CREATE VIEW makini.problem WITH (security_barrier) AS
	SELECT p.severity,
		p.since,
		p.server_name AS connection,
		format('sync %s of %s', p.sync_id, p.source) AS object,
		p.message,
		p.hint,
		p.fix_sql
	FROM makini._sync_problem p
	WHERE makini._visible(p.owner_oid, p.server_oid)
	UNION ALL
	SELECT CASE WHEN c.auth = 'expiring' THEN 'warning' ELSE 'error' END,
		CASE WHEN c.health = 'offline' AND c.auth NOT IN ('required', 'expiring') THEN c.health_changed_at
			ELSE c.auth_changed_at END,
		c.server_name,
		format('server %s', c.server_name),
		CASE c.auth
			WHEN 'required' THEN coalesce(c.last_error, 'the remote side refuses the credentials')
			WHEN 'expiring' THEN format('the certificate expires at %s', makini._utc_text(c.certificate_expires_at))
			ELSE coalesce(c.last_error, 'the remote side cannot be reached') END,
		CASE c.auth
			WHEN 'required' THEN 'Correct the user mapping; makini.test_connection() says which part of it is wrong.'
			WHEN 'expiring' THEN 'Make another key and certificate, and register it at the remote side.'
			ELSE 'makini.test_connection() says how far a request comes.' END,
		format('SELECT * FROM makini.test_connection(%L)', c.server_name)
	FROM makini.connection c
	WHERE c.auth IN ('required', 'expiring') OR c.health = 'offline'
	UNION ALL
	SELECT 'warning', NULL, NULL, 'background worker',
		format('%s wait in vain: there is no background worker of makini', u.names), w.remedy, NULL
	FROM makini._worker_remedy() AS w (remedy)
	CROSS JOIN LATERAL (
		SELECT string_agg(n.name, ', ' ORDER BY n.name) AS names
		FROM (SELECT 'schedules of syncs' AS name
			WHERE EXISTS (SELECT FROM makini.sync s WHERE s.enabled AND s.schedule IS NOT NULL)
			UNION ALL
			SELECT 'watches' WHERE EXISTS (SELECT FROM makini.watch t WHERE t.enabled)
			UNION ALL
			SELECT 'webhooks' WHERE EXISTS (SELECT FROM makini.webhook k WHERE k.enabled)) n) u
	WHERE w.remedy IS NOT NULL AND u.names IS NOT NULL
	UNION ALL
	SELECT CASE WHEN d.days_left < 0 THEN 'error' ELSE 'warning' END,
		d.first_seen,
		s.server_name,
		format('server %s', s.server_name),
		format('%s %s at %s', d.path, CASE WHEN d.days_left < 0 THEN 'was to end' ELSE 'will end' END,
			makini._utc_text(d.sunset_at)),
		concat('The remote side announced it: look for a version of makini that uses what follows it.', ' See ' || d.link || '.'),
		NULL
	FROM makini.api_deprecation d
	JOIN makini._server s USING (connection_id)
	WHERE d.days_left < 90
	UNION ALL
	SELECT 'error', w.last_failure_at, NULL, format('webhook %s', w.webhook_id),
		format('it is disabled: %s; %s deliveries wait', w.disabled_reason, w.pending),
		CASE WHEN w.disabled_reason = 'restored' THEN 'Nothing is sent from here until the instance is activated.'
			ELSE 'Enable it when the cause is gone, or drop it.' END,
		CASE WHEN w.disabled_reason = 'restored' THEN 'SELECT makini.activate_instance()'
			WHEN w.disabled_reason LIKE 'the owner %' THEN format('SELECT makini.drop_webhook(%L)', w.webhook_id)
			ELSE format('SELECT makini.enable_webhook(%L)', w.webhook_id) END
	FROM makini.webhook w
	WHERE NOT w.enabled AND w.disabled_reason <> 'disabled by a person'
	UNION ALL
	-- what went well the last time is none any more
	SELECT 'warning', k.first_seen, w.connection, format('watch %s', w.name), k.message,
		'Try it, and alter its query or what that needs.', format('SELECT makini.test_watch(%L)', w.name)
	FROM makini.watch w
	JOIN makini._condition k ON k.component = 'watch' AND k.affected = w.name
	WHERE k.last_seen >= w.last_run_at OR w.last_run_at IS NULL
	UNION ALL
	SELECT 'warning', k.first_seen, r.connection, format('rule %s', r.name), k.message,
		'Statements go on without its events. Try it, and alter its condition or what that needs.',
		format('SELECT makini.test_rule(%L)', r.name)
	FROM makini.rule r
	JOIN makini._condition k ON k.component = 'rule' AND k.affected = r.name
	WHERE k.last_seen > now() - interval '1 day';
COMMENT ON VIEW makini.problem IS 'What needs a person: one row for each thing, with what to do about it.';
