/*-------------------------------------------------------------------------
 *
 * refetch.c
 *		Fetches single rows of a sync's source once more, by their keys, and
 *		writes them.
 *
 * What is fetched is kept until all of it is there: a function can't commit in
 * between, and what it has locked would stay locked while the network is waited
 * for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "connector/filter.h"
#include "sync/apply.h"
#include "sync/drift.h"
#include "sync/key_text.h"
#include "sync/run.h"

/* Keys that one query asks for; keys of several columns make long conditions. */
#define KEYS_AT_ONCE 500
#define LONG_KEYS_AT_ONCE 100

typedef struct Refetch
{
	Sync	   *sync;
	SyncSource *source;
	Connection *conn;
	KeyColumns *columns;
	List	   *keys;	/* of char **: those wanted */
	HTAB	   *wanted; /* by joined text */
	List	   *pages;	/* of CellPage * */
	TimestampTz asked_at;
	bool		exact; /* the source was asked for these keys only */
	bool		sure;  /* what was not found is not there */
} Refetch;

/* A wanted key, by its joined text. */
typedef struct Wanted
{
	const char *joined;
	char	  **key;
	bool		found;
} Wanted;

/* ---------------------------------------------------------------------
 * The set of keys
 * ---------------------------------------------------------------------
 */

static uint32
wanted_hash(const void *key, Size size)
{
	const char *joined = *(const char *const *) key;

	return string_hash(joined, strlen(joined) + 1);
}

static int
wanted_compare(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
note_wanted(Refetch *refetch, List *keys)
{
	HASHCTL	  ctl = {0};
	ListCell *lc;

	ctl.keysize = sizeof(char *);
	ctl.entrysize = sizeof(Wanted);
	ctl.hash = wanted_hash;
	ctl.match = wanted_compare;
	ctl.hcxt = CurrentMemoryContext;
	refetch->wanted = hash_create("makini keys", Max(16, list_length(keys)), &ctl,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	foreach(lc, keys)
	{
		char   *joined = key_joined(refetch->columns, lfirst(lc));
		bool	known;
		Wanted *wanted = hash_search(refetch->wanted, &joined, HASH_ENTER, &known);

		if (known)
			continue;
		wanted->key = lfirst(lc);
		wanted->found = false;
		refetch->keys = lappend(refetch->keys, lfirst(lc));
	}
}

/* ---------------------------------------------------------------------
 * Asking
 * ---------------------------------------------------------------------
 */

static Filter *
equals(SourceColumn *column, const char *text)
{
	return text == NULL ? filter_new(FILTER_NULL, 0, column) : filter_compare(CMP_EQ, 0, column, text);
}

/* Keys of several columns, or a column that is null. */
static Filter *
filter_of_key(const KeyColumns *columns, char **key)
{
	Filter *all = NULL;

	for (int i = 0; i < columns->n; i++)
		all = filter_both(FILTER_AND, all, equals(columns->columns[i]->remote, key[i]));
	return all;
}

/* The rows with keys number from up to before to: one flat list, however many. */
static Filter *
filter_of_keys(const Refetch *refetch, int from, int to)
{
	const KeyColumns *columns = refetch->columns;
	Filter			 *any = filter_new(FILTER_OR, 0, NULL);
	List			 *texts = NIL;

	for (int i = from; i < to; i++)
	{
		char **key = list_nth(refetch->keys, i);

		if (columns->n == 1 && key[0] != NULL)
			texts = lappend(texts, key[0]);
		else
			any->args = lappend(any->args, filter_of_key(columns, key));
	}
	if (texts != NIL)
		any->args = lappend(any->args, filter_in(0, columns->columns[0]->remote, texts));
	return list_length(any->args) == 1 ? linitial(any->args) : any;
}

/* Can the source be asked for rows by their keys, and loses none? */
static bool
can_ask_by_key(const Refetch *refetch)
{
	for (int i = 0; i < refetch->columns->n; i++)
	{
		SourceColumn *column = refetch->columns->columns[i]->remote;

		if (column->inexact || column->display ||
			refetch->conn->connector->judge(equals(column, "1")) == VERDICT_NEVER)
			return false;
	}
	return true;
}

/* A page is the reader's; this one is ours.  See page.h for the bytes around a cell. */
static CellPage *
copy_page(const CellPage *page)
{
	CellPage *copy = palloc(sizeof(CellPage));
	size_t	  n = (size_t) page->nrows * page->ncolumns;
	Size	  size = 0;
	char	 *at;

	for (size_t i = 0; i < n; i++)
		size += page->cells[i].text != NULL ? page->cells[i].len + 2 : 0;
	*copy = *page;
	copy->cells = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Cell) * Max(1, n));
	memcpy(copy->cells, page->cells, sizeof(Cell) * n);
	at = MemoryContextAllocHuge(CurrentMemoryContext, Max(1, size));
	for (size_t i = 0; i < n; i++)
	{
		Cell *cell = &copy->cells[i];

		if (cell->text == NULL)
			continue;
		memcpy(at + 1, cell->text, cell->len);
		at[cell->len + 1] = '\0';
		cell->text = at + 1;
		at += cell->len + 2;
	}
	return copy;
}

static void
fetch(Refetch *refetch, Filter *keys)
{
	const Connector *connector = refetch->conn->connector;
	Reader			*reader = connector->open(refetch->conn, source_query(refetch->source, keys));
	CellPage		*page;

	while ((page = connector->next_page(reader)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		refetch->pages = lappend(refetch->pages, copy_page(page));
	}
	connector->close(reader);
}

static void
fetch_all(Refetch *refetch)
{
	int n = list_length(refetch->keys);
	int step = refetch->columns->n == 1 ? KEYS_AT_ONCE : LONG_KEYS_AT_ONCE;

	refetch->exact = can_ask_by_key(refetch);
	if (!refetch->exact && n > 0)
		fetch(refetch, NULL);
	for (int from = 0; refetch->exact && from < n; from += step)
		fetch(refetch, filter_of_keys(refetch, from, Min(n, from + step)));
}

/* ---------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------
 */

/* Leave only the wanted rows, and note that they are there. */
static void
keep_wanted(Refetch *refetch, Rows *rows)
{
	int kept = 0;

	for (int row = 0; row < rows->n; row++)
	{
		char   *joined = key_joined(refetch->columns, key_of_row(refetch->columns, rows, row));
		Wanted *wanted = hash_search(refetch->wanted, &joined, HASH_FIND, NULL);

		pfree(joined);
		if (wanted == NULL)
			continue;
		wanted->found = true;
		if (kept < row)
		{
			Size at = (Size) row * rows->ncolumns;
			Size to = (Size) kept * rows->ncolumns;

			memmove(rows->values + to, rows->values + at, sizeof(Datum) * rows->ncolumns);
			memmove(rows->nulls + to, rows->nulls + at, sizeof(bool) * rows->ncolumns);
			if (rows->extra != NULL)
				rows->extra[kept] = rows->extra[row];
		}
		kept++;
	}
	rows->n = kept;
}

/* The keys that were not found, as rows of nothing but a key. */
static Rows *
rows_not_found(Refetch *refetch)
{
	Rows	 *rows = palloc0(sizeof(Rows));
	int		  n = list_length(refetch->keys);
	ListCell *lc;

	rows->ncolumns = list_length(refetch->source->selected);
	rows->values = palloc0(sizeof(Datum) * Max(1, n * rows->ncolumns));
	rows->nulls = palloc(sizeof(bool) * Max(1, n * rows->ncolumns));
	memset(rows->nulls, true, sizeof(bool) * n * rows->ncolumns);
	foreach(lc, refetch->keys)
	{
		char	  **key = lfirst(lc);
		const char *joined = key_joined(refetch->columns, key);
		Wanted	   *wanted = hash_search(refetch->wanted, &joined, HASH_FIND, NULL);

		if (wanted->found)
			continue;
		for (int i = 0; i < refetch->columns->n; i++)
		{
			size_t at = (size_t) rows->n * rows->ncolumns + refetch->columns->places[i];

			rows->nulls[at] = key[i] == NULL;
			if (key[i] != NULL)
				rows->values[at] = text_value(key[i], refetch->columns->columns[i]);
		}
		rows->n++;
	}
	return rows;
}

static void
write_all(Refetch *refetch, bool deletes, Counters *counters)
{
	Target	 *target = target_open(refetch->sync, refetch->source->selected);
	Apply	 *apply = apply_begin(refetch->sync, target, 0, counters, false);
	RowMaker *maker = rows_begin(refetch->conn, refetch->sync, refetch->source, 0, 0, counters);
	ListCell *lc;

	refetch->sure = true;
	foreach(lc, refetch->pages)
	{
		int64 rejected = counters->rejected;
		Rows *rows = rows_make(maker, lfirst(lc), foreach_current_index(lc) + 1);

		/* a row that can't be made is there all the same, whichever it is */
		refetch->sure = refetch->sure && counters->rejected == rejected;
		keep_wanted(refetch, rows);
		apply_rows(apply, rows);
	}
	if (deletes && refetch->sure)
		rows_delete(apply, rows_not_found(refetch), refetch->asked_at, true);
}

List *
refetch_apply(Sync *sync, SyncSource *source, List *keys, bool deletes, Counters *counters)
{
	Refetch	  refetch = {.sync = sync, .source = source};
	List	 *missing = NIL;
	ListCell *lc;

	refetch.columns = key_columns(sync, source);
	refetch.conn = connection_open(source->table->serverid, sync->owner, REMOTE_USE_SYNC);
	(void) sync_identity(sync, refetch.conn);
	note_wanted(&refetch, keys);
	refetch.asked_at = GetCurrentTimestamp();
	fetch_all(&refetch);
	write_all(&refetch, deletes, counters);
	foreach(lc, refetch.keys)
	{
		const char *joined = key_joined(refetch.columns, lfirst(lc));
		Wanted	   *wanted = hash_search(refetch.wanted, &joined, HASH_FIND, NULL);

		if (!wanted->found && refetch.sure)
			missing = lappend(missing, wanted->key);
	}
	return missing;
}
