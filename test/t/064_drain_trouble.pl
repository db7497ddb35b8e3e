# Drains in trouble: answers that break off, sessions that end in the middle,
# rows that are no text, tables that have changed.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $sim = Makini::ASCTrac->new;
my $node = makini_node('drain_trouble', conf => "makini.retry_base = 1\ntimezone = 'UTC'\nrestart_after_crash = on");
connect_warehouse($node, $sim);
$node->safe_psql('postgres', q{
	CREATE SCHEMA wms;
	IMPORT FOREIGN SCHEMA v1 FROM SERVER wms INTO wms});
my $true = JSON::PP::true;

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

sub create
{
	my ($feed, %given) = @_;
	my $more = join('', map { ", $_ => '$given{$_}'" } sort keys %given);
	my $id = sql("SELECT makini.create_drain('wms.$feed', 'landing', options => '{\"accept_loss\": true}'$more)");

	sql("SELECT makini.resume_sync($id)");
	return $id;
}

sub run { my ($id) = @_; return lives($node, "CALL makini.run_sync($id)", "run of drain $id"); }
sub drop { my ($id) = @_; return sql("SELECT makini.drop_sync($id, true)"); }
sub acks { my ($table) = @_; return sql("SELECT string_agg(_ack || ' ' || n, ', ' ORDER BY _ack) FROM (SELECT coalesce(_ack, '-') AS _ack, count(*) AS n FROM $table GROUP BY 1) AS k"); }
sub lost { return sql(q{SELECT count(*) FROM makini._event WHERE type = 'system.error' AND data->>'component' = 'drain'}); }
sub redelivers { my ($on) = @_; $sim->set(include_processing => $on ? JSON::PP::true : JSON::PP::false); alter_server($node, 'wms', redelivers => $on ? 'true' : undef); return; }

# ---- answers that break off, from an installation that gives rows again ----

redelivers(1);
foreach my $fault ([ 'cut', row => 200 ], [ 'torn', at => 0.9 ], [ 'cut', row => 200, reset => $true ], ['gzip_cut'], ['bad_chunk'], [ '503', late => $true ])
{
	my ($kind, @how) = @$fault;
	my $id;
	my $before = lost();

	$sim->reset;
	$sim->set(include_processing => $true);
	$id = create('tranfile_export');
	$sim->arm({ kind => $kind, path => 'TranFileExport', @how });
	dies($node, "CALL makini.run_sync($id)", '\w{5}', [qr/The answer broke off; \d+ rows of it have landed/], "$kind");
	my $n = sql('SELECT count(*) FROM landing.tranfile_export');
	is(acks('landing.tranfile_export'), $n > 0 ? "manual $n" : '', "$kind: what came is kept, and not acknowledged");
	cmp_ok($n, '>', 100, "$kind: some came") if $kind eq 'torn' || $kind eq 'cut' && !$how[3];
	is($sim->feed('TranFileExport')->{T}, 0, "$kind: as the other side says, too");
	is(lost(), $before, "$kind: nobody is called");
	is(sql("SELECT status FROM makini.sync_run WHERE sync_id = $id"), 'failed', "$kind: the account");
	sql("SELECT makini.resume_sync($id)");
	run($id);
	is(sql('SELECT count(DISTINCT tranfile_rec_id), count(*) - count(_duplicate_of) FROM landing.tranfile_export'), '287|287', "$kind: the next run has every row, and knows those that came before");
	is(acks('landing.tranfile_export'), 'done ' . (287 + $n), "$kind: all are acknowledged");
	is($sim->feed('TranFileExport')->{S}, 0, "$kind: there, too");
	drop($id);
}

# ---- from one that does not ----

redelivers(0);
$sim->reset;
my $id = create('tranfile_export');
$sim->arm({ kind => 'cut', path => 'TranFileExport', row => 250 });
dies($node, "CALL makini.run_sync($id)", '\w{5}', [qr/HINT:.*Rows handed out between \S+Z and \S+Z may be lost.*resolve_drain\($id/s], 'an answer is lost');
is(lost(), '1', 'which is an event');
is(sql(q{SELECT data->>'code', data->'window'->>'from' < data->'window'->>'to', data->>'message' LIKE '%tranfile_export%', data->'affected'->0->>'source' FROM makini._event WHERE type = 'system.error' AND data->>'component' = 'drain'}),
	'answer_torn|t|t|wms.tranfile_export', 'that says what an operator has to know');
like(sql(q{SELECT message FROM makini.problem WHERE fix_sql LIKE '%resolve_drain%'}), qr/may have lost rows/, 'and a problem');
my $n = sql('SELECT count(*) FROM landing.tranfile_export');
cmp_ok($n, '>', 100, 'what came is there');
run($id);
is(sql('SELECT count(*) FROM landing.tranfile_export'), $n, 'nothing comes again');
like(sql(q{SELECT count(*) FROM makini.problem WHERE fix_sql LIKE '%resolve_drain%'}), qr/1/, 'so that it stays one');
is(sql("SELECT makini.acknowledge($id, ARRAY(SELECT _row_id FROM landing.tranfile_export WHERE _ack = 'manual'))"), $n, 'a person may acknowledge what has come');
run($id);
is(acks('landing.tranfile_export'), "done $n", 'as it is then');
$sim->set_flags('TranFileExport', 'F');
run($id);
is(sql('SELECT count(DISTINCT tranfile_rec_id), count(*) - count(_duplicate_of) FROM landing.tranfile_export'), '287|287', 'once an operator has sent them again, all is there');
is(sql("SELECT makini.resolve_drain($id, 'resent by the night shift')"), '1', 'which is noted');
is(sql(q{SELECT count(*) FROM makini.problem WHERE fix_sql LIKE '%resolve_drain%'}), '0', 'and the problem is none any more');
drop($id);

# ---- what a trigger throws, and what only others stand in the way of ----

$sim->reset;
$id = create('tranfile_export');
sql(q{CREATE FUNCTION landing.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.tranfile_rec_id % 10 = 0 THEN RAISE EXCEPTION 'not tens'; END IF; RETURN NEW; END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON landing.tranfile_export FOR EACH ROW EXECUTE FUNCTION landing.refuse()});
run($id);
is(sql(q{SELECT (SELECT count(*) FROM landing.tranfile_export) + count(*), count(*) > 20, bool_and((data->>'TRANFILE_REC_ID')::numeric % 10 = 0 AND reason = 'P0001: not tens') FROM makini.rejected_row WHERE sync_id = } . $id), '287|t|t', 'rows that a trigger refuses are kept, the others land');
is($sim->feed('TranFileExport')->{T}, 287, 'all are acknowledged');
drop($id);

# ---- rows that a trigger leaves out, and rows that it puts elsewhere ----

$sim->reset;
$id = sql(q{SELECT makini.create_drain('wms.tranfile_export', 'landing', refuse => 'rejected', options => '{"accept_loss": true}')});
sql("SELECT makini.resume_sync($id)");
sql(q{CREATE TABLE landing.scrap () INHERITS (landing.tranfile_export);
	CREATE FUNCTION landing.route() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.tranfile_rec_id % 10 = 0 THEN RETURN NULL; END IF;
		IF NEW.tranfile_rec_id % 10 = 7 THEN INSERT INTO landing.scrap SELECT NEW.*; RETURN NULL; END IF;
		RETURN NEW; END $$;
	CREATE TRIGGER route BEFORE INSERT ON landing.tranfile_export FOR EACH ROW EXECUTE FUNCTION landing.route()});
run($id);
my $left_out = sql("SELECT count(*) FROM makini.rejected_row WHERE sync_id = $id");
is(sql("SELECT count(*) > 20, bool_and((data->>'TRANFILE_REC_ID')::numeric % 10 = 0 AND reason = '09000: a trigger of landing.tranfile_export left the row out') FROM makini.rejected_row WHERE sync_id = $id"), 't|t', 'rows that a trigger leaves out are kept');
is($sim->feed('TranFileExport')->{T}, 287 - $left_out, 'and not acknowledged as landed');
is(acks('landing.tranfile_export'), 'done ' . (287 - $left_out), 'the others are');
cmp_ok(sql('SELECT count(*) FROM landing.scrap'), '>', 20, 'those, too, that it puts into a child of the table');
is(sql("SELECT makini.retry_rejected($id)"), '0', 'tried again, they are left out again');
sql('DROP TRIGGER route ON landing.tranfile_export');
is(sql("SELECT makini.retry_rejected($id)"), $left_out, 'and land without it');
is(sql('SELECT count(DISTINCT tranfile_rec_id) FROM landing.tranfile_export'), '287', 'all of them');
sql('DROP TABLE landing.scrap; CREATE RULE elsewhere AS ON INSERT TO landing.tranfile_export DO INSTEAD NOTHING');
dies($node, "CALL makini.run_sync($id)", '0A000', [qr/target landing\.tranfile_export has rules/], 'a rule is found');
is($sim->feed('TranFileExport')->{S}, 0, 'before anything is handed out');
sql("SELECT makini.drop_sync($id)");
dies($node, q{SELECT makini.create_drain('wms.tranfile_export', 'landing', options => '{"accept_loss": true}')}, '0A000', [qr/has rules/], 'and when a drain is made');
sql('DROP TABLE landing.tranfile_export');

# ---- nothing was handed out ----

$sim->reset;
$id = create('tranfile_export');
$sim->arm({ kind => 'status', status => 400, path => 'TranFileExport', message => 'no' });
my $said = dies($node, "CALL makini.run_sync($id)", '\w{5}', [qr/400/], 'a refusal');
unlike($said, qr/broke off|may be lost/, 'is no loss');
is(sql('SELECT count(*) FROM makini._torn_answer'), '0', 'nor noted as one');
alter_server($node, 'wms', base_url => 'https://localhost:1');
dies($node, "CALL makini.run_sync($id)", '\w{5}', [], 'a server that points elsewhere');
alter_server($node, 'wms', base_url => $sim->value('url'));
is(sql('SELECT count(*) FROM makini._torn_answer'), '0', 'has handed nothing out');
sql("SELECT makini.resume_sync($id)");
run($id);
is(acks('landing.tranfile_export'), 'done 287', 'the next run has all');

# ---- acknowledgements that do not get through ----

$sim->set_flags('TranFileExport', 'F');
$sim->forget;
$sim->arm({ kind => '503', path => 'TranFileExport', after => 1, count => 0 });
dies($node, "CALL makini.run_sync($id)", '08006', [], 'the other side goes away');
$n = sql('SELECT count(*) FROM landing.tranfile_export') - 287;
is(acks('landing.tranfile_export'), "done 287, owed $n", 'rows have landed');
is(sql('SELECT count(*), min(attempts), count(DISTINCT last_error) FROM makini.owed_acknowledgement'), "$n|1|1", 'and are owed their acknowledgement');
$sim->forget;
dies($node, "CALL makini.run_sync($id)", '08006', [], 'while it is away');
is(scalar(grep { $_->{method} eq 'GET' && $_->{path} =~ /TranFile/ } $sim->log_entries), 0, 'nothing more is asked for');
$sim->disarm;
sql("SELECT makini.resume_sync($id)");
$sim->forget;
run($id);
is(acks('landing.tranfile_export'), 'done ' . (287 + $n), 'it is sent in the end');
like(join(' ', map { $_->{method} } grep { $_->{path} =~ /TranFile/ } $sim->log_entries), qr/^PUT GET/, 'before anything else');
drop($id);

# ---- what is held while acknowledgements are on their way ----

$sim->reset;
$id = create('tranfile_export');
{
	my $session = Hostile::Session->new($node);

	$sim->arm(kind => 'delay', ms => 1500, path => 'TranFileExport', after => 1, late => $true);
	$session->send("CALL makini.run_sync($id)");
	until_true('an acknowledgement', sub { return $sim->feed('TranFileExport')->{T} > 0; });
	is(sql("SELECT wait_event_type, backend_xid, backend_xmin, (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid AND l.locktype IN ('relation', 'tuple', 'transactionid')) FROM pg_stat_activity a WHERE pid = " . $session->pid),
		'Extension|||0', 'nothing');
	my (undef, $err) = $session->result;
	is($err, '', 'the run goes on');
	$sim->set_flags('TranFileExport', 'F');
	$sim->arm(kind => 'delay', ms => 1500, path => 'TranFileExport', after => 1, late => $true);
	$session->send("CALL makini.run_sync($id)");
	until_true('an acknowledgement', sub { return $sim->feed('TranFileExport')->{T} > 0; });
	dies($node, "CALL makini.run_sync($id)", '55006', [], 'two runs of one drain');
	is(sql("WITH n AS (SELECT makini.acknowledge($id, ARRAY(SELECT _row_id FROM landing.tranfile_export WHERE _ack = 'owed')) AS n) SELECT n > 0 FROM n"), 't', 'rows may be decided about meanwhile');
	(undef, $err) = $session->result;
	is($err, '', 'which does no harm');
	run($id);
	is(sql(q{SELECT string_agg(DISTINCT _ack, ',') FROM landing.tranfile_export}), 'done', 'all are acknowledged');
	is(sql('SELECT count(*) FROM makini._owed'), '0', 'and nothing is owed');
}
drop($id);

# ---- what is decided otherwise while an acknowledgement is on its way ----

foreach my $heard (1, 0)
{
	my $what = $heard ? 'an acknowledgement' : 'an acknowledgement whose answer is lost';
	my $session = Hostile::Session->new($node);
	my $refuse;

	$sim->reset;
	$id = create('tranfile_export', acknowledge => 'manual');
	run($id);
	$refuse = "SELECT makini.acknowledge($id, ARRAY(SELECT _row_id FROM landing.tranfile_export), false, 'changed my mind')";
	sql("SELECT makini.acknowledge($id, ARRAY(SELECT _row_id FROM landing.tranfile_export WHERE tranfile_rec_id % 2 = 0))");
	$sim->arm($heard ? { kind => 'delay', ms => 1500, path => 'TranFileExport', late => $true } : { kind => '503', path => 'TranFileExport', late => $true, count => 0 });
	$session->send("CALL makini.run_sync($id)");
	until_true('an acknowledgement', sub { return $sim->feed('TranFileExport')->{T} > 0; });
	my $sent = $sim->feed('TranFileExport')->{T};
	$session->result if !$heard;
	my ($out, $err) = says($node, $refuse);
	is($out, $sim->feed('TranFileExport')->{S}, "$what: those that nobody had decided about can be refused");
	like($err, qr/WARNING.*$sent rows were decided about otherwise before/s, '... and no others');
	$session->result if $heard;
	$sim->disarm;
	sql("SELECT makini.resume_sync($id)");
	run($id);
	my $feed = $sim->feed('TranFileExport');
	is(acks('landing.tranfile_export'), "done $feed->{T}, refused $feed->{E}", '... and the tables say what the other side says');
	is("$feed->{T} $feed->{S}", "$sent 0", '... which has taken what it had taken');
	$session->quit;
	drop($id);
}

# ---- sessions that end ----

foreach my $how (qw(cancel kill))
{
	my $before = lost();
	my $session;

	$sim->reset;
	$id = create('tranfile_export');
	$session = Hostile::Session->new($node);
	$sim->add_bulk('TranFileExport', 20_000);
	$sim->arm({ kind => 'drip', path => 'TranFileExport', bytes => 300_000, interval_ms => 300 });
	$session->send("CALL makini.run_sync($id)");
	until_true('rows to land', sub { return sql('SELECT count(*) > 500 FROM landing.tranfile_export') eq 't' });

	# Nothing is held while the network is waited for.
	my ($waited, $held) = (0, 0);
	foreach (1 .. 50)
	{
		my ($wait, $xid, $locks) = split /\|/, sql(
			"SELECT coalesce(wait_event_type, '') = 'Extension', backend_xid IS NOT NULL OR backend_xmin IS NOT NULL, (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid AND l.locktype IN ('relation', 'tuple', 'transactionid')) FROM pg_stat_activity a WHERE pid = " . $session->pid);
		next if $wait ne 't';
		$waited++;
		$held++ if $xid ne 'f' || $locks > 0;
	}
	cmp_ok($waited, '>', 5, "$how: seen waiting");
	is($held, 0, "$how: without a snapshot, a transaction id or a lock");

	if ($how eq 'cancel')
	{
		sql('SELECT pg_cancel_backend(' . $session->pid . ')');
		my (undef, $err) = $session->result;
		like($err, qr/57014.*may be lost/s, 'a cancelled run says what that means');
		is(sql("SELECT status FROM makini.sync_run WHERE sync_id = $id"), 'cancelled', 'and is called so');
	}
	else
	{
		kill 9, $session->pid;
		until_true('the server to come back', sub { return eval { $node->psql('postgres', 'SELECT 1', timeout => 10) == 0 }; });
		is(sql('SELECT count(*) FROM makini._torn_answer'), '0', 'nobody can know yet');
	}
	my $kept = sql('SELECT count(*) FROM landing.tranfile_export');
	$sim->disarm;
	my (undef, $err) = says($node, "CALL makini.run_sync($id)");
	$how eq 'kill' ? like($err, qr/WARNING.*cut off by the end of the session.*$kept rows of it have landed.*may be lost/s, 'the next run says so') : is($err, '', 'the next run goes well');
	is(lost(), $before + 1, "$how: an operator is told");
	is(acks('landing.tranfile_export'), "manual $kept", "$how: what had landed is kept, and not acknowledged");
	is($sim->feed('TranFileExport')->{T}, 0, "$how: there neither");
	drop($id);
}

# ---- rows that are no text ----

$sim->reset;
$sim->add_row('TranFileExport', SKIDID => "A\0B");
$sim->add_row('TranFileExport', SKIDID => 'SOUND');
$id = create('tranfile_export');
run($id);
is(sql('SELECT count(*), count(*) FILTER (WHERE skidid = \'SOUND\') FROM landing.tranfile_export'), '288|1', 'a row that is no text harms no other');
is(sql(q{SELECT count(*), count(*) FILTER (WHERE jsonb_typeof(data) = 'string' AND data #>> '{}' LIKE '%A\\\\u0000B%' AND key ? 'tranfile_rec_id') FROM makini.rejected_row}), '1|1', 'and is kept as it came')
  or diag(sql('SELECT reason, left(data::text, 300), key FROM makini.rejected_row'));
is($sim->feed('TranFileExport')->{S}, 0, 'all are acknowledged');
drop($id);

# ---- tables that have changed ----

$sim->reset;
$id = create('tranfile_export');
sql('ALTER TABLE landing.tranfile_export DROP COLUMN _run_id');
dies($node, "CALL makini.run_sync($id)", '42703', [qr/_run_id/], 'a table without a column of makini\'s');
is($sim->requests('TranFileExport'), 0, 'the feed was not asked');
drop($id);

# ---- tables that get another name while their run waits ----

foreach my $when ('the answer', 'the acknowledgement')
{
	my $acknowledged = $when eq 'the acknowledgement';
	my $session = Hostile::Session->new($node);

	$sim->reset;
	$id = create('tranfile_export');
	$sim->forget;
	$sim->arm(kind => 'hold', path => 'TranFileExport', $acknowledged ? (settled => $true) : ());
	$session->send("CALL makini.run_sync($id)");
	until_true($when, sub { return $acknowledged ? $sim->feed('TranFileExport')->{T} > 0 : ($sim->faults)[0]{struck} > 0; });
	sql('ALTER TABLE landing.tranfile_export RENAME TO moved; CREATE TABLE landing.tranfile_export (LIKE landing.moved INCLUDING IDENTITY)');
	$sim->disarm;
	is(($session->result)[1], '', "$when: the run goes on");
	is(acks('landing.moved'), 'done 287', "$when: with the table that it began with");
	is(sql('SELECT count(*) FROM landing.tranfile_export'), '0', "$when: not with the one that has its name now");
	drop($id);
	sql('DROP TABLE IF EXISTS landing.tranfile_export, landing.moved');
}

# ---- one that becomes another's meanwhile: nothing more is done with that one's rights ----
{
	my $session = Hostile::Session->new($node);
	my $token = $sim->value('token');

	$sim->reset;
	sql(qq{CREATE ROLE keeper; CREATE ROLE clerk; SELECT makini.grant_access('clerk', 'admin', 'wms');
		CREATE USER MAPPING FOR clerk SERVER wms OPTIONS (token '$token');
		GRANT USAGE ON SCHEMA wms, landing TO clerk, keeper; ALTER FOREIGN TABLE wms.tranfile_export OWNER TO clerk});
	$id = create('tranfile_export');
	sql("UPDATE makini._sync SET owner = 'clerk', owner_oid = 'clerk'::regrole WHERE sync_id = $id; ALTER TABLE landing.tranfile_export OWNER TO clerk");
	$sim->arm(kind => 'hold', path => 'TranFileExport');
	$session->send("CALL makini.run_sync($id)");
	until_true('the answer', sub { return ($sim->faults)[0]{struck} > 0; });
	sql('ALTER TABLE landing.tranfile_export OWNER TO keeper');
	$sim->disarm;
	like(($session->result)[1], qr/"clerk" cannot act as the owner of target landing\.tranfile_export/, 'a table that became another\'s ends the run');
	is(sql('SELECT count(*) FROM landing.tranfile_export'), '0', 'with nothing written');
	drop($id);
	sql('ALTER FOREIGN TABLE wms.tranfile_export OWNER TO CURRENT_USER');
}

# ---- dumps ----

$sim->reset;
$id = create('tranfile_export', acknowledge => 'manual');
run($id);
sql("SELECT makini.acknowledge($id, ARRAY(SELECT _row_id FROM landing.tranfile_export LIMIT 3))");
{
	my $dump = $node->basedir . '/dump.sql';
	my $kept = q{SELECT (SELECT count(*) FROM makini._owed), (SELECT count(*) FROM makini._owed WHERE decided), (SELECT count(*) FROM makini._drain_digest), (SELECT count(*) FROM makini._drain_target), (SELECT count(*) FROM landing.tranfile_export)};

	$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'a dump');
	sql('CREATE DATABASE restored');
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'and its restore');
	is($node->safe_psql('restored', $kept), sql($kept), 'keep what is owed, and what came before');
	is($node->safe_psql('restored', 'SELECT max(_row_id) < nextval(pg_get_serial_sequence(\'landing.tranfile_export\', \'_row_id\')) FROM landing.tranfile_export'), 't', 'row ids go on');
	dies($node, "CALL makini.run_sync($id)", '55000', [qr/another database|activate_instance/], 'where nothing is drained', db => 'restored');
}
drop($id);

$node->stop;
done_testing();
