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

#include "makini.h"

/*
 * A short transaction of a worker on makini's own tables, connected to SPI.
 * An error ends it as the worker's AbortCurrentTransaction() does.
 */
typedef struct JobTransaction
{
	MakiniRights saved;
} JobTransaction;

extern void job_begin(JobTransaction *transaction);
extern void job_end(JobTransaction *transaction);

typedef struct Job
{
	int64		sync_id;
	bool		backfill;
	char		mode[16]; /* empty: what the sync needs */
	TimestampTz closes;	  /* when the hours for it are over; DT_NOEND: never */
} Job;

/* What there is to do, as of a moment. */
typedef struct JobQueue
{
	int			ready;
	int			running;
	TimestampTz oldest;	  /* of those ready; WORKER_NEVER: none */
	TimestampTz next_due; /* of the others, and of the schedules */
} JobQueue;

/* ---- the scheduler's side, inside a JobTransaction ---- */

/* Jobs whose worker is gone go back into the queue. */
extern void job_recover(TimestampTz now);

/* Syncs that are due become jobs; false where somebody holds a lock on one of them. */
extern bool job_queue_due(TimestampTz now);

extern void job_look(TimestampTz now, JobQueue *queue);

/* ---- the run worker's side, each a transaction of its own ---- */

extern bool job_claim(int slot, uint32 token, TimestampTz now, Job *job);

/* failed: the run raised an error, which it could not write down itself; or NULL. */
extern void job_finish(const Job *job, const ErrorData *failed);

#endif /* MAKINI_JOB_H */
