/*-------------------------------------------------------------------------
 *
 * refresh.c
 *		makini.refresh_schema(): what has changed remotely in foreign tables, as
 *		rows of SQL, and following it in them and in the targets of their syncs.
 *
 * look.c finds out.  Nothing is altered before all has been asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "connection_store.h"
#include "makini.h"
#include "private.h"
#include "sync/drift.h"
#include "sync/refresh.h"
#include "sync/schema_change.h"

PG_FUNCTION_INFO_V1(makini_refresh_schema);

/* ---------------------------------------------------------------------
 * What is looked at
 * ---------------------------------------------------------------------
 */

static bool
is_ours(Oid relid)
{
	Oid					serverid = GetForeignServerIdByRelId(relid);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(GetForeignServer(serverid)->fdwid);

	return connector_of_wrapper(wrapper->fdwname) != NULL;
}

/* Makini's foreign tables in a schema that the caller owns (or may read). */
static List *
tables_of_schema(Oid namespace, bool apply)
{
	List	 *relids = NIL;
	ListCell *lc;

	foreach(lc, foreign_tables_of(namespace))
	{
		Oid relid = lfirst_oid(lc);

		if (is_ours(relid) &&
			(apply ? makini_owns_relation(relid) :
					 pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK))
			relids = lappend_oid(relids, relid);
	}
	list_sort(relids, list_oid_cmp);
	return relids;
}

static void
check_rights(Oid relid, bool apply)
{
	if (apply && !makini_owns_relation(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
	if (!apply && pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
}

/* The foreign table of a name, or those of the schema of that name. */
static List *
tables_named(text *what, bool apply)
{
	List	 *names = textToQualifiedNameList(what);
	RangeVar *range = makeRangeVarFromNameList(names);
	Oid		  relid = RangeVarGetRelid(range, AccessShareLock, true);
	Oid namespace = InvalidOid;

	if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE && is_ours(relid))
	{
		check_rights(relid, apply);
		return list_make1_oid(relid);
	}
	if (list_length(names) == 1)
	namespace = get_namespace_oid(range->relname, true);
	if (OidIsValid(namespace))
		return tables_of_schema(namespace, apply);
	ereport(ERROR,
			(errcode(OidIsValid(relid) ? ERRCODE_WRONG_OBJECT_TYPE : ERRCODE_UNDEFINED_TABLE),
			 OidIsValid(relid) ?
				 errmsg("\"%s\" is not a foreign table of makini", text_to_cstring(what)) :
				 errmsg("there is neither a foreign table nor a schema \"%s\"", text_to_cstring(what)),
			 errhint("Name a foreign table of netsuite_fdw or asctrac_fdw, or a schema that holds some.")));
	return NIL;
}

static bool
declares_display(const Table *table)
{
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i] != NULL && table->columns[i]->display)
			return true;
	}
	return false;
}

List *
look_at_tables(List *relids, Oid role)
{
	List	 *all = NIL;
	ListCell *lc;

	foreach(lc, relids)
	{
		Looked *looked = palloc0(sizeof(Looked));

		LockRelationOid(lfirst_oid(lc), AccessShareLock);
		looked->relid = lfirst_oid(lc);
		looked->role = role;
		looked->name = relation_full_name(looked->relid);
		if (looked->name == NULL)
			continue;
		looked->table = table_open_options(looked->relid);
		looked->known = imported_recall(looked->relid);
		looked->custom_fields = looked->known == NULL || looked->known->custom_fields;
		looked->display =
			looked->known != NULL ? looked->known->display : declares_display(looked->table);
		all = lappend(all, looked);
	}
	return all;
}

/* ---------------------------------------------------------------------
 * Targets
 * ---------------------------------------------------------------------
 */

/* The ids of the syncs that read a foreign table. */
static List *
syncs_of(Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[] = {OIDOID, TEXTOID};
	Datum		  values[2];
	List		 *ids = NIL;

	values[0] = ObjectIdGetDatum(relid);
	values[1] = CStringGetTextDatum(connection_home());
	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT sync_id FROM makini._sync WHERE source_oid = $1 AND home = $2"
						 " AND mode <> 'drain' ORDER BY sync_id",
						 lengthof(types), types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool  isnull;
		int64 id =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContext old = MemoryContextSwitchTo(caller);

		ids = sync_in_list(ids, id);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return ids;
}

static void
follow_added(Looked *looked, const Sync *sync, const Finding *from)
{
	char	*name;
	Finding *finding;

	if (sync->on_schema_change != DRIFT_ADD || sync->columns != NIL ||
		get_attnum(sync->target, from->column) != InvalidAttrNumber)
		return;
	name = relation_full_name(sync->target);
	finding = add_finding(&looked->targets, sync->target, from->column, "added",
						  psprintf("ALTER TABLE %s ADD COLUMN %s %s", name,
								   quote_identifier(from->column), from->remote_type));
	finding->remote_type = from->remote_type;
	finding->runnable = !has_foreign_parts(sync->target);
}

/* A type that takes every value of another is followed; else values could be lost. */
static void
follow_type(Looked *looked, const Sync *sync, const Finding *from)
{
	AttrNumber attnum = get_attnum(sync->target, from->column);
	Oid		   old;
	Oid new = type_of_text(from->remote_type);
	const char *column = quote_identifier(from->column);
	Finding	   *finding;

	if (sync->on_schema_change != DRIFT_ADD || attnum == InvalidAttrNumber)
		return;
	old = get_atttype(sync->target, attnum);
	if (old == new)
		return;
	finding = add_finding(&looked->targets, sync->target, from->column, "type",
						  psprintf("ALTER TABLE %s ALTER COLUMN %s TYPE %s USING %s::%s",
								   relation_full_name(sync->target), column, from->remote_type,
								   column, from->remote_type));
	finding->from = declared_type(sync->target, attnum);
	finding->remote_type = from->remote_type;
	finding->runnable = !has_foreign_parts(sync->target) &&
		(new == TEXTOID || can_coerce_type(1, &old, &new, COERCION_IMPLICIT));
}

/* A column that was left out and is there again. */
static void
follow_returned(Looked *looked, const Sync *sync)
{
	ListCell *lc;

	foreach(lc, sync->left_out)
	{
		char	  *name = lfirst(lc);
		AttrNumber attnum = get_attnum(looked->relid, name);
		Finding	  *finding;

		if (attnum <= 0 || attnum > looked->table->natts || looked->table->columns[attnum - 1] == NULL ||
			!is_discovered(looked->found, looked->table->columns[attnum - 1]))
			continue;
		finding =
			add_finding(&looked->targets, sync->target, name, "returned",
						psprintf("SELECT makini.backfill_columns(" INT64_FORMAT ", %s)", sync->sync_id,
								 quote_literal_cstr(psprintf("{%s}", quote_identifier(name)))));
		finding->remote_type = declared_type(looked->relid, attnum);
		finding->runnable = false;
	}
}

void
look_follow(Looked *looked)
{
	ListCell *lc;

	looked->syncs = syncs_of(looked->relid);
	foreach(lc, looked->syncs)
	{
		Sync	 *sync = sync_load(*(int64 *) lfirst(lc));
		ListCell *lc2;

		if (relation_full_name(sync->target) == NULL)
			continue;
		foreach(lc2, looked->findings)
		{
			Finding *finding = lfirst(lc2);

			if (strcmp(finding->change, "added") == 0)
				follow_added(looked, sync, finding);
			else if (strcmp(finding->change, "type") == 0)
				follow_type(looked, sync, finding);
		}
		follow_returned(looked, sync);
	}
}

/* ---------------------------------------------------------------------
 * Applying
 * ---------------------------------------------------------------------
 */

static void
run_finding(Finding *finding, Oid role)
{
	Oid		   owner = relation_owner(finding->relation);
	ErrorData *error;

	if (!finding->runnable)
		return;
	if (!makini_may_become(role, owner))
	{
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of relation %s to alter it",
						relation_full_name(finding->relation))));
		return;
	}
	error = alter_relation(finding->sql, owner);
	finding->applied = error == NULL;
	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not alter %s: %s", relation_full_name(finding->relation), error->message),
				 error->detail != NULL ? errdetail_internal("%s", error->detail) : 0));
}

static void
comment_added(const Finding *finding)
{
	if (finding->applied && strcmp(finding->change, "added") == 0 && finding->discovered->comment)
		CreateComments(finding->relation, RelationRelationId,
					   get_attnum(finding->relation, finding->column), finding->discovered->comment);
}

/* What is known once a finding has been followed. */
static void
learn(Imported *known, const Finding *finding)
{
	KnownColumn *column;
	char		*name;

	if (!finding->applied)
		return;
	if (finding->known_as != NULL)
	{
		known->columns = list_delete_ptr(known->columns, imported_find(known, finding->known_as));
		return;
	}
	name = imported_name(finding->discovered);
	column = imported_find(known, name);
	if (column == NULL)
	{
		column = palloc(sizeof(KnownColumn));
		column->name = name;
		known->columns = lappend(known->columns, column);
	}
	column->type = pstrdup(imported_type(finding->discovered));
}

/* Ask again for what was left out and is there again. */
static void
take_back_left_out(const Looked *looked)
{
	ListCell *lc;

	foreach(lc, looked->syncs)
	{
		Sync	 *sync = sync_load(*(int64 *) lfirst(lc));
		ListCell *lc2;

		if (sync->left_out == NIL || !has_privs_of_role(looked->role, sync->owner))
			continue;
		foreach(lc2, looked->targets)
		{
			Finding *finding = lfirst(lc2);

			if (strcmp(finding->change, "returned") == 0 && finding->relation == sync->target &&
				drift_take_back(sync, finding->column))
				finding->applied = true;
		}
	}
}

void
look_tell(const Looked *looked)
{
	SchemaChange change = {.serverid = looked->table->serverid, .owner = looked->role};
	ListCell	*lc;

	change.relation = looked->name;
	change.syncs = looked->syncs;
	change.applied = true;
	foreach(lc, looked->findings)
	{
		Finding *finding = lfirst(lc);

		change.applied = change.applied && finding->applied;
		change.changes = column_change(change.changes, finding->column, finding->change,
									   finding->from, finding->remote_type);
	}
	if (change.changes != NIL)
		schema_changed(&change);
}

void
look_apply(Looked *looked)
{
	ListCell *lc;

	foreach(lc, looked->findings)
	{
		run_finding(lfirst(lc), looked->role);
		comment_added(lfirst(lc));
	}
	foreach(lc, looked->targets)
		run_finding(lfirst(lc), looked->role);
	take_back_left_out(looked);
	if (looked->known == NULL)
		return;
	foreach(lc, looked->findings)
		learn(looked->known, lfirst(lc));
	imported_remember(looked->relid, looked->known);
}

void
look_remember_first(const Looked *looked)
{
	if (looked->known == NULL && looked->found != NULL && looked->found->refused == NULL)
		imported_remember(looked->relid,
						  imported_from(looked->found, looked->custom_fields, looked->display));
}

/* ---------------------------------------------------------------------
 * The function
 * ---------------------------------------------------------------------
 */

static void
put_findings(ReturnSetInfo *result, List *findings)
{
	ListCell *lc;

	foreach(lc, findings)
	{
		Finding *finding = lfirst(lc);
		Datum	 values[6] = {0};
		bool	 nulls[6] = {false};
		NameData name;

		namestrcpy(&name, finding->column);
		values[0] = ObjectIdGetDatum(finding->relation);
		values[1] = NameGetDatum(&name);
		values[2] = CStringGetTextDatum(finding->change);
		nulls[3] = finding->remote_type == NULL;
		if (!nulls[3])
			values[3] = CStringGetTextDatum(finding->remote_type);
		nulls[4] = finding->sql == NULL;
		if (!nulls[4])
			values[4] = CStringGetTextDatum(finding->sql);
		values[5] = BoolGetDatum(finding->applied);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * makini_refresh_schema
 *		makini.refresh_schema(what, apply)
 */
Datum
makini_refresh_schema(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		   apply = PG_GETARG_BOOL(1);
	List		  *all;
	ListCell	  *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (apply)
		PreventCommandIfReadOnly("makini.refresh_schema()");
	all = look_at_tables(tables_named(PG_GETARG_TEXT_PP(0), apply), GetUserId());
	look_around(all);
	foreach(lc, all)
		look_compare(lfirst(lc));
	foreach(lc, all)
	{
		Looked *looked = lfirst(lc);

		look_follow(looked);
		if (apply)
		{
			look_apply(looked);
			look_tell(looked);
		}
		if (!XactReadOnly)
			look_remember_first(looked);
		put_findings(result, looked->findings);
		put_findings(result, looked->targets);
	}
	return (Datum) 0;
}
