# States of connections: what is learned is kept, told once, and acted upon by
# the scheduler; in outages, with wrong credentials, and before certificates end.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JsonSchema;
use Makini;
use Test::More;

my $sim = Makini::Simulator->new;
my $node = makini_node('connection_state', preload => 1, conf => "makini.retry_base = 1\nmakini.scheduler_linger = '100ms'\n");
connect_server($node, $sim, tables => [ 'item', 'department' ], options => { max_retries => '0' });
$node->safe_psql('postgres', q{
	CREATE FUNCTION advance(by interval) RETURNS timestamptz LANGUAGE C STRICT AS 'makini', 'makini_test_advance_clock';
	CREATE FUNCTION database_state(database oid) RETURNS text LANGUAGE C STRICT AS 'makini', 'makini_test_database_state';
	CREATE VIEW told AS SELECT type, data FROM makini.event WHERE type LIKE 'connection.%' ORDER BY event_id});

sub ask { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub until_query { my ($what, $sql) = @_; ok(until_true($what, sub { ask($sql) eq 't' }), $what); return; }
sub told { my ($type) = @_; return ask("SELECT count(*) FROM told WHERE type = 'connection.$type'"); }

# The scheduler has seen to everything and left.
sub until_idle
{
	ask('SELECT makini._wake()');
	return until_query('nothing is left to do', "SELECT database_state(oid) LIKE 'asleep%' FROM pg_database WHERE datname = current_database()");
}

# Time goes on in steps until something is so.
sub until_later
{
	my ($what, $step, $sql) = @_;
	ok(until_true($what, sub { ask("SELECT advance('$step')"); ask($sql) eq 't' }), $what);
	return;
}

sub until_equal
{
	my ($table) = @_;
	until_query("$table is as the source",
		"SELECT NOT EXISTS (SELECT id FROM erp.$table EXCEPT SELECT id FROM wh.$table WHERE _deleted_at IS NULL)
			AND (SELECT max(lastmodifieddate) FROM erp.$table) = (SELECT max(lastmodifieddate) FROM wh.$table)");
	return;
}

ask("SELECT makini.create_sync('erp.item', 'wh.item', '10 min'), makini.create_sync('erp.department', 'wh.department', '10 min')");
until_query('both syncs have run', "SELECT count(*) = 2 FROM makini.sync WHERE state = 'incremental' AND waiting_for IS NULL");
until_query('that the server answers is kept', "SELECT health = 'online' FROM makini._connection_health");
is(told('online'), 0, 'and not told: nobody had heard of anything else');
is(ask('SELECT auth, used_by_syncs FROM makini.connection_auth'), 'ok|{1,2}', 'its mapping is used by both');

# ---- a weekend without the other side ----
$sim->arm({ kind => '503', count => 1_000_000 });
until_later('after several failures the server is given up', '1 min', "SELECT health = 'offline' FROM makini._connection_health");
until_query('its syncs wait', "SELECT count(*) = 2 FROM makini.sync WHERE waiting_for = 'offline'");
is(told('offline'), 1, 'which is told');
is(ask(q{SELECT data->>'from', data->>'to', data->'error'->>'http_status', data->'error'->>'retryable', jsonb_array_length(data->'affected') FROM told WHERE type = 'connection.offline'}),
	'online|offline|503|true|2', 'with what it means');
my $runs = ask('SELECT count(*) FROM makini.sync_run');
ask("SELECT advance('1 hour')") foreach 1 .. 60;
until_later('somebody tries now and then', '15 min', "SELECT count(*) > $runs + 2 FROM makini.sync_run");
cmp_ok(ask('SELECT count(*) FROM makini.sync_run'), '<', $runs + 90, 'one sync at a time');
cmp_ok(ask("SELECT count(DISTINCT sync_id) FROM makini.sync_run WHERE run_id > $runs"), '==', 2, 'first one, then another');
is(told('offline'), 1, 'a weekend of it is told once');
is(told('online'), 0, 'and nothing else');
is(ask("SELECT health FROM makini.connection"), 'offline', 'the view shows it');
$sim->touch_rows('item', [ 1 .. 3 ], displayname => 'changed meanwhile');
$sim->touch_rows('department', [1], name => 'changed meanwhile');
$sim->disarm;
until_later('it answers again', '15 min', "SELECT health = 'online' FROM makini._connection_health");
until_query('nobody waits', "SELECT count(*) = 2 FROM makini.sync WHERE waiting_for IS NULL AND consecutive_failures = 0");
until_equal($_) foreach 'item', 'department';
is(ask("SELECT string_agg(type, ' ') FROM told"), 'connection.offline connection.online', 'one event for its beginning, one for its end');

# ---- a mapping's trouble is its own ----
ask(q{CREATE ROLE analyst LOGIN; GRANT USAGE ON SCHEMA erp TO analyst; GRANT SELECT ON erp.item TO analyst; SELECT makini.grant_access('analyst', 'reader', 'erp');
	CREATE USER MAPPING FOR analyst SERVER erp OPTIONS (client_id } . "'" . $sim->value('client_id') . "', certificate_id 'nobody', private_key_file '" . $sim->value('private_key_file') . "')");
dies($node, 'BEGIN; SELECT id FROM erp.item; COMMIT', '28000', [], 'an analyst with a wrong certificate is refused', user => 'analyst');
until_query('which is known, though the transaction is rolled back', "SELECT auth = 'required' FROM makini._connection_auth WHERE mapped_role = 'analyst'");
is(ask(q{SELECT data->>'role', data->>'to', data->>'reason', data->'affected' FROM told WHERE type = 'connection.auth_required'}),
	'analyst|required|invalid_grant|[]', 'and told as concerning no sync');
like(ask(q{SELECT data->'error'->>'hint' FROM told WHERE type = 'connection.auth_required'}), qr/^Check in this order: .* names the reason\.$/, 'with all of its hint');
is(ask("SELECT count(*) FROM makini.sync WHERE waiting_for IS NULL"), 2, 'no sync waits');
$runs = ask("SELECT count(*) FROM makini.sync_run WHERE status = 'completed'");
until_later('they go on', '10 min', "SELECT count(*) >= $runs + 2 FROM makini.sync_run WHERE status = 'completed'");
is($node->safe_psql('postgres', 'SELECT mapped_role, auth FROM makini.connection_auth', extra_params => [ '-U', 'analyst' ]),
	'analyst|required', 'he sees his own mapping');

# ---- a sync's credentials ----
ask("ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET certificate_id 'nobody')");
until_later('with wrong credentials syncs wait', '10 min', "SELECT count(*) = 2 FROM makini.sync WHERE waiting_for = 'auth'");
is(ask(q{SELECT data->>'role' = current_user, data->>'from', jsonb_array_length(data->'affected') FROM told WHERE type = 'connection.auth_required' OFFSET 1}),
	't|ok|2', 'and it is told whose they are');
until_query('no run is going on', 'SELECT count(*) = 0 FROM makini._job WHERE worker IS NOT NULL');
$runs = ask('SELECT count(*) FROM makini.sync_run');
ask("SELECT advance('1 hour')") foreach 1 .. 20;
until_idle();
is(ask('SELECT count(*) FROM makini.sync_run'), $runs, 'they do not try: the account would be locked');
is(ask('SELECT health FROM makini.connection'), 'online', 'the server is what it was');
ask("ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET certificate_id 'nobody else')");
until_query('another mapping is tried at once', "SELECT count(*) > $runs FROM makini.sync_run");
until_query('and refused again', "SELECT count(*) = 2 FROM makini.sync WHERE waiting_for = 'auth'");
is(told('auth_required'), 2, 'which is nothing new');
ask("ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET certificate_id '" . $sim->value('certificate_id') . "')");
until_query('the right one lets them go on', "SELECT count(*) = 2 FROM makini.sync WHERE waiting_for IS NULL AND consecutive_failures = 0");
is(told('auth_restored'), 1, 'which is told');

# ---- paused, and a restart ----
is(ask("SELECT makini.pause_connection('erp')"), 't', 'paused');
is(ask("SELECT count(*) FROM makini.sync WHERE waiting_for = 'connection paused'"), 2, 'its syncs wait');
$node->restart;
is(ask('SELECT lifecycle, health, auth, last_ok_at IS NOT NULL FROM makini.connection'), 'paused|online|ok|t', 'a restart forgets no state');
is(ask("SELECT auth FROM makini.connection_auth WHERE mapped_role = 'analyst'"), 'required', 'of no mapping');
$runs = ask('SELECT max(run_id) FROM makini.sync_run');
# the restart has set the clock back
ask('UPDATE makini._sync SET next_run_at = now(); SELECT makini._wake()');
until_idle();
is(ask('SELECT max(run_id) FROM makini.sync_run'), $runs, 'nothing runs');
is(ask("SELECT makini.resume_connection('erp')"), 't', 'resumed');
until_query('they run at once', "SELECT count(DISTINCT sync_id) = 2 FROM makini.sync_run WHERE status = 'completed' AND run_id > $runs");

# ---- somebody holds on to what he found ----
my $holder = Hostile::Session->new($node);
$holder->ask('BEGIN');
$sim->arm({ kind => '503', count => 1_000_000 });
like(($holder->ask(q{SELECT health FROM makini.check_connection('erp')}))[0], qr/^offline$/m, 'a check in a transaction that goes on');
$sim->disarm;
$runs = ask('SELECT max(run_id) FROM makini.sync_run');
ask('SELECT makini.request_sync(1)');
until_later('holds up no sync', '1 min', "SELECT count(*) > 0 FROM makini.sync_run WHERE status = 'completed' AND sync_id = 1 AND run_id > $runs");
$holder->ask('ROLLBACK');
$holder->quit;
until_idle();
is(told('offline'), told('online'), 'whoever tells of it, of its end too');

# ---- given up because of people's queries: no run ends that would wake the scheduler ----
until_idle();
$sim->arm({ kind => '503', count => 1_000_000 });
dies($node, 'SELECT id FROM erp.item', '08006', [], "query $_ finds nobody") foreach 1 .. 5;
until_query('the server is given up', "SELECT health = 'offline' FROM makini._connection_health");
$sim->disarm;
until_later('one tries after a while, and it answers', '1 min', "SELECT health = 'online' FROM makini._connection_health");
until_query('nobody waits any more', "SELECT count(*) = 2 FROM makini.sync WHERE waiting_for IS NULL");

# ---- a table that the role may not read any more ----
$sim->hide('department', undef, 'record');
until_later('a sync that may not read is denied', '10 min', "SELECT state = 'denied' FROM makini.sync WHERE sync_id = 2");
is(ask("SELECT state, waiting_for FROM makini.sync WHERE sync_id = 1"), 'incremental|', 'others are not');
$sim->touch_rows('department', [2], name => 'changed while denied');
$sim->hide('department');
until_later('once it may, it goes on', '1 hour', "SELECT state = 'incremental' FROM makini.sync WHERE sync_id = 2");
until_equal('department');

# ---- certificates ----
my $before = told('auth_expiring');
ask("ALTER USER MAPPING FOR analyst SERVER erp OPTIONS (ADD certificate_expires_at '" . ask("SELECT date_trunc('second', advance('1 s') + interval '40 days')") . "')");
until_idle();
is(told('auth_expiring'), $before, 'a certificate that lasts needs no word');
my $n = $before;
foreach my $days (11, 20, 4, 5)
{
	ask("SELECT advance('$days days')");
	$n++ if $days != 20;
	until_query("after $days days", "SELECT count(*) = $n FROM told WHERE type = 'connection.auth_expiring'");
}
is(ask("SELECT string_agg(data->>'reason', ', ') FROM told WHERE type = 'connection.auth_expiring' AND data->>'role' = 'analyst'"),
	'certificate expires in 29 days, certificate expires in 5 days, certificate has expired', 'three times');

# ---- gone ----
ask('SELECT makini.drop_sync(sync_id) FROM makini.sync; DROP SERVER erp CASCADE');
is(told('deleted'), 1, 'a server that is dropped is told of');
until_query('and forgotten', 'SELECT (SELECT count(*) FROM makini._connection_health) + (SELECT count(*) FROM makini._connection_auth) = 0');

# ---- what was raised meanwhile is as published ----
{
	my ($problems, $types) = own_event_problems($node);

	is_deeply($problems, [], 'every event of makini\'s own is as its schema says');
	cmp_ok($types, '>=', 6, 'of several types');
}

$node->stop;
done_testing();
