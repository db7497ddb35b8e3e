-- Syncs as people see them.

-- Is it now within a daily span of time as in 18:00-06:00?
CREATE FUNCTION makini._within_span(span text) RETURNS boolean
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN CASE
		WHEN split_part(span, '-', 1)::time <= split_part(span, '-', 2)::time
			THEN localtime >= split_part(span, '-', 1)::time AND localtime < split_part(span, '-', 2)::time
		ELSE localtime >= split_part(span, '-', 1)::time OR localtime < split_part(span, '-', 2)::time
	END;
REVOKE ALL ON FUNCTION makini._within_span(text) FROM PUBLIC;

CREATE FUNCTION makini._utc_text(moment timestamptz) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN regexp_replace(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\.?0+$', '') || 'Z';
REVOKE ALL ON FUNCTION makini._utc_text(timestamptz) FROM PUBLIC;

CREATE VIEW makini.sync WITH (security_barrier) AS
	SELECT s.sync_id,
		h.source,
		h.target,
		s.connection_id,
		h.server_name,
		h.owner,
		s.schedule,
		s.mode,
		s.initial_window,
		s.history_from,
		s.lookback,
		s.deletes,
		s.enabled,
		CASE WHEN s.enabled THEN s.state ELSE 'paused' END AS state,
		CASE
			WHEN NOT s.enabled THEN NULL
			WHEN NOT h.at_home OR makini._instance_obstacle() IS NOT NULL THEN 'instance'
			WHEN w.waiting_for IS NOT NULL THEN w.waiting_for
			WHEN NOT makini._within_span(s.options->>'backfill_between')
				AND EXISTS (SELECT FROM makini._load l WHERE l.sync_id = s.sync_id AND l.lane = 'backfill')
				THEN 'backfill window'
			WHEN EXISTS (SELECT FROM makini._job j WHERE j.sync_id = s.sync_id AND j.worker IS NULL AND j.due_at <= now())
				THEN 'slot'
		END AS waiting_for,
		makini._utc_text(s.cursor) AS cursor,
		s.data_as_of,
		now() - s.data_as_of AS lag,
		CASE WHEN s.enabled THEN s.next_run_at END AS next_run_at,
		s.last_success_at,
		s.consecutive_failures,
		s.last_error
	FROM makini._sync s
	JOIN makini._sync_here h ON h.sync_id = s.sync_id
	LEFT JOIN LATERAL (
		SELECT k.waiting_for
		FROM makini._sync_waiting k
		WHERE k.sync_id = s.sync_id
		ORDER BY k.rank
		LIMIT 1) w ON true
	WHERE makini._visible(h.owner_oid, h.server_oid);
COMMENT ON VIEW makini.sync IS 'Syncs and drains: what they do, how far they have come and what they wait for.';

CREATE VIEW makini.sync_run WITH (security_barrier) AS
	SELECT r.run_id,
		r.sync_id,
		r.connection_id,
		r.lane,
		r.mode,
		r.status,
		r.started_at,
		r.finished_at,
		r.window_from,
		r.window_to,
		r.pages,
		r.requests,
		r.bytes,
		r.rows_read,
		r.rows_inserted,
		r.rows_updated,
		r.rows_deleted,
		r.rows_unchanged,
		r.rows_rejected,
		r.retries,
		r.wait_ms,
		r.error_code,
		r.error_message,
		r.error_detail,
		r.error_hint,
		r.error_http_status,
		r.remote_operation_id
	FROM makini._sync_run r
	JOIN makini._sync_here h ON h.sync_id = r.sync_id
	WHERE makini._visible(h.owner_oid, h.server_oid);
COMMENT ON VIEW makini.sync_run IS 'Each run of a sync: what it read and wrote, and why it failed.';

CREATE FUNCTION makini._sync_progress(OUT run_id bigint, OUT sync_id bigint, OUT lane text, OUT phase text,
		OUT rows_done bigint, OUT rows_expected bigint, OUT rows_of_run bigint, OUT started_at timestamptz,
		OUT waiting_on text)
	RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_sync_progress';
REVOKE ALL ON FUNCTION makini._sync_progress() FROM PUBLIC;

CREATE VIEW makini.sync_progress WITH (security_barrier) AS
	SELECT p.run_id,
		p.sync_id,
		h.target,
		p.lane,
		p.phase,
		p.rows_done,
		p.rows_expected,
		round(least(100.0 * p.rows_done / nullif(p.rows_expected, 0), 100), 1) AS percent,
		round((p.rows_of_run / nullif(p.seconds, 0))::numeric, 1) AS rows_per_second,
		CASE WHEN p.rows_of_run > 0 THEN
			make_interval(secs => round(greatest(p.rows_expected - p.rows_done, 0) * p.seconds / p.rows_of_run))
		END AS eta,
		p.waiting_on
	FROM (SELECT *, extract(epoch FROM clock_timestamp() - started_at)::double precision AS seconds
		FROM makini._sync_progress()) p
	JOIN makini._sync_here h ON h.sync_id = p.sync_id
	WHERE makini._visible(h.owner_oid, h.server_oid);
COMMENT ON VIEW makini.sync_progress IS 'Runs of syncs that go on now, and how long they will yet take.';

CREATE VIEW makini.rejected_row WITH (security_barrier) AS
	SELECT r.rejected_id,
		r.run_id,
		r.sync_id,
		r.rejected_at,
		r.key,
		r.data,
		r.column_name,
		r.reason,
		r.resolved_at,
		r.resolution
	FROM makini._rejected_row r
	JOIN makini._sync_here h ON h.sync_id = r.sync_id
	WHERE makini._visible(h.owner_oid, h.server_oid);
COMMENT ON VIEW makini.rejected_row IS 'Rows that could not be written, each with its reason; those without resolved_at wait for somebody.';

CREATE VIEW makini.sync_check WITH (security_barrier) AS
	SELECT c.check_id,
		c.sync_id,
		c.started_at,
		c.finished_at,
		b.bucket,
		b.key_from,
		b.key_to,
		b.source_rows,
		b.target_rows,
		b.missing,
		b.extra,
		b.different
	FROM makini._sync_check c
	JOIN makini._sync_here h ON h.sync_id = c.sync_id
	LEFT JOIN makini._check_bucket b ON b.check_id = c.check_id
	WHERE makini._visible(h.owner_oid, h.server_oid);
COMMENT ON VIEW makini.sync_check IS 'Results of comparing targets with their sources, by part of the key''s order.';

CREATE VIEW makini.sync_difference WITH (security_barrier) AS
	SELECT d.check_id,
		d.key,
		d.kind,
		d.columns
	FROM makini._sync_difference d
	JOIN makini._sync_check c ON c.check_id = d.check_id
	JOIN makini._sync_here h ON h.sync_id = c.sync_id
	WHERE makini._visible(h.owner_oid, h.server_oid);
COMMENT ON VIEW makini.sync_difference IS 'Rows that a check found missing in a target, extra in it, or different.';
