/*-------------------------------------------------------------------------
 *
 * statement.c
 *		The SQL that a target is written with, and its plans.
 *
 * A page travels as arrays, one a column, which any kind of target takes.  In
 * statements it is "s" with columns c1, c2, ... in the order of the target's
 * columns, already of the types that the target compares by; the target is
 * "t".  Nothing here is resolved by search_path.
 *
 * Rows whose key has NULLs are found by other conditions than those without,
 * and only conditions without OR find an index: so each pattern of NULLs has
 * statements of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "sync/apply.h"

/* ---------------------------------------------------------------------
 * Pieces of SQL
 * ---------------------------------------------------------------------
 */

/* A type by its full name. */
char *
sql_type(Oid type, int32 typmod)
{
	return format_type_extended(type, typmod, FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_TYPEMOD_GIVEN);
}

/*
 * sql_equality
 *		The operator by which indexes tell values of a type apart.
 */
char *
sql_equality(Oid type)
{
	TypeCacheEntry	*entry = lookup_type_cache(getBaseType(type), TYPECACHE_EQ_OPR);
	HeapTuple		 tuple;
	Form_pg_operator form;
	char			*text;

	if (!OidIsValid(entry->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("type %s has no equality, so that it can't be part of a key",
						format_type_be(type))));
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(entry->eq_opr));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("cache lookup failed for operator %u", entry->eq_opr)));
	form = (Form_pg_operator) GETSTRUCT(tuple);
	text = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return text;
}

/*
 * The type by which old and new values are compared.  Lengths of strings are
 * left out: a cast would cut what an assignment refuses.
 */
char *
sql_compared_type(const TargetColumn *column)
{
	int32 typmod = column->typmod;
	Oid	  type = getBaseTypeAndTypmod(column->type, &typmod);

	if (type == VARCHAROID || type == BPCHAROID || type == BITOID || type == VARBITOID)
		typmod = -1;
	if (column->constant == NULL && type == column->source_type && typmod == -1)
		return NULL;
	return sql_type(type, typmod);
}

static void
page_column(StringInfo sql, const Target *target, int i)
{
	const TargetColumn *column = &target->columns[i];
	char			   *type = sql_compared_type(column);

	if (column->constant != NULL)
		appendStringInfo(sql, "$%d::pg_catalog.text", PAGE_CONSTANTS(target) + i - target->nsource + 1);
	else
		appendStringInfo(sql, "u.c%d", i + 1);
	if (type != NULL)
		appendStringInfo(sql, "::%s", type);
	appendStringInfo(sql, " AS c%d, ", i + 1);
}

static bool
is_in_page(const TargetColumn *column, bool keys_only)
{
	return column->written && (column->key || !keys_only);
}

static void
sql_page_of(StringInfo sql, const Target *target, bool keys_only)
{
	const char *separator = "";

	appendStringInfoString(sql, "(SELECT ");
	for (int i = 0; i < target->ncolumns; i++)
		if (is_in_page(&target->columns[i], keys_only))
			page_column(sql, target, i);
	appendStringInfo(sql, "%s AS x FROM unnest(", keys_only ? "NULL" : "u.x::pg_catalog.jsonb");
	for (int i = 0; i < target->nsource; i++)
		if (is_in_page(&target->columns[i], keys_only))
		{
			appendStringInfo(sql, "%s$%d", separator, i + 1);
			separator = ", ";
		}
	if (!keys_only)
		appendStringInfo(sql, ", $%d", PAGE_EXTRA(target) + 1);
	appendStringInfoString(sql, ") AS u(");
	separator = "";
	for (int i = 0; i < target->nsource; i++)
		if (is_in_page(&target->columns[i], keys_only))
		{
			appendStringInfo(sql, "%sc%d", separator, i + 1);
			separator = ", ";
		}
	appendStringInfoString(sql, keys_only ? ")) AS s" : ", x)) AS s");
}

/* The page as a table: "(...) AS s". */
void
sql_page(StringInfo sql, const Target *target)
{
	sql_page_of(sql, target, false);
}

/* The same with nothing but keys, for page_key_values(). */
void
sql_key_page(StringInfo sql, const Target *target)
{
	sql_page_of(sql, target, true);
}

static bool
is_null_in(const Target *target, int column, KeyPattern pattern)
{
	int bit = 0;

	for (int i = 0; i < column; i++)
		bit += target->columns[i].key;
	return column < target->nsource && (pattern & (1u << bit)) != 0;
}

/* "t.a = s.c1 AND t.b IS NULL": the same key. */
void
sql_key_join(StringInfo sql, const Target *target, KeyPattern pattern)
{
	const char *separator = "";

	for (int i = 0; i < target->ncolumns; i++)
	{
		const TargetColumn *column = &target->columns[i];

		if (!column->key)
			continue;
		if (is_null_in(target, i, pattern))
			appendStringInfo(sql, "%st.%s IS NULL", separator, quote_identifier(column->name));
		else
			appendStringInfo(sql, "%st.%s %s s.c%d", separator, quote_identifier(column->name),
							 sql_equality(column->type), i + 1);
		separator = " AND ";
	}
}

/* " AND t.a = ANY (...)": so that of a foreign table only these rows come. */
static void
sql_key_any(StringInfo sql, const Target *target, KeyPattern pattern)
{
	if (!target->foreign_parts)
		return;
	for (int i = 0; i < target->nsource; i++)
	{
		const TargetColumn *column = &target->columns[i];
		char			   *type;

		if (!column->key || is_null_in(target, i, pattern))
			continue;
		type = sql_compared_type(column);
		appendStringInfo(sql, " AND t.%s %s ANY ($%d%s%s)", quote_identifier(column->name),
						 sql_equality(column->type), i + 1, type ? "::" : "",
						 type ? psprintf("%s[]", type) : "");
	}
}

/*
 * sql_key_match
 *		The same key, in a query of the target.
 */
void
sql_key_match(StringInfo sql, const Target *target, KeyPattern pattern)
{
	sql_key_join(sql, target, pattern);
	sql_key_any(sql, target, pattern);
}

/* " AND t.tenant_id = 17": rows of this sync. */
void
sql_constants(StringInfo sql, const Target *target)
{
	for (int i = target->nsource; i < target->ncolumns; i++)
	{
		const TargetColumn *column = &target->columns[i];

		appendStringInfo(sql, " AND t.%s %s $%d::pg_catalog.text::%s",
						 quote_identifier(column->name), sql_equality(column->type),
						 PAGE_CONSTANTS(target) + i - target->nsource + 1, sql_compared_type(column));
	}
}

static char *
new_value(const Target *target, int i, bool excluded)
{
	return excluded ? psprintf("excluded.%s", quote_identifier(target->columns[i].name)) :
					  psprintf("s.c%d", i + 1);
}

static bool
is_data(const TargetColumn *column)
{
	return column->written && !column->key;
}

void
sql_column_changed(StringInfo sql, const Target *target, int i, bool excluded)
{
	const TargetColumn *column = &target->columns[i];
	const char		   *name = quote_identifier(column->name);
	char			   *value = new_value(target, i, excluded);

	if (column->comparable)
		appendStringInfo(sql, "t.%s IS DISTINCT FROM %s", name, value);
	else
	{
		char *type = sql_type(getBaseType(column->type), -1);

		appendStringInfo(sql,
						 "ROW(t.%s::%s)::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(%s::%s)::pg_catalog.record",
						 name, type, value, type);
	}
}

static void
sql_any_changed(StringInfo sql, const Target *target, bool excluded)
{
	appendStringInfoString(sql, "false");
	for (int i = 0; i < target->nsource; i++)
	{
		if (!is_data(&target->columns[i]))
			continue;
		appendStringInfoString(sql, " OR ");
		sql_column_changed(sql, target, i, excluded);
	}
}

static void
sql_not_older(StringInfo sql, const Target *target, bool excluded)
{
	if (target->cursor < 0 || target->ambiguous || !target->columns[target->cursor].written)
		return;
	appendStringInfo(sql, " AND ((%s OPERATOR(pg_catalog.<) t.%s) IS NOT TRUE",
					 new_value(target, target->cursor, excluded),
					 quote_identifier(target->columns[target->cursor].name));
	if (target->yields != 0)
		appendStringInfo(sql,
						 " OR t._synced_at OPERATOR(pg_catalog.<) ('2000-01-01 00:00:00+00'::pg_catalog.timestamptz"
						 " OPERATOR(pg_catalog.+) '" INT64_FORMAT
						 " microseconds'::pg_catalog.interval)",
						 target->yields);
	appendStringInfoChar(sql, ')');
}

/* Whether the columns of the source differ, and the page's are not older. */
void
sql_data_changed(StringInfo sql, const Target *target)
{
	appendStringInfoChar(sql, '(');
	sql_any_changed(sql, target, false);
	appendStringInfoChar(sql, ')');
	sql_not_older(sql, target, false);
}

/*
 * sql_changed
 *		Whether the page's row says something else than the target's, and is not
 *		older.  Never NULL.
 */
void
sql_changed(StringInfo sql, const Target *target, bool excluded)
{
	const char *extra = excluded ? "excluded._extra" : "s.x";

	appendStringInfoChar(sql, '(');
	sql_any_changed(sql, target, excluded);
	appendStringInfoString(sql, " OR t._synced_at IS NULL");
	if (target->has_deleted_at)
		appendStringInfoString(sql, " OR t._deleted_at IS NOT NULL");
	if (target->has_extra)
		appendStringInfo(sql,
						 " OR (%s IS NOT NULL AND t._extra IS DISTINCT FROM"
						 " coalesce(t._extra OPERATOR(pg_catalog.||) %s, %s))",
						 extra, extra, extra);
	appendStringInfoChar(sql, ')');
	sql_not_older(sql, target, excluded);
}

/* "a = excluded.a, ..." */
static void
sql_assignments(StringInfo sql, const Target *target, bool excluded)
{
	const char *extra = excluded ? "excluded._extra" : "s.x";

	for (int i = 0; i < target->nsource; i++)
		if (is_data(&target->columns[i]))
			appendStringInfo(sql, "%s = %s, ", quote_identifier(target->columns[i].name),
							 new_value(target, i, excluded));
	if (target->has_deleted_at)
		appendStringInfoString(sql, "_deleted_at = NULL, ");
	if (target->has_extra)
		appendStringInfo(sql, "_extra = coalesce(t._extra OPERATOR(pg_catalog.||) %s, %s, t._extra), ",
						 extra, extra);
	appendStringInfo(sql, "_synced_at = $%d", PAGE_CLOCK(target) + 1);
}

void
sql_insert(StringInfo sql, const Target *target)
{
	appendStringInfo(sql, "INSERT INTO %s AS t (", target->name);
	for (int i = 0; i < target->ncolumns; i++)
		if (target->columns[i].written)
			appendStringInfo(sql, "%s, ", quote_identifier(target->columns[i].name));
	appendStringInfo(sql, "_synced_at%s) SELECT ", target->has_extra ? ", _extra" : "");
	for (int i = 0; i < target->ncolumns; i++)
		if (target->columns[i].written)
			appendStringInfo(sql, "s.c%d, ", i + 1);
	appendStringInfo(sql, "$%d%s FROM ", PAGE_CLOCK(target) + 1, target->has_extra ? ", s.x" : "");
	sql_page(sql, target);
}

/* ---------------------------------------------------------------------
 * Statements
 * ---------------------------------------------------------------------
 */

/*
 * Rows that are the same, or older, are left out before ON CONFLICT meets them:
 * it would lock them, and that writes.
 */
static char *
upsert_sql(const Target *target, KeyPattern pattern)
{
	StringInfoData sql;
	const char	  *separator = "";

	initStringInfo(&sql);
	if (target->plain)
		appendStringInfoString(&sql, "WITH w AS (");
	sql_insert(&sql, target);
	appendStringInfo(&sql, " WHERE NOT EXISTS (SELECT FROM %s AS t WHERE ", target->name);
	sql_key_join(&sql, target, pattern);
	appendStringInfoString(&sql, " AND NOT (");
	sql_changed(&sql, target, false);
	appendStringInfoString(&sql, ")) ON CONFLICT (");
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (!target->columns[i].key)
			continue;
		appendStringInfo(&sql, "%s%s", separator, quote_identifier(target->columns[i].name));
		separator = ", ";
	}
	appendStringInfoString(&sql, ") DO UPDATE SET ");
	sql_assignments(&sql, target, true);
	appendStringInfoString(&sql, " WHERE ");
	sql_changed(&sql, target, true);
	if (target->plain)
		appendStringInfoString(&sql,
							   " RETURNING t.xmax OPERATOR(pg_catalog.=) 0 AS fresh)"
							   " SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE fresh) FROM w");
	return sql.data;
}

static char *
count_sql(const Target *target, KeyPattern pattern)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT pg_catalog.count(*) FROM ");
	sql_key_page(&sql, target);
	appendStringInfo(&sql, " WHERE EXISTS (SELECT FROM %s AS t WHERE ", target->name);
	sql_key_match(&sql, target, pattern);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

static char *
update_sql(const Target *target, KeyPattern pattern)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s AS t SET ", target->name);
	sql_assignments(&sql, target, false);
	appendStringInfoString(&sql, " FROM ");
	sql_page(&sql, target);
	appendStringInfoString(&sql, " WHERE ");
	sql_key_match(&sql, target, pattern);
	appendStringInfoString(&sql, " AND ");
	sql_changed(&sql, target, false);
	return sql.data;
}

static char *
insert_sql(const Target *target, KeyPattern pattern)
{
	StringInfoData sql;

	initStringInfo(&sql);
	sql_insert(&sql, target);
	appendStringInfo(&sql, " WHERE NOT EXISTS (SELECT FROM %s AS t WHERE ", target->name);
	sql_key_match(&sql, target, pattern);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/*
 * PostgreSQL does not move rows into or out of foreign partitions by UPDATE: it
 * refuses the one and leaves rows in the wrong partition by the other.
 */
static char *
move_sql(const Target *target, KeyPattern pattern)
{
	StringInfoData sql, columns, values;
	ListCell	  *lc;

	initStringInfo(&sql);
	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (!target->columns[i].written)
			continue;
		appendStringInfo(&columns, "%s, ", quote_identifier(target->columns[i].name));
		appendStringInfo(&values, "s.c%d, ", i + 1);
	}
	foreach(lc, target->own_columns)
	{
		appendStringInfo(&columns, "%s, ", quote_identifier(lfirst(lc)));
		appendStringInfo(&values, "t.%s, ", quote_identifier(lfirst(lc)));
	}
	appendStringInfo(&columns, "_synced_at%s", target->has_extra ? ", _extra" : "");
	appendStringInfo(&values, "$%d%s", PAGE_CLOCK(target) + 1,
					 target->has_extra ?
						 ", coalesce(t._extra OPERATOR(pg_catalog.||) s.x, s.x, t._extra)" :
						 "");
	appendStringInfo(&sql, "WITH w (%s) AS (DELETE FROM %s AS t USING ", columns.data, target->name);
	sql_page(&sql, target);
	appendStringInfoString(&sql, " WHERE ");
	sql_key_match(&sql, target, pattern);
	appendStringInfoString(&sql, " AND (false");
	foreach(lc, target->partition_columns)
		for (int i = 0; i < target->nsource; i++)
			if (is_data(&target->columns[i]) && strcmp(target->columns[i].name, lfirst(lc)) == 0)
			{
				appendStringInfoString(&sql, " OR ");
				sql_column_changed(&sql, target, i, false);
			}
	appendStringInfoString(&sql, ") AND ");
	sql_changed(&sql, target, false);
	appendStringInfo(&sql, " RETURNING %s) INSERT INTO %s (%s) SELECT * FROM w", values.data,
					 target->name, columns.data);
	return sql.data;
}

/* ---------------------------------------------------------------------
 * Plans
 * ---------------------------------------------------------------------
 */

/*
 * statement_get
 *		A statement over a page, with more arguments behind the page's.
 */
Statement *
statement_get(Apply *apply, const char *sql, PlanKind kind, int nmore, const Oid *more)
{
	const Target *target = apply->target;
	Statement	 *statement;
	ListCell	 *lc;
	MemoryContext old;

	foreach(lc, apply->statements)
	{
		statement = lfirst(lc);
		if (strcmp(statement->sql, sql) == 0)
			return statement;
	}
	old = MemoryContextSwitchTo(apply->cxt);
	statement = palloc0(sizeof(Statement));
	statement->sql = pstrdup(sql);
	statement->kind = kind;
	statement->nargs = PAGE_NARGS(target) + nmore;
	statement->types = palloc(sizeof(Oid) * statement->nargs);
	for (int i = 0; i < target->nsource; i++)
		statement->types[i] = get_array_type(target->columns[i].source_type);
	statement->types[PAGE_EXTRA(target)] = TEXTARRAYOID;
	statement->types[PAGE_CLOCK(target)] = TIMESTAMPTZOID;
	for (int i = PAGE_CONSTANTS(target); i < PAGE_NARGS(target); i++)
		statement->types[i] = TEXTOID;
	for (int i = 0; i < nmore; i++)
		statement->types[PAGE_NARGS(target) + i] = more[i];
	apply->statements = lappend(apply->statements, statement);
	MemoryContextSwitchTo(old);
	return statement;
}

WriteStatements *
statements_for(Apply *apply, KeyPattern pattern)
{
	const Target	*target = apply->target;
	WriteStatements *writes;
	ListCell		*lc;
	MemoryContext	 old;

	foreach(lc, apply->writes)
	{
		writes = lfirst(lc);
		if (writes->pattern == pattern)
			return writes;
	}
	old = MemoryContextSwitchTo(apply->cxt);
	writes = palloc0(sizeof(WriteStatements));
	writes->pattern = pattern;
	apply->writes = lappend(apply->writes, writes);
	MemoryContextSwitchTo(old);
	if (target->way == WAY_INDEXED && !apply->only_updates)
	{
		if (!target->plain)
			writes->count = statement_get(apply, count_sql(target, pattern), PLAN_BY_KEY, 0, NULL);
		writes->upsert = statement_get(apply, upsert_sql(target, pattern), PLAN_BY_KEY, 0, NULL);
		return writes;
	}
	if (target->foreign_parts && target->partition_columns != NIL)
		writes->move = statement_get(apply, move_sql(target, pattern), PLAN_BY_KEY, 0, NULL);
	writes->update = statement_get(apply, update_sql(target, pattern), PLAN_BY_KEY, 0, NULL);
	writes->insert = statement_get(apply, insert_sql(target, pattern), PLAN_BY_KEY, 0, NULL);
	return writes;
}

static void
set_off(const char *setting)
{
	(void) set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * A plan made while the target was empty reads all of it later on, once for
 * each row of the page.  Where an index leads to the rows of a page nothing
 * else is ever better; where none does, and for ranges, the target is to be
 * read once.  The price put on all the rest must not call the compiler.
 */
static int
force_plan(const Target *target, PlanKind kind)
{
	static const char *const joins[] = {"enable_hashjoin", "enable_mergejoin", "enable_material",
										"enable_memoize"};
	bool					 indexed = target->key_indexed && !target->foreign_parts;
	int						 level = NewGUCNestLevel();

	set_off("jit");
	if (kind == PLAN_FREELY)
		return level;
	if (indexed)
		set_off("enable_seqscan");
	if (!indexed || kind == PLAN_BY_RANGE)
		set_off("enable_nestloop");
	for (int i = 0; i < lengthof(joins) && indexed && kind == PLAN_BY_KEY; i++)
		set_off(joins[i]);
	return level;
}

static void
prepare(Apply *apply, Statement *statement)
{
	SPIPlanPtr plan;

	if (statement->plan != NULL && apply->inserted > statement->replan_at)
	{
		SPI_freeplan(statement->plan);
		statement->plan = NULL;
	}
	if (statement->plan != NULL)
		return;
	plan = SPI_prepare_cursor(statement->sql, statement->nargs, statement->types,
							  CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not prepare a statement: %s", SPI_result_code_string(SPI_result))));
	SPI_keepplan(plan);
	statement->plan = plan;
	statement->replan_at = Max(10000, apply->inserted * 10);
}

/*
 * statement_execute
 *		Run a statement; the caller is connected to SPI and has the target's
 *		rights.
 *
 * It is planned here, not by SPI: the settings must not reach into what users'
 * triggers plan meanwhile.
 */
void
statement_execute(Apply *apply, Statement *statement, Datum *values, const char *nulls)
{
	int			level = force_plan(apply->target, statement->kind);
	CachedPlan *plan;
	int			status;

	prepare(apply, statement);
	plan = SPI_plan_get_cached_plan(statement->plan);
	if (plan != NULL)
		ReleaseCachedPlan(plan, CurrentResourceOwner);
	AtEOXact_GUC(true, level);
	status = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (status < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run a statement: %s", SPI_result_code_string(status))));
}

void
statements_free(Apply *apply)
{
	ListCell *lc;

	foreach(lc, apply->statements)
	{
		Statement *statement = lfirst(lc);

		if (statement->plan != NULL)
			SPI_freeplan(statement->plan);
	}
}

/* ---------------------------------------------------------------------
 * Arguments
 * ---------------------------------------------------------------------
 */

static Datum
column_array(const Target *target, const RowSet *set, int column, Datum *elems, bool *isnull)
{
	const Rows *rows = set->rows;
	Oid			type = target->columns[column].source_type;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	int			lower = 1;

	for (int i = 0; i < set->n; i++)
	{
		size_t at = (size_t) set->at[i] * rows->ncolumns + column;

		elems[i] = rows->values[at];
		isnull[i] = rows->nulls[at];
	}
	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_md_array(elems, isnull, 1, unconstify(int *, &set->n), &lower,
											  type, typlen, typbyval, typalign));
}

static Datum
extra_array(const RowSet *set, Datum *elems, bool *isnull)
{
	int lower = 1;

	for (int i = 0; i < set->n; i++)
	{
		const char *text = set->rows->extra[set->at[i]];

		isnull[i] = text == NULL;
		elems[i] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
	}
	return PointerGetDatum(construct_md_array(elems, isnull, 1, unconstify(int *, &set->n), &lower,
											  TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum *
values_of_page(Apply *apply, const RowSet *set, int nmore, bool keys_only, char **nulls)
{
	const Target *target = apply->target;
	int			  nargs = PAGE_NARGS(target) + nmore;
	Datum		 *values = palloc0(sizeof(Datum) * nargs);
	Datum		 *elems = palloc(sizeof(Datum) * Max(1, set ? set->n : 0));
	bool		 *isnull = palloc(sizeof(bool) * Max(1, set ? set->n : 0));

	*nulls = palloc(nargs + 1);
	memset(*nulls, ' ', nargs);
	(*nulls)[nargs] = '\0';
	for (int i = 0; i < target->nsource; i++)
	{
		if (set == NULL || (!is_in_page(&target->columns[i], keys_only) && i != apply->parent))
			(*nulls)[i] = 'n';
		else
			values[i] = column_array(target, set, i, elems, isnull);
	}
	/* What a NULL array lacks of the others' length is NULL. */
	if (set == NULL || keys_only || set->rows->extra == NULL)
		(*nulls)[PAGE_EXTRA(target)] = 'n';
	else
		values[PAGE_EXTRA(target)] = extra_array(set, elems, isnull);
	values[PAGE_CLOCK(target)] = TimestampTzGetDatum(GetCurrentTimestamp());
	for (int i = target->nsource; i < target->ncolumns; i++)
		values[PAGE_CONSTANTS(target) + i - target->nsource] =
			CStringGetTextDatum(target->columns[i].constant);
	pfree(elems);
	pfree(isnull);
	return values;
}

/*
 * page_values
 *		The arguments of a statement over some rows of a page (or none: set NULL),
 *		with room for more.
 */
Datum *
page_values(Apply *apply, const RowSet *set, int nmore, char **nulls)
{
	return values_of_page(apply, set, nmore, false, nulls);
}

Datum *
page_key_values(Apply *apply, const RowSet *set, int nmore, char **nulls)
{
	return values_of_page(apply, set, nmore, true, nulls);
}

/* All rows of a page. */
void
rowset_whole(const Rows *rows, RowSet *set)
{
	set->rows = rows;
	set->n = rows->n;
	set->at = palloc(sizeof(int) * Max(1, rows->n));
	for (int i = 0; i < rows->n; i++)
		set->at[i] = i;
}

KeyPattern
key_pattern(const Target *target, const Rows *rows, int row)
{
	KeyPattern pattern = 0;
	int		   bit = 0;

	for (int i = 0; i < target->nsource; i++)
		if (target->columns[i].key && rows->nulls[(size_t) row * rows->ncolumns + i])
			pattern |= 1u << bit++;
		else
			bit += target->columns[i].key;
	return pattern;
}

/*
 * next_pattern
 *		Take the rows out of a set whose keys have the same pattern of NULLs as
 *		that of its first row; false at the end.
 */
bool
next_pattern(const Target *target, RowSet *rest, RowSet *same, KeyPattern *pattern)
{
	int kept = 0;

	if (rest->n == 0)
		return false;
	same->rows = rest->rows;
	same->n = 0;
	same->at = palloc(sizeof(int) * rest->n);
	*pattern = key_pattern(target, rest->rows, rest->at[0]);
	for (int i = 0; i < rest->n; i++)
	{
		if (key_pattern(target, rest->rows, rest->at[i]) == *pattern)
			same->at[same->n++] = rest->at[i];
		else
			rest->at[kept++] = rest->at[i];
	}
	rest->n = kept;
	return true;
}
