# Every kind of target, filled and kept by real runs: initial, incremental with
# changes, deletes with and without tombstones, a full pass; the target then is
# what the source is, and an idle run writes nothing.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=2500');
my $node = makini_node('targets', conf => "makini.retry_base = 1\nautovacuum = off");
connect_server($node, $sim, tables => ['item']);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

my @read = qw(id itemid displayname itemtype cost lastmodifieddate);
my $columns = 'id bigint NOT NULL, itemid text, displayname text, itemtype text, cost numeric, lastmodifieddate timestamptz,'
  . ' _synced_at timestamptz, _deleted_at timestamptz, _extra jsonb';
my ($host, $port) = ($node->host, $node->port);
my $n = sql('SELECT count(*) FROM erp.item');
my $middle = sql('SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM erp.item');

sql("CREATE SCHEMA t; CREATE ROLE keeper; GRANT USAGE, CREATE ON SCHEMA t TO keeper;
	CREATE TABLE t.log (who text)");
sql("GRANT ALL ON t.log TO keeper");

my %target = (
	made => '',
	plain => "CREATE TABLE t.plain ($columns, PRIMARY KEY (id))",
	unindexed => "CREATE TABLE t.unindexed ($columns)",
	by_key => "CREATE TABLE t.by_key ($columns, PRIMARY KEY (id)) PARTITION BY RANGE (id);
		CREATE TABLE t.by_key_1 PARTITION OF t.by_key FOR VALUES FROM (MINVALUE) TO ($middle);
		CREATE TABLE t.by_key_2 PARTITION OF t.by_key FOR VALUES FROM ($middle) TO (MAXVALUE)",
	by_type => "CREATE TABLE t.by_type ($columns) PARTITION BY LIST (itemtype);
		CREATE TABLE t.by_type_1 PARTITION OF t.by_type FOR VALUES IN ('InvtPart');
		CREATE TABLE t.by_type_2 PARTITION OF t.by_type DEFAULT;
		CREATE INDEX ON t.by_type (id)",
	over_shards => "CREATE TABLE t.shard ($columns); CREATE INDEX ON t.shard (id);
		CREATE TABLE t.over_shards ($columns) PARTITION BY LIST (itemtype);
		CREATE FOREIGN TABLE t.over_shards_1 PARTITION OF t.over_shards FOR VALUES IN ('InvtPart') SERVER shard OPTIONS (schema_name 't', table_name 'shard');
		CREATE TABLE t.over_shards_2 PARTITION OF t.over_shards DEFAULT",
	busy => "CREATE TABLE t.type (itemtype text PRIMARY KEY);
		CREATE TABLE t.busy ($columns, PRIMARY KEY (id), own text DEFAULT 'own', twice numeric GENERATED ALWAYS AS (cost * 2) STORED,
			FOREIGN KEY (itemtype) REFERENCES t.type DEFERRABLE INITIALLY DEFERRED);
		INSERT INTO t.type SELECT DISTINCT itemtype FROM erp.item WHERE itemtype IS NOT NULL; INSERT INTO t.type VALUES ('Moved');
		CREATE FUNCTION t.note() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO t.log VALUES (current_user); RETURN NULL; END \$\$;
		CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON t.busy FOR EACH ROW EXECUTE FUNCTION t.note();
		ALTER TABLE t.busy OWNER TO keeper; ALTER TABLE t.type OWNER TO keeper",
	tenants => "CREATE TABLE t.tenants (tenant int, $columns, PRIMARY KEY (tenant, id));
		INSERT INTO t.tenants (tenant, id, _synced_at) VALUES (2, 1, '2000-01-01'), (2, 2, '2000-01-01')");
my %more = (tenants => q{, constants => '{"tenant": 1}'});
my @kinds = sort keys %target;

if (sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'}) == 0)
{
	@kinds = grep { $_ ne 'over_shards' } @kinds;
}
else
{
	sql("CREATE EXTENSION postgres_fdw;
		CREATE SERVER shard FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
		CREATE USER MAPPING FOR CURRENT_USER SERVER shard");
}

my %sync;

sub read_columns { my ($name) = @_; return join(', ', map { "$name.$_" } @read); }

# How many rows are not the same here and there.
sub differences
{
	my ($kind) = @_;
	my $here = 'SELECT ' . read_columns('h') . " FROM t.$kind h WHERE _deleted_at IS NULL" . ($kind eq 'tenants' ? ' AND tenant = 1' : '');
	my $there = 'SELECT ' . read_columns('i') . ' FROM erp.item i';

	return sql("SELECT count(*) FROM (($here EXCEPT ALL $there) UNION ALL ($there EXCEPT ALL $here)) d");
}

sub run
{
	my ($kind, $mode) = @_;
	my $last = sql('SELECT coalesce(max(run_id), 0) FROM makini.sync_run');

	sql("CALL makini.run_sync($sync{$kind}, " . (defined $mode ? "'$mode'" : 'NULL') . ')');
	return sql("SELECT sum(rows_inserted), sum(rows_updated), sum(rows_deleted), sum(rows_rejected), string_agg(DISTINCT status, ',') FROM makini.sync_run WHERE run_id > $last");
}

foreach my $kind (@kinds)
{
	sql($target{$kind}) if $target{$kind};
	my $deletes = $kind eq 'plain' || $kind eq 'by_type' ? 'hard' : 'soft';
	$sync{$kind} = sql("SELECT makini.create_sync('erp.item', 't.$kind', schedule => NULL, initial_window => 'all', deletes => '$deletes', columns => '{"
		  . join(',', @read) . "}'" . ($more{$kind} // '') . ')');
	is(run($kind), "$n|0|0|0|completed", "$kind: initial load");
	is(differences($kind), 0, '... of all rows');
}

# Changes, moves between partitions, deletes with and without a trace.
my @ids = split /\n/, sql('SELECT id FROM erp.item ORDER BY id');
my @changed = @ids[10 .. 30];
my @moved = @ids[40 .. 60];
my @deleted = @ids[70 .. 75];
my @vanished = @ids[80 .. 83];
my @untyped = @ids[90, 91];
my $written = sql('SELECT count(*) FROM t.log');

$sim->touch_rows('item', \@changed, displayname => 'changed');
$sim->touch_rows('item', \@moved, itemtype => 'Moved');
$sim->touch_rows('item', \@untyped, cost => undef);
$sim->delete_rows('item', @deleted);
$sim->remove_rows('item', @vanished);
foreach my $kind (@kinds)
{
	my $updated = @changed + @moved + @untyped;
	my $gone = @deleted;

	is(run($kind), "0|$updated|$gone|0|completed", "$kind: what changed");
	is(differences($kind), scalar(@vanished), '... but for what left no trace');
}
is(sql('SELECT count(*) FROM t.log') - $written, @changed + @moved + @untyped + @deleted, 'triggers saw what was written, and no more');
is(sql('SELECT DISTINCT who FROM t.log'), 'keeper', '... as the owner');
foreach my $kind (@kinds)
{
	my $gone = @vanished;

	is(run($kind, 'full'), "0|0|$gone|0|completed", "$kind: a full pass");
	is(differences($kind), 0, '... is the same as the source');
	my $before = sql("SELECT md5(string_agg(h.tableoid::text || h.ctid::text || h._synced_at, ',' ORDER BY id)) FROM t.$kind h");
	is(run($kind), '0|0|0|0|completed', '... and what comes next');
	is(sql("SELECT md5(string_agg(h.tableoid::text || h.ctid::text || h._synced_at, ',' ORDER BY id)) FROM t.$kind h"), $before, '... writes nothing');
	sql("CALL makini.run_sync($sync{$kind}, 'verify')");
	is(sql("SELECT count(*) FROM makini.sync_difference WHERE check_id = (SELECT max(check_id) FROM makini.sync_check WHERE sync_id = $sync{$kind})"), 0, '... and verify finds nothing');
}
is(sql('SELECT count(*) FROM t.tenants WHERE tenant = 2'), 2, 'the rows of another tenant are still there');

# Rows that come back are no longer deleted.
$sim->sql("INSERT INTO netsuite.item (id, itemid, itemtype, lastmodifieddate) VALUES ($deleted[0], 'back', 'InvtPart', account_now())");
foreach my $kind (@kinds)
{
	my $soft = $kind ne 'plain' && $kind ne 'by_type';

	is(run($kind), $soft ? '0|1|0|0|completed' : '1|0|0|0|completed', "$kind: a row that comes back");
	is(differences($kind), 0, '... is there');
}

# ---- a filter that speaks of a column which nobody asked for ----
{
	my @old = @ids[100 .. 105];
	my $list = join(',', @old);

	$sim->sql("UPDATE netsuite.item SET lastmodifieddate = now() - interval '2 days' WHERE id NOT IN ($list)");
	$sim->sql("UPDATE netsuite.item SET lastmodifieddate = now() - interval '100 days', itemtype = 'Kept' WHERE id IN ($list)");
	$sync{filtered} = sql("SELECT makini.create_sync('erp.item', 't.filtered', schedule => NULL, initial_window => '30 days', columns => '{id,itemid}', initial_filter => \$\$itemtype = 'Kept'\$\$)");
	run('filtered');
	is(sql("SELECT count(*) FROM t.filtered WHERE id IN ($list)"), 6, 'old rows that initial_filter adds');
	$sim->remove_rows('item', $old[0], $ids[110]);
	is(run('filtered', 'full'), '0|0|2|0|completed', 'a full pass');
	is(sql('SELECT string_agg(id::text, \',\' ORDER BY id) FROM t.filtered WHERE _deleted_at IS NOT NULL'), "$old[0],$ids[110]", '... deletes among those too');
}

done_testing();
