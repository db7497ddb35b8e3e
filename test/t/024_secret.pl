# Secrets that are set on purpose to be found again: nothing that makini prints,
# to whom ever and however much is logged, has any of them.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--scale', '0.02');
my $node = makini_node('secret',
	conf => "makini.retry_base = 1\nlog_min_messages = debug5\nlog_statement = none\nlog_error_verbosity = verbose\nmakini.log_requests = on");
my $dir = PostgreSQL::Test::Utils::tempdir('keys');
my $said = '';
my %canary;

# Each of them is a word that is nowhere else.
sub canary
{
	my ($name) = @_;
	return $canary{$name} //= 'Canary' . join('', map { chr(97 + rand 26) } 1 .. 12);
}

# A line out of the middle of a key is a canary too.
sub key_is_canary
{
	my ($name, $pem) = @_;
	$canary{$name} = (split /\n/, $pem)[1];
	return $pem;
}

# Ask; what comes back is kept to be looked through.
sub ask
{
	my ($sql, %given) = @_;
	my ($out, $err) = says($node, $sql, %given);
	$said .= "$out\n$err\n";
	return "$out\n$err";
}

sub fails
{
	my ($sql, $pattern, $name) = @_;
	my $answer = ask($sql);
	like($answer, $pattern, $name);
	return;
}

sub remap
{
	my (%mapping) = @_;
	return ask('DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER erp; CREATE USER MAPPING FOR CURRENT_USER SERVER erp '
		  . options_clause(%mapping));
}

# Everything that may speak of a mapping.
sub look_around
{
	my ($name) = @_;
	my $answer = '';

	$answer .= ask($_) foreach (
		'SELECT id, itemid FROM erp.item LIMIT 3',
		"SELECT * FROM makini.query('erp', 'SELECT id FROM currency')",
		"SELECT * FROM makini.test_connection('erp')",
		'EXPLAIN (VERBOSE) SELECT * FROM erp.item WHERE id = 1',
		'EXPLAIN (VERBOSE, ANALYZE) SELECT * FROM erp.item WHERE id = 1',
		'SELECT * FROM makini.connection',
		'SELECT * FROM makini.connection_stat',
		'ANALYZE erp.item',
		'DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA other; IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency) FROM SERVER erp INTO other',
	);
	like($answer, qr/makini|ERROR/, $name);
	return $answer;
}

connect_server($node, $sim, tables => ['item'], options => { max_retries => 1 });
my $key = key_is_canary('the key', slurp_file($sim->value('private_key_file')));
my %m2m = (client_id => $sim->value('client_id'), certificate_id => $sim->value('certificate_id'));

# ---- it works: nothing of it is shown ----

remap(%m2m, private_key => $key);
like(look_around('a key that is right'), qr/token\|ok/, 'it works');

my $encrypted = "$dir/encrypted.pem";
system_or_bail('openssl', 'pkcs8', '-topk8', '-in', $sim->value('private_key_file'), '-out', $encrypted, '-v2', 'aes256',
	'-passout', 'pass:' . canary('passphrase'));
remap(%m2m, private_key => key_is_canary('encrypted key', slurp_file($encrypted)), key_passphrase => canary('passphrase'));
like(look_around('a key with a passphrase'), qr/token\|ok/, 'it works');
remap(%m2m, private_key => slurp_file($encrypted), key_passphrase => canary('wrong passphrase'));
like(look_around('a wrong passphrase'), qr/ERROR:  28000/, 'does not');
remap(%m2m, private_key => slurp_file($encrypted));
like(look_around('no passphrase'), qr/ERROR:  28000/, 'does not');

$canary{consumer_secret} = $sim->value('consumer_secret');
$canary{token_secret} = $sim->value('token_secret');
remap(map { $_ => $sim->value($_) } qw(consumer_key consumer_secret token_id token_secret));
like(look_around('token-based authentication'), qr/token\|ok/, 'it works');

# ---- it does not ----

remap(consumer_key => canary('consumer_key'), consumer_secret => canary('other consumer_secret'), token_id => canary('token_id'),
	token_secret => canary('other token_secret'));
like(look_around('wrong secrets'), qr/ERROR:  28000/, 'are refused');
remap(consumer_key => "line\nbreak" . canary('broken consumer_key'), consumer_secret => "a\x01" . canary('broken secret'),
	token_id => canary('token_id'), token_secret => canary('other token_secret'));
look_around('control characters in secrets');
remap(%m2m, private_key => canary('no key'));
like(look_around('a key that is none'), qr/ERROR:  28000/, 'is refused');
remap(%m2m, private_key => "-----BEGIN PRIVATE KEY-----\n" . canary('half a key') . "\n-----END PRIVATE KEY-----\n");
like(look_around('a key that is half'), qr/ERROR:  28000/, 'is refused');
append_to_file("$dir/text", canary('file'));
append_to_file("$dir/binary", canary('binary file') . "\0" . canary('binary file'));
foreach my $file ('text', 'binary')
{
	remap(%m2m, private_key_file => "$dir/$file");
	like(look_around("a $file file that is no key"), qr/ERROR/, 'is refused');
	remap(%m2m, private_key => $key, certificate_file => "$dir/$file");
	like(look_around("a $file file that is no certificate"), qr/ERROR/, 'is refused');
}
remap(%m2m, private_key => $key, certificate => canary('certificate'));
like(look_around('a certificate that is none'), qr/ERROR:  28000/, 'is refused');

# ---- in the statement that sets it ----

my $before = -s $node->logfile;
my @wrong = (
	[ 'OPTIONS (privat_key %s)', qr/HV00D: invalid option "privat_key"/, 'a misspelt option' ],
	[ 'OPTIONS (private_key %s, certificate_expires_at \'sometime\')', qr/22023: invalid value for option "certificate_expires_at"/, 'a date that is none' ],
	[ 'OPTIONS (private_key %s, certificate_expires_at \'2028-13-45\')', qr/22023: invalid value for option "certificate_expires_at"/, 'a date that cannot be' ],
	[ 'OPTIONS (private_key %s, algorithm \'RS256\')', qr/22023: invalid value for option "algorithm"/, 'an algorithm that is none' ],
	[ 'OPTIONS (token_secret %s, consumer_secret \'\')', qr/22023: invalid value for option "consumer_secret"/, 'an empty secret' ],
	[ 'OPTIONS (key_passphrase %s, private_key_file \'relative\')', qr/22023: invalid value for option "private_key_file"/, 'a relative path' ],
	[ 'OPTIONS (consumer_secret %s, account_id \'1\')', qr/HV00D: invalid option "account_id"/, 'an option of servers' ]);
ask('DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER erp');
foreach my $case (@wrong)
{
	my ($options, $pattern, $name) = @$case;
	my $sql = 'CREATE USER MAPPING FOR CURRENT_USER SERVER erp ' . sprintf($options, "'" . canary("typed: $name") . "'");

	fails($sql, $pattern, "$name in CREATE USER MAPPING");
	fails("DO \$do\$ BEGIN EXECUTE \$x\$$sql\$x\$; END \$do\$", $pattern, "$name in a function") unless $name =~ /option of/;
}
remap(%m2m, private_key => $key);
foreach my $case (@wrong)
{
	my ($options, $pattern, $name) = @$case;
	(my $add = $options) =~ s/private_key %s/SET private_key %s/;
	$add =~ s/(\(|, )(?!SET)(\w+ )/$1ADD $2/g;
	fails('ALTER USER MAPPING FOR CURRENT_USER SERVER erp ' . sprintf($add, "'" . canary("altered: $name") . "'"), $pattern, "$name in ALTER USER MAPPING");
}
fails('CREATE SERVER bad FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id \'1\', private_key \'' . canary('on a server') . '\')',
	qr/HV00D: invalid option "private_key"/, 'a secret on a server');
fails('ALTER SERVER erp OPTIONS (ADD proxy_ \'http://user:' . canary('in a URL') . '@proxy\')', qr/HV00D/, 'a password in a URL');
fails('ALTER SERVER erp OPTIONS (SET base_url \'https://user:' . canary('in a base URL') . '@host\')', qr/22023/, 'a password in the base URL');
ask('CREATE ROLE nobody LOGIN; GRANT USAGE ON FOREIGN SERVER erp TO nobody');
ask('CREATE USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (private_key \'' . canary('of nobody') . '\', private_key_file \'/etc/passwd\')',
	user => 'nobody');

# What was typed comes back to who typed it only in a CONTEXT of PostgreSQL's.
$said =~ s/^CONTEXT:  SQL statement .*?\n(?=PL\/pgSQL)//msg;

# ---- a token ----

my $token = 'eyJ' . canary('access token') . ('x' x 60);
remap(%m2m, private_key => $key);
$sim->arm(kind => 'raw', path => 'oauth2/v1/token', count => 0, status => 200, headers => { 'Content-Type' => 'application/json' },
	body => encode_json({ access_token => $token, token_type => 'Bearer', expires_in => 3600 }));
like(look_around('a token that is refused'), qr/28000: NetSuite refused the authentication/, 'is refused');
foreach my $status (400, 403, 500)
{
	$sim->arm(kind => 'raw', path => 'oauth2/v1/token', status => 200, headers => { 'Content-Type' => 'application/json' },
		body => encode_json({ access_token => $token, token_type => 'Bearer', expires_in => 3600 }));
	$sim->arm(kind => 'status', path => 'query/v1', count => 0, status => $status, code => 'ECHO', detail => "you sent Bearer $token, did you not");
	like(look_around("a token that comes back in a $status"), qr/token not shown/, 'is left out');
	$sim->disarm;
}
$sim->reset;
$sim->arm(kind => 'oauth_error', path => 'oauth2/v1/token', count => 0, error => 'invalid_request',
	description => 'client_assertion=eyJ' . canary('assertion') . ('y' x 60));
remap(%m2m, private_key => $key, scope => 'rest_webservices,restlets');
like(look_around('an assertion that comes back'), qr/28000/, 'is refused');
$sim->reset;

foreach my $fault (
	{ kind => '401', count => 0 }, { kind => '429', count => 0 }, { kind => '502', count => 0 }, { kind => 'torn', count => 0 },
	{ kind => 'cut', count => 0 }, { kind => 'reset', count => 0 })
{
	$sim->arm({ path => 'query/v1', %$fault });
	like(look_around("fault $fault->{kind}"), qr/ERROR/, 'ends in an error');
	$sim->reset;
}

# ---- a key nobody has seen ----

remap(%m2m);
ask("SELECT certificate FROM makini.create_key('ES256', server => 'erp')");
my ($stored) = $node->safe_psql('postgres', q{SELECT option FROM pg_user_mappings, unnest(umoptions) option WHERE option LIKE 'private_key=%'});
key_is_canary('created key', $stored);
like(look_around('a key that was created'), qr/28000/, 'is not yet known to NetSuite');
my $shown = ask("SELECT private_key FROM makini.create_key()");
$said =~ s/\Q$shown\E//;

# ---- looking for them ----

my $log = slurp_file($node->logfile);

# PostgreSQL 18 itself says at DEBUG3 where it looks for a library, and in which statement.
$log =~ s/^.*DEBUG:  \S+ find_in_path: .*\n(?:.*CONTEXT:  .*\n(?:\t.*\n)*)?//mg;
like($log, qr/LOG: .*request POST \/services\/rest\/query\/v1\/suiteql of server "erp"/, 'requests are logged');
like($log, qr/DEBUG: /, 'and everything else');
like($said, qr/server_name|erp/, 'much was said');

# The remaps were typed with the secrets in them, and are in no log by default.
foreach my $name (sort keys %canary)
{
	my @where = ((index($log, $canary{$name}) >= 0 ? 'the log' : ()), (index($said, $canary{$name}) >= 0 ? 'an answer' : ()));

	is("@where", '', "not to be found: $name") or diag(($log . $said) =~ /^(.*\Q$canary{$name}\E.*)$/m);
}
is(join("\n", ($log . $said) =~ /^(.*eyJ[A-Za-z0-9_-]{20}.*)$/mg), '', 'nor any token or assertion');
is(join("\n", ($log . $said) =~ /^(.*(?:oauth_signature=|Bearer [A-Za-z0-9]).*)$/mg), '', 'nor a header');
is(join("\n", ($log . $said) =~ /^(.*PRIVATE KEY-----)$/mg), '', 'nor a key');

$node->stop;
done_testing();
