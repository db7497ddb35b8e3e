/*-------------------------------------------------------------------------
 *
 * refresh.c
 *		makini.refresh_schema(): what has changed remotely in foreign tables, as
 *		rows of SQL, and following it.
 *
 * Discovery says what an import would make today; what an earlier look knew
 * says which of the differences are news and which are the wish of whoever
 * declared the table.  Nothing is altered before all has been asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
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
#include "parser/parse_type.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "connector/imported.h"
#include "connector/option.h"
#include "connector/store.h"
#include "makini.h"
#include "sync/drift.h"
#include "sync/schema_change.h"

PG_FUNCTION_INFO_V1(makini_refresh_schema);

/* One row of the result. */
typedef struct Finding
{
	Oid				  relation;
	const char		 *column;
	const char		 *change;
	const char		 *from;		   /* declared type, or NULL */
	const char		 *remote_type; /* or NULL */
	const char		 *sql;		   /* or NULL */
	DiscoveredColumn *discovered;  /* or NULL */
	const char		 *known_as;	   /* of a removed one: its name to an import */
	bool			  runnable;	   /* apply may run it */
	bool			  applied;
} Finding;

/* A foreign table that is looked at. */
typedef struct Looked
{
	Oid				 relid;
	char			*name;
	Table			*table;
	Imported		*known; /* or NULL: it was not looked at before */
	bool			 custom_fields;
	bool			 display;
	bool			 done;
	DiscoveredTable *found;	   /* or NULL: nothing can be discovered */
	List			*findings; /* of Finding *, of the foreign table itself */
	List			*targets;  /* of Finding *, of targets of its syncs */
	List			*syncs;	   /* of int64 * */
} Looked;

static bool
same_name(const char *a, const char *b)
{
	return pg_strcasecmp(a, b) == 0;
}

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
	List	   *relids = NIL;
	Relation	pg_class_rel = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_class_relnamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(namespace));
	scan = systable_beginscan(pg_class_rel, InvalidOid, false, NULL, 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_FOREIGN_TABLE && is_ours(form->oid) &&
			(apply ? makini_owns_relation(form->oid) :
					 pg_class_aclcheck(form->oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK))
			relids = lappend_oid(relids, form->oid);
	}
	systable_endscan(scan);
	table_close(pg_class_rel, AccessShareLock);
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

static List *
look_at(List *relids)
{
	List	 *all = NIL;
	ListCell *lc;

	foreach(lc, relids)
	{
		Looked *looked = palloc0(sizeof(Looked));

		LockRelationOid(lfirst_oid(lc), AccessShareLock);
		looked->relid = lfirst_oid(lc);
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
 * Asking
 * ---------------------------------------------------------------------
 */

static Connection *
open_for(const Table *table)
{
	if (table->connector->discovers_locally)
		return connection_outline(table->serverid);
	return connection_open(table->serverid, GetUserId(), REMOTE_USE_PROBE);
}

/* The tables that one discovery can answer for: those like the first. */
static List *
tables_alike(List *all, const Looked *first)
{
	List	 *alike = NIL;
	ListCell *lc;

	foreach(lc, all)
	{
		Looked *looked = lfirst(lc);

		if (!looked->done && looked->table->serverid == first->table->serverid &&
			looked->custom_fields == first->custom_fields && looked->display == first->display)
			alike = lappend(alike, looked);
	}
	return alike;
}

static void
discover_alike(List *alike)
{
	Looked		 *first = linitial(alike);
	ImportRequest request = {.probe = true};
	Connection	 *conn;
	List		 *found;
	ListCell	 *lc;

	request.custom_fields = first->custom_fields;
	request.display = first->display;
	foreach(lc, alike)
	{
		Looked *looked = lfirst(lc);

		looked->done = true;
		if (looked->table->source->catalogue != NULL)
			request.entities =
				list_append_unique_ptr(request.entities, (void *) looked->table->source->catalogue);
	}
	if (request.entities == NIL)
		return;
	conn = open_for(first->table);
	found = conn->connector->discover(conn, &request);
	foreach(lc, alike)
	{
		Looked	 *looked = lfirst(lc);
		ListCell *lc2;

		foreach(lc2, found)
		{
			DiscoveredTable *table = lfirst(lc2);

			if (table->entity == looked->table->source->catalogue)
				looked->found = table;
		}
	}
}

/* One row of some columns, to hear whether the remote side knows them. */
typedef struct Trial
{
	Connection	*conn;
	const Table *table;
	List		*columns; /* of SourceColumn * */
} Trial;

static void
trial_step(void *arg)
{
	Trial		*trial = arg;
	RemoteQuery *query = palloc0(sizeof(RemoteQuery));
	Reader		*reader;
	ListCell	*lc;

	query->sources = list_make1(trial->table->source);
	query->limit = 1;
	foreach(lc, trial->columns)
	{
		QueryColumn *column = palloc0(sizeof(QueryColumn));

		column->column = lfirst(lc);
		query->columns = lappend(query->columns, column);
	}
	reader = trial->conn->connector->open(trial->conn, query);
	(void) trial->conn->connector->next_page(reader);
	trial->conn->connector->close(reader);
}

static List *
without_column(List *columns, const char *name)
{
	List	 *rest = NIL;
	ListCell *lc;

	foreach(lc, columns)
	{
		if (!same_name(((SourceColumn *) lfirst(lc))->name, name))
			rest = lappend(rest, lfirst(lc));
	}
	return rest;
}

/*
 * Which of these columns the remote side does not know: discovery says nothing
 * of columns that are neither in the catalogue nor custom fields.
 */
static List *
unknown_columns(const Looked *looked, List *columns)
{
	Trial trial = {.table = looked->table, .columns = columns};

	if (columns == NIL)
		return NIL;
	trial.conn = open_for(looked->table);
	while (trial.columns != NIL)
	{
		ErrorData *error = run_attempt(trial_step, &trial);
		List	  *rest;

		if (error == NULL)
			break;
		if (error->sqlerrcode != ERRCODE_FDW_COLUMN_NAME_NOT_FOUND || error->column_name == NULL)
			ThrowErrorData(error);
		rest = without_column(trial.columns, error->column_name);
		if (list_length(rest) == list_length(trial.columns))
			ThrowErrorData(error);
		trial.columns = rest;
	}
	return list_difference_ptr(columns, trial.columns);
}

/* ---------------------------------------------------------------------
 * Comparing
 * ---------------------------------------------------------------------
 */

static Finding *
add_finding(List **list, Oid relation, const char *column, const char *change, const char *sql)
{
	Finding *finding = palloc0(sizeof(Finding));

	finding->relation = relation;
	finding->column = column;
	finding->change = change;
	finding->sql = sql;
	finding->runnable = true;
	*list = lappend(*list, finding);
	return finding;
}

static int
declared_place(const Table *table, const DiscoveredColumn *column)
{
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i] != NULL && table->columns[i]->display == column->display &&
			same_name(table->columns[i]->name, column->name))
			return i;
	}
	return -1;
}

static Oid
type_of_text(const char *text)
{
	Oid	  type;
	int32 typmod;

	(void) parseTypeString(text, &type, &typmod, NULL);
	return type;
}

static char *
declared_type(Oid relid, AttrNumber attnum)
{
	Oid	  type;
	int32 typmod;
	Oid	  collation;

	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	return format_type_with_typemod(type, typmod);
}

static void
compare_declared(Looked *looked, DiscoveredColumn *column, int place)
{
	const char	*type = imported_type(column);
	KnownColumn *known = looked->known ? imported_find(looked->known, imported_name(column)) : NULL;
	AttrNumber	 attnum = place + 1;
	char		*name = get_attname(looked->relid, attnum, false);
	Oid			 declared = getBaseType(get_atttype(looked->relid, attnum));
	Finding		*finding;

	if (known == NULL || strcmp(known->type, type) == 0 ||
		kind_of_type(declared) == kind_of_type(type_of_text(type)))
		return;
	finding = add_finding(&looked->findings, looked->relid, name, "type",
						  psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s TYPE %s", looked->name,
								   quote_identifier(name), type));
	finding->from = declared_type(looked->relid, attnum);
	finding->remote_type = type;
	finding->discovered = column;
}

static void
compare_undeclared(Looked *looked, DiscoveredColumn *column)
{
	char		  *name = imported_name(column);
	StringInfoData sql;
	Finding		  *finding;

	if (looked->known == NULL || imported_find(looked->known, name) != NULL ||
		get_attnum(looked->relid, name) != InvalidAttrNumber)
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER FOREIGN TABLE %s ADD COLUMN ", looked->name);
	imported_definition(&sql, column);
	finding = add_finding(&looked->findings, looked->relid, name, "added", sql.data);
	finding->remote_type = imported_type(column);
	finding->discovered = column;
}

static bool
is_discovered(const DiscoveredTable *found, const SourceColumn *column)
{
	ListCell *lc;

	foreach(lc, found != NULL ? found->columns : NIL)
	{
		DiscoveredColumn *each = lfirst(lc);

		if (same_name(each->name, column->name) && each->display == column->display)
			return true;
		/* without display texts being asked for, the column vouches for its own */
		if (same_name(each->name, column->name) && column->display)
			return true;
	}
	return false;
}

static bool
is_refused(const DiscoveredTable *found, const SourceColumn *column)
{
	ListCell *lc;

	foreach(lc, found != NULL ? found->left_out : NIL)
	{
		if (same_name(lfirst(lc), column->name))
			return true;
	}
	return false;
}

/* Declared columns that the remote side has not, or not for this role. */
static List *
vanished_columns(const Looked *looked)
{
	const Table *table = looked->table;
	List		*vanished = NIL;
	List		*uncertain = NIL;

	for (int i = 0; i < table->natts; i++)
	{
		SourceColumn *column = table->columns[i];

		if (column == NULL || is_discovered(looked->found, column))
			continue;
		if (is_refused(looked->found, column))
			vanished = lappend(vanished, column);
		else if (!table->connector->discovers_locally)
			uncertain = lappend(uncertain, column);
		else if (table->source->catalogue != NULL &&
				 entity_find_column(table->source->catalogue, column->name) == NULL)
			vanished = lappend(vanished, column);
	}
	return list_concat(vanished, unknown_columns(looked, uncertain));
}

/* Can rows still be read and told apart without a column? */
static bool
is_needed(const Looked *looked, const SourceColumn *column)
{
	const Entity *entity = looked->table->source->catalogue;
	const char	 *cursor = option_text(GetForeignTable(looked->relid)->options, "cursor");

	if (cursor == NULL && entity != NULL)
		cursor = entity->cursor;
	return list_member_ptr(looked->table->source->key, column) ||
		(cursor != NULL && !column->display && same_name(cursor, column->name));
}

/* What imported_name() gives for the same column. */
static char *
remote_key(const SourceColumn *column)
{
	DiscoveredColumn same = {.name = column->name, .display = column->display};

	return imported_name(&same);
}

static void
compare_vanished(Looked *looked)
{
	List	 *vanished = vanished_columns(looked);
	ListCell *lc;

	foreach(lc, vanished)
	{
		SourceColumn *column = lfirst(lc);
		AttrNumber	  attnum = 0;
		char		 *name;
		Finding		 *finding;

		for (int i = 0; i < looked->table->natts; i++)
		{
			if (looked->table->columns[i] == column)
				attnum = i + 1;
		}
		name = get_attname(looked->relid, attnum, false);
		finding = add_finding(&looked->findings, looked->relid, name, "removed",
							  psprintf("ALTER FOREIGN TABLE %s DROP COLUMN %s", looked->name,
									   quote_identifier(name)));
		finding->from = declared_type(looked->relid, attnum);
		finding->known_as = remote_key(column);
		finding->runnable = !is_needed(looked, column);
	}
}

/* The first look at a table that was declared by hand: what it lacks, it was to lack. */
static void
report_first_look(const Looked *looked)
{
	StringInfoData names;
	int			   n = 0;
	ListCell	  *lc;

	initStringInfo(&names);
	foreach(lc, looked->found->columns)
	{
		DiscoveredColumn *column = lfirst(lc);

		if (declared_place(looked->table, column) < 0)
			appendStringInfo(&names, "%s%s", n++ > 0 ? ", " : "", imported_name(column));
	}
	if (n > 0)
		ereport(NOTICE,
				(errmsg_plural("foreign table %s was declared by hand: %d column that it lacks is taken to be left out on purpose",
							   "foreign table %s was declared by hand: %d columns that it lacks are taken to be left out on purpose",
							   n, looked->name, n),
				 errdetail("%s", names.data)));
}

static void
compare_table(Looked *looked)
{
	ListCell *lc;

	if (looked->found != NULL && looked->found->refused != NULL)
	{
		ereport(WARNING,
				(errcode(looked->found->refused->sqlstate),
				 errmsg("foreign table %s could not be compared, because this role cannot read it",
						looked->name),
				 looked->found->refused->remote_message ?
					 errdetail("%s", looked->found->refused->remote_message) :
					 0));
		return;
	}
	if (looked->found != NULL && looked->known == NULL)
		report_first_look(looked);
	foreach(lc, looked->found != NULL ? looked->found->columns : NIL)
	{
		int place = declared_place(looked->table, lfirst(lc));

		if (place < 0)
			compare_undeclared(looked, lfirst(lc));
		else
			compare_declared(looked, lfirst(lc), place);
	}
	compare_vanished(looked);
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
	SPI_execute_with_args("SELECT sync_id FROM makini._sync WHERE source_oid = $1 AND home = $2"
						  " AND mode <> 'drain' ORDER BY sync_id",
						  lengthof(types), types, values, NULL, true, 0);
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
	char	*column = psprintf("%s", quote_identifier(from->column));
	Finding *finding;

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

static void
follow_in_targets(Looked *looked)
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
run_finding(Finding *finding)
{
	Oid		   owner = relation_owner(finding->relation);
	ErrorData *error;

	if (!finding->runnable)
		return;
	if (!makini_may_become(GetUserId(), owner))
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

		if (sync->left_out == NIL || !has_privs_of_role(GetUserId(), sync->owner))
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

static void
tell(const Looked *looked)
{
	SchemaChange change = {.serverid = looked->table->serverid, .owner = GetUserId()};
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

static void
apply_table(Looked *looked)
{
	ListCell *lc;

	foreach(lc, looked->findings)
	{
		run_finding(lfirst(lc));
		comment_added(lfirst(lc));
	}
	foreach(lc, looked->targets)
		run_finding(lfirst(lc));
	take_back_left_out(looked);
	tell(looked);
	if (looked->known == NULL)
		return;
	foreach(lc, looked->findings)
		learn(looked->known, lfirst(lc));
	imported_remember(looked->relid, looked->known);
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
	all = look_at(tables_named(PG_GETARG_TEXT_PP(0), apply));
	foreach(lc, all)
	{
		if (!((Looked *) lfirst(lc))->done)
			discover_alike(tables_alike(all, lfirst(lc)));
	}
	foreach(lc, all)
		compare_table(lfirst(lc));
	foreach(lc, all)
	{
		Looked *looked = lfirst(lc);

		follow_in_targets(looked);
		if (apply)
			apply_table(looked);
		if (looked->known == NULL && looked->found != NULL && looked->found->refused == NULL &&
			!XactReadOnly)
			imported_remember(looked->relid,
							  imported_from(looked->found, looked->custom_fields, looked->display));
		put_findings(result, looked->findings);
		put_findings(result, looked->targets);
	}
	return (Datum) 0;
}
