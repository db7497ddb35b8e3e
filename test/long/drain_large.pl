# The same as test/t/066_drain_large.pl with half a million rows.
use strict;
use warnings;
use lib 'test/lib';
use Makini;

$ENV{MAKINI_LONG} = 1;
do './test/t/066_drain_large.pl' or die $@ || $!;
