/*-------------------------------------------------------------------------
 *
 * retry_drain.c
 *		Rejected rows of a drain, once more.
 *
 * A feed does not hand them out again, but they were kept as they were sent.
 * They land by the row ids they were given, so that what became of their
 * acknowledgement since can still be said of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "makini.h"
#include "private.h"
#include "sync/drain.h"

/* A row of makini._rejected_row. */
typedef struct Rejected
{
	int64		rejected_id;
	int64		run_id;
	int64		row_id;
	char	   *data;
	const char *ack;
} Rejected;

static Rejected *
take_rejected(uint64 row)
{
	Rejected *rejected = SPI_palloc(sizeof(Rejected));

	rejected->rejected_id = private_int64(row, 1, 0);
	rejected->run_id = private_int64(row, 2, 0);
	rejected->row_id = private_int64(row, 3, 0);
	rejected->data = private_text(row, 4);
	rejected->ack = private_text(row, 5);
	return rejected;
}

/* What became of a row's acknowledgement: still owed, undecided, or sent. */
static List *
read_rejected(const Drain *drain, ArrayType *ids)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[3] = {INT8OID, INT8ARRAYOID, TEXTOID};
	Datum		  values[3];
	const char	 *settled = drain->mode == ACK_NEVER ? "never" :
		  drain->refuse_rejected					 ? "refused" :
													   "done";
	List		 *list = NIL;

	values[0] = Int64GetDatum(drain->sync->sync_id);
	values[1] = PointerGetDatum(ids);
	values[2] = CStringGetTextDatum(settled);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("SELECT r.rejected_id, r.run_id, r.row_id, r.data #>> '{}',"
						  " CASE WHEN o.row_id IS NULL THEN $3"
						  "  WHEN o.accepted IS NULL OR a.torn_at IS NOT NULL AND NOT o.decided THEN 'manual'"
						  "  ELSE 'owed' END"
						  " FROM makini._rejected_row r"
						  " LEFT JOIN makini._owed o ON o.sync_id = r.sync_id AND o.row_id = r.row_id"
						  " LEFT JOIN makini._drain_answer a ON a.answer_id = o.answer_id"
						  " WHERE r.sync_id = $1 AND r.resolved_at IS NULL AND r.row_id IS NOT NULL"
						  " AND ($2 IS NULL OR r.rejected_id = ANY ($2))"
						  " ORDER BY r.rejected_id FOR UPDATE OF r",
						  3, types, values, ids == NULL ? " n " : NULL, false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Rejected	 *rejected = take_rejected(i);
		MemoryContext old = MemoryContextSwitchTo(caller);

		list = lappend(list, rejected);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return list;
}

static void
note_result(const Rejected *rejected, const char *reason)
{
	Oid	  types[2] = {INT8OID, TEXTOID};
	Datum values[2];

	values[0] = Int64GetDatum(rejected->rejected_id);
	values[1] = reason != NULL ? CStringGetTextDatum(reason) : (Datum) 0;
	private_execute("UPDATE makini._rejected_row SET reason = coalesce($2, reason),"
					" resolved_at = CASE WHEN $2 IS NULL THEN clock_timestamp() END,"
					" resolution = CASE WHEN $2 IS NULL THEN 'written when tried again' END"
					" WHERE rejected_id = $1",
					lengthof(types), types, values, reason != NULL ? NULL : " n");
}

int64
drain_retry(Sync *sync, ArrayType *ids)
{
	Run			 *run = palloc0(sizeof(Run));
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini rejected row", ALLOCSET_DEFAULT_SIZES);
	int64	  settled = 0;
	Drain	 *drain;
	ListCell *lc;

	run->sync = sync;
	run->conn = connection_open(GetForeignTable(sync->source)->serverid, sync->owner, REMOTE_USE_SYNC);
	drain = drain_open(run);
	foreach(lc, read_rejected(drain, ids))
	{
		Rejected	 *rejected = lfirst(lc);
		MemoryContext old = MemoryContextSwitchTo(cxt);
		const char	 *reason;

		CHECK_FOR_INTERRUPTS();
		run->run_id = rejected->run_id;
		reason = land_again(drain,
							run->conn->connector->feed_again(run->conn, drain->entity, rejected->data),
							rejected->row_id, rejected->ack);
		note_result(rejected, reason);
		settled += reason == NULL;
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
	}
	return settled;
}
