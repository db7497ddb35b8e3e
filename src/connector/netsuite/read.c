/*-------------------------------------------------------------------------
 *
 * read.c
 *		Fetches the rows of a query from NetSuite, page by page.
 *
 * SuiteQL has no cursor and no snapshot: each page is a query of its own.  A
 * page begins behind the last key of the one before ("keyset paging"), never
 * at an offset, because rows that come or go meanwhile would shift an offset
 * and because only 100,000 rows can be reached by one.  Where a table has no
 * key that can be compared remotely, offsets are used, and the cap is an
 * error.
 *
 * A chain of keyset pages has one request in flight: the next can be asked for
 * as soon as the last key of a page is known, while the reader still works on
 * that page.  A scan that relies on no order and is long enough is cut into
 * ranges of its key, each a chain of its own (a "lane"); a lane that has
 * finished takes half of what the longest still has before it.
 *
 * Positions are checked on the way in: a page that does not advance, says
 * another count than it has, or is torn is an error, never a shorter result.
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

#include "connector/netsuite/netsuite.h"

#define MAX_LANES	16

/* How the pages of a query are found. */
typedef enum Paging
{
	PAGING_ONCE,				/* one request holds it all */
	PAGING_KEYSET,				/* each page begins behind the one before */
	PAGING_OFFSET
} Paging;

typedef struct Lane
{
	RemoteCall *call;			/* in flight, or NULL */
	RemoteCall *shown;			/* the answer whose page the reader works on, or NULL */
	bool		finished;
	bool		has_position;
	bool		has_high;		/* high is a bound; else the lane runs to the end */
	int64		position;		/* parallel lanes: last key seen */
	int64		high;			/* last key of the lane's range; a guess without has_high */
	int64		remaining;		/* rows behind position, as the last page said; -1: unknown */
	SuiteqlPosition *after;		/* position for the query text, or NULL */
	MemoryContext cxt;			/* of after */
	int64		offset;			/* PAGING_OFFSET */
} Lane;

struct Reader
{
	Connection *conn;
	MemoryContext cxt;			/* lives as long as the reader */
	MemoryContext page_cxt;		/* converted cells of the page shown */
	RemoteQuery	   *query;			/* with the key columns added to its columns */
	int			ncolumns;		/* of the caller's query */
	Paging		paging;
	List	   *order;			/* of QueryOrder *: what the text is ordered by */
	int		   *order_column;	/* where each of them is among the columns */
	bool		unique;			/* no two rows share a position */
	bool		parallel;		/* may be cut into ranges */
	PageColumns *columns;
	CellPage		page;
	int64		delivered;		/* rows handed out */
	int			nlanes;
	Lane		lanes[MAX_LANES];
	bool		extreme_known;
	RemoteCall *extreme;		/* greatest key asked for, or NULL */
	const Filter *split_in;		/* the IN list that is too long for one text, or NULL */
	int			split_at;		/* its members already read */
	bool		finished;
};

static void start_first_page(Reader *reader);

/* ---------------------------------------------------------------------
 * Requests
 * ---------------------------------------------------------------------
 */

static void
append_json_string(StringInfo out, const char *text)
{
	char	   *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);

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
	MemoryContext text_cxt = AllocSetContextCreate(caller, "makini request",
												   ALLOCSET_DEFAULT_SIZES);
	StringInfoData body;
	RemoteRequest request = {.method = "POST",.repeatable = true};
	RemoteCall *call;
	ListCell   *lc;

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
	request.headers = list_make3("Content-Type: application/json", "Accept: application/json",
								 "Prefer: transient");
	if (conn->accept_language != NULL)
		request.headers = lappend(request.headers,
								  psprintf("Accept-Language: %s", conn->accept_language));
	MemoryContextSwitchTo(caller);
	call = remote_call_start(&conn->endpoint, &request);
	MemoryContextDelete(text_cxt);
	return call;
}

static int
request_limit(Reader *reader)
{
	if (reader->paging == PAGING_ONCE && reader->query->limit > 0)
		return Min(reader->query->limit, reader->conn->page_size);
	return reader->conn->page_size;
}

static void
start_page(Reader *reader, Lane *lane)
{
	SuiteqlPage page = {.order = reader->order,.fetch_first = -1};
	SuiteqlPosition *upto = NULL;
	MemoryContext old;
	MemoryContext text_cxt;
	List	   *params;
	char	   *statement;

	/* The call copies what it is given; the text need not outlive this function. */
	text_cxt = AllocSetContextCreate(reader->cxt, "makini statement", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(text_cxt);
	page.after = lane->has_position ? lane->after : NULL;
	if (lane->has_high)
	{
		upto = palloc0(offsetof(SuiteqlPosition, values) + sizeof(char *));
		upto->n = 1;
		upto->values[0] = psprintf(INT64_FORMAT, lane->high);
		page.upto = upto;
	}
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

/* ---------------------------------------------------------------------
 * Opening: how to page, and which columns that takes
 * ---------------------------------------------------------------------
 */

static bool
comparable(const SourceColumn *column)
{
	return suiteql_can_order(column, false);
}

static bool
in_order(List *order, int source, const SourceColumn *column)
{
	ListCell   *lc;

	foreach(lc, order)
	{
		QueryOrder *each = lfirst(lc);

		if (each->source == source && strcmp(each->column->name, column->name) == 0)
			return true;
	}
	return false;
}

static List *
add_order(List *order, int source, SourceColumn *column)
{
	QueryOrder *each = palloc0(sizeof(QueryOrder));

	each->source = source;
	each->column = column;
	return lappend(order, each);
}

/*
 * Add the key of one source to the order.  Text is left out: how the remote
 * side sorts and compares it is not known.  Returns whether all of it is in.
 */
static bool
add_key(Reader *reader, int index)
{
	Source	   *source = list_nth(reader->query->sources, index);
	bool		whole = source->key != NIL;
	ListCell   *lc;

	foreach(lc, source->key)
	{
		SourceColumn *column = lfirst(lc);

		if (in_order(reader->order, index, column))
			continue;
		if (!comparable(column))
		{
			whole = false;
			continue;
		}
		if (index > 0 && reader->query->join == QUERY_LEFT_JOIN)
		{
			column = memcpy(palloc(sizeof(SourceColumn)), column, sizeof(SourceColumn));
			column->nullable = true;
		}
		reader->order = add_order(reader->order, index, column);
	}
	return whole;
}

static void
choose_order(Reader *reader)
{
	RemoteQuery	   *query = reader->query;
	ListCell   *lc;

	reader->order = list_copy(query->grouped ? query->group : query->order);
	if (query->grouped)
		reader->unique = true;
	else
	{
		reader->unique = add_key(reader, 0);
		if (query->join != QUERY_NO_JOIN && !query->joined_once)
			reader->unique = add_key(reader, 1) && reader->unique;
	}
	foreach(lc, reader->order)
	{
		if (!comparable(((QueryOrder *) lfirst(lc))->column))
			return;
	}
	if (reader->order != NIL)
		reader->paging = PAGING_KEYSET;
}

static void
choose_paging(Reader *reader)
{
	RemoteQuery	   *query = reader->query;
	QueryOrder *first;

	if ((query->grouped && query->group == NIL) ||
		(query->limit >= 0 && query->limit <= reader->conn->page_size &&
		 (reader->split_in == NULL || query->order != NIL)))
	{
		reader->paging = PAGING_ONCE;
		reader->order = query->order;
		reader->split_in = NULL;
		return;
	}
	reader->paging = PAGING_OFFSET;
	choose_order(reader);
	if (reader->paging != PAGING_KEYSET || query->order != NIL || query->grouped)
		return;
	first = linitial(reader->order);
	reader->parallel = reader->unique && list_length(reader->order) == 1 &&
		first->column->kind == VALUE_INTEGER && !first->column->nullable &&
		query->limit < 0 && reader->conn->fetch_ahead > 1;
}

/* Which output column holds an order column; added behind the caller's where none does. */
static int
find_or_add_column(Reader *reader, const QueryOrder *order)
{
	QueryColumn *column;
	ListCell   *lc;

	foreach(lc, reader->query->columns)
	{
		column = lfirst(lc);
		if (column->aggregate == AGGREGATE_NONE && column->source == order->source &&
			!column->column->display && strcmp(column->column->name, order->column->name) == 0)
			return foreach_current_index(lc);
	}
	column = palloc0(sizeof(QueryColumn));
	column->source = order->source;
	column->column = order->column;
	reader->query->columns = lappend(reader->query->columns, column);
	return list_length(reader->query->columns) - 1;
}

static void
add_order_columns(Reader *reader)
{
	ListCell   *lc;

	reader->order_column = palloc0(sizeof(int) * Max(1, list_length(reader->order)));
	if (reader->paging == PAGING_KEYSET)
	{
		foreach(lc, reader->order)
			reader->order_column[foreach_current_index(lc)] =
				find_or_add_column(reader, lfirst(lc));
	}

	/* Rows that nobody wants a column of are still to be counted. */
	if (reader->query->columns == NIL)
		reader->query->columns = list_make1(palloc0(sizeof(QueryColumn)));
}

static void
create_columns(Reader *reader)
{
	int			n = list_length(reader->query->columns);
	const char **names = palloc(sizeof(char *) * n);

	for (int i = 0; i < n; i++)
		names[i] = suiteql_column_name(reader->query, i);
	reader->columns = page_columns_create(names, n);
	if (reader->columns == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
}

/* malloc'd parts go when the reader's context does. */
static void
release_reader(void *arg)
{
	Reader	   *reader = arg;

	page_columns_free(reader->columns);
	page_free(&reader->page);
}

/*
 * An IN list beyond SuiteQL's thousand members is read as several queries,
 * where each row can be in only one of them and nobody relies on order or sums.
 */
static const Filter *
find_split(const RemoteQuery *query)
{
	const Filter *where = query->where;
	ListCell   *lc;

	if (where == NULL || query->order != NIL || query->grouped)
		return NULL;
	if (where->kind == FILTER_IN)
		return list_length(where->values) > SUITEQL_MAX_IN ? where : NULL;
	if (where->kind != FILTER_AND)
		return NULL;
	foreach(lc, where->args)
	{
		const Filter *arg = lfirst(lc);

		if (arg->kind == FILTER_IN && list_length(arg->values) > SUITEQL_MAX_IN)
			return arg;
	}
	return NULL;
}

/*
 * netsuite_open
 *		Begin to read a query; the reader lives in CurrentMemoryContext.  The
 *		first request is sent at once.
 */
Reader *
netsuite_open(Connection *conn, const RemoteQuery *query)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "makini netsuite reader",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Reader	   *reader = palloc0(sizeof(Reader));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	reader->conn = conn;
	reader->cxt = cxt;
	reader->page_cxt = AllocSetContextCreate(cxt, "makini netsuite page", ALLOCSET_DEFAULT_SIZES);
	reader->query = palloc(sizeof(RemoteQuery));
	*reader->query = *query;
	reader->query->columns = list_copy(query->columns);
	reader->ncolumns = list_length(query->columns);
	reader->split_in = find_split(query);
	callback->func = release_reader;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(cxt, callback);

	choose_paging(reader);
	add_order_columns(reader);
	create_columns(reader);
	start_first_page(reader);
	MemoryContextSwitchTo(old);
	return reader;
}

static void
start_first_page(Reader *reader)
{
	Lane	   *lane = &reader->lanes[0];

	reader->nlanes = 1;
	memset(reader->lanes, 0, sizeof(reader->lanes));
	lane->remaining = -1;
	lane->cxt = AllocSetContextCreate(reader->cxt, "makini position", ALLOCSET_SMALL_SIZES);
	start_page(reader, lane);
}

/* ---------------------------------------------------------------------
 * A page arrives
 * ---------------------------------------------------------------------
 */

static const char *
source_name(Reader *reader)
{
	Source	   *source = linitial(reader->query->sources);

	return source->entity != NULL ? source->entity : "query";
}

static void
raise_broken(Reader *reader, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("answer of server \"%s\" cannot be relied on", reader->conn->server_name),
			 errdetail("Reading \"%s\": %s", source_name(reader), detail),
			 errhint("Run the query again; nothing of this answer was used. If it stays, send the operation id in the server log to NetSuite's support.")));
}

static Cell *
cell_at(Reader *reader, int row, int column)
{
	return &reader->page.cells[(size_t) row * reader->page.ncolumns + column];
}

/*
 * Text in a page is UTF-8 or it is refused.  The whole body was looked at
 * before it was decoded; this finds the cell to blame.
 */
static void
raise_bad_bytes(Reader *reader)
{
	for (int row = 0; row < reader->page.nrows; row++)
	{
		for (int column = 0; column < reader->page.ncolumns; column++)
		{
			Cell	   *cell = cell_at(reader, row, column);

			if (cell->text != NULL && !pg_verify_mbstr(PG_UTF8, cell->text, cell->len, true))
				ereport(ERROR,
						(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
						 errmsg("invalid byte sequence for encoding \"UTF8\" in column \"%s\" of \"%s\"",
								suiteql_column_name(reader->query, column), source_name(reader)),
						 errdetail("The bytes are in row %d of the page.", row + 1)));
		}
	}
	raise_broken(reader, "a member that was not asked for is not valid UTF-8.");
}

/* Cells become text of the database's encoding. */
static void
convert_cells(Reader *reader)
{
	int64		n = (int64) reader->page.nrows * reader->page.ncolumns;
	MemoryContext old = MemoryContextSwitchTo(reader->page_cxt);

	for (int64 i = 0; i < n; i++)
	{
		Cell	   *cell = &reader->page.cells[i];
		char	   *converted;

		if (cell->text == NULL)
			continue;
		converted = pg_any_to_server(cell->text, cell->len, PG_UTF8);
		if (converted == cell->text)
			continue;
		cell->text = converted;
		cell->len = strlen(converted);
		cell->quoted = false;
	}
	MemoryContextSwitchTo(old);
}

static void
decode(Reader *reader, RemoteResponse *response)
{
	PageError	error;
	bool		valid = pg_verify_mbstr(PG_UTF8, response->body, response->body_len, true);

	if (!page_decode(&reader->page, reader->columns, response->body, response->body_len,
					 reader->conn->page_size, &error))
		ereport(ERROR,
				(errcode(error.bad_text ? ERRCODE_UNTRANSLATABLE_CHARACTER : ERRCODE_FDW_ERROR),
				 errmsg("answer of server \"%s\" cannot be decoded", reader->conn->server_name),
				 errdetail("Reading \"%s\": %s at byte %zu of %zu.", source_name(reader),
						   error.message, error.offset, response->body_len),
				 response->operation_id ?
				 errcontext("remote operation %s", response->operation_id) : 0));
	if (!valid)
		raise_bad_bytes(reader);
	if (reader->page.count >= 0 && reader->page.count != reader->page.nrows)
		raise_broken(reader, psprintf("a page says it has " INT64_FORMAT " rows and has %d.",
									  reader->page.count, reader->page.nrows));
	if (reader->page.total_results >= 0 && reader->page.total_results < reader->page.nrows)
		raise_broken(reader, "a page has more rows than the whole result.");
}

static int64
key_of_row(Reader *reader, int row)
{
	Cell	   *cell = cell_at(reader, row, reader->order_column[0]);

	if (cell->text == NULL)
		raise_broken(reader, "a row has no key.");
	return pg_strtoint64(cell->text);
}

static bool
same_position(Reader *reader, int row, int other)
{
	for (int i = 0; i < list_length(reader->order); i++)
	{
		Cell	   *a = cell_at(reader, row, reader->order_column[i]);
		Cell	   *b = cell_at(reader, other, reader->order_column[i]);

		if ((a->text == NULL) != (b->text == NULL) || a->len != b->len ||
			(a->text != NULL && memcmp(a->text, b->text, a->len) != 0))
			return false;
	}
	return true;
}

static bool
at_position(Reader *reader, int row, const SuiteqlPosition *position)
{
	for (int i = 0; i < position->n; i++)
	{
		Cell	   *cell = cell_at(reader, row, reader->order_column[i]);

		if ((cell->text == NULL) != (position->values[i] == NULL) ||
			(cell->text != NULL && strcmp(cell->text, position->values[i]) != 0))
			return false;
	}
	return true;
}

/* Keys of a page in key order must rise from where the page began. */
static void
check_rising(Reader *reader, Lane *lane)
{
	int64		last = lane->position;
	bool		known = lane->has_position;

	for (int row = 0; row < reader->page.nrows; row++)
	{
		int64		key = key_of_row(reader, row);

		if (known && key <= last)
			raise_broken(reader, psprintf("the rows do not advance: key " INT64_FORMAT
										  " came after " INT64_FORMAT ".", key, last));
		last = key;
		known = true;
	}
}

static void
check_advance(Reader *reader, Lane *lane)
{
	QueryOrder *first = linitial(reader->order);

	if (reader->page.nrows == 0)
		return;
	if (list_length(reader->order) == 1 && reader->unique && !reader->query->grouped &&
		first->column->kind == VALUE_INTEGER && !first->column->nullable && !first->descending)
		check_rising(reader, lane);
	else if (lane->has_position && at_position(reader, reader->page.nrows - 1, lane->after))
		raise_broken(reader, "the page does not advance.");
}

/*
 * Rows that share a position may go on in the next page; leave the last of
 * them to it.
 */
static void
hold_back_tail(Reader *reader)
{
	int			n = reader->page.nrows;
	int			keep = n - 1;

	while (keep > 0 && same_position(reader, keep - 1, n - 1))
		keep--;
	if (keep == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("more rows of \"%s\" share one key than a page can hold",
						source_name(reader)),
				 errhint("Set the table's option \"key\" to columns that identify a row.")));
	reader->page.nrows = keep;
}

static void
set_position(Reader *reader, Lane *lane)
{
	int			n = list_length(reader->order);
	int			row = reader->page.nrows - 1;
	MemoryContext old;

	MemoryContextReset(lane->cxt);
	old = MemoryContextSwitchTo(lane->cxt);
	lane->after = palloc0(offsetof(SuiteqlPosition, values) + sizeof(char *) * n);
	lane->after->n = n;
	for (int i = 0; i < n; i++)
	{
		Cell	   *cell = cell_at(reader, row, reader->order_column[i]);

		lane->after->values[i] = cell->text == NULL ? NULL : pnstrdup(cell->text, cell->len);
	}
	MemoryContextSwitchTo(old);
	lane->has_position = true;
	if (reader->parallel)
		lane->position = key_of_row(reader, row);
}

/* A range that was cut after its request had gone out: the rest is another lane's. */
static bool
cut_at_high(Reader *reader, Lane *lane)
{
	int			n = reader->page.nrows;

	if (!lane->has_high)
		return false;
	while (n > 0 && key_of_row(reader, n - 1) > lane->high)
		n--;
	if (n == reader->page.nrows)
		return false;
	reader->page.nrows = n;
	return true;
}

static bool
enough(Reader *reader, int64 rows)
{
	return reader->query->limit >= 0 && rows >= reader->query->limit;
}

static void
take_keyset_page(Reader *reader, Lane *lane, bool more)
{
	bool		cut;

	check_advance(reader, lane);
	if (more && reader->page.nrows == 0)
		raise_broken(reader, "a page is empty while the result goes on.");
	cut = cut_at_high(reader, lane);
	if (more && !cut && !reader->unique)
		hold_back_tail(reader);
	lane->remaining = reader->page.total_results < 0 ? -1 :
		reader->page.total_results - reader->page.nrows;
	if (!more || cut || enough(reader, reader->delivered + reader->page.nrows))
	{
		lane->finished = true;
		return;
	}
	set_position(reader, lane);
	if (reader->conn->fetch_ahead > 0)
		start_page(reader, lane);
}

static void
take_offset_page(Reader *reader, Lane *lane, bool more)
{
	if (reader->page.total_results > SUITEQL_MAX_ROWS &&
		(reader->query->limit < 0 || reader->query->limit > SUITEQL_MAX_ROWS))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("\"%s\" has more rows than NetSuite gives for one query",
						source_name(reader)),
				 errdetail("The result has " INT64_FORMAT " rows, of which %d can be reached.",
						   reader->page.total_results, SUITEQL_MAX_ROWS),
				 errhint("Set the table's option \"key\" to columns that identify a row, so that it can be read in parts, or narrow the query.")));
	if (more && reader->page.nrows != reader->conn->page_size)
		raise_broken(reader, "a page is short while the result goes on.");
	lane->offset += reader->page.nrows;
	if (!more || enough(reader, reader->delivered + reader->page.nrows))
		lane->finished = true;
	else if (reader->conn->fetch_ahead > 0)
		start_page(reader, lane);
}

/* Decode an answer and, where rows remain, ask for the next page of its lane. */
static void
take_page(Reader *reader, Lane *lane)
{
	RemoteResponse *response = remote_call_result(lane->call);
	bool		more;

	lane->shown = lane->call;
	lane->call = NULL;
	decode(reader, response);

	/* At the cap hasMore is false while rows are left: the total decides. */
	more = reader->page.total_results >= 0 ?
		reader->page.total_results > reader->page.nrows + lane->offset : reader->page.has_more;
	switch (reader->paging)
	{
		case PAGING_ONCE:
			lane->finished = true;
			break;
		case PAGING_KEYSET:
			take_keyset_page(reader, lane, more);
			break;
		case PAGING_OFFSET:
			take_offset_page(reader, lane, more);
			break;
	}
	MemoryContextReset(reader->page_cxt);
	if (GetDatabaseEncoding() != PG_UTF8)
		convert_cells(reader);
}

/* ---------------------------------------------------------------------
 * Lanes
 * ---------------------------------------------------------------------
 */

/*
 * Once the first page has shown that there is much to read, ask for the
 * greatest key, while the first lane goes on.
 */
static void
ask_for_extreme(Reader *reader)
{
	QueryOrder *order = linitial(reader->order);
	MemoryContext old = MemoryContextSwitchTo(reader->cxt);
	List	   *params;
	char	   *statement;

	statement = suiteql_extreme(reader->conn, reader->query, AGGREGATE_MAX, order, &params);
	reader->extreme = suiteql_call(reader->conn, statement, params, 1, 0);
	MemoryContextSwitchTo(old);
}

static void
take_extreme(Reader *reader)
{
	const char *names[] = {"c1"};
	RemoteResponse *response = remote_call_result(reader->extreme);
	PageColumns *columns = page_columns_create(names, 1);
	CellPage		page = {0};
	PageError	error;
	Lane	   *lane = &reader->lanes[0];

	if (columns != NULL &&
		page_decode(&page, columns, response->body, response->body_len, 1, &error) &&
		page.nrows == 1 && page.cells[0].text != NULL)
		lane->high = pg_strtoint64(page.cells[0].text);
	else
		reader->parallel = false;
	page_free(&page);
	page_columns_free(columns);
	remote_call_free(reader->extreme);
	reader->extreme = NULL;
	reader->extreme_known = true;
}

static Lane *
longest_lane(Reader *reader)
{
	Lane	   *longest = NULL;

	for (int i = 0; i < reader->nlanes; i++)
	{
		Lane	   *lane = &reader->lanes[i];

		if (!lane->finished && lane->has_position && lane->high > lane->position &&
			lane->remaining > 2 * reader->conn->page_size &&
			(longest == NULL || lane->remaining > longest->remaining))
			longest = lane;
	}
	return longest;
}

/*
 * Give a new or finished lane the second half of what lies behind the page
 * that the longest lane has in flight.
 */
static void
split_lane(Reader *reader, Lane *victim, Lane *thief)
{
	double		in_flight = reader->conn->page_size;
	double		share = (in_flight + (victim->remaining - in_flight) / 2) / victim->remaining;
	double		span = (double) victim->high - (double) victim->position;
	int64		middle = victim->position + (int64) (span * share);
	SuiteqlPosition *after;

	if (middle <= victim->position || middle >= victim->high)
	{
		victim->remaining = 0;
		return;
	}
	if (thief->cxt == NULL)
		thief->cxt = AllocSetContextCreate(reader->cxt, "makini position", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(thief->cxt);
	after = MemoryContextAllocZero(thief->cxt, offsetof(SuiteqlPosition, values) + sizeof(char *));
	after->n = 1;
	after->values[0] = MemoryContextStrdup(thief->cxt, psprintf(INT64_FORMAT, middle));
	thief->after = after;
	thief->position = middle;
	thief->has_position = true;
	thief->has_high = victim->has_high;
	thief->high = victim->high;
	thief->remaining = victim->remaining * (1 - share);
	thief->finished = false;
	victim->high = middle;
	victim->has_high = true;
	victim->remaining -= thief->remaining;
	start_page(reader, thief);
}

static Lane *
free_lane(Reader *reader)
{
	for (int i = 0; i < reader->nlanes; i++)
	{
		if (reader->lanes[i].finished && reader->lanes[i].shown == NULL)
			return &reader->lanes[i];
	}
	if (reader->nlanes < Min(reader->conn->fetch_ahead, MAX_LANES))
		return &reader->lanes[reader->nlanes++];
	return NULL;
}

static int
busy_lanes(Reader *reader)
{
	int			n = 0;

	for (int i = 0; i < reader->nlanes; i++)
		n += !reader->lanes[i].finished;
	return n;
}

static void
spread(Reader *reader)
{
	Lane	   *first = &reader->lanes[0];

	if (!reader->parallel)
		return;
	if (!reader->extreme_known)
	{
		if (reader->extreme != NULL)
			return;
		if (!first->finished && first->remaining > 4 * reader->conn->page_size)
			ask_for_extreme(reader);
		else if (first->has_position || first->finished)
			reader->parallel = false;
		return;
	}
	while (busy_lanes(reader) < Min(reader->conn->fetch_ahead, MAX_LANES))
	{
		Lane	   *victim = longest_lane(reader);
		Lane	   *thief = victim != NULL ? free_lane(reader) : NULL;

		if (thief == NULL)
			break;
		thief->finished = true;
		split_lane(reader, victim, thief);
	}
}

/* The reader has done with a page: its answer's memory goes back. */
static void
release_shown(Reader *reader)
{
	for (int i = 0; i < reader->nlanes; i++)
	{
		Lane	   *lane = &reader->lanes[i];

		if (lane->shown == NULL)
			continue;
		remote_call_free(lane->shown);
		lane->shown = NULL;
	}
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
			Lane	   *lane = &reader->lanes[i];

			if (!lane->finished && lane->call == NULL)
				start_page(reader, lane);
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
		take_extreme(reader);
		spread(reader);
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
	for (int i = 0; i < reader->nlanes; i++)
	{
		if (reader->lanes[i].cxt != NULL)
			MemoryContextDelete(reader->lanes[i].cxt);
	}
	reader->extreme_known = false;
	start_first_page(reader);
	return true;
}

static CellPage *
show_page(Reader *reader)
{
	if (enough(reader, reader->delivered + reader->page.nrows))
	{
		reader->page.nrows = reader->query->limit - reader->delivered;
		reader->finished = true;
	}
	reader->delivered += reader->page.nrows;
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
		Lane	   *lane;

		release_shown(reader);
		old = MemoryContextSwitchTo(reader->cxt);
		lane = next_lane(reader);
		if (lane == NULL)
			reader->finished = !next_split(reader);
		else
		{
			take_page(reader, lane);
			spread(reader);
		}
		MemoryContextSwitchTo(old);
		if (lane != NULL && reader->page.nrows > 0)
			return show_page(reader);
	}
	return NULL;
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
	List	   *params;
	char	   *statement = suiteql_count(conn, query, &params);
	RemoteResponse *response = remote_call_result(suiteql_call(conn, statement, params, 1, 0));
	const char *names[] = {"c1"};
	PageColumns *columns = page_columns_create(names, 1);
	CellPage		page = {0};
	PageError	error;
	double		count = -1;

	if (columns != NULL &&
		page_decode(&page, columns, response->body, response->body_len, 1, &error) &&
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

/*
 * netsuite_describe
 *		The text of the first page, for EXPLAIN.
 */
char *
netsuite_describe(Connection *conn, const RemoteQuery *query, List **params)
{
	Reader		reader = {.conn = conn};
	SuiteqlPage page = {.fetch_first = -1};

	reader.query = palloc(sizeof(RemoteQuery));
	*reader.query = *query;
	reader.query->columns = list_copy(query->columns);
	choose_paging(&reader);
	add_order_columns(&reader);
	page.order = reader.order;
	if (reader.paging == PAGING_ONCE)
		page.fetch_first = query->limit;
	return suiteql_statement(conn, reader.query, &page, params);
}
