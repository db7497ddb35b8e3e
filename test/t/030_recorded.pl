# A foreign table read through a reply that was recorded from a live account
# returns exactly its rows.  Without the recordings there is nothing to read.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = '../shared/research/netsuite-fixtures/recorded/21-suiteql-execute-suiteql-query-fetch-first-syntax.json';
plan skip_all => 'the recorded replies are not here' unless -r $file;

my $recorded = JSON::PP->new->utf8->decode(slurp_file($file));
my $statement = $recorded->{request}{body}{q};
my @rows = @{ $recorded->{response}{body}{items} };

my $sim = Makini::Simulator->new('--scale', '0.02', '--recorded', $file);
my $node = makini_node('recorded');
connect_server($node, $sim);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE recorded (id bigint NOT NULL, companyname text)
	SERVER erp OPTIONS (query '$statement');
SQL

my $expected = join("\n", map { "$_->{id}|" . ($_->{companyname} // '<null>') } @rows);
is($node->safe_psql('postgres', "SELECT id, coalesce(companyname, '<null>') FROM recorded"),
	$expected, 'the rows of the recorded page, in its order');
# The recording answers one text only, so what is asked of it is done here.
is($node->safe_psql('postgres', 'SET makini.enable_pushdown = off; SELECT count(*) FROM recorded WHERE companyname IS NULL'),
	scalar(grep { !defined $_->{companyname} } @rows), 'a member left out is NULL');
is($node->safe_psql('postgres', "SELECT count(*) FROM makini.query('erp', '$statement') AS item WHERE NOT item ? 'links'"),
	scalar(@rows), 'the same through makini.query');

$node->stop;
$sim->stop;
done_testing();
