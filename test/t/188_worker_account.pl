# Once a day the worker asks whether accounts have new fields: followed, or told
# once, as each sync wants it; one request where nothing is new.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Worker;

my $sim = Makini::Simulator->new('--rows', 'item=50,customer=50');
my $node = worker_node('account', conf => "makini.test_job = ''\nmakini.retry_base = 1\n");

sub ask { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub until_so { my ($what, $sql) = @_; ok(until_true($what, sub { ask($sql) eq 't' }), $what); return; }
sub set_active { my ($field, $active) = @_; $sim->sql("UPDATE netsuite.customfield SET isinactive = '" . ($active ? 'F' : 'T') . "' WHERE lower(scriptid) = '$field'"); return; }
sub lists { return scalar grep { ($_->{q} // '') =~ /FROM customfield t(?! WHERE)/ } $sim->log_entries(service => 'suiteql'); }
sub queries { return scalar grep { ($_->{q} // '') =~ /FROM (?:item|customer) t/ && $_->{q} !~ /lastmodifieddate|deletedrecord/ } $sim->log_entries(service => 'suiteql'); }
sub told
{
	return ask(q{SELECT coalesce(string_agg(concat_ws(' ', data->>'relation', c->>'change', c->>'column', data->>'applied'), ', ' ORDER BY occurred_at, c->>'column'), '')
		FROM makini.event, jsonb_array_elements(data->'changes') c WHERE type = 'schema.changed'});
}
sub columns { my ($relation, $like) = @_; return ask("SELECT count(*) FROM pg_attribute WHERE attrelid = '$relation'::regclass AND attname LIKE '$like'"); }

# So many days later everybody has looked who wanted to.
sub days_later
{
	my ($interval) = @_;
	advance($node, $interval);
	until_query($node, 'what is due', 'SELECT count(*) = 0 FROM makini._job WHERE due_at <= worker_now()');
	until_query($node, 'the look', q{SELECT bool_and(coalesce(l.due_at, s.created_at + '1 day') > worker_now()) FROM makini._sync s
		LEFT JOIN makini._account_look l ON l.connection_id = s.connection_id AND l.role_oid = s.owner_oid});
	# it is noted before it is made, by a worker that leaves when it is
	until_idle($node);
	return;
}

# ---- fields that are not there yet ----
set_active($_, 0) foreach 'custitem_sim_color', 'custitem_sim_notes', 'custitem_sim_shelf_days';
my ($entity) = map { $_->[0] } $sim->sql("SELECT lower(min(scriptid)) FROM netsuite.customfield WHERE lower(scriptid) LIKE 'custentity%'");
set_active($entity, 0);
connect_server($node, $sim, tables => [ 'item', 'customer' ]);
my $item = ask("SELECT makini.create_sync('erp.item', 'w.item', '6 hours')");
my $customer = ask(qq{SELECT makini.create_sync('erp.customer', 'w.customer', '6 hours', options => '{"on_schema_change": "report"}')});
until_so('both are loaded', q{SELECT bool_and(data_as_of IS NOT NULL) FROM makini.sync});
is(columns('erp.item', 'custitem_sim_color') . columns('erp.customer', $entity), '00', 'two fields are not there');
until_idle($node);
$sim->forget;
advance($node, '12 hours');
until_so('runs go on', "SELECT count(*) > 0 FROM makini.sync_run WHERE sync_id = $item AND mode = 'incremental' AND status = 'completed'");
until_idle($node);
is(lists(), 0, 'runs do not ask for the list of fields');
days_later('13 hours');
cmp_ok(lists(), '>=', 1, 'after a day it is asked for');
is(told(), '', 'and nothing is new');
$sim->forget;
days_later('25 hours');
is(lists(), 1, 'the next day it takes one request');
is(queries(), 0, 'and none for the tables, for the list is what it was');

# ---- new ones ----
set_active('custitem_sim_color', 1);
set_active($entity, 1);
days_later('25 hours');
is(told(), "erp.item added custitem_sim_color true, erp.customer added $entity false", 'both are told');
is(columns('erp.item', 'custitem_sim_color') . columns('w.item', 'custitem_sim_color'), '11', 'the one is followed, in source and target');
is(columns('erp.customer', $entity) . columns('w.customer', $entity), '00', 'the other is only told, as its sync wants it');
is(ask("SELECT change || ' ' || column_name FROM makini.refresh_schema('erp.customer')"), "added $entity", 'and there for who asks');
$sim->touch_rows('item', [ map { $_->[0] } $sim->sql('SELECT min(id) FROM netsuite.item') ], custitem_sim_color => 'mauve');
advance($node, '6 hours');
until_so('its values come with the rows that change', "SELECT count(*) = 1 FROM w.item WHERE custitem_sim_color = 'mauve'");
my $before = told();
set_active('custitem_sim_notes', 1);
days_later('25 hours');
is(told(), "$before, erp.item added custitem_sim_notes true", 'another one is told, and the first not again');

# ---- one that can't be followed at once ----
$before = told();
ask(q{CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
	CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('ALTER FOREIGN TABLE') EXECUTE FUNCTION refuse()});
set_active('custitem_sim_shelf_days', 1);
days_later('25 hours') foreach 1 .. 2;
is(told(), "$before, erp.item added custitem_sim_shelf_days false", 'what an event trigger forbids is told once');
ask('DROP EVENT TRIGGER refuse');
days_later('25 hours');
is(told(), "$before, erp.item added custitem_sim_shelf_days false, erp.item added custitem_sim_shelf_days true", 'and followed when it may be');
is(columns('erp.item', 'custitem_sim_shelf_days') . columns('w.item', 'custitem_sim_shelf_days'), '11', 'in source and target');
$sim->forget;
days_later('25 hours');
is(lists() . queries(), '10', 'then one request is enough again');

# ---- one that goes ----
$before = told();
set_active('custitem_sim_notes', 0);
$sim->hide('item', 'custitem_sim_notes', 'unknown');
advance($node, '6 hours');
until_so('a run leaves it out', "SELECT left_out = '{custitem_sim_notes}' FROM makini._sync WHERE sync_id = $item");
days_later('25 hours');
days_later('25 hours');
is(told(), "$before, erp.item removed custitem_sim_notes true", 'one that goes is left out and told of once');
is(columns('w.item', 'custitem_sim_notes'), 1, 'the target keeps it');

# ---- a role that owns neither, and a source that does not answer ----
ask(q{CREATE ROLE keeper; ALTER FOREIGN TABLE erp.item OWNER TO keeper; CREATE ROLE clerk LOGIN; SELECT makini.grant_access('clerk', 'admin', 'erp');
	GRANT USAGE ON SCHEMA erp TO clerk; GRANT SELECT ON erp.item TO clerk; CREATE SCHEMA desk AUTHORIZATION clerk;
	CREATE USER MAPPING FOR clerk SERVER erp } . options_clause(client_id => $sim->value('client_id'), certificate_id => $sim->value('certificate_id'),
		private_key => slurp_file($sim->value('private_key_file'))));
ask("SELECT makini.drop_sync(sync_id) FROM makini.sync");
my $clerks = $node->safe_psql('postgres', "SELECT makini.create_sync('erp.item', 'desk.item', '6 hours')", extra_params => [ '-U', 'clerk' ]);
until_so('a clerk has a sync', "SELECT data_as_of IS NOT NULL FROM makini.sync WHERE sync_id = $clerks");
set_active('custitem_sim_area', 0);
ask('ALTER FOREIGN TABLE erp.item DROP COLUMN custitem_sim_area');
ask(q{UPDATE makini._imported SET columns = (SELECT array_agg(c ORDER BY n) FROM unnest(columns) WITH ORDINALITY u (c, n)
	WHERE NOT (c = 'custitem_sim_area' OR n = 1 + array_position(columns, 'custitem_sim_area')))
	WHERE 'custitem_sim_area' = ANY (columns)});
days_later('25 hours');
set_active('custitem_sim_area', 1);
$sim->arm(kind => '503', count => 2, sql => 'FROM customfield');
days_later('25 hours');
days_later('25 hours');
like(told(), qr/\berp\.item added custitem_sim_area false$/, 'what a role may not alter it is told');
is(columns('erp.item', 'custitem_sim_area'), 0, 'and nothing is altered');
$before = told();
days_later('25 hours');
is(told(), $before, 'once');

# ---- an account that does not answer ----
connect_server($node, $sim, server => 'two', tables => ['customer']);
my $two = ask("SELECT makini.create_sync('two.customer', 'w.two', '6 hours')");
until_so('another server has a sync', "SELECT data_as_of IS NOT NULL FROM makini.sync WHERE sync_id = $two");
days_later('25 hours');
my $held = $sim->arm(kind => 'hold', count => 0, sql => 'FROM customfield');
sub struck { my ($fault) = grep { $_->{id} == $held->{id} } $sim->faults; return $fault->{struck}; }
advance($node, '25 hours');
ok(Hostile::until_true('it to be asked', \&struck), 'an account is asked, and does not answer');
until_so('the runs that are due with it go on', 'SELECT NOT EXISTS (SELECT FROM makini._job)');
my $had = ask("SELECT count(*) FROM makini.sync_run WHERE status = 'completed'");
ask("SELECT makini.request_sync($two, 'incremental')");
until_so('and so does a single one that comes later', "SELECT count(*) > $had FROM makini.sync_run WHERE status = 'completed'");
is(struck(), 1, 'one account is asked at a time');
is(ask(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'makini run' AND query = 'makini account'}), 1, 'which is still awaited');
$sim->disarm;
until_so('then the others are looked at', 'SELECT bool_and(due_at > worker_now()) FROM makini._account_look');

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
done_testing();
