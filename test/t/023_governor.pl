# One account, many sessions: how many requests are in flight, in what order
# they go, and what happens when the other side has enough.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=500', '--scale', '0.02');
my $node = makini_node('governor', conf => "max_connections = 60\nmakini.retry_base = 20");
my %options = (time_zone => 'UTC', max_retries => 20, page_size => 50, fetch_ahead => 2);

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION makini');
foreach my $database ('postgres', 'other')
{
	connect_server($node, $sim, database => $database, options => \%options);
	$node->safe_psql($database, "CREATE FOREIGN TABLE erp (id int8) SERVER erp OPTIONS (entity 'item', key 'id')");
}
my $scan = 'SELECT count(*) FROM (SELECT id FROM erp OFFSET 0) i';
my $script = PostgreSQL::Test::Utils::tempdir('pgbench') . '/scan.sql';
append_to_file($script, "$scan;\n");

sub limit
{
	my ($database, $limit) = @_;
	$node->safe_psql($database,
		"ALTER SERVER erp OPTIONS (" . ($node->safe_psql($database,
				"SELECT count(*) FROM pg_foreign_server WHERE srvoptions::text ~ 'max_concurrency'") ? 'SET' : 'ADD')
		  . " max_concurrency '$limit')");
	return;
}

# crowd N, DATABASE...: N sessions in each, one scan each, all at once; how many got through.
sub crowd
{
	my ($n, @databases) = @_;
	my @out = map { '' } @databases;
	my @err = map { '' } @databases;
	my @runs = map {
		IPC::Run::start([ 'pgbench', '-n', '-c', $n, '-t', 1, '-f', $script, $node->connstr($databases[$_]) ],
			'>', \$out[$_], '2>', \$err[$_])
	} 0 .. $#databases;
	$_->finish foreach @runs;
	my $done = 0;
	foreach (@out) { $done += $1 if m{transactions actually processed: (\d+)/} }
	diag grep { /error/ } @err if $done < $n * @databases;
	return $done;
}

# The most SuiteQL requests that were being answered together.
sub peak { return (sort { $b <=> $a } map { $_->{concurrency} } $sim->log_entries(service => 'suiteql'))[0]; }

$node->safe_psql('postgres', $scan);
$sim->set(latency_ms => 10, concurrency_limit => 0);

limit($_, 3) foreach ('postgres', 'other');
$sim->forget;
is(crowd(12, 'postgres'), 12, 'twelve sessions');
is(peak(), 3, 'share three requests');

limit('other', 2);
$node->safe_psql('other', $scan);
$sim->forget;
is(crowd(6, 'postgres', 'other'), 12, 'two databases with limits of three and two for one account');
is(peak(), 2, 'keep to the smaller one');

limit('other', 4);
$node->safe_psql($_, $scan) foreach ('other', 'postgres');
$sim->forget;
is(crowd(6, 'postgres', 'other'), 12, 'once the smaller limit is raised');
is(peak(), 3, 'the other holds');

# The other side bears less than we were told.
limit($_, 12) foreach ('postgres', 'other');
$node->safe_psql($_, $scan) foreach ('postgres', 'other');
$sim->set(latency_ms => 10, concurrency_limit => 3);
$sim->forget;
is(crowd(10, 'postgres'), 10, 'a storm of refusals ends with all rows for everybody');
my $refusals = $sim->counters->{status_429} // 0;
cmp_ok($refusals, '>', 0, 'there were refusals');
cmp_ok($refusals, '<', 50, 'but not many, because everybody slows down');
note "$refusals refusals";
$sim->set(latency_ms => 0, concurrency_limit => 0);

# A session that has fetched ahead and then does nothing holds up nobody for long.
limit('postgres', 1);
$node->safe_psql('other', "DROP FOREIGN TABLE erp");
my $idle = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<pipe', \*IDLE, '>', \my $said, '2>', \my $complained);
print IDLE "BEGIN; DECLARE c CURSOR FOR SELECT id FROM erp; FETCH 1 FROM c; SELECT set_config('application_name', 'idle', false);\n";
IDLE->flush;
$node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'idle' AND state = 'idle in transaction'");
is($node->safe_psql('postgres', $scan), 500, 'an idle cursor does not stop the others');
print IDLE "FETCH 1000 FROM c;\n\\q\n";
close IDLE;
$idle->finish;
is(scalar(() = $said =~ /^-?\d+$/mg), 500, 'and goes on where it was');

done_testing();
