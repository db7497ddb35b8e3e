# What an idle cluster does: nothing.  And what changes of state do to it:
# kills, a standby and its promotion.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;
use Worker;

my $node = worker_node('idle', conf => "max_wal_senders = 4\nwal_level = replica\n");
my $id = add_sync($node, schedule => '1 day');
until_idle($node);

sub launcher { return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini launcher'"); }

# How often a process has gone to sleep by itself, and been made to.
sub switches
{
	my ($pid) = @_;
	my $status = slurp_file("/proc/$pid/status");
	return join(' ', $status =~ /ctxt_switches:\s+(\d+)/g);
}

# ---- nothing is done while nothing is due ----
SKIP:
{
	my $pid = launcher();
	skip 'no /proc here', 2 unless -r "/proc/$pid/status";
	my $before = switches($pid);
	Time::HiRes::sleep($ENV{MAKINI_LONG} ? 60 : 3);
	is(switches($pid), $before, 'the launcher does not wake up, whatever is due tomorrow');
	is(workers($node), 'makini launcher', 'and is alone');
}

# ---- the postmaster is killed in the middle of a run ----
make_jobs($node, 'PERFORM pg_sleep(600);');
$node->safe_psql('postgres', "SELECT makini.request_sync($id)");
until_query($node, 'the run', 'SELECT count(*) = 1 FROM ran');
my $run = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini run'");
$node->kill9;
Hostile::until_true('the run to end with the postmaster', sub { !kill 0, $run });
$node->start;
until_query($node, 'the run after it', 'SELECT count(*) = 2 FROM ran');
is($node->safe_psql('postgres', 'SELECT crashes FROM makini._job'), 2, 'a crash is counted before the work begins');
make_jobs($node, '');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'makini run'");
until_query($node, 'the job to end', 'SELECT count(*) = 0 FROM makini._job');
until_idle($node);

# ---- a standby ----
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', 'TRUNCATE ran');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'makini%'"), 0, 'a standby has no workers');
my ($code, $out, $err) = $standby->psql('postgres', "SELECT makini.request_sync($id)");
like($err, qr/makini is not active here: this is a standby/, 'and says so');
is($standby->safe_psql('postgres', 'SELECT makini._instance_obstacle()'), 'standby', 'its state is standby');
$node->stop('fast');
$standby->promote;
until_query($standby, 'the launcher', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'makini launcher'");
$standby->safe_psql('postgres', "SELECT makini.request_sync($id)");
until_query($standby, 'a run', 'SELECT count(*) = 1 FROM ran');
pass('promoted, it takes over');
$standby->stop('fast');

# ---- a cluster that ends while a worker waits ----
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal 11/, 'nothing crashed');
done_testing();
