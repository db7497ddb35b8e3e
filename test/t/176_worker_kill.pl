# Kills at random moments over syncs and a drain on schedules: nothing is lost,
# nothing is doubled.  MAKINI_KILLS says how many, MAKINI_SEED which.
use strict;
use warnings;
use lib 'test/lib';
use JSON::PP;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;
use Worker;

my $kills = $ENV{MAKINI_KILLS} // ($ENV{MAKINI_LONG} ? 200 : 12);
my $seed = $ENV{MAKINI_SEED} // time;
srand($seed);

my $sim = Makini::Simulator->new('--rows', 'item=600,customer=600', '--setting', 'latency_ms=5');
my $node = worker_node('kills', conf => "makini.test_job = ''\nmakini.retry_base = 1\n");
my @tables = ([ 'item', 'itemid' ], [ 'customer', 'companyname' ]);
connect_server($node, $sim, tables => [ map { $_->[0] } @tables ], options => { page_size => 50 });
$node->safe_psql('postgres', q{
	CREATE SCHEMA w;
	SELECT makini.create_sync('erp.item', 'w.item', schedule => '5 min');
	SELECT makini.create_sync('erp.customer', 'w.customer', schedule => '5 min')});

# A feed that is given again until it is acknowledged; what is acknowledged an operator sends once more.
my $feed = Makini::ASCTrac->new;
$feed->set(include_processing => JSON::PP::true);
connect_warehouse($node, $feed, tables => ['tranfile_export'], options => { redelivers => 'true' });
$feed->add_bulk('TranFileExport', 500);
$node->safe_psql('postgres', q{SELECT makini.resume_sync(makini.create_drain('wms.tranfile_export', 'landed', '5 min'))});
sub flags { return $feed->feed('TranFileExport'); }

sub kill_something
{
	$node->psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
		ORDER BY backend_type <> 'makini run', backend_type NOT LIKE 'makini%'}, stdout => \my $out);
	my @pids = split /\n/, $out;

	if (rand() < 0.3)
	{
		$node->kill9;
		# each goes when it notices, and until then the server does not start
		Hostile::until_true('its processes to be gone', sub { !grep { kill 0, $_ } @pids });
		Hostile::until_true('the server to start', sub { $node->start(fail_ok => 1) });
		return;
	}
	# runs come first, and are what is interesting
	my $pid = rand() < 0.7 ? $pids[0] : $pids[ rand 4 ];
	return unless defined $pid;
	kill 9, $pid;
	until_up($node, $pid);
	return;
}

# Everything is overdue, whatever a restart has made of the clock.
sub make_due
{
	Hostile::until_true('the server to answer', sub {
		$node->psql('postgres', 'UPDATE makini._sync SET next_run_at = worker_now(), consecutive_failures = 0; SELECT makini._wake()',
			stderr => \my $err) == 0;
	});
	return;
}

foreach my $n (1 .. $kills)
{
	my ($table, $column) = @{ $tables[ rand @tables ] };
	$sim->sql("UPDATE netsuite.$table SET $column = 'change $n', lastmodifieddate = now() WHERE id IN (SELECT id FROM netsuite.$table ORDER BY random() LIMIT 120)");
	$feed->set_flags('TranFileExport', 'F') if flags()->{S} == 0;
	make_due();
	Time::HiRes::sleep(rand 0.4);
	kill_something();
}

make_due();
until_query($node, 'everything to be through',
	q{SELECT NOT EXISTS (SELECT FROM makini._job) AND NOT EXISTS (SELECT FROM makini._load)
		AND (SELECT bool_and(next_run_at > worker_now() AND data_as_of IS NOT NULL) FROM makini._sync)});
make_due();
until_query($node, 'a last run',
	q{SELECT NOT EXISTS (SELECT FROM makini._job) AND (SELECT bool_and(next_run_at > worker_now()) FROM makini._sync)});

foreach (@tables)
{
	my ($table, $column) = @$_;
	my $digest = "SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || md5(string_agg(id || ' ' || coalesce($column, '-'), ',' ORDER BY id))";
	my ($source) = map { $_->[0] } $sim->sql("$digest FROM netsuite.$table");
	is($node->safe_psql('postgres', "$digest FROM w.$table WHERE _deleted_at IS NULL"), $source, "$table after $kills kills, seed $seed");
}
my $state = flags();
is($state->{S}, 0, 'all of the feed that was handed out is acknowledged');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT tranfile_rec_id), count(*) FILTER (WHERE _duplicate_of IS NULL) FROM landed.tranfile_export'),
	"$state->{T}|$state->{T}", 'and all of it has landed, each row once the first');
is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM makini._owed), string_agg(DISTINCT _ack, ' ') FROM landed.tranfile_export}), '0|done', 'nothing is owed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM makini._sync_run r WHERE status = 'running'
		AND EXISTS (SELECT FROM makini._sync_run n WHERE n.sync_id = r.sync_id AND n.lane = r.lane AND n.run_id > r.run_id)}),
	0, 'runs that died are not called running once another has begun');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11/, 'and nothing else died');
$node->stop('fast');
done_testing();
