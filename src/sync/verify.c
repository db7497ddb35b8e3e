/*-------------------------------------------------------------------------
 *
 * verify.c
 *		Checks of a target against its source: their beginning and end, and
 *		mending what one has found.
 *
 * A check is a run of the mode "verify": it reads what the sync is about and
 * compares it page by page with the target (compare_verify), without writing to
 * it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "makini.h"
#include "private.h"
#include "sync/define.h"
#include "sync/drift.h"
#include "sync/key_text.h"

PG_FUNCTION_INFO_V1(makini_repair_sync);

/* Checks of a sync that are kept. */
#define CHECKS_KEPT "20"

/* ---------------------------------------------------------------------
 * Beginning and end
 * ---------------------------------------------------------------------
 */

int64
verify_open(int64 sync_id)
{
	Oid	  types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(sync_id)};

	(void) about_id("DELETE FROM makini._sync_check WHERE sync_id = $1 AND check_id <= ("
					"SELECT check_id FROM makini._sync_check WHERE sync_id = $1"
					" ORDER BY check_id DESC OFFSET " CHECKS_KEPT " - 1 LIMIT 1)",
					sync_id);
	return private_number("INSERT INTO makini._sync_check (sync_id) VALUES ($1) RETURNING check_id",
						  lengthof(types), types, values, NULL, 0);
}

void
verify_forget(int64 check_id)
{
	(void) about_id("DELETE FROM makini._sync_difference WHERE check_id = $1", check_id);
	(void) about_id("DELETE FROM makini._check_bucket WHERE check_id = $1", check_id);
}

void
verify_close(int64 check_id)
{
	(void) about_id("UPDATE makini._sync_check SET finished_at = pg_catalog.clock_timestamp()"
					" WHERE check_id = $1",
					check_id);
}

/* ---------------------------------------------------------------------
 * Repairing
 * ---------------------------------------------------------------------
 */

/* The sync that a check is about; raises where there is none, or it goes on. */
static int64
sync_of_check(int64 check_id)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID};
	Datum		 values[] = {Int64GetDatum(check_id)};
	int64		 sync_id = 0;
	bool		 is_over = false;

	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT sync_id, finished_at IS NOT NULL FROM makini._sync_check"
						 " WHERE check_id = $1",
						 1, types, values, NULL);
	if (SPI_processed == 1)
	{
		sync_id = private_int64(0, 1, 0);
		is_over = private_bool(0, 2);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	if (sync_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("check " INT64_FORMAT " does not exist", check_id),
				 errhint("The view makini.sync_check lists the checks that you may see.")));
	if (!is_over)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("check " INT64_FORMAT " is not finished", check_id),
				 errhint("CALL makini.run_sync(" INT64_FORMAT ", 'verify') goes on with it.", sync_id)));
	return sync_id;
}

/* The keys of the differences that nobody has mended yet. */
static List *
differing_keys(int64 check_id, const KeyColumns *columns)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[] = {INT8OID};
	Datum		  values[] = {Int64GetDatum(check_id)};
	List		 *objects = NIL;
	List		 *keys = NIL;
	ListCell	 *lc;

	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT key FROM makini._sync_difference WHERE check_id = $1"
						 " AND repaired_at IS NULL",
						 1, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		  isnull;
		Datum		  key = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(caller);

		objects = lappend(objects, DatumGetJsonbPCopy(key));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	foreach(lc, objects)
	{
		char **key = key_of_json(columns, lfirst(lc));

		if (key != NULL)
			keys = lappend(keys, key);
	}
	return keys;
}

static bool
has_differences(int64 check_id)
{
	return about_id("SELECT FROM makini._sync_difference WHERE check_id = $1"
					" AND repaired_at IS NULL LIMIT 1",
					check_id) > 0;
}

/*
 * makini_repair_sync
 *		makini.repair_sync(check_id): fetches the keys that a check found missing,
 *		extra or different, and makes the target what the source says now.
 */
Datum
makini_repair_sync(PG_FUNCTION_ARGS)
{
	int64		check_id = PG_GETARG_INT64(0);
	Sync	   *sync = sync_load(sync_of_check(check_id));
	SyncSource *source;
	KeyColumns *columns;
	List	   *keys;
	Counters	counters = {0};

	sync_check_visible(sync);
	sync_check_home(sync);
	PreventCommandIfReadOnly("makini.repair_sync()");
	if (!has_differences(check_id))
		PG_RETURN_INT64(0);
	source = source_open(sync);
	drift_narrow(sync, source);
	columns = key_columns(sync, source);
	keys = differing_keys(check_id, columns);
	(void) refetch_apply(sync, source, keys, true, &counters);
	(void) about_id("UPDATE makini._sync_difference SET repaired_at = pg_catalog.now()"
					" WHERE check_id = $1 AND repaired_at IS NULL",
					check_id);
	PG_RETURN_INT64(counters.inserted + counters.updated + counters.deleted);
}
