# The simulator can be started and told what to do from a TAP test.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--scale', '0.05');

like($sim->value('url'), qr/^https:/, 'says where it is');
my $fault = $sim->arm(kind => '429', count => 3);
is($fault->{left}, 3, 'a fault can be armed');
is(scalar $sim->faults, 1, 'and seen');
$sim->disarm;
is(scalar $sim->faults, 0, 'and taken back');
is($sim->set(latency_ms => 5)->{latency_ms}, 5, 'a setting can be changed');
my @rows = $sim->sql('SELECT count(*) FROM netsuite.item WHERE id > %s', 0);
cmp_ok($rows[0][0], '>', 0, 'its data can be asked for');
is(scalar $sim->log_entries, 0, 'nobody has asked it anything');
is($sim->requests, 0, 'which its counters say too');
my $key = $sim->new_key('P384');
ok(-s $key->{private_key_file}, 'it makes keys');
$sim->reset;
$sim->stop;

done_testing();
