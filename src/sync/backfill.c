/*-------------------------------------------------------------------------
 *
 * backfill.c
 *		makini.backfill_columns(): asks for some columns of what has been read
 *		before.
 *
 * A column that a target was given later is filled by rows as they change.  To
 * have it for the others too, a load is left for the backfill lane that reads
 * the key and these columns only, and updates the rows that are there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "makini.h"
#include "nearest.h"
#include "sync/define.h"
#include "sync/drift.h"
#include "sync/key_text.h"
#include "sync/load.h"

PG_FUNCTION_INFO_V1(makini_backfill_columns);

static void
check_column(const Sync *sync, const SyncSource *source, const char *name)
{
	Nearest	  nearest;
	ListCell *lc;

	if (selected_find(source->selected, name) != NULL)
		return;
	nearest_init(&nearest, name);
	foreach(lc, source->selected)
		nearest_offer(&nearest, ((SelectedColumn *) lfirst(lc))->name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("sync " INT64_FORMAT " does not read a column \"%s\"", sync->sync_id, name),
			 nearest_found(&nearest) ?
				 errhint("Perhaps you meant the column \"%s\".", nearest_found(&nearest)) :
				 errhint("It has to be a column of %s, and among the columns of the sync.",
						 sync->source_name)));
}

/* Leave the load; false where the lane has one already. */
static bool
insert_load(const Sync *sync, ArrayType *columns)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, TEXTARRAYOID};
	Datum		 values[2];
	bool		 inserted;

	values[0] = Int64GetDatum(sync->sync_id);
	values[1] = PointerGetDatum(columns);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("INSERT INTO makini._load (sync_id, lane, mode, window_from, started_at, columns)"
						  " SELECT sync_id, 'backfill', 'full', history_from, pg_catalog.now(), $2::name[]"
						  " FROM makini._sync WHERE sync_id = $1 ON CONFLICT DO NOTHING",
						  lengthof(types), types, values, NULL, false, 0);
	inserted = SPI_processed == 1;
	if (inserted)
		SPI_execute_with_args("UPDATE makini._sync SET next_run_at = pg_catalog.now()"
							  " WHERE sync_id = $1 AND enabled AND schedule IS NOT NULL",
							  1, types, values, NULL, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
	return inserted;
}

static void
refuse_before_history(const Sync *sync)
{
	if (sync->data_as_of != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("sync " INT64_FORMAT " has not read its history yet", sync->sync_id),
			 errhint("Its first load brings all columns.")));
}

/*
 * makini_backfill_columns
 *		makini.backfill_columns(sync_id, columns)
 */
Datum
makini_backfill_columns(PG_FUNCTION_ARGS)
{
	Sync	   *sync = sync_load(PG_GETARG_INT64(0));
	ArrayType  *columns = PG_GETARG_ARRAYTYPE_P(1);
	List	   *names = define_texts(columns, "columns");
	SyncSource *source;
	ListCell   *lc;

	PreventCommandIfReadOnly("makini.backfill_columns()");
	sync_check_visible(sync);
	sync_check_home(sync);
	if (sync->mode == SYNC_DRAIN)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a feed cannot be read once more")));
	refuse_before_history(sync);
	if (names == NIL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("columns must not be empty")));
	foreach(lc, names)
		(void) drift_take_back(sync, lfirst(lc));
	source = source_open(sync);
	(void) key_columns(sync, source);
	foreach(lc, names)
		check_column(sync, source, lfirst(lc));
	PG_RETURN_BOOL(insert_load(sync, columns));
}
