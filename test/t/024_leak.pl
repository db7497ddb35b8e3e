# Many scans in one session, good and bad ones, leave nothing behind.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{MAKINI_LONG} ? 2000 : 60;

my $sim = Makini::Simulator->new('--rows', 'item=250', '--scale', '0.02');
my $node = makini_node('leak', conf => "makini.retry_base = 1");
connect_server($node, $sim, options => { time_zone => 'UTC', page_size => 100, max_retries => 1 });
$node->safe_psql('postgres', "CREATE FOREIGN TABLE erp (id int8) SERVER erp OPTIONS (entity 'item', key 'id')");

# One session that is asked from here, a line at a time.
my ($in, $out) = ('', '');
my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>&1', IPC::Run::timeout(900));

sub ask
{
	my ($sql) = @_;
	$out = '';
	$in .= "$sql;\n\\echo done\n";
	$session->pump until $out =~ /^done$/m;
	$out =~ s/^done\n//m;
	return $out;
}

# Times five scans: three that end well or early, two that break.
sub rounds
{
	my ($n) = @_;
	foreach (1 .. $n)
	{
		ask(join(";\n", 'SELECT count(*) FROM (SELECT id FROM erp OFFSET 0) i', 'SELECT id FROM erp LIMIT 1',
			'SELECT id FROM erp WHERE id > 10 ORDER BY id LIMIT 120',
			'SELECT nowhere FROM erp_wrong', 'SELECT id / (id - id) FROM erp'));
	}
	return;
}

my $pid = ask('SELECT pg_backend_pid()') + 0;
ask("CREATE FOREIGN TABLE erp_wrong (nowhere text) SERVER erp OPTIONS (entity 'item')");

# Files come and go with PostgreSQL's own cache of them.
sub descriptors { return scalar(grep { (readlink($_) // '') !~ m{^/} } glob("/proc/$pid/fd/*")); }
sub contexts { return ask("SELECT count(*), sum(total_bytes) FROM pg_backend_memory_contexts WHERE name NOT IN ('PortalContext', 'ExecutorState')"); }
sub memory { return (slurp_file("/proc/$pid/status") =~ /VmRSS:\s+(\d+)/)[0]; }

rounds(20);
my ($descriptors, $contexts, $memory) = (descriptors(), contexts(), memory());
rounds($rounds);
cmp_ok(descriptors(), '<=', $descriptors + 3, 'descriptors, but for some connections that are kept');
my ($count_before, $bytes_before) = split /\|/, $contexts;
my ($count_after, $bytes_after) = split /\|/, contexts();
is($count_after, $count_before, 'memory contexts');
cmp_ok($bytes_after, '<=', $bytes_before + 65536, 'their size');
cmp_ok(memory(), '<', $memory + 4096, 'memory of the process, in kB');
is(scalar(() = glob("/proc/$pid/task/*")), 1, 'threads');

$in .= "\\q\n";
$session->finish;
done_testing();
