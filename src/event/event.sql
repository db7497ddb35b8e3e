-- Events: the outbox.

CREATE TABLE makini._event (
	event_id uuid PRIMARY KEY,
	type text NOT NULL,
	occurred_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	connection_id uuid,
	owner_oid oid NOT NULL,
	owner name NOT NULL,
	key text,
	dedupe_key text UNIQUE,
	sequence bigint,
	data jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object')
);
