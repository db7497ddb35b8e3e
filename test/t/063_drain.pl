# Drains: feeds land in append-only tables with their children, and are
# acknowledged when, and as, they have landed.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $sim = Makini::ASCTrac->new;
my $node = makini_node('drain', conf => "makini.retry_base = 1\ntimezone = 'UTC'");
connect_warehouse($node, $sim);
$node->safe_psql('postgres', q{
	CREATE SCHEMA wms;
	IMPORT FOREIGN SCHEMA v1 FROM SERVER wms INTO wms});

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# A drain into a schema of its own, enabled; gives its id.
sub create
{
	my ($feed, $schema, %given) = @_;
	my $more = join('', map { ", $_ => '$given{$_}'" } sort grep { $_ ne 'loss' } keys %given);
	my $loss = $given{loss} // 'true';
	my $id = sql("SELECT makini.create_drain('wms.$feed', '$schema', options => '{\"accept_loss\": $loss}'$more)");

	sql("SELECT makini.resume_sync($id)");
	return $id;
}

sub run { my ($id) = @_; return lives($node, "CALL makini.run_sync($id)", "run of drain $id"); }
sub drop { my ($id) = @_; return sql("SELECT makini.drop_sync($id, true)"); }
sub acks { my ($table) = @_; return sql("SELECT string_agg(_ack || ' ' || n, ', ' ORDER BY _ack) FROM (SELECT coalesce(_ack, '-') AS _ack, count(*) AS n FROM $table GROUP BY 1) AS k"); }

# ---- creating ----

dies($node, q{SELECT makini.create_drain('wms.tranfile_export', 'landing')}, '55000', [qr/accept_loss/, qr/check_drain/], 'a feed that loses rows');
dies($node, q{SELECT makini.create_drain('wms.inventory_audit', 'landing')}, '42809', [qr/not a feed/], 'what is no feed');
dies($node, q{SELECT makini.create_drain('wms.cust_order_export_picks', 'landing')}, '42809', [qr/cust_order_export/], 'a child');
dies($node, q{SELECT makini.create_drain('wms.tranfile_export', 'landing', options => '{"acept_loss": true}')}, '22023', [qr/accept_loss/], 'a misspelt option');
dies($node, q{SELECT makini.create_drain('wms.tranfile_export', 'landing', acknowledge => 'yes')}, '22023', [qr/landed/], 'an unknown way to acknowledge');
dies($node, q{SELECT makini.create_drain('wms.tranfile_export', 'landing', schedule => 'often', options => '{"accept_loss": true}')}, '22\w+', [], 'a schedule that is none');
is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'landing'}), '0', 'none of these left a schema');
is($sim->requests('TranFileExport'), 0, 'or asked the feed');

my $moves = sql(q{SELECT makini.create_drain('wms.tranfile_export', 'landing', options => '{"accept_loss": true}')});
is(sql("SELECT mode, enabled, state, schedule FROM makini.sync WHERE sync_id = $moves"), 'drain|f|paused|', 'begins disabled');
dies($node, "CALL makini.run_sync($moves)", '55000', [qr/resume_sync/], 'and does not run');
dies($node, q{SELECT makini.create_drain('wms.tranfile_export', 'elsewhere', options => '{"accept_loss": true}')}, '55006', [qr/drain $moves/], 'a second drain of a feed');
is($sim->requests('TranFileExport'), 0, 'the feed was not asked');

# ---- landing ----

sql("SELECT makini.resume_sync($moves)");
my $ready = $sim->feed('TranFileExport')->{F};
run($moves);
my $landed = sql('SELECT count(*) FROM landing.tranfile_export');
cmp_ok($landed, '>', 200, 'rows have landed');
is(acks('landing.tranfile_export'), "done $landed", 'and are acknowledged');
is($sim->feed('TranFileExport')->{T}, $landed, 'as the other side says, too');
is(sql("SELECT rows_read, rows_inserted, rows_rejected, status FROM makini.sync_run WHERE sync_id = $moves ORDER BY run_id DESC LIMIT 1"), "$landed|$landed|0|completed", 'the account');
is(sql("SELECT state, data_as_of > now() - interval '1 hour', last_success_at IS NOT NULL FROM makini.sync WHERE sync_id = $moves"), 'incremental|t|t', 'the state');
is(sql('SELECT count(*) FROM makini.owed_acknowledgement'), '0', 'nothing is owed');
is(sql(q{SELECT bool_and(_raw->>'TRANFILE_REC_ID' IS NOT NULL AND (_raw->>'TRANFILE_REC_ID')::numeric = tranfile_rec_id AND _received_at <= now() AND _duplicate_of IS NULL) FROM landing.tranfile_export}), 't', 'each with what was sent');
run($moves);
is(sql('SELECT count(*) FROM landing.tranfile_export'), $landed, 'what was handed out does not come again');
$sim->set_flags('TranFileExport', 'F');
run($moves);
is(sql('SELECT count(*) FROM landing.tranfile_export'), 2 * $landed, 'rows that an operator resends land beside the old ones');
is(sql(q{SELECT count(*) FROM landing.tranfile_export n JOIN landing.tranfile_export o ON o._row_id = n._duplicate_of WHERE o._raw = n._raw AND o._duplicate_of IS NULL}), $landed, 'marked as the same');
dies($node, 'INSERT INTO landing.tranfile_export (_row_id, _received_at) VALUES (1, now())', '428C9', [], 'row ids are makini\'s');

# ---- children, keys of orders ----

$sim->reset;
my $orders = create('cust_order_export', 'landing');
run($orders);
my $n = sql('SELECT count(*) FROM landing.cust_order_export');
cmp_ok($n, '>', 10, 'orders');
is(sql(q{SELECT sum(jsonb_array_length(_raw->'PicksList')) = (SELECT count(*) FROM landing.cust_order_export_picks) FROM landing.cust_order_export}), 't', 'every pick');
is(sql(q{SELECT sum(jsonb_array_length(_raw->'ContainersList')) = (SELECT count(*) FROM landing.cust_order_export_containers) FROM landing.cust_order_export}), 't', 'every container');
is(sql(q{SELECT bool_and(p.ordernumber = o.ordernumber AND p._run_id = o._run_id AND p._ack = o._ack)
	FROM landing.cust_order_export_picks p LEFT JOIN landing.cust_order_export o ON o._row_id = p._parent_row_id}), 't', 'belongs to its order, and shares its fate');
is(sql(q{SELECT o._ack, w.attempts, w.last_error LIKE '%Unclosed quotation%', w.key FROM makini.owed_acknowledgement w JOIN landing.cust_order_export o ON o._row_id = w.row_id}),
	q{owed|1|t|{"ordernumber": "O'MALLEY-1"}}, 'a key that the other side chokes on is still owed');
run($orders);
is(sql('SELECT attempts FROM makini.owed_acknowledgement'), '2', 'and tried again');
$sim->set_flags('CustOrderExport', 'F');
run($orders);
is(sql('SELECT count(*) FROM landing.cust_order_export WHERE _duplicate_of IS NOT NULL'), $n, 'orders that came again');
is(sql(q{SELECT bool_and(d.line_number IS NOT DISTINCT FROM p.line_number AND d._parent_row_id = o._duplicate_of)
	FROM landing.cust_order_export_picks p JOIN landing.cust_order_export o ON o._row_id = p._parent_row_id
	LEFT JOIN landing.cust_order_export_picks d ON d._row_id = p._duplicate_of WHERE o._duplicate_of IS NOT NULL}), 't', 'and their picks');
is(sql('SELECT count(*) FROM makini._owed'), '2', 'one key, both of its rows');
drop($orders);
is(sql(q{SELECT count(*) FROM pg_class WHERE relname LIKE 'cust_order_export%' AND relnamespace = 'landing'::regnamespace}), '0', 'a drain goes with its tables');
is(sql("SELECT (SELECT count(*) FROM makini._owed WHERE sync_id = $orders) + (SELECT count(*) FROM makini._drain_digest WHERE sync_id = $orders)"), '0', 'and all that was kept');

# ---- two feeds, one flag ----

my $lines = create('po_lines_export', 'landing');
dies($node, q{SELECT makini.create_drain('wms.po_licenses_export', 'landing', options => '{"accept_loss": true}')}, '55006', [qr/drain $lines of wms\.po_lines_export/], 'PO lines and licenses take the same rows');
run($lines);
is(sql(q{SELECT string_agg(DISTINCT _ack, ' ') FROM landing.po_lines_export WHERE _raw::text NOT LIKE '%''%'}), 'done', 'lines are acknowledged by their composite key');
cmp_ok($sim->feed('POLinesExport')->{T}, '>', 0, 'as the other side says, too');
drop($lines);
$sim->reset;
my $licenses = create('po_licenses_export', 'landing');
run($licenses);
cmp_ok(sql('SELECT count(*) FROM landing.po_licenses_export'), '>', 10, 'licenses, once the lines are gone');
run($licenses);
is(sql(q{SELECT count(*) = count(_duplicate_of) AND count(*) > 0 AND bool_and(_raw->>'ORDERNUMBER' NOT LIKE 'ASN-%') FROM landing.po_licenses_export WHERE _run_id = (SELECT max(run_id) FROM makini.sync_run)}),
	't', 'advance notices come for ever, which is marked');
drop($licenses);

# ---- the others ----

foreach my $feed (qw(cust_order_status_export parcel_export wcs_picks))
{
	my $id = create($feed, 'landing');

	run($id);
	cmp_ok(sql("SELECT count(*) FROM landing.$feed"), '>', 0, "$feed: rows");
	like(acks("landing.$feed"), $feed eq 'wcs_picks' ? qr/^never \d+$/ : qr/^done \d+/, "$feed: acknowledged, where it takes that");
	drop($id);
}

# Rows that carry the clock of their answer are known again all the same.
$sim->reset;
my $events = create('cust_order_status_export', 'landing');
run($events);
$sim->set_flags('CustOrderStatusExport', 'F');
run($events);
is(sql(q{SELECT count(*) - 2 * count(_duplicate_of), count(*) > 20 FROM landing.cust_order_status_export}), '0|t', 'events that came again, at another time of day');
drop($events);

# ---- by hand ----

$sim->reset;
drop($moves);
$moves = create('tranfile_export', 'landing', acknowledge => 'manual');
run($moves);
is(acks('landing.tranfile_export'), "manual $landed", 'rows wait for a decision');
is($sim->feed('TranFileExport')->{S}, $landed, 'at the other side, too');
is(sql('SELECT count(*) FROM makini.owed_acknowledgement'), '0', 'nothing is owed yet');
is(sql("SELECT makini.acknowledge($moves, ARRAY(SELECT _row_id FROM landing.tranfile_export ORDER BY _row_id LIMIT 10))"), '10', 'ten are decided');
sql("BEGIN; SELECT makini.acknowledge($moves, ARRAY(SELECT _row_id FROM landing.tranfile_export WHERE _ack = 'manual')); ROLLBACK");
is(sql("SELECT makini.acknowledge($moves, ARRAY(SELECT _row_id FROM landing.tranfile_export WHERE _ack = 'manual' ORDER BY _row_id LIMIT 5), false, 'never ordered')"), '5', 'five are refused');
is(acks('landing.tranfile_export'), 'manual ' . ($landed - 15) . ', owed 15', 'and owed');
is(sql('SELECT count(*) FILTER (WHERE accepted), count(*) FILTER (WHERE message = \'never ordered\') FROM makini.owed_acknowledgement'), '10|5', 'as the view says');
is(scalar(grep { $_->{method} eq 'PUT' } $sim->log_entries(service => 'tranfileexport')), 0, 'nothing has been sent');
run($moves);
is(acks('landing.tranfile_export'), 'done 10, manual ' . ($landed - 15) . ', refused 5', 'they were sent by the next run');
is($sim->feed('TranFileExport')->{T} . ' ' . $sim->feed('TranFileExport')->{E}, '10 5', 'and taken');
is((grep { $_->{flag} eq 'E' } $sim->feed_rows('TranFileExport'))[0]{message}, 'never ordered', 'with the message');
is(sql("SELECT makini.acknowledge($moves, ARRAY(SELECT _row_id FROM landing.tranfile_export WHERE _ack <> 'manual'))"), '0', 'what is settled is settled');
dies($node, "SELECT makini.acknowledge(4711, '{1}')", '42704', [], 'no such drain');
dies($node, "SELECT makini.acknowledge($moves, NULL)", '22004', [], 'no rows');
drop($moves);

# ---- one key, several rows, some undecided ----

$sim->reset;
$orders = create('cust_order_status_export', 'landing', acknowledge => 'manual');
run($orders);
my $order = sql(q{SELECT ordernumber FROM landing.cust_order_status_export WHERE ordernumber NOT LIKE '%''%' GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1});
sql("SELECT makini.acknowledge($orders, ARRAY(SELECT min(_row_id) FROM landing.cust_order_status_export WHERE ordernumber = '$order'))");
run($orders);
is($sim->feed('CustOrderStatusExport')->{T}, 0, 'a key is not acknowledged while one of its rows is undecided');
sql("SELECT makini.acknowledge($orders, ARRAY(SELECT _row_id FROM landing.cust_order_status_export WHERE ordernumber = '$order' AND _ack = 'manual'))");
run($orders);
cmp_ok($sim->feed('CustOrderStatusExport')->{T}, '>', 1, 'but when all are');
is(sql("SELECT string_agg(DISTINCT _ack, ',') FROM landing.cust_order_status_export WHERE ordernumber = '$order'"), 'done', 'which all of them show');
drop($orders);

# ---- never ----

$sim->reset;
$moves = create('tranfile_export', 'landing', acknowledge => 'never');
run($moves);
is(acks('landing.tranfile_export'), "never $landed", 'a drain that does not acknowledge');
is($sim->feed('TranFileExport')->{S}, $landed, 'does not');
drop($moves);

# ---- rows that can't be written ----

sub strict_table
{
	sql(q{CREATE TABLE IF NOT EXISTS landing.tranfile_export (tranfile_rec_id bigint, trans_type varchar(20), quantity numeric, facility text, skidid text CHECK (skidid NOT LIKE 'BROKEN%'),
		_row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, _received_at timestamptz NOT NULL, _run_id bigint, _ack text, _duplicate_of bigint, _raw jsonb)});
	return;
}

foreach my $refuse (qw(never rejected))
{
	$sim->reset;
	$sim->add_row('TranFileExport', SKIDID => "BROKEN$_") foreach 1, 2;
	my $left = $sim->feed('TranFileExport')->{F} - $landed - 2;
	strict_table();
	$moves = create('tranfile_export', 'landing', refuse => $refuse);
	run($moves);
	is(sql('SELECT count(*) FROM landing.tranfile_export'), $landed, "refuse $refuse: the sound rows have landed");
	is(sql("SELECT count(*), count(*) FILTER (WHERE reason LIKE '23514:%' AND data->>'SKIDID' LIKE 'BROKEN_' AND key ? 'tranfile_rec_id') FROM makini.rejected_row WHERE sync_id = $moves"), '2|2', "refuse $refuse: the others are kept, with their reasons");
	is(sql("SELECT status, rows_rejected FROM makini.sync_run WHERE sync_id = $moves"), 'partial|2', "refuse $refuse: which the account says");
	is(join(' ', map { $sim->feed('TranFileExport')->{$_} } qw(F S T E)), $refuse eq 'never' ? "$left 0 " . ($landed + 2) . ' 0' : "$left 0 $landed 2", "refuse $refuse: and the other side knows")
	  or diag(explain($sim->feed('TranFileExport')));
	is(sql('SELECT count(*) FROM makini.owed_acknowledgement'), '0', "refuse $refuse: nothing is owed");
	is(sql("SELECT makini.retry_rejected($moves)"), '0', "refuse $refuse: tried again, they are refused again");
	sql(q{ALTER TABLE landing.tranfile_export DROP CONSTRAINT tranfile_export_skidid_check});
	$sim->forget;
	is(sql("SELECT makini.retry_rejected($moves)"), '2', "refuse $refuse: when the table has changed they land");
	is($sim->requests('TranFileExport'), 0, "refuse $refuse: from what was kept of them");
	is(sql(q{SELECT count(*), count(DISTINCT _row_id), count(DISTINCT _run_id) FROM landing.tranfile_export}), join('|', $landed + 2, $landed + 2, 1), "refuse $refuse: as if they had come with the others");
	is(acks('landing.tranfile_export'), $refuse eq 'never' ? 'done ' . ($landed + 2) : "done $landed, refused 2", "refuse $refuse: with what became of them");
	is(sql("SELECT count(*) FROM makini.rejected_row WHERE sync_id = $moves AND resolved_at IS NULL"), '0', "refuse $refuse: and are settled");
	drop($moves);
}

# With children, too.
$sim->reset;
$orders = create('cust_order_export', 'landing');
sql(q{ALTER TABLE landing.cust_order_export_picks ADD CONSTRAINT no_line CHECK (line_number <> 1)});
run($orders);
cmp_ok(sql('SELECT count(*) FROM makini.rejected_row WHERE resolved_at IS NULL'), '>', 0, 'a child that can\'t be written keeps its parent away');
is(sql('SELECT count(*) FROM landing.cust_order_export_picks p LEFT JOIN landing.cust_order_export o ON o._row_id = p._parent_row_id WHERE o._row_id IS NULL'), '0', 'and its siblings');
sql(q{ALTER TABLE landing.cust_order_export_picks DROP CONSTRAINT no_line});
sql("SELECT makini.retry_rejected($orders, ARRAY(SELECT rejected_id FROM makini.rejected_row WHERE resolved_at IS NULL))");
is(sql(q{SELECT (SELECT count(*) FROM landing.cust_order_export), sum(jsonb_array_length(_raw->'PicksList')) = (SELECT count(*) FROM landing.cust_order_export_picks) FROM landing.cust_order_export}), "$n|t", 'until they are landed together');
drop($orders);

# ---- tables that were there ----

$sim->reset;
sql('CREATE TABLE landing.tranfile_export (tranfile_rec_id bigint, _row_id bigint)');
dies($node, q{SELECT makini.create_drain('wms.tranfile_export', 'landing', options => '{"accept_loss": true}')}, '42703', [qr/_received_at/, qr/HINT:.*ALTER TABLE landing\.tranfile_export ADD COLUMN/], 'a table that lacks a column');
sql('DROP TABLE landing.tranfile_export');
sql('CREATE DOMAIN landing.word AS text CHECK (VALUE IS NOT NULL); CREATE TYPE landing.pair AS (one landing.word)');
strict_table();
sql('ALTER TABLE landing.tranfile_export ALTER facility TYPE landing.pair USING NULL');
$moves = create('tranfile_export', 'landing');
dies($node, "CALL makini.run_sync($moves)", '42804', [qr/"facility".*landing\.pair/], 'a column whose values call functions of others');
drop($moves);
strict_table();
sql(q{ALTER TABLE landing.tranfile_export ADD mine text DEFAULT 'kept', ADD doubled numeric GENERATED ALWAYS AS (quantity * 2) STORED;
	CREATE FUNCTION landing.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.facility := coalesce(NEW.facility, '?') || ' ' || current_user; RETURN NEW; END $$;
	CREATE ROLE keeper;
	CREATE TRIGGER note BEFORE INSERT ON landing.tranfile_export FOR EACH ROW EXECUTE FUNCTION landing.note();
	GRANT ALL ON SCHEMA landing TO keeper;
	ALTER TABLE landing.tranfile_export OWNER TO keeper});
$moves = create('tranfile_export', 'landing');
run($moves);
is(sql(q{SELECT count(*), count(*) FILTER (WHERE mine = 'kept' AND doubled = quantity * 2 AND facility LIKE '% keeper') FROM landing.tranfile_export}), "$landed|$landed", 'is used as it is, with its owner\'s rights');
sql(q{DROP TRIGGER note ON landing.tranfile_export});
drop($moves);

# Partitions, and a sequence that is no identity.
$sim->reset;
sql(q{CREATE TABLE landing.tranfile_export (tranfile_rec_id bigint, trans_type text, _row_id bigserial, _received_at timestamptz NOT NULL, _run_id bigint, _ack text, _duplicate_of bigint, _raw jsonb)
		PARTITION BY LIST (trans_type);
	CREATE TABLE landing.scrap PARTITION OF landing.tranfile_export FOR VALUES IN ('SC');
	CREATE TABLE landing.others PARTITION OF landing.tranfile_export DEFAULT});
$moves = create('tranfile_export', 'landing');
run($moves);
is(sql(q{SELECT (SELECT count(*) FROM landing.scrap) > 0, count(*), count(*) FILTER (WHERE _ack = 'done') FROM landing.tranfile_export}), "t|$landed|$landed", 'a partitioned table');
drop($moves);

# ---- whose it is ----

$sim->reset;
sql(q{CREATE ROLE clerk LOGIN; SELECT makini.grant_access('clerk', 'admin', 'wms'); GRANT USAGE ON SCHEMA wms TO clerk; GRANT SELECT ON wms.tranfile_export TO clerk; GRANT CREATE ON DATABASE postgres TO clerk});
dies($node, q{SELECT makini.create_drain('wms.tranfile_export', 'clerks', options => '{"accept_loss": true}')}, '42501', [qr/must be owner/], 'reading is not enough', user => 'clerk');
$moves = create('tranfile_export', 'landing', acknowledge => 'manual');
run($moves);
dies($node, "SELECT makini.acknowledge($moves, '{1}')", '42501', [qr/must be owner/], 'nor may others acknowledge', user => 'clerk');
sql(q{CREATE TABLE landing.log (who name);
	CREATE FUNCTION landing.who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO landing.log VALUES (current_user); RETURN NEW; END $$;
	GRANT ALL ON landing.log TO keeper;
	CREATE TRIGGER who BEFORE UPDATE ON landing.tranfile_export FOR EACH ROW EXECUTE FUNCTION landing.who();
	ALTER TABLE landing.tranfile_export OWNER TO keeper});
sql("SELECT makini.acknowledge($moves, ARRAY(SELECT min(_row_id) FROM landing.tranfile_export))");
is(sql('SELECT DISTINCT who FROM landing.log'), 'keeper', 'a superuser who acknowledges lends nobody his rights');
# the table became another's after the drain was made, as by REASSIGN OWNED
sql("UPDATE makini._sync SET owner = 'clerk', owner_oid = 'clerk'::regrole WHERE sync_id = $moves");
my $acknowledge = "SELECT makini.acknowledge($moves, '{" . sql(q{SELECT max(_row_id) FROM landing.tranfile_export}) . "}')";
dies($node, $acknowledge, '42501', [qr/"clerk" cannot act as the owner of target landing\.tranfile_export/], 'nor does the owner of the table to who makes drains', user => 'clerk');
sql('GRANT keeper TO clerk');
is(lives($node, $acknowledge, 'acknowledging', user => 'clerk'), '1', 'unless he is a member');
sql("REVOKE keeper FROM clerk; UPDATE makini._sync SET owner = current_user, owner_oid = current_user::regrole WHERE sync_id = $moves");
sql('ALTER TABLE landing.tranfile_export OWNER TO postgres');
is(lives($node, 'SELECT count(*) FROM makini.owed_acknowledgement', 'the view', user => 'clerk'), '2', 'who may use the server sees what is owed');
sql(q{SELECT makini.revoke_access('clerk', 'reader', 'wms')});
is(lives($node, 'SELECT count(*) FROM makini.owed_acknowledgement', 'the view', user => 'clerk'), '0', 'and only such');
drop($moves);

$node->stop;
done_testing();
