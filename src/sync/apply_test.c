/*-------------------------------------------------------------------------
 *
 * apply_test.c
 *		Writes the rows of a query to a sync's target, and compares them with it,
 *		for tests of the writing alone.  Built only where MAKINI_TEST is defined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef MAKINI_TEST

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "sync/apply.h"

PG_FUNCTION_INFO_V1(makini_test_apply);

static List *
select_all(const Table *source)
{
	Relation rel = table_open(source->relid, AccessShareLock);
	List	*selected = NIL;

	for (int i = 0; i < source->natts; i++)
	{
		SelectedColumn	 *column = palloc0(sizeof(SelectedColumn));
		Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), i);

		if (source->columns[i] == NULL)
			continue;
		column->remote = source->columns[i];
		column->name = pstrdup(NameStr(attr->attname));
		column->typmod = attr->atttypmod;
		column->type = getBaseTypeAndTypmod(attr->atttypid, &column->typmod);
		selected = lappend(selected, column);
	}
	table_close(rel, AccessShareLock);
	return selected;
}

/* The rows of a query, made once, in pages. */
static void
take_rows(SPITupleTable *table, uint64 from, int n, Rows *rows, bool extra)
{
	TupleDesc desc = table->tupdesc;

	rows->n = n;
	rows->ncolumns = desc->natts - extra;
	rows->values = palloc(sizeof(Datum) * Max(1, n * rows->ncolumns));
	rows->nulls = palloc(sizeof(bool) * Max(1, n * rows->ncolumns));
	rows->extra = extra ? palloc0(sizeof(char *) * Max(1, n)) : NULL;
	for (int row = 0; row < n; row++)
	{
		for (int i = 0; i < rows->ncolumns; i++)
			rows->values[row * rows->ncolumns + i] =
				SPI_getbinval(table->vals[from + row], desc, i + 1,
							  &rows->nulls[row * rows->ncolumns + i]);
		if (extra)
			rows->extra[row] = SPI_getvalue(table->vals[from + row], desc, desc->natts);
	}
}

/* "1,2" or NULL as the values of a range. */
static const char **
range_values(FunctionCallInfo fcinfo, int arg, int *n)
{
	Datum		*elems;
	bool		*nulls;
	const char **values;

	*n = 0;
	if (PG_ARGISNULL(arg))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, n);
	values = palloc(sizeof(char *) * Max(1, *n));
	for (int i = 0; i < *n; i++)
		values[i] = nulls[i] ? NULL : TextDatumGetCString(elems[i]);
	return values;
}

static void
key_order(const Target *target, PageRange *range)
{
	for (int i = 0; i < target->nsource; i++)
	{
		QueryOrder *order = palloc0(sizeof(QueryOrder));

		order->column = target->columns[i].remote;
		if (target->columns[i].key)
			range->order = lappend(range->order, order);
	}
}

/*
 * makini_test_apply
 *		(sync_id, query, page_rows, what, low text[], high text[], argument text).
 *		what: apply, empty (apply into a target that was), pass (apply and note as
 *		seen), note, seen, children, delete, delete_seen, multiset (apply and delete), verify.  argument: "joined",
 *		"lost" (pages lack a row that could not be made), the parent's column or the
 *		check's id.  The query's last column may be "_extra".
 */
Datum
makini_test_apply(PG_FUNCTION_ARGS)
{
	Sync		  *sync = sync_load(PG_GETARG_INT64(0));
	char		  *query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int			   page = PG_GETARG_INT32(2);
	char		  *what = text_to_cstring(PG_GETARG_TEXT_PP(3));
	char		  *argument = PG_ARGISNULL(6) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(6));
	Table		  *source = table_open_options(sync->source);
	Target		  *target = target_open(sync, select_all(source));
	Counters	   counters = {0};
	PageRange	   range = {0};
	Apply		  *apply;
	SPITupleTable *table;
	uint64		   total;
	bool		   extra;

	if (argument != NULL && strcmp(argument, "joined") == 0)
		target->way = WAY_JOINED;
	range.low = range_values(fcinfo, 4, &range.nlow);
	range.high = range_values(fcinfo, 5, &range.nhigh);
	key_order(target, &range);
	apply = apply_begin(sync, target, 0, &counters, strcmp(what, "empty") == 0);
	SPI_connect();
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("the query gives no rows")));
	table = SPI_tuptable;
	total = SPI_processed;
	extra = strcmp(SPI_fname(table->tupdesc, table->tupdesc->natts), "_extra") == 0;
	for (uint64 from = 0; from < total || from == 0; from += page)
	{
		Rows rows = {.lost = argument != NULL && strcmp(argument, "lost") == 0};

		take_rows(table, from, Min(page, total - from), &rows, extra);
		PushActiveSnapshot(GetTransactionSnapshot());
		if (strcmp(what, "apply") == 0 || strcmp(what, "empty") == 0 || strcmp(what, "multiset") == 0)
			apply_rows(apply, &rows);
		else if (strcmp(what, "pass") == 0)
		{
			seen_page(apply, &rows);
			apply_rows(apply, &rows);
		}
		else if (strcmp(what, "note") == 0)
			compare_note(apply, &rows, &range, GetCurrentTimestamp());
		else if (strcmp(what, "seen") == 0)
			compare_seen(apply, &rows);
		else if (strcmp(what, "children") == 0)
			compare_children(apply, &rows, &range, argument, DT_NOEND);
		else if (strcmp(what, "verify") == 0)
			compare_verify(apply, &rows, &range, atoi(argument));
		PopActiveSnapshot();
	}
	if (strncmp(what, "delete", 6) == 0 || strcmp(what, "multiset") == 0)
		while (compare_delete(apply, strcmp(what, "delete_seen") == 0, GetCurrentTimestamp(), page))
			CommandCounterIncrement();
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(
		psprintf("inserted " INT64_FORMAT " updated " INT64_FORMAT " unchanged " INT64_FORMAT
				 " deleted " INT64_FORMAT " rejected " INT64_FORMAT,
				 counters.inserted, counters.updated, counters.unchanged, counters.deleted,
				 counters.rejected)));
}

#endif /* MAKINI_TEST */
