/*-------------------------------------------------------------------------
 *
 * named.c
 *		What people make by name, rules and watches: the questions that both are
 *		asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "event/named.h"
#include "private.h"

#define MAX_NAME 200

void
named_check_name(const char *kind, const char *name)
{
	if (name == NULL || *name == '\0' || strlen(name) > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a %s must have 1 to %d bytes", kind, MAX_NAME)));
}

void
named_refuse_second(const char *kind, const char *name)
{
	ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("%s \"%s\" already exists", kind, name)));
}

void
named_refuse_unknown(const char *kind, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("%s \"%s\" does not exist", kind, name),
			 errhint("The view makini.%s lists those that you may see.", kind)));
}

void
named_check_owner(const char *kind, const char *name, bool at_home, const Author *author)
{
	if (!at_home)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s \"%s\" was restored or copied from elsewhere", kind, name),
				 errhint("makini.activate_instance() puts it in force.")));
	if (!has_privs_of_role(GetUserId(), author->userid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of %s \"%s\"", kind, name)));
}

/* ---- trying ---- */

typedef struct Trial
{
	const char		*query;
	int				 column;
	int				 max_rows;
	Tuplestorestate *rows;
	TupleDesc		 tupdesc;
} Trial;

static void
fetch(void *arg)
{
	Trial *trial = arg;

	SPI_connect();
	SPI_execute(trial->query, true, trial->max_rows);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool  isnull;
		Datum data = private_value(i, trial->column, &isnull);

		tuplestore_putvalues(trial->rows, trial->tupdesc, &data, &isnull);
	}
	SPI_finish();
}

void
named_try(FunctionCallInfo fcinfo, const Author *author, int timeout_ms, const char *query, int column)
{
	Trial	   trial = {.query = query, .column = column, .max_rows = PG_GETARG_INT32(1)};
	ErrorData *error;

	if (trial.max_rows < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be greater than zero")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	trial.rows = ((ReturnSetInfo *) fcinfo->resultinfo)->setResult;
	trial.tupdesc = ((ReturnSetInfo *) fcinfo->resultinfo)->setDesc;
	error = author_run(author, timeout_ms, fetch, &trial);
	if (error != NULL)
		ReThrowError(error);
}
