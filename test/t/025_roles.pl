# Rights: each step of the tour is refused with 42501 to who lacks the right for
# it, and a query runs with the mapping of the role whose rights it has.  The
# tour itself is in 020_plain_role.pl.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--scale', '0.02');
my $node = makini_node('roles', conf => 'makini.retry_base = 1');
my %m2m = map { $_ => $sim->value($_) } qw(client_id certificate_id);
my %inline = (%m2m, private_key => slurp_file($sim->value('private_key_file')));

connect_server($node, $sim, tables => [ 'item', 'currency' ]);
$node->safe_psql('postgres', q{
	CREATE ROLE plain LOGIN;
	CREATE ROLE keeper LOGIN;
	CREATE ROLE visitor LOGIN;
	GRANT CREATE ON DATABASE postgres TO plain;
	GRANT USAGE ON SCHEMA erp TO PUBLIC});

# refused SQL, PATTERN, NAME: for the role plain, with 42501.
sub refused
{
	my ($sql, $pattern, $name) = @_;
	return dies($node, $sql, '42501', [$pattern], $name, user => 'plain');
}

sub plain { my ($sql, $name) = @_; return lives($node, $sql, $name, user => 'plain'); }

my $mapping = 'CREATE USER MAPPING FOR CURRENT_USER SERVER erp ' . options_clause(%inline);

# ---- step by step: refused without, allowed with ----

refused("SELECT makini.create_key()", qr/permission denied for function create_key/, 'to make a key without a level');
refused("SELECT * FROM makini.test_connection('erp')", qr/permission denied for function test_connection/, 'to test without a level');
refused('SELECT * FROM makini.connection_stat', qr/permission denied for view connection_stat/, 'to look at counters without a level');
refused("SELECT makini.grant_access('plain', 'operator')", qr/permission denied/, 'to take a level');
refused($mapping, qr/permission denied for foreign server erp/, 'a mapping without USAGE');
refused('BEGIN; CREATE SCHEMA s; IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency) FROM SERVER erp INTO s', qr/permission denied for foreign server erp/, 'to import without USAGE');
refused("CREATE FOREIGN TABLE t (id bigint) SERVER erp OPTIONS (entity 'item')", qr/permission denied/, 'a table without USAGE');
refused("CREATE SERVER mine FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1')", qr/permission denied for foreign-data wrapper netsuite_fdw/, 'a server without USAGE');
is($node->safe_psql('postgres', 'SELECT count(*) FROM makini.connection'), '1', 'there is a connection');
is(plain('SELECT count(*) FROM makini.connection', 'who has nothing'), '0', 'sees none');

$node->safe_psql('postgres', "SELECT makini.grant_access('plain', 'operator')");
refused("SELECT * FROM makini.test_connection('erp')", qr/permission denied for foreign server erp/, 'to test without USAGE');
refused("SELECT makini.create_key(server => 'erp')", qr/permission denied for foreign server erp/, 'a key into a mapping without USAGE');
refused("SELECT makini.query('erp', 'SELECT id FROM item')", qr/permission denied for function query/, 'to query without the level for it');
is(plain('SELECT count(*) FROM makini.connection_stat', 'counters without USAGE'), '0', 'are none');
like(plain('SELECT private_key FROM makini.create_key()', 'a key with the level'), qr/PRIVATE KEY/, 'is made');

$node->safe_psql('postgres', "SELECT makini.grant_access('plain', 'operator', 'erp')");
dies($node, 'CREATE SCHEMA s; CREATE FOREIGN TABLE s.t (id bigint) SERVER erp OPTIONS (entity \'item\'); SELECT * FROM s.t', '28000',
	[ qr/no user mapping for server "erp"/, qr/HINT:  CREATE USER MAPPING FOR plain SERVER erp/ ], 'a table without a mapping', user => 'plain');
like(plain('CREATE SCHEMA other; IMPORT FOREIGN SCHEMA v1 LIMIT TO (currency) FROM SERVER erp INTO other; DROP SCHEMA other CASCADE', 'to import without a mapping'),
	qr/^$/, 'is left to the catalogue');
plain($mapping, 'a mapping with USAGE');
is(plain("SELECT count(*) FROM makini.test_connection('erp') WHERE status = 'failed'", 'to test with it'), '0', 'goes well');
plain('CREATE SCHEMA mine; IMPORT FOREIGN SCHEMA v1 LIMIT TO (item, currency) FROM SERVER erp INTO mine', 'to import');
plain('ANALYZE mine.item', 'to analyze');
is(plain("SELECT reltuples > 0 FROM pg_class WHERE oid = 'mine.item'::regclass", 'estimates'), 't', 'come of it');
plain('CREATE TEMP TABLE local AS SELECT id, itemid FROM mine.item; SELECT count(*) FROM mine.item JOIN local USING (id, itemid)', 'to join with a table of its own');
refused('SELECT * FROM erp.item', qr/permission denied for foreign table item/, 'tables of others');
refused('SELECT * FROM makini._connection', qr/permission denied for table _connection/, 'private tables');
refused('SELECT * FROM makini._server', qr/permission denied/, 'private views');
refused('SELECT makini.version(); SET makini.max_requests_per_query = 0', qr/permission denied to set parameter/, 'settings');
like((says($node, 'SET makini.max_requests_per_query = 0; SELECT makini.version(); SHOW makini.max_requests_per_query', user => 'plain'))[0], qr/^5000$/m,
	'not by setting them before the library is loaded either');
refused("ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (ADD certificate_file '/etc/passwd')", qr/permission denied to set option "certificate_file".*DETAIL: .*pg_read_server_files/s,
	'a file of the server');

# ---- a server of its own ----

$node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN DATA WRAPPER netsuite_fdw TO keeper; GRANT CREATE ON DATABASE postgres TO keeper');
my %server = (account_id => $sim->value('account_id'), base_url => $sim->value('url'));
foreach my $option ([ ca_file => $sim->value('ca_file') ], [ proxy => 'http://proxy:1' ], [ allow_http => 'true' ], [ allow_private => 'true' ])
{
	dies($node, 'CREATE SERVER own FOREIGN DATA WRAPPER netsuite_fdw ' . options_clause(%server, @$option), '42501',
		[ qr/permission denied to set option "$option->[0]"/ ], "$option->[0] by who is no superuser", user => 'keeper');
}
lives($node, 'CREATE SERVER own FOREIGN DATA WRAPPER netsuite_fdw ' . options_clause(%server)
	  . '; CREATE USER MAPPING FOR CURRENT_USER SERVER own ' . options_clause(%inline)
	  . "; CREATE SCHEMA own; CREATE FOREIGN TABLE own.item (id bigint) SERVER own OPTIONS (entity 'item', key 'id')",
	'a server of its own', user => 'keeper');
my $err = dies($node, 'SELECT count(*) FROM own.item', '08001', [ qr/not a public one/ ], 'a private address', user => 'keeper');
my ($line) = $err =~ /(ALTER SERVER .*;)/;
dies($node, $line, '42501', [ qr/permission denied to set option "allow_private"/ ], 'the statement of its hint', user => 'keeper');
$node->safe_psql('postgres', $line . "ALTER SERVER own OPTIONS (ADD ca_file '" . $sim->value('ca_file') . "')");
like(lives($node, 'SELECT count(*) FROM own.item', 'once a superuser has run that', user => 'keeper'), qr/^\d+$/, 'it goes');
lives($node, "ALTER SERVER own OPTIONS (ADD page_size '7')", 'the owner can alter the rest', user => 'keeper');
dies($node, "ALTER SERVER own OPTIONS (SET ca_file '/etc/passwd')", '42501', [ qr/"ca_file"/ ], 'but not what a superuser set', user => 'keeper');

# ---- whose mapping ----

$node->safe_psql('postgres', q{
	GRANT USAGE ON SCHEMA mine, own TO visitor;
	GRANT SELECT ON mine.currency TO visitor;
	SET ROLE plain;
	CREATE VIEW mine.rates AS SELECT id FROM mine.currency;
	GRANT SELECT ON mine.rates TO visitor;
	CREATE FUNCTION mine.rate_count() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM mine.currency'});
dies($node, 'SELECT * FROM mine.currency', '28000', [ qr/no user mapping for server "erp"/, qr/FOR visitor SERVER erp/ ], 'a table is read with the mapping of who reads it',
	user => 'visitor');
like(lives($node, 'SELECT count(*) FROM mine.rates', 'a view', user => 'visitor'), qr/^[1-9]/, 'with that of its owner');
like(lives($node, 'SELECT mine.rate_count()', 'a security definer function', user => 'visitor'), qr/^[1-9]/, 'too');
dies($node, 'SELECT * FROM mine.currency; ', '28000', [ qr/FOR visitor/ ], 'and that gives away nothing', user => 'visitor');
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR visitor SERVER erp '
	  . options_clause(%m2m, private_key => slurp_file($sim->value('unknown_private_key_file'))));
dies($node, 'SELECT * FROM mine.currency', '28000', [ qr/invalid_grant/ ], 'a key that is wrong, though the token of another role is cached', user => 'visitor');
like(lives($node, 'SELECT count(*) FROM mine.rates', 'the view', user => 'visitor'), qr/^[1-9]/, 'is not hurt by it');
is($node->safe_psql('postgres', "SET ROLE visitor; SELECT count(*) FROM makini.connection"), '0', 'state is seen with USAGE only');
is($node->safe_psql('postgres', "SELECT count(*) FROM makini._connection_state((SELECT oid FROM pg_foreign_server WHERE srvname = 'erp'), 0) s WHERE s.health IS NOT NULL"),
	'1', 'the function behind it tells a superuser');
is(lives($node, "SELECT count(*) FROM makini._connection_state((SELECT oid FROM pg_foreign_server WHERE srvname = 'erp'), 0) s WHERE s.health IS NOT NULL",
		'but not everybody', user => 'visitor'), '0', 'nothing');

# ---- and taken away ----

$node->safe_psql('postgres', "SELECT makini.revoke_access('plain', 'operator')");
refused("SELECT makini.create_key()", qr/permission denied for function create_key/, 'to make a key when the level is gone');
$node->safe_psql('postgres', 'REVOKE USAGE ON FOREIGN SERVER erp FROM plain');
is(plain('SELECT count(*) FROM makini.connection', 'without USAGE'), '0', 'it sees no connection');
$node->safe_psql('postgres', 'DROP OWNED BY plain CASCADE; DROP ROLE plain');
is($node->safe_psql('postgres', 'SELECT count(*) FROM makini.connection'), '2', 'and when it is dropped all goes on');

$node->stop;
done_testing();
