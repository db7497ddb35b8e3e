# What is sent is verified by the published libraries, standardwebhooks and svix.
use strict;
use warnings;
use lib 'test/lib';
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook;

my $modules = PostgreSQL::Test::Utils::tempdir('modules');
my $npm = -e '/usr/bin/npm' || -e '/usr/local/bin/npm';

plan skip_all => 'there is no Node.js here' unless $npm;
{
	local $ENV{HOME} = $modules;
	my $installed = eval {
		IPC::Run::run([ 'npm', 'install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', $modules,
				'standardwebhooks@1', 'svix@1' ],
			'<', \'', '>', \my $out, '2>', \my $err, IPC::Run::timeout(90));
	};
	plan skip_all => 'the libraries cannot be had' unless $installed;
}

my ($out, $err) = ('', '');
my $verifier = IPC::Run::start([ 'node', 'test/sim/receiver/verify.cjs', $secret, $modules ],
	'<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(120));
$verifier->pump until $out =~ /^(\d+)\n/ || $err ne '';
my ($port) = $out =~ /^(\d+)\n/;
ok($port, 'a receiver with the libraries') or diag($err);

my $receiver = Webhook::Receiver->new;
my $node = webhook_node('verify');
my $id = create_webhook($node, $receiver, '/', url => "http://127.0.0.1:$port/hook");
my $http = HTTP::Tiny->new;
sub counted { return decode_json($http->get("http://127.0.0.1:$port/count")->{content}); }

$node->safe_psql('postgres', q{SELECT count(makini.emit('order.late', jsonb_build_object('n', n, 'text', 'größe – 倉庫 ✓ "\\' || repeat('x', n * 20))))
	FROM generate_series(1, 300) n});
until_sent($node);
is_deeply(counted(), { accepted => 300, refused => 0, last_error => undef }, 'both accept every delivery');

# ---- during a rotation: the receiver still has the old secret ----
$node->safe_psql('postgres', "SELECT makini.rotate_webhook_secret('$id')");
$node->safe_psql('postgres', q{SELECT count(makini.emit('order.late')) FROM generate_series(1, 100)});
until_sent($node);
is_deeply(counted(), { accepted => 400, refused => 0, last_error => undef }, 'also while two secrets sign');
is($node->safe_psql('postgres', "SELECT delivered, status FROM makini.test_webhook('$id')"), 't|204', 'and a test');

# ---- every type that makini raises itself ----
$node->safe_psql('postgres', "SELECT count(*) FROM makini.event_type t, makini.test_webhook('$id', t.type)");
my $types = $node->safe_psql('postgres', 'SELECT count(*) FROM makini.event_type');
is(counted()->{accepted}, 401 + $types, 'samples of all types');

$verifier->kill_kill;
$node->stop;
done_testing();
