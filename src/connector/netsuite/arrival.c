/*-------------------------------------------------------------------------
 *
 * arrival.c
 *		Takes in a page: decodes it, and believes nothing of it that can be
 *		checked.
 *
 * A page that does not advance, says another count than it has, or is torn is
 * an error, never a shorter result.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "connector/netsuite/reader.h"
#include "remote/reactor.h"

static const char *
source_name(Reader *reader)
{
	Source *source = linitial(reader->query->sources);

	return source->entity != NULL ? source->entity : "query";
}

/* Support asks for the operation's id. */
static int
answer_context(Reader *reader)
{
	if (reader->operation_id != NULL)
		errcontext("remote operation %s", reader->operation_id);
	return 0;
}

static void
raise_broken(Reader *reader, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("answer of server \"%s\" cannot be relied on", reader->conn->server_name),
			 errdetail("Reading \"%s\": %s", source_name(reader), detail),
			 errhint("Run the query again. If it stays, NetSuite's support can look the operation up by its id."),
			 answer_context(reader)));
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
			Cell *cell = cell_at(reader, row, column);

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

/* Where a conversion is, for the error of one that cannot be done. */
typedef struct Conversion
{
	Reader *reader;
	int64	cell; /* counted through the page */
} Conversion;

static void
conversion_context(void *arg)
{
	Conversion *at = arg;
	int			ncolumns = at->reader->page.ncolumns;

	errcontext("column \"%s\" of \"%s\", row " INT64_FORMAT " of the page",
			   suiteql_column_name(at->reader->query, at->cell % ncolumns), source_name(at->reader),
			   at->cell / ncolumns + 1);
}

/* Cells become text of the database's encoding. */
static void
convert_cells(Reader *reader)
{
	int64				 n = (int64) reader->page.nrows * reader->page.ncolumns;
	MemoryContext		 old = MemoryContextSwitchTo(reader->page_cxt);
	Conversion			 at = {.reader = reader};
	ErrorContextCallback context = {error_context_stack, conversion_context, &at};

	error_context_stack = &context;
	for (int64 i = 0; i < n; i++)
	{
		Cell *cell = &reader->page.cells[i];
		char *converted;

		at.cell = i;
		if (cell->text == NULL)
			continue;
		converted = pg_any_to_server(cell->text, cell->len, PG_UTF8);
		if (converted == cell->text)
			continue;
		cell->text = converted;
		cell->len = strlen(converted);
		cell->quoted = false;
	}
	error_context_stack = context.previous;
	MemoryContextSwitchTo(old);
}

static void
decode(Reader *reader, RemoteResponse *response)
{
	PageError error;
	bool	  valid = pg_verify_mbstr(PG_UTF8, response->body, response->body_len, true);

	if (!page_decode(&reader->page, reader->columns, response->body, response->body_len,
					 reader_page_size(reader), &error))
		ereport(ERROR,
				(errcode(error.bad_text ? ERRCODE_UNTRANSLATABLE_CHARACTER : ERRCODE_FDW_ERROR),
				 errmsg("answer of server \"%s\" cannot be decoded", reader->conn->server_name),
				 errdetail("Reading \"%s\": %s at byte %zu of %zu.", source_name(reader),
						   error.message, error.offset, response->body_len),
				 error.bad_text ?
					 errhint("Correct the value in NetSuite, or leave the column out.") :
					 errhint("Run the query again; something in between may have cut or changed the answer."),
				 answer_context(reader)));
	if (!valid)
		raise_bad_bytes(reader);
	if (reader->page.count >= 0 && reader->page.count != reader->page.nrows)
		raise_broken(reader,
					 psprintf("a page says it has " INT64_FORMAT " rows and has %d.",
							  reader->page.count, reader->page.nrows));
	if (reader->page.total_results >= 0 && reader->page.total_results < reader->page.nrows)
		raise_broken(reader, "a page has more rows than the whole result.");
}

static int64
key_of_row(Reader *reader, int row)
{
	Cell *cell = cell_at(reader, row, reader->order_column[0]);

	if (cell->text == NULL)
		raise_broken(reader, "a row has no key.");
	return pg_strtoint64(cell->text);
}

static bool
same_position(Reader *reader, int row, int other)
{
	for (int i = 0; i < list_length(reader->order); i++)
	{
		Cell *a = cell_at(reader, row, reader->order_column[i]);
		Cell *b = cell_at(reader, other, reader->order_column[i]);

		if ((a->text == NULL) != (b->text == NULL) || a->len != b->len ||
			(a->text != NULL && memcmp(a->text, b->text, a->len) != 0))
			return false;
	}
	return true;
}

/*
 * Where a value stands in a column's order: behind another (above 0), at it, or
 * before it.  Fractions can be written in more than one way, so they are only
 * told apart.
 */
static int
compare_in_order(const QueryOrder *order, const char *text, const char *other)
{
	int result;

	if (text == NULL || other == NULL)
		result = (text == NULL) - (other == NULL);
	else if (order->column->kind == VALUE_INTEGER)
	{
		int64 a = pg_strtoint64(text);
		int64 b = pg_strtoint64(other);

		result = (a > b) - (a < b);
	}
	else if (order->column->kind == VALUE_NUMERIC)
		return strcmp(text, other) != 0;
	else
		result = strcmp(text, other);
	return order->descending ? -result : result;
}

/* Does a row stand behind the one before it, which for the first is where the page began? */
static bool
row_advances(Reader *reader, const Lane *lane, int row)
{
	for (int i = 0; i < list_length(reader->order); i++)
	{
		int			column = reader->order_column[i];
		const char *before;
		int			behind;

		/* A page may begin behind all that share the first columns. */
		if (row == 0 && i >= lane->after->n)
			return false;
		before = row > 0 ? cell_at(reader, row - 1, column)->text : lane->after->values[i];
		behind =
			compare_in_order(list_nth(reader->order, i), cell_at(reader, row, column)->text, before);
		if (behind != 0)
			return behind > 0;
	}
	return row > 0 && !reader->unique;
}

static void
raise_shared_key(Reader *reader)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR), errmsg("rows of \"%s\" share one key", source_name(reader)),
			 errhint("Set the table's option \"key\" to columns that identify a row."),
			 answer_context(reader)));
}

/* Is each row's key greater than that of the row before? */
static bool
keys_rise(const Reader *reader)
{
	return reader->numbered && reader->unique && list_length(reader->order) == 1;
}

/* Keys of a page in key order must rise from where the page began. */
static void
check_rising(Reader *reader, Lane *lane)
{
	int64 last = lane->position;
	bool  known = lane->has_position;

	for (int row = 0; row < reader->page.nrows; row++)
	{
		int64 key = key_of_row(reader, row);

		if (row > 0 && key == last)
			raise_shared_key(reader);
		if (known && key <= last)
			raise_broken(reader,
						 psprintf("the rows do not advance: key " INT64_FORMAT
								  " came after " INT64_FORMAT ".",
								  key, last));
		last = key;
		known = true;
	}
}

static void
check_advance(Reader *reader, Lane *lane)
{
	if (keys_rise(reader))
	{
		check_rising(reader, lane);
		return;
	}
	for (int row = lane->has_position ? 0 : 1; row < reader->page.nrows; row++)
	{
		if (row_advances(reader, lane, row))
			continue;
		if (row > 0 && same_position(reader, row, row - 1))
			raise_shared_key(reader);
		raise_broken(reader,
					 psprintf("the rows do not advance: row %d of the page stands before "
							  "what came before it.",
							  row + 1));
	}
}

/*
 * Rows that share a position may go on in the next page; leave the last of
 * them to it.  Where no two should, that shows those that do.
 */
static void
hold_back_tail(Reader *reader)
{
	int n = reader->page.nrows;
	int keep = n - 1;

	if (reader->unique && keep == 0)
		return;
	while (keep > 0 && same_position(reader, keep - 1, n - 1))
		keep--;
	if (keep == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("more rows of \"%s\" share one key than a page can hold", source_name(reader)),
				 errhint("Set the table's option \"key\" to columns that identify a row.")));
	reader->page.nrows = keep;
}

static void
set_position(Reader *reader, Lane *lane)
{
	int			  n = list_length(reader->order);
	int			  row = reader->page.nrows - 1;
	MemoryContext old;

	MemoryContextReset(lane->cxt);
	old = MemoryContextSwitchTo(lane->cxt);
	lane->after = palloc0(offsetof(SuiteqlPosition, values) + sizeof(char *) * n);
	lane->after->n = n;
	for (int i = 0; i < n; i++)
	{
		Cell *cell = cell_at(reader, row, reader->order_column[i]);

		lane->after->values[i] = cell->text == NULL ? NULL : pnstrdup(cell->text, cell->len);
	}
	MemoryContextSwitchTo(old);
	lane->has_position = true;
	if (reader->numbered)
		lane->position = key_of_row(reader, row);
}

/* A range that was cut after its request had gone out: the rest is another lane's. */
static bool
cut_at_high(Reader *reader, Lane *lane)
{
	int n = reader->page.nrows;

	if (!lane->has_high)
		return false;
	while (n > 0 && key_of_row(reader, n - 1) > lane->high)
		n--;
	if (n == reader->page.nrows)
		return false;
	reader->page.nrows = n;
	return true;
}

/* Is the page's last row the last that the range can have? */
static bool
reached_high(Reader *reader, const Lane *lane)
{
	int n = reader->page.nrows;

	return keys_rise(reader) && !reader->doubtful && lane->has_high && n > 0 &&
		key_of_row(reader, n - 1) == lane->high;
}

/* What range a page is all of; after: where it began. */
static void
set_covered(Reader *reader, const Lane *lane, SuiteqlPosition *after)
{
	reader->covers = reader->query->limit < 0 && reader->split_in == NULL;
	reader->covered_after = after;
	if (!lane->finished)
		reader->covered_upto = position_copy(reader->covered_cxt, lane->after);
	else if (lane->has_high)
		reader->covered_upto = position_of_number(reader->covered_cxt, lane->high);
	else
		reader->covered_upto = NULL;
}

static void
advance_lane(Reader *reader, Lane *lane, bool more)
{
	bool cut;

	check_advance(reader, lane);
	if (more && reader->page.nrows == 0)
		raise_broken(reader, "a page is empty while the result goes on.");
	cut = cut_at_high(reader, lane) || reached_high(reader, lane);
	if (more && !cut && (!reader->unique || reader->doubtful))
		hold_back_tail(reader);
	lane->remaining =
		reader->page.total_results < 0 ? -1 : reader->page.total_results - reader->page.nrows;
	if (!more || cut || reader_has_enough(reader, reader->delivered + reader->page.nrows))
	{
		lane->finished = true;
		return;
	}
	set_position(reader, lane);
	if (reader->ahead > 0)
		reader_request_page(reader, lane);
}

static void
take_keyset_page(Reader *reader, Lane *lane, bool more)
{
	SuiteqlPosition *after;

	MemoryContextReset(reader->covered_cxt);
	after = position_copy(reader->covered_cxt, lane->has_position ? lane->after : NULL);
	advance_lane(reader, lane, more);
	set_covered(reader, lane, after);
}

/*
 * Rows that come or go meanwhile shift what an offset stands for: a row may be
 * missed or come twice.  That shows in the total, unless as many came as went.
 */
static void
check_offset(Reader *reader, const Lane *lane)
{
	int64 total = reader->page.total_results;

	if (reader->page.offset >= 0 && reader->page.offset != lane->offset)
		raise_broken(reader,
					 psprintf("a page begins at row " INT64_FORMAT " instead of " INT64_FORMAT ".",
							  reader->page.offset, lane->offset));
	if (lane->offset > 0 && lane->remaining >= 0 && total >= 0 && total != lane->offset + lane->remaining)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("\"%s\" changed while it was read", source_name(reader)),
				 errdetail("The result had " INT64_FORMAT " rows at first and has " INT64_FORMAT
						   " now, so that some may be missed.",
						   lane->offset + lane->remaining, total),
				 errhint("Run the query again, or set the table's option \"key\" to columns that identify a row: then it is read in a way that changes do not disturb."),
				 answer_context(reader)));
}

static void
take_offset_page(Reader *reader, Lane *lane, bool more)
{
	check_offset(reader, lane);
	if (reader->page.total_results > SUITEQL_MAX_ROWS &&
		(reader->query->limit < 0 || reader->query->limit > SUITEQL_MAX_ROWS))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("\"%s\" has more rows than NetSuite gives for one query", source_name(reader)),
				 errdetail("The result has " INT64_FORMAT " rows, of which %d can be reached.",
						   reader->page.total_results, SUITEQL_MAX_ROWS),
				 errhint("Set the table's option \"key\" to columns that identify a row, so that it can be read in parts, or narrow the query.")));
	if (more && reader->page.nrows != reader_page_size(reader))
		raise_broken(reader, "a page is short while the result goes on.");
	reader->covers = lane->offset == 0 && !more && reader->query->limit < 0 && reader->split_in == NULL;
	reader->covered_after = NULL;
	reader->covered_upto = NULL;
	lane->offset += reader->page.nrows;
	lane->remaining = reader->page.total_results < 0 ? -1 : reader->page.total_results - lane->offset;
	if (!more || reader_has_enough(reader, reader->delivered + reader->page.nrows))
		lane->finished = true;
	else if (reader->ahead > 0)
		reader_request_page(reader, lane);
}

/*
 * What the first answer says of the whole.  The remote clock is told as it was
 * when the query was opened: what changed since then may be missed.
 */
static void
take_note(Reader *reader, const RemoteResponse *response)
{
	if (response->date != 0)
		reader->answered_at = response->date - (reactor_clock() - reader->opened);
	if (reader->query->resume == NULL && reader->split_in == NULL)
		reader->expected = reader->page.total_results;
}

/*
 * arrival_take
 *		Decode a lane's answer into the reader's page and, where rows remain, ask
 *		for the next page of the lane.
 */
void
arrival_take(Reader *reader, Lane *lane)
{
	RemoteResponse *response = remote_call_result(lane->call);
	bool			more;

	reader->operation_id = response->operation_id;
	reader->shown = lane->call;
	reader->covers = false;
	lane->call = NULL;
	lane->answered = true;
	decode(reader, response);
	if (!reader->noted)
		take_note(reader, response);
	reader->noted = true;

	/* At the cap hasMore is false while rows are left: the total decides. */
	more = reader->page.total_results >= 0 ?
		reader->page.total_results > reader->page.nrows + lane->offset :
		reader->page.has_more;
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
