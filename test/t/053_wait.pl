# While the network is waited for, a run has no snapshot, no transaction id and
# no lock on anything but itself; and it can be stopped there.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $sim = Makini::Simulator->new('--bench', 'rows=20000');
my $node = makini_node('wait', conf => 'makini.retry_base = 1');
connect_server($node, $sim, tables => ['transaction', 'transactionline', 'item'],
	options => { page_size => 200, fetch_ahead => 2 });
$sim->set(latency_ms => 15);

my $watcher = Hostile::Session->new($node);
my $session = Hostile::Session->new($node);

# What a session holds, as others see it: nothing, or what.
sub held
{
	my ($found) = $watcher->ask(<<SQL);
SELECT 'waiting: ' || (wait_event_type IS NOT DISTINCT FROM 'Extension')
	|| coalesce(', xid ' || backend_xid, '') || coalesce(', xmin ' || backend_xmin, '')
	|| coalesce((SELECT ', locks ' || string_agg(DISTINCT locktype || ' ' || mode, ' ') FROM pg_locks l
		WHERE l.pid = a.pid AND locktype NOT IN ('virtualxid', 'object')), '')
FROM pg_stat_activity a WHERE pid = ${\ $session->pid}
SQL
	chomp $found;
	return $found;
}

sub watch
{
	my ($name, $sql) = @_;
	my ($waits, %held) = (0);

	$session->send($sql);
	until ($session->is_done)
	{
		my $found = held();
		next unless $found =~ /^waiting: true(.*)/;
		$waits++;
		$held{$1}++ if $1 ne '';
		usleep(10_000);
	}
	my (undef, $err) = $session->result;
	unlike($err, qr/ERROR/, "$name goes well");
	cmp_ok($waits, '>', 3, "$name was seen waiting");

	# Between two looks at one state it may have gone on: a wait event and what is
	# held are not read at one instant, so a few sightings are nothing.
	my @often = grep { $held{$_} > 1 + $waits / 20 } keys %held;
	is_deeply(\@often, [], "$name holds nothing while it waits") or diag(explain(\%held));
	return;
}

my $transactions = $node->safe_psql('postgres', "SELECT makini.create_sync('erp.transaction', 'wh.transaction', schedule => NULL, initial_window => 'all')");
my $lines = $node->safe_psql('postgres', "SELECT makini.create_sync('erp.transactionline', 'wh.transactionline', schedule => NULL, initial_window => 'all')");
watch('an initial load', "CALL makini.run_sync($transactions)");
watch('a full pass', "CALL makini.run_sync($transactions, 'full')");
watch('a verification', "CALL makini.run_sync($transactions, 'verify')");
$sim->sql("UPDATE netsuite.transaction SET lastmodifieddate = now() WHERE id % 4 = 0");
watch('an incremental run', "CALL makini.run_sync($transactions)");
watch('lines', "CALL makini.run_sync($lines)");

# ---- pages that are fetched while one is written ----

my $ahead = $node->safe_psql('postgres', "SELECT makini.create_sync('erp.transaction', 'wh.ahead', schedule => NULL, initial_window => 'all', columns => '{id,memo}', options => '{\"backfill_order\": \"oldest\"}')");
my $first = $node->safe_psql('postgres', 'SELECT min(id) FROM wh.transaction');
$watcher->ask("BEGIN; INSERT INTO wh.ahead (id) VALUES ($first)");
$sim->forget;
$session->send("CALL makini.run_sync($ahead)");
until_true('the run to wait for another writer of its first row', sub {
	my ($waiting) = $watcher->ask("SELECT count(*) FROM pg_stat_activity WHERE pid = ${\ $session->pid} AND wait_event_type = 'Lock'");
	return $waiting =~ /^1$/m;
});
my $asked = sub { return scalar grep { ($_->{q} // '') =~ /FROM transaction/i && $_->{q} !~ /\bMAX\(/ } $sim->log_entries(service => 'suiteql', limit => 1000); };
until_true('requests for the pages behind it', sub { return $asked->() >= 2; });
is($node->safe_psql('postgres', "SELECT rows_done FROM makini._load WHERE sync_id = $ahead"), 0, 'the next pages are asked for while the first is written');
$watcher->ask('ROLLBACK');
(undef, my $fine) = $session->result;
unlike($fine, qr/ERROR/, '... and the run goes on');
is($node->safe_psql('postgres', 'SELECT count(*) FROM wh.ahead'), $node->safe_psql('postgres', 'SELECT count(*) FROM wh.transaction'), '... to its end');

# ---- stopping it ----

$sim->arm({ kind => 'hang', path => 'suiteql', count => 0 });
$session->send("CALL makini.run_sync($transactions, 'full')");
until_true('the run to wait', sub {
	my ($waiting) = $watcher->ask("SELECT waiting_on FROM makini.sync_progress WHERE sync_id = $transactions");
	return $waiting =~ /network/;
});
my ($busy) = $watcher->ask("SELECT count(*) FROM makini.sync_progress WHERE phase = 'reading'");
like($busy, qr/^1$/m, 'progress shows it reading');
my (undef, $other) = $watcher->ask("CALL makini.run_sync($transactions, 'full')");
like($other, qr/55006: sync $transactions is running already/, 'a second run is refused');
my ($cancelled) = $watcher->ask("SELECT makini.cancel_sync($transactions)");
like($cancelled, qr/^t$/m, 'cancel_sync finds the run');
my (undef, $err) = $session->result;
like($err, qr/57014/, 'and ends it');
is($node->safe_psql('postgres', "SELECT status FROM makini.sync_run ORDER BY run_id DESC LIMIT 1"), 'cancelled', 'the run says so');
like(($session->ask('SELECT 1'))[0], qr/^1$/m, 'the next statement of the session is not cancelled');
$sim->disarm;
is($node->safe_psql('postgres', "SELECT makini.cancel_sync($transactions)"), 'f', 'there is nothing more to cancel');
$session->send("CALL makini.run_sync($transactions, 'full')");
(undef, $err) = $session->result;
unlike($err, qr/ERROR/, 'it can be run again');

# ---- where it may be called ----

my $n = $sim->requests;
foreach my $sql ("BEGIN; CALL makini.run_sync($transactions); COMMIT",
	"DO \$\$ BEGIN CALL makini.run_sync($transactions); EXCEPTION WHEN division_by_zero THEN NULL; END \$\$")
{
	dies($node, $sql, '25001', [qr/makini\.request_sync/], 'not in a transaction');
}
is($sim->requests, $n, 'no request was made');

done_testing();
