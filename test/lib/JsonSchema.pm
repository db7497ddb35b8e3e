# The part of JSON Schema that the schemas of events use: type, enum, required,
# properties, items, minimum, $ref to $defs, and formats of times and uuids.
#
#   is_deeply([ schema_problems($schema, $data) ], []);
package JsonSchema;

use strict;
use warnings;
use B;
use Exporter 'import';
use JSON::PP;

our @EXPORT = qw(schema_problems schema_of_body own_event_problems write_event_schemas);

my %format = (
	'date-time' => qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
	'date' => qr/^\d{4}-\d\d-\d\d$/,
	'uuid' => qr/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

my %known = map { $_ => 1 } ('type', 'enum', 'const', 'required', 'properties', 'items', 'minimum', 'format',
	'$ref', '$defs', '$schema', '$id', 'title', 'description', 'examples', 'additionalProperties');

sub type_of
{
	my ($value) = @_;
	return 'null' if !defined $value;
	return 'boolean' if JSON::PP::is_bool($value);
	return 'object' if ref $value eq 'HASH';
	return 'array' if ref $value eq 'ARRAY';
	my $flags = B::svref_2object(\$value)->FLAGS;
	return 'string' if $flags & B::SVf_POK;
	return $flags & B::SVf_IOK ? 'integer' : 'number';
}

# schema_problems SCHEMA, VALUE: what is wrong with a value, as a list of texts.
sub schema_problems
{
	my ($schema, $value, $root, $path) = @_;
	my @problems;

	$root //= $schema;
	$path //= '$';
	if (my $ref = $schema->{'$ref'})
	{
		my ($name) = $ref =~ m{^#/\$defs/(\w+)$} or return "$path: unknown reference $ref";
		return schema_problems($root->{'$defs'}{$name}, $value, $root, $path);
	}
	push @problems, map { "$path: this test knows no \"$_\"" } grep { !$known{$_} } sort keys %$schema;
	push @problems, type_problems($schema, $value, $path);
	push @problems, "$path: not one of its values"
	  if $schema->{enum} && !grep { ($_ // '') eq ($value // '') } @{ $schema->{enum} };
	push @problems, "$path: not $schema->{const}" if exists $schema->{const} && $value ne $schema->{const};
	push @problems, "$path: too small" if exists $schema->{minimum} && $value < $schema->{minimum};
	push @problems, "$path: \"$value\" is no $schema->{format}"
	  if $schema->{format} && type_of($value) eq 'string' && $value !~ $format{ $schema->{format} };
	push @problems, member_problems($schema, $value, $root, $path) if ref $value eq 'HASH';
	if (ref $value eq 'ARRAY' && $schema->{items})
	{
		push @problems, schema_problems($schema->{items}, $value->[$_], $root, "$path\[$_]") foreach 0 .. $#$value;
	}
	return @problems;
}

sub type_problems
{
	my ($schema, $value, $path) = @_;
	my @types = ref $schema->{type} ? @{ $schema->{type} } : $schema->{type} // return;
	my $type = type_of($value);

	return if grep { $_ eq $type || ($_ eq 'number' && $type eq 'integer') } @types;
	return "$path: is $type, not " . join(' or ', @types);
}

sub member_problems
{
	my ($schema, $value, $root, $path) = @_;
	my $properties = $schema->{properties} // {};
	my @problems = map { "$path: has no \"$_\"" } grep { !exists $value->{$_} } @{ $schema->{required} // [] };

	push @problems, schema_problems($properties->{$_}, $value->{$_}, $root, "$path.$_")
	  foreach grep { exists $value->{$_} } sort keys %$properties;
	return @problems;
}

# schema_of_body TYPE: the schema of a whole body, from that of its data; TYPE is
# a row of makini.event_type.
sub schema_of_body
{
	my ($type) = @_;
	my %data = %{ $type->{schema} };
	my $defs = delete $data{'$defs'};
	my $text_or_null = { type => [ 'string', 'null' ] };

	return {
		'$schema' => 'https://json-schema.org/draft/2020-12/schema',
		title => $type->{type},
		description => $type->{description},
		type => 'object',
		required => [qw(id type timestamp api_version instance connection_id connection sequence data)],
		properties => {
			id => { type => 'string', format => 'uuid' },
			type => { const => $type->{type} },
			timestamp => { type => 'string', format => 'date-time' },
			api_version => { const => $type->{api_version} },
			instance => { type => 'string', format => 'uuid' },
			connection_id => { %$text_or_null, format => 'uuid' },
			connection => $text_or_null,
			sequence => { type => [ 'integer', 'null' ] },
			data => \%data },
		examples => [ { data => $type->{sample} } ],
		$defs ? ('$defs' => $defs) : () };
}

# own_event_problems NODE [, DATABASE]: what is wrong with the bodies of the events
# that makini has raised itself, and of how many types there are some.
sub own_event_problems
{
	my ($node, $database) = @_;
	my $types = decode_json($node->safe_psql($database // 'postgres', 'SELECT json_agg(t) FROM makini.event_type t'));
	my %schema = map { $_->{type} => schema_of_body($_) } @$types;
	my $bodies = decode_json($node->safe_psql($database // 'postgres', q{
		SELECT coalesce(json_agg(makini.preview_event(event_id)::json), '[]')
		FROM makini.event WHERE type IN (SELECT type FROM makini.event_type)}));
	my %seen = map { $_->{type} => 1 } @$bodies;

	return ([ map { my $type = $_->{type}; map { "$type: $_" } schema_problems($schema{$type}, $_) } @$bodies ], scalar(keys %seen));
}

# write_event_schemas JSON, DIRECTORY: writes docs/events anew, from
#   SELECT json_agg(t) FROM makini.event_type t
sub write_event_schemas
{
	my ($text, $directory) = @_;

	foreach my $type (@{ decode_json($text) })
	{
		open my $file, '>', "$directory/$type->{type}.$type->{api_version}.json" or die $!;
		print $file JSON::PP->new->canonical->pretty->encode(schema_of_body($type));
		close $file;
	}
	return;
}

1;
