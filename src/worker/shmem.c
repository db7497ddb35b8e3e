/*-------------------------------------------------------------------------
 *
 * shmem.c
 *		The shared table in which launcher, schedulers and run workers meet.
 *
 * It exists only where the library is preloaded, in the main segment, so that
 * looking at it can't fail at the end of a transaction or of a process.  A
 * process that dies without giving its place back takes the whole cluster
 * through a restart, which empties the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "commands/extension.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "worker/worker.h"

#define TRANCHE "MakiniWorker"

static WorkerShared			  *shared = NULL;
static shmem_request_hook_type next_request = NULL;
static shmem_startup_hook_type next_startup = NULL;

/* Which place this process has, if it is a worker. */
static WorkerKind my_kind;
static int		  my_slot;
static uint32	  my_token;

static bool found_work = false;

static bool wake_at_commit = false;

/* ---- the table ---- */

static void
request_memory(void)
{
	if (next_request)
		next_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(WorkerShared)));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
set_up_memory(void)
{
	bool found;

	if (next_startup)
		next_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("makini_worker", sizeof(WorkerShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(WorkerShared));
		shared->lock = &GetNamedLWLockTranche(TRANCHE)->lock;
		shared->epoch = GetCurrentTimestamp();
	}
	LWLockRelease(AddinShmemInitLock);
}

void
worker_shared_init(void)
{
	next_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup = shmem_startup_hook;
	shmem_startup_hook = set_up_memory;
}

WorkerShared *
worker_shared(void)
{
	return shared;
}

WorkerDatabase *
worker_database(Oid database, bool add)
{
	WorkerDatabase *free_entry = NULL;

	for (int i = 0; i < WORKER_DATABASES; i++)
	{
		WorkerDatabase *entry = &shared->databases[i];

		if (entry->database == database)
			return entry;
		if (!OidIsValid(entry->database) && free_entry == NULL)
			free_entry = entry;
	}
	if (!add || free_entry == NULL)
		return NULL;
	memset(free_entry, 0, sizeof(WorkerDatabase));
	free_entry->database = database;
	free_entry->next_due = WORKER_NEVER;
	free_entry->send_due = WORKER_NEVER;
	free_entry->waiting_since = WORKER_NEVER;
	return free_entry;
}

void
worker_forget_database(WorkerDatabase *entry)
{
	memset(entry, 0, sizeof(WorkerDatabase));
}

void
worker_wake_process(const WorkerProcess *process)
{
	if (process->state == WORKER_RUNNING)
		SetLatch(process->latch);
}

uint32
worker_reserve(WorkerProcess *process)
{
	process->state = WORKER_STARTING;
	process->pid = MyProcPid;
	process->token = ++shared->last_token;
	process->latch = NULL;
	return process->token;
}

bool
worker_is_alive(const WorkerProcess *process, uint32 token)
{
	return process->state != WORKER_NONE && process->token == token;
}

int
worker_count_runs(Oid database)
{
	int n = 0;

	for (int i = 0; i < WORKER_RUNS; i++)
		if (shared->runs[i].process.state != WORKER_NONE &&
			(!OidIsValid(database) || shared->runs[i].database == database))
			n++;
	return n;
}

int
worker_count_takers(Oid database)
{
	int n = worker_count_runs(database);

	for (int i = 0; i < WORKER_RUNS; i++)
		if (shared->runs[i].process.state != WORKER_NONE && shared->runs[i].database == database &&
			shared->runs[i].looks)
			n--;
	return n;
}

bool
worker_others_first(Oid database, int workers, TimestampTz since)
{
	for (int i = 0; i < WORKER_DATABASES; i++)
	{
		const WorkerDatabase *other = &shared->databases[i];
		int					  theirs;

		if (!OidIsValid(other->database) || other->database == database ||
			other->waiting_since == WORKER_NEVER)
			continue;
		theirs = worker_count_runs(other->database);
		if (theirs < workers || (theirs == workers && other->waiting_since < since))
			return true;
	}
	return false;
}

/* ---- telling workers ---- */

static void
wake_database(Oid database, bool look)
{
	WorkerDatabase *entry;
	bool			no_room = false;

	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = worker_database(database, true);
	if (entry != NULL)
	{
		entry->wanted = true;
		entry->look |= look;
		entry->send |= !look;
		worker_wake_process(entry->scheduler.state == WORKER_RUNNING ? &entry->scheduler :
																	   &shared->launcher);
	}
	else
	{
		no_room = !shared->no_room_said;
		shared->no_room_said = true;
	}
	LWLockRelease(shared->lock);
	if (no_room)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("makini's workers serve at most %d databases", WORKER_DATABASES),
				 errdetail("The database with OID %u is left out.", database),
				 errhint("Run syncs there with CALL makini.run_sync, or put them into another database.")));
}

void
worker_wake_database(Oid database)
{
	wake_database(database, true);
}

void
worker_wake_sender(Oid database)
{
	wake_database(database, false);
}

/*
 * Whoever is woken looks at once, and must not find old things: this comes after
 * all were told what of their catalogue caches is out of date, which is later
 * than XACT_EVENT_COMMIT.
 */
static void
at_transaction_end(ResourceReleasePhase phase, bool committed, bool top_level, void *arg)
{
	if (!wake_at_commit || !top_level || phase != RESOURCE_RELEASE_AFTER_LOCKS)
		return;
	wake_at_commit = false;
	if (committed)
		worker_wake_database(MyDatabaseId);
}

void
worker_wake_at_commit(void)
{
	static bool registered = false;

	if (!registered)
		RegisterResourceReleaseCallback(at_transaction_end, NULL);
	registered = true;
	wake_at_commit = true;
}

bool
worker_available(void)
{
	return shared != NULL && makini_launcher && shared->launcher.state == WORKER_RUNNING;
}

TimestampTz
worker_now(void)
{
	if (shared != NULL && shared->clock_stands != 0)
		return shared->clock_stands;
	return worker_time(GetCurrentTimestamp());
}

TimestampTz
worker_time(TimestampTz clock)
{
	return clock + (shared == NULL || TIMESTAMP_NOT_FINITE(clock) ? 0 : shared->clock_offset);
}

/* ---- being a worker ---- */

static WorkerProcess *
process_of(WorkerKind kind, int slot)
{
	switch (kind)
	{
		case WORKER_LAUNCHER:
			return &shared->launcher;
		case WORKER_SCHEDULER:
			return &shared->databases[slot].scheduler;
		case WORKER_SENDER:
			return &shared->senders[slot].process;
		case WORKER_RUN:
			break;
	}
	return &shared->runs[slot].process;
}

static Oid
database_of(WorkerKind kind, int slot)
{
	switch (kind)
	{
		case WORKER_LAUNCHER:
			return InvalidOid;
		case WORKER_SCHEDULER:
			return shared->databases[slot].database;
		case WORKER_SENDER:
			return shared->senders[slot].database;
		case WORKER_RUN:
			break;
	}
	return shared->runs[slot].database;
}

/* With the lock held. */
static void
wake_to_look(WorkerDatabase *entry)
{
	entry->wanted = true;
	entry->look = true;
	worker_wake_process(entry->scheduler.state == WORKER_RUNNING ? &entry->scheduler :
																   &shared->launcher);
}

/* With the lock held: whoever waits for a place looks again, and the scheduler for what is left. */
static void
run_ended(Oid database)
{
	WorkerDatabase *entry = worker_database(database, false);

	for (int i = 0; i < WORKER_DATABASES; i++)
		if (OidIsValid(shared->databases[i].database) &&
			shared->databases[i].waiting_since != WORKER_NEVER)
			wake_to_look(&shared->databases[i]);
	if (entry == NULL)
		return;
	entry->found_nothing = found_work ? 0 : entry->found_nothing + 1;
	wake_to_look(entry);
}

/* With the lock held. */
static void
scheduler_ended(WorkerDatabase *entry, bool failed)
{
	entry->visiting = false;
	entry->waiting_since = WORKER_NEVER;
	if (failed)
	{
		entry->wanted = true;
		entry->look = true;
		entry->send = true;
		entry->not_before =
			worker_now() + worker_backoff(++entry->failures, USECS_PER_SEC, 60 * USECS_PER_SEC);
	}
	worker_wake_process(&shared->launcher);
}

/* Runs when the process is no longer seen as connected to its database. */
static void
give_place_back(int code, Datum arg)
{
	WorkerProcess *process = process_of(my_kind, my_slot);

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (worker_is_alive(process, my_token))
	{
		process->state = WORKER_NONE;
		process->latch = NULL;
		if (my_kind == WORKER_RUN)
			run_ended(shared->runs[my_slot].database);
		else if (my_kind == WORKER_SCHEDULER)
			scheduler_ended(&shared->databases[my_slot], code != 0);
	}
	LWLockRelease(shared->lock);
}

/* With the lock held: is the place still this process's, and may it connect? */
static bool
take_place(WorkerProcess *process, Oid database)
{
	WorkerDatabase *entry = OidIsValid(database) ? worker_database(database, false) : NULL;

	if (my_kind == WORKER_LAUNCHER)
	{
		my_token = worker_reserve(process);
	}
	else if (!worker_is_alive(process, my_token))
		return false;
	else if (entry == NULL || entry->blockers > 0)
	{
		process->state = WORKER_NONE;
		return false;
	}
	process->state = WORKER_RUNNING;
	process->pid = MyProcPid;
	process->latch = MyLatch;
	return true;
}

int
worker_begin(WorkerKind kind, Datum arg)
{
	WorkerProcess *process;
	Oid			   database;
	bool		   mine;

	my_kind = kind;
	my_slot = DatumGetInt32(arg);
	memcpy(&my_token, MyBgworkerEntry->bgw_extra, sizeof(my_token));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	process = process_of(kind, my_slot);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	database = database_of(kind, my_slot);
	mine = take_place(process, database);
	LWLockRelease(shared->lock);
	if (!mine)
		proc_exit(0);
	on_shmem_exit(give_place_back, (Datum) 0);

	if (OidIsValid(database))
		BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	else
		BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname(MyBgworkerEntry->bgw_type);
	return my_slot;
}

uint32
worker_token(void)
{
	return my_token;
}

bool
worker_has_extension(void)
{
	bool there;

	StartTransactionCommand();
	there = OidIsValid(get_extension_oid("makini", true));
	CommitTransactionCommand();
	return there;
}

void
worker_has_work(void)
{
	found_work = true;
}

/* ---- looking at accounts ---- */

/* With the lock held. */
static bool
somebody_looks(void)
{
	return worker_count_takers(MyDatabaseId) < worker_count_runs(MyDatabaseId);
}

bool
worker_somebody_looks(void)
{
	bool looks;

	LWLockAcquire(shared->lock, LW_SHARED);
	looks = somebody_looks();
	LWLockRelease(shared->lock);
	return looks;
}

bool
worker_begin_look(void)
{
	bool may;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	may = !somebody_looks();
	if (may)
		shared->runs[my_slot].looks = true;
	LWLockRelease(shared->lock);
	return may;
}

void
worker_is_looking(void)
{
	WorkerDatabase *entry;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	entry = worker_database(MyDatabaseId, false);
	if (entry != NULL)
		wake_to_look(entry);
	LWLockRelease(shared->lock);
}

void
worker_end_look(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->runs[my_slot].looks = false;
	LWLockRelease(shared->lock);
}

long
worker_wait_ms(TimestampTz until)
{
	TimestampTz now = worker_now();

	if (until == WORKER_NEVER)
		return -1;
	return until <= now ? 0 : (long) Min((until - now) / 1000 + 1, INT_MAX);
}

void
worker_handle_signals(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

void
worker_sleep(TimestampTz until, uint32 wait_event)
{
	long timeout = worker_wait_ms(until);

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout < 0 ? 0 : WL_TIMEOUT),
					 timeout, wait_event);
	ResetLatch(MyLatch);
	worker_handle_signals();
}
