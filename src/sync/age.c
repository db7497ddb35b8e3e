/*-------------------------------------------------------------------------
 *
 * age.c
 *		Tells when the data of a sync has become older than its max_staleness,
 *		and when it no longer is: sync.stale and sync.fresh, once each.
 *
 * What has been told of stands in a table of its own that nobody but the
 * scheduler writes, so that it waits for nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "sync/job.h"
#include "worker/worker.h"

static const char *const look_statement =
	"SELECT s.sync_id, coalesce(s.data_as_of, s.created_at) + (s.options->>'max_staleness')::interval,"
	" t.sync_id IS NOT NULL, (SELECT max(r.run_id) FROM makini._sync_run r"
	"  WHERE r.sync_id = s.sync_id AND r.status IN ('completed', 'partial'))"
	" FROM makini._sync s LEFT JOIN makini._stale t ON t.sync_id = s.sync_id"
	" WHERE s.options->>'max_staleness' IS NOT NULL AND s.enabled AND s.home = makini._home()";

static void
tell(int64 sync_id, bool stale, int64 run_id)
{
	Oid	  types[1] = {INT8OID};
	Datum values[1] = {Int64GetDatum(sync_id)};

	SPI_execute_with_args(stale ? "INSERT INTO makini._stale (sync_id) VALUES ($1)" :
								  "DELETE FROM makini._stale WHERE sync_id = $1",
						  1, types, values, NULL, false, 0);
	event_sync_age(sync_id, stale, run_id);
}

TimestampTz
age_look(TimestampTz now)
{
	TimestampTz	   next = WORKER_NEVER;
	SPITupleTable *rows;
	uint64		   n;

	SPI_execute(look_statement, false, 0);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		bool  isnull;
		int64 sync_id = DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull));
		TimestampTz stale_at =
			DatumGetTimestampTz(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull));
		bool  told = DatumGetBool(SPI_getbinval(rows->vals[i], rows->tupdesc, 3, &isnull));
		Datum run_id = SPI_getbinval(rows->vals[i], rows->tupdesc, 4, &isnull);

		if (stale_at <= now && !told)
			tell(sync_id, true, 0);
		else if (stale_at > now && told)
			tell(sync_id, false, isnull ? 0 : DatumGetInt64(run_id));
		if (stale_at > now)
			next = Min(next, stale_at);
	}
	return next;
}
