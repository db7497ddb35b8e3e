-- What needs a person.

-- A failed run's hint is the best that is known about what to do; the statement in
-- it, where there is one, is the fix.
CREATE VIEW makini._sync_problem AS
	SELECT s.sync_id,
		h.server_oid,
		h.owner_oid,
		h.server_name,
		h.source,
		h.target,
		p.severity,
		p.since,
		p.message,
		p.hint,
		p.fix_sql
	FROM makini._sync s
	JOIN makini._sync_here h ON h.sync_id = s.sync_id
	LEFT JOIN LATERAL (
		SELECT r.finished_at, r.error_hint
		FROM makini._sync_run r
		WHERE r.sync_id = s.sync_id AND r.status = 'failed'
		ORDER BY r.run_id DESC
		LIMIT 1) f ON true
	CROSS JOIN LATERAL (
		SELECT 'error', f.finished_at, coalesce(s.last_error, 'the last run failed'),
			coalesce(f.error_hint, 'See makini.sync_run for what happened.'),
			coalesce(substring(f.error_hint FROM 'SELECT makini\.\w+\([^)]*\)'),
				format('SELECT makini.resume_sync(%s)', s.sync_id))
		WHERE s.state = 'failed' AND h.source_oid IS NOT NULL AND h.target_oid IS NOT NULL AND h.owner_oid IS NOT NULL
		UNION ALL
		SELECT 'error', f.finished_at, coalesce(s.last_error, 'access was denied'),
			coalesce(f.error_hint, 'Give the role what it lacks, then resume the sync.'),
			format('SELECT makini.resume_sync(%s)', s.sync_id)
		WHERE s.state = 'denied'
		UNION ALL
		SELECT 'warning', f.finished_at,
			CASE WHEN s.consecutive_failures >= 3
				THEN format('%s runs in a row have failed: %s', s.consecutive_failures, s.last_error)
				ELSE s.last_error END,
			coalesce(f.error_hint, 'It goes on by itself when the cause is gone.'), NULL
		WHERE s.state NOT IN ('failed', 'denied') AND s.enabled
			-- without credentials nothing gets better by itself
			AND (s.consecutive_failures >= 3 OR s.last_error_code = '28000' AND s.consecutive_failures > 0
				AND NOT EXISTS (SELECT FROM makini._sync_waiting w WHERE w.sync_id = s.sync_id))
		UNION ALL
		SELECT 'warning', NULL, 'the sync is paused', 'It stays as it is until somebody resumes it.',
			format('SELECT makini.resume_sync(%s)', s.sync_id)
		WHERE NOT s.enabled
		UNION ALL
		SELECT 'error', NULL, 'the sync was restored or copied from another database',
			'Nothing runs here until the instance is activated.', 'SELECT makini.activate_instance()'
		WHERE NOT h.at_home
		UNION ALL
		SELECT 'error', NULL, format('the source %s does not exist any more', h.source),
			'Create it again and make a new sync, or drop this one.',
			format('SELECT makini.drop_sync(%s)', s.sync_id)
		WHERE h.source_oid IS NULL
		UNION ALL
		SELECT 'error', NULL, format('the target %s does not exist any more', h.target),
			'Drop the sync, or alter it to another target.', format('SELECT makini.drop_sync(%s)', s.sync_id)
		WHERE h.target_oid IS NULL
		UNION ALL
		SELECT 'error', NULL, format('the owner %s does not exist any more', h.owner),
			'Nobody''s rights are left to run it with.', format('SELECT makini.drop_sync(%s)', s.sync_id)
		WHERE h.owner_oid IS NULL
		UNION ALL
		SELECT 'warning', s.deletes_denied_at, 'deletes at the source are not seen',
			'The remote role needs to see deleted records (in NetSuite: the permission Deleted Records, level View). Until then only full passes notice what was deleted.',
			format('CALL makini.run_sync(%s, ''full'')', s.sync_id)
		WHERE s.deletes_denied_at IS NOT NULL
		UNION ALL
		SELECT 'warning', min(r.rejected_at), format('%s rows could not be written', count(*)),
			'makini.rejected_row has them with their reasons; try again when the cause is gone, or resolve them.',
			format('SELECT makini.retry_rejected(%s)', s.sync_id)
		FROM makini._rejected_row r
		WHERE r.sync_id = s.sync_id AND r.resolved_at IS NULL
		HAVING count(*) > 0
		UNION ALL
		SELECT 'warning', min(d.seen_at),
			format('%s left out, because the source does not have it or the role may not read it',
				string_agg(quote_ident(d.column_name), ', ' ORDER BY d.column_name)),
			'What the target has of it stays, and each full pass asks for it again. Drop it from the foreign table where it is gone for good.',
			format('SELECT * FROM makini.refresh_schema(%L)', h.source)
		FROM makini._drift d
		WHERE d.sync_id = s.sync_id AND d.change = 'removed' AND d.column_name = ANY (s.left_out)
		HAVING count(*) > 0
		UNION ALL
		SELECT 'warning', min(d.seen_at),
			format('%s has no column in the target that takes its values',
				string_agg(quote_ident(d.column_name), ', ' ORDER BY d.column_name)),
			'Alter the target, or leave it out of the sync with "columns".', NULL
		FROM makini._drift d
		WHERE d.sync_id = s.sync_id AND (d.change = 'type'
			OR d.change = 'added' AND s.options->>'on_schema_change' IS DISTINCT FROM 'extra')
		HAVING count(*) > 0
		UNION ALL
		SELECT 'error', min(a.requested_at),
			format('answers of the feed between %s and %s may have lost rows',
				makini._utc_text(min(a.requested_at)), makini._utc_text(max(a.lost_until))),
			'Only an operator of the remote side can send them again. Note it here when that has been seen to.',
			format('SELECT makini.resolve_drain(%s, ''resent'')', s.sync_id)
		FROM makini._torn_answer a
		WHERE a.sync_id = s.sync_id
		HAVING count(*) > 0
	) p (severity, since, message, hint, fix_sql);
