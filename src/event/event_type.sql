-- The types of event that makini raises itself: what their data looks like, as
-- JSON Schema, and an example that it fits.

CREATE TABLE makini._event_type (
	type text NOT NULL,
	api_version text NOT NULL REFERENCES makini._api_version,
	description text NOT NULL,
	schema jsonb NOT NULL,
	sample jsonb NOT NULL,
	PRIMARY KEY (type, api_version)
);

WITH family (prefix, schema) AS (VALUES
	('sync', jsonb '{
		"type": "object",
		"required": ["sync_id", "run_id", "source", "target", "mode", "status", "window", "data_as_of", "rows", "requests", "duration_ms", "error"],
		"properties": {
			"sync_id": {"type": "integer"},
			"run_id": {"type": ["integer", "null"]},
			"source": {"type": "string"},
			"target": {"type": "string"},
			"mode": {"enum": ["initial", "incremental", "full", "drain", "verify"]},
			"status": {"enum": ["running", "completed", "partial", "failed", "cancelled", "stale", "fresh"]},
			"window": {
				"type": ["object", "null"],
				"required": ["from", "to"],
				"properties": {
					"from": {"type": ["string", "null"], "format": "date-time"},
					"to": {"type": ["string", "null"], "format": "date-time"}}},
			"data_as_of": {"type": ["string", "null"], "format": "date-time"},
			"rows": {
				"type": ["object", "null"],
				"required": ["read", "inserted", "updated", "deleted", "unchanged", "rejected"],
				"properties": {
					"read": {"type": "integer"},
					"inserted": {"type": "integer"},
					"updated": {"type": "integer"},
					"deleted": {"type": "integer"},
					"unchanged": {"type": "integer"},
					"rejected": {"type": "integer"}}},
			"requests": {"type": ["integer", "null"]},
			"duration_ms": {"type": ["integer", "null"]},
			"error": {"$ref": "#/$defs/error"}},
		"$defs": {"error": {
			"type": ["object", "null"],
			"required": ["code", "message", "http_status", "hint", "retryable"],
			"properties": {
				"code": {"type": "string"},
				"message": {"type": "string"},
				"http_status": {"type": ["integer", "null"]},
				"hint": {"type": ["string", "null"]},
				"retryable": {"type": "boolean"}}}}}'),
	('connection', '{
		"type": "object",
		"required": ["server", "role", "from", "to", "reason", "error", "affected", "since", "certificate_expires_at"],
		"properties": {
			"server": {"type": "string"},
			"role": {"type": ["string", "null"]},
			"from": {"type": ["string", "null"]},
			"to": {"type": ["string", "null"]},
			"reason": {"type": ["string", "null"]},
			"error": {"$ref": "#/$defs/error"},
			"affected": {
				"type": "array",
				"items": {
					"type": "object",
					"required": ["sync_id", "source"],
					"properties": {"sync_id": {"type": "integer"}, "source": {"type": "string"}}}},
			"since": {"type": ["string", "null"], "format": "date-time"},
			"certificate_expires_at": {"type": ["string", "null"], "format": "date-time"}},
		"$defs": {"error": {
			"type": ["object", "null"],
			"required": ["code", "message", "http_status", "hint", "retryable"],
			"properties": {
				"code": {"type": "string"},
				"message": {"type": "string"},
				"http_status": {"type": ["integer", "null"]},
				"hint": {"type": ["string", "null"]},
				"retryable": {"type": "boolean"}}}}}'),
	('system', '{
		"type": "object",
		"required": ["component", "code", "message", "hint", "connection", "affected", "window", "count", "first_seen"],
		"properties": {
			"component": {"type": "string"},
			"code": {"type": "string"},
			"message": {"type": "string"},
			"hint": {"type": ["string", "null"]},
			"connection": {"type": ["string", "null"]},
			"affected": {"type": "array", "items": {"type": "object"}},
			"window": {
				"type": ["object", "null"],
				"required": ["from", "to"],
				"properties": {
					"from": {"type": ["string", "null"], "format": "date-time"},
					"to": {"type": ["string", "null"], "format": "date-time"}}},
			"count": {"type": "integer", "minimum": 1},
			"first_seen": {"type": "string", "format": "date-time"}}}'),
	('schema', '{
		"type": "object",
		"required": ["server", "relation", "changes", "applied", "sync_ids"],
		"properties": {
			"server": {"type": "string"},
			"relation": {"type": "string"},
			"changes": {
				"type": "array",
				"items": {
					"type": "object",
					"required": ["column", "change", "from", "to"],
					"properties": {
						"column": {"type": "string"},
						"change": {"type": "string"},
						"from": {"type": ["string", "null"]},
						"to": {"type": ["string", "null"]}}}},
			"applied": {"type": "boolean"},
			"sync_ids": {"type": "array", "items": {"type": "integer"}}}}'),
	('api', '{
		"type": "object",
		"required": ["server", "path", "deprecated_at", "sunset_at", "link", "days_left"],
		"properties": {
			"server": {"type": ["string", "null"]},
			"path": {"type": ["string", "null"]},
			"deprecated_at": {"type": ["string", "null"], "format": "date-time"},
			"sunset_at": {"type": ["string", "null"], "format": "date-time"},
			"link": {"type": ["string", "null"]},
			"days_left": {"type": ["integer", "null"]}}}'),
	('api.version_announced', '{
		"type": "object",
		"required": ["version", "status", "released_at", "deprecated_at", "sunset_at", "replacement", "migration_guide"],
		"properties": {
			"version": {"type": "string"},
			"status": {"enum": ["current", "deprecated", "removed"]},
			"released_at": {"type": "string", "format": "date"},
			"deprecated_at": {"type": ["string", "null"], "format": "date"},
			"sunset_at": {"type": ["string", "null"], "format": "date"},
			"replacement": {"type": ["string", "null"]},
			"migration_guide": {"type": ["string", "null"]}}}'),
	('webhook.disabled', '{
		"type": "object",
		"required": ["webhook_id", "url", "reason", "since", "pending"],
		"properties": {
			"webhook_id": {"type": "string", "format": "uuid"},
			"url": {"type": "string"},
			"reason": {"type": "string"},
			"since": {"type": ["string", "null"], "format": "date-time"},
			"pending": {"type": "integer"}}}'),
	('webhook.test', '{
		"type": "object",
		"required": ["webhook_id", "message"],
		"properties": {
			"webhook_id": {"type": "string", "format": "uuid"},
			"message": {"type": "string"}}}'),
	('write', '{
		"type": "object",
		"required": ["submission_id", "target", "operation", "key", "status", "remote_id", "remote_message"],
		"properties": {
			"submission_id": {"type": "integer"},
			"target": {"type": "string"},
			"operation": {"type": "string"},
			"key": {"type": ["string", "null"]},
			"status": {"enum": ["accepted", "partial", "rejected", "unknown"]},
			"remote_id": {"type": ["string", "null"]},
			"remote_message": {"type": ["string", "null"]}}}')),
example (type, description, sample) AS (VALUES
	('sync.started', 'A sync run has begun.', jsonb '{
		"sync_id": 1, "run_id": 118, "source": "erp.item", "target": "warehouse.item", "mode": "incremental", "status": "running",
		"window": {"from": "2026-11-23T08:00:00Z", "to": "2026-11-23T08:05:00Z"}, "data_as_of": "2026-11-23T08:00:00Z",
		"rows": {"read": 0, "inserted": 0, "updated": 0, "deleted": 0, "unchanged": 0, "rejected": 0},
		"requests": 0, "duration_ms": null, "error": null}'),
	('sync.completed', 'A sync run has ended; with status "partial" it left rows in makini.rejected_row.', '{
		"sync_id": 1, "run_id": 118, "source": "erp.item", "target": "warehouse.item", "mode": "incremental", "status": "completed",
		"window": {"from": "2026-11-23T08:00:00Z", "to": "2026-11-23T08:05:00Z"}, "data_as_of": "2026-11-23T08:05:00Z",
		"rows": {"read": 42, "inserted": 2, "updated": 30, "deleted": 1, "unchanged": 10, "rejected": 0},
		"requests": 2, "duration_ms": 640, "error": null}'),
	('sync.failed', 'A sync run has failed; what it had written before stays, the next one goes on from there.', '{
		"sync_id": 1, "run_id": 119, "source": "erp.item", "target": "warehouse.item", "mode": "incremental", "status": "failed",
		"window": {"from": "2026-11-23T08:05:00Z", "to": "2026-11-23T08:10:00Z"}, "data_as_of": "2026-11-23T08:05:00Z",
		"rows": {"read": 0, "inserted": 0, "updated": 0, "deleted": 0, "unchanged": 0, "rejected": 0},
		"requests": 6, "duration_ms": 61200,
		"error": {"code": "08006", "message": "server \"erp\" answered 503", "http_status": 503, "hint": "It is tried again by itself.", "retryable": true}}'),
	('sync.stale', 'The data of a sync is older than its max_staleness.', '{
		"sync_id": 1, "run_id": null, "source": "erp.item", "target": "warehouse.item", "mode": "incremental", "status": "stale",
		"window": null, "data_as_of": "2026-11-23T08:05:00Z", "rows": null, "requests": null, "duration_ms": null, "error": null}'),
	('sync.fresh', 'The data of a sync that was stale is recent again.', '{
		"sync_id": 1, "run_id": 131, "source": "erp.item", "target": "warehouse.item", "mode": "incremental", "status": "fresh",
		"window": null, "data_as_of": "2026-11-23T10:40:00Z", "rows": null, "requests": null, "duration_ms": null, "error": null}'),
	('connection.online', 'A remote system answers again.', '{
		"server": "erp", "role": null, "from": "offline", "to": "online", "reason": null, "error": null,
		"affected": [{"sync_id": 1, "source": "erp.item"}], "since": "2026-11-23T09:12:30Z", "certificate_expires_at": null}'),
	('connection.offline', 'A remote system has not answered several times in a row.', '{
		"server": "erp", "role": null, "from": "online", "to": "offline", "reason": "timeout",
		"error": {"code": "08001", "message": "could not connect to server \"erp\"", "http_status": null, "hint": "It is tried again by itself.", "retryable": true},
		"affected": [{"sync_id": 1, "source": "erp.item"}], "since": "2026-11-23T08:31:02Z", "certificate_expires_at": null}'),
	('connection.auth_required', 'The credentials of a user mapping are refused; its syncs wait until that changes.', '{
		"server": "erp", "role": "etl", "from": "ok", "to": "required", "reason": "invalid_grant",
		"error": {"code": "28000", "message": "server \"erp\" refused the credentials", "http_status": 401, "hint": "Upload the certificate again, or change the user mapping.", "retryable": false},
		"affected": [{"sync_id": 1, "source": "erp.item"}], "since": "2026-11-23T08:31:02Z", "certificate_expires_at": "2028-03-01T00:00:00Z"}'),
	('connection.auth_expiring', 'The certificate of a user mapping expires in 30, 7 or 1 days.', '{
		"server": "erp", "role": "etl", "from": "ok", "to": "expiring", "reason": "certificate expires in 7 days", "error": null,
		"affected": [{"sync_id": 1, "source": "erp.item"}], "since": "2026-11-23T00:00:00Z", "certificate_expires_at": "2026-11-30T00:00:00Z"}'),
	('connection.auth_restored', 'The credentials of a user mapping are accepted again.', '{
		"server": "erp", "role": "etl", "from": "required", "to": "ok", "reason": null, "error": null,
		"affected": [{"sync_id": 1, "source": "erp.item"}], "since": "2026-11-23T09:00:00Z", "certificate_expires_at": "2028-03-01T00:00:00Z"}'),
	('connection.deleted', 'The foreign server of a connection was dropped.', '{
		"server": "erp", "role": null, "from": "online", "to": null, "reason": null, "error": null,
		"affected": [], "since": "2026-11-23T09:00:00Z", "certificate_expires_at": null}'),
	('system.error', 'Something of makini itself needs a person. One event per condition and hour, however often it occurs.', '{
		"component": "rule", "code": "22012", "message": "rule \"low_stock\" could not be evaluated: division by zero",
		"hint": "Look at makini.rule, and try it with makini.test_rule().", "connection": null, "affected": [{"rule": "low_stock"}],
		"window": null, "count": 1, "first_seen": "2026-11-23T08:31:02Z"}'),
	('schema.changed', 'Columns of a remote table have come, gone or changed their type.', '{
		"server": "erp", "relation": "erp.item", "changes": [{"column": "custitem_size", "change": "added", "from": null, "to": "text"}],
		"applied": true, "sync_ids": [1]}'),
	('api.deprecated', 'The remote side announced that a part of its interface will end: at first sight, and 90, 30, 7 and 1 days ahead.', '{
		"server": "erp", "path": "/services/rest/query/v1/suiteql", "deprecated_at": "2026-11-01T00:00:00Z", "sunset_at": "2027-11-01T00:00:00Z",
		"link": "https://example.com/deprecations", "days_left": 342}'),
	('api.version_announced', 'makini itself has a new version of its interface, or ends one.', '{
		"version": "v2", "status": "current", "released_at": "2027-06-01", "deprecated_at": null, "sunset_at": null,
		"replacement": null, "migration_guide": "docs/versions.md"}'),
	('webhook.disabled', 'An endpoint was disabled, because deliveries only failed or it answered 410. Sent to the others.', '{
		"webhook_id": "3f0e8c1c-6f0b-4c3e-9d0a-3a4f1d2b7c55", "url": "https://hooks.example.com/makini", "reason": "only failures for 5 days",
		"since": "2026-11-18T08:00:00Z", "pending": 118}'),
	('webhook.test', 'Sent by makini.test_webhook().', '{
		"webhook_id": "3f0e8c1c-6f0b-4c3e-9d0a-3a4f1d2b7c55", "message": "This is a test."}'),
	('write.accepted', 'The remote side accepted what makini.submit() sent.', '{
		"submission_id": 7, "target": "erp.customer", "operation": "upsert", "key": "C-1001", "status": "accepted", "remote_id": "4711", "remote_message": null}'),
	('write.rejected', 'The remote side did not, or not wholly, accept what makini.submit() sent.', '{
		"submission_id": 8, "target": "erp.customer", "operation": "upsert", "key": "C-1002", "status": "rejected", "remote_id": null,
		"remote_message": "Please enter value(s) for: Subsidiary"}'))
INSERT INTO makini._event_type (type, api_version, description, schema, sample)
	SELECT e.type, 'v1', e.description, f.schema, e.sample
	FROM example e
	JOIN LATERAL (SELECT k.schema FROM family k
		WHERE k.prefix IN (e.type, split_part(e.type, '.', 1))
		ORDER BY length(k.prefix) DESC
		LIMIT 1) f ON true;

CREATE VIEW makini.event_type WITH (security_barrier) AS
	SELECT type, description, api_version, schema, sample FROM makini._event_type;
COMMENT ON VIEW makini.event_type IS 'Types of event that makini raises itself: the JSON Schema of their data, and an example of it.';
GRANT SELECT ON makini.event_type TO PUBLIC;

-- An update of the extension that brings or ends a version announces that, if it commits.
CREATE FUNCTION makini._announce_version() RETURNS trigger
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'makini_announce_version';
REVOKE ALL ON FUNCTION makini._announce_version() FROM PUBLIC;

CREATE TRIGGER announce_new AFTER INSERT ON makini._api_version
	FOR EACH ROW EXECUTE FUNCTION makini._announce_version();
CREATE TRIGGER announce_change AFTER UPDATE ON makini._api_version
	FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION makini._announce_version();
