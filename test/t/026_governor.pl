# The governor where it is tempted to forget: preloaded or not, across databases,
# when sessions that hold or wait are ended, and when one of them is told to wait.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=200', '--scale', '0.02', '--setting', 'concurrency_limit=0');
my $scan = 'SELECT count(*) FROM (SELECT id FROM erp OFFSET 0) s';

foreach my $preload (0, 1)
{
	my $how = $preload ? 'preloaded' : 'not preloaded';
	my $node = makini_node("governor_$preload", preload => $preload, conf => "makini.retry_base = 1\nmax_connections = 40");
	my @dbs = ('postgres', 'other');

	$node->safe_psql('postgres', 'CREATE DATABASE other');
	$node->safe_psql('other', 'CREATE EXTENSION makini');
	foreach my $db (@dbs)
	{
		connect_server($node, $sim, database => $db, options => { page_size => 20, fetch_ahead => 4, max_concurrency => $db eq 'other' ? 3 : 4 });
		$node->safe_psql($db, "CREATE FOREIGN TABLE erp (id bigint) SERVER erp OPTIONS (entity 'item', key 'id')");
		$node->safe_psql($db, $scan);
	}
	my @sessions = map { Hostile::Session->new($node, db => $dbs[ $_ % 2 ]) } 1 .. 10;

	$sim->set(latency_ms => 5);
	$sim->forget;
	$_->send("$scan; $scan") foreach @sessions;
	is(join('', map { ($_->result)[0] } @sessions), "200\n200\n" x 10, "$how: ten sessions of two databases");
	is($sim->counters->{peak}, 3, "$how: never more at once than the smallest limit");
	$sim->set(latency_ms => 0);

	# Those that hold all slots are ended in different ways; the rest goes on.
	my $watcher = Hostile::Session->new($node);
	$sim->arm(kind => 'hang', count => 3, path => 'query/v1/suiteql');
	$sim->forget;
	foreach my $n (0 .. 2)
	{
		$sessions[$n]->send('SELECT id FROM erp LIMIT 1');
		until_true("request $n to hang", sub { $sim->counters->{in_flight} > $n });
	}
	$_->send($scan) foreach @sessions[ 3 .. 9 ];
	until_waiting($watcher, $_->pid, 'MakiniGovernor') foreach @sessions[ 3 .. 9 ];
	is($sim->requests, 0, "$how: while all slots are taken nothing is sent");
	$watcher->ask('SELECT pg_cancel_backend(' . $sessions[0]->pid . ')');
	$watcher->ask('SELECT pg_terminate_backend(' . $sessions[1]->pid . ')');
	$watcher->ask('SELECT pg_cancel_backend(' . $sessions[9]->pid . ')');
	$watcher->ask('SELECT pg_terminate_backend(' . $sessions[8]->pid . ')');
	like(($sessions[9]->result)[1], qr/57014|^$/, "$how: who waits for a slot is cancelled, unless it was its turn already");
	is(join('', map { ($_->result)[0] } @sessions[ 3 .. 7 ]), "200\n" x 5, "$how: slots of those that end go to the others");
	$watcher->ask('SELECT pg_cancel_backend(' . $sessions[2]->pid . ')');
	$sessions[2]->result;

	# One is told to wait: everybody does.
	until_true('the simulator to be rid of them', sub { $sim->counters->{in_flight} == 0 });
	$sim->reset;
	$sim->set(concurrency_limit => 0);
	$sim->arm(kind => '429', retry_after => 2, path => 'query/v1/suiteql');
	$sim->forget;
	$sessions[3]->send($scan);
	until_true('the refusal', sub { ($sim->counters->{status_429} // 0) > 0 });
	until_waiting($watcher, $sessions[3]->pid, 'MakiniBackoff');
	$sessions[4]->send($scan);
	until_waiting($watcher, $sessions[4]->pid, 'MakiniBackoff');
	is(join('', map { ($_->result)[0] } @sessions[ 3, 4 ]), "200\n" x 2, "$how: both get their rows");
	my @log = $sim->log_entries;
	my ($refusal) = map { $_->{time} } grep { $_->{status} == 429 } @log;
	my ($next) = sort { $a <=> $b } map { $_->{time} } grep { $_->{time} > $refusal } @log;
	cmp_ok($next - $refusal, '>=', 1.9, "$how: but nobody asks before the time that one of them was told");

	# The limit that was halved comes back.
	$_->ask("$scan; $scan; $scan") foreach @sessions[ 3, 4 ];
	$sim->set(latency_ms => 5);
	$sim->forget;
	$_->send("$scan; $scan; $scan") foreach @sessions[ 3 .. 7 ];
	is(join('', map { ($_->result)[0] } @sessions[ 3 .. 7 ]), "200\n" x 15, "$how: later");
	is($sim->counters->{peak}, 3, "$how: as many as before are asked at once");
	$sim->reset;
	$sim->set(concurrency_limit => 0);

	# A pause that is very long ends with a cancel, for those who only share it too.
	$sim->arm(kind => '503', retry_after => 250, path => 'query/v1/suiteql');
	$sessions[3]->send($scan);
	until_waiting($watcher, $sessions[3]->pid, 'MakiniBackoff');
	$sessions[4]->send($scan);
	until_waiting($watcher, $sessions[4]->pid, 'MakiniBackoff');
	$watcher->ask('SELECT pg_cancel_backend(' . $_->pid . ')') foreach @sessions[ 3, 4 ];
	like(($_->result)[1], qr/57014/, "$how: a long pause can be cancelled") foreach @sessions[ 3, 4 ];

	$_->kill foreach @sessions;
	$watcher->kill;
	$node->stop('fast');
	$sim->reset;
	$sim->set(concurrency_limit => 0);
}
done_testing();
