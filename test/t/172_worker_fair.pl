# Many syncs, many connections, several databases and few workers; slots that run out.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Worker;

my $node = worker_node('fair', conf => 'makini.max_workers = 4');

sub add_many
{
	my ($database, $connections, $entities, $schedule) = @_;
	$node->safe_psql($database, qq{
		WITH s AS (INSERT INTO makini._sync (home, connection_id, source_oid, source, target_oid, target, owner_oid, owner,
				mode, deletes, state, data_as_of, schedule)
			SELECT makini._home(), lpad(c::text, 32, '0')::uuid, 0, 's.t', 0, 't.t', 10, 'postgres',
				'incremental', 'soft', 'incremental', now(), '$schedule'
			FROM generate_series(1, $connections) c, generate_series(1, $entities) e
			RETURNING sync_id, connection_id)
		INSERT INTO makini._sync_run (sync_id, connection_id, lane, mode, status, finished_at)
		SELECT sync_id, connection_id, 'incremental', 'incremental', 'completed', now() FROM s;
		SELECT makini._wake()});
	until_query($node, 'the schedules', 'SELECT bool_and(next_run_at IS NOT NULL) FROM makini._sync', $database);
	return;
}

# ---- 50 connections with 10 entities each, four workers ----
add_many('postgres', 50, 10, '5 min');
foreach my $n (1 .. 10)
{
	advance($node, '30 s');
	until_query($node, 'what is due to be done',
		'SELECT NOT EXISTS (SELECT FROM makini._job) AND NOT EXISTS (SELECT FROM makini._sync WHERE next_run_at <= worker_now())');
}
is($node->safe_psql('postgres', 'SELECT count(DISTINCT sync_id) FROM ran'), 500, 'every sync ran within an interval');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM ran'), '<=', 550, 'and none twice, but for those at its edges');
until_idle($node);

# ---- a connection whose runs never end leaves a worker to the others ----
$node->safe_psql('postgres', 'TRUNCATE ran');
make_jobs($node, q{IF (SELECT connection_id FROM makini._sync WHERE sync_id = sync) = lpad('1', 32, '0')::uuid THEN
	PERFORM pg_sleep(600); END IF;});
advance($node, '5 min');
until_query($node, 'the other connections',
	q{SELECT count(DISTINCT r.sync_id) = 490 FROM ran r JOIN makini._sync s USING (sync_id) WHERE connection_id <> lpad('1', 32, '0')::uuid});
until_query($node, 'the fourth worker to leave', 'SELECT count(*) = 3 FROM makini._job WHERE worker IS NOT NULL');
pass('three of four workers hang, the fourth serves the rest');
make_jobs($node, '');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'makini run'});
until_query($node, 'the queue to be worked off', 'SELECT NOT EXISTS (SELECT FROM makini._job)');
$node->safe_psql('postgres', 'UPDATE makini._sync SET enabled = false');
until_idle($node);

# ---- databases take turns ----
my @others = map { "db$_" } 1 .. 3;
foreach my $database (@others)
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION makini');
	use_database($node, $database);
	make_jobs($node, 'PERFORM pg_sleep(0.05);', $database);
	add_many($database, 5, 24, '5 min');
}
advance($node, '5 min');
until_query($node, "all of $_", 'SELECT count(DISTINCT sync_id) = 120 FROM ran', $_) foreach @others;
my @finished = sort { $a <=> $b } map { $node->safe_psql($_, 'SELECT extract(epoch FROM max(at)) FROM ran') } @others;
my @began = sort { $a <=> $b } map { $node->safe_psql($_, 'SELECT extract(epoch FROM min(at)) FROM ran') } @others;
cmp_ok($began[2], '<', $finished[0], 'no database waits until another is through');
until_idle($node);
$node->safe_psql($_, 'UPDATE makini._sync SET enabled = false') foreach @others;

# ---- slots run out ----
$node->append_conf('postgresql.conf', 'max_worker_processes = 4');
my $logged = -s $node->logfile;
# the launcher, a scheduler, PostgreSQL's own launcher of logical replication, and one more
$node->restart;
until_idle($node);
$node->safe_psql('postgres', 'TRUNCATE ran; UPDATE makini._sync SET enabled = true, next_run_at = worker_now() WHERE sync_id <= 40; SELECT makini._wake()');
until_query($node, 'all of them', 'SELECT count(DISTINCT sync_id) = 40 FROM ran');
pass('with one worker instead of four everything is done, later');
my $said = () = slurp_file($node->logfile, $logged) =~ /could not start a worker of makini: no background worker slot is free/g;
is($said, 1, 'one warning says that slots are missing');
like(slurp_file($node->logfile, $logged), qr/makini needs up to \d+ slots of the 4 in "max_worker_processes".*\n.*HINT:  Set "max_worker_processes" to at least \d+/,
	'and how many are needed');

$node->stop('fast');
done_testing();
