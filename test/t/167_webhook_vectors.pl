# What Standard Webhooks publishes to be held to: signatures, the schedule of
# retries, and that every event is as its own schema says.
use strict;
use warnings;
use lib 'test/lib';
use Encode;
use JSON::PP;
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook;

# The specification's and the reference libraries' own, and others computed with these.
my $vectors = decode_json(slurp_file('test/lib/webhook-vectors.json'));
my $receiver = Webhook::Receiver->new;
my $node = webhook_node('vectors');

sub query { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub literal { my ($text) = @_; return defined $text ? "'" . ($text =~ s/'/''/gr) . "'" : 'NULL'; }
sub bytes { my ($text) = @_; return Encode::encode('UTF-8', $text); }

# ---- signing ----
foreach my $vector (@{ $vectors->{sign} })
{
	my $payload = $vector->{payload} // '{"type":"t","data":"' . ('x' x 20000) . '"}';

	is(query("SELECT makini.webhook_sign(" . bytes(join(', ', map { literal($_) } $vector->{secret}, $vector->{id})) . ", to_timestamp($vector->{timestamp}), " . bytes(literal($payload)) . ')'),
		$vector->{signature}, "signed: $vector->{name}");
}

# ---- verifying ----
foreach my $vector (@{ $vectors->{verify} })
{
	my %header = map { lc $_ => $vector->{headers}{$_} } keys %{ $vector->{headers} };
	my $arguments = join(', ', map { literal($_) } $vector->{secret}, @header{ 'webhook-id', 'webhook-timestamp' }, $vector->{payload}, $header{'webhook-signature'});
	my ($code, $out, $err) = $node->psql('postgres', "SELECT makini.webhook_verify(" . bytes($arguments) . ", checked_at => to_timestamp($vector->{now})) IS TRUE");

	$out = 'f' if $code != 0 && $err =~ /secret/;
	is($out, $vector->{expect} eq 'accept' ? 't' : 'f', "$vector->{expect}: $vector->{name}");
}

# ---- ten attempts in three days, and then no more ----
my $id = create_webhook($node, $receiver, '/never', events => '{once.*}');
my @step = @{ $vectors->{retry_schedule_seconds} };
$receiver->script('/never', status => 500);
my $event = emit($node, 'once.only');
foreach my $attempt (1 .. $#step)
{
	until_query($node, "attempt $attempt", "SELECT attempts = $attempt FROM makini.delivery WHERE event_id = '$event'");
	my $wait = query(qq{SELECT extract(epoch FROM d.next_attempt_at - (a.started_at + a.duration_ms * interval '1 ms'))
		FROM makini.delivery d JOIN makini.delivery_attempt a USING (event_id, webhook_id) WHERE event_id = '$event' AND a.attempt = $attempt});

	ok($wait >= 0.8 * $step[$attempt] - 1 && $wait <= 1.2 * $step[$attempt] + 1, "the next is $step[$attempt] s later, give or take a fifth") or diag($wait);
	# a webhook that is enabled sends at once what waits
	query("SELECT makini.disable_webhook('$id')");
	query("SELECT makini.enable_webhook('$id')");
}
until_query($node, 'the end', "SELECT status = 'failed' FROM makini.delivery WHERE event_id = '$event'");
is(query("SELECT count(*), count(*) FILTER (WHERE status = 500) FROM makini.delivery_attempt WHERE event_id = '$event'"), '10|10', 'ten attempts');
my @sent = $receiver->log_of('/never');
is(scalar(keys %{ { map { $_->{id} => 1 } @sent } }), 1, 'always with the same webhook-id');

$node->stop;
done_testing();
