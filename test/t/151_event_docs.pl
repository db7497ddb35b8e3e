# The statements of docs/events.md and docs/versions.md run, and give the rows that they show.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my %page = map { $_ => slurp_file("docs/$_.md") } 'events', 'versions';
my $node = makini_node('docs');

foreach my $name (sort keys %page)
{
	my $n = 0;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'CREATE EXTENSION makini') if $page{$name} !~ /CREATE EXTENSION/;
	while ($page{$name} =~ /^```sql\n(.*?)^```\n(?:```\n(.*?)^```\n)?/msg)
	{
		my ($sql, $shown) = ($1, $2);
		my $first = (split /\n/, $sql)[0];
		my ($code, $stdout, $stderr) = $node->psql($name, $sql);

		is($code, 0, "$name, block " . ++$n . " runs: $first") or diag($stderr);
		next if !defined $shown;
		my (undef, undef, @rows) = split /\n/, $shown;
		foreach my $row (@rows)
		{
			$row =~ s/^ +| +$//g;
			$row =~ s/ *\| */|/g;
			like($stdout, qr/^\Q$row\E$/m, "$first: $row");
		}
	}
	cmp_ok($n, '>', 2, "$name has statements");
}

# Every type that makini raises itself is in the table.
like($page{events}, qr/`\Q$_\E`/, "$_ is on the page")
  foreach split /\n/, $node->safe_psql('events', 'SELECT type FROM makini.event_type');

$node->stop;
done_testing();
