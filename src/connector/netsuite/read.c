/*-------------------------------------------------------------------------
 *
 * read.c
 *		Fetches the rows of a query from NetSuite, page by page.
 *
 * SuiteQL has no cursor and no snapshot: each page is a query of its own.
 *
 * A chain of keyset pages has one request in flight: the next can be asked for
 * as soon as the last key of a page is known, while the reader still works on
 * that page.  lanes.c has several such chains side by side.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "connector/netsuite/reader.h"
#include "remote/reactor.h"

static bool next_split(Reader *reader);

/* ---------------------------------------------------------------------
 * Requests
 * ---------------------------------------------------------------------
 */

static void
append_json_string(StringInfo out, const char *text)
{
	char *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);

	escape_json(out, utf8);
}

/*
 * suiteql_call
 *		Send a statement; limit is the page size (1 to 1000), offset a multiple
 *		of it.  See NetSuite's SuiteTalk REST "Executing SuiteQL Queries".
 */
RemoteCall *
suiteql_call(Connection *conn, const char *statement, List *params, int limit, int64 offset)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext text_cxt = AllocSetContextCreate(caller, "makini request", ALLOCSET_DEFAULT_SIZES);
	StringInfoData body;
	RemoteRequest  request = {.method = "POST", .repeatable = true};
	RemoteCall	  *call;
	ListCell	  *lc;

	MemoryContextSwitchTo(text_cxt);
	initStringInfo(&body);
	appendStringInfoString(&body, "{\"q\":");
	append_json_string(&body, statement);
	if (params != NIL)
	{
		appendStringInfoString(&body, ",\"params\":");
		foreach(lc, params)
		{
			appendStringInfoChar(&body, foreach_current_index(lc) == 0 ? '[' : ',');
			append_json_string(&body, lfirst(lc));
		}
		appendStringInfoChar(&body, ']');
	}
	appendStringInfoChar(&body, '}');

	request.url = psprintf("%s/services/rest/query/v1/suiteql?limit=%d&offset=" INT64_FORMAT,
						   conn->endpoint.base_url, limit, offset);
	request.body = body.data;
	request.body_len = body.len;
	request.headers =
		list_make3("Content-Type: application/json", "Accept: application/json", "Prefer: transient");
	if (conn->accept_language != NULL)
		request.headers =
			lappend(request.headers, psprintf("Accept-Language: %s", conn->accept_language));
	MemoryContextSwitchTo(caller);
	call = remote_call_start(&conn->endpoint, &request);
	MemoryContextDelete(text_cxt);
	return call;
}

/* Two rows show that they share a key; a page of one never does. */
int
reader_page_size(const Reader *reader)
{
	return Max(reader->conn->page_size, reader->doubtful ? 2 : 1);
}

static int
request_limit(Reader *reader)
{
	if (reader->paging == PAGING_ONCE && reader->query->limit > 0)
		return Min(reader->query->limit, reader_page_size(reader));
	return reader_page_size(reader);
}

/*
 * reader_request_page
 *		Ask for the next page of a lane.
 */
void
reader_request_page(Reader *reader, Lane *lane)
{
	SuiteqlPage	  page = {.order = reader->order, .fetch_first = -1};
	MemoryContext old;
	MemoryContext text_cxt;
	List		 *params;
	char		 *statement;

	/* The call copies what it is given; the text need not outlive this function. */
	text_cxt = AllocSetContextCreate(reader->cxt, "makini statement", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(text_cxt);
	page.after = lane->has_position ? lane->after : NULL;
	if (lane->has_high)
		page.upto = position_of_number(text_cxt, lane->high);
	if (reader->paging == PAGING_ONCE && reader->query->limit >= 0)
		page.fetch_first = reader->query->limit;
	if (reader->split_in != NULL)
	{
		page.split_in = reader->split_in;
		page.in_values = list_copy_tail(reader->split_in->values, reader->split_at);
		page.in_values = list_truncate(page.in_values, SUITEQL_MAX_IN);
	}
	statement = suiteql_statement(reader->conn, reader->query, &page, &params);
	MemoryContextSwitchTo(reader->cxt);
	lane->call = suiteql_call(reader->conn, statement, params, request_limit(reader), lane->offset);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(text_cxt);
}

static void
create_columns(Reader *reader)
{
	int			 n = list_length(reader->query->columns);
	const char **names = palloc(sizeof(char *) * n);

	for (int i = 0; i < n; i++)
		names[i] = suiteql_column_name(reader->query, i);
	reader->columns = page_columns_create(names, n);
	if (reader->columns == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* malloc'd parts go when the reader's context does. */
static void
release_reader(void *arg)
{
	Reader *reader = arg;

	page_columns_free(reader->columns);
	page_free(&reader->page);
}

static void
start_first_page(Reader *reader)
{
	lanes_clear(reader);
	reader_request_page(reader, lane_begin(reader));
}

/* Go on where another reader of this query had come to. */
static void
take_up(Reader *reader, const char *position)
{
	position_restore(reader, position);
	lanes_spread(reader);
	if (lanes_busy(reader) == 0)
		reader->finished = !next_split(reader);
}

/*
 * netsuite_open
 *		Begin to read a query; the reader lives in CurrentMemoryContext.  The
 *		first request is sent at once.
 */
Reader *
netsuite_open(Connection *conn, const RemoteQuery *query)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini netsuite reader", ALLOCSET_DEFAULT_SIZES);
	MemoryContext		   old = MemoryContextSwitchTo(cxt);
	Reader				  *reader = palloc0(sizeof(Reader));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	reader->conn = conn;
	reader->cxt = cxt;
	reader->page_cxt = AllocSetContextCreate(cxt, "makini netsuite page", ALLOCSET_DEFAULT_SIZES);
	reader->covered_cxt = AllocSetContextCreate(cxt, "makini page range", ALLOCSET_SMALL_SIZES);
	reader->tells_ranges = conn->endpoint.use == REMOTE_USE_SYNC;
	reader->ahead = Max(conn->fetch_ahead, reader->tells_ranges ? 1 : 0);
	reader->opened = reactor_clock();
	reader->expected = -1;
	reader->query = palloc(sizeof(RemoteQuery));
	*reader->query = *query;
	reader->query->columns = list_copy(query->columns);
	reader->ncolumns = list_length(query->columns);
	callback->func = release_reader;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(cxt, callback);

	paging_choose(reader);
	create_columns(reader);
	if (query->resume != NULL)
		take_up(reader, query->resume);
	else
		start_first_page(reader);
	MemoryContextSwitchTo(old);
	return reader;
}

/* ---------------------------------------------------------------------
 * Pages
 * ---------------------------------------------------------------------
 */

/*
 * reader_has_enough
 *		Would so many rows be all that the query wants?
 */
bool
reader_has_enough(Reader *reader, int64 rows)
{
	return reader->query->limit >= 0 && rows >= reader->query->limit;
}

/* The caller has done with a page: its answer's memory goes back. */
static void
release_shown(Reader *reader)
{
	if (reader->shown == NULL)
		return;
	remote_call_free(reader->shown);
	reader->shown = NULL;
}

/* Wait for the answer of some lane; NULL when no lane has one to come. */
static Lane *
next_lane(Reader *reader)
{
	for (;;)
	{
		RemoteCall *calls[MAX_LANES + 1];
		Lane	   *lanes[MAX_LANES + 1];
		int			n = 0;
		int			done;

		for (int i = 0; i < reader->nlanes; i++)
		{
			Lane *lane = &reader->lanes[i];

			if (!lane->finished && lane->call == NULL)
				reader_request_page(reader, lane);
			if (lane->call == NULL)
				continue;
			lanes[n] = lane;
			calls[n++] = lane->call;
		}
		if (n == 0)
			return NULL;
		if (reader->extreme != NULL)
		{
			lanes[n] = NULL;
			calls[n++] = reader->extreme;
		}
		done = remote_call_wait_any(calls, n);
		if (lanes[done] != NULL)
			return lanes[done];
		lanes_take_extreme(reader);
	}
}

/* The next thousand members of a long IN list; false when all were read. */
static bool
next_split(Reader *reader)
{
	if (reader->split_in == NULL)
		return false;
	reader->split_at += SUITEQL_MAX_IN;
	if (reader->split_at >= list_length(reader->split_in->values))
		return false;
	start_first_page(reader);
	return true;
}

/* What the page says of itself is about its own range; the reader wants to know about the scan. */
static CellPage *
show_page(Reader *reader)
{
	if (reader_has_enough(reader, reader->delivered + reader->page.nrows))
	{
		reader->page.nrows = reader->query->limit - reader->delivered;
		reader->finished = true;
	}
	reader->delivered += reader->page.nrows;
	reader->page.has_more = !reader->finished && (lanes_busy(reader) > 0 || reader->split_in != NULL);
	return &reader->page;
}

/*
 * netsuite_next_page
 *		The next page, NULL at the end.  Its cells come in the order of the
 *		query's columns; page->ncolumns may be greater than theirs.
 */
CellPage *
netsuite_next_page(Reader *reader)
{
	while (!reader->finished)
	{
		MemoryContext old;
		Lane		 *lane;

		release_shown(reader);
		old = MemoryContextSwitchTo(reader->cxt);
		if (reader->extreme != NULL && remote_call_done(reader->extreme))
			lanes_take_extreme(reader);
		lane = next_lane(reader);
		if (lane == NULL)
			reader->finished = !next_split(reader);
		else
		{
			arrival_take(reader, lane);
			lanes_spread(reader);
		}
		MemoryContextSwitchTo(old);
		if (lane != NULL && (reader->page.nrows > 0 || reader->tells_ranges))
			return show_page(reader);
	}
	reader->covers = false;
	return NULL;
}

/*
 * netsuite_wait
 *		Until an answer is there for netsuite_next_page to take.  All that is to
 *		be asked for was asked for by then, and what went wrong is for it to say.
 */
void
netsuite_wait(Reader *reader)
{
	RemoteCall *calls[MAX_LANES];
	int			n = 0;

	for (int i = 0; i < reader->nlanes && !reader->finished; i++)
	{
		if (reader->lanes[i].call != NULL)
			calls[n++] = reader->lanes[i].call;
	}
	if (n > 0)
		(void) remote_call_wait_any(calls, n);
}

int64
netsuite_expected(Reader *reader)
{
	return reader->expected;
}

TimestampTz
netsuite_answered_at(Reader *reader)
{
	return reader->answered_at;
}

/*
 * netsuite_close
 *		Give up whatever is still in flight.
 */
void
netsuite_close(Reader *reader)
{
	MemoryContextDelete(reader->cxt);
}

/*
 * netsuite_count
 *		How many rows a query has; one request.
 */
double
netsuite_count(Connection *conn, const RemoteQuery *query)
{
	List		   *params;
	char		   *statement = suiteql_count(conn, query, &params);
	RemoteResponse *response = remote_call_result(suiteql_call(conn, statement, params, 1, 0));
	const char	   *names[] = {"c1"};
	PageColumns	   *columns = page_columns_create(names, 1);
	CellPage		page = {0};
	PageError		error;
	double			count = -1;

	if (columns != NULL && page_decode(&page, columns, response->body, response->body_len, 1, &error) &&
		page.nrows == 1 && page.cells[0].text != NULL)
		count = strtod(page.cells[0].text, NULL);
	page_free(&page);
	page_columns_free(columns);
	if (count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("server \"%s\" did not say how many rows there are", conn->server_name)));
	return count;
}
