# Syncs on schedules: a first load, changes that arrive by themselves, both lanes,
# outages, cancelling, and kills in the middle of it all.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;
use Time::HiRes;
use Worker;

my $sim = Makini::Simulator->new('--rows', 'item=1000,customer=2000');
my $node = worker_node('syncs', conf => "makini.test_job = ''\nmakini.retry_base = 1\n");
connect_server($node, $sim, tables => [ 'item', 'customer' ], options => { page_size => 100 });
$node->safe_psql('postgres', 'CREATE SCHEMA warehouse');

sub create_sync
{
	my ($table, $more) = @_;
	return $node->safe_psql('postgres', "SELECT makini.create_sync('erp.$table', 'warehouse.$table', schedule => '5 min'" . ($more // '') . ')');
}

# Ids and one more column, on both sides.
sub same_as_source
{
	my ($table, $column) = @_;
	my $digest = "SELECT count(*) || ' ' || md5(string_agg(id || ' ' || coalesce($column, '-'), ',' ORDER BY id))";
	my ($source) = map { $_->[0] } $sim->sql("$digest FROM netsuite.$table");
	my $target = $node->safe_psql('postgres', "$digest FROM warehouse.$table WHERE _deleted_at IS NULL");

	diag("source $source, target $target") if $source ne $target;
	return $source eq $target;
}

sub loaded { return "SELECT data_as_of IS NOT NULL FROM makini.sync WHERE sync_id = $_[0]"; }

# ---- the first load begins without a hand on the keyboard ----
my $item = create_sync('item');
until_query($node, 'the first load', loaded($item));
ok(same_as_source('item', 'itemid'), 'a sync that was created is loaded');
is($node->safe_psql('postgres', "SELECT mode, lane, status FROM makini.sync_run WHERE sync_id = $item ORDER BY run_id LIMIT 1"),
	'initial|backfill|completed', 'in the lane of loads');

# ---- a change at the source arrives with the schedule ----
$sim->sql("UPDATE netsuite.item SET itemid = 'changed', lastmodifieddate = now() WHERE id = (SELECT min(id) FROM netsuite.item)");
advance($node, '5 min');
until_query($node, 'the change', "SELECT count(*) = 1 FROM warehouse.item WHERE itemid = 'changed'");
ok(same_as_source('item', 'itemid'), 'a change arrives by itself');
until_idle($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM makini._job'), 0, 'and nothing is left in the queue');
my $runs = $node->safe_psql('postgres', 'SELECT count(*) FROM makini.sync_run');
advance($node, '5 min');
until_query($node, 'one more run', "SELECT count(*) > $runs FROM makini.sync_run WHERE status = 'completed'");
until_idle($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM makini.sync_run') - $runs, 1, 'nothing changed: one run, of one lane');

# ---- waiting without a transaction, and being cancelled in a hung request ----
$sim->arm(kind => 'hang', count => 0, path => 'query/v1/suiteql');
$node->safe_psql('postgres', "SELECT makini.request_sync($item)");
my $waiting = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'makini run' AND wait_event_type = 'Extension' AND state = 'active'";
until_query($node, 'the hung request', $waiting);
is($node->safe_psql('postgres', "SELECT backend_xid IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE backend_type = 'makini run'"),
	't', 'who waits for the network has no snapshot and no transaction id');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'makini run' AND l.locktype IN ('relation', 'tuple', 'transactionid')"),
	0, 'and no lock on a relation');
is($node->safe_psql('postgres', "SELECT makini.request_sync($item, 'incremental')"), 'f', 'what runs is not queued again');
is($node->safe_psql('postgres', "SELECT makini.cancel_sync($item)"), 't', 'it is cancelled');
until_query($node, 'the job to go', 'SELECT count(*) = 0 FROM makini._job');
is($node->safe_psql('postgres', 'SELECT status FROM makini.sync_run ORDER BY run_id DESC LIMIT 1'), 'cancelled', 'and says so');
$sim->disarm;

# ---- an outage: later and later, then caught up ----
$sim->arm(kind => '503', count => 0);
$sim->sql("UPDATE netsuite.item SET itemid = 'in the dark', lastmodifieddate = now() WHERE id = (SELECT max(id) FROM netsuite.item)");
$node->safe_psql('postgres', "SELECT makini.request_sync($item)");
until_query($node, 'a failure', "SELECT consecutive_failures = 1 FROM makini.sync WHERE sync_id = $item");
until_idle($node);
is($node->safe_psql('postgres', "SELECT next_run_at > worker_now() + interval '40 s' FROM makini._sync WHERE sync_id = $item"),
	't', 'a failure puts the next run off');
$sim->disarm;
advance($node, '1 hour');
until_query($node, 'the end of the outage', "SELECT consecutive_failures = 0 FROM makini.sync WHERE sync_id = $item");
until_idle($node);
ok(same_as_source('item', 'itemid'), 'what happened meanwhile is caught up');

# ---- kills in the middle of a load ----
$sim->set(latency_ms => 20);
my $customer = create_sync('customer');
foreach my $n (1 .. 4)
{
	until_query($node, "run $n", "SELECT EXISTS (SELECT FROM makini.sync_progress WHERE sync_id = $customer AND rows_done > 0)"
		. " OR EXISTS (SELECT FROM makini.sync WHERE sync_id = $customer AND data_as_of IS NOT NULL)");
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini run' LIMIT 1");
	last if $pid eq '';
	kill $n % 2 ? 9 : 15, $pid;
	until_query($node, 'that worker to be gone', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
}
$sim->set(latency_ms => 0);
advance($node, '1 hour');
until_query($node, 'the load', loaded($customer));
ok(same_as_source('customer', 'entityid'), 'nothing is missing and nothing is doubled');

# ---- pausing, dropping ----
is($node->safe_psql('postgres', "SELECT makini.pause_sync($item)"), 't', 'paused');
$node->psql('postgres', "SELECT makini.request_sync($item)", stderr => \my $err);
like($err, qr/sync $item is paused/, 'a paused sync is not run');
is($node->safe_psql('postgres', "SELECT makini.drop_sync($customer)"), 't', 'dropped');
advance($node, '10 min');
until_idle($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM makini._job'), 0, 'neither leaves a job behind');

$node->stop('fast');
done_testing();
