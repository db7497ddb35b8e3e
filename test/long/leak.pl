# The same as test/t/024_leak.pl with 10,000 scans.
use strict;
use warnings;

$ENV{MAKINI_LONG} = 1;
do './test/t/024_leak.pl' or die $@ || $!;
