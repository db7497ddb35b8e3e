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

# New processes have it then; those that are there, when they get to it.
sub set_option
{
	my ($option, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET makini.$option = $value");
	$node->reload;
	until_query($node, 'the setting', "SELECT current_setting('makini.$option') = '$value'");
	return;
}

# ---- 50 connections with 10 entities each, four workers ----
# Time passes by work done: half a second for each run, which is what four
# workers make of runs of two.  So they are busy for five of six seconds.  And a
# little whatever happens, or a scheduler that waits before it starts another
# worker would wait for ever.
add_many('postgres', 50, 10, '5 min');
$node->safe_psql('postgres', q{
	CREATE TABLE due (sync_id bigint, at timestamptz);
	CREATE FUNCTION note_due() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.due VALUES (old.sync_id, old.next_run_at); RETURN NULL; END $$;
	CREATE TRIGGER note_due AFTER UPDATE OF next_run_at ON makini._sync FOR EACH ROW
		WHEN (old.next_run_at < new.next_run_at) EXECUTE FUNCTION note_due()});
make_jobs($node, q{IF (SELECT max(n) FROM public.ran WHERE sync_id = sync) % 10 = 0 THEN PERFORM public.advance('5 s'); END IF;});
my $began = $node->safe_psql('postgres', 'SELECT stop_clock(true)');
until_query($node, "minute $_",
	qq{SELECT advance(CASE WHEN EXISTS (SELECT FROM makini._job) THEN interval '50 ms' ELSE '2 s' END)
		> timestamptz '$began' + interval '$_ min'}) foreach 3, 6, 9, 12, 15;
make_jobs($node, '');
until_query($node, 'what is left', q{SELECT NOT EXISTS (SELECT FROM makini._job) FROM advance('50 ms')});
is($node->safe_psql('postgres', 'SELECT count(DISTINCT sync_id) FROM ran'), 500, 'every sync ran');
my $late = $node->safe_psql('postgres', q{SELECT max(started - at) FROM (SELECT d.at, (SELECT min(r.at) FROM ran r
	WHERE r.sync_id = d.sync_id AND r.at >= d.at) AS started FROM due d) s});
note("the latest start was $late after its time");
is($node->safe_psql('postgres', "SELECT interval '$late' <= '10 min'"), 't', 'within two intervals of each time it was due');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ran a JOIN ran b ON b.sync_id = a.sync_id AND b.n > a.n AND b.at = a.at}), 0, 'and none twice for one time');
$node->safe_psql('postgres', 'DROP TRIGGER note_due ON makini._sync; SELECT stop_clock(false)');
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
# all of them stand in line before the first is served
set_option('launcher', 'off');
until_idle($node);
$node->safe_psql($_, 'TRUNCATE ran') foreach @others;
set_option('max_workers', 0);
set_option('launcher', 'on');
advance($node, '5 min');
until_query($node, "the queue of $_", 'SELECT count(*) = 120 FROM makini._job', $_) foreach @others;
set_option('max_workers', 4);
advance($node, '2 min');
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
