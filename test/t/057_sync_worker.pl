# What the worker makes of what people say about syncs: created, resumed, altered
# and reset ones run by themselves, full passes when they are due, and what is
# asked for at once.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new;
my $node = makini_node('sync_worker', preload => 1, conf => 'makini.retry_base = 1');
connect_server($node, $sim, tables => [ 'item', 'inventorybalance', 'department' ]);

# Until a query gives true; silent, so that the count of tests doesn't depend on time.
sub until_query
{
	my ($name, $sql) = @_;
	ok(until_true($name, sub { $node->safe_psql('postgres', $sql) eq 't' }), $name);
	return;
}

sub until_runs
{
	my ($name, $sync, $mode, $n) = @_;
	until_query($name, "SELECT count(*) >= $n FROM makini.sync_run WHERE sync_id = $sync AND mode = '$mode' AND status = 'completed'");
	return;
}

sub ask { my ($sql) = @_; return scalar lives($node, $sql, $sql); }

# ---- one with a cursor ----
ask("SELECT makini.create_sync('erp.item', 'wh.item', '1 hour')");
until_query('a sync runs once it is created', "SELECT state = 'incremental' FROM makini.sync WHERE sync_id = 1");
is(ask('SELECT count(*) FROM wh.item'), ask('SELECT count(*) FROM erp.item'), 'its history is there');
is(ask("SELECT makini.request_sync(1, 'full')"), 't', 'a full pass is asked for');
until_runs('and done', 1, 'full', 1);
is(ask("SELECT makini.request_sync(1, 'verify')"), 't', 'a comparison is asked for');
until_runs('and made', 1, 'verify', 1);
ask('UPDATE makini._sync SET full_due_at = now(), next_run_at = now() WHERE sync_id = 1');
ask('SELECT makini._wake()');
until_runs('a full pass that is due is made without being asked for', 1, 'full', 2);
my $runs = ask('SELECT count(*) FROM makini.sync_run WHERE sync_id = 1');
ask(q{SELECT makini.alter_sync(1, '{"schedule": "1 second"}')});
until_query('another schedule holds at once', "SELECT count(*) > $runs + 2 FROM makini.sync_run WHERE sync_id = 1");
ask(q{SELECT makini.alter_sync(1, '{"schedule": null}')});

# ---- one without ----
ask("SELECT makini.create_sync('erp.inventorybalance', 'wh.balance', '1 second')");
until_runs('without a cursor each run compares everything', 2, 'full', 2);
ask('SELECT makini.pause_sync(2)');

# ---- one that waits ----
ask(q{SELECT makini.create_sync('erp.department', 'wh.department', '1 second', options => '{"start": false}')});
is(ask('SELECT state, next_run_at FROM makini.sync WHERE sync_id = 3'), 'paused|', 'without start it is paused');
dies($node, 'SELECT makini.request_sync(3)', '55000', [ qr/paused/, qr/resume_sync\(3\)/ ], 'and cannot be asked for');
is(ask('SELECT makini.resume_sync(3)'), 't', 'resumed');
until_runs('it runs', 3, 'incremental', 2);
ask('SELECT makini.pause_sync(3)');
until_query('nothing of it is running', 'SELECT count(*) = 0 FROM makini._job WHERE sync_id = 3 AND worker IS NOT NULL');
ask('SELECT makini.reset_sync(3)');
is(ask('SELECT state, cursor FROM makini.sync WHERE sync_id = 3'), 'paused|', 'reset, it stays paused');
ask('SELECT makini.resume_sync(3)');
until_runs('and begins anew when it is resumed', 3, 'full', 1);

# ---- who may ask ----
ask('CREATE ROLE stranger LOGIN');
ask(q{SELECT makini.grant_access('stranger', 'operator')});
dies($node, 'SELECT makini.request_sync(1)', '42704', [], 'what one may not see one may not ask for', user => 'stranger');
dies($node, q{SELECT makini.request_syncs('erp')}, '42501', [], 'nor all of a server', user => 'stranger');

$node->stop;
done_testing();
