# A sender or the whole server ends at any moment: every committed event arrives,
# none that was rolled back does, and what arrives twice has the same webhook-id.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Webhook;

my $events = $ENV{MAKINI_LONG} ? 100_000 : 6_000;
my $kills = $ENV{MAKINI_LONG} ? 40 : 6;
my $receiver = Webhook::Receiver->new;
my $node = webhook_node('crash', conf => "restart_after_crash = on\nfsync = on\nmakini.scheduler_linger = '5s'\n");

sub query { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# Kills a process of the server's by the type it shows; the server comes back by itself.
sub kill_worker
{
	my $pid = $node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'makini scheduler'})
	  ? query(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini scheduler' LIMIT 1}) : '';

	return unless $pid =~ /^\d+$/;
	kill 'KILL', $pid;
	until_up($node, $pid);
	return;
}

# Kills the postmaster; the others go when they notice, and until then it does not start.
sub kill_server
{
	my @pids = split /\n/, query('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');

	$node->kill9;
	Hostile::until_true('its processes to be gone', sub { return !grep { kill 0, $_ } @pids; });
	Hostile::until_true('the server to start', sub { return $node->start(fail_ok => 1); });
	until_up($node);
	return;
}

$receiver->script('/crash', secret => $secret, log => 0);
my $id = create_webhook($node, $receiver, '/crash', events => '{kept.*,lost.*}');

# ---- kills while events are written and sent ----
my $emitted = 0;
my $batch = int($events / $kills);
foreach my $kill (1 .. $kills)
{
	my $committed = query(qq{
		BEGIN; SELECT count(makini.emit('lost.never')) FROM generate_series(1, 20); ROLLBACK;
		WITH e AS (SELECT makini.emit('kept.event', jsonb_build_object('n', n)) FROM generate_series(1, $batch) n) SELECT count(*) FROM e;});

	$emitted += $batch;
	usleep(100_000 * (1 + $kill % 3));
	if ($kill % 3 == 0)
	{
		kill_server();
	}
	else
	{
		kill_worker();
	}
}
until_query($node, 'everything to be sent', "SELECT NOT EXISTS (SELECT FROM makini._event) AND NOT EXISTS (SELECT FROM makini._delivery WHERE webhook_id = '$id')");
is(query('SELECT count(*) FROM makini._event_log'), $emitted, 'every committed event is there');
my $count = $receiver->count('/crash');
is($count->{distinct}, $emitted, "each of $emitted events has arrived, and no other");
is($count->{invalid}, 0, 'all of them signed');
cmp_ok($count->{requests} - $emitted, '<=', $kills * 256, 'what arrived twice was in flight');
note('twice: ' . ($count->{requests} - $emitted));
is(query("SELECT count(*), count(DISTINCT number) FROM makini._delivery_done WHERE webhook_id = '$id'"), "$emitted|$emitted", 'each has a number of its own');
is(query("SELECT min(number) = 1 AND max(number) = count(*) FROM makini._delivery_done WHERE webhook_id = '$id'"), 't', 'without a gap');
is(query("SELECT count(*) FROM makini.delivery WHERE status <> 'delivered'"), 0, 'none was given up');

# ---- what a sender that is gone had claimed is sent by the next, at once ----
sub set_launcher
{
	my ($value) = @_;
	query("ALTER SYSTEM SET makini.launcher = $value");
	$node->reload;
	until_query($node, 'the setting', "SELECT current_setting('makini.launcher') = '$value'");
	return;
}

query("SELECT makini.disable_webhook('$id')");
my $orphan = emit($node, 'kept.orphan');
until_query($node, 'the delivery', "SELECT EXISTS (SELECT FROM makini._delivery WHERE event_id = '$orphan')");
set_launcher('off');
until_query($node, 'the sender to leave', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'makini scheduler'});
query("SELECT makini.enable_webhook('$id'); UPDATE makini._delivery SET claimed_by = 4711 WHERE event_id = '$orphan'");
set_launcher('on');
until_query($node, 'the orphan', "SELECT status = 'delivered' FROM makini.delivery WHERE event_id = '$orphan'");

# ---- a crash is counted, and three are enough ----
query("SELECT makini.disable_webhook('$id')");
my $poison = emit($node, 'kept.poison');
until_query($node, 'the delivery', "SELECT EXISTS (SELECT FROM makini._delivery WHERE event_id = '$poison')");
query("UPDATE makini._delivery SET crashes = 2, claimed_by = 4711 WHERE event_id = '$poison'");
$node->stop('immediate');
$node->start;
query("SELECT makini.enable_webhook('$id')");
until_query($node, 'the quarantine', "SELECT status = 'failed' FROM makini.delivery WHERE event_id = '$poison'");
like(query("SELECT last_error FROM makini.delivery WHERE event_id = '$poison'"), qr/^quarantined/, 'a delivery that ends senders is quarantined');
until_query($node, 'the error', q{SELECT EXISTS (SELECT FROM makini.event WHERE type = 'system.error' AND data ->> 'code' = 'delivery_quarantined')});
is(query("SELECT makini.replay('$poison')"), 1, 'and can be replayed');
until_query($node, 'the replay', "SELECT status = 'delivered' FROM makini.delivery WHERE event_id = '$poison'");
my $suspect = emit($node, 'kept.suspect');
until_sent($node);
is(query("SELECT status FROM makini.delivery WHERE event_id = '$suspect'"), 'delivered', 'others go on');

$node->stop;
done_testing();
