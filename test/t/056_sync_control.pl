# What others see of a run that is under way, and what they can do to it: look,
# pause, cancel; and not: alter, reset or drop the sync under its feet.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new;
my $node = makini_node('sync_control', conf => 'makini.retry_base = 1');
connect_server($node, $sim, tables => [ 'item', 'transaction' ], options => { page_size => 50, fetch_ahead => 0, max_concurrency => 1 });
my $rows = $node->safe_psql('postgres', 'SELECT count(*) FROM erp.item');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE observer LOGIN;
CREATE ROLE operator LOGIN;
CREATE ROLE stranger LOGIN;
SELECT makini.grant_access('observer', 'reader', 'erp'), makini.grant_access('operator', 'operator', 'erp'),
	makini.grant_access('stranger', 'operator');
SELECT makini.create_sync('erp.item', 'wh.item', NULL);
SQL
my $session = Hostile::Session->new($node);

# A run of a sync that hangs after some pages.
sub hanging_run
{
	my ($sync) = @_;

	$sim->disarm;
	$sim->arm(kind => 'hang', path => 'query/v1/suiteql', after => 3, count => 0);
	$session->send("CALL makini.run_sync($sync);");
	until_true('the request that hangs', sub { ($sim->faults)[0]{struck} });
	until_true('rows of the run', sub {
		$node->safe_psql('postgres', "SELECT rows_done > 0 AND waiting_on = 'network' FROM makini.sync_progress") eq 't';
	});
	return;
}

sub ask { my ($sql, %given) = @_; return scalar lives($node, $sql, $given{name} // $sql =~ s/\s+/ /gr, %given); }

# ---- seen by others ----
hanging_run(1);
is( ask('SELECT sync_id, target, lane, phase, waiting_on FROM makini.sync_progress'),
	'1|wh.item|backfill|reading|network', 'a run is seen while it goes on');
is(ask('SELECT rows_expected FROM makini.sync_progress'), $rows, 'how much there is');
is( ask('SELECT percent = round(100.0 * rows_done / rows_expected, 1) AND percent BETWEEN 1 AND 99, rows_per_second > 0, eta IS NOT NULL
	FROM makini.sync_progress'), 't|t|t', 'how far it is');
is(ask('SELECT state FROM makini.sync'), 'initial', 'its history is not complete');
is(ask('SELECT status, rows_read > 0, rows_inserted = rows_read FROM makini.sync_run'), 'running|t|t', 'its account is kept page by page');
is(ask('SELECT count(*) FROM makini.sync_progress', user => 'observer'), '1', 'who may use the server sees it');
is(ask('SELECT count(*) FROM makini.sync_progress', user => 'stranger'), '0', 'who may not does not');

# ---- not under its feet ----
my @busy = ('55006', [ qr/sync 1 is running/, qr/cancel_sync\(1\)/ ]);
dies($node, q{SELECT makini.alter_sync(1, '{"filter": "id > 5"}')}, @busy, 'altering');
dies($node, 'SELECT makini.reset_sync(1)', @busy, 'resetting');
dies($node, q{SELECT makini.reset_connection('erp', 'truncate')}, @busy, 'resetting all');
dies($node, 'SELECT makini.drop_sync(1, true)', @busy, 'dropping');
dies($node, 'CALL makini.run_sync(1)', @busy, 'running it twice');
is(ask(q{SELECT makini.alter_sync(1, '{"schedule": "1 hour"}')}), 't', 'another schedule disturbs nothing');
is(ask('SELECT makini.pause_sync(1)'), 't', 'nor does pausing');
ok(!$session->is_done, 'the run goes on');

# ---- cancelled ----
dies($node, 'SELECT makini.cancel_sync(1)', '42704', [], 'a stranger cannot cancel it', user => 'stranger');
dies($node, 'SELECT makini.cancel_sync(1)', '42501', [], 'nor can who may only look', user => 'observer');
is(ask('SELECT makini.cancel_sync(1)', user => 'operator'), 't', 'an operator can');
my (undef, $err) = $session->result;
like($err, qr/canceling statement/, 'the run ends');
is(ask('SELECT status, error_code FROM makini.sync_run'), 'cancelled|57014', 'and is noted as cancelled');
is(ask('SELECT count(*) FROM makini.sync_progress'), '0', 'nothing runs');
is(ask('SELECT makini.cancel_sync(1)'), 'f', 'there is nothing left to cancel');
cmp_ok(my $kept = ask('SELECT count(*) FROM wh.item'), '>', 0, 'what was committed stays');
is(ask('SELECT consecutive_failures, last_error FROM makini.sync'), '0|', 'to be cancelled is no failure');
like(ask("SELECT message FROM makini.problem WHERE object ~ '^sync 1 '"), qr/paused/, 'that it is paused is');

# ---- taken up ----
$sim->disarm;
is(ask('SELECT makini.resume_sync(1)'), 't', 'resumed');
ask('CALL makini.run_sync(1)');
is(ask('SELECT count(*) FROM wh.item'), $rows, 'the rest has come');
cmp_ok(ask("SELECT sum(rows_read) FROM makini.sync_run WHERE lane = 'backfill'"), '<=', $rows + 50, 'no more than a page was read twice');

# ---- a session that is gone ----
ask('SELECT makini.reset_sync(1)');
hanging_run(1);
ask("SELECT pg_terminate_backend(${\ $session->pid})");
until_true('the session to end', sub { ask("SELECT count(*) FROM pg_stat_activity WHERE pid = ${\ $session->pid}", name => 'gone?') eq '0' });
is(ask('SELECT count(*) FROM makini.sync_progress'), '0', 'a session that ended leaves no run behind');
$sim->disarm;
is(ask(q{SELECT makini.alter_sync(1, '{"lookback": "1 hour"}')}), 't', 'and no lock');
ask('CALL makini.run_sync(1)');
is(ask("SELECT count(*) FILTER (WHERE status = 'running'), count(*) FILTER (WHERE status = 'failed' AND error_code = '57P01') > 0 FROM makini.sync_run"),
	'0|t', 'the next run notes how it ended');

# ---- one history at a time ----
$session = Hostile::Session->new($node);
ask("SELECT makini.create_sync('erp.transaction', 'wh.transaction', NULL, initial_window => '1000 days')");
hanging_run(2);
ask('SELECT makini.cancel_sync(2)');
$session->result;
$sim->disarm;
dies($node, q{SELECT makini.alter_sync(2, '{"initial_window": "all"}')}, '55006', [ qr/has a load that is not finished/ ], 'a window that is being loaded cannot be widened');
ask('CALL makini.run_sync(2)');
is(ask(q{SELECT makini.alter_sync(2, '{"initial_window": "all"}')}), 't', 'one that is complete can');
ask('CALL makini.run_sync(2)');
is( ask('SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) d' =~
		s/^/WITH a AS (SELECT id, tranid FROM erp.transaction), b AS (SELECT id, tranid FROM wh.transaction) /r),
	'0', 'all of it is there');

# ---- nobody is there to run it ----
my $missed = "SELECT count(*), min(hint) FROM makini.problem WHERE object = 'background worker'";

foreach my $what (
	[ 'run syncs on their schedules', "makini.create_sync('erp.item', 'wh.scheduled', '5 min'), makini.create_sync('erp.item', 'wh.scheduled_too', '5 min')" ],
	[ 'ask watches on their schedules', "makini.create_watch('w', 'SELECT id FROM wh.item', '1 hour', 'item.new', '{id}')" ],
	[ 'deliver to webhooks', "makini.create_webhook('https://hooks.example.com/a')" ])
{
	my (undef, undef, $err) = $node->psql('postgres', "SELECT $what->[1]");

	like($err, qr/^(?:psql:\S* )?NOTICE:  there is no background worker of makini to $what->[0]\nHINT:  Add makini to "shared_preload_libraries" and restart the server\.$/,
		"$what->[0]: who asks for it is told once that there is no worker");
}
is( ask("SELECT message FROM makini.problem WHERE object = 'background worker'"),
	'schedules of syncs, watches, webhooks wait in vain: there is no background worker of makini', 'and what waits for one');
is(ask($missed, user => 'observer'), '1|Add makini to "shared_preload_libraries" and restart the server.', 'and it stays a problem');

$node->stop;
done_testing();
