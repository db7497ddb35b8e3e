/*-------------------------------------------------------------------------
 *
 * dropped.c
 *		Tells that the server of a connection was dropped.
 *
 * Only a connection that something was ever noted about: nobody has been told of
 * the others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "event/event.h"
#include "makini.h"

PG_FUNCTION_INFO_V1(makini_server_dropped);

#define DROPPED_CONNECTIONS                                                                        \
	"SELECT c.connection_id, c.server_name::text FROM pg_event_trigger_dropped_objects() d"        \
	" JOIN makini._connection c ON c.server_oid = d.objid AND c.home = makini._home()"             \
	" WHERE d.classid = 'pg_foreign_server'::regclass ORDER BY c.connection_id"

static void
tell(HeapTuple row, TupleDesc desc, Oid owner)
{
	bool			 isnull;
	ConnectionChange change = {.type = "connection.deleted",
							   .server = SPI_getvalue(row, desc, 2),
							   .reason = "the server was dropped",
							   .since = GetCurrentTimestamp(),
							   .owner = owner};

	change.connection = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	event_connection_change(&change);
}

Datum
makini_server_dropped(PG_FUNCTION_ARGS)
{
	Oid			   owner = GetUserId();
	MakiniRights   saved;
	SPITupleTable *dropped;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("makini._server_dropped() was not called by an event trigger")));
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute(DROPPED_CONNECTIONS, true, 0);
	dropped = SPI_tuptable;
	for (uint64 i = 0; i < dropped->numvals; i++)
		tell(dropped->vals[i], dropped->tupdesc, owner);
	SPI_finish();
	makini_rights_restore(&saved);
	PG_RETURN_NULL();
}
