# What may happen to a worker, or to what it works for, while it is at it: the
# launcher dies, owners, targets and sources are dropped, prepared transactions
# are committed long after those who wrote them have left.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Worker;

my $sim = Makini::Simulator->new('--rows', 'item=50,department=20,currency=5');
my $node = worker_node('life', conf => "makini.test_job = ''\nmakini.retry_base = 1\nmax_prepared_transactions = 5\n");

sub ask { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub until_so { my ($what, $sql) = @_; ok(until_true($what, sub { ask($sql) eq 't' }), $what); return; }
sub asleep { return ask('SELECT database_state(oid) FROM pg_database WHERE datname = current_database()'); }

# ---- committed by somebody else ----
until_idle($node);
my $id = ask(q{BEGIN; SELECT makini.emit('order.prepared'); PREPARE TRANSACTION 'event'});
until_idle($node);
is(asleep(), 'asleep', 'nothing is due, nobody polls');
ask(q{COMMIT PREPARED 'event'});
until_so('an event is seen to when it is committed', "SELECT count(*) = 0 FROM makini._event WHERE event_id = '$id'");
connect_server($node, $sim, tables => [ 'item', 'department', 'currency' ]);
my $item = ask("SELECT makini.create_sync('erp.item', 'w.item', schedule => NULL)");
until_idle($node);
ask("BEGIN; SELECT makini.request_sync($item); PREPARE TRANSACTION 'request'");
until_idle($node);
is(asleep(), 'asleep', 'a request that is prepared is nobody\'s yet');
is(ask('SELECT count(*) FROM makini.sync_run'), 0, 'and not followed');
ask(q{COMMIT PREPARED 'request'});
until_so('but when it is committed', "SELECT data_as_of IS NOT NULL FROM makini.sync WHERE sync_id = $item");

# ---- a clerk's sync, and others ----
my $key = slurp_file($sim->value('private_key_file'));
ask("CREATE ROLE clerk LOGIN; SELECT makini.grant_access('clerk', 'admin', 'erp');
	CREATE USER MAPPING FOR clerk SERVER erp " . options_clause(client_id => $sim->value('client_id'), certificate_id => $sim->value('certificate_id'), private_key => $key) . ';
	GRANT USAGE ON SCHEMA erp TO clerk; GRANT SELECT ON ALL TABLES IN SCHEMA erp TO clerk; CREATE SCHEMA desk AUTHORIZATION clerk');
my $clerks = $node->safe_psql('postgres', "SELECT makini.create_sync('erp.department', 'desk.department', '5 min')", extra_params => [ '-U', 'clerk' ]);
my $currency = ask("SELECT makini.create_sync('erp.currency', 'w.currency', '5 min')");
ask(qq{SELECT makini.alter_sync($item, '{"schedule": "5 min"}')});
my $working = "(SELECT count(*) FROM makini.sync WHERE data_as_of IS NOT NULL AND state = 'incremental')";
until_so('three syncs work', "SELECT $working = 3");
until_idle($node);

sub problem { my ($sync) = @_; return ask("SELECT string_agg(message, ', ') FROM makini.problem WHERE object LIKE 'sync $sync of %'"); }

# The others run on while an hour passes, and the one that can't is not tried over and over.
sub goes_on
{
	my ($without, $name) = @_;
	my $tried = ask("SELECT count(*) FROM makini.sync_run WHERE sync_id = $without");
	foreach (1 .. 4)
	{
		my $runs = ask("SELECT count(*) FROM makini.sync_run WHERE sync_id = $item AND status = 'completed'");
		advance($node, '15 min');
		until_query($node, 'the others', "SELECT count(*) > $runs FROM makini.sync_run WHERE sync_id = $item AND status = 'completed'");
		until_query($node, 'all of it', 'SELECT count(*) = 0 FROM makini._job WHERE due_at <= worker_now()');
	}
	cmp_ok(ask("SELECT count(*) FROM makini.sync_run WHERE sync_id = $without") - $tried, '<=', 5, $name);
	return;
}

# ---- its owner goes ----
ask('REASSIGN OWNED BY clerk TO CURRENT_USER; DROP OWNED BY clerk; DROP ROLE clerk');
goes_on($clerks, 'a sync whose owner was dropped does not keep others from running');
like(problem($clerks), qr/the owner clerk does not exist any more/, 'and says what is wrong');
is(problem($item), '', 'of the others nothing is');
ask("SELECT makini.drop_sync($clerks)");

# ---- a target goes ----
ask('DROP TABLE w.currency');
goes_on($currency, 'nor one whose target was dropped');
like(problem($currency), qr/the target w\.currency does not exist any more/, 'which says so');
ask("SELECT makini.drop_sync($currency)");

# ---- a source goes ----
my $department = ask("SELECT makini.create_sync('erp.department', 'w.department', '5 min')");
until_so('another sync', "SELECT data_as_of IS NOT NULL FROM makini.sync WHERE sync_id = $department");
ask('DROP FOREIGN TABLE erp.department');
goes_on($department, 'nor one whose source was dropped');
like(problem($department), qr/the source erp\.department does not exist any more/, 'which says so too');
ask("SELECT makini.drop_sync($department)");

# ---- launcher and scheduler are killed ----
foreach my $type ('launcher', 'scheduler')
{
	my $hold = $sim->arm(kind => 'hold', count => 0, path => 'suiteql');
	ask("SELECT makini.request_sync($item, 'full')");
	until_so('a run is at it', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'makini run' AND wait_event_type = 'Extension'});
	my $runs = ask("SELECT count(*) FROM makini.sync_run WHERE sync_id = $item AND mode = 'full' AND status = 'completed'");
	kill 9, ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini $type'");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'makini launcher'");
	$sim->disarm;
	$node->poll_query_until('postgres', "SELECT count(*) > $runs FROM makini.sync_run WHERE sync_id = $item AND mode = 'full' AND status = 'completed'");
	is(ask('SELECT count(*) FROM (SELECT id FROM erp.item EXCEPT SELECT id FROM w.item) d'), 0, "a $type that is killed comes back, and so does the run");
}

# ---- a server goes, with all of it ----
ask('DROP SERVER erp CASCADE');
advance($node, '1 hour');
until_so('nothing is left to do', 'SELECT count(*) = 0 FROM makini._job WHERE due_at <= worker_now()');
like(problem($item), qr/the source erp\.item does not exist any more/, 'a sync without its server says so');

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal (?!9)/, 'nothing else died');
done_testing();
