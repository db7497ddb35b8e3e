/*-------------------------------------------------------------------------
 *
 * scan.c
 *		Runs a remote query and hands its rows to the executor.
 *
 * Nothing is asked of the remote side before the first row is wanted.  Memory
 * is flat: the reader keeps its pages, this file the values of one row.
 *
 * A scan that is started again with the same values, and whose rows all stood
 * in one page, reads that page again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/fdw.h"
#include "makini.h"

/* ---------------------------------------------------------------------
 * How many requests a statement may still make
 * ---------------------------------------------------------------------
 */

typedef struct Budget
{
	EState		  *estate;
	int64		   left;
	struct Budget *next;
} Budget;

static Budget *budgets = NULL;

static void
forget_budget(void *arg)
{
	for (Budget **at = &budgets; *at != NULL; at = &(*at)->next)
	{
		if (*at == arg)
		{
			*at = (*at)->next;
			return;
		}
	}
}

/*
 * statement_budget
 *		What makini.max_requests_per_query leaves to the statement that this
 *		executor state belongs to; all its scans count down the same number.
 *		NULL: no limit.
 */
int64 *
statement_budget(EState *estate)
{
	Budget				  *budget;
	MemoryContextCallback *callback;

	if (makini_max_requests_per_query == 0)
		return NULL;
	for (budget = budgets; budget != NULL; budget = budget->next)
	{
		if (budget->estate == estate)
			return &budget->left;
	}
	budget = MemoryContextAllocZero(estate->es_query_cxt, sizeof(Budget));
	callback = MemoryContextAllocZero(estate->es_query_cxt, sizeof(MemoryContextCallback));
	budget->estate = estate;
	budget->left = makini_max_requests_per_query;
	budget->next = budgets;
	budgets = budget;
	callback->func = forget_budget;
	callback->arg = budget;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
	return &budget->left;
}

/* ---------------------------------------------------------------------
 * Callbacks
 * ---------------------------------------------------------------------
 */

/*
 * scan_begin
 *		BeginForeignScan.
 */
void
scan_begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	RemoteScan	*state = palloc0(sizeof(RemoteScan));

	node->fdw_state = state;
	state->spec = spec_from_list(plan->fdw_private, &state->tables);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	table_refuse_read(linitial(state->tables));
	state->exprs = ExecInitExprList(plan->fdw_exprs, (PlanState *) node);
	state->cxt =
		AllocSetContextCreate(node->ss.ps.state->es_query_cxt, "makini scan", ALLOCSET_DEFAULT_SIZES);
	state->row_cxt = AllocSetContextCreate(state->cxt, "makini row", ALLOCSET_DEFAULT_SIZES);
}

static void
open_connection(ForeignScanState *node, RemoteScan *state)
{
	Table		 *table = linitial(state->tables);
	MemoryContext old = MemoryContextSwitchTo(state->cxt);

	state->conn = connection_open(table->serverid, makini_scan_user(node), REMOTE_USE_SCAN);
	state->conn->endpoint.usage = &state->usage;
	state->conn->endpoint.budget = statement_budget(node->ss.ps.state);
	state->decoder = spec_decoder(state->conn, node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
								  state->spec, state->tables);
	MemoryContextSwitchTo(old);
}

static void
close_query(RemoteScan *state)
{
	if (state->reader != NULL)
		state->conn->connector->close(state->reader);
	state->reader = NULL;
	state->page = NULL;
	state->row = 0;
	state->pages = 0;
	state->bound = false;
	state->empty = false;
	if (state->query_cxt != NULL)
		MemoryContextDelete(state->query_cxt);
	state->query_cxt = NULL;
}

/* Can the rows be given once more without asking? */
static bool
holds_whole_result(const RemoteScan *state)
{
	if (!state->bound)
		return false;
	return state->never || state->empty ||
		(state->pages == 1 && state->page != NULL && !state->page->has_more);
}

/* A disjunction of nothing. */
static Filter *
nothing_passes(void)
{
	Filter *filter = palloc0(sizeof(Filter));

	filter->kind = FILTER_OR;
	return filter;
}

/* Aggregates without GROUP BY have a row even where no row passes. */
static bool
gives_row_of_nothing(const RemoteQuery *query)
{
	return query->grouped && query->group == NIL;
}

/*
 * Evaluate the values of the conditions.  Expressions belong to the query's
 * context only for as long as it takes to write them out as text.
 */
static void
bind_query(ForeignScanState *node, RemoteScan *state)
{
	ExprContext	  *econtext = node->ss.ps.ps_ExprContext;
	MemoryContext  cxt = AllocSetContextCreate(state->cxt, "makini query", ALLOCSET_DEFAULT_SIZES);
	MemoryContext  old = MemoryContextSwitchTo(cxt);
	StringInfoData fingerprint;
	RemoteQuery	  *query = query_from_spec(state->spec, state->tables);
	bool		   never = false;

	initStringInfo(&fingerprint);
	query->on = filter_bind(state->spec->on, state->exprs, econtext, &fingerprint, &never);
	if (never && (state->spec->join == QUERY_LEFT_JOIN || gives_row_of_nothing(query)))
	{
		/* Nothing meets: every row of the left side comes with NULLs. */
		query->on = nothing_passes();
		never = false;
	}
	query->where = filter_bind(state->spec->where, state->exprs, econtext, &fingerprint, &never);
	if (never && gives_row_of_nothing(query))
	{
		query->where = nothing_passes();
		never = false;
	}
	MemoryContextSwitchTo(old);

	if (holds_whole_result(state) && strcmp(state->fingerprint, fingerprint.data) == 0)
	{
		MemoryContextDelete(cxt);
		state->row = 0;
		return;
	}
	close_query(state);
	state->query_cxt = cxt;
	state->bound = true;
	state->never = never;
	state->fingerprint = fingerprint.data;
	if (never)
		return;
	if (state->conn == NULL)
		open_connection(node, state);
	old = MemoryContextSwitchTo(cxt);
	state->reader = state->conn->connector->open(state->conn, query);
	MemoryContextSwitchTo(old);
}

static bool
next_page(RemoteScan *state)
{
	if (state->reader == NULL || state->empty || (state->page != NULL && !state->page->has_more))
		return false;
	state->page = state->conn->connector->next_page(state->reader);
	state->row = 0;
	if (state->page == NULL)
	{
		state->empty = state->pages == 0;
		return false;
	}
	state->pages++;
	state->total_pages++;
	return true;
}

/*
 * scan_iterate
 *		IterateForeignScan.
 */
TupleTableSlot *
scan_iterate(ForeignScanState *node)
{
	RemoteScan	   *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	MemoryContext	old;

	ExecClearTuple(slot);
	if (!state->running)
	{
		bind_query(node, state);
		state->running = true;
	}
	while (state->page == NULL || state->row >= state->page->nrows)
	{
		if (!next_page(state))
			return slot;
	}
	MemoryContextReset(state->row_cxt);
	old = MemoryContextSwitchTo(state->row_cxt);
	decoder_row(state->decoder, state->page, state->row++, state->pages, slot->tts_values,
				slot->tts_isnull);
	MemoryContextSwitchTo(old);
	return ExecStoreVirtualTuple(slot);
}

/*
 * scan_rescan
 *		ReScanForeignScan.
 */
void
scan_rescan(ForeignScanState *node)
{
	RemoteScan *state = node->fdw_state;

	state->running = false;
}

/*
 * scan_end
 *		EndForeignScan.  After an error the contexts' own callbacks do this.
 */
void
scan_end(ForeignScanState *node)
{
	RemoteScan *state = node->fdw_state;

	if (state == NULL || state->cxt == NULL)
		return;
	close_query(state);
	MemoryContextDelete(state->cxt);
	state->cxt = NULL;
}
