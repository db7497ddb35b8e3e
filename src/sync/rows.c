/*-------------------------------------------------------------------------
 *
 * rows.c
 *		A page as rows of Datums, without those that the sync is not about.
 *
 * Values have the base types of the source's columns: domains are checked when
 * a row is written, with the rights of the target's owner.  A row with a value
 * that is none of its type is rejected; the others of its page are not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "sync/sync.h"

struct RowMaker
{
	const Sync		 *sync;
	const SyncSource *source;
	int64			  run_id;
	Counters		 *counters;
	Decoder			 *decoder;
	TimestampTz		  history_from; /* rows before it are left out; 0: none are */
	int				  cursor;		/* place of the cursor among the columns, or -1 */
	int				 *extras;		/* places of columns that go into _extra */
	int				  nextras;
	Rows			  rows;
	int				  capacity;
	MemoryContext	  cxt; /* of this */
	MemoryContext	  page_cxt;

	/* conditions that are checked here once more */
	EState		   *estate;
	TupleTableSlot *slot;
	ExprState	   *filter;
	ExprState	   *initial_filter;

	/* the page being worked on */
	CellPage *page;
	int64	  page_number;
	int		  row;
};

static ExprState *
prepare_condition(RowMaker *maker, const TextFilter *filter, bool always)
{
	if (filter == NULL || (!always && filter->exact && filter->filter != NULL))
		return NULL;
	return ExecInitExpr(filter->expr, NULL);
}

static void
prepare_conditions(RowMaker *maker)
{
	Relation	  relation = table_open(maker->source->table->relid, NoLock);
	MemoryContext old;

	maker->estate = CreateExecutorState();
	old = MemoryContextSwitchTo(maker->estate->es_query_cxt);
	maker->slot = MakeTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(relation)), &TTSOpsVirtual);
	maker->filter = prepare_condition(maker, maker->source->filter, false);
	if (maker->history_from != 0)
		maker->initial_filter = prepare_condition(maker, maker->source->initial_filter, true);
	MemoryContextSwitchTo(old);
	table_close(relation, NoLock);
}

static void
prepare_columns(RowMaker *maker, Connection *conn)
{
	int			  n = list_length(maker->source->selected);
	DecodeColumn *columns = palloc0(sizeof(DecodeColumn) * Max(1, n));
	const char	 *relation = get_rel_name(maker->source->table->relid);
	ListCell	 *lc;

	maker->extras = palloc(sizeof(int) * Max(1, n));
	foreach(lc, maker->source->selected)
	{
		SelectedColumn *selected = lfirst(lc);
		int				at = foreach_current_index(lc);

		columns[at].slot = at;
		columns[at].type = selected->type;
		columns[at].typmod = selected->typmod;
		columns[at].relation = relation;
		columns[at].column = selected->name;
		if (selected->remote == maker->source->cursor)
			maker->cursor = at;
		if (selected->extra)
			maker->extras[maker->nextras++] = at;
	}
	maker->rows.ncolumns = n;
	maker->decoder = decoder_create(conn, n, columns, n);
}

RowMaker *
rows_begin(Connection *conn, const Sync *sync, const SyncSource *source, TimestampTz history_from,
		   int64 run_id, Counters *counters)
{
	RowMaker *maker = palloc0(sizeof(RowMaker));

	maker->cxt = CurrentMemoryContext;
	maker->page_cxt = AllocSetContextCreate(maker->cxt, "makini rows", ALLOCSET_DEFAULT_SIZES);
	maker->sync = sync;
	maker->source = source;
	maker->run_id = run_id;
	maker->counters = counters;
	maker->cursor = -1;
	prepare_columns(maker, conn);

	/* What belongs to a parent's history is told by the parent alone. */
	if (maker->cursor >= 0 && source->parent == NULL)
		maker->history_from = history_from;
	prepare_conditions(maker);
	return maker;
}

/* ---------------------------------------------------------------------
 * Which rows
 * ---------------------------------------------------------------------
 */

static bool
holds(RowMaker *maker, ExprState *condition)
{
	ExprContext *econtext = GetPerTupleExprContext(maker->estate);
	bool		 isnull;
	Datum		 value = ExecEvalExprSwitchContext(condition, econtext, &isnull);

	return !isnull && DatumGetBool(value);
}

static void
fill_slot(RowMaker *maker, const Datum *values, const bool *nulls)
{
	ListCell *lc;

	ExecClearTuple(maker->slot);
	memset(maker->slot->tts_isnull, true, maker->slot->tts_tupleDescriptor->natts);
	foreach(lc, maker->source->selected)
	{
		SelectedColumn *selected = lfirst(lc);
		int				at = foreach_current_index(lc);

		maker->slot->tts_values[selected->attnum - 1] = values[at];
		maker->slot->tts_isnull[selected->attnum - 1] = nulls[at];
	}
	ExecStoreVirtualTuple(maker->slot);
	ResetPerTupleExprContext(maker->estate);
	GetPerTupleExprContext(maker->estate)->ecxt_scantuple = maker->slot;
}

/* Is this one of the rows that the sync is about? */
static bool
is_wanted(RowMaker *maker, const Datum *values, const bool *nulls)
{
	bool is_older = maker->history_from != 0 && !nulls[maker->cursor] &&
		DatumGetTimestampTz(values[maker->cursor]) < maker->history_from;

	if (maker->filter == NULL && !is_older)
		return true;
	fill_slot(maker, values, nulls);
	if (maker->filter != NULL && !holds(maker, maker->filter))
		return false;
	return !is_older || (maker->initial_filter != NULL && holds(maker, maker->initial_filter));
}

/* ---------------------------------------------------------------------
 * Making them
 * ---------------------------------------------------------------------
 */

static void
append_member(StringInfo json, const char *name, const Cell *cell)
{
	appendStringInfoString(json, json->len > 1 ? ", " : "");
	escape_json(json, name);
	appendStringInfoString(json, ": ");
	if (cell->text == NULL)
		appendStringInfoString(json, "null");
	else
		escape_json(json, pnstrdup(cell->text, cell->len));
}

static const Cell *
cell_of(const RowMaker *maker, int row, int column)
{
	return &maker->page->cells[(size_t) row * maker->page->ncolumns + column];
}

/* What the source sent of a row, or of its key only, as a JSON object of texts. */
static char *
json_of_cells(const RowMaker *maker, int row, List *only)
{
	StringInfoData json;
	ListCell	  *lc;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	foreach(lc, maker->source->selected)
	{
		SelectedColumn *selected = lfirst(lc);

		if (only == NIL || list_member_ptr(only, selected->remote))
			append_member(&json, selected->name, cell_of(maker, row, foreach_current_index(lc)));
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

static const char *
extra_of_row(const RowMaker *maker, int row)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < maker->nextras; i++)
	{
		SelectedColumn *selected = list_nth(maker->source->selected, maker->extras[i]);

		append_member(&json, selected->name, cell_of(maker, row, maker->extras[i]));
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* Add one row of the page to the rows. */
static void
make_row(RowMaker *maker, int row)
{
	Rows  *rows = &maker->rows;
	Datum *values = rows->values + (size_t) rows->n * rows->ncolumns;
	bool  *nulls = rows->nulls + (size_t) rows->n * rows->ncolumns;

	decoder_row(maker->decoder, maker->page, row, maker->page_number, values, nulls);
	if (!is_wanted(maker, values, nulls))
		return;
	if (maker->nextras > 0)
		rows->extra[rows->n] = extra_of_row(maker, row);
	rows->n++;
}

/* Conditions are the sync's owner's; nobody else's rights are theirs to use. */
static void
make_rows(RowMaker *maker, int from, int upto)
{
	bool		 conditions = maker->filter != NULL || maker->initial_filter != NULL;
	TargetRights saved;

	if (conditions)
		rights_of_target(maker->sync->owner, &saved);
	for (int row = from; row < upto; row++)
		make_row(maker, row);
	if (conditions)
		rights_of_target_restore(&saved);
}

static void
make_all(void *arg)
{
	RowMaker *maker = arg;

	make_rows(maker, 0, maker->page->nrows);
}

static void
make_one(void *arg)
{
	RowMaker *maker = arg;

	make_rows(maker, maker->row, maker->row + 1);
}

static bool
is_of_row(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION;
}

/* Some row can't be made: find out which. */
static void
make_each(RowMaker *maker)
{
	for (maker->row = 0; maker->row < maker->page->nrows; maker->row++)
	{
		ErrorData *error = run_attempt(make_one, maker);

		if (error == NULL)
			continue;
		if (!is_of_row(error))
			ReThrowError(error);
		reject_row(maker->sync->sync_id, maker->run_id,
				   json_of_cells(maker, maker->row, maker->source->table->source->key),
				   json_of_cells(maker, maker->row, NIL), NULL, error);
		maker->counters->rejected++;
		maker->rows.lost++;
	}
}

static void
make_room(RowMaker *maker, int n)
{
	Rows *rows = &maker->rows;

	if (n <= maker->capacity)
		return;
	if (maker->capacity > 0)
	{
		pfree(rows->values);
		pfree(rows->nulls);
		if (rows->extra != NULL)
			pfree(rows->extra);
	}
	maker->capacity = n;
	rows->values = MemoryContextAllocHuge(maker->cxt, sizeof(Datum) * n * rows->ncolumns);
	rows->nulls = MemoryContextAllocHuge(maker->cxt, sizeof(bool) * n * rows->ncolumns);
	if (maker->nextras > 0)
		rows->extra = MemoryContextAllocHuge(maker->cxt, sizeof(char *) * n);
}

Rows *
rows_make(RowMaker *maker, CellPage *page, int64 page_number)
{
	MemoryContext old;
	ErrorData	 *error;

	MemoryContextReset(maker->page_cxt);
	make_room(maker, page->nrows);
	maker->page = page;
	maker->page_number = page_number;
	maker->rows.n = 0;
	maker->rows.lost = 0;
	maker->counters->read += page->nrows;
	old = MemoryContextSwitchTo(maker->page_cxt);
	error = run_attempt(make_all, maker);
	if (error != NULL)
	{
		maker->rows.n = 0;
		if (!is_of_row(error))
			ReThrowError(error);
		make_each(maker);
	}
	MemoryContextSwitchTo(old);
	return &maker->rows;
}
