/*-------------------------------------------------------------------------
 *
 * schema_change.c
 *		Changes of columns: following them in a target, and telling of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "connection_store.h"
#include "event/event.h"
#include "sync/schema_change.h"

/* A table that is read for longer than this is altered another time. */
#define LOCK_PATIENCE "5s"

/* ---------------------------------------------------------------------
 * Telling
 * ---------------------------------------------------------------------
 */

List *
column_change(List *changes, const char *column, const char *what, const char *from, const char *to)
{
	ColumnChange *change = palloc(sizeof(ColumnChange));

	change->column = column;
	change->change = what;
	change->from = from;
	change->to = to;
	return lappend(changes, change);
}

List *
sync_in_list(List *syncs, int64 sync_id)
{
	int64 *entry = palloc(sizeof(int64));

	*entry = sync_id;
	return lappend(syncs, entry);
}

static void
append_member(StringInfo out, const char *name, const char *value)
{
	appendStringInfo(out, "\"%s\": ", name);
	if (value == NULL)
		appendStringInfoString(out, "null");
	else
		escape_json(out, value);
}

static void
append_change(StringInfo out, const ColumnChange *change)
{
	appendStringInfoChar(out, '{');
	append_member(out, "column", change->column);
	appendStringInfoString(out, ", ");
	append_member(out, "change", change->change);
	appendStringInfoString(out, ", ");
	append_member(out, "from", change->from);
	appendStringInfoString(out, ", ");
	append_member(out, "to", change->to);
	appendStringInfoChar(out, '}');
}

static char *
change_data(const SchemaChange *change)
{
	StringInfoData out;
	ListCell	  *lc;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	append_member(&out, "server", GetForeignServer(change->serverid)->servername);
	appendStringInfoString(&out, ", ");
	append_member(&out, "relation", change->relation);
	appendStringInfoString(&out, ", \"changes\": [");
	foreach(lc, change->changes)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(&out, ", ");
		append_change(&out, lfirst(lc));
	}
	appendStringInfo(&out, "], \"applied\": %s, \"sync_ids\": [", change->applied ? "true" : "false");
	foreach(lc, change->syncs)
		appendStringInfo(&out, "%s" INT64_FORMAT, foreach_current_index(lc) > 0 ? ", " : "",
						 *(int64 *) lfirst(lc));
	appendStringInfoString(&out, "]}");
	return out.data;
}

/*
 * schema_changed
 *		Raise one schema.changed.
 */
void
schema_changed(const SchemaChange *change)
{
	pg_uuid_t id = connection_store(change->serverid);
	Event	  event = {.type = "schema.changed", .connection = &id};
	bool	  raised;

	event.owner = change->owner;
	event.key = change->relation;
	event.data = change_data(change);
	(void) event_raise(&event, &raised);
}

/* ---------------------------------------------------------------------
 * Following
 * ---------------------------------------------------------------------
 */

Oid
relation_owner(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid		  owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

char *
relation_full_name(Oid relid)
{
	char *name = get_rel_name(relid);

	return name == NULL ?
		NULL :
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

bool
has_foreign_parts(Oid relid)
{
	ListCell *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return true;
	}
	return false;
}

typedef struct Alteration
{
	const char *statement;
	Oid			role;
} Alteration;

static void
alter_step(void *arg)
{
	Alteration	*alteration = arg;
	TargetRights saved;

	rights_of_target(alteration->role, &saved);
	(void) set_config_option("lock_timeout", LOCK_PATIENCE, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	if (SPI_execute(alteration->statement, false, 0) != SPI_OK_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not alter a relation"),
				 errdetail("%s", alteration->statement)));
	SPI_finish();
	rights_of_target_restore(&saved);
	CommandCounterIncrement();
}

ErrorData *
alter_relation(const char *statement, Oid role)
{
	Alteration alteration = {.statement = statement, .role = role};

	return run_attempt(alter_step, &alteration);
}
