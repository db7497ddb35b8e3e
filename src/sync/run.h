/*-------------------------------------------------------------------------
 *
 * run.h
 *		A run of a sync: what run.c, pass.c and tombstone.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_RUN_H
#define MAKINI_RUN_H

#include "postgres.h"

#include "utils/hsearch.h"

#include "sync/load.h"
#include "sync/progress.h"

typedef struct Search Search; /* tombstone.c */

typedef struct Run
{
	MemoryContext cxt;		  /* of the run */
	MemoryContext source_cxt; /* of what is read anew when columns vanish */
	MemoryContext step_cxt;	  /* of one transaction's work */
	Sync		 *sync;
	SyncSource	 *source;
	Target		 *target;
	Connection	 *conn;
	RemoteUsage	  usage;
	Load		 *load;
	int64		  run_id;
	Counters	  counters;
	int64		  rejects_open; /* of the load, when all has been read */
	Apply		 *apply;
	RowMaker	 *maker;
	Reader		 *reader; /* of the present query */
	bool		  ended;  /* that query has no page left */
	bool		  more;	  /* a step has to be called once more */
	TimestampTz	  answered_at;
	Search		 *search;
	HTAB		 *parents_seen; /* whose rows were read, by their keys */
	TimestampTz	  changes_from; /* of the window, with the lookback */
	int64		  newest_key;	/* of the row read that changed last */
	TimestampTz	  newest_cursor;
	bool		  canary_seen;
	bool		  canary_asked;
	bool		  left;	   /* the load stands, for a run to come */
	bool		  by_seen; /* keys are noted as seen, for pages cover no ranges */
} Run;

/*
 * run_step
 *		Do something in a transaction of its own.  What it raises undoes it, its
 *		counters too, and ends the run; columns that the source no longer knows
 *		are left out instead, and false says: begin the query again.
 */
typedef void (*RunWork)(Run *run);
extern bool run_step(Run *run, RunWork work);

/* run_steps: the same as often as it takes. */
extern void run_steps(Run *run, RunWork work);

/* run_wait: wait for the reader's next page, in no transaction's way. */
extern void run_wait(Run *run, Reader *reader);

extern void run_set_window_end(Run *run, TimestampTz end);

/* run_load: with its lane locked; the lock goes with an error.  False: left for later. */
extern bool run_load(MemoryContext cxt, Sync *sync, Load *load);

/* pass.c: read all that the load's queries give, and write it. */
extern void run_pass(Run *run);

/* canary.c */
extern void canary_watch(Run *run, const Rows *rows);
extern void canary_check(Run *run, TimestampTz from);
extern void canary_keep(const Run *run);

/* tombstone.c: delete what the source says was deleted. */
extern void run_tombstones(Run *run);
extern void run_orphans(Run *run);
extern void orphans_watch(Run *run, const Rows *rows);

/* Where rows come from; raises 55000 where those of the sync came from elsewhere. */
extern char *sync_identity(Sync *sync, const Connection *conn);

/*
 * sync_run
 *		Run a sync from within a non-atomic SPI connection; commits as it goes.
 *		mode: NULL for whatever is due, or as in makini.run_sync().  Raises what
 *		ended it when that has been recorded.
 */
typedef enum RunScope
{
	RUN_WHATEVER,	  /* unfinished loads first, then what changed */
	RUN_ONLY_CHANGES, /* the incremental lane */
	RUN_ONLY_BACKFILL
} RunScope;
extern void sync_run(int64 sync_id, RunScope scope, const char *mode);

/* The lock of a sync's lane, held by the session. */
extern bool sync_lock(int64 sync_id, RunLane lane);
extern void sync_unlock(int64 sync_id, RunLane lane);

/* The same until the end of the transaction, for who changes the sync. */
extern bool sync_lock_for_change(int64 sync_id, RunLane lane);

#endif /* MAKINI_RUN_H */
