# A statement can be cancelled wherever its request stands, and one that hangs
# holds up nobody else.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Names that end in slow.test are never resolved.
my $shim = PostgreSQL::Test::Utils::tempdir('shim') . '/slow_dns.so';
system_or_bail($ENV{CC} // 'cc', '-shared', '-fPIC', '-o', $shim, 'test/lib/slow_dns.c', '-ldl');

my $sim = Makini::Simulator->new('--rows', 'item=250', '--scale', '0.02');
my $node;
{
	local $ENV{LD_PRELOAD} = $shim;
	$node = makini_node('cancel');
}

my %options = (max_retries => 3, connect_timeout => '120s', request_timeout => '600s', time_zone => 'UTC');
connect_server($node, $sim, tables => ['item'], options => \%options);
my $scan = 'SELECT count(*) FROM (SELECT id FROM erp.item OFFSET 0) i';

# begin SQL: a session that runs it and waits for the network.
sub begin
{
	my ($sql) = @_;
	my %session = (out => '', err => '', name => 'waiting_' . time());
	$session{process} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'),
			'-c', "SET application_name = '$session{name}'", '-c', $sql ],
		'<', \'', '>', \$session{out}, '2>', \$session{err});
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$session{name}'
		 AND state = 'active' AND wait_event ~ '^(Extension|Makini)'")
	  or die "never waited: $sql\n$session{err}";
	$session{event} = $node->safe_psql('postgres',
		"SELECT wait_event FROM pg_stat_activity WHERE application_name = '$session{name}'");
	return \%session;
}

# end_session SESSION, FUNCTION: what it printed after pg_<function>_backend.
sub end_session
{
	my ($session, $function) = @_;
	my $started = time;
	$node->safe_psql('postgres',
		"SELECT pg_${function}_backend(pid) FROM pg_stat_activity WHERE application_name = '$session->{name}'");
	$session->{process}->finish;
	note sprintf('%s took %.0f ms in %s', $function, 1000 * (time - $started), $session->{event});
	return $session->{err};
}

sub cancels
{
	my ($what, $sql, $event) = @_;
	my $session = begin($sql);
	like(end_session($session, 'cancel'), qr/ERROR:  57014: canceling statement due to user request/, "cancel $what");
	like($session->{event}, qr/^(Extension|$event)$/, "$what: its wait event");
	$sim->disarm;
	is($node->safe_psql('postgres', $scan), 250, "$what: and all is well afterwards");
	return;
}

# ---- every place a request can stand ----

connect_server($node, $sim, server => 'lost', options => { %options, base_url => 'https://slow.test' });
$node->safe_psql('postgres',
	"CREATE FOREIGN TABLE lost (id int8) SERVER lost OPTIONS (entity 'item', key 'id')");
cancels('while a name is resolved', 'SELECT * FROM lost', 'MakiniToken');

connect_server($node, $sim, server => 'hole', options => { %options, base_url => $sim->value('blackhole_url') });
$node->safe_psql('postgres',
	"CREATE FOREIGN TABLE hole (id int8) SERVER hole OPTIONS (entity 'item', key 'id')");
cancels('while connecting', 'SELECT * FROM hole', 'MakiniToken');

$sim->arm(kind => 'hang_tls');
cancels('during the TLS handshake', $scan, 'MakiniHttp');

$sim->arm(kind => 'hang', path => 'suiteql');
cancels('before the first byte', $scan, 'MakiniHttp');

$sim->arm(kind => 'drip', path => 'suiteql', bytes => 1, interval_ms => 200);
cancels('while an answer drips', $scan, 'MakiniHttp');

$sim->arm(kind => '503', path => 'suiteql', count => 0);
cancels('during the back-off', "SET makini.retry_base = 60000; $scan", 'MakiniBackoff');

$sim->revoke_tokens;
$sim->arm(kind => '401', path => 'suiteql');
$sim->arm(kind => 'hang', path => 'token');
cancels('while a token is fetched', $scan, 'MakiniToken');

# ---- one after another, in one session ----

my ($code, $out, $err) = $node->psql('postgres',
	join('', map { "SET statement_timeout = '50ms';\nSELECT * FROM lost;\n" } 1 .. 12)
	  . "RESET statement_timeout;\n$scan;\n",
	on_error_stop => 0);
is(scalar(() = $err =~ /canceling statement due to statement timeout/g), 12,
	'resolver threads left behind hold up no later statement');
like($out, qr/^250$/m, 'nor the requests of others');

# ---- others ----

$sim->arm(kind => 'hang', path => 'suiteql', count => 0);
my $hung = begin($scan);
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('a database can be dropped while another hangs');
like(end_session($hung, 'terminate'), qr/57P01|terminating connection/, 'a hanging session can be ended');
$sim->disarm;

# What an ended session held is free again at once.
$node->safe_psql('postgres', "ALTER SERVER erp OPTIONS (ADD max_concurrency '1')");
$sim->arm(kind => 'hang', path => 'suiteql');
my $holder = begin($scan);
my $waiter = begin($scan);
like($waiter->{event}, qr/^(Extension|MakiniGovernor)$/, 'one request at a time: the second waits for its turn');
end_session($holder, 'terminate');
$waiter->{process}->finish;
is($waiter->{out}, "250\n", 'and goes ahead when the first session ends');

$sim->arm(kind => 'hang', path => 'suiteql');
$holder = begin($scan);
$waiter = begin($scan);
like(end_session($waiter, 'cancel'), qr/57014/, 'who waits for a turn can be cancelled');
end_session($holder, 'cancel');
is($node->safe_psql('postgres', $scan), 250, 'and nothing is held afterwards');

done_testing();
