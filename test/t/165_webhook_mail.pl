# Webhooks with a mailto: URL, against a real mail server.
use strict;
use warnings;
use lib 'test/lib';
use IPC::Run;
use JSON::PP;
use Makini;
use MIME::QuotedPrint;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Webhook;

my $python = '/usr/bin/python3';
plan skip_all => 'aiosmtpd is not installed' if system("$python -c 'import aiosmtpd' 2>/dev/null") != 0;

my $dir = PostgreSQL::Test::Utils::tempdir('mail');
my ($out, $err) = ('', '');
my $server = IPC::Run::start([ $python, 'test/sim/receiver/mail.py', $dir, '--refuse', '451' ], '<', \'', '>', \$out, '2>', \$err);
until (-s "$dir/port") { die "no mail server: $err" unless $server->pumpable; $server->pump_nb; usleep(50_000); }
my $port = slurp_file("$dir/port");

sub mails { return -e "$dir/mails" ? map { decode_json($_) } split(/\n/, slurp_file("$dir/mails")) : (); }

my $node = webhook_node('mail', conf => "makini.smtp_url = 'smtp://127.0.0.1:$port?from=makini\@example.com'\n");
my $id = $node->safe_psql('postgres', q{SELECT webhook_id FROM makini.create_webhook('mailto:ops@example.com,cto@example.com',
	events => '{order.*}', options => jsonb_build_object('schedule', array_fill('200 ms'::text, '{50}')))});

# ---- a server that is busy, then well ----
my $event = emit($node, 'order.late', '{"order": 17, "text": "größe = 1", "long": "' . ('x' x 300) . '"}');
until_query($node, 'the refusal', "SELECT EXISTS (SELECT FROM makini.delivery_attempt WHERE status = 451)");
is(scalar(my @none = mails()), 0, 'a mail that is refused is tried again');
append_to_file("$dir/accept", 'yes');
until_query($node, 'the mail', "SELECT status = 'delivered' FROM makini.delivery WHERE event_id = '$event'");
my @mails = mails();
is(scalar(@mails), 1, 'one mail');
is($mails[0]{from}, 'makini@example.com', 'from whom the setting says');
is_deeply($mails[0]{to}, [ 'ops@example.com', 'cto@example.com' ], 'to all recipients');
my ($head, $body) = split /\r?\n\r?\n/, $mails[0]{content}, 2;
like($head, qr/^Subject: \[makini\] order\.late\r?$/m, 'its subject is the type');
like($head, qr/^Message-ID: <$event\@makini>\r?$/m, 'its id the event');
like($head, qr/^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r?$/m, 'it has a date');
cmp_ok((sort { $b <=> $a } map { length } split /\r?\n/, $body)[0], '<=', 78, 'no line is too long');
is(decode_qp($body) =~ s/\s+$//r, $node->safe_psql('postgres', "SELECT makini.preview_event('$event')"), 'the body is the event');
is($node->safe_psql('postgres', "SELECT delivered, status FROM makini.test_webhook('$id')"), 't|250', 'a test');
is(scalar(my @two = mails()), 2, 'is a mail too');

# ---- what cannot be an address ----
foreach my $url ('mailto:', 'mailto:ops', "mailto:ops\@example.com\r\nBcc: x\@y.z", 'mailto:<ops@example.com>', 'mailto:ops@example.com?subject=x')
{
	my ($code, $stdout, $stderr) = $node->psql('postgres', "SELECT makini.create_webhook(\$u\$$url\$u\$)");
	like($stderr, qr/is not mailto: and addresses/, 'refused: ' . ($url =~ s/\s.*//sr));
}

# ---- a server that is gone ----
$server->kill_kill;
my $lost = emit($node, 'order.lost');
until_query($node, 'the failure', "SELECT EXISTS (SELECT FROM makini.delivery_attempt WHERE event_id = '$lost' AND status IS NULL AND error IS NOT NULL)");
pass('without a server deliveries wait');

$node->stop;
done_testing();
