# The library loads with and without shared_preload_libraries, and its settings
# behave the same either way.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use Test::More;

foreach my $preload (0, 1)
{
	my $label = $preload ? 'preloaded' : 'loaded on first use';
	my $node = makini_node("load$preload", preload => $preload);

	is($node->safe_psql('postgres', 'SELECT makini.version()'), '1.0', "$label: version");
	is($node->safe_psql('postgres', 'SELECT makini.api_version()'), 'v1', "$label: API version");
	is( $node->safe_psql('postgres', "SELECT makini.version(), current_setting('makini.max_requests_per_query')"),
		'1.0|5000', "$label: a setting has its default");
	$node->append_conf('postgresql.conf', 'makini.max_requests_per_query = 7');
	$node->reload;
	ok( $node->poll_query_until(
			'postgres',
			"SELECT makini.version() = '1.0' AND current_setting('makini.max_requests_per_query') = '7'"
		),
		"$label: the configuration file is heeded");

	my ($code, undef, $stderr) = $node->psql('postgres', 'SELECT makini.version(); SET makini.nonsense = 1');
	isnt($code, 0, "$label: a misspelt setting fails");
	like($stderr, qr/invalid configuration parameter name "makini\.nonsense"/, "$label: and is named");

	$node->safe_psql('postgres', 'CREATE ROLE plain LOGIN');
	(undef, undef, $stderr) = $node->psql(
		'postgres', 'SET makini.max_requests_per_query = 1',
		extra_params => [ '-U', 'plain' ]);
	like($stderr, qr/permission denied to set parameter/, "$label: the limit is a superuser's")
	  if $preload;

	$node->safe_psql('postgres', 'DROP EXTENSION makini');
	is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname = 'makini'"),
		'0', "$label: nothing is left after DROP EXTENSION");
	$node->safe_psql('postgres', 'CREATE EXTENSION makini');
	$node->stop;
}

done_testing();
