# Runs that stop between two pages: because others wait behind them, or because
# nothing is to run any more.  What they have not done is done later.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use Test::More;
use Worker;

my @tables = qw(item customer vendor employee);
my $sim = Makini::Simulator->new('--rows', 'item=600,customer=600,vendor=600,employee=600');
my $node = worker_node('yields', conf => "makini.test_job = ''\nmakini.retry_base = 1\nmakini.max_workers = 1\n");
connect_server($node, $sim, tables => \@tables, options => { page_size => 50, fetch_ahead => 0 });
$node->safe_psql('postgres', q{CREATE SCHEMA w;
	CREATE FUNCTION runs_giving_way() RETURNS int LANGUAGE C AS 'makini', 'makini_test_runs_giving_way'});

sub ask { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub until_so { my ($what, $sql) = @_; ok(until_true($what, sub { ask($sql) eq 't' }), $what); return; }
sub create_sync { my ($table) = @_; return ask("SELECT makini.create_sync('erp.$table', 'w.$table', schedule => NULL)"); }

# The server keeps a request for a table's rows, after some of them, until all are let go.
sub hold
{
	my ($table, $after) = @_;
	return $sim->arm(kind => 'hold', count => 0, after => $after, sql => "FROM $table t")->{id};
}

sub until_held
{
	my (@ids) = @_;
	my $all = sub { my %struck = map { $_->{id} => $_->{struck} } $sim->faults; return !grep { !$struck{$_} } @ids; };
	ok(until_true('the requests to be held', $all), 'pages are waited for');
	return;
}

sub set_and_reload
{
	my ($name, $value) = @_;
	ask("ALTER SYSTEM SET $name = $value");
	$node->reload;
	until_so("$name is $value", "SELECT current_setting('$name') = '$value'");
	return;
}

# The runs of syncs in their order, as "sync status, ...".
sub runs_since
{
	my ($run) = @_;
	return ask("SELECT string_agg(sync_id || ' ' || status, ', ' ORDER BY run_id) FROM makini.sync_run WHERE run_id > $run");
}
sub last_run { return ask('SELECT coalesce(max(run_id), 0) FROM makini.sync_run'); }

sub is_whole
{
	my ($table, $name) = @_;
	is(ask("SELECT count(*) FROM (SELECT id, lastmodifieddate FROM erp.$table EXCEPT SELECT id, lastmodifieddate FROM w.$table) d"), 0, $name);
	return;
}

my $item = create_sync('item');
ask("SELECT makini.request_sync($item)");
until_so('one sync is loaded', "SELECT data_as_of IS NOT NULL FROM makini.sync WHERE sync_id = $item");
until_so('and at rest', 'SELECT count(*) = 0 FROM makini._job');

# ---- one worker, busy with a load ----
my $before = last_run();
my $held = hold('customer', 3);
my $customer = create_sync('customer');
ask("SELECT makini.request_sync($customer)");
until_held($held);
is(ask("SELECT makini.request_sync($item, 'incremental')"), 't', 'a short run is asked for behind a load of the same connection');
until_so('the load is told', 'SELECT runs_giving_way() = 1');
$sim->disarm;
until_so('both are through', 'SELECT count(*) = 0 FROM makini._job');
is(runs_since($before), "$customer cancelled, $item completed, $customer completed", 'the load gave way at its next page, and was taken up again');
is_whole('customer', 'nothing of it is missing');
is(ask("SELECT consecutive_failures FROM makini.sync WHERE sync_id = $customer"), 0, 'and to give way is no failure');

# ---- changes that take long, and others behind them ----
ask(q{UPDATE makini._sync SET options = options || '{"full_every": null}', full_due_at = NULL});
$before = last_run();
$sim->sql('UPDATE netsuite.customer SET lastmodifieddate = now()');
$held = hold('customer', 2);
ask("SELECT makini.request_sync($customer, 'incremental')");
until_held($held);
ask("UPDATE makini._sync SET consecutive_failures = 3 WHERE sync_id = $customer");
ask("SELECT makini.request_sync($item, 'incremental')");
until_so('the other waits', "SELECT count(*) = 1 FROM makini._job WHERE worker IS NULL AND sync_id = $item");
is(ask('SELECT runs_giving_way()'), 0, 'those of the same kind take their time');
advance($node, '2 min');
until_so('but not for ever', 'SELECT runs_giving_way() = 1');
$sim->disarm;
until_so('both are through', 'SELECT count(*) = 0 FROM makini._job');
is(runs_since($before), "$customer cancelled, $item completed, $customer completed", 'changes give way too, and go on where they stood, at once, though they had failed before');
is_whole('customer', 'nothing of them is missing');

# ---- switched off in the middle ----
$before = last_run();
$held = hold('vendor', 3);
my $vendor = create_sync('vendor');
ask("SELECT makini.request_sync($vendor)");
until_held($held);
set_and_reload('makini.launcher', 'off');
$sim->disarm;
until_so('the run ends', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'makini run'");
is(runs_since($before), "$vendor cancelled", 'switched off, a run ends at its next page');
is(ask("SELECT count(*) FROM makini._job WHERE sync_id = $vendor AND worker IS NULL"), 1, 'and waits in the queue');
set_and_reload('makini.launcher', 'on');
until_so('switched on, it goes on', "SELECT data_as_of IS NOT NULL FROM makini.sync WHERE sync_id = $vendor");
is_whole('vendor', 'nothing is missing');

# ---- several workers, all that a connection may have busy with its loads ----
until_so('nothing is left', 'SELECT count(*) = 0 FROM makini._job');
ask("UPDATE makini._sync SET options = options || '{\"full_every\": \"1 day\"}'");
set_and_reload('makini.max_workers', 3);
my @loads = ($customer, $vendor);
my @held = map { hold($_, 3) } 'customer', 'vendor';
$before = last_run();
ask("SELECT makini.request_sync($_, 'full')") foreach @loads;
until_held(@held);
ask("SELECT makini.request_sync($item, 'incremental')");
until_so('one of the loads is told', 'SELECT runs_giving_way() = 1');
$sim->disarm;
until_so('all are through', 'SELECT count(*) = 0 FROM makini._job');
like(runs_since($before), qr/cancelled.*\b$item completed/, 'the changes of a connection whose workers are busy with its loads come first');
is_whole($_, "$_ is whole") foreach qw(customer vendor);

# ---- fewer workers than are at work ----
my $employee = create_sync('employee');
@held = map { hold($_, 3) } 'customer', 'vendor';
ask("SELECT makini.request_sync($_, 'full')") foreach @loads;
until_held(@held);
ask("SELECT makini.request_sync($employee)");
set_and_reload('makini.max_workers', 1);
$sim->disarm;
until_so('all are through', 'SELECT count(*) = 0 FROM makini._job');
is_whole('employee', 'with fewer workers than were at work the rest is done all the same');

# ---- what would have to begin anew ----
$sim->sql("UPDATE netsuite.item SET displayname = 'name ' || id");
ask("CREATE FOREIGN TABLE by_name (id int8, displayname text) SERVER erp OPTIONS (entity 'item', key 'displayname')");
$before = last_run();
$held = hold('item', 3);
my $named = ask(q{SELECT makini.create_sync('by_name', 'w.by_name', schedule => NULL)});
ask("SELECT makini.request_sync($named)");
until_held($held);
ask("SELECT makini.request_sync($customer, 'incremental')");
until_so('the load is told', 'SELECT runs_giving_way() = 1');
$sim->disarm;
until_so('both are through', 'SELECT count(*) = 0 FROM makini._job');
is(runs_since($before), "$named completed, $customer completed", 'a load without positions comes to its end first');

$node->stop('fast');
done_testing();
