/*-------------------------------------------------------------------------
 *
 * import.c
 *		IMPORT FOREIGN SCHEMA, and the comments of imported tables.
 *
 * The remote schema's name is the version of makini's view of the remote side.
 * PostgreSQL lets an import create tables and nothing else, so an event trigger
 * adds the comments afterwards, and keeps which columns there were; what only the
 * account knew is remembered until then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_table.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/fdw.h"
#include "imported.h"
#include "makini.h"
#include "nearest.h"

PG_FUNCTION_INFO_V1(makini_comment_imported);
PG_FUNCTION_INFO_V1(makini_comment_tables);

/* What the import that is running has found, and was asked for; its own context. */
static MemoryContext found_cxt = NULL;
static List			*found_tables = NIL; /* of DiscoveredTable * */
static ImportRequest found_request;

/* ---------------------------------------------------------------------
 * What is asked for
 * ---------------------------------------------------------------------
 */

static char *
lower_name(const char *name)
{
	return asc_tolower(name, strlen(name));
}

static bool
named_in(List *table_list, const char *name)
{
	ListCell *lc;

	foreach(lc, table_list)
	{
		if (pg_strcasecmp(((RangeVar *) lfirst(lc))->relname, name) == 0)
			return true;
	}
	return false;
}

/* PostgreSQL ignores names that an import doesn't bring; a misspelt one should not pass. */
static void
check_names(const Connector *connector, ImportForeignSchemaStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->table_list)
	{
		const char	 *name = ((RangeVar *) lfirst(lc))->relname;
		const Entity *entity = connector_find_entity(connector, name);
		const char	 *nearest;

		/* Tables are created with names in lower case; PostgreSQL compares them as they are. */
		if (entity != NULL && strcmp(lower_name(entity->name), name) == 0)
			continue;
		nearest = entity ? lower_name(entity->name) : connector_nearest_entity(connector, name);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND), errmsg("there is no remote table \"%s\"", name),
				 nearest ?
					 errhint("Perhaps you meant \"%s\".", nearest) :
					 errhint("IMPORT FOREIGN SCHEMA without LIMIT TO brings all tables there are.")));
	}
}

static void
check_version(ImportForeignSchemaStmt *stmt)
{
	if (strcmp(stmt->remote_schema, MAKINI_API_VERSION) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
			 errmsg("there is no version \"%s\"", stmt->remote_schema),
			 errhint("The remote schema is the API version. Versions known: %s.", MAKINI_API_VERSION)));
}

static List *
wanted_entities(const Connector *connector, ImportForeignSchemaStmt *stmt)
{
	List		 *wanted = NIL;
	int			  n;
	const Entity *entities = connector->entities(&n);

	for (int i = 0; i < n; i++)
	{
		bool named = named_in(stmt->table_list, entities[i].name);

		if (stmt->list_type == FDW_IMPORT_SCHEMA_ALL ||
			named == (stmt->list_type == FDW_IMPORT_SCHEMA_LIMIT_TO))
			wanted = lappend(wanted, (void *) &entities[i]);
	}
	return wanted;
}

static void
read_import_options(ImportRequest *request, List *options)
{
	static const char *const names[] = {"custom_fields", "probe", "display"};
	ListCell				*lc;

	foreach(lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "custom_fields") == 0)
			request->custom_fields = defGetBoolean(option);
		else if (strcmp(option->defname, "probe") == 0)
			request->probe = defGetBoolean(option);
		else if (strcmp(option->defname, "display") == 0)
		{
			const char *value = defGetString(option);

			if (strcmp(value, "lists") != 0 && strcmp(value, "none") != 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("invalid value for option \"display\": \"%s\"", value),
						 errhint("Valid values are none and lists.")));
			request->display = strcmp(value, "lists") == 0;
		}
		else
		{
			Nearest nearest;

			nearest_init(&nearest, option->defname);
			for (int i = 0; i < (int) lengthof(names); i++)
				nearest_offer(&nearest, names[i]);
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", option->defname),
					 nearest_found(&nearest) ?
						 errhint("Perhaps you meant the option \"%s\".", nearest_found(&nearest)) :
						 errhint("Valid options in this context are: custom_fields, probe, display.")));
		}
	}
}

/* ---------------------------------------------------------------------
 * What is found
 * ---------------------------------------------------------------------
 */

static void
append_option(StringInfo out, const Connector *connector, const char *name, const char *value)
{
	if (value != NULL && connector_has_option(connector, name, ForeignTableRelationId))
		appendStringInfo(out, ", %s %s", name, quote_literal_cstr(value));
}

static char *
create_statement(const Connector *connector, const DiscoveredTable *table, const char *server_name)
{
	StringInfoData out;
	ListCell	  *lc;

	initStringInfo(&out);
	appendStringInfo(&out, "CREATE FOREIGN TABLE %s (",
					 quote_identifier(lower_name(table->entity->name)));
	foreach(lc, table->columns)
	{
		appendStringInfoString(&out, "\n\t");
		imported_definition(&out, lfirst(lc));
		if (lnext(table->columns, lc) != NULL)
			appendStringInfoChar(&out, ',');
	}
	appendStringInfo(&out, "\n) SERVER %s OPTIONS (entity %s", quote_identifier(server_name),
					 quote_literal_cstr(table->entity->name));
	append_option(&out, connector, "key", table->entity->key);
	append_option(&out, connector, "cursor", table->entity->cursor);
	append_option(&out, connector, "record_type", table->entity->record_type);
	appendStringInfoChar(&out, ')');
	return out.data;
}

static void
report_left_out(const DiscoveredTable *table)
{
	StringInfoData names;
	ListCell	  *lc;

	if (table->left_out == NIL)
		return;
	initStringInfo(&names);
	foreach(lc, table->left_out)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", (char *) lfirst(lc));
	ereport(NOTICE,
			(errmsg_plural("%d column of \"%s\" left out, because this role cannot read it",
						   "%d columns of \"%s\" left out, because this role cannot read them",
						   list_length(table->left_out), list_length(table->left_out),
						   table->entity->name),
			 errdetail("%s", names.data)));
}

static void
report_refused(const DiscoveredTable *table)
{
	ereport(NOTICE,
			(errmsg("table \"%s\" left out, because this role cannot read it", table->entity->name),
			 table->refused->remote_message ? errdetail("%s", table->refused->remote_message) : 0));
}

static void
remember_found(List *tables)
{
	if (found_cxt == NULL)
		found_cxt = AllocSetContextCreate(TopMemoryContext, "makini import", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(found_cxt);
	found_tables = tables;
}

static List *
discover(const Connector *connector, Oid serverid, ImportRequest *request)
{
	Connection	 *conn;
	MemoryContext old;
	List		 *tables;

	found_request = *request;
	if (connector->discovers_locally || (!request->probe && !request->custom_fields))
		conn = connection_outline(serverid);
	else if (connection_has_mapping(serverid, GetUserId()))
		conn = connection_open(serverid, GetUserId(), REMOTE_USE_PROBE);
	else
	{
		conn = connection_outline(serverid);
		request->probe = request->custom_fields = false;
		ereport(WARNING,
				(errmsg("tables come from the built-in catalogue only"),
				 errdetail("Server \"%s\" has no user mapping for \"%s\", so that the account could not be asked which columns there are.",
						   conn->server_name, GetUserNameFromId(GetUserId(), false)),
				 errhint("Create a user mapping and import again.")));
	}
	remember_found(NIL);
	old = MemoryContextSwitchTo(found_cxt);
	tables = connector->discover(conn, request);
	MemoryContextSwitchTo(old);
	found_tables = tables;
	return tables;
}

/*
 * schema_import
 *		ImportForeignSchema.  Options: custom_fields, probe (booleans), display
 *		(none or lists).
 */
List *
schema_import(ImportForeignSchemaStmt *stmt, Oid serverid)
{
	const Connector *connector = connector_of_server(serverid);
	ForeignServer	*server = GetForeignServer(serverid);
	ImportRequest	 request = {.custom_fields = true, .probe = true};
	List			*statements = NIL;
	ListCell		*lc;

	check_version(stmt);
	check_names(connector, stmt);
	read_import_options(&request, stmt->options);
	request.entities = wanted_entities(connector, stmt);
	request.named = stmt->list_type == FDW_IMPORT_SCHEMA_LIMIT_TO;
	foreach(lc, discover(connector, serverid, &request))
	{
		DiscoveredTable *table = lfirst(lc);

		if (table->refused != NULL)
		{
			report_refused(table);
			continue;
		}
		report_left_out(table);
		statements = lappend(statements, create_statement(connector, table, server->servername));
	}
	return statements;
}

/* ---------------------------------------------------------------------
 * Comments
 * ---------------------------------------------------------------------
 */

static DiscoveredTable *
found_table(const Entity *entity)
{
	ListCell *lc;

	foreach(lc, found_tables)
	{
		DiscoveredTable *table = lfirst(lc);

		if (table->entity == entity)
			return table;
	}
	return NULL;
}

static const char *
found_comment(const Entity *entity, const char *column)
{
	DiscoveredTable *table = found_table(entity);
	ListCell		*lc;

	foreach(lc, table != NULL ? table->columns : NIL)
	{
		DiscoveredColumn *each = lfirst(lc);

		if (!each->display && pg_strcasecmp(each->name, column) == 0)
			return each->comment;
	}
	return NULL;
}

static const char *
column_comment(const Entity *entity, const SourceColumn *column)
{
	const EntityColumn *known = entity_find_column(entity, column->name);

	if (column->display)
		return psprintf("display text of %s", column->name);
	return known != NULL && known->comment != NULL ? known->comment :
													 found_comment(entity, column->name);
}

/* Comments a table and its columns from the catalogue; false where that doesn't know it. */
static bool
comment_table(Oid relid)
{
	Oid					serverid = GetForeignServerIdByRelId(relid);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(GetForeignServer(serverid)->fdwid);
	const Entity	   *entity;
	Table			   *table;

	if (connector_of_wrapper(wrapper->fdwname) == NULL)
		return false;
	table = table_open_options(relid);
	entity = table->source->catalogue;
	if (entity == NULL)
		return false;
	if (entity->comment != NULL)
		CreateComments(relid, RelationRelationId, 0, entity->comment);
	for (int i = 0; i < table->natts; i++)
	{
		const char *comment;

		if (table->columns[i] == NULL)
			continue;
		comment = column_comment(entity, table->columns[i]);
		if (comment != NULL)
			CreateComments(relid, RelationRelationId, i + 1, comment);
	}
	return true;
}

/* Keeps what the account had at the time of the import, for makini.refresh_schema. */
static void
remember_imported(Oid relid)
{
	Table			*table = table_open_options(relid);
	DiscoveredTable *found = table->source->catalogue ? found_table(table->source->catalogue) : NULL;

	if (found != NULL)
		imported_remember(relid,
						  imported_from(found, found_request.custom_fields, found_request.display));
}

/*
 * makini_comment_imported
 *		Event trigger: comments what an IMPORT FOREIGN SCHEMA has created, and
 *		keeps what it was made from.
 */
Datum
makini_comment_imported(PG_FUNCTION_ARGS)
{
	List		 *relids = NIL;
	ListCell	 *lc;
	MemoryContext caller = CurrentMemoryContext;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by an event trigger",
						"makini.comment_imported")));
	SPI_connect();
	if (SPI_execute("SELECT objid FROM pg_catalog.pg_event_trigger_ddl_commands()"
					" WHERE object_type OPERATOR(pg_catalog.=) 'foreign table'",
					true, 0) == SPI_OK_SELECT)
	{
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool  isnull;
			Datum objid = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
			MemoryContext old = MemoryContextSwitchTo(caller);

			relids = list_append_unique_oid(relids, DatumGetObjectId(objid));
			MemoryContextSwitchTo(old);
		}
	}
	SPI_finish();
	foreach(lc, relids)
	{
		if (comment_table(lfirst_oid(lc)))
			remember_imported(lfirst_oid(lc));
	}
	remember_found(NIL);
	PG_RETURN_NULL();
}

/*
 * makini_comment_tables
 *		makini.comment_tables(schema name): comments makini's foreign tables in
 *		a schema from the catalogue; gives their number.  Tables of others are
 *		left alone.
 */
Datum
makini_comment_tables(PG_FUNCTION_ARGS)
{
	Oid namespace = get_namespace_oid(NameStr(*PG_GETARG_NAME(0)), false);
	int		  n = 0;
	ListCell *lc;

	foreach(lc, foreign_tables_of(namespace))
	{
		Relation rel;

		if (!makini_owns_relation(lfirst_oid(lc)))
			continue;
		rel = table_open(lfirst_oid(lc), ShareUpdateExclusiveLock);
		n += comment_table(lfirst_oid(lc));
		table_close(rel, NoLock);
	}
	PG_RETURN_INT32(n);
}
