/*-------------------------------------------------------------------------
 *
 * pass.c
 *		Reads a load's queries page by page and writes each page in a
 *		transaction of its own, together with what is left to read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "sync/drift.h"
#include "sync/job.h"
#include "sync/run.h"

/*
 * Rows of a transaction that commits now may carry a time that is already past,
 * and the clock that answers is not the one that stamps them.
 */
#define SETTLE_TIME (30 * USECS_PER_SEC)

#define SWEEP_EVERY (24 * USECS_PER_HOUR)
#define REJECTS_JUDGED_FROM 1000
#define DELETES_AT_ONCE 10000

/* Loads of more rows than this are read newest first, part by part. */
#define SLICED_FROM 5000

#define MAX_PHASES 8

/* ---------------------------------------------------------------------
 * Phases
 * ---------------------------------------------------------------------
 */

static void
add_phase(Window *phases, int *n, WindowKind kind, TimestampTz from, TimestampTz upto)
{
	phases[*n].kind = kind;
	phases[*n].from = from;
	phases[*n].upto = upto;
	phases[*n].history = 0;
	(*n)++;
}

/*
 * Documents of the last days are what people look for first.  What changes while
 * older ones are read is found by the runs that go on beside this one.
 */
static bool
can_be_sliced(const Run *run)
{
	return run->load->mode == RUN_INITIAL && run->sync->newest_first && run->source->traits.document &&
		run->load->columns == NIL && (run->source->cursor != NULL || run->source->parent != NULL);
}

static void
list_slices(const Run *run, Window *phases, int *n)
{
	static const int days[] = {7, 30, 90, 365};
	TimestampTz		 upto = 0;

	for (int i = 0; i < lengthof(days); i++)
	{
		TimestampTz from = run->load->started_at - days[i] * USECS_PER_DAY;

		if (from <= run->load->window_from)
			break;
		add_phase(phases, n, WINDOW_SLICE, from, upto);
		upto = from;
	}
	add_phase(phases, n, WINDOW_HISTORY, run->load->window_from, upto);
}

/* The queries of a load, in their order; a resumed load must find the same. */
static int
list_phases(const Run *run, Window *phases)
{
	const SyncSource *source = run->source;
	const Load		 *load = run->load;
	int				  n = 0;

	if (load->mode == RUN_INITIAL && run->sync->data_as_of != 0)
		add_phase(phases, &n, WINDOW_SLICE, load->window_from, load->window_to);
	else if (can_be_sliced(run) && load->rows_expected > SLICED_FROM)
		list_slices(run, phases, &n);
	else if (load->mode != RUN_INCREMENTAL)
		add_phase(phases, &n, WINDOW_HISTORY, load->window_from, 0);
	if (load->mode != RUN_INCREMENTAL)
		return n;
	if (source->parent != NULL)
		add_phase(phases, &n, WINDOW_PARENT_CHANGED, run->changes_from, 0);
	if (source->cursor != NULL)
	{
		add_phase(phases, &n, WINDOW_CHANGED, run->changes_from, 0);
		phases[n - 1].history = run->sync->history_from;
		if (source->parent == NULL && source->cursor->nullable &&
			run->sync->swept_at + SWEEP_EVERY < load->started_at)
			add_phase(phases, &n, WINDOW_WITHOUT_CURSOR, 0, 0);
	}
	return n;
}

/* ---------------------------------------------------------------------
 * Pages
 * ---------------------------------------------------------------------
 */

/* Does the load tell which rows there are no more? */
static bool
is_whole(const Load *load)
{
	return load->mode == RUN_FULL && load->columns == NIL;
}

/* Are the keys noted that were read, where pages cover no range? */
static bool
notes_keys(const Load *load)
{
	return load->mode == RUN_INITIAL ? load->columns == NIL : is_whole(load);
}

static Window *
present_phase(Run *run)
{
	Window *phases = palloc(sizeof(Window) * MAX_PHASES);
	int		n = list_phases(run, phases);

	return run->load->phase < n ? &phases[run->load->phase] : NULL;
}

static void
open_query(Run *run)
{
	Window		*phase = present_phase(run);
	RemoteQuery *query;

	/* What an earlier run noted of a pass that begins anew is void. */
	if ((notes_keys(run->load) || run->load->mode == RUN_VERIFY) && run->load->position == NULL)
		compare_forget(run->sync->sync_id);
	if (run->load->mode == RUN_VERIFY && run->load->position == NULL)
		verify_forget(run->load->check_id);
	MemoryContextSwitchTo(run->source_cxt);
	query = window_query(run->source, phase);
	query->resume = run->load->position;
	run->ended = false;
	run->reader = run->conn->connector->open(run->conn, query);
}

/* The first answer tells the source's clock and how much there is. */
static void
take_first_answer(Run *run)
{
	const Connector *connector = run->conn->connector;
	int64			 expected;

	if (run->answered_at == 0)
	{
		run->answered_at = connector->answered_at(run->reader);

		/* A clock that is days ahead would have all changes until then missed. */
		if (run->answered_at == 0 || run->answered_at > GetCurrentTimestamp() + USECS_PER_DAY)
			run->answered_at = GetCurrentTimestamp();
	}
	if (run->load->window_to == 0)
		run_set_window_end(run, run->answered_at - SETTLE_TIME);
	expected = connector->expected(run->reader);
	if (run->load->rows_expected < 0 && expected >= 0 && run->load->position == NULL)
		run->load->rows_expected = run->load->rows_done + expected;
	progress_expect(run->load->rows_expected);
}

static void
verify_page(Run *run, const Rows *rows, const PageRange *range)
{
	compare_verify(run->apply, rows, range, run->load->check_id);
	run->by_seen = range == NULL;
	if (range == NULL)
		compare_seen(run->apply, rows);
}

/* The range that a page covers, where the target sorts by it as the source does. */
static bool
take_range(Run *run, PageRange *range)
{
	return run->conn->connector->range(run->reader, range) &&
		compare_can_bound(run->target, range, true);
}

/*
 * Absence means something: where a part of the source was read whole.  What the
 * other lane has written meanwhile a page of history does not know.
 */
static void
compare_page(Run *run, const Rows *rows)
{
	PageRange range;

	if (run->load->mode == RUN_VERIFY)
		verify_page(run, rows, take_range(run, &range) ? &range : NULL);
	else if (is_whole(run->load))
	{
		if (take_range(run, &range))
			compare_note(run->apply, rows, &range, run->load->started_at);
	}
	else if (run->source->parent != NULL && !run->load->was_empty && run->load->columns == NIL &&
			 present_phase(run)->kind != WINDOW_CHANGED &&
			 run->conn->connector->range(run->reader, &range))
		compare_children(run->apply, rows, &range, run->source->parent_column_name,
						 run->load->mode == RUN_INCREMENTAL ? DT_NOEND : run->load->started_at);
}

static void
see_page(Run *run, Rows *rows)
{
	PageRange range;

	run->by_seen = !take_range(run, &range);
	if (run->by_seen)
		seen_page(run->apply, rows);
}

static void
save_progress(Run *run)
{
	run->load->position = run->ended ? NULL : run->conn->connector->position(run->reader);
	load_save(run->load);
	account_save(run->run_id, run->load, &run->counters, &run->usage);
}

static void
take_page(Run *run)
{
	CellPage *page = run->conn->connector->next_page(run->reader);
	Rows	 *rows;

	take_first_answer(run);
	if (page == NULL)
	{
		run->ended = true;
		return;
	}
	run->counters.pages++;
	rows = rows_make(run->maker, page, run->counters.pages);
	canary_watch(run, rows);
	if (run->source->parent != NULL && run->load->mode == RUN_INCREMENTAL)
		orphans_watch(run, rows);

	/* What was there before is no news to rules; ends with the page's transaction. */
	event_backfill = run->load->mode == RUN_INITIAL;
	if (notes_keys(run->load))
		see_page(run, rows);
	if (run->load->mode != RUN_VERIFY)
		apply_rows(run->apply, rows);
	compare_page(run, rows);
	run->load->rows_done += page->nrows;
	save_progress(run);
}

static void
judge_rejects(const Run *run, int64 rejected, int64 read)
{
	if (rejected <= read * run->sync->reject_limit)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("too many rows of %s were rejected", run->sync->source_name),
			 errdetail(INT64_FORMAT " of " INT64_FORMAT " rows could not be written.", rejected, read),
			 errhint("makini.rejected_row says why. When the cause is gone, SELECT makini.retry_rejected(" INT64_FORMAT
					 ") and run again; the option \"reject_limit\" of the sync says how many are too many.",
					 run->sync->sync_id)));
}

/*
 * A load that was taken up at its end is not better than it was before.  Of
 * changes the next ones are not to wait for people.
 */
static void
judge_load(Run *run)
{
	run->rejects_open = rejects_open(run->sync->sync_id, run->load->started_at);
	if (run->load->mode == RUN_INCREMENTAL)
		judge_rejects(run, run->counters.rejected, run->counters.read);
	else
		judge_rejects(run, run->rejects_open, run->load->rows_done);
}

/* ---------------------------------------------------------------------
 * Deletes
 * ---------------------------------------------------------------------
 */

static void
delete_missing(Run *run)
{
	run->more = compare_delete(run->apply, run->by_seen, run->load->started_at, DELETES_AT_ONCE);
	account_save(run->run_id, run->load, &run->counters, &run->usage);
}

static void
delete_all_missing(Run *run)
{
	progress_phase(PHASE_DELETING);
	do
		run_step(run, delete_missing);
	while (run->more);
}

static void
forget_seen(Run *run)
{
	seen_forget(run->sync->sync_id);
}

static void
verify_unseen(Run *run)
{
	compare_unseen(run->apply, run->load->check_id, run->load->started_at);
}

/* ---------------------------------------------------------------------
 * The pass
 * ---------------------------------------------------------------------
 */

static void
next_phase(Run *run)
{
	run->load->phase++;
	run->load->position = NULL;
	load_save(run->load);
	account_save(run->run_id, run->load, &run->counters, &run->usage);
}

static void
close_query(Run *run)
{
	run->conn->connector->close(run->reader);
	run->reader = NULL;
}

static void
read_phase(Run *run)
{
	run_steps(run, open_query);
	while (!run->ended)
	{
		run_wait(run, run->reader);
		if (!run_step(run, take_page))
		{
			run_steps(run, open_query);
			continue;
		}
		progress_rows(run->load->rows_done);
		progress_notice(run->sync);
		if (run->counters.read >= REJECTS_JUDGED_FROM)
			judge_rejects(run, run->counters.rejected, run->counters.read);
		if (!run->ended && run_should_yield(run->load->position != NULL))
		{
			run->left = true;
			break;
		}
	}
	close_query(run);
}

static void
open_whole(Run *run)
{
	Window whole = {WINDOW_HISTORY, run->load->window_from, 0};

	MemoryContextSwitchTo(run->source_cxt);
	run->reader = run->conn->connector->open(run->conn, window_query(run->source, &whole));
}

static void
take_expected(Run *run)
{
	run->conn->connector->next_page(run->reader);
	take_first_answer(run);
	load_save(run->load);
}

/* How much there is tells whether it is worth while to read it part by part. */
static void
expect(Run *run)
{
	if (!can_be_sliced(run) || run->load->rows_expected >= 0 || run->sync->data_as_of != 0)
		return;
	run_steps(run, open_whole);
	run_wait(run, run->reader);
	run_step(run, take_expected);
	close_query(run);
}

/*
 * What a pass has learned is noted, for a run that takes it up at its end.  Only
 * whole rows are counted in memory: they have to be read once more.
 */
static void
take_up(Run *run)
{
	if (present_phase(run) != NULL)
		return;
	if (run->target->way == WAY_MULTISET && is_whole(run->load))
	{
		run->load->phase = 0;
		run->load->rows_done = 0;
		load_save(run->load);
	}
	else if (notes_keys(run->load) || run->load->mode == RUN_VERIFY)
		run->by_seen = seen_any(run->sync->sync_id);
}

void
run_pass(Run *run)
{
	run->changes_from = Max(run->load->window_from - run->sync->lookback, run->sync->history_from);
	progress_phase(PHASE_READING);
	run_step(run, take_up);
	expect(run);
	while (present_phase(run) != NULL)
	{
		Window phase = *present_phase(run);

		read_phase(run);
		if (run->left)
			return;
		if (phase.kind == WINDOW_CHANGED)
			canary_check(run, phase.from);
		run_step(run, next_phase);
	}
	run_step(run, judge_load);
	if (is_whole(run->load))
		delete_all_missing(run);
	if (run->by_seen)
		run_step(run, run->load->mode == RUN_VERIFY ? verify_unseen : forget_seen);
}
