# More than one sender for a database: started when one is not enough, gone when
# it is again.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Test::More;
use Webhook;

my $node = webhook_node('senders', conf => "makini.webhook_workers = 3\n");
my $receiver = Webhook::Receiver->new;
my $senders = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'makini sender'";

$receiver->script('/slow', delay_ms => 20);
create_webhook($node, $receiver, '/slow', options => '{"max_in_flight": 4}');

emit($node, 'first.one');
until_sent($node);
is($node->safe_psql('postgres', $senders), 0, 'one event needs one sender');

$node->safe_psql('postgres', q{SELECT count(makini.emit('many.of_them', jsonb_build_object('n', n))) FROM generate_series(1, 1000) n});
until_query($node, 'more senders', "SELECT ($senders) = 2");
pass('a backlog brings the others that are allowed');
until_sent($node);
my %seen = map { $_->{id} => 1 } grep { $_->{status} == 200 } $receiver->log_of('/slow');
is(scalar(keys %seen), 1001, 'everything arrives, whoever sends it');
until_query($node, 'the others to leave', "SELECT ($senders) = 0");
pass('they leave');

# ---- a command that needs the database alone ends them too ----
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', 'CREATE EXTENSION makini');
my $url = $receiver->url('/slow');
$node->safe_psql('shop', qq{SELECT makini.create_webhook('$url', options => '{"max_in_flight": 2}')});
$node->safe_psql('shop', q{SELECT count(makini.emit('many.of_them')) FROM generate_series(1, 2000)});
until_query($node, 'more senders', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'makini sender' AND datname = 'shop'");
$node->safe_psql('postgres', 'DROP DATABASE shop');
pass('DROP DATABASE with senders at work');

$node->stop('fast');
done_testing();
