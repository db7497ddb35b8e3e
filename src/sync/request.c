/*-------------------------------------------------------------------------
 *
 * request.c
 *		People ask for a run: makini.request_sync() and makini.request_syncs().
 *
 * The request is a row of the queue, so that it exists if, and only if, the
 * transaction commits, and survives a crash.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "connection_store.h"
#include "makini.h"
#include "private.h"
#include "sync/define.h"
#include "sync/job.h"
#include "sync/load.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_request_sync);
PG_FUNCTION_INFO_V1(makini_request_syncs);
PG_FUNCTION_INFO_V1(makini_wake);

/*
 * The lanes that a sync is to run in: incrementals go on beside a load.  A
 * queued job that waits is pulled forward; one that is due or runs is left
 * alone.  $1 is the moment, $3 the mode.
 */
static const char *const request_statement =
	"INSERT INTO makini._job AS j (sync_id, lane, mode, due_at)"
	" SELECT s.sync_id, l.lane, $3, $1 FROM makini._sync s"
	" CROSS JOIN LATERAL (SELECT 'incremental' AS lane"
	"  WHERE coalesce($3, 'incremental') = 'incremental' AND" JOB_NEEDS_CHANGES
	"  UNION ALL SELECT 'backfill' WHERE s.mode <> 'drain' AND ($3 IN ('full', 'verify')"
	"  OR $3 IS NULL AND" JOB_NEEDS_BACKFILL "  OR $3 = 'incremental' AND s.mode = 'full')) l"
	" WHERE s.sync_id = $2"
	" ON CONFLICT (sync_id, lane) DO UPDATE SET due_at = excluded.due_at, mode = excluded.mode"
	" WHERE j.worker IS NULL AND j.due_at > excluded.due_at";

static void
check_worker(void)
{
	instance_check();
	if (worker_available())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("there is no background worker of makini"),
			 errhint("%s, or run the sync in this session with CALL makini.run_sync.",
					 worker_remedy())));
}

static bool
put_request(int64 sync_id, const char *mode)
{
	Oid	  types[] = {TIMESTAMPTZOID, INT8OID, TEXTOID};
	Datum values[3];
	char  nulls[] = {' ', ' ', mode == NULL ? 'n' : ' '};

	values[0] = TimestampTzGetDatum(worker_now());
	values[1] = Int64GetDatum(sync_id);
	values[2] = mode == NULL ? (Datum) 0 : CStringGetTextDatum(mode);
	return private_execute(request_statement, lengthof(types), types, values, nulls) > 0;
}

/*
 * Raises 42704 where there is none that the caller may see, 55000 where it is
 * paused or elsewhere at home, 0A000 where it has no such mode.
 */
static void
check_sync(int64 sync_id, const char *mode)
{
	Sync *sync = sync_load(sync_id);

	sync_check_visible(sync);
	sync_check_home(sync);
	run_mode_check_sync(mode, sync);
	if (!sync->enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sync " INT64_FORMAT " is paused", sync_id),
				 errhint("Enable it with makini.resume_sync(" INT64_FORMAT ").", sync_id)));
}

Datum
makini_request_sync(PG_FUNCTION_ARGS)
{
	const char *mode;
	bool		queued;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	mode = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	run_mode_check(mode);
	check_worker();
	check_sync(PG_GETARG_INT64(0), mode);
	queued = put_request(PG_GETARG_INT64(0), mode);
	if (queued)
		worker_wake_at_commit();
	PG_RETURN_BOOL(queued);
}

/* Those of a server that are enabled and at home here. */
static int
request_all(const pg_uuid_t *connection, const char *mode)
{
	MakiniRights saved;
	Oid			 types[1] = {UUIDOID};
	Datum		 values[1] = {UUIDPGetDatum(connection)};
	int			 queued = 0;

	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT sync_id FROM makini._sync WHERE connection_id = $1 AND enabled"
						 " AND home = makini._home() AND mode <> 'drain' ORDER BY sync_id",
						 1, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		queued += put_request(private_int64(i, 1, 0), mode);
	SPI_finish();
	makini_rights_restore(&saved);
	return queued;
}

Datum
makini_request_syncs(PG_FUNCTION_ARGS)
{
	pg_uuid_t	connection;
	const char *mode;
	int			queued;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	mode = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	run_mode_check(mode);
	check_worker();
	connection = connection_id(server_for_use(NameStr(*PG_GETARG_NAME(0)))->serverid);
	queued = request_all(&connection, mode);
	if (queued > 0)
		worker_wake_at_commit();
	PG_RETURN_INT32(queued);
}

Datum
makini_wake(PG_FUNCTION_ARGS)
{
	worker_wake_at_commit();
	PG_RETURN_VOID();
}
