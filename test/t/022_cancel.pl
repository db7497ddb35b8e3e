# Whatever a session waits for on its way to the other side: a cancel, a timeout
# and a termination end it at once, and nobody else waits for it meanwhile.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Names that take long to be resolved.
my $dir = PostgreSQL::Test::Utils::tempdir('resolver');
system_or_bail($ENV{CC} // 'cc', '-shared', '-fPIC', '-o', "$dir/slow_dns.so", 'test/lib/slow_dns.c', '-ldl');

my $sim = Makini::Simulator->new('--scale', '0.02');
my $node = PostgreSQL::Test::Cluster->new('cancel');
$node->init;
$node->append_conf('postgresql.conf', "makini.retry_base = 1\nclient_connection_check_interval = '100ms'\nmax_connections = 40");
{
	local $ENV{LD_PRELOAD} = "$dir/slow_dns.so";
	$node->start;
}
$node->safe_psql('postgres', 'CREATE EXTENSION makini');
my ($port) = $sim->value('url') =~ /:(\d+)$/;

# A server of its own account for each way of waiting, so that none disturbs another.
my $n = 0;

sub server
{
	my ($name, %options) = @_;

	connect_server($node, $sim, server => $name,
		options => { account_id => 'TEST' . ++$n, request_timeout => '120s', connect_timeout => '60s', %options });
	$node->safe_psql('postgres', "CREATE FOREIGN TABLE $name (id bigint, itemid text) SERVER $name OPTIONS (entity 'item', key 'id')");
	return;
}

my @query = (path => 'query/v1/suiteql', count => 0);
my %state = (
	dns => { options => { base_url => "https://slow.test:$port" }, wait => 'MakiniHttp|MakiniToken' },
	connect => { options => { base_url => $sim->value('blackhole_url') }, wait => 'MakiniHttp|MakiniToken' },
	tls => { faults => [ { kind => 'hang_connect', path => 'connect:https', count => 0 } ], wait => 'MakiniHttp|MakiniToken' },
	in_tls => { faults => [ { kind => 'hang_tls', path => 'connect:https', count => 0 } ], wait => 'MakiniHttp|MakiniToken' },
	renewal => { faults => [ { kind => '401', @query }, { kind => 'hang', path => 'oauth2/v1/token', count => 0, after => 1 } ], wait => 'MakiniToken' },
	first_byte => { faults => [ { kind => 'hang', @query } ], wait => 'MakiniHttp' },
	drip => { faults => [ { kind => 'drip', bytes => 1, interval_ms => 250, @query } ], wait => 'MakiniHttp' },
	back_off => { faults => [ { kind => '503', retry_after => 100, @query } ], wait => 'MakiniBackoff' },
	token_request => { faults => [ { kind => 'hang', path => 'oauth2/v1/token', count => 0 } ], wait => 'MakiniToken' },
	governor => { options => { max_concurrency => 1, sync_concurrency => 1 }, faults => [ { kind => 'hang', @query } ], wait => 'MakiniGovernor', behind => 'MakiniHttp' },
	other_token => { faults => [ { kind => 'hang', path => 'oauth2/v1/token', count => 0 } ], wait => 'MakiniToken', behind => 'MakiniToken' },
);
my $watcher = Hostile::Session->new($node);
my %slowest;

# Until the simulator has what makes the state: a request in hand or on its way.
sub until_there
{
	my ($session, $state) = @_;

	until_waiting($watcher, $session->pid, $state->{wait});
	return unless $state->{faults};
	until_true('the fault to strike', sub { !grep { !$_->{struck} } $sim->faults });
	until_waiting($watcher, $session->pid, $state->{wait});
	return;
}

# Ends a session's statement by a function of the watcher's; milliseconds until it said so.
sub ended_by
{
	my ($session, $sql) = @_;
	my $started = time;

	$watcher->send($sql);
	my (undef, $err) = $session->result;
	my $ms = (time - $started) * 1000;
	$watcher->result;
	return ($ms, $err);
}

foreach my $name (sort keys %state)
{
	my $state = $state{$name};
	my $session = Hostile::Session->new($node);
	my $query = "SELECT * FROM $name";
	my $first;

	server($name, %{ $state->{options} // {} });
	$sim->arm($_) foreach @{ $state->{faults} // [] };
	if ($state->{behind})
	{
		$first = Hostile::Session->new($node);
		$first->send($query);
		until_there($first, { %$state, wait => $state->{behind} });
	}

	foreach my $round (1 .. 3)
	{
		$session->send($query);
		until_there($session, $state);
		my ($ms, $err) = ended_by($session, 'SELECT pg_cancel_backend(' . $session->pid . ')');
		like($err, qr/^.*ERROR:  57014: canceling statement due to user request/, "$name: cancelled");
		cmp_ok($ms, '<', 10_000, "$name: long before the wait would have ended");
		$slowest{$name} = $ms if $ms > ($slowest{$name} // 0);
	}

	my $started = time;
	my (undef, $err) = $session->ask("SET statement_timeout = '300ms'; $query");
	my $ms = (time - $started) * 1000 - 300;
	like($err, qr/^.*ERROR:  57014: canceling statement due to statement timeout/, "$name: statement_timeout");
	cmp_ok($ms, '<', 10_000, "$name: long before the wait would have ended");
	$slowest{"$name, timeout"} = $ms;
	my ($one) = $session->ask('RESET statement_timeout; SELECT 1');
	is($one, "1\n", "$name: the session goes on");

	$session->send($query);
	until_there($session, $state);
	my ($backend) = $session->pid;
	$watcher->ask("SELECT pg_terminate_backend($backend)");
	(undef, $err) = $session->result;
	like($err, qr/FATAL:  57P01: terminating connection due to administrator command/, "$name: terminated");
	until_true("$backend to be gone", sub { ($watcher->ask("SELECT count(*) FROM pg_stat_activity WHERE pid = $backend"))[0] eq "0\n" });

	my $gone = Hostile::Session->new($node);
	$gone->send($query);
	until_there($gone, $state);
	$backend = $gone->pid;
	$gone->kill;
	until_true("$backend to notice", sub { ($watcher->ask("SELECT count(*) FROM pg_stat_activity WHERE pid = $backend"))[0] eq "0\n" });
	pass("$name: ends when its client is gone");

	$first->kill if $first;
	$session->kill;
	$sim->disarm;
	until_true('the simulator to be rid of them', sub { $sim->counters->{in_flight} == 0 });
}

# ---- a name that is slow: many cancels in one session, with threads left behind ----

server('slow', base_url => "https://brief.test:$port", max_retries => 0);
server('well');
my $session = Hostile::Session->new($node);
foreach my $round (1 .. 40)
{
	$session->send('SELECT * FROM slow');
	until_waiting($watcher, $session->pid, 'MakiniHttp|MakiniToken|MakiniGovernor');
	my ($ms, $err) = ended_by($session, 'SELECT pg_cancel_backend(' . $session->pid . ')');
	$slowest{'40 in slow DNS'} = $ms if $ms > ($slowest{'40 in slow DNS'} // 0);
	last unless like($err, qr/ERROR:  57014: /, "slow DNS, round $round");
}
my (undef, $err) = $session->ask('SELECT * FROM slow');
like($err, qr/ERROR:  08001: could not resolve the host name of "brief.test:\d+"/, 'and the name is still looked up');
my @rows = $sim->sql('SELECT id FROM netsuite.item');
foreach my $round (1 .. 6)
{
	$session->send("SET statement_timeout = '30ms'; SELECT * FROM dns");
	last unless like(($session->result)[1], qr/ERROR:  57014: /, "a name that never comes, round $round");
}
is(($session->ask('RESET statement_timeout; SELECT count(*) FROM (SELECT id FROM well OFFSET 0) s'))[0], @rows . "\n",
	'threads left behind do not keep a session from others');
$session->quit;

# ---- what others do meanwhile ----

server('hung');
$sim->arm(kind => 'hang', @query);
my @hung = map { Hostile::Session->new($node) } 1 .. 3;
$_->send('SELECT * FROM hung') foreach @hung;
until_waiting($watcher, $_->pid, 'MakiniHttp') foreach @hung;
until_true('three requests to hang', sub { $sim->counters->{in_flight} >= 3 });
foreach my $case (
	[ 'CREATE DATABASE other STRATEGY file_copy', 'CREATE DATABASE' ],
	[ 'DROP DATABASE other', 'DROP DATABASE' ],
	[ 'CREATE DATABASE other TEMPLATE template0', 'CREATE DATABASE by log' ])
{
	my ($sql, $name) = @$case;
	my $started = time;
	my (undef, $trouble) = $watcher->ask($sql);
	$slowest{$name} = (time - $started) * 1000;
	is($trouble, '', "$name goes on while requests hang");
}
is(scalar(grep { $_->is_done } @hung), 0, 'they still hang');
my ($waits) = $watcher->ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event IS NOT NULL AND query LIKE 'SELECT * FROM hung%'");
is($waits, "3\n", 'and say what they wait for');

my $started = time;
$node->stop('fast');
$slowest{'stop -m fast'} = (time - $started) * 1000;
cmp_ok($slowest{'stop -m fast'}, '<', 30_000, 'a fast shutdown does not wait for them');
$_->kill foreach @hung;

diag(sprintf('%-28s %7.1f ms', $_, $slowest{$_})) foreach sort keys %slowest;
done_testing();
