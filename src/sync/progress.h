/*-------------------------------------------------------------------------
 *
 * progress.h
 *		What a run tells others while it goes on, and how they stop it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_PROGRESS_H
#define MAKINI_PROGRESS_H

#include "postgres.h"

#include "sync/sync.h"

/* The phases of a run, in the words of makini.sync_progress. */
typedef enum RunPhase
{
	PHASE_STARTING,
	PHASE_READING,
	PHASE_DELETING,
	PHASE_ACKNOWLEDGING,
	PHASE_FINISHING
} RunPhase;

/* progress_begin raises 53000 where too many runs go on at once. */
extern void progress_begin(int64 sync_id, int64 run_id, RunLane lane, int64 rows_before);
extern void progress_expect(int64 rows);
extern void progress_rows(int64 rows_done);
extern void progress_phase(RunPhase phase);
extern void progress_wait(bool waiting);
extern void progress_end(void);

/* Tell the person at the other end, every few seconds. */
extern void progress_notice(const Sync *sync);

/*
 * progress_cancel
 *		Cancel the runs of a sync, whoever runs them; false where there is none.
 */
extern bool progress_cancel(int64 sync_id);

#endif /* MAKINI_PROGRESS_H */
