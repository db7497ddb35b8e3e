/*-------------------------------------------------------------------------
 *
 * job.c
 *		The queue of jobs, in the table makini._job.
 *
 * A scheduler puts in what is due, run workers take out: a job is claimed in
 * one transaction, worked on outside any, and struck off in another.  A crash
 * is counted at the claim, before the work begins, so that a job that takes
 * the server down is not tried again at once for ever.
 *
 * One connection takes all workers but one at most, so that a source that hangs
 * does not stop the rest; backfills likewise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "event/watch.h"
#include "interval_setting.h"
#include "makini.h"
#include "private.h"
#include "sync/job.h"
#include "worker/worker.h"

#define MINUTE (60 * USECS_PER_SEC)

/* After crashes, and after runs that failed. */
#define CRASH_BASE (5 * USECS_PER_SEC)
#define FAILURE_BASE MINUTE
#define BACKOFF_CAP (60 * MINUTE)

/* ---- recovering ---- */

static bool
is_worked_on(int64 worker, int64 token, int64 epoch)
{
	WorkerShared *shared = worker_shared();
	bool		  alive;

	if (epoch != shared->epoch || worker < 0 || worker >= WORKER_RUNS)
		return false;
	LWLockAcquire(shared->lock, LW_SHARED);
	alive = worker_is_alive(&shared->runs[worker].process, (uint32) token);
	LWLockRelease(shared->lock);
	return alive;
}

/*
 * A worker of this life of the cluster that is gone was told to go, and its
 * crash that was counted is none.  The first crash costs no time.
 */
static void
requeue(int64 sync_id, const char *lane, bool crashed, int crashes, TimestampTz now)
{
	Oid	  types[4] = {INT8OID, TEXTOID, TIMESTAMPTZOID, INT4OID};
	Datum values[4];

	if (!crashed)
		crashes--;
	values[0] = Int64GetDatum(sync_id);
	values[1] = CStringGetTextDatum(lane);
	values[2] = TimestampTzGetDatum(now + worker_backoff(crashes - 1, CRASH_BASE, BACKOFF_CAP));
	values[3] = Int32GetDatum(crashes);
	SPI_execute_with_args("UPDATE makini._job SET worker = NULL, token = NULL, epoch = NULL,"
						  " started_at = NULL, due_at = $3, crashes = $4"
						  " WHERE sync_id = $1 AND lane = $2",
						  4, types, values, NULL, false, 0);
	if (crashed && crashes > 1)
		ereport(LOG,
				(errmsg("sync " INT64_FORMAT ": the server crashed %d times during a run of it",
						sync_id, crashes)));
}

void
job_recover(TimestampTz now)
{
	WorkerShared  *shared = worker_shared();
	SPITupleTable *rows;
	uint64		   n;

	SPI_execute("SELECT sync_id, lane, worker::bigint, token, epoch, crashes::bigint"
				" FROM makini._job WHERE worker IS NOT NULL FOR UPDATE SKIP LOCKED",
				false, 0);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		SPI_tuptable = rows;
		if (!is_worked_on(private_int64(i, 3, -1), private_int64(i, 4, 0), private_int64(i, 5, 0)))
			requeue(private_int64(i, 1, 0), private_text(i, 2),
					private_int64(i, 5, 0) != shared->epoch, (int) private_int64(i, 6, 0), now);
	}
}

/* ---- what is due ---- */

/* A schedule that can't be read harms its own sync only. */
static TimestampTz
next_time(const char *schedule, int64 sync_id, TimestampTz now)
{
	MemoryContext caller = CurrentMemoryContext;
	TimestampTz	  next = DT_NOEND;

	PG_TRY();
	{
		next = schedule_next_time(schedule, sync_id, now);
	}
	PG_CATCH();
	{
		ErrorData *error;

		/* reading a text leaves nothing behind that an abort would have to undo */
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_INVALID_PARAMETER_VALUE)
			PG_RE_THROW();
		FlushErrorState();
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("sync " INT64_FORMAT " is not scheduled: %s", sync_id, error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	return next;
}

static void
set_next_run(int64 sync_id, TimestampTz at)
{
	Oid	  types[2] = {INT8OID, TIMESTAMPTZOID};
	Datum values[2] = {Int64GetDatum(sync_id), TimestampTzGetDatum(at)};

	SPI_execute_with_args("UPDATE makini._sync SET next_run_at = $2"
						  " WHERE sync_id = $1 AND schedule IS NOT NULL",
						  2, types, values, NULL, false, 0);
}

/* When a backfill may begin: now, or when its hours come. */
static TimestampTz
backfill_begins(const char *hours, TimestampTz now, TimestampTz *closes)
{
	TimestampTz opens = now;

	*closes = DT_NOEND;
	if (hours != NULL)
		(void) schedule_in_hours(hours, now, &opens, closes);
	return opens;
}

static void
put_job(int64 sync_id, const char *lane, TimestampTz due)
{
	Oid	  types[3] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum values[3] = {Int64GetDatum(sync_id), CStringGetTextDatum(lane), TimestampTzGetDatum(due)};

	SPI_execute_with_args("INSERT INTO makini._job (sync_id, lane, due_at) VALUES ($1, $2, $3)"
						  " ON CONFLICT DO NOTHING",
						  3, types, values, NULL, false, 0);
}

/* Row i of SPI_tuptable, as job_queue_due() asks for it. */
static void
queue_one(uint64 i, TimestampTz now)
{
	int64		sync_id = private_int64(i, 1, 0);
	char	   *schedule = private_text(i, 2);
	bool		due = private_bool(i, 3);
	char	   *hours = private_text(i, 4);
	bool		changes = private_bool(i, 5);
	bool		backfill = private_bool(i, 6);
	TimestampTz closes;

	if (due && changes)
		put_job(sync_id, "incremental", now);
	if (due && backfill)
		put_job(sync_id, "backfill", backfill_begins(hours, now, &closes));
	set_next_run(sync_id, next_time(schedule, sync_id, now));
}

bool
job_queue_due(TimestampTz now)
{
	Oid			   types[1] = {TIMESTAMPTZOID};
	Datum		   values[1] = {TimestampTzGetDatum(now)};
	SPITupleTable *rows;
	uint64		   n;

	SPI_execute_with_args("SELECT s.sync_id, s.schedule, s.next_run_at IS NOT NULL,"
						  " s.options->>'backfill_between'," JOB_NEEDS_CHANGES
						  "," JOB_NEEDS_BACKFILL " FROM makini._sync s"
						  " WHERE s.schedule IS NOT NULL AND (s.next_run_at <= $1 OR s.next_run_at IS NULL)"
						  " AND" JOB_MAY_RUN " ORDER BY s.next_run_at FOR UPDATE OF s SKIP LOCKED",
						  1, types, values, NULL, false, 0);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		SPI_tuptable = rows;
		queue_one(i, now);
	}
	SPI_execute_with_args("SELECT FROM makini._sync s WHERE s.schedule IS NOT NULL AND"
						  " (s.next_run_at <= $1 OR s.next_run_at IS NULL) AND" JOB_MAY_RUN,
						  1, types, values, NULL, false, 1);
	return SPI_processed == 0;
}

/* ---- looking ---- */

/* How many workers may be busy with one connection, and how many with backfills. */
static int
of_one_kind(void)
{
	return Max(1, makini_max_workers - 1);
}

static int
backfills_left(void)
{
	WorkerShared *shared = worker_shared();
	int			  left = of_one_kind();

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < WORKER_RUNS; i++)
		if (shared->runs[i].process.state == WORKER_RUNNING && shared->runs[i].backfill)
			left--;
	LWLockRelease(shared->lock);
	return Max(0, left);
}

/* What job_claim() would find: both have the same limits. */
static const char *const look_statement =
	"WITH jobs AS (SELECT s.connection_id, j.worker IS NOT NULL AS running, j.due_at,"
	" j.due_at <= $1 AS due, j.lane = 'backfill' AS backfill"
	" FROM makini._job j JOIN makini._sync s USING (sync_id) WHERE" JOB_MAY_RUN "),"
	" counted AS (SELECT greatest($2 - count(*) FILTER (WHERE running), 0) AS room,"
	" count(*) FILTER (WHERE NOT running AND due AND NOT backfill) AS lines,"
	" count(*) FILTER (WHERE NOT running AND due AND backfill) AS loads"
	" FROM jobs GROUP BY connection_id)"
	" SELECT (SELECT coalesce(sum(least(lines, room)), 0)"
	" + least($3, coalesce(sum(least(loads, room - least(lines, room))), 0)) FROM counted)::bigint,"
	" count(*) FILTER (WHERE running),"
	" (SELECT coalesce(sum(greatest(lines - room, 0)), 0) FROM counted)::bigint,"
	" min(due_at) FILTER (WHERE NOT running AND due),"
	" min(due_at) FILTER (WHERE NOT running AND NOT due) FROM jobs";

/* Run workers see to other things too: one of them is enough, and takes them one by one. */
static void
look_at(TimestampTz due, TimestampTz now, JobQueue *queue)
{
	if (due <= now)
	{
		queue->ready++;
		queue->oldest = Min(queue->oldest, due);
	}
	else
		queue->next_due = Min(queue->next_due, due);
}

void
job_look(TimestampTz now, JobQueue *queue)
{
	Oid	  types[3] = {TIMESTAMPTZOID, INT8OID, INT8OID};
	Datum values[3];
	int64 next_run;

	values[0] = TimestampTzGetDatum(now);
	values[1] = Int64GetDatum(of_one_kind());
	values[2] = Int64GetDatum(backfills_left());
	SPI_execute_with_args(look_statement, 3, types, values, NULL, false, 1);
	queue->ready = (int) private_int64(0, 1, 0);
	queue->running = (int) private_int64(0, 2, 0);
	queue->crowded = (int) private_int64(0, 3, 0);
	queue->oldest = private_int64(0, 4, WORKER_NEVER);
	queue->next_due = private_int64(0, 5, WORKER_NEVER);

	SPI_execute("SELECT min(s.next_run_at) FROM makini._sync s WHERE s.schedule IS NOT NULL AND" JOB_MAY_RUN,
				false, 1);
	next_run = private_int64(0, 1, WORKER_NEVER);
	queue->next_due = Min(queue->next_due, next_run);
	look_at(watch_next_due(), now, queue);
	look_at(account_look_due(), now, queue);
	queue->next_due = Min(queue->next_due, age_look(now));
	if (TIMESTAMP_NOT_FINITE(queue->next_due))
		queue->next_due = WORKER_NEVER;
}

/* ---- giving way ---- */

/*
 * Loads give way to changes, for which they were meant to be no hindrance; what
 * runs for long, to changes and to other connections.  Not more than those that
 * wait.
 */
static const char *const give_way_statement =
	"WITH waiting AS (SELECT s.connection_id, j.lane = 'backfill' AS backfill"
	" FROM makini._job j JOIN makini._sync s USING (sync_id)"
	" WHERE j.worker IS NULL AND j.due_at <= $1 AND" JOB_MAY_RUN "),"
	" running AS (SELECT s.connection_id, j.worker, j.lane = 'backfill' AS backfill, j.started_at,"
	" count(*) OVER (PARTITION BY s.connection_id) >= $3 AS full"
	" FROM makini._job j JOIN makini._sync s USING (sync_id) WHERE j.worker IS NOT NULL)"
	" SELECT r.worker::bigint FROM running r WHERE EXISTS (SELECT FROM waiting w"
	"  WHERE ($2 OR r.full AND w.connection_id = r.connection_id)"
	"  AND (r.backfill AND NOT w.backfill"
	"   OR r.started_at <= $4 AND (NOT w.backfill OR w.connection_id <> r.connection_id)))"
	" ORDER BY r.backfill DESC, r.started_at LIMIT (SELECT count(*) FROM waiting)";

List *
job_give_way(TimestampTz now, bool all)
{
	Oid	  types[4] = {TIMESTAMPTZOID, BOOLOID, INT8OID, TIMESTAMPTZOID};
	Datum values[4];
	List *places = NIL;

	values[0] = TimestampTzGetDatum(now);
	values[1] = BoolGetDatum(all);
	values[2] = Int64GetDatum(of_one_kind());
	values[3] = TimestampTzGetDatum(now - GIVE_WAY_AFTER);
	(void) private_query(give_way_statement, 4, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		places = lappend_int(places, (int) private_int64(i, 1, 0));
	return places;
}

/* ---- claiming ---- */

/*
 * Changes come before loads, which are not to wait for ever where there are more
 * changes than workers.
 */
static const char *const claim_statement =
	"WITH busy AS (SELECT s.connection_id, count(*) AS workers FROM makini._job j"
	" JOIN makini._sync s USING (sync_id) WHERE j.worker IS NOT NULL GROUP BY s.connection_id),"
	" candidate AS (SELECT j.sync_id, j.lane, s.options->>'backfill_between' AS hours"
	" FROM makini._job j JOIN makini._sync s USING (sync_id)"
	" LEFT JOIN busy b ON b.connection_id = s.connection_id"
	" WHERE j.worker IS NULL AND j.due_at <= $1 AND" JOB_MAY_RUN
	" AND (b.workers IS NULL OR b.workers < $5)"
	" AND (j.lane = 'incremental' OR $6)"
	" ORDER BY j.lane = 'backfill' AND j.due_at > $1 - interval '5 min',"
	" coalesce(b.workers, 0), j.due_at, j.sync_id"
	" LIMIT 1 FOR UPDATE OF j SKIP LOCKED)"
	" UPDATE makini._job j SET worker = $2, token = $3, epoch = $4, started_at = $1,"
	" crashes = j.crashes + 1 FROM candidate c WHERE j.sync_id = c.sync_id AND j.lane = c.lane"
	" RETURNING j.sync_id, j.lane, j.mode, c.hours";

static void
take_claimed(Job *job, TimestampTz now)
{
	char *mode = private_text(0, 3);
	char *hours = private_text(0, 4);

	job->sync_id = private_int64(0, 1, 0);
	job->backfill = strcmp(private_text(0, 2), "backfill") == 0;
	strlcpy(job->mode, mode == NULL ? "" : mode, sizeof(job->mode));
	job->began = now;
	job->gave_way = false;
	job->closes = DT_NOEND;
	if (job->backfill)
		(void) backfill_begins(hours, now, &job->closes);
}

/*
 * One claim at a time, or two would each take the last place that a connection
 * has left.  Not an advisory lock: users have those too.
 */
static void
claim_alone(void)
{
	LockDatabaseObject(ExtensionRelationId, get_extension_oid("makini", false), 1, ExclusiveLock);
}

bool
job_claim(int slot, uint32 token, TimestampTz now, Job *job)
{
	PrivateTransaction transaction;
	Oid				   types[6] = {TIMESTAMPTZOID, INT4OID, INT8OID, INT8OID, INT4OID, BOOLOID};
	Datum			   values[6];
	bool			   found;

	values[0] = TimestampTzGetDatum(now);
	values[1] = Int32GetDatum(slot);
	values[2] = Int64GetDatum((int64) token);
	values[3] = Int64GetDatum(worker_shared()->epoch);
	values[4] = Int32GetDatum(of_one_kind());
	private_begin(&transaction);
	claim_alone();
	values[5] = BoolGetDatum(backfills_left() > 0);
	SPI_execute_with_args(claim_statement, 6, types, values, NULL, false, 0);
	found = SPI_processed > 0;
	if (found)
		take_claimed(job, now);
	private_end(&transaction);
	return found;
}

/* ---- the end of a job ---- */

static const char *
lane_of(const Job *job)
{
	return job->backfill ? "backfill" : "incremental";
}

/* Strikes the job off, or queues it again from a moment on (0: no). */
static void
close_job(const Job *job, TimestampTz again)
{
	Oid	  types[3] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum values[3];

	values[0] = Int64GetDatum(job->sync_id);
	values[1] = CStringGetTextDatum(lane_of(job));
	values[2] = TimestampTzGetDatum(again);
	if (again != 0)
		SPI_execute_with_args("UPDATE makini._job SET worker = NULL, token = NULL, epoch = NULL,"
							  " started_at = NULL, crashes = 0, mode = NULL, due_at = $3"
							  " WHERE sync_id = $1 AND lane = $2",
							  3, types, values, NULL, false, 0);
	else
		SPI_execute_with_args("DELETE FROM makini._job WHERE sync_id = $1 AND lane = $2", 2, types,
							  values, NULL, false, 0);
}

/*
 * Who gave way goes on as soon as there is a place, whatever went wrong before;
 * a load that is not through goes on too, and after failures both wait.
 */
void
job_finish(const Job *job, bool cancelled)
{
	PrivateTransaction transaction;
	TimestampTz		   now = worker_now();
	Oid				   types[1] = {INT8OID};
	Datum			   values[1] = {Int64GetDatum(job->sync_id)};

	private_begin(&transaction);
	SPI_execute_with_args("SELECT s.consecutive_failures::bigint, EXISTS (SELECT FROM makini._load l"
						  " WHERE l.sync_id = s.sync_id AND l.lane = 'backfill'),"
						  " s.options->>'backfill_between' FROM makini._sync s WHERE s.sync_id = $1",
						  1, types, values, NULL, false, 1);
	if (SPI_processed > 0)
	{
		int			failures = job->gave_way ? 0 : (int) private_int64(0, 1, 0);
		bool		goes_on = job->gave_way || (job->backfill && private_bool(0, 2) && !cancelled);
		char	   *hours = job->backfill ? private_text(0, 3) : NULL;
		TimestampTz again = now + worker_backoff(failures, FAILURE_BASE, BACKOFF_CAP);
		TimestampTz closes;

		close_job(job, goes_on ? backfill_begins(hours, again, &closes) : 0);
		if (failures > 0)
			set_next_run(job->sync_id, again);
	}
	private_end(&transaction);
}

/*
 * job_note_failure
 *		A run ended before it could write down why.
 */
void
job_note_failure(const Job *job, const ErrorData *failed)
{
	PrivateTransaction transaction;
	Oid				   types[3] = {INT8OID, TEXTOID, TEXTOID};
	Datum			   values[3];

	private_begin(&transaction);
	values[0] = Int64GetDatum(job->sync_id);
	values[1] = CStringGetTextDatum(unpack_sql_state(failed->sqlerrcode));
	values[2] = CStringGetTextDatum(failed->message);
	SPI_execute_with_args("UPDATE makini._sync SET consecutive_failures = consecutive_failures + 1,"
						  " last_error_code = $2, last_error = $3 WHERE sync_id = $1",
						  3, types, values, NULL, false, 0);
	private_end(&transaction);
}

/*
 * job_failures
 *		The sync's failures in a row, -1 where there is no such sync any more.
 */
int
job_failures(const Job *job)
{
	PrivateTransaction transaction;
	Oid				   types[1] = {INT8OID};
	Datum			   values[1] = {Int64GetDatum(job->sync_id)};
	int				   failures;

	private_begin(&transaction);
	(void) private_query("SELECT consecutive_failures::bigint FROM makini._sync WHERE sync_id = $1",
						 1, types, values, NULL);
	failures = SPI_processed == 0 ? -1 : (int) private_int64(0, 1, 0);
	private_end(&transaction);
	return failures;
}

/* ---- retention ---- */

int64
job_purge(TimestampTz now, int limit)
{
	Oid	  types[2] = {TIMESTAMPTZOID, INT4OID};
	Datum values[2];
	int64 most;

	values[0] = TimestampTzGetDatum(now - interval_length(makini_run_retention));
	values[1] = Int32GetDatum(limit);
	SPI_execute_with_args("DELETE FROM makini._sync_run r WHERE r.run_id IN (SELECT o.run_id"
						  " FROM makini._sync_run o WHERE o.started_at < $1 AND o.finished_at < $1"
						  " AND EXISTS (SELECT FROM makini._sync_run n WHERE n.sync_id = o.sync_id"
						  "  AND n.run_id > o.run_id) LIMIT $2)",
						  2, types, values, NULL, false, 0);
	most = SPI_processed;
	SPI_execute_with_args("DELETE FROM makini._rejected_row r WHERE r.rejected_id IN (SELECT o.rejected_id"
						  " FROM makini._rejected_row o WHERE o.resolved_at < $1 LIMIT $2)",
						  2, types, values, NULL, false, 0);
	most = Max(most, (int64) SPI_processed);
	SPI_execute("DELETE FROM makini._stale t"
				" WHERE NOT EXISTS (SELECT FROM makini._sync s WHERE s.sync_id = t.sync_id)",
				false, 0);
	return most;
}
