/*-------------------------------------------------------------------------
 *
 * query.c
 *		makini.query(): any SuiteQL, rows as jsonb.
 *
 * The text is the caller's own, so there is no key to page by: pages are
 * offsets, up to the 100,000 rows that NetSuite gives for one text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "connector/netsuite/netsuite.h"
#include "makini.h"

PG_FUNCTION_INFO_V1(makini_query);

static List *
text_params(ArrayType *array)
{
	List  *params = NIL;
	Datum *datums;
	bool  *nulls;
	int	   n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &datums, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a parameter of a SuiteQL query must not be null"),
					 errhint("Write IS NULL into the statement instead.")));
		params = lappend(params, TextDatumGetCString(datums[i]));
	}
	return params;
}

/* An item as NetSuite sends it, but for its list of links. */
static Datum
item_jsonb(const Cell *cell)
{
	char *text = pg_any_to_server(cell->text, cell->len, PG_UTF8);
	Datum item = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));

	return DirectFunctionCall2(jsonb_delete, item, CStringGetTextDatum("links"));
}

static void
row_context(void *arg)
{
	errcontext("row %d of the page", *(int *) arg + 1);
}

static void
put_rows(ReturnSetInfo *result, const CellPage *page)
{
	int					 row;
	ErrorContextCallback context = {error_context_stack, row_context, &row};
	MemoryContext		 row_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini query row", ALLOCSET_DEFAULT_SIZES);

	error_context_stack = &context;
	for (row = 0; row < page->nrows; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(row_cxt);
		Datum		  value = item_jsonb(&page->cells[row]);
		bool		  isnull = false;

		MemoryContextSwitchTo(old);
		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
		MemoryContextReset(row_cxt);
	}
	error_context_stack = context.previous;
	MemoryContextDelete(row_cxt);
}

/* Cells are malloc'd, and an error may come from anywhere. */
static void
free_cells(void *arg)
{
	page_free(arg);
}

static CellPage *
create_page(void)
{
	CellPage			  *page = palloc0(sizeof(CellPage));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	callback->func = free_cells;
	callback->arg = page;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return page;
}

/*
 * One page of rows; false when it was the last.  *total is what the page before
 * said, -1 at first: a result that changes while it is read by offsets may miss
 * rows.
 */
static bool
query_page(Connection *conn, const char *statement, List *params, int64 offset, CellPage *page,
		   int64 *total)
{
	RemoteCall	   *call = suiteql_call(conn, statement, params, conn->page_size, offset);
	RemoteResponse *response = remote_call_result(call);
	PageError		error;

	if (!page_decode_objects(page, response->body, response->body_len, conn->page_size, &error))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("answer of server \"%s\" cannot be decoded", conn->server_name),
				 errdetail("%s at byte %zu of %zu.", error.message, error.offset, response->body_len),
				 errhint("Run the query again; something in between may have cut or changed the answer."),
				 response->operation_id ? errcontext("remote operation %s", response->operation_id) :
										  0));
	if (page->total_results > SUITEQL_MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("the query has more rows than NetSuite gives for one query"),
				 errdetail("The result has " INT64_FORMAT " rows, of which %d can be reached.",
						   page->total_results, SUITEQL_MAX_ROWS),
				 errhint("Narrow the query, or read the table through a foreign table, which reads in parts.")));
	if (*total >= 0 && page->total_results >= 0 && page->total_results != *total)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR), errmsg("the result of the query changed while it was read"),
				 errdetail("It had " INT64_FORMAT " rows at first and has " INT64_FORMAT
						   " now, so that some may be missed.",
						   *total, page->total_results),
				 errhint("Run the query again, or read the table through a foreign table with a key.")));
	*total = page->total_results;
	if (page->total_results >= 0)
		return page->total_results > offset + page->nrows && page->nrows > 0;
	return page->has_more && page->nrows > 0;
}

/*
 * makini_query
 *		makini.query(server name, statement text, params text[]) → SETOF jsonb.
 *		Parameters stand for the question marks in the statement, in order.
 */
Datum
makini_query(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ForeignServer *server = server_for_use(NameStr(*PG_GETARG_NAME(0)));
	char		  *statement = text_to_cstring(PG_GETARG_TEXT_PP(1));
	List		  *params = text_params(PG_GETARG_ARRAYTYPE_P(2));
	Connection	  *conn;
	CellPage	  *page;
	MemoryContext  page_cxt;
	int64		   budget = makini_max_requests_per_query;
	int64		   offset = 0;
	int64		   total = -1;
	bool		   more = true;

	if (connector_of_server(server->serverid) != &netsuite_connector)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("server \"%s\" takes no queries", server->servername),
				 errdetail("Only servers of netsuite_fdw do.")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	conn = connection_open(server->serverid, GetUserId(), REMOTE_USE_SCAN);
	if (budget > 0)
		conn->endpoint.budget = &budget;
	page = create_page();
	page_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini query page", ALLOCSET_DEFAULT_SIZES);
	while (more)
	{
		MemoryContext old = MemoryContextSwitchTo(page_cxt);

		more = query_page(conn, statement, params, offset, page, &total);
		put_rows(result, page);
		offset += page->nrows;
		MemoryContextSwitchTo(old);
		MemoryContextReset(page_cxt);
	}
	return (Datum) 0;
}
