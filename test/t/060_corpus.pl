# Generated queries give the same answer over foreign tables as over local
# copies, with pushdown and without.  test/corpus/run.py prints the TAP.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'transaction=200,item=200,customer=150');
my $node = makini_node('corpus');
# Small pages, so that most answers have several.
connect_server($node, $sim, options => { page_size => 150 });

my $output = Test::More->builder->output;
Test::More->builder->no_ending(1);
open(my $corpus, '-|', '/usr/bin/python3', '-B', 'test/corpus/run.py', '--server', 'erp', $node->connstr('postgres'))
  or die "could not run the corpus: $!";
print {$output} $_ while <$corpus>;
close($corpus);
my $failed = $? != 0;

# The copies were read through the foreign tables: they must be whole.
for my $table (split ' ', $node->safe_psql('postgres',
		q(SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'local'::regnamespace AND relkind = 'r')))
{
	my $copied = $node->safe_psql('postgres', qq(SELECT count(*) FROM local."$table"));
	my ($row) = $sim->sql(qq(SELECT count(*) FROM netsuite."$table"));
	next if $copied == $row->[0];
	print {$output} "# $table has $row->[0] rows, the copy $copied\n";
	$failed = 1;
}

$node->stop;
$sim->stop;
exit($failed ? 1 : 0);
