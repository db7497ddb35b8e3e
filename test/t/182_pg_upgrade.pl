# A cluster that pg_upgrade has carried over is another one: it waits until it is
# told that it takes the place of the old one, and then goes on where that stood.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = makini_node('old', preload => 1);
my $sim = Makini::Simulator->new('--rows', 'item=10');
connect_server($old, $sim, tables => ['item']);
my $id = $old->safe_psql('postgres', "SELECT makini.create_sync('erp.item', 'w.item', schedule => NULL)");
$old->safe_psql('postgres', "CALL makini.run_sync($id)");
$old->safe_psql('postgres', q{SELECT makini.create_webhook('https://hooks.example.com/', '{order.*}');
	SELECT makini.disable_webhook(webhook_id) FROM makini.webhook; SELECT makini.emit('order.late')});
my $sync = 'SELECT sync_id, source, target, cursor, data_as_of, state FROM makini.sync';
my $before = $old->safe_psql('postgres', $sync);
my $connection = $old->safe_psql('postgres', 'SELECT connection_id FROM makini.connection');
$old->stop;

# Nodes may all be copies of one: this one is to be a cluster of its own.
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(force_initdb => 1);
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'makini'");
chdir $PostgreSQL::Test::Utils::tmp_check or die "tmp_check: $!";
$new->command_ok(
	[ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
		'-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->start;

is($new->safe_psql('postgres', 'SELECT state FROM makini.instance'), 'restored', 'what was carried over waits');
is($new->safe_psql('postgres', 'SELECT waiting_for FROM makini.sync'), 'instance', 'as its sync says');
my ($status, undef, $err) = $new->psql('postgres', "CALL makini.run_sync($id)");
like($err, qr/makini\.activate_instance/, 'which does not run');
my $requests = $sim->requests;
is($new->safe_psql('postgres', "SELECT makini.activate_instance('keep', false)"), 2, 'it is activated, as the successor of the old one');
is($new->safe_psql('postgres', $sync), $before, 'its sync stands where it stood');
is($new->safe_psql('postgres', 'SELECT connection_id FROM makini.connection'), $connection, 'its connection is the same');
is($new->safe_psql('postgres', "SELECT count(*) FROM makini.event WHERE type = 'order.late'"), 1, 'events are there');
$new->safe_psql('postgres', "CALL makini.run_sync($id)");
is($new->safe_psql('postgres', 'SELECT mode, status, rows_inserted, rows_updated FROM makini.sync_run ORDER BY run_id DESC LIMIT 1'),
	'incremental|completed|0|0', 'and it goes on with changes');
is($new->safe_psql('postgres', 'SELECT count(*) FROM w.item'), 10, 'rows are there once');

$new->stop;
done_testing();
