/*-------------------------------------------------------------------------
 *
 * run.c
 *		Works on one load from its beginning to its end, and says how that went.
 *
 * A run is transactions one after another, each of which leaves the target, the
 * load and the account in agreement; between them the network is waited for.
 * What ends a run early is recorded in a transaction of its own and raised again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "event/connection_state.h"
#include "makini.h"
#include "sync/drain.h"
#include "sync/drift.h"
#include "sync/run.h"

/* ---------------------------------------------------------------------
 * Steps
 * ---------------------------------------------------------------------
 */

/* The source with the columns that the load is about. */
static SyncSource *
source_of_load(const Run *run)
{
	Sync narrowed = *run->sync;

	if (run->load->columns != NIL)
		narrowed.columns = run->load->columns;
	return source_open(&narrowed);
}

/* The owner may have lost what create_sync asked for. */
static void
check_may_read(const Sync *sync)
{
	if (pg_class_aclcheck(sync->source, sync->owner, ACL_SELECT) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for foreign table %s", get_rel_name(sync->source)),
			 errdetail("Role \"%s\", which owns sync " INT64_FORMAT ", has no right to SELECT.",
					   sync->owner_name, sync->sync_id),
			 errhint("Grant it again, then SELECT makini.resume_sync(" INT64_FORMAT ").",
					 sync->sync_id)));
}

static void
open_source(Run *run)
{
	MemoryContext old;

	MemoryContextReset(run->source_cxt);
	old = MemoryContextSwitchTo(run->source_cxt);
	run->reader = NULL;
	run->source = source_of_load(run);
	check_may_read(run->sync);
	drift_reconcile(run->sync, run->source);
	run->target = target_open(run->sync, run->source->selected);
	run->conn = connection_open(run->source->table->serverid, run->sync->owner, REMOTE_USE_SYNC);
	run->conn->endpoint.usage = &run->usage;

	/* What was there before a load began can't be newer than what it reads. */
	if (run->load->mode != RUN_INCREMENTAL)
		run->target->yields = run->load->started_at;

	/* In the hour that a wall clock repeats a later change can look older. */
	if (run->conn->time_zone != NULL)
		run->target->ambiguous = true;
	run->apply =
		apply_begin(run->sync, run->target, run->run_id, &run->counters, run->load->was_empty);
	if (run->load->columns != NIL)
		apply_only_updates(run->apply);
	run->maker = rows_begin(run->conn, run->sync, run->source,
							run->load->mode == RUN_INCREMENTAL ? 0 : run->load->window_from,
							run->run_id, &run->counters);
	MemoryContextSwitchTo(old);
}

typedef struct Step
{
	Run	   *run;
	RunWork work;
} Step;

static void
do_step(void *arg)
{
	Step *step = arg;

	PushActiveSnapshot(GetTransactionSnapshot());
	step->work(step->run);
	PopActiveSnapshot();
}

typedef struct Leaving
{
	Run		  *run;
	ErrorData *error;
	bool	   left_out;
} Leaving;

static void
leave_out(void *arg)
{
	Leaving		 *leaving = arg;
	Run			 *run = leaving->run;
	MemoryContext old = MemoryContextSwitchTo(run->cxt);

	leaving->left_out = drift_left_out(run->sync, run->source, run->conn, leaving->error);
	MemoryContextSwitchTo(old);
	if (leaving->left_out)
		open_source(run);
}

/* Can the run go on without what the error is about? */
static bool
can_leave_out(Run *run, ErrorData *error)
{
	Leaving	   leaving = {run, error, false};
	ErrorData *another;

	if (run->source == NULL)
		return false;
	another = run_attempt(leave_out, &leaving);
	if (another != NULL)
		ReThrowError(another);
	return leaving.left_out;
}

/* A step's memory goes; where the load stands has to stay. */
static void
keep_position(Run *run, char *before)
{
	char *now = run->load->position;

	if (now == before)
		return;
	if (now != NULL)
		run->load->position = MemoryContextStrdup(run->cxt, now);
	if (before != NULL)
		pfree(before);
}

/*
 * run_step
 *		Do something in a transaction of its own.
 */
bool
run_step(Run *run, RunWork work)
{
	Step		  step = {run, work};
	Load		  load = *run->load;
	Counters	  counters = run->counters;
	MemoryContext old = MemoryContextSwitchTo(run->step_cxt);
	ErrorData	 *error = run_attempt(do_step, &step);

	if (error != NULL)
	{
		*run->load = load;
		run->counters = counters;
		if (!can_leave_out(run, error))
			ReThrowError(error);
	}
	keep_position(run, load.position);
	run_commit();
	MemoryContextSwitchTo(old);
	MemoryContextReset(run->step_cxt);
	return error == NULL;
}

void
run_steps(Run *run, RunWork work)
{
	while (!run_step(run, work))
		CHECK_FOR_INTERRUPTS();
}

/*
 * run_wait
 *		Wait for a reader's next page: between two transactions' work.
 */
void
run_wait(Run *run, Reader *reader)
{
	progress_wait(true);
	run->conn->connector->wait(reader);
	progress_wait(false);
}

/* ---------------------------------------------------------------------
 * The beginning and the end
 * ---------------------------------------------------------------------
 */

static void
update_sync(const char *statement, int n, Oid *types, Datum *values, const char *nulls)
{
	MakiniRights saved;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args(statement, n, types, values, nulls, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

static void
raise_source_changed(Sync *sync, const char *identity)
{
	sync->failed_as = "source_changed";
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("source of sync " INT64_FORMAT " has changed", sync->sync_id),
			 errdetail("Its rows came from %s; the server now points at %s.", sync->identity, identity),
			 errhint("Point the server back, or start over with SELECT makini.reset_sync(" INT64_FORMAT
					 ").",
					 sync->sync_id)));
}

/*
 * sync_identity
 *		Where a connection's rows come from; a cursor means nothing anywhere else,
 *		so that this raises where those of the sync came from elsewhere.
 */
char *
sync_identity(Sync *sync, const Connection *conn)
{
	char *identity = psprintf("%s%s%s", conn->endpoint.base_url, conn->endpoint.account ? " " : "",
							  conn->endpoint.account ? conn->endpoint.account : "");

	if (sync->identity != NULL && strcmp(sync->identity, identity) != 0)
		raise_source_changed(sync, identity);
	return identity;
}

static void
check_identity(Run *run)
{
	char *identity = sync_identity(run->sync, run->conn);
	Oid	  types[] = {INT8OID, TEXTOID};
	Datum values[2];

	if (run->sync->identity != NULL)
		return;
	values[0] = Int64GetDatum(run->sync->sync_id);
	values[1] = CStringGetTextDatum(identity);
	update_sync("UPDATE makini._sync SET identity = $2 WHERE sync_id = $1", 2, types, values, NULL);
}

static void
note_emptiness(Run *run)
{
	if (run->load->rows_done > 0 || run->load->was_empty || run->load->mode != RUN_INITIAL ||
		!target_is_empty(run->sync, run->target))
		return;
	run->load->was_empty = true;
	load_save(run->load);
	run->apply =
		apply_begin(run->sync, run->target, run->run_id, &run->counters, run->load->was_empty);
}

static void
begin(Run *run)
{
	account_bury(run->sync->sync_id, run->load->lane);
	if (run->load->mode == RUN_VERIFY && run->load->check_id == 0)
		run->load->check_id = verify_open(run->sync->sync_id);
	if (run->load->mode == RUN_FULL && run->load->started_at == 0)
		drift_try_again(run->sync);
	if (run->load->mode != RUN_DRAIN && run->load->started_at == 0)
		load_insert(run->load);
	run->run_id = account_open(run->sync, run->load);
	progress_begin(run->sync->sync_id, run->run_id, run->load->lane, run->load->rows_done);
}

static void
prepare(Run *run)
{
	MemoryContext old;

	open_source(run);
	check_identity(run);
	old = MemoryContextSwitchTo(run->source_cxt);
	note_emptiness(run);
	MemoryContextSwitchTo(old);
}

/*
 * run_set_window_end
 *		The source has told its clock: what changes later is not this load's.  While
 *		an initial load goes on, changes from here on are read beside it.
 */
void
run_set_window_end(Run *run, TimestampTz end)
{
	Oid	  types[] = {INT8OID, TIMESTAMPTZOID};
	Datum values[2];

	run->load->window_to = end;
	if (run->load->mode != RUN_INITIAL && run->load->mode != RUN_FULL)
		return;
	values[0] = Int64GetDatum(run->sync->sync_id);
	values[1] = TimestampTzGetDatum(end);
	update_sync("UPDATE makini._sync SET cursor = coalesce(cursor, $2),"
				" state = CASE WHEN data_as_of IS NULL THEN 'initial' ELSE state END"
				" WHERE sync_id = $1",
				2, types, values, NULL);
}

static const char *
state_statement(const Load *load)
{
	switch (load->columns != NIL ? RUN_VERIFY : load->mode)
	{
		case RUN_INITIAL:
			return "UPDATE makini._sync SET state = 'incremental', cursor = coalesce(cursor, $2),"
				   " data_as_of = coalesce(greatest(data_as_of, $2), $2), swept_at = $3,"
				   " last_success_at = pg_catalog.clock_timestamp(), consecutive_failures = 0,"
				   " last_error_code = NULL, last_error = NULL,"
				   " full_due_at = coalesce(full_due_at, $3 + (options->>'full_every')::interval)"
				   " WHERE sync_id = $1";
		case RUN_FULL:
			return "UPDATE makini._sync SET state = 'incremental', cursor = coalesce(cursor, $2),"
				   " data_as_of = greatest(data_as_of, $2), swept_at = $3,"
				   " last_success_at = pg_catalog.clock_timestamp(), consecutive_failures = 0,"
				   " last_error_code = NULL, last_error = NULL,"
				   /* it became due once more: the filter was changed meanwhile */
				   " full_due_at = CASE WHEN full_due_at > $3 AND full_due_at <= pg_catalog.clock_timestamp()"
				   "  THEN full_due_at ELSE $3 + (options->>'full_every')::interval END WHERE sync_id = $1";
		case RUN_INCREMENTAL:
			return "UPDATE makini._sync SET cursor = greatest(cursor, $2),"
				   " state = CASE WHEN EXISTS (SELECT FROM makini._load l WHERE l.sync_id = $1"
				   "  AND l.mode = 'initial') AND data_as_of IS NULL THEN 'initial' ELSE 'incremental' END,"
				   " data_as_of = CASE WHEN data_as_of IS NOT NULL THEN greatest(data_as_of, $2) END,"
				   " swept_at = CASE WHEN swept_at < $3 - interval '1 day' THEN $3 ELSE swept_at END,"
				   " last_success_at = pg_catalog.clock_timestamp(), consecutive_failures = 0,"
				   " last_error_code = NULL, last_error = NULL WHERE sync_id = $1";
		default:
			return "UPDATE makini._sync SET last_success_at = pg_catalog.clock_timestamp()"
				   " WHERE sync_id = $1 AND $2 IS NOT DISTINCT FROM $2 AND $3 IS NOT DISTINCT FROM $3";
	}
}

static void
finish(Run *run)
{
	Oid	  types[] = {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[3];
	char  nulls[] = "   ";

	progress_phase(PHASE_FINISHING);
	values[0] = Int64GetDatum(run->sync->sync_id);
	values[1] = TimestampTzGetDatum(run->load->window_to);
	nulls[1] = run->load->window_to == 0 ? 'n' : ' ';
	values[2] = TimestampTzGetDatum(run->load->started_at);
	load_delete(run->load);
	canary_keep(run);
	if (run->load->mode == RUN_VERIFY)
		verify_close(run->load->check_id);
	if (run->load->mode == RUN_FULL)
		drift_come_back(run->sync, run->source);
	account_save(run->run_id, run->load, &run->counters, &run->usage);
	update_sync(state_statement(run->load), 3, types, values, nulls);
	account_close(run->sync, run->run_id,
				  run->counters.rejected + run->rejects_open > 0 ? "partial" : "completed", NULL);
}

/* ---------------------------------------------------------------------
 * Failures
 * ---------------------------------------------------------------------
 */

typedef struct Failure
{
	Run		  *run;
	ErrorData *error;
} Failure;

static const char *
state_after(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE)
		return "denied";
	if (error_is_passing(error) ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION)
		return NULL;
	return "failed";
}

static void
record_failure(void *arg)
{
	Failure	   *failure = arg;
	Run		   *run = failure->run;
	bool		cancelled = failure->error->sqlerrcode == ERRCODE_QUERY_CANCELED;
	const char *state = state_after(failure->error);
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4];
	char		nulls[] = "    ";

	account_save(run->run_id, run->load, &run->counters, &run->usage);
	account_close(run->sync, run->run_id, cancelled ? "cancelled" : "failed", failure->error);
	if (cancelled)
		return;
	values[0] = Int64GetDatum(run->sync->sync_id);
	values[1] = state == NULL ? (Datum) 0 : CStringGetTextDatum(state);
	nulls[1] = state == NULL ? 'n' : ' ';
	values[2] = CStringGetTextDatum(error_name(run->sync, failure->error));
	values[3] = CStringGetTextDatum(failure->error->message);
	update_sync("UPDATE makini._sync SET state = coalesce($2, state), last_error_code = $3,"
				" last_error = $4, consecutive_failures = consecutive_failures + 1"
				" WHERE sync_id = $1",
				4, types, values, nulls);
}

/* Whatever happens to the record, the error itself is what the caller hears of. */
static void
fail(Run *run, ErrorData *error)
{
	Failure failure = {run, error};

	if (run->run_id != 0 && run_attempt(record_failure, &failure) == NULL)
		run_commit();
}

static void
note_states(void *arg)
{
	Run *run = arg;

	PushActiveSnapshot(GetTransactionSnapshot());
	connection_state_note(GetForeignTable(run->sync->source)->serverid);
	PopActiveSnapshot();
}

/* What the run learned about its connection; that it can't be kept is no failure of the run. */
static void
keep_states(Run *run)
{
	if (run_attempt(note_states, run) == NULL)
		run_commit();
}

/* ---------------------------------------------------------------------
 * Runs
 * ---------------------------------------------------------------------
 */

static Run *
new_run(MemoryContext cxt, Sync *sync, Load *load)
{
	Run *run = MemoryContextAllocZero(cxt, sizeof(Run));

	run->cxt = cxt;
	run->source_cxt = AllocSetContextCreate(cxt, "makini source", ALLOCSET_DEFAULT_SIZES);
	run->step_cxt = AllocSetContextCreate(cxt, "makini step", ALLOCSET_DEFAULT_SIZES);
	run->sync = sync;
	run->load = load;
	return run;
}

/* Others wait for the place, or the hours are over: the load is for a later run. */
static void
leave(Run *run)
{
	ErrorData reason = {.sqlerrcode = ERRCODE_QUERY_CANCELED,
						.message = "stopped between two pages, to go on later"};

	account_save(run->run_id, run->load, &run->counters, &run->usage);
	account_close(run->sync, run->run_id, "cancelled", &reason);
}

static void
do_load(Run *run)
{
	run_step(run, begin);
	run_steps(run, prepare);
	run_pass(run);
	if (run->load->mode == RUN_INCREMENTAL && !run->left)
	{
		run_orphans(run);
		run_tombstones(run);
	}
	run_step(run, run->left ? leave : finish);
}

static void
open_drain(Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->cxt);

	if (!run->sync->enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("drain " INT64_FORMAT " is disabled", run->sync->sync_id),
				 errhint("Enable it with SELECT makini.resume_sync(" INT64_FORMAT ").",
						 run->sync->sync_id)));
	run->conn = connection_open(GetForeignTable(run->sync->source)->serverid, run->sync->owner,
								REMOTE_USE_SYNC);
	run->conn->endpoint.usage = &run->usage;
	check_identity(run);
	MemoryContextSwitchTo(old);
}

static void
do_drain(Run *run)
{
	ErrorData *error;

	run_step(run, begin);
	run_step(run, open_drain);
	error = drain_run(run);
	if (error != NULL)
		ReThrowError(error);
	run_step(run, finish);
}

/*
 * run_load
 *		Work on one load to its end, with its lane locked; the lock goes with an
 *		error.  False: it was left between two pages, for a later run.
 */
bool
run_load(MemoryContext cxt, Sync *sync, Load *load)
{
	Run *run = new_run(cxt, sync, load);

	PG_TRY();
	{
		if (sync->mode == SYNC_DRAIN)
			do_drain(run);
		else
			do_load(run);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(run->cxt);
		error = CopyErrorData();
		FlushErrorState();
		fail(run, error);
		keep_states(run);
		progress_end();
		sync_unlock(sync->sync_id, load->lane);
		ReThrowError(error);
	}
	PG_END_TRY();
	keep_states(run);
	progress_end();
	return !run->left;
}
