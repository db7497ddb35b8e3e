# A session that scans, fails and is cancelled thousands of times holds no more
# at the end than at the beginning; and a long scan needs no more memory than a
# short one.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $rows = $ENV{MAKINI_LONG} ? 1_000_000 : 200_000;
my $sim = Makini::Simulator->new('--scale', '0.02', '--rows', 'item=100', '--bench', "rows=$rows");

# PostgreSQL's compiler for expressions takes 50 MB by itself.
my $node = makini_node('leak', conf => "jit = off\nmakini.retry_base = 1\nmax_files_per_process = 64\nshared_buffers = 4MB\nautovacuum = off");
connect_server($node, $sim,
	tables => [ 'item', 'customer', 'currency', 'transaction' ],
	options => { base_url => $sim->value('http_url'), allow_http => 'true', page_size => 1000 });
connect_server($node, $sim, server => 'tls', tables => ['currency']);
my $session = Hostile::Session->new($node);
my $pid = $session->pid;

# What the session's process holds.
sub held
{
	opendir(my $dir, "/proc/$pid/fd") or die "/proc/$pid/fd: $!";
	# PostgreSQL keeps files of relations open as it likes; they are not counted
	my $fds = grep { /^\d+$/ && (readlink("/proc/$pid/fd/$_") // '/') !~ m{^/} } readdir $dir;
	closedir $dir;
	opendir($dir, "/proc/$pid/task") or die "/proc/$pid/task: $!";
	my $threads = grep { /^\d+$/ } readdir $dir;
	closedir $dir;
	my ($contexts, $used) = ($session->ask('SELECT count(*), sum(used_bytes) FROM pg_backend_memory_contexts'))[0] =~ /(\d+)\|(\d+)/;
	return (fds => $fds, threads => $threads, contexts => $contexts, used => $used, rss => memory('VmRSS'));
}

# kB
sub memory
{
	my ($what) = @_;
	my ($kb) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^$what:\s+(\d+) kB/m;
	return $kb;
}

# Runs statements, as many as a query gives; returns what was said.
sub many
{
	my ($sql) = @_;
	return $session->ask("$sql \\gexec\n");
}

sub compare
{
	my ($before, $after, $kb, $name) = @_;

	is($after->{fds}, $before->{fds}, "$name: no descriptor more");
	is($after->{threads}, $before->{threads}, "$name: no thread more");
	is($after->{contexts}, $before->{contexts}, "$name: no memory context more");
	cmp_ok($after->{used} - $before->{used}, '<', 64 * 1024, "$name: no memory in them");
	cmp_ok($after->{rss} - $before->{rss}, '<', $kb, "$name: nor elsewhere");
	diag(sprintf('%-20s %+d kB resident, %+d bytes in contexts, %d descriptors', $name, $after->{rss} - $before->{rss},
		$after->{used} - $before->{used}, $after->{fds}));
	return;
}

# ---- scans ----

my $scans = q{SELECT format(CASE i %% 5
	WHEN 0 THEN 'SELECT itemid FROM erp.item WHERE id = %s'
	WHEN 1 THEN 'SELECT * FROM erp.currency WHERE name <> %L'
	WHEN 2 THEN 'SELECT count(*) FROM erp.item WHERE id < %s'
	WHEN 3 THEN 'SELECT id FROM erp.item ORDER BY id LIMIT 3'
	ELSE 'SELECT c.id FROM erp.currency c JOIN erp.currency d USING (id) WHERE c.id = %s' END, i %% 7) FROM generate_series(1, %d) i};
my $loop = q{DO $$ BEGIN FOR i IN 1 .. %d LOOP PERFORM itemid FROM erp.item WHERE id = i %% 7; END LOOP; END $$};
my $one_page = 'SELECT count(*) FROM (SELECT id, tranid, memo, trandate, foreigntotal FROM erp.transaction WHERE id <= 1000 OFFSET 0) s';
my (undef, $err) = many(sprintf($scans, 500));
is($err, '', 'scans of five kinds');
$session->ask(sprintf($loop, 10));
$session->ask($one_page);
my %before = held();
(undef, $err) = many(sprintf($scans, 10_000));
is($err, '', '10,000 scans');
my %after = held();
compare(\%before, \%after, 2048, '10,000 scans');

(undef, $err) = $session->ask(sprintf($loop, 1000));
is($err, '', '1,000 in one statement');
%after = held();
compare(\%before, \%after, 2048, 'and 1,000 more');

(undef, $err) = many("SELECT 'SELECT id FROM tls.currency' FROM generate_series(1, 50)");
is($err, '', 'over TLS');
%before = held();
my $connections = $sim->counters->{connections};
(undef, $err) = many("SELECT 'SELECT id FROM tls.currency' FROM generate_series(1, 500)");
is($err, '', '500 scans over TLS');
%after = held();
compare(\%before, \%after, 1024, '500 over TLS');
cmp_ok($sim->counters->{connections} - $connections, '<=', 5, 'they share connections');

# ---- errors ----

# 50 of each that can be had, remote ones and one of our own; the session's own psql says them all.
sub trouble
{
	my ($times) = @_;
	my $said = 0;

	foreach my $fault (
		{ kind => '403' }, { kind => 'torn' }, { kind => 'cut' }, { kind => '502' }, { kind => 'nul' },
		{ kind => 'invalid_utf8' }, { kind => '503' }, { kind => 'reset' }, { kind => 'gzip_bomb', megabytes => 12 },
		{ kind => 'raw', status => 302, headers => { Location => 'http://elsewhere.invalid' } }, undef)
	{
		$sim->arm({ path => 'query/v1/suiteql', count => 0, %$fault }) if $fault;
		my $column = $fault ? 'name' : 'id / (id - id)';
		my (undef, $errors) = many("SELECT 'SELECT id, $column FROM tls.currency' FROM generate_series(1, $times)");
		$said += () = $errors =~ /ERROR:  /g;
		$sim->disarm;
	}
	return $said;
}

alter_server($node, 'tls', max_retries => 1);
trouble(5);
%before = held();
is(trouble(50), 550, '550 errors');
%after = held();
compare(\%before, \%after, 2048, '550 errors');

# ---- cancels ----

sub cancels
{
	my ($times) = @_;
	my $said = 0;

	foreach my $fault ({ kind => 'hang' }, { kind => 'drip', bytes => 20, interval_ms => 200 })
	{
		$sim->arm({ path => 'query/v1/suiteql', count => 0, %$fault });
		my (undef, $errors) = many("SELECT 'SELECT id, name FROM tls.currency' FROM generate_series(1, $times)");
		$said += () = $errors =~ /ERROR:  57014/g;
		$sim->disarm;
	}
	return $said;
}

$session->ask("SET statement_timeout = '8ms'");
cancels(20);
$session->ask('SET statement_timeout = 0');
%before = held();
$session->ask("SET statement_timeout = '8ms'");
is(cancels(250), 500, '500 cancels');
$session->ask('SET statement_timeout = 0');
%after = held();
compare(\%before, \%after, 2048, '500 cancels');

# ---- a long scan ----

my $long = 'SELECT count(*), count(memo), sum(foreigntotal) IS NULL FROM (SELECT id, tranid, transactionnumber, type, recordtype, trandate, '
  . 'entity, currency, exchangerate, foreigntotal, status, memo FROM erp.transaction OFFSET 0) s';
$session->ask($one_page) foreach 1 .. 2;
open(my $refs, '>', "/proc/$pid/clear_refs") or die "clear_refs: $!";
print $refs "5\n";
close $refs;
my $resident = memory('VmRSS');
my ($out, $trouble) = $session->ask($long);
is($trouble, '', "a scan of $rows rows");
like($out, qr/^$rows\|/, 'gives them all');
my $grown = memory('VmHWM') - $resident;
cmp_ok($grown, '<', 20 * 1024, 'in less than 20 MB') or diag($out);
diag(sprintf('%d rows: %+d kB at most, %+d kB afterwards', $rows, $grown, memory('VmRSS') - $resident));

# ---- as few descriptors as PostgreSQL allows ----

is(($session->ask('SHOW max_files_per_process'))[0], "64\n", 'max_files_per_process at its minimum');
alter_server($node, 'erp', fetch_ahead => 8, page_size => 10);
my $join = 'SELECT count(*) FROM erp.item i JOIN erp.customer c ON c.id - i.id = 0 JOIN erp.currency m ON m.id <> i.id';
my $expected = ($sim->sql('SELECT count(*) FROM netsuite.item i JOIN netsuite.customer c ON c.id = i.id JOIN netsuite.currency m ON m.id <> i.id'))[0][0];
is(lives($node, $join, 'a join of three tables'), $expected, 'is right with it');
$session->ask('BEGIN');
$session->ask("DECLARE c$_ CURSOR FOR SELECT id FROM erp.item") foreach 1 .. 20;
my $all = ($sim->sql('SELECT count(*) FROM netsuite.item'))[0][0];
foreach my $i (1 .. 20)
{
	(undef, $err) = $session->ask("MOVE 15 FROM c$i");
	last unless is($err, '', "cursor $i of 20");
}
($out) = $session->ask('FETCH ALL FROM c20');
is(scalar(split /\n/, $out), $all - 15, 'the last of them goes to its end');
$session->ask('COMMIT');
cmp_ok({ held() }->{fds}, '<', 64, 'within its descriptors');

$session->quit;
$node->stop;
done_testing();
