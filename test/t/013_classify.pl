# What remote errors become: SQLSTATE, message, DETAIL, HINT and the operation id.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--scale', '0.02');
my $node = makini_node('classify', conf => "makini.retry_base = 1\nlog_min_messages = debug5");
connect_server($node, $sim, options => { max_retries => 2 });

# answer STATUS, BODY: what a query says when that is its answer.
sub answer
{
	my ($status, $body, %header) = @_;

	$sim->disarm;
	$sim->forget;
	$sim->arm(kind => 'raw', status => $status, body => $body, count => 0, path => 'suiteql',
		headers => { 'Content-Type' => 'application/vnd.oracle.resource+json; type=error; charset=UTF-8',
			'x-n-operationid' => '5f9f9b2c-0000-4000-8000-000000000001', %header });
	my (undef, undef, $err) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nSELECT * FROM makini.query('erp', 'SELECT id FROM currency')", on_error_stop => 1);
	$sim->disarm;
	return $err;
}

sub error_body
{
	my ($status, $detail, $code, %more) = @_;
	# text, not bytes: the control port's call encodes it
	return JSON::PP->new->canonical->encode({ type => 'https://www.rfc-editor.org/rfc/rfc9110.html', title => 'Error', status => $status,
		'o:errorDetails' => [ { detail => $detail, 'o:errorCode' => $code, %more } ] });
}

my $prefix = 'Invalid search query. Detailed unprocessed description follows. ';

foreach my $case (
	# name, status, body, SQLSTATE, message, hint, requests
	[ 'unknown column', 400, error_body(400, $prefix . "Search error occurred: Unknown identifier 'subsidiary'. Available identifiers are: {transaction=transaction}.", 'INVALID_PARAMETER'),
		'HV005', qr/column "subsidiary"/, qr/import the table again/, 1 ],
	[ 'column not exposed', 400, error_body(400, $prefix . "Search error occurred: Field 'x' for record 'y' was not found. Reason: NOT_EXPOSED", 'INVALID_PARAMETER'),
		'HV005', qr/column "x"/, qr/./, 1 ],
	[ 'unknown table', 400, error_body(400, $prefix . 'Invalid search type: Email.', 'INVALID_PARAMETER'), 'HV00R', qr/table "Email"/, qr/entity/, 1 ],
	[ 'record not found', 400, error_body(400, $prefix . "Search error occurred: Record 'customer' was not found.", 'INVALID_PARAMETER'),
		'42501', qr/record "customer"/, qr/permission/, 1 ],
	[ 'unsupported', 400, error_body(400, $prefix . 'Search error occurred: Invalid or unsupported search.', 'INVALID_PARAMETER'), 'HV000', qr/./, qr/role/, 1 ],
	[ 'date format', 400, error_body(400, 'Invalid search query. Search error occurred: Parse of date/time "8/5/2026 23:53" failed with date format "M/d/yy" in time zone America/Los_Angeles', 'INVALID_PARAMETER'),
		'HV000', qr/date/, qr/TO_DATE/, 1 ],
	[ 'language', 400, error_body(400, "Invalid language. REST web services currently only support the default company language. Provide the Accept-Language header with your default company language value 'zh'.", 'INVALID_HEADER', 'o:errorHeader' => 'Accept-Language'),
		'HV000', qr/header/, qr/accept_language/, 1 ],
	[ 'another header', 400, error_body(400, 'Invalid header.', 'INVALID_HEADER'), 'HV000', qr/header/, undef, 1 ],
	[ 'locked record', 400, error_body(400, 'Error while accessing a resource. This record has been locked by a user defined workflow.', 'USER_ERROR'), 'HV000', qr/./, qr/SuiteQL/, 1 ],
	[ 'idempotency', 400, error_body(400, 'A request with the same idempotency key is already submitted.', 'IDEMPOTENCY_ERROR'), 'HV000', qr/./, undef, 1 ],
	[ 'content', 400, error_body(400, 'You have entered an Invalid Field Value 9999 for the following field: item', 'INVALID_CONTENT'), 'HV000', qr/value/, undef, 1 ],
	[ 'unknown code', 400, error_body(400, 'Something new.', 'SOMETHING_NEW'), 'HV000', qr/rejected/, undef, 1 ],
	[ 'no details', 400, '{"type":"x","title":"Bad Request","status":400,"o:errorDetails":[]}', 'HV000', qr/rejected/, undef, 1 ],
	[ 'details of another shape', 400, '{"o:errorDetails":{"detail":7}}', 'HV000', qr/rejected/, undef, 1 ],
	[ 'no body', 400, '', 'HV000', qr/rejected/, undef, 1 ],
	[ 'login', 401, error_body(401, 'Invalid login attempt.', 'INVALID_LOGIN'), '28000', qr/authentication/, qr/Login Audit Trail/, 2 ],
	[ 'login without a body', 401, '', '28000', qr/authentication/, qr/Login Audit Trail/, 2 ],
	[ 'permission', 403, error_body(403, 'Permission Violation.', 'INSUFFICIENT_PERMISSION'), '42501', qr/permission/, qr/SuiteAnalytics Workbook/, 1 ],
	[ 'permission of another name', 403, error_body(403, 'No.', 'USER_ERROR'), '42501', qr/may not/, qr/./, 1 ],
	[ 'no such record', 404, error_body(404, 'The record instance does not exist. Provide a valid record instance ID.', 'NONEXISTENT_ID'), 'HV000', qr/record/, undef, 1 ],
	[ 'no such record type', 404, error_body(404, "Record type 'file' does not exist.", 'NONEXISTENT_ID'), 'HV00R', qr/record type "file"/, qr/./, 1 ],
	[ 'no such address', 404, '<html><head><title>Not Found</title></head></html>', 'HV000', qr/address/, qr/base_url/, 1 ],
	[ 'method', 405, error_body(405, 'Method not allowed.', 'METHOD_NOT_ALLOWED'), 'HV000', qr/rejected/, undef, 1 ],
	[ 'concurrency', 429, '{"title":"Bad Request","status":429,"o:errorCode":"USER_ERROR","o:errorDetails":[{"detail":"Concurrent request limit exceeded. Request blocked.","o:errorCode":"CONCURRENCY_LIMIT_EXCEEDED"}]}',
		'53300', qr/concurrency/, qr/max_concurrency/, 3 ],
	[ 'concurrency as Oracle prints it', 429, '{"o:errorCode":"USER_ERROR" "o:errorDetails":[]}', '53300', qr/concurrency/, qr/max_concurrency/, 3 ],
	[ 'concurrency of RESTlets', 400, error_body(400, 'Request Limit Exceeded', 'SSS_REQUEST_LIMIT_EXCEEDED'), '53300', qr/concurrency/, qr/max_concurrency/, 3 ],
	[ 'unexpected', 500, error_body(500, 'An unexpected error occurred. Error ID: jrgbpyylphhishmmlxyt', 'UNEXPECTED_ERROR'), 'HV000', qr/failed inside/, qr/column/, 3 ],
	[ '500 without a body', 500, '', 'HV000', qr/failed inside/, undef, 3 ],
	[ 'bad gateway', 502, '<html><head><title>502 Bad Gateway</title></head></html>', '08006', qr/not available/, qr/status/, 3 ],
	[ 'unavailable', 503, '', '08006', qr/not available/, qr/./, 3 ],
	[ 'gateway timeout', 504, error_body(504, 'x', 'USER_ERROR'), '08006', qr/not available/, qr/./, 3 ],
	[ 'redirect', 302, '', 'HV000', qr/redirect/, qr/not followed/, 1 ])
{
	my ($name, $status, $body, $sqlstate, $message, $hint, $requests) = @$case;
	my $err = answer($status, $body, $body =~ /^</ ? ('Content-Type' => 'text/html') : ());

	like($err, qr/ERROR:  $sqlstate: .*$message/, "$name: $sqlstate and message");
	like($err, qr/^DETAIL:  .*HTTP status $status/m, "$name: HTTP status in the detail");
	like($err, qr/^CONTEXT:  .*5f9f9b2c-0000-4000-8000-000000000001/m, "$name: operation id");
	like($err, qr/^HINT:  .*$hint/m, "$name: hint") if $hint;
	like($err, qr/\Q$1\E/, "$name: the remote code") if $body =~ /o:errorCode":"([A-Z_]+)"\}\]/ || $body =~ /"o:errorCode":"(INVALID_[A-Z]+)"/;
}

# ---- texts that must not get through as they are ----

my $token = 'eyJ' . 'hbGciOiJFUzI1NiJ9' x 4 . '.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl';
my $err = answer(400, error_body(400, "You sent: Authorization: Bearer $token.", 'INVALID_REQUEST'));
unlike($err, qr/eyJ/, 'a token that is echoed is not repeated');
like($err, qr/token not shown/, 'and its place is marked');
$err = answer(400, error_body(400, "line one\nline\ttwo" . ('x' x 5000), 'INVALID_REQUEST'));
like($err, qr/line one line two/, 'control characters become blanks');
cmp_ok(length $err, '<', 2500, 'a long text is cut');
$err = answer(400, '{"o:errorDetails":[{"detail":"\ud800","o:errorCode":"X"}]}');
like($err, qr/ERROR:  HV000: /, 'half a character');
$err = answer(400, '[' x 100000);
like($err, qr/ERROR:  HV000: /, 'a body nested very deep');
$err = answer(502, '<title>' . ("\xff" x 3000), 'Content-Type' => 'text/html');
like($err, qr/ERROR:  08006: /, 'a page that is cut');

my %letters = (UTF8 => qr/gr\xc3\xbcn \xe4\xbd\xa0\./, LATIN1 => qr/gr\?n \?\./);
foreach my $encoding (sort keys %letters)
{
	my $database = lc $encoding;

	$node->safe_psql('postgres', "CREATE DATABASE $database ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	$node->safe_psql($database, 'CREATE EXTENSION makini');
	connect_server($node, $sim, database => $database);
	$sim->arm(kind => 'raw', status => 400, count => 0, path => 'suiteql',
		body => error_body(400, "gr\x{fc}n \x{4f60}", 'INVALID_REQUEST'));
	(undef, undef, $err) = $node->psql($database, "SELECT * FROM makini.query('erp', 'SELECT id FROM currency')");
	like($err, qr/ERROR:  .*DETAIL:  .*$letters{$encoding}/s, "letters in a database of encoding $encoding");
	$sim->disarm;
}

# ---- recorded and quoted bodies, where they are at hand ----

my $fixtures = '../shared/research/netsuite-fixtures';
my %want = (
	'errors/any-401-invalid-login' => '28000',
	'errors/suiteql-400-invalid-search-type' => 'HV00R',
	'errors/suiteql-400-record-not-found' => '42501',
	'errors/suiteql-400-unknown-identifier' => 'HV005',
	'oracle-docs/err-429-concurrency' => '53300');
SKIP:
{
	my @files = (glob("$fixtures/errors/*.json"), glob("$fixtures/oracle-docs/err-*.json"));

	skip 'no fixtures here', 1 unless @files;
	foreach my $file (@files)
	{
		my $fixture = decode_json(slurp_file($file));
		my ($name) = $file =~ m{([^/]+/[^/]+)\.json$};
		my $want = $want{$name} // 'HV000';

		$err = answer($fixture->{status} // $fixture->{body}{status}, JSON::PP->new->canonical->encode($fixture->{body}));
		like($err, qr/ERROR:  $want: /, "$name is $want");
		my $detail = $fixture->{body}{'o:errorDetails'}[0]{detail};
		like($err, qr/\Q@{[substr($detail, 0, 60)]}\E/, "$name: the detail is repeated");
	}
}

unlike(slurp_file($node->logfile), qr/eyJhbGci/, 'no token in the log');
$node->stop;
done_testing();
