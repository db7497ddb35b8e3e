# Versions: what the other side announces about the end of its interfaces, and
# what makini says of its own.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use IO::Socket::UNIX;
use JSON::PP;
use JsonSchema;
use Makini;
use POSIX ();
use Test::More;

my ($sim, $asc) = (Makini::Simulator->new, Makini::ASCTrac->new);
my $node = makini_node('versions', preload => 1, conf => "makini.retry_base = 1\nmakini.scheduler_linger = '100ms'\n");
connect_server($node, $sim, tables => ['item']);
connect_warehouse($node, $asc);
$node->safe_psql('postgres', q{
	CREATE FUNCTION advance(by interval) RETURNS timestamptz LANGUAGE C STRICT AS 'makini', 'makini_test_advance_clock';
	CREATE FUNCTION database_state(database oid) RETURNS text LANGUAGE C STRICT AS 'makini', 'makini_test_database_state';
	CREATE VIEW told AS SELECT key AS path, data FROM makini.event WHERE type = 'api.deprecated' ORDER BY event_id});

my $now = time;
my $day = 86400;
my $path = '/services/rest/query/v1/suiteql';

sub ask { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub until_query { my ($what, $sql) = @_; ok(until_true($what, sub { ask($sql) eq 't' }), $what); return; }
sub http_date { return POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime shift); }
sub utc { return POSIX::strftime('%Y-%m-%dT%H:%M:%S.000000Z', gmtime shift); }

sub until_idle
{
	ask('SELECT makini._wake()');
	return until_query('nothing is left to do', "SELECT database_state(oid) LIKE 'asleep%' FROM pg_database WHERE datname = current_database()");
}

sub announce { my ($from, %headers) = @_; $sim->set(announce => { $from => \%headers }); return; }

# ---- a scan whose transaction is rolled back ----
my $sunset = $now + 200 * $day;
announce('suiteql', Deprecation => '@' . ($now - 5 * $day), Sunset => http_date($sunset),
	Link => [ '<https://api.example.com/next>; rel="next"', '</docs/ends?a=1>; rel="deprecation"; type="text/html"' ]);
is(ask('SELECT count(*) FROM makini.test_connection(\'erp\') WHERE status = \'failed\''), 0, 'test_connection sees it');
is(ask('SELECT count(*) FROM makini.api_deprecation'), 0, 'and records nothing');
ask('BEGIN; SELECT count(*) FROM erp.item; ROLLBACK');
until_query('what a scan learned is told, though it was rolled back', 'SELECT count(*) = 1 FROM told');
is(ask('SELECT connection_id = (SELECT connection_id FROM makini.connection WHERE server_name = \'erp\'), path,
		extract(epoch FROM deprecated_at), extract(epoch FROM sunset_at), link, days_left, first_seen <= last_seen FROM makini.api_deprecation'),
	"t|$path|" . ($now - 5 * $day) . ".000000|$sunset.000000|" . $sim->value('url') . '/docs/ends?a=1|199|t', 'and recorded');
my $said = decode_json(ask('SELECT data FROM told'));
is_deeply($said, { server => 'erp', path => $path, deprecated_at => utc($now - 5 * $day), sunset_at => utc($sunset),
		link => $sim->value('url') . '/docs/ends?a=1', days_left => 199 }, 'with these words');
is_deeply([ schema_problems(decode_json(ask("SELECT schema FROM makini.event_type WHERE type = 'api.deprecated'")), $said) ], [], 'as their schema says');
ask('SELECT count(*) FROM erp.item') foreach 1 .. 3;
until_idle();
is(ask('SELECT count(*) FROM told'), 1, 'it is told once, however often it is seen');
is(ask("SELECT count(*) FROM makini.problem WHERE message LIKE '/services%'"), 0, 'and needs nobody yet');

# ---- ahead of the end ----
my $n = 1;
foreach my $step ([ 100, 0 ], [ 11, 1 ], [ 40, 0 ], [ 20, 1 ], [ 22, 1 ], [ 6, 1 ], [ 3, 0 ])
{
	my ($days, $more) = @$step;
	ask("SELECT advance('$days days')");
	$n += $more;
	$more ? until_query("$days days later", "SELECT count(*) = $n FROM told") : until_idle();
	is(ask('SELECT count(*) FROM told'), $n, "$days days later it is told so often");
}
is(ask("SELECT string_agg(data->>'days_left', ' ') FROM told"), '199 88 28 6 0', 'days that were left');

# ---- other paths, another system ----
announce('oauth2/v1/token', Deprecation => 'true');
$sim->revoke_tokens;
$asc->set(announce => { '.' => { Sunset => http_date($now + 20 * $day) } });
ask('SELECT count(*) FROM erp.item');
is(ask("SELECT path, deprecated_at, sunset_at, link, days_left FROM makini.api_deprecation WHERE path LIKE '%token'"),
	'/services/rest/auth/oauth2/v1/token||||', 'a path whose end has no date');
ask("SELECT auth FROM makini.check_connection('wms')");
like(ask("SELECT string_agg(d.path, ' ') FROM makini.api_deprecation d JOIN makini.connection USING (connection_id) WHERE server_name = 'wms' AND days_left = 19"),
	qr{^/}, 'ASCTrac announces too');
is(ask("SELECT DISTINCT severity, connection FROM makini.problem WHERE message LIKE '%will end at%'"), 'warning|wms', 'which is near enough for somebody to look');
until_query('all of it is told', 'SELECT count(*) = (SELECT count(*) FROM makini.api_deprecation) FROM (SELECT DISTINCT path FROM told) p');

# ---- what makes no sense ----
announce('suiteql', Deprecation => '@99999999999999999999', Sunset => 'soon',
	Link => '<javascript:alert(1)>; rel="deprecation", <https://user@example.com/>; rel="sunset"');
ask('SELECT count(*) FROM erp.item');
is(ask("SELECT deprecated_at, sunset_at, link FROM makini.api_deprecation WHERE path = '$path'"), '||', 'dates and links that make no sense are left out');

# ---- who sees it, and what stays ----
ask(q{CREATE ROLE stranger LOGIN; SELECT makini.grant_access('stranger', 'reader')});
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM makini.api_deprecation) + (SELECT count(*) FROM makini.api_usage)', extra_params => [ '-U', 'stranger' ]),
	'0', 'others see nothing of it');
until_idle();
my $before = ask('SELECT connection_id, path, first_seen, deprecated_at, sunset_at, link FROM makini.api_deprecation ORDER BY 1, 2');
$n = ask('SELECT count(*) FROM told');
$node->restart;
is(ask('SELECT connection_id, path, first_seen, deprecated_at, sunset_at, link FROM makini.api_deprecation ORDER BY 1, 2'), $before, 'a restart forgets nothing');
until_idle();
is(ask('SELECT count(*) FROM told'), $n, 'and tells nothing again');

# ---- what uses which version ----
ask(q{
	ALTER FOREIGN TABLE erp.item OPTIONS (ADD api_version 'v1');
	ALTER ROLE stranger SET makini.api_version = 'v1';
	CREATE TABLE hook AS SELECT webhook_id FROM makini.create_webhook('https://hooks.example.com/x')});
is(ask(q{SELECT string_agg(kind || ' ' || CASE kind WHEN 'webhook' THEN (object::uuid = (SELECT webhook_id FROM hook))::text ELSE object END
			|| ' ' || api_version || ' ' || status || ' ' || (connection_id IS NOT NULL)::text, E'\n' ORDER BY kind, object) FROM makini.api_usage}),
	"foreign table erp.item v1 current true\nserver erp v1 current true\nserver wms v1 current true\nsetting role stranger v1 current false\nwebhook true v1 current false",
	'servers, tables, webhooks and settings say what they use');
my (undef, undef, $stderr) = $node->psql('postgres', q{ALTER FOREIGN TABLE erp.item OPTIONS (SET api_version 'v2')});
like($stderr, qr/v1/, 'a table cannot be of a version that there is not');

# ---- gone ----
ask('DROP SERVER erp CASCADE; DROP SERVER wms CASCADE');
is(ask('SELECT count(*) FROM makini.api_deprecation'), 0, 'servers that are dropped announce nothing more');
until_query('and are forgotten', 'SELECT count(*) = 0 FROM makini._deprecation');

# ---- makini's own versions ----
is(ask(q{SELECT string_agg(column_name, ',' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'makini' AND table_name = 'api_versions'}),
	'version,status,released_at,deprecated_at,sunset_at,replacement,migration_guide', 'columns of the view');
is(ask('SELECT status FROM makini.api_versions WHERE version = makini.api_version()'), 'current', 'what this library speaks is in force');
is(ask(q{SELECT count(*) FROM makini.api_versions WHERE status <> 'current'
			AND (sunset_at >= deprecated_at + interval '12 months') IS NOT TRUE}), 0, 'whatever ends has 12 months at least');
is(ask(q{SELECT count(*) FROM makini.api_versions v WHERE v.status <> 'removed' AND EXISTS (
			SELECT FROM (SELECT DISTINCT type FROM makini.event_type WHERE api_version = 'v1') t
			WHERE NOT EXISTS (SELECT FROM makini.event_type e WHERE e.type = t.type AND e.api_version = v.version))}),
	0, 'and all events of the first have a schema in each that is not removed');
foreach my $bad (
	[ "UPDATE makini._api_version SET status = 'deprecated', deprecated_at = '2027-06-01', sunset_at = '2028-05-31', replacement = 'v2', migration_guide = 'docs/versions.md'", 'eleven months are too few' ],
	[ "UPDATE makini._api_version SET status = 'deprecated', deprecated_at = '2027-06-01', replacement = 'v2', migration_guide = 'docs/versions.md'", 'nothing is deprecated without an end' ],
	[ "UPDATE makini._api_version SET status = 'deprecated', deprecated_at = '2027-06-01', sunset_at = '2028-06-01'", 'or without something that follows' ])
{
	my ($code, undef, $error) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nBEGIN; INSERT INTO makini._api_version VALUES ('v2', 'current', '2027-06-01'); $bad->[0] WHERE version = 'v1'");
	like($error, qr/23514/, $bad->[1]);
}
is(ask(q{SELECT count(*) FROM makini.event WHERE type = 'api.version_announced'}), 0, 'a version that was there at first is not announced, nor one that does not come');
ask(q{BEGIN; INSERT INTO makini._api_version VALUES ('v2', 'current', '2027-06-01');
	UPDATE makini._api_version SET status = 'deprecated', deprecated_at = '2027-06-01', sunset_at = '2028-06-01', replacement = 'v2', migration_guide = 'docs/versions.md' WHERE version = 'v1';
	UPDATE makini._api_version SET status = status; COMMIT});
is(ask(q{SELECT string_agg(key || ' ' || (data->>'status') || ' ' || coalesce(data->>'sunset_at', '-'), ', ' ORDER BY event_id) FROM makini.event WHERE type = 'api.version_announced'}),
	'v2 current -, v1 deprecated 2028-06-01', 'one that comes is, and the end of another');
my $schema = decode_json(ask("SELECT schema FROM makini.event_type WHERE type = 'api.version_announced'"));
is_deeply([ map { schema_problems($schema, decode_json($_)) } split /\n/, ask("SELECT data FROM makini.event WHERE type = 'api.version_announced'") ], [], 'as its schema says');
is(ask(q{SELECT DISTINCT status, sunset_at, replacement FROM makini.api_usage}), 'deprecated|2028-06-01|v2', 'and who uses it is shown so');

# ---- clients are told which version a session speaks ----
sub read_exactly
{
	my ($socket, $left) = @_;
	my $data = '';

	sysread($socket, $data, $left - length $data, length $data) or die 'the server hung up' while length $data < $left;
	return $data;
}

# What a client is told from now on, until the server waits for it again.
sub parameters
{
	my ($socket) = @_;
	my %told;

	while (1)
	{
		my ($type, $size) = unpack('aN', read_exactly($socket, 5));
		my $body = read_exactly($socket, $size - 4);

		die "the server says $body" if $type eq 'E';
		return \%told if $type eq 'Z';
		next if $type ne 'S';
		my ($name, $value) = split /\0/, $body;
		$told{$name} = $value;
	}
	return;
}

sub connect_bare
{
	my $socket = IO::Socket::UNIX->new($node->host . '/.s.PGSQL.' . $node->port) or die "no connection: $!";
	my $user = getpwuid($>);
	my $start = pack('N', 196608) . "user\0$user\0database\0postgres\0\0";

	syswrite($socket, pack('N', 4 + length $start) . $start);
	return ($socket, parameters($socket));
}

my ($socket, $told) = connect_bare();
is($told->{'makini.api_version'}, 'v1', 'a client is told which version its session speaks');
$node->safe_psql('postgres', "ALTER SYSTEM RESET shared_preload_libraries");
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', undef);
$node->restart;
($socket, $told) = connect_bare();
is($told->{'makini.api_version'}, undef, 'where the library is loaded later it is not told yet');
my $query = "SELECT makini.version()\0";
syswrite($socket, 'Q' . pack('N', 4 + length $query) . $query);
is(parameters($socket)->{'makini.api_version'}, 'v1', 'but with the answer to the first statement that does');

$node->stop;
done_testing();
