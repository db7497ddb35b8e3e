/*-------------------------------------------------------------------------
 *
 * sender_worker.c
 *		Senders besides the schedulers, where one is not enough.
 *
 * A scheduler that has not been idle for a moment has up to
 * makini.webhook_workers - 1 others started for its database; each leaves when
 * nothing has been left for it for a while.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "webhook/sender.h"
#include "worker/worker.h"

extern PGDLLEXPORT void makini_sender_main(Datum arg);

/* Not idle for so long is a backlog; so long between two looks at it. */
#define BACKLOG_AFTER (USECS_PER_SEC / 5)
#define START_EVERY USECS_PER_SEC

#define TURN_MS 1000
#define LEAVE_AFTER (10 * USECS_PER_SEC)

/* ---- the scheduler's side ---- */

/* Keeps a place for one more sender; -1 where there are enough. */
static int
take_place(void)
{
	WorkerShared *shared = worker_shared();
	int			  others = 0;
	int			  slot = -1;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < WORKER_SENDERS; i++)
	{
		if (shared->senders[i].process.state == WORKER_NONE)
			slot = i;
		else if (shared->senders[i].database == MyDatabaseId)
			others++;
	}
	if (others >= makini_webhook_workers - 1)
		slot = -1;
	if (slot >= 0)
	{
		shared->senders[slot].database = MyDatabaseId;
		(void) worker_reserve(&shared->senders[slot].process);
	}
	LWLockRelease(shared->lock);
	return slot;
}

void
sender_workers_look(bool idle)
{
	static TimestampTz busy_since = 0;
	static TimestampTz not_before = 0;
	TimestampTz		   now = GetCurrentTimestamp();
	int				   slot;

	if (idle || makini_webhook_workers < 2)
		busy_since = 0;
	else if (busy_since == 0)
		busy_since = now;
	if (busy_since == 0 || now < busy_since + BACKLOG_AFTER || now < not_before)
		return;
	not_before = now + START_EVERY;
	while ((slot = take_place()) >= 0 && worker_start(WORKER_SENDER, slot))
		;
}

/* ---- the process ---- */

void
makini_sender_main(Datum arg)
{
	TimestampTz busy_at = GetCurrentTimestamp();

	(void) worker_begin(WORKER_SENDER, arg);
	sender_begin();
	while (makini_launcher && instance_may_run() &&
		   !(sender_is_idle() && GetCurrentTimestamp() > busy_at + LEAVE_AFTER))
	{
		sender_turn(TURN_MS);
		worker_handle_signals();
		if (!sender_is_idle())
			busy_at = GetCurrentTimestamp();
	}
	sender_end();
}
