/*-------------------------------------------------------------------------
 *
 * apply.c
 *		Writes pages of rows to a target.
 *
 * A page is written with a few statements, as the target's owner, in a
 * subtransaction.  Where that fails because of the data the page is halved
 * until the rows are found that can't be written; those are rejected, the
 * others are written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "private.h"
#include "sync/apply.h"

/* A part of a page being written. */
typedef struct Attempt
{
	Apply  *apply;
	RowSet *set;
	RowWork work;
	Written written;
} Attempt;

static void
apply_end(void *arg)
{
	statements_free(arg);
}

/*
 * Rows that were rejected before may be written now.  To look for them with
 * each page only makes sense while there are some.
 */
static bool
has_rejected(const Sync *sync)
{
	return about_id("SELECT FROM makini._rejected_row WHERE sync_id = $1 AND resolved_at IS NULL"
					" AND key IS NOT NULL LIMIT 1",
					sync->sync_id) > 0;
}

/*
 * apply_begin
 *		See sync.h.
 */
Apply *
apply_begin(const Sync *sync, const Target *target, int64 run_id, Counters *counters, bool empty)
{
	Apply				  *apply = palloc0(sizeof(Apply));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	apply->sync = sync;
	apply->target = target;
	apply->run_id = run_id;
	apply->counters = counters;
	apply->empty = empty;
	apply->parent = -1;
	apply->cxt = CurrentMemoryContext;
	apply->page_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini apply page", ALLOCSET_DEFAULT_SIZES);
	apply->rejected = has_rejected(sync);
	callback->func = apply_end;
	callback->arg = apply;
	MemoryContextRegisterResetCallback(apply->cxt, callback);
	return apply;
}

int64
result_count(int column)
{
	return private_int64(0, column, 0);
}

List *
result_texts(MemoryContext cxt)
{
	List		 *texts = NIL;
	MemoryContext old = MemoryContextSwitchTo(cxt);

	for (uint64 i = 0; i < SPI_processed; i++)
		texts = lappend(texts, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	MemoryContextSwitchTo(old);
	return texts;
}

/* ---------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------
 */

/* How many of the page's keys the target has. */
static int64
count_keys(Apply *apply, WriteStatements *writes, Datum *values, const char *nulls)
{
	statement_execute(apply, writes->count, values, nulls);
	return result_count(1);
}

/*
 * Where the statement can't tell what was inserted, the keys that are there are
 * counted before and, unless all rows were written, behind it: triggers may have
 * kept some out.  Who else writes these keys meanwhile blurs the two numbers,
 * but not their sum.
 */
static void
write_and_count(Apply *apply, WriteStatements *writes, Datum *values, const char *nulls, int n,
				Written *written)
{
	int64 before = count_keys(apply, writes, values, nulls);
	int64 fresh = n - before;
	int64 touched;

	statement_execute(apply, writes->upsert, values, nulls);
	touched = SPI_processed;
	if (fresh > 0 && touched < n)
		fresh = count_keys(apply, writes, values, nulls) - before;
	fresh = Max(0, Min(fresh, touched));
	written->inserted += fresh;
	written->updated += touched - fresh;
}

static void
write_indexed(Apply *apply, WriteStatements *writes, Datum *values, const char *nulls, int n,
			  Written *written)
{
	int64 fresh;

	if (writes->count != NULL)
	{
		write_and_count(apply, writes, values, nulls, n, written);
		return;
	}
	statement_execute(apply, writes->upsert, values, nulls);
	fresh = result_count(2);
	written->inserted += fresh;
	written->updated += result_count(1) - fresh;
}

static void
write_joined(Apply *apply, WriteStatements *writes, Datum *values, const char *nulls, Written *written)
{
	if (writes->move != NULL)
	{
		statement_execute(apply, writes->move, values, nulls);
		written->updated += SPI_processed;
	}
	statement_execute(apply, writes->update, values, nulls);
	written->updated += SPI_processed;
	if (apply->only_updates)
		return;
	statement_execute(apply, writes->insert, values, nulls);
	written->inserted += SPI_processed;
}

/* Rows whose keys have the same pattern of NULLs. */
static void
write_pattern(Apply *apply, const RowSet *set, KeyPattern pattern, Written *written)
{
	WriteStatements *writes = statements_for(apply, pattern);
	char			*nulls;
	Datum			*values = page_values(apply, set, 0, &nulls);

	if (apply->target->way == WAY_INDEXED && !apply->only_updates)
		write_indexed(apply, writes, values, nulls, set->n, written);
	else
		write_joined(apply, writes, values, nulls, written);
}

static void
write_by_patterns(Apply *apply, const RowSet *set, Written *written)
{
	const Target *target = apply->target;
	RowSet		  rest = *set;
	RowSet		  same;
	KeyPattern	  pattern;

	rest.at = palloc(sizeof(int) * Max(1, set->n));
	memcpy(rest.at, set->at, sizeof(int) * set->n);
	while (next_pattern(target, &rest, &same, &pattern))
		write_pattern(apply, &same, pattern, written);
}

static void
write_by_statements(Apply *apply, const RowSet *set, Written *written)
{
	if (apply->target->nullable_key)
		write_by_patterns(apply, set, written);
	else
		write_pattern(apply, set, 0, written);
	written->unchanged += set->n - written->inserted - written->updated;
}

void
apply_only_updates(Apply *apply)
{
	apply->only_updates = true;
}

void
owner_begin(Apply *apply, TargetRights *saved)
{
	MemoryContext caller = CurrentMemoryContext;

	target_keep(apply->target);
	rights_of_target(apply->target->owner, saved);
	SPI_connect();
	MemoryContextSwitchTo(caller);
}

void
owner_end(const TargetRights *saved)
{
	SPI_finish();
	rights_of_target_restore(saved);
}

static void
write_step(void *arg)
{
	Attempt		*attempt = arg;
	TargetRights saved;

	owner_begin(attempt->apply, &saved);
	attempt->work(attempt->apply, attempt->set, &attempt->written);
	owner_end(&saved);
}

/* Errors that come from what a row says, and not from the state of the world. */
bool
error_is_about_data(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_CARDINALITY_VIOLATION:
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_WITH_CHECK_OPTION_VIOLATION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_PLPGSQL_ERROR:
			return true;
		default:
			return false;
	}
}

static void
count_written(Apply *apply, const Written *written)
{
	Counters *counters = apply->counters;

	counters->inserted += written->inserted;
	counters->updated += written->updated;
	counters->deleted += written->deleted;
	apply->inserted += written->inserted;
	counters->unchanged += written->unchanged;
}

static bool
try_write(Apply *apply, RowSet *set, RowWork work, ErrorData **error)
{
	Attempt attempt = {.apply = apply, .set = set, .work = work};

	*error = run_attempt(write_step, &attempt);
	if (*error == NULL)
	{
		count_written(apply, &attempt.written);
		if (apply->rejected && attempt.written.deleted == 0)
			reject_resolve(apply, set);
		else if (apply->rejected)
			reject_resolve_deleted(apply, set);
		return true;
	}
	if (!error_is_about_data(*error))
		ReThrowError(*error);
	return false;
}

/*
 * rows_write
 *		See apply.h.
 */
void
rows_write(Apply *apply, RowSet *set, RowWork work)
{
	ErrorData *error;
	RowSet	   half = *set;

	CHECK_FOR_INTERRUPTS();
	if (set->n == 0 || try_write(apply, set, work, &error))
		return;
	if (set->n == 1)
	{
		reject_of_page(apply, set->rows, set->at[0], error);
		return;
	}
	FreeErrorData(error);
	half.n = set->n / 2;
	rows_write(apply, &half, work);
	half.at = set->at + half.n;
	half.n = set->n - half.n;
	rows_write(apply, &half, work);
}

static void
write_in_bulk(Apply *apply, const RowSet *set, Written *written)
{
	if (bulk_write(apply, set, written))
		return;
	apply->empty = false;
	write_by_statements(apply, set, written);
}

/* Rows with one key are found by its index, so the page need not be looked through. */
static bool
try_bulk(Apply *apply, const Rows *rows)
{
	RowSet	   set;
	ErrorData *error;

	if (!apply->empty || apply->only_updates || !apply->target->plain ||
		apply->target->way != WAY_INDEXED)
		return false;
	rowset_whole(rows, &set);
	if (try_write(apply, &set, write_in_bulk, &error))
		return true;
	FreeErrorData(error);
	return false;
}

/*
 * Where no unique index is relied on, two lanes could both find a row lacking
 * and insert it.  The lock is one that nobody else uses, so that readers,
 * writers and vacuum go on.
 */
static void
keep_others_out(const Target *target)
{
	if (target->way != WAY_INDEXED)
		LockDatabaseObject(RelationRelationId, target->relid, 1, ExclusiveLock);
}

/*
 * apply_rows
 *		See sync.h.
 */
void
apply_rows(Apply *apply, const Rows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(apply->page_cxt);
	RowSet		  set;

	Assert(rows->ncolumns >= apply->target->nsource);
	keep_others_out(apply->target);
	if (apply->target->way == WAY_MULTISET)
		multiset_write(apply, rows);
	else if (!try_bulk(apply, rows))
	{
		rows_distinct(apply, rows, &set);
		rows_write(apply, &set, write_by_statements);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(apply->page_cxt);
}
