# Sessions and servers killed at any moment of a load: the target never has a
# row twice, the position is never ahead of the rows, and in the end the target is
# the source.  How little is read again is tested in 050_resume.pl.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $kills = $ENV{MAKINI_LONG} ? 100 : 12;
my $pages = 100;
my $ahead = 4;

srand($ENV{MAKINI_SEED} // 20261123);
my $sim = Makini::Simulator->new('--bench', "rows=${\ ($pages * 200)}");
my $node = PostgreSQL::Test::Cluster->new('kill');
$node->init;
$node->append_conf('postgresql.conf', "makini.retry_base = 1\nfsync = on\nrestart_after_crash = on");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION makini');
connect_server($node, $sim, tables => ['transaction'],
	options => { page_size => 200, fetch_ahead => $ahead, max_concurrency => 8, sync_concurrency => $ahead });

# Slow enough to be hit in the middle, whatever the machine.
$sim->set(latency_ms => 20);

my $columns = 'id, tranid, type, trandate, entity, currency, foreigntotal, status, memo, lastmodifieddate';
my $list = join(', ', map { "'$_'" } split(/, /, $columns));
my $id = $node->safe_psql('postgres',
	"SELECT makini.create_sync('erp.transaction', 'wh.transaction', schedule => NULL, initial_window => 'all', columns => ARRAY[$list])");

# Rows and what the load says of them, in one snapshot.
sub state_of_load
{
	my $row = $node->safe_psql('postgres',
		"SELECT (SELECT count(*) FROM wh.transaction), (SELECT count(DISTINCT id) FROM wh.transaction), coalesce((SELECT rows_done FROM makini._load WHERE sync_id = $id AND lane = 'backfill'), -1)");
	return split(/\|/, $row);
}

my %how = (session => 0, postmaster => 0);
my $in_the_middle = 0;
for my $kill (1 .. $kills)
{
	my $session = Hostile::Session->new($node);
	my $what = rand() < 0.7 ? 'session' : 'postmaster';

	$session->send("CALL makini.run_sync($id, " . ($kill % 4 ? 'NULL' : "'full'") . ')');
	usleep(int(rand(300_000)));
	$in_the_middle++ unless $session->is_done;
	if ($what eq 'session')
	{
		kill('KILL', $session->pid);
	}
	else
	{
		$node->kill9;
	}
	$how{$what}++;
	$session->kill;
	until_true('the session to be gone', sub { return !kill(0, $session->pid); });
	if ($what eq 'postmaster')
	{
		until_true('the server to start', sub { return $node->start(fail_ok => 1); });
	}
	until_up($node);

	my ($rows, $distinct, $done) = state_of_load();
	my $label = "kill $kill ($what, $rows rows)";
	is($distinct, $rows, "$label: no row twice");
	next unless $done >= 0;
	my $mode = $node->safe_psql('postgres', "SELECT mode FROM makini._load WHERE sync_id = $id AND lane = 'backfill'");
	is($rows, $done, "$label: the load says what there is") if $mode eq 'initial';
	my $left = $node->safe_psql('postgres', "SELECT status FROM makini.sync_run WHERE sync_id = $id ORDER BY run_id DESC LIMIT 1");
	like($left, qr/running|completed|cancelled/, "$label: the run has not had the time to call itself failed");
}
cmp_ok($in_the_middle, '>', $kills / 3, 'most kills struck in the middle');
note("kills: $how{session} of sessions, $how{postmaster} of servers, $in_the_middle in the middle");

$node->safe_psql('postgres', "CALL makini.run_sync($id)");
is($node->safe_psql('postgres', "SELECT state FROM makini.sync WHERE sync_id = $id"), 'incremental', 'the load came to its end');
is($node->safe_psql('postgres', "SELECT count(*) FROM makini.sync_run WHERE status = 'running'"), 0, 'runs that were killed are called failed');

my $digest = "SELECT count(*), md5(string_agg(md5(ROW($columns)::text), '' ORDER BY id)) FROM";
is($node->safe_psql('postgres', "SET makini.max_requests_per_query = 0; $digest wh.transaction WHERE _deleted_at IS NULL"),
	$node->safe_psql('postgres', "SET makini.max_requests_per_query = 0; $digest erp.transaction"), 'the target is the source');

done_testing();
