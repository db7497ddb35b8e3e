# One bad endpoint harms only itself: three that hang, fail and reset, and the
# others as quick as ever; rotation of secrets under load.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Webhook;

my $receiver = Webhook::Receiver->new;
my $node = webhook_node('isolation', conf => "makini.scheduler_linger = '10s'\n");

sub query { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

my @good = map { "/good$_" } 1 .. 20;
my %id;
$receiver->script('/hang', delay_ms => 30000, log => 0);
$receiver->script('/fail', status => 500);
$receiver->script('/reset', reset => 1);
$receiver->script($_, secret => $secret) foreach @good;
$id{$_} = create_webhook($node, $receiver, $_, events => '{load.*}') foreach '/hang', '/fail', '/reset', @good;

# ---- a load that the bad ones cannot take ----
foreach my $round (1 .. 20)
{
	query(q{SELECT count(makini.emit('load.event', jsonb_build_object('n', n))) FROM generate_series(1, 10) n});
	usleep(50_000);
}
$receiver->wait_for($_, 200) foreach @good;
foreach my $path (@good)
{
	my $count = $receiver->count($path);
	my $latency = $receiver->latency($path);

	is("$count->{requests} $count->{distinct} $count->{invalid}", '200 200 0', "$path got everything, once");
	note("$path: p50 $latency->{p50_us} us, p99 $latency->{p99_us} us");
}
cmp_ok(query("SELECT pending FROM makini.webhook WHERE webhook_id = '$id{'/hang'}'"), '>', 100, 'while one hung');
cmp_ok($receiver->count('/hang')->{requests}, '<=', 32, 'with no more in flight than it may have');
is(query("SELECT count(*) FROM makini.webhook WHERE enabled"), 23, 'all are enabled');
query("SELECT makini.drop_webhook('$id{$_}')") foreach '/hang', '/fail', '/reset';

# ---- both keys sign until the grace ends ----
my $path = $good[0];
my $new = query("SELECT makini.rotate_webhook_secret('$id{$path}')");
$receiver->forget;
$receiver->script($path, secret => $secret);
query(q{SELECT count(makini.emit('load.event')) FROM generate_series(1, 200)});
$receiver->wait_for($path, 200);
is($receiver->count($path)->{invalid}, 0, 'the old secret verifies during the grace');
$receiver->script($path, secret => $new);
query(q{SELECT count(makini.emit('load.event')) FROM generate_series(1, 200)});
$receiver->wait_for($path, 400);
is($receiver->count($path)->{invalid}, 0, 'so does the new one');
my $newest = query("SELECT makini.rotate_webhook_secret('$id{$path}', '0')");
$receiver->forget;
$receiver->script($path, secret => $newest);
query(q{SELECT count(makini.emit('load.event')) FROM generate_series(1, 50)});
$receiver->wait_for($path, 50);
is($receiver->count($path)->{invalid}, 0, 'without a grace only the newest is left');
is(query("SELECT count(*) FROM makini._webhook_secret WHERE webhook_id = '$id{$path}'"), 1, 'and kept');
query("SELECT makini.rotate_webhook_secret('$id{$path}')") foreach 1 .. 15;
cmp_ok(query("SELECT count(*) FROM makini._webhook_secret WHERE webhook_id = '$id{$path}'"), '<=', 10, 'no more than ten live');

# ---- somebody changes a webhook and does not commit: the others go on ----
my $session = Hostile::Session->new($node);
$session->ask($_) foreach 'BEGIN', "SELECT makini.alter_webhook('$id{$good[1]}', '{\"events\": [\"none.*\"]}')",
  "SELECT makini.disable_webhook('$id{$good[2]}')", "SELECT makini.drop_webhook('$id{$good[3]}')",
  "SELECT makini.cancel_deliveries('$id{$good[4]}', now())";
$receiver->forget;
query(q{SELECT count(makini.emit('load.event')) FROM generate_series(1, 50)});
$receiver->wait_for($good[$_], 50) foreach 1 .. 10;
pass('deliveries go on beside a transaction left open');
$session->ask('ROLLBACK');
$session->quit;

# ---- nor does it change the order of a key, or hold the sender ----
my %ordered = map { $_ => create_webhook($node, $receiver, $_, events => '{line.*}', options => '{"ordering": "key"}') } '/line', '/turn';
$receiver->script($_, delay_ms => 1500, times => 1) foreach keys %ordered;
query(q{SELECT makini.emit('line.' || n, key => 'k') FROM unnest('{one,two}'::text[]) n});
$receiver->wait_for($_, 1) foreach keys %ordered;
my $between = query('SELECT clock_timestamp()');
query(q{SELECT makini.emit('line.three', key => 'k')});
until_query($node, 'all to stand in line', 'SELECT NOT EXISTS (SELECT FROM makini._event)');
$session = Hostile::Session->new($node);
$session->ask($_) foreach 'BEGIN', "SELECT makini.cancel_deliveries('$ordered{'/line'}', '$between')",
  "SELECT makini.alter_webhook('$ordered{'/turn'}', '{\"options\": {\"ordering\": \"none\"}}')";
until_query($node, 'the first of each', q{SELECT count(*) = 2 FROM makini.delivery d JOIN makini.event USING (event_id)
	WHERE type = 'line.one' AND status = 'delivered'});
$receiver->forget;
emit($node, 'load.event');
$receiver->wait_for($good[$_], 1) foreach 5 .. 10;
pass('the others go on');
$session->ask('ROLLBACK');
$session->quit;
until_query($node, 'the rest', q{SELECT count(*) = 6 FROM makini.delivery JOIN makini.event USING (event_id) WHERE type LIKE 'line.%' AND status = 'delivered'});
is(query("SELECT string_agg(type, ' ' ORDER BY started_at) FROM makini.delivery_attempt JOIN makini.event USING (event_id) WHERE webhook_id = '$ordered{$_}'"),
	'line.one line.two line.three', "$_ in order") foreach '/line', '/turn';
query("SELECT makini.drop_webhook('$_')") foreach values %ordered;

# ---- whoever makes a webhook and then an event has both, whatever the sender is doing ----
my $holder = Hostile::Session->new($node);
$holder->ask('BEGIN');
$holder->ask('LOCK TABLE makini._event IN ACCESS EXCLUSIVE MODE');
query('SELECT makini._wake()');
until_query($node, 'the sender to be about to take events', q{SELECT count(*) > 0 FROM pg_locks WHERE relation = 'makini._event'::regclass AND NOT granted});
create_webhook($node, $receiver, '/new', events => '{new.*}');
$holder->ask(q{SELECT makini.emit('new.event')});
$holder->ask('COMMIT');
$holder->quit;
$receiver->wait_for('/new', 1);
pass('a new webhook gets the first event behind it');

# ---- a role is dropped: its webhook is parked, the others go on ----
query("CREATE ROLE leaver; SELECT makini.grant_access('leaver', 'admin')");
my $left = create_webhook($node, $receiver, '/left', role => 'leaver');
query('DROP OWNED BY leaver; DROP ROLE leaver');
query("SELECT makini.alter_webhook('$id{$good[0]}', '{\"events\": [\"load.*\"]}')");
until_query($node, 'the parking', "SELECT NOT enabled FROM makini.webhook WHERE webhook_id = '$left'");
is(query("SELECT disabled_reason FROM makini.webhook WHERE webhook_id = '$left'"), 'the owner of the webhook does not exist any more', 'a webhook without an owner is parked');
$receiver->forget;
emit($node, 'load.event');
$receiver->wait_for($good[$_], 1) foreach 1, 5, 10;
is($receiver->count('/left')->{requests}, 0, 'nothing is sent to it');

# ---- a filter that does not end, even when it is told to, costs its own webhook only ----
$node->safe_psql('postgres', q{
	CREATE FUNCTION stubborn() RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END;
		END LOOP;
	END $$});
my $stubborn = create_webhook($node, $receiver, '/stubborn', events => '{late.*}', filter => 'stubborn()');
create_webhook($node, $receiver, '/beside', events => '{late.*,webhook.*}');
emit($node, 'late.one');
$receiver->wait_for('/beside', 2);
is($node->safe_psql('postgres', "SELECT disabled_reason FROM makini.webhook WHERE webhook_id = '$stubborn'"),
	'the filter did not end when its time was up', 'it is disabled');
emit($node, 'late.two');
$receiver->wait_for('/beside', 3);
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT d.status || ' ' || d.last_error, ',') FROM makini.delivery d WHERE webhook_id = '$stubborn'"),
	'failed filter: the filter did not end when its time was up', 'what it did not judge waits for a replay');

$node->stop;
done_testing();
