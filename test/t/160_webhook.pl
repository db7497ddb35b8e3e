# Webhooks from end to end: what is sent, retried, kept, replayed and disabled.
use strict;
use warnings;
use lib 'test/lib';
use Digest::SHA qw(hmac_sha256_base64);
use Encode;
use JSON::PP;
use JsonSchema;
use Makini;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook;

my $receiver = Webhook::Receiver->new;
my $node = webhook_node('webhook');
my $quick = '{"schedule": ["10 ms", "10 ms", "10 ms"]}';

sub body_of { my ($request) = @_; return JSON::PP->new->decode($request->{body}); }
sub query { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub refused
{
	my ($sql, $like, $name) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	return like($err, $like, $name);
}

# ---- what is sent ----
$receiver->script('/all', secret => $secret);
my $all = create_webhook($node, $receiver, '/all', headers => '{"authorization": "Bearer abc", "x-team": "ops"}');
my $event = emit($node, 'order.late', '{"order": 17, "text": "größe"}');
$receiver->wait_for('/all', 1);
my ($first) = $receiver->log_of('/all');
is($first->{id}, $event, 'webhook-id is the event');
is($first->{valid}, 1, 'its signature is right');
is($first->{number}, 1, 'deliveries are numbered from 1');
like($first->{head}, qr/^POST \/all HTTP\/1.1\r\n/, 'a POST');
like($first->{head}, qr/^$_\r?$/mi, "header $_")
  foreach 'content-type: application/json', 'makini-version: v1', 'user-agent: makini\/1.0', 'authorization: Bearer abc', 'x-team: ops';
unlike($first->{head}, qr/^(expect|accept|accept-encoding):/mi, 'and no others');
is(Encode::encode('UTF-8', $first->{body}), query("SELECT makini.preview_event('$event')"), 'the body is what preview_event says');
my ($sent_at) = $first->{head} =~ /^webhook-timestamp: (\d+)/m;
my ($signature) = $first->{head} =~ /^webhook-signature: (\S+)/m;
my $signed = hmac_sha256_base64("$event.$sent_at." . Encode::encode('UTF-8', $first->{body}),
	decode_base64(substr($secret, 6)));
is($signature, "v1,$signed=", 'the signature as Perl makes it');
is(query("SELECT status, attempts, last_status FROM makini.delivery WHERE event_id = '$event'"), 'delivered|1|200', 'it is noted');
is(query("SELECT attempt, status, caused_by FROM makini.delivery_attempt"), '1|200|scheduled', 'so is the request');

# ---- only what is committed ----
query("BEGIN; SELECT makini.emit('order.never'); ROLLBACK");
emit($node, 'order.after');
$receiver->wait_for('/all', 2);
is_deeply([ map { body_of($_)->{type} } $receiver->log_of('/all') ], [ 'order.late', 'order.after' ],
	'what was rolled back is not sent');

# ---- patterns, connections, filter ----
query(q{CREATE SERVER erp FOREIGN DATA WRAPPER netsuite_fdw OPTIONS (account_id '1234567_SB1')});
create_webhook($node, $receiver, '/stock', events => '{stock.*,*.low}');
create_webhook($node, $receiver, '/erp', connections => '{erp}');
create_webhook($node, $receiver, '/filter', filter => q{data->>'n' <> '1' AND event->>'type' = 'stock.moved'});
create_webhook($node, $receiver, '/broken', filter => q{(data->>'n')::int > 0});
create_webhook($node, $receiver, '/thin', options => '{"thin": true}');
emit($node, 'stock.moved', '{"n": 1}');
emit($node, 'stock.moved', '{"n": 2}');
emit($node, 'item.low', '{"n": "x"}');
emit($node, 'item.high', '{"n": 3}', connection => 'erp');
until_sent($node);
my $types = sub { join(' ', map { my $b = body_of($_); $b->{type} . ($b->{data}{n} // '-') } $receiver->log_of($_[0])) };
is($types->('/stock'), 'stock.moved1 stock.moved2 item.lowx', 'patterns choose events');
is($types->('/erp'), 'item.high3', 'connections choose events');
is($types->('/filter'), 'stock.moved2', 'a filter chooses events');
is($types->('/broken'), 'stock.moved1 stock.moved2 item.high3', 'what a filter fails for does not keep the others');
is($types->('/thin'), 'stock.moved- stock.moved- item.low- item.high-', 'thin webhooks get no data');
is(query(q{SELECT d.status, d.last_error FROM makini.delivery d JOIN makini.webhook w USING (webhook_id)
	WHERE w.url LIKE '%/broken' AND d.status <> 'delivered'}),
	'failed|filter: invalid input syntax for type integer: "x"', 'and says why');
my ($erp) = $receiver->log_of('/erp');
is(body_of($erp)->{connection}, 'erp', 'the connection is named');
is(body_of($erp)->{sequence}, 1, 'and its events are numbered');
query("SELECT makini.drop_webhook(webhook_id) FROM makini.webhook WHERE url NOT LIKE '%/all'");
is(query('SELECT count(*) FROM makini.webhook'), 1, 'dropped webhooks are gone');

# ---- what is no success ----
sub attempts_of
{
	my ($path, $id) = @_;
	return query("SELECT string_agg(coalesce(a.status::text, '-'), ' ' ORDER BY a.attempt) FROM makini.delivery_attempt a WHERE webhook_id = '$id'");
}
foreach my $case (
	[ '/500', 'server errors are tried again', '500 500 200', status => 500, times => 2 ],
	[ '/404', 'client errors too', '404 200', status => 404, times => 1 ],
	[ '/302', 'redirects are not followed', '302 302 200', status => 302, location => $receiver->url('/redirected'), times => 2 ],
	[ '/reset', 'a connection that breaks', '(- )+200', reset => 1, times => 2 ],
	[ '/204', 'any 2xx will do', '204', status => 204 ],
	[ '/huge', 'little is read of a large answer', '200', huge => 5_000_000 ],
	[ '/dead', 'in the end it is given up', '500 500 500 500', status => 500 ])
{
	my ($path, $name, $expected, @script) = @$case;
	my $id = create_webhook($node, $receiver, $path, options => $quick, events => '{once.*}');

	$receiver->script($path, @script);
	emit($node, 'once.more');
	until_query($node, $name, "SELECT NOT EXISTS (SELECT FROM makini._event) AND NOT EXISTS (SELECT FROM makini._delivery WHERE webhook_id = '$id')");
	like(attempts_of($path, $id), qr{^$expected$}, $name);
	my %id = map { $_->{id} => 1 } $receiver->log_of($path);
	is(scalar(keys %id), 1, "$path: always the same webhook-id");
	query("SELECT makini.disable_webhook('$id')");
}
is($receiver->count('/redirected')->{requests}, 0, 'nothing went where a redirect pointed');
is(query(q{SELECT max(length(response)) FROM makini.delivery_attempt}), 1000, 'of a large answer the beginning is kept');
is(query(q{SELECT d.status, d.attempts, d.last_error FROM makini.delivery d JOIN makini.webhook w USING (webhook_id) WHERE w.url LIKE '%/dead'}),
	'failed|4|answered 500', 'a delivery given up says why');

# ---- time-outs ----
my $slow = create_webhook($node, $receiver, '/slow', options => '{"timeout": "1 s", "schedule": []}', events => '{once.*}');
$receiver->script('/slow', delay_ms => 60000);
emit($node, 'once.slow');
until_query($node, 'the time-out', "SELECT EXISTS (SELECT FROM makini.delivery_attempt WHERE webhook_id = '$slow')");
is(query("SELECT status, error FROM makini.delivery_attempt WHERE webhook_id = '$slow'"), '|no complete answer within 1000 ms', 'a time-out');
$receiver->script('/slow', drip_ms => 200);
emit($node, 'once.drip');
until_query($node, 'the drip', "SELECT count(*) = 2 FROM makini.delivery_attempt WHERE webhook_id = '$slow'");
is(query("SELECT count(*) FROM makini.delivery_attempt WHERE webhook_id = '$slow' AND error LIKE 'no complete%'"), 2, 'and one byte after another is none either');
query("SELECT makini.disable_webhook('$slow')");

# ---- Retry-After ----
my $busy = create_webhook($node, $receiver, '/busy', options => $quick, events => '{once.*}');
$receiver->script('/busy', status => 429, retry_after => 2, times => 1);
emit($node, 'once.busy');
$receiver->wait_for('/busy', 2);
my @busy = $receiver->log_of('/busy');
cmp_ok($busy[1]{at_us} - $busy[0]{at_us}, '>=', 1_900_000, 'Retry-After is kept');
query("SELECT makini.disable_webhook('$busy')");

# ---- gone ----
my $gone = create_webhook($node, $receiver, '/gone', events => '{once.*}');
my $told = create_webhook($node, $receiver, '/told', events => '{webhook.*}');
$receiver->script('/gone', status => 410);
emit($node, 'once.gone');
until_query($node, 'the webhook to be disabled', "SELECT NOT enabled FROM makini.webhook WHERE webhook_id = '$gone'");
is(query("SELECT disabled_reason FROM makini.webhook WHERE webhook_id = '$gone'"), 'it answered 410 Gone', '410 disables');
$receiver->wait_for('/told', 1);
my ($disabled) = map { body_of($_) } $receiver->log_of('/told');
is($disabled->{type}, 'webhook.disabled', 'the others are told');
is($disabled->{data}{webhook_id}, $gone, 'which it was');
is($receiver->count('/gone')->{requests}, 1, 'itself is not');

my $problem = "SELECT fix_sql FROM makini.problem WHERE object = 'webhook $gone' AND message = 'it is disabled: it answered 410 Gone; 0 deliveries wait'";
is(query($problem), "SELECT makini.enable_webhook('$gone')", 'it is a problem');
is(query(query($problem)), 't', 'whose remedy works');
is(query("SELECT count(*) FROM makini.problem WHERE object = 'webhook $gone'"), 0, 'then it is none any more');
query("SELECT makini.disable_webhook('$gone')");
is(query("SELECT count(*) FROM makini.problem WHERE object = 'webhook $gone'"), 0, 'nor is one that a person disabled');

# ---- only failures ----
$node->append_conf('postgresql.conf', "makini.disable_webhook_after = '1 s'");
$node->reload;
my $failing = create_webhook($node, $receiver, '/failing', events => '{once.*}', options => '{"schedule": ["600 ms", "600 ms", "600 ms", "600 ms", "600 ms"]}');
$receiver->script('/failing', status => 503);
emit($node, 'once.failing');
until_query($node, 'the failing one to be disabled', "SELECT NOT enabled FROM makini.webhook WHERE webhook_id = '$failing'");
like(query("SELECT disabled_reason FROM makini.webhook WHERE webhook_id = '$failing'"), qr/^it has only failed since /, 'failing for long disables');
is(query("SELECT pending FROM makini.webhook WHERE webhook_id = '$failing'"), 1, 'what is pending is kept');

# ---- while disabled, and afterwards ----
emit($node, 'once.kept', qq({"n": $_})) foreach 1 .. 3;
until_query($node, 'the backlog', "SELECT pending = 4 FROM makini.webhook WHERE webhook_id = '$failing'");
$receiver->forget;
$receiver->script('/failing', status => 200, secret => $secret);
is(query("SELECT makini.enable_webhook('$failing')"), 't', 'it is enabled');
is(query("SELECT makini.enable_webhook('$failing')"), 'f', 'once');
until_query($node, 'the backlog to be sent', "SELECT pending = 0 FROM makini.webhook WHERE webhook_id = '$failing'");
is_deeply([ sort { $a <=> $b } map { $_->{number} } $receiver->log_of('/failing') ], [ 1 .. 4 ], 'the backlog is sent, without a gap');
query("SELECT makini.disable_webhook('$failing')");
emit($node, 'once.old');
until_query($node, 'one more', "SELECT pending = 1 FROM makini.webhook WHERE webhook_id = '$failing'");
query("SELECT makini.enable_webhook('$failing', 'infinity')");
is(query("SELECT status FROM makini.delivery JOIN makini.event USING (event_id) WHERE type = 'once.old' AND webhook_id = '$failing'"),
	'cancelled', 'infinity: none of what was kept');

# ---- replay ----
my $again = query("SELECT event_id FROM makini.event WHERE type = 'once.gone'");
$receiver->forget;
is(query("SELECT makini.replay('$again', '$failing')"), 1, 'replay of one to one');
$receiver->wait_for('/failing', 1);
is(($receiver->log_of('/failing'))[0]{id}, $again, 'with the same webhook-id');
until_query($node, 'the replay', "SELECT EXISTS (SELECT FROM makini.delivery_attempt WHERE event_id = '$again' AND caused_by = 'manual' AND status = 200)");
is(query("SELECT makini.replay_webhook('$failing', now() - interval '1 hour', only_state => 'undelivered') > 0"), 't', 'replay of what did not arrive');
until_sent($node);
is(query("SELECT count(*) FROM makini.delivery WHERE webhook_id = '$failing' AND status <> 'delivered'"), 0, 'now all did');
is(query("SELECT makini.replay_webhook('$failing', now() - interval '1 hour', only_state => 'undelivered')"), 0, 'and nothing is left to replay');
refused("SELECT makini.replay_webhook('$failing', now(), only_state => 'some')", qr/22023: "some" is not a state/, 'states are checked');
refused("SELECT makini.replay('00000000-0000-7000-8000-000000000000')", qr/42704: event .* does not exist/, 'events are checked');

# ---- order ----
foreach my $ordering ('connection', 'key')
{
	my $path = "/by-$ordering";
	my $id = create_webhook($node, $receiver, $path, events => '{turn.*}', options => qq({"ordering": "$ordering", "schedule": ["20 ms", "20 ms", "20 ms", "20 ms"]}));

	$receiver->script($path, status => 500, times => 3);
	query(qq{SELECT makini.emit('turn.$_', jsonb_build_object('n', n), connection => 'erp', key => CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END)
		FROM generate_series(1, 40) n}) foreach ($ordering);
	until_query($node, 'all in order', "SELECT NOT EXISTS (SELECT FROM makini._event) AND pending = 0 FROM makini.webhook WHERE webhook_id = '$id'");
	my @n = map { body_of($_)->{data}{n} } grep { $_->{status} == 200 } $receiver->log_of($path);
	my @groups = $ordering eq 'key' ? ([ grep { $_ % 2 } @n ], [ grep { !($_ % 2) } @n ]) : (\@n);
	is_deeply($_, [ sort { $a <=> $b } @$_ ], "ordering $ordering: in order") foreach @groups;
	is(scalar(@n), 40, "ordering $ordering: all of them");
	query("SELECT makini.drop_webhook('$id')");
}

# ---- keys too long for an index, characters that UTF-8 does not have: such an event must not keep the others ----
{
	my $id = create_webhook($node, $receiver, '/long', events => '{long.*}', options => '{"ordering": "key"}');

	query(q{SELECT makini.emit('long.key', jsonb_build_object('n', n), key => (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200) i))
		FROM generate_series(1, 3) n});
	$receiver->wait_for('/long', 3);
	is(join(' ', map { body_of($_)->{data}{n} } $receiver->log_of('/long')), '1 2 3', 'events with a key of 6400 bytes, in order');
	query("SELECT makini.drop_webhook('$id')");
}
foreach my $encoding ('WIN1252', 'SQL_ASCII')
{
	my $db = lc($encoding);

	query("CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql($db, "CREATE EXTENSION makini; SELECT makini.create_webhook('" . $receiver->url("/$db") . "', secret => '$secret')");
	$receiver->script("/$db", secret => $secret);
	$node->safe_psql($db, qq{SELECT makini.emit('odd.letter', jsonb_build_object('n', convert_from('\\x78819079', '$encoding')))});
	$node->safe_psql($db, q{SELECT makini.emit('no.letter', '{"n": 2}')});
	$receiver->wait_for("/$db", 2);
	is(join(' ', sort map { body_of($_)->{data}{n} . $_->{valid} } $receiver->log_of("/$db")), '21 x??y1', "$encoding: what has no place in UTF-8 is a question mark");
}

# ---- rate ----
my $rated = create_webhook($node, $receiver, '/rated', events => '{many.*}', options => '{"rate": 20}');
query(q{SELECT count(makini.emit('many.events')) FROM generate_series(1, 30)});
$receiver->wait_for('/rated', 30);
my $count = $receiver->count('/rated');
cmp_ok($count->{last_us} - $count->{first_us}, '>', 1_200_000, 'no faster than the rate');
query("SELECT makini.drop_webhook('$rated')");

# ---- testing ----
my $probe = query("SELECT delivered, status, error IS NULL, event_id IS NOT NULL FROM makini.test_webhook('$failing')");
is($probe, 't|200|t|t', 'a test is sent at once');
my $last = ($receiver->log_of('/failing'))[-1];
is(body_of($last)->{type}, 'webhook.test', 'of type webhook.test');
is($last->{valid}, 1, 'signed');
unlike($last->{head}, qr/makini-delivery/, 'without a number');
$receiver->script('/failing', status => 500, body => 'no, thank you');
is(query("SELECT delivered, status, response, error FROM makini.test_webhook('$failing', 'sync.completed')"), 'f|500|no, thank you|answered 500', 'what it answers is told');

# ---- asymmetric secrets ----
my $pair = query("SELECT webhook_id || ' ' || secret FROM makini.create_webhook('" . $receiver->url('/pair') . "', events => '{pair.*}', secret => 'whsk_')");
my ($pair_id, $public) = split / /, $pair;
like($public, qr/^whpk_/, 'of a pair of keys the public one is told');
$receiver->script('/pair', secret => $public);
emit($node, 'pair.made');
$receiver->wait_for('/pair', 1);
is(($receiver->log_of('/pair'))[0]{valid}, 1, 'and verifies');
like(($receiver->log_of('/pair'))[0]{head}, qr/webhook-signature: v1a,/, 'v1a');

# ---- the key of stored secrets is lost: what the error says helps ----
{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $use = sub
	{
		append_to_file("$dir/$_[0]", $_[0] x 40);
		chmod 0600, "$dir/$_[0]";
		$node->append_conf('postgresql.conf', "makini.key_file = '$dir/$_[0]'");
		$node->reload;
		until_query($node, 'the key', "SELECT setting LIKE '%/$_[0]' FROM pg_settings WHERE name = 'makini.key_file'");
	};

	$use->('a');
	my $sealed = create_webhook($node, $receiver, '/sealed', events => '{sealed.*}', headers => '{"authorization": "Bearer abc"}');
	like(query("SELECT secret FROM makini._webhook_secret WHERE webhook_id = '$sealed'"), qr/^sealed:/, 'a secret is sealed');
	$use->('b');
	refused("SELECT makini.test_webhook('$sealed')", qr/55000: could not decrypt.*HINT: .*rotate the secret, and give the headers again/s, 'with another key it cannot be read');
	my $other = query("SELECT makini.rotate_webhook_secret('$sealed')");
	query("SELECT makini.alter_webhook('$sealed', '{\"headers\": {\"authorization\": \"Bearer abc\"}}')");
	query("SELECT makini.enable_webhook('$sealed')");
	$receiver->script('/sealed', secret => $other);
	emit($node, 'sealed.again');
	$receiver->wait_for('/sealed', 1);
	is(($receiver->log_of('/sealed'))[0]{valid}, 1, 'a new secret signs');
	$node->append_conf('postgresql.conf', "makini.key_file = ''");
	$node->reload;
	query("SELECT makini.drop_webhook('$sealed')");
}

# ---- what the page shows ----
my $page = slurp_file('docs/webhooks.md');
query('CREATE DATABASE page');
while ($page =~ /^```sql\n(.*?)^```\n(?:```\n(.*?)^```\n)?/msg)
{
	my ($sql, $shown) = ($1, $2);
	my ($code, $stdout, $stderr) = $node->psql('page', $sql);

	is($code, 0, 'docs/webhooks.md: ' . (split /\n/, $sql)[0]) or diag($stderr);
	isnt($stdout, '', 'and gives rows') if $sql =~ /FROM makini\.create_webhook/;
	like($stdout, qr/^[0-9a-f-]{36}\|whsec_\S+$/m, 'the secret is shown this once') if $sql =~ /secret FROM makini\.create_webhook/;
	next unless ($shown // '') =~ /^ \S+\n-+\n (\S+)\n/;
	is($stdout, $1, 'with the result shown');
}
my ($names) = slurp_file('src/webhook/option.c') =~ /known\[\] = \{(.*?)\}/s;
like($page, qr/`$_`/, "option $_ is explained") foreach $names =~ /"(\w+)"/g;

# ---- what was raised meanwhile is as published ----
{
	my ($problems, $types) = own_event_problems($node);

	is_deeply($problems, [], 'every event of makini\'s own is as its schema says');
	cmp_ok($types, '>=', 1, 'webhook.disabled among them');
}

# ---- nothing secret in the log ----
foreach my $mistake (q{filter => 'missing > 1'}, q{filter => 'data ->'}, q{api_version => 'v0'})
{
	my ($code) = $node->psql('postgres', "SELECT makini.create_webhook('https://hooks.example.com/', secret => '$secret', $mistake)");

	isnt($code, 0, "refused: $mistake");
}
$node->psql('postgres', q{SELECT makini.alter_webhook(webhook_id, '{"events": {"a": 1}, "headers": {"authorization": "Bearer abc"}}') FROM makini.webhook LIMIT 1}, stderr => \my $refusal);
like($refusal, qr/ERROR/, 'refused: events that are no array');
my $log = slurp_file($node->logfile);
unlike($log, qr/MfKQ9r8GKYqr|Bearer abc|whsk_/, 'no secret is in the log');

$node->stop;
done_testing();
