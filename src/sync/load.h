/*-------------------------------------------------------------------------
 *
 * load.h
 *		The work that a run does, and the account it gives of it.
 *
 * A load is what has been begun and not finished: a window of the source, and
 * how far it has been read.  A run works on one load; when it dies, the next
 * run of that lane takes the load up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_LOAD_H
#define MAKINI_LOAD_H

#include "postgres.h"

#include "sync/sync.h"

/* A row of makini._load.  Times are 0, texts NULL where NULL. */
typedef struct Load
{
	int64		sync_id;
	RunLane		lane;
	RunMode		mode;
	TimestampTz window_from;
	TimestampTz window_to;
	char	   *position; /* left to read of the present phase; NULL: all of it */
	int			phase;	  /* which of the load's queries */
	TimestampTz started_at;
	int64		rows_expected; /* -1: not known */
	int64		rows_done;
	int64		check_id;
	bool		was_empty; /* the target, when the load began */
	List	   *columns; /* of char *: all that is read, of rows that are there; NIL: everything */
} Load;

/* NULL where nothing has been begun.  In CurrentMemoryContext. */
extern Load *load_find(int64 sync_id, RunLane lane);
extern void	 load_insert(Load *load);
extern void	 load_save(const Load *load);
extern void	 load_delete(const Load *load);

extern const char *run_mode_name(RunMode mode);
extern const char *run_lane_name(RunLane lane);

/* Raises 22023 unless it is a mode that people may ask for, or NULL. */
extern void run_mode_check(const char *mode);

/* Raises 0A000 where a sync of its kind can't be run so. */
extern void run_mode_check_sync(const char *mode, const Sync *sync);

/* ---- the account: makini._sync_run ---- */

/* Calls runs that nobody works on any more failed; to be called with the lane's lock. */
extern void	 account_bury(int64 sync_id, RunLane lane);
extern int64 account_open(const Sync *sync, const Load *load);
extern void	 account_save(int64 run_id, const Load *load, const Counters *counters,
						  const RemoteUsage *usage);

extern const char *error_name(const Sync *sync, const ErrorData *error);

/* Does what is wrong pass by itself? */
extern bool error_is_passing(const ErrorData *error);

/*
 * account_close
 *		Say how a run ended and raise the event of it; error is NULL where it
 *		went well.
 */
extern void account_close(const Sync *sync, int64 run_id, const char *status, const ErrorData *error);

#endif /* MAKINI_LOAD_H */
