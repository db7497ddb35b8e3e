/*-------------------------------------------------------------------------
 *
 * load.c
 *		The work that a run does, as makini._load keeps it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "private.h"
#include "sync/json_member.h"
#include "sync/load.h"

static const char *const mode_names[] = {
	[RUN_INITIAL] = "initial", [RUN_INCREMENTAL] = "incremental", [RUN_FULL] = "full",
	[RUN_DRAIN] = "drain",	   [RUN_VERIFY] = "verify",
};

const char *
run_mode_name(RunMode mode)
{
	return mode_names[mode];
}

const char *
run_lane_name(RunLane lane)
{
	return lane == LANE_BACKFILL ? "backfill" : "incremental";
}

static RunMode
mode_of(const char *name)
{
	for (int i = 0; i < lengthof(mode_names); i++)
	{
		if (strcmp(mode_names[i], name) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED), errmsg("a load has the unknown mode \"%s\"", name)));
}

void
run_mode_check(const char *mode)
{
	if (mode != NULL)
		enum_check(mode, "incremental|full|verify", "mode");
}

void
run_mode_check_sync(const char *mode, const Sync *sync)
{
	if (sync->mode != SYNC_DRAIN || mode == NULL || strcmp(mode, "incremental") == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("sync " INT64_FORMAT " is a drain and has no mode \"%s\"", sync->sync_id, mode),
			 errdetail("Whatever a feed is asked for, it hands out once and not again.")));
}

/*
 * load_find
 *		The unfinished load of a lane, NULL where there is none.
 */
Load *
load_find(int64 sync_id, RunLane lane)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[] = {INT8OID, TEXTOID};
	Datum		  values[2];
	Load		 *load = NULL;

	values[0] = Int64GetDatum(sync_id);
	values[1] = CStringGetTextDatum(run_lane_name(lane));
	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT mode, window_from, window_to, position, phase::bigint, started_at,"
						 " rows_expected, rows_done, check_id, was_empty, columns::text[]"
						 " FROM makini._load WHERE sync_id = $1 AND lane = $2",
						 lengthof(types), types, values, NULL);
	if (SPI_processed == 1)
	{
		load = SPI_palloc(sizeof(Load));
		memset(load, 0, sizeof(Load));
		load->sync_id = sync_id;
		load->lane = lane;
		load->mode = mode_of(private_text(0, 1));
		load->window_from = private_int64(0, 2, 0);
		load->window_to = private_int64(0, 3, 0);
		load->position = private_text(0, 4);
		load->phase = private_int64(0, 5, 0);
		load->started_at = private_int64(0, 6, 0);
		load->rows_expected = private_int64(0, 7, -1);
		load->rows_done = private_int64(0, 8, 0);
		load->check_id = private_int64(0, 9, 0);
		load->was_empty = private_bool(0, 10);
		load->columns = texts_of_row(11, caller);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return load;
}

#define LOAD_VALUES 12

/* Saved with every page, so the plan is kept. */
static void
execute(SPIPlanPtr *plan, const char *statement, const Load *load)
{
	Oid			 types[LOAD_VALUES] = {INT8OID,		   TEXTOID, TEXTOID, TIMESTAMPTZOID,
									   TIMESTAMPTZOID, TEXTOID, INT4OID, TIMESTAMPTZOID,
									   INT8OID,		   INT8OID, INT8OID, BOOLOID};
	MakiniRights saved;
	Datum		 values[LOAD_VALUES];
	char		 nulls[LOAD_VALUES];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(load->sync_id);
	values[1] = CStringGetTextDatum(run_lane_name(load->lane));
	values[2] = CStringGetTextDatum(run_mode_name(load->mode));
	values[3] = TimestampTzGetDatum(load->window_from);
	nulls[3] = load->window_from == 0 ? 'n' : ' ';
	values[4] = TimestampTzGetDatum(load->window_to);
	nulls[4] = load->window_to == 0 ? 'n' : ' ';
	values[5] = load->position == NULL ? (Datum) 0 : CStringGetTextDatum(load->position);
	nulls[5] = load->position == NULL ? 'n' : ' ';
	values[6] = Int32GetDatum(load->phase);
	values[7] = TimestampTzGetDatum(load->started_at);
	values[8] = Int64GetDatum(load->rows_expected);
	nulls[8] = load->rows_expected < 0 ? 'n' : ' ';
	values[9] = Int64GetDatum(load->rows_done);
	values[10] = Int64GetDatum(load->check_id);
	nulls[10] = load->check_id == 0 ? 'n' : ' ';
	values[11] = BoolGetDatum(load->was_empty);
	makini_rights_of_extension(&saved);
	SPI_connect();
	if (*plan == NULL)
	{
		*plan = SPI_prepare(statement, LOAD_VALUES, types);
		SPI_keepplan(*plan);
	}
	SPI_execute_plan(*plan, values, nulls, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

void
load_insert(Load *load)
{
	static SPIPlanPtr plan;

	load->started_at = GetCurrentTimestamp();
	execute(&plan,
			"INSERT INTO makini._load (sync_id, lane, mode, window_from, window_to, position, phase,"
			" started_at, rows_expected, rows_done, check_id, was_empty)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
			load);
}

void
load_save(const Load *load)
{
	static SPIPlanPtr plan;

	execute(&plan,
			"UPDATE makini._load SET mode = $3, window_from = $4, window_to = $5, position = $6,"
			" phase = $7, started_at = $8, rows_expected = $9, rows_done = $10, check_id = $11,"
			" was_empty = $12 WHERE sync_id = $1 AND lane = $2",
			load);
}

void
load_delete(const Load *load)
{
	Oid	  types[] = {INT8OID, TEXTOID};
	Datum values[2];

	values[0] = Int64GetDatum(load->sync_id);
	values[1] = CStringGetTextDatum(run_lane_name(load->lane));
	(void) private_execute("DELETE FROM makini._load WHERE sync_id = $1 AND lane = $2", 2, types,
						   values, NULL);
}
