# Rows into every kind of target: which are written, which left alone, which
# rejected, and with whose rights; what of a target a page does not have.  The
# pages come from queries, not from a source.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = makini_node('apply', conf => "autovacuum = off");

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sql(q{
	CREATE SERVER erp FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1234567');
	CREATE SCHEMA src;
	CREATE SCHEMA dst;
	CREATE FUNCTION write_rows(sync_id bigint, query text, page int, what text, low text[], high text[], argument text)
		RETURNS text LANGUAGE C AS 'makini', 'makini_test_apply';
	CREATE FUNCTION new_sync(source text, target text, key name[], deletes text, more jsonb) RETURNS bigint LANGUAGE sql AS $$
		INSERT INTO makini._sync (home, connection_id, source_oid, source, target_oid, target, owner_oid, owner, mode,
			deletes, key, constants, history_from, initial_filter)
		SELECT makini._home(), gen_random_uuid(), source::regclass, source, target::regclass, target,
			r.oid, r.rolname, 'incremental', deletes, key, coalesce(more->'constants', '{}'),
			(more->>'history_from')::timestamptz, more->>'initial_filter'
		FROM pg_roles r WHERE r.rolname = coalesce(more->>'owner', current_user) RETURNING sync_id $$;
	CREATE FOREIGN TABLE src.item (id bigint NOT NULL, name text, price numeric, day date, modified timestamptz, doc json)
		SERVER erp OPTIONS (query 'SELECT 1', key 'id', cursor 'modified');
	CREATE FOREIGN TABLE src.balance (item bigint NOT NULL, bin bigint, lot text, quantity numeric)
		SERVER erp OPTIONS (query 'SELECT 1', key 'item,bin,lot');
	CREATE FOREIGN TABLE src.line (parent bigint NOT NULL, line bigint NOT NULL, amount numeric)
		SERVER erp OPTIONS (query 'SELECT 1', key 'parent,line');
	CREATE FOREIGN TABLE src.pick (pick bigint NOT NULL, parent bigint, amount numeric)
		SERVER erp OPTIONS (query 'SELECT 1', key 'pick');
	CREATE FOREIGN TABLE src.loose (a text, b int) SERVER erp OPTIONS (query 'SELECT 1')});

my $columns = 'name text, price numeric(12,2), day date, modified timestamptz, doc json, _synced_at timestamptz,'
  . ' _deleted_at timestamptz, _extra jsonb, note text DEFAULT \'own\'';

# The rows of the source, and variations of them.
sub items
{
	my (%given) = @_;
	my $n = $given{n} // 30;
	my $name = $given{name} // q{CASE WHEN g % 2 = 0 THEN 'a' ELSE 'b' END};
	my $later = $given{later} // '0';
	my $where = $given{where} // 'true';
	my $price = $given{price} // 'g * 1.5';

	return "SELECT g::bigint, $name, ($price)::numeric, date '2026-01-01' + g,"
	  . " timestamptz '2026-01-01 UTC' + g * interval '1 min' + interval '$later', '{\"a\": 1}'::json"
	  . " FROM generate_series(1, $n) g WHERE $where ORDER BY 1";
}

sub new_sync
{
	my ($source, $target, $key, $deletes, $more) = @_;
	$deletes //= 'soft';
	$more //= '{}';
	return sql("SELECT new_sync('$source', '$target', '{$key}', '$deletes', '$more')");
}

# write_rows SYNC QUERY what => ...: the counters that are not 0.
sub write_rows
{
	my ($sync, $query, %given) = @_;
	my $page = $given{page} // 1000;
	my $what = $given{what} // 'apply';
	my ($low, $high, $argument) = map { defined $given{$_} ? "'$given{$_}'" : 'NULL' } qw(low high argument);
	my $result = sql("SELECT write_rows($sync, \$q\$$query\$q\$, $page, '$what', $low, $high, $argument)");

	$result =~ s/\w+ 0( |$)//g;
	$result =~ s/ $//;
	return $result;
}

sub reasons
{
	my ($sync) = @_;
	return sql("SELECT string_agg(key->>'id' || ' ' || reason, '|' ORDER BY rejected_id) FROM makini._rejected_row WHERE sync_id = $sync AND resolved_at IS NULL");
}

# ---- both ways, and the one below SQL ----

foreach my $way (qw(bulk indexed joined))
{
	my %way = $way eq 'joined' ? (argument => 'joined') : ();

	sql("CREATE TABLE dst.$way (id bigint PRIMARY KEY, $columns)");
	my $sync = new_sync('src.item', "dst.$way", 'id');
	is(write_rows($sync, items(n => 2500), %way, $way eq 'bulk' ? (what => 'empty') : ()), 'inserted 2500', "$way: new rows");
	is(sql("SELECT count(*), count(_synced_at), min(note), sum(price), count(doc) FROM dst.$way"), '2500|2500|own|4689375.00|2500', '... are all there');
	sql("VACUUM ANALYZE dst.$way; CHECKPOINT");
	my $before = sql("SELECT pg_current_wal_insert_lsn()");
	if ($way ne 'bulk')
	{
		is(write_rows($sync, items(n => 2500), %way), 'unchanged 2500', "$way: the same rows");
		# A page or two of a catalogue may be tidied up meanwhile.
		cmp_ok(sql("SELECT pg_current_wal_insert_lsn() - '$before'::pg_lsn"), '<', 20000, '... write nothing');
		$before = sql("SELECT pg_current_wal_insert_lsn()");
		is(write_rows($sync, items(n => 2500), %way), 'unchanged 2500', "$way: the same rows once more");
		cmp_ok(sql("SELECT pg_current_wal_insert_lsn() - '$before'::pg_lsn"), '<', 2500, '... leave less than a byte a row in the log');
	}
	is(sql("SELECT count(*) FROM dst.$way WHERE xmax::text <> '0'"), 0, '... and lock no row');
	is(write_rows($sync, items(n => 2500, name => q{CASE WHEN g = 7 THEN 'new' ELSE CASE WHEN g % 2 = 0 THEN 'a' ELSE 'b' END END}), %way),
		'updated 1 unchanged 2499', "$way: one row that changed");
	is(write_rows($sync, items(n => 2500, name => q{'older'}, later => '-1 hour'), %way), 'unchanged 2500', "$way: older rows");
	is(write_rows($sync, items(n => 2500, price => 'g * 1.5 + 0.0001'), %way), 'updated 1 unchanged 2499', "$way: what the column's scale cuts off is no change");
	sql("UPDATE dst.$way SET _deleted_at = now() WHERE id < 4");
	is(write_rows($sync, items(n => 2500), %way), 'updated 3 unchanged 2497', "$way: rows that are there again");
	is(sql("SELECT count(*) FROM dst.$way WHERE _deleted_at IS NOT NULL"), 0, '... are no longer marked as deleted');
	my $extra = sub { my ($json) = @_; return 'SELECT q.*, ' . "'$json'" . '::jsonb AS _extra FROM (' . items(n => 5) . ') q'; };
	is(write_rows($sync, $extra->('{"y": 1}'), %way), 'updated 5', "$way: values without a column");
	is(write_rows($sync, $extra->('{"y": 1}'), %way), 'unchanged 5', '... are compared');
	is(write_rows($sync, $extra->('{"z": 2}'), %way), 'updated 5', '... and added');
	is(sql("SELECT DISTINCT _extra FROM dst.$way WHERE id < 6"), '{"y": 1, "z": 2}', '... to what was there');
	sql("UPDATE dst.$way SET _synced_at = NULL WHERE id = 9");
	is(write_rows($sync, items(n => 10), %way), 'updated 1 unchanged 9', "$way: a row that no sync wrote becomes the sync's");
}

# ---- rows that are filled in from elsewhere meanwhile, or come twice ----
{
	my $sync = new_sync('src.item', 'dst.bulk', 'id');

	is(write_rows($sync, items(n => 2600), what => 'empty'), 'inserted 100 unchanged 2500', 'a table that is not empty after all');
	sql('TRUNCATE dst.bulk');
	is(write_rows($sync, items(n => 10) =~ s/ORDER BY 1$//r . ' UNION ALL ' . items(n => 3, name => q{'newer'}, later => '1 hour'), what => 'empty'),
		'inserted 10 unchanged 3', 'of two versions in a page');
	is(sql('SELECT count(*) FROM dst.bulk WHERE name = \'newer\''), 3, '... the newer is written');
	is(write_rows($sync, items(n => 10) =~ s/ORDER BY 1$//r . ' UNION ALL ' . items(n => 10)), 'unchanged 20', 'a row that comes twice');
	is(write_rows($sync, items(n => 20) =~ s/ORDER BY 1$//r . ' UNION ALL ' . items(n => 1, where => 'g = 1', name => q{'same time'})),
		'inserted 10 unchanged 10 rejected 1', 'a key that two different rows have');
	like(reasons($sync), qr/^1 another row of the same page has the same key/, '... is told');
}

# ---- rows that can't be written ----
{
	sql("CREATE TABLE dst.strict (id bigint PRIMARY KEY, $columns, CHECK (price < 1e6), CHECK (day <> '2026-01-13'))");
	my $sync = new_sync('src.item', 'dst.strict', 'id');
	my $bad = items(n => 3000, price => 'CASE g WHEN 7 THEN 1e7 WHEN 1500 THEN 1e15 ELSE g END');

	is(write_rows($sync, $bad), 'inserted 2997 rejected 3', 'bad rows harm only themselves');
	like(reasons($sync), qr/^7 .*check constraint.*\|12 .*check constraint.*\|1500 numeric field overflow/, '... and say what is wrong');
	is(sql("SELECT data->>'price', data->'id', key FROM makini._rejected_row WHERE sync_id = $sync AND key->>'id' = '1500'"),
		'1000000000000000|1500|{"id": 1500}', '... and are kept');
	is(write_rows($sync, $bad), 'unchanged 2997 rejected 3', 'when they come again');
	is(sql("SELECT count(*) FROM makini._rejected_row WHERE sync_id = $sync"), 3, '... they are not kept twice');
	is(write_rows($sync, $bad, what => 'empty'), 'unchanged 2997 rejected 3', 'the same below SQL');
	sql("UPDATE makini._rejected_row SET run_id = 4711 WHERE sync_id = $sync");
	is(write_rows($sync, items(n => 8, price => 'g')), 'inserted 1 unchanged 7', 'when it is mended');
	is(sql("SELECT key, resolution FROM makini._rejected_row WHERE sync_id = $sync AND resolved_at IS NOT NULL"), '{"id": 7}|written since', '... it is resolved');
	sql('ALTER TABLE dst.strict DROP COLUMN day');
	my ($status, undef, $error) = $node->psql('postgres', "SELECT write_rows($sync, \$q\$$bad\$q\$, 1000, 'apply', NULL, NULL, NULL)", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	isnt($status, 0, 'what is wrong with the table ends the run');
	like($error, qr/42703.*has no column "day"/s, '... naming the column');
}

# ---- kinds of targets ----
{
	sql("CREATE TABLE dst.by_key (id bigint PRIMARY KEY, $columns) PARTITION BY RANGE (id);
		CREATE TABLE dst.by_key_1 PARTITION OF dst.by_key FOR VALUES FROM (0) TO (10);
		CREATE TABLE dst.by_key_2 PARTITION OF dst.by_key FOR VALUES FROM (10) TO (29)");
	my $sync = new_sync('src.item', 'dst.by_key', 'id');
	is(write_rows($sync, items()), 'inserted 28 rejected 2', 'partitioned by its key');
	like(reasons($sync), qr/^29 no partition/, '... but not for all rows');
	is(write_rows($sync, items(where => 'g < 29')), 'unchanged 28', '... nothing changed');
	is(write_rows($sync, items(n => 12, name => q{'x'}, where => 'g > 5')), 'updated 7', '... some changed');
	is(write_rows($sync, items(n => 28, name => q{'x'}, where => 'g > 5'), page => 10), 'updated 16 unchanged 7', '... some more');

	sql("CREATE FUNCTION dst.skip() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RETURN CASE WHEN NEW.id % 4 = 0 AND NEW.name <> 'let in' THEN NULL ELSE NEW END; END \$\$;
		CREATE TABLE dst.skipping (LIKE dst.by_key, PRIMARY KEY (id)) PARTITION BY RANGE (id);
		CREATE TABLE dst.skipping_1 PARTITION OF dst.skipping FOR VALUES FROM (0) TO (10);
		CREATE TABLE dst.skipping_2 PARTITION OF dst.skipping FOR VALUES FROM (10) TO (99);
		CREATE TRIGGER skip BEFORE INSERT ON dst.skipping_1 FOR EACH ROW EXECUTE FUNCTION dst.skip();
		CREATE TRIGGER skip BEFORE INSERT ON dst.skipping_2 FOR EACH ROW EXECUTE FUNCTION dst.skip()");
	$sync = new_sync('src.item', 'dst.skipping', 'id');
	is(write_rows($sync, items()), 'inserted 23 unchanged 7', 'partitions whose triggers keep rows out');
	is(write_rows($sync, items()), 'unchanged 30', '... and again: nothing is counted that was not written');
	is(write_rows($sync, items(n => 40, name => q{CASE WHEN g < 7 THEN 'x' WHEN g = 8 THEN 'let in' WHEN g % 2 = 0 THEN 'a' ELSE 'b' END})),
		'inserted 8 updated 5 unchanged 27', '... some new, some changed, some kept out');
	is(sql('SELECT count(*) FROM dst.skipping'), 31, '... as there are');

	sql("CREATE TABLE dst.by_name (id bigint, $columns) PARTITION BY LIST (name);
		CREATE TABLE dst.by_name_a PARTITION OF dst.by_name FOR VALUES IN ('a');
		CREATE TABLE dst.by_name_b PARTITION OF dst.by_name FOR VALUES IN ('b');
		CREATE INDEX ON dst.by_name (id)");
	$sync = new_sync('src.item', 'dst.by_name', 'id');
	is(write_rows($sync, items()), 'inserted 30', 'partitioned by a column that is not the key');
	is(write_rows($sync, items()), 'unchanged 30', '... nothing changed');
	is(write_rows($sync, items(n => 10, name => q{CASE WHEN g % 2 = 1 THEN 'a' ELSE 'b' END})), 'updated 10', '... rows that belong into another partition');
	is(sql('SELECT name, count(*), count(DISTINCT id), count(*) FILTER (WHERE id < 11 AND id % 2 = 1) FROM dst.by_name GROUP BY 1 ORDER BY 1'), "a|15|15|5\nb|15|15|0", '... are there, and nowhere else');
}

# ---- inheritance ----
{
	sql("CREATE TABLE dst.parent (id bigint PRIMARY KEY, $columns); CREATE TABLE dst.child_table () INHERITS (dst.parent);
		INSERT INTO dst.child_table (id, name, _synced_at) VALUES (3, 'in the child', now())");
	my $sync = new_sync('src.item', 'dst.parent', 'id');
	is(write_rows($sync, items()), 'inserted 29 updated 1', 'a table with children');
	is(write_rows($sync, items()), 'unchanged 30', '... nothing changed');
	is(sql('SELECT name FROM dst.child_table'), 'b', '... and a row stays where it is');
}

# ---- shards ----
SKIP:
{
	skip 'no postgres_fdw here', 8 if sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'}) == 0;
	my ($host, $port) = ($node->host, $node->port);

	sql("CREATE EXTENSION postgres_fdw;
		CREATE SERVER shard FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
		CREATE USER MAPPING FOR CURRENT_USER SERVER shard;
		CREATE TABLE dst.shard_a (id bigint, $columns);
		CREATE TABLE dst.over_shards (id bigint, $columns) PARTITION BY LIST (name);
		CREATE FOREIGN TABLE dst.over_shards_a PARTITION OF dst.over_shards FOR VALUES IN ('a') SERVER shard OPTIONS (schema_name 'dst', table_name 'shard_a');
		CREATE TABLE dst.over_shards_b PARTITION OF dst.over_shards FOR VALUES IN ('b')");
	my $sync = new_sync('src.item', 'dst.over_shards', 'id');
	is(write_rows($sync, items(n => 2000), page => 500), 'inserted 2000', 'partitioned over shards');
	is(write_rows($sync, items(n => 2000)), 'unchanged 2000', '... nothing changed');
	sql("UPDATE dst.over_shards SET note = 'mine' WHERE id IN (3, 4)");
	is(write_rows($sync, items(n => 10, name => q{CASE WHEN g % 2 = 1 THEN 'a' ELSE 'b' END})), 'updated 10', '... rows that belong to another shard');
	is(sql('SELECT tableoid::regclass, count(*), count(DISTINCT id), count(DISTINCT name), max(id) FILTER (WHERE note = \'mine\') FROM dst.over_shards GROUP BY 1 ORDER BY 1'),
		"dst.over_shards_a|1000|1000|1|3\ndst.over_shards_b|1000|1000|1|4", '... are there, and nowhere else, with what their users wrote');
	is(write_rows($sync, items(n => 15, where => 'g <> 5'), what => 'note', low => '{0}', high => '{15}'), '', 'rows that are gone');
	is(write_rows($sync, items(n => 0), what => 'delete'), 'deleted 1', '... are deleted');
	is(sql('SELECT id FROM dst.over_shards WHERE _deleted_at IS NOT NULL'), 5, '... on their shard');
	$sync = new_sync('src.item', 'dst.over_shards_a', 'id');
	is(write_rows($sync, items(n => 30, name => q{'a'}, where => 'g <> 5')), 'inserted 15 unchanged 14', 'a foreign table');
}

# ---- deferred constraints, generated columns, triggers ----
{
	sql("CREATE TABLE dst.day (day date PRIMARY KEY);
		INSERT INTO dst.day SELECT date '2026-01-01' + g FROM generate_series(1, 25) g;
		CREATE TABLE dst.full (id bigint PRIMARY KEY, $columns, twice numeric GENERATED ALWAYS AS (price * 2) STORED,
			number int GENERATED ALWAYS AS IDENTITY, who text, FOREIGN KEY (day) REFERENCES dst.day DEFERRABLE INITIALLY DEFERRED);
		CREATE FUNCTION dst.stamp() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN
			NEW.who := current_user || ' ' || current_setting('search_path');
			IF NEW.id = 2 THEN RAISE EXCEPTION 'not this one'; END IF;
			IF NEW.id = 3 THEN RETURN NULL; END IF;
			RETURN NEW;
		END \$\$;
		CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON dst.full FOR EACH ROW EXECUTE FUNCTION dst.stamp();
		CREATE ROLE keeper; GRANT USAGE ON SCHEMA dst TO keeper;
		ALTER TABLE dst.full OWNER TO keeper; ALTER TABLE dst.day OWNER TO keeper");
	my $sync = new_sync('src.item', 'dst.full', 'id');
	is(write_rows($sync, items(), what => 'empty'), 'inserted 23 unchanged 1 rejected 6', 'constraints that are deferred');
	like(reasons($sync), qr/^2 not this one\|26 .*foreign key/, '... and what a trigger refuses');
	is(sql("SELECT sum(twice - price * 2), count(DISTINCT number), min(who) FROM dst.full"), '0.00|23|keeper pg_catalog, pg_temp', '... which runs as the owner, with a safe path');
	sql("CREATE OR REPLACE FUNCTION dst.stamp() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN SET ROLE postgres; RETURN NEW; END \$\$");
	my ($status, undef, $error) = $node->psql('postgres', "SELECT write_rows($sync, \$q\$" . items(name => q{'y'}) . "\$q\$, 1000, 'apply', NULL, NULL, NULL)");
	like($error, qr/cannot set parameter "role" within security-restricted operation/, 'a trigger cannot become somebody else');
	is(sql("SELECT count(*) FROM dst.full WHERE name = 'y'"), 0, '... and nothing is written');

	sql("CREATE TABLE dst.generated (id bigint GENERATED ALWAYS AS IDENTITY, $columns)");
	$sync = new_sync('src.item', 'dst.generated', 'id');
	($status, undef, $error) = $node->psql('postgres', "SELECT write_rows($sync, \$q\$" . items() . "\$q\$, 1000, 'apply', NULL, NULL, NULL)");
	like($error, qr/key column "id" of target dst.generated is generated/, 'a key that the table makes itself');
}

# ---- below SQL: casts, defaults, checks, generated columns ----
{
	sql("CREATE DOMAIN dst.short AS varchar(3) CHECK (VALUE <> 'bad');
		CREATE TABLE dst.cast (price numeric(8,1), id int PRIMARY KEY, name dst.short, gone int, modified timestamptz(0), doc json, day timestamp,
			_synced_at timestamptz, _deleted_at timestamptz, number bigserial, ident int GENERATED ALWAYS AS IDENTITY, made timestamptz DEFAULT now(), twice numeric GENERATED ALWAYS AS (price * 2) STORED);
		ALTER TABLE dst.cast DROP COLUMN gone");
	my $sync = new_sync('src.item', 'dst.cast', 'id');
	my $rows = items(name => q{CASE g WHEN 3 THEN 'bad' WHEN 4 THEN 'toolong' ELSE 'ok' END}, price => 'g * 1.57');
	is(write_rows($sync, $rows, what => 'empty'), 'inserted 28 rejected 2', 'other types than the source\'s');
	like(reasons($sync), qr/^3 .*short.*check.*\|4 value too long/s, '... are held to their constraints');
	is(write_rows($sync, $rows), 'unchanged 28 rejected 2', '... and compared as what they became');
	sql('TRUNCATE dst.cast');
	is(write_rows($sync, items(name => q{'ok'}, price => 'g * 1.57'), what => 'empty'), 'inserted 30', 'all of them below SQL');
	is(write_rows($sync, items(name => q{'ok'}, price => 'g * 1.57')), 'unchanged 30', '... are the same');
	is(sql('SELECT count(*), count(DISTINCT number) + count(DISTINCT ident), count(made), sum(twice - 2 * price), max(price) FROM dst.cast'), '30|60|30|0.0|47.1', '... with defaults and generated values');
}

# ---- keys with NULLs ----
{
	my $rows = 'SELECT * FROM (VALUES (1::bigint, NULL::bigint, NULL::text, 1::numeric), (1, 1, NULL, 2), (1, NULL, \'x\', 3), (1, 1, \'x\', 4), (2, 2, \'y\', 4)) v(item, bin, lot, quantity)';

	sql("CREATE TABLE dst.balance (item bigint, bin bigint, lot text, quantity numeric, _synced_at timestamptz, _deleted_at timestamptz, UNIQUE NULLS NOT DISTINCT (item, bin, lot));
		CREATE TABLE dst.loose_balance (LIKE dst.balance); CREATE INDEX ON dst.loose_balance (item)");
	foreach my $target (qw(balance loose_balance))
	{
		my $sync = new_sync('src.balance', "dst.$target", 'item,bin,lot', 'hard');
		is(write_rows($sync, $rows, what => 'empty'), 'inserted 5', "$target: keys with NULLs");
		is(write_rows($sync, $rows), 'unchanged 5', '... are found again');
		is(write_rows($sync, "SELECT item, bin, lot, quantity + 1 FROM ($rows) q"), 'updated 5', '... and updated');
		is(write_rows($sync, "SELECT * FROM ($rows) q WHERE bin IS NOT NULL", what => 'note', low => '{0}'), '', '... and missed');
		is(write_rows($sync, $rows, what => 'delete'), 'deleted 2', '... and deleted');
		is(sql("SELECT count(*), count(bin) FROM dst.$target"), '3|3', '... those and no others');
		is(write_rows($sync, $rows, what => 'empty'), 'inserted 2 updated 3', '... and inserted again');
		is(write_rows($sync, "SELECT * FROM ($rows) q WHERE item = 2", what => 'note', low => '{1,1,NULL}', high => '{2,5,z}'), '', 'a range that begins at a NULL');
		is(sql("SELECT count(*) FROM makini._missing WHERE sync_id = $sync"), 2, '... holds what comes behind it');
		sql("DELETE FROM makini._missing");
	}
}

# ---- keys that come again on a later page ----
foreach my $way (qw(indexed joined))
{
	my %way = $way eq 'joined' ? (argument => 'joined') : ();
	my $again = sub {
		my (%more) = @_;
		my ($first, $second) = map { $_ =~ s/ORDER BY 1$//r } items(n => 6), items(n => 3, where => 'g < 3', %more);
		return "SELECT * FROM (SELECT * FROM ($first) a UNION ALL SELECT * FROM ($second) b) u";
	};

	sql("CREATE TABLE dst.again_$way (id bigint PRIMARY KEY, $columns)");
	my $sync = new_sync('src.item', "dst.again_$way", 'id');
	is(write_rows($sync, $again->(), what => 'pass', page => 6, %way), 'inserted 6 unchanged 2', "$way: rows that come again as they were");
	sql('DELETE FROM makini._seen');
	is(write_rows($sync, $again->(name => q{'other'}), what => 'pass', page => 6, %way), 'unchanged 6 rejected 2', '... as others');
	is(sql("SELECT string_agg(name, ',' ORDER BY id) FROM dst.again_$way"), 'b,a,b,a,b,a', '... the first stay');
	like(reasons($sync), qr/^1 another row of an earlier page has the same key.*\|2 /, '... and the others are told');
	sql('DELETE FROM makini._seen; UPDATE makini._rejected_row SET run_id = 4711');
	is(write_rows($sync, $again->(name => q{'newer'}, later => '1 hour'), what => 'pass', page => 6, %way), 'updated 2 unchanged 6', '... in a newer version, which is written');
	is(sql("SELECT string_agg(name, ',' ORDER BY id) FROM dst.again_$way"), 'newer,newer,b,a,b,a', '... as it should');
	sql('DELETE FROM makini._seen');
}

# ---- tenants ----
{
	sql("CREATE TABLE dst.tenants (tenant_id bigint, id bigint, $columns, PRIMARY KEY (tenant_id, id))");
	my $one = new_sync('src.item', 'dst.tenants', 'id', 'hard', '{"constants": {"tenant_id": 17}}');
	my $two = new_sync('src.item', 'dst.tenants', 'id', 'hard', '{"constants": {"tenant_id": 18}}');

	is(write_rows($one, items(), what => 'empty'), 'inserted 30', 'rows of a tenant');
	is(write_rows($two, items(), what => 'empty'), 'inserted 30', '... and of another');
	is(write_rows($two, items()), 'unchanged 30', '... the same again');
	is(write_rows($two, items(where => 'g > 3'), what => 'note', low => '{0}'), '', 'what one of them has no longer');
	is(write_rows($two, items(), what => 'delete'), 'deleted 3', '... is deleted');
	is(write_rows($one, items(where => 'g > 4'), what => 'seen'), '', 'what the other');
	is(write_rows($one, items(), what => 'delete_seen'), 'deleted 4', '... has not seen');
	is(sql('SELECT tenant_id, count(*), min(id) FROM dst.tenants GROUP BY 1 ORDER BY 1'), "17|26|5\n18|27|4", '... and only its own');
}

# ---- deletes stay where the source was read ----
{
	sql("CREATE TABLE dst.window (id bigint PRIMARY KEY, $columns)");
	my $sync = new_sync('src.item', 'dst.window', 'id', 'hard', '{"history_from": "2026-01-01 00:10:00+00", "initial_filter": "id = 3"}');

	write_rows($sync, items());
	sql('UPDATE dst.window SET modified = NULL WHERE id = 25; UPDATE dst.window SET _synced_at = NULL WHERE id = 24');
	write_rows($sync, items(where => 'g > 12 AND g NOT BETWEEN 20 AND 25'), what => 'note', low => '{0}');
	is(sql("SELECT string_agg(key[1], ',' ORDER BY key[1]::int) FROM makini._missing WHERE sync_id = $sync"), '3,10,11,12,20,21,22,23,25', 'what a page lacks of its range, inside the window');
	sql("UPDATE dst.window SET _synced_at = now() + '1 hour' WHERE id = 21");
	is(write_rows($sync, items(), what => 'delete', page => 2), 'deleted 8', '... but for what was written since, is deleted');
	is(sql("SELECT count(*) FROM makini._missing WHERE sync_id = $sync"), 0, '... and forgotten');
	sql('DELETE FROM dst.window');
	write_rows($sync, items());
	write_rows($sync, items(where => 'g > 15'), what => 'note', low => '{0}', argument => 'lost');
	is(sql("SELECT count(*) FROM makini._missing WHERE sync_id = $sync"), 0, 'a page with a row that nobody can read says nothing about absence');
	my $keeping = new_sync('src.item', 'dst.window', 'id', 'ignore');
	write_rows($keeping, items(where => 'g > 20'), what => 'note', low => '{0}');
	is(write_rows($keeping, items(where => 'g > 20'), what => 'delete'), '', 'where deletes are ignored nothing is');
	is(write_rows($keeping, items(where => 'g > 20'), what => 'pass'), 'unchanged 10', '... where the keys are noted');
	is(write_rows($keeping, items(), what => 'delete_seen'), '', '... either');
	sql("DELETE FROM makini._seen");
	sql("CREATE TABLE dst.child (item bigint REFERENCES dst.window); INSERT INTO dst.child VALUES (14), (15)");
	write_rows($sync, items(where => 'g NOT BETWEEN 13 AND 16'), what => 'note', low => '{0}');
	is(write_rows($sync, items(), what => 'delete'), 'deleted 2 rejected 2', 'rows that others refer to stay');
	like(reasons($sync), qr/^14 .*violates foreign key.*\|15 /, '... and are told');
}

# ---- children ----
{
	sql('CREATE TABLE dst.line (parent bigint, line bigint, amount numeric, _synced_at timestamptz, _deleted_at timestamptz, PRIMARY KEY (parent, line))');
	my $sync = new_sync('src.line', 'dst.line', 'parent,line', 'hard');
	my $lines = sub { my ($where) = @_; return "SELECT p::bigint, l::bigint, 1::numeric FROM generate_series(1, 6) p, generate_series(1, 4) l WHERE $where ORDER BY 1, 2"; };

	write_rows($sync, $lines->('true'));
	is(write_rows($sync, $lines->('p IN (2, 3) AND l > 1 AND (p, l) <= (3, 3)'), what => 'children', low => '{1,4}', high => '{3,3}', argument => 'parent'), 'deleted 2', 'lines that a page lacks of its parents');
	is(sql('SELECT parent, string_agg(line::text, \',\' ORDER BY line) FROM dst.line GROUP BY 1 ORDER BY 1'), "1|1,2,3,4\n2|2,3,4\n3|2,3,4\n4|1,2,3,4\n5|1,2,3,4\n6|1,2,3,4", '... and no others');
	is(write_rows($sync, $lines->('p = 5'), what => 'children', low => '{3,3}', high => '{5,4}', argument => 'parent'), 'deleted 1', 'the end of the parent that a page begins in');
}

{
	sql('CREATE TABLE dst.pick (pick bigint PRIMARY KEY, parent bigint, amount numeric, _synced_at timestamptz)');
	my $sync = new_sync('src.pick', 'dst.pick', 'pick', 'hard');
	my $picks = sub { my ($where) = @_; return "SELECT g::bigint, (g / 3)::bigint, 1::numeric FROM generate_series(1, 20) g WHERE $where ORDER BY 1"; };

	write_rows($sync, $picks->('true'));
	is(write_rows($sync, $picks->('g IN (6, 9, 10)'), what => 'children', low => '{2}', high => '{12}', argument => 'parent'), 'deleted 3', 'children whose key does not begin with their parent');
	is(sql("SELECT string_agg(pick::text, ',' ORDER BY pick) FROM dst.pick WHERE parent IN (1, 2, 3, 4)"), '3,4,5,6,9,10,12,13,14', '... and no others');
}

# ---- rows without a key ----
{
	sql('CREATE TABLE dst.loose (a text, b int, _synced_at timestamptz)');
	my $sync = new_sync('src.loose', 'dst.loose', '', 'hard');

	is(write_rows($sync, q{SELECT * FROM (VALUES ('x', 1), ('x', 1), ('y', NULL)) v}), 'inserted 3', 'rows without a key');
	is(write_rows($sync, q{SELECT * FROM (VALUES ('x', 1), ('x', 1), ('y', NULL), ('y', NULL)) v}, page => 2), 'inserted 1 unchanged 3', '... are counted');
	is(write_rows($sync, q{SELECT 'x', 1}, what => 'multiset', argument => 'lost'), 'unchanged 1', '... and left where a row could not be read');
	is(write_rows($sync, q{SELECT * FROM (VALUES ('x', 1), ('z', 2)) v}, what => 'multiset'), 'inserted 1 unchanged 1 deleted 3', '... and deleted where there are too many');
	is(sql('SELECT a, b FROM dst.loose ORDER BY 1'), "x|1\nz|2", '... until they are the same');
}

# ---- comparing ----
{
	my $check = sub {
		my ($sync, $query, %given) = @_;
		my $id = sql("INSERT INTO makini._sync_check (sync_id) VALUES ($sync) RETURNING check_id");

		write_rows($sync, $query, what => 'verify', argument => $id, %given);
		return sql("SELECT kind, key, columns FROM makini._sync_difference WHERE check_id = $id ORDER BY 1, 2::text") . ';'
		  . sql("SELECT source_rows, target_rows, missing, extra, different FROM makini._check_bucket WHERE check_id = $id");
	};

	sql("CREATE TABLE dst.compared (id bigint PRIMARY KEY, $columns)");
	my $sync = new_sync('src.item', 'dst.compared', 'id');
	write_rows($sync, items());
	is($check->($sync, items(), low => '{0}'), ';30|30|0|0|0', 'nothing differs');
	sql("DELETE FROM dst.compared WHERE id = 4; UPDATE dst.compared SET name = 'wrong', doc = '{\"a\": 2}' WHERE id = 5;
		UPDATE dst.compared SET _deleted_at = now() WHERE id = 6; UPDATE dst.compared SET name = 'newer', modified = now() WHERE id = 7;
		UPDATE dst.compared SET note = 'mine' WHERE id = 8; INSERT INTO dst.compared (id) VALUES (31), (32), (99)");
	is($check->($sync, items(), low => '{0}', high => '{40}'),
		qq(different|{"id": 5}|{name,doc}\nextra|{"id": 31}|\nextra|{"id": 32}|\nmissing|{"id": 4}|\nmissing|{"id": 6}|;30|30|2|2|1), 'what differs is told');
	$sync = new_sync('src.balance', 'dst.balance', 'item,bin,lot', 'hard');
	my $rows = 'SELECT * FROM (VALUES (1::bigint, NULL::bigint, NULL::text, 1::numeric), (1, 1, NULL, 2), (1, NULL, \'x\', 3)) v(item, bin, lot, quantity)';
	sql('DELETE FROM dst.balance');
	write_rows($sync, $rows);
	sql("UPDATE dst.balance SET quantity = 7 WHERE lot = 'x'; INSERT INTO dst.balance VALUES (1, 3, NULL, 3, now())");
	is($check->($sync, $rows, low => '{0}'),
		qq(different|{"bin": null, "lot": "x", "item": 1}|{quantity}\nextra|{"bin": 3, "lot": null, "item": 1}|;3|4|0|1|1), 'with NULLs in keys too');
}

# ---- two lanes at once ----
foreach my $way (qw(bulk indexed joined))
{
	my $argument = $way eq 'joined' ? q{'joined'} : 'NULL';
	my $statement = sub {
		my ($sync, $what, %given) = @_;
		return "SELECT write_rows($sync, \$q\$" . items(%given) . "\$q\$, 1000, '$what', NULL, NULL, $argument)";
	};
	my ($one, $two) = map { Hostile::Session->new($node) } 1 .. 2;

	sql("CREATE TABLE dst.lanes_$way (id bigint PRIMARY KEY, $columns)");
	sql("ALTER TABLE dst.lanes_$way DROP CONSTRAINT lanes_${way}_pkey; CREATE INDEX ON dst.lanes_$way (id)") if $way eq 'joined';
	my $sync = new_sync('src.item', "dst.lanes_$way", 'id');
	$one->ask('BEGIN');
	like(($one->ask($statement->($sync, 'apply', n => 20)))[0], qr/inserted 20/, "$way: one lane has written");
	$two->send($statement->($sync, $way eq 'bulk' ? 'empty' : 'apply', n => 30, name => q{'newer'}, later => '1 hour'));
	until_true('the other lane to wait', sub { return sql('SELECT count(*) FROM pg_stat_activity WHERE pid = ' . $two->pid . " AND wait_event_type = 'Lock'"); });
	$one->ask('COMMIT');
	like(($two->result)[0], qr/inserted 10 updated 20/, '... when another writes the same rows');
	is(sql("SELECT count(*), count(DISTINCT id), min(name) FROM dst.lanes_$way"), '30|30|newer', '... and none is there twice');
	$_->quit foreach $one, $two;
}

# ---- whose table it is ----
{
	sql("CREATE ROLE stranger; CREATE TABLE dst.kept (id bigint PRIMARY KEY, $columns); ALTER TABLE dst.kept OWNER TO keeper");
	my $sync = new_sync('src.item', 'dst.kept', 'id', 'soft', '{"owner": "stranger"}');
	my $try = sub {
		my (undef, undef, $error) = $node->psql('postgres', "SELECT write_rows($sync, \$q\$" . items() . "\$q\$, 1000, 'apply', NULL, NULL, NULL)", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
		return $error;
	};
	like($try->(), qr/42501: .*role "stranger" cannot act as the owner of target dst.kept/, 'a target of somebody else');
	sql('GRANT keeper TO stranger');
	is($try->(), '', 'a member of the owner');
	sql('ALTER TABLE dst.kept ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
	like($try->(), qr/42501: .*row-level security applies to the owner/, 'rows that the owner cannot see');
	sql('ALTER TABLE dst.kept NO FORCE ROW LEVEL SECURITY; ALTER TABLE dst.kept DROP COLUMN _deleted_at');
	like($try->(), qr/42703: .*needs a column "_deleted_at".*ALTER TABLE dst.kept ADD COLUMN _deleted_at timestamptz;/s, 'a column that soft deletes need');
	sql('DROP TABLE dst.kept CASCADE');
	like($try->(), qr/42P01/, 'a target that is gone');
}

done_testing();
