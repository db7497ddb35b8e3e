# Drains run by the worker: on schedule, as soon as rows are decided by hand, and
# not while a session runs them.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $sim = Makini::ASCTrac->new;
my $node = makini_node('drain_worker', preload => 1, conf => "makini.retry_base = 1\nrestart_after_crash = on");
connect_warehouse($node, $sim, tables => [ 'tranfile_export', 'cust_order_export' ]);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

my $id = sql(q{SELECT makini.create_drain('wms.tranfile_export', 'landing', '1 hour', 'manual', options => '{"accept_loss": true}')});

sql("SELECT makini.resume_sync($id)");
until_true('rows to land', sub { return sql("SELECT count(*) FROM makini.sync_run WHERE sync_id = $id AND status = 'completed'") > 0; });
my $n = sql('SELECT count(*) FROM landing.tranfile_export');
cmp_ok($n, '>', 200, 'the worker drains');
is($sim->feed('TranFileExport')->{T}, 0, 'and acknowledges nothing that is not decided');
is(sql("SELECT makini.acknowledge($id, ARRAY(SELECT _row_id FROM landing.tranfile_export LIMIT 7))"), '7', 'seven rows are decided');
until_true('acknowledgements', sub { return $sim->feed('TranFileExport')->{T} == 7; });
is($sim->feed('TranFileExport')->{T}, 7, 'which it sends at once');
until_true('the run to end', sub { return sql("SELECT count(*) FROM makini.sync_run WHERE sync_id = $id AND status = 'running'") eq '0'; });
is(sql(q{SELECT count(*) FROM landing.tranfile_export WHERE _ack = 'done'}), '7', 'as the table says');

# A worker that is killed when the other side has taken an acknowledgement and not
# answered yet: the next one sends what is owed, all of it, each order once.
my $orders = sql(q{SELECT makini.create_drain('wms.cust_order_export', 'landing', '1 hour', options => '{"accept_loss": true}')});
$sim->add_bulk('CustOrderExport', 500);
$sim->arm(kind => 'hold', path => 'CustOrderExport', settled => JSON::PP::true);
sql("SELECT makini.resume_sync($orders)");
until_true('an acknowledgement', sub { return $sim->feed('CustOrderExport')->{T} > 0; });
my $pid = sql("SELECT pid FROM makini._sync_run WHERE sync_id = $orders AND status = 'running'");
my $landed = sql('SELECT count(*) FROM landing.cust_order_export');
cmp_ok($landed, '>=', 500, 'all had landed before anything was acknowledged');
is(sql(q{SELECT count(*) FROM landing.cust_order_export WHERE _ack = 'done'}), '0', 'and the worker knows of no acknowledgement');
my $owed = sql("SELECT count(DISTINCT key) FROM makini._owed WHERE sync_id = $orders");
# ... but not before the simulator's log has been emptied.
sql("SELECT makini.pause_sync($orders)");
kill 9, $pid;
until_true('the worker to be gone', sub { return !kill(0, $pid); });
$sim->disarm;
until_true('the server to come back', sub { return eval { $node->psql('postgres', 'SELECT 1', timeout => 10) == 0 }; });
$sim->forget;
sql("SELECT makini.resume_sync($orders)");
until_true('all to be acknowledged', sub { return sql(q{SELECT count(*) FROM landing.cust_order_export WHERE _ack <> 'done' AND ordernumber NOT LIKE '%''%'}) eq '0'; });
until_true('the run to end', sub { return sql("SELECT count(*) FROM makini.sync_run WHERE sync_id = $orders AND status = 'running'") eq '0'; });
my $sent = 0;
$sent += $_->{rows} foreach grep { $_->{method} eq 'PUT' } $sim->log_entries(service => 'custorderexport');
is($sent, $owed, 'what was owed is sent again, nothing twice');
is($sim->feed('CustOrderExport')->{S}, sql(q{SELECT count(*) FROM landing.cust_order_export WHERE ordernumber LIKE '%''%'}), 'and taken, but for what it cannot take');
is(sql('SELECT count(*) FROM landing.cust_order_export'), $landed, 'nothing that had landed is lost or lands again');
is(sql(q{SELECT count(*) FROM makini._torn_answer}), '0', 'no answer was torn');

$node->stop;
done_testing();
