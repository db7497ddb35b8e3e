--
-- Events: emit, who sees them, the outbox and the log, numbers, retention.
--
\set VERBOSITY default
\set SHOW_CONTEXT never
-- what other tests left
DELETE FROM makini._event;
DELETE FROM makini._event_log;
CREATE ROLE event_clerk;
CREATE ROLE event_boss;
CREATE ROLE event_other;
CREATE SERVER event_erp FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1234567_SB1');
SELECT makini.grant_access('event_clerk', 'admin', 'event_erp');
SELECT makini.grant_access('event_boss', 'reader');
SELECT makini.grant_access('event_other', 'reader');
GRANT event_clerk TO event_boss;

-- ====
-- what emit takes
-- ====
SELECT makini.emit('sync.late');
SELECT makini.emit('webhook');
SELECT makini.emit('syncs.late') IS NOT NULL AS raised;
SELECT makini.emit('order late');
SELECT makini.emit('order..late');
SELECT makini.emit('.late');
SELECT makini.emit('late.');
SELECT makini.emit('');
SELECT makini.emit(NULL);
SELECT makini.emit('order.late', NULL);
SELECT makini.emit('order.late', '[1]');
SELECT makini.emit('order.late', '17');
SELECT makini.emit('order.late', jsonb_build_object('text', repeat('x', 262144)));
SELECT makini.emit('order.late', jsonb_build_object('numbers', (SELECT jsonb_agg(1e100000) FROM generate_series(1, 11))));
SELECT makini.emit('order.late', '{"number": 1e-16000}') IS NOT NULL AS raised;
SELECT makini.emit('order.late', key => repeat('x', 262145));
SELECT makini.emit('order.late', jsonb_build_object('text', repeat('x', 262000))) IS NOT NULL AS raised;
SELECT makini.emit('order.late', connection => 'event_nowhere');
SELECT makini.emit('order.late', dedupe_key => repeat('k', 1001));
BEGIN READ ONLY;
SELECT makini.emit('order.late');
ROLLBACK;
SELECT makini._sequence_events(100);
DELETE FROM makini._event_log;

-- ====
-- ids have the order of events, within a transaction too; what is rolled back never was
-- ====
BEGIN;
SELECT makini.emit('event.n', jsonb_build_object('n', n)) IS NOT NULL AS raised FROM generate_series(1, 3) n;
SAVEPOINT a;
SELECT makini.emit('event.n', '{"n": 100}') IS NOT NULL AS raised;
ROLLBACK TO a;
SELECT makini.emit('event.n', '{"n": 4}') IS NOT NULL AS raised;
COMMIT;
BEGIN;
SELECT makini.emit('event.n', '{"n": 200}') IS NOT NULL AS raised;
ROLLBACK;
SELECT type, connection_id, owner = current_user AS mine, key, sequence, data FROM makini.event ORDER BY event_id;
SELECT array_agg(data ORDER BY event_id) = array_agg(data ORDER BY occurred_at) AS same_order,
       bool_and(event_id::text ~ '^.{14}7.{4}[89ab]') AS version_7 FROM makini.event;
DELETE FROM makini._event;

-- ====
-- once for each dedupe_key, of each owner
-- ====
SELECT makini.emit('event.once', '{"n": 1}', dedupe_key => 'a') AS first \gset
SELECT makini.emit('event.once', '{"n": 2}', dedupe_key => 'a') = :'first' AS the_first;
SET ROLE event_clerk;
SELECT makini.emit('event.once', '{"n": 3}', dedupe_key => 'a') = :'first' AS the_first;
RESET ROLE;
BEGIN;
SELECT makini.emit('event.once', '{"n": 4}', dedupe_key => 'b') IS NOT NULL AS raised;
ROLLBACK;
SELECT makini.emit('event.once', '{"n": 5}', dedupe_key => 'b') IS NOT NULL AS raised;
SELECT owner = 'event_clerk' AS of_clerk, data FROM makini.event ORDER BY event_id;
DELETE FROM makini._event;
DELETE FROM makini._event_dedupe;

-- ====
-- who sees what
-- ====
SET ROLE event_clerk;
SELECT makini.emit('event.clerk', '{"of": "connection"}', 'event_erp', 'k1') IS NOT NULL AS raised;
SELECT makini.emit('event.clerk', '{"of": "role"}') IS NOT NULL AS raised;
SELECT type, connection_id = (SELECT connection_id FROM makini.connection WHERE server_name = 'event_erp') AS of_erp,
       owner, key, data FROM makini.event ORDER BY event_id;
-- a member of the role, which may use the server
SET ROLE event_boss;
SELECT data FROM makini.event ORDER BY event_id;
RESET ROLE;
-- not a member; and with the server only
REVOKE event_clerk FROM event_boss;
SET ROLE event_boss;
SELECT data FROM makini.event ORDER BY event_id;
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER event_erp TO event_boss;
SET ROLE event_boss;
SELECT data FROM makini.event ORDER BY event_id;
SELECT makini.emit('event.boss');
SET ROLE event_other;
SELECT data FROM makini.event ORDER BY event_id;
SELECT makini.preview_event((SELECT event_id FROM makini.event LIMIT 1));
SELECT * FROM makini._event;
RESET ROLE;
-- nobody else's server
REVOKE USAGE ON FOREIGN SERVER event_erp FROM event_clerk;
SET ROLE event_clerk;
SELECT makini.emit('event.clerk', connection => 'event_erp');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER event_erp TO event_clerk;

-- ====
-- numbers: per connection, without gaps, in the order of events
-- ====
CREATE SERVER event_wms FOREIGN DATA WRAPPER asctrac_fdw OPTIONS (base_url 'https://wms.example.com');
SELECT count(makini.emit('event.n', jsonb_build_object('n', n), CASE WHEN n % 3 > 0 THEN ('{event_erp,event_wms}'::name[])[n % 3] END))
FROM generate_series(1, 9) n;
SELECT count(*), count(sequence) FROM makini.event;
SELECT makini._sequence_events(5);
SELECT makini._sequence_events(5);
SELECT makini._sequence_events(5);
SELECT makini._sequence_events(5);
SELECT server_name, sequence, e.type, e.data FROM makini.event e LEFT JOIN makini.connection USING (connection_id) ORDER BY event_id;
SELECT makini.emit('event.n', '{"n": 10}', 'event_wms') AS tenth \gset
SELECT makini._sequence_events(100);
SELECT sequence FROM makini.event WHERE event_id = :'tenth';
SELECT count(*) FROM makini._event;

-- ====
-- the exact body
-- ====
SELECT regexp_replace(replace(replace(makini.preview_event(:'tenth'), :'tenth', '<id>'), connection_id::text, '<connection>'),
	'"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"(.*)"instance":"[0-9a-f-]{36}"', '"timestamp":"<time>"\1"instance":"<instance>"')
FROM makini.connection WHERE server_name = 'event_wms';
SELECT b ->> 'connection' AS connection, b ->> 'connection_id' AS connection_id, b ->> 'sequence' AS sequence,
       (b ->> 'timestamp')::timestamptz = e.occurred_at AS time, (b ->> 'id')::uuid = e.event_id AS id
FROM makini.event e, LATERAL (SELECT makini.preview_event(e.event_id)::jsonb) AS body (b) WHERE connection_id IS NULL ORDER BY event_id LIMIT 1;
SELECT makini.preview_event(:'tenth', 'v0');
SELECT makini.preview_event('00000000-0000-0000-0000-000000000000');

-- ====
-- types of makini's own: each example fits its schema in what is required
-- ====
SELECT type, api_version FROM makini.event_type ORDER BY type;
SELECT t.type, r AS missing FROM makini.event_type t, jsonb_array_elements_text(schema -> 'required') r WHERE NOT sample ? r;
SELECT t.type, k AS unknown FROM makini.event_type t, jsonb_object_keys(sample) k WHERE NOT schema -> 'properties' ? k;

-- ====
-- pg_notify: by default not by the writer
-- ====
LISTEN makini;
SELECT makini.emit('event.quiet') IS NOT NULL AS raised;
SET makini.notify = 'sometimes';
SHOW makini.notify;
SHOW makini.event_retention;
UNLISTEN *;

-- ====
-- retention
-- ====
SELECT makini._purge_events(100);
CREATE FUNCTION event_age(id uuid, days int) RETURNS uuid LANGUAGE sql
	RETURN (lpad(to_hex((('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint) - days * 86400000::bigint), 12, '0') || right(replace(id::text, '-', ''), 20))::uuid;
UPDATE makini._event_log SET event_id = event_age(event_id, 31) WHERE type = 'event.n';
UPDATE makini._event SET event_id = event_age(event_id, 29);
SELECT makini._purge_events(7);
SELECT makini._purge_events(7);
SELECT makini._purge_events(7);
SELECT type FROM makini.event ORDER BY event_id;

DELETE FROM makini._event;
DELETE FROM makini._event_log;
DELETE FROM makini._event_counter WHERE connection_id IN (SELECT connection_id FROM makini.connection WHERE server_name LIKE 'event\_%');
DELETE FROM makini._connection WHERE server_name LIKE 'event\_%';
DROP FUNCTION event_age(uuid, int);
DROP SERVER event_wms CASCADE;
DROP SERVER event_erp CASCADE;
SELECT makini.revoke_access(r, 'reader') FROM unnest('{event_clerk,event_boss,event_other}'::name[]) r;
DROP ROLE event_clerk, event_boss, event_other;
