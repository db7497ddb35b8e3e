# How ASCTrac is told who asks: a fixed token, tokens of the token service, none;
# and what test_connection says of the way there.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $sim = Makini::ASCTrac->new;
my $node = makini_node('asctrac_auth', conf => "makini.retry_base = 1");
connect_warehouse($node, $sim, tables => ['inventory_audit']);

my $query = 'SELECT count(*) > 100 FROM wms.inventory_audit';

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub mapping
{
	my (%option) = @_;
	sql('DROP USER MAPPING FOR CURRENT_USER SERVER wms; CREATE USER MAPPING FOR CURRENT_USER SERVER wms ' . options_clause(%option));
	return;
}
sub steps
{
	return map { my ($step, @rest) = split /\|/; $step => join('|', @rest) }
	  split /\n/, sql("SELECT step, status, detail, hint FROM makini.test_connection('wms')");
}

my %service = (client_id => $sim->value('client_id'), client_secret => $sim->value('client_secret'));

# ---- a fixed token ----

is(sql($query), 't', 'a fixed token');
mapping(token => 'nobody-has-this-token');
my $err = dies($node, $query, '28000', [qr/refused the credentials/, qr/HTTP status 401/, qr/HINT:.*user mapping/], 'a wrong token');
unlike($err, qr/nobody-has-this/, 'which is not told');
is($sim->requests('InventoryAudit'), 2, 'and not tried again');
my $file = $node->basedir . '/token';
PostgreSQL::Test::Utils::append_to_file($file, $sim->value('token') . "\n");
mapping(token_file => $file);
is(sql($query), 't', 'a token in a file');
sql("ALTER SERVER wms OPTIONS (ADD token_encoding 'base64')");
$sim->set(token_encoding => 'base64');
is(sql($query), 't', 'base64, as older versions want it');
sql("ALTER SERVER wms OPTIONS (DROP token_encoding)");
dies($node, $query, '28000', [], 'which has to be said');
$sim->set(token_encoding => 'raw');

# ---- tokens of the token service ----

mapping(%service);
is(sql($query), 't', 'tokens of the token service');
$sim->forget;
is(sql("$query; $query"), "t\nt", 'are used again');
is(scalar($sim->log_entries(service => 'token')), 0, 'without asking for new ones');
$sim->call('POST', '/token', {});
is(sql($query), 't', 'one that was revoked is renewed');
is(scalar($sim->log_entries(service => 'token')), 1, 'once');
my ($asked) = grep { $_->{method} eq 'POST' } $sim->log_entries(service => 'token');
like($asked->{headers}{'content-type'}, qr/application\/json/, 'with an object, not a form');
sql("CREATE SCHEMA feeds; IMPORT FOREIGN SCHEMA v1 LIMIT TO (tranfile_export) FROM SERVER wms INTO feeds;
	CREATE FUNCTION test_drain(server name, entity text, answer text, keep boolean, OUT part text, OUT parent bigint, OUT cells text[], OUT raw text)
		RETURNS SETOF record LANGUAGE C AS 'makini', 'makini_test_drain'");
$sim->call('POST', '/token', {});
like(sql("SELECT part FROM test_drain('wms', 'tranfile_export', 'none', false)"), qr/^rows [1-9]/, 'before a feed too: it is refused before it consumes');
mapping(%service, client_secret => 'not-the-secret');
$err = dies($node, $query, '28000', [qr/token endpoint refused/, qr/HINT:.*client secret/], 'a wrong secret');
unlike($err, qr/not-the-secret/, 'which is not told');
mapping(client_id => 'x');
dies($node, $query, '28000', [qr/no client secret/, qr/HINT:.*client_secret/], 'half a client');
mapping(token => 'x', %service);
dies($node, $query, '28000', [qr/has a token, and a client id/], 'both kinds');
mapping(%service);
sql('ALTER SERVER wms OPTIONS (DROP token_url)');
dies($node, $query, 'HV00J', [qr/no option "token_url"/, qr/ADD token_url/], 'no address of the token service');

# ---- none ----

sql('DROP USER MAPPING FOR CURRENT_USER SERVER wms');
dies($node, $query, '28000', [], 'no mapping where one is needed');
$sim->set(authentication => JSON::PP::false);
is(sql($query), 't', 'none where none is needed');
my %step = steps();
like($step{inventory}, qr/^ok.*GWInterfaceUseAuthentication/, 'test_connection says what that means');

# ---- test_connection ----

$sim->set(authentication => JSON::PP::true);
sql('CREATE USER MAPPING FOR CURRENT_USER SERVER wms ' . options_clause(token => $sim->value('token')));
my $before = encode_json([ map { $_->{flag} } $sim->feed_rows('ParcelExport') ]);
%step = steps();
is(join(' ', map { ($step{$_} // '') =~ /^(\w+)/ } 'options', 'network', 'inventory', 'interactive service', 'time zone', 'feeds'),
	'ok ok ok ok warning warning', 'the steps');
is(encode_json([ map { $_->{flag} } $sim->feed_rows('ParcelExport') ]), $before, 'touch no feed');
sql("ALTER SERVER wms OPTIONS (ADD time_zone 'America/New_York', ADD redelivers 'true')");
%step = steps();
like($step{'time zone'}, qr/^ok/, 'with a time zone');
like($step{feeds}, qr/^ok/, 'and redelivery');
mapping(token => 'wrong');
%step = steps();
like($step{inventory}, qr/^failed.*401/, 'a wrong token');
sql("ALTER SERVER wms OPTIONS (SET base_url 'https://127.0.0.1:9')");
%step = steps();
like($step{network}, qr/^failed.*could not connect/, 'nobody there');
like($step{inventory}, qr/^skipped/, 'the rest is skipped');

$node->stop;
done_testing();
