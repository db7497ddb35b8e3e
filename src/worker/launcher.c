/*-------------------------------------------------------------------------
 *
 * launcher.c
 *		One per cluster, connected to no database: starts a scheduler in each
 *		database that has something due.
 *
 * When it starts, which is also at promotion, it visits each database once to
 * find those that have makini.  From then on it sleeps until the next time
 * that a scheduler has left behind, or until somebody commits work.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "worker/worker.h"

extern PGDLLEXPORT void makini_launcher_main(Datum arg);

/* Databases that are still to be visited. */
static List *visits = NIL;

void
launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	snprintf(worker.bgw_name, BGW_MAXLEN, "makini launcher");
	snprintf(worker.bgw_type, BGW_MAXLEN, "makini launcher");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "makini");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "makini_launcher_main");
	RegisterBackgroundWorker(&worker);
}

/* ---- databases ---- */

static bool
may_have_workers(Form_pg_database database)
{
	/* -2: a DROP DATABASE that did not get to its end */
	return database->datallowconn && !database->datistemplate && database->datconnlimit != -2;
}

static void
list_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	Relation	  relation;
	TableScanDesc scan;
	HeapTuple	  tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext	 transaction = MemoryContextSwitchTo(caller);

		if (may_have_workers(database))
			visits = lappend_oid(visits, database->oid);
		MemoryContextSwitchTo(transaction);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
}

static bool
database_is_there(Oid database)
{
	HeapTuple tuple;
	bool	  found;

	StartTransactionCommand();
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	found = HeapTupleIsValid(tuple) && may_have_workers((Form_pg_database) GETSTRUCT(tuple));
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	CommitTransactionCommand();
	return found;
}

/* ---- visits ---- */

/* With the lock held. */
static bool
is_visiting(WorkerShared *shared)
{
	for (int i = 0; i < WORKER_DATABASES; i++)
		if (shared->databases[i].visiting)
			return true;
	return false;
}

/*
 * One after another: a database joins those that are wanted when the one
 * before is done.  False when none did.
 */
static bool
next_visit(void)
{
	WorkerShared   *shared = worker_shared();
	WorkerDatabase *entry = NULL;
	Oid				database;
	bool			busy;

	if (visits == NIL)
		return false;
	database = linitial_oid(visits);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	busy = is_visiting(shared);
	if (!busy && (entry = worker_database(database, true)) != NULL)
	{
		entry->visiting = true;
		entry->wanted = true;
	}
	LWLockRelease(shared->lock);
	if (busy)
		return false;
	/* says that there is no room */
	if (entry == NULL)
		worker_wake_database(database);
	visits = list_delete_first(visits);
	return true;
}

/* ---- starting ---- */

/* What an earlier launcher had begun to start is nobody's. */
static void
forget_earlier_starts(void)
{
	WorkerShared *shared = worker_shared();

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < WORKER_DATABASES; i++)
		if (shared->databases[i].scheduler.state == WORKER_STARTING)
			shared->databases[i].scheduler.state = WORKER_NONE;
	LWLockRelease(shared->lock);
}

/* With the lock held: when a database is to be looked at. */
static TimestampTz
due_at(const WorkerDatabase *entry)
{
	TimestampTz due = entry->wanted ? 0 : entry->next_due;

	if (!OidIsValid(entry->database) || entry->blockers > 0 ||
		entry->scheduler.state != WORKER_NONE || due == WORKER_NEVER)
		return WORKER_NEVER;
	return Max(due, entry->not_before);
}

static void
start_scheduler(int slot)
{
	WorkerShared   *shared = worker_shared();
	WorkerDatabase *entry = &shared->databases[slot];
	bool			there = database_is_there(entry->database);
	bool			start = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (!there)
		worker_forget_database(entry);
	else if (due_at(entry) != WORKER_NEVER)
	{
		(void) worker_reserve(&entry->scheduler);
		start = true;
	}
	LWLockRelease(shared->lock);

	if (start && !worker_start(WORKER_SCHEDULER, slot))
	{
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		entry->wanted = true;
		entry->not_before =
			worker_now() + worker_backoff(++entry->failures, 1000000, INT64CONST(60000000));
		LWLockRelease(shared->lock);
	}
}

static void
start_due(void)
{
	WorkerShared *shared = worker_shared();
	TimestampTz	  now = worker_now();

	for (int i = 0; i < WORKER_DATABASES; i++)
	{
		bool due;

		LWLockAcquire(shared->lock, LW_SHARED);
		due = due_at(&shared->databases[i]) <= now;
		LWLockRelease(shared->lock);
		if (due)
			start_scheduler(i);
	}
}

/*
 * When to look again, WORKER_NEVER: when told to.  Whoever has asked meanwhile
 * counts, should a wait for a lock have used the latch up.
 */
static TimestampTz
next_start(void)
{
	WorkerShared *shared = worker_shared();
	TimestampTz	  next = WORKER_NEVER;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < WORKER_DATABASES; i++)
		next = Min(next, due_at(&shared->databases[i]));
	LWLockRelease(shared->lock);
	return next;
}

/* ---- the process ---- */

void
makini_launcher_main(Datum arg)
{
	uint32 wait_event;

	(void) worker_begin(WORKER_LAUNCHER, arg);
	wait_event = makini_wait_event("MakiniLauncherMain");
	forget_earlier_starts();
	list_databases();
	for (;;)
	{
		TimestampTz next = WORKER_NEVER;

		(void) worker_reap();
		if (makini_launcher && instance_may_run())
		{
			do
				start_due();
			while (next_visit());
			next = next_start();
		}
		worker_sleep(next, wait_event);
	}
}
