# What is asked of a sync between two of its runs, or while a load is unfinished:
# other options, windows and filters, sessions with other settings, sources that
# were set back, and conditions that would run somebody's code.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'transaction=6000,item=300');
my $node = makini_node('review_sync', conf => 'makini.retry_base = 1');
connect_server($node, $sim, tables => ['transaction', 'transactionline', 'inventoryassignment', 'item'], options => { max_retries => 0, page_size => 100 });
$sim->sql("UPDATE netsuite.transaction SET lastmodifieddate = now() - (id % 6000) * interval '3 hours'");

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub at_source { my ($condition) = @_; my ($row) = $sim->sql("SELECT count(*) FROM netsuite.transaction WHERE $condition"); return $row->[0]; }

# The same mapping for mallory.
sub connect_mapping
{
	my %mapping = (
		client_id => $sim->value('client_id'),
		certificate_id => $sim->value('certificate_id'),
		private_key_file => $sim->value('private_key_file'));

	return sql('CREATE USER MAPPING FOR mallory SERVER erp ' . options_clause(%mapping));
}

# Run a sync until its source fails, after some requests.
sub break_off
{
	my ($sync, $after, $mode) = @_;
	my $fault = $sim->arm(kind => '500', after => $after, count => 0, path => 'suiteql$');

	$node->psql('postgres', "CALL makini.run_sync($sync" . ($mode ? ", '$mode')" : ')'));
	$sim->disarm;
	return sql("SELECT phase || ' ' || (position IS NOT NULL) || ' ' || (rows_done > 0) FROM makini._load WHERE sync_id = $sync AND lane = 'backfill'");
}

# ---- another order while a load is unfinished ----

my $order = sql("SELECT makini.create_sync('erp.transaction', 'wh.ordered', schedule => NULL, initial_window => 'all', columns => '{id,lastmodifieddate}')");
like(break_off($order, 8), qr/^[1-9] \S+ t/, 'a load that is read part by part broke off');
sql(qq{SELECT makini.alter_sync($order, '{"options": {"backfill_order": "oldest"}}')});
sql("CALL makini.run_sync($order)");
is(sql('SELECT count(*) FROM wh.ordered'), at_source('true'), 'another order loses none of its rows');

# ---- a wider window while something else is unfinished ----

my $window = sql("SELECT makini.create_sync('erp.transaction', 'wh.window', schedule => NULL, initial_window => '30 days', columns => '{id,tranid,lastmodifieddate}')");
sql("CALL makini.run_sync($window)");
is(break_off($window, 0, 'verify'), '0 false false', 'a check broke off before its first page');
my ($out, $err) = says($node, qq{SELECT makini.alter_sync($window, '{"initial_window": "60 days"}')});
sql("CALL makini.run_sync($window)") foreach 1 .. 2;
sql(qq{SELECT makini.alter_sync($window, '{"initial_window": "60 days"}')}) if $err =~ /55006/;
sql("CALL makini.run_sync($window)");
my $from = sql("SELECT history_from FROM makini.sync WHERE sync_id = $window");
is(sql('SELECT count(*) FROM wh.window'), at_source("lastmodifieddate >= '$from'"), 'a wider window is filled all the same');

# ---- another filter while the first load is unfinished ----

my $filter = sql("SELECT makini.create_sync('erp.transaction', 'wh.filter', schedule => NULL, initial_window => 'all', filter => \$\$type = 'SalesOrd'\$\$, columns => '{id,type,lastmodifieddate}', options => '{\"backfill_order\": \"oldest\"}')");
like(break_off($filter, 6), qr/true true/, 'a load with a filter broke off');
sql(qq{SELECT makini.alter_sync($filter, '{"filter": null}')});
sql("CALL makini.run_sync($filter)") foreach 1 .. 2;
is(sql('SELECT count(*) FROM wh.filter'), at_source('true'), 'what the filter kept out is fetched soon');

# ---- narrower windows of rows that follow their headers ----

foreach my $table ('transactionline', 'inventoryassignment')
{
	my $lines = sql("SELECT makini.create_sync('erp.$table', 'wh.$table', schedule => NULL, initial_window => 'all')");
	sql("CALL makini.run_sync($lines)");
	my $count = sql("SELECT count(*) FROM wh.$table");
	sql(qq{SELECT makini.alter_sync($lines, '{"initial_window": "300 days"}')});
	sql("CALL makini.run_sync($lines, 'full')");
	isnt(sql("SELECT rows_read FROM makini.sync_run WHERE sync_id = $lines AND mode = 'full'"), 0, "something of $table is in the window");
	is(sql("SELECT count(*) FROM wh.$table WHERE _deleted_at IS NULL"), $count, 'a narrower window deletes none of it');
}

# ---- sessions with other settings ----

sql('CREATE TABLE wh.local (id int8 PRIMARY KEY, displayname text, lastmodifieddate timestamp, _synced_at timestamptz, _deleted_at timestamptz)');
my $local = sql("SELECT makini.create_sync('erp.item', 'wh.local', schedule => NULL, columns => '{id,displayname,lastmodifieddate}')");
sql("SET timezone = 'Asia/Tokyo'; CALL makini.run_sync($local)");
my $key = sql('SELECT min(id) FROM wh.local');
foreach my $zone ('Asia/Tokyo', 'America/Los_Angeles')
{
	$sim->touch_rows('item', [$key], displayname => "changed in $zone");
	sql("SET timezone = '$zone'; CALL makini.run_sync($local)");
	is(sql("SELECT displayname FROM wh.local WHERE id = $key"), "changed in $zone", "a change arrives in a session in $zone");
}
sql("SET timezone = 'Asia/Tokyo'; CALL makini.run_sync($local, 'full')");
is(sql("SELECT rows_updated FROM makini.sync_run WHERE sync_id = $local ORDER BY run_id DESC LIMIT 1"), 0, 'and what did not change is left alone');

# A filter means what it meant to who wrote it.
$sim->sql("UPDATE netsuite.item SET itemid = 'one\\041' WHERE id = (SELECT min(id) FROM netsuite.item)");
my $escape = sql("SELECT makini.create_sync('erp.item', 'wh.escape', schedule => NULL, columns => '{id,itemid}', filter => \$\$itemid = 'one\\041'\$\$)");
sql("CALL makini.run_sync($escape)");
lives($node, "SET standard_conforming_strings = off; SET escape_string_warning = off; CALL makini.run_sync($escape, 'full')", 'a session in which backslashes are special');
is(sql('SELECT count(*) FROM wh.escape WHERE _deleted_at IS NULL'), 1, '... reads by the same filter');

# ---- somebody who is in the way ----

my $lock = Hostile::Session->new($node);
$lock->send('BEGIN; LOCK TABLE wh.local IN SHARE MODE');
$lock->result;
dies($node, "SET lock_timeout = '1ms'; CALL makini.run_sync($local, 'full')", '55P03', [], 'a table that is locked');
is(sql("SELECT state FROM makini.sync WHERE sync_id = $local"), 'incremental', '... is nothing that a person has to mend');
$lock->send('ROLLBACK');
$lock->result;
sql("CALL makini.run_sync($local)");

# ---- a source that was set back ----

my $item = sql("SELECT makini.create_sync('erp.item', 'wh.item', schedule => NULL, columns => '{id,displayname,lastmodifieddate}')");
sql("CALL makini.run_sync($item)");
$sim->sql("UPDATE netsuite.item SET lastmodifieddate = now() - interval '1 year', displayname = 'of last year'");
$node->psql('postgres', "CALL makini.run_sync($item, 'incremental')");
sql("SELECT makini.reset_sync($item)");
sql("CALL makini.run_sync($item)");
is(sql("SELECT count(*) FROM wh.item WHERE displayname = 'of last year'"), 300, 'reset_sync takes what it says now');

# ---- conditions that would run somebody's code ----

sql(q{
CREATE ROLE mallory LOGIN;
GRANT USAGE ON FOREIGN SERVER erp TO mallory;
GRANT USAGE ON SCHEMA erp TO mallory;
GRANT SELECT ON erp.item TO mallory;
CREATE SCHEMA m AUTHORIZATION mallory;
CREATE TABLE public.trace (who name DEFAULT current_user, via text);
GRANT INSERT ON public.trace TO mallory;
SELECT makini.grant_access('mallory', 'admin', 'erp');
SET ROLE mallory;
CREATE FUNCTION m.evil(via text) RETURNS boolean LANGUAGE plpgsql AS
 $$BEGIN INSERT INTO public.trace (via) VALUES (evil.via); RETURN true; END$$;
CREATE DOMAIN m.checked AS bigint CHECK (m.evil('domain'));
CREATE VIEW m.seen AS SELECT m.evil('view') AS x;
});
connect_mapping();
dies($node, q{SET ROLE mallory; SELECT makini.create_sync('erp.item', 'm.item', schedule => NULL, filter => 'id > 5::m.checked')},
	'0A000', [qr/own functions and types only/], 'a domain in a condition');
my $xml = sql(q{SET ROLE mallory; SELECT makini.create_sync('erp.item', 'm.item', schedule => NULL, columns => '{id,itemid}', filter => $$id > length(table_to_xml('m.seen', true, true, '')::text)$$)});
sql("CALL makini.run_sync($xml)");
is(sql(q{SELECT string_agg(DISTINCT who, ',') FROM public.trace}), 'mallory', 'a condition has the rights of the owner of its sync, whoever runs it');

# nor do the types of its columns use those of whoever runs it, a worker above all
sql('TRUNCATE public.trace');
$sim->sql("UPDATE netsuite.item SET itemid = '{x}', lastmodifieddate = now()");
my $spy = sql(q{SET ROLE mallory;
CREATE DOMAIN m.word AS text CHECK (m.evil('element'));
CREATE TYPE m.pair AS (one m.word);
CREATE FOREIGN TABLE m.spy (id bigint, itemid text) SERVER erp OPTIONS (entity 'item');
SELECT makini.create_sync('m.spy', 'm.spied', schedule => NULL)});
foreach my $type ('m.word[]', 'm.pair', 'm.pair[]')
{
	sql("ALTER FOREIGN TABLE m.spy ALTER itemid TYPE $type");
	dies($node, "CALL makini.run_sync($spy)", '42804', [qr/column "itemid" of foreign table "spy"/], "a column of $type");
}
is(sql(q{SELECT string_agg(DISTINCT who, ',') FROM public.trace}), '', 'whose code has run with nobody\'s rights');
sql('ALTER FOREIGN TABLE m.spy ALTER itemid TYPE text[]');
lives($node, "CALL makini.run_sync($spy)", 'an array of a plain type');
cmp_ok(sql(q{SELECT count(*) FROM m.spied WHERE itemid = '{x}'}), '>', 0, 'is read');

done_testing();
