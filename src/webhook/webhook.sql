-- Webhooks: who is told of which events, what is still to be sent, what was.

-- One row per endpoint.  Headers may hold credentials: as text, sealed where
-- makini.key_file is set, as the secrets below.
CREATE TABLE makini._webhook (
	webhook_id uuid PRIMARY KEY,
	home text NOT NULL,
	owner_oid oid NOT NULL,
	owner text NOT NULL,
	url text NOT NULL,
	events text[] NOT NULL,
	connections text[] NOT NULL,
	headers text NOT NULL,
	filter text,
	-- the search_path that the filter was written under
	filter_path text,
	api_version text NOT NULL,
	options jsonb NOT NULL,
	enabled boolean NOT NULL DEFAULT true,
	-- failures before this are not held against it
	enabled_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	disabled_reason text,
	-- of everything that is said about it or its deliveries: what a sender compares
	version int NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
SELECT pg_extension_config_dump('makini._webhook', '');

-- Every secret signs until it expires.
CREATE TABLE makini._webhook_secret (
	webhook_id uuid NOT NULL REFERENCES makini._webhook ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	expires_at timestamptz,
	secret text NOT NULL
);
CREATE INDEX ON makini._webhook_secret (webhook_id);
SELECT pg_extension_config_dump('makini._webhook_secret', '');

-- What sending has come to; the last number that a delivery was given.
CREATE TABLE makini._webhook_state (
	webhook_id uuid PRIMARY KEY,
	last_number bigint NOT NULL DEFAULT 0,
	last_success_at timestamptz,
	last_failure_at timestamptz,
	-- since when there have been failures only
	failing_since timestamptz,
	consecutive_failures int NOT NULL DEFAULT 0,
	-- milliseconds of deliveries: how many took up to 2^(i/2)
	latency int[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
SELECT pg_extension_config_dump('makini._webhook_state', '');

-- What is still to be sent, and nothing else.  While claimed_by is a sender's
-- number, next_attempt_at is when its lease runs out.  In an ordered webhook all
-- but the first of each ordering_key wait at infinity.
CREATE TABLE makini._delivery (
	event_id uuid NOT NULL,
	webhook_id uuid NOT NULL,
	-- given when it is first sent or put in line; replays of what it never got have none before
	number bigint,
	ordering_key text,
	attempts int NOT NULL DEFAULT 0,
	next_attempt_at timestamptz NOT NULL,
	claimed_by bigint,
	-- how often a sender began with it and was not heard of again: such a delivery is
	-- sent alone, in case that it is why
	crashes int NOT NULL DEFAULT 0,
	manual boolean NOT NULL DEFAULT false,
	last_status int,
	last_error text,
	PRIMARY KEY (event_id, webhook_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
	autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0,
	autovacuum_analyze_threshold = 50000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX _delivery_due ON makini._delivery (webhook_id, next_attempt_at, number);
CREATE INDEX _delivery_order ON makini._delivery (webhook_id, ordering_key, number)
	WHERE ordering_key IS NOT NULL;
CREATE INDEX _delivery_suspect ON makini._delivery (crashes) WHERE crashes > 0;
SELECT pg_extension_config_dump('makini._delivery', '');

-- What has been sent, or won't be any more.
CREATE TABLE makini._delivery_done (
	event_id uuid NOT NULL,
	webhook_id uuid NOT NULL,
	number bigint,
	status text NOT NULL CHECK (status IN ('delivered', 'failed', 'cancelled')),
	attempts int NOT NULL,
	delivered_at timestamptz,
	last_status int,
	last_error text,
	PRIMARY KEY (event_id, webhook_id)
);

CREATE TABLE makini._delivery_attempt (
	event_id uuid NOT NULL,
	webhook_id uuid NOT NULL,
	attempt int NOT NULL,
	started_at timestamptz NOT NULL,
	duration_ms int NOT NULL,
	status int,
	error text,
	response text,
	manual boolean NOT NULL
);
CREATE INDEX ON makini._delivery_attempt (event_id);

-- Webhooks that the reader may see: its own, those of roles it is a member of,
-- and those bound to a connection by name that it may use.
CREATE VIEW makini._webhook_seen AS
	SELECT w.webhook_id
	FROM makini._webhook w
	WHERE pg_catalog.pg_has_role(
			CASE WHEN w.home = makini._home() THEN w.owner_oid
				ELSE coalesce(pg_catalog.to_regrole(pg_catalog.quote_ident(w.owner))::oid, 0) END,
			'USAGE')
		OR EXISTS (
			SELECT
			FROM makini._server s
			WHERE s.server_name = ANY (w.connections)
				AND pg_catalog.has_server_privilege(s.server_oid, 'USAGE'));

CREATE FUNCTION makini._latency(latency int[], share float8) RETURNS float8
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'makini_latency';

CREATE FUNCTION makini._event_matches(type text, patterns text[]) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'makini_event_matches';

CREATE FUNCTION makini._event_deliverable(role oid, connection_id uuid, owner oid) RETURNS boolean
	LANGUAGE C STABLE
	AS 'MODULE_PATHNAME', 'makini_event_deliverable';
REVOKE ALL ON FUNCTION makini._event_deliverable(oid, uuid, oid) FROM PUBLIC;

CREATE VIEW makini.webhook WITH (security_barrier) AS
	SELECT w.webhook_id,
		coalesce(o.rolname, w.owner::name) AS owner,
		w.url,
		w.events,
		w.connections,
		w.filter,
		w.enabled AND w.home = makini._home() AS enabled,
		CASE WHEN w.home = makini._home() THEN w.disabled_reason ELSE 'restored' END AS disabled_reason,
		w.api_version,
		coalesce(w.options ->> 'ordering', 'none') AS ordering,
		w.created_at,
		s.last_success_at,
		s.last_failure_at,
		coalesce(s.consecutive_failures, 0) AS consecutive_failures,
		d.pending,
		(SELECT e.occurred_at FROM makini._event_log e WHERE e.event_id = d.oldest) AS oldest_pending_at,
		CASE WHEN pg_catalog.isfinite(d.next_attempt_at) THEN d.next_attempt_at END AS next_attempt_at,
		makini._latency(s.latency, 0.5) AS p50_ms,
		makini._latency(s.latency, 0.99) AS p99_ms
	FROM makini._webhook w
	JOIN makini._webhook_seen USING (webhook_id)
	LEFT JOIN pg_catalog.pg_roles o ON o.oid = w.owner_oid AND w.home = makini._home()
	LEFT JOIN makini._webhook_state s USING (webhook_id)
	CROSS JOIN LATERAL (
		SELECT count(*) AS pending,
			(SELECT q.event_id FROM makini._delivery q WHERE q.webhook_id = w.webhook_id
				ORDER BY q.event_id LIMIT 1) AS oldest,
			min(q.next_attempt_at) AS next_attempt_at
		FROM makini._delivery q
		WHERE q.webhook_id = w.webhook_id) d;
COMMENT ON VIEW makini.webhook IS 'Webhooks: where events are sent, which, and how that goes.';
REVOKE ALL ON makini.webhook FROM PUBLIC;

CREATE VIEW makini.delivery WITH (security_barrier) AS
	SELECT d.event_id, d.webhook_id, d.status, d.attempts, d.next_attempt_at, d.delivered_at, d.last_status, d.last_error
	FROM (SELECT event_id, webhook_id, 'pending' AS status, attempts,
			CASE WHEN claimed_by IS NULL AND pg_catalog.isfinite(next_attempt_at) THEN next_attempt_at END AS next_attempt_at,
			NULL::timestamptz AS delivered_at, last_status, last_error
		FROM makini._delivery
		UNION ALL
		SELECT event_id, webhook_id, status, attempts, NULL, delivered_at, last_status, last_error
		FROM makini._delivery_done) d
	JOIN makini._webhook_seen USING (webhook_id);
COMMENT ON VIEW makini.delivery IS 'Each event for each webhook that gets it: pending, delivered, failed or cancelled.';
REVOKE ALL ON makini.delivery FROM PUBLIC;

CREATE VIEW makini.delivery_attempt WITH (security_barrier) AS
	SELECT a.event_id, a.webhook_id, a.attempt, a.started_at, a.duration_ms, a.status, a.error, a.response,
		CASE WHEN a.manual THEN 'manual' ELSE 'scheduled' END AS caused_by
	FROM makini._delivery_attempt a
	JOIN makini._webhook_seen USING (webhook_id);
COMMENT ON VIEW makini.delivery_attempt IS 'Every request sent to a webhook: when, how long it took and what was answered.';
REVOKE ALL ON makini.delivery_attempt FROM PUBLIC;

-- ---- signatures ----

CREATE FUNCTION makini.webhook_sign(secret text, id text, sent_at timestamptz, body text) RETURNS text
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'makini_webhook_sign';
COMMENT ON FUNCTION makini.webhook_sign(text, text, timestamptz, text) IS
	'The signature that Standard Webhooks puts into the header webhook-signature.';
REVOKE ALL ON FUNCTION makini.webhook_sign(text, text, timestamptz, text) FROM PUBLIC;

CREATE FUNCTION makini.webhook_verify(secret text, id text, sent_at text, body text, signature text,
		tolerance interval DEFAULT '5 min', checked_at timestamptz DEFAULT pg_catalog.now()) RETURNS boolean
	LANGUAGE C STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'makini_webhook_verify';
COMMENT ON FUNCTION makini.webhook_verify(text, text, text, text, text, interval, timestamptz) IS
	'Whether a request signed as Standard Webhooks says, with these headers and body, is genuine and fresh.';
REVOKE ALL ON FUNCTION makini.webhook_verify(text, text, text, text, text, interval, timestamptz) FROM PUBLIC;

-- ---- endpoints ----

CREATE FUNCTION makini.create_webhook(url text, events text[] DEFAULT '{*}', connections text[] DEFAULT '{*}',
		secret text DEFAULT NULL, headers jsonb DEFAULT '{}', filter text DEFAULT NULL, api_version text DEFAULT 'v1',
		options jsonb DEFAULT '{}', OUT webhook_id uuid, OUT secret text) RETURNS record
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_create_webhook';
COMMENT ON FUNCTION makini.create_webhook(text, text[], text[], text, jsonb, text, text, jsonb) IS
	'Has events sent to a URL; gives the id of the webhook and, this once, what its receiver verifies signatures with.';
REVOKE ALL ON FUNCTION makini.create_webhook(text, text[], text[], text, jsonb, text, text, jsonb) FROM PUBLIC;

CREATE FUNCTION makini.alter_webhook(webhook_id uuid, changes jsonb) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_alter_webhook';
COMMENT ON FUNCTION makini.alter_webhook(uuid, jsonb) IS
	'Changes what create_webhook was given; keys are its arguments'' names.';
REVOKE ALL ON FUNCTION makini.alter_webhook(uuid, jsonb) FROM PUBLIC;

CREATE FUNCTION makini.enable_webhook(webhook_id uuid, since timestamptz DEFAULT NULL) RETURNS boolean
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_enable_webhook';
COMMENT ON FUNCTION makini.enable_webhook(uuid, timestamptz) IS
	'Sends to a webhook again: all that was kept for it, only events since a time, or with infinity none of them. False where it was enabled.';
REVOKE ALL ON FUNCTION makini.enable_webhook(uuid, timestamptz) FROM PUBLIC;

CREATE FUNCTION makini.disable_webhook(webhook_id uuid) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_disable_webhook';
COMMENT ON FUNCTION makini.disable_webhook(uuid) IS
	'Keeps events for a webhook instead of sending them. False where it was disabled.';
REVOKE ALL ON FUNCTION makini.disable_webhook(uuid) FROM PUBLIC;

CREATE FUNCTION makini.drop_webhook(webhook_id uuid) RETURNS boolean
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_drop_webhook';
COMMENT ON FUNCTION makini.drop_webhook(uuid) IS
	'Removes a webhook with all that is pending for it. False where there is none.';
REVOKE ALL ON FUNCTION makini.drop_webhook(uuid) FROM PUBLIC;

CREATE FUNCTION makini.rotate_webhook_secret(webhook_id uuid, grace interval DEFAULT '24 hours') RETURNS text
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_rotate_webhook_secret';
COMMENT ON FUNCTION makini.rotate_webhook_secret(uuid, interval) IS
	'Gives a webhook a new secret and shows it once; the present ones sign beside it until the grace ends.';
REVOKE ALL ON FUNCTION makini.rotate_webhook_secret(uuid, interval) FROM PUBLIC;

-- ---- deliveries ----

CREATE FUNCTION makini.test_webhook(webhook_id uuid, type text DEFAULT 'webhook.test')
	RETURNS TABLE (event_id uuid, delivered boolean, status int, duration_ms int, response text, error text)
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_test_webhook';
COMMENT ON FUNCTION makini.test_webhook(uuid, text) IS
	'Sends a webhook a sample of a type of event at once, from this session, and says what it answered; nothing is stored.';
REVOKE ALL ON FUNCTION makini.test_webhook(uuid, text) FROM PUBLIC;

CREATE FUNCTION makini.cancel_deliveries(webhook_id uuid, before timestamptz) RETURNS bigint
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_cancel_deliveries';
COMMENT ON FUNCTION makini.cancel_deliveries(uuid, timestamptz) IS
	'Gives up what is pending for a webhook of events before a time; gives their number.';
REVOKE ALL ON FUNCTION makini.cancel_deliveries(uuid, timestamptz) FROM PUBLIC;

CREATE FUNCTION makini.replay(event_id uuid, webhook_id uuid DEFAULT NULL) RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_replay';
COMMENT ON FUNCTION makini.replay(uuid, uuid) IS
	'Sends an event again, to one webhook or to all of yours that had it; gives the number of deliveries.';
REVOKE ALL ON FUNCTION makini.replay(uuid, uuid) FROM PUBLIC;

CREATE FUNCTION makini.replay_webhook(webhook_id uuid, since timestamptz, until timestamptz DEFAULT pg_catalog.now(),
		events text[] DEFAULT NULL, only_state text DEFAULT 'undelivered') RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_replay_webhook';
COMMENT ON FUNCTION makini.replay_webhook(uuid, timestamptz, timestamptz, text[], text) IS
	'Sends a webhook the events of a span of time again, those it has not got or all; gives their number.';
REVOKE ALL ON FUNCTION makini.replay_webhook(uuid, timestamptz, timestamptz, text[], text) FROM PUBLIC;

CREATE PROCEDURE makini._send(idle_ms int DEFAULT 50, wait boolean DEFAULT true)
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'makini_send';
REVOKE ALL ON PROCEDURE makini._send(int, boolean) FROM PUBLIC;
