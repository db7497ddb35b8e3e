/*-------------------------------------------------------------------------
 *
 * compare.c
 *		Statements over a page and the part of the target that it stands for.
 *
 * A page that covers a range of keys says which rows of that range there are.
 * It says so only of what was read: rows with the sync's constants, inside its
 * history window.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "fdw/filter_text.h"
#include "private.h"
#include "sync/compare.h"

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

/* ---------------------------------------------------------------------
 * Scope and range
 * ---------------------------------------------------------------------
 */

/* Has the target the columns that a condition over the source's speaks of? */
static bool
fits_target(const Apply *apply, const Table *source, const TextFilter *filter)
{
	ListCell *lc;

	foreach(lc, pull_var_clause((Node *) filter->expr, 0))
	{
		char *name = get_attname(source->relid, ((Var *) lfirst(lc))->varattno, false);
		bool  found = false;

		for (int i = 0; i < apply->target->nsource; i++)
			found = found || strcmp(apply->target->columns[i].name, name) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* initial_filter may speak of columns that the sync does not read. */
static bool
can_ask_initial_filter(Apply *apply)
{
	const Sync *sync = apply->sync;
	Table	   *source;

	if (sync->initial_filter == NULL || apply->initial_filter_judged)
		return apply->initial_filter_fits;
	LockRelationOid(sync->source, AccessShareLock);
	source = table_open_options(sync->source);
	apply->initial_filter_fits =
		fits_target(apply, source, sync_filter(sync, source, sync->initial_filter, "initial_filter"));
	apply->initial_filter_judged = true;
	return apply->initial_filter_fits;
}

/*
 * Rows that the pass reads.  initial_filter speaks of the source's columns,
 * which have the same names here; only t may be in sight.  Where it can't be
 * asked, rows that it adds stay out of the scope, and so are not deleted.
 */
void
sql_scope(StringInfo sql, Apply *apply)
{
	const Target *target = apply->target;
	const char	 *cursor;

	sql_constants(sql, target);
	if (apply->sync->history_from == 0 || target->cursor < 0)
		return;
	cursor = quote_identifier(target->columns[target->cursor].name);
	appendStringInfo(sql, " AND (t.%s OPERATOR(pg_catalog.>=) ", cursor);
	/* Where times may be off by hours, better keep a row too many. */
	if (getBaseType(target->columns[target->cursor].type) == TIMESTAMPTZOID)
		appendStringInfo(sql, "($%d%s)", COMPARE_HISTORY(target),
						 target->ambiguous ? " OPERATOR(pg_catalog.+) interval '1 day'" : "");
	else
		appendStringInfo(sql, "(($%d AT TIME ZONE 'UTC') OPERATOR(pg_catalog.+) interval '1 day')",
						 COMPARE_HISTORY(target));
	appendStringInfo(sql, " OR t.%s IS NULL", cursor);
	if (can_ask_initial_filter(apply))
		appendStringInfo(sql, " OR (%s)", apply->sync->initial_filter);
	appendStringInfoChar(sql, ')');
}

static ValueKind
ordered_kind(const PageRange *range, int at)
{
	return ((QueryOrder *) list_nth(range->order, at))->column->kind;
}

/* NULL: it is not among those that the sync reads. */
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
	return NULL;
}

const TargetColumn *
compare_ordered_column(const Target *target, const PageRange *range, int at)
{
	const TargetColumn *column = ordered_column(target, range, at);

	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("target %s has no column for \"%s\", by which its source is read",
						target->name, ((QueryOrder *) list_nth(range->order, at))->column->name)));
	return column;
}

/*
 * The type by which bounds are compared.  Texts of numbers sort otherwise than
 * the numbers, by which the source was read.
 */
static Oid
bound_type(const TargetColumn *column, ValueKind kind)
{
	Oid type = getBaseType(column->type);

	if (TypeCategory(type) != TYPCATEGORY_STRING)
		return type;
	switch (kind)
	{
		case VALUE_INTEGER:
			return INT8OID;
		case VALUE_NUMERIC:
			return NUMERICOID;
		case VALUE_BOOLEAN:
			return BOOLOID;
		case VALUE_DATE:
			return DATEOID;
		default:
			return type;
	}
}

/* Do values of a type sort as the source's do, and none of them stands for several? */
static bool
sorts_alike(Oid type, int32 typmod, ValueKind kind)
{
	switch (kind)
	{
		case VALUE_INTEGER:
			return type == INT8OID || type == INT4OID || type == INT2OID || type == NUMERICOID;
		case VALUE_NUMERIC:
			return type == NUMERICOID && typmod == -1;
		case VALUE_BOOLEAN:
			return type == BOOLOID;
		case VALUE_DATE:
			return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID;
		case VALUE_TIMESTAMP:
		case VALUE_TIMESTAMPTZ:
			return (type == TIMESTAMPOID || type == TIMESTAMPTZOID) && typmod == -1;
		default:
			return type == TEXTOID || type == VARCHAROID;
	}
}

/*
 * compare_can_bound
 *		See sync.h.
 */
bool
compare_can_bound(const Target *target, const PageRange *range, bool as_it_is)
{
	for (int i = 0; i < list_length(range->order); i++)
	{
		const TargetColumn *column = ordered_column(target, range, i);
		ValueKind			kind = ordered_kind(range, i);
		int32				typmod;
		Oid					type, compared;

		if (column == NULL)
			return false;
		typmod = column->typmod;
		type = getBaseTypeAndTypmod(column->type, &typmod);
		compared = bound_type(column, kind);
		if (compared != type && as_it_is)
			return false;
		if (!sorts_alike(compared, compared == type ? typmod : -1, kind))
			return false;
	}
	return true;
}

/* A bound's value as this type; canonical texts of moments are UTC. */
char *
sql_bound_value(Oid type, int parameter, int at)
{
	if (type == TIMESTAMPTZOID)
		return psprintf("(($%d)[%d]::pg_catalog.timestamp AT TIME ZONE 'UTC')", parameter, at + 1);
	return psprintf("($%d)[%d]::%s%s", parameter, at + 1, sql_type(type, -1),
					type_is_collatable(type) ? " COLLATE pg_catalog.\"C\"" : "");
}

/* A column of the order, as a bound is compared with it. */
typedef struct Bound
{
	const TargetColumn *column;
	char			   *name;
	char			   *value;
} Bound;

static Bound
bound_at(const Target *target, const PageRange *range, int at, int parameter)
{
	Bound bound = {.column = compare_ordered_column(target, range, at)};
	Oid	  type = bound_type(bound.column, ordered_kind(range, at));

	bound.name = psprintf("t.%s", quote_identifier(bound.column->name));
	if (type != getBaseType(bound.column->type))
		bound.name = psprintf("%s::pg_catalog.text::%s", bound.name, sql_type(type, -1));
	bound.value = sql_bound_value(type, parameter, at);
	return bound;
}

/* One step of an order in which NULLs come last. */
static void
sql_bound_step(StringInfo sql, const Bound *bound, const char *op, bool bound_is_null)
{
	const char *name = bound->name;
	const char *value = bound->value;

	if (strcmp(op, "=") == 0 && bound_is_null)
		appendStringInfo(sql, "%s IS NULL", name);
	else if (strcmp(op, "=") == 0)
		appendStringInfo(sql, "%s OPERATOR(pg_catalog.=) %s", name, value);
	else if (strcmp(op, ">") == 0 && bound_is_null)
		appendStringInfoString(sql, "false");
	else if (strcmp(op, ">") == 0)
		appendStringInfo(sql, "(%s OPERATOR(pg_catalog.>) %s OR %s IS NULL)", name, value, name);
	else if (bound_is_null)
		appendStringInfo(sql, "%s IS NOT NULL", name);
	else
		appendStringInfo(sql, "%s OPERATOR(pg_catalog.<) %s", name, value);
}

/*
 * The first column alone, as an index takes it; the steps say the rest.  NULLs
 * come last: behind any lower bound, and beyond any upper one.
 */
static void
sql_bound_of_first(StringInfo sql, const Bound *first, bool low, bool bound_is_null)
{
	if (!bound_is_null && !(low && first->column->nullable))
		appendStringInfo(sql, " AND %s OPERATOR(pg_catalog.%s) %s", first->name,
						 low ? ">=" : "<=", first->value);
}

/* Column by column, where NULLs are possible. */
static void
sql_bound_by_steps(StringInfo sql, const Target *target, const PageRange *range, bool low,
				   const char **bounds, int n, int parameter)
{
	Bound *each = palloc(sizeof(Bound) * n);

	for (int i = 0; i < n; i++)
		each[i] = bound_at(target, range, i, parameter);
	sql_bound_of_first(sql, &each[0], low, bounds[0] == NULL);
	appendStringInfoString(sql, " AND (");
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(sql, i == 0 ? "(" : " OR (");
		for (int j = 0; j <= i; j++)
		{
			if (j > 0)
				appendStringInfoString(sql, " AND ");
			sql_bound_step(sql, &each[j], j < i ? "=" : (low ? ">" : "<"), bounds[j] == NULL);
		}
		appendStringInfoChar(sql, ')');
	}
	for (int j = 0; j < n && !low; j++)
	{
		appendStringInfoString(sql, j == 0 ? " OR (" : " AND ");
		sql_bound_step(sql, &each[j], "=", bounds[j] == NULL);
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
		Bound		bound = bound_at(target, range, i, parameter);
		const char *separator = i > 0 ? ", " : "";

		appendStringInfo(&columns, "%s%s", separator, bound.name);
		appendStringInfo(&values, "%s%s", separator, bound.value);
	}
	appendStringInfo(sql, " AND (%s) OPERATOR(pg_catalog.%s) (%s)", columns.data,
					 low ? ">" : "<=", values.data);
}

void
sql_bound(StringInfo sql, const Target *target, const PageRange *range, bool low)
{
	int			 n = low ? range->nlow : range->nhigh;
	const char **bounds = low ? range->low : range->high;
	int			 parameter = low ? COMPARE_LOW(target) : COMPARE_HIGH(target);
	bool		 nullable = false;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		nullable = nullable || compare_ordered_column(target, range, i)->nullable || bounds[i] == NULL;
	if (nullable)
		sql_bound_by_steps(sql, target, range, low, bounds, n, parameter);
	else
		sql_bound_as_row(sql, target, range, low, n, parameter);
}

void
sql_in_range(StringInfo sql, Apply *apply, const PageRange *range)
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
	sql_key_page(sql, target);
	appendStringInfoString(sql, " WHERE ");
	sql_same_key(sql, target);
	appendStringInfoChar(sql, ')');
}

/* ---------------------------------------------------------------------
 * Running
 * ---------------------------------------------------------------------
 */

static const Oid more_types[COMPARE_NMORE] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID,
											  TEXTARRAYOID};

static Datum *
compare_values(Apply *apply, const Rows *rows, const PageRange *range, TimestampTz before, char **nulls)
{
	const Target *target = apply->target;
	RowSet		  set;
	Datum		 *values;

	if (rows != NULL)
		rowset_whole(rows, &set);
	values = page_key_values(apply, rows ? &set : NULL, COMPARE_NMORE, nulls);
	values[COMPARE_BEFORE(target) - 1] = TimestampTzGetDatum(before);
	values[COMPARE_HISTORY(target) - 1] = TimestampTzGetDatum(apply->sync->history_from);
	if (range == NULL)
		(*nulls)[COMPARE_LOW(target) - 1] = (*nulls)[COMPARE_HIGH(target) - 1] = 'n';
	else
	{
		values[COMPARE_LOW(target) - 1] = PointerGetDatum(strings_to_array(range->low, range->nlow));
		values[COMPARE_HIGH(target) - 1] =
			PointerGetDatum(strings_to_array(range->high, range->nhigh));
	}
	return values;
}

/*
 * compare_execute
 *		Run a statement over a page's keys and its range; connected to SPI, as
 *		owner.
 */
void
compare_execute(Apply *apply, const char *sql, PlanKind kind, const Rows *rows,
				const PageRange *range, TimestampTz before)
{
	char  *nulls;
	Datum *values = compare_values(apply, rows, range, before, &nulls);

	statement_execute(apply, statement_get(apply, sql, kind, COMPARE_NMORE, more_types), values, nulls);
}

/* The same of a query without a page whose result is larger than memory. */
Portal
compare_cursor(Apply *apply, const char *sql, TimestampTz before)
{
	Statement *statement = statement_get(apply, sql, PLAN_FREELY, COMPARE_NMORE, more_types);
	char	  *nulls;
	Datum	  *values = compare_values(apply, NULL, NULL, before, &nulls);

	return SPI_cursor_open_with_args(NULL, sql, statement->nargs, statement->types, values, nulls,
									 true, CURSOR_OPT_NO_SCROLL);
}
