/*-------------------------------------------------------------------------
 *
 * agenda.c
 *		makini.run_sync(): what there is to do for a sync, in its order, one at a
 *		time.
 *
 *	new ──▶ initial ──▶ incremental ──▶ incremental ...
 *	           ▲   │          │  ▲
 *	           └───┘          ▼  │      a load that was begun is taken up where
 *	                     full, verify   it stands, whoever began it
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "sync/define.h"
#include "sync/run.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_run_sync);
PG_FUNCTION_INFO_V1(makini_run_job);

/* ---------------------------------------------------------------------
 * One run per sync and lane
 * ---------------------------------------------------------------------
 */

/* A transaction that ends lets go of its locks one after another, which takes no longer. */
#define LETTING_GO_MS 10
#define LETTING_GO_TRIES 10

static void
set_lock_tag(LOCKTAG *tag, int64 sync_id, RunLane lane)
{
	Oid class = get_relname_relid("_sync", get_namespace_oid("makini", false));

	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, class, (uint32) sync_id, (uint16) (lane + 1));
}

/*
 * sync_lock
 *		Take the lock of a sync's lane for the session; false where another has it.
 */
bool
sync_lock(int64 sync_id, RunLane lane)
{
	LOCKTAG tag;

	set_lock_tag(&tag, sync_id, lane);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * sync_lock_for_change
 *		The same until the end of the transaction, for who changes the sync.  Who
 *		waited for another to change it may be faster than that one, who lets go of
 *		its locks one after another.
 */
bool
sync_lock_for_change(int64 sync_id, RunLane lane)
{
	LOCKTAG tag;

	set_lock_tag(&tag, sync_id, lane);
	for (int tries = 0; tries < LETTING_GO_TRIES; tries++)
	{
		if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
			return true;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LETTING_GO_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

void
sync_unlock(int64 sync_id, RunLane lane)
{
	LOCKTAG tag;

	set_lock_tag(&tag, sync_id, lane);
	LockRelease(&tag, ExclusiveLock, true);
}

static void
lock_or_raise(int64 sync_id, RunLane lane)
{
	if (sync_lock(sync_id, lane))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE), errmsg("sync " INT64_FORMAT " is running already", sync_id),
			 errhint("makini.sync_progress shows how far it is; makini.cancel_sync(" INT64_FORMAT
					 ") stops it.",
					 sync_id)));
}

/* ---------------------------------------------------------------------
 * What there is to do
 * ---------------------------------------------------------------------
 */

typedef struct Agenda
{
	int64		  sync_id;
	RunScope	  scope;
	const char	 *mode;	  /* asked for, or NULL */
	bool		  second; /* what had to come first has been done */
	MemoryContext cxt;
	Sync		 *sync;
	Load		 *load; /* NULL: nothing */
} Agenda;

static Load *
new_load(const Sync *sync, RunLane lane, RunMode mode, TimestampTz from)
{
	Load *load = palloc0(sizeof(Load));

	load->sync_id = sync->sync_id;
	load->lane = lane;
	load->mode = mode;
	load->window_from = from;
	load->rows_expected = -1;
	return load;
}

static bool
is_asked_for(const Agenda *agenda, const char *mode)
{
	return agenda->mode != NULL && strcmp(agenda->mode, mode) == 0;
}

/* Can it be told what changed? */
static bool
has_cursor(const Sync *sync)
{
	const SyncSource *source;

	if (sync->mode == SYNC_FULL)
		return false;
	source = source_open(sync);
	return source->cursor != NULL || source->parent != NULL;
}

/* A load of the backfill lane: begun, asked for or due.  NULL: none. */
static Load *
backfill_to_do(const Agenda *agenda, bool incremental)
{
	const Sync *sync = agenda->sync;
	Load	   *load = load_find(sync->sync_id, LANE_BACKFILL);

	if (load != NULL)
		return load;
	if (agenda->second && !is_asked_for(agenda, "full") && !is_asked_for(agenda, "verify"))
		return NULL;
	if (sync->data_as_of == 0)
		return new_load(sync, LANE_BACKFILL, RUN_INITIAL, sync->history_from);
	if (is_asked_for(agenda, "verify"))
		return new_load(sync, LANE_BACKFILL, RUN_VERIFY, sync->history_from);
	if (is_asked_for(agenda, "incremental") && incremental)
		return NULL;
	if (is_asked_for(agenda, "full") || !incremental ||
		(sync->full_due_at != 0 && sync->full_due_at <= GetCurrentTimestamp()))
		return new_load(sync, LANE_BACKFILL, RUN_FULL, sync->history_from);
	return NULL;
}

static Load *
changes_to_do(const Agenda *agenda)
{
	Load *load = load_find(agenda->sync->sync_id, LANE_INCREMENTAL);

	if (load != NULL)
		return load;
	return new_load(agenda->sync, LANE_INCREMENTAL, RUN_INCREMENTAL, agenda->sync->cursor);
}

/*
 * Find the next thing to do and take its lane's lock.  A whole session's run does
 * first what has to come first; the lanes of a worker go side by side.
 */
static void
fill_agenda(void *arg)
{
	Agenda		 *agenda = arg;
	MemoryContext old = MemoryContextSwitchTo(agenda->cxt);
	bool		  incremental;

	agenda->load = NULL;
	agenda->sync = sync_load(agenda->sync_id);
	sync_check_home(agenda->sync);
	if (agenda->sync->mode == SYNC_DRAIN)
	{
		if (!agenda->second)
			agenda->load = new_load(agenda->sync, LANE_INCREMENTAL, RUN_DRAIN, 0);
	}
	else
	{
		incremental = has_cursor(agenda->sync);

		/* Where nobody can tell what changed, everything is compared. */
		if (agenda->scope != RUN_ONLY_CHANGES || (!incremental && agenda->sync->data_as_of != 0))
			agenda->load = backfill_to_do(agenda, incremental);
		if (agenda->load == NULL && agenda->scope != RUN_ONLY_BACKFILL && incremental &&
			agenda->sync->cursor != 0 && (agenda->mode == NULL || is_asked_for(agenda, "incremental")))
			agenda->load = changes_to_do(agenda);
	}
	if (agenda->load != NULL)
		lock_or_raise(agenda->sync_id, agenda->load->lane);
	MemoryContextSwitchTo(old);
}

static bool
is_last(const Agenda *agenda)
{
	if (agenda->load->mode == RUN_DRAIN || agenda->load->mode == RUN_INCREMENTAL)
		return true;
	return agenda->mode != NULL && strcmp(agenda->mode, run_mode_name(agenda->load->mode)) == 0;
}

/*
 * sync_run
 *		Run a sync from within a non-atomic SPI connection.
 */
void
sync_run(int64 sync_id, RunScope scope, const char *mode)
{
	MemoryContext parent = PortalContext != NULL ? PortalContext : TopMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(parent, "makini run", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Agenda		  agenda = {.sync_id = sync_id, .scope = scope, .mode = mode, .cxt = cxt};
	bool		  last = false;

	while (!last)
	{
		ErrorData *error = run_attempt(fill_agenda, &agenda);

		if (error != NULL)
			ReThrowError(error);
		run_commit();
		if (agenda.load == NULL)
			break;
		last = !run_load(cxt, agenda.sync, agenda.load);
		sync_unlock(sync_id, agenda.load->lane);
		last = last || is_last(&agenda);
		agenda.second = true;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

static void
check_top_level(FunctionCallInfo fcinfo, int64 sync_id)
{
	CallContext *context = (CallContext *) fcinfo->context;

	if (context != NULL && IsA(context, CallContext) && !context->atomic)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("makini.run_sync() commits as it goes and cannot run inside a transaction block, a function or an EXCEPTION block"),
			 errhint("Call it on its own, or have a worker run it with SELECT makini.request_sync(" INT64_FORMAT
					 ").",
					 sync_id)));
}

/*
 * makini_run_sync
 *		CALL makini.run_sync(sync_id, mode)
 */
Datum
makini_run_sync(PG_FUNCTION_ARGS)
{
	int64		sync_id;
	const char *mode;
	Sync	   *sync;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("sync_id cannot be null")));
	sync_id = PG_GETARG_INT64(0);
	mode = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	check_top_level(fcinfo, sync_id);
	run_mode_check(mode);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	sync = sync_load(sync_id);
	sync_check_visible(sync);
	run_mode_check_sync(mode, sync);
	instance_check();
	sync_run(sync_id, RUN_WHATEVER, mode);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * makini_run_job
 *		CALL makini._run_job(sync_id, lane, mode): one lane of a sync, as a run
 *		worker has it; rights were looked at when the job was queued.
 */
Datum
makini_run_job(PG_FUNCTION_ARGS)
{
	int64		sync_id = PG_GETARG_INT64(0);
	char	   *lane = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *mode = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));

	check_top_level(fcinfo, sync_id);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	sync_run(sync_id, strcmp(lane, "backfill") == 0 ? RUN_ONLY_BACKFILL : RUN_ONLY_CHANGES, mode);
	SPI_finish();
	PG_RETURN_VOID();
}
