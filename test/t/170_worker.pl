# Schedules, the queue, and the processes that come and go with the work.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;
use Worker;

my $node = worker_node('worker');
my $ran = 'SELECT count(*) FROM ran';

# ---- idle ----
until_idle($node);
is(workers($node), 'makini launcher', 'an idle cluster has the launcher only');
is($node->safe_psql('postgres', "SELECT datname FROM pg_stat_activity WHERE backend_type = 'makini launcher'"),
	'', 'which is connected to no database');
is($node->safe_psql('postgres', q{SELECT database_state(oid) FROM pg_database WHERE datname = 'postgres'}),
	'asleep', 'the database is known');
is($node->safe_psql('postgres', q{SELECT database_state(oid) FROM pg_database WHERE datname = 'template1'}),
	'unknown', 'others are not');

# ---- an hour of a schedule ----
my $id = add_sync($node, schedule => '5 min');
until_idle($node);
is($node->safe_psql('postgres', "SELECT next_run_at > worker_now() AND next_run_at <= worker_now() + '5 min' FROM makini._sync"),
	't', 'a new sync is scheduled');
is($node->safe_psql('postgres', $ran), 0, 'and has not run yet');
is($node->safe_psql('postgres', q{SELECT database_state(oid) FROM pg_database WHERE datname = 'postgres'}),
	'asleep until due', 'its scheduler has left word when it is needed again');
foreach my $n (1 .. 12)
{
	advance($node, '5 min');
	until_query($node, "run $n", "SELECT count(*) = $n FROM ran");
}
until_idle($node);
is($node->safe_psql('postgres', $ran), 12, 'twelve runs in an hour, not one more');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ran a JOIN ran b ON b.n = a.n + 1 WHERE b.at - a.at < '4 min 59 s'}),
	0, 'five minutes apart');
is($node->safe_psql('postgres', 'SELECT count(*) FROM makini._job'), 0, 'the queue is empty');

# ---- asking for a run ----
is($node->safe_psql('postgres', "SELECT makini.request_sync($id)"), 't', 'a run is asked for');
until_query($node, 'the run', 'SELECT count(*) = 13 FROM ran');
is($node->safe_psql('postgres', "BEGIN; SELECT makini.request_sync($id); ROLLBACK"), 't', 'a request that is rolled back');
until_idle($node);
is($node->safe_psql('postgres', $ran), 13, 'is none');
make_jobs($node, 'PERFORM pg_sleep(600);');
$node->safe_psql('postgres', "SELECT makini.request_sync($id, 'incremental')");
until_query($node, 'the run to begin', 'SELECT count(*) = 14 FROM ran');
is($node->safe_psql('postgres', 'SELECT mode FROM ran ORDER BY n DESC LIMIT 1'), 'incremental', 'in the mode asked for');
is($node->safe_psql('postgres', "SELECT makini.request_sync($id)"), 'f', 'a lane that runs is not queued again');
is(workers($node), "makini launcher\nmakini run\nmakini scheduler", 'workers are told apart by their types');
is($node->safe_psql('postgres', q{SELECT application_name, query LIKE 'CALL%', state FROM pg_stat_activity WHERE backend_type = 'makini run'}),
	'makini run|t|active', 'a run shows what it does');
my ($code, $out, $err) = $node->psql('postgres', "SELECT makini.request_sync($id, 'sideways')");
like($err, qr/invalid value for "mode": "sideways"/, 'modes are checked');
($code, $out, $err) = $node->psql('postgres', "SELECT makini.request_sync(4711)");
like($err, qr/sync 4711 does not exist/, 'and syncs');

# ---- cancel, terminate ----
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'makini run'});
until_query($node, 'the job to be struck off', 'SELECT count(*) = 0 FROM makini._job');
is($node->safe_psql('postgres', 'SELECT consecutive_failures FROM makini._sync'), 0, 'a cancelled run is no failure');
$node->safe_psql('postgres', "SELECT makini.request_sync($id)");
until_query($node, 'the run to begin', 'SELECT count(*) = 15 FROM ran');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'makini run'});
until_query($node, 'the run to begin again', 'SELECT count(*) = 16 FROM ran');
is($node->safe_psql('postgres', 'SELECT crashes FROM makini._job'), 1, 'being ended is not counted as a crash');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'makini scheduler'});
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'makini launcher'});
until_query($node, 'all of them to be back', q{SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type LIKE 'makini%'});
is($node->safe_psql('postgres', $ran), 16, 'while a run goes on, whoever of the others is ended');

# ---- a crash ----
make_jobs($node, '');
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini run'});
kill 9, $pid;
until_query($node, 'the run after the crash', 'SELECT count(*) = 17 FROM ran');
until_idle($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM makini._job'), 0, 'it ran to its end');

# ---- switched off and on ----
$node->safe_psql('postgres', "ALTER SYSTEM SET makini.launcher = off");
$node->reload;
until_query($node, 'the setting', "SELECT current_setting('makini.launcher') = 'off'");
($code, $out, $err) = $node->psql('postgres', "SELECT makini.request_sync($id)");
like($err, qr/there is no background worker of makini.*HINT:  Turn "makini.launcher" on/s, 'without a launcher a request says what to do');
is($node->safe_psql('postgres', "SELECT hint FROM makini.problem WHERE object = 'background worker'"),
	'Turn "makini.launcher" on and reload the configuration.', 'and so does makini.problem');
# the crash has set the clock back
advance($node, '3 hours');
is($node->safe_psql('postgres', $ran), 17, 'and nothing runs');
$node->safe_psql('postgres', "ALTER SYSTEM RESET makini.launcher");
$node->reload;
until_query($node, 'what was due', 'SELECT count(*) = 18 FROM ran');
until_idle($node);
is($node->safe_psql('postgres', "SELECT count(*) FROM makini.problem WHERE object = 'background worker'"), 0, 'no worker is missed then');
$node->safe_psql('postgres', "ALTER SYSTEM SET makini.run_on = 'elsewhere, nowhere'");
$node->reload;
until_query($node, 'the setting', "SELECT current_setting('makini.run_on') <> ''");
($code, $out, $err) = $node->psql('postgres', "SELECT makini.request_sync($id)");
like($err, qr/makini is not active here: "makini.run_on" does not name this host/, 'a host that is not named runs nothing');
advance($node, '1 hour');
is($node->safe_psql('postgres', $ran), 18, 'nothing at all');
$node->safe_psql('postgres', "ALTER SYSTEM RESET makini.run_on");
$node->reload;
until_query($node, 'what was due', 'SELECT count(*) = 19 FROM ran');

# ---- data that becomes too old ----
$node->safe_psql('postgres', q{UPDATE makini._sync SET options = '{"max_staleness": "2 hours"}', schedule = '1 day',
	data_as_of = worker_now(), next_run_at = worker_now() + interval '1 day'; SELECT makini._wake()});
until_idle($node);
my $ages = "SELECT string_agg(type, ',' ORDER BY occurred_at) FROM makini.event WHERE type IN ('sync.stale', 'sync.fresh')";
my $told = $node->safe_psql('postgres', $ages);
advance($node, '3 hours');
until_query($node, 'the event', "SELECT ($ages) = ltrim('$told,sync.stale', ',')");
$node->safe_psql('postgres', 'UPDATE makini._sync SET data_as_of = worker_now(); SELECT makini._wake()');
until_query($node, 'the other', "SELECT ($ages) = ltrim('$told,sync.stale,sync.fresh', ',')");
advance($node, '1 hour');
until_idle($node);
is($node->safe_psql('postgres', $ages), ($told eq '' ? '' : "$told,") . 'sync.stale,sync.fresh', 'data that is too old is told of once, and so is its end');
$node->safe_psql('postgres', q{UPDATE makini._sync SET options = '{}', schedule = '5 min', next_run_at = NULL; SELECT makini._wake()});
until_idle($node);

# ---- one bad row ----
$node->safe_psql('postgres', q{ALTER TABLE makini._sync DISABLE TRIGGER ALL});
add_sync($node, schedule => 'every full moon');
advance($node, '5 min');
until_query($node, 'the good one', 'SELECT count(*) = 20 FROM ran');
until_idle($node);
is($node->safe_psql('postgres', "SELECT next_run_at FROM makini._sync WHERE schedule LIKE 'every%'"), 'infinity',
	'a schedule that cannot be read stops its own sync only');

# ---- home ----
$node->safe_psql('postgres', "UPDATE makini._sync SET home = 'elsewhere/1' WHERE sync_id = $id");
($code, $out, $err) = $node->psql('postgres', "SELECT makini.request_sync($id)");
like($err, qr/sync $id belongs to another database/, 'a sync whose home is elsewhere is refused');
advance($node, '1 hour');
until_idle($node);
is($node->safe_psql('postgres', $ran), 20, 'and not scheduled');

$node->stop('fast');
done_testing();
