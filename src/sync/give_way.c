/*-------------------------------------------------------------------------
 *
 * give_way.c
 *		Runs that stop between two pages because others wait, or because nothing is
 *		to run any more.
 *
 * The scheduler sees who waits for whom and puts that down in the workers' table;
 * a run looks there after each page.  What it has not done is queued again, and
 * taken up at the next page.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "private.h"
#include "sync/job.h"
#include "worker/worker.h"

/* What this worker runs, and its place in the table. */
static Job *current = NULL;
static int	current_slot;

/* ---- the scheduler's side ---- */

void
give_way_tell(TimestampTz now, bool all)
{
	WorkerShared	  *shared = worker_shared();
	PrivateTransaction transaction;
	List			  *places;
	ListCell		  *lc;

	private_begin(&transaction);
	places = job_give_way(now, all);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	foreach(lc, places)
	{
		int slot = lfirst_int(lc);

		if (slot >= 0 && slot < WORKER_RUNS && shared->runs[slot].database == MyDatabaseId)
			shared->runs[slot].gives_way = true;
	}
	LWLockRelease(shared->lock);
	private_end(&transaction);
}

/* ---- the run worker's side ---- */

void
give_way_begin(int slot, Job *job)
{
	WorkerShared *shared = worker_shared();

	current = job;
	current_slot = slot;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->runs[slot].backfill = job != NULL && job->backfill;
	shared->runs[slot].gives_way = false;
	LWLockRelease(shared->lock);
}

bool
another_database_waits(void)
{
	WorkerShared *shared = worker_shared();
	bool		  waits;

	LWLockAcquire(shared->lock, LW_SHARED);
	waits = worker_others_first(MyDatabaseId, worker_count_runs(MyDatabaseId), 0);
	LWLockRelease(shared->lock);
	return waits;
}

static bool
was_told(void)
{
	WorkerShared *shared = worker_shared();
	bool		  told;

	LWLockAcquire(shared->lock, LW_SHARED);
	told = shared->runs[current_slot].gives_way;
	LWLockRelease(shared->lock);
	return told;
}

/* Nothing is to run here any more, or not at this hour. */
static bool
has_to_stop(TimestampTz now)
{
	return !makini_launcher || !instance_may_run() || now >= current->closes;
}

static bool
others_wait(TimestampTz now)
{
	if (was_told())
		return true;
	return (current->backfill || now >= current->began + GIVE_WAY_AFTER) && another_database_waits();
}

bool
run_should_yield(bool goes_on)
{
	TimestampTz now;

	if (current == NULL)
		return false;
	worker_handle_signals();
	now = worker_now();
	current->gave_way = has_to_stop(now) || (goes_on && others_wait(now));
	return current->gave_way;
}
