# ASCTrac's feeds: no query consumes them; a drain takes all of one in flat
# memory, with its children, and acknowledges it by the feed's own key.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $sim = Makini::ASCTrac->new;
my $node = makini_node('asctrac_feed', conf => "makini.retry_base = 1");
connect_warehouse($node, $sim);
$node->safe_psql('postgres', q{
	CREATE SCHEMA wms;
	IMPORT FOREIGN SCHEMA v1 FROM SERVER wms INTO wms;
	CREATE FUNCTION test_drain(server name, entity text, answer text, keep boolean,
		OUT part text, OUT parent bigint, OUT cells text[], OUT raw text) RETURNS SETOF record
		LANGUAGE C AS 'makini', 'makini_test_drain'});

my %controller = (
	tranfile_export => 'TranFileExport', po_lines_export => 'POLinesExport', po_licenses_export => 'POLicensesExport',
	cust_order_export => 'CustOrderExport', cust_order_status_export => 'CustOrderStatusExport',
	parcel_export => 'ParcelExport', wcs_picks => 'WCSPicks');
my @children = map { "cust_order_export_$_" } qw(picks containers serials);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub drain { my ($feed, $answer) = @_; return sql("SELECT part FROM test_drain('wms', '$feed', '$answer', false)"); }

# ---- no query consumes ----

my $before = JSON::PP->new->canonical->encode($sim->call('GET', '/feed'));

$sim->forget;
foreach my $table (sort(keys %controller), @children)
{
	dies($node, "SELECT * FROM wms.$table", '0A000', [qr/would consume/, qr/HINT:.*makini\.create_drain\('wms\.$table'/], "SELECT from $table");
	dies($node, "SELECT * FROM wms.$table LIMIT 0", '0A000', [], 'with a limit of 0');
	dies($node, "ANALYZE wms.$table", '0A000', [qr/create_drain/], "ANALYZE $table");
	dies($node, "COPY (SELECT * FROM wms.$table) TO STDOUT", '0A000', [], "COPY from $table");
	lives($node, "EXPLAIN (VERBOSE) SELECT * FROM wms.$table", "EXPLAIN of $table");
}
dies($node, 'SELECT * FROM wms.tranfile_export WHERE trans_type = \'X\'', '0A000', [], 'nor with conditions');
dies($node, 'CREATE TABLE copy AS SELECT * FROM wms.tranfile_export', '0A000', [], 'nor into a table');
dies($node, 'EXPLAIN ANALYZE SELECT * FROM wms.tranfile_export', '0A000', [], 'nor explained by running');
foreach my $table (split /\n/, sql(q{SELECT relname FROM pg_class WHERE relnamespace = 'wms'::regnamespace AND relname LIKE '%import%' OR relname LIKE '%confirm_ship'}))
{
	dies($node, "SELECT * FROM wms.$table", '0A000', [qr/can be written but not read/, qr/HINT:.*INSERT/], "SELECT from $table");
}
lives($node, 'ANALYZE', 'ANALYZE of everything leaves them out');
{
	my @dump = ('pg_dump', '-d', $node->connstr('postgres'), '-t', 'wms.tranfile_export');
	my ($text, $errors);

	ok(!IPC::Run::run([ @dump, '--include-foreign-data=wms' ], '>', \$text, '2>', \$errors), 'pg_dump of foreign data fails');
	like($errors, qr/would consume/, 'and says why');
	ok(IPC::Run::run(\@dump, '>', \$text, '2>', \$errors), 'pg_dump without it does not');
}
is(JSON::PP->new->canonical->encode($sim->call('GET', '/feed')), $before, 'nothing has changed at the source');
is(scalar(grep { $_->{service} ne 'inventoryaudit' && $_->{base} eq 'interface' } $sim->log_entries), 0, 'which was not even asked');

# ---- looking before the leap ----

like(sql("SELECT string_agg(item || ' ' || status, ', ') FROM makini.check_drain('wms.tranfile_export')"),
	qr/ownership ok, network ok, credentials ok, delivery warning, posted flag ok, acknowledgement ok/, 'check_drain');
like(sql("SELECT hint FROM makini.check_drain('wms.tranfile_export') WHERE item = 'delivery'"), qr/GWAPIIncludeProcessingStatus.*redelivers/, 'says what would be better');
like(sql("SELECT detail FROM makini.check_drain('wms.po_lines_export') WHERE item = 'posted flag'"), qr/po_licenses_export/, 'warns of a shared flag');
like(sql("SELECT detail FROM makini.check_drain('wms.cust_order_export') WHERE item = 'tables'"), qr/picks.*containers.*serials/, 'names the children');
dies($node, "SELECT * FROM makini.check_drain('wms.inventory_audit')", '42809', [qr/not a feed/], 'a table that is no feed');
dies($node, "SELECT * FROM makini.check_drain('wms.cust_order_export_picks')", '42809', [qr/cust_order_export/], 'a child');
dies($node, "SELECT * FROM makini.check_drain('pg_class')", '42809', [qr/not a foreign table/], 'a local table');
is($sim->requests('TranFileExport'), 0, 'no feed was asked');

# ---- draining ----

my $feed = $sim->feed('TranFileExport');
like(drain('tranfile_export', 'none'), qr/^rows (\d+) children 0 acknowledged 0/, 'a feed is drained');
is($sim->feed('TranFileExport')->{S}, $feed->{F} - $sim->feed('TranFileExport')->{F}, 'and its rows are handed out');
is(drain('tranfile_export', 'none'), 'rows 0 children 0 acknowledged 0 refused 0', 'once');
$sim->set(include_processing => JSON::PP::true);
like(drain('tranfile_export', 'accept'), qr/^rows [1-9]\d* children 0 acknowledged [1-9]/, 'unless the installation hands them out again');
is($sim->feed('TranFileExport')->{S}, 0, 'until they are acknowledged');
cmp_ok($sim->feed('TranFileExport')->{T}, '>', 0, 'which they are now');
$sim->reset;

foreach my $name (sort keys %controller)
{
	my $answer = $name eq 'parcel_export' ? 'refuse' : 'accept';
	my ($rows, $acknowledged, $refused) = drain($name, $answer) =~ /^rows (\d+) children \d+ acknowledged (\d+) refused (\d+)/;
	my $state;

	# The two PO feeds hand out the same rows.
	$sim->set_flags('POLinesExport', 'F') if $name eq 'po_licenses_export';
	$state = $sim->feed($controller{$name});
	cmp_ok($rows, '>', 0, "$name: rows");
	next if $name =~ /^po_li/;
	if ($name eq 'wcs_picks')
	{
		is($acknowledged, 0, "$name: takes no acknowledgement");
		next;
	}
	is($acknowledged + $refused, $rows, "$name: each row is acknowledged or reported");
	cmp_ok($state->{ $answer eq 'accept' ? 'T' : 'E' }, '>', 0, "$name: the flag moves");
}
$sim->reset;

# ---- rows ----

sql(q{CREATE TABLE drained AS SELECT * FROM test_drain('wms', 'cust_order_export', 'none', true)});
is(sql("SELECT string_agg(DISTINCT part, ',' ORDER BY part) FROM drained WHERE raw IS NULL AND part NOT LIKE 'rows%'"),
	'cust_order_export_containers,cust_order_export_picks,cust_order_export_serials', 'children are tables of their own');
is(sql(q{SELECT bool_and(jsonb_array_length(raw::jsonb -> 'PicksList') IS NOT NULL) FROM drained WHERE part = 'cust_order_export'}), 't', 'the row as it was sent');
is(sql(q{SELECT sum(jsonb_array_length(raw::jsonb -> 'PicksList')) - (SELECT count(*) FROM drained WHERE part = 'cust_order_export_picks') FROM drained WHERE part = 'cust_order_export'}),
	'0', 'no child is missing');
is(sql(q{SELECT bool_and(p.cells[1] = h.raw::jsonb ->> 'ORDERNUMBER')
	FROM drained p JOIN (SELECT raw, row_number() OVER () - 1 AS n FROM drained WHERE part = 'cust_order_export') h ON h.n = p.parent
	WHERE p.part = 'cust_order_export_picks'}), 't', 'each child knows its order');
is(sql(q{SELECT bool_and(cells[51] ~ '^[0-9]+$') FROM test_drain('wms', 'tranfile_export', 'none', true) WHERE part = 'tranfile_export'}), 't', 'a number that comes as 123.0 is a whole one');

# ---- refusals ----

$sim->reset;
like(drain('cust_order_export', 'refuse'), qr/refused 1/, 'a key with an apostrophe is reported');
my @puts = grep { $_->{method} eq 'PUT' } $sim->log_entries(service => 'custorderexport');
is(scalar(grep { $_->{body} && $_->{body} =~ /'/ } @puts), 1, 'and goes alone');
is(scalar(@puts), 2, 'apart from the rest, which goes at once');
like($sim->feed('CustOrderExport')->{E}, qr/^[1-9]/, 'refused rows are errors there');

# ---- a great many ----

$sim->reset;
$sim->add_bulk('TranFileExport', 100_000);
$sim->forget;
{
	my $said = $node->safe_psql('postgres', q{
		SELECT part FROM test_drain('wms', 'tranfile_export', 'none', false);
		SELECT 'peak ' || (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]});

	like($said, qr/^rows 100\d\d\d /, 'a hundred thousand rows');
	my ($peak) = $said =~ /peak (\d+)/;
	cmp_ok($peak, '<', 64 * 1024, 'in flat memory');
}
$sim->set_flags('TranFileExport', 'F');
like(drain('tranfile_export', 'accept'), qr/acknowledged 100\d\d\d refused 0/, 'all are acknowledged');
@puts = grep { $_->{method} eq 'PUT' } $sim->log_entries(service => 'tranfileexport');
cmp_ok(scalar(@puts), '>', 1, 'in several chunks');
is(scalar(grep { $_->{size} > 4 * 1024 * 1024 } @puts), 0, 'none of which is too large');

# ---- trouble ----

foreach my $fault ([ 'cut', row => 30 ], [ 'torn', at => 0.5 ], [ 'cut', row => 30, reset => JSON::PP::true ], [ 'gzip_cut' ], [ 'bad_chunk' ])
{
	my ($kind, @how) = @$fault;

	$sim->reset;
	$sim->set(include_processing => JSON::PP::true);
	$sim->arm({ kind => $kind, path => 'TranFileExport', @how });
	my (undef, $err) = says($node, "SELECT part FROM test_drain('wms', 'tranfile_export', 'accept', false)");
	like($err, qr/ERROR/, "$kind: an error");
	like($err, qr/feed "tranfile_export", after row \d+/, "$kind: names feed and row");
	is($sim->requests('TranFileExport'), 1, "$kind: nothing is sent again");
	is($sim->feed('TranFileExport')->{T}, 0, "$kind: nothing is acknowledged");
	like(drain('tranfile_export', 'accept'), qr/^rows 2[89]\d .* acknowledged [1-9]/, "$kind: the next drain has every row");
}
$sim->reset;
$sim->arm(kind => '503', path => 'TranFileExport', count => 1);
dies($node, "SELECT part FROM test_drain('wms', 'tranfile_export', 'none', false)", '08006', [], 'what may have had an effect is not sent again');
is(scalar(grep { $_->{path} =~ /TranFileExport/ } $sim->log_entries), 1, 'not once');
$sim->reset;
$sim->arm(kind => '503', path => 'ParcelExport', count => 1, after => 1);
like(drain('parcel_export', 'accept'), qr/acknowledged [1-9]/, 'an acknowledgement may be sent again');
$sim->set(trailer_input => JSON::PP::false);
dies($node, "SELECT part FROM test_drain('wms', 'parcel_export', 'none', false)", 'HV000', [qr/DETAIL/], 'an SQL error of theirs is one of ours');

$node->stop;
done_testing();
