/*-------------------------------------------------------------------------
 *
 * worker.h
 *		What works while nobody is connected: launcher, schedulers, run workers.
 *
 *	launcher.c			one per cluster: starts a scheduler where something is due
 *	start.c				registering workers, and what to do when slots run out
 *	init.c				settings, and what preloading sets up
 *	shmem.c				the shared table in which all of them meet
 *	utility_hook.c		commands that need a database without workers
 *	schedule.c			when something is due next (pure)
 *	schedule_text.c		schedules as people write them
 *	instance.c			may anything run here at all?
 *	missing.c			telling people that nothing does
 *
 * What the workers do is in src/sync (scheduler.c, runner.c) and src/webhook.
 *
 * A database's life, as the launcher sees it (WorkerDatabase):
 *
 *	   committed work, due time            scheduler leaves after a minute
 *	   reached, start of the cluster       without work, tells next due time
 *	asleep ------------> starting -> running ------------> asleep
 *	   ^                    |  no slot, crash: back-off        |
 *	   +--------------------+                                  | extension gone:
 *	                                                           v entry is freed
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_WORKER_H
#define MAKINI_WORKER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#define WORKER_DATABASES 64
#define WORKER_RUNS 64
#define WORKER_SENDERS 32
#define WORKER_NEVER PG_INT64_MAX

/* Settings. */
extern int	 makini_max_workers;
extern int	 makini_webhook_workers;
extern bool	 makini_launcher;
extern char *makini_run_on;
extern char *makini_run_retention;	  /* an interval */
extern int	 makini_scheduler_linger; /* ms; tests shorten it */
extern char *makini_test_job;		  /* a procedure to call in place of the run; tests only */

/* ---- for everybody ---- */

/*
 * worker_wake_database
 *		There may be something to do in a database: its scheduler, or the
 *		launcher, looks at once.  Raises nothing; works in processes that never
 *		loaded anything else of makini.
 */
extern void worker_wake_database(Oid database);

/* There may be events to send; schedules are not looked at. */
extern void worker_wake_sender(Oid database);

/* As worker_wake_database for this database, if and when the transaction commits. */
extern void worker_wake_at_commit(void);

/* Is there a launcher, so that what is put into the queue will be taken out? */
extern bool worker_available(void);

/*
 * The time by which schedules go: the clock, unless a test has moved it.
 */
extern TimestampTz worker_now(void);

/* A moment of the real clock by it. */
extern TimestampTz worker_time(TimestampTz clock);

/* ---- schedule_text.c ---- */

/* Raises 22023 unless it is an interval of a second or more, or a cron text. */
extern void schedule_check(const char *text);

/*
 * The first time after a moment by a schedule that schedule_check() takes, in
 * this session's time zone: in a worker that is the database's.
 */
extern TimestampTz schedule_next_time(const char *text, int64 seed, TimestampTz after);

/*
 * schedule_in_hours
 *		Is a moment within a part of the day as in "18:00-06:00"?  opens: that
 *		moment, or when it begins next; closes: when it ends then.  Raises 22023.
 */
extern bool schedule_in_hours(const char *span, TimestampTz at, TimestampTz *opens,
							  TimestampTz *closes);

/* ---- missing.c ---- */

/* What brings a worker where there is none: the beginning of a sentence. */
extern const char *worker_remedy(void);

/*
 * worker_remind
 *		Tells, once in a session, who makes something that only a worker does that
 *		there is none, and what brings one: "there is no ... to <use>".
 */
extern void worker_remind(const char *use);

/* ---- instance.c ---- */

typedef enum InstanceState
{
	INSTANCE_ACTIVE,
	INSTANCE_STANDBY, /* in recovery */
	INSTANCE_FENCED	  /* makini.run_on names other hosts */
} InstanceState;

/* May anything run in this process at all?  Does not look at rows. */
extern bool instance_may_run(void);

/* "standby" or "fenced", or NULL where nothing keeps this process from running things. */
extern const char *instance_obstacle(void);

/* Raises 55000 unless it may. */
extern void instance_check(void);

/* ---- shmem.c: for workers only ---- */

typedef enum WorkerState
{
	WORKER_NONE,	 /* -> STARTING */
	WORKER_STARTING, /* -> RUNNING, NONE */
	WORKER_RUNNING	 /* -> NONE */
} WorkerState;

/* A process, or one that is to come.  The token tells its use of this place from others. */
typedef struct WorkerProcess
{
	WorkerState state;
	int32		pid; /* RUNNING: its own; STARTING: who registered it */
	uint32		token;
	Latch	   *latch; /* RUNNING */
} WorkerProcess;

/* A database in which makini is, or may be. */
typedef struct WorkerDatabase
{
	Oid			  database; /* InvalidOid: free */
	bool		  wanted;	/* there may be something to do */
	bool		  look;		/* with schedules and queue, that is, not just events to send */
	bool		  visiting; /* nobody knows whether makini is in it */
	bool		  send;		/* there may be events to send */
	TimestampTz	  send_due; /* when there will be, without anybody's doing */
	int32		  blockers; /* commands that need it without workers */
	TimestampTz	  next_due;
	TimestampTz	  not_before; /* after failures */
	int32		  failures;
	TimestampTz	  purge_at;		 /* when old rows are deleted next */
	int32		  found_nothing; /* run workers in a row that had come for nothing */
	TimestampTz	  waiting_since; /* its oldest job that got no worker; WORKER_NEVER: none */
	WorkerProcess scheduler;
} WorkerDatabase;

typedef struct WorkerRun
{
	Oid			  database;
	bool		  backfill;
	bool		  gives_way; /* its run is to stop at its next page */
	bool		  looks;	 /* at an account: it takes no job meanwhile */
	WorkerProcess process;
} WorkerRun;

typedef struct WorkerShared
{
	LWLock		  *lock;  /* protects everything below */
	int64		   epoch; /* tells one life of the cluster from the next */
	uint32		   last_token;
	int64		   clock_offset; /* tests only */
	TimestampTz	   clock_stands; /* likewise: 0, or the time that it is until a test moves it */
	TimestampTz	   no_slot_said_at;
	bool		   no_room_said; /* that more than WORKER_DATABASES are needed */
	WorkerProcess  launcher;
	WorkerDatabase databases[WORKER_DATABASES];
	WorkerRun	   runs[WORKER_RUNS];
	WorkerRun	   senders[WORKER_SENDERS]; /* besides the schedulers */
} WorkerShared;

/* NULL where the library is not preloaded: then there are no workers. */
extern WorkerShared *worker_shared(void);
extern void			 worker_shared_init(void);

/* With the lock held: a database's entry; with add a new one where there is room, else NULL. */
extern WorkerDatabase *worker_database(Oid database, bool add);

/* With the lock held: there is nothing of makini in it any more. */
extern void worker_forget_database(WorkerDatabase *entry);

/* With the lock held. */
extern void worker_wake_process(const WorkerProcess *process);

/* With the lock held: run workers of a database, or of all (InvalidOid). */
extern int worker_count_runs(Oid database);

/* With the lock held: those of a database that have a job or are about to take one. */
extern int worker_count_takers(Oid database);

/*
 * worker_begin_look, worker_end_look
 *		In a run worker: it looks at accounts from here to there, which may not
 *		answer for long.  False where another of this database does: accounts
 *		without an answer are to keep one worker, not all.
 */
extern bool worker_begin_look(void);
extern void worker_end_look(void);

/* In a run worker that looks: it has something to look at, others are to take the jobs. */
extern void worker_is_looking(void);

/* Does a worker of this database look at accounts? */
extern bool worker_somebody_looks(void);

/*
 * worker_others_first
 *		With the lock held: does another database wait for a run worker that has
 *		fewer than so many of them, or as many and has waited since before?
 */
extern bool worker_others_first(Oid database, int workers, TimestampTz since);

/* With the lock held: keep a place for a process that is to be started. */
extern uint32 worker_reserve(WorkerProcess *process);

typedef enum WorkerKind
{
	WORKER_LAUNCHER,
	WORKER_SCHEDULER,
	WORKER_RUN,
	WORKER_SENDER
} WorkerKind;

/*
 * worker_begin
 *		First thing in a worker: take the place that was kept for it, to be given
 *		back at exit, and connect.  Exits quietly when the place was given to
 *		others meanwhile, or the database must not be connected to now.  Returns
 *		the place's number.
 */
extern int	  worker_begin(WorkerKind kind, Datum arg);
extern uint32 worker_token(void);

/*
 * worker_sleep
 *		Until the latch is set, or a moment of worker_now() comes; WORKER_NEVER:
 *		no moment.  Handles what signals ask for.
 */
extern void worker_sleep(TimestampTz until, uint32 wait_event);

/* Milliseconds to wait until then; -1 for WORKER_NEVER. */
extern long worker_wait_ms(TimestampTz until);

/* What the latch may have been set for. */
extern void worker_handle_signals(void);

/* Outside a transaction: is the extension in this database (still)? */
extern bool worker_has_extension(void);

/* In a run worker: it has found something to do, so that whoever started it looks again. */
extern void worker_has_work(void);

/* With the lock held: does this use of a place go on? */
extern bool worker_is_alive(const WorkerProcess *process, uint32 token);

/* ---- start.c ---- */

/*
 * worker_start
 *		Have a worker started in a place that was reserved.  Where there is no
 *		slot for it the place is given back, one WARNING says so, and the answer
 *		is false.  The caller's latch is set when it starts and when it ends.
 */
extern bool worker_start(WorkerKind kind, int slot);

/*
 * worker_reap
 *		Give the places of workers back that this process had started and that
 *		ended before they began.  Returns their number.
 */
extern int worker_reap(void);

/*
 * Back-off after n failures in a row: doubles from the base up to the cap, a
 * quarter of it at random.  Microseconds.
 */
extern int64 worker_backoff(int failures, int64 base, int64 cap);

/* ---- utility_hook.c ---- */

extern void utility_hook_init(void);

/* ---- launcher.c ---- */

extern void launcher_register(void);

/* ---- init.c ---- */

extern void worker_init(void);

#endif /* MAKINI_WORKER_H */
