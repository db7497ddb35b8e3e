# Access tokens: fetched once for everybody, renewed once, and what is said
# when there is none to be had.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=50', '--scale', '0.02');
my $node = makini_node('token', preload => 1, conf => "max_connections = 130\nmakini.retry_base = 1");

# table SERVER: a foreign table of that name; no import, which would fetch a token.
sub table
{
	my ($server) = @_;
	$node->safe_psql('postgres',
		"CREATE FOREIGN TABLE $server (id int8) SERVER $server OPTIONS (entity 'item', key 'id')");
	return;
}

my %options = (time_zone => 'UTC', max_retries => 3);
connect_server($node, $sim, options => \%options);
table('erp');
my $scan = 'SELECT count(*) FROM (SELECT id FROM erp OFFSET 0) i';
my $script = PostgreSQL::Test::Utils::tempdir('pgbench') . '/scan.sql';
append_to_file($script, "$scan;\n");

sub tokens { return $sim->counters->{token} // 0; }

# crowd N: so many sessions at once, one scan each; what pgbench printed as errors.
sub crowd
{
	my ($n) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'pgbench', '-n', '-c', $n, '-j', 2, '-t', 1, '-f', $script, $node->connstr('postgres') ],
		'>', \$out, '2>', \$err);
	my ($done) = $out =~ m{number of transactions actually processed: (\d+)/};
	return ($done // 0, $err);
}

sub fails
{
	my ($sql) = @_;
	my (undef, undef, $err) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	return $err;
}

sub auth { return $node->safe_psql('postgres', "SELECT health, auth FROM makini.connection WHERE server_name = 'erp'"); }

# ---- one for all ----

$sim->forget;
$sim->arm(kind => 'delay', path => 'token', ms => 2000);
my ($done) = crowd(100);
is($done, 100, 'a hundred sessions at once');
is(tokens(), 1, 'and one token request');
$sim->disarm;
is(auth(), 'online|ok', 'the mapping is in order');

$sim->forget;
is($node->safe_psql('postgres', $scan), 50, 'another session');
is(tokens(), 0, 'uses the same token');

# ---- a token that is refused ----

$sim->revoke_tokens;
$sim->forget;
is($node->safe_psql('postgres', $scan), 50, 'a token revoked meanwhile is renewed');
is(tokens(), 1, 'once');
is($sim->requests, 2, 'and the request sent once more');

$sim->revoke_tokens;
$sim->forget;
($done) = crowd(20);
is($done, 20, 'twenty sessions with a revoked token');
is(tokens(), 1, 'renew it once between them');

$sim->arm(kind => '401', path => 'suiteql', count => 0);
$sim->forget;
like(fails($scan), qr/ERROR:  28000: .*HTTP status 401 from .*INVALID_LOGIN.*HINT:  /s, 'a second refusal is final');
is($sim->requests, 2, 'after one renewal');
is(auth(), 'online|required', 'which is remembered of the mapping, not of the server');
$sim->disarm;
is($node->safe_psql('postgres', $scan), 50, 'until it works again');
is(auth(), 'online|ok', 'which is remembered too');

# ---- a token that is not given ----

$sim->revoke_tokens;
$sim->arm(kind => 'oauth_error', path => 'token', error => 'invalid_grant', count => 0);
my $err = fails($scan);
like($err, qr/ERROR:  28000: the token endpoint refused the credentials/, 'refused credentials');
like($err, qr/DETAIL:  HTTP status 400 from \/services\/rest\/auth\/oauth2\/v1\/token: invalid_grant\./, 'with what was said');
like($err, qr/HINT:  .*clock.*certificate_id.*private key.*expired nor.*revoked.*mapping.*sandbox refresh.*role.*Login Audit Trail/s,
	'and the causes in the order they should be looked for');
unlike($err, qr/eyJ|client_assertion=/, 'without the assertion');
$sim->disarm;

$sim->arm(kind => 'oauth_error', path => 'token', error => 'invalid_grant', after => 1, count => 0);
$sim->arm(kind => 'delay', path => 'token', ms => 3000);
$sim->arm(kind => 'oauth_error', path => 'token', error => 'invalid_grant');
$sim->forget;
($done, $err) = crowd(4);
is($done, 0, 'who waits for a token request');
is(tokens(), 1, 'shares its failure');
is(scalar(() = $err =~ /refused the credentials/g), 4, 'each of them');
$sim->disarm;

foreach my $error (qw(invalid_client invalid_request unauthorized_client invalid_scope))
{
	$sim->arm(kind => 'oauth_error', path => 'token', error => $error, status => $error eq 'invalid_client' ? 401 : 400);
	like(fails($scan), qr/ERROR:  28000: .*$error.*HINT:  /s, $error);
	$sim->disarm;
}
$sim->arm(kind => '503', path => 'token', count => 2);
is($node->safe_psql('postgres', $scan), 50, 'a token endpoint that is down for a moment');
$sim->revoke_tokens;
$sim->arm(kind => '502', path => 'token', count => 0);
like(fails($scan), qr/ERROR:  08006: the token endpoint cannot answer now\nDETAIL:  HTTP status 502/, 'or for longer');
is(auth(), 'offline|ok', 'which says nothing of the credentials');
$sim->disarm;
$sim->arm(kind => 'raw', path => 'token', status => 200, body => '{"access_token": "a\nb"}');
like(fails($scan), qr/ERROR:  28000: the token endpoint gave no token/, 'a token that could not stand in a header');
$sim->disarm;

# ---- other ways ----

connect_server($node, $sim, server => 'weak', options => \%options,
	mapping => { map { $_ => $sim->value("weak_$_") } qw(private_key_file certificate_id) });
table('weak');
$sim->forget;
like(fails('SELECT id FROM weak'), qr/ERROR:  28000: .*3072/s, 'an RSA key that is too short');
is(scalar($sim->log_entries), 0, 'is refused before anything is sent');

connect_server($node, $sim, server => 'legacy', options => \%options,
	mapping => { client_id => undef, certificate_id => undef, private_key_file => undef,
		map { $_ => $sim->value($_) } qw(consumer_key consumer_secret token_id token_secret) });
table('legacy');
$sim->forget;
$sim->arm(kind => '503', path => 'suiteql', count => 2);
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT id FROM legacy OFFSET 0) i'), 50,
	'token-based authentication, each try with a signature of its own');
is($sim->requests, 3, 'in three tries');
is(tokens(), 0, 'without a token request');
$sim->disarm;

done_testing();
