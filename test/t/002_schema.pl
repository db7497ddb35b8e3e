# CREATE EXTENSION takes nobody else's schema, and what is written about a
# connection survives dump and restore.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = makini_node('schema');

# ---- a schema that was there before ----
$node->safe_psql('postgres', 'CREATE ROLE squatter; CREATE DATABASE taken');
$node->safe_psql('taken', 'CREATE SCHEMA makini AUTHORIZATION squatter');
my (undef, undef, $stderr) = $node->psql('taken', 'CREATE EXTENSION makini');
like($stderr, qr/schema "makini" already exists/, 'a schema of somebody else is not taken over');
(undef, undef, $stderr) = $node->psql('taken', 'CREATE SCHEMA other; CREATE EXTENSION makini SCHEMA other');
like($stderr, qr/schema "makini" already exists/, 'nor through another schema');

# ---- dump and restore ----
$node->safe_psql('postgres', 'CREATE DATABASE origin');
$node->safe_psql(
	'origin', q{
	CREATE EXTENSION makini;
	CREATE SERVER spare FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '7');
	CREATE SERVER kept FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1');
	CREATE SERVER computed FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '2');
	DROP SERVER spare;
	SELECT makini.set_labels('kept', '{"team": "finance"}');
	CREATE ROLE reader;
	SELECT makini.grant_access('reader', 'reader', 'kept');
});
my $shown = q{SELECT connection_id, server_name, labels FROM makini.connection WHERE server_name = 'kept'};
my $before = $node->safe_psql('origin', $shown);

my $file = PostgreSQL::Test::Utils::tempdir() . '/origin.sql';
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('origin') ], 'the database can be dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr('restored') ],
	'and restored');

is($node->safe_psql('restored', $shown), $before, 'id and labels of a stored connection are kept');
isnt(
	$node->safe_psql('restored', q{SELECT connection_id FROM makini.connection WHERE server_name = 'computed'}),
	$node->safe_psql('origin', q{SELECT connection_id FROM makini.connection WHERE server_name = 'computed'}),
	'an id that was never stored is another one elsewhere');
is($node->safe_psql('restored', q{SELECT home = makini._home() FROM makini._connection}),
	'f', 'the restored row is still at home elsewhere');
$node->safe_psql('restored', q{SELECT makini.set_labels('kept', '{"team": "sales"}')});
is($node->safe_psql('restored', q{SELECT count(*), bool_and(home = makini._home()) FROM makini._connection}),
	'1|t', 'the first write brings it home');
is( $node->safe_psql('restored', $shown) =~ s/\|.*//sr,
	$before =~ s/\|.*//sr,
	'and its id stays');
is( $node->safe_psql('restored', q{SELECT has_function_privilege('reader', 'makini.version()', 'EXECUTE')}),
	't', 'what was granted is granted again');

# ---- a session that cannot write ----
is( $node->safe_psql(
		'origin', "SET default_transaction_read_only = on; SELECT count(*) FROM makini.connection"),
	'2', 'reading writes nothing');

# ---- the id is the same after everything an ALTER can do ----
$node->safe_psql(
	'origin', q{
	ALTER SERVER kept OPTIONS (SET account_id '3');
	CREATE USER MAPPING FOR CURRENT_USER SERVER kept;
	ALTER SERVER kept RENAME TO kept2;
	ALTER SERVER kept2 RENAME TO kept;
});
is($node->safe_psql('origin', $shown), $before, 'ALTER SERVER does not change the id');

$node->stop;
done_testing();
