# makini.test_connection(): each step when it goes well and when it does not.
# What a wrong key or mapping leads to is in 010_key.pl.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;
use Time::HiRes;

my $sim = Makini::Simulator->new('--scale', '0.02');
my $node = makini_node('test_connection', conf => 'makini.retry_base = 1');
connect_server($node, $sim, mapping => { certificate_file => $sim->value('certificate_file') });

# steps: {step} = [status, detail, hint], and their order.
sub steps
{
	my %step;
	my @order;

	foreach my $line (split /\n/, $node->safe_psql('postgres', "SELECT step, status, detail, hint, ms FROM makini.test_connection('erp')"))
	{
		my ($name, @rest) = split /\|/, $line, -1;
		push @order, $name;
		$step{$name} = \@rest;
	}
	return (\%step, \@order);
}

sub check
{
	my ($name, $status, $pattern, $hint) = @_;
	my ($step) = steps();
	my $label = "$name is $status";

	is($step->{$name}[0], $status, $label);
	like($step->{$name}[1], $pattern, "$label: detail");
	like($step->{$name}[2], $hint, "$label: hint") if $hint;
	return $step;
}

sub option { my ($change) = @_; return $node->safe_psql('postgres', "ALTER SERVER erp OPTIONS ($change)"); }

# ---- all is well ----

my ($step, $order) = steps();
is("@$order", 'options key certificate network clock token query time zone deleted records concurrency', 'the steps in order');
is($step->{$_}[0], $_ eq 'concurrency' ? 'skipped' : 'ok', "$_") foreach @$order;
is(scalar(grep { $step->{$_}[3] !~ /^[0-9.e-]+$/ } @$order), 0, 'each has its time');


# ---- what the role may see ----

$sim->set(administrator => JSON::PP::true);
check('concurrency', 'ok', qr/limit of the account is 5, makini uses up to 4/);
$sim->set(concurrency_limit => 2);
check('concurrency', 'warning', qr/limit of the account is 2/, qr/Set max_concurrency of the server to 2 or less/);
$sim->reset;

$sim->hide('deletedrecord', undef, 'record');
$step = check('deleted records', 'warning', qr/may not read record "deletedrecord"/, qr/permission Deleted Records/);
is($step->{concurrency}[0], 'skipped', 'the next step is walked all the same');
like($step->{concurrency}[1], qr/administrators/, 'and has its own reason');
$sim->reset;
$sim->hide('currency', undef, 'record');
check('query', 'ok', qr/table item/);
$sim->hide($_, undef, 'record') foreach qw(item customer transaction);
$step = check('query', 'failed', qr/may not read record/, qr/permission/);
is($step->{'time zone'}[0], 'skipped', 'nothing is left to try');
$sim->reset;
$sim->arm(kind => '403', count => 0, path => 'suiteql');
check('query', 'failed', qr/HTTP 403 INSUFFICIENT_PERMISSION/, qr/REST Web Services/);
$sim->reset;
$sim->set(language => 'de');
check('query', 'failed', qr/INVALID_HEADER/, qr/accept_language/);
option("ADD accept_language 'de'");
check('query', 'ok', qr/reads table/);
option('DROP accept_language');
$sim->reset;

# ---- time ----

$sim->set(utc_extraction => JSON::PP::false);
check('time zone', 'failed', qr/./, qr/option time_zone/);
option("ADD time_zone 'America/Los_Angeles'");
check('time zone', 'ok', qr/local time of America\/Los_Angeles/);
option('DROP time_zone');
$sim->reset;
$sim->set(clock_offset => 90);
check('clock', 'warning', qr/clock is (89|90|91)\.\d s behind/, qr/NTP/);
$sim->set(clock_offset => 1000);
$step = check('clock', 'failed', qr/clock is (999|1000|1001)\.\d s behind/, qr/NTP/);
is($step->{token}[0], 'skipped', 'a token need not be asked for');
$sim->set(clock_offset => -1000);
check('clock', 'failed', qr/s ahead/, qr/NTP/);
$sim->reset;

# ---- passing trouble ----

$sim->arm(kind => '502', count => 1, path => 'serverTime');
check('network', 'ok', qr/answers/);
$sim->arm(kind => '503', count => 0, path => 'serverTime');
$step = check('network', 'failed', qr/HTTP 503/, qr/./);
is(scalar(grep { $step->{$_}[0] eq 'skipped' } qw(clock token query concurrency)), 4, 'the rest is skipped');
$sim->reset;
$sim->arm(kind => 'raw', status => 200, headers => { 'Content-Type' => 'text/html' }, body => '<html><title>Sign in</title></html>', count => 0, path => 'suiteql');
check('query', 'failed', qr/a page instead of data.*Sign in/, qr/account_id/);
$sim->reset;

# ---- the way there ----

my %address = (
	expired_url => qr/TLS/,
	wronghost_url => qr/TLS/);
foreach my $name (sort keys %address)
{
	option("SET base_url '" . $sim->value($name) . "'");
	$step = check('network', 'failed', $address{$name}, qr/./);
	is($step->{token}[0], 'skipped', "$name: the rest is skipped");
}
option("SET base_url 'https://127.0.0.1:9'");
check('network', 'failed', qr/could not connect/, qr/./);
option("SET base_url 'https://makini-test.invalid'");
check('network', 'failed', qr/could not resolve/, qr/./);
option("SET base_url '" . $sim->value('url') . "'");
option('DROP allow_private');
check('network', 'failed', qr/not a public one/, qr/ALTER SERVER erp OPTIONS \(ADD allow_private/);
option("ADD allow_private 'true'");
option("SET base_url '" . $sim->value('http_url') . "'");
check('network', 'failed', qr/plain http/, qr/ALTER SERVER erp OPTIONS \(ADD allow_http/);
option("SET base_url '" . $sim->value('url') . "'");

# ---- a cancel is no result ----

option("SET base_url '" . $sim->value('blackhole_url') . "'");
my ($code, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '200ms'; SELECT * FROM makini.test_connection('erp')",
	on_error_stop => 1);
like($err, qr/ERROR:  57014/, 'a cancel is raised');
option("SET base_url '" . $sim->value('url') . "'");

# ---- who may ----

$node->safe_psql('postgres', "CREATE ROLE outsider LOGIN; GRANT EXECUTE ON FUNCTION makini.test_connection(name) TO outsider");
(undef, undef, $err) = $node->psql('postgres', "SELECT * FROM makini.test_connection('erp')", extra_params => [ '-U', 'outsider' ]);
like($err, qr/permission denied for foreign server erp/, 'not who may not use the server');
(undef, undef, $err) = $node->psql('postgres', "SELECT * FROM makini.test_connection('nowhere')");
like($err, qr/server "nowhere" does not exist/, 'nor a server that is not there');

$node->stop;
done_testing();
