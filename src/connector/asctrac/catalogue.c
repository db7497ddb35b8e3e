/*-------------------------------------------------------------------------
 *
 * catalogue.c
 *		The built-in catalogue of ASCTrac: what its two services read, hand out
 *		and import.
 *
 * Neither service can be asked what it has, so makini brings the list along.
 * The data are in catalogue_*.def, read here several times over:
 *
 *	TABLE(name, access, service, method, path, shape, member, key, size,
 *		  comment)
 *		WRITE(method, path)
 *		PARENT(entity, member)
 *		ACKNOWLEDGE(key)
 *		PARAMETER(name, column, flags, fixed, select)
 *		COLUMN(name, type, flags, comment)
 *	END
 *
 * access	TABLE (read at any time), FEED (reading consumes), IMPORT (written
 *			only) or SESSION (reading would sign a user on)
 * service	HOST or INTERACTIVE
 * method	"GET" or "POST" to read, or NULL
 * shape	ARRAY, ENVELOPE, MEMBER or XML: see AsctracShape; member goes with it
 * key		"A,B" or NULL: what identifies a row, as far as anything does
 * WRITE	an entity that takes INSERT, and where it goes
 * PARENT	its rows stand in that array of the parent's rows
 * ACKNOWLEDGE	"A,B": what an acknowledgement names
 * PARAMETER	what a look-up sends.  flags: 0, or joined by |: REQUIRED, ONE_OF
 *			(of those so marked), JOINED, BODY, LIST (see asctrac.h).  fixed:
 *			sent where no condition gives a value; "@site", "@user" and "@today"
 *			stand for the options site_id and rest_user and for the date.
 *			select: another parameter, as name=value, that goes with it
 * type		TEXT, INTEGER, NUMERIC, BOOLEAN, DATE, TIMESTAMP (the site's wall
 *			clock), TIMESTAMPTZ (comes with an offset), DOUBLE or JSON
 * flags	0, or joined by |:
 *			REQUIRED	part of the key and never null
 *			SENT		not in the answer: what the look-up was asked for
 *			OF_PARENT	not in the row: taken from the row above, or from its
 *						place in there
 *			NONE_1900	1900-01-01 stands for none
 *			UNUSED		an import accepts it and makes no use of it
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "connector/asctrac/asctrac.h"

/* clang-format off */
#define REQUIRED	1
#define SENT		2
#define OF_PARENT	4
#define NONE_1900	8
#define UNUSED		16

/* Of parameters; the numbers of asctrac.h beside these. */
#define ONE_OF		16
#define JOINED		(PARAMETER_JOINED << 8)
#define BODY		(PARAMETER_BODY << 8)
#define LIST		(PARAMETER_LIST << 8)

#define KIND_TEXT			VALUE_TEXT
#define KIND_INTEGER		VALUE_INTEGER
#define KIND_NUMERIC		VALUE_NUMERIC
#define KIND_BOOLEAN		VALUE_BOOLEAN
#define KIND_DATE			VALUE_DATE
#define KIND_TIMESTAMP		VALUE_TIMESTAMP
#define KIND_TIMESTAMPTZ	VALUE_TIMESTAMPTZ
#define KIND_DOUBLE			VALUE_OTHER
#define KIND_JSON			VALUE_OTHER

#define TYPE_TEXT			NULL
#define TYPE_INTEGER		NULL
#define TYPE_NUMERIC		NULL
#define TYPE_BOOLEAN		NULL
#define TYPE_DATE			NULL
#define TYPE_TIMESTAMP		NULL
#define TYPE_TIMESTAMPTZ	NULL
#define TYPE_DOUBLE			"double precision"
#define TYPE_JSON			"jsonb"


/* First the columns of each table ... */
#define TABLE(table, access, service, method, path, shape, member, key, size, comment) \
	static const EntityColumn columns_of_##table[] = {
#define WRITE(method, path)
#define PARENT(entity, member)
#define ACKNOWLEDGE(key)
#define PARAMETER(name, column, flags, fixed, select)
#define COLUMN(column_name, column_type, column_flags, column_comment) \
	{ \
		.name = #column_name, .kind = KIND_##column_type, .required = ((column_flags) & REQUIRED) != 0, \
		.comment = column_comment, .type = TYPE_##column_type, .marks = (column_flags) \
	},
#define END };

#include "catalogue_feed.def"
#include "catalogue_import.def"
#include "catalogue_stock.def"
#include "catalogue_order.def"

#undef TABLE
#undef PARAMETER
#undef COLUMN
#undef END

/* ... their parameters, with one more so that no list is empty ... */
#define TABLE(table, access, service, method, path, shape, member, key, size, comment) \
	static const EntityParameter parameters_of_##table[] = {
#define PARAMETER(parameter, column_name, parameter_flags, fixed_value, select_value) \
	{ \
		.name = parameter, .column = column_name, .flags = (parameter_flags) >> 8, \
		.required = ((parameter_flags) & REQUIRED) != 0, .one_of = ((parameter_flags) & ONE_OF) != 0, \
		.fixed = fixed_value, .select = select_value \
	},
#define COLUMN(column, type, flags, comment)
#define END {.name = NULL}};

#include "catalogue_feed.def"
#include "catalogue_import.def"
#include "catalogue_stock.def"
#include "catalogue_order.def"

#undef TABLE
#undef WRITE
#undef PARENT
#undef PARAMETER
#undef END

/* ... the tables ... */
#define TABLE(table, table_access, service, method, path, shape, member, table_key, table_size, table_comment) \
	{ \
		.name = #table, .access = ENTITY_##table_access, .key = table_key, .size = SIZE_##table_size, \
		.comment = table_comment, .columns = columns_of_##table, .ncolumns = lengthof(columns_of_##table), \
		.parameters = parameters_of_##table, .nparameters = lengthof(parameters_of_##table) - 1,
#define WRITE(method, path) .insertable = true, .insert_method = method, .insert_path = path,
#define PARENT(entity, member) .parent = entity, .parent_member = member,
#define PARAMETER(name, column, flags, fixed, select)
#define END },

static const Entity entities[] = {
#include "catalogue_feed.def"
#include "catalogue_import.def"
#include "catalogue_stock.def"
#include "catalogue_order.def"
};

#undef TABLE
#undef WRITE
#undef PARENT
#undef ACKNOWLEDGE

/* ... and what only this connector knows of them. */
#define TABLE(table, access, table_service, table_method, table_path, table_shape, table_member, key, size, comment) \
	{ \
		.service = SERVICE_##table_service, .method = table_method, .path = table_path, \
		.shape = SHAPE_##table_shape, .member = table_member,
#define WRITE(method, path)
#define PARENT(entity, member)
#define ACKNOWLEDGE(key) .acknowledge_key = key,

static const AsctracDetail details[] = {
#include "catalogue_feed.def"
#include "catalogue_import.def"
#include "catalogue_stock.def"
#include "catalogue_order.def"
};
/* clang-format on */

const Entity *
asctrac_entities(int *n)
{
	*n = lengthof(entities);
	return entities;
}

const AsctracDetail *
asctrac_detail(const Entity *entity)
{
	return &details[entity - entities];
}

/*
 * asctrac_traits
 *		No row tells when it was changed, and none leaves a trace: what can be
 *		read at any time is read whole by every run.  What feeds hand out and
 *		imports take in stays.
 */
void
asctrac_traits(const Entity *entity, EntityTraits *traits)
{
	bool table = entity->access == ENTITY_TABLE;

	memset(traits, 0, sizeof(*traits));
	traits->deletes = table ? DELETES_BY_FULL_PASS : DELETES_NEVER;
	traits->document = !table;
}

/* Is a column what a look-up was asked for, rather than part of its answer? */
bool
asctrac_is_sent(const EntityColumn *column)
{
	return (column->marks & SENT) != 0;
}

bool
asctrac_is_of_parent(const EntityColumn *column)
{
	return (column->marks & OF_PARENT) != 0;
}

bool
asctrac_none_is_1900(const EntityColumn *column)
{
	return (column->marks & NONE_1900) != 0;
}

bool
asctrac_is_unused(const EntityColumn *column)
{
	return (column->marks & UNUSED) != 0;
}

/* ---------------------------------------------------------------------
 * IMPORT FOREIGN SCHEMA
 * ---------------------------------------------------------------------
 */

/* The site's wall clock is a moment as soon as its zone is known. */
static ValueKind
local_kind(const Connection *conn, const EntityColumn *column)
{
	return column->kind == VALUE_TIMESTAMP && conn->time_zone != NULL ? VALUE_TIMESTAMPTZ :
																		column->kind;
}

static DiscoveredTable *
discover_table(const Connection *conn, const Entity *entity)
{
	DiscoveredTable *table = palloc0(sizeof(DiscoveredTable));

	table->entity = entity;
	for (int i = 0; i < entity->ncolumns; i++)
	{
		DiscoveredColumn *column = palloc0(sizeof(DiscoveredColumn));

		column->name = entity->columns[i].name;
		column->kind = local_kind(conn, &entity->columns[i]);
		column->not_null = entity->columns[i].required;
		column->comment = entity->columns[i].comment;
		column->type = entity->columns[i].type;
		table->columns = lappend(table->columns, column);
	}
	return table;
}

static bool
is_reached(const Connection *conn, const Entity *entity, bool named)
{
	if (asctrac_detail(entity)->service != SERVICE_INTERACTIVE ||
		asctrac_server_option(conn, "rest_base_url") != NULL)
		return true;
	if (named)
		ereport(NOTICE,
				(errmsg("table \"%s\" left out, because server \"%s\" has no option \"rest_base_url\"",
						entity->name, conn->server_name),
				 errhint("Name the service with ALTER SERVER %s OPTIONS (ADD rest_base_url 'https://...'), and import again.",
						 quote_identifier(conn->server_name))));
	return false;
}

/*
 * asctrac_discover
 *		The catalogue, without a request: neither service can be asked.  Look-ups
 *		of the interactive service come where it is there.
 */
List *
asctrac_discover(Connection *conn, const ImportRequest *request)
{
	List	 *tables = NIL;
	ListCell *lc;

	foreach(lc, request->entities)
	{
		const Entity *entity = lfirst(lc);

		if (entity->access != ENTITY_SESSION && is_reached(conn, entity, request->named))
			tables = lappend(tables, discover_table(conn, entity));
	}
	return tables;
}
