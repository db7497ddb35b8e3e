# Events under hostile conditions: crashes, prepared transactions, dumps, big
# statements, old snapshots, and their data against the published schemas.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use JsonSchema;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = makini_node('events', conf => "max_prepared_transactions = 4\ntrack_functions = 'all'\nrestart_after_crash = on\n");
my $json = JSON::PP->new->canonical->pretty;

sub sql { return $node->safe_psql('postgres', join(";\n", @_)); }

sub fails
{
	my ($statement, $like, $name) = @_;
	my ($code, $stdout, $stderr) = $node->psql('postgres', $statement);

	isnt($code, 0, "$name: fails");
	like($stderr, $like, $name);
	return;
}

sql('CREATE SERVER erp FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id \'1\')',
	map { "CREATE FUNCTION $_ AS 'makini' LANGUAGE C STRICT" } (
		'makini_test_backfill(boolean) RETURNS void', 'makini_test_own_events(name, bigint) RETURNS void',
		'makini_test_system_error(text) RETURNS void', 'makini_test_watch_ms(int) RETURNS void',
		'makini_test_run_due_watch(timestamptz) RETURNS boolean'));

# ---- schemas: of every type, as makini.event_type has them and docs/events publishes them ----

my $types = decode_json(sql('SELECT json_agg(t ORDER BY type) FROM makini.event_type t'));
my %schema = map { $_->{type} => $_ } @$types;

foreach my $type (@$types)
{
	my $file = "docs/events/$type->{type}.$type->{api_version}.json";
	my $text = $json->encode(schema_of_body($type));

	is_deeply([ schema_problems($type->{schema}, $type->{sample}) ], [], "$type->{type}: the sample is as the schema says");
	is(-e $file ? $json->encode($json->decode(slurp_file($file))) : '', $text, "$file says what the extension does (write_event_schemas in test/lib/JsonSchema.pm writes it)");
}

# The bodies of events of a type against their published schema.
sub bodies_are_valid
{
	my ($type, $name) = @_;
	my $bodies = decode_json(sql("SELECT coalesce(json_agg(makini.preview_event(event_id)::json), '[]') FROM makini.event WHERE type = '$type'"));
	my $schema = $schema{$type} ? schema_of_body($schema{$type}) : undef;

	cmp_ok(scalar(@$bodies), '>', 0, "$name: there are some");
	is_deeply([ map { schema_problems($schema, $_) } @$bodies ], [], "$name: as published") if $schema;
	return @$bodies;
}

# ---- what makini raises itself ----
sql(q{INSERT INTO makini._sync (home, connection_id, source_oid, source, target_oid, target, owner_oid, owner, mode, deletes)
	SELECT makini._home(), connection_id, 0, 'erp.item', 0, 'w.item', 10, current_user, 'incremental', 'soft' FROM makini.connection});
my $sync = sql('SELECT sync_id FROM makini._sync');
sql("SELECT makini_test_own_events('erp', $sync)");
bodies_are_valid($_, $_)
  foreach qw(connection.offline connection.online connection.auth_required connection.auth_restored sync.stale sync.fresh api.deprecated);
is(sql(q{SELECT string_agg(type || ' ' || (data -> 'affected')::text, E'\n' ORDER BY event_id) FROM makini.event WHERE type LIKE 'connection.%'}),
	"connection.offline [{\"source\": \"erp.item\", \"sync_id\": $sync}]\n"
	  . "connection.online [{\"source\": \"erp.item\", \"sync_id\": $sync}]\n"
	  . "connection.auth_required [{\"source\": \"erp.item\", \"sync_id\": $sync}]\n"
	  . "connection.auth_restored []", 'which syncs are affected');
is(sql(q{SELECT count(*) FROM makini.event WHERE type = 'api.deprecated'}), '1', 'a deprecation is told once');

# ---- one system.error for each condition and hour, however often it occurs ----
sql(q{SELECT makini_test_system_error('a') FROM generate_series(1, 1000)});
sql(q{SELECT makini_test_system_error('a')}, q{SELECT makini_test_system_error('b')});
bodies_are_valid('system.error', 'system.error');
is(sql(q{SELECT string_agg(data ->> 'code', ',' ORDER BY event_id) FROM makini.event WHERE type = 'system.error'}), 'a,b', 'one event each');
is(sql(q{SELECT count(*) FROM makini._condition}), '2', 'two conditions');
cmp_ok(sql(q{SELECT count FROM makini._condition WHERE code = 'a'}), '>', 500, 'the occurrences are counted');
sql(q{UPDATE makini._condition SET raised_at = raised_at - interval '1 hour'}, q{SELECT makini_test_system_error('a')});
cmp_ok(sql(q{SELECT data ->> 'count' FROM makini.event WHERE type = 'system.error' ORDER BY event_id DESC LIMIT 1}), '>', 500,
	'the next hour\'s event tells how many');

# Another transaction that has counted it is not waited for, and does no harm to one that began before.
{
	my $holder = Hostile::Session->new($node);

	$holder->ask("BEGIN;\nSELECT makini_test_system_error('a');");
	is(sql(q{SET lock_timeout = '10s'}, q{SELECT makini_test_system_error('a')}, 'SELECT 1'), "\n1", 'nobody waits for a counter');
	$holder->ask('COMMIT;');

	my $old = Hostile::Session->new($node);
	$old->ask("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT count(*) FROM makini._condition;");
	sql(q{SELECT makini_test_system_error('a')});
	my ($out, $err) = $old->ask("SELECT makini_test_system_error('a');\nSELECT 'goes on';\nCOMMIT;");
	like($out, qr/goes on/, 'an old snapshot is no reason to fail');
	is($err, '', 'not a word of it');
	$_->quit foreach $holder, $old;
}

# ---- a big statement: one call, in a time that says it was joined and not looped over ----
sql(q{DELETE FROM makini._event}, 'CREATE TABLE stock (id int PRIMARY KEY, n int)',
	q{SELECT makini.create_rule('low', 'stock', 'NEW.n < 10', 'stock.low', options => '{"max_events": 500}')});
sql('INSERT INTO stock SELECT i, 100 FROM generate_series(1, 100000) i');
sql('UPDATE stock SET n = 50');
sql('UPDATE stock SET n = 5 WHERE id <= 400', 'UPDATE stock SET n = 4 WHERE id <= 400');
is(sql(q{SELECT count(*) FROM makini.event WHERE type = 'stock.low'}), '400', 'one event for each row that became low');
until_true('the calls are counted', sub { return sql(q{SELECT calls FROM pg_stat_user_functions WHERE funcname = '_fire_rule'}) eq '4'; });
sql('UPDATE stock SET n = 3');
is(sql(q{SELECT count(*) FROM makini.event WHERE type = 'stock.low'}), '900', 'no more than max_events of one statement');
like(sql(q{SELECT last_error FROM makini.rule}), qr/max_events, 500/, 'which is noted');

# ---- an initial load raises nothing, unless the rule wants it ----
sql('DELETE FROM makini._event');
sql('BEGIN', 'SELECT makini_test_backfill(true)', 'INSERT INTO stock VALUES (-1, 1)', 'COMMIT', 'INSERT INTO stock VALUES (-2, 1)');
is(sql('SELECT string_agg(key, \',\') FROM makini.event'), '-2', 'a load is skipped, to the end of its transaction');
sql(q{SELECT makini.alter_rule('low', '{"options": {"backfill": "emit"}}')}, 'BEGIN', 'SELECT makini_test_backfill(true)',
	'INSERT INTO stock VALUES (-3, 1)', 'COMMIT');
is(sql('SELECT string_agg(key, \',\' ORDER BY event_id) FROM makini.event'), '-2,-3', 'a rule that wants it is told');

# ---- cancelling a statement cancels it, whatever a rule is doing ----
sql('CREATE TABLE slow (id int PRIMARY KEY)',
	q{SELECT makini.create_rule('slow', 'slow', 'NEW.id < 0 OR pg_sleep(60) IS NOT NULL', 'slow.new')});
fails(q{SET statement_timeout = '200ms'; INSERT INTO slow VALUES (1)}, qr/canceling statement due to statement timeout/, 'a timeout in a condition');
is(sql('SELECT count(*) FROM slow'), '0', 'the statement is undone');
is(sql(q{SELECT errors FROM makini.rule WHERE name = 'slow'}), '0', 'that is no error of the rule');

# ---- a watch that takes too long is stopped, and the others are asked ----
sql(q{SELECT makini.create_watch('slow', 'SELECT 1 AS id, pg_sleep(60)', '1 min', 'slow.watch', '{id}')},
	q{SELECT makini.create_watch('quick', 'SELECT 1 AS id', '1 min', 'quick.watch', '{id}', options => '{"initial": "emit"}')});
is(sql(q{SELECT makini_test_watch_ms(100)}, q{SELECT makini_test_run_due_watch(now() + interval '1 s') FROM generate_series(1, 3)}),
	"\nt\nt\nf", 'both were due, no third');
like(sql(q{SELECT last_error FROM makini.watch WHERE name = 'slow'}), qr/longer than/, 'what was wrong is noted');
is(sql(q{SELECT count(*) FROM makini.event WHERE type = 'quick.watch'}), '1', 'the other went well');
is(sql(q{SELECT count(*) FROM makini.watch WHERE next_run_at > now()}), '2', 'both are due later');
sql(q{SELECT makini.drop_watch(name) FROM makini.watch});

# ---- who keeps events for longer than there were computers keeps all ----
sql('DELETE FROM makini._event', q{SELECT makini.emit('old.kept')});
$node->append_conf('postgresql.conf', "makini.event_retention = '100 years'");
$node->reload;
until_true('the setting', sub { return sql('SHOW makini.event_retention') eq '100 years'; });
is(sql('SELECT makini._purge_events(1000)'), '0', 'a retention of a hundred years deletes nothing');
$node->append_conf('postgresql.conf', "makini.event_retention = '30 days'");
$node->reload;

# ---- prepared transactions: events are there when they are committed, with a hint or without ----
sql('DELETE FROM makini._event', q{SET makini.notify = 'with'}, 'BEGIN', q{SELECT makini.emit('prepared.kept')}, q{PREPARE TRANSACTION 'kept'});
sql('BEGIN', q{SELECT makini.emit('prepared.lost')}, q{PREPARE TRANSACTION 'lost'});
is(sql('SELECT count(*) FROM makini.event'), '0', 'not yet');
$node->stop('immediate');
$node->start;
sql(q{COMMIT PREPARED 'kept'});
sql(q{ROLLBACK PREPARED 'lost'});
is(sql('SELECT string_agg(type, \',\') FROM makini.event'), 'prepared.kept', 'what was committed, across a crash');

# ---- makini.notify = with: one notification for a transaction, of what it kept ----
{
	my $session = Hostile::Session->new($node);

	$session->ask("LISTEN makini;\nSET makini.notify = 'with';");
	my ($out) = $session->ask(q{DO $$ BEGIN
		PERFORM makini.emit('with.kept', '{"n": 1}');
		FOR i IN 1..20 LOOP
			BEGIN
				PERFORM makini.emit('with.some');
				IF i % 2 = 0 THEN RAISE division_by_zero; END IF;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
		END LOOP; END $$;} . "\nSELECT 1;");
	my ($first, $last) = split /\|/, sql(q{SELECT min(event_id::text), max(event_id::text) FROM makini.event WHERE type LIKE 'with.%'});
	like($out, qr/"makini" with payload "\{"count":11,"first":"$first","last":"$last"\}"/, 'what was rolled back is not counted');
	is(scalar(() = $out =~ /with payload/g), 1, 'one for all');
	($out) = $session->ask("BEGIN;\nSAVEPOINT a;\nSELECT makini.emit('with.lost');\nROLLBACK TO a;\nCOMMIT;\nSELECT 1;");
	unlike($out, qr/with payload/, 'none where nothing was kept');
	($out) = $session->ask("BEGIN;\nSAVEPOINT a;\nSELECT makini.emit('with.one');\nRELEASE a;\nCOMMIT;\nSELECT 1;");
	like($out, qr/with payload "\{"event_id":"[-0-9a-f]{36}","type":"with.one","connection_id":null\}"/, 'one event is named');
	$session->quit;
}

# ---- the postmaster dies: committed events stay, others never were ----
{
	my $session = Hostile::Session->new($node);

	sql(q{SELECT makini.emit('crash.kept', connection => 'erp')});
	$session->ask("BEGIN;\nSELECT makini.emit('crash.lost', connection => 'erp');");
	$node->stop('immediate');
	$session->kill;
	$node->start;
}
is(sql(q{SELECT string_agg(type, ',') FROM makini.event WHERE type LIKE 'crash.%'}), 'crash.kept', 'events are as durable as their cause');

# ---- many writers, many senders: no number twice, none left out ----
sql('DELETE FROM makini._event', 'DELETE FROM makini._event_log', 'DELETE FROM makini._event_counter');
{
	my @writers = map { Hostile::Session->new($node) } 1 .. 4;
	my @senders = map { Hostile::Session->new($node) } 1 .. 2;

	$_->send(q{DO $$ BEGIN FOR i IN 1..250 LOOP PERFORM makini.emit('n', connection => 'erp'); IF i % 10 = 0 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END $$}) foreach @writers;
	$_->send(q{DO $$ BEGIN FOR i IN 1..200 LOOP PERFORM makini._sequence_events(7); COMMIT; END LOOP; END $$}) foreach @senders;
	$_->result foreach @writers, @senders;
	$_->quit foreach @writers, @senders;
}
sql('SELECT makini._sequence_events(10000)');
is(sql('SELECT count(*), min(sequence), max(sequence), count(DISTINCT sequence) FROM makini.event'), '900|1|900|900', 'numbers without gaps');
is(sql('SELECT count(*) FROM makini._event'), '0', 'the outbox is empty');

# ---- dump and restore: rules come back and wait, undelivered events too, numbers go on ----
sql('CREATE ROLE clerk', 'ALTER TABLE stock RENAME TO stock_now', q{SELECT makini.emit('undelivered.one', connection => 'erp')},
	q{SELECT makini.create_watch('old', 'SELECT id FROM stock_now WHERE n < 0', '1 hour', 'old.row', '{id}')});
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dumps');
sql('CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('copy') ], 'restores');

sub copy { return $node->safe_psql('copy', join(";\n", @_)); }

is(copy('SELECT name, enabled FROM makini.rule WHERE name = \'low\''), 'low|f', 'the rule is there, and waits');
is(copy(q{SELECT string_agg(type, ',') FROM makini.event}), 'undelivered.one', 'undelivered events are there, others not');
copy('INSERT INTO stock_now VALUES (-10, 1)');
is(copy(q{SELECT count(*) FROM makini.event WHERE type = 'stock.low'}), '0', 'it raises nothing');
my ($code, undef, $stderr) = $node->psql('copy', q{SELECT makini.drop_rule('low')});
like($stderr, qr/restored or copied/, 'nor can it be changed');
copy('SELECT makini._rehome_events()');
is(copy('SELECT name, enabled, relation FROM makini.rule WHERE name = \'low\''), 'low|t|public.stock_now', 'put in force it knows its table, renamed or not');
is(copy('SELECT name, enabled FROM makini.watch'), 'old|t', 'so does the watch');
copy('INSERT INTO stock_now VALUES (-11, 1)');
is(copy(q{SELECT key, data ->> 'relation' FROM makini.event WHERE type = 'stock.low'}), '-11|public.stock_now', 'it raises events');
copy(q{SELECT makini._sequence_events(100)});
is(copy(q{SELECT sequence FROM makini.event WHERE type = 'undelivered.one'}), '901', 'numbers go on');
copy(q{SELECT makini.drop_rule('low')});
is(copy(q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'stock_now'::regclass}), '0', 'its triggers go with it');

# ---- a server is dropped ----
sql('CREATE SERVER gone FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id \'2\')', 'CREATE SERVER never FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id \'3\')',
	q{SELECT makini.emit('about.gone', connection => 'gone')}, 'DROP SERVER gone, never');
bodies_are_valid('connection.deleted', 'connection.deleted');
is(sql(q{SELECT string_agg(data ->> 'server', ',') FROM makini.event WHERE type = 'connection.deleted'}), 'gone', 'told of the one that anything was known of');

# ---- an old condition that occurs again in a transaction left open does not hold who tidies up ----
{
	my $session = Hostile::Session->new($node);

	sql(q{INSERT INTO makini._condition (component, code, affected, connection_id, message, first_seen, last_seen, raised_at, count)
		SELECT 'rule', 'XX000', n, '00000000-0000-0000-0000-000000000000', 'old', past, past, past, 1 FROM (SELECT now() - interval '1 year') t(past), unnest('{held,free}'::text[]) n});
	$session->ask($_) foreach 'BEGIN', q{UPDATE makini._condition SET last_seen = now() WHERE affected = 'held'};
	sql(q{SET lock_timeout = '2s'}, 'SELECT makini._purge_events(100)');
	$session->ask('ROLLBACK');
	$session->quit;
	is(sql(q{SELECT string_agg(affected, ',') FROM makini._condition WHERE message = 'old'}), 'held', 'only the other is gone');
}

# ---- the extension goes, and with it the triggers; the tables stay ----
fails('DROP EXTENSION makini', qr/trigger makini_rule_\d+_insert on table \S+ depends on function makini\._fire_rule/, 'rules keep it');
sql('SET client_min_messages = warning', 'DROP EXTENSION makini CASCADE');
is(sql('INSERT INTO stock_now VALUES (-20, 1)', 'SELECT count(*) FROM stock_now WHERE id = -20'), '1', 'the table goes on without');

$node->stop;
done_testing();
