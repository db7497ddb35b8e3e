/*-------------------------------------------------------------------------
 *
 * start.c
 *		Registering workers, and what to do when slots run out.
 *
 * The launcher starts schedulers, a scheduler starts run workers.  Who starts
 * one keeps its handle: a worker whose start fails can't say so itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "worker/worker.h"

#define PLACES (Max(WORKER_DATABASES, WORKER_RUNS) + WORKER_SENDERS)
#define SAY_EVERY (60 * 60 * USECS_PER_SEC)

/* Of the workers that this process starts: schedulers, or runs and behind them senders. */
static BackgroundWorkerHandle *handles[PLACES];
static uint32				   tokens[PLACES];
static WorkerKind			   kinds[PLACES];

static WorkerProcess *
place_of(WorkerKind kind, int slot)
{
	WorkerShared *shared = worker_shared();

	if (kind == WORKER_SENDER)
		return &shared->senders[slot].process;
	return kind == WORKER_RUN ? &shared->runs[slot].process : &shared->databases[slot].scheduler;
}

/* Launcher, run workers, scheduler and senders for each database known. */
static int
slots_needed(void)
{
	WorkerShared *shared = worker_shared();
	int			  needed = 1 + makini_max_workers;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < WORKER_DATABASES; i++)
		if (OidIsValid(shared->databases[i].database))
			needed += Max(1, makini_webhook_workers);
	LWLockRelease(shared->lock);
	return needed;
}

/* Whoever says so, it is said once an hour. */
static void
say_out_of_slots(void)
{
	WorkerShared *shared = worker_shared();
	TimestampTz	  now = GetCurrentTimestamp();
	bool		  said;
	int			  needed;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	said = now - shared->no_slot_said_at < SAY_EVERY;
	if (!said)
		shared->no_slot_said_at = now;
	LWLockRelease(shared->lock);
	if (said)
		return;
	needed = slots_needed();
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("could not start a worker of makini: no background worker slot is free"),
			 errdetail("makini needs up to %d slots of the %d in \"max_worker_processes\", which"
					   " it shares with parallel queries and other extensions.",
					   needed, max_worker_processes),
			 errhint("Set \"max_worker_processes\" to at least %d, or \"makini.max_workers\" lower."
					 " Until then the work waits.",
					 Max(needed, max_worker_processes) + 1)));
}

static void
describe(BackgroundWorker *worker, WorkerKind kind, int slot, uint32 token)
{
	const char *name = kind == WORKER_RUN ? "makini run" :
		kind == WORKER_SENDER			  ? "makini sender" :
											"makini scheduler";

	memset(worker, 0, sizeof(BackgroundWorker));
	snprintf(worker->bgw_name, BGW_MAXLEN, "%s %d", name, slot);
	snprintf(worker->bgw_type, BGW_MAXLEN, "%s", name);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker->bgw_library_name, BGW_MAXLEN, "makini");
	snprintf(worker->bgw_function_name, BGW_MAXLEN, "%s",
			 kind == WORKER_RUN		   ? "makini_runner_main" :
				 kind == WORKER_SENDER ? "makini_sender_main" :
										 "makini_scheduler_main");
	worker->bgw_main_arg = Int32GetDatum(slot);
	memcpy(worker->bgw_extra, &token, sizeof(token));
	worker->bgw_notify_pid = MyProcPid;
}

/* False where the worker has begun, and gives its place back itself. */
static bool
give_place_back(WorkerKind kind, int slot, uint32 token)
{
	WorkerShared  *shared = worker_shared();
	WorkerProcess *place = place_of(kind, slot);
	bool		   waited;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	waited = worker_is_alive(place, token) && place->state == WORKER_STARTING;
	if (waited)
		place->state = WORKER_NONE;
	LWLockRelease(shared->lock);
	return waited;
}

bool
worker_start(WorkerKind kind, int slot)
{
	uint32			 token = place_of(kind, slot)->token;
	int				 at = kind == WORKER_SENDER ? PLACES - WORKER_SENDERS + slot : slot;
	BackgroundWorker worker;
	MemoryContext	 caller;
	bool			 registered;

	if (handles[at] != NULL)
		pfree(handles[at]);
	handles[at] = NULL;
	kinds[at] = kind;
	tokens[at] = token;
	describe(&worker, kind, slot, token);
	caller = MemoryContextSwitchTo(TopMemoryContext);
	registered = RegisterDynamicBackgroundWorker(&worker, &handles[at]);
	MemoryContextSwitchTo(caller);
	if (registered)
		return true;
	handles[at] = NULL;
	(void) give_place_back(kind, slot, token);
	say_out_of_slots();
	return false;
}

int
worker_reap(void)
{
	int lost = 0;

	for (int at = 0; at < PLACES; at++)
	{
		pid_t pid;
		int	  slot = kinds[at] == WORKER_SENDER ? at - (PLACES - WORKER_SENDERS) : at;

		if (handles[at] == NULL || GetBackgroundWorkerPid(handles[at], &pid) != BGWH_STOPPED)
			continue;
		lost += give_place_back(kinds[at], slot, tokens[at]);
		pfree(handles[at]);
		handles[at] = NULL;
	}
	return lost;
}

int64
worker_backoff(int failures, int64 base, int64 cap)
{
	int64 full = failures < 1 ? 0 : base;

	for (int i = 1; i < failures && full < cap; i++)
		full *= 2;
	full = Min(full, cap);
	return full - (int64) (pg_prng_double(&pg_global_prng_state) * (double) (full / 4));
}
