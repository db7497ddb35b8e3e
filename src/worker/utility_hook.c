/*-------------------------------------------------------------------------
 *
 * utility_hook.c
 *		Commands that need a database without workers of makini's.
 *
 * A connected worker makes DROP DATABASE, CREATE DATABASE ... TEMPLATE, ALTER
 * DATABASE ... RENAME and SET TABLESPACE fail after five seconds, and holds up
 * DROP EXTENSION and ALTER EXTENSION.  Before such a command the workers of
 * its database are ended, and none is started until its transaction is over.
 * Whoever may not run the command ends nothing.
 *
 * And COMMIT PREPARED: the backend that commits knows nothing of the events and
 * requests that another one has written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "worker/worker.h"

/* How long a worker may take to abort what it is at; then the command finds out by itself. */
#define PATIENCE (10 * USECS_PER_SEC)
#define LOOK_EVERY_MS 10

/* More databases are not blocked by one transaction: the commands are rare, and one each. */
#define BLOCKED 8

static ProcessUtility_hook_type next_hook = NULL;

/* What this transaction has blocked, each once. */
static Oid	blocked[BLOCKED];
static int	nblocked = 0;
static bool gone[BLOCKED]; /* the command drops it */

/* ---- blocking ---- */

/* With the lock held: true where there is a process that has to end. */
static bool
tell_process(WorkerProcess *process)
{
	/* what is starting finds out itself that it must not */
	if (process->state == WORKER_STARTING)
		process->state = WORKER_NONE;
	if (process->state == WORKER_NONE)
		return false;
	kill(process->pid, SIGTERM);
	return true;
}

static bool
tell_those_of(WorkerRun *runs, int n, Oid database)
{
	bool some = false;

	for (int i = 0; i < n; i++)
		if (runs[i].database == database)
			some |= tell_process(&runs[i].process);
	return some;
}

/* With the lock held: tell every worker of a database to end; false when there is none. */
static bool
tell_to_end(WorkerShared *shared, WorkerDatabase *entry)
{
	bool some = tell_process(&entry->scheduler);

	some |= tell_those_of(shared->runs, WORKER_RUNS, entry->database);
	some |= tell_those_of(shared->senders, WORKER_SENDERS, entry->database);
	return some;
}

static void
unblock_all(bool committed)
{
	WorkerShared *shared = worker_shared();

	if (nblocked == 0)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < nblocked; i++)
	{
		WorkerDatabase *entry = worker_database(blocked[i], false);

		if (entry == NULL || entry->blockers == 0)
			continue;
		entry->blockers--;
		if (committed && gone[i] && entry->blockers == 0)
			worker_forget_database(entry);
		else
			entry->wanted = true;
	}
	nblocked = 0;
	worker_wake_process(&shared->launcher);
	LWLockRelease(shared->lock);
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT)
		unblock_all(true);
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		unblock_all(false);
}

static void
at_exit(int code, Datum arg)
{
	unblock_all(false);
}

/* Counts this transaction among those that want the database for themselves. */
static void
block(WorkerDatabase *entry, bool goes)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		before_shmem_exit(at_exit, (Datum) 0);
		registered = true;
	}
	for (int i = 0; i < nblocked; i++)
	{
		if (blocked[i] == entry->database)
		{
			gone[i] |= goes;
			return;
		}
	}
	if (nblocked == BLOCKED)
		return;
	entry->blockers++;
	blocked[nblocked] = entry->database;
	gone[nblocked++] = goes;
}

/* End the workers of a database and wait until they are gone. */
static void
end_workers(Oid database, bool goes)
{
	static uint32 wait_event = 0;
	WorkerShared *shared = worker_shared();
	TimestampTz	  give_up = GetCurrentTimestamp() + PATIENCE;
	bool		  some;

	if (wait_event == 0)
		wait_event = makini_wait_event("MakiniWorkersEnd");
	for (;;)
	{
		WorkerDatabase *entry;

		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		entry = worker_database(database, false);
		some = false;
		if (entry != NULL)
		{
			block(entry, goes);
			some = tell_to_end(shared, entry);
		}
		LWLockRelease(shared->lock);
		if (!some || GetCurrentTimestamp() > give_up)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_EVERY_MS,
						 wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* ---- which command needs which database ---- */

static bool
owns(const char *name, Oid *database)
{
	*database = get_database_oid(name, true);
	return OidIsValid(*database) && makini_owns_database(*database);
}

/* PostgreSQL's own have_createdb_privilege() is not there in every minor release. */
static bool
may_create_databases(void)
{
	HeapTuple tuple;
	bool	  may;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (!HeapTupleIsValid(tuple))
		return false;
	may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return may;
}

static bool
may_copy(const char *name, Oid *database)
{
	HeapTuple tuple;
	bool	  may;

	*database = get_database_oid(name, true);
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(*database));
	if (!HeapTupleIsValid(tuple))
		return false;
	may = may_create_databases() &&
		(((Form_pg_database) GETSTRUCT(tuple))->datistemplate || makini_owns_database(*database));
	ReleaseSysCache(tuple);
	return may;
}

static const char *
text_option(List *options, const char *name)
{
	ListCell *cell;

	foreach(cell, options)
	{
		DefElem *option = lfirst(cell);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

static bool
names_makini(const DropStmt *drop)
{
	ListCell *cell;

	foreach(cell, drop->objects)
		if (strcmp(strVal(lfirst(cell)), "makini") == 0)
			return true;
	return false;
}

/* The database that a command needs for itself; goes: and drops. */
static bool
needs_database(Node *statement, Oid *database, bool *goes)
{
	const char *name;

	*goes = false;
	*database = MyDatabaseId;
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			*goes = true;
			return owns(((DropdbStmt *) statement)->dbname, database);
		case T_CreatedbStmt:
			name = text_option(((CreatedbStmt *) statement)->options, "template");
			return name != NULL && may_copy(name, database);
		case T_RenameStmt:
			return ((RenameStmt *) statement)->renameType == OBJECT_DATABASE &&
				owns(((RenameStmt *) statement)->subname, database);
		case T_AlterDatabaseStmt:
			return text_option(((AlterDatabaseStmt *) statement)->options, "tablespace") != NULL &&
				owns(((AlterDatabaseStmt *) statement)->dbname, database);
		case T_DropStmt:
			return ((DropStmt *) statement)->removeType == OBJECT_EXTENSION &&
				names_makini((DropStmt *) statement) && makini_owns_extension();
		case T_AlterExtensionStmt:
			return strcmp(((AlterExtensionStmt *) statement)->extname, "makini") == 0 &&
				makini_owns_extension();
		default:
			return false;
	}
}

/* Syncs may wait for what these change, and events tell of it. */
static bool
changes_connections(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterForeignServerStmt:
		case T_CreateUserMappingStmt:
		case T_AlterUserMappingStmt:
		case T_DropUserMappingStmt:
		case T_DropOwnedStmt:
			return true;
		case T_DropStmt:
			return ((DropStmt *) statement)->removeType == OBJECT_FOREIGN_SERVER ||
				((DropStmt *) statement)->removeType == OBJECT_FDW;
		default:
			return false;
	}
}

static bool
commits_prepared(Node *statement)
{
	return IsA(statement, TransactionStmt) &&
		((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;
}

/* Whether it was an event, a request or a schedule that was prepared, nobody knows. */
static void
wake_after_prepared(void)
{
	if (!IsTransactionState() || !OidIsValid(get_extension_oid("makini", true)))
		return;
	worker_wake_database(MyDatabaseId);
	worker_wake_sender(MyDatabaseId);
}

static void
process_utility(PlannedStmt *planned, const char *text, bool read_only,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
				DestReceiver *receiver, QueryCompletion *completion)
{
	Node *statement = planned->utilityStmt;
	bool  prepared = commits_prepared(statement);
	Oid	  database;
	bool  goes;

	/* there are no syscaches in an aborted transaction, and no such command either */
	if (!prepared && IsTransactionState() && needs_database(statement, &database, &goes))
		end_workers(database, goes);
	if (!prepared && IsTransactionState() && changes_connections(statement) &&
		OidIsValid(get_extension_oid("makini", true)))
		worker_wake_at_commit();
	if (next_hook != NULL)
		next_hook(planned, text, read_only, context, params, environment, receiver, completion);
	else
		standard_ProcessUtility(planned, text, read_only, context, params, environment, receiver,
								completion);
	if (prepared)
		wake_after_prepared();
}

void
utility_hook_init(void)
{
	next_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
