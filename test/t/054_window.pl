# Which part of a source a sync reads: the initial window, wider ones later, old
# documents by a filter, newest first; and what it does when the source is not
# the one it was.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'transaction=9000,item=300');
my $node = makini_node('window', conf => 'makini.retry_base = 1');
connect_server($node, $sim, tables => ['transaction', 'transactionline', 'item', 'itemvendor']);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# SuiteQL that reads a table, without the questions for its greatest key.
sub reads
{
	my ($table) = @_;
	return grep { $_->{q} =~ /FROM $table\b/i && $_->{q} !~ /\bMAX\(/ } $sim->log_entries(service => 'suiteql', limit => 100000);
}

# Documents spread over two years, one a ten minutes or so; five have no time.
$sim->sql("UPDATE netsuite.transaction SET lastmodifieddate = now() - (id % 9000) * interval '2 hours'");
$sim->sql('UPDATE netsuite.transaction SET lastmodifieddate = NULL WHERE id IN (SELECT id FROM netsuite.transaction ORDER BY id LIMIT 5)');

sub at_source { my ($condition) = @_; my ($row) = $sim->sql("SELECT count(*) FROM netsuite.transaction WHERE $condition"); return $row->[0]; }

# ---- windows ----

my $id = sql("SELECT makini.create_sync('erp.transaction', 'wh.transaction', schedule => NULL, initial_window => '30 days', columns => '{id,tranid,status,lastmodifieddate}')");
my $from = sql("SELECT history_from FROM makini.sync WHERE sync_id = $id");
sql("CALL makini.run_sync($id)");
is(sql('SELECT count(*) FROM wh.transaction'), at_source("lastmodifieddate >= '$from' OR lastmodifieddate IS NULL"), 'all of the window and nothing before it');
is(sql('SELECT count(*) FROM wh.transaction WHERE lastmodifieddate IS NULL'), 5, 'rows without a time of change are in every window');
$sim->forget;
sql(qq{SELECT makini.alter_sync($id, '{"initial_window": "60 days"}')});
my $wider = sql("SELECT history_from FROM makini.sync WHERE sync_id = $id");
sql("CALL makini.run_sync($id)");
is(sql('SELECT count(*) FROM wh.transaction'), at_source("lastmodifieddate >= '$wider' OR lastmodifieddate IS NULL"), 'a wider window is filled');

# What is asked for is bounded by whole seconds, and time goes on meanwhile.
my $slice = at_source("lastmodifieddate >= '$wider' AND lastmodifieddate < '$from'");
my $read = sql("SELECT rows_read FROM makini.sync_run WHERE mode = 'initial' ORDER BY run_id DESC LIMIT 1");
ok($read >= $slice && $read <= $slice + 3, "by its missing slice alone: $read of $slice");
sql(qq{SELECT makini.alter_sync($id, '{"initial_window": "1 day"}')});
sql("CALL makini.run_sync($id, 'full')");
is(sql('SELECT count(*) FROM wh.transaction WHERE _deleted_at IS NULL'), at_source("lastmodifieddate >= '$wider' OR lastmodifieddate IS NULL"), 'a narrower one deletes nothing');

# ---- old documents by a filter ----

my $open = sql("SELECT makini.create_sync('erp.transaction', 'wh.open', schedule => NULL, initial_window => '30 days', initial_filter => 'id < 1100', columns => '{id,status,lastmodifieddate}')");
$from = sql("SELECT history_from FROM makini.sync WHERE sync_id = $open");
sql("CALL makini.run_sync($open)");
is(sql('SELECT count(*) FROM wh.open'), at_source("lastmodifieddate >= '$from' OR lastmodifieddate IS NULL OR id < 1100"), 'initial_filter adds rows from before the window');

# ---- only some rows ----

my $some = sql("SELECT makini.create_sync('erp.transaction', 'wh.some', schedule => NULL, initial_window => 'all', filter => \$\$type = 'SalesOrd' AND memo IS NOT NULL\$\$, columns => '{id,type,memo}')");
sql("CALL makini.run_sync($some)");
is(sql('SELECT count(*) FROM wh.some'), at_source("type = 'SalesOrd' AND memo IS NOT NULL"), 'filter says which rows');
is(sql(q{SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'wh.some'::regclass AND attnum > 0}),
	'id,type,memo,lastmodifieddate,_synced_at,_deleted_at,_extra', 'and columns which columns, with the time of change');

# ---- newest first ----

$sim->forget;
my $all = sql("SELECT makini.create_sync('erp.transaction', 'wh.everything', schedule => NULL, initial_window => 'all', columns => '{id,lastmodifieddate}')");
$sim->set(latency_ms => 10);
sql("CALL makini.run_sync($all)");
$sim->set(latency_ms => 0);
is(sql('SELECT count(*) FROM wh.everything'), at_source('true'), 'all of it');
is(sql("SELECT bool_and(newer) FROM (SELECT first_value(lastmodifieddate) OVER (ORDER BY ctid) > now() - interval '8 days' AS newer FROM wh.everything LIMIT 1) x"), 't', 'the newest come first');
is(sql("SELECT percent FROM makini.sync_progress WHERE sync_id = $all"), '', 'there is no progress of what has ended');

# ---- lines follow their headers ----

my $lines = sql("SELECT makini.create_sync('erp.transactionline', 'wh.line', schedule => NULL, initial_window => '30 days', columns => '{transaction,id,memo,quantity}')");
$from = sql("SELECT history_from FROM makini.sync WHERE sync_id = $lines");
sql("CALL makini.run_sync($lines)");
my ($expected) = $sim->sql("SELECT count(*) FROM netsuite.transactionline l JOIN netsuite.transaction t ON t.id = l.transaction WHERE t.lastmodifieddate >= '$from' OR t.lastmodifieddate IS NULL");
is(sql('SELECT count(*) FROM wh.line'), $expected->[0], 'lines are in the window when their headers are');
my $header = sql('SELECT transaction FROM wh.line GROUP BY 1 HAVING count(*) > 2 ORDER BY 1 DESC LIMIT 1');
$sim->sql("DELETE FROM netsuite.transactionline WHERE transaction = $header AND id = (SELECT max(id) FROM netsuite.transactionline WHERE transaction = $header)");
$sim->sql("UPDATE netsuite.transaction SET lastmodifieddate = now() WHERE id = $header");
my $before = sql('SELECT count(*) FROM wh.line WHERE _deleted_at IS NULL');
sql("CALL makini.run_sync($lines)");
is(sql('SELECT count(*) FROM wh.line WHERE _deleted_at IS NULL'), $before - 1, 'a line that was removed goes with the next change of its header');
$sim->delete_rows('transaction', $header);
$sim->sql("DELETE FROM netsuite.transactionline WHERE transaction = $header");
sql("CALL makini.run_sync($lines)");
is(sql("SELECT count(*) FROM wh.line WHERE transaction = $header AND _deleted_at IS NULL"), 0, 'the lines of a deleted header are deleted');
sql("CALL makini.run_sync($id)");
is(sql("SELECT count(*) FROM wh.transaction WHERE id = $header AND _deleted_at IS NULL"), 0, 'and so is the header');

# ---- children that are all gone ----

my $vendors = sql("SELECT makini.create_sync('erp.itemvendor', 'wh.itemvendor', schedule => NULL)");
sql("CALL makini.run_sync($vendors)");
my $item = sql('SELECT item FROM wh.itemvendor GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1');
my $rest = sql("SELECT count(*) FROM wh.itemvendor WHERE item <> $item");
$sim->sql("DELETE FROM netsuite.itemvendor WHERE item = $item");
$sim->sql("UPDATE netsuite.item SET lastmodifieddate = now() WHERE id = $item");
sql("CALL makini.run_sync($vendors, 'incremental')");
is(sql('SELECT count(*) FROM wh.itemvendor WHERE _deleted_at IS NULL'), $rest, 'a parent that has no children left loses them here too');

# ---- another source ----

my $items = sql("SELECT makini.create_sync('erp.item', 'wh.item', schedule => NULL)");
sql("CALL makini.run_sync($items)");
$sim->sql("UPDATE netsuite.item SET lastmodifieddate = now() WHERE id = (SELECT min(id) FROM netsuite.item)");
sql("CALL makini.run_sync($items)");
$sim->sql("UPDATE netsuite.item SET lastmodifieddate = now() - interval '1 year'");
dies($node, "CALL makini.run_sync($items)", '55000', [qr/source of sync $items has changed/, qr/went back in time/, qr/makini\.reset_sync\($items\)/], 'a source that went back in time');
is(sql("SELECT state FROM makini.sync WHERE sync_id = $items"), 'failed', 'the sync stops');
is(sql("SELECT error_code FROM makini.sync_run WHERE sync_id = $items ORDER BY run_id DESC LIMIT 1"), 'source_changed', 'for a reason that has a name');
is(sql("SELECT count(*) FROM makini.problem WHERE object LIKE '%erp.item%'"), 1, 'and is a problem');
sql("SELECT makini.reset_sync($items)");
sql("CALL makini.run_sync($items)");
is(sql("SELECT state || count(*) FILTER (WHERE _deleted_at IS NULL) FROM makini.sync, wh.item WHERE sync_id = $items GROUP BY state"), 'incremental300', 'reset_sync starts over');

alter_server($node, 'erp', base_url => $sim->value('http_url'), allow_http => 'true');
dies($node, "CALL makini.run_sync($items)", '55000', [qr/source of sync $items has changed/, qr/points at/], 'a server that points elsewhere');

done_testing();
