# Hostile conditions on the wire: each ends in the right rows or in an error
# that says what a person needs to know, never in fewer rows.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use JSON::PP;
use Test::More;

my $sim = Makini::Simulator->new('--scale', '0.05', '--rows', 'item=400');
my $node = makini_node('fault', conf => "makini.retry_base = 1\nmax_connections = 20");
connect_server($node, $sim, tables => [ 'item', 'currency' ], options => { page_size => 20 });
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE erp.wrong (id bigint, no_such_column text) SERVER erp OPTIONS (entity 'item', key 'id');
	CREATE FOREIGN TABLE erp.nowhere (id bigint) SERVER erp OPTIONS (entity 'nosuchtable', key 'id');
	CREATE FOREIGN TABLE erp.unkeyed (id bigint) SERVER erp OPTIONS (query 'SELECT id FROM item');
	CREATE FOREIGN TABLE erp.one (id bigint, itemid text) SERVER erp OPTIONS (entity 'item', key 'id')});

my @path = (path => 'query/v1/suiteql');
my $all = 'SELECT id, itemid FROM erp.one';
my @truth = table_at_source();

sub table_at_source
{
	my @rows = map { "$_->[0]|$_->[1]" } $sim->sql('SELECT id, itemid FROM netsuite.item ORDER BY id');

	utf8::encode($_) foreach @rows;
	return @rows;
}

# The whole table is what it should be.
sub is_right
{
	my ($name) = @_;
	my ($out, $err) = says($node, $all);
	my @rows = sort { ($a =~ /^(-?\d+)/)[0] <=> ($b =~ /^(-?\d+)/)[0] } split /\n/, $out;
	my ($first) = grep { ($rows[$_] // '') ne ($truth[$_] // '') } 0 .. ($#rows > $#truth ? $#rows : $#truth);

	is($err, '', "$name: no error");
	ok(!defined $first, "$name: all rows")
	  or diag(scalar(@rows) . ' of ' . scalar(@truth) . " rows; $rows[$first] for $truth[$first]");
	return;
}

# Strike with a fault once the scan is under way; the rows are right all the same.
sub survives
{
	my ($fault, $name) = @_;

	$sim->reset;
	$sim->arm({ @path, after => 3, %$fault });
	is_right($name);
	is([ $sim->faults ]->[0]{struck}, $fault->{count} // 1, "$name: it did strike");
	return;
}

# Strike; the scan ends in this error, which has the form that all errors have.
sub ends
{
	my ($fault, $sqlstate, $patterns, $name, $sql) = @_;

	$sim->reset;
	$sim->arm({ @path, sql => 'ORDER BY', after => 3, %$fault });
	my $err = dies($node, $sql // $all, $sqlstate, $patterns, $name);
	like($err, qr/^DETAIL: /m, "$name: a detail");
	like($err, qr/^HINT: /m, "$name: a hint");
	return $err;
}

is_right('nothing wrong');

# ---- what passes: sent again ----

survives({ kind => '429', count => 4 }, '429 without Retry-After');
survives({ kind => '429', count => 2, retry_after => 0 }, '429 with Retry-After 0');
survives({ kind => '502', count => 3 }, '502 with HTML');
survives({ kind => '503', count => 3 }, '503');
survives({ kind => '503', count => 2, html => JSON::PP::true }, '503 with HTML');
survives({ kind => '500', count => 2 }, '500');
survives({ kind => '504', count => 1 }, '504');
survives({ kind => 'cut', count => 2 }, 'connection closed in mid-body');
survives({ kind => 'cut', at => 0.9, reset => JSON::PP::true, count => 2 }, 'connection reset in mid-body');
survives({ kind => 'reset', count => 2 }, 'connection reset instead of an answer');
survives({ kind => 'bad_gzip', count => 1 }, 'a gzip stream with wrong bytes');
survives({ kind => 'bad_chunk', count => 1 }, 'a chunk that is none');
survives({ kind => 'reset_connect', path => 'connect:https', after => 0, count => 1 }, 'connection reset before TLS');

$sim->reset;
$sim->arm(kind => '429', count => 1, retry_after => 1, @path);
$sim->forget;
is_right('429 with Retry-After');
my @log = $sim->log_entries(service => 'suiteql');
cmp_ok($log[1]{time} - $log[0]{time}, '>=', 0.99, 'the pause that was asked for was made');
like($log[0]{status}, qr/429/, 'after a 429');

# ---- what does not pass ----

my $err = ends({ kind => '429', count => 0 }, '53300',
	[ qr/concurrency limit/, qr/DETAIL:  HTTP status 429 .*Concurrent request limit exceeded/, qr/HINT: .*max_concurrency/ ],
	'429 without end');
$sim->disarm;
is_right('after the 429s');
ends({ kind => '502', count => 0 }, '08006', [ qr/DETAIL:  HTTP status 502 .*Bad Gateway/, qr/CONTEXT: .*remote operation [0-9a-f-]{36} of server "erp"/ ], '502 without end');
unlike($err, qr/<html|<h1/i, 'no HTML in a message');
ends({ kind => '503', count => 0 }, '08006', [ qr/HTTP status 503/ ], '503 without end');
ends({ kind => '500', count => 0 }, 'HV000', [ qr/DETAIL:  HTTP status 500 .*UNEXPECTED_ERROR: An unexpected error occurred. Error ID/, qr/remote operation [0-9a-f-]{36}/ ],
	'500 without end');
cmp_ok(scalar(grep { $_->{status} == 500 } $sim->log_entries), '<=', 12, 'each of two requests in flight was tried six times at most');
ends({ kind => 'raw', status => 403, headers => { 'Content-Type' => 'text/plain', 'X-N-OperationId' => "caf\x{e9}\x{ff}<\x{1b}[31m" }, body => "no\xff" },
	'42501', [ qr/CONTEXT:  remote operation caf\?/, qr/HTTP status 403/ ], 'an operation id that is no text');
ends({ kind => 'raw', status => 200, headers => { 'Content-Encoding' => 'br', 'Content-Type' => 'application/json' }, body => 'x', count => 0 }, '08006',
	[ qr/DETAIL: .*encoding/ ], 'an encoding nobody asked for');
ends({ kind => '403' }, '42501', [ qr/DETAIL:  HTTP status 403 .*INSUFFICIENT_PERMISSION/, qr/HINT: .*permission/, qr/remote operation/ ], '403');
is(scalar(grep { $_->{status} == 403 } $sim->log_entries), 1, '403 was not tried again');
ends({ kind => 'status', status => 418, code => 'TEAPOT', detail => 'short and stout' }, 'HV000', [ qr/HTTP status 418 .*TEAPOT: short and stout/ ],
	'a status nobody knows');
ends({ kind => 'cut', count => 0 }, '08006', [ qr/broke before the answer was complete/ ], 'connection closed in mid-body without end');
ends({ kind => 'torn', count => 0 }, 'HV000', [ qr/answer of server "erp" cannot be decoded/, qr/remote operation/ ], 'torn JSON without end');
ends({ kind => 'gzip_cut' }, 'HV000', [ qr/cannot be decoded/ ], 'a gzip stream that ends early');
ends({ kind => 'trailing', count => 0 }, 'HV000', [ qr/cannot be decoded/ ], 'bytes behind the end');
ends({ kind => 'content_type', count => 0 }, 'HV000', [ qr/page instead of data/ ], 'HTML that is data');
ends({ kind => 'raw', status => 200, headers => { 'Content-Type' => 'text/html' }, body => '<html><title>Maintenance</title></html>' },
	'HV000', [ qr/page instead of data/, qr/HTTP status 200 .*Maintenance/ ], 'a page of HTML');
ends({ kind => 'raw', status => 200, headers => { 'Content-Type' => 'application/json' }, body => '' }, 'HV000', [ qr/cannot be decoded|empty/ ], 'an empty body');
ends({ kind => 'raw', status => 204, headers => {}, body => '' }, 'HV000', [ qr/./ ], 'no content');
ends({ kind => 'raw', status => 200, headers => { 'Content-Type' => 'application/json' }, body => '{"error":"no"}' }, 'HV000', [ qr/cannot be decoded/ ], 'another object');
ends({ kind => 'raw', status => 200, headers => { map { ("X-Filler-$_" => 'x' x 1000) } 1 .. 80 }, body => '{}' }, 'HV000', [ qr/too many or too large headers/ ],
	'80 kB of headers');
ends({ kind => 'raw', status => 200, headers => { map { ("X-Filler-$_" => 'x') } 1 .. 300 }, body => '{}' }, 'HV000', [ qr/too many or too large headers/ ],
	'300 headers');
ends({ kind => 'gzip_bomb', megabytes => 512 }, 'HV000', [ qr/inflates to more than|is larger than/ ], 'a gzip bomb');
foreach my $status (301, 302, 303, 307, 308)
{
	$sim->reset;
	$sim->arm(kind => 'raw', status => $status, headers => { Location => $sim->value('http_url') . '/elsewhere' }, body => '', @path);
	dies($node, $all, 'HV000', [ qr/redirect/, qr/DETAIL:  HTTP status $status/, qr/HINT:  Redirects are not followed/ ], "redirect $status");
	is(scalar(grep { $_->{path} eq '/elsewhere' } $sim->log_entries), 0, "$status is not followed");
}

# ---- columns, records and tables that are not there for this role ----

$sim->reset;
dies($node, 'SELECT * FROM erp.wrong', 'HV005', [ qr/"no_such_column"/, qr/DETAIL:  HTTP status 400 .*INVALID_PARAMETER/, qr/HINT: .*import the table again/, qr/remote operation/ ],
	'a column that does not exist');
dies($node, 'SELECT * FROM erp.nowhere', 'HV00R', [ qr/"nosuchtable"/, qr/HTTP status 400/, qr/HINT: .*entity/ ], 'a table that does not exist');
$sim->hide('item', 'itemid', 'not_exposed');
dies($node, $all, 'HV005', [ qr/"itemid"/, qr/NOT_EXPOSED/ ], 'a column that is not exposed');
$sim->hide('item', 'itemid', '400');
dies($node, $all, 'HV...', [ qr/HTTP status 400/, qr/HINT: / ], 'a column that poisons the query with 400');
$sim->hide('item', 'itemid', '500');
dies($node, $all, 'HV000', [ qr/HTTP status 500/, qr/HINT: .*[Ii]mport the table again/ ], 'a column that poisons the query with 500');
is(lives($node, 'SELECT count(*) FROM (SELECT id FROM erp.one OFFSET 0) s', 'without it'), scalar(@truth), 'the rest can be read');
$sim->hide('item', 'itemid', undef);
$sim->hide('item', undef, 'record');
dies($node, $all, '42501', [ qr/may not read record "item"/i, qr/HTTP status 400/, qr/HINT: .*view permission/ ], 'Record not found');
$sim->reset;

# ---- a token that expires in mid-scan ----

$sim->forget;
$sim->arm(kind => 'expire_token', after => 5, @path);
is_right('a token that expires in mid-scan');
is($sim->counters->{token}, 1, 'is renewed once');
cmp_ok($sim->counters->{status_401}, '<=', 2, 'after a 401 for each request in flight');
$sim->reset;

# ---- the cap on rows, and the sums of a page ----

$sim->set(row_cap => 100);
my $beyond = 'SELECT count(*) FROM (SELECT * FROM erp.unkeyed OFFSET 0) s';
dies($node, $beyond, 'HV000', [ qr/./ ], 'a query without a key beyond the cap');
is_right('a table with a key beyond the cap');
$sim->reset;
is(lives($node, $beyond, 'a query without a key below the cap'), scalar(@truth), 'gives all rows');

ends({ kind => 'stuck', count => 0 }, 'HV000', [ qr/do(es)? not advance/, qr/operation/ ], 'a page that does not advance');
ends({ kind => 'wrong_count', count => 0 }, 'HV000', [ qr/says it has 3 rows/ ], 'a page with another count');
$sim->reset;
$sim->arm(kind => 'early_end', count => 0, @path);
is_right('hasMore that is false too early');
ends({ kind => 'extra_rows', count => 0 }, 'HV000', [ qr/./ ], 'more rows than asked for');
ends({ kind => 'without_items', count => 0 }, 'HV000', [ qr/items/ ], 'a page without items');
ends({ kind => 'without_items', null => JSON::PP::true, count => 0 }, 'HV000', [ qr/items/ ], 'a page whose items are null');
ends({ kind => 'duplicate', count => 0 }, 'HV000', [ qr/advance/ ], 'rows that come again in the next page');
$sim->reset;

# ---- the source moves under the scan ----

$node->safe_psql('postgres', 'ALTER SERVER erp OPTIONS (ADD fetch_ahead \'0\')');
my $session = Hostile::Session->new($node);
my @before = map { $_->[0] } $sim->sql('SELECT id FROM netsuite.item ORDER BY id');
$session->ask("BEGIN; DECLARE c CURSOR FOR SELECT id FROM erp.one; FETCH 50 FROM c");
my ($gone_read, $gone_ahead) = ($before[5], $before[200]);
$sim->delete_rows('item', $gone_read + 0, $gone_ahead + 0);
my $free = $before[300] + 1;
$free++ while grep { $_ == $free } @before;
my $copy = 'INSERT INTO netsuite.item SELECT (jsonb_populate_record(i, jsonb_build_object(\'id\', %s::bigint))).* FROM netsuite.item i WHERE id = %s';
$sim->sql($copy, $free, $before[300]);
$sim->sql($copy, $before[0] - 1, $before[300]);
my ($rest) = $session->ask('FETCH ALL FROM c');
my @rest = split /\n/, $rest;
is_deeply(\@rest, [ sort { $a <=> $b } $free, grep { $_ != $gone_ahead } @before[ 50 .. $#before ] ],
	'rows that come and go during a scan: each that stays is given once');
$session->ask('COMMIT');
$session->ask("BEGIN; DECLARE c CURSOR FOR SELECT id FROM erp.unkeyed; FETCH 50 FROM c");
$sim->delete_rows('item', $before[7] + 0);
(undef, $err) = $session->ask('FETCH ALL FROM c');
like($err, qr/ERROR:  HV000: .* changed while it was read.*DETAIL: .* 40[01] rows at first .*HINT: .*"key"/s,
	'and where there is no key to tell, it is an error');
$session->ask('ROLLBACK');
$session->quit;
@truth = table_at_source();
$node->safe_psql('postgres', 'ALTER SERVER erp OPTIONS (DROP fetch_ahead)');
is_right('and the next scan sees what is there');

# ---- bytes ----

foreach my $setting ([ gzip => 0 ], [ chunked => 1 ], [ json_ascii => 1 ])
{
	$sim->reset;
	$sim->set(@$setting);
	is_right("@$setting");
}
$sim->reset;
$sim->arm(kind => 'drip', bytes => 400, interval_ms => 5, count => 6, @path);
is_right('a slow drip');

$sim->reset;
$sim->arm(kind => 'big_cell', size => 2 * 1024 * 1024, column => 'itemid', row => 3, @path);
is(lives($node, "SELECT count(*), max(length(itemid)), md5(max(itemid) FILTER (WHERE length(itemid) > 1000)) = md5(repeat('x', 2097152)) FROM erp.one",
		'a text of 2 MB'),
	scalar(@truth) . '|2097152|t', 'comes whole');

foreach my $case (
	[ 'invalid_utf8', '22021', qr/invalid byte sequence for encoding "UTF8"/ ],
	[ 'nul', '22P05', qr/./ ],
	[ 'lone_surrogate', '22P05', qr/./ ])
{
	my ($kind, $sqlstate, $pattern) = @$case;
	$sim->reset;
	$sim->arm(kind => $kind, column => 'itemid', row => 3, @path);
	dies($node, $all, $sqlstate, [ $pattern, qr/"itemid"/, qr/row 4\b/ ], $kind);
}
$sim->reset;
$sim->arm(kind => 'deep', column => 'itemid', @path);
dies($node, $all, 'HV000', [ qr/cannot be decoded.*nest/s ], 'JSON nested 5,000 deep');

# ---- databases with other encodings ----

$sim->reset;
$sim->sql('UPDATE netsuite.item SET itemid = %s WHERE id = %s', "Gr\x{f6}\x{df}e \x{e9}", $before[10]);
foreach my $encoding ('LATIN1', 'SQL_ASCII')
{
	my $db = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql($db, 'CREATE EXTENSION makini');
	connect_server($node, $sim, database => $db);
	$node->safe_psql($db, "CREATE SCHEMA erp; CREATE FOREIGN TABLE erp.one (id bigint, itemid text) SERVER erp OPTIONS (entity 'item', key 'id')");
	my $hex = $encoding eq 'LATIN1' ? '4772f6df6520e9' : '4772c3b6c39f6520c3a9';
	is(lives($node, "SELECT encode(itemid::bytea, 'hex') FROM erp.one WHERE id = $before[10]", "$encoding: text", db => $db), $hex, "$encoding: is converted");
	is(lives($node, "SELECT count(*) FROM erp.one WHERE itemid = convert_from('\\x$hex', '$encoding')", "$encoding: a condition", db => $db), '1',
		"$encoding: is converted too");
	foreach my $case (
		[ 'invalid_utf8', '22021' ],
		[ 'nul', '22P05' ])
	{
		$sim->reset;
		$sim->arm(kind => $case->[0], column => 'itemid', row => 3, @path);
		dies($node, $all, $case->[1], [ qr/"itemid"/, qr/row 4\b/ ], "$encoding: $case->[0]", db => $db);
	}
	$sim->reset;
	next if $encoding eq 'SQL_ASCII';
	$sim->sql('UPDATE netsuite.item SET itemid = %s WHERE id = %s', "\x{65e5}\x{672c}", $before[11]);
	dies($node, 'SELECT id, itemid FROM erp.one', '22P05', [ qr/"itemid"/, qr/row \d+/ ], "$encoding: a character that it lacks", db => $db);
	dies($node, '/* nothing to convert to */ SELECT * FROM makini.query(\'erp\', \'SELECT id, nosuch FROM item\')', 'HV...', [ qr/nosuch/ ], "$encoding: an error of the other side", db => $db);
}

# ---- the same through makini.query() ----

my $any = q{SELECT count(*) FROM makini.query('erp', 'SELECT id, itemid FROM item')};
foreach my $case (
	[ { kind => 'torn', count => 0 }, 'HV000', qr/cannot be decoded/ ],
	[ { kind => 'trailing', count => 0 }, 'HV000', qr/cannot be decoded/ ],
	[ { kind => 'deep', column => 'itemid' }, 'HV000', qr/cannot be decoded/ ],
	[ { kind => 'cut', count => 0 }, '08006', qr/broke before/ ],
	[ { kind => '403' }, '42501', qr/HTTP status 403/ ],
	[ { kind => 'invalid_utf8', column => 'itemid', row => 3 }, '22021', qr/invalid byte sequence/ ],
	[ { kind => 'nul', column => 'itemid', row => 3 }, '22P05', qr/Unicode/ ],
	[ { kind => 'lone_surrogate', column => 'itemid', row => 3 }, '22P02', qr/surrogate/ ])
{
	my ($fault, $sqlstate, $pattern) = @$case;
	$sim->reset;
	$sim->arm({ @path, %$fault });
	dies($node, $any, $sqlstate, [ $pattern, qr/HINT: |DETAIL: |CONTEXT: / ], "makini.query: $fault->{kind}");
}
$sim->reset;
$sim->arm(kind => 'wrong_total', total => 777, after => 2, @path);
dies($node, $any, 'HV000', [ qr/changed while it was read/, qr/HINT: / ], 'makini.query: a total that changes');
$sim->reset;
$sim->arm(kind => 'early_end', count => 0, @path);
is(lives($node, $any, 'makini.query: hasMore that is false too early'), scalar(@truth), 'all rows');
$sim->reset;

is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Extension'"), '0', 'nobody is left waiting');
$node->stop;
done_testing();
