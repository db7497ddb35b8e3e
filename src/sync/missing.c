/*-------------------------------------------------------------------------
 *
 * missing.c
 *		Rows of a target that its source no longer has.
 *
 * What the target has in a page's range besides the page is noted, and deleted
 * when the pass has seen all pages.  Where pages cover no range seen.c notes the
 * keys that were read instead, and all others are deleted.  Rows that were written
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
#include "private.h"
#include "sync/compare.h"

/* ---------------------------------------------------------------------
 * Keys
 * ---------------------------------------------------------------------
 */

/*
 * sql_key_array
 *		ARRAY[t.a::text, ...]: a key as text[].
 */
void
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

/*
 * compare_private
 *		Run a statement on makini's own tables, whose $1 is the sync's id and $2
 *		these keys.
 */
void
compare_private(int64 sync_id, const char *statement, List *keys)
{
	Oid	  types[] = {INT8OID, TEXTARRAYOID};
	Datum values[] = {Int64GetDatum(sync_id), PointerGetDatum(texts_to_array(keys))};

	private_execute(statement, lengthof(types), types, values, NULL);
}

/*
 * compare_keys
 *		The keys that a statement over a page gives.
 */
List *
compare_keys(Apply *apply, const char *sql, PlanKind kind, const Rows *rows, const PageRange *range,
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

/*
 * sql_written_before
 *		"SELECT key FROM target AS t WHERE written before ...".
 */
void
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
	keys = compare_keys(apply, sql.data, PLAN_BY_RANGE, rows, range, before);
	if (keys != NIL)
		compare_private(apply->sync->sync_id,
						"INSERT INTO makini._missing (sync_id, key)"
						" SELECT $1, k::text[] FROM unnest($2) AS k",
						keys);
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
	if (apply->target->way == WAY_MULTISET || apply->sync->deletes == DELETES_IGNORED || rows->lost > 0)
		return;
	old = MemoryContextSwitchTo(apply->page_cxt);
	note_missing(apply, rows, range, before);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}

void
compare_forget(int64 sync_id)
{
	(void) about_id("DELETE FROM makini._missing WHERE sync_id = $1", sync_id);
	(void) about_id("DELETE FROM makini._seen WHERE sync_id = $1", sync_id);
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
	appendStringInfo(&sql,
					 apply->delete_unwritten ?
						 " WHERE (t._synced_at OPERATOR(pg_catalog.<) $%d) IS NOT FALSE AND " :
						 " WHERE t._synced_at OPERATOR(pg_catalog.<) $%d AND ",
					 PAGE_NARGS(target) + 1);
	sql_key_match(&sql, target, pattern);
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

/*
 * rows_delete
 *		See apply.h.
 */
void
rows_delete(Apply *apply, const Rows *rows, TimestampTz before, bool unwritten)
{
	RowSet set;

	if (rows->n == 0 || apply->sync->deletes == DELETES_IGNORED)
		return;
	rowset_whole(rows, &set);
	apply->delete_before = before;
	apply->delete_unwritten = unwritten;
	rows_write(apply, &set, delete_rows);
}

static void
delete_keys(Apply *apply, List *keys, TimestampTz before)
{
	Rows rows = {0};

	rows_of_keys(apply->target, keys, &rows);
	rows_delete(apply, &rows, before, false);
}

/* ---------------------------------------------------------------------
 * After the last page
 * ---------------------------------------------------------------------
 */

/* Some of the keys that were noted as missing, which are noted no longer. */
static List *
take_missing(const Apply *apply, int limit)
{
	MakiniRights  saved;
	MemoryContext caller = CurrentMemoryContext;
	Oid			  types[] = {INT8OID, INT4OID};
	Datum		  values[] = {Int64GetDatum(apply->sync->sync_id), Int32GetDatum(limit)};
	List		 *keys;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("DELETE FROM makini._missing WHERE ctid = ANY (ARRAY(SELECT ctid"
						  " FROM makini._missing WHERE sync_id = $1 LIMIT $2)) RETURNING key::text",
						  lengthof(types), types, values, NULL, false, 0);
	keys = result_texts(caller);
	SPI_finish();
	makini_rights_restore(&saved);
	return keys;
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
		seen_judge(apply, before);
		apply->seen_judged = true;
		more = true;
	}
	else
	{
		List *keys = take_missing(apply, limit);

		delete_keys(apply, keys, before);
		more = list_length(keys) >= limit;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
	return more;
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
						 sql_bound_value(getBaseType(parent->type), COMPARE_LOW(target), 0));
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
	keys = compare_keys(apply, sql.data, PLAN_BY_RANGE, rows, range, before);
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

	if (apply->sync->deletes == DELETES_IGNORED || target->way == WAY_MULTISET || rows->lost > 0 ||
		!compare_can_bound(target, range, false))
		return;
	old = MemoryContextSwitchTo(apply->page_cxt);
	for (int i = 0; i < target->nsource; i++)
		if (strcmp(target->columns[i].name, parent_column) == 0)
			delete_keys(apply, find_orphans(apply, rows, range, i, before), before);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}
