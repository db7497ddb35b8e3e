# What makini's TAP tests share: a node with the extension in it, a simulated
# NetSuite or ASCTrac, and the connection between the two.
#
#   my $sim = Makini::Simulator->new;
#   my $node = makini_node('reader');
#   connect_server($node, $sim, tables => ['item', 'customer']);
#   $sim->arm({ kind => '429', count => 3 });
#   $node->safe_psql('postgres', 'SELECT count(*) FROM erp.item');
#   is($sim->requests, 4);
#
#   my $asc = Makini::ASCTrac->new('--rows', 'tranfile_export=5000');
#   connect_warehouse($node, $asc, mapping => { token => undef });
package Makini;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

# What initdb takes a node's encoding from.
$ENV{LANG} = 'C.UTF-8';

our @EXPORT = qw(makini_node until_up connect_server connect_warehouse options_clause);

# until_up NODE, PIDS: until a server, processes of which were killed, takes questions
# again.  Before it has noticed it still answers; afterwards it may go away while it
# is asked, which breaks psql's pipe and would end the test.
sub until_up
{
	my ($node, @killed) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	until (!(grep { kill 0, $_ } @killed) && eval { $node->psql('postgres', 'SELECT 1', timeout => 10) == 0 })
	{
		die 'waited in vain for the server' if time > $end;
		usleep(50_000);
	}
	return;
}

# makini_node NAME, preload => bool, conf => lines: a running node whose
# database postgres has the extension.
sub makini_node
{
	my ($name, %option) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'makini'") if $option{preload};
	$node->append_conf('postgresql.conf', $option{conf}) if defined $option{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION makini');
	return $node;
}

# connect_server NODE, SIMULATOR, ...: a server and a user mapping for it, and
# where tables are named a schema of the same name with these imported.
#
#   server    name of the server and the schema ("erp")
#   database  ("postgres")
#   user      whom the mapping is for ("CURRENT_USER")
#   options   server options besides those that reach the simulator; undef leaves one out
#   mapping   mapping options likewise
#   tables    reference to a list of tables to import
sub connect_server
{
	my ($node, $sim, %given) = @_;
	my $name = $given{server} // 'erp';
	my $user = $given{user} // 'CURRENT_USER';
	my %server = (
		account_id => $sim->value('account_id'),
		base_url => $sim->value('url'),
		ca_file => $sim->value('ca_file'),
		allow_private => 'true',
		%{ $given{options} // {} });
	my %mapping = (
		client_id => $sim->value('client_id'),
		certificate_id => $sim->value('certificate_id'),
		private_key_file => $sim->value('private_key_file'),
		%{ $given{mapping} // {} });

	return connect_with($node, 'netsuite_fdw', $name, $user, \%server, \%mapping, %given);
}

# connect_warehouse NODE, SIMULATOR, ...: the same for ASCTrac's two services,
# with the lasting token; the server's name is "wms", its site 1.
sub connect_warehouse
{
	my ($node, $sim, %given) = @_;
	my %server = (
		base_url => $sim->value('url'),
		rest_base_url => $sim->value('rest_url'),
		token_url => $sim->value('token_url'),
		site_id => '1',
		rest_user => 'TABLET',
		ca_file => $sim->value('ca_file'),
		allow_private => 'true',
		%{ $given{options} // {} });
	my %mapping = (token => $sim->value('token'), %{ $given{mapping} // {} });

	return connect_with($node, 'asctrac_fdw', $given{server} // 'wms', $given{user} // 'CURRENT_USER',
		\%server, \%mapping, %given);
}

sub connect_with
{
	my ($node, $wrapper, $name, $user, $server, $mapping, %given) = @_;
	my $sql =
		"CREATE SERVER $name FOREIGN DATA WRAPPER $wrapper " . options_clause(%$server) . ";\n"
	  . "CREATE USER MAPPING FOR $user SERVER $name " . options_clause(%$mapping) . ";\n";

	if ($given{tables})
	{
		my $tables = join(', ', @{ $given{tables} });
		$sql .= "CREATE SCHEMA IF NOT EXISTS $name;\n"
		  . "IMPORT FOREIGN SCHEMA v1 LIMIT TO ($tables) FROM SERVER $name INTO $name;\n";
	}
	$node->safe_psql($given{database} // 'postgres', $sql);
	return;
}

# options_clause NAME => VALUE, ...: as in CREATE SERVER; undefined ones are left out.
sub options_clause
{
	my (%option) = @_;
	my @pairs = map { (my $value = $option{$_}) =~ s/'/''/g; "$_ '$value'" }
	  grep { defined $option{$_} } sort keys %option;

	return @pairs ? 'OPTIONS (' . join(', ', @pairs) . ')' : '';
}

# NetSuite as test/sim/netsuite plays it.  Its README says what can be asked of
# it; every call here is one of its control port's.
package Makini::Simulator;

use strict;
use warnings;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);
use Time::HiRes;

# new OPTION...: options are those of sim.py's command line, as in
# Makini::Simulator->new('--rows', 'item=2500').
sub new
{
	my ($class, @option) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('sim');
	my $self = bless { dir => $dir, http => HTTP::Tiny->new(timeout => 60) }, $class;

	chmod 0755, $dir;
	$self->{process} = IPC::Run::start(
		[ '/usr/bin/python3', $class->program, '--dir', $dir, @option ],
		'<', \'', '>', "$dir/log", '2>', "$dir/errors");
	until (-s "$dir/sim.json")
	{
		die "the simulator did not start: " . slurp_file("$dir/errors")
		  unless $self->{process}->pumpable;
		Time::HiRes::usleep(50_000);
	}
	$self->{values} = decode_json(slurp_file("$dir/sim.json"));
	return $self;
}

sub program { return 'test/sim/netsuite/sim.py'; }

# value NAME: a member of sim.json.
sub value
{
	my ($self, $name) = @_;
	die "sim.json has no $name" unless exists $self->{values}{$name};
	return $self->{values}{$name};
}

sub call
{
	my ($self, $method, $path, $body) = @_;
	my $answer = $self->{http}->request($method, $self->value('control_url') . $path,
		{ content => defined $body ? encode_json($body) : '' });

	die "$method $path: $answer->{status} $answer->{content}" unless $answer->{success};
	return decode_json($answer->{content});
}

# Faults, as hash references or lists of pairs; see faults.py.
sub arm { my ($self, @fault) = @_; return $self->call('POST', '/fault', ref $fault[0] ? $fault[0] : {@fault}); }
sub disarm { my ($self) = @_; return $self->call('DELETE', '/fault'); }
sub faults { my ($self) = @_; return @{ $self->call('GET', '/fault') }; }

# Settings; see settings.py.
sub set { my ($self, %setting) = @_; return $self->call('POST', '/setting', \%setting); }

# Hide a table, or a column of it, from the role; kind undef shows it again.
sub hide
{
	my ($self, $table, $column, $kind) = @_;
	return $self->call('POST', '/hide', { table => $table, column => $column, kind => $kind });
}

# Everything but data and credentials as it was at the start.
sub reset { my ($self) = @_; return $self->call('POST', '/reset'); }

# SQL at the source, on tables netsuite.<table>; returns rows as array references.
sub sql
{
	my ($self, $sql, @params) = @_;
	my $rows = $self->call('POST', '/sql', { sql => $sql, params => \@params })->{rows};

	return $rows ? @$rows : ();
}

sub delete_rows
{
	my ($self, $table, @ids) = @_;
	return $self->call('POST', '/delete', { table => $table, ids => \@ids });
}

# Gone without a trace.
sub remove_rows
{
	my ($self, $table, @ids) = @_;
	return $self->call('POST', '/delete', { table => $table, ids => \@ids, tombstones => JSON::PP::false });
}

# Changed now, as the account's clock says: touch_rows('item', [1, 2], displayname => 'x').
sub touch_rows
{
	my ($self, $table, $ids, %set) = @_;
	return $self->call('POST', '/touch', { table => $table, ids => $ids, set => \%set });
}

# What was asked of it: hash references, oldest first; how often for SuiteQL;
# all counters.
sub log_entries
{
	my ($self, %filter) = @_;
	my $query = join('&', map { "$_=$filter{$_}" } sort keys %filter);
	my $answer = $self->call('GET', '/log' . ($query eq '' ? '' : "?$query"));

	return @$answer;
}
sub requests { my ($self) = @_; return $self->counters->{suiteql} // 0; }
sub forget { my ($self) = @_; return $self->call('DELETE', '/log'); }
sub counters { my ($self) = @_; return $self->call('GET', '/counter'); }

# Every access token handed out so far is refused from now on.
sub revoke_tokens { my ($self) = @_; return $self->call('POST', '/token'); }
sub revoke_certificate
{
	my ($self, $id) = @_;
	return $self->call('POST', '/certificate/revoke', { certificate_id => $id });
}
sub add_certificate
{
	my ($self, $pem) = @_;
	return $self->call('POST', '/certificate', { pem => $pem })->{certificate_id};
}

# One more client key, mapped: {private_key_file, certificate_file, certificate_id}.
sub new_key
{
	my ($self, $kind, %days) = @_;
	return $self->call('POST', '/key', { kind => $kind, %days });
}

sub stop
{
	my ($self) = @_;
	my $process = delete $self->{process} or return;

	$process->signal('TERM');
	eval { $process->finish };
	return;
}

sub DESTROY { my ($self) = @_; local ($?, $@); $self->stop; return; }

# ASCTrac as test/sim/asctrac plays it.  Faults, settings, log, counters and
# reset are asked for in the same words.
package Makini::ASCTrac;

use strict;
use warnings;
our @ISA = ('Makini::Simulator');

sub program { return 'test/sim/asctrac/sim.py'; }

# Requests to one controller since the log was forgotten, named in lower case.
sub requests { my ($self, $controller) = @_; return $self->counters->{ lc $controller } // 0; }

# feed NAME: how many of its rows have which flag; feed_rows NAME: each row's
# id, type, key, flag and message.
sub feed { my ($self, $name) = @_; return $self->call('GET', '/feed')->{$name}; }
sub feed_rows { my ($self, $name) = @_; return @{ $self->call('GET', "/feed/$name")->{rows} }; }
sub set_flags { my ($self, $name, $flag) = @_; return $self->call('POST', '/flag', { feed => $name, flag => $flag }); }
sub add_row { my ($self, $name, %changes) = @_; return $self->call('POST', '/row', { feed => $name, changes => \%changes })->{id}; }
sub add_bulk { my ($self, $name, $rows) = @_; return $self->call('POST', '/bulk', { feed => $name, rows => $rows }); }

# What an import stored: hash references.
sub stored { my ($self, $entity) = @_; return @{ $self->call('GET', "/master/$entity") }; }

1;
