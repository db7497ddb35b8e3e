# What the tests of webhooks share: a receiver that does as it is told, a node
# whose webhooks may be sent to it, and waiting for what was sent.
#
#   my $receiver = Webhook::Receiver->new;
#   my $node = webhook_node('webhook');
#   my $id = create_webhook($node, $receiver, '/orders', events => '{order.*}');
#   $receiver->script('/orders', status => 500, times => 2);
#   emit($node, 'order.late', '{"order": 1}');
#   $receiver->wait_for('/orders', 3);
package Webhook;

use strict;
use warnings;
use Exporter 'import';
use Hostile;
use Makini;
use PostgreSQL::Test::Utils;
use Time::HiRes;

our @EXPORT = qw(webhook_node create_webhook emit until_query until_sent $secret);

our $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

# A preloaded node that may send to the loopback; a scheduler leaves soon.
sub webhook_node
{
	my ($name, %option) = @_;
	my $conf = "max_worker_processes = 16\nmakini.scheduler_linger = '100ms'\nmakini.allow_http = on\n"
	  . "makini.allowed_private_hosts = '127.0.0.0/8'\nlog_statement = none\nlog_line_prefix = '%m [%p] %b %q%a '\n"
	  . ($option{conf} // '');

	return makini_node($name, preload => 1, conf => $conf);
}

# create_webhook NODE, RECEIVER, PATH, argument => value, ...: its id.
sub create_webhook
{
	my ($node, $receiver, $path, %given) = @_;
	my %argument = (secret => $secret, %given);
	my $url = delete $argument{url} // $receiver->url($path);
	my $role = delete $argument{role};
	my $list = join('', map { (my $v = $argument{$_}) =~ s/'/''/g; ", $_ => '$v'" } sort keys %argument);

	return $node->safe_psql('postgres',
		($role ? "SET ROLE $role; " : '') . "SELECT webhook_id FROM makini.create_webhook('$url'$list)");
}

sub emit
{
	my ($node, $type, $data, %given) = @_;
	my $list = join('', map { ", $_ => '$given{$_}'" } sort keys %given);

	return $node->safe_psql('postgres', "SELECT makini.emit('$type', '" . ($data // '{}') . "'$list)");
}

sub until_query
{
	my ($node, $what, $query) = @_;

	$node->poll_query_until('postgres', $query) or die "waited in vain for $what";
	return;
}

# Until nothing is due that may be sent.
sub until_sent
{
	my ($node) = @_;

	until_query($node, 'everything to be sent', q{SELECT NOT EXISTS (SELECT FROM makini._event)
		AND NOT EXISTS (SELECT FROM makini._delivery JOIN makini._webhook w USING (webhook_id)
			WHERE w.enabled AND (next_attempt_at < now() OR claimed_by IS NOT NULL))});
	return;
}

package Webhook::Receiver;

use strict;
use warnings;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Time::HiRes;

my $program;

sub build
{
	return $program if $program;
	my $path = PostgreSQL::Test::Utils::tempdir('receiver') . '/receiver';

	system_or_bail('gcc', '-std=gnu11', '-O2', '-Isrc', '-o', $path, 'test/sim/receiver/receiver.c',
		'src/webhook/sign.c', '-lssl', '-lcrypto');
	return $program = $path;
}

# new [CERTIFICATE, KEY [, CLIENTS]]: with them it speaks TLS, and with a file of
# certificates only to who has one of these.
sub new
{
	my ($class, @tls) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('received');
	my $self = bless { dir => $dir, http => HTTP::Tiny->new(timeout => 30), tls => scalar @tls }, $class;

	$self->{process} = IPC::Run::start([ build(), $dir, @tls ], '<', \'', '>', "$dir/log", '2>', "$dir/errors");
	until (-s "$dir/receiver.json")
	{
		die 'the receiver did not start: ' . slurp_file("$dir/errors") unless $self->{process}->pumpable;
		Time::HiRes::usleep(20_000);
	}
	$self->{values} = decode_json(slurp_file("$dir/receiver.json"));
	return $self;
}

sub port { my ($self) = @_; return $self->{values}{port}; }
sub url
{
	my ($self, $path) = @_;
	return ($self->{tls} ? 'https' : 'http') . "://127.0.0.1:" . $self->port . $path;
}

sub call
{
	my ($self, $method, $path, $content) = @_;
	my $answer = $self->{http}->request($method, "http://127.0.0.1:$self->{values}{control_port}$path",
		{ content => $content // '' });

	die "$method $path: $answer->{status}" unless $answer->{success};
	return $answer->{content};
}

# script PATH, name => value, ...: see receiver.c; with "secret" signatures are verified.
sub script
{
	my ($self, $path, @pairs) = @_;
	my $lines = '';

	while (my ($name, $value) = splice(@pairs, 0, 2)) { $lines .= "$name=$value\n"; }
	$self->call('POST', "/script$path", $lines);
	return;
}

sub count { my ($self, $path) = @_; return decode_json($self->call('GET', "/count$path")); }
sub latency { my ($self, $path) = @_; return decode_json($self->call('GET', "/latency$path")); }
sub forget { my ($self) = @_; return $self->call('DELETE', '/log'); }

# Requests to a path: {id, number, status, valid, at_us, head, body}.
sub log_of
{
	my ($self, $path) = @_;
	return map { decode_json($_) } split /\n/, $self->call('GET', "/log$path");
}

# wait_for PATH, N: until that many requests have come.
sub wait_for
{
	my ($self, $path, $n) = @_;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if $self->count($path)->{requests} >= $n;
		Time::HiRes::usleep(100_000);
	}
	die "waited in vain for $n requests to $path: " . $self->call('GET', "/count$path");
}

sub stop
{
	my ($self) = @_;
	my $process = delete $self->{process} or return;

	$process->signal('TERM');
	eval { $process->finish };
	return;
}

sub DESTROY { my ($self) = @_; local ($?, $@); $self->stop; return; }

1;
