# The same as test/t/023_leak.pl with a scan of a million rows.
use strict;
use warnings;

$ENV{MAKINI_LONG} = 1;
do './test/t/023_leak.pl' or die $@ || $!;
