/*-------------------------------------------------------------------------
 *
 * control.c
 *		Pausing, resuming, cancelling, resetting and dropping syncs.
 *
 * Who may see a sync may stop and start it, where a level of access lets him
 * call these functions at all; only its owner changes what becomes of the data.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "connection_store.h"
#include "makini.h"
#include "private.h"
#include "sync/control.h"
#include "sync/define.h"
#include "sync/drain.h"
#include "sync/json_member.h"
#include "sync/run.h"
#include "sync/target.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_pause_sync);
PG_FUNCTION_INFO_V1(makini_resume_sync);
PG_FUNCTION_INFO_V1(makini_cancel_sync);
PG_FUNCTION_INFO_V1(makini_drop_sync);
PG_FUNCTION_INFO_V1(makini_reset_sync);
PG_FUNCTION_INFO_V1(makini_reset_connection);

/* ---------------------------------------------------------------------
 * Which sync
 * ---------------------------------------------------------------------
 */

static Sync *
visible_sync(int64 sync_id)
{
	Sync *sync = sync_load(sync_id);

	sync_check_visible(sync);
	return sync;
}

Sync *
control_owned_sync(int64 sync_id)
{
	Sync *sync = visible_sync(sync_id);

	sync_check_owner(sync);
	return sync;
}

void
control_keep_idle(const Sync *sync)
{
	for (RunLane lane = LANE_INCREMENTAL; lane <= LANE_BACKFILL; lane++)
	{
		if (!sync_lock_for_change(sync->sync_id, lane))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("sync " INT64_FORMAT " is running, or being changed", sync->sync_id),
					 errhint("Wait for it, or stop it with SELECT makini.cancel_sync(" INT64_FORMAT ").",
							 sync->sync_id)));
	}
}

/* ---------------------------------------------------------------------
 * Stopping and starting
 * ---------------------------------------------------------------------
 */

/*
 * makini_pause_sync
 *		makini.pause_sync(sync_id)
 */
Datum
makini_pause_sync(PG_FUNCTION_ARGS)
{
	Sync *sync = visible_sync(PG_GETARG_INT64(0));

	PG_RETURN_BOOL(about_id("UPDATE makini._sync SET enabled = false WHERE sync_id = $1 AND enabled",
							sync->sync_id) > 0);
}

/*
 * makini_resume_sync
 *		makini.resume_sync(sync_id)
 */
Datum
makini_resume_sync(PG_FUNCTION_ARGS)
{
	Sync *sync = visible_sync(PG_GETARG_INT64(0));

	sync_check_home(sync);
	worker_wake_at_commit();
	PG_RETURN_BOOL(
		about_id("UPDATE makini._sync s SET enabled = true, consecutive_failures = 0,"
				 " next_run_at = CASE WHEN schedule IS NOT NULL THEN pg_catalog.now() END,"
				 " state = CASE WHEN state NOT IN ('denied', 'failed') THEN state"
				 " WHEN cursor IS NOT NULL OR last_success_at IS NOT NULL THEN 'incremental'"
				 " WHEN EXISTS (SELECT FROM makini._load l WHERE l.sync_id = s.sync_id) THEN 'initial'"
				 " ELSE 'new' END"
				 " WHERE sync_id = $1 AND (NOT enabled OR state IN ('denied', 'failed'))",
				 sync->sync_id) > 0);
}

/*
 * makini_cancel_sync
 *		makini.cancel_sync(sync_id)
 */
Datum
makini_cancel_sync(PG_FUNCTION_ARGS)
{
	Sync *sync = visible_sync(PG_GETARG_INT64(0));

	PG_RETURN_BOOL(progress_cancel(sync->sync_id));
}

/* ---------------------------------------------------------------------
 * Beginning anew
 * ---------------------------------------------------------------------
 */

static void
execute_as_owner(Oid owner, const char *statement, int n, Oid *types, Datum *values)
{
	TargetRights saved;

	rights_of_target(owner, &saved);
	SPI_connect();
	SPI_execute_with_args(statement, n, types, values, NULL, false, 0);
	SPI_finish();
	rights_of_target_restore(&saved);
}

/* The rows that carry the sync's constants; other syncs' stay. */
static void
delete_own_rows(const Sync *sync, const char *name, List *constants)
{
	int			   n = list_length(constants);
	Oid			  *types = palloc(sizeof(Oid) * n);
	Datum		  *values = palloc(sizeof(Datum) * n);
	StringInfoData statement;
	ListCell	  *lc;

	initStringInfo(&statement);
	appendStringInfo(&statement, "DELETE FROM %s WHERE", name);
	foreach(lc, constants)
	{
		TargetConstant *constant = lfirst(lc);
		int				i = foreach_current_index(lc);
		AttrNumber		attnum = get_attnum(sync->target, constant->name);

		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of target %s does not exist", constant->name, name)));
		appendStringInfo(&statement, "%s %s = $%d::%s", i > 0 ? " AND" : "",
						 quote_identifier(constant->name), i + 1,
						 format_type_be_qualified(get_atttype(sync->target, attnum)));
		types[i] = TEXTOID;
		values[i] = CStringGetTextDatum(constant->text);
	}
	execute_as_owner(sync->owner, statement.data, n, types, values);
}

/*
 * A target is emptied with the rights of the sync's owner, who has been a
 * member of the target's.
 */
static void
empty_target(const Sync *sync)
{
	char *name = get_rel_name(sync->target);
	List *constants = target_constants(sync->constants);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("target %s of sync " INT64_FORMAT " does not exist any more",
						sync->target_name, sync->sync_id)));
	name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(sync->target)), name);
	if (constants == NIL)
		execute_as_owner(sync->owner, psprintf("TRUNCATE %s", name), 0, NULL, NULL);
	else
		delete_own_rows(sync, name, constants);
}

void
control_begin_anew(Sync *sync, ResetWay way)
{
	if (way == RESET_TRUNCATE)
		empty_target(sync);
	(void) about_id("DELETE FROM makini._load WHERE sync_id = $1", sync->sync_id);
	compare_forget(sync->sync_id);
	(void) about_id("UPDATE makini._sync SET state = 'new', identity = NULL, cursor = NULL, canary_key = NULL,"
					" canary_cursor = NULL, canary_asked_at = NULL,"
					" data_as_of = NULL, full_due_at = NULL, swept_at = NULL, deletes_denied_at = NULL,"
					" left_out = '{}', consecutive_failures = 0, last_error = NULL, last_error_code = NULL,"
					" next_run_at = CASE WHEN schedule IS NOT NULL THEN pg_catalog.now() END"
					" WHERE sync_id = $1",
					sync->sync_id);

	worker_wake_at_commit();

	/* A load of everything is no different from the first one, except that it deletes. */
	if (way == RESET_RECONCILE)
		(void) about_id("INSERT INTO makini._load (sync_id, lane, mode, window_from, started_at)"
						" SELECT sync_id, 'backfill', 'full', history_from, pg_catalog.clock_timestamp()"
						" FROM makini._sync WHERE sync_id = $1",
						sync->sync_id);
}

static ResetWay
reset_way(const char *text)
{
	enum_check(text, "reconcile|truncate|keep", "target");
	if (strcmp(text, "truncate") == 0)
		return RESET_TRUNCATE;
	return strcmp(text, "keep") == 0 ? RESET_KEEP : RESET_RECONCILE;
}

/*
 * makini_reset_sync
 *		makini.reset_sync(sync_id, target)
 */
Datum
makini_reset_sync(PG_FUNCTION_ARGS)
{
	ResetWay way = reset_way(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	Sync	*sync = control_owned_sync(PG_GETARG_INT64(0));

	sync_check_home(sync);
	if (sync->mode == SYNC_DRAIN)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("sync " INT64_FORMAT " is a drain and cannot be reset", sync->sync_id),
				 errdetail("What a feed has handed out it does not hand out again.")));
	control_keep_idle(sync);
	control_begin_anew(sync, way);
	PG_RETURN_BOOL(true);
}

/* The syncs of a connection that can be reset, of whatever owner. */
static List *
syncs_of_server(Oid serverid)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[1] = {UUIDOID};
	Datum		  values[1];
	pg_uuid_t	  id = connection_id(serverid);
	List		 *syncs = NIL;

	values[0] = UUIDPGetDatum(&id);
	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT sync_id FROM makini._sync"
						 " WHERE connection_id = $1 AND mode <> 'drain' AND home = makini._home()"
						 " ORDER BY 1",
						 1, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		int64		  sync_id = private_int64(i, 1, 0);
		MemoryContext old = MemoryContextSwitchTo(caller);

		syncs = lappend(syncs, sync_load(sync_id));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return syncs;
}

/*
 * makini_reset_connection
 *		makini.reset_connection(server, target)
 */
Datum
makini_reset_connection(PG_FUNCTION_ARGS)
{
	ResetWay	   way = reset_way(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	ForeignServer *server = server_for_use(NameStr(*PG_GETARG_NAME(0)));
	List		  *syncs = syncs_of_server(server->serverid);
	ListCell	  *lc;

	foreach(lc, syncs)
		sync_check_owner(lfirst(lc));
	foreach(lc, syncs)
	{
		CHECK_FOR_INTERRUPTS();
		control_keep_idle(lfirst(lc));
		control_begin_anew(lfirst(lc), way);
	}
	PG_RETURN_INT32(list_length(syncs));
}

/* ---------------------------------------------------------------------
 * Dropping
 * ---------------------------------------------------------------------
 */

/* The tables that a sync writes: one, or one for each entity of a feed. */
static List *
targets_of_sync(const Sync *sync)
{
	return list_concat_unique_oid(list_make1_oid(sync->target), drain_target_ids(sync->sync_id));
}

static bool
is_written_by_others(Oid relid)
{
	Oid	  types[1] = {OIDOID};
	Datum values[1] = {ObjectIdGetDatum(relid)};

	return private_execute("SELECT FROM makini._sync WHERE target_oid = $1 AND home = makini._home()"
						   " LIMIT 1",
						   lengthof(types), types, values, NULL) > 0;
}

/* With the caller's own rights. */
static bool
drop_table(Oid relid)
{
	char *name;

	LockRelationOid(relid, AccessExclusiveLock);
	name = get_rel_name(relid);
	if (name == NULL)
		return false;
	if (is_written_by_others(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("target \"%s\" is written by another sync, too", name),
				 errhint("Drop this sync without its target.")));
	if (!makini_owns_relation(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), name);
	SPI_connect();
	SPI_execute(psprintf("DROP %s %s",
						 get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE ? "FOREIGN TABLE" : "TABLE",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name)),
				false, 0);
	SPI_finish();
	return true;
}

/* Nothing is lost here by it, but the other side will hand these rows out again. */
static void
warn_of_owed(const Sync *sync)
{
	uint64 owed = about_id("SELECT FROM makini._owed WHERE sync_id = $1 AND accepted IS NOT NULL",
						   sync->sync_id);

	if (owed > 0)
		ereport(WARNING,
				(errmsg("sync " INT64_FORMAT " has not acknowledged " UINT64_FORMAT " rows",
						sync->sync_id, owed),
				 errdetail("The other side may hand them out again, or hold them as not received.")));
}

/*
 * makini_drop_sync
 *		makini.drop_sync(sync_id, drop_target)
 */
Datum
makini_drop_sync(PG_FUNCTION_ARGS)
{
	Sync *sync = control_owned_sync(PG_GETARG_INT64(0));
	bool  drop_target = PG_GETARG_BOOL(1);
	List *targets = targets_of_sync(sync);
	bool  dropped = false;

	control_keep_idle(sync);
	warn_of_owed(sync);
	if (drop_target)
		sync_check_home(sync);
	(void) about_id("DELETE FROM makini._sync WHERE sync_id = $1", sync->sync_id);
	(void) about_id("DELETE FROM makini._owed WHERE sync_id = $1", sync->sync_id);
	(void) about_id("DELETE FROM makini._drain_digest WHERE sync_id = $1", sync->sync_id);
	if (!drop_target)
		PG_RETURN_BOOL(true);

	/* Children first: they may refer to what they belong to. */
	for (int i = list_length(targets) - 1; i >= 0; i--)
		dropped |= drop_table(list_nth_oid(targets, i));
	PG_RETURN_BOOL(dropped);
}
