/*-------------------------------------------------------------------------
 *
 * drift.c
 *		Columns that come and go between two runs, or in the middle of one.
 *
 * A source has a column that its target lacks: the column was added to the
 * foreign table, or has come back.  A source has a column that the remote side
 * does not know: it was removed there, or the role may not see it any more.
 * Neither is a reason to stop everything else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "makini.h"
#include "sync/drift.h"
#include "sync/schema_change.h"

/* ---------------------------------------------------------------------
 * What has been told
 * ---------------------------------------------------------------------
 */

bool
drift_note(int64 sync_id, const char *column, const char *change)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, TEXTOID, TEXTOID};
	Datum		 values[3];
	bool		 noted;

	values[0] = Int64GetDatum(sync_id);
	values[1] = CStringGetTextDatum(column);
	values[2] = CStringGetTextDatum(change);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("INSERT INTO makini._drift (sync_id, column_name, change) VALUES ($1, $2, $3)"
						  " ON CONFLICT DO NOTHING",
						  lengthof(types), types, values, NULL, false, 0);
	noted = SPI_processed == 1;
	SPI_finish();
	makini_rights_restore(&saved);
	return noted;
}

/*
 * Forget what was noted of columns that are as they should be, and of those that
 * the sync does not read any more.
 */
static void
forget_changes(int64 sync_id, const List *columns)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, TEXTARRAYOID};
	Datum		 values[2];
	Datum		*names = palloc(sizeof(Datum) * Max(1, list_length(columns)));
	ListCell	*lc;

	foreach(lc, columns)
		names[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	values[0] = Int64GetDatum(sync_id);
	values[1] = PointerGetDatum(
		construct_array(names, list_length(columns), TEXTOID, -1, false, TYPALIGN_INT));
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("DELETE FROM makini._drift d USING makini._sync s"
						  " WHERE d.sync_id = $1 AND s.sync_id = $1 AND d.change <> 'removed'"
						  " AND (d.column_name::text = ANY ($2) OR NOT d.column_name = ANY (s.columns)"
						  " OR NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a"
						  " WHERE a.attrelid = s.source_oid AND a.attname = d.column_name))",
						  lengthof(types), types, values, NULL, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

/* A column is there again: should it go once more, that is news.  False: it was never gone. */
static bool
forget_removal(int64 sync_id, const char *column)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, TEXTOID};
	Datum		 values[2];
	bool		 was_gone;

	values[0] = Int64GetDatum(sync_id);
	values[1] = CStringGetTextDatum(column);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("DELETE FROM makini._drift WHERE sync_id = $1 AND column_name::text = $2"
						  " AND change = 'removed'",
						  lengthof(types), types, values, NULL, false, 0);
	was_gone = SPI_processed == 1;
	SPI_finish();
	makini_rights_restore(&saved);
	return was_gone;
}

static void
tell(const Sync *sync, const SyncSource *source, List *changes, bool applied)
{
	SchemaChange change = {.serverid = source->table->serverid, .owner = sync->owner};

	if (changes == NIL)
		return;
	change.relation = sync->source_name;
	change.changes = changes;
	change.applied = applied;
	change.syncs = sync_in_list(NIL, sync->sync_id);
	schema_changed(&change);
}

/* ---------------------------------------------------------------------
 * Columns that the target lacks
 * ---------------------------------------------------------------------
 */

/* A pass over the columns of a source, against those of its target. */
typedef struct Reconciliation
{
	const Sync *sync;
	SyncSource *source;
	bool		may_alter;
	bool		tells; /* changes are noted, to be told */
	bool		has_extra;
	List	   *fine;	  /* of char *: columns as they should be */
	List	   *kept;	  /* of SelectedColumn *: what the target has */
	List	   *extra;	  /* of SelectedColumn *: what goes into _extra, behind those */
	List	   *followed; /* of ColumnChange *: the target was altered */
	List	   *told;	  /* of ColumnChange *: it was not */
} Reconciliation;

/* Can a sync do without a column? */
static bool
is_needed(const Sync *sync, const SyncSource *source, const SelectedColumn *column)
{
	return list_member_ptr(source->table->source->key, column->remote) ||
		column->remote == source->cursor || column->remote == source->parent_column ||
		in_names(sync->key, column->name);
}

static char *
type_sql(const SelectedColumn *column)
{
	return format_type_with_typemod(column->type, column->typmod);
}

/* Adds a column to the target; false: not now, or not ever. */
static bool
add_column(Reconciliation *pass, const SelectedColumn *column)
{
	Oid		   target = pass->sync->target;
	char	  *statement;
	ErrorData *error;

	if (!pass->may_alter || has_foreign_parts(target))
		return false;
	statement = psprintf("ALTER TABLE %s ADD COLUMN %s %s", relation_full_name(target),
						 quote_identifier(column->name),
						 format_type_extended(column->type, column->typmod,
											  FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_TYPEMOD_GIVEN));
	error = alter_relation(statement, relation_owner(target));
	if (error == NULL)
		return true;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not add column \"%s\" to %s: %s", column->name, pass->sync->target_name,
					error->message),
			 errhint("The column is left out until the target has it.")));
	return false;
}

static void
place_in_extra(Reconciliation *pass, SelectedColumn *column)
{
	if (!pass->has_extra)
		return;
	column->extra = true;
	pass->extra = lappend(pass->extra, column);
}

/* A column of the source with no place in the target. */
static void
place_missing(Reconciliation *pass, SelectedColumn *column)
{
	DriftMode mode = pass->sync->on_schema_change;

	if (mode == DRIFT_ADD && add_column(pass, column))
	{
		pass->followed = column_change(pass->followed, column->name, "added", NULL, type_sql(column));
		pass->fine = lappend(pass->fine, column->name);
		pass->kept = lappend(pass->kept, column);
		return;
	}
	if (mode == DRIFT_EXTRA)
		place_in_extra(pass, column);
	if (pass->tells && drift_note(pass->sync->sync_id, column->name, "added"))
		pass->told = column_change(pass->told, column->name, "added", NULL, type_sql(column));
}

/*
 * A column whose values the target's column can't take: they go beside it, or
 * nowhere.  Altering the target's type would rewrite it, which is for people to
 * decide.
 */
static void
place_mistyped(Reconciliation *pass, SelectedColumn *column, Oid type, int32 typmod)
{
	if (pass->sync->on_schema_change != DRIFT_REPORT)
		place_in_extra(pass, column);
	if (pass->tells && drift_note(pass->sync->sync_id, column->name, "type"))
		pass->told = column_change(pass->told, column->name, "type",
								   format_type_with_typemod(type, typmod), type_sql(column));
}

static void
place_column(Reconciliation *pass, SelectedColumn *column)
{
	HeapTuple tuple = SearchSysCacheAttName(pass->sync->target, column->name);
	Oid		  type;
	int32	  typmod;

	if (!HeapTupleIsValid(tuple))
	{
		if (is_needed(pass->sync, pass->source, column))
			pass->kept = lappend(pass->kept, column);
		else
			place_missing(pass, column);
		return;
	}
	type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
	typmod = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypmod;
	ReleaseSysCache(tuple);
	if (can_coerce_type(1, &column->type, &type, COERCION_ASSIGNMENT) ||
		is_needed(pass->sync, pass->source, column))
	{
		pass->fine = lappend(pass->fine, column->name);
		pass->kept = lappend(pass->kept, column);
	}
	else
		place_mistyped(pass, column, type, typmod);
}

/* False where something else is wrong with the target, that target_open() says better. */
static bool
place_columns(Reconciliation *pass, bool may_alter)
{
	Oid		  owner = relation_owner(pass->sync->target);
	ListCell *lc;

	if (!OidIsValid(owner) || !makini_may_become(pass->sync->owner, owner))
		return false;
	pass->may_alter = may_alter;
	pass->has_extra = SearchSysCacheExistsAttName(pass->sync->target, "_extra");
	foreach(lc, pass->source->selected)
		place_column(pass, lfirst(lc));
	pass->source->selected = list_concat(pass->kept, pass->extra);
	return true;
}

void
drift_reconcile(const Sync *sync, SyncSource *source)
{
	Reconciliation pass = {.sync = sync, .source = source, .tells = true};

	if (!place_columns(&pass, true))
		return;
	forget_changes(sync->sync_id, pass.fine);
	tell(sync, source, pass.followed, true);
	tell(sync, source, pass.told, false);
}

void
drift_narrow(const Sync *sync, SyncSource *source)
{
	Reconciliation pass = {.sync = sync, .source = source};

	(void) place_columns(&pass, false);
}

/* ---------------------------------------------------------------------
 * Columns that the source does not know
 * ---------------------------------------------------------------------
 */

static void
store_left_out(Sync *sync)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, TEXTARRAYOID};
	Datum		 values[2];
	Datum		*names = palloc(sizeof(Datum) * Max(1, list_length(sync->left_out)));
	ListCell	*lc;

	foreach(lc, sync->left_out)
		names[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	values[0] = Int64GetDatum(sync->sync_id);
	values[1] = PointerGetDatum(
		construct_array(names, list_length(sync->left_out), TEXTOID, -1, false, TYPALIGN_INT));
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("UPDATE makini._sync SET left_out = $2::name[] WHERE sync_id = $1",
						  lengthof(types), types, values, NULL, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

/* The selected columns that an error names; NIL where the sync can't do without one. */
static List *
unknown_columns(const Sync *sync, const SyncSource *source, const ErrorData *error)
{
	List	 *found = NIL;
	ListCell *lc;

	if (error->sqlerrcode != ERRCODE_FDW_COLUMN_NAME_NOT_FOUND || error->column_name == NULL)
		return NIL;
	foreach(lc, source->selected)
	{
		SelectedColumn *column = lfirst(lc);

		if (pg_strcasecmp(column->remote->name, error->column_name) != 0)
			continue;
		if (is_needed(sync, source, column))
			return NIL;
		found = lappend(found, column);
	}
	return found;
}

/* Asking the account which columns of an entity the role can read. */
typedef struct Probing
{
	Connection		*conn;
	const Entity	*entity;
	DiscoveredTable *found;
} Probing;

static void
probe_step(void *arg)
{
	Probing		 *probing = arg;
	ImportRequest request = {.custom_fields = true, .probe = true};

	/* the network is waited for: with nothing held */
	InvalidateCatalogSnapshot();
	request.entities = list_make1(unconstify(Entity *, probing->entity));
	probing->found = linitial(probing->conn->connector->discover(probing->conn, &request));
}

static bool
is_left_out(const DiscoveredTable *found, const SourceColumn *column)
{
	ListCell *lc;

	foreach(lc, found->left_out)
	{
		if (pg_strcasecmp(lfirst(lc), column->name) == 0)
			return true;
	}
	return false;
}

/*
 * The selected columns that the source refuses without saying so: one of them is
 * enough for NetSuite to fail, or to call the whole query unsupported.
 */
static List *
refused_columns(const Sync *sync, const SyncSource *source, Connection *conn, const ErrorData *error)
{
	Probing	  probing = {.conn = conn, .entity = source->table->source->catalogue};
	List	 *found = NIL;
	ListCell *lc;

	if (error->sqlerrcode != ERRCODE_FDW_ERROR || conn == NULL || probing.entity == NULL ||
		conn->connector->discovers_locally)
		return NIL;
	if (run_attempt(probe_step, &probing) != NULL || probing.found->refused != NULL)
		return NIL;
	foreach(lc, source->selected)
	{
		SelectedColumn *column = lfirst(lc);

		if (!is_left_out(probing.found, column->remote))
			continue;
		if (is_needed(sync, source, column))
			return NIL;
		found = lappend(found, column);
	}
	return found;
}

bool
drift_left_out(Sync *sync, const SyncSource *source, Connection *conn, const ErrorData *error)
{
	List	 *found = unknown_columns(sync, source, error);
	List	 *changes = NIL;
	ListCell *lc;

	if (found == NIL)
		found = refused_columns(sync, source, conn, error);
	if (found == NIL)
		return false;
	foreach(lc, found)
	{
		SelectedColumn *column = lfirst(lc);

		sync->left_out = lappend(sync->left_out, pstrdup(column->name));
		if (drift_note(sync->sync_id, column->name, "removed"))
			changes = column_change(changes, column->name, "removed", type_sql(column), NULL);
	}
	store_left_out(sync);
	tell(sync, source, changes, true);
	return true;
}

void
drift_try_again(Sync *sync)
{
	if (sync->left_out == NIL)
		return;
	sync->left_out = NIL;
	store_left_out(sync);
}

void
drift_come_back(const Sync *sync, const SyncSource *source)
{
	List	 *changes = NIL;
	ListCell *lc;

	foreach(lc, source->selected)
	{
		SelectedColumn *column = lfirst(lc);

		if (forget_removal(sync->sync_id, column->name))
			changes = column_change(changes, column->name, "returned", NULL, type_sql(column));
	}
	tell(sync, source, changes, true);
}

bool
drift_take_back(Sync *sync, const char *column)
{
	List	 *rest = NIL;
	ListCell *lc;

	if (!in_names(sync->left_out, column))
		return false;
	foreach(lc, sync->left_out)
	{
		if (strcmp(lfirst(lc), column) != 0)
			rest = lappend(rest, lfirst(lc));
	}
	sync->left_out = rest;
	store_left_out(sync);
	(void) forget_removal(sync->sync_id, column);
	return true;
}
