/*-------------------------------------------------------------------------
 *
 * send.c
 *		makini._send(): a sender until nothing is to do, where none runs by itself,
 *		as in tests.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "webhook/sender.h"

PG_FUNCTION_INFO_V1(makini_send);
extern PGDLLEXPORT void makini_send_main(Datum arg);

/* Send until nothing was to do for so many milliseconds. */
void
makini_send_main(Datum arg)
{
	long		idle_ms = DatumGetInt32(arg);
	Oid			database;
	TimestampTz busy_at;

	memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof(database));
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);

	sender_begin();
	busy_at = GetCurrentTimestamp();
	while (!TimestampDifferenceExceeds(busy_at, GetCurrentTimestamp(), idle_ms))
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		sender_turn(Min(idle_ms, 10));
		if (sender_is_idle())
			sender_look();
		else
			busy_at = GetCurrentTimestamp();
	}
	sender_end();
}

Datum
makini_send(PG_FUNCTION_ARGS)
{
	BackgroundWorker		worker = {0};
	BackgroundWorkerHandle *handle;

	snprintf(worker.bgw_name, BGW_MAXLEN, "makini sender");
	snprintf(worker.bgw_type, BGW_MAXLEN, "makini sender");
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "makini");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "makini_send_main");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = Int32GetDatum(PG_GETARG_INT32(0));
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &MyDatabaseId, sizeof(MyDatabaseId));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("could not start a sender"),
				 errhint("There is no free slot: raise max_worker_processes.")));
	if (PG_GETARG_BOOL(1) && WaitForBackgroundWorkerShutdown(handle) == BGWH_POSTMASTER_DIED)
		proc_exit(1);
	PG_RETURN_VOID();
}
