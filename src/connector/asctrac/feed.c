/*-------------------------------------------------------------------------
 *
 * feed.c
 *		Drains a feed: rows and their children as they arrive, in flat memory.
 *
 * One request takes everything that the feed has: there are no pages.  The
 * other side marks the rows as handed out before it answers, so that nothing
 * is sent again here once it may have been received there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "utils/memutils.h"

#include "connector/asctrac/asctrac.h"

#define MAX_ROWS 10000000

/* One of the tables that a feed fills. */
typedef struct Part
{
	PageColumns *columns;
	int			 array;		/* child: column of the feed's own rows that holds it */
	int			*inherited; /* child: by column, the column above it is taken from, or -1 */
	int			 capacity;	/* child: of parents */
} Part;

struct Feed
{
	const Entity  *entity;
	MemoryContext  cxt;
	MemoryContext  batch_cxt; /* what the cells of a batch point into */
	AsctracAnswer *answer;
	FeedBatch	   batch;
	Part		  *parts;	/* beside those of the batch */
	CellPage	   scratch; /* children of one row */
	char		  *raw;
	bool		   over;
};

static void
out_of_memory(void)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* ---------------------------------------------------------------------
 * Opening
 * ---------------------------------------------------------------------
 */

static bool
is_child(const Entity *entity, const Entity *of)
{
	return entity->parent != NULL && strcmp(entity->parent, of->name) == 0;
}

static int
column_number(const Entity *entity, const char *name)
{
	for (int i = 0; i < entity->ncolumns; i++)
	{
		if (pg_strcasecmp(entity->columns[i].name, name) == 0)
			return i;
	}
	return -1;
}

/* malloc'd parts go when the feed's context does. */
static void
release_feed(void *arg)
{
	Feed *feed = arg;

	for (int i = 0; i < feed->batch.nparts; i++)
	{
		page_columns_free(feed->parts[i].columns);
		page_free(&feed->batch.parts[i].page);
	}
	page_free(&feed->batch.raw);
	page_free(&feed->scratch);
}

static void
add_part(Feed *feed, const Entity *entity)
{
	int			 at = feed->batch.nparts++;
	Part		*part = &feed->parts[at];
	const char **names = palloc(sizeof(char *) * entity->ncolumns);

	feed->batch.parts[at].entity = entity;
	for (int i = 0; i < entity->ncolumns; i++)
		names[i] = entity->columns[i].name;
	part->columns = page_columns_create(names, entity->ncolumns);
	if (part->columns == NULL)
		out_of_memory();
	if (at == 0)
		return;
	part->array = column_number(feed->entity, entity->parent_member);
	part->inherited = palloc(sizeof(int) * entity->ncolumns);
	for (int i = 0; i < entity->ncolumns; i++)
		part->inherited[i] = asctrac_is_of_parent(&entity->columns[i]) ?
			column_number(feed->entity, entity->columns[i].name) :
			-1;
}

static void
add_parts(Feed *feed)
{
	int			  n;
	const Entity *entities = asctrac_entities(&n);

	feed->parts = palloc0(sizeof(Part) * n);
	feed->batch.parts = palloc0(sizeof(FeedPart) * n);
	add_part(feed, feed->entity);
	for (int i = 0; i < n; i++)
	{
		if (is_child(&entities[i], feed->entity))
			add_part(feed, &entities[i]);
	}
}

/* What a feed is drained as: itself, or where a child was named, the feed it belongs to. */
static const Entity *
drained_entity(const Entity *entity)
{
	return entity->parent != NULL ? connector_find_entity(&asctrac_connector, entity->parent) : entity;
}

static Feed *
make_feed(const Entity *entity)
{
	MemoryContext cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini asctrac feed", ALLOCSET_DEFAULT_SIZES);
	MemoryContext		   old = MemoryContextSwitchTo(cxt);
	Feed				  *feed = palloc0(sizeof(Feed));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	feed->entity = entity;
	feed->cxt = cxt;
	feed->batch_cxt = AllocSetContextCreate(cxt, "makini asctrac batch", ALLOCSET_DEFAULT_SIZES);
	callback->func = release_feed;
	callback->arg = feed;
	MemoryContextRegisterResetCallback(cxt, callback);
	add_parts(feed);
	MemoryContextSwitchTo(old);
	return feed;
}

/*
 * asctrac_feed_open
 *		Ask a feed for all it has; the feed lives in CurrentMemoryContext.
 */
Feed *
asctrac_feed_open(Connection *conn, const Entity *entity)
{
	AsctracState *state = conn->state;
	MemoryContext old = CurrentMemoryContext;
	Feed		 *feed = make_feed(drained_entity(entity));
	RemoteRequest request = {.method = "GET"};
	AsctracCall	 *call;

	MemoryContextSwitchTo(feed->cxt);
	call = asctrac_call(feed->entity, state->rest_user, state->site_id, conn->time_zone, false, NIL);
	request.url = psprintf("%s%s", conn->endpoint.base_url, call->url);
	request.headers = list_make1("Accept: application/json");
	feed->answer = asctrac_answer_start(&conn->endpoint, feed->entity, &request);
	MemoryContextSwitchTo(old);
	return feed;
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

static Cell *
cells_of(CellPage *page, int row)
{
	return &page->cells[(size_t) row * page->ncolumns];
}

static void
tidy_page(const Entity *entity, CellPage *page)
{
	for (int row = 0; row < page->nrows; row++)
	{
		Cell *cells = cells_of(page, row);

		for (int i = 0; i < entity->ncolumns; i++)
			asctrac_tidy_cell(&entity->columns[i], &cells[i]);
	}
}

static void
reserve_rows(FeedPart *part, Part *own, int more)
{
	CellPage *page = &part->page;
	int		  capacity = own->capacity > 0 ? own->capacity : 256;

	page->ncolumns = part->entity->ncolumns;
	if (page->nrows + more <= own->capacity)
		return;
	while (capacity < page->nrows + more)
		capacity *= 2;
	page->cells = realloc(page->cells, sizeof(Cell) * page->ncolumns * capacity);
	if (page->cells == NULL)
		out_of_memory();
	part->parents = part->parents == NULL ? palloc(sizeof(int) * capacity) :
											repalloc(part->parents, sizeof(int) * capacity);
	page->capacity = own->capacity = capacity;
}

/* The key columns that only the row above has. */
static void
inherit(const Part *own, const Cell *above, Cell *cells, int ncolumns)
{
	for (int i = 0; i < ncolumns; i++)
	{
		if (own->inherited[i] < 0)
			continue;
		cells[i] = above[own->inherited[i]];

		/* Two cells must not take the same bytes for a Datum of their own. */
		cells[i].quoted = false;
	}
}

static void
note_broken(Feed *feed, int row, const char *message)
{
	if (feed->batch.broken == NULL)
		feed->batch.broken = palloc0(sizeof(char *) * feed->batch.parts[0].page.nrows);
	feed->batch.broken[row] = pstrdup(message);
}

static void
add_children(Feed *feed, int at, int row)
{
	FeedPart *part = &feed->batch.parts[at];
	Part	 *own = &feed->parts[at];
	Cell	 *above = cells_of(&feed->batch.parts[0].page, row);
	Cell	 *array = &above[own->array];
	char	 *collection;
	PageError error;

	if (array->text == NULL || array->quoted)
		return;
	collection = psprintf("{\"items\":%.*s}", (int) array->len, array->text);
	if (!page_decode(&feed->scratch, own->columns, collection, strlen(collection), MAX_ROWS, &error))
	{
		if (!error.bad_text)
			asctrac_answer_broken(feed->answer, &error);
		note_broken(feed, row, error.message);
		return;
	}
	if (feed->scratch.nrows == 0)
		return;
	tidy_page(part->entity, &feed->scratch);
	reserve_rows(part, own, feed->scratch.nrows);
	for (int i = 0; i < feed->scratch.nrows; i++)
	{
		Cell *cells = cells_of(&part->page, part->page.nrows);

		memcpy(cells, cells_of(&feed->scratch, i), sizeof(Cell) * part->page.ncolumns);
		inherit(own, above, cells, part->page.ncolumns);
		part->parents[part->page.nrows++] = row;
	}
}

/* The clock of an answer, as in "2024-09-10T13:02:03.1234567-04:00": no other time is that exact. */
#define STAMP_LENGTH (sizeof("2024-09-10T13:02:03.1234567-04:00") - 1)

static bool
is_stamp(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddd+dd:dd";

	for (size_t i = 0; i < STAMP_LENGTH; i++)
	{
		bool fits = form[i] == 'd' ? isdigit((unsigned char) text[i]) != 0 :
			form[i] == '+'		   ? text[i] == '+' || text[i] == '-' :
									 text[i] == form[i];

		if (!fits)
			return false;
	}
	return text[STAMP_LENGTH] == '"';
}

/* The first stamp in a text that ends with NUL. */
static char *
find_stamp(const char *text)
{
	for (const char *at = strchr(text, 'T'); at != NULL; at = strchr(at + 1, 'T'))
	{
		if (at - text >= 10 && is_stamp(at - 10))
			return unconstify(char *, at) - 10;
	}
	return NULL;
}

/* Rows that come again are the same but for the clock of the answer. */
static void
take_essence(Feed *feed)
{
	const CellPage *raw = &feed->batch.raw;

	feed->batch.essence = palloc_extended(sizeof(Cell) * raw->nrows, MCXT_ALLOC_HUGE);
	for (int row = 0; row < raw->nrows; row++)
	{
		Cell *cell = &feed->batch.essence[row];
		char *stamp;

		*cell = raw->cells[row];
		cell->text = pnstrdup(cell->text, cell->len);
		while ((stamp = find_stamp(cell->text)) != NULL)
			memset(stamp, '0', STAMP_LENGTH);
	}
}

/* The rows once more, as they were sent: decoding writes into what it reads. */
static void
take_raw(Feed *feed, const char *chunk, size_t len)
{
	PageError error;

	feed->raw = MemoryContextAllocHuge(feed->batch_cxt, len + 1);
	memcpy(feed->raw, chunk, len + 1);
	if (!page_decode_objects(&feed->batch.raw, feed->raw, len, MAX_ROWS, &error))
		asctrac_answer_broken(feed->answer, &error);
	feed->batch.essence = feed->batch.raw.cells;
	if (find_stamp(chunk) != NULL)
		take_essence(feed);
}

/* One column of one row; false where it is no text. */
static bool
salvage_cell(Feed *feed, const Cell *raw, int column, Cell *cell, PageError *error)
{
	const char	*name = feed->entity->columns[column].name;
	PageColumns *columns = page_columns_create(&name, 1);
	char		*collection = psprintf("{\"items\":[%.*s]}", (int) raw->len, raw->text);
	bool		 sound;

	if (columns == NULL)
		out_of_memory();
	sound = page_decode(&feed->scratch, columns, collection, strlen(collection), 1, error);
	page_columns_free(columns);
	if (sound)
		*cell = feed->scratch.cells[0];
	else if (!error->bad_text)
		asctrac_answer_broken(feed->answer, error);
	return sound;
}

/* A row of a chunk that could not be decoded as a whole. */
static void
salvage_row(Feed *feed, int row)
{
	CellPage *page = &feed->batch.parts[0].page;
	Cell	 *cells = cells_of(page, row);
	PageError error;

	for (int i = 0; i < page->ncolumns; i++)
	{
		cells[i] = (Cell){.text = NULL};
		if (!salvage_cell(feed, &feed->batch.raw.cells[row], i, &cells[i], &error))
			note_broken(feed, row, error.message);
	}
}

/*
 * Something among the rows is JSON but no text, as \u0000.  What is sound of
 * them is taken column by column, so that it harms its own row only.
 */
static void
salvage_chunk(Feed *feed)
{
	CellPage *page = &feed->batch.parts[0].page;
	int		  n = feed->batch.raw.nrows;

	page->ncolumns = feed->entity->ncolumns;
	if (page->capacity < n)
	{
		page->cells = realloc(page->cells, sizeof(Cell) * page->ncolumns * n);
		if (page->cells == NULL)
			out_of_memory();
		page->capacity = n;
	}
	page->nrows = n;
	for (int row = 0; row < n; row++)
		salvage_row(feed, row);
}

static void
take_chunk(Feed *feed, char *chunk, size_t len)
{
	CellPage *page = &feed->batch.parts[0].page;
	PageError error;

	take_raw(feed, chunk, len);
	feed->batch.broken = NULL;
	if (!page_decode(page, feed->parts[0].columns, chunk, len, MAX_ROWS, &error))
	{
		if (!error.bad_text)
			asctrac_answer_broken(feed->answer, &error);
		salvage_chunk(feed);
	}
	for (int at = 1; at < feed->batch.nparts; at++)
		feed->batch.parts[at].page.nrows = 0;
	for (int row = 0; row < page->nrows; row++)
	{
		Cell *cells = cells_of(page, row);

		for (int i = 0; i < feed->entity->ncolumns; i++)
			asctrac_tidy_cell(&feed->entity->columns[i], &cells[i]);
		for (int at = 1; at < feed->batch.nparts; at++)
			add_children(feed, at, row);
	}
}

static void
feed_context(void *arg)
{
	Feed *feed = arg;

	errcontext("feed \"%s\", after row " INT64_FORMAT, feed->entity->name,
			   asctrac_answer_rows(feed->answer));
}

static FeedBatch *
next_batch(Feed *feed)
{
	size_t len;
	char  *chunk;

	if (feed->over)
		return NULL;
	chunk = asctrac_answer_next(feed->answer, &len);
	if (chunk == NULL)
	{
		feed->over = true;
		return NULL;
	}
	take_chunk(feed, chunk, len);
	asctrac_answer_count(feed->answer, feed->batch.parts[0].page.nrows);
	return &feed->batch;
}

/*
 * asctrac_feed_next
 *		The next rows, NULL at the end.
 */
FeedBatch *
asctrac_feed_next(Feed *feed)
{
	MemoryContext		 old;
	FeedBatch			*batch;
	ErrorContextCallback context;

	MemoryContextReset(feed->batch_cxt);
	for (int at = 1; at < feed->batch.nparts; at++)
	{
		feed->batch.parts[at].parents = NULL;
		feed->parts[at].capacity = 0;
	}
	old = MemoryContextSwitchTo(feed->batch_cxt);
	context.callback = feed_context;
	context.arg = feed;
	context.previous = error_context_stack;
	error_context_stack = &context;
	batch = next_batch(feed);
	error_context_stack = context.previous;
	MemoryContextSwitchTo(old);
	return batch;
}

/*
 * asctrac_feed_close
 *		Give up whatever is still in flight.
 */
void
asctrac_feed_close(Feed *feed)
{
	MemoryContextDelete(feed->cxt);
}

/*
 * asctrac_feed_untouched
 *		Of a feed that failed: is it certain that nothing was handed out?  Rows are
 *		marked only once all of them have been made, and a request that is refused
 *		makes none.
 */
bool
asctrac_feed_untouched(Feed *feed)
{
	const RemoteFault *fault = asctrac_answer_fault(feed->answer);

	if (fault == NULL || asctrac_answer_rows(feed->answer) > 0)
		return false;
	if (fault->http_status == 0)
		return fault->sqlstate == ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
	return fault->http_status >= 400 && fault->http_status < 500 && fault->http_status != 408;
}

/*
 * asctrac_feed_again
 *		A row of a feed, as it was sent, in the batch that it came in.
 */
FeedBatch *
asctrac_feed_again(Connection *conn, const Entity *entity, const char *row)
{
	Feed		 *feed = make_feed(drained_entity(entity));
	MemoryContext old = MemoryContextSwitchTo(feed->batch_cxt);
	char		 *chunk = psprintf("{\"items\":[%s]}", row);

	feed->answer = asctrac_answer_kept(conn, feed->entity);
	take_chunk(feed, chunk, strlen(chunk));
	MemoryContextSwitchTo(old);
	return &feed->batch;
}
