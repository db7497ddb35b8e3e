# Keys that do not identify rows: no row of a source is lost unnoticed, wherever
# the pages end, and what shares a key with another row is kept as rejected.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'transaction=200,item=200');
my $node = makini_node('repeat', conf => 'makini.retry_base = 1');
connect_server($node, $sim, options => { page_size => 50, fetch_ahead => 4, max_concurrency => 5, sync_concurrency => 5 });

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub at_source { my ($sql) = @_; return map { $_->[0] } $sim->sql($sql); }

sub lay_in_order { $sim->sql('CREATE TABLE public.lying AS TABLE netsuite.item; TRUNCATE netsuite.item; INSERT INTO netsuite.item SELECT * FROM public.lying ORDER BY id; DROP TABLE public.lying'); return; }

# Runs a sync, and gives what its last run over all says of rows.
sub run
{
	my ($sync, $mode) = @_;

	sql("CALL makini.run_sync($sync" . (defined $mode ? ", '$mode')" : ')'));
	return sql("SELECT status, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_rejected FROM makini.sync_run WHERE sync_id = $sync AND lane = 'backfill' ORDER BY run_id DESC LIMIT 1");
}

sql(q{CREATE FOREIGN TABLE by_document (transaction int8, id int8, quantity numeric) SERVER erp OPTIONS (entity 'transactionline', key 'transaction');
	CREATE FOREIGN TABLE by_name (id int8, displayname text, itemid text) SERVER erp OPTIONS (entity 'item', key 'displayname')});

# ---- read in the order of the key ----

my ($lines) = at_source('SELECT count(*) FROM netsuite.transactionline');
my ($documents) = at_source('SELECT count(DISTINCT transaction) FROM netsuite.transactionline');
foreach my $ahead (0, 4)
{
	alter_server($node, 'erp', fetch_ahead => $ahead);
	my $sync = sql(qq{SELECT makini.create_sync('by_document', 'copy.ahead_$ahead', schedule => NULL, initial_window => 'all', options => '{"reject_limit": 1}')});
	is(run($sync), "partial|$lines|$documents|0|0|" . ($lines - $documents), "fetch_ahead $ahead: every row is read, and one of each key written");
	is(sql("SELECT count(*) FROM makini.rejected_row WHERE sync_id = $sync AND resolved_at IS NULL AND reason LIKE 'another row of the same page%'"), $lines - $documents, '... the others are kept');
	is(run($sync, 'full'), "partial|$lines|0|0|$documents|" . ($lines - $documents), '... and a full pass says the same');
	sql("SELECT makini.drop_sync($sync, true)");
}

# The last row of a page shares its key with the first of the next.
$sim->sql('DELETE FROM netsuite.transactionline WHERE transaction NOT IN (SELECT transaction FROM netsuite.transactionline GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 3)');
my @left = at_source('SELECT DISTINCT transaction FROM netsuite.transactionline ORDER BY 1');
$sim->sql("DELETE FROM netsuite.transactionline l WHERE l.ctid NOT IN (SELECT m.ctid FROM netsuite.transactionline m WHERE m.transaction = l.transaction ORDER BY m.id LIMIT CASE l.transaction WHEN $left[1] THEN 2 ELSE 1 END)");
is(join(' ', at_source('SELECT count(*) FROM netsuite.transactionline')), 4, 'four rows, of which the second and the third share a key');
alter_server($node, 'erp', page_size => 2);
dies($node, 'SELECT count(*) FROM (SELECT * FROM by_document OFFSET 0) d', 'HV000', [qr/rows of "transactionline" share one key/], 'a query is told, at the end of a page too');
my $sync = sql(q{SELECT makini.create_sync('by_document', 'copy.boundary', schedule => NULL, initial_window => 'all', options => '{"reject_limit": 1}')});
dies($node, "CALL makini.run_sync($sync)", 'HV000', [qr/more rows of "transactionline" share one key than a page can hold/], 'a sync whose page holds nothing else, too');
alter_server($node, 'erp', page_size => 1);
dies($node, 'SELECT count(*) FROM (SELECT * FROM by_document OFFSET 0) d', 'HV000', [qr/rows of "transactionline" share one key/], 'not even pages of one row hide it');
alter_server($node, 'erp', page_size => 3);
sql("SELECT makini.resume_sync($sync)");
is(run($sync), 'partial|3|2|0|0|1', 'and otherwise it reads all of them, from where it stood');
alter_server($node, 'erp', page_size => 50);

# ---- read in no order ----

$sim->sql("UPDATE netsuite.item SET displayname = 'name ' || id");
my ($items) = at_source('SELECT count(*) FROM netsuite.item');
my $named = sql(q{SELECT makini.create_sync('by_name', 'copy.by_name', schedule => NULL)});
is(run($named), "completed|$items|$items|0|0|0", 'pages at offsets');
is(run($named, 'full'), "completed|$items|0|0|$items|0", '... and again');
my @far = (at_source('SELECT min(id) FROM netsuite.item'), at_source('SELECT max(id) FROM netsuite.item'));
$sim->sql("UPDATE netsuite.item SET displayname = 'twin' WHERE id IN ($far[0], $far[1])");

# Rows without an order come as they lie: one twin first, the other last.
$sim->sql('CREATE TABLE public.lying AS TABLE netsuite.item; TRUNCATE netsuite.item; INSERT INTO netsuite.item SELECT * FROM public.lying ORDER BY id; DROP TABLE public.lying');
my $rest = $items - 2;
is(run($named, 'full'), "partial|$items|1|0|$rest|1", 'two rows of pages far apart share a key');
my $first = sql("SELECT id FROM copy.by_name WHERE displayname = 'twin'");
is(sql("SELECT data->>'id' FROM makini.rejected_row WHERE sync_id = $named AND resolved_at IS NULL AND reason LIKE 'another row of an earlier page%'"), (grep { $_ != $first } @far)[0], '... which is kept as rejected');
is(run($named, 'full'), "partial|$items|0|0|" . ($rest + 1) . '|1', '... and does not change places with the other for ever');
is(sql('SELECT count(*) FROM makini._seen'), 0, 'what was noted meanwhile is forgotten');
$sim->sql("UPDATE netsuite.item SET displayname = 'single' WHERE id = " . (grep { $_ != $first } @far)[0]);
is(run($named, 'full'), "completed|$items|1|0|" . ($rest + 1) . '|0', 'with a key of its own it is written');
sql("SELECT makini.reset_sync($named, 'truncate')");
$sim->sql("UPDATE netsuite.item SET displayname = 'twin' WHERE id IN ($far[0], $far[1])");
is(run($named), "partial|$items|" . ($items - 1) . '|0|0|1', 'the first load finds them too');
is(sql('SELECT count(*) FROM makini._seen'), 0, '... and forgets');

# What a target cannot hold is rejected with its row, whether the row's key comes again or not.
sql('CREATE TABLE copy.narrow (id int4, displayname text PRIMARY KEY, itemid text, _synced_at timestamptz, _deleted_at timestamptz)');
my $large = at_source("UPDATE netsuite.item SET id = id + 5000000000 WHERE id <> $far[0] AND (id = $far[1] OR id % 20 = 3) RETURNING id");
lay_in_order();
my $narrow = sql(q{SELECT makini.create_sync('by_name', 'copy.narrow', schedule => NULL, options => '{"reject_limit": 1}')});
is(run($narrow), "partial|$items|" . ($items - $large) . "|0|0|$large", 'numbers beyond what the target can hold');
is(sql("SELECT count(*) FROM makini.rejected_row WHERE sync_id = $narrow AND reason LIKE '%out of range%'"), $large, '... are rejected with their rows, and no other');

# ---- a key that the sync says ----

my $by_id = sql(q{SELECT makini.create_sync('by_name', 'copy.by_id', schedule => NULL, key => '{id}')});
is(run($by_id), "completed|$items|$items|0|0|0", 'with another key than the table has they are told apart');
is(sql(q{SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'copy.by_id'::regclass AND contype = 'p'}), 'PRIMARY KEY (id)', '... which is that of the target, too');
$sim->sql("DELETE FROM netsuite.item WHERE id = $far[0]");
is(run($by_id, 'full'), "completed|" . ($items - 1) . '|0|0|' . ($items - 1) . '|0', '... and by which what is gone');
is(sql('SELECT id FROM copy.by_id WHERE _deleted_at IS NOT NULL'), $far[0], '... is found');

done_testing();
