-- Webhooks: signatures, what can be said about an endpoint, and who may.
-- What is sent is tested where something receives it: test/t/16*.

\set VERBOSITY terse

-- ============================================================
-- Signatures: the reference libraries' vectors
-- ============================================================
\set secret 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
\set private 'whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=='
\set public 'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4='
\set id 'msg_p5jXN8AQM9LWM0D4loKWxJek'
\set body '{"test": 2432232314}'
SELECT makini.webhook_sign(:'secret', :'id', to_timestamp(1614265330), :'body') AS v1 \gset
SELECT makini.webhook_sign(:'private', :'id', to_timestamp(1614265330), :'body') AS v1a \gset
SELECT :'v1', :'v1a';

SELECT makini.webhook_verify(:'secret', :'id', '1614265330', :'body', :'v1', checked_at => to_timestamp(1614265330)) AS v1,
	makini.webhook_verify(:'public', :'id', '1614265330', :'body', :'v1a', checked_at => to_timestamp(1614265330)) AS v1a,
	makini.webhook_verify(:'secret', :'id', '1614265330', :'body', 'v2,x ' || :'v1a' || ' ' || :'v1', checked_at => to_timestamp(1614265330)) AS one_of_several,
	makini.webhook_verify(:'secret', :'id', '1614265330', :'body' || ' ', :'v1', checked_at => to_timestamp(1614265330)) AS other_body,
	makini.webhook_verify(:'secret', 'msg_other', '1614265330', :'body', :'v1', checked_at => to_timestamp(1614265330)) AS other_id,
	makini.webhook_verify(:'secret', :'id', 'hello', :'body', :'v1') AS no_time;
SELECT s AS seconds, makini.webhook_verify(:'secret', :'id', '1614265330', :'body', :'v1', checked_at => to_timestamp(1614265330 + s))
FROM unnest(ARRAY[-301, -300, 300, 301]) s;
SELECT makini.webhook_verify(:'secret', :'id', '1614265330', :'body', :'v1', tolerance => '1 hour', checked_at => to_timestamp(1614265330 + 3600));
SELECT makini.webhook_sign('whsec_', 'a', now(), '');
SELECT makini.webhook_sign('whsec_abc', 'a', now(), '');
SELECT makini.webhook_sign(:'public', 'a', now(), '');
SELECT makini.webhook_sign(:'secret', 'a.b', now(), '');

-- ============================================================
-- Creating
-- ============================================================
-- without a worker it says so once
SET client_min_messages = warning;
SELECT secret ~ '^whsec_[A-Za-z0-9+/]{43}=$' AS made FROM makini.create_webhook('https://hooks.example.com/a');
RESET client_min_messages;
SELECT secret = :'secret' AS given FROM makini.create_webhook('https://hooks.example.com/b?token=x', secret => :'secret',
	events => '{sync.*,order.late}', connections => '{erp*}', headers => '{"authorization": "Bearer t0psecret"}',
	filter => $$data->>'status' = 'failed' OR event->>'type' LIKE 'order.%'$$,
	options => '{"ordering": "key", "rate": 5, "max_in_flight": 2, "timeout": "5 s", "schedule": ["1 min", "1 hour"], "thin": true, "skip_empty": true}');
SELECT secret ~ '^whpk_' AS public FROM makini.create_webhook('https://hooks.example.com/c', secret => 'whsk_');
SELECT secret = :'public' AS public FROM makini.create_webhook('https://hooks.example.com/d', secret => :'private');
SELECT url, owner = current_user AS mine, events, connections, filter, enabled, disabled_reason, api_version, ordering, pending
FROM makini.webhook ORDER BY url;

-- what cannot be
SELECT makini.create_webhook(NULL);
SELECT makini.create_webhook('http://hooks.example.com/');
SELECT makini.create_webhook('https://user:pw@hooks.example.com/');
SELECT makini.create_webhook('https://127.0.0.1/');
SELECT makini.create_webhook('mailto:ops@example.com');
SELECT makini.create_webhook('https://hooks.example.com/', events => '{}');
SELECT makini.create_webhook('https://hooks.example.com/', events => '{order late}');
SELECT makini.create_webhook('https://hooks.example.com/', events => ARRAY[NULL]);
SELECT makini.create_webhook('https://hooks.example.com/', secret => 'password');
SELECT makini.create_webhook('https://hooks.example.com/', secret => 'whsec_c2hvcnQ=');
SELECT makini.create_webhook('https://hooks.example.com/', secret => :'public');
SELECT makini.create_webhook('https://hooks.example.com/', api_version => 'v2');
SELECT makini.create_webhook('https://hooks.example.com/', headers => '[]');
SELECT makini.create_webhook('https://hooks.example.com/', headers => '{"Host": "x"}');
SELECT makini.create_webhook('https://hooks.example.com/', headers => '{"Webhook-Id": "x"}');
SELECT makini.create_webhook('https://hooks.example.com/', headers => '{"x-a": 1}');
SELECT makini.create_webhook('https://hooks.example.com/', headers => '{"x-a": "a\r\nb: c"}');
SELECT makini.create_webhook('https://hooks.example.com/', headers => '{"x a": "a"}');
SELECT makini.create_webhook('https://hooks.example.com/', headers => jsonb_build_object('x-a', repeat('a', 4096)));
SELECT makini.create_webhook('https://hooks.example.com/', options => '{"timeuot": "1 s"}');
SELECT makini.create_webhook('https://hooks.example.com/', options => '{"timeout": "1 h"}');
SELECT makini.create_webhook('https://hooks.example.com/', options => '{"ordering": "random"}');
SELECT makini.create_webhook('https://hooks.example.com/', options => '{"rate": -1}');
SELECT makini.create_webhook('https://hooks.example.com/', options => '{"max_in_flight": 1000}');
SELECT makini.create_webhook('https://hooks.example.com/', options => '{"schedule": "1 h"}');
SELECT makini.create_webhook('https://hooks.example.com/', options => '{"schedule": ["soon"]}');
SELECT makini.create_webhook('https://hooks.example.com/', options => '{"ca_file": "relative.pem"}');

-- a filter is one boolean expression
SELECT makini.create_webhook('https://hooks.example.com/', filter => 'true; DROP TABLE makini._webhook');
SELECT makini.create_webhook('https://hooks.example.com/', filter => 'true) OR (true');
SELECT makini.create_webhook('https://hooks.example.com/', filter => 'true UNION SELECT 1');
SELECT makini.create_webhook('https://hooks.example.com/', filter => 'data');
SELECT makini.create_webhook('https://hooks.example.com/', filter => 'NEW.x = 1');
SELECT makini.create_webhook('https://hooks.example.com/', filter => '');
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT makini.create_webhook('https://hooks.example.com/', filter => $$'\' IS NOT NULL) UNION ALL SELECT 1000000 WHERE (true -- ' IS NOT NULL$$);
RESET standard_conforming_strings;
RESET escape_string_warning;

-- ============================================================
-- Altering
-- ============================================================
SELECT webhook_id AS a FROM makini.webhook WHERE url LIKE '%/a' \gset
SELECT makini.alter_webhook(:'a', '{"events": ["sync.failed"], "filter": "true", "options": {"ordering": "connection"}}');
SELECT events, connections, filter, ordering FROM makini.webhook WHERE webhook_id = :'a';
SELECT makini.alter_webhook(:'a', '{"filter": null}');
SELECT events, filter, ordering FROM makini.webhook WHERE webhook_id = :'a';
SELECT makini.alter_webhook(:'a', '{"event": ["x"]}');
SELECT makini.alter_webhook(:'a', '{"secret": "whsec_"}');
SELECT makini.alter_webhook(:'a', '{"url": null}');
SELECT makini.alter_webhook(:'a', '{"events": "x"}');
SELECT makini.alter_webhook(:'a', '[]');
SELECT makini.alter_webhook(:'a', '{"url": "https://10.0.0.1/"}');
SELECT makini.alter_webhook('00000000-0000-4000-8000-000000000000', '{}');

-- what is probably misspelt
BEGIN;
CREATE SERVER webhook_store FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1');
\set VERBOSITY default
SELECT makini.alter_webhook(:'a', '{"events": ["sync.complete", "sync.unheard_of", "sync.failed", "order.lste", "*"], "connections": ["webhook_stor", "nowhere", "webhook_store", "else*"]}');
SELECT makini.alter_webhook(:'a', '{"url": "https://hooks.example.com/other"}');
SELECT webhook_id IS NOT NULL AS made FROM makini.create_webhook('https://hooks.example.com/m', connections => '{webhook_sotre}', events => '{webhook.tset}');
\set VERBOSITY terse
ROLLBACK;
SELECT makini.disable_webhook(:'a'), makini.disable_webhook(:'a');
SELECT enabled, disabled_reason FROM makini.webhook WHERE webhook_id = :'a';
SELECT makini.enable_webhook(:'a'), makini.enable_webhook(:'a');
SELECT makini.rotate_webhook_secret(:'a') ~ '^whsec_' AS rotated;
SELECT count(*), count(expires_at) FROM makini._webhook_secret WHERE webhook_id = :'a';
SELECT makini.rotate_webhook_secret(webhook_id) ~ '^whpk_' AS rotated FROM makini.webhook WHERE url LIKE '%/c';
SELECT makini.cancel_deliveries(:'a', now());

-- ============================================================
-- Who may
-- ============================================================
CREATE ROLE webhook_author;
CREATE ROLE webhook_reader;
SELECT makini.grant_access('webhook_author', 'admin');
SELECT makini.grant_access('webhook_reader', 'reader');
SET ROLE webhook_author;
SELECT count(*) FROM makini.webhook;
-- messages name the webhook, whose id is another each time
\set VERBOSITY sqlstate
SELECT makini.alter_webhook(:'a', '{"events": ["*"]}');
SELECT makini.disable_webhook(:'a');
SELECT makini.rotate_webhook_secret(:'a');
SELECT makini.drop_webhook(:'a');
SELECT * FROM makini.test_webhook(:'a');
SELECT * FROM makini.test_webhook(:'a', E'order\r\nFrom: <boss@example.com>');
\set VERBOSITY terse
SELECT count(*) FROM makini.create_webhook('https://hooks.example.com/e', options => '{"ca_file": "/etc/ssl/x.pem"}');
SELECT count(*) FROM makini.create_webhook('https://hooks.example.com/e', filter => $$(SELECT count(*) FROM pg_authid) > 0$$);
SELECT count(*) FROM makini.create_webhook('https://hooks.example.com/e');
SELECT url, owner FROM makini.webhook;
SELECT * FROM makini._webhook_secret;
RESET ROLE;
SET ROLE webhook_reader;
SELECT count(*) FROM makini.webhook;
SELECT makini.create_webhook('https://hooks.example.com/f');
SELECT count(*) FROM makini.delivery;
SELECT count(*) FROM makini.delivery_attempt;
RESET ROLE;

-- no view shows a secret
SELECT count(*) FROM makini.webhook w WHERE w::text ~ 'whsec_|whsk_|t0psecret';

-- ============================================================
-- Dropping
-- ============================================================
SELECT makini.drop_webhook(:'a'), makini.drop_webhook(:'a');
SELECT count(makini.drop_webhook(webhook_id)) FROM makini.webhook;
SELECT count(*) FROM makini._webhook_secret;
SELECT makini.revoke_access('webhook_author', 'reader');
SELECT makini.revoke_access('webhook_reader', 'reader');
DROP ROLE webhook_author;
DROP ROLE webhook_reader;
