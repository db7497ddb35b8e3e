# What syncs raise, against the published schemas; rules on the targets of syncs.
use strict;
use warnings;
use lib 'test/lib';
use JSON::PP;
use JsonSchema;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new;
my $node = makini_node('events');

sub sql { return $node->safe_psql('postgres', join(";\n", @_)); }

connect_server($node, $sim, tables => ['item']);
my %type = map { $_->{type} => $_ } @{ decode_json(sql('SELECT json_agg(t) FROM makini.event_type t')) };

# The bodies of events of a type, which are as published.
sub bodies
{
	my ($type) = @_;
	my $bodies = decode_json(sql("SELECT coalesce(json_agg(makini.preview_event(event_id)::json ORDER BY event_id), '[]') FROM makini.event WHERE type = '$type'"));

	is_deeply([ map { schema_problems(schema_of_body($type{$type}), $_) } @$bodies ], [], "$type: as published");
	return @$bodies;
}

sql('CREATE SCHEMA warehouse');
my $sync = sql(q{SELECT makini.create_sync('erp.item', 'warehouse.item', NULL)});
sql(q{SELECT makini.create_rule('item', 'warehouse.item', 'true', 'item.any')},
	q{SELECT makini.create_rule('each', 'warehouse.item', 'NEW.itemid IS NOT NULL', 'item.each', options => '{"backfill": "emit", "max_events": 5}')})
  if sql(q{SELECT to_regclass('warehouse.item') IS NOT NULL}) eq 't';
sql("CALL makini.run_sync($sync)");
cmp_ok(scalar(bodies('sync.started')), '>=', 1, 'an event when it began');
my ($completed) = bodies('sync.completed');
is($completed->{data}{status}, 'completed', 'it went well');
is($completed->{data}{mode}, 'initial', 'the first time');
is($completed->{data}{rows}{inserted}, sql('SELECT count(*) FROM warehouse.item'), 'with all rows');
is($completed->{connection}, 'erp', 'it says of which connection');

is(sql(q{SELECT count(*) FROM makini.event WHERE type = 'item.any'}), '0', 'an initial load fires no rule');
cmp_ok(sql(q{SELECT count(*) FROM makini.event WHERE type = 'item.each'}), '>', 0, 'but those that want it');

# A full load that finds nothing changed writes nothing.
sql("CALL makini.run_sync($sync, 'full')");
is(sql(q{SELECT count(*) FROM makini.event WHERE type = 'item.any'}), '0', 'nor does a load that changes nothing');

# What differs does.
sql('UPDATE warehouse.item SET displayname = NULL, itemid = NULL WHERE id = (SELECT min(id) FROM warehouse.item)');
sql(q{DELETE FROM makini._event WHERE type = 'item.each'}, "CALL makini.run_sync($sync, 'full')");
is(sql(q{SELECT count(*) FROM makini.event WHERE type = 'item.each'}), '1', 'a change that a sync brings does');

# One that fails says why, and whether it is worth trying again.
$sim->arm({ kind => '503', count => 100 });
sql(q{ALTER SERVER erp OPTIONS (ADD max_retries '0')});
my ($code) = $node->psql('postgres', "CALL makini.run_sync($sync)");
$sim->disarm;
my @failed = bodies('sync.failed');
is(scalar(@failed), 1, 'one event of a failed run');
is($failed[0]{data}{error}{http_status}, 503, 'with what the remote side answered') if @failed;
ok($failed[0]{data}{error}{retryable}, 'that it is tried again') if @failed;

$node->stop;
$sim->stop;
done_testing();
