/*-------------------------------------------------------------------------
 *
 * delete.c
 *		Deletes rows of a target as a sync's deletes say.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "private.h"
#include "sync/apply.h"

typedef struct DeleteAttempt
{
	Apply	   *apply;
	const char *column;
	List	   *texts;
	int64		deleted;
} DeleteAttempt;

/* ---------------------------------------------------------------------
 * SQL
 * ---------------------------------------------------------------------
 */

void
sql_delete(StringInfo sql, const Apply *apply)
{
	const Target *target = apply->target;

	if (apply->sync->deletes == DELETES_SOFT)
		appendStringInfo(sql, "UPDATE %s AS t SET _deleted_at = $%d, _synced_at = $%d",
						 target->name, PAGE_CLOCK(target) + 1, PAGE_CLOCK(target) + 1);
	else
		appendStringInfo(sql, "DELETE FROM %s AS t", target->name);
}

void
sql_not_deleted(StringInfo sql, const Apply *apply)
{
	if (apply->target->has_deleted_at)
		appendStringInfoString(sql, " AND t._deleted_at IS NULL");
}

static const TargetColumn *
find_column(const Target *target, const char *name)
{
	for (int i = 0; i < target->nsource; i++)
		if (strcmp(target->columns[i].name, name) == 0)
			return &target->columns[i];
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("target %s has no column \"%s\" of the source", target->name, name)));
}

/* ---------------------------------------------------------------------
 * By the values of one column
 * ---------------------------------------------------------------------
 */

/* Texts that the column can hold: tombstones may be of any kind of record. */
static bool
fits(const TargetColumn *column, const char *text)
{
	size_t len;

	if (*text == '-')
		text++;
	len = strlen(text);

	switch (getBaseType(column->type))
	{
		case INT8OID:
		case INT4OID:
		case NUMERICOID:
			return len > 0 && len <= 18 && strspn(text, "0123456789") == len;
		default:
			return true;
	}
}

static List *
fitting_texts(const TargetColumn *column, List *texts)
{
	List	 *fitting = NIL;
	ListCell *lc;

	foreach(lc, texts)
		if (fits(column, lfirst(lc)))
			fitting = lappend(fitting, lfirst(lc));
	return fitting;
}

/* Run a statement whose one more argument is a list of texts. */
static void
execute_with_texts(Apply *apply, const char *sql, List *texts)
{
	Oid	   more[] = {TEXTARRAYOID};
	char  *nulls;
	Datum *values = page_values(apply, NULL, 1, &nulls);

	values[PAGE_NARGS(apply->target)] = PointerGetDatum(texts_to_array(texts));
	statement_execute(apply, statement_get(apply, sql, PLAN_FREELY, 1, more), values, nulls);
}

/*
 * apply_existing
 *		See sync.h.
 */
List *
apply_existing(Apply *apply, const char *column_name, List *texts)
{
	const Target	   *target = apply->target;
	const TargetColumn *column = find_column(target, column_name);
	List			   *found;
	MemoryContext		caller = CurrentMemoryContext;
	StringInfoData		sql;
	TargetRights		saved;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT DISTINCT x.v FROM unnest($%d) AS x(v) WHERE EXISTS (SELECT FROM %s AS t"
					 " WHERE t.%s %s x.v::%s",
					 PAGE_NARGS(target) + 1, target->name, quote_identifier(column->name),
					 sql_equality(column->type), sql_type(getBaseType(column->type), -1));
	sql_constants(&sql, target);
	sql_not_deleted(&sql, apply);
	appendStringInfoChar(&sql, ')');
	owner_begin(apply, &saved);
	execute_with_texts(apply, sql.data, fitting_texts(column, texts));
	found = result_texts(caller);
	owner_end(&saved);
	MemoryContextSwitchTo(caller);
	return found;
}

static void
delete_step(void *arg)
{
	DeleteAttempt	   *attempt = arg;
	const Target	   *target = attempt->apply->target;
	const TargetColumn *column = find_column(target, attempt->column);
	StringInfoData		sql;
	TargetRights		saved;

	initStringInfo(&sql);
	sql_delete(&sql, attempt->apply);
	appendStringInfo(&sql, " WHERE t.%s %s ANY ($%d::%s[])", quote_identifier(column->name),
					 sql_equality(column->type), PAGE_NARGS(target) + 1,
					 sql_type(getBaseType(column->type), -1));
	sql_constants(&sql, target);
	sql_not_deleted(&sql, attempt->apply);
	owner_begin(attempt->apply, &saved);
	execute_with_texts(attempt->apply, sql.data, fitting_texts(column, attempt->texts));
	attempt->deleted = SPI_processed;
	owner_end(&saved);
}

/* The key of what is to be deleted, written as those of rows are. */
static char *
key_of_text(const TargetColumn *column, const char *text)
{
	bool number = column->source_type == INT8OID || column->source_type == INT4OID ||
		column->source_type == INT2OID || column->source_type == NUMERICOID;
	size_t		   digits = strspn(text + (*text == '-'), "0123456789");
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	escape_json(&json, column->name);
	appendStringInfoString(&json, ": ");
	if (number && digits > 0 && digits <= 18 && text[digits + (*text == '-')] == '\0')
		appendStringInfo(&json, INT64_FORMAT, (int64) strtoll(text, NULL, 10));
	else
		escape_json(&json, text);
	appendStringInfoChar(&json, '}');
	return json.data;
}

static void
reject_delete(Apply *apply, const char *column, const char *text, const ErrorData *error)
{
	char *key = key_of_text(find_column(apply->target, column), text);

	reject_row(apply->sync->sync_id, apply->run_id, key, key, error->column_name, error);
	apply->counters->rejected++;
	apply->rejected = true;
}

/* What was refused before, for other rows referred to it, may be deleted by now. */
static void
resolve_deleted(Apply *apply, const TargetColumn *column, List *texts)
{
	List	 *keys = NIL;
	ListCell *lc;

	if (!apply->rejected)
		return;
	foreach(lc, fitting_texts(column, texts))
		keys = lappend(keys, key_of_text(column, lfirst(lc)));
	reject_resolve_deleted_keys(apply, keys);
}

/*
 * apply_delete
 *		See sync.h.  What can't be deleted, for other rows refer to it, is
 *		rejected by itself.
 */
void
apply_delete(Apply *apply, const char *column, List *texts)
{
	DeleteAttempt attempt = {.apply = apply, .column = column, .texts = texts};
	ErrorData	 *error;
	ListCell	 *lc;

	if (texts == NIL || apply->sync->deletes == DELETES_IGNORED)
		return;
	error = run_attempt(delete_step, &attempt);
	if (error == NULL)
	{
		apply->counters->deleted += attempt.deleted;
		resolve_deleted(apply, find_column(apply->target, column), texts);
		return;
	}
	if (!error_is_about_data(error))
		ReThrowError(error);
	if (list_length(texts) == 1)
		reject_delete(apply, column, linitial(texts), error);
	else
		foreach(lc, texts)
			apply_delete(apply, column, list_make1(lfirst(lc)));
}

/*
 * target_is_empty
 *		See sync.h.
 */
bool
target_is_empty(const Sync *sync, const Target *target)
{
	Apply		   apply = {.sync = sync, .target = target, .cxt = CurrentMemoryContext};
	TargetRights   saved;
	StringInfoData sql;
	char		  *nulls;
	Datum		  *values = page_values(&apply, NULL, 0, &nulls);
	bool		   empty;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT 1 FROM %s AS t WHERE true", target->name);
	sql_constants(&sql, target);
	appendStringInfoString(&sql, " LIMIT 1");
	owner_begin(&apply, &saved);
	statement_execute(&apply, statement_get(&apply, sql.data, PLAN_FREELY, 0, NULL), values, nulls);
	empty = SPI_processed == 0;
	owner_end(&saved);
	statements_free(&apply);
	return empty;
}
