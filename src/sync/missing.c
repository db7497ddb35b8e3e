/*-------------------------------------------------------------------------
 *
 * missing.c
 *		Rows of a target that its source no longer has.
 *
 * What the target has in a page's range besides the page is noted, and deleted
 * when the pass has seen all pages.  Where pages cover no range the keys that
 * were read are noted instead, and all others deleted.  Rows that were written
 * since the pass began are left alone, and those that no sync ever wrote; where
 * a row of the source could not be made its key is not known, and nothing can
 * be said about absence.
 *
 * Keys are noted as texts that no setting of the session can change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "sync/compare.h"

#define KEYS_AT_ONCE 10000

/* ---------------------------------------------------------------------
 * Keys
 * ---------------------------------------------------------------------
 */

/* ARRAY[t.a::text, ...]: a key as text[]. */
static void
sql_key_array(StringInfo sql, const Target *target, bool page)
{
	const char *separator = "";

	appendStringInfoString(sql, "ARRAY[");
	for (int i = 0; i < target->nsource; i++)
	{
		const TargetColumn *column = &target->columns[i];

		if (!column->key)
			continue;
		if (page)
			appendStringInfo(sql, "%ss.c%d::pg_catalog.text", separator, i + 1);
		else
			appendStringInfo(sql, "%st.%s::pg_catalog.text", separator, quote_identifier(column->name));
		separator = ", ";
	}
	appendStringInfoString(sql, "]::pg_catalog.text[]::pg_catalog.text");
}

/* The first column of the result, as texts in this memory. */
static List *
result_texts(MemoryContext cxt)
{
	List		 *texts = NIL;
	MemoryContext old = MemoryContextSwitchTo(cxt);

	for (uint64 i = 0; i < SPI_processed; i++)
		texts = lappend(texts, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	MemoryContextSwitchTo(old);
	return texts;
}

static Datum
texts_array(List *texts)
{
	Datum	 *elems = palloc(sizeof(Datum) * Max(1, list_length(texts)));
	ListCell *lc;

	foreach(lc, texts)
		elems[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elems, list_length(texts), TEXTOID, -1, false, TYPALIGN_INT));
}

/* Run a statement on makini's own tables with the sync's id, some texts and a number. */
static List *
private_texts(int64 sync_id, const char *sql, List *texts, int limit)
{
	MakiniRights  saved;
	MemoryContext caller = CurrentMemoryContext;
	Oid			  types[] = {INT8OID, TEXTARRAYOID, INT4OID};
	Datum		  values[] = {Int64GetDatum(sync_id), texts_array(texts), Int32GetDatum(limit)};
	List		 *found = NIL;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (SPI_execute_with_args(sql, lengthof(types), types, values, NULL, false, 0) ==
		SPI_OK_DELETE_RETURNING)
		found = result_texts(caller);
	SPI_finish();
	makini_rights_restore(&saved);
	return found;
}

/* The keys that a statement over a page gives. */
static List *
select_keys(Apply *apply, const char *sql, PlanKind kind, const Rows *rows, const PageRange *range,
			TimestampTz before)
{
	MemoryContext caller = CurrentMemoryContext;
	TargetRights  saved;
	List		 *keys;
	int			  level = stable_texts_begin();

	owner_begin(apply, &saved);
	compare_execute(apply, sql, kind, rows, range, before);
	keys = result_texts(caller);
	owner_end(&saved);
	stable_texts_end(level);
	MemoryContextSwitchTo(caller);
	return keys;
}

/* "SELECT key FROM target AS t WHERE written before ...". */
static void
sql_written_before(StringInfo sql, const Target *target)
{
	appendStringInfoString(sql, "SELECT ");
	sql_key_array(sql, target, false);
	appendStringInfo(sql, " FROM %s AS t WHERE t._synced_at OPERATOR(pg_catalog.<) $%d",
					 target->name, COMPARE_BEFORE(target));
}

/* ---------------------------------------------------------------------
 * Noting
 * ---------------------------------------------------------------------
 */

static void
note_missing(Apply *apply, const Rows *rows, const PageRange *range, TimestampTz before)
{
	StringInfoData sql;
	List		  *keys;

	initStringInfo(&sql);
	sql_written_before(&sql, apply->target);
	sql_in_range(&sql, apply, range);
	sql_not_in_page(&sql, apply->target);
	keys = select_keys(apply, sql.data, PLAN_BY_RANGE, rows, range, before);
	if (keys != NIL)
		(void) private_texts(apply->sync->sync_id,
							 "INSERT INTO makini._missing (sync_id, key)"
							 " SELECT $1, k::text[] FROM unnest($2) AS k",
							 keys, 0);
}

/* Keys of any length, by their hashes. */
#define SEEN_KEY "ARRAY[pg_catalog.md5(k)]"

static void
note_seen(Apply *apply, const Rows *rows)
{
	StringInfoData sql;
	List		  *keys;

	apply->lost = apply->lost || rows->lost > 0;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_key_array(&sql, apply->target, true);
	appendStringInfoString(&sql, " FROM ");
	sql_key_page(&sql, apply->target);
	keys = select_keys(apply, sql.data, PLAN_FREELY, rows, NULL, 0);
	(void) private_texts(apply->sync->sync_id,
						 "INSERT INTO makini._seen (sync_id, key) SELECT $1, " SEEN_KEY
						 " FROM unnest($2) AS k",
						 keys, 0);
}

/*
 * compare_note
 *		See sync.h.
 */
void
compare_note(Apply *apply, const Rows *rows, const PageRange *range, TimestampTz before)
{
	MemoryContext old;

	/* multiset.c counts as rows are written. */
	if (apply->target->way == WAY_MULTISET || apply->sync->deletes == DELETES_IGNORED)
		return;
	old = MemoryContextSwitchTo(apply->page_cxt);
	if (range == NULL)
		note_seen(apply, rows);
	else if (rows->lost == 0)
		note_missing(apply, rows, range, before);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}

void
compare_forget(int64 sync_id)
{
	(void) private_texts(sync_id, "DELETE FROM makini._missing WHERE sync_id = $1", NIL, 0);
	(void) private_texts(sync_id, "DELETE FROM makini._seen WHERE sync_id = $1", NIL, 0);
}

/* ---------------------------------------------------------------------
 * Deleting
 * ---------------------------------------------------------------------
 */

/* Fill the key columns of a row from the texts of its key. */
static void
row_of_key(const Target *target, const char *key, Datum *values, bool *isnull)
{
	Datum *texts;
	bool  *nulls;
	int	   n;
	int	   at = 0;

	deconstruct_array(DatumGetArrayTypeP(OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(key),
														  ObjectIdGetDatum(TEXTOID), Int32GetDatum(-1))),
					  TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &n);
	for (int i = 0; i < target->nsource && at < n; i++)
	{
		Oid input, ioparam;

		if (!target->columns[i].key)
			continue;
		getTypeInputInfo(target->columns[i].source_type, &input, &ioparam);
		isnull[i] = nulls[at];
		if (!nulls[at])
			values[i] = OidInputFunctionCall(input, TextDatumGetCString(texts[at]), ioparam, -1);
		at++;
	}
}

/* Keys as the rows of a page that has nothing else. */
static void
rows_of_keys(const Target *target, List *keys, Rows *rows)
{
	int		  level = stable_texts_begin();
	size_t	  cells = (size_t) list_length(keys) * target->nsource;
	ListCell *lc;

	rows->n = list_length(keys);
	rows->ncolumns = target->nsource;
	rows->extra = NULL;
	rows->values = palloc0(sizeof(Datum) * Max(1, cells));
	rows->nulls = palloc(sizeof(bool) * Max(1, cells));
	memset(rows->nulls, true, sizeof(bool) * cells);
	foreach(lc, keys)
	{
		size_t base = (size_t) foreach_current_index(lc) * rows->ncolumns;

		row_of_key(target, lfirst(lc), rows->values + base, rows->nulls + base);
	}
	stable_texts_end(level);
}

static void
delete_pattern(Apply *apply, const RowSet *set, KeyPattern pattern, Written *written)
{
	const Target  *target = apply->target;
	Oid			   more[] = {TIMESTAMPTZOID};
	StringInfoData sql;
	char		  *nulls;
	Datum		  *values = page_key_values(apply, set, 1, &nulls);

	initStringInfo(&sql);
	sql_delete(&sql, apply);
	appendStringInfoString(&sql, apply->sync->deletes == DELETES_SOFT ? " FROM " : " USING ");
	sql_key_page(&sql, target);
	appendStringInfo(&sql, " WHERE t._synced_at OPERATOR(pg_catalog.<) $%d AND ",
					 PAGE_NARGS(target) + 1);
	sql_key_join(&sql, target, pattern);
	sql_key_any(&sql, target, pattern);
	sql_not_deleted(&sql, apply);
	values[PAGE_NARGS(target)] = TimestampTzGetDatum(apply->delete_before);
	statement_execute(apply, statement_get(apply, sql.data, PLAN_BY_KEY, 1, more), values, nulls);
	written->deleted += SPI_processed;
}

static void
delete_rows(Apply *apply, const RowSet *set, Written *written)
{
	RowSet	   rest = {.rows = set->rows, .n = set->n};
	RowSet	   same;
	KeyPattern pattern;

	rest.at = palloc(sizeof(int) * Max(1, set->n));
	memcpy(rest.at, set->at, sizeof(int) * set->n);
	while (next_pattern(apply->target, &rest, &same, &pattern))
		delete_pattern(apply, &same, pattern, written);
}

static void
delete_keys(Apply *apply, List *keys, TimestampTz before)
{
	Rows   rows = {0};
	RowSet set;

	if (keys == NIL || apply->sync->deletes == DELETES_IGNORED)
		return;
	rows_of_keys(apply->target, keys, &rows);
	rowset_whole(&rows, &set);
	apply->delete_before = before;
	rows_write(apply, &set, delete_rows);
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

/* Note all rows of the scope that were not seen as missing. */
static void
judge_seen(Apply *apply, TimestampTz before)
{
	MemoryContext batch_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = CurrentMemoryContext;
	TargetRights  saved;
	Portal		  portal;
	List		 *keys;

	SPI_connect();
	rights_of_target(apply->target->owner, &saved);
	MemoryContextSwitchTo(old);
	portal = open_scope(apply, before);
	rights_of_target_restore(&saved);
	MemoryContextSwitchTo(batch_cxt);
	while ((keys = fetch_keys(apply, portal)) != NIL)
	{
		(void) private_texts(apply->sync->sync_id,
							 "INSERT INTO makini._missing (sync_id, key)"
							 " SELECT $1, k::text[] FROM unnest($2) AS k WHERE NOT EXISTS"
							 " (SELECT FROM makini._seen s WHERE s.sync_id = $1 AND s.key = " SEEN_KEY
							 ")",
							 keys, 0);
		MemoryContextReset(batch_cxt);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(batch_cxt);
	(void) private_texts(apply->sync->sync_id, "DELETE FROM makini._seen WHERE sync_id = $1", NIL, 0);
}

/* ---------------------------------------------------------------------
 * After the last page
 * ---------------------------------------------------------------------
 */

static bool
delete_some(Apply *apply, TimestampTz before, int limit)
{
	List *keys =
		private_texts(apply->sync->sync_id,
					  "DELETE FROM makini._missing WHERE ctid = ANY (ARRAY(SELECT ctid"
					  " FROM makini._missing WHERE sync_id = $1 LIMIT $3)) RETURNING key::text",
					  NIL, limit);

	delete_keys(apply, keys, before);
	return list_length(keys) >= limit;
}

/*
 * compare_delete
 *		See sync.h.
 */
bool
compare_delete(Apply *apply, bool by_seen, TimestampTz before, int limit)
{
	MemoryContext old = MemoryContextSwitchTo(apply->page_cxt);
	bool		  more = false;

	if (apply->target->way == WAY_MULTISET)
		multiset_delete(apply);
	else if (by_seen && !apply->seen_judged && apply->sync->deletes != DELETES_IGNORED)
	{
		if (!apply->lost)
			judge_seen(apply, before);
		apply->seen_judged = true;
		more = true;
	}
	else
		more = delete_some(apply, before, limit);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
	return more;
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

	note_seen(apply, rows);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}

/* The names of the key's columns, in the order of its texts. */
static Datum
key_names(const Target *target)
{
	List *names = NIL;

	for (int i = 0; i < target->nsource; i++)
		if (target->columns[i].key)
			names = lappend(names, target->columns[i].name);
	return texts_array(names);
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
	MakiniRights  saved;

	if (!apply->lost)
		judge_seen(apply, before);
	values[0] = Int64GetDatum(apply->sync->sync_id);
	values[1] = Int64GetDatum(check_id);
	values[2] = key_names(apply->target);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("WITH gone AS (DELETE FROM makini._missing WHERE sync_id = $1 RETURNING key),"
						  " noted AS (INSERT INTO makini._sync_difference (check_id, key, kind)"
						  " SELECT $2, jsonb_object($3, key), 'extra' FROM gone RETURNING 1)"
						  " INSERT INTO makini._check_bucket (check_id, source_rows, target_rows,"
						  " missing, extra, different) SELECT $2, 0, n, 0, n, 0"
						  " FROM (SELECT count(*) AS n FROM noted) AS c WHERE n > 0",
						  lengthof(types), types, values, NULL, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}

/* ---------------------------------------------------------------------
 * Children of changed parents
 * ---------------------------------------------------------------------
 */

/* "t.parent = ANY (those of the page, and the one that the range begins in)". */
static void
sql_of_parents(StringInfo sql, const Target *target, const TargetColumn *parent, const PageRange *range)
{
	char *type = sql_type(getBaseType(parent->type), -1);

	appendStringInfo(sql, " AND t.%s %s ANY ($%d::%s[]", quote_identifier(parent->name),
					 sql_equality(parent->type), (int) (parent - target->columns) + 1, type);
	if (range->nlow > 0 && compare_ordered_column(target, range, 0) == parent)
		appendStringInfo(sql, " OPERATOR(pg_catalog.||) %s",
						 sql_bound_value(parent, COMPARE_LOW(target), 0));
	appendStringInfoChar(sql, ')');
}

static List *
find_orphans(Apply *apply, const Rows *rows, const PageRange *range, int parent, TimestampTz before)
{
	const Target  *target = apply->target;
	StringInfoData sql;
	List		  *keys;

	initStringInfo(&sql);
	sql_written_before(&sql, target);
	sql_of_parents(&sql, target, &target->columns[parent], range);
	sql_constants(&sql, target);
	sql_bound(&sql, target, range, true);
	sql_bound(&sql, target, range, false);
	sql_not_deleted(&sql, apply);
	sql_not_in_page(&sql, target);
	apply->parent = parent;
	keys = select_keys(apply, sql.data, PLAN_BY_RANGE, rows, range, before);
	apply->parent = -1;
	return keys;
}

/*
 * compare_children
 *		See sync.h.
 */
void
compare_children(Apply *apply, const Rows *rows, const PageRange *range, const char *parent_column,
				 TimestampTz before)
{
	const Target *target = apply->target;
	MemoryContext old;

	if (apply->sync->deletes == DELETES_IGNORED || target->way == WAY_MULTISET || rows->lost > 0)
		return;
	old = MemoryContextSwitchTo(apply->page_cxt);
	for (int i = 0; i < target->nsource; i++)
		if (strcmp(target->columns[i].name, parent_column) == 0)
			delete_keys(apply, find_orphans(apply, rows, range, i, before), before);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}
