/*-------------------------------------------------------------------------
 *
 * difference.c
 *		Compares a page with its part of the target, and writes down what is not
 *		the same.  Changes nothing of the target.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "makini.h"
#include "private.h"
#include "sync/compare.h"

/* What was found; the lists run in parallel. */
typedef struct Findings
{
	List *keys;	   /* of char *: JSON objects */
	List *kinds;   /* of char * */
	List *columns; /* of char *: array texts, "" for none */
	int64 missing;
	int64 extra;
	int64 different;
	int64 target_rows;
} Findings;

static void
sql_key_object(StringInfo sql, const Target *target, bool page)
{
	const char *separator = "";

	appendStringInfoString(sql, "pg_catalog.jsonb_build_object(");
	for (int i = 0; i < target->nsource; i++)
	{
		const TargetColumn *column = &target->columns[i];

		if (!column->key)
			continue;
		appendStringInfo(sql, "%s%s, ", separator, quote_literal_cstr(column->name));
		if (page)
			appendStringInfo(sql, "s.c%d", i + 1);
		else
			appendStringInfo(sql, "t.%s", quote_identifier(column->name));
		separator = ", ";
	}
	appendStringInfoString(sql, ")::pg_catalog.text");
}

/* Take over what a statement has given: keys and, where it says, columns. */
static int64
take_found(Findings *findings, char *what, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	uint64		  n = SPI_processed;

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		findings->keys = lappend(findings->keys, SPI_getvalue(row, desc, 1));
		findings->kinds = lappend(findings->kinds, what);
		findings->columns =
			lappend(findings->columns, desc->natts > 1 ? SPI_getvalue(row, desc, 2) : "");
	}
	MemoryContextSwitchTo(old);
	return n;
}

/* Run a statement about some rows of the page, each by its key. */
static int64
find_by_key(Apply *apply, Findings *findings, const char *sql, const RowSet *set, char *what,
			MemoryContext cxt)
{
	TargetRights saved;
	char		*nulls;
	Datum		*values;
	int64		 n;

	owner_begin(apply, &saved);
	values = page_values(apply, set, 0, &nulls);
	statement_execute(apply, statement_get(apply, sql, PLAN_BY_KEY, 0, NULL), values, nulls);
	n = take_found(findings, what, cxt);
	owner_end(&saved);
	MemoryContextSwitchTo(cxt);
	return n;
}

static char *
missing_sql(const Apply *apply, KeyPattern pattern)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_key_object(&sql, apply->target, true);
	appendStringInfoString(&sql, " FROM ");
	sql_key_page(&sql, apply->target);
	appendStringInfo(&sql, " WHERE NOT EXISTS (SELECT FROM %s AS t WHERE ", apply->target->name);
	sql_key_match(&sql, apply->target, pattern);
	sql_not_deleted(&sql, apply);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* A row that is newer here was written since the page was made. */
static char *
different_sql(const Apply *apply, KeyPattern pattern)
{
	const Target  *target = apply->target;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_key_object(&sql, target, true);
	appendStringInfoString(&sql, ", pg_catalog.array_remove(ARRAY[NULL");
	for (int i = 0; i < target->nsource; i++)
	{
		if (target->columns[i].key || !target->columns[i].written)
			continue;
		appendStringInfoString(&sql, ", CASE WHEN ");
		sql_column_changed(&sql, target, i, false);
		appendStringInfo(&sql, " THEN %s END", quote_literal_cstr(target->columns[i].name));
	}
	appendStringInfoString(&sql, "]::pg_catalog.name[], NULL)::pg_catalog.text FROM ");
	sql_page(&sql, target);
	appendStringInfo(&sql, " JOIN %s AS t ON ", target->name);
	sql_key_match(&sql, target, pattern);
	sql_not_deleted(&sql, apply);
	appendStringInfoString(&sql, " WHERE ");
	sql_data_changed(&sql, target);
	return sql.data;
}

static void
find_of_pattern(Apply *apply, Findings *findings, const RowSet *set, KeyPattern pattern,
				MemoryContext cxt)
{
	findings->missing +=
		find_by_key(apply, findings, missing_sql(apply, pattern), set, "missing", cxt);
	findings->different +=
		find_by_key(apply, findings, different_sql(apply, pattern), set, "different", cxt);
}

/* What of the page is not in the target, or not the same. */
static void
find_rows(Apply *apply, Findings *findings, const Rows *rows, MemoryContext cxt)
{
	RowSet	   rest = {.rows = rows, .n = rows->n};
	RowSet	   same;
	KeyPattern pattern;

	rest.at = palloc(sizeof(int) * Max(1, rows->n));
	for (int i = 0; i < rows->n; i++)
		rest.at[i] = i;
	if (!apply->target->nullable_key)
	{
		find_of_pattern(apply, findings, &rest, 0, cxt);
		return;
	}
	while (next_pattern(apply->target, &rest, &same, &pattern))
		find_of_pattern(apply, findings, &same, pattern, cxt);
}

static void
find_extra(Apply *apply, Findings *findings, const Rows *rows, const PageRange *range, MemoryContext cxt)
{
	TargetRights   saved;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_key_object(&sql, apply->target, false);
	appendStringInfo(&sql, " FROM %s AS t WHERE true", apply->target->name);
	sql_in_range(&sql, apply, range);
	sql_not_in_page(&sql, apply->target);
	owner_begin(apply, &saved);
	compare_execute(apply, sql.data, PLAN_BY_RANGE, rows, range, 0);
	findings->extra = take_found(findings, "extra", cxt);
	owner_end(&saved);
	MemoryContextSwitchTo(cxt);
}

/* ---------------------------------------------------------------------
 * Writing it down
 * ---------------------------------------------------------------------
 */

static void
save_differences(const Findings *findings, int64 check_id)
{
	Oid	  types[] = {INT8OID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum values[4];

	if (findings->keys == NIL)
		return;
	values[0] = Int64GetDatum(check_id);
	values[1] = PointerGetDatum(texts_to_array(findings->keys));
	values[2] = PointerGetDatum(texts_to_array(findings->kinds));
	values[3] = PointerGetDatum(texts_to_array(findings->columns));
	SPI_execute_with_args("INSERT INTO makini._sync_difference (check_id, key, kind, columns)"
						  " SELECT $1, f.key::jsonb, f.kind, nullif(f.columns, '')::name[]"
						  " FROM unnest($2, $3, $4) AS f (key, kind, columns)",
						  lengthof(types), types, values, NULL, false, 0);
}

static Datum
bound_texts(const char **bounds, int n)
{
	List *texts = NIL;

	for (int i = 0; i < n; i++)
		texts = lappend(texts, unconstify(char *, bounds[i] ? bounds[i] : ""));
	return PointerGetDatum(texts_to_array(texts));
}

static void
save_bucket(const Findings *findings, const Rows *rows, const PageRange *range, int64 check_id)
{
	Oid	  types[] = {INT8OID, TEXTARRAYOID, TEXTARRAYOID, INT8OID,
					 INT8OID, INT8OID,		INT8OID,	  INT8OID};
	char  nulls[] = "        ";
	Datum values[8];

	values[0] = Int64GetDatum(check_id);
	nulls[1] = range == NULL || range->nlow == 0 ? 'n' : ' ';
	values[1] = nulls[1] == 'n' ? (Datum) 0 : bound_texts(range->low, range->nlow);
	nulls[2] = range == NULL || range->nhigh == 0 ? 'n' : ' ';
	values[2] = nulls[2] == 'n' ? (Datum) 0 : bound_texts(range->high, range->nhigh);
	values[3] = Int64GetDatum(rows->n);
	values[4] = Int64GetDatum(rows->n - findings->missing + findings->extra);
	values[5] = Int64GetDatum(findings->missing);
	values[6] = Int64GetDatum(findings->extra);
	values[7] = Int64GetDatum(findings->different);
	SPI_execute_with_args("INSERT INTO makini._check_bucket (check_id, key_from, key_to, source_rows,"
						  " target_rows, missing, extra, different) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
						  lengthof(types), types, values, nulls, false, 0);
}

static void
save_findings(const Findings *findings, const Rows *rows, const PageRange *range, int64 check_id)
{
	MakiniRights saved;

	makini_rights_of_extension(&saved);
	SPI_connect();
	save_differences(findings, check_id);
	save_bucket(findings, rows, range, check_id);
	SPI_finish();
	makini_rights_restore(&saved);
}

/*
 * compare_verify
 *		See sync.h.
 */
void
compare_verify(Apply *apply, const Rows *rows, const PageRange *range, int64 check_id)
{
	Findings	  findings = {0};
	MemoryContext old;
	int			  level;

	if (apply->target->way == WAY_MULTISET)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("sync " INT64_FORMAT " cannot be verified", apply->sync->sync_id),
				 errdetail("Its rows have no key by which they could be told apart."),
				 errhint("Each full pass compares all rows.")));
	old = MemoryContextSwitchTo(apply->page_cxt);
	level = stable_texts_begin();
	find_rows(apply, &findings, rows, apply->page_cxt);
	if (range != NULL && rows->lost == 0)
		find_extra(apply, &findings, rows, range, apply->page_cxt);
	stable_texts_end(level);
	save_findings(&findings, rows, range, check_id);
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}
