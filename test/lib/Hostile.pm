# What the tests of trouble share: asking and being refused, sessions that stay
# open, and waiting for a state instead of for a time.
#
#   dies($node, 'SELECT 1/0', '22012', [qr/division/], 'is refused');
#   my $session = Hostile::Session->new($node);
#   $session->send('SELECT pg_sleep(100)');
#   ... $session->pid ...
#   my ($out, $err) = $session->result;
package Hostile;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(says lives dies until_true until_waiting alter_server);

# says NODE, SQL, user => , db => : (rows, everything said besides, verbosely)
sub says
{
	my ($node, $sql, %given) = @_;
	my (undef, $out, $err) = $node->psql($given{db} // 'postgres', "\\set VERBOSITY verbose\n$sql",
		on_error_stop => 1,
		extra_params => [ '-U', $given{user} // 'postgres' ]);

	return ($out, $err);
}

# The rows, having checked that there was no error.
sub lives
{
	my ($node, $sql, $name, %given) = @_;
	my ($out, $err) = says($node, $sql, %given);

	unlike($err, qr/ERROR|FATAL|server closed/, $name);
	return $out;
}

# The error, having checked its SQLSTATE and that it matches all patterns.
sub dies
{
	my ($node, $sql, $sqlstate, $patterns, $name, %given) = @_;
	my ($out, $err) = says($node, $sql, %given);

	like($err, qr/ERROR:  $sqlstate: /, "$name: $sqlstate");
	foreach my $pattern (@$patterns)
	{
		like($err, $pattern, "$name: says $pattern");
	}
	return $err;
}

# Until a function gives a true value, which is returned; dies after three minutes.
sub until_true
{
	my ($what, $condition) = @_;
	my $end = time + 180;

	while (time < $end)
	{
		my $value = $condition->();
		return $value if $value;
		usleep(5_000);
	}
	die "waited in vain for $what";
}

# Until a backend waits in one of makini's ways; the names are 17's, before all are Extension.
sub until_waiting
{
	my ($watcher, $pid, $name) = @_;

	return until_true("$pid to wait: $name", sub {
		my ($found) = $watcher->ask(
			"SELECT wait_event FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Extension'");
		return $found =~ /^(Extension|$name)$/m;
	});
}

# alter_server NODE, SERVER, OPTION => VALUE, ...: sets or, undefined, drops them.
sub alter_server
{
	my ($node, $server, %option) = @_;
	my $db = delete $option{db} // 'postgres';

	foreach my $name (sort keys %option)
	{
		my $there = $node->safe_psql($db, "SELECT count(*) FROM pg_foreign_server, unnest(srvoptions) o WHERE srvname = '$server' AND o LIKE '$name=%'");
		next if !$there && !defined $option{$name};
		my $change = !defined $option{$name} ? "DROP $name"
		  : ($there ? 'SET' : 'ADD') . " $name '$option{$name}'";

		$node->safe_psql($db, "ALTER SERVER $server OPTIONS ($change)");
	}
	return;
}

# A psql that stays open.  Not PostgreSQL's own BackgroundPsql, which came with
# version 16 and cannot be asked whether it is done.
package Hostile::Session;

use strict;
use warnings;
use IPC::Run;
use Time::HiRes qw(time);

sub new
{
	my ($class, $node, %given) = @_;
	my $self = bless { in => '', out => '', err => '', n => 0 }, $class;
	my $connection = $node->connstr($given{db} // 'postgres') . ' user=' . ($given{user} // 'postgres');

	$self->{process} = IPC::Run::start(
		[ 'psql', '-X', '-A', '-t', '-q', '-d', $connection ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, IPC::Run::timeout(300));

	my ($pid, $trouble) = $self->ask("\\set VERBOSITY verbose\nSELECT pg_backend_pid()");
	die "no session: $trouble" unless $pid =~ /(\d+)/;
	$self->{pid} = $1;
	return $self;
}

sub pid { my ($self) = @_; return $self->{pid}; }

# Begin a statement; result() waits for its end.
sub send
{
	my ($self, $sql) = @_;
	my $mark = 'done_' . ++$self->{n};

	$self->{in} .= "$sql\n;\n\\echo $mark\n\\warn $mark\n";
	$self->{process}->pump_nb;
	return;
}

sub is_done
{
	my ($self) = @_;
	my $mark = "done_$self->{n}\n";

	eval { $self->{process}->pump_nb; 1 } or return 1;
	return $self->{out} =~ /$mark/ && $self->{err} =~ /$mark/;
}

sub result
{
	my ($self) = @_;
	my $mark = "done_$self->{n}\n";

	while ($self->{out} !~ /$mark/ || $self->{err} !~ /$mark/)
	{
		last unless eval { $self->{process}->pump; 1 };
	}
	my ($out, $err) = @$self{qw(out err)};
	@$self{qw(out err)} = ('', '');
	s/$mark// foreach $out, $err;
	return ($out, $err);
}

sub ask
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->result;
}

# psql goes as if its machine had: without a word to the server.
sub kill
{
	my ($self) = @_;

	$self->{process}->kill_kill;
	return;
}

sub quit
{
	my ($self) = @_;
	my $process = delete $self->{process} or return;

	$self->{in} .= "\\q\n";
	eval { $process->finish };
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@);

	eval { $self->{process}->kill_kill } if $self->{process};
	return;
}

1;
