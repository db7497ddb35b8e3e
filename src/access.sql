-- Who may do what: the levels that grant_access gives, as data.
--
-- Stands last in the script, so that everything named here exists.  A level
-- has everything of those before it.  A function that more than one system
-- offers is listed once, by its signature.

CREATE TABLE makini._access (
	level text NOT NULL CHECK (level IN ('reader', 'operator', 'admin')),
	kind text NOT NULL CHECK (kind IN ('function', 'procedure', 'table')),
	object text NOT NULL,
	PRIMARY KEY (kind, object)
);

INSERT INTO makini._access (level, kind, object) VALUES
	('reader', 'function', 'makini.version()'),
	('reader', 'function', 'makini.api_version()'),
	('reader', 'function', 'makini.test_connection(name)'),
	('reader', 'function', 'makini.check_drain(regclass)'),
	('reader', 'table', 'makini.connection_stat'),
	('reader', 'table', 'makini.api_deprecation'),
	('reader', 'table', 'makini.api_usage'),
	('reader', 'table', 'makini.event'),
	('reader', 'function', 'makini.preview_event(uuid, text)'),
	('admin', 'function', 'makini.emit(text, jsonb, name, text, text)'),
	('reader', 'table', 'makini.rule'),
	('reader', 'function', 'makini.test_rule(text, integer)'),
	('admin', 'function', 'makini.create_rule(text, regclass, text, text, text, text, name, jsonb)'),
	('admin', 'function', 'makini.alter_rule(text, jsonb)'),
	('admin', 'function', 'makini.enable_rule(text)'),
	('admin', 'function', 'makini.disable_rule(text)'),
	('admin', 'function', 'makini.drop_rule(text)'),
	('reader', 'table', 'makini.watch'),
	('reader', 'function', 'makini.test_watch(text, integer)'),
	('admin', 'function', 'makini.create_watch(text, text, text, text, text[], name, jsonb)'),
	('admin', 'function', 'makini.alter_watch(text, jsonb)'),
	('admin', 'function', 'makini.enable_watch(text)'),
	('admin', 'function', 'makini.disable_watch(text)'),
	('admin', 'function', 'makini.drop_watch(text)'),
	('reader', 'function', 'makini.comment_tables(name)'),
	('reader', 'table', 'makini.webhook'),
	('reader', 'table', 'makini.delivery'),
	('reader', 'table', 'makini.delivery_attempt'),
	('reader', 'function', 'makini.webhook_sign(text, text, timestamp with time zone, text)'),
	('reader', 'function', 'makini.webhook_verify(text, text, text, text, text, interval, timestamp with time zone)'),
	('operator', 'function', 'makini.enable_webhook(uuid, timestamp with time zone)'),
	('operator', 'function', 'makini.disable_webhook(uuid)'),
	('operator', 'function', 'makini.test_webhook(uuid, text)'),
	('operator', 'function', 'makini.cancel_deliveries(uuid, timestamp with time zone)'),
	('operator', 'function', 'makini.replay(uuid, uuid)'),
	('operator', 'function', 'makini.replay_webhook(uuid, timestamp with time zone, timestamp with time zone, text[], text)'),
	('admin', 'function', 'makini.create_webhook(text, text[], text[], text, jsonb, text, text, jsonb)'),
	('admin', 'function', 'makini.alter_webhook(uuid, jsonb)'),
	('admin', 'function', 'makini.drop_webhook(uuid)'),
	('admin', 'function', 'makini.rotate_webhook_secret(uuid, interval)'),
	('operator', 'function', 'makini.create_key(text, text, integer, name)'),
	('reader', 'function', 'makini._visible(oid, oid)'),
	('reader', 'function', 'makini._within_span(text)'),
	('reader', 'function', 'makini._utc_text(timestamptz)'),
	('reader', 'function', 'makini._sync_progress()'),
	('reader', 'table', 'makini.sync'),
	('reader', 'table', 'makini.sync_run'),
	('reader', 'table', 'makini.sync_progress'),
	('reader', 'table', 'makini.rejected_row'),
	('reader', 'table', 'makini.sync_check'),
	('reader', 'table', 'makini.sync_difference'),
	('reader', 'table', 'makini.problem'),
	('operator', 'procedure', 'makini.run_sync(bigint, text)'),
	('operator', 'function', 'makini.pause_sync(bigint)'),
	('operator', 'function', 'makini.resume_sync(bigint)'),
	('operator', 'function', 'makini.cancel_sync(bigint)'),
	('admin', 'function', 'makini.create_sync(regclass, text, text, text, text, text, interval, text, text[], text, text[], jsonb, jsonb)'),
	('admin', 'function', 'makini.create_syncs(name, name, text[], text, text, text, text, interval, text, text[], text, text[], jsonb, jsonb)'),
	('admin', 'function', 'makini.alter_sync(bigint, jsonb)'),
	('admin', 'function', 'makini.drop_sync(bigint, boolean)'),
	('admin', 'function', 'makini.reset_sync(bigint, text)'),
	('admin', 'function', 'makini.reset_connection(name, text)'),
	('operator', 'function', 'makini.request_sync(bigint, text)'),
	('operator', 'function', 'makini.request_syncs(name, text)'),
	('admin', 'function', 'makini.activate_instance(text, boolean)'),
	('admin', 'function', 'makini.set_labels(name, jsonb)'),
	('reader', 'table', 'makini.connection_auth'),
	('operator', 'function', 'makini.check_connection(name)'),
	('operator', 'function', 'makini.pause_connection(name)'),
	('operator', 'function', 'makini.resume_connection(name)'),
	('operator', 'function', 'makini.backfill_columns(bigint, text[])'),
	('operator', 'function', 'makini.repair_sync(bigint)'),
	('operator', 'function', 'makini.retry_rejected(bigint, bigint[])'),
	('operator', 'function', 'makini.resolve_rejected(bigint[], text)'),
	('admin', 'function', 'makini.refresh_schema(text, boolean)'),
	('reader', 'table', 'makini.owed_acknowledgement'),
	('operator', 'function', 'makini.acknowledge(bigint, bigint[], boolean, text)'),
	('operator', 'function', 'makini.resolve_drain(bigint, text)'),
	('admin', 'function', 'makini.create_drain(regclass, name, text, text, text, jsonb)'),
	('admin', 'function', 'makini.query(name, text, text[])');

CREATE FUNCTION makini.grant_access(to_role name, level text, server name DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_grant_access';
COMMENT ON FUNCTION makini.grant_access(name, text, name) IS
	'Grants a role the functions and views of a level (reader, operator, admin) and, with a server, its USAGE.';
REVOKE ALL ON FUNCTION makini.grant_access(name, text, name) FROM PUBLIC;

CREATE FUNCTION makini.revoke_access(from_role name, level text, server name DEFAULT NULL) RETURNS void
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_revoke_access';
COMMENT ON FUNCTION makini.revoke_access(name, text, name) IS
	'Takes a level and those above it from a role; with a server, only USAGE of that server.';
REVOKE ALL ON FUNCTION makini.revoke_access(name, text, name) FROM PUBLIC;
