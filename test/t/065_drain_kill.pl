# Sessions and servers killed at any moment of a drain: what has landed stays,
# what is owed is sent in the end, and nothing is acknowledged that has not
# landed.  What an installation gives once only, and nobody took, is told.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $kills = $ENV{MAKINI_LONG} ? 100 : 10;
my $rows = 1500;

srand($ENV{MAKINI_SEED} // 20261123);
my $sim = Makini::ASCTrac->new;
my $node = PostgreSQL::Test::Cluster->new('drain_kill');
$node->init;
$node->append_conf('postgresql.conf', "makini.retry_base = 1\nfsync = on\nrestart_after_crash = on");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION makini');
connect_warehouse($node, $sim, tables => ['tranfile_export']);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# A share of what has been landed at least once, and what the other side holds done.
sub distinct { my ($schema) = @_; return sql("SELECT count(DISTINCT tranfile_rec_id) FROM $schema.tranfile_export"); }

sub create
{
	my ($schema) = @_;
	my $id = sql("SELECT makini.create_drain('wms.tranfile_export', '$schema', options => '{\"accept_loss\": true}')");

	sql("SELECT makini.resume_sync($id)");
	$sim->add_bulk('TranFileExport', $rows);
	return $id;
}

my %how = (session => 0, postmaster => 0);
my %phase = ();

# Run a drain and kill it somewhere.
sub run_and_kill
{
	my ($id) = @_;
	my $session = Hostile::Session->new($node);
	my $what = rand() < 0.7 ? 'session' : 'postmaster';

	# The third kill of three strikes between an acknowledgement and its answer.
	my $late = $how{session} % 3 == 2;
	$sim->arm(kind => 'delay', ms => 2000, path => 'TranFileExport', after => 1, late => JSON::PP::true) if $late;
	$session->send("CALL makini.run_sync($id)");
	usleep(int(rand(500_000))) unless $late;
	until_true('an acknowledgement', sub { return $sim->feed('TranFileExport')->{T} > 0 || $session->is_done; }) if $late;
	my $over = $session->is_done;
	my $state = $sim->feed('TranFileExport');
	$phase{ $over ? 'behind the end' : $state->{T} > 0 ? 'acknowledging' : 'landing' }++;
	$what eq 'session' ? kill('KILL', $session->pid) : $node->kill9;
	$sim->disarm;
	$how{$what}++;
	$session->kill;
	until_true('the session to be gone', sub { return !kill(0, $session->pid); });
	until_true('the server to start', sub { return $node->start(fail_ok => 1); }) if $what eq 'postmaster';
	until_up($node);
	return "$what, " . ($over ? 'at rest' : 'running');
}

# Everything the other side calls done has landed, and nothing that landed is gone.
sub check_acknowledged
{
	my ($schema, $before, $label) = @_;
	my $done = $sim->feed('TranFileExport')->{T};
	my $landed = sql("SELECT count(*) FROM $schema.tranfile_export");
	my %known = map { $_ => 1 } split /\n/, sql("SELECT tranfile_rec_id FROM $schema.tranfile_export WHERE tranfile_rec_id < 100000000");

	cmp_ok(distinct($schema), '>=', $done, "$label: nothing is acknowledged that has not landed");
	is(join(' ', grep { !$known{$_} } map { $_->{id} } grep { $_->{flag} eq 'T' } $sim->feed_rows('TranFileExport')), '', "$label: row by row");
	cmp_ok($landed, '>=', $before, "$label: what has landed stays");
	return $landed;
}

# ---- from an installation that gives rows again ----

$sim->set(include_processing => JSON::PP::true);
alter_server($node, 'wms', redelivers => 'true');
my $id = create('again');
my $landed = 0;
for my $kill (1 .. $kills)
{
	my $how = run_and_kill($id);

	$landed = check_acknowledged('again', $landed, "kill $kill ($how)");

	# An operator sends everything again, so that there is something to do.
	$sim->set_flags('TranFileExport', 'F') if $sim->feed('TranFileExport')->{S} == 0;
}
$node->safe_psql('postgres', "CALL makini.run_sync($id)");
my $state = $sim->feed('TranFileExport');
is($state->{S}, 0, 'in the end everything is acknowledged');
is(distinct('again'), $state->{T}, 'and everything is there');
is(sql('SELECT count(*) FROM makini._owed'), '0', 'nothing is owed');
is(sql("SELECT string_agg(DISTINCT _ack, ' ') FROM again.tranfile_export"), 'done', 'as the table says');
is(sql('SELECT count(*) FROM again.tranfile_export WHERE _duplicate_of IS NULL'), $state->{T}, 'each row is once the first');
is(sql(q{SELECT count(*) FROM makini._event WHERE type = 'system.error'}), '0', 'nobody was called');
is(sql(q{SELECT count(*) FROM makini._drain_answer WHERE landed_at IS NULL AND torn_at IS NULL OR torn_at IS NOT NULL AND resolved_at IS NULL}), '0', 'no answer is left open');
sql("SELECT makini.drop_sync($id, true)");

# ---- from one that does not ----

$sim->reset;
alter_server($node, 'wms', redelivers => undef);
$id = create('once');
$landed = 0;
for my $kill (1 .. $kills)
{
	my $how = run_and_kill($id);

	$landed = check_acknowledged('once', $landed, "kill $kill ($how), given once");
	$sim->set_flags('TranFileExport', 'F');
}
my $torn = sql('SELECT count(*) FROM makini._drain_answer WHERE landed_at IS NULL');
$node->safe_psql('postgres', "CALL makini.run_sync($id)");
$state = $sim->feed('TranFileExport');
is($state->{S}, 0, 'what was sent again has been acknowledged');
is(distinct('once'), $state->{T}, 'and is there');
is(sql('SELECT count(*) FROM makini._owed'), '0', 'nothing is owed');
is(sql(q{SELECT count(*) FROM makini._event WHERE type = 'system.error' AND data->>'code' = 'answer_torn'}),
	sql('SELECT count(*) FROM makini._drain_answer WHERE torn_at IS NOT NULL'), 'each answer that broke off was told once');
is(sql("SELECT makini.resolve_drain($id, 'all were sent again')"), $torn, 'and can be settled') if $torn > 0;

# ---- where sessions do not wait for their commits ----

$sim->reset;
sql("SELECT makini.drop_sync($id, true)");
$node->append_conf('postgresql.conf', 'wal_buffers = 16MB');
$node->restart;
$id = create('hasty');
my @pids = split /\n/, sql('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
my $writer = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
kill 'STOP', $writer;
sql("SET synchronous_commit = off; CALL makini.run_sync($id)");
$node->kill9;
kill 'KILL', $writer;
until_true('its processes to be gone', sub { return !grep { kill 0, $_ } @pids; });
until_true('the server to start', sub { return $node->start(fail_ok => 1); });
is(distinct('hasty'), $sim->feed('TranFileExport')->{T}, 'what was acknowledged outlasts a crash all the same');
isnt($sim->feed('TranFileExport')->{T}, 0, '... and something was');

note("kills: $how{session} of sessions, $how{postmaster} of servers; " . join(', ', map { "$phase{$_} $_" } sort keys %phase));
$node->stop;
done_testing();
