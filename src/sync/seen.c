/*-------------------------------------------------------------------------
 *
 * seen.c
 *		The keys that a pass has read, where its pages cover no range of keys.
 *
 * Such a pass learns at its end what the source no longer has: all that it did
 * not see.  And a key that comes again on a later page is known from here; on
 * one page distinct.c finds it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "makini.h"
#include "private.h"
#include "sync/compare.h"

#define KEYS_AT_ONCE 10000

/* Keys of any length, by their hashes. */
#define SEEN_KEY "ARRAY[pg_catalog.md5(k)]"

/* Among them: not all that was read could be noted. */
#define SEEN_LOST "'{}'"

/* ---------------------------------------------------------------------
 * Noting
 * ---------------------------------------------------------------------
 */

/* The keys of a page, in the order of its rows.  Raises what a value says that the target's type cannot. */
static List *
keys_of_page(Apply *apply, const Rows *rows)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_key_array(&sql, apply->target, true);
	appendStringInfoString(&sql, " FROM ");
	sql_key_page(&sql, apply->target);
	return compare_keys(apply, sql.data, PLAN_FREELY, rows, NULL, 0);
}

typedef struct KeysAttempt
{
	Apply	   *apply;
	const Rows *rows;
	List	   *keys;
} KeysAttempt;

static void
keys_step(void *arg)
{
	KeysAttempt *attempt = arg;

	attempt->keys = keys_of_page(attempt->apply, attempt->rows);
}

/* False where a row has no key that the target could hold: writing it will reject it. */
static bool
try_keys(Apply *apply, const Rows *rows, List **keys)
{
	KeysAttempt attempt = {apply, rows, NIL};
	ErrorData  *error = run_attempt(keys_step, &attempt);

	*keys = attempt.keys;
	if (error != NULL && !error_is_about_data(error))
		ReThrowError(error);
	return error == NULL;
}

/* For the run, too, that takes the pass up where this one is interrupted. */
static void
note_lost(int64 sync_id)
{
	(void) about_id("INSERT INTO makini._seen (sync_id, key) VALUES ($1, " SEEN_LOST ")", sync_id);
}

static bool
is_lost(int64 sync_id)
{
	return about_id("SELECT FROM makini._seen WHERE sync_id = $1 AND key = " SEEN_LOST " LIMIT 1",
					sync_id) > 0;
}

static void
note_seen(Apply *apply, const Rows *rows, List *keys)
{
	if (rows->lost > 0)
		note_lost(apply->sync->sync_id);
	compare_private(apply->sync->sync_id,
					"INSERT INTO makini._seen (sync_id, key) SELECT $1, " SEEN_KEY
					" FROM unnest($2) AS k",
					keys);
}

/* ---------------------------------------------------------------------
 * Keys that come again
 * ---------------------------------------------------------------------
 */

/* Which rows of the page, whose keys these are, have a key that was seen before. */
static bool *
find_repeats(Apply *apply, List *keys)
{
	Oid	  types[] = {INT8OID, TEXTARRAYOID};
	Datum values[] = {Int64GetDatum(apply->sync->sync_id), PointerGetDatum(texts_to_array(keys))};
	bool *again = NULL;
	MakiniRights saved;

	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT n FROM unnest($2) WITH ORDINALITY AS u(k, n)"
						 " CROSS JOIN LATERAL (SELECT FROM makini._seen AS s"
						 "  WHERE s.sync_id = $1 AND s.key = " SEEN_KEY " LIMIT 1) AS s",
						 lengthof(types), types, values, NULL);
	if (SPI_processed > 0)
		again = MemoryContextAllocZero(apply->page_cxt, list_length(keys));
	for (uint64 i = 0; i < SPI_processed; i++)
		again[private_int64(i, 1, 0) - 1] = true;
	SPI_finish();
	makini_rights_restore(&saved);
	return again;
}

/* "SELECT FROM target, page WHERE same key, other data and not a newer version". */
static char *
other_row_sql(const Target *target, KeyPattern pattern)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT FROM %s AS t, ", target->name);
	sql_page(&sql, target);
	appendStringInfoString(&sql, " WHERE ");
	sql_key_match(&sql, target, pattern);
	appendStringInfoString(&sql, " AND ");
	sql_data_changed(&sql, target);
	if (target->cursor >= 0 && !target->ambiguous && target->columns[target->cursor].written)
		appendStringInfo(&sql, " AND (s.c%d OPERATOR(pg_catalog.>) t.%s) IS NOT TRUE",
						 target->cursor + 1, quote_identifier(target->columns[target->cursor].name));
	return sql.data;
}

typedef struct OtherRow
{
	Apply	   *apply;
	const Rows *rows;
	int			row;
	bool		found;
} OtherRow;

static void
other_row_step(void *arg)
{
	OtherRow	*other = arg;
	Apply		*apply = other->apply;
	KeyPattern	 pattern = key_pattern(apply->target, other->rows, other->row);
	RowSet		 one = {.rows = other->rows, .n = 1, .at = &other->row};
	TargetRights saved;
	char		*nulls;
	Datum		*values;

	owner_begin(apply, &saved);
	values = page_values(apply, &one, 0, &nulls);
	statement_execute(apply,
					  statement_get(apply, other_row_sql(apply->target, pattern), PLAN_BY_KEY, 0, NULL),
					  values, nulls);
	other->found = SPI_processed > 0;
	owner_end(&saved);
}

/*
 * Offsets shift while a source changes, so that one row may come twice; and it
 * may have changed in between.  What is left is another row with the same key.
 * A value that the target cannot hold is rejected when it is written.
 */
static bool
is_another_row(Apply *apply, const Rows *rows, int row)
{
	OtherRow   other = {apply, rows, row, false};
	ErrorData *error = run_attempt(other_row_step, &other);

	if (error != NULL && !error_is_about_data(error))
		ReThrowError(error);
	MemoryContextSwitchTo(apply->page_cxt);
	return error == NULL && other.found;
}

static void
reject_again(Apply *apply, const Rows *rows, int row)
{
	ErrorData error = {.elevel = ERROR, .sqlerrcode = ERRCODE_UNIQUE_VIOLATION};

	error.message = "another row of an earlier page has the same key";
	error.detail = "The key does not identify rows of this source; the first row was taken.";
	error.hint = "Give the sync a key that does, or one of more columns.";
	reject_of_page(apply, rows, row, &error);
}

static void
move_row(Rows *rows, int from, int to)
{
	size_t n = rows->ncolumns;

	if (from == to)
		return;
	memcpy(rows->values + to * n, rows->values + from * n, sizeof(Datum) * n);
	memcpy(rows->nulls + to * n, rows->nulls + from * n, sizeof(bool) * n);
	if (rows->extra != NULL)
		rows->extra[to] = rows->extra[from];
}

static void
drop_repeats(Apply *apply, Rows *rows, const bool *again)
{
	int kept = 0;

	for (int row = 0; row < rows->n; row++)
	{
		if (again[row] && is_another_row(apply, rows, row))
			reject_again(apply, rows, row);
		else
			move_row(rows, row, kept++);
	}
	rows->n = kept;
}

/*
 * seen_page
 *		See sync.h.
 */
void
seen_page(Apply *apply, Rows *rows)
{
	MemoryContext old;
	List		 *keys;
	bool		 *again;

	/* multiset.c counts as rows are written. */
	if (apply->target->way == WAY_MULTISET)
		return;
	old = MemoryContextSwitchTo(apply->page_cxt);
	if (try_keys(apply, rows, &keys))
	{
		again = find_repeats(apply, keys);
		note_seen(apply, rows, keys);
		if (again != NULL)
			drop_repeats(apply, rows, again);
	}
	else
		note_lost(apply->sync->sync_id);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}

/*
 * seen_any
 *		See sync.h.
 */
bool
seen_any(int64 sync_id)
{
	return about_id("SELECT FROM makini._seen WHERE sync_id = $1 LIMIT 1", sync_id) > 0;
}

void
seen_forget(int64 sync_id)
{
	(void) about_id("DELETE FROM makini._seen WHERE sync_id = $1", sync_id);
}

/* ---------------------------------------------------------------------
 * What was not seen
 * ---------------------------------------------------------------------
 */

static Portal
open_scope(Apply *apply, TimestampTz before)
{
	StringInfoData sql;

	initStringInfo(&sql);
	sql_written_before(&sql, apply->target);
	sql_scope(&sql, apply);
	sql_not_deleted(&sql, apply);
	return compare_cursor(apply, sql.data, before);
}

/* Some more keys; as the owner, whose functions may be called. */
static List *
fetch_keys(Apply *apply, Portal portal)
{
	MemoryContext caller = CurrentMemoryContext;
	TargetRights  saved;
	List		 *keys;
	int			  level = stable_texts_begin();

	rights_of_target(apply->target->owner, &saved);
	SPI_cursor_fetch(portal, true, KEYS_AT_ONCE);
	rights_of_target_restore(&saved);
	stable_texts_end(level);
	keys = result_texts(caller);
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(caller);
	return keys;
}

/*
 * seen_judge
 *		See compare.h.
 */
void
seen_judge(Apply *apply, TimestampTz before)
{
	MemoryContext batch_cxt;
	MemoryContext old = CurrentMemoryContext;
	TargetRights  saved;
	Portal		  portal;
	List		 *keys;

	if (is_lost(apply->sync->sync_id))
		return;
	batch_cxt = AllocSetContextCreate(CurrentMemoryContext, "makini keys", ALLOCSET_DEFAULT_SIZES);
	target_keep(apply->target);
	SPI_connect();
	rights_of_target(apply->target->owner, &saved);
	MemoryContextSwitchTo(old);
	portal = open_scope(apply, before);
	rights_of_target_restore(&saved);
	MemoryContextSwitchTo(batch_cxt);
	while ((keys = fetch_keys(apply, portal)) != NIL)
	{
		compare_private(apply->sync->sync_id,
						"INSERT INTO makini._missing (sync_id, key)"
						" SELECT $1, k::text[] FROM unnest($2) AS k WHERE NOT EXISTS"
						" (SELECT FROM makini._seen s WHERE s.sync_id = $1 AND s.key = " SEEN_KEY ")",
						keys);
		MemoryContextReset(batch_cxt);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(batch_cxt);
	seen_forget(apply->sync->sync_id);
}

/* ---------------------------------------------------------------------
 * For a check
 * ---------------------------------------------------------------------
 */

/*
 * compare_seen
 *		See sync.h.
 */
void
compare_seen(Apply *apply, const Rows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(apply->page_cxt);

	note_seen(apply, rows, keys_of_page(apply, rows));
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}

/* The names of the key's columns, in the order of its texts. */
static ArrayType *
key_names(const Target *target)
{
	List *names = NIL;

	for (int i = 0; i < target->nsource; i++)
		if (target->columns[i].key)
			names = lappend(names, target->columns[i].name);
	return texts_to_array(names);
}

/*
 * compare_unseen
 *		See sync.h.
 */
void
compare_unseen(Apply *apply, int64 check_id, TimestampTz before)
{
	MemoryContext old = MemoryContextSwitchTo(apply->page_cxt);
	Oid			  types[] = {INT8OID, INT8OID, TEXTARRAYOID};
	Datum		  values[3];

	seen_judge(apply, before);
	values[0] = Int64GetDatum(apply->sync->sync_id);
	values[1] = Int64GetDatum(check_id);
	values[2] = PointerGetDatum(key_names(apply->target));
	private_execute("WITH gone AS (DELETE FROM makini._missing WHERE sync_id = $1 RETURNING key),"
					" noted AS (INSERT INTO makini._sync_difference (check_id, key, kind)"
					" SELECT $2, jsonb_object($3, key), 'extra' FROM gone RETURNING 1)"
					" INSERT INTO makini._check_bucket (check_id, source_rows, target_rows,"
					" missing, extra, different) SELECT $2, 0, n, 0, n, 0"
					" FROM (SELECT count(*) AS n FROM noted) AS c WHERE n > 0",
					lengthof(types), types, values, NULL);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}
