# What was restored or copied from another database waits until it is activated.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Worker;

my $node = worker_node('instance');
my $sim = Makini::Simulator->new('--rows', 'item=10');
connect_server($node, $sim, tables => ['item']);
my $id = $node->safe_psql('postgres', "CREATE SCHEMA w; SELECT makini.create_sync('erp.item', 'w.item', schedule => '5 min')");
until_query($node, 'its first run', 'SELECT count(*) > 0 FROM ran');
$node->safe_psql('postgres', "CREATE TABLE stock (n int); SELECT makini.create_watch('low', 'SELECT n FROM public.stock WHERE n < 5', '1 hour', 'stock.low', '{n}')");
$node->safe_psql('postgres', "SELECT makini.create_webhook('https://hooks.example.com/')");
until_idle($node);

sub state_in { return $node->safe_psql($_[0], 'SELECT state FROM makini.instance'); }

is(state_in('postgres'), 'active', 'where it was made it is active');
is($node->safe_psql('postgres', 'SELECT makini.activate_instance()'), 0, 'and activating does nothing');
my $instance = $node->safe_psql('postgres', 'SELECT instance_id FROM makini.instance');
my $connection = $node->safe_psql('postgres', 'SELECT connection_id FROM makini.connection');

# ---- things are renamed; later there will be a copy ----
$node->safe_psql('postgres', q{
	CREATE ROLE keeper;
	SELECT makini.grant_access('keeper', 'admin');
	SET ROLE keeper;
	SELECT makini.create_webhook('https://hooks.example.com/kept', events => '{kept.*}');
	RESET ROLE;
	SELECT makini.disable_webhook(webhook_id) FROM makini.webhook;
	SET ROLE keeper;
	SELECT makini.emit('kept.event');
	RESET ROLE;
	ALTER TABLE w.item RENAME TO goods;
	ALTER ROLE keeper RENAME TO steward});
is($node->safe_psql('postgres', q{SELECT owner FROM makini.webhook WHERE url LIKE '%/kept'}), 'steward', 'a renamed role still owns its webhook');
until_query($node, 'the event to be taken', 'SELECT NOT EXISTS (SELECT FROM makini._event)');
is($node->safe_psql('postgres', q{SET ROLE steward; SELECT type FROM makini.event WHERE type LIKE 'kept.%'}), 'kept.event', 'and sees what it raised');
is($node->safe_psql('postgres', 'SELECT makini.activate_instance()'), 0, 'activating changes nothing about that');
is($node->safe_psql('postgres', q{SET ROLE steward; SELECT type FROM makini.event WHERE type LIKE 'kept.%'}), 'kept.event', 'it still does');
is($node->safe_psql('postgres', q{CREATE ROLE keeper; SELECT makini.grant_access('keeper', 'reader'); SET ROLE keeper; SELECT count(*) FROM makini.event WHERE type LIKE 'kept.%'}), "\n0", 'who has its name now does not');
advance($node, '2 hours');
until_query($node, 'the names', q{SELECT target = 'w.goods' AND (SELECT owner = 'steward' FROM makini._webhook WHERE url LIKE '%/kept') FROM makini._sync});
until_idle($node);

# ---- a copy ----
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE postgres');
is(state_in('copy'), 'restored', 'a copy waits');
like($node->safe_psql('copy', 'SELECT reason FROM makini.instance'), qr/4 objects came from another system or database/, 'and says for what');
$node->safe_psql('copy', 'TRUNCATE ran');
advance($node, '1 hour');
until_idle($node);
is($node->safe_psql('copy', 'SELECT count(*) FROM ran'), 0, 'nothing runs in it');
$node->psql('copy', "SELECT makini.request_sync($id)", stderr => \my $err);
like($err, qr/55000|restored or copied|activate_instance/, 'not when it is asked for either');
is($node->safe_psql('copy', q{UPDATE makini._delivery SET claimed_by = 1, next_attempt_at = now() + interval '1 min' RETURNING 1}), "1\n1", 'as if a sender had had them in hand');
is($node->safe_psql('copy', 'SELECT makini.activate_instance()'), 4, 'it is activated');
is($node->safe_psql('copy', 'SELECT count(*) FROM makini._delivery'), 0, 'and has nothing of the original to deliver');
is(state_in('copy'), 'active', 'and active');
isnt($node->safe_psql('copy', 'SELECT connection_id FROM makini.connection'), $connection, 'its connection is another');
is($node->safe_psql('copy', 'SELECT count(*) FROM makini._sync s JOIN makini.connection c USING (connection_id)'), 1, 'which its sync knows');
is($node->safe_psql('copy', "SELECT target_oid = 'w.goods'::regclass AND source_oid = 'erp.item'::regclass FROM makini._sync"), 't', 'as it does its tables');
advance($node, '1 hour');
until_query($node, 'a run in the copy', 'SELECT count(*) > 0 FROM ran', 'copy');
is($node->safe_psql('postgres', 'SELECT connection_id FROM makini.connection'), $connection, 'the original is what it was');
$node->psql('copy', "SELECT makini.activate_instance('burn')", stderr => \$err);
like($err, qr/"burn" is not what can become of events.*HINT/s, 'a word that is none');

# ---- a copy for staging, pointed at another account before it is woken up ----
$node->safe_psql('postgres', 'CREATE DATABASE staging TEMPLATE postgres');
$node->safe_psql('staging', q{ALTER SERVER erp OPTIONS (SET account_id '7654321_SB9');
	SELECT makini.pause_connection('erp'); SELECT makini.activate_instance(); SELECT makini.reset_connection('erp', 'truncate')});
is($node->safe_psql('staging', 'SELECT state, waiting_for FROM makini.sync'), 'new|connection paused', 'a copy begins anew elsewhere');
is($node->safe_psql('staging', "SELECT makini.resume_connection('erp')"), 't', 'when it is let go');
is($node->safe_psql('postgres', 'SELECT lifecycle FROM makini.connection'), 'active', 'the original does not notice');
$node->safe_psql('staging', 'SELECT makini.drop_sync(sync_id) FROM makini.sync');

# ---- dump and restore, as after a move ----
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'a dump');
$node->safe_psql('postgres', 'CREATE DATABASE moved');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('moved') ], 'its restore');
is(state_in('moved'), 'restored', 'it waits');
is($node->safe_psql('moved', "SELECT makini.activate_instance('keep', false)"), 4, 'it is activated');
is($node->safe_psql('moved', q{SELECT owner FROM makini.webhook WHERE url LIKE '%/kept'}), 'steward', 'what was renamed is found by its new name');
is($node->safe_psql('moved', 'SELECT connection_id FROM makini.connection'), $connection, 'a move keeps the connection');
is($node->safe_psql('moved', 'SELECT instance_id FROM makini.instance'), $node->safe_psql('postgres', 'SELECT instance_id FROM makini.instance'), 'and the installation')
  if $node->safe_psql('postgres', 'SELECT count(*) FROM makini._instance') > 0;
$node->safe_psql('moved', 'TRUNCATE ran');
advance($node, '1 hour');
until_query($node, 'a run', 'SELECT count(*) > 0 FROM ran', 'moved');
pass('and runs');

# ---- rights ----
$node->safe_psql('postgres', 'CREATE ROLE reader LOGIN');
is($node->safe_psql('postgres', 'SELECT state FROM makini.instance', extra_params => [ '-U', 'reader' ]), 'active', 'everybody sees the state');
$node->psql('postgres', 'SELECT makini.activate_instance()', stderr => \$err, extra_params => [ '-U', 'reader' ]);
like($err, qr/permission denied/, 'not everybody activates');

$node->stop('fast');
done_testing();
