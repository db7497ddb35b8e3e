# The same as test/t/065_drain_kill.pl with a hundred kills of each kind.
use strict;
use warnings;
use lib 'test/lib';
use Makini;

$ENV{MAKINI_LONG} = 1;
do './test/t/065_drain_kill.pl' or die $@ || $!;
