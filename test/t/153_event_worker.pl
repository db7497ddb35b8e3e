# Events with the background worker: numbered and announced right after the
# commit, watches asked when they are due.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = makini_node('events', preload => 1, conf => "max_worker_processes = 16\nmakini.event_retention = '1 day'\nmax_prepared_transactions = 2\n");

sub sql { return $node->safe_psql('postgres', join(";\n", @_)); }

sub until_sql
{
	my ($what, $query) = @_;
	ok(until_true($what, sub { return sql($query) eq 't'; }), $what);
	return;
}

sql(q{CREATE SERVER erp FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1')});
my $listener = Hostile::Session->new($node);
$listener->ask('LISTEN makini;');

# What a session hears until something is there.
my $heard = '';
sub hears
{
	my ($like, $name) = @_;
	until_true($name, sub { my ($out) = $listener->ask('SELECT 1;'); $heard .= $out; return $heard =~ $like; });
	like($heard, $like, $name);
	return;
}

# ---- numbered and announced, though nobody has a webhook ----
my $id = sql(q{SELECT makini.emit('order.late', connection => 'erp')});
until_sql('an event gets its number', q{SELECT sequence = 1 FROM makini.event WHERE type = 'order.late'});
hears(qr/"event_id":"$id","type":"order.late"/, 'it is announced by the sender');
is(sql(q{SELECT count(makini.emit('order.many', jsonb_build_object('n', n), 'erp')) FROM generate_series(1, 2000) n}), '2000', 'many in one transaction');
until_sql('many get theirs', q{SELECT count(*) = 2000 AND max(sequence) = 2001 FROM makini.event WHERE type = 'order.many' AND sequence > 1});
is(sql(q{SELECT bool_and((data ->> 'n')::int = sequence - 1) FROM makini.event WHERE type = 'order.many'}), 't', 'in their order');
hears(qr/"count":\d+,"first":/, 'several are announced at once');

# ---- a prepared transaction's are found when it is committed ----
sql('BEGIN', q{SELECT makini.emit('order.prepared', connection => 'erp')}, q{PREPARE TRANSACTION 'later'});
sql(q{SELECT makini.emit('order.between', connection => 'erp')});
until_sql('others go on', q{SELECT sequence = 2002 FROM makini.event WHERE type = 'order.between'});
sql(q{COMMIT PREPARED 'later'});
until_sql('its event is numbered', q{SELECT sequence = 2003 FROM makini.event WHERE type = 'order.prepared'});

# ---- a watch is asked by itself ----
sql('CREATE TABLE po (id int PRIMARY KEY)', 'INSERT INTO po VALUES (1)',
	q{SELECT makini.create_watch('po', 'SELECT id FROM po', '1 s', 'po.new', '{id}')});
until_sql('its first look is silent', q{SELECT known_rows = 1 AND fired = 0 FROM makini.watch});
sql('INSERT INTO po VALUES (2)');
until_sql('then it tells what is new', q{SELECT count(*) = 1 AND min(key) = '2' FROM makini.event WHERE type = 'po.new'});
sql(q{SELECT makini.drop_watch('po')});

# ---- cron times are the database's, whatever the session's time zone was ----
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET timezone = 'Asia/Kolkata'});
sql(q{SET timezone = 'America/Los_Angeles'}, q{SELECT makini.create_watch('nightly', 'SELECT id FROM po', '30 2 * * *', 'po.night', '{id}')});
my $at_night = q{SELECT (next_run_at AT TIME ZONE 'Asia/Kolkata')::time BETWEEN '02:30' AND '02:31' FROM makini.watch};
until_sql('a new watch is asked next when the database says', $at_night);
sql(q{SET timezone = 'America/Los_Angeles'}, q{SELECT makini.alter_watch('nightly', '{"schedule": "30 2 * * *"}')});
until_sql('so is one that was altered', $at_night);
sql(q{ALTER DATABASE postgres RESET timezone}, q{SELECT makini.drop_watch('nightly')});

# ---- dropping the extension with the worker at it ----
sql(q{SELECT count(makini.emit('order.last')) FROM generate_series(1, 100)}, 'DROP EXTENSION makini CASCADE');
is(sql(q{SELECT count(*) FROM pg_extension WHERE extname = 'makini'}), '0', 'the extension goes');
sql('CREATE EXTENSION makini');
sql(q{SELECT makini.emit('order.again')});
until_sql('and comes back', q{SELECT count(*) = 1 FROM makini._event_log WHERE type = 'order.again'});

$listener->quit;
$node->stop;
done_testing();
