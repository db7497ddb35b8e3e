# Syncs of NetSuite that are killed go on where they stood, and no change is
# lost whatever moves, comes late or goes meanwhile, and whatever the clocks say.
# The failures named are those that users of other products have reported.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;
use Time::HiRes qw(usleep);

# Ids are not without gaps, so that pages of equal size are known only by their number.
my $sim = Makini::Simulator->new('--rows', 'item=2500,transaction=300');
my $node = makini_node('resume', conf => "makini.retry_base = 1\nrestart_after_crash = on");
connect_server($node, $sim,
	options => { page_size => 25, fetch_ahead => 4, max_concurrency => 5, sync_concurrency => 5, max_retries => 0 },
	tables => [qw(item customer transaction transactionline inventoryassignment)]);
$node->safe_psql('postgres', 'CREATE SCHEMA copy');

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub create_sync
{
	my ($table, %given) = @_;
	my $more = join '', map { ", $_ => '$given{$_}'" } sort keys %given;
	return sql("SELECT makini.create_sync('erp.$table', 'copy.$table', schedule => NULL, initial_window => 'all'$more)");
}
sub run_sync { my ($sync, $mode) = @_; return sql("CALL makini.run_sync($sync" . (defined $mode ? ", '$mode')" : ')')); }
# The last run of a lane.  A load that is taken up is followed by what has changed since.
sub last_run
{
	my ($sync, $lane) = @_;
	return decode_json(sql("SELECT to_jsonb(r) FROM makini.sync_run r WHERE sync_id = $sync AND lane = '$lane' ORDER BY run_id DESC LIMIT 1"));
}

# Rows that the source and its copy do not have in common, and keys that come twice.
my %columns = (
	item => [ 'id, itemid, displayname, lastmodifieddate', 'id' ],
	customer => [ 'id, entityid, companyname, lastmodifieddate', 'id' ],
	transaction => [ 'id, tranid, memo, lastmodifieddate', 'id' ],
	transactionline => [ 'transaction, id, item, quantity, memo', 'transaction, id' ],
	inventoryassignment => [ 'id, transaction, quantity', 'id' ]);
sub same
{
	my ($table, $name, $other) = @_;
	my ($list, $key) = @{ $columns{$table} };
	$list = $other if defined $other;
	my $copy = "SELECT $list FROM copy.$table WHERE _deleted_at IS NULL";

	is(sql("WITH source AS MATERIALIZED (SELECT $list FROM erp.$table)
		SELECT (SELECT count(*) FROM (TABLE source EXCEPT ALL $copy) a), (SELECT count(*) FROM ($copy EXCEPT ALL TABLE source) b)"),
		'0|0', "$name: the copy is the source");
	is(sql("SELECT count(*) FROM (SELECT $key FROM copy.$table GROUP BY $key HAVING count(*) > 1) d"), '0', '... without duplicates');
	return;
}
sub load { my ($sync) = @_; return split /\|/, sql("SELECT rows_done, position IS NOT NULL FROM makini._load WHERE sync_id = $sync"); }

# ---- killed at page 90 of 100 (F8, F10) ----

# A session that hangs in its requests, killed as a machine's failure would.
sub kill_run
{
	my ($sync, $after, %given) = @_;
	my $fault = $sim->arm(kind => 'hang', after => $after, count => 0, path => 'suiteql$', seconds => 600);
	my $session = Hostile::Session->new($node);

	$session->send("CALL makini.run_sync($sync)");
	until_true("requests that hang", sub {
		my ($armed) = grep { $_->{id} == $fault->{id} } $sim->faults;
		return ($armed && $armed->{struck} >= 1 && sql("SELECT count(*) FROM pg_stat_activity WHERE pid = " . $session->pid
			. " AND wait_event_type = 'Extension'")) || $session->is_done;
	});
	# let it write what has arrived
	my $before = -1;
	until_true('it to have written', sub {
		my ($rows) = load($sync);
		my $still = defined $rows && $rows == $before;
		$before = $rows // -1;
		usleep(50_000);
		return $still;
	});
	kill 'KILL', $session->pid;
	$session->kill;
	$sim->disarm;
	until_up($node, $session->pid);
	return;
}

my $item = create_sync('item');
my ($items) = map { $_->[0] } $sim->sql('SELECT count(*) FROM netsuite.item');

kill_run($item, 90);
my ($done, $resumable) = load($item);
cmp_ok($done, '>=', 2000, "killed at page 90: $done of $items rows were kept");
is($resumable, 't', '... with what is left');
is(sql('SELECT count(*) FROM copy.item'), $done, '... and they are there');
$sim->forget;
run_sync($item);
cmp_ok($sim->requests, '<=', ($items - $done) / 25 + 11, 'pages that were kept are not asked for again (F8)');
same('item', 'after the next run');
my $run = last_run($item, 'backfill');
is($run->{rows_read}, $items - $done, '... nor is a row of them read');
is($run->{rows_inserted}, $items - $done, '... nor written (F10)');
is($run->{status}, 'completed', 'the run is complete');
is(sql("SELECT count(*) FROM makini.sync_run WHERE sync_id = $item AND status = 'running'"), '0', 'and no other goes on');

# Killed again and again, wherever.
sql("SELECT makini.reset_sync($item, 'truncate')");
foreach my $after (1, 2, 7, 19, 33)
{
	kill_run($item, $after);
}
run_sync($item);
same('item', 'killed five times and finished');

# A server that fails instead.
sql("SELECT makini.reset_sync($item, 'truncate')");
$sim->arm(kind => '500', after => 40, count => 0, path => 'suiteql$');
isnt(($node->psql('postgres', "CALL makini.run_sync($item)"))[0], 0, 'a server that fails in the middle');
$sim->disarm;
is(last_run($item, 'backfill')->{status}, 'failed', '... fails the run');
($done) = load($item);
cmp_ok($done, '>', 500, '... which keeps what it had');
run_sync($item);
is(last_run($item, 'backfill')->{rows_read}, $items - $done, '... and the next goes on from there');
same('item', '... to the end');

# ---- half a full pass deletes nothing (F9) ----

my @gone = map { $_->[0] } $sim->sql('SELECT id FROM netsuite.item WHERE mod(id, 50) = 3 ORDER BY id');
$sim->remove_rows('item', @gone);
$sim->arm(kind => '500', after => 60, count => 0, path => 'suiteql$');
isnt(($node->psql('postgres', "CALL makini.run_sync($item, 'full')"))[0], 0, 'a full pass that fails in the middle');
$sim->disarm;
is(sql('SELECT count(*) FROM copy.item WHERE _deleted_at IS NOT NULL'), '0', '... has deleted nothing (F9)');
run_sync($item, 'full');
is(sql('SELECT count(*) FROM copy.item WHERE _deleted_at IS NOT NULL'), scalar(@gone), '... and all that is gone at its end');
cmp_ok(last_run($item, 'backfill')->{rows_read}, '<', 0.6 * $items, '... which has gone on where the other stood');
same('item', 'after the full pass');

# The whole of the last ranges gone, and the first.
$sim->sql('DELETE FROM netsuite.item WHERE id < 100 OR id > 2600');
run_sync($item, 'full');
same('item', 'after both ends went');

# ---- rows that move while others are read (F3) ----

sql("SELECT makini.reset_sync($item, 'truncate')");
my @ids = map { $_->[0] } $sim->sql('SELECT id FROM netsuite.item ORDER BY id');
$sim->arm(kind => 'change_after', after => 3, count => 0, path => 'suiteql$', run => [
	"UPDATE netsuite.item SET displayname = 'moved', lastmodifieddate = account_now() WHERE id IN ($ids[2], $ids[-2], $ids[@ids / 2])",
	"UPDATE netsuite.item SET displayname = 'moved ' || id, lastmodifieddate = account_now() WHERE id = (SELECT id FROM netsuite.item ORDER BY random() LIMIT 1)" ]);
run_sync($item);
$sim->disarm;
cmp_ok(sql('SELECT count(*) FROM copy.item'), '==', scalar(@ids), 'rows that change while they are read: none missing (F3)');
run_sync($item);
same('item', 'and the next run has the changes');

# New rows before, between and behind what has been read, and rows that go.
sql("SELECT makini.reset_sync($item, 'truncate')");
$sim->arm(kind => 'change_after', after => 10, count => 3, path => 'suiteql$', run => [
	"INSERT INTO netsuite.item (id, itemid, itemtype, isinactive, lastmodifieddate) SELECT i, 'new ' || i, 'InvtPart', 'F', account_now()
		FROM (SELECT (SELECT min(id) FROM netsuite.item) - 1 UNION SELECT (SELECT max(id) FROM netsuite.item) + 1
			UNION SELECT (SELECT min(a.id) FROM netsuite.item a WHERE a.id > 500 AND NOT EXISTS (SELECT FROM netsuite.item b WHERE b.id = a.id + 1)) + 1) n(i)",
	'DELETE FROM netsuite.item WHERE id = (SELECT max(id) FROM netsuite.item WHERE id < 900)' ]);
run_sync($item);
$sim->disarm;
run_sync($item);
is(sql('SELECT count(*) FROM (SELECT id FROM erp.item EXCEPT SELECT id FROM copy.item) m'), '0', 'rows that come while others are read: none missing');
run_sync($item, 'full');
same('item', 'and a full pass finds those that went');

# ---- the same second (F2), late rows (F4), no time at all (F6) ----

my $customer = create_sync('customer');
my @customers = map { $_->[0] } $sim->sql('SELECT id FROM netsuite.customer ORDER BY id');
$sim->sql("UPDATE netsuite.customer SET lastmodifieddate = NULL WHERE id IN ($customers[5], $customers[80])");
run_sync($customer);
same('customer', 'the first run');
is(sql("SELECT count(*) FROM copy.customer WHERE id IN ($customers[5], $customers[80])"), '2', 'rows without a time are there (F6)');

my ($second) = map { $_->[0] } $sim->sql('SELECT account_now()::text');
$sim->sql("UPDATE netsuite.customer SET companyname = 'same second', lastmodifieddate = '$second' WHERE id IN ($customers[0], $customers[1])");
$sim->arm(kind => 'change_after', after => 0, count => 1, table => 'customer',
	run => "UPDATE netsuite.customer SET companyname = 'same second', lastmodifieddate = '$second' WHERE id = $customers[2]");
run_sync($customer);
$sim->disarm;
is(sql("SELECT count(*) FROM copy.customer WHERE companyname = 'same second'"), '2', 'two rows of a second, and one more once the page was made');
run_sync($customer);
same('customer', 'the next run has it (F2)');

foreach my $late (1, 60, 500)
{
	my $id = pop @customers;
	run_sync($customer);
	$sim->sql("UPDATE netsuite.customer SET companyname = 'late $late', lastmodifieddate = account_now() - interval '$late s' WHERE id = $id");
	run_sync($customer);
	same('customer', "a row that shows $late s late (F4)");
}

# ---- accounts' days and clocks (F1) ----

foreach my $zone ('America/Los_Angeles', 'Etc/GMT+12', 'Pacific/Kiritimati', 'Asia/Kolkata', 'UTC')
{
	$sim->set(time_zone => $zone);
	run_sync($customer);
	$sim->touch_rows('customer', [ $customers[7] ], companyname => "in $zone");
	run_sync($customer);
	same('customer', "changed on the account's own day in $zone (F1)");
}
$sim->set(time_zone => 'America/Los_Angeles');
foreach my $offset (-1500, 1500)
{
	$sim->set(clock_offset => $offset, allowed_skew => 10000);
	sql("SELECT makini.reset_sync($customer, 'reconcile')");
	run_sync($customer);
	foreach my $n ($offset < 0 ? 8 .. 10 : 15 .. 17)
	{
		$sim->touch_rows('customer', [ $customers[$n] ], companyname => "clock $offset $n");
		run_sync($customer);
		same('customer', "with a clock that is $offset s off");
	}
}

# A clock that is put right goes back: a full pass finds what it stamps then.
$sim->set(clock_offset => 0);
$sim->touch_rows('customer', [ $customers[11] ], companyname => 'put right');
run_sync($customer, 'full');
same('customer', 'and after it was put right a full pass');
sql("SELECT makini.reset_sync($customer, 'reconcile')");
run_sync($customer);

# Where UTC can't be had, the wall clock is compared.
$sim->set(utc_extraction => JSON::PP::false);
alter_server($node, 'erp', time_zone => 'America/Los_Angeles');
foreach my $n (12 .. 14)
{
	$sim->touch_rows('customer', [ $customers[$n] ], companyname => "by wall clock $n");
	run_sync($customer);
	same('customer', 'by wall clock', 'id, entityid, companyname');
}
cmp_ok(last_run($customer, 'incremental')->{rows_read}, '<', 60, '... reading what has changed, not days of it');
alter_server($node, 'erp', time_zone => undef);
$sim->set(utc_extraction => JSON::PP::true);

# ---- documents and their lines ----

my %sync = map { $_ => create_sync($_) } qw(transaction transactionline inventoryassignment);
kill_run($sync{transactionline}, 20);
run_sync($sync{$_}) foreach sort keys %sync;
same($_, "$_: the first run") foreach sort keys %sync;

my @documents = map { $_->[0] } $sim->sql('SELECT transaction FROM netsuite.transactionline GROUP BY 1 HAVING count(*) > 3 ORDER BY 1');
my @assigned = @documents[ 20 .. 24 ];
$sim->sql("INSERT INTO netsuite.inventoryassignment (id, transaction, quantity)
	SELECT (SELECT max(id) FROM netsuite.inventoryassignment) + row_number() OVER (ORDER BY n, d), d, n
	FROM generate_series(1, 20) n, unnest(ARRAY[" . join(',', @assigned) . "]) d");
$sim->touch_rows('transaction', \@assigned, memo => 'lots were assigned');
run_sync($sync{inventoryassignment});
same('inventoryassignment', 'rows of several documents, all mixed');
$sim->sql("DELETE FROM netsuite.transactionline l WHERE l.transaction IN ($documents[0], $documents[9])
	AND l.id = (SELECT max(m.id) FROM netsuite.transactionline m WHERE m.transaction = l.transaction)");
$sim->sql("DELETE FROM netsuite.inventoryassignment a WHERE a.transaction = $assigned[0]
	AND a.id < (SELECT max(m.id) FROM netsuite.inventoryassignment m WHERE m.transaction = a.transaction)");
$sim->touch_rows('transaction', [ @documents[ 0, 9 ], $assigned[0] ], memo => 'lines were removed');
run_sync($sync{$_}) foreach sort keys %sync;
same($_, "$_: lines that were removed") foreach sort keys %sync;

$sim->delete_rows('transaction', $documents[3]);
$sim->sql("DELETE FROM netsuite.$_ WHERE transaction = $documents[3]") foreach qw(transactionline inventoryassignment);
run_sync($sync{$_}) foreach sort keys %sync;
same($_, "$_: a document that was deleted") foreach sort keys %sync;

# The last assignment of a document that stays shows in a full pass.
$sim->sql("DELETE FROM netsuite.inventoryassignment WHERE transaction = $assigned[1]");
$sim->touch_rows('transaction', [ $assigned[1] ]);
run_sync($sync{inventoryassignment}, 'full');
same('inventoryassignment', 'after a full pass');

done_testing();
