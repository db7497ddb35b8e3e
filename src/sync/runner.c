/*-------------------------------------------------------------------------
 *
 * runner.c
 *		Run workers: take jobs one after another, until none is left or another
 *		database waits for the place.
 *
 * A job is run as a person would: with CALL at top level, through a portal, so
 * that it commits as it goes and has no snapshot, transaction id or lock on a
 * relation while it waits for the network.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "event/watch.h"
#include "sync/job.h"
#include "worker/worker.h"

extern PGDLLEXPORT void makini_runner_main(Datum arg);

/* ---- running ---- */

static char *
statement_of(const Job *job)
{
	const char *procedure =
		makini_test_job != NULL && makini_test_job[0] != '\0' ? makini_test_job : "makini._run_job";

	/* a number and words of makini's own: nothing that would have to be quoted */
	return psprintf("CALL %s(" INT64_FORMAT ", '%s', %s%s%s)", procedure, job->sync_id,
					job->backfill ? "backfill" : "incremental", job->mode[0] ? "'" : "",
					job->mode[0] ? job->mode : "NULL", job->mode[0] ? "'" : "");
}

/* As a backend does with a statement that it was sent. */
static void
execute_at_top_level(const char *statement)
{
	RawStmt		 *parsed = linitial_node(RawStmt, pg_parse_query(statement));
	CommandTag	  tag = CreateCommandTag(parsed->stmt);
	DestReceiver *nowhere = CreateDestReceiver(DestNone);
	List		 *plans;
	Portal		  portal;

	PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(parsed, statement, NULL, 0, NULL),
							statement, 0, NULL);
	PopActiveSnapshot();
	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, statement, tag, plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	makini_portal_run(portal, nowhere);
	nowhere->rDestroy(nowhere);
	PortalDrop(portal, false);
}

/* NULL, or the error that ended the run, in the caller's memory. */
static ErrorData *
run(const Job *job)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorData *volatile failed = NULL;
	char *statement = statement_of(job);

	pgstat_report_activity(STATE_RUNNING, statement);
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		MemoryContextSwitchTo(MessageContext);
		execute_at_top_level(statement);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		failed = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(MessageContext);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return failed;
}

/*
 * A run writes down itself how it ended.  Where it raised an error before it
 * could do that, the sync's failures are what they were.
 */
static void
finish_job(const Job *job, int failures, const ErrorData *failed)
{
	bool cancelled = failed != NULL && failed->sqlerrcode == ERRCODE_QUERY_CANCELED;

	if (!worker_has_extension())
		return;
	if (failed != NULL && !cancelled && job_failures(job) == failures)
		job_note_failure(job, failed);
	job_finish(job, cancelled);
}

/* False when there was nothing to do. */
static bool
next_job(int slot)
{
	Job		   job;
	ErrorData *failed;
	int		   failures;

	if (!job_claim(slot, worker_token(), worker_now(), &job))
		return false;
	worker_has_work();
	failures = job_failures(&job);
	give_way_begin(slot, &job);
	failed = run(&job);
	give_way_begin(slot, NULL);
	job.gave_way = job.gave_way && failed == NULL;
	finish_job(&job, failures, failed);
	return true;
}

/* One watch that is due; what is wrong with it is noted with it. */
static bool
next_watch(void)
{
	bool found;

	pgstat_report_activity(STATE_RUNNING, "makini watch");
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	found = watch_run_next(worker_now());
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	if (found)
		worker_has_work();
	return found;
}

/* One account whose fields are due to be looked at. */
static bool
next_account(void)
{
	bool found;

	pgstat_report_activity(STATE_RUNNING, "makini account");
	SetCurrentStatementStartTimestamp();
	found = account_look_next(worker_now());
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	if (found)
		worker_has_work();
	return found;
}

/* False when nothing is left.  None of syncs, watches and accounts wait for all of the others. */
static bool
next_thing(int slot)
{
	bool found;

	if (!worker_has_extension())
		return false;
	found = next_watch();
	found |= next_account();
	return next_job(slot) || found;
}

/* There are to be fewer workers than there are. */
static bool
are_too_many(void)
{
	WorkerShared *shared = worker_shared();
	bool		  too_many;

	LWLockAcquire(shared->lock, LW_SHARED);
	too_many = worker_count_runs(InvalidOid) > makini_max_workers;
	LWLockRelease(shared->lock);
	return too_many;
}

void
makini_runner_main(Datum arg)
{
	int			  slot = worker_begin(WORKER_RUN, arg);
	MemoryContext memory =
		AllocSetContextCreate(TopMemoryContext, "makini run", ALLOCSET_DEFAULT_SIZES);

	MessageContext = AllocSetContextCreate(TopMemoryContext, "MessageContext", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(memory);
	/* who was started does one thing at least: else two could give way to each other for ever */
	while (makini_launcher && instance_may_run() && next_thing(slot) && !another_database_waits() &&
		   !are_too_many())
	{
		MemoryContextSwitchTo(memory);
		MemoryContextReset(memory);
		worker_handle_signals();
	}
}
