# Where webhooks may not be sent: addresses that are not public, whatever they
# are called, and URLs that two readers could read differently.
use strict;
use warnings;
use lib 'test/lib';
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Makini;
use PostgreSQL::Test::Utils;
use Socket qw(inet_aton inet_ntoa);
use Test::More;
use Webhook;

# Names whose answer changes from look-up to look-up.
my $dir = PostgreSQL::Test::Utils::tempdir('resolver');
system_or_bail($ENV{CC} // 'cc', '-shared', '-fPIC', '-o', "$dir/slow_dns.so", 'test/lib/slow_dns.c', '-ldl');

my $receiver = Webhook::Receiver->new;
my $node;
{
	local $ENV{LD_PRELOAD} = "$dir/slow_dns.so";
	local $ENV{LOOK_UPS} = "$dir/look_ups";
	$node = webhook_node('address', conf => "makini.allowed_private_hosts = ''\n");
}

sub create
{
	my ($url) = @_;
	$url =~ s/'/''/g;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT webhook_id FROM makini.create_webhook('$url')");

	return ($out, $err);
}

# ---- addresses that are refused when somebody names them ----
my $vectors = decode_json(slurp_file('test/lib/webhook-vectors.json'));
foreach my $address (@{ $vectors->{ssrf_blocked} }, 'fe80::1', 'fd00::1', '64:ff9b::7f00:1', '2002:7f00:1::1')
{
	my $host = $address =~ /:/ ? "[$address]" : $address;
	my ($out, $err) = create("https://$host/x");

	like($err, qr/ERROR:  (42501|22023)/, "$address is refused");
}
foreach my $address (@{ $vectors->{ssrf_allowed} })
{
	my $host = $address =~ /:/ ? "[$address]" : $address;
	my ($out) = create("https://$host/x");

	like($out, qr/^[0-9a-f-]{36}$/, "$address is not");
}

# ---- URLs ----
foreach my $case (
	[ 'http://2130706433/', qr/not written in the usual way/ ],
	[ 'http://0x7f.1/', qr/not written in the usual way/ ],
	[ 'http://127.1/', qr/not written in the usual way/ ],
	[ 'http://0177.0.0.1/', qr/not written in the usual way|not a public/ ],
	[ 'http://[::ffff:7f00:1]/', qr/not a public address/ ],
	[ 'http://localhost/', qr/not a public address/ ],
	[ 'http://[::1%25lo]/', qr/IPv6 address that is not valid/ ],
	[ 'http://user@127.0.0.1/', qr/must not contain credentials/ ],
	[ 'http://user:pw@example.com/', qr/must not contain credentials/ ],
	[ 'file:///etc/passwd', qr/must begin with https/ ],
	[ 'gopher://127.0.0.1:5432/', qr/must begin with https/ ],
	[ 'http+unix://%2Fvar%2Frun/x', qr/must begin with https/ ],
	[ 'https://example.com/#x', qr/must not contain a fragment/ ],
	[ 'https://exa mple.com/', qr/character that is not allowed/ ],
	[ "https://example.com/?a=b c", qr/query with a character that is not allowed/ ],
	[ 'https://example.com:0/', qr/port/ ],
	[ 'https://', qr/no host name/ ],
	[ '', qr/must begin with/ ])
{
	my ($url, $like) = @$case;
	my ($out, $err) = create($url);

	like($err, $like, "refused: '$url'");
	like($err, qr/ERROR:  (42501|22023)/, 'with its SQLSTATE');
}
my ($out, $err) = create('https://example.com/hook?token=abc%20d');
like($out, qr/^[0-9a-f-]{36}$/, 'a query is fine');

# ---- a name that turns out to have such an address: judged when the connection is made ----
my $id = create_webhook($node, $receiver, '/named', url => 'http://hooks.example/named', options => '{"schedule": []}');
my $named = 'http://localhost:' . $receiver->port . '/named';
$node->safe_psql('postgres', "SELECT makini.disable_webhook('$id'); UPDATE makini._webhook SET url = '$named'; SELECT makini.enable_webhook('$id')");
$node->safe_psql('postgres', "SELECT makini.emit('a.b')");
until_query($node, 'the attempt', "SELECT EXISTS (SELECT FROM makini.delivery_attempt WHERE webhook_id = '$id')");
like($node->safe_psql('postgres', "SELECT error FROM makini.delivery_attempt WHERE webhook_id = '$id'"),
	qr/"localhost" has the address (127\.0\.0\.1|::1), which is not a public one/, 'a name with a private address is refused, and says how it may be allowed');
is($receiver->count('/named')->{requests}, 0, 'nothing was sent');
like($node->safe_psql('postgres', "SELECT error FROM makini.test_webhook('$id')"), qr/not a public one/, 'neither as a test');

# ---- a name may be allowed, and what was open is not used when it no longer is ----
$node->append_conf('postgresql.conf', "makini.allowed_private_hosts = 'localhost, 10.0.0.0/8'");
$node->reload;
until_query($node, 'the test to succeed', "SELECT delivered FROM makini.test_webhook('$id')");
$node->append_conf('postgresql.conf', "makini.allowed_private_hosts = 'other.example, 10.0.0.0/8'");
$node->reload;
until_query($node, 'the test to be refused again', "SELECT error LIKE '%not a public one%' FROM makini.test_webhook('$id')");
pass('names are allowed by the setting');
($out, $err) = create('https://10.1.2.3/');
like($out, qr/^[0-9a-f-]{36}$/, 'and networks');
my ($code);
($code, $out, $err) = $node->psql('postgres', q{LOAD 'makini'; ALTER SYSTEM SET makini.allowed_private_hosts = '10.0.0.0/99'});
like($err, qr/"10\.0\.0\.0\/99" is neither a host name nor an address nor a network/, 'nonsense is refused');

# ---- redirects to private addresses lead nowhere: they are not followed ----
$node->append_conf('postgresql.conf', "makini.allowed_private_hosts = '127.0.0.1'");
$node->reload;
until_query($node, 'the setting', q{SELECT current_setting('makini.allowed_private_hosts') = '127.0.0.1'});
my $redirected = create_webhook($node, $receiver, '/redirect', options => '{"schedule": []}');
$receiver->script('/redirect', status => 302, location => 'http://169.254.169.254/latest/meta-data');
is($node->safe_psql('postgres', "SELECT delivered, status, error FROM makini.test_webhook('$redirected')"),
	'f|302|answered 302: redirects are not followed', 'a redirect is a failure');

# ---- a name that changes its address between two look-ups leads nobody astray ----
# Of each two look-ups the first gives an address that is allowed.  Whoever judged
# one and connected to another would connect to the trap.
my $trap = IO::Socket::INET->new(LocalAddr => '127.0.0.2', LocalPort => $receiver->port, Listen => 5, ReuseAddr => 1) or die "no trap: $!";
my $turns = 'http://turns.test:' . $receiver->port . '/turns';
my $turning = create_webhook($node, $receiver, '/turns', url => $turns, options => '{"schedule": []}');
$receiver->script('/turns', secret => $secret);
my %came;
foreach my $session (1 .. 8)
{
	my $answer = $node->safe_psql('postgres', "SELECT delivered, error FROM makini.test_webhook('$turning')");
	$came{ $answer eq 't|' ? 'delivered' : $answer }++;
}
is($came{delivered}, 4, 'while the answer is an allowed address it is delivered');
is_deeply([ map { $came{$_} } grep { /^f\|"turns\.test" has the address 127\.0\.0\.2, which is not a public one/ } keys %came ], [4], 'and refused while it is another');
is(-s "$dir/look_ups", 8, 'a name is looked up once for each connection: what is judged is what is used');
ok(!IO::Select->new($trap)->can_read(0), 'nobody has connected to that address');
is($receiver->count('/turns')->{requests}, 4, 'four requests were sent');

# ---- plain http ----
$node->append_conf('postgresql.conf', 'makini.allow_http = off');
$node->reload;
until_query($node, 'the setting', q{SELECT current_setting('makini.allow_http') = 'off'});
($out, $err) = create('http://127.0.0.1/');
like($err, qr/must begin with https:\/\//, 'plain http needs the setting');
like($node->safe_psql('postgres', "SELECT error FROM makini.test_webhook('$redirected')"), qr/[Pp]rotocol/, 'at every request');

# ---- the environment's proxy is not used ----
unlike(slurp_file('src/webhook/transfer.c'), qr/CURLOPT_PROXY, NULL/, 'no proxy of the environment');

$node->stop;
done_testing();
