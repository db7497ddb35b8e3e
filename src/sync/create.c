/*-------------------------------------------------------------------------
 *
 * create.c
 *		makini.create_sync and makini.create_syncs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "argument.h"
#include "compat.h"
#include "makini.h"
#include "nearest.h"
#include "private.h"
#include "sync/define.h"
#include "sync/json_member.h"

PG_FUNCTION_INFO_V1(makini_create_sync);
PG_FUNCTION_INFO_V1(makini_create_syncs);

/* ---------------------------------------------------------------------
 * Arguments
 * ---------------------------------------------------------------------
 */

static List *
texts_or_null(FunctionCallInfo fcinfo, int place, const char *argument)
{
	return PG_ARGISNULL(place) ? NIL : define_texts(PG_GETARG_ARRAYTYPE_P(place), argument);
}

/* What create_sync and create_syncs have in common, from the schedule on. */
static void
take_arguments(Definition *definition, FunctionCallInfo fcinfo, int first)
{
	definition->schedule = argument_text_or_null(fcinfo, first);
	definition->initial_window = argument_text(fcinfo, first + 1, "initial_window");
	definition->mode = argument_text(fcinfo, first + 2, "mode");
	definition->deletes = argument_text(fcinfo, first + 3, "deletes");
	argument_refuse_null(fcinfo, first + 4, "lookback");
	definition->lookback = PG_GETARG_INTERVAL_P(first + 4);
	definition->initial_filter = argument_text_or_null(fcinfo, first + 5);
	definition->columns = texts_or_null(fcinfo, first + 6, "columns");
	definition->filter = argument_text_or_null(fcinfo, first + 7);
	definition->key = texts_or_null(fcinfo, first + 8, "key");
	argument_refuse_null(fcinfo, first + 9, "constants");
	definition->constants = PG_GETARG_JSONB_P(first + 9);
	argument_refuse_null(fcinfo, first + 10, "options");
	definition->options = PG_GETARG_JSONB_P(first + 10);
}

/* ---------------------------------------------------------------------
 * One sync
 * ---------------------------------------------------------------------
 */

static void
tell_what_is_slow(const Definition *definition)
{
	if (define_has_cursor(definition) || strcmp(definition->mode, "full") == 0)
		return;
	ereport(NOTICE,
			(errmsg("foreign table \"%s\" has no column that tells when a row changed",
					get_rel_name(definition->source)),
			 errdetail("Each run reads all of it and compares.")));
}

int64
sync_create(Definition *definition)
{
	define_check_arguments(definition);
	definition->target = define_target_name(definition->target);
	define_open_source(definition);
	definition->history_from = define_history(definition);
	define_prepare_target(definition);
	tell_what_is_slow(definition);
	return definition_insert(definition);
}

/*
 * makini_create_sync
 *		makini.create_sync(source, target, ...)
 */
Datum
makini_create_sync(PG_FUNCTION_ARGS)
{
	Definition definition = {0};

	argument_refuse_null(fcinfo, 0, "source");
	definition.source = PG_GETARG_OID(0);
	definition.target = argument_text(fcinfo, 1, "target");
	take_arguments(&definition, fcinfo, 2);
	PG_RETURN_INT64(sync_create(&definition));
}

/* ---------------------------------------------------------------------
 * A schema of them
 * ---------------------------------------------------------------------
 */

/* The foreign tables of makini's servers in a schema, by name. */
static List *
tables_of_schema(Oid schema)
{
	Oid	  types[1] = {OIDOID};
	Datum values[1] = {ObjectIdGetDatum(schema)};

	return private_oids("SELECT c.oid FROM pg_catalog.pg_class c"
						" JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = c.oid"
						" JOIN makini._server s ON s.server_oid = t.ftserver"
						" WHERE c.relnamespace = $1 ORDER BY c.relname",
						lengthof(types), types, values);
}

static Oid
find_table(List *tables, const char *name, const char *schema)
{
	Nearest	  nearest;
	ListCell *lc;

	nearest_init(&nearest, name);
	foreach(lc, tables)
	{
		char *candidate = get_rel_name(lfirst_oid(lc));

		if (strcmp(candidate, name) == 0)
			return lfirst_oid(lc);
		nearest_offer(&nearest, candidate);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("schema \"%s\" has no foreign table \"%s\" of makini", schema, name),
			 nearest_found(&nearest) ? errhint("Perhaps you meant \"%s\".", nearest_found(&nearest)) :
									   0));
	return InvalidOid;
}

static List *
wanted_tables(List *tables, List *names, const char *schema)
{
	List	 *wanted = NIL;
	ListCell *lc;

	if (names == NIL)
		return tables;
	foreach(lc, names)
		wanted = lappend_oid(wanted, find_table(tables, lfirst(lc), schema));
	return wanted;
}

/* Is the table synced into that target, with these constants? 0: no. */
static int64
sync_of_pair(Oid source, const char *target, Jsonb *constants)
{
	Oid	  types[3] = {OIDOID, TEXTOID, JSONBOID};
	Datum values[3];

	values[0] = ObjectIdGetDatum(source);
	values[1] = CStringGetTextDatum(target);
	values[2] = JsonbPGetDatum(constants);
	return private_number("SELECT sync_id FROM makini._sync WHERE home = makini._home()"
						  " AND source_oid = $1 AND target_oid = pg_catalog.to_regclass($2)"
						  " AND constants = $3 LIMIT 1",
						  lengthof(types), types, values, NULL, 0);
}

/* Why a table of a schema is not to be synced; NULL: it is. */
static char *
reason_to_skip(Oid relid, const char *target, Jsonb *constants)
{
	const Entity *entity = table_open_options(relid)->source->catalogue;
	int64		  other = sync_of_pair(relid, target, constants);

	if (entity != NULL && entity->access == ENTITY_FEED)
		return "a feed, which only makini.create_drain() may read";
	if (entity != NULL && entity->access != ENTITY_TABLE)
		return "cannot be read";
	if (entity != NULL && entity_needs_parameter(entity))
		return "has a required parameter";
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return "no right to SELECT";
	if (other != 0)
		return psprintf("synced already by sync " INT64_FORMAT, other);
	return NULL;
}

static void
put_result(ReturnSetInfo *result, Oid source, int64 sync_id, const char *skipped)
{
	Datum values[3] = {ObjectIdGetDatum(source), Int64GetDatum(sync_id)};
	bool  nulls[3] = {false, sync_id == 0, skipped == NULL};

	if (skipped != NULL)
		values[2] = CStringGetTextDatum(skipped);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * makini_create_syncs
 *		makini.create_syncs(source_schema, target_schema, tables, ...)
 */
Datum
makini_create_syncs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char	  *source_schema;
	const char	  *target_schema;
	List		  *names;
	List		  *tables;
	ListCell	  *lc;

	argument_refuse_null(fcinfo, 0, "source_schema");
	argument_refuse_null(fcinfo, 1, "target_schema");
	source_schema = NameStr(*PG_GETARG_NAME(0));
	target_schema = NameStr(*PG_GETARG_NAME(1));
	names = texts_or_null(fcinfo, 2, "tables");
	tables = tables_of_schema(LookupExplicitNamespace(source_schema, false));
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, wanted_tables(tables, names, source_schema))
	{
		Definition	definition = {0};
		const char *skipped;
		int64		sync_id = 0;

		CHECK_FOR_INTERRUPTS();
		definition.source = lfirst_oid(lc);
		definition.target = quote_qualified_identifier(target_schema, get_rel_name(definition.source));
		take_arguments(&definition, fcinfo, 3);
		skipped = reason_to_skip(definition.source, definition.target, definition.constants);
		if (skipped == NULL)
			sync_id = sync_create(&definition);
		put_result(result, definition.source, sync_id, skipped);
	}
	return (Datum) 0;
}
