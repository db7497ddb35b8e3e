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

#include "sync/run.h"

/*
 * Rows of a transaction that commits now may carry a time that is already past,
 * and the clock that answers is not the one that stamps them.
 */
#define SETTLE_TIME (30 * USECS_PER_SEC)

#define SWEEP_EVERY (24 * USECS_PER_HOUR)
#define REJECTS_JUDGED_FROM 1000
#define DELETES_AT_ONCE 10000

/* What of the source a phase of a load reads. */
typedef struct Phase
{
	WindowKind	kind;
	TimestampTz from;
} Phase;

/* ---------------------------------------------------------------------
 * Phases
 * ---------------------------------------------------------------------
 */

static TimestampTz
changes_from(const Run *run)
{
	TimestampTz from = run->load->window_from - run->sync->lookback;

	return Max(from, run->sync->history_from);
}

static void
add_phase(Phase *phases, int *n, WindowKind kind, TimestampTz from)
{
	phases[*n].kind = kind;
	phases[*n].from = from;
	(*n)++;
}

/* The queries of a load, in their order; a resumed load must find the same. */
static int
list_phases(const Run *run, Phase *phases)
{
	const SyncSource *source = run->source;
	int				  n = 0;

	if (run->load->mode != RUN_INCREMENTAL)
	{
		add_phase(phases, &n, WINDOW_HISTORY, run->load->window_from);
		return n;
	}
	if (source->parent != NULL)
		add_phase(phases, &n, WINDOW_PARENT_CHANGED, changes_from(run));
	if (source->cursor != NULL)
	{
		add_phase(phases, &n, WINDOW_CHANGED, changes_from(run));
		if (source->parent == NULL && source->cursor->nullable &&
			run->sync->swept_at + SWEEP_EVERY < run->load->started_at)
			add_phase(phases, &n, WINDOW_WITHOUT_CURSOR, 0);
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

static Phase *
present_phase(Run *run)
{
	Phase *phases = palloc(sizeof(Phase) * 4);
	int	   n = list_phases(run, phases);

	return run->load->phase < n ? &phases[run->load->phase] : NULL;
}

static void
open_query(Run *run)
{
	Phase		*phase = present_phase(run);
	RemoteQuery *query;

	/* What an earlier run noted of a pass that begins anew is void. */
	if (is_whole(run->load) && run->load->position == NULL)
		compare_forget(run->sync->sync_id);
	MemoryContextSwitchTo(run->source_cxt);
	query = window_query(run->source, phase->kind, phase->from);
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
		if (run->answered_at == 0)
			run->answered_at = GetCurrentTimestamp();
	}
	if (run->load->window_to == 0)
		run_set_window_end(run, run->answered_at - SETTLE_TIME);
	expected = connector->expected(run->reader);
	if (run->load->rows_expected < 0 && expected >= 0 && run->load->position == NULL)
		run->load->rows_expected = run->load->rows_done + expected;
	progress_expect(run->load->rows_expected);
}

/* Absence means something: where a part of the source was read whole. */
static void
compare_page(Run *run, const Rows *rows)
{
	PageRange range;
	bool	  has_range = run->conn->connector->range(run->reader, &range);

	if (run->load->mode == RUN_VERIFY)
		compare_verify(run->apply, rows, has_range ? &range : NULL, run->load->check_id);
	else if (run->source->parent != NULL && has_range && !run->load->was_empty &&
			 run->load->columns == NIL &&
			 present_phase(run)->kind != WINDOW_CHANGED)
		compare_children(run->apply, rows, &range, run->source->parent_column_name);
	else if (is_whole(run->load) && run->source->parent == NULL)
	{
		run->by_seen = !has_range;
		compare_note(run->apply, rows, has_range ? &range : NULL, run->load->started_at);
	}
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
	if (run->load->mode != RUN_VERIFY)
		apply_rows(run->apply, rows);
	compare_page(run, rows);
	run->load->rows_done += page->nrows;
	save_progress(run);
}

static void
judge_rejects(const Run *run)
{
	const Counters *counters = &run->counters;

	if (counters->rejected <= counters->read * run->sync->reject_limit)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("too many rows of %s were rejected", run->sync->source_name),
			 errdetail(INT64_FORMAT " of " INT64_FORMAT " rows could not be written.",
					   counters->rejected, counters->read),
			 errhint("makini.rejected_row says why. The option \"reject_limit\" of the sync says how many are too many.")));
}

static void
judge_rejects_step(Run *run)
{
	judge_rejects(run);
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
			judge_rejects(run);
	}
	close_query(run);
}

void
run_pass(Run *run)
{
	progress_phase(PHASE_READING);
	while (present_phase(run) != NULL)
	{
		read_phase(run);
		run_step(run, next_phase);
	}
	run_step(run, judge_rejects_step);
	if (is_whole(run->load) && run->source->parent == NULL)
		delete_all_missing(run);
}
