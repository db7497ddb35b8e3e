# The statements of docs/events.md run, and give the rows that it shows.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_file('docs/events.md');
my $node = makini_node('docs');
my $n = 0;

$node->safe_psql('postgres', 'CREATE DATABASE page');
while ($page =~ /^```sql\n(.*?)^```\n(?:```\n(.*?)^```\n)?/msg)
{
	my ($sql, $shown) = ($1, $2);
	my $first = (split /\n/, $sql)[0];
	my ($code, $stdout, $stderr) = $node->psql('page', $sql);

	is($code, 0, 'block ' . ++$n . " runs: $first") or diag($stderr);
	next if !defined $shown;
	my (undef, undef, @rows) = split /\n/, $shown;
	foreach my $row (@rows)
	{
		$row =~ s/^ +| +$//g;
		$row =~ s/ *\| */|/g;
		like($stdout, qr/^\Q$row\E$/m, "$first: $row");
	}
}
cmp_ok($n, '>', 5, 'the page has statements');

# Every type that makini raises itself is in the table.
like($page, qr/`\Q$_\E`/, "$_ is on the page")
  foreach split /\n/, $node->safe_psql('page', 'SELECT type FROM makini.event_type');

$node->stop;
done_testing();
