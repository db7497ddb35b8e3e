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
$sim->sql("UPDATE netsuite.transaction SET tranid = 'timeless' WHERE lastmodifieddate IS NULL");
sql("CALL makini.run_sync($id)");
is(sql("SELECT count(*) FROM wh.transaction WHERE tranid = 'timeless'"), 0, '... but no change of theirs is seen');
sql("UPDATE makini._sync SET swept_at = swept_at - interval '25 hours'");
sql("CALL makini.run_sync($id)");
is(sql("SELECT count(*) FROM wh.transaction WHERE tranid = 'timeless'"), 5, '... until they are looked for, once a day');
$sim->forget;
sql("CALL makini.run_sync($id)");
is(scalar(grep { $_->{q} =~ /IS NULL/ } reads('transaction')), 0, '... and no more often');
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

# ---- what is a good window is known ----

sql("SELECT makini.create_sync('erp.$_', 'auto.$_', schedule => NULL)") foreach qw(transaction transactionline item itemvendor);
is(sql(q{SELECT string_agg(source || ' ' || coalesce((created_at - history_from)::text, 'all'), ', ' ORDER BY source) FROM makini._sync WHERE target LIKE 'auto.%'}),
	'erp.item all, erp.itemvendor all, erp.transaction 90 days, erp.transactionline 90 days', 'auto is 90 days of documents and their lines, and all of everything else');

# ---- newest first ----

$sim->forget;
my $all = sql("SELECT makini.create_sync('erp.transaction', 'wh.everything', schedule => NULL, initial_window => 'all', columns => '{id,lastmodifieddate}')");
# No query can reach more than so many rows, of all that there are.
$sim->set(latency_ms => 10, row_cap => 1500);
sql("CALL makini.run_sync($all)");
$sim->set(latency_ms => 0, row_cap => 100_000);
is(sql('SELECT count(*) FROM wh.everything'), at_source('true'), 'all of it');
is(sql("SELECT bool_and(newer) FROM (SELECT first_value(lastmodifieddate) OVER (ORDER BY ctid) > now() - interval '8 days' AS newer FROM wh.everything LIMIT 1) x"), 't', 'the newest come first');
is(sql("SELECT percent FROM makini.sync_progress WHERE sync_id = $all"), '', 'there is no progress of what has ended');

# ---- lines follow their headers ----

my $lines = sql("SELECT makini.create_sync('erp.transactionline', 'wh.line', schedule => NULL, initial_window => '30 days', columns => '{transaction,id,memo,quantity}')");
$from = sql("SELECT history_from FROM makini.sync WHERE sync_id = $lines");
sql("CALL makini.run_sync($lines)");
my ($expected) = $sim->sql("SELECT count(*) FROM netsuite.transactionline l JOIN netsuite.transaction t ON t.id = l.transaction WHERE t.lastmodifieddate >= '$from' OR t.lastmodifieddate IS NULL");
is(sql('SELECT count(*) FROM wh.line'), $expected->[0], 'lines are in the window when their headers are');
my ($old) = map { $_->[0] } $sim->sql("SELECT min(l.transaction) FROM netsuite.transactionline l JOIN netsuite.transaction t ON t.id = l.transaction WHERE t.lastmodifieddate < '$from'");
$sim->sql("UPDATE netsuite.transactionline SET linelastmodifieddate = now(), memo = 'newer than its header' WHERE transaction = $old");
sql("CALL makini.run_sync($lines)");
is(sql('SELECT count(*) FROM wh.line'), $expected->[0], 'a line that is newer than its header is no part of the history either');
sql("CALL makini.run_sync($lines, 'full')");
is(sql("SELECT rows_deleted FROM makini.sync_run WHERE sync_id = $lines ORDER BY run_id DESC LIMIT 1"), 0, '... so that no full pass has to delete it');
$sim->sql("UPDATE netsuite.transactionline SET linelastmodifieddate = now(), memo = 'changed alone' WHERE transaction = (SELECT max(id) FROM netsuite.transaction WHERE lastmodifieddate > '$from'::timestamptz + interval '1 day' AND lastmodifieddate < now() - interval '1 day')");
sql("CALL makini.run_sync($lines)");
isnt(sql("SELECT count(*) FROM wh.line WHERE memo = 'changed alone'"), 0, 'a line that changes without its header is read, where that is');
$sim->sql("UPDATE netsuite.transaction SET lastmodifieddate = now() WHERE id = $old");
sql("CALL makini.run_sync($lines)");
my ($come) = $sim->sql("SELECT count(*) FROM netsuite.transactionline WHERE transaction = $old");
is(sql("SELECT count(*) FROM wh.line WHERE transaction = $old"), $come->[0], 'and the lines of an old document come when it changes');
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
