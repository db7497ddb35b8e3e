/*-------------------------------------------------------------------------
 *
 * check_connection.c
 *		makini.check_connection(), pause_connection() and resume_connection().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "connection_store.h"
#include "connector/connector.h"
#include "event/connection_state.h"
#include "makini.h"
#include "private.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_check_connection);
PG_FUNCTION_INFO_V1(makini_pause_connection);
PG_FUNCTION_INFO_V1(makini_resume_connection);

/* The server's row of makini.connection, as its reader sees it. */
static Datum
row_of_server(Oid serverid)
{
	Oid	  types[1] = {OIDOID};
	Datum values[1] = {ObjectIdGetDatum(serverid)};
	Datum row;
	bool  isnull = true;

	SPI_connect();
	SPI_execute_with_args("SELECT c FROM makini.connection c JOIN pg_catalog.pg_foreign_server s"
						  " ON s.srvname = c.server_name WHERE s.oid = $1",
						  1, types, values, NULL, false, 1);
	row = SPI_processed == 0 ?
		(Datum) 0 :
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		row = SPI_datumTransfer(row, false, -1);
	SPI_finish();
	return row;
}

/*
 * makini_check_connection
 *		makini.check_connection(server): ask the other side now, and keep what
 *		comes of it.  Whoever asks on purpose gets a verdict from one failure.
 */
Datum
makini_check_connection(PG_FUNCTION_ARGS)
{
	ForeignServer *server = server_for_use(NameStr(*PG_GETARG_NAME(0)));
	Connection	  *conn;

	instance_check();
	conn = connection_open(server->serverid, GetUserId(), REMOTE_USE_PROBE);
	conn->endpoint.recorded = true;
	(void) conn->connector->probe(conn);
	health_conclude(server->serverid);

	/* the scheduler was told already, and is not to wait for the end of this transaction */
	if (!worker_available())
		(void) connection_state_look(server->serverid, worker_now());
	worker_wake_at_commit();
	PG_RETURN_DATUM(row_of_server(server->serverid));
}

/* False where it is so already. */
static bool
set_lifecycle(const char *name, const char *lifecycle)
{
	ForeignServer *server = server_for_use(name);
	Oid			   types[2] = {UUIDOID, TEXTOID};
	Datum		   values[2];
	pg_uuid_t	   id = connection_store(server->serverid);
	bool		   changed;

	values[0] = UUIDPGetDatum(&id);
	values[1] = CStringGetTextDatum(lifecycle);
	changed = private_execute("UPDATE makini._connection SET lifecycle = $2"
							  " WHERE connection_id = $1 AND lifecycle <> $2",
							  2, types, values, NULL) > 0;
	worker_wake_at_commit();
	return changed;
}

Datum
makini_pause_connection(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_lifecycle(NameStr(*PG_GETARG_NAME(0)), "paused"));
}

Datum
makini_resume_connection(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_lifecycle(NameStr(*PG_GETARG_NAME(0)), "active"));
}
