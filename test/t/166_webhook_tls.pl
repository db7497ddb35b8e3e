# Webhooks over TLS with an authority and a client certificate of one's own, and
# secrets encrypted where they are stored.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook;

my $dir = PostgreSQL::Test::Utils::tempdir('tls');
chmod 0755, $dir;
sub certificate
{
	my ($name) = @_;
	system_or_bail('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
		'-subj', "/CN=$name", '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', "$dir/$name.key", '-out', "$dir/$name.crt");
	return ("$dir/$name.crt", "$dir/$name.key");
}
my ($certificate, $key) = certificate('receiver');
my ($other) = certificate('other');
append_to_file("$dir/seal", 'k' x 48);
append_to_file("$dir/seal2", 'z' x 48);

my $receiver = Webhook::Receiver->new($certificate, $key);
my $node = webhook_node('tls', conf => "makini.allow_http = off\nmakini.key_file = '$dir/seal'\n");
sub query { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# ---- TLS ----
$receiver->script('/tls', secret => $secret);
my $id = create_webhook($node, $receiver, '/tls', headers => '{"authorization": "Bearer abc"}', options => qq({"ca_file": "$certificate"}));
emit($node, 'a.b');
$receiver->wait_for('/tls', 1);
is($receiver->count('/tls')->{invalid}, 0, 'delivered over TLS, signed');
my $distrusted = create_webhook($node, $receiver, '/distrusted', options => qq({"ca_file": "$other", "schedule": []}));
like(query("SELECT error FROM makini.test_webhook('$distrusted')"), qr/certificate/, 'a certificate of another authority is not believed');
is($receiver->count('/distrusted')->{requests}, 0, 'and nothing is sent');

# ---- a client certificate ----
my ($client, $client_key) = certificate('client');
my $strict = Webhook::Receiver->new($certificate, $key, $client);
$strict->script('/strict', secret => $secret);
my $known = create_webhook($node, $strict, '/strict', events => '{d.*}', options => qq({"ca_file": "$certificate", "client_certificate_file": "$client", "client_key_file": "$client_key"}));
is(query("SELECT delivered, status FROM makini.test_webhook('$known')"), 't|200', 'who demands a certificate gets it');
emit($node, 'd.e');
$strict->wait_for('/strict', 2);
is($strict->count('/strict')->{invalid}, 0, 'from the sender too');
my $unknown = create_webhook($node, $strict, '/unknown', events => '{d.*}', options => qq({"ca_file": "$certificate", "schedule": []}));
is(query("SELECT delivered FROM makini.test_webhook('$unknown')"), 'f', 'who has none');
is($strict->count('/unknown')->{requests}, 0, 'sends nothing');
query("SELECT makini.drop_webhook('$_')") foreach $known, $unknown;

# ---- sealed secrets ----
is(query("SELECT count(*) FROM makini._webhook_secret WHERE secret LIKE 'sealed:%'"), 2, 'secrets are stored encrypted');
is(query("SELECT count(*) FROM makini._webhook WHERE headers LIKE 'sealed:%' AND headers NOT LIKE '%Bearer%'"), 2, 'so are headers');
like(($receiver->log_of('/tls'))[0]{head}, qr/authorization: Bearer abc/, 'and sent as they are');
my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') ]);
unlike($dump, qr/MfKQ9r8GKYqr|Bearer abc/, 'a dump has none in clear');
like($dump, qr/sealed:/, 'but it has them');

# ---- another key: that webhook is parked ----
$node->append_conf('postgresql.conf', "makini.key_file = '$dir/seal2'");
$node->reload;
until_query($node, 'the setting', "SELECT current_setting('makini.key_file') LIKE '%seal2'");
my ($code, $out, $err) = $node->psql('postgres', "SELECT makini.test_webhook('$id')");
like($err, qr/could not decrypt the secrets of a webhook/, 'with another key they cannot be read');
create_webhook($node, $receiver, '/fresh', options => qq({"ca_file": "$certificate"}));
emit($node, 'c.d');
$receiver->wait_for('/fresh', 1);
pass('others go on');
until_query($node, 'the parking', "SELECT NOT enabled FROM makini.webhook WHERE webhook_id = '$id'");
is(query("SELECT disabled_reason FROM makini.webhook WHERE webhook_id = '$id'"), 'could not decrypt the secrets of a webhook', 'those are disabled, and say why');
$node->append_conf('postgresql.conf', "makini.key_file = '$dir/seal'");
$node->reload;
until_query($node, 'the setting', "SELECT current_setting('makini.key_file') LIKE '%seal'");
query("SELECT makini.enable_webhook('$id')");
$receiver->wait_for('/tls', 2);
is($receiver->count('/tls')->{invalid}, 0, 'with the key back, what was kept is sent');

$node->stop;
done_testing();
