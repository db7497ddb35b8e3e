# Whose token it is, how long it lasts, and what is known of a mapping: with a
# clock that the test moves.  What else is told of tokens is in 022_token.pl,
# of keys in 010_key.pl.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir('clock');
system_or_bail($ENV{CC} // 'cc', '-shared', '-fPIC', '-o', "$dir/clock.so", 'test/lib/clock.c');

my $sim = Makini::Simulator->new('--scale', '0.02');
my $node = PostgreSQL::Test::Cluster->new('auth');

# Seconds that the server, and NetSuite, are ahead of the time.
sub set_clock
{
	my ($server, $netsuite) = @_;
	open(my $file, '+<', "$dir/offset") or die "$dir/offset: $!";
	syswrite($file, pack('q', $server));
	close $file;
	$sim->set(clock_offset => $netsuite // $server);
	return;
}

append_to_file("$dir/offset", pack('q', 0));
$node->init;
$node->append_conf('postgresql.conf', "makini.retry_base = 1\nmax_connections = 60\nautovacuum = off");
{
	local $ENV{LD_PRELOAD} = "$dir/clock.so";
	local $ENV{MAKINI_CLOCK} = "$dir/offset";
	$node->start;
}
$node->safe_psql('postgres', 'CREATE EXTENSION makini; CREATE ROLE analyst LOGIN; CREATE ROLE clerk LOGIN; CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION makini');
my $table = "CREATE FOREIGN TABLE currency (id bigint) SERVER erp OPTIONS (entity 'currency', key 'id'); GRANT SELECT ON currency TO PUBLIC";
foreach my $db ('postgres', 'other')
{
	connect_server($node, $sim, database => $db);
	$node->safe_psql($db, $table);
}
my $query = 'SELECT count(*) > 0 FROM currency';

sub tokens { return $sim->counters->{token} // 0; }

sub answered
{
	my ($name, %given) = @_;
	is(lives($node, $query, $name, %given), 't', "$name: is answered");
	return;
}

# Many at once, all of whom succeed.
sub crowd
{
	my ($n, $name) = @_;
	my @sessions = map { Hostile::Session->new($node) } 1 .. $n;
	$_->send($query) foreach @sessions;
	my @said = map { join('', $_->result) } @sessions;
	$_->quit foreach @sessions;
	is(scalar(grep { $_ eq "t\n" } @said), $n, $name) or diag(grep { $_ ne "t\n" } @said);
	return;
}

sub state_of
{
	my ($role) = @_;
	return lives($node, "SELECT health || ' ' || auth || ' ' || mapped_role FROM makini.connection WHERE server_name = 'erp'",
		"what $role sees", user => $role);
}

# ---- one token for each who could have fetched it, and for nobody else ----

answered('the first');
is(tokens(), 1, 'a token is fetched');
answered('the second');
is(tokens(), 1, 'and used again in another session');
answered('another database', db => 'other');
is(tokens(), 2, 'does not get it, though all options are the same');

$node->safe_psql('postgres', "GRANT USAGE ON FOREIGN SERVER erp TO analyst, clerk; CREATE USER MAPPING FOR PUBLIC SERVER erp "
	  . options_clause(map { $_ => $sim->value("rsa_$_") } qw(private_key_file certificate_id)));
my ($code, $out, $err) = $node->psql('postgres', $query, extra_params => [ '-U', 'analyst' ]);
like($err, qr/incomplete.*Missing: client_id/s, 'a mapping for everybody, incomplete');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR PUBLIC SERVER erp OPTIONS (ADD client_id '" . $sim->value('client_id') . "')");
$sim->forget;
answered('with the mapping of everybody', user => 'analyst');
answered('the next with it', user => 'clerk');
is(tokens(), 1, 'share a token');

# ---- a mapping that changes ----

$sim->forget;
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (ADD scope 'rest_webservices,restlets')");
answered('another scope');
is(tokens(), 1, 'is another token');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET scope 'restlets')");
dies($node, $query, '28000', [ qr/HTTP status 401/, qr/HINT: / ], 'a scope that is not enough');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (DROP scope, SET certificate_id 'nobody')");
dies($node, $query, '28000', [ qr/invalid_grant/, qr/HINT: .*certificate_id/ ], 'a certificate_id that is wrong, while a token is cached');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET certificate_id '" . $sim->value('certificate_id') . "')");
answered('all as it was');
$sim->forget;
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET private_key_file '" . $sim->value('unknown_private_key_file') . "')");
dies($node, $query, '28000', [ qr/invalid_grant/, qr/HINT: .*private key/ ], 'the key of another certificate');
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (SET private_key_file '" . $sim->value('private_key_file') . "')");
$node->safe_psql('postgres', "ALTER SERVER erp OPTIONS (SET base_url '" . $sim->value('http_url') . "', ADD allow_http 'true')");
$sim->forget;
answered('another address');
is(tokens(), 1, 'is another token');
is(scalar(grep { $_->{listener} eq 'http' } $sim->log_entries(service => 'token')), 1, 'had from there');
$node->safe_psql('postgres', "ALTER SERVER erp OPTIONS (SET base_url '" . $sim->value('url') . "', DROP allow_http)");

# ---- a token's life ----

$sim->revoke_tokens;
answered('a new token');
$sim->forget;
set_clock(2870);
crowd(10, 'before 80 % of its life');
is(tokens(), 0, 'nobody renews it');
set_clock(2890);
$sim->arm(kind => 'delay', path => 'token', ms => 1000);
my $renewing = Hostile::Session->new($node);
$renewing->send($query);
until_true('a token request', sub { grep { $_->{struck} } $sim->faults });
crowd(10, 'after 80 % of it, while one process renews it');
ok(!$renewing->is_done, 'the others go on with the old one');
is(($renewing->result)[0], "t\n", 'who renewed it goes on with the new one');
is(tokens(), 1, 'one renewed it');
$renewing->quit;
answered('later');
is(tokens(), 1, 'the new one is used');

set_clock(2890 + 2890);
$sim->arm(kind => 'oauth_error', path => 'token', count => 0);
answered('a renewal that fails, while the old token is good');
set_clock(2890 + 3599);
dies($node, $query, '28000', [ qr/invalid_grant/ ], 'a renewal that fails when it is not');
$sim->disarm;
answered('until it goes well');
set_clock(2890 + 3599 + 7200);
$sim->forget;
crowd(20, 'long after its end');
is(tokens(), 1, 'one token request');
is($sim->counters->{status_401} // 0, 0, 'and the old one is not tried');

foreach my $case ([ { expires_in_text => JSON::PP::true }, 'a life given as text' ], [ { token_type => 'bearer' }, 'a token type in lower case' ])
{
	$sim->set(%{ $case->[0] });
	$sim->revoke_tokens;
	answered($case->[1]);
}
$sim->set(expires_in_text => JSON::PP::false, token_type => 'Bearer');
$sim->arm(kind => 'raw', path => 'oauth2/v1/token', status => 200, headers => { 'Content-Type' => 'application/json' },
	body => '{"access_token": "' . 'x' x 9000 . '"}');
$sim->revoke_tokens;
dies($node, $query, '28000', [ qr/gave no token/, qr/HINT: / ], 'a token of 9,000 characters');

# ---- who waits for a token takes over when the one who fetches it is stopped ----

$sim->disarm;
$sim->revoke_tokens;
$sim->arm(kind => 'hang', path => 'oauth2/v1/token');
$sim->forget;
my $watcher = Hostile::Session->new($node);
my ($first, $second) = map { Hostile::Session->new($node) } 1 .. 2;
$first->send($query);
until_true('a token request', sub { grep { $_->{struck} } $sim->faults });
$second->send($query);
until_waiting($watcher, $second->pid, 'MakiniToken');
$watcher->ask('SELECT pg_cancel_backend(' . $first->pid . ')');
like(($first->result)[1], qr/57014/, 'who fetches a token is cancelled');
is(($second->result)[0], "t\n", 'who waits for it fetches it');
$sim->revoke_tokens;
$sim->reset;
set_clock(2890 + 3599 + 7200);
$sim->arm(kind => 'hang', path => 'oauth2/v1/token');
$first->send($query);
until_true('a token request', sub { grep { $_->{struck} } $sim->faults });
$second->send($query);
until_waiting($watcher, $second->pid, 'MakiniToken');
$watcher->ask('SELECT pg_terminate_backend(' . $first->pid . ')');
is(($second->result)[0], "t\n", 'the same when it is terminated');
$_->kill foreach $first, $second;
$sim->reset;

# ---- clocks that differ ----

set_clock(600, 0);
$sim->revoke_tokens;
dies($node, $query, '28000', [ qr/invalid_grant/, qr/HINT:  Check in this order: 1\. the clock of this machine \(this machine's clock is (599|600|601) s ahead/ ],
	'a clock ten minutes ahead');
my $step = "SELECT status || ': ' || detail || coalesce('; ' || hint, '') FROM makini.test_connection('erp') WHERE step = 'clock'";
like(lives($node, $step, 'test_connection'), qr/^failed: this machine's clock is (600|599|601)\.\d s ahead of NetSuite's; .*NTP/, 'its clock step');
set_clock(-600, 0);
dies($node, $query, '28000', [ qr/s behind the other side's/ ], 'a clock ten minutes behind');
set_clock(-100, 0);
like(lives($node, $step, 'test_connection'), qr/^warning: /, 'a clock 100 s behind is worth a warning');
set_clock(0);
like(lives($node, $step, 'test_connection'), qr/^ok: /, 'and the right one is not');

# ---- what is known: of a mapping, of the server ----

answered('all in order');
answered('with the mapping of everybody', user => 'analyst');
is(state_of('postgres'), 'online ok postgres', 'in order');
is(state_of('analyst'), 'online ok public', 'in order for the other too');
$node->safe_psql('postgres', "CREATE USER MAPPING FOR clerk SERVER erp "
	  . options_clause(client_id => $sim->value('client_id'), private_key_file => $sim->value('unknown_private_key_file'), certificate_id => 'nobody'));
dies($node, $query, '28000', [ qr/invalid_grant/ ], 'a mapping that is refused', user => 'clerk');
is(state_of('clerk'), 'online required clerk', 'is known to be refused');
is(state_of('postgres'), 'online ok postgres', 'which says nothing of others');
is(state_of('analyst'), 'online ok public', 'nor of the one of everybody');
like($node->safe_psql('postgres', "SET ROLE clerk; SELECT last_error FROM makini.connection"), qr/refused the credentials/, 'with the reason');
like($node->safe_psql('postgres', "SET ROLE clerk; SELECT auth_changed_at > now() - interval '1 minute' FROM makini.connection"), qr/t/, 'and since when');

$sim->arm(kind => 'reset_connect', path => 'connect:https', count => 0);
dies($node, "BEGIN; $query; COMMIT", '08006|08001', [ qr/./ ], 'a server that is gone');
$sim->disarm;
is(state_of('postgres'), 'offline ok postgres', 'is known to be gone, in spite of the rollback');
is(state_of('clerk'), 'offline required clerk', 'to everybody');
my $changed = $node->safe_psql('postgres', 'SELECT health_changed_at FROM makini.connection');
answered('and when it comes back');
is(state_of('clerk'), 'online required clerk', 'that is known to everybody too');
isnt($node->safe_psql('postgres', 'SELECT health_changed_at FROM makini.connection'), $changed, 'with the time of it');

# The simulator's own certificates do not last as long.
$node->safe_psql('postgres', "ALTER SERVER erp OPTIONS (SET base_url '" . $sim->value('http_url') . "', ADD allow_http 'true')");
$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER erp OPTIONS (ADD certificate_file '" . $sim->value('certificate_file') . "')");
answered('a certificate with an end');
is(state_of('postgres'), 'online ok postgres', 'far away');
set_clock(86400 * 680);
$sim->revoke_tokens;
answered('20 days before that');
is(state_of('postgres'), 'online expiring postgres', 'it is expiring');
set_clock(86400 * 701);
dies($node, $query, '28000', [ qr/HINT: / ], 'after it');
is(state_of('postgres'), 'online required postgres', 'a new one is required');
set_clock(0);

# ---- counters ----

answered('back in the present');
my $count = "SELECT coalesce(sum(requests), 0) FROM makini.connection_stat WHERE used_by = '%s'";
my %was = map { $_ => $node->safe_psql('postgres', sprintf($count, $_)) } 'scan', 'probe';
$node->psql('postgres', "BEGIN; $query; ROLLBACK");
$node->safe_psql('postgres', "SELECT * FROM makini.test_connection('erp')");
is($node->safe_psql('postgres', sprintf($count, 'scan')) - $was{scan}, 1, 'a scan that was rolled back counts');
cmp_ok($node->safe_psql('postgres', sprintf($count, 'probe')) - $was{probe}, '>', 3, 'probes count for themselves');
is($node->safe_psql('other', sprintf($count, 'probe')), 0, 'and not in other databases');
is($node->safe_psql('postgres', "SELECT count(DISTINCT day) FROM makini.connection_stat") > 1 ? 'more' : 'one', 'more', 'each day has its own');

$watcher->quit;
$node->stop;
done_testing();
