# A scheduler that stays: whatever is asked for while it is at something else, or
# by a transaction that is not quite over yet, is seen to at once all the same.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use Test::More;
use Worker;

my $sim = Makini::Simulator->new('--rows', 'item=10');
my $node = worker_node('wake', conf => "makini.scheduler_linger = '1h'\ndeadlock_timeout = '1h'\n");
connect_server($node, $sim, tables => ['item']);
$node->safe_psql('postgres', q{CREATE FUNCTION slow_commit() RETURNS void LANGUAGE C AS 'makini', 'makini_test_slow_commit'});

my $id = add_sync($node, schedule => '1 day');
my $session = Hostile::Session->new($node);
my $scheduler = q{(SELECT pid FROM pg_stat_activity WHERE backend_type = 'makini scheduler')};

# It has seen to everything, and waits.
sub until_asleep
{
	until_query($node, 'the scheduler to wait',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $scheduler AND wait_event_type = 'Extension'");
	return;
}

# ---- caches are told of a change after it has become visible ----
$node->safe_psql('postgres', 'SELECT count(*) FROM erp.item');
until_query($node, 'the state of the connection', "SELECT count(*) = 1 FROM makini._connection_health WHERE health = 'online'");
until_asleep();
$session->ask('SELECT slow_commit()');
$session->ask(q{ALTER USER MAPPING FOR postgres SERVER erp OPTIONS (ADD certificate_expires_at '} . $node->safe_psql('postgres', "SELECT now() + interval '5 days'") . q{')});
until_query($node, 'the end of the certificate', q{SELECT count(*) = 1 FROM makini.event WHERE type = 'connection.auth_expiring'});
pass('a certificate that ends soon is told of, however long the commit takes');
until_asleep();
$session->ask('DROP SERVER erp CASCADE');
until_query($node, 'the server to be forgotten', 'SELECT (SELECT count(*) FROM makini._connection_health) + (SELECT count(*) FROM makini._connection_auth) = 0');
pass('a server that is dropped is forgotten');
$session->quit;

# ---- waiting for a lock uses the latch up ----
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM ran');
my $holder = Hostile::Session->new($node);
until_asleep();
$holder->ask('BEGIN; LOCK TABLE makini._watch');
$node->safe_psql('postgres', 'SELECT makini._wake()');
until_query($node, 'the scheduler to want the lock', "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND pid = $scheduler");
$node->safe_psql('postgres', "SELECT makini.request_sync($id)");
$holder->ask('COMMIT');
$holder->quit;
until_query($node, 'the run', "SELECT count(*) = $before + 1 FROM ran");
pass('what is asked for while it waits for a lock is done');

$node->stop;
done_testing();
