/*-------------------------------------------------------------------------
 *
 * progress.c
 *		What runs tell others while they go on, and how others stop them.
 *
 * A run's progress stands in shared memory: what is written into a table is
 * seen page by page only, and says nothing while the network is waited for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "remote/shmem.h"
#include "sync/progress.h"

#define NOTICE_EVERY (5 * USECS_PER_SEC)

PG_FUNCTION_INFO_V1(makini_sync_progress);

static RunSlot	  *own;
static TimestampTz noticed_at;

static const char *const phase_names[] = {
	[PHASE_STARTING] = "starting",	 [PHASE_READING] = "reading",
	[PHASE_DELETING] = "deleting",	 [PHASE_ACKNOWLEDGING] = "acknowledging",
	[PHASE_FINISHING] = "finishing",
};

/* ---------------------------------------------------------------------
 * The run's own side
 * ---------------------------------------------------------------------
 */

/* A process that is killed must not leave its slot behind. */
static void
leave_at_exit(int code, Datum arg)
{
	progress_end();
}

static RunSlot *
take_slot(Anchor *anchor)
{
	for (int i = 0; i < RUN_SLOTS; i++)
	{
		if (anchor->runs[i].pid == 0)
			return &anchor->runs[i];
	}
	LWLockRelease(&anchor->lock);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("%d syncs are running already", RUN_SLOTS), errhint("Try again later.")));
}

void
progress_begin(int64 sync_id, int64 run_id, RunLane lane, int64 rows_before)
{
	static bool registered;
	Anchor	   *anchor = shmem_anchor();

	if (!registered)
		before_shmem_exit(leave_at_exit, (Datum) 0);
	registered = true;
	progress_end();
	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	own = take_slot(anchor);
	memset(own, 0, sizeof(RunSlot));
	own->pid = MyProcPid;
	own->database = MyDatabaseId;
	own->sync_id = sync_id;
	own->run_id = run_id;
	own->lane = lane;
	own->rows_done = own->rows_before = rows_before;
	own->rows_expected = -1;
	own->started_at = GetCurrentTimestamp();
	LWLockRelease(&anchor->lock);
	noticed_at = own->started_at;
}

/* Readers take what they see; only taking and giving back a slot needs the lock. */

void
progress_expect(int64 rows)
{
	if (own != NULL)
		own->rows_expected = rows;
}

void
progress_rows(int64 rows_done)
{
	if (own != NULL)
		own->rows_done = rows_done;
}

void
progress_phase(RunPhase phase)
{
	if (own != NULL)
		own->phase = phase;
}

void
progress_wait(bool waiting)
{
	if (own != NULL)
		own->waiting = waiting;
}

void
progress_end(void)
{
	Anchor *anchor = shmem_anchor();

	if (own == NULL)
		return;
	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);

	/* Whoever cancelled this run did not mean the statement after it. */
	if (own->cancelled)
		QueryCancelPending = false;
	own->pid = 0;
	own = NULL;
	LWLockRelease(&anchor->lock);
}

static char *
what_is_left(double rate)
{
	int64 left = own->rows_expected - own->rows_done;

	if (own->rows_expected <= 0)
		return psprintf(INT64_FORMAT " rows", own->rows_done);
	return psprintf(INT64_FORMAT " of " INT64_FORMAT " rows (%d %%), about %.0f s left", own->rows_done,
					own->rows_expected, (int) Min(100, own->rows_done * 100 / own->rows_expected),
					rate > 0 ? Max(0, left) / rate : 0);
}

void
progress_notice(const Sync *sync)
{
	TimestampTz now = GetCurrentTimestamp();
	double		rate;

	if (own == NULL || now - noticed_at < NOTICE_EVERY)
		return;
	noticed_at = now;
	rate = (own->rows_done - own->rows_before) / ((now - own->started_at) / (double) USECS_PER_SEC);
	ereport(NOTICE,
			(errmsg("sync " INT64_FORMAT " of %s: %s, %.0f rows/s", sync->sync_id,
					sync->source_name, what_is_left(rate), rate)));
}

/* ---------------------------------------------------------------------
 * The others' side
 * ---------------------------------------------------------------------
 */

bool
progress_cancel(int64 sync_id)
{
	Anchor *anchor = shmem_anchor();
	bool	found = false;

	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	for (int i = 0; i < RUN_SLOTS; i++)
	{
		RunSlot *slot = &anchor->runs[i];

		if (slot->pid == 0 || slot->database != MyDatabaseId || slot->sync_id != sync_id)
			continue;
		slot->cancelled = true;
		if (kill(slot->pid, SIGINT) == 0)
			found = true;
	}
	LWLockRelease(&anchor->lock);
	return found;
}

static void
put_run(ReturnSetInfo *result, const RunSlot *slot)
{
	Datum values[9] = {0};
	bool  nulls[9] = {false};

	values[0] = Int64GetDatum(slot->run_id);
	values[1] = Int64GetDatum(slot->sync_id);
	values[2] = CStringGetTextDatum(slot->lane == LANE_BACKFILL ? "backfill" : "incremental");
	values[3] = CStringGetTextDatum(phase_names[slot->phase]);
	values[4] = Int64GetDatum(slot->rows_done);
	values[5] = Int64GetDatum(slot->rows_expected);
	nulls[5] = slot->rows_expected < 0;
	values[6] = Int64GetDatum(slot->rows_done - slot->rows_before);
	values[7] = TimestampTzGetDatum(slot->started_at);
	values[8] = CStringGetTextDatum("network");
	nulls[8] = !slot->waiting;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * makini_sync_progress
 *		makini._sync_progress(): the runs that go on in this database.
 */
Datum
makini_sync_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Anchor		  *anchor = shmem_anchor();
	RunSlot		   slots[RUN_SLOTS];

	InitMaterializedSRF(fcinfo, 0);
	LWLockAcquire(&anchor->lock, LW_SHARED);
	memcpy(slots, anchor->runs, sizeof(slots));
	LWLockRelease(&anchor->lock);
	for (int i = 0; i < RUN_SLOTS; i++)
	{
		if (slots[i].pid != 0 && slots[i].database == MyDatabaseId)
			put_run(result, &slots[i]);
	}
	return (Datum) 0;
}
