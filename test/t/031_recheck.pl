# A statement that waited for another session's row checks its remote row again:
# what a look-up fetched belongs to the row as it was before.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use IPC::Run;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=50', '--scale', '0.02');
my $node = makini_node('recheck');
connect_server($node, $sim, tables => ['item']);
$node->safe_psql('postgres', q(
	CREATE TABLE wanted (id bigint, note text);
	INSERT INTO wanted VALUES (1, 'untouched'), (7, 'untouched')));

my $update = 'SET enable_hashjoin = off; SET enable_mergejoin = off;'
  . ' UPDATE wanted w SET note = i.itemid FROM erp.item i WHERE i.id = w.id RETURNING w.id';
like($node->safe_psql('postgres', "EXPLAIN (VERBOSE) $update" =~ s/EXPLAIN \(VERBOSE\) (.*;) /$1 EXPLAIN (VERBOSE) /r),
	qr/WHERE t\.id = \$\d/, 'rows are looked up one by one');

# A session that has changed the key of a row, and goes on when told to.
my ($in, $out) = ("BEGIN; UPDATE wanted SET id = 2 WHERE id = 1; SELECT 'changed';\n", '');
my $first = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \my $ignored);
$first->pump until $out =~ /changed/;

my ($updated, $errors) = ('', '');
my $second = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $update ],
	'<', \'', '>', \$updated, '2>', \$errors);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
$in .= "COMMIT;\n\\q\n";
$first->finish;
$second->finish;

is($errors, '', 'no error');
is($updated, "7\n", 'only the row that still meets its remote row is changed');
is($node->safe_psql('postgres', 'SELECT note FROM wanted WHERE id = 2'), 'untouched', 'the other is as it was');

$node->stop;
$sim->stop;
done_testing();
