# ASCTrac's imports as INSERT and COPY: what arrives, what is refused because an
# import could not say it, and what is never sent a second time.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use JSON::PP;
use Test::More;

my $sim = Makini::ASCTrac->new;
my $node = makini_node('import', conf => "makini.retry_base = 1");
connect_warehouse($node, $sim);
$node->safe_psql('postgres', 'CREATE SCHEMA wms; IMPORT FOREIGN SCHEMA v1 FROM SERVER wms INTO wms');

# Output, and the error with its SQLSTATE.
sub says
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');

	$node->psql('postgres', "\\set VERBOSITY verbose\n$sql", stdout => \$out, stderr => \$err);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^LOCATION: .*\n?//mg;
	return ($out, $err);
}

sub refused
{
	my ($sql, $sqlstate, $pattern, $name) = @_;
	my (undef, $err) = says($sql);

	like($err, qr/^ERROR:  $sqlstate: /, "$name: $sqlstate");
	like($err, $pattern, "$name: says why");
	return $err;
}

# A row of an import that says everything that has to be said, as SQL or for COPY.
my %given = (
	item_master_import => { facility => 'DAY1', product_code => 'NEW-%d', status_flag => 'A', description => 'Größe %d' },
	customer_master_import => { cust_id => 'N%d', cust_name => 'Müller "%d"', status_flag => 'A' },
	vendor_import => { vendor_code => 'W%d', status => 'A' },
	lot_import => { facility => 'DAY1', product_code => 'X', lotid => 'L%d', mfg_date => '2026-02-03 04:05:06' },
	cust_order_import => { facility => 'DAY1', ordernumber => 'T%d', order_type => 'S', status_flag => 'A', detaillist => '[]' },
	po_import => { facility => 'DAY1', ponumber => 'P%d', status_flag => 'A' },
	asn_import => { facility => 'DAY1', asn => 'A%d', create_datetime => '2026-02-03 04:05:06' },
	controlled_count_import => { facility => 'DAY1', sched_start_date => '2026-10-01', sched_end_date => '2026-10-02',
		countid => '0' },
	qc_hold_import => { facility => 'DAY1', transaction => 'H', add_reason_code => 'DMG' });

my %numeric = map { my ($table, $columns) = split /\|/; $table => [ split /,/, $columns ] } split /\n/,
  $node->safe_psql('postgres', q{SELECT table_name, string_agg(column_name, ',') FROM information_schema.columns
	WHERE table_schema = 'wms' AND data_type IN ('numeric', 'bigint', 'integer') GROUP BY 1});

sub row_of
{
	my ($table, $n, %more) = @_;
	my %row = ((map { $_ => 1.5 * ($_ !~ /num|seq|level|id$/) } @{ $numeric{$table} // [] }), %{ $given{$table} }, %more);

	s/%d/$n/ foreach grep { defined } values %row;
	return %row;
}

sub insert
{
	my ($table, $n, %more) = @_;
	my %row = row_of($table, $n, %more);
	my @columns = sort keys %row;
	my @values = map { my $v = $row{$_}; defined $v ? "'" . ($v =~ s/'/''/gr) . "'" : 'NULL' } @columns;

	return "INSERT INTO wms.$table (" . join(', ', @columns) . ') VALUES (' . join(', ', @values) . ')';
}

sub copy
{
	my ($table, @n) = @_;
	my %first = row_of($table, $n[0]);
	my @columns = sort keys %first;
	my $sql = "COPY wms.$table (" . join(', ', @columns) . ") FROM stdin;\n";

	foreach my $n (@n)
	{
		my %row = row_of($table, $n);
		$sql .= join("\t", map { $row{$_} } @columns) . "\n";
	}
	return "$sql\\.\n";
}

# ---- every import ----

my @licenses = map { $_->{SKIDID} } grep { $_->{SITE} eq '1' && !$_->{HOLD} } @{ $sim->call('GET', '/stock') };

foreach my $table (sort keys %given)
{
	my $free = $table eq 'qc_hold_import';

	$given{$table}{license_id} = shift @licenses if $free;
	my ($out, $err) = says(insert($table, 1));
	is($err, '', "$table: INSERT");
	is(scalar $sim->stored($table), 1, "$table: it has arrived");
	$given{$table}{license_id} = shift @licenses if $free;
	($out, $err) = says(copy($table, $free ? 2 : (2, 3)));
	is($err, '', "$table: COPY");
	is(scalar $sim->stored($table), $free ? 2 : 3, "$table: all of it has arrived");
}
is($node->safe_psql('postgres', q{INSERT INTO wms.cust_order_confirm_ship VALUES ('SO050003') RETURNING *}), "SO050003",
	'confirm ship, RETURNING what was sent');
is($sim->counters->{custordershipimport}, 1, 'one request for it');
my ($item) = $sim->stored('item_master_import');
is($item->{DESCRIPTION}, "Gr\x{f6}\x{df}e 1", 'text arrives in its characters');
my ($lot) = grep { $_->{LOTID} eq 'L1' } $sim->stored('lot_import');
is($lot->{MFG_DATE}, '2026-02-03 04:05:06', 'a time as the clock shows it');
is($lot->{STD_COST}, 1.5, 'a number');

# ---- every other table ----

my @other = grep { !$given{$_} && $_ ne 'cust_order_confirm_ship' } split /\n/, $node->safe_psql('postgres',
	q{SELECT foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_schema = 'wms' ORDER BY 1});
$sim->forget;
foreach my $table (@other)
{
	my (undef, $err) = says("INSERT INTO wms.$table DEFAULT VALUES");
	like($err, qr/^ERROR:  0A000: (rows of )?foreign table "$table" /, "$table: INSERT is refused");
	(undef, $err) = says("COPY wms.$table FROM stdin;\n\\.\n");
	like($err, qr/^ERROR:  (55000|0A000): (rows of )?foreign table "$table" /, "$table: COPY is refused");
}
foreach my $table (sort(keys %given), @other)
{
	foreach my $sql ("UPDATE wms.$table SET facility = 'X'", "DELETE FROM wms.$table")
	{
		next if $sql =~ /UPDATE/ && !$given{$table};
		next if $sql =~ /facility/ && $table =~ /vendor/;
		my (undef, $err) = says($sql);
		like($err, qr/^ERROR:  0A000: cannot /, $sql);
	}
}
refused('SELECT * FROM wms.vendor_import', '0A000', qr/INSERT/, 'reading what is only written');
refused('TRUNCATE wms.vendor_import', '0A000', qr/truncate/, 'TRUNCATE');
says('EXPLAIN ' . insert('vendor_import', 9));
says('EXPLAIN VERBOSE ' . insert('controlled_count_import', 9));
is($sim->counters->{requests} // 0, 0, 'nothing of this has asked for anything');

# ---- what an import could not say ----

refused(insert('lot_import', 1, std_cost => undef), '23502', qr/"std_cost".*0 and stores/s, 'a missing number');
refused("INSERT INTO wms.lot_import (facility, product_code, lotid) VALUES ('DAY1', 'X', 'L')", '23502', qr/"std_cost"/,
	'a number left out');
refused(insert('vendor_import', 1, vendor_code => undef), '23502', qr/"vendor_code".*key/s, 'a missing key');
refused(insert('vendor_import', 1, vendor_desc => ''), '0A000', qr/"vendor_desc".*empty.*NULL/s, 'an empty text');
refused(insert('lot_import', 1, std_cost => 'NaN'), '22003', qr/"std_cost"/, 'NaN');
refused(insert('lot_import', 1, std_cost => '123456789012345678.25'), '22003', qr/double precision/, 'too many digits');
is((says(insert('lot_import', 1, std_cost => '0.1')))[1], '', 'a decimal fraction is no more digits than there are');
is((says(insert('lot_import', 1, std_cost => '12345678901234567000')))[1], '', 'a large number that survives');
refused(insert('lot_import', 1, mfg_date => 'infinity'), '22008', qr/"mfg_date"/, 'infinity');
refused(insert('lot_import', 1, mfg_date => '0001-01-01'), '22008', qr/"mfg_date"/, 'the day that stands for none');
refused(insert('item_master_import', 1, description => 'x' x 61), '22001', qr/cut it at 60/, 'a long text');
is((says(insert('item_master_import', 1, conversion_unit_4 => undef)))[1], '', 'what is not used may be missing');
refused(insert('qc_hold_import', 1, license_id => undef), '22023', qr/all the stock/, 'a hold of everything');
refused(insert('vendor_import', 1) . ' ON CONFLICT DO NOTHING', '0A000', qr/ON CONFLICT|no unique/, 'ON CONFLICT');

sub order_with
{
	my ($lines) = @_;
	return insert('cust_order_import', 7, detaillist => ref $lines ? encode_json($lines) : $lines);
}
my %line = (PRODUCT_CODE => 'NEW-1', QUANTITY => 2.5, LINE_NUMBER => 1, HOST_LINE_NUMBER => 1, STATUS_FLAG => 'A', COSTEACH => 0,
	SOLD_PRICE => 0, QTYBACKORDERED => 0);
is((says(order_with([ {%line}, { (map { lc, $line{$_} } keys %line), line_number => 2, ordernumber => 'T7' } ])))[1], '',
	'lines, their names in any case');
my ($order) = grep { $_->{ORDERNUMBER} eq 'T7' } $sim->stored('cust_order_import');
is(scalar @{ $order->{DetailList} }, 2, 'both have arrived');
is($order->{DetailList}[1]{QUANTITY}, 2.5, 'with their numbers');
my %short = %line;
delete $short{QUANTITY};
refused(order_with([ \%short ]), '23502', qr/"detaillist\[0\]\.QUANTITY"/, 'a line without its number');
refused(order_with([ { %line, QUANTITY => "2" } ]), '22023', qr/QUANTITY" must be a number/, 'a text for a number');
refused(order_with([ { %line, QTY => 2 } ]), 'HV005', qr/no member "QTY"/, 'an unknown member');
refused(order_with([ {%line}, 5 ]), '22023', qr/"detaillist\[1\]" must be an object/, 'a line that is none');
refused(order_with('{"a": 1}'), '22023', qr/"detaillist" must be an array/, 'lines that are none');
refused(order_with([ { %line, COMMENT => '' } ]), '0A000', qr/COMMENT/, 'an empty text in a line');
refused(order_with([ { %line, NotesList => [ { SEQNUM => 1, TYPE => 'A', NOTE => 'x' x 251 } ] } ]), '22001', qr/NOTE/,
	'a note that would be cut');
is((says(insert('item_master_import', 1, extdatalist => '{"Colour": "red"}', customlist => '[{"FieldName": "SIZE", "Value": "XL"}]')))[1],
	'', 'dictionaries and custom fields');
($item) = grep { $_->{PRODUCT_CODE} eq 'NEW-1' } $sim->stored('item_master_import');
is_deeply([ $item->{ExtDataList}, $item->{CustomList} ], [ { Colour => 'red' }, [ { FieldName => 'SIZE', Value => 'XL' } ] ],
	'as they were given');

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE wms.few (facility text, product_code text, lotid text) SERVER wms OPTIONS (entity 'lot_import');
	CREATE FOREIGN TABLE wms.odd (vendor_code text, status text, colour text) SERVER wms OPTIONS (entity 'vendor_import')});
refused("INSERT INTO wms.few VALUES ('DAY1', 'X', 'L')", 'HV005', qr/lacks column "std_cost"/, 'a table without a number');
refused("INSERT INTO wms.odd VALUES ('V', 'A', 'red')", 'HV005', qr/no column "colour"/, 'a table with a column too many');

# ---- what the other side says ----

my $err = refused(insert('vendor_import', 1, status => undef), 'HV000', qr{from /api/VendorImport: Invalid Status\.$}m, 'a refusal');
unlike($err, qr/ailed|Import\/Vendor/, 'without the wrapping that it comes in');
refused(order_with([ { %line, PRODUCT_CODE => 'NOPE' }, { %line, PRODUCT_CODE => 'NADA', LINE_NUMBER => 3 } ]), 'HV000',
	qr/only in part.*Missing Items: NOPE, NADA.*same row again/s, 'partial success');
refused(insert('customer_master_import', 1, status_flag => undef), 'HV000', qr/Object reference.*is NULL/s,
	'a value that cannot be done without');
refused(insert('asn_import', 1, detaillist => '[{"ITEMID": "NOPE", "QUANTITY": 1, "LINENUMBER": 1, "ACTUAL_WEIGHT": 0, "CW_QTY": 0}]'),
	'HV000', qr/gave no reason/, 'a refusal without a reason');
refused(insert('lot_import', 1, facility => 'XX'), 'HV000', qr/Site ID not found for Host Site ID: XX/, 'another refusal');
$sim->arm(kind => 'raw', body => 'hello', headers => { 'Content-Type' => 'text/plain' });
refused(insert('vendor_import', 1), 'HV000', qr/something else than its result/, 'an answer that is none');
$sim->disarm;

# ---- sent again, and not ----

sub requests_for
{
	my ($sql, @fault) = @_;
	my ($controller) = $sql =~ /wms\.(\w+)/;

	$sim->disarm;
	$sim->forget;
	$sim->arm(@fault);
	my (undef, $err) = says($sql);
	$sim->disarm;
	return ($err, scalar grep { $_->{path} =~ m{^/api/} } $sim->log_entries);
}

my $requests;
foreach my $late (0, 1)
{
	($err, $requests) = requests_for(insert('vendor_import', 5), kind => '503', late => $late ? JSON::PP::true : JSON::PP::false);
	is("$err $requests", ' 2', "an upsert is sent again after trouble, late $late");
}
($err, $requests) = requests_for(insert('vendor_import', 5), kind => 'cut', at => 0.5);
is("$err $requests", ' 2', 'and when its answer was lost');

my $before = $sim->stored('controlled_count_import');
($err, $requests) = requests_for(insert('controlled_count_import', 5), kind => '502', late => JSON::PP::true);
like($err, qr/^ERROR:  08.*HINT:  Whether it took effect is not known/s, 'a count is not sent again');
is($requests, 1, 'once');
is(scalar $sim->stored('controlled_count_import'), $before + 1, 'it did take effect');
($err, $requests) = requests_for(q{INSERT INTO wms.cust_order_confirm_ship VALUES ('SO050004')}, kind => 'cut', at => 0.5);
like($err, qr/^ERROR:  08.*HINT:  Whether it took effect is not known/s, 'nor is confirm ship');
is($requests, 1, 'once');
($err, $requests) = requests_for(insert('qc_hold_import', 5, license_id => shift @licenses), kind => 'reset');
like($err, qr/HINT:  Whether it took effect is not known/, 'nor is a hold');
is($requests, 1, 'once');

# A token refused means that nothing has happened: that is safe to repeat.
$node->safe_psql('postgres', 'DROP USER MAPPING FOR CURRENT_USER SERVER wms');
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR CURRENT_USER SERVER wms '
	. options_clause(client_id => $sim->value('client_id'), client_secret => $sim->value('client_secret')));
$before = $sim->stored('controlled_count_import');
is((says(insert('controlled_count_import', 6)))[1], '', 'with a token of the token service');
$sim->revoke_tokens;
is((says(insert('controlled_count_import', 6)))[1], '', 'with another, when that is refused');
is(scalar $sim->stored('controlled_count_import'), $before + 2, 'each took effect once');

# ---- many rows ----

$sim->forget;
$node->safe_psql('postgres', q{INSERT INTO wms.vendor_import (vendor_code, vendor_desc, status)
	SELECT 'B' || i, 'batch ' || i, 'A' FROM generate_series(1, 300) i});
is($sim->requests('VendorImport'), 300, 'a request for each row');
is(scalar(grep { $_->{VENDOR_CODE} =~ /^B/ } $sim->stored('vendor_import')), 300, 'and all have arrived');
$node->safe_psql('postgres', q{INSERT INTO wms.vendor_import (vendor_code, vendor_desc, status)
	SELECT 'B' || i % 5, 'version ' || i, 'A' FROM generate_series(1, 100) i});
is_deeply([ map { $_->{VENDOR_DESC} } grep { $_->{VENDOR_CODE} =~ /^B[0-4]$/ } sort { $a->{VENDOR_CODE} cmp $b->{VENDOR_CODE} }
		$sim->stored('vendor_import') ],
	[ 'version 100', 'version 96', 'version 97', 'version 98', 'version 99' ], 'rows of one key arrive in their order');
$sim->forget;
$err = refused(q{INSERT INTO wms.vendor_import (vendor_code, status)
	SELECT 'D' || i, CASE WHEN i <> 150 THEN 'A' END FROM generate_series(1, 200) i}, 'HV000', qr/row 150/, 'one of many refused');
my $arrived = grep { $_->{VENDOR_CODE} =~ /^D/ } $sim->stored('vendor_import');
like($err, qr/rows it has taken, $arrived so far/, 'what was taken is counted');
ok($arrived >= 128 && $arrived < 200, "$arrived have arrived");
$sim->forget;
refused(q{INSERT INTO wms.vendor_import (vendor_code, vendor_desc, status)
	SELECT 'E' || i, CASE WHEN i = 30 THEN '' ELSE 'x' END, 'A' FROM generate_series(1, 40) i}, '0A000', qr/row 30/,
	'one of many that cannot be said');
is($sim->requests('VendorImport'), 0, 'a batch is looked at before any of it goes out');

$node->safe_psql('postgres', 'SET makini.max_requests_per_query = 5; ' . q{INSERT INTO wms.vendor_import (vendor_code, status)
	SELECT 'F' || i, 'A' FROM generate_series(1, 20) i});
is(scalar(grep { $_->{VENDOR_CODE} =~ /^F/ } $sim->stored('vendor_import')), 20, 'rows are not counted against the limit of scans');

like((says(q{EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO wms.vendor_import (vendor_code, status) VALUES ('G1', 'A')}))[0],
	qr{^  Request: POST /api/VendorImport$}m, 'EXPLAIN VERBOSE says where rows go');
like((says(q{EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) INSERT INTO wms.vendor_import (vendor_code, status)
	SELECT 'G' || i, 'A' FROM generate_series(1, 7) i}))[0], qr/^  Requests: 7\n  Retries: 0$/m, 'EXPLAIN ANALYZE what it took');

# ---- other ways in ----

$node->safe_psql('postgres', q{
	CREATE TABLE lots (LIKE wms.lot_import) PARTITION BY LIST (facility);
	ALTER TABLE lots ATTACH PARTITION wms.lot_import FOR VALUES IN ('DAY1');
	CREATE TABLE lots_elsewhere PARTITION OF lots DEFAULT;
	INSERT INTO lots (facility, product_code, lotid, std_cost, landed_cost) VALUES ('DAY1', 'X', 'ROUTED', 1, 0), ('OTHER', 'X', 'Y', 1, 0);
	ALTER TABLE lots DETACH PARTITION wms.lot_import});
is(scalar(grep { $_->{LOTID} eq 'ROUTED' } $sim->stored('lot_import')), 1, 'through a partition');

$node->safe_psql('postgres', q{
	CREATE FUNCTION upper_code() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.vendor_code := upper(NEW.vendor_code); RETURN NEW; END $$;
	CREATE TRIGGER upper_code BEFORE INSERT ON wms.vendor_import FOR EACH ROW EXECUTE FUNCTION upper_code()});
is($node->safe_psql('postgres', q{INSERT INTO wms.vendor_import (vendor_code, status) VALUES ('tr1', 'A'), ('tr2', 'A') RETURNING vendor_code}),
	"TR1\nTR2", 'through a trigger');
is(scalar(grep { $_->{VENDOR_CODE} =~ /^TR/ } $sim->stored('vendor_import')), 2, 'which has changed what arrives');

# A site with a zone takes moments, and is sent what its clocks show.
$node->safe_psql('postgres', q{
	ALTER SERVER wms OPTIONS (ADD time_zone 'America/New_York');
	CREATE SCHEMA zoned;
	IMPORT FOREIGN SCHEMA v1 LIMIT TO (lot_import) FROM SERVER wms INTO zoned;
	INSERT INTO zoned.lot_import (facility, product_code, lotid, std_cost, landed_cost, mfg_date)
	VALUES ('DAY1', 'X', 'ZONED', 1, 0, '2026-07-01 12:00:00+00'), ('DAY1', 'X', 'WINTER', 1, 0, '2026-01-01 12:00:00.5+00')});
is_deeply({ map { $_->{LOTID} => $_->{MFG_DATE} } grep { $_->{LOTID} =~ /ZONED|WINTER/ } $sim->stored('lot_import') },
	{ ZONED => '2026-07-01 08:00:00', WINTER => '2026-01-01 07:00:00' }, 'wall clock of the site');

is((scalar grep { $_->{base} eq 'interface' && $_->{method} eq 'GET' } $sim->log_entries), 0, 'no feed was touched');

done_testing();
