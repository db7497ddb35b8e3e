# What the tests of the background worker share: a node that has one, jobs that
# are procedures instead of runs, and a clock that the test moves.
#
#   my $node = worker_node('worker');
#   make_jobs($node, 'INSERT INTO ran (sync_id, lane) VALUES (sync_id, lane)');
#   my $id = add_sync($node, schedule => '5 min');
#   advance($node, '5 min');
package Worker;

use strict;
use warnings;
use Exporter 'import';
use Hostile;
use Makini;

our @EXPORT = qw(worker_node use_database make_jobs add_sync advance workers until_idle until_query);

# A preloaded node whose workers call public.job and leave soon; its database
# postgres has the extension and what make_jobs() makes.
sub worker_node
{
	my ($name, %option) = @_;
	my $conf = "max_worker_processes = 16\nrestart_after_crash = on\nmakini.scheduler_linger = '100ms'\n"
	  . "makini.test_job = 'public.job'\nlog_line_prefix = '%m [%p] %b %q%a '\n" . ($option{conf} // '');
	my $node = makini_node($name, preload => 1, conf => $conf);

	use_database($node, 'postgres');
	return $node;
}

# Tables and functions that the calls below need, in a database with the extension.
sub use_database
{
	my ($node, $database) = @_;

	$node->safe_psql($database, q{
		CREATE TABLE ran (n bigint GENERATED ALWAYS AS IDENTITY, sync_id bigint, lane text, mode text,
			at timestamptz, pid int DEFAULT pg_backend_pid());
		CREATE FUNCTION advance(by interval) RETURNS timestamptz LANGUAGE C STRICT AS 'makini', 'makini_test_advance_clock';
		CREATE FUNCTION stop_clock(stop boolean) RETURNS timestamptz LANGUAGE C STRICT AS 'makini', 'makini_test_stop_clock';
		CREATE FUNCTION worker_now() RETURNS timestamptz LANGUAGE C AS 'makini', 'makini_test_now';
		CREATE FUNCTION database_state(database oid) RETURNS text LANGUAGE C STRICT AS 'makini', 'makini_test_database_state';
	});
	make_jobs($node, '', $database);
	return;
}

# make_jobs NODE, STATEMENTS [, DATABASE]: a run notes itself, then does what a
# run does to its sync, then these (PL/pgSQL; sync, lane and mode are variables).
sub make_jobs
{
	my ($node, $statements, $database) = @_;

	$node->safe_psql($database // 'postgres', qq{
		CREATE OR REPLACE PROCEDURE public.job(sync bigint, lane text, mode text) LANGUAGE plpgsql AS \$job\$
		BEGIN
			INSERT INTO public.ran (sync_id, lane, mode, at) VALUES (sync, lane, mode, public.worker_now());
			UPDATE makini._sync SET state = 'incremental', data_as_of = now(), consecutive_failures = 0
				WHERE sync_id = sync;
			COMMIT;
			$statements
		END \$job\$});
	return;
}

# add_sync NODE, column => value, ...: a row of makini._sync; gives its id.
sub add_sync
{
	my ($node, %given) = @_;
	my $database = delete $given{database} // 'postgres';
	my %row = (
		connection_id => '00000000-0000-0000-0000-000000000001', source => 's.t', source_oid => 0,
		target => 't.t', target_oid => 0, owner => 'postgres', owner_oid => 10, mode => 'incremental',
		deletes => 'soft', state => 'incremental', data_as_of => '2026-11-23', %given);
	my $columns = join(', ', sort keys %row);
	my $values = join(', ', map { defined $row{$_} ? "'$row{$_}'" : 'NULL' } sort keys %row);

	# as if it had run before, or it would be taken for one that needs a load
	return (split /\n/, $node->safe_psql($database, qq{
		WITH s AS (INSERT INTO makini._sync (home, $columns) VALUES (makini._home(), $values) RETURNING sync_id)
			INSERT INTO makini._sync_run (sync_id, connection_id, lane, mode, status, finished_at)
			SELECT sync_id, '00000000-0000-0000-0000-000000000001', 'incremental', 'incremental', 'completed', now()
			FROM s RETURNING sync_id;
		SELECT makini._wake()}))[0];
}

sub advance
{
	my ($node, $interval, $database) = @_;
	return $node->safe_psql($database // 'postgres', "SELECT advance('$interval')");
}

# Workers there are: their types, sorted, one a line.
sub workers
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		"SELECT backend_type FROM pg_stat_activity WHERE backend_type LIKE 'makini%' ORDER BY 1");
}

sub until_query
{
	my ($node, $what, $query, $database) = @_;
	$node->poll_query_until($database // 'postgres', $query)
	  or die "waited in vain for $what";
	return;
}

# Only the launcher is left.
sub until_idle
{
	my ($node) = @_;
	return until_query($node, 'the workers to leave',
		"SELECT string_agg(backend_type, ',') = 'makini launcher' FROM pg_stat_activity WHERE backend_type LIKE 'makini%'");
}

1;
