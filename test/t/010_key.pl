# Keys: made by create_key(), taken from a mapping or a file, of all kinds that
# NetSuite accepts, and what is said of those it does not.
use strict;
use warnings;
use lib 'test/lib';
use Cwd 'abs_path';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--scale', '0.02');
my $node = makini_node('key', conf => "log_statement = 'all'\nlog_min_messages = debug1\nmakini.retry_base = 1");

# sql TEXT: rows and what was said, with SQLSTATEs.
sub sql
{
	my ($text, %option) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$text",
		on_error_stop => 1,
		extra_params => [ '-U', $option{user} // 'postgres' ]);
	return ($out, $err);
}

sub lives
{
	my ($text, $name, %option) = @_;
	my ($out, $err) = sql($text, %option);
	unlike($err, qr/ERROR/, $name);
	return $out;
}

sub dies
{
	my ($text, $pattern, $name, %option) = @_;
	my (undef, $err) = sql($text, %option);
	like($err, $pattern, $name);
	return $err;
}

my $ask = "SELECT * FROM makini.query('erp', 'SELECT id FROM currency WHERE id = 1')";
my $steps = "SELECT step || ' ' || status FROM makini.test_connection('erp')";

# A mapping with exactly these options.
sub remap
{
	my (%mapping) = @_;
	$node->safe_psql('postgres',
		'DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER erp; CREATE USER MAPPING FOR CURRENT_USER SERVER erp '
		  . options_clause(%mapping));
	return;
}

connect_server($node, $sim);
my %base = (client_id => $sim->value('client_id'));

# ---- every algorithm, from the function to a row ----

foreach my $algorithm (qw(ES256 ES384 ES512 PS256 PS384 PS512))
{
	my ($key, $certificate, $days) = split /\|/, lives(
		"SELECT private_key, certificate, extract(day FROM expires_at - now()) FROM makini.create_key('$algorithm', 'makini $algorithm', 30)",
		"$algorithm: a key is made");
	like($key, qr/^-----BEGIN PRIVATE KEY-----\n.*\n-----END PRIVATE KEY-----\n$/s, "$algorithm: PEM of the key");
	like($certificate, qr/^-----BEGIN CERTIFICATE-----\n/, "$algorithm: PEM of the certificate");
	cmp_ok($days, '>=', 29, "$algorithm: its days");

	remap(%base, private_key => $key, certificate => $certificate, algorithm => $algorithm,
		certificate_id => $sim->add_certificate($certificate));
	is(lives($ask, "$algorithm: a query"), '{"id": "1"}', "$algorithm: is answered");
	is( scalar(grep { /^(key|certificate|token) ok$|^certificate warning$/ } split /\n/, lives($steps, "$algorithm: test_connection")),
		3, "$algorithm: key, certificate and token are found in order");
}

is(lives('SELECT extract(day FROM expires_at - now()) > 728 FROM makini.create_key()', 'all defaults'), 't', 'last two years');
dies("SELECT makini.create_key('RS256')", qr/ERROR:  22023: could not create a key: algorithm "RS256" is not supported/, 'RS256');
dies("SELECT makini.create_key(days => 731)", qr/ERROR:  22023: .*days must be between 1 and 730/, 'too many days');
dies("SELECT makini.create_key(subject => repeat('x', 65))", qr/ERROR:  22023: .*subject/, 'a subject that is too long');

# ---- into the caller's own mapping ----

$node->safe_psql('postgres', q{
	CREATE ROLE analyst LOGIN;
	CREATE ROLE outsider LOGIN;
	SELECT makini.grant_access('analyst', 'operator', 'erp');
	GRANT EXECUTE ON FUNCTION makini.create_key(text, text, integer, name) TO outsider});
my $certificate = lives("SELECT certificate FROM makini.create_key(server => 'erp') WHERE private_key IS NULL",
	'a key into a mapping that is not there yet', user => 'analyst');
is( $node->safe_psql('postgres', q{
	SELECT string_agg(split_part(option, '=', 1), ' ' ORDER BY option COLLATE "C")
	FROM pg_user_mappings, unnest(umoptions) option WHERE usename = 'analyst'}),
	'certificate private_key', 'makes one with key and certificate');
my $id = $sim->add_certificate($certificate);
lives("ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (ADD client_id '$base{client_id}', ADD certificate_id '$id')",
	'the rest is added', user => 'analyst');
like(lives($steps, 'and tested', user => 'analyst'), qr/^token ok$/m, 'with that key a token is had');
dies("SELECT makini.create_key(server => 'erp')", qr/ERROR:  42710: .*already has a private key.*HINT: .*DROP private_key/s,
	'a key in use is not overwritten', user => 'analyst');

lives('ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (DROP private_key)', 'dropped', user => 'analyst');
lives("SELECT certificate FROM makini.create_key('PS384', server => 'erp')", 'another kind of key', user => 'analyst');
is( $node->safe_psql('postgres', q{
	SELECT string_agg(option, ' ') FROM pg_user_mappings, unnest(umoptions) option
	WHERE usename = 'analyst' AND option LIKE 'algorithm=%'}),
	'algorithm=PS384', 'an algorithm that the key does not tell goes with it');
dies("SELECT makini.create_key(server => 'erp')", qr/ERROR:  42501: permission denied for foreign server erp/,
	'a role without USAGE', user => 'outsider');
dies("BEGIN READ ONLY; SELECT makini.create_key(server => 'erp')", qr/ERROR:  25006:/, 'not in a read-only transaction',
	user => 'analyst');
dies("SELECT makini.create_key(server => 'nowhere')", qr/ERROR:  42704:/, 'no such server');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_user_mappings WHERE usename = 'outsider'"), '0', 'nothing came of it');

my ($stored) = $node->safe_psql('postgres', q{
	SELECT substr(option, 100, 40) FROM pg_user_mappings, unnest(umoptions) option
	WHERE usename = 'analyst' AND option LIKE 'private_key=%'});
cmp_ok(length($stored), '>=', 30, 'the key is stored');
unlike(slurp_file($node->logfile), qr/\Q$stored\E/, 'and in no log');

# ---- files ----

foreach my $kind ('', 'rsa_')
{
	remap(%base, private_key_file => $sim->value("${kind}private_key_file"),
		certificate_file => $sim->value("${kind}certificate_file"),
		certificate_id => $sim->value("${kind}certificate_id"));
	is(lives($ask, "${kind}key in a file"), '{"id": "1"}', 'is answered');
}
my $dir = abs_path(PostgreSQL::Test::Utils::tempdir('files'));
my %file = (certificate_id => 'x', %base);
system('mkfifo', "$dir/fifo");
append_to_file("$dir/big", 'x' x 70000);
append_to_file("$dir/empty", '');
append_to_file("$dir/binary", "canary\0canary");
append_to_file("$dir/text", 'canary that is no key');
foreach my $case (
	[ "$dir/none", qr/ERROR:  58P01: could not open file "\Q$dir\E\/none" named by option "private_key_file"/ ],
	[ "$dir/fifo", qr/ERROR:  42809: .* is not a regular file/ ],
	[ '/dev/zero', qr/ERROR:  42809: .* is not a regular file/ ],
	[ $dir, qr/ERROR:  42809: .* is not a regular file/ ],
	[ "$dir/big", qr/ERROR:  54000: .* is too large/ ],
	[ "$dir/empty", qr/ERROR:  54000: .* is empty/ ],
	[ "$dir/binary", qr/ERROR:  22021: .* is not a text file/ ],
	[ "$dir/text", qr/ERROR:  28000: .*DETAIL:  .*private key is not a PEM private key/s ])
{
	my ($path, $pattern) = @$case;
	remap(%file, private_key_file => $path);
	unlike(dies($ask, $pattern, "file $path"), qr/canary/, 'says nothing of what stands in it');
}

# ---- what does not go together ----

my $pem = slurp_file($sim->value('private_key_file'));
my $weak = slurp_file($sim->value('weak_private_key_file'));
my $rsa = slurp_file($sim->value('rsa_private_key_file'));
my %m2m = (%base, certificate_id => $sim->value('certificate_id'), private_key => $pem);

$sim->forget;
foreach my $case (
	[ { %m2m, private_key => $weak }, qr/RSA key has 2048 bits, at least 3072 are required/, 'a short RSA key' ],
	[ { %m2m, private_key => $rsa, algorithm => 'ES256' }, qr/algorithm ES256 needs an EC key on P-256/, 'an RSA key with ES256' ],
	[ { %m2m, algorithm => 'ES384' }, qr/algorithm ES384 needs an EC key on P-384, but the private key is on P-256/, 'another curve' ],
	[ { %m2m, private_key => 'canary' }, qr/private key is not a PEM private key/, 'no key' ])
{
	my ($mapping, $pattern, $name) = @$case;
	remap(%$mapping);
	my $err = dies($ask, qr/ERROR:  28000: /, "$name: 28000");
	like($err, $pattern, "$name: the reason");
	like($err, qr/^HINT: /m, "$name: a hint");
	unlike($err, qr/canary/, "$name: no secret");
	my $out = lives($steps, "$name: test_connection");
	like($out, qr/^key failed\ncertificate skipped\nnetwork skipped\n/m, "$name: stops at the key");
}
is(scalar $sim->log_entries, 0, 'none of these made a request');

foreach my $case (
	[ {}, qr/user mapping for server "erp" has no credentials/, 'nothing' ],
	[ {%base}, qr/incomplete.*DETAIL:  Missing: certificate_id, private_key or private_key_file\./s, 'only client_id' ],
	[ { %m2m, private_key_file => '/x' }, qr/has both "private_key" and "private_key_file"/, 'a key twice' ],
	[ { %m2m, token_id => 'canary' }, qr/mixes two kinds of authentication/, 'both kinds' ],
	[ { consumer_key => 'canary' }, qr/Missing: consumer_secret, token_id, token_secret\./, 'half of token-based authentication' ],
	[ { %m2m, certificate => 'canary' }, qr/certificate .* cannot be read/, 'no certificate' ])
{
	my ($mapping, $pattern, $name) = @$case;
	remap(%$mapping);
	my $err = dies($ask, $pattern, "$name: the reason");
	like($err, qr/ERROR:  28000:.*^HINT: /ms, "$name: 28000 and a hint");
	unlike($err, qr/canary/, "$name: no secret");
	like(lives($steps, "$name: test_connection"), qr/^options failed$/m, "$name: is its first step");
}
$node->safe_psql('postgres', 'DROP USER MAPPING FOR CURRENT_USER SERVER erp');
dies($ask, qr/ERROR:  28000: no user mapping for server "erp".*HINT:  CREATE USER MAPPING FOR postgres SERVER erp/s, 'no mapping');

# ---- token-based authentication ----

my %tba = map { $_ => $sim->value($_) } qw(consumer_key consumer_secret token_id token_secret);
remap(%tba);
is(lives($ask, 'token-based authentication'), '{"id": "1"}', 'is answered');
like(lives($steps, 'its steps'), qr/^options ok\nkey skipped\ncertificate skipped\nnetwork ok\nclock ok\ntoken ok\nquery ok\n/m,
	'are walked without a key');
remap(%tba, token_secret => 'canary');
my $err = dies($ask, qr/ERROR:  28000: .*HTTP status 401.*INVALID_LOGIN.*HINT: .*Login Audit Trail/s, 'a wrong secret');
unlike($err, qr/canary/, 'is not shown');

# ---- refused by the other side ----

remap(%m2m, certificate_id => 'nobody');
dies($ask, qr/ERROR:  28000: .*invalid_grant.*HINT: .*certificate_id/s, 'an id that is not mapped');
like(lives($steps, 'test_connection'), qr/^network ok\nclock ok\ntoken failed\nquery skipped\n/m, 'fails at the token');
my $extra = $sim->new_key('P384');
remap(%base, private_key_file => $extra->{private_key_file}, certificate_id => $extra->{certificate_id});
lives($ask, 'a certificate before it is revoked');
$sim->revoke_certificate($extra->{certificate_id});
$sim->revoke_tokens;
dies($ask, qr/ERROR:  28000: .*invalid_grant/s, 'and after');
remap(%m2m, certificate => slurp_file($sim->value('rsa_certificate_file')));
like(lives($steps, 'a certificate of another key'), qr/^key ok\ncertificate failed\nnetwork skipped$/m, 'is found before the network');
remap(%base, private_key_file => $sim->value('expired_private_key_file'),
	certificate_file => $sim->value('expired_certificate_file'), certificate_id => $sim->value('expired_certificate_id'));
like(lives($steps, 'an expired certificate'), qr/^key ok\ncertificate failed\n/m, 'is found too');

unlike(slurp_file($node->logfile), qr/ERROR: .*canary/, 'no error in the log repeats a secret');

$node->stop;
done_testing();
