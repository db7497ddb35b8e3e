# What stands between makini and the other side: addresses, certificates,
# answers that break, and what is remembered of it all.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=250', '--scale', '0.02');
my $node = makini_node('remote', conf => "makini.retry_base = 1");
connect_server($node, $sim, tables => ['item'],
	options => { page_size => 100, fetch_ahead => 0, max_retries => 2, time_zone => 'UTC' });

# fails SQL: SQLSTATE, message, detail, hint and context of its error as one text.
sub fails
{
	my ($sql) = @_;
	my (undef, undef, $err) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	return $err;
}

# server OPTIONS: another server for the simulator, with those options instead.
my $servers = 0;
sub server
{
	my (%options) = @_;
	my $name = 'server_' . ++$servers;
	connect_server($node, $sim, server => $name,
		options => { max_retries => 0, %options });
	$node->safe_psql('postgres',
		"CREATE FOREIGN TABLE $name (id int8 OPTIONS (column_name 'id')) SERVER $name OPTIONS (entity 'item', key 'id')");
	return $name;
}

my $count = 'SELECT count(*) FROM (SELECT id, itemid FROM erp.item OFFSET 0) i';

# ---- addresses ----

my $guarded = server(allow_private => undef);
my $err = fails("SELECT count(*) FROM $guarded");
like($err, qr/ERROR:  08001: host "[^"]*" has the address (127\.0\.0\.1|::1), which is not a public one/,
	'a private address is refused');
my ($line) = $err =~ /(ALTER SERVER .*;)/;
is($line, "ALTER SERVER $guarded OPTIONS (ADD allow_private 'true');", 'the hint has the statement that allows it');
$sim->forget;
fails("SELECT count(*) FROM $guarded");
is(scalar($sim->log_entries), 0, 'nothing was sent');
$node->safe_psql('postgres', $line);
is($node->safe_psql('postgres', "SELECT count(*) FROM $guarded"), 250, 'and after that statement it works');
$node->safe_psql('postgres', "ALTER SERVER $guarded OPTIONS (DROP allow_private)");
like(fails("SELECT count(*) FROM $guarded"), qr/not a public one/, 'and not after its opposite');
like(fails("SELECT count(*) FROM $guarded, erp.item"), qr/not a public one/,
	'a connection that another server keeps open is no way round');

my $name = 'plain';
my ($code, undef, $ddl) = $node->psql('postgres',
	"CREATE SERVER $name FOREIGN DATA WRAPPER netsuite_fdw "
	  . options_clause(account_id => $sim->value('account_id'), base_url => $sim->value('http_url'), allow_private => 'true'));
is($code, 0, 'a server with a plain URL can be made') or diag $ddl;
$node->safe_psql('postgres',
	"CREATE USER MAPPING FOR CURRENT_USER SERVER $name "
	  . options_clause(map { $_ => $sim->value($_) } qw(client_id certificate_id private_key_file)) . ';'
	  . "CREATE FOREIGN TABLE $name (id int8) SERVER $name OPTIONS (entity 'item', key 'id')");
$err = fails("SELECT count(*) FROM $name");
like($err, qr/ERROR:  08001: plain http to "[^"]*" is not allowed/, 'plain http is refused');
($line) = $err =~ /(ALTER SERVER .*;)/;
$node->safe_psql('postgres', $line);
is($node->safe_psql('postgres', "SELECT count(*) FROM $name"), 250, 'until the statement of the hint allows it');

# ---- connections ----

my %broken = (
	'no authority' => [ { ca_file => undef }, qr/08001: could not establish a TLS connection.*HINT: .*ca_file/s ],
	'an expired certificate' => [ { base_url => $sim->value('expired_url') }, qr/08001: could not establish a TLS.*expired/s ],
	'a certificate for another host' => [ { base_url => $sim->value('wronghost_url') }, qr/08001: could not establish a TLS/ ],
	'a host that does not answer' => [ { base_url => $sim->value('blackhole_url'), connect_timeout => '300ms' },
		qr/08001: could not connect to "[^"]*" within 300 ms/ ],
	'a closed port' => [ { base_url => 'https://127.0.0.1:1' }, qr/08001: could not connect/ ],
	'an unknown name' => [ { base_url => 'https://nowhere.invalid' }, qr/08001: could not resolve/ ],
	'a proxy that is not there' => [ { proxy => 'http://127.0.0.1:1' }, qr/08001: could not connect/ ]);
foreach my $what (sort keys %broken)
{
	my ($options, $expected) = @{ $broken{$what} };
	my $server = server(%$options);
	like(fails("SELECT count(*) FROM $server"), $expected, $what);
	is($node->safe_psql('postgres', "SELECT health FROM makini.connection WHERE server_name = '$server'"),
		'offline', "$what: the server is known to be offline, though the query was rolled back");
}

# ---- answers that break ----

# survives FAULT: the scan gets all rows in spite of it.
sub survives
{
	my ($what, %fault) = @_;
	$sim->arm(path => 'suiteql', %fault);
	is($node->safe_psql('postgres', $count), 250, "$what: all rows");
	$sim->disarm;
	return;
}

# breaks FAULT: it strikes every time, and the error is as expected.
sub breaks
{
	my ($what, $expected, %fault) = @_;
	$sim->arm(path => 'suiteql', count => 0, %fault);
	like(fails($count), $expected, $what);
	$sim->disarm;
	is($node->safe_psql('postgres', $count), 250, "$what: and all is well afterwards");
	return;
}

survives("$_ once", kind => $_) foreach ('429', '500', '502', '503', '504', 'reset', 'cut', 'bad_chunk', 'bad_gzip');
survives('a connection reset before anything was sent', kind => 'reset_connect', path => 'connect:https');
survives('Retry-After', kind => '429', retry_after => 0);
survives('a date in Retry-After', kind => '503', retry_after => 'Thu, 01 Jan 2015 00:00:00 GMT');
survives('a page in chunks', kind => 'chunked', count => 0);
survives('a page that drips', kind => 'drip', bytes => 5000, interval_ms => 1, count => 0);

breaks('429 every time', qr/ERROR:  53300: .*DETAIL:  HTTP status 429 from \/services\/rest\/query\/v1\/suiteql: CONCURRENCY_LIMIT_EXCEEDED/s, kind => '429');
breaks('502 with HTML every time', qr/ERROR:  [^\n]*\nDETAIL:  HTTP status 502 from \/services\/rest\/query\/v1\/suiteql/, kind => '502');
breaks('a connection cut every time', qr/ERROR:  08006: the connection to "[^"]*" broke/, kind => 'cut');
breaks('a bomb', qr/ERROR:  HV000: the answer of "[^"]*" inflates to more than 200 times its size/, kind => 'gzip_bomb', megabytes => 30);

my $hasty = server(request_timeout => '300ms', connect_timeout => '2s');
$sim->arm(kind => 'drip', path => 'suiteql', bytes => 1, interval_ms => 1000);
like(fails("SELECT count(*) FROM (SELECT id FROM $hasty OFFSET 0) i"),
	qr/ERROR:  08006: "[^"]*" did not answer completely within 300 ms/, 'an answer that drips too slowly');
$sim->disarm;

# ---- how often ----

$sim->forget;
$sim->arm(kind => '503', path => 'suiteql', count => 0);
fails($count);
is($sim->requests, 3, 'a request is sent once and then max_retries times');
$sim->disarm;
$sim->arm(kind => '403', path => 'suiteql', count => 0);
$sim->forget;
like(fails($count), qr/ERROR:  42501: .*HTTP status 403.*CONTEXT:  remote operation \S+ of server "erp"/s,
	'what the role may not read, with the operation to ask about');
is($sim->requests, 1, 'and is not asked for twice');
$sim->disarm;

$sim->forget;
like(fails("SET makini.max_requests_per_query = 2; $count"),
	qr/ERROR:  53400: statement needs more than 2 remote requests.*HINT:  .*max_requests_per_query/s,
	'a statement has a budget of requests');
is($sim->requests, 2, 'and does not go over it');
$sim->forget;
$sim->arm(kind => '503', path => 'suiteql', count => 0);
like(fails("SET makini.max_requests_per_query = 2; $count"), qr/ERROR:  53400: /, 'to which retries belong');
is($sim->requests, 2, 'each of them');
$sim->disarm;

# ---- connections are kept, and dropped when they no longer belong ----

my $before = $sim->counters->{connections};
$node->safe_psql('postgres', join(';', ($count) x 5));
is($sim->counters->{connections} - $before, 1, 'one session, one connection');
$before = $sim->counters->{connections};
$node->safe_psql('postgres', "$count; ALTER SERVER erp OPTIONS (SET page_size '99'); $count");
is($sim->counters->{connections} - $before, 2, 'a changed server gets a new one');
$node->safe_psql('postgres', "ALTER SERVER erp OPTIONS (SET page_size '100')");

# ---- what is counted and logged ----

my $stat = "SELECT requests, retries, throttled, bytes > 0 FROM makini.connection_stat c
	JOIN makini.connection USING (connection_id) WHERE server_name = 'erp' AND used_by = 'scan'";
my @was = split /\|/, $node->safe_psql('postgres', $stat);
$sim->arm(kind => '429', path => 'suiteql');
$node->safe_psql('postgres', "BEGIN; $count; ROLLBACK");
my @is = split /\|/, $node->safe_psql('postgres', $stat);
is_deeply([ map { $is[$_] - $was[$_] } 0 .. 2 ], [ 4, 1, 1 ],
	'requests, retries and refusals count, though the transaction was rolled back');
is($is[3], 't', 'and so do bytes');

my $log = -s $node->logfile;
$node->safe_psql('postgres', "SET makini.log_requests = on; $count");
my $logged = slurp_file($node->logfile, $log);
my @lines = $logged =~ /(LOG:  request POST .*)/g;
is(scalar(@lines), 3, 'each request is logged when that is wanted');
like($lines[0], qr{request POST /services/rest/query/v1/suiteql of server "erp": status 200, \d+ ms, \d+ bytes, 0 retries},
	'with its path and what it came to');
unlike($logged, qr/limit=|Bearer|eyJ/, 'without query, headers and token');

done_testing();
