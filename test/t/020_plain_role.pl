# A role without superuser, given a level, USAGE and a mapping of its own, does
# the whole tour; what it was not given it cannot do.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--scale', '0.05');
my $node = makini_node('plain');

# ---- what a superuser does for it ----
connect_server($node, $sim, user => 'postgres');
$node->safe_psql(
	'postgres', q{
	CREATE ROLE plain LOGIN;
	CREATE ROLE stranger LOGIN;
	GRANT CREATE ON DATABASE postgres TO plain;
	SELECT makini.grant_access('plain', 'operator', 'erp');
});

sub as_role
{
	my ($role, $sql) = @_;
	my ($code, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return wantarray ? ($code, $out, $err) : $code == 0 ? $out : "ERROR: $err";
}

sub literal { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# ---- the tour ----
my $key = literal(slurp_file($sim->value('private_key_file')));
my $certificate = literal(slurp_file($sim->value('certificate_file')));
my $client = literal($sim->value('client_id'));
my $certificate_id = literal($sim->value('certificate_id'));
my ($code, undef, $err) = as_role('plain', qq{
	CREATE USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (client_id $client,
		certificate_id $certificate_id, private_key $key, certificate $certificate)});
is($code, 0, 'it makes its own mapping') or diag $err;

is(as_role('plain', q{SELECT string_agg(step, ',') FROM makini.test_connection('erp') WHERE status = 'failed'}),
	'', 'no step of test_connection fails');
is(as_role('plain', 'CREATE SCHEMA mine; IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, customer) FROM SERVER erp INTO mine'),
	'', 'it imports tables');
is(as_role('plain', 'SELECT count(*) > 0 FROM mine.item'), 't', 'and reads them');
is( as_role('plain', 'SELECT count(*) FROM mine.item'),
	($sim->sql('SELECT count(*) FROM netsuite.item'))[0][0],
	'all of them');
like(as_role('plain', 'EXPLAIN (VERBOSE) SELECT id FROM mine.item WHERE id < 9'), qr/SuiteQL/, 'it sees the SuiteQL');
is( as_role('plain', 'SELECT server_name, health, auth, mapped_role FROM makini.connection'),
	'erp|online|ok|plain', 'it sees the connection, with its own mapping');
is( as_role('plain', q{SELECT certificate_expires_at > now() FROM makini.connection}),
	't', 'and when its certificate ends');
like(as_role('plain', 'SELECT sum(requests) FROM makini.connection_stat'), qr/^[1-9]/, 'it sees what it cost');
is(as_role('plain', q{SELECT private_key IS NOT NULL FROM makini.create_key()}), 't', 'it makes a key');
as_role('plain', 'ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (DROP private_key, DROP certificate)');
is( as_role('plain', q{SELECT private_key IS NULL FROM makini.create_key(server => 'erp')}),
	't', 'and one that goes unseen into its mapping');

# ---- what it was not given ----
like(as_role('plain', q{SELECT makini.query('erp', 'SELECT id FROM item')}), qr/permission denied/, 'query is for admins');
like(as_role('plain', q{SELECT makini.set_labels('erp', '{}')}), qr/permission denied/, 'so is set_labels');
like(as_role('plain', q{ALTER SERVER erp OPTIONS (SET allow_private 'false')}), qr/must be owner/, 'the server is not its own');
like(
	as_role('plain', q{ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (ADD private_key_file '/etc/passwd')}),
	qr/ERROR/, 'it may not name files of the server');
like(as_role('plain', q{SELECT * FROM pg_user_mapping}), qr/permission denied/, 'nor look at the mappings of others');

# ---- somebody without anything ----
is(as_role('stranger', 'SELECT count(*) FROM makini.connection'), '0', 'a stranger sees no connection');
like(as_role('stranger', q{SELECT * FROM makini.test_connection('erp')}), qr/permission denied/, 'and may call nothing');
like(as_role('stranger', 'SELECT * FROM mine.item'), qr/permission denied/, 'nor read tables of others');

# ---- USAGE without a mapping says so ----
$node->safe_psql('postgres', q{SELECT makini.grant_access('stranger', 'reader', 'erp')});
is(as_role('stranger', q{SELECT count(*) FROM makini.test_connection('erp') WHERE status = 'failed' AND hint IS NOT NULL}),
	'1', 'without a mapping the first failed step has a hint');

$node->stop;
$sim->stop;
done_testing();
