/*-------------------------------------------------------------------------
 *
 * watch_run.c
 *		Asking a watch's query, and comparing with what was seen before.
 *
 * The query runs as its author, read only, with half a minute's time.  What it
 * gave is compared by key with the rows seen last time: what is new raises an
 * event, what is gone is forgotten, so that it counts again when it comes back.
 * The first time rows are only remembered, unless the watch says otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "attempt.h"
#include "event/event.h"
#include "event/watch.h"
#include "makini.h"
#include "private.h"
#include "worker/worker.h"

int watch_ms = 30000;

/* ---------------------------------------------------------------------
 * The rows
 * ---------------------------------------------------------------------
 */

/* What a query gave, or what of it is to be told. */
typedef struct WatchRows
{
	const Watch	 *watch;
	MemoryContext context;
	int			  n;
	Datum		 *keys;	 /* text */
	Datum		 *data;	 /* jsonb: the event's */
	int			  fired; /* events of it */
} WatchRows;

static void
keep_rows(WatchRows *rows)
{
	MemoryContext old = MemoryContextSwitchTo(rows->context);
	TupleDesc	  desc = SPI_tuptable->tupdesc;

	rows->n = (int) SPI_processed;
	rows->keys = palloc(sizeof(Datum) * Max(rows->n, 1));
	rows->data = palloc(sizeof(Datum) * Max(rows->n, 1));
	for (int i = 0; i < rows->n; i++)
	{
		char *key = SPI_getvalue(SPI_tuptable->vals[i], desc, WATCH_COLUMN_KEY);
		bool  isnull;
		Datum data = SPI_getbinval(SPI_tuptable->vals[i], desc, WATCH_COLUMN_DATA, &isnull);

		rows->keys[i] = CStringGetTextDatum(key == NULL ? "" : key);
		rows->data[i] = JsonbPGetDatum(DatumGetJsonbPCopy(data));
		event_check_data(DatumGetJsonbP(rows->data[i]));
	}
	MemoryContextSwitchTo(old);
}

/* Rows are known by their keys in an index. */
static void
check_key(const text *key)
{
	if (VARSIZE_ANY_EXHDR(key) > EVENT_MAX_INDEX_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the key of a row has %d bytes, of %d", (int) VARSIZE_ANY_EXHDR(key),
						EVENT_MAX_INDEX_KEY)));
}

static void
ask(void *arg)
{
	WatchRows	*rows = arg;
	const Watch *watch = rows->watch;

	SPI_connect();
	SPI_execute(watch_query(watch), true, watch->options.max_rows + 1);
	if (SPI_processed > (uint64) watch->options.max_rows)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the query has more rows than max_rows, %d", watch->options.max_rows)));
	keep_rows(rows);
	SPI_finish();
	for (int i = 0; i < rows->n; i++)
		check_key(DatumGetTextPP(rows->keys[i]));
}

/* ---------------------------------------------------------------------
 * What is new, what is gone
 * ---------------------------------------------------------------------
 */

static Datum
array_of(const Datum *elements, int n, Oid type)
{
	return PointerGetDatum(construct_array((Datum *) elements, n, type, -1, false, TYPALIGN_INT));
}

/* Of a key that comes twice the first row counts. */
#define ADD_ROWS                                                                                   \
	"WITH given AS ("                                                                              \
	"  SELECT key, (array_agg(data ORDER BY n))[1] AS data, min(n)::int AS n"                      \
	"  FROM unnest($2, $3) WITH ORDINALITY AS u (key, data, n) GROUP BY key),"                     \
	" added AS ("                                                                                  \
	"  INSERT INTO makini._watch_row (watch_id, key, data)"                                        \
	"  SELECT $1, key, CASE WHEN $4 THEN data END FROM given"                                      \
	"  ON CONFLICT (watch_id, key) DO NOTHING RETURNING key)"                                      \
	" SELECT key, data FROM given JOIN added USING (key) ORDER BY n"

#define REMOVE_ROWS                                                                                \
	"WITH gone AS ("                                                                               \
	"  DELETE FROM makini._watch_row r"                                                            \
	"  WHERE watch_id = $1 AND NOT EXISTS (SELECT FROM unnest($2) AS u (key) WHERE u.key = r.key)" \
	"  RETURNING key, data)"                                                                       \
	" SELECT key, coalesce(data, jsonb_build_object('key', key)) FROM gone ORDER BY key"

/* Run one of the two; what it gives becomes the rows to tell. */
static void
compare(const char *statement, const WatchRows *seen, WatchRows *told)
{
	Oid			 types[] = {INT8OID, TEXTARRAYOID, JSONBARRAYOID, BOOLOID};
	Datum		 values[4];
	MakiniRights saved;

	values[0] = Int64GetDatum(seen->watch->watch_id);
	values[1] = array_of(seen->keys, seen->n, TEXTOID);
	values[2] = array_of(seen->data, seen->n, JSONBOID);
	values[3] = BoolGetDatum(seen->watch->options.resolved_type != NULL);
	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query(statement, lengthof(types), types, values, NULL);
	keep_rows(told);
	SPI_finish();
	makini_rights_restore(&saved);
}

static void
tell(const WatchRows *rows, const char *type)
{
	const Watch *watch = rows->watch;
	Event		 event = {.type = type,
						  .connection = watch->has_connection ? &watch->connection : NULL,
						  .owner = watch->author.userid};
	EventBatch	 batch;

	if (rows->n == 0)
		return;
	event_batch_open(&batch, &event);
	for (int i = 0; i < rows->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) event_batch_add(&batch, TextDatumGetCString(rows->keys[i]),
							   DatumGetJsonbP(rows->data[i]));
	}
	event_batch_close(&batch);
}

/* Counts the events that were raised. */
static void
compare_and_tell(void *arg)
{
	WatchRows	*seen = arg;
	const Watch *watch = seen->watch;
	WatchRows	 told = {.watch = watch, .context = seen->context};
	int			 n = 0;

	compare(ADD_ROWS, seen, &told);
	if (!watch->silent && (watch->seeded || watch->options.initial != WATCH_SILENT))
	{
		tell(&told, watch->type);
		n = told.n;
	}
	compare(REMOVE_ROWS, seen, &told);
	if (watch->options.resolved_type != NULL && !watch->silent)
	{
		tell(&told, watch->options.resolved_type);
		n += told.n;
	}
	seen->fired = n;
}

/* Rows that cannot be held are this watch's trouble, and not that of those behind it. */
static ErrorData *
compare_or_fail(WatchRows *seen)
{
	ErrorData *error = run_attempt(compare_and_tell, seen);

	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error;
}

/* ---------------------------------------------------------------------
 * One run
 * ---------------------------------------------------------------------
 */

static void
note(const Watch *watch, int sqlstate, const char *message)
{
	SystemError error = {.component = "watch",
						 .code = unpack_sql_state(sqlstate),
						 .message = psprintf("watch \"%s\" failed: %s", watch->name, message),
						 .hint = psprintf("Try it with makini.test_watch('%s'), and change it with makini.alter_watch().",
										  watch->name),
						 .connection = watch->has_connection ? &watch->connection : NULL,
						 .affected = watch->name,
						 .owner = watch->author.userid};

	event_system_error(&error);
}

#define RECORD                                                                                                        \
	"UPDATE makini._watch SET next_run_at = $2, last_run_at = $3, seeded = seeded OR $4, silent = silent AND NOT $4," \
	"  fired = fired + $5, last_fired_at = CASE WHEN $5 > 0 THEN $3 ELSE last_fired_at END"                           \
	" WHERE watch_id = $1"

static void
record(const Watch *watch, TimestampTz now, bool went_well, int64 fired)
{
	Oid	  types[] = {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID, INT8OID};
	Datum values[5];

	values[0] = Int64GetDatum(watch->watch_id);
	values[1] = TimestampTzGetDatum(schedule_next_time(watch->schedule, watch->watch_id, now));
	values[2] = TimestampTzGetDatum(now);
	values[3] = BoolGetDatum(went_well);
	values[4] = Int64GetDatum(fired);
	(void) private_execute(RECORD, lengthof(types), types, values, NULL);
}

static Watch *
take(const char *statement, Oid type, Datum value)
{
	MemoryContext context = CurrentMemoryContext;
	MakiniRights  saved;
	Watch		 *watch = NULL;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (private_query(statement, 1, &type, &value, NULL) == 1)
	{
		MemoryContextSwitchTo(context);
		watch = watch_of_row();
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return watch;
}

#define TAKE_WATCH                                                                                 \
	"SELECT " WATCH_COLUMNS " FROM makini._watch WHERE watch_id = $1 FOR UPDATE SKIP LOCKED"

static void
disable(void *arg)
{
	Oid	   types[] = {INT8OID};
	Datum  values[] = {Int64GetDatum(*(int64 *) arg)};
	Watch *watch = take(TAKE_WATCH, types[0], values[0]);

	if (watch == NULL)
		return;
	note(watch, ERRCODE_QUERY_CANCELED, "it did not end when its time was up, and was disabled");
	(void) private_execute("UPDATE makini._watch SET enabled = false, silent = true WHERE watch_id = $1",
						   lengthof(types), types, values, NULL);
}

static void
run(const Watch *watch, TimestampTz now)
{
	static int64 asked;

	WatchRows  rows = {.watch = watch, .context = CurrentMemoryContext};
	ErrorData *error;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(watch->author.userid)))
	{
		note(watch, ERRCODE_UNDEFINED_OBJECT, "its owner does not exist any more");
		record(watch, now, false, 0);
		return;
	}
	asked = watch->watch_id;
	author_park(disable, &asked);
	error = author_run(&watch->author, watch_ms, ask, &rows);
	if (error == NULL)
		error = compare_or_fail(&rows);
	if (error != NULL)
		note(watch, error->sqlerrcode,
			 error->sqlerrcode == ERRCODE_QUERY_CANCELED ? "it took longer than half a minute" :
														   error->message);
	record(watch, now, error == NULL, rows.fired);
}

static bool
run_first(const char *statement, Oid type, Datum value, TimestampTz now)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "makini watch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Watch		 *watch = take(statement, type, value);

	if (watch != NULL)
		run(watch, now);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return watch != NULL;
}

bool
watch_run_next(TimestampTz now)
{
	return run_first("SELECT " WATCH_COLUMNS " FROM makini._watch"
					 " WHERE enabled AND home = makini._home() AND next_run_at <= $1"
					 " ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED",
					 TIMESTAMPTZOID, TimestampTzGetDatum(now), now);
}

bool
watch_run(int64 watch_id, TimestampTz now)
{
	return run_first(TAKE_WATCH, INT8OID, Int64GetDatum(watch_id), now);
}

TimestampTz
watch_next_due(void)
{
	MakiniRights saved;
	bool		 isnull;
	Datum		 next;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute("SELECT min(next_run_at) FROM makini._watch WHERE enabled AND home = makini._home()",
				true, 1);
	next = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	makini_rights_restore(&saved);
	return isnull ? DT_NOEND : DatumGetTimestampTz(next);
}
