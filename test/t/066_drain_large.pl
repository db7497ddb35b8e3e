# A feed with a great many rows: landed and acknowledged in flat memory, in
# requests that the other side takes.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use Makini;
use Test::More;

my $rows = $ENV{MAKINI_LONG} ? 500_000 : 30_000;
my $sim = Makini::ASCTrac->new;
my $node = makini_node('drain_large', conf => 'shared_buffers = 16MB');
connect_warehouse($node, $sim, tables => [ 'tranfile_export', 'cust_order_export' ]);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

foreach my $feed ([ 'tranfile_export', 'TranFileExport' ], [ 'cust_order_export', 'CustOrderExport' ])
{
	my ($table, $name) = @$feed;
	my $n = $table eq 'tranfile_export' ? $rows : $rows / 10;
	my $id = sql("SELECT makini.create_drain('wms.$table', 'landing', options => '{\"accept_loss\": true}')");
	my $session = Hostile::Session->new($node);
	my ($peak, $samples) = (0, 0);

	sql("SELECT makini.resume_sync($id)");
	$sim->add_bulk($name, $n);
	$sim->forget;
	$session->send("CALL makini.run_sync($id)");
	until ($session->is_done)
	{
		my ($kb) = sql("SELECT (regexp_match(pg_read_file('/proc/" . $session->pid . "/status'), 'RssAnon:\\s+(\\d+)'))[1]");
		$peak = $kb if $kb > $peak;
		$samples++;
	}
	my (undef, $err) = $session->result;
	unlike($err, qr/ERROR/, "$table: a run");
	cmp_ok(sql("SELECT count(*) FROM landing.$table"), '>=', $n, "$table: $n rows");
	cmp_ok(sql("SELECT count(*) FROM landing.$table WHERE _ack = 'done'"), '>=', $n, "$table: which are acknowledged");
	is($sim->feed($name)->{S} <= 1 ? 'few' : 'many', 'few', "$table: as the other side says, too");
	cmp_ok($peak, '<', 64 * 1024, "$table: in flat memory");
	note("$table: at most $peak kB, seen $samples times");

	my @puts = grep { $_->{method} eq 'PUT' } $sim->log_entries(service => lc $name, limit => 100_000);
	is(scalar(grep { $_->{size} > 4 * 1024 * 1024 } @puts), 0, "$table: no request is too large");
}

$node->stop;
done_testing();
