/*-------------------------------------------------------------------------
 *
 * scheduler.c
 *		One per database with something due: puts what is due into the queue,
 *		has run workers started for it, and leaves when there has been nothing
 *		to do for a while.
 *
 * It works in short transactions of its own and waits outside any.  When it
 * leaves it tells the launcher, through the shared table, when it is needed
 * again; whoever commits work before that says so there too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "event/connection_state.h"
#include "event/event.h"
#include "private.h"
#include "sync/job.h"
#include "webhook/sender.h"
#include "worker/worker.h"

extern PGDLLEXPORT void makini_scheduler_main(Datum arg);

/* A row that somebody has locked is looked at again after this. */
#define LOCKED_AGAIN USECS_PER_SEC

/* Old rows are deleted this often, so many at a time. */
#define PURGE_EVERY (60 * 60 * USECS_PER_SEC)
#define PURGE_LIMIT 1000

static WorkerDatabase *entry;
static bool			   to_send = false; /* something may have to be sent */
static bool			   sending = false; /* sender_begin() has been called */
static bool			   tried_sending = false;
static bool			   waiting = false;	   /* places lack for what is due */
static int			   failures = 0;	   /* turns in a row that raised an error */
static int			   start_failures = 0; /* likewise, starts of run workers */
static TimestampTz	   start_not_before = 0;

/* ---- run workers ---- */

/*
 * Keeps a place for one more run worker; -1 where there is none for this database
 * now, which is noted in the same breath: who leaves a place looks for that.
 */
static int
take_run_place(const JobQueue *queue)
{
	WorkerShared *shared = worker_shared();
	int			  slot = -1;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (entry->blockers == 0 && worker_count_runs(InvalidOid) < Min(makini_max_workers, WORKER_RUNS) &&
		!worker_others_first(MyDatabaseId, worker_count_runs(MyDatabaseId), queue->oldest))
	{
		for (slot = 0; shared->runs[slot].process.state != WORKER_NONE; slot++)
			;
		shared->runs[slot].database = MyDatabaseId;
		shared->runs[slot].backfill = false;
		shared->runs[slot].looks = false;
		(void) worker_reserve(&shared->runs[slot].process);
	}
	else
		entry->waiting_since = queue->oldest;
	LWLockRelease(shared->lock);
	return slot;
}

static void
wait_no_more(void)
{
	WorkerShared *shared = worker_shared();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry->waiting_since = WORKER_NEVER;
	LWLockRelease(shared->lock);
}

static void
start_later(int after_failures)
{
	start_not_before =
		worker_now() + worker_backoff(after_failures, USECS_PER_SEC, 60 * USECS_PER_SEC);
}

/*
 * One worker for each job, those that are at work being about to take the next.
 * True where places lack.
 */
static bool
start_workers(const JobQueue *queue)
{
	WorkerShared *shared = worker_shared();
	int			  missing;
	bool		  lack = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	missing = queue->ready + queue->running - worker_count_takers(MyDatabaseId);
	LWLockRelease(shared->lock);
	missing = Min(missing, queue->ready);
	if (worker_now() < start_not_before)
		missing = 0;
	while (missing-- > 0)
	{
		int slot = take_run_place(queue);

		if (slot < 0)
		{
			lack = true;
			break;
		}
		if (!worker_start(WORKER_RUN, slot))
		{
			start_later(++start_failures);
			break;
		}
		start_failures = 0;
	}
	if (!lack)
		wait_no_more();
	return lack;
}

/*
 * What an earlier scheduler of this database had begun to start is nobody's.  And
 * whom it had started in vain is no reason to put starts off again, or one that
 * leaves meanwhile would be followed by others that do the same.
 */
static void
forget_earlier_starts(void)
{
	WorkerShared *shared = worker_shared();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry->found_nothing = 0;
	for (int i = 0; i < WORKER_RUNS; i++)
		if (shared->runs[i].database == MyDatabaseId && shared->runs[i].process.state == WORKER_STARTING)
			shared->runs[i].process.state = WORKER_NONE;
	LWLockRelease(shared->lock);
}

static bool
has_workers(void)
{
	WorkerShared *shared = worker_shared();
	bool		  some;

	LWLockAcquire(shared->lock, LW_SHARED);
	some = worker_count_runs(MyDatabaseId) > 0;
	LWLockRelease(shared->lock);
	return some;
}

/* ---- a turn ---- */

static void
refresh_names(void)
{
	PrivateTransaction transaction;

	private_begin(&transaction);
	names_refresh();
	private_end(&transaction);
}

static void
purge(TimestampTz now)
{
	int64 most = PURGE_LIMIT;

	if (now < entry->purge_at)
		return;
	entry->purge_at = now + PURGE_EVERY;
	refresh_names();
	while (most >= PURGE_LIMIT)
	{
		PrivateTransaction transaction;

		private_begin(&transaction);
		most = event_purge(PURGE_LIMIT);
		most = Max(most, webhook_purge(PURGE_LIMIT));
		most = Max(most, job_purge(now, PURGE_LIMIT));
		private_end(&transaction);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Looks at everything once.  When to look again; *busy: there was something to do. */
static TimestampTz
turn(bool *busy)
{
	PrivateTransaction transaction;
	TimestampTz		   now = worker_now();
	TimestampTz		   next;
	TimestampTz		   states;
	JobQueue		   queue;
	bool			   all;

	states = connection_state_turn(now);
	private_begin(&transaction);
	job_recover(now);
	all = job_queue_due(now);
	job_look(now, &queue);
	private_end(&transaction);

	waiting = start_workers(&queue);
	next = Min(states, all ? queue.next_due : Min(queue.next_due, now + LOCKED_AGAIN));
	if (waiting || queue.crowded > 0)
	{
		give_way_tell(now, waiting);
		next = Min(next, now + GIVE_WAY_AFTER);
	}
	if (queue.ready > 0 && start_not_before > now)
		next = Min(next, start_not_before);
	*busy = queue.ready > 0 || queue.running > 0;
	purge(now);
	return next;
}

/* An error of one turn is no reason to stop; the next comes later and later. */
static TimestampTz
guarded_turn(bool *busy)
{
	MemoryContext		 caller = CurrentMemoryContext;
	volatile TimestampTz next = WORKER_NEVER;

	PG_TRY();
	{
		next = turn(busy);
		failures = 0;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		next = worker_now() + worker_backoff(++failures, USECS_PER_SEC, 60 * USECS_PER_SEC);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return next;
}

/* ---- the process ---- */

static void
leave_for_good(void)
{
	WorkerShared *shared = worker_shared();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	worker_forget_database(entry);
	worker_wake_process(&shared->launcher);
	LWLockRelease(shared->lock);
	proc_exit(0);
}

/* Ends the process unless somebody committed work meanwhile. */
static void
leave_until(TimestampTz due, TimestampTz send_due)
{
	WorkerShared *shared = worker_shared();
	bool		  stay;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	stay = entry->wanted && makini_launcher;
	entry->next_due = due;
	entry->send_due = send_due;
	LWLockRelease(shared->lock);
	if (!stay)
		proc_exit(0);
}

/* What was asked for until now is about to be looked at; true: schedules and queue too. */
static bool
note_looking(void)
{
	WorkerShared *shared = worker_shared();
	bool		  look;
	static int	  in_vain_before = 0;
	int			  in_vain;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry->wanted = false;
	look = entry->look;
	entry->look = false;

	/*
	 * Nothing is sent unless somebody raised an event here: this may be the
	 * middle of a restore, whose rows are not to be touched.  What a crash has
	 * left behind is found when the launcher visits.
	 */
	to_send |= entry->send || entry->visiting || entry->send_due <= worker_now();
	if (entry->send)
		sender_look();
	entry->send = false;
	entry->failures = 0;
	in_vain = entry->found_nothing;
	if (entry->visiting)
		worker_wake_process(&shared->launcher);
	entry->visiting = false;
	LWLockRelease(shared->lock);

	/* it happens when several look for one job, but not over and over */
	if (in_vain > 1 && in_vain > in_vain_before)
		start_later(in_vain - 1);
	in_vain_before = in_vain;
	return look;
}

/* Switched off: what is due stays due. */
static void
leave_switched_off(void)
{
	WorkerShared *shared = worker_shared();

	if (sending)
		sender_end();
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry->wanted = true;
	entry->look = true;
	entry->send |= to_send;
	LWLockRelease(shared->lock);
	proc_exit(0);
}

/* ---- sending ---- */

/* Sends what is to be sent, or just waits, until a moment or until there is something new. */
static void
send_until(TimestampTz until, uint32 wait_event)
{
	if (makini_webhook_workers == 0 || !to_send)
	{
		worker_sleep(until, wait_event);
		return;
	}
	tried_sending = true;
	if (!sending)
		sender_begin();
	sending = true;
	sender_turn(worker_wait_ms(until));
	sender_workers_look(sender_is_idle());
	worker_handle_signals();
}

/*
 * Has somebody asked for something since note_looking()?  The latch alone does
 * not tell: a turn that waits for a lock uses it up.
 */
static bool
somebody_asked(void)
{
	WorkerShared *shared = worker_shared();
	bool		  asked;

	LWLockAcquire(shared->lock, LW_SHARED);
	asked = entry->wanted;
	LWLockRelease(shared->lock);
	return asked;
}

/* An error at the beginning of sending must not keep syncs from running. */
static void
guarded_send_until(TimestampTz until, uint32 wait_event)
{
	static int		   failed = 0;
	static TimestampTz not_before = 0;
	MemoryContext	   caller = CurrentMemoryContext;

	if (worker_now() < not_before)
	{
		worker_sleep(Min(until, not_before), wait_event);
		return;
	}
	PG_TRY();
	{
		send_until(until, wait_event);
		failed = 0;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		not_before = worker_now() + worker_backoff(++failed, USECS_PER_SEC, 60 * USECS_PER_SEC);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
}

/* A last look; false when something is on its way, or came meanwhile. */
static bool
nothing_to_send(void)
{
	if (!sending)
		return tried_sending || !to_send || makini_webhook_workers == 0;
	sender_turn(0);
	return sender_is_idle();
}

/* When there will be something to send, leaving aside what others may commit. */
static TimestampTz
next_to_send(void)
{
	TimestampTz due = sending ? sender_next_due() : DT_NOEND;

	return TIMESTAMP_NOT_FINITE(due) ? WORKER_NEVER : worker_time(due);
}

/* ---- the process ---- */

/*
 * Ends the process when it has had nothing to do for long enough, and will not
 * have soon; does not return then.
 */
static void
leave_if_idle(int64 linger, TimestampTz next)
{
	TimestampTz send_due;
	TimestampTz again;

	if (!nothing_to_send())
		return;
	send_due = next_to_send();
	again = Min(next, send_due);
	if (again - worker_now() <= linger)
		return;
	if (sending)
		sender_end();
	sending = false;
	leave_until(again, send_due);
}

void
makini_scheduler_main(Datum arg)
{
	int			slot = worker_begin(WORKER_SCHEDULER, arg);
	uint32		wait_event = makini_wait_event("MakiniSchedulerMain");
	TimestampTz leave_at = worker_now() + (int64) makini_scheduler_linger * 1000;
	TimestampTz next = 0;
	bool		working = true;

	entry = &worker_shared()->databases[slot];
	forget_earlier_starts();
	for (;;)
	{
		int64 linger = (int64) makini_scheduler_linger * 1000;

		if (!makini_launcher || !instance_may_run())
			leave_switched_off();
		if (worker_reap() > 0)
			start_later(++start_failures);
		if (note_looking() || next <= worker_now())
		{
			if (!worker_has_extension())
				leave_for_good();
			next = guarded_turn(&working);
		}
		working |= waiting || has_workers();
		if (!working && worker_now() >= leave_at)
			leave_if_idle(linger, next);
		if (working || worker_now() >= leave_at)
			leave_at = worker_now() + linger;
		guarded_send_until(somebody_asked() ? 0 : Min(next, leave_at), wait_event);
		working = false;
	}
}
