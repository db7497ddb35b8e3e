# How NetSuite's tables are read for syncs: several key ranges at a time, told
# page by page what each covers, and taken up again from any page on.
use strict;
use warnings;
use lib 'test/lib';
use Hostile;
use JSON::PP;
use Makini;
use Test::More;

my $sim = Makini::Simulator->new('--rows', 'item=2500,transaction=400');
my $node = makini_node('sync_read', conf => 'makini.retry_base = 1');
connect_server($node, $sim, options => { page_size => 50, fetch_ahead => 4, max_concurrency => 5, sync_concurrency => 5 },
	tables => [qw(item transaction transactionline transactionaccountingline inventoryassignment
		nexttransactionlinelink aggregateitemlocation inventorybalance transactionstatus accounttype)]);
$node->safe_psql('postgres', q{
	CREATE FUNCTION read(relation regclass, columns text[], since timestamptz, resume text, pages int,
		parent regclass DEFAULT NULL, parent_column text DEFAULT NULL,
		OUT covers bool, OUT low text, OUT high text, OUT at text, OUT expected bigint,
		OUT answered_at timestamptz, OUT rows text[]) RETURNS SETOF record
		LANGUAGE C AS 'makini', 'makini_test_read';
	CREATE FUNCTION deleted(relation regclass, since timestamptz,
		OUT covers bool, OUT low text, OUT high text, OUT at text, OUT expected bigint,
		OUT answered_at timestamptz, OUT rows text[]) RETURNS SETOF record
		LANGUAGE C AS 'makini', 'makini_test_deleted';
	CREATE FUNCTION traits(wrapper text, OUT entity text, OUT deletes text, OUT parent text, OUT parent_column text,
		OUT full_every text, OUT cursor text, OUT document bool) RETURNS SETOF record
		LANGUAGE C AS 'makini', 'makini_test_traits'});

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub quoted { my ($text) = @_; return 'NULL' unless defined $text; $text =~ s/'/''/g; return "'$text'"; }

# Given: since, resume, pages, parent, parent_column.
sub reading
{
	my ($table, $columns, %given) = @_;
	return sprintf 'read(%s, %s, %s, %s, %d, %s, %s)', quoted("erp.$table"), quoted("{$columns}"),
	  map({ quoted($given{$_}) } qw(since resume)), $given{pages} // 1000000, map { quoted($given{$_}) } qw(parent parent_column);
}

# Pages as hash references.
sub pages { return map { decode_json($_) } split /\n/, sql('SELECT to_jsonb(r) FROM ' . reading(@_) . ' r'); }
sub rows { return map { @{ $_->{rows} } } @_; }

sub source
{
	my ($table, $columns) = @_;
	my $list = join " || ',' || ", map { "coalesce($_\::text, 'NULL')" } split /,/, $columns;
	return map { $_->[0] } $sim->sql("SELECT $list FROM netsuite.$table");
}
sub same_rows
{
	my ($got, $expected, $name) = @_;
	my $a = join "\n", sort @$got;
	my $b = join "\n", sort @$expected;
	ok($a eq $b, $name) or diag(scalar(@$got) . ' rows, expected ' . scalar(@$expected));
}

# ---- every row once, whatever the key ----

my %keys = (
	item => 'id', transaction => 'id', transactionline => 'transaction,id',
	transactionaccountingline => 'transaction,transactionline,accountingbook',
	nexttransactionlinelink => 'previousdoc,previousline,nextdoc,nextline,linktype',
	aggregateitemlocation => 'item,location',
	inventorybalance => 'item,location,binnumber,inventorynumber,inventorystatus');

foreach my $table (sort keys %keys)
{
	my @pages = pages($table, $keys{$table});
	same_rows([ rows(@pages) ], [ source($table, $keys{$table}) ], "$table: every row once");
	is($pages[0]{expected}, scalar(source($table, $keys{$table})), "$table: as many as the first answer said");
	ok(tiles(@pages), "$table: what the pages cover fits together without a gap");
	ok(inside(@pages), "$table: no row is outside of what its page covers")
	  if $table !~ /inventorybalance|nexttransactionlinelink/;
	ok(!(grep { !defined $_->{at} } @pages), "$table: can be taken up again");
}

# Each page begins where just one other ends.
sub tiles
{
	my @pages = @_;
	my %next = map { $_->{low} => $_ } @pages;
	my ($at, $seen) = ('', 0);

	return 0 if grep { !$_->{covers} } @pages;
	while (my $page = delete $next{$at})
	{
		$seen++;
		$at = $page->{high};
	}
	return 1 if $at eq '' && $seen == @pages;
	diag("from $_->{low} to $_->{high}: " . @{ $_->{rows} } . ' rows') foreach @pages;
	return 0;
}

# Fewer values stand behind all positions that begin with them.
sub compare
{
	my ($a, $b) = map { [ split /,/ ] } @_;
	for my $i (0 .. ($#$a < $#$b ? $#$a : $#$b)) { return $a->[$i] <=> $b->[$i] if $a->[$i] != $b->[$i]; }
	return @$b <=> @$a;
}
sub inside
{
	foreach my $page (@_)
	{
		foreach my $row (@{ $page->{rows} })
		{
			return 0 if $page->{low} ne '' && compare($row, $page->{low}) <= 0;
			return 0 if $page->{high} ne '' && compare($row, $page->{high}) > 0;
		}
	}
	return 1;
}

# ---- several ranges at a time ----

my $session = Hostile::Session->new($node);
foreach my $table (qw(item transactionline nexttransactionlinelink))
{
	my @pages = pages($table, $keys{$table});
	my $rising = grep { $pages[$_]{low} eq $pages[ $_ - 1 ]{high} } 1 .. $#pages;
	cmp_ok($rising, '<', $#pages, "$table: pages of several ranges come in between each other");

	# none is answered before the others are there
	$sim->arm(kind => 'hold', count => 0, after => 7, path => 'suiteql');
	$session->send('SELECT sum(cardinality(rows)) FROM ' . reading($table, $keys{$table}));
	until_true("several requests for $table", sub { $sim->counters->{in_flight} > 2 });
	$sim->disarm;
	is(($session->result)[0], rows(@pages) . "\n", "$table: several requests at once");
}

# ---- taken up again ----

foreach my $table (sort keys %keys)
{
	my @all = source($table, $keys{$table});
	foreach my $take (1, 3, 7)
	{
		my (@rows, $at, @pages, @covered);
		do
		{
			@pages = pages($table, $keys{$table}, resume => $at, pages => $take);
			push @rows, rows(@pages);
			push @covered, @pages;
			$at = $pages[-1]{at} if @pages;
		} while (@pages == $take);
		same_rows(\@rows, \@all, "$table: every row once when begun anew after every $take");
		ok(tiles(@covered), "... and everything covered");
		$sim->forget;
		is_deeply([ pages($table, $keys{$table}, resume => $at) ], [], '... and at the end nothing is left');
		is($sim->requests, 0, '... nor asked for');
	}
}

# With other options than before.
my @some = pages('transactionline', 'transaction,id', pages => 9);
foreach my $ahead (0, 1, 2, 16)
{
	sql("ALTER SERVER erp OPTIONS (SET fetch_ahead '$ahead')");
	same_rows([ rows(@some, pages('transactionline', 'transaction,id', resume => $some[-1]{at})) ],
		[ source('transactionline', 'transaction,id') ], "taken up with fetch_ahead $ahead");
}
sql("ALTER SERVER erp OPTIONS (SET fetch_ahead '4')");

# Killed in the middle of a long one: no more is read again than was in flight.
{
	my @first = pages('item', 'id', pages => 45);
	$sim->forget;
	my @rest = pages('item', 'id', resume => $first[-1]{at});
	same_rows([ rows(@first, @rest) ], [ source('item', 'id') ], 'all of it after 45 of 50 pages');
	cmp_ok($sim->requests, '<=', 11, 'reading only what was left');
	is($rest[0]{expected}, -1, 'how many there are altogether is not said again');
}

my %unfit = (
	'nonsense' => 'nonsense', 'an array' => '[]', 'nothing left out' => '{"order": ["id"]}',
	'another key' => '{"order": ["transaction"], "left": []}',
	'a longer key' => '{"order": ["transaction", "id", "x"], "left": []}',
	'no number' => '{"order": ["transaction", "id"], "left": [{"after": ["1 OR 1 = 1"]}]}',
	'too many values' => '{"order": ["transaction", "id"], "left": [{"after": ["1", "2", "3"]}]}',
	'too large a number' => '{"order": ["transaction", "id"], "left": [{"after": ["99999999999999999999"]}]}',
	'a number that is none' => '{"order": ["transaction", "id"], "left": [{"after": ["1-2"]}]}',
	'no value' => '{"order": ["transaction", "id"], "left": [{"after": [null]}]}',
	'no end' => '{"order": ["transaction", "id"], "left": [{"upto": 7}]}',
	'no range' => '{"order": ["transaction", "id"], "left": [7]}',
	'a part of a list' => '{"order": ["transaction", "id"], "split": 1000, "left": []}');
foreach my $what (sort keys %unfit)
{
	$sim->forget;
	my ($code, $out, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT read('erp.transactionline', '{transaction,id}', NULL, " . quoted($unfit{$what}) . ', 1)');
	like($error, qr/XX000: position of an unfinished load does not fit/, "$what is no position");
	is($sim->requests, 0, '... and nothing is asked for');
}

# ---- children with their parent ----

foreach my $child ([ 'transactionline', 'transaction', 'transaction,id' ],
	[ 'transactionaccountingline', 'transaction', 'transaction,transactionline,accountingbook' ],
	[ 'inventoryassignment', 'transaction', 'transaction,id' ],
	[ 'nexttransactionlinelink', 'nextdoc', 'nextdoc,previousdoc,previousline,nextline' ])
{
	my ($table, $column, $columns) = @$child;
	my @parent = (parent => 'erp.transaction', parent_column => $column);
	my @pages = pages($table, $columns, @parent);
	same_rows([ rows(@pages) ], [ source($table, $columns) ], "$table with its parent: every row once");
	ok(tiles(@pages), '... without a gap');
	my @list = sort { compare($a->{low} || '-9', $b->{low} || '-9') } @pages;
	my $apart = 0;
	foreach my $i (0 .. $#list - 1)
	{
		my ($last) = @{ $list[$i]{rows} } ? (split /,/, $list[$i]{rows}[-1])[0] : undef;
		foreach my $row (@{ $list[ $i + 1 ]{rows} }) { $apart++ if defined $last && (split /,/, $row)[0] < $last; }
	}
	is($apart, 0, '... rows of one parent next to each other');
	my $since = '2026-06-01 00:00:00+00';
	@pages = pages($table, $columns, @parent, since => $since);
	my $list = join " || ',' || ", map { "coalesce(c.$_\::text, 'NULL')" } split /,/, $columns;
	same_rows([ rows(@pages) ], [ map { $_->[0] } $sim->sql("SELECT $list FROM netsuite.$table c JOIN netsuite.transaction p ON p.id = c.$column WHERE p.lastmodifieddate >= '$since' OR p.lastmodifieddate IS NULL") ],
		'... and those whose parent has changed');
}

# ---- what is empty is covered too ----

foreach my $table (qw(item transactionline transactionstatus))
{
	my ($key) = $table eq 'transactionstatus' ? 'trantype,id' : $keys{$table};
	my @rows = $sim->sql("SELECT count(*) FROM netsuite.$table");
	my @pages = pages($table, $key);
	is(scalar(rows(@pages)), $rows[0][0], "$table has rows");
	$sim->sql("CREATE TABLE public.kept_$table AS SELECT * FROM netsuite.$table");
	$sim->sql("DELETE FROM netsuite.$table");
	@pages = pages($table, $key);
	is(scalar(@pages), 1, "$table without rows: one page");
	ok($pages[0]{covers} && $pages[0]{low} eq '' && $pages[0]{high} eq '', '... that covers everything');
	$sim->sql("INSERT INTO netsuite.$table SELECT * FROM public.kept_$table");
}
{
	my @pages = pages('transactionstatus', 'trantype,id');
	is(scalar(@pages), 1, 'one page without a key that has an order');
	ok($pages[0]{covers} && $pages[0]{low} eq '' && $pages[0]{high} eq '', '... covers everything');
	is($pages[0]{at}, undef, '... and can only be begun anew');
}

# ---- what changed since ----

my @since = ('2025-11-02 07:59:59', '2025-11-02 08:30:00', '2025-11-02 08:59:59', '2025-11-02 09:00:00', '2025-11-02 09:30:00',
	'2025-11-02 10:00:00', '2026-03-08 09:59:59', '2026-03-08 10:00:00', '2026-03-08 10:00:01', '2026-08-31 03:00:00');
$sim->sql("UPDATE netsuite.item SET lastmodifieddate = NULL WHERE mod(id, 97) = 0");
$sim->sql("UPDATE netsuite.item SET lastmodifieddate = timestamptz '2025-11-02 07:55:00+00' + id * interval '61 s' WHERE mod(id, 19) = 0 AND id < 4000");
sub changed
{
	my ($since) = @_;
	return map { $_->[0] } $sim->sql("SELECT id FROM netsuite.item WHERE lastmodifieddate >= '$since+00' OR lastmodifieddate IS NULL");
}
foreach my $since (@since)
{
	same_rows([ rows(pages('item', 'id', since => "$since+00")) ], [ changed($since) ], "changed since $since, no more and no less");
}

# Where UTC can't be had the wall clock decides; an hour comes twice.
$sim->set(utc_extraction => JSON::PP::false);
sql("ALTER SERVER erp OPTIONS (ADD time_zone 'America/Los_Angeles')");
foreach my $since (@since)
{
	my %got = map { $_ => 1 } rows(pages('item', 'id', since => "$since+00"));
	my @wanted = changed($since);
	is(scalar(grep { !$got{$_} } @wanted), 0, "by wall clock: nothing lost since $since");
	my ($wider) = $sim->sql("SELECT count(*) FROM netsuite.item WHERE lastmodifieddate >= '$since+00'::timestamptz - interval '2 hours' OR lastmodifieddate IS NULL");
	cmp_ok(scalar(keys %got), '<=', $wider->[0], '... and not more than two hours of others');
}
sql('ALTER SERVER erp OPTIONS (DROP time_zone)');
$sim->set(utc_extraction => JSON::PP::true);

# ---- the remote clock ----

foreach my $offset (0, -1500, 1500)
{
	$sim->set(clock_offset => $offset, allowed_skew => 10000);
	my @pages = pages('accounttype', 'id');
	my $off = sql("SELECT abs(extract(epoch FROM '$pages[0]{answered_at}'::timestamptz - now()) - ($offset)) < 30");
	is($off, 't', "the account's clock, $offset s off");
}
$sim->set(clock_offset => 0);

# ---- what was deleted ----

my @gone = map { $_->[0] + 0 } $sim->sql('SELECT id FROM netsuite.item WHERE id > 0 ORDER BY id LIMIT 3');
$sim->delete_rows('item', @gone);
my @deleted = rows(map { decode_json($_) } split /\n/, sql(q{SELECT to_jsonb(d) FROM deleted('erp.item', now() - interval '1 hour') d}));
is_deeply([ sort @deleted ], [ sort @gone ], 'keys of what was deleted in the last hour');
@deleted = rows(map { decode_json($_) } split /\n/, sql(q{SELECT to_jsonb(d) FROM deleted('erp.item', '2000-01-01') d}));
same_rows(\@deleted, [ source('deletedrecord', 'recordid') ], '... and ever');
$sim->hide('deletedrecord', undef, 'record');
like(($node->psql('postgres', "\\set VERBOSITY verbose\nSELECT deleted('erp.item', now())"))[2], qr/42501/, 'a role that may not know');
$sim->hide('deletedrecord', undef, undef);

# ---- traits ----

sub lines { my ($sql) = @_; return split /\n/, sql($sql); }
is(sql(q{SELECT string_agg(entity, ',') FROM traits('netsuite_fdw') t WHERE parent IS NOT NULL AND (deletes <> 'parent' OR parent NOT IN
	(SELECT entity FROM traits('netsuite_fdw') WHERE cursor IS NOT NULL AND deletes = 'tombstone'))}), '', 'parents have a cursor and tombstones');
is(sql(q{SELECT count(*) FROM traits('netsuite_fdw') WHERE full_every::interval IS NULL AND full_every IS NOT NULL}), '0', 'intervals are intervals');
is(sql(q{SELECT string_agg(DISTINCT deletes, ',') FROM traits('asctrac_fdw') WHERE cursor IS NULL}), 'full pass,never', 'ASCTrac tells of no deletes');

done_testing();
