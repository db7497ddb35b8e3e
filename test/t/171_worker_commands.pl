# Commands that need a database for themselves, while runs are in the middle of
# requests that nobody answers.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;
use Time::HiRes;
use Worker;

my $sim = Makini::Simulator->new('--rows', 'item=10');
my $node = worker_node('commands');

sub run_in { return "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'makini run' AND wait_event_type = 'Extension' AND datname = '$_[0]'"; }
sub workers_in { return "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'makini%' AND datname = '$_[0]'"; }

$node->safe_psql('postgres', 'CREATE ROLE shopkeeper LOGIN CREATEDB; CREATE ROLE passer_by LOGIN CREATEDB');
mkdir $node->basedir . '/space' or die;
$node->safe_psql('postgres', "SET allow_in_place_tablespaces = on; CREATE TABLESPACE space LOCATION ''; GRANT CREATE ON TABLESPACE space TO shopkeeper");

$sim->arm(kind => 'hang', count => 0, path => 'query/v1/suiteql');

# A database with a run that waits for an answer.
sub hung_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER shopkeeper");
	$node->safe_psql($name, 'CREATE EXTENSION makini');
	use_database($node, $name);
	connect_server($node, $sim, database => $name);
	make_jobs($node, q{PERFORM makini.query('erp', 'SELECT id FROM item');}, $name);
	my $id = add_sync($node, database => $name, schedule => '5 min');
	request_hung($name, $id);
	return $id;
}

sub request_hung
{
	my ($name, $id) = @_;

	$node->safe_psql($name, "SELECT makini.request_sync($id)");
	until_query($node, "the run in $name", run_in($name));
	return;
}

sub as_role
{
	my ($role, $sql, $database) = @_;
	my ($code, $out, $err) = $node->psql($database // 'postgres', $sql, extra_params => [ '-U', $role ]);
	return $code == 0 ? 'done' : $err;
}

# What is done while a request hangs that nobody will answer; how long it took is
# judged where the machine has nothing else to do.
sub takes
{
	my ($limit_ms, $name, $do) = @_;
	my $began = Time::HiRes::time();
	my @result = $do->();
	my $ms = int(1000 * (Time::HiRes::time() - $began));

	note("$name: $ms ms");
	cmp_ok($ms, '<=', $limit_ms, "$name: within $limit_ms ms") if $ENV{MAKINI_LONG};
	return $result[0];
}

# ---- whoever may not does no harm ----
my $id = hung_database('shop');
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini run' AND datname = 'shop'");
like(as_role('passer_by', $_), qr/must be owner|permission denied/, "refused: $_")
  foreach ('DROP DATABASE shop', 'ALTER DATABASE shop RENAME TO shed', 'ALTER DATABASE shop SET TABLESPACE space',
	'CREATE DATABASE copy TEMPLATE shop');
like(as_role('passer_by', 'DROP EXTENSION makini', 'shop'), qr/must be owner/, 'refused: DROP EXTENSION');
is($node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini run' AND datname = 'shop'"),
	$pid, 'and the run goes on');

# ---- the owner, who is no superuser ----
is(takes(2000, 'CREATE DATABASE TEMPLATE', sub { as_role('shopkeeper', 'CREATE DATABASE copy TEMPLATE shop') }), 'done', 'a copy of a database with a hung run');
until_query($node, 'the run to begin again', run_in('shop'));
is($node->safe_psql('copy', 'SELECT count(*) FROM makini._sync WHERE home = makini._home()'), 0, 'nothing is at home in the copy');
request_hung('shop', $id);
is(takes(2000, 'RENAME', sub { as_role('shopkeeper', 'ALTER DATABASE shop RENAME TO store') }), 'done', 'a new name');
request_hung('store', $id);
is(as_role('shopkeeper', 'ALTER DATABASE store SET TABLESPACE space'), 'done', 'another tablespace');
request_hung('store', $id);
is(as_role('shopkeeper', "BEGIN; ALTER DATABASE store RENAME TO shop; SELECT 1; ROLLBACK"), 'done', 'a new name that is rolled back');
request_hung('store', $id);
is(takes(2000, 'DROP DATABASE by its owner', sub { as_role('shopkeeper', 'DROP DATABASE store') }), 'done', 'and it is dropped');
is(as_role('shopkeeper', 'DROP DATABASE copy'), 'done', 'as its copy is');

# ---- blocked until the end of the transaction ----
$id = hung_database('shop');
my $session = Hostile::Session->new($node);
$session->ask('BEGIN; ALTER DATABASE shop RENAME TO store');
is($node->safe_psql('postgres', workers_in('shop')), 0, 'while a command is under way no worker is there');
add_sync($node, schedule => '1 day');
$session->ask('COMMIT');
request_hung('store', $id);

# ---- the command fails for its own reasons ----
like(as_role('shopkeeper', 'ALTER DATABASE store RENAME TO postgres'), qr/already exists/, 'a name that is taken');
request_hung('store', $id);
my $guest = Hostile::Session->new($node, db => 'store');
$guest->ask('SELECT 1');
like(as_role('shopkeeper', 'DROP DATABASE store'), qr/being accessed by other users/, 'somebody else is in it');
$guest->kill;
request_hung('store', $id);

# ---- ALTER EXTENSION, DROP EXTENSION ----
like(as_role('passer_by', 'ALTER EXTENSION makini UPDATE', 'store'), qr/must be owner/, 'refused: ALTER EXTENSION');
takes(1000, 'ALTER EXTENSION UPDATE', sub { $node->safe_psql('store', 'ALTER EXTENSION makini UPDATE') });
request_hung('store', $id);
pass('the extension is updated under a hung run, which begins again');
takes(1000, 'DROP EXTENSION', sub { $node->safe_psql('store', 'DROP EXTENSION makini CASCADE') });
pass('the extension goes under a hung run');
until_query($node, 'the workers to go', 'SELECT (' . workers_in('store') . ') = 0');
is($node->safe_psql('store', q{SELECT count(*) FROM pg_extension WHERE extname = 'makini'}), 0, 'it is gone');
$node->safe_psql('store', 'CREATE EXTENSION makini');
make_jobs($node, '', 'store');
$id = add_sync($node, database => 'store', schedule => '5 min');
$node->safe_psql('store', "SELECT makini.request_sync($id)");
until_query($node, 'a run of the new one', "SELECT count(*) > 0 FROM ran WHERE sync_id = $id", 'store');
pass('and comes again');

# ---- templates and closed databases are left alone ----
until_query($node, 'the workers to go', "SELECT database_state(oid) LIKE 'asleep%' FROM pg_database WHERE datname = 'store'");
$node->safe_psql('postgres', "ALTER DATABASE store IS_TEMPLATE true");
$node->safe_psql('store', "UPDATE makini._sync SET next_run_at = worker_now(); SELECT makini._wake()");
advance($node, '5 min');
until_idle($node);
is($node->safe_psql('store', 'SELECT bool_and(next_run_at <= worker_now()) FROM makini._sync'), 't', 'a template gets no worker');

# ---- fast shutdown with a request in flight ----
hung_database('last');
takes(1000, 'fast shutdown', sub { $node->stop('fast') });
pass('a fast shutdown');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|terminated by signal (?!15)/, 'nothing crashed');
done_testing();
