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

#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "attempt.h"
#include "compat.h"
#include "connector/probe_step.h"

PG_FUNCTION_INFO_V1(makini_test_connection);

typedef struct Opening
{
	Oid			serverid;
	Connection *conn;
} Opening;

static void
open_step(void *arg)
{
	Opening *opening = arg;

	opening->conn = connection_open(opening->serverid, GetUserId(), REMOTE_USE_PROBE);
}

/* What was raised, as the failed first step; a cancel goes on as one. */
static ProbeStep *
step_of_error(ErrorData *error)
{
	ProbeStep *step = palloc0(sizeof(ProbeStep));

	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
		ReThrowError(error);
	step->step = "options";
	step->status = STEP_FAILED;
	step->detail = error->detail ? psprintf("%s: %s", error->message, error->detail) : error->message;
	step->hint = error->hint;
	return step;
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
	Opening			 opening = {.serverid = server->serverid};
	ErrorData		*error;
	ListCell		*lc;

	InitMaterializedSRF(fcinfo, 0);
	error = run_attempt(open_step, &opening);
	if (error != NULL)
	{
		put_step(result, step_of_error(error));
		return (Datum) 0;
	}
	foreach(lc, connector->probe(opening.conn))
		put_step(result, lfirst(lc));
	return (Datum) 0;
}
