# Live reads from ASCTrac: what is imported, what is asked, what comes back, and
# that no query ever changes anything there.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $sim = Makini::ASCTrac->new;
my $node = makini_node('asctrac_read', conf => "makini.retry_base = 1\nmax_connections = 20");
connect_warehouse($node, $sim);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sub fails
{
	my ($sql, $pattern, $name) = @_;
	my (undef, $err) = says($node, $sql);

	like($err, $pattern, $name);
	return;
}

# The query strings of the requests that a statement makes of one controller.
sub asked
{
	my ($controller, $sql) = @_;

	$sim->forget;
	sql($sql);
	return map { $_->{query} } $sim->log_entries(service => $controller);
}

# ---- IMPORT FOREIGN SCHEMA ----

sql('CREATE SCHEMA wms; IMPORT FOREIGN SCHEMA v1 FROM SERVER wms INTO wms');
is($sim->counters->{requests} // 0, 0, 'an import makes no request');
is(sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'wms'::regnamespace"), 49, 'all tables of both services, but not the sign-on');
is(sql(q{SELECT format_type(atttypid, atttypmod) || ' ' || attnotnull FROM pg_attribute WHERE attrelid = 'wms.inventory_audit'::regclass AND attname = 'product_code'}),
	'text true', 'a key column that is never null');
is(sql(q{SELECT string_agg(option, ',') FROM pg_attribute, unnest(attfdwoptions) option WHERE attrelid = 'wms.rest_inventory'::regclass AND attname = 'itemid'}),
	'column_name=ITEMID', 'names are folded, the exact one is kept');
like(sql("SELECT obj_description('wms.tranfile_export'::regclass)"), qr/feed of stock movements/, 'tables are commented');
like(sql("SELECT col_description('wms.inventory_audit'::regclass, attnum) FROM pg_attribute WHERE attrelid = 'wms.inventory_audit'::regclass AND attname = 'lotid'"), qr/lot/i, 'and columns');
is(sql(q{SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'wms.inventory_audit'::regclass AND attname = 'expdate'}),
	'timestamp without time zone', 'without a zone dates are the site\'s wall clock');
fails('IMPORT FOREIGN SCHEMA v2 FROM SERVER wms INTO wms', qr/ERROR:  HV00Q.*v1/s, 'the remote schema is the version');
fails('IMPORT FOREIGN SCHEMA v1 LIMIT TO (inventory_audits) FROM SERVER wms INTO wms', qr/HV00R.*Perhaps you meant "inventory_audit"/s, 'a misspelt table');

connect_warehouse($node, $sim, server => 'zoned', options => { rest_base_url => undef, time_zone => 'America/New_York' });
sql('CREATE SCHEMA zoned; IMPORT FOREIGN SCHEMA v1 FROM SERVER zoned INTO zoned');
is(sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'zoned'::regnamespace AND relname LIKE 'rest%'"), 0, 'without rest_base_url its tables are left out');
my (undef, undef, $told) = $node->psql('postgres', 'CREATE SCHEMA few; IMPORT FOREIGN SCHEMA v1 LIMIT TO (rest_orders, po_import) FROM SERVER zoned INTO few');
like($told, qr/NOTICE:  table "rest_orders" left out, because server "zoned" has no option "rest_base_url"\nHINT:  .*ALTER SERVER zoned OPTIONS/, 'not without a word where they are named');
unlike($told, qr/NOTICE.*NOTICE/s, 'and only those');
is(sql(q{SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'zoned.inventory_audit'::regclass AND attname = 'expdate'}),
	'timestamp with time zone', 'with time_zone dates are moments');
is(sql(q{SELECT bool_and(z.expdate = w.expdate AT TIME ZONE 'America/New_York') FROM zoned.inventory_audit z JOIN wms.inventory_audit w USING (product_code, vmi_custid) WHERE w.expdate IS NOT NULL AND z.expdate::date BETWEEN w.expdate::date - 1 AND w.expdate::date + 1}),
	't', 'the same ones');

# ---- options ----

fails("ALTER SERVER wms OPTIONS (ADD rest_base_ulr 'https://x')", qr/HV00D.*rest_base_url/s, 'a misspelt option');
fails("ALTER SERVER wms OPTIONS (ADD token_encoding 'rot13')", qr/raw, base64/, 'a value that is none of those');
fails("CREATE SERVER nowhere FOREIGN DATA WRAPPER asctrac_fdw; CREATE FOREIGN TABLE nothing (x text) SERVER nowhere OPTIONS (entity 'inventory_audit'); SELECT * FROM nothing",
	qr/no option "base_url".*HINT.*ADD base_url/s, 'a server without an address');
fails("CREATE FOREIGN TABLE wms.unknown (x text) SERVER wms OPTIONS (entity 'no_such'); SELECT * FROM wms.unknown", qr/HV00R.*no_such/s, 'an entity that is not there');

# ---- stock by the host interface ----

is_deeply([ asked('inventoryaudit', 'SELECT count(*) FROM wms.inventory_audit') ], ['aVMICustID=&aSiteID=1&aItemID='], 'every name goes out');
my $rows = sql('SELECT count(*) FROM wms.inventory_audit');
cmp_ok($rows, '>', 100, 'rows come');
my ($item) = split /\n/, sql('SELECT product_code FROM wms.inventory_audit WHERE quantity > 0 ORDER BY 1 LIMIT 1');
is_deeply([ asked('inventoryaudit', "SELECT * FROM wms.inventory_audit WHERE product_code = '$item'") ],
	["aVMICustID=&aSiteID=1&aItemID=$item"], 'an item is asked for');
is(sql("SELECT count(*) FROM wms.inventory_audit WHERE product_code = '$item'"),
	sql("SET makini.enable_pushdown = off; SELECT count(*) FROM wms.inventory_audit WHERE product_code = '$item'"), 'with the same rows as without asking');
is(sql("SELECT count(*) FROM wms.inventory_audit WHERE product_code = lower('$item')"), 0, 'what the other side takes for equal is checked again');
is(sql("SELECT count(*) FROM wms.inventory_audit WHERE product_code = '$item' OR quantity > 0"),
	sql("SET makini.enable_pushdown = off; SELECT count(*) FROM wms.inventory_audit WHERE product_code = '$item' OR quantity > 0"), 'an OR is not asked for');
is(scalar(asked('inventoryaudit', "SELECT * FROM wms.inventory_audit WHERE product_code IN ('$item', lower('$item'), 'NO-SUCH')")), 3, 'a short list is asked for one by one');
is(sql("SELECT count(*) FROM wms.inventory_audit WHERE product_code IN ('$item', lower('$item'), 'NO-SUCH')"),
	sql("SELECT count(*) FROM wms.inventory_audit WHERE product_code = '$item'"), 'and gives no row twice');
is(scalar(asked('inventoryaudit', q{SELECT * FROM wms.inventory_audit WHERE product_code = ANY ('{A,B,C,D,E,F,G,H,I,J,K}')})), 1, 'a long one is not');
is(scalar(asked('inventoryaudit', q{SELECT * FROM wms.inventory_audit WHERE product_code = ''})), 0, 'nobody has an empty item');
is(sql('SELECT count(*) FROM wms.inventory_audit WHERE expdate < \'1901-01-01\''), 0, 'days that stand for none are NULL');
is(sql("SELECT count(*) FROM wms.inventory_audit WHERE vmi_custid = '' OR lotid = '' OR mfg_id = ''"), 0, 'and so are empty texts');
is(sql('SELECT bool_and(quantity::text ~ \'^-?[0-9]+(\.[0-9]+)?$\') FROM wms.inventory_audit'), 't', 'quantities are exact');
is(sql('SELECT count(*) FROM (SELECT 1 FROM wms.inventory_audit WHERE abs(extract(epoch FROM now() - date_time)) > 600) late'), 0, 'a time with an offset is a moment');
$sim->forget;
like(sql("EXPLAIN (VERBOSE, COSTS OFF) SELECT quantity FROM wms.inventory_audit WHERE product_code = 'X'"),
	qr/Request: GET \/api\/InventoryAudit\?aVMICustID=&aSiteID=1&aItemID=X/, 'EXPLAIN shows the request');
is($sim->counters->{requests} // 0, 0, 'and makes none');
sql('ANALYZE wms.inventory_audit');
is(sql("SELECT reltuples FROM pg_class WHERE oid = 'wms.inventory_audit'::regclass"), $rows, 'ANALYZE counts what it reads');

# ---- look-ups ----

my ($order) = split /\n/, sql("SELECT ordernumber FROM wms.rest_order_status WHERE pickstatus = 'S' ORDER BY 1 LIMIT 1");
my ($stocked) = split /\n/, sql(q{SELECT i.itemid FROM (SELECT DISTINCT product_code FROM wms.inventory_audit WHERE quantity > 0) a
	JOIN wms.rest_inventory i ON i.itemid = a.product_code ORDER BY 1 LIMIT 1});
my ($skid) = split /\n/, sql("SELECT skidid FROM wms.rest_inventory WHERE itemid = '$stocked' ORDER BY 1 LIMIT 1");
my ($work_day) = split /\n/, sql('SELECT sched_datetime::date FROM wms.rest_work_order_status ORDER BY 1 LIMIT 1');
my %look_up = (
	rest_inventory => "itemid = '$stocked'",
	rest_order_inventory => "ordernumber = '$order' AND linenum = 1",
	rest_license => "skidid = '$skid'",
	rest_inventory_history => "skidid = '$skid'",
	rest_dock_schedule => "dock IN ('D01', 'D02', 'D03', 'D04') AND day = '2026-09-01'",
	rest_order_status => 'true',
	rest_order_status_summary => 'true',
	rest_orders => 'true',
	rest_order => "ordernumber = '$order'",
	rest_order_lines => "ordernumber = '$order'",
	rest_order_schedule => "ordernumber = '$order'",
	rest_po_status => 'true',
	rest_po_list => 'true',
	rest_po_status_summary => 'true',
	rest_trailers => 'true',
	rest_totes => 'true',
	rest_parcels => 'true',
	rest_work_orders => "day = '$work_day'",
	rest_work_order_status => 'true',
	rest_replen_summary => 'true',
	rest_replen_locations => "zoneid = 'Z1'",
	rest_bom_availability => "parentitemid = '$stocked'",
	rest_phys_count_locations => "countnum = '1'",
	rest_trailer_inspection => "ordertype = 'C' AND ordernumber = '$order'");
my %needs = (
	rest_inventory => 'itemid', rest_order_inventory => 'ordernumber', rest_license => 'skidid', rest_inventory_history => 'skidid',
	rest_dock_schedule => 'dock', rest_order => 'ordernumber', rest_order_lines => 'ordernumber', rest_order_schedule => 'ordernumber',
	rest_work_orders => 'day', rest_replen_locations => 'zoneid', rest_bom_availability => 'parentitemid',
	rest_phys_count_locations => 'countnum', rest_trailer_inspection => 'ordertype');

foreach my $table (sort keys %look_up)
{
	my ($out, $err) = says($node, "SELECT count(*) FROM (SELECT * FROM wms.$table WHERE $look_up{$table}) found");

	is($err, '', "$table: no error");
	# Only orders of the session's user are listed there.
	cmp_ok($out, '>', 0, "$table: rows") unless $table eq 'rest_orders';
	fails("SELECT * FROM wms.$table", qr/ERROR:  22023: look-up "$table" needs a value of.*"$needs{$table}".*HINT.*WHERE $needs{$table} =/s, "$table: says what is missing")
	  if $needs{$table};
}
is(join(',', sort map { "rest_$_" } map { s/^rest_//r } keys %look_up), sql("SELECT string_agg(relname, ',' ORDER BY relname COLLATE \"C\") FROM pg_class WHERE relnamespace = 'wms'::regnamespace AND relname LIKE 'rest%'"), 'that is all of them');

is_deeply([ asked('invlookup', "SELECT * FROM wms.rest_inventory WHERE itemid = '$stocked' AND locationid = 'A-01-01'") ],
	["aItemID=$stocked&aIncludeQC=True&aIncludeExp=True&aIncludePicked=True&aFieldType=1&aFieldValue=A-01-01&aUserID=TABLET&aSiteID=1"], 'a field of the stock is asked for too');
is(scalar(asked('invlookup', q{SELECT * FROM (VALUES ('NO-SUCH-1'), ('NO-SUCH-2')) v (item) JOIN wms.rest_inventory i ON i.itemid = v.item})), 2, 'one call for each row of a join');
like(sql(q{EXPLAIN (COSTS OFF) SELECT * FROM wms.inventory_audit a JOIN wms.rest_inventory i ON i.itemid = a.product_code}), qr/Nested Loop/, 'which has to be a nested loop');
is(sql("SELECT count(DISTINCT itemid) FROM wms.rest_inventory WHERE itemid IN ('$stocked', 'NO-SUCH')"), 1, 'a list of what is needed');
is(sql("SELECT count(*) FROM wms.rest_license WHERE skidid = 'NO-SUCH'"), 0, 'a license that is not there is no row');
is(sql("SELECT parentitemid || ' ' || qty FROM wms.rest_bom_availability WHERE parentitemid = '$stocked' AND qty = 2.5 LIMIT 1"), "$stocked 2.5", 'what was asked for is in the row');
like(sql("SELECT trailernum ->> 'newValue' FROM wms.rest_trailer_inspection WHERE ordertype = 'C' AND ordernumber = '$order'"), qr/./, 'objects are jsonb');
fails("SELECT * FROM wms.rest_inventory WHERE itemid = 'X'' OR 1=1--'", qr/22023.*cannot be asked for this value of "itemid"/s, 'an apostrophe is not let through');
is(sql("SELECT count(*) FROM wms.rest_order_status WHERE pickstatus = 'X'' OR 1=1--'"), 0, 'and kept here where that will do');

# ---- what the envelope says ----

foreach my $case (
	[ '{"successful":false,"ErrorMessage":"No scheduled records found.","DataMessage":null}', undef, 'nothing found' ],
	[ '{"successful":true,"ErrorMessage":null,"DataMessage":"OK<NewDataSet />"}', undef, 'an empty table set' ],
	[ '{"successful":false,"ErrorMessage":"Object reference not set","DataMessage":null}', qr/HV000: ASCTrac refused the request for "rest_inventory".*Object reference/s, 'a failure' ],
	[ '{"successful":true,"DataMessage":"ERsomething is wrong"}', qr/refused.*something is wrong/s, 'a failure inside' ],
	[ '{"successful":true,"DataMessage":"OK<NewDataSet><LOCITEMS><SKIDID>1"}', qr/cannot be read.*does not end/s, 'a torn table set' ],
	[ '{"successful":true,"DataMessage":"OK<Other/>"}', qr/cannot be read.*NewDataSet/s, 'another one' ],
	[ '{"successful":tr', qr/cannot be read/, 'a torn envelope' ],
	[ '<html></html>', qr/a page instead of data/, 'a page' ])
{
	my ($body, $pattern, $name) = @$case;
	my ($out, $err);

	$sim->arm(kind => 'raw', path => 'InvLookup', status => 200, headers => { 'Content-Type' => 'application/json' }, body => $body);
	($out, $err) = says($node, "SELECT count(*) FROM wms.rest_inventory WHERE itemid = 'X'");
	if ($pattern) { like($err, $pattern, $name); }
	else { is("$out$err", '0', $name); }
}

# ---- one after another ----

$sim->set(rest_latency_ms => 50);
my @sessions = map { $node->background_psql('postgres') } 1 .. 3;
$_->query_until(qr/started/, "\\echo started\nSELECT count(*) FROM wms.rest_inventory WHERE itemid IN ('A', 'B', 'C');\n") foreach @sessions;
$_->quit foreach @sessions;
is($sim->counters->{overlaps} // 0, 0, 'calls of several sessions do not meet');
$sim->reset;

# ---- the way the answer comes ----

my $truth = sql('SELECT string_agg(product_code || quantity, \',\' ORDER BY 1) FROM (SELECT product_code, quantity FROM wms.inventory_audit) x');
foreach my $case (
	[ { kind => '503', count => 2 }, undef ], [ { kind => 'chunked' }, undef ], [ { kind => 'drip', bytes => 3000, interval_ms => 1 }, undef ],
	[ { kind => 'content_type' }, undef ],
	[ { kind => 'cut', at => 0.5, count => 0 }, qr/ERROR:  08006/ ], [ { kind => 'torn', at => 0.5 }, qr/does not end|torn|HV000/ ],
	[ { kind => 'html', status => 200 }, qr/cannot be read.*neither like an array/s ], [ { kind => '500', count => 0 }, qr/failed inside.*HTTP status 500/s ],
	[ { kind => '404' }, qr/does not know this address/ ], [ { kind => 'bad_gzip', count => 0 }, qr/ERROR/ ])
{
	my ($fault, $pattern) = @$case;

	$sim->arm({ path => 'InventoryAudit', %$fault });
	my ($out, $err) = says($node, 'SELECT string_agg(product_code || quantity, \',\' ORDER BY 1) FROM (SELECT product_code, quantity FROM wms.inventory_audit) x');
	if ($pattern) { like($err, $pattern, "$fault->{kind} is an error"); }
	else { is("$out$err", $truth, "$fault->{kind} does no harm"); }
	$sim->disarm;
}

# ---- reading while reading ----

my $large = Makini::ASCTrac->new('--rows', 'item=4000');
connect_warehouse($node, $large, server => 'narrow', options => { max_concurrency => 1 });
sql('CREATE SCHEMA narrow; IMPORT FOREIGN SCHEMA v1 LIMIT TO (inventory_audit) FROM SERVER narrow INTO narrow');
is(sql(q{SET statement_timeout = '60s'; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
	SELECT count(*) FROM (SELECT a.product_code FROM narrow.inventory_audit a, narrow.inventory_audit b
		WHERE b.product_code = a.product_code LIMIT 3) x}), 3, 'a join with itself does not wait for itself');
$large->stop;

# ---- older versions ----

$sim->set(empty => '204');
is(sql("SELECT count(*) FROM wms.inventory_audit WHERE product_code = 'NO-SUCH'"), 0, '204 is no rows');
$sim->set(empty => '404');
fails("SELECT count(*) FROM wms.inventory_audit WHERE product_code = 'NO-SUCH'", qr/does not know this address/, '404 is not');
sql("ALTER SERVER wms OPTIONS (ADD not_found_is_empty 'true')");
is(sql("SELECT count(*) FROM wms.inventory_audit WHERE product_code = 'NO-SUCH'"), 0, 'unless the server says so');
sql("ALTER SERVER wms OPTIONS (SET base_url '" . $sim->value('url') . "/elsewhere')");
fails('SELECT count(*) FROM wms.inventory_audit', qr/does not know this address/, 'and then a wrong address still is');

$node->stop;
done_testing();
