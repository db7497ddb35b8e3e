# Columns that come and go while a sync runs; rows fetched once more, one by one,
# by those who check and mend: without a lock while they wait, and without rights
# that they do not have.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JsonSchema;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=2000,transaction=200');
my $node = makini_node('drift', conf => 'makini.retry_base = 1');
connect_server($node, $sim, options => { page_size => 100, fetch_ahead => 1, max_concurrency => 4, sync_concurrency => 4 },
	tables => [qw(item transaction transactionline inventorybalance)]);
$node->safe_psql('postgres', 'CREATE SCHEMA copy');

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub create_sync
{
	my ($table, $more) = @_;
	return sql("SELECT makini.create_sync('erp.$table', 'copy.$table', schedule => NULL, initial_window => 'all'" . ($more // '') . ')');
}
sub last_run
{
	my ($sync, $columns) = @_;
	return sql("SELECT $columns FROM makini.sync_run WHERE sync_id = $sync ORDER BY run_id DESC LIMIT 1");
}
sub told
{
	return sql("SELECT string_agg((c->>'change') || ' ' || (c->>'column'), ', ' ORDER BY event_id) FROM makini._event, jsonb_array_elements(data->'changes') c
		WHERE type = 'schema.changed'");
}

# Rows that source and copy do not have in common.
sub differing
{
	my ($table, $columns) = @_;
	my $copy = "SELECT $columns FROM copy.$table WHERE _deleted_at IS NULL";

	return sql("WITH source AS MATERIALIZED (SELECT $columns FROM erp.$table)
		SELECT (SELECT count(*) FROM (TABLE source EXCEPT ALL $copy) a) + (SELECT count(*) FROM ($copy EXCEPT ALL TABLE source) b)");
}

# ---- a column goes in the middle of a load ----

my $item = create_sync('item');
my $watcher = Hostile::Session->new($node);
my $session = Hostile::Session->new($node);
my $fault = $sim->arm(kind => 'delay', ms => 5200, after => 8, count => 1, path => 'suiteql$');
$session->send("CALL makini.run_sync($item)");
until_true('a page that is late', sub { return grep { $_->{id} == $fault->{id} && $_->{struck} } $sim->faults; });
$sim->hide('item', 'displayname', 'unknown');
my (undef, $err) = $session->result;
unlike($err, qr/ERROR/, 'a load whose column goes meanwhile ends well');
like($err, qr/NOTICE:.*sync $item of erp\.item: \d+ of \d+ rows.*rows\/s/, 'who waits for it is told how far it is');
is(sql("SELECT status FROM makini.sync_run WHERE sync_id = $item AND mode = 'initial'"), 'completed', 'it is complete');
is(sql("SELECT left_out FROM makini._sync WHERE sync_id = $item"), '{displayname}', 'the column is left out');
is(told(), 'removed displayname', 'and told of once');
is(differing('item', 'id, itemid, lastmodifieddate'), '0', 'all else is there');
cmp_ok(sql('SELECT count(displayname) FROM copy.item'), '>', 300, 'what had come before the column went, stays');
cmp_ok(sql('SELECT count(*) - count(displayname) FROM copy.item'), '>', 300, 'what came after lacks it');
sql("CALL makini.run_sync($item)");
is(told(), 'removed displayname', 'no second time');

# ---- it comes back, for rows that were read without it too ----

$sim->reset;
is(sql("SELECT change || ' ' || column_name || ' ' || applied || ' ' || sql FROM makini.refresh_schema('erp.item')"),
	"returned displayname false SELECT makini.backfill_columns($item, '{displayname}')", 'refresh_schema knows of it');
is(sql("SELECT makini.backfill_columns($item, '{displayname}')"), 't', 'it is asked for');
sql('UPDATE copy.item SET itemid = NULL WHERE id = (SELECT min(id) FROM copy.item)');
$sim->forget;
sql("CALL makini.run_sync($item)");
my @queries = grep { /^SELECT.* FROM item t/ && !/lastmodifieddate >=/ } map { $_->{q} // '' } $sim->log_entries(service => 'suiteql');
cmp_ok(scalar(@queries), '>=', 20, 'page by page');
is_deeply([ grep { /itemid/ } @queries ], [], 'only that column is fetched');
is(sql("SELECT status FROM makini.sync_run WHERE sync_id = $item AND lane = 'backfill' ORDER BY run_id DESC LIMIT 1"), 'completed', 'the load is complete');
is(differing('item', 'id, displayname'), '0', 'and the column everywhere');
is(sql('SELECT count(*) FROM copy.item WHERE itemid IS NULL'), '1', 'nothing else was touched');
sql("CALL makini.run_sync($item, 'full')");
is(differing('item', 'id, itemid, displayname'), '0', 'a full pass mends that');

# ---- a target that somebody reads for long ----

sql('ALTER FOREIGN TABLE erp.item DROP COLUMN upccode');
sql('ALTER TABLE copy.item DROP COLUMN upccode');
sql("CALL makini.run_sync($item)");
sql('ALTER FOREIGN TABLE erp.item ADD COLUMN upccode text');
$watcher->ask('BEGIN; SELECT count(*) FROM copy.item');
my (undef, $said) = says($node, "CALL makini.run_sync($item)");
like($said, qr/WARNING:.*could not add column "upccode" to copy\.item/, 'a target that is read is not altered');
unlike($said, qr/ERROR/, 'the run goes on without the column');
$watcher->ask('COMMIT');
is(sql("SELECT count(*) FROM pg_attribute WHERE attrelid = 'copy.item'::regclass AND attname = 'upccode'"), '0', 'which is not there yet');
sql("CALL makini.run_sync($item)");
is(sql("SELECT count(*) FROM pg_attribute WHERE attrelid = 'copy.item'::regclass AND attname = 'upccode'"), '1', 'the next run adds it');

# ---- columns that are refused without being named ----

foreach my $kind ('400', '500')
{
	$sim->hide('item', 'purchasedescription', $kind);
	alter_server($node, 'erp', max_retries => 0);
	sql("CALL makini.run_sync($item, 'full')");
	is(last_run($item, 'status'), 'completed', "a column that is answered with $kind is found");
	is(sql("SELECT left_out FROM makini._sync WHERE sync_id = $item"), '{purchasedescription}', 'and left out');
	$sim->reset;
	sql("CALL makini.run_sync($item, 'full')");
	is(sql("SELECT left_out FROM makini._sync WHERE sync_id = $item"), '{}', 'until it is back');
}
# trouble that is about no column stays what it is
$sim->arm(kind => '500', count => 0, path => 'suiteql$');
dies($node, "CALL makini.run_sync($item, 'full')", 'HV000', [qr/NetSuite failed inside/], 'trouble of another kind');
$sim->disarm;
is(sql("SELECT left_out FROM makini._sync WHERE sync_id = $item"), '{}', 'leaves no column out');
alter_server($node, 'erp', max_retries => undef);

# ---- mending: nothing is locked while the source is asked ----

sub latest_check { return sql('SELECT max(check_id) FROM makini.sync_check'); }
sub differences
{
	my ($check) = @_;
	return sql("SELECT string_agg(kind || ' ' || n, ', ' ORDER BY kind) FROM (SELECT kind, count(*) AS n FROM makini.sync_difference WHERE check_id = $check GROUP BY kind) d");
}

sql("CALL makini.run_sync($item, 'full')");
sql(q{DELETE FROM copy.item WHERE id % 10 = 0; UPDATE copy.item SET displayname = 'x' WHERE id % 10 = 1;
	INSERT INTO copy.item (id, itemid) VALUES (99999991, 'none'), (99999992, 'none')});
my $lost = sql('SELECT count(*) FROM erp.item WHERE id % 10 = 0');
my $changed = sql("SELECT count(*) FROM copy.item WHERE displayname = 'x'");
sql("CALL makini.run_sync($item, 'verify')");
my $check = latest_check();
is(differences($check), "different $changed, extra 2, missing $lost", 'verify finds what was done by hand');
is(sql("SELECT sum(missing) || ' ' || sum(extra) || ' ' || sum(different) || ' ' || (sum(source_rows) = (SELECT count(*) FROM erp.item)) FROM makini.sync_check WHERE check_id = $check"),
	"$lost 2 $changed true", 'and counts it');
$sim->forget;
$sim->arm(kind => 'delay', ms => 1500, count => 1, path => 'suiteql$');
$session->send("SELECT makini.repair_sync($check)");
until_waiting($watcher, $session->pid, 'MakiniHttp');
my ($locks) = $watcher->ask("SELECT count(*) FROM pg_locks WHERE pid = ${\ $session->pid} AND relation = 'copy.item'::regclass");
like($locks, qr/^0$/m, 'the target is not locked while the source is asked');
my ($mended) = $session->result;
is($mended =~ s/\s//gr, $lost + $changed + 2, 'repair mends just that');
cmp_ok($sim->requests, '<=', 1 + ($lost + $changed) / 50, 'with few requests');
is(differing('item', 'id, itemid, displayname, lastmodifieddate'), '0', 'and the copy is the source');
sql("CALL makini.run_sync($item, 'verify')");
is(differences(latest_check()), '', 'there is nothing left');

# ---- keys of several columns, and such that may be null ----

foreach my $case ([ 'transactionline', 'transaction, id', 'memo' ], [ 'inventorybalance', 'item, location, binnumber, inventorynumber, inventorystatus', 'quantityonhand' ])
{
	my ($table, $key, $column) = @$case;
	my $sync = create_sync($table);
	sql("CALL makini.run_sync($sync)");
	is(differing($table, "$key, $column"), '0', "$table is copied");
	my $text = $column eq 'memo';
	sql("WITH d AS (SELECT ctid, row_number() OVER (ORDER BY $key) AS n FROM copy.$table)
		DELETE FROM copy.$table t USING d WHERE d.ctid = t.ctid AND n <= 3");
	sql("WITH d AS (SELECT ctid, row_number() OVER (ORDER BY $key DESC) AS n FROM copy.$table)
		UPDATE copy.$table t SET $column = " . ($text ? "'by hand'" : '-1') . " FROM d WHERE d.ctid = t.ctid AND n <= 2");
	sql($text ? "INSERT INTO copy.$table (transaction, id) SELECT transaction, 99999 FROM copy.$table LIMIT 1"
		: "INSERT INTO copy.$table (item, location) SELECT item, 99999 FROM copy.$table LIMIT 1");
	sql("CALL makini.run_sync($sync, 'verify')");
	is(differences(latest_check()), 'different 2, extra 1, missing 3', "$table: verify finds all");
	is(sql('SELECT makini.repair_sync(' . latest_check() . ')'), '6', "$table: repair mends all");
	is(differing($table, "$key, $column"), '0', "$table: the copy is the source");
}

# ---- a source that can only be read whole ----

my $asc = Makini::ASCTrac->new;
connect_warehouse($node, $asc, options => { time_zone => 'America/New_York' }, tables => ['inventory_audit']);
sql('ALTER FOREIGN TABLE wms.inventory_audit DROP COLUMN date_time');
my $stock = sql("SELECT makini.create_sync('wms.inventory_audit', 'copy.stock', schedule => NULL)");
sql("CALL makini.run_sync($stock)");
sql(q{DELETE FROM copy.stock WHERE ctid IN (SELECT ctid FROM copy.stock LIMIT 3); UPDATE copy.stock SET quantity = -1 WHERE ctid IN (SELECT ctid FROM copy.stock LIMIT 2);
	INSERT INTO copy.stock (facility, product_code, expdate, _synced_at) VALUES ('DAY1', 'none', '2020-02-29 12:00+00', '2020-03-01')});
sql("CALL makini.run_sync($stock, 'verify')");
is(differences(latest_check()), 'different 2, extra 1, missing 3', 'verify finds what is extra where pages have no range');
$node->append_conf('postgresql.conf', "timezone = 'Asia/Tokyo'\ndatestyle = 'SQL, DMY'");
$node->reload;
is(sql('SELECT makini.repair_sync(' . latest_check() . ')'), '6', 'repair mends it, whatever the settings are by then');
sql("CALL makini.run_sync($stock, 'verify')");
is(differences(latest_check()), '', 'all is the same again');
$asc->stop;

# ---- values that are none of their type ----

$sim->arm(kind => 'not_text', value => 'much', column => 'cost', row => 3, count => 1, sql => 'FROM item t');
sql("CALL makini.run_sync($item, 'full')");
is(last_run($item, 'status, rows_rejected') =~ s/\|/ /r, 'partial 1', 'a value that is no number makes the run partial');
my ($rejected) = split /\n/, sql('SELECT rejected_id FROM makini.rejected_row WHERE resolved_at IS NULL');
ok($rejected, 'the row is kept');
is(sql("SELECT makini.retry_rejected($item)"), '1', 'it is fetched again, and written');
is(sql("SELECT resolution FROM makini.rejected_row WHERE rejected_id = $rejected"), 'written when tried again', 'which settles it');
is(differing('item', 'id, itemid, displayname'), '0', 'no row was taken for deleted');

# a row that is gone before it is tried again
sql("ALTER TABLE copy.item ADD CONSTRAINT refused CHECK (displayname <> 'refused')");
my $id = sql('SELECT max(id) FROM copy.item WHERE _deleted_at IS NULL');
$sim->touch_rows('item', [$id], displayname => 'refused');
$node->psql('postgres', "CALL makini.run_sync($item)");
is(sql("SELECT key->>'id' FROM makini.rejected_row WHERE resolved_at IS NULL"), $id, 'a row that a check refuses is kept');
$sim->remove_rows('item', $id);
is(sql("SELECT makini.retry_rejected($item)"), '1', 'when it is gone meanwhile');
is(sql("SELECT resolution FROM makini.rejected_row ORDER BY rejected_id DESC LIMIT 1"), 'deleted since', 'that settles it');
is(sql("SELECT _deleted_at IS NOT NULL FROM copy.item WHERE id = $id"), 't', 'and deletes it here');

# ---- another account ----

sql("CALL makini.run_sync($item, 'verify')");
sql('UPDATE copy.item SET itemid = NULL WHERE id = (SELECT min(id) FROM copy.item WHERE _deleted_at IS NULL)');
sql("CALL makini.run_sync($item, 'verify')");
my $broken = latest_check();
alter_server($node, 'erp', account_id => '7654321_SB9');
dies($node, "SELECT makini.repair_sync($broken)", '55000', [qr/source of sync $item has changed/], 'rows of another account are not taken for the same');
alter_server($node, 'erp', account_id => $sim->value('account_id'));
is(sql("SELECT makini.repair_sync($broken)"), '1', 'with the first one they are');

# ---- rights ----

sql(q{CREATE ROLE keeper LOGIN; CREATE ROLE other LOGIN; CREATE SCHEMA own AUTHORIZATION keeper; GRANT ALL ON SCHEMA copy TO keeper, other});
sql("SELECT makini.grant_access('keeper', 'admin', 'erp')");
sql('CREATE USER MAPPING FOR keeper SERVER erp ' . options_clause(
	client_id => $sim->value('client_id'), certificate_id => $sim->value('certificate_id'), private_key => slurp_file($sim->value('private_key_file'))));
$sim->hide('item', 'upccode', 'unknown');
lives($node, 'IMPORT FOREIGN SCHEMA v1 LIMIT TO (item) FROM SERVER erp INTO own', 'a role imports', user => 'keeper');
my $kept = lives($node, "SELECT makini.create_sync('own.item', 'own.copy', schedule => NULL)", 'and syncs', user => 'keeper');
lives($node, "CALL makini.run_sync($kept)", 'and runs', user => 'keeper');
sql('ALTER TABLE own.copy OWNER TO other');
$sim->reset;
(undef, $said) = says($node, "SELECT relation, change, applied FROM makini.refresh_schema('own', true)", user => 'keeper');
like($said, qr/WARNING:.*must be owner of relation own\.copy/, 'a target of somebody else is not altered');
is(sql("SELECT string_agg(attrelid::regclass::text, ' ') FROM pg_attribute WHERE attrelid IN ('own.item'::regclass, 'own.copy'::regclass) AND attname = 'upccode'"),
	'own.item', 'one\'s own foreign table is');
dies($node, "CALL makini.run_sync($kept)", '42501', [qr/owner of target own\.copy/], 'a run without rights', user => 'keeper');
is(sql("SELECT count(*) FROM pg_attribute WHERE attrelid = 'own.copy'::regclass AND attname = 'upccode'"), '0', '... alters nothing');
sql('GRANT other TO keeper; GRANT USAGE ON SCHEMA own TO other');
lives($node, "CALL makini.run_sync($kept)", 'with them it goes on', user => 'keeper');
is(sql("SELECT count(*) FROM pg_attribute WHERE attrelid = 'own.copy'::regclass AND attname = 'upccode'"), '1', '... and adds the column');
dies($node, "SELECT makini.repair_sync($check)", '42501', [qr/permission denied/], 'to mend without a level', user => 'other');

# ---- what was raised meanwhile is as published ----
my ($problems, $types) = own_event_problems($node);
is_deeply($problems, [], 'every event of makini\'s own is as its schema says');
cmp_ok($types, '>=', 3, 'schema.changed among them');

done_testing();
