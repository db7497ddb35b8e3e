/*-------------------------------------------------------------------------
 *
 * canary.c
 *		Notices a source that went back in time, such as a sandbox that was
 *		refreshed from somewhere else.
 *
 * Of the rows it reads a sync remembers the one that changed last.  At an honest
 * source that row is there with this change or a later one, or was deleted.
 * Where it is there with an earlier one, cursor and data belong to something
 * that is gone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "private.h"
#include "sync/run.h"

#define ASK_EVERY USECS_PER_HOUR

/* Rows are remembered by a number. */
static bool
can_watch(const Run *run)
{
	List *key = run->source->table->source->key;

	return run->source->cursor != NULL && list_length(key) == 1 &&
		((SourceColumn *) linitial(key))->kind == VALUE_INTEGER && run->load->mode != RUN_VERIFY;
}

static int64
number_of(Datum value, Oid type)
{
	switch (type)
	{
		case INT8OID:
			return DatumGetInt64(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT2OID:
			return DatumGetInt16(value);
		default:
			return DatumGetInt64(DirectFunctionCall1(numeric_int8, value));
	}
}

/*
 * canary_watch
 *		Look at the rows of a page.
 */
void
canary_watch(Run *run, const Rows *rows)
{
	SelectedColumn *selected;
	int				key, cursor;

	if (!can_watch(run))
		return;
	key = selected_place(run->source, linitial(run->source->table->source->key));
	cursor = selected_place(run->source, run->source->cursor);
	if (key < 0 || cursor < 0)
		return;
	selected = list_nth(run->source->selected, key);
	for (int row = 0; row < rows->n; row++)
	{
		int64		at = (int64) row * rows->ncolumns;
		TimestampTz changed;

		if (rows->nulls[at + key] || rows->nulls[at + cursor])
			continue;
		changed = DatumGetTimestampTz(rows->values[at + cursor]);
		if (changed >= run->newest_cursor)
		{
			run->newest_cursor = changed;
			run->newest_key = number_of(rows->values[at + key], selected->type);
		}
		if (changed >= run->sync->canary_cursor &&
			number_of(rows->values[at + key], selected->type) == run->sync->canary_key)
			run->canary_seen = true;
	}
}

/* ---------------------------------------------------------------------
 * Asking for it
 * ---------------------------------------------------------------------
 */

static void
open_question(Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->source_cxt);
	char		 *key = psprintf(INT64_FORMAT, run->sync->canary_key);
	RemoteQuery	 *query = keys_query(run->source, KEYS_OF_ROWS, list_make1(key));
	QueryColumn	 *cursor = palloc0(sizeof(QueryColumn));

	cursor->column = run->source->cursor;
	query->columns = lappend(query->columns, cursor);
	run->reader = run->conn->connector->open(run->conn, query);
	MemoryContextSwitchTo(old);
}

static TimestampTz
cursor_of(const Cell *cell)
{
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
												   CStringGetDatum(psprintf("%s+00", cell->text)),
												   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static void
take_answer(Run *run)
{
	CellPage *page = run->conn->connector->next_page(run->reader);

	if (page == NULL || page->nrows == 0 || page->cells[1].text == NULL || run->conn->time_zone != NULL)
		return;
	if (cursor_of(&page->cells[1]) >= run->sync->canary_cursor)
		return;
	run->sync->failed_as = "source_changed";
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("source of sync " INT64_FORMAT " has changed", run->sync->sync_id),
			 errdetail("Row " INT64_FORMAT
					   " was last changed at %s when it was read, and now says it was at %s UTC: the source went back in time.",
					   run->sync->canary_key, timestamptz_to_str(run->sync->canary_cursor),
					   page->cells[1].text),
			 errhint("If a sandbox was refreshed, start over with SELECT makini.reset_sync(" INT64_FORMAT
					 ").",
					 run->sync->sync_id)));
}

static bool
is_to_be_asked_for(const Run *run, TimestampTz from)
{
	if (!can_watch(run) || run->sync->canary_cursor == 0 || run->canary_seen)
		return false;
	return run->sync->canary_cursor >= from ||
		run->sync->canary_asked_at + ASK_EVERY < run->load->started_at;
}

/*
 * canary_check
 *		When changes since a time have been read: is the remembered row there as it
 *		was?  Costs a request where it should have been among the changes and was
 *		not, and else once an hour.
 */
void
canary_check(Run *run, TimestampTz from)
{
	if (!is_to_be_asked_for(run, from))
		return;
	run_steps(run, open_question);
	run_wait(run, run->reader);
	run_step(run, take_answer);
	run->conn->connector->close(run->reader);
	run->reader = NULL;
	run->canary_asked = true;
}

/*
 * canary_keep
 *		Remember the row that changed last; in the transaction that ends the load.
 */
void
canary_keep(const Run *run)
{
	Oid	  types[] = {INT8OID, INT8OID, TIMESTAMPTZOID, BOOLOID};
	Datum values[4];

	if (run->newest_cursor == 0 && !run->canary_asked)
		return;
	values[0] = Int64GetDatum(run->sync->sync_id);
	values[1] = Int64GetDatum(run->newest_key);
	values[2] = TimestampTzGetDatum(run->newest_cursor);
	values[3] =
		BoolGetDatum(run->newest_cursor != 0 && run->newest_cursor >= run->sync->canary_cursor);
	private_execute("UPDATE makini._sync SET"
					" canary_key = CASE WHEN $4 THEN $2 ELSE canary_key END,"
					" canary_cursor = CASE WHEN $4 THEN $3 ELSE canary_cursor END,"
					" canary_asked_at = pg_catalog.clock_timestamp() WHERE sync_id = $1",
					lengthof(types), types, values, NULL);
}
