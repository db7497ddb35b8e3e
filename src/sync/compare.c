/*-------------------------------------------------------------------------
 *
 * compare.c
 *		What of a target the pages of its source do not have.
 *
 * A page that covers a range of keys says which rows of that range there are;
 * what the target has besides is noted, and deleted when the pass has seen all
 * pages.  Where pages cover no range the keys that were read are noted
 * instead, and all others deleted.  Deletes reach only as far as the source
 * was read: rows with the sync's constants, inside its history window.
 *
 * Keys are noted as texts that no setting of the session can change.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "sync/apply.h"
#include "sync/compare.h"

#define KEYS_AT_ONCE 10000

typedef struct CompareStep
{
	Apply			*apply;
	const Rows		*rows;
	const PageRange *range;
	const char		*parent;
	int64			 deleted;
} CompareStep;

/* ---------------------------------------------------------------------
 * Texts
 * ---------------------------------------------------------------------
 */

int
stable_texts_begin(void)
{
	static const char *const settings[][2] = {{"datestyle", "ISO, YMD"},
											  {"timezone", "UTC"},
											  {"intervalstyle", "postgres"},
											  {"extra_float_digits", "1"},
											  {"bytea_output", "hex"}};
	int						 level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

void
stable_texts_end(int level)
{
	AtEOXact_GUC(true, level);
}

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

/* ---------------------------------------------------------------------
 * Scope and range
 * ---------------------------------------------------------------------
 */

/*
 * Rows that the pass reads.  initial_filter speaks of the source's columns,
 * which have the same names here; only t may be in sight.
 */
static void
sql_scope(StringInfo sql, const Apply *apply)
{
	const Target *target = apply->target;
	const char	 *cursor;

	sql_constants(sql, target);
	if (apply->sync->history_from == 0 || target->cursor < 0)
		return;
	cursor = quote_identifier(target->columns[target->cursor].name);
	appendStringInfo(sql, " AND (t.%s OPERATOR(pg_catalog.>=) ", cursor);
	if (getBaseType(target->columns[target->cursor].type) == TIMESTAMPTZOID)
		appendStringInfo(sql, "$%d", COMPARE_HISTORY(target));
	else
		/* Times of day without a zone may be off by one: better keep a row too many. */
		appendStringInfo(sql, "(($%d AT TIME ZONE 'UTC') OPERATOR(pg_catalog.+) interval '1 day')",
						 COMPARE_HISTORY(target));
	appendStringInfo(sql, " OR t.%s IS NULL", cursor);
	if (apply->sync->initial_filter != NULL)
		appendStringInfo(sql, " OR (%s)", apply->sync->initial_filter);
	appendStringInfoChar(sql, ')');
}

static const TargetColumn *
ordered_column(const Target *target, const PageRange *range, int at)
{
	QueryOrder *order = list_nth(range->order, at);

	for (int i = 0; i < target->nsource; i++)
	{
		SourceColumn *remote = target->columns[i].remote;

		if (remote == order->column ||
			(!remote->display && pg_strcasecmp(remote->name, order->column->name) == 0))
			return &target->columns[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("target %s has no column for \"%s\", by which its source is read", target->name,
					order->column->name)));
}

/* A bound's value as the column's type; canonical texts of moments are UTC. */
static char *
bound_value(const TargetColumn *column, int parameter, int at)
{
	int32 typmod = column->typmod;
	Oid	  type = getBaseTypeAndTypmod(column->type, &typmod);

	if (type == TIMESTAMPTZOID)
		return psprintf("(($%d)[%d]::pg_catalog.timestamp AT TIME ZONE 'UTC')", parameter, at + 1);
	return psprintf("($%d)[%d]::%s%s", parameter, at + 1, sql_type(type, -1),
					type_is_collatable(type) ? " COLLATE pg_catalog.\"C\"" : "");
}

/* One step of an order in which NULLs come last. */
static void
sql_bound_step(StringInfo sql, const TargetColumn *column, const char *value, const char *op,
			   bool bound_is_null)
{
	const char *name = quote_identifier(column->name);

	if (strcmp(op, "=") == 0 && bound_is_null)
		appendStringInfo(sql, "t.%s IS NULL", name);
	else if (strcmp(op, "=") == 0)
		appendStringInfo(sql, "t.%s OPERATOR(pg_catalog.=) %s", name, value);
	else if (strcmp(op, ">") == 0 && bound_is_null)
		appendStringInfoString(sql, "false");
	else if (strcmp(op, ">") == 0)
		appendStringInfo(sql, "(t.%s OPERATOR(pg_catalog.>) %s OR t.%s IS NULL)", name, value, name);
	else if (bound_is_null)
		appendStringInfo(sql, "t.%s IS NOT NULL", name);
	else
		appendStringInfo(sql, "t.%s OPERATOR(pg_catalog.<) %s", name, value);
}

/*
 * The first column alone, as an index takes it; the steps say the rest.  NULLs
 * come last: behind any lower bound, and beyond any upper one.
 */
static void
sql_bound_of_first(StringInfo sql, const TargetColumn *column, bool low, const char *bound, int parameter)
{
	if (bound != NULL && !(low && column->nullable))
		appendStringInfo(sql, " AND t.%s OPERATOR(pg_catalog.%s) %s", quote_identifier(column->name),
						 low ? ">=" : "<=", bound_value(column, parameter, 0));
}

/* Column by column, where NULLs are possible. */
static void
sql_bound_by_steps(StringInfo sql, const Target *target, const PageRange *range, bool low,
				   const char **bounds, int n, int parameter)
{
	sql_bound_of_first(sql, ordered_column(target, range, 0), low, bounds[0], parameter);
	appendStringInfoString(sql, " AND (");
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(sql, i == 0 ? "(" : " OR (");
		for (int j = 0; j <= i; j++)
		{
			const TargetColumn *column = ordered_column(target, range, j);

			if (j > 0)
				appendStringInfoString(sql, " AND ");
			sql_bound_step(sql, column, bound_value(column, parameter, j),
						   j < i ? "=" : (low ? ">" : "<"), bounds[j] == NULL);
		}
		appendStringInfoChar(sql, ')');
	}
	for (int j = 0; j < n && !low; j++)
	{
		const TargetColumn *column = ordered_column(target, range, j);

		appendStringInfoString(sql, j == 0 ? " OR (" : " AND ");
		sql_bound_step(sql, column, bound_value(column, parameter, j), "=", bounds[j] == NULL);
	}
	appendStringInfoString(sql, low ? ")" : "))");
}

/* As a comparison of rows, which an index on the key takes. */
static void
sql_bound_as_row(StringInfo sql, const Target *target, const PageRange *range, bool low, int n,
				 int parameter)
{
	StringInfoData columns, values;

	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < n; i++)
	{
		const TargetColumn *column = ordered_column(target, range, i);
		const char		   *separator = i > 0 ? ", " : "";

		appendStringInfo(&columns, "%st.%s", separator, quote_identifier(column->name));
		appendStringInfo(&values, "%s%s", separator, bound_value(column, parameter, i));
	}
	appendStringInfo(sql, " AND (%s) OPERATOR(pg_catalog.%s) (%s)", columns.data,
					 low ? ">" : "<=", values.data);
}

static void
sql_bound(StringInfo sql, const Target *target, const PageRange *range, bool low)
{
	int			 n = low ? range->nlow : range->nhigh;
	const char **bounds = low ? range->low : range->high;
	int			 parameter = low ? COMPARE_LOW(target) : COMPARE_HIGH(target);
	bool		 nullable = false;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		nullable = nullable || ordered_column(target, range, i)->nullable || bounds[i] == NULL;
	if (nullable)
		sql_bound_by_steps(sql, target, range, low, bounds, n, parameter);
	else
		sql_bound_as_row(sql, target, range, low, n, parameter);
}

void
sql_in_range(StringInfo sql, const Apply *apply, const PageRange *range)
{
	sql_scope(sql, apply);
	sql_bound(sql, apply->target, range, true);
	sql_bound(sql, apply->target, range, false);
	sql_not_deleted(sql, apply);
}

/*
 * sql_same_key
 *		The page's row with t's key.  As records, where NULL equals NULL and which
 *		can be hashed.
 */
void
sql_same_key(StringInfo sql, const Target *target)
{
	StringInfoData columns, values;
	const char	  *separator = "";

	if (!target->nullable_key)
	{
		sql_key_join(sql, target, 0);
		return;
	}
	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < target->ncolumns; i++)
	{
		const TargetColumn *column = &target->columns[i];
		char			   *type;

		if (!column->key)
			continue;
		type = sql_type(getBaseType(column->type), -1);
		appendStringInfo(&columns, "%st.%s::%s", separator, quote_identifier(column->name), type);
		appendStringInfo(&values, "%ss.c%d::%s", separator, i + 1, type);
		separator = ", ";
	}
	appendStringInfo(sql,
					 "ROW(%s)::pg_catalog.record OPERATOR(pg_catalog.=) ROW(%s)::pg_catalog.record",
					 columns.data, values.data);
}

void
sql_not_in_page(StringInfo sql, const Target *target)
{
	appendStringInfoString(sql, " AND NOT EXISTS (SELECT FROM ");
	sql_page(sql, target);
	appendStringInfoString(sql, " WHERE ");
	sql_same_key(sql, target);
	appendStringInfoChar(sql, ')');
}

/* ---------------------------------------------------------------------
 * Running
 * ---------------------------------------------------------------------
 */

static Datum
bounds_array(const char **bounds, int n)
{
	Datum *elems = palloc(sizeof(Datum) * Max(1, n));
	bool  *nulls = palloc(sizeof(bool) * Max(1, n));
	int	   lower = 1;

	for (int i = 0; i < n; i++)
	{
		nulls[i] = bounds[i] == NULL;
		elems[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(bounds[i]);
	}
	return PointerGetDatum(
		construct_md_array(elems, nulls, 1, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
whole_page(const Rows *rows, RowSet *set)
{
	set->rows = rows;
	set->n = rows->n;
	set->at = palloc(sizeof(int) * Max(1, rows->n));
	for (int i = 0; i < rows->n; i++)
		set->at[i] = i;
}

/*
 * compare_execute
 *		Run a statement over a page and its range; connected to SPI, as owner.
 */
void
compare_execute(Apply *apply, const char *sql, PlanKind kind, const Rows *rows,
				const PageRange *range, TimestampTz before)
{
	static const Oid more[COMPARE_NMORE] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, TEXTARRAYOID};
	const Target *target = apply->target;
	RowSet		  set;
	char		 *nulls;
	Datum		 *values;

	if (rows != NULL)
		whole_page(rows, &set);
	values = page_values(apply, rows ? &set : NULL, COMPARE_NMORE, &nulls);
	values[COMPARE_BEFORE(target) - 1] = TimestampTzGetDatum(before);
	values[COMPARE_HISTORY(target) - 1] = TimestampTzGetDatum(apply->sync->history_from);
	if (range != NULL)
	{
		values[COMPARE_LOW(target) - 1] = bounds_array(range->low, range->nlow);
		values[COMPARE_HIGH(target) - 1] = bounds_array(range->high, range->nhigh);
	}
	else
		nulls[COMPARE_LOW(target) - 1] = nulls[COMPARE_HIGH(target) - 1] = 'n';
	statement_execute(apply, statement_get(apply, sql, kind, COMPARE_NMORE, more), values, nulls);
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

/* Run a statement on makini's own tables with the sync's id and some texts. */
static List *
private_texts(int64 sync_id, const char *sql, List *texts, int limit, bool results)
{
	MakiniRights  saved;
	MemoryContext caller = CurrentMemoryContext;
	Oid			  types[] = {INT8OID, TEXTARRAYOID, INT4OID};
	Datum		  values[] = {Int64GetDatum(sync_id), texts_array(texts), Int32GetDatum(limit)};
	List		 *found;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args(sql, lengthof(types), types, values, NULL, false, 0);
	found = results ? result_texts(caller) : NIL;
	SPI_finish();
	makini_rights_restore(&saved);
	return found;
}

/* ---------------------------------------------------------------------
 * Noting
 * ---------------------------------------------------------------------
 */

static void
note_missing(Apply *apply, const Rows *rows, const PageRange *range, TimestampTz before)
{
	MemoryContext  caller = CurrentMemoryContext;
	StringInfoData sql;
	TargetRights   saved;
	List		  *keys;
	int			   level = stable_texts_begin();

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_key_array(&sql, apply->target, false);
	appendStringInfo(&sql, " FROM %s AS t WHERE t._synced_at OPERATOR(pg_catalog.<) $%d",
					 apply->target->name, COMPARE_BEFORE(apply->target));
	sql_in_range(&sql, apply, range);
	sql_not_in_page(&sql, apply->target);
	owner_begin(apply, &saved);
	compare_execute(apply, sql.data, PLAN_BY_RANGE, rows, range, before);
	keys = result_texts(caller);
	owner_end(&saved);
	stable_texts_end(level);
	MemoryContextSwitchTo(caller);
	if (keys != NIL)
		private_texts(apply->sync->sync_id,
					  "INSERT INTO makini._missing (sync_id, key)"
					  " SELECT $1, k::text[] FROM unnest($2) AS k",
					  keys, 0, false);
}

/* Keys of any length, by their hashes. */
#define SEEN_KEY "ARRAY[pg_catalog.md5(k)]"

static void
note_seen(Apply *apply, const Rows *rows)
{
	MemoryContext  caller = CurrentMemoryContext;
	StringInfoData sql;
	TargetRights   saved;
	List		  *keys;
	int			   level = stable_texts_begin();

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_key_array(&sql, apply->target, true);
	appendStringInfoString(&sql, " FROM ");
	sql_page(&sql, apply->target);
	owner_begin(apply, &saved);
	compare_execute(apply, sql.data, PLAN_FREELY, rows, NULL, 0);
	keys = result_texts(caller);
	owner_end(&saved);
	stable_texts_end(level);
	MemoryContextSwitchTo(caller);
	private_texts(apply->sync->sync_id,
				  "INSERT INTO makini._seen (sync_id, key) SELECT $1, " SEEN_KEY
				  " FROM unnest($2) AS k",
				  keys, 0, false);
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
	if (range != NULL)
		note_missing(apply, rows, range, before);
	else
		note_seen(apply, rows);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}

void
compare_forget(int64 sync_id)
{
	private_texts(sync_id, "DELETE FROM makini._missing WHERE sync_id = $1", NIL, 0, false);
	private_texts(sync_id, "DELETE FROM makini._seen WHERE sync_id = $1", NIL, 0, false);
}

/* ---------------------------------------------------------------------
 * Deleting
 * ---------------------------------------------------------------------
 */

/* Keys as the rows of a page that has nothing else. */
static void
rows_of_keys(const Target *target, List *keys, Rows *rows)
{
	ListCell *lc;

	rows->n = list_length(keys);
	rows->ncolumns = target->nsource;
	rows->values = palloc0(sizeof(Datum) * Max(1, rows->n * rows->ncolumns));
	rows->nulls = palloc(sizeof(bool) * Max(1, rows->n * rows->ncolumns));
	rows->extra = NULL;
	memset(rows->nulls, true, sizeof(bool) * Max(1, rows->n * rows->ncolumns));
	foreach(lc, keys)
	{
		size_t base = (size_t) foreach_current_index(lc) * rows->ncolumns;
		Datum *elems;
		bool  *nulls;
		int	   n;
		int	   at = 0;

		deconstruct_array(DatumGetArrayTypeP(
							  OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(lfirst(lc)),
											   ObjectIdGetDatum(TEXTOID), Int32GetDatum(-1))),
						  TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &n);
		for (int i = 0; i < target->nsource; i++)
		{
			Oid input, ioparam;

			if (!target->columns[i].key || at >= n)
				continue;
			getTypeInputInfo(target->columns[i].source_type, &input, &ioparam);
			rows->nulls[base + i] = nulls[at];
			if (!nulls[at])
				rows->values[base + i] =
					OidInputFunctionCall(input, TextDatumGetCString(elems[at]), ioparam, -1);
			at++;
		}
	}
}

/* The page's rows are deleted, unless something wrote them since the pass began. */
static void
delete_page(Apply *apply, const RowSet *set, Written *written)
{
	const Target *target = apply->target;
	Oid			  more[] = {TIMESTAMPTZOID};
	RowSet		  rest = {.rows = set->rows, .n = set->n};
	RowSet		  same;
	KeyPattern	  pattern;

	rest.at = palloc(sizeof(int) * Max(1, set->n));
	memcpy(rest.at, set->at, sizeof(int) * set->n);
	while (next_pattern(target, &rest, &same, &pattern))
	{
		StringInfoData sql;
		char		  *nulls;
		Datum		  *values = page_values(apply, &same, 1, &nulls);

		initStringInfo(&sql);
		sql_delete(&sql, apply);
		appendStringInfoString(&sql, apply->sync->deletes == DELETES_SOFT ? " FROM " : " USING ");
		sql_page(&sql, target);
		appendStringInfo(&sql, " WHERE t._synced_at OPERATOR(pg_catalog.<) $%d AND ",
						 PAGE_NARGS(target) + 1);
		sql_key_join(&sql, target, pattern);
		sql_key_any(&sql, target, pattern);
		sql_not_deleted(&sql, apply);
		values[PAGE_NARGS(target)] = TimestampTzGetDatum(apply->delete_before);
		statement_execute(apply, statement_get(apply, sql.data, PLAN_BY_KEY, 1, more), values, nulls);
		written->deleted += SPI_processed;
	}
}

static void
delete_keys(Apply *apply, List *keys, TimestampTz before)
{
	Rows   rows;
	RowSet set;
	int	   level = stable_texts_begin();

	rows_of_keys(apply->target, keys, &rows);
	stable_texts_end(level);
	whole_page(&rows, &set);
	apply->delete_before = before;
	rows_write(apply, &set, delete_page);
}

/* Note all rows of the scope that were not seen as missing. */
static void
judge_seen(Apply *apply, TimestampTz before)
{
	static const Oid more[COMPARE_NMORE] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, TEXTARRAYOID};
	const Target *target = apply->target;
	MemoryContext batch_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContext  old = MemoryContextSwitchTo(batch_cxt);
	char		  *nulls;
	Datum		  *values = page_values(apply, NULL, COMPARE_NMORE, &nulls);
	Statement	  *statement;
	StringInfoData sql;
	TargetRights   saved;
	Portal		   portal;
	List		  *keys;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_key_array(&sql, target, false);
	appendStringInfo(&sql, " FROM %s AS t WHERE t._synced_at OPERATOR(pg_catalog.<) $%d",
					 target->name, COMPARE_BEFORE(target));
	sql_scope(&sql, apply);
	sql_not_deleted(&sql, apply);
	statement = statement_get(apply, sql.data, PLAN_FREELY, COMPARE_NMORE, more);
	values[COMPARE_BEFORE(target) - 1] = TimestampTzGetDatum(before);
	values[COMPARE_HISTORY(target) - 1] = TimestampTzGetDatum(apply->sync->history_from);
	nulls[COMPARE_LOW(target) - 1] = nulls[COMPARE_HIGH(target) - 1] = 'n';

	SPI_connect();
	MemoryContextSwitchTo(batch_cxt);
	portal = NULL;
	do
	{
		int level = stable_texts_begin();

		rights_of_target(target->owner, &saved);
		if (portal == NULL)
			portal = SPI_cursor_open_with_args(NULL, sql.data, statement->nargs, statement->types,
											   values, nulls, true, CURSOR_OPT_NO_SCROLL);
		SPI_cursor_fetch(portal, true, KEYS_AT_ONCE);
		rights_of_target_restore(&saved);
		stable_texts_end(level);
		keys = result_texts(batch_cxt);
		SPI_freetuptable(SPI_tuptable);
		if (keys != NIL)
			private_texts(apply->sync->sync_id,
						  "INSERT INTO makini._missing (sync_id, key)"
						  " SELECT $1, k::text[] FROM unnest($2) AS k WHERE NOT EXISTS"
						  " (SELECT FROM makini._seen s WHERE s.sync_id = $1 AND s.key = " SEEN_KEY ")",
						  keys, 0, false);
		list_free_deep(keys);
	} while (keys != NIL);
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(batch_cxt);
	private_texts(apply->sync->sync_id, "DELETE FROM makini._seen WHERE sync_id = $1", NIL, 0, false);
}

/*
 * compare_delete
 *		See sync.h.
 */
bool
compare_delete(Apply *apply, bool by_seen, TimestampTz before, int limit)
{
	MemoryContext old = MemoryContextSwitchTo(apply->page_cxt);
	List		 *keys = NIL;
	bool		  more = false;

	if (apply->target->way == WAY_MULTISET)
		multiset_delete(apply);
	else if (by_seen && !apply->seen_judged && apply->sync->deletes != DELETES_IGNORED)
	{
		judge_seen(apply, before);
		apply->seen_judged = true;
		more = true;
	}
	else
	{
		keys = private_texts(apply->sync->sync_id,
							 "DELETE FROM makini._missing WHERE ctid = ANY (ARRAY(SELECT ctid"
							 " FROM makini._missing WHERE sync_id = $1 LIMIT $3)) RETURNING key::text",
							 NIL, limit, true);
		if (keys != NIL && apply->sync->deletes != DELETES_IGNORED)
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

static void
children_step(CompareStep *step)
{
	Apply			   *apply = step->apply;
	const Target	   *target = apply->target;
	const TargetColumn *parent = NULL;
	StringInfoData		sql;
	TargetRights		saved;

	for (int i = 0; i < target->nsource; i++)
		if (strcmp(target->columns[i].name, step->parent) == 0)
			parent = &target->columns[i];
	if (parent == NULL)
		return;
	initStringInfo(&sql);
	sql_delete(&sql, apply);
	appendStringInfo(&sql, " WHERE t.%s %s ANY (ARRAY(SELECT s.c%d FROM ",
					 quote_identifier(parent->name), sql_equality(parent->type),
					 (int) (parent - target->columns) + 1);
	sql_page(&sql, target);
	appendStringInfoChar(&sql, ')');
	if (step->range->nlow > 0 && ordered_column(target, step->range, 0) == parent)
		appendStringInfo(&sql, " OPERATOR(pg_catalog.||) %s",
						 bound_value(parent, COMPARE_LOW(target), 0));
	appendStringInfoChar(&sql, ')');
	sql_constants(&sql, target);
	sql_bound(&sql, target, step->range, true);
	sql_bound(&sql, target, step->range, false);
	sql_not_deleted(&sql, apply);
	sql_not_in_page(&sql, target);
	owner_begin(apply, &saved);
	compare_execute(apply, sql.data, PLAN_BY_RANGE, step->rows, step->range, 0);
	step->deleted = SPI_processed;
	owner_end(&saved);
}

/*
 * compare_children
 *		See sync.h.
 */
void
compare_children(Apply *apply, const Rows *rows, const PageRange *range, const char *parent_column)
{
	CompareStep	  step = {.apply = apply, .rows = rows, .range = range, .parent = parent_column};
	MemoryContext old;

	if (apply->sync->deletes == DELETES_IGNORED || apply->target->way == WAY_MULTISET)
		return;
	old = MemoryContextSwitchTo(apply->page_cxt);
	children_step(&step);
	apply->counters->deleted += step.deleted;
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}
