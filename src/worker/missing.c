/*-------------------------------------------------------------------------
 *
 * missing.c
 *		Telling people that there is no worker, and what brings one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_worker_remedy);

const char *
worker_remedy(void)
{
	return worker_shared() == NULL ?
		"Add makini to \"shared_preload_libraries\" and restart the server" :
		"Turn \"makini.launcher\" on and reload the configuration";
}

/* A launcher that is about to start is not missed. */
static bool
worker_missing(void)
{
	return instance_may_run() && (worker_shared() == NULL || !makini_launcher);
}

void
worker_remind(const char *use)
{
	static bool reminded = false;

	if (reminded || !worker_missing())
		return;
	reminded = true;
	ereport(NOTICE,
			(errmsg("there is no background worker of makini to %s", use),
			 errhint("%s.", worker_remedy())));
}

/*
 * makini_worker_remedy
 *		makini._worker_remedy(): what is to be done about a worker that is missing;
 *		NULL where none is.
 */
Datum
makini_worker_remedy(PG_FUNCTION_ARGS)
{
	if (!worker_missing())
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s.", worker_remedy())));
}
