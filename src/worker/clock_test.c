/*-------------------------------------------------------------------------
 *
 * clock_test.c
 *		A clock that tests move, and a look at the workers' table.  Built only
 *		where MAKINI_TEST is defined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef MAKINI_TEST

#include "access/xact.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_test_advance_clock);
PG_FUNCTION_INFO_V1(makini_test_now);
PG_FUNCTION_INFO_V1(makini_test_stop_clock);
PG_FUNCTION_INFO_V1(makini_test_database_state);
PG_FUNCTION_INFO_V1(makini_test_runs_giving_way);
PG_FUNCTION_INFO_V1(makini_test_slow_commit);

/* Everything that is due by the new time is looked at at once. */
Datum
makini_test_advance_clock(PG_FUNCTION_ARGS)
{
	WorkerShared *shared = worker_shared();
	Interval	 *by = PG_GETARG_INTERVAL_P(0);

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->clock_offset += by->time + by->day * USECS_PER_DAY;
	if (shared->clock_stands != 0)
		shared->clock_stands += by->time + by->day * USECS_PER_DAY;
	worker_wake_process(&shared->launcher);
	for (int i = 0; i < WORKER_DATABASES; i++)
		worker_wake_process(&shared->databases[i].scheduler);
	LWLockRelease(shared->lock);
	PG_RETURN_TIMESTAMPTZ(worker_now());
}

Datum
makini_test_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(worker_now());
}

/* From now on time passes only where a test says so; false: it goes on by itself. */
Datum
makini_test_stop_clock(PG_FUNCTION_ARGS)
{
	WorkerShared *shared = worker_shared();
	TimestampTz	  now = worker_now();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (!PG_GETARG_BOOL(0) && shared->clock_stands != 0)
		shared->clock_offset = now - GetCurrentTimestamp();
	shared->clock_stands = PG_GETARG_BOOL(0) ? now : 0;
	LWLockRelease(shared->lock);
	PG_RETURN_TIMESTAMPTZ(now);
}

static void
take_long(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT)
		pg_usleep(300000);
}

/* From now on a session's commits take their time between being visible and being over. */
Datum
makini_test_slow_commit(PG_FUNCTION_ARGS)
{
	RegisterXactCallback(take_long, NULL);
	PG_RETURN_VOID();
}

/* "unknown", "wanted", "asleep until ..."; "scheduled" while a scheduler is there. */
Datum
makini_test_database_state(PG_FUNCTION_ARGS)
{
	WorkerShared   *shared = worker_shared();
	WorkerDatabase *entry;
	WorkerDatabase	copy;

	LWLockAcquire(shared->lock, LW_SHARED);
	entry = worker_database(PG_GETARG_OID(0), false);
	if (entry != NULL)
		copy = *entry;
	LWLockRelease(shared->lock);
	if (entry == NULL)
		PG_RETURN_TEXT_P(cstring_to_text("unknown"));
	if (copy.scheduler.state != WORKER_NONE)
		PG_RETURN_TEXT_P(cstring_to_text("scheduled"));
	if (copy.wanted)
		PG_RETURN_TEXT_P(cstring_to_text("wanted"));
	PG_RETURN_TEXT_P(cstring_to_text(copy.next_due == WORKER_NEVER ? "asleep" : "asleep until due"));
}

/* How many runs have been told to stop at their next page. */
Datum
makini_test_runs_giving_way(PG_FUNCTION_ARGS)
{
	WorkerShared *shared = worker_shared();
	int			  n = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < WORKER_RUNS; i++)
		n += shared->runs[i].process.state != WORKER_NONE && shared->runs[i].gives_way;
	LWLockRelease(shared->lock);
	PG_RETURN_INT32(n);
}

#endif
