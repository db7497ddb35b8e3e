# What the documentation says is so: options, settings, errors and functions
# are all there, links lead somewhere, and the statements run.
use strict;
use warnings;
use lib 'test/lib';
use Makini;
use PostgreSQL::Test::Utils;
use Test::More;

my @pages = ('README.md', 'CHANGELOG.md', 'docs/netsuite.md', 'docs/asctrac.md', 'docs/sync.md', 'docs/drain.md', 'docs/events.md', 'docs/webhooks.md', 'docs/worker.md', 'docs/versions.md', 'docs/architecture.md', 'test/sim/netsuite/README.md');
my %text = map { $_ => slurp_file($_) } @pages;
my $guide = $text{'docs/netsuite.md'};

# ---- options: name, range and values as in the code ----

sub section
{
	my ($title) = @_;
	return $guide =~ /^### \Q$title\E\n(.*?)^#/ms ? $1 : '';
}

sub row_of
{
	my ($rows, $name) = @_;
	return $rows =~ /^(\|[^\n|]*`\Q$name\E`.*)$/m ? $1 : undef;
}

# The title of a table in the guide, by the macro that defines an option.
my %title = (SERVER => 'Server', MAPPING => 'User mapping', TABLE => 'Foreign table', COLUMN => 'Column');
my $code = slurp_file('src/connector/common_options.h') . slurp_file('src/connector/netsuite/options.c');
my %known;

while ($code =~ /(SERVER|MAPPING|TABLE|COLUMN)_OPTION\("(\w+)", (\w+)([^\n]*?)\)[,\n]/g)
{
	my ($kind, $name, $type, $rest) = ($1, $2, $3, $4);
	my $row = row_of(section($title{$kind}), $name);

	$known{$kind}{$name} = 1;
	ok($row, "option $name is in the guide's table for $title{$kind}") or next;
	like($row, qr/\b$1 to $2\b/, "$name: its range is") if $type eq 'INT' && $rest =~ /min = (\d+), \.max = (\d+)/;
	like($row, qr/\b$_\b/, "$name: its value $_ is") foreach $rest =~ /values = "([^"]+)"/ ? split(/\|/, $1) : ();
	like($row, qr/[Ss]uperuser/, "$name: that it is a superuser's is") if $rest =~ /superuser = true/;
}
cmp_ok(scalar(keys %{ $known{SERVER} }), '>', 10, 'the options were found in the code');

foreach my $kind (sort keys %title)
{
	my @named = map { /^\| (`[^|]*) \|/ ? $1 =~ /`(\w+)`/g : () } split(/\n/, section($title{$kind}));
	is_deeply([ grep { !$known{$kind}{$_} } @named ], [], "no option of $title{$kind} is made up");
}

# ---- errors that are promised ----
foreach my $sqlstate (qw(08001 08006 28000 42501 53300 53400 22021 22P05 HV000 HV005 HV00R HV00D 57014))
{
	like($guide, qr/^\| [^|]*`$sqlstate`/m, "SQLSTATE $sqlstate is explained");
}

# ---- links and names of files ----
sub anchors
{
	my ($page) = @_;
	my %anchor;

	while ($page =~ /^#+ (.*)$/mg)
	{
		my $slug = lc $1;
		$slug =~ s/[^\w\- ]//g;
		$slug =~ s/ /-/g;
		$anchor{$slug} = 1;
	}
	return \%anchor;
}

foreach my $page (@pages)
{
	my ($dir) = $page =~ m{^(.*/)?};
	my @broken;
	my $prose = $text{$page} =~ s/^```.*?^```$//msgr;

	$dir //= '';
	while ($prose =~ /\]\(([^)#\s]*)(?:#([^)\s]*))?\)/g)
	{
		my ($file, $anchor) = ($1, $2);
		next if $file =~ m{^https?://};
		my $target = $file eq '' ? $page : "$dir$file";
		1 while $target =~ s{[^/]+/\.\./}{};
		push @broken, "$file#" . ($anchor // '')
		  unless -e $target && (!defined $anchor || anchors(slurp_file($target))->{$anchor});
	}
	is_deeply(\@broken, [], "$page: links lead somewhere");
	is_deeply([ grep { !(my @found = glob) } $prose =~ m{`((?:src|test|docs|sql)/[\w./*-]+)`}g ], [], "$page: files named exist");
}

# ---- what the extension has ----
my $sim = Makini::Simulator->new;
my $node = makini_node('docs');

my $public = q{
	SELECT 'pg_proc'::regclass AS class, oid, proname AS name FROM pg_proc WHERE pronamespace = 'makini'::regnamespace
	UNION ALL SELECT 'pg_class'::regclass, oid, relname FROM pg_class
		WHERE relnamespace = 'makini'::regnamespace AND relkind IN ('r', 'v', 'm', 'f', 'p')
	UNION ALL SELECT 'pg_namespace'::regclass, oid, nspname FROM pg_namespace WHERE nspname = 'makini'
	UNION ALL SELECT 'pg_extension'::regclass, oid, extname FROM pg_extension WHERE extname = 'makini'
	UNION ALL SELECT 'pg_event_trigger'::regclass, oid, evtname FROM pg_event_trigger WHERE evtname LIKE 'makini%'
	UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, fdwname FROM pg_foreign_data_wrapper};
is( $node->safe_psql(
		'postgres',
		"SELECT class, name FROM ($public) o WHERE left(name, 1) <> '_' AND obj_description(oid, class::text::name) IS NULL"),
	'', 'every public object has a comment');

my $functions = $node->safe_psql('postgres', q{
	SELECT proname FROM pg_proc WHERE pronamespace = 'makini'::regnamespace AND left(proname, 1) <> '_'
		AND prorettype NOT IN ('fdw_handler'::regtype, 'event_trigger'::regtype) AND proname !~ 'validator$'
	UNION SELECT relname FROM pg_class WHERE relnamespace = 'makini'::regnamespace AND relkind = 'v' AND left(relname, 1) <> '_'});
foreach my $name (split /\n/, $functions)
{
	ok("$text{'README.md'}$guide$text{'docs/asctrac.md'}$text{'docs/sync.md'}$text{'docs/events.md'}$text{'docs/webhooks.md'}$text{'docs/worker.md'}$text{'docs/versions.md'}" =~ /\b$name\b/, "$name is in the documentation");
}

# Who is given what, as grant_access has it.
my $access = $node->safe_psql('postgres', q{SELECT level, string_agg(DISTINCT substring(object FROM '^makini\.(\w+)'), ' ') FROM makini._access
	WHERE object !~ '^makini\._' GROUP BY level});
foreach my $line (split /\n/, $access)
{
	my ($level, $names) = split /\|/, $line;
	my $row = $guide =~ /^\| `$level` \|(.*)$/m ? $1 : '';
	is(join(' ', sort($row =~ /`(\w+)`/g)), join(' ', sort(split / /, $names)), "the guide says what a role of level $level is given");
}

my $settings = $node->safe_psql('postgres', q{
	LOAD 'makini'; SELECT name, boot_val FROM pg_settings WHERE name LIKE 'makini.%'});
foreach my $line (split /\n/, $settings)
{
	my ($name, $default) = split /\|/, $line;
	like(row_of(section('Settings'), $name) // '', qr/\| `?\Q$default\E`? \|/, "setting $name is in the guide with its default");
}

# ---- statements run, and rows are as shown ----
sub run_page
{
	my ($page, $database) = @_;
	my ($certificate_id, $n) = ($sim->value('certificate_id'), 0);

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	while ($text{$page} =~ /^```sql\n(.*?)^```\n(?:```\n(.*?)^```\n)?/msg)
	{
		my ($sql, $shown) = ($1, $2);
		my $first = (split /\n/, $sql)[0];
		my $real = options_clause(
			account_id => $sim->value('account_id'), base_url => $sim->value('url'),
			ca_file => $sim->value('ca_file'), allow_private => 'true');

		$sql =~ s/OPTIONS \(account_id '1234567_SB1'\)/$real/;
		$sql =~ s/<client id>/$sim->value('client_id')/e;
		$sql =~ s/<certificate id>/$certificate_id/;
		$sql =~ s{/etc/makini/erp\.pem}{$sim->value('private_key_file')}e;
		$sql =~ s{/etc/makini/erp\.crt}{$sim->value('certificate_file')}e;

		my ($code, $stdout, $stderr) = $node->psql($database, $sql);
		is($code, 0, "$page, block " . ++$n . " runs: $first") or diag($stderr);
		if ($sql =~ /create_key\(server/)
		{
			like($stdout, qr/^-----BEGIN CERTIFICATE-----$/m, 'a certificate to upload');
			$certificate_id = $sim->add_certificate($stdout);
		}
		compare($shown, $stdout, $first) if ($shown // '') =~ /^ [^\n]*\n-[-+]+\n(?! options)/;
	}
	cmp_ok($n, '>', 1, "$page has statements");
	is($node->safe_psql($database, "SELECT step, detail FROM makini.test_connection('erp') WHERE status = 'failed'"),
		'', "$page: the connection it makes works");
	return;
}

# Rows of psql's aligned form against those of its unaligned form.
sub compare
{
	my ($shown, $stdout, $first) = @_;
	my (undef, undef, @rows) = split /\n/, $shown;

	s/^ +| +$//g, s/ *\| */|/g foreach @rows;
	like($stdout, qr/^\Q$_\E$/m, "$first: $_") foreach @rows;
	return;
}

run_page('README.md', 'readme');

# The guide talks of a table of the reader's own.
$node->safe_psql('template1', 'CREATE TABLE stock_check (item bigint); INSERT INTO stock_check VALUES (1), (2)');
run_page('docs/netsuite.md', 'guide');
run_page('docs/sync.md', 'sync_guide');

# The same of a page about ASCTrac, from which the rows are not.
my $warehouse = Makini::ASCTrac->new;
$node->safe_psql('postgres', 'CREATE DATABASE drain_guide');
$node->safe_psql('drain_guide', 'CREATE EXTENSION makini');
connect_warehouse($node, $warehouse, database => 'drain_guide', tables => ['tranfile_export']);
my $n = 0;
while ($text{'docs/drain.md'} =~ /^ *```sql\n(.*?)^ *```$/msg)
{
	my ($code, $stdout, $stderr) = $node->psql('drain_guide', $1);
	is($code, 0, 'docs/drain.md, block ' . ++$n . ' runs') or diag($stderr);
}
cmp_ok($n, '>', 3, 'docs/drain.md has statements');

$node->stop;
done_testing();
