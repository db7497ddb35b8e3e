/*-------------------------------------------------------------------------
 *
 * job.h
 *		The queue of jobs: who puts into it, who takes out of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_JOB_H
#define MAKINI_JOB_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "makini.h"

typedef struct Job
{
	int64		sync_id;
	bool		backfill;
	char		mode[16]; /* empty: what the sync needs */
	TimestampTz began;
	TimestampTz closes; /* when the hours for it are over; DT_NOEND: never */
	bool		gave_way;
} Job;

/* What there is to do, as of a moment. */
typedef struct JobQueue
{
	int			ready;
	int			running;
	int			crowded;  /* due, but their connection has all the workers it may have */
	TimestampTz oldest;	  /* of those ready; WORKER_NEVER: none */
	TimestampTz next_due; /* of the others, and of the schedules */
} JobQueue;

/*
 * What a sync needs, as a condition on s of makini._sync.  A load of the
 * backfill lane has been begun, is due, or is all that the sync can do: one
 * that was never run for changes alone may have a source that can't tell them.
 * $1 is the moment.
 */
#define JOB_NEEDS_BACKFILL                                                                         \
	" (s.mode = 'full' OR s.mode = 'incremental' AND (s.data_as_of IS NULL OR s.full_due_at <= $1" \
	" OR EXISTS (SELECT FROM makini._load l WHERE l.sync_id = s.sync_id AND l.lane = 'backfill')"  \
	" OR coalesce((SELECT r.mode FROM makini._sync_run r WHERE r.sync_id = s.sync_id"              \
	"  ORDER BY r.run_id DESC LIMIT 1), 'full') <> 'incremental'))"
#define JOB_NEEDS_CHANGES " s.mode <> 'full'"

/* Enabled, at home here, and not waiting for its connection. */
#define JOB_MAY_RUN                                                                                \
	" s.enabled AND s.home = makini._home() AND NOT EXISTS (SELECT FROM makini._sync_waiting w"    \
	" WHERE w.sync_id = s.sync_id)"

/* ---- the scheduler's side, inside a PrivateTransaction ---- */

/* Jobs whose worker is gone go back into the queue. */
extern void job_recover(TimestampTz now);

/* Syncs that are due become jobs; false where somebody holds a lock on one of them. */
extern bool job_queue_due(TimestampTz now);

extern void job_look(TimestampTz now, JobQueue *queue);

/*
 * The runs of this database that are to give way to others (list of int, places
 * in the workers' table).  all: places lack for any job, not just for those of a
 * connection that has as many as it may have.
 */
extern List *job_give_way(TimestampTz now, bool all);

/* age.c: tell of data that has become too old, or no longer is; when to look again. */
extern TimestampTz age_look(TimestampTz now);

/* Runs and resolved rejected rows older than makini.run_retention, at most limit of each; how many. */
extern int64 job_purge(TimestampTz now, int limit);

/* ---- the run worker's side, each a transaction of its own ---- */

extern bool job_claim(int slot, uint32 token, TimestampTz now, Job *job);

/* cancelled: somebody does not want it now, and what is left of a load waits for its next time. */
extern void job_finish(const Job *job, bool cancelled);

extern void job_note_failure(const Job *job, const ErrorData *failed);
extern int	job_failures(const Job *job);

/* ---- account_look.c ---- */

/* Inside a PrivateTransaction: when an account is to be looked at next; DT_NOEND: never. */
extern TimestampTz account_look_due(void);

/*
 * account_look_next
 *		By a run worker, outside any transaction: look at one account that is due;
 *		false where none is.  Raises nothing of what goes wrong with it.
 */
extern bool account_look_next(TimestampTz now);

/* ---- give_way.c ---- */

/* Of another's run that waits, who runs for longer than this gives way to it. */
#define GIVE_WAY_AFTER (60 * USECS_PER_SEC)

/* By a scheduler, outside any transaction: tell runs that others wait for. */
extern void give_way_tell(TimestampTz now, bool all);

/* By a run worker: a job begins, or with NULL ends. */
extern void give_way_begin(int slot, Job *job);

/*
 * run_should_yield
 *		Should a run stop at this page, to be taken up again later?  True in a run
 *		worker when the hours for it are over, when nothing is to run here any more,
 *		or when others wait for its place and it goes on from here afterwards: who
 *		would begin anew each time might never end.  False everywhere else.  Takes
 *		note of changed settings: call it where a statement could end.
 */
extern bool run_should_yield(bool goes_on);

/* Another database waits for a place that is more its than this one's. */
extern bool another_database_waits(void);

/* ---- names.c ---- */

/* Bring what is known of renamed roles, tables and servers up to date; connected to SPI with the rights of the extension. */
extern void names_refresh(void);

#endif /* MAKINI_JOB_H */
