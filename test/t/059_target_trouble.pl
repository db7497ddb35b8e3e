# What befalls a target: keys that it keeps as something else than the source does,
# another name between two pages, and loads that are taken up at their end.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=600,transaction=300');
my $node = makini_node('target_trouble', conf => 'makini.retry_base = 1');
connect_server($node, $sim, tables => ['item', 'transactionline'], options => { page_size => 100, max_retries => 0 });

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

my %sync;
my @ids = map { $_->[0] } $sim->sql('SELECT id FROM netsuite.item ORDER BY id');
my $marks = '_synced_at timestamptz, _deleted_at timestamptz';

# What a sync's runs of one call say of rows written, and how they ended.
sub run
{
	my ($kind, $mode) = @_;
	my $last = sql('SELECT coalesce(max(run_id), 0) FROM makini.sync_run');

	sql("CALL makini.run_sync($sync{$kind}" . (defined $mode ? ", '$mode')" : ')'));
	return sql("SELECT sum(rows_inserted), sum(rows_updated), sum(rows_deleted), sum(rows_rejected), string_agg(DISTINCT status, ',') FROM makini.sync_run WHERE run_id > $last");
}

sql('CREATE SCHEMA t');

# ---- keys that the target keeps as texts, which sort otherwise ----
{
	sql("CREATE TABLE t.texts (id text PRIMARY KEY, itemid text, lastmodifieddate timestamptz, $marks)");
	$sync{texts} = sql("SELECT makini.create_sync('erp.item', 't.texts', schedule => NULL, columns => '{id,itemid}')");
	run('texts');
	$sim->remove_rows('item', $ids[120]);
	is(run('texts', 'full'), '0|0|1|0|completed', 'keys as texts: a full pass deletes what is gone, and no more');
	run('texts', 'verify');
	is(sql("SELECT count(*) FROM makini.sync_difference JOIN makini.sync_check USING (check_id) WHERE sync_id = $sync{texts}"), 0, '... and verify finds nothing');

	sql("CREATE TABLE t.lines (transaction text, id text, memo text, linelastmodifieddate timestamptz, $marks, PRIMARY KEY (transaction, id))");
	$sync{lines} = sql("SELECT makini.create_sync('erp.transactionline', 't.lines', schedule => NULL, initial_window => 'all', columns => '{memo}')");
	run('lines');
	my @documents = map { $_->[0] } $sim->sql('SELECT id FROM netsuite.transaction ORDER BY id');
	$sim->touch_rows('transaction', [ @documents[20 .. 279] ]);
	$sim->sql("DELETE FROM netsuite.transactionline WHERE (transaction, id) IN (SELECT transaction, max(id) FROM netsuite.transactionline WHERE transaction IN ($documents[30], $documents[200]) GROUP BY 1)");
	is(run('lines'), '0|0|2|0|completed', '... and so do lines of what changed');
}

# ---- a key without the column that tells whose rows these are ----
$sync{unique} = sql("SELECT makini.create_sync('erp.transactionline', 't.unique', schedule => NULL, columns => '{memo}', key => '{uniquekey}')");
run('unique');
is(run('unique'), '0|0|0|0|completed', 'lines by a key of their own');

# ---- loads that are taken up at their end, where that was refused ----
sql("CREATE FOREIGN TABLE erp.keyless (itemid text, itemtype text) SERVER erp OPTIONS (query 'SELECT itemid, itemtype FROM item');
	CREATE FOREIGN TABLE erp.named (itemid text, itemtype text) SERVER erp OPTIONS (entity 'item', key 'itemid')");
foreach my $kind ('keyless', 'named')
{
	sql("CREATE TABLE t.$kind (itemid text, itemtype text, $marks)");
	$sync{$kind} = sql("SELECT makini.create_sync('erp.$kind', 't.$kind', schedule => NULL, deletes => 'hard', options => '{\"reject_limit\": 0}')");
	run($kind);
	sql("ALTER TABLE t.$kind ADD CHECK (itemid <> 'bad $kind')");
	$sim->remove_rows('item', pop @ids);
	$sim->touch_rows('item', [ pop @ids ], itemid => "bad $kind");
	my ($there) = map { $_->[0] } $sim->sql('SELECT count(*) FROM netsuite.item');
	dies($node, "CALL makini.run_sync($sync{$kind}, 'full')", '22000', [qr/too many rows/], "$kind: a pass with a row too many that is refused");
	sql("ALTER TABLE t.$kind DROP CONSTRAINT ${kind}_itemid_check");
	sql("SELECT makini.alter_sync($sync{$kind}, '{\"options\": {\"reject_limit\": 1}}')");
	run($kind);
	is(sql("SELECT count(*) FROM t.$kind WHERE itemid <> 'bad $kind'"), $there - 1, '... it ends with what there is once that is allowed');
}

# ---- columns that call keys the same which the source tells apart ----
{
	my $create = sub { my ($table) = @_; return "SELECT makini.create_sync('erp.coded', 't.$table', schedule => NULL, deletes => 'hard')" };

	sql("CREATE FOREIGN TABLE erp.coded (itemid text NOT NULL, id int8) SERVER erp OPTIONS (entity 'item', key 'itemid');
		CREATE FOREIGN TABLE erp.exact (id numeric NOT NULL, itemid text) SERVER erp OPTIONS (entity 'item', key 'id');
		CREATE COLLATION t.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
	foreach my $type ('text COLLATE t.any_case', 'char(40)', 'name')
	{
		sql("CREATE TABLE t.coded (itemid $type PRIMARY KEY, id int8, $marks)");
		dies($node, $create->('coded'), '42804', [ qr/"itemid" of target t\.coded does not tell all keys .* apart/, qr/ALTER TABLE t\.coded ALTER COLUMN itemid TYPE text COLLATE "default";/ ],
			"a key in a column of type $type is refused");
		sql('ALTER TABLE t.coded ALTER COLUMN itemid TYPE text COLLATE "default"');
		like(sql($create->('coded')), qr/^\d+$/, '... and taken as the hint says');
		sql('SELECT makini.drop_sync(max(sync_id), true) FROM makini.sync');
	}
	foreach my $type ('numeric(12,0)', 'bigint', 'float8')
	{
		sql("CREATE TABLE t.exact (id $type PRIMARY KEY, itemid text, $marks)");
		dies($node, "SELECT makini.create_sync('erp.exact', 't.exact')", '42804', [ qr/"id" of target t\.exact does not tell all keys .* apart/ ], "numbers as keys in a column of type $type");
		sql('DROP TABLE t.exact');
	}

	my @pair = @ids[200, 201];
	$sim->touch_rows('item', [ $pair[0] ], itemid => 'same CASE');
	$sim->touch_rows('item', [ $pair[1] ], itemid => 'same case');
	sql("CREATE TABLE t.coded (itemid text, id int8, $marks); CREATE UNIQUE INDEX ON t.coded (itemid COLLATE t.any_case)");
	$sync{coded} = sql($create->('coded'));
	like(run('coded'), qr/\|1\|partial$/, 'an index that calls two keys the same: the second is rejected');
	is(sql("SELECT count(*) FROM t.coded WHERE itemid ILIKE 'same case'"), 1, '... and does not overwrite the first');
	sql('DROP INDEX t.coded_itemid_idx; ALTER TABLE t.coded ALTER COLUMN itemid TYPE text COLLATE t.any_case');
	dies($node, "CALL makini.run_sync($sync{coded}, 'full')", '42804', [qr/does not tell all keys/], 'a column that was altered since');
	sql('ALTER TABLE t.coded ALTER COLUMN itemid TYPE text COLLATE "default"');
	like(run('coded', 'full'), qr/^1\|0\|0\|0\|completed$/, '... and altered back: both are there');
	is(sql("SELECT count(*) FROM t.coded WHERE itemid ILIKE 'same case'"), 2, '... each by itself');
}

# ---- rules, which no page is written past ----
{
	sql("CREATE TABLE t.ruled (id int8 PRIMARY KEY, itemid text, lastmodifieddate timestamptz, $marks);
		CREATE RULE elsewhere AS ON UPDATE TO t.ruled DO INSTEAD NOTHING");
	my $create = "SELECT makini.create_sync('erp.item', 't.ruled', schedule => NULL, columns => '{id,itemid}')";

	dies($node, $create, '0A000', [ qr/target t\.ruled has rules/, qr/Drop its rules/ ], 'a target with rules is refused when the sync is made');
	dies($node, "SELECT makini.alter_sync($sync{texts}, '{\"target\": \"t.ruled\"}')", '0A000', [qr/target t\.ruled has rules/], '... or altered');
	sql('DROP RULE elsewhere ON t.ruled');
	like(sql($create), qr/^\d+$/, '... and taken without them');
}

# ---- deletes that are refused at first ----
{
	my @gone = @ids[210 .. 213];
	my $open = sub { return sql("SELECT count(*) FROM makini.rejected_row WHERE sync_id = $sync{held} AND resolved_at IS NULL") };

	sql("CREATE TABLE t.held (id int8 PRIMARY KEY, itemid text, lastmodifieddate timestamptz, $marks)");
	$sync{held} = sql("SELECT makini.create_sync('erp.item', 't.held', schedule => NULL, columns => '{id,itemid}', deletes => 'hard')");
	run('held');
	sql('CREATE TABLE t.holder (id int8 REFERENCES t.held); INSERT INTO t.holder VALUES (' . join('), (', @gone) . ')');
	$sim->delete_rows('item', @gone[0, 1]);
	$sim->remove_rows('item', @gone[2, 3]);
	is(run('held'), '0|0|0|2|partial', 'deletes that others refer to the rows of are rejected');
	is(run('held', 'full'), '0|0|0|4|partial', '... by a pass, too');
	is($open->(), 4, '... each row once');
	sql('TRUNCATE t.holder');
	is(run('held'), '0|0|2|0|completed', '... and made up for as soon as they can');
	is($open->(), 2, '... which settles them');
	is(run('held', 'full'), '0|0|2|0|completed', '... the others by the next pass');
	is($open->(), 0, '... which settles them, too');
}

# ---- a row that cannot be read, in a pass that is interrupted ----
sql("CREATE FOREIGN TABLE erp.lot (id int8 NOT NULL, displayname int8) SERVER erp OPTIONS (entity 'item', key 'id');
	CREATE TABLE t.lot (id text PRIMARY KEY, displayname int8, $marks)");
$sim->sql('UPDATE netsuite.item SET displayname = 7');
$sync{lot} = sql("SELECT makini.create_sync('erp.lot', 't.lot', schedule => NULL)");
run('lot');
my $kept = sql('SELECT count(*) FROM t.lot');
$sim->sql("UPDATE netsuite.item SET displayname = 'many' WHERE id = (SELECT min(id) FROM netsuite.item)");
alter_server($node, 'erp', fetch_ahead => 0);
$sim->arm(kind => '500', after => 5, path => 'suiteql$');
dies($node, "CALL makini.run_sync($sync{lot}, 'full')", 'HV000', [], 'a pass that breaks off');
is(sql("SELECT position IS NOT NULL AND rows_done > 0 FROM makini._load WHERE sync_id = $sync{lot}"), 't', '... between two pages');
like(run('lot'), qr/^0\|0\|0\|/, '... and is taken up deletes nothing');
is(sql('SELECT count(*) FROM t.lot WHERE _deleted_at IS NULL'), $kept, '... not the row that could not be read either');

# ---- another table that takes the target's name between two pages ----
sql("CREATE TABLE t.plain (id int8 PRIMARY KEY, displayname text, lastmodifieddate timestamptz, $marks)");
$sync{plain} = sql("SELECT makini.create_sync('erp.item', 't.plain', schedule => NULL, columns => '{id,displayname}')");
run('plain');
$sim->sql("UPDATE netsuite.item SET displayname = 'renamed', lastmodifieddate = account_now()");
my $hold = $sim->arm(kind => 'hold', after => 5, count => 0, path => 'suiteql$');
my $session = Hostile::Session->new($node);
$session->send("CALL makini.run_sync($sync{plain}, 'full')");
until_true('a request that is held', sub { return (grep { $_->{id} == $hold->{id} } $sim->faults)[0]{struck} > 0; });
sql('ALTER TABLE t.plain RENAME TO plain_2; CREATE TABLE t.plain (LIKE t.plain_2 INCLUDING ALL)');
$sim->disarm;
like(($session->result)[1], qr/target t\.plain got another name/, 'a target that gets another name while it is written');
is(sql("SELECT state FROM makini.sync WHERE sync_id = $sync{plain}"), 'incremental', '... is nothing that a person has to mend');
run('plain');
is(sql("SELECT count(*) FROM t.plain_2 WHERE displayname = 'renamed'"), sql('SELECT count(*) FROM erp.item'), '... all rows are in it after the next run');
is(sql('SELECT count(*) FROM t.plain'), 0, '... and none in the table that has its name');

done_testing();
