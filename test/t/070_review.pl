# A session that was cancelled while it waited for its turn, and then does
# nothing, holds up nobody with what it has fetched ahead.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=500', '--scale', '0.02');
my $node = makini_node('review', conf => "makini.retry_base = 20");
connect_server($node, $sim, options => { max_concurrency => 1, page_size => 50 });
$node->safe_psql('postgres',
	"CREATE FOREIGN TABLE i (id int8) SERVER erp OPTIONS (entity 'item', key 'id');
	 CREATE FOREIGN TABLE c (id int8) SERVER erp OPTIONS (entity 'currency', key 'id');
	 CREATE FOREIGN TABLE slow (id int8) SERVER erp OPTIONS (entity 'customer', key 'id')");

sub session
{
	my ($name) = @_;
	my %session = (in => '', out => '', err => '');
	$session{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " application_name=$name" ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

# says SESSION, SQL: run it to its end.
my $said = 0;
sub says
{
	my ($session, $sql) = @_;
	my $mark = 'said ' . ++$said;
	$session->{in} .= "$sql;\n\\echo $mark\n";
	$session->{run}->pump until $session->{out} =~ /^$mark$/m;
	return;
}

my $idle = session('idle');
says($idle, 'BEGIN; DECLARE ahead CURSOR FOR SELECT id FROM i; FETCH 1 FROM ahead; SELECT count(*) FROM c');

$sim->arm({ kind => 'delay', ms => 3000, table => 'customer' });
my $holder = session('holder');
$holder->{in} = "SELECT count(*) FROM (SELECT id FROM slow OFFSET 0) s;\n\\q\n";
$holder->{run}->pump_nb until ($sim->counters->{in_flight} // 0) > 0;

says($idle, "FETCH 60 FROM ahead; SAVEPOINT s; SET LOCAL statement_timeout = '300ms'; SELECT count(*) FROM c");
like($idle->{err}, qr/statement timeout/, 'cancelled while it waited for its turn');
says($idle, 'ROLLBACK TO s');
$holder->{run}->finish;

is($node->safe_psql('postgres',
		"SET statement_timeout = '20s'; SELECT count(*) FROM (SELECT id FROM c OFFSET 0) s") > 0, 1,
	'what it asked for before stands in nobody\'s way');

says($idle, 'FETCH ALL FROM ahead');
is(scalar(() = $idle->{out} =~ /^-?\d+$/mg), 501, 'and its cursor goes on');
$idle->{in} .= "\\q\n";
$idle->{run}->finish;
done_testing();
