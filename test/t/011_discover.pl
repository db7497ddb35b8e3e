# IMPORT FOREIGN SCHEMA against an account that is not as the catalogue says:
# columns and tables the role cannot read, custom fields, display columns.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--scale', '0.02');
my $node = makini_node('discover', conf => "makini.retry_base = 1");
connect_server($node, $sim);
my $catalogue = 'probe \'false\', custom_fields \'false\'';

# import TABLES, OPTIONS: what was said; the tables are in schema erp.
sub import_tables
{
	my ($tables, $options) = @_;
	my ($code, undef, $err) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nDROP SCHEMA IF EXISTS erp CASCADE; CREATE SCHEMA erp;\n"
		  . "IMPORT FOREIGN SCHEMA v1 LIMIT TO ($tables) FROM SERVER erp INTO erp"
		  . ($options ? " OPTIONS ($options)" : ''),
		on_error_stop => 1);
	$err =~ s/.*drop cascades to.*\n(DETAIL.*\n(drop cascades.*\n)*)?(LOCATION.*\n)?//g;
	return $err;
}

sub columns
{
	my ($table) = @_;
	return split /\n/, $node->safe_psql('postgres',
		"SELECT attname FROM pg_attribute WHERE attrelid = 'erp.$table'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum");
}

sub type_of
{
	my ($table, $column) = @_;
	return $node->safe_psql('postgres',
		"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'erp.$table'::regclass AND attname = '$column'");
}

sub exists_table { return $node->safe_psql('postgres', "SELECT to_regclass('erp.$_[0]') IS NOT NULL") eq 't'; }

# Requests the last import made, besides the one for custom fields.
sub requests { return $sim->requests - (shift // 1); }

# ---- nothing wrong ----

import_tables('customer', $catalogue);
$sim->forget;
unlike(import_tables('customer, item, transaction'), qr/ERROR|NOTICE|WARNING/, 'nothing to complain of');
is(requests(), 3, 'one request a table');
import_tables('customer, vendor', $catalogue);
my @customer = columns('customer');
my @vendor = columns('vendor');
$sim->forget;
import_tables('customer', $catalogue);
is($sim->requests, 0, 'without probe and custom fields no request is made');

# ---- columns that the role cannot read ----

foreach my $kind ('unknown', 'not_exposed', '400', '500')
{
	$sim->reset;
	$sim->hide('customer', 'email', $kind);
	$sim->forget;
	my $err = import_tables('customer');
	like($err, qr/NOTICE.*customer.*DETAIL:  email/s, "a column hidden as $kind is named in a notice");
	unlike($err, qr/ERROR/, "$kind: the table is there");
	my %have = map { $_ => 1 } columns('customer');
	is_deeply([ grep { !$have{$_} } @customer ], ['email'], "$kind: all others are there");
	cmp_ok(requests(), '<=', $kind =~ /^\d/ ? 20 : 2, "$kind: with few requests");
	$node->safe_psql('postgres', 'SELECT * FROM erp.customer');
}

$sim->reset;
my @bad = @customer[ grep { $_ % 7 == 3 } 0 .. $#customer ];
$sim->hide('customer', $bad[$_], (qw(unknown not_exposed 400 500))[ $_ % 4 ]) foreach 0 .. $#bad;
import_tables('customer');
my %have = map { $_ => 1 } columns('customer');
is_deeply([ grep { !$have{$_} } @customer ], \@bad, scalar(@bad) . ' columns hidden in four ways');

$sim->reset;
$sim->hide('customer', 'id', 'unknown');
import_tables('customer');
%have = map { $_ => 1 } columns('customer');
is_deeply([ grep { !$have{$_} } @customer ], ['id'], 'even the key');
$sim->reset;
$sim->hide('customer', 'id', '500');
$sim->hide('customer', 'email', '500');
like(import_tables('customer'), qr/customer/, 'a key that fails without a name');
ok(!exists_table('customer'), 'is taken for a table that cannot be read');

# ---- tables that the role cannot read ----

foreach my $kind ('record', 'unsupported', 'type')
{
	$sim->reset;
	$sim->hide('customer', undef, $kind);
	$sim->forget;
	my $err = import_tables('customer, transaction');
	like($err, qr/(NOTICE|WARNING).*customer/, "a table hidden as $kind is named");
	ok(!exists_table('customer'), "$kind: it is not there");
	ok(exists_table('transaction'), "$kind: the other is");
	cmp_ok(requests(), '<=', 3, "$kind: with few requests");
}

# ---- custom fields ----

$sim->reset;
import_tables('item, customer, transaction');
my @known = split /\n/, join("\n", map { $_->[0] } $sim->sql("SELECT scriptid FROM netsuite.customfield ORDER BY 1"));
cmp_ok(scalar @known, '>', 3, 'the account has custom fields');
my @custom = grep { /^cust(body|col|item|entity)_/ } columns('item');
cmp_ok(scalar @custom, '>', 0, 'those of items are in item');
is(scalar(grep { !/^custitem/ } @custom), 0, 'and no others');
ok(scalar(grep { /^custbody/ } columns('transaction')), 'those of transactions are in transaction');
ok(scalar(grep { /^custentity/ } columns('customer')), 'those of entities are in customer');
my %want = (
	'Check Box' => 'boolean', 'Integer Number' => 'bigint', 'Decimal Number' => 'numeric', 'Currency' => 'numeric',
	'Percent' => 'numeric', 'Date' => 'date', 'Date/Time' => 'timestamp with time zone', 'List/Record' => 'bigint',
	'Image' => 'bigint', 'Document' => 'bigint');
foreach my $row ($sim->sql('SELECT scriptid, fieldvaluetype FROM netsuite.customfield WHERE scriptid ILIKE %s', 'custitem%'))
{
	my ($name, $type) = (lc $row->[0], $row->[1]);
	next unless grep { $_ eq $name } @custom;
	is(type_of('item', $name), $want{$type} // 'text', "$name, a $type");
}
$node->safe_psql('postgres', 'SELECT * FROM erp.item');
$sim->hide('customfield', 'isinactive', 'unknown');
$sim->hide('customfield', 'isstored', 'not_exposed');
unlike(import_tables('item'), qr/WARNING/, 'a list of custom fields with less to it');
is_deeply([ grep { /^cust(body|col|item|entity)_/ } columns('item') ], \@custom, 'will do');
$sim->hide('customfield', undef, 'record');
like(import_tables('item'), qr/WARNING:  42501: custom fields of server "erp" could not be read.*HINT/s, 'without the right to see them');
is_deeply([ grep { /^cust(body|col|item|entity)_/ } columns('item') ], [], 'there are none');
$sim->reset;
import_tables('item', 'custom_fields \'false\'');
is_deeply([ grep { /^cust(body|col|item|entity)_/ } columns('item') ], [], 'nor when they are not wanted');

# ---- display columns ----

import_tables('transaction', 'display \'lists\'');
my @display = grep { /_display$/ } columns('transaction');
cmp_ok(scalar @display, '>', 5, 'lists and records have a display column');
ok((grep { $_ eq 'entity_display' } @display), 'the customer of a transaction, for one');
$node->safe_psql('postgres', 'SELECT * FROM erp.transaction LIMIT 5');
$sim->hide('transaction', 'entity', 'unknown');
import_tables('transaction', 'display \'lists\'');
is(scalar(grep { /^entity(_display)?$/ } columns('transaction')), 0, 'both go when the column cannot be read');

# ---- trouble on the way ----

$sim->reset;
$sim->arm(kind => '500', count => 1, table => 'vendor');
import_tables('vendor');
ok(exists_table('vendor'), 'one 500 out of nowhere');
%have = map { $_ => 1 } columns('vendor');
is_deeply([ grep { !$have{$_} } @vendor ], [], 'costs no column');
$sim->arm(kind => '502', count => 2, table => 'vendor');
unlike(import_tables('vendor'), qr/ERROR/, 'a 502 or two are tried again');
$sim->arm(kind => '429', count => 3);
unlike(import_tables('vendor, item, customer'), qr/ERROR/, 'and so is 429');
$sim->set(concurrency_limit => 1);
unlike(import_tables('vendor, item, customer, transaction, location'), qr/ERROR/, 'an account that allows one request at a time');
$sim->reset;
$sim->arm(kind => '503', count => 0, table => 'vendor');
my $err = import_tables('vendor');
like($err, qr/ERROR:  08006: .*HTTP status 503.*HINT/s, 'what does not pass ends in an error');
$sim->reset;

# ---- everything at once ----

my ($code, undef, $stderr) = $node->psql('postgres',
	'CREATE SCHEMA everything; IMPORT FOREIGN SCHEMA v1 FROM SERVER erp INTO everything OPTIONS (display \'lists\')');
is($code, 0, 'all tables of the catalogue');
diag($stderr) if $code;
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relnamespace = 'everything'::regnamespace AND relkind = 'f'"),
	'>', 50, 'are there');

$node->stop;
done_testing();
