/*-------------------------------------------------------------------------
 *
 * test_connection.c
 *		makini.test_connection(): a connector's probe as a set of rows.
 *
 * Resolving a connection raises what is missing, and to a person testing one
 * that is the first result, not an error: it is caught in a subtransaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

#include "compat.h"
#include "connector/connector.h"

PG_FUNCTION_INFO_V1(makini_test_connection);

/* What was raised, as the failed first step; a cancel goes on as one. */
static ProbeStep *
step_of_error(MemoryContext context)
{
	ProbeStep *step;
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
		PG_RE_THROW();
	FlushErrorState();

	step = palloc0(sizeof(ProbeStep));
	step->step = "options";
	step->status = "failed";
	step->detail = error->detail ? psprintf("%s: %s", error->message, error->detail) : error->message;
	step->hint = error->hint;
	return step;
}

/* NULL, with the step that failed, when the options do not make a connection. */
static Connection *
try_open(Oid serverid, ProbeStep **failed)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Connection *volatile conn = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		conn = connection_open(serverid, GetUserId(), REMOTE_USE_PROBE);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		*failed = step_of_error(context);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return conn;
}

static void
put_step(ReturnSetInfo *result, const ProbeStep *step)
{
	Datum values[5] = {0};
	bool  nulls[5] = {false};

	values[0] = CStringGetTextDatum(step->step);
	values[1] = CStringGetTextDatum(step->status);
	nulls[2] = step->detail == NULL;
	if (step->detail)
		values[2] = CStringGetTextDatum(step->detail);
	nulls[3] = step->hint == NULL;
	if (step->hint)
		values[3] = CStringGetTextDatum(step->hint);
	values[4] = Float8GetDatum(rint(step->ms * 1000) / 1000);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * makini_test_connection
 *		makini.test_connection(server)
 */
Datum
makini_test_connection(PG_FUNCTION_ARGS)
{
	ReturnSetInfo	*result = (ReturnSetInfo *) fcinfo->resultinfo;
	ForeignServer	*server = server_for_use(NameStr(*PG_GETARG_NAME(0)));
	const Connector *connector = connector_of_server(server->serverid);
	ProbeStep		*failed = NULL;
	Connection		*conn;
	ListCell		*lc;

	InitMaterializedSRF(fcinfo, 0);
	conn = try_open(server->serverid, &failed);
	if (!conn)
	{
		put_step(result, failed);
		return (Datum) 0;
	}
	foreach(lc, connector->probe(conn))
		put_step(result, lfirst(lc));
	return (Datum) 0;
}
