# Two thousand generated queries give the same answer over foreign tables as
# over local copies, with pushdown and without.  test/corpus/run.py prints the
# TAP.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;

my $sim = Makini::Simulator->new;
my $node = makini_node('corpus');
connect_server($node, $sim);

my $output = Test::More->builder->output;
Test::More->builder->no_ending(1);
open(my $corpus, '-|', '/usr/bin/python3', '-B', 'test/corpus/run.py', '--server', 'erp', $node->connstr('postgres'))
  or die "could not run the corpus: $!";
print {$output} $_ while <$corpus>;
close($corpus);
my $status = $?;

$node->stop;
$sim->stop;
exit($status == 0 ? 0 : 1);
