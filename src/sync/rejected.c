/*-------------------------------------------------------------------------
 *
 * rejected.c
 *		What people do about rows that could not be written: fetching them once
 *		more, or calling them settled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "private.h"
#include "sync/define.h"
#include "sync/drain.h"
#include "sync/drift.h"
#include "sync/key_text.h"

PG_FUNCTION_INFO_V1(makini_retry_rejected);
PG_FUNCTION_INFO_V1(makini_resolve_rejected);

/* A rejected row that somebody wants to try again. */
typedef struct Rejected
{
	int64  rejected_id;
	Jsonb *key; /* or NULL */
	char **texts;
} Rejected;

/* ---------------------------------------------------------------------
 * Reading them
 * ---------------------------------------------------------------------
 */

/* Unresolved rows of a sync, those rejected since a time only or (0) whenever; ids NULL: all. */
static List *
read_rejected(int64 sync_id, ArrayType *ids, TimestampTz since)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[] = {INT8OID, INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		  values[3];
	char		  nulls[] = "   ";
	List		 *found = NIL;

	values[0] = Int64GetDatum(sync_id);
	values[1] = PointerGetDatum(ids);
	nulls[1] = ids == NULL ? 'n' : ' ';
	values[2] = TimestampTzGetDatum(since);
	nulls[2] = since == 0 ? 'n' : ' ';
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("SELECT rejected_id, key FROM makini._rejected_row WHERE sync_id = $1"
						  " AND resolved_at IS NULL AND ($2 IS NULL OR rejected_id = ANY ($2))"
						  " AND ($3 IS NULL OR rejected_at >= $3) ORDER BY rejected_id",
						  lengthof(types), types, values, nulls, false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	  row = SPI_tuptable->vals[i];
		MemoryContext old = MemoryContextSwitchTo(caller);
		Rejected	 *rejected = palloc0(sizeof(Rejected));
		bool		  isnull;
		Datum		  key;

		rejected->rejected_id = private_int64(i, 1, 0);
		key = SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull);
		if (!isnull)
			rejected->key = DatumGetJsonbPCopy(key);
		found = lappend(found, rejected);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return found;
}

int64
rejects_open(int64 sync_id, TimestampTz since)
{
	Oid	  types[] = {INT8OID, TIMESTAMPTZOID};
	Datum values[2];

	values[0] = Int64GetDatum(sync_id);
	values[1] = TimestampTzGetDatum(since);
	return private_number("SELECT count(*) FROM makini._rejected_row WHERE sync_id = $1"
						  " AND resolved_at IS NULL AND rejected_at >= $2",
						  lengthof(types), types, values, NULL, 0);
}

/* Those with a key that can be asked for. */
static List *
with_keys(List *all, const KeyColumns *columns)
{
	List	 *found = NIL;
	ListCell *lc;

	foreach(lc, all)
	{
		Rejected *rejected = lfirst(lc);

		if (rejected->key != NULL)
			rejected->texts = key_of_json(columns, rejected->key);
		if (rejected->texts != NULL)
			found = lappend(found, rejected);
	}
	return found;
}

static List *
keys_of(const List *all)
{
	List	 *keys = NIL;
	ListCell *lc;

	foreach(lc, all)
		keys = lappend(keys, ((Rejected *) lfirst(lc))->texts);
	return keys;
}

/* ---------------------------------------------------------------------
 * Settling them
 * ---------------------------------------------------------------------
 */

static int64
resolve(List *ids, const char *note)
{
	Oid		  types[] = {INT8ARRAYOID, TEXTOID};
	Datum	  values[2];
	Datum	 *elems = palloc(sizeof(Datum) * Max(1, list_length(ids)));
	ListCell *lc;

	foreach(lc, ids)
		elems[foreach_current_index(lc)] = Int64GetDatum(*(int64 *) lfirst(lc));
	values[0] = PointerGetDatum(construct_array(elems, list_length(ids), INT8OID, sizeof(int64),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = CStringGetTextDatum(note);
	return private_execute("UPDATE makini._rejected_row SET resolved_at = pg_catalog.clock_timestamp(),"
						   " resolution = $2 WHERE rejected_id = ANY ($1) AND resolved_at IS NULL",
						   lengthof(types), types, values, NULL);
}

/* ---------------------------------------------------------------------
 * Trying again
 * ---------------------------------------------------------------------
 */

static int
compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Keys, each as one text, in their order. */
static List *
joined_keys(const KeyColumns *columns, List *keys)
{
	List	 *joined = NIL;
	ListCell *lc;

	foreach(lc, keys)
		joined = lappend(joined, key_joined(columns, lfirst(lc)));
	list_sort(joined, compare_texts);
	return joined;
}

static bool
in_texts(const List *texts, const char *text)
{
	int from = 0;
	int to = list_length(texts);

	while (from < to)
	{
		int middle = (from + to) / 2;
		int order = strcmp(list_nth(texts, middle), text);

		if (order == 0)
			return true;
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}

/*
 * What has become of rows that were tried again.  Most of them apply.c has
 * resolved when it wrote them.
 */
static int64
settle_tried(const Sync *sync, const KeyColumns *columns, List *tried, List *gone, TimestampTz since)
{
	List	 *again = with_keys(read_rejected(sync->sync_id, NULL, since), columns);
	List	 *again_keys = joined_keys(columns, keys_of(again));
	List	 *gone_keys = joined_keys(columns, gone);
	List	 *written = NIL;
	List	 *vanished = NIL;
	ListCell *lc;

	foreach(lc, tried)
	{
		Rejected *rejected = lfirst(lc);
		char	 *key = key_joined(columns, rejected->texts);

		if (in_texts(again_keys, key))
			continue;
		if (in_texts(gone_keys, key))
			vanished = lappend(vanished, &rejected->rejected_id);
		else
			written = lappend(written, &rejected->rejected_id);
	}
	(void) resolve(written, "written when tried again");
	(void) resolve(vanished, "gone at the source");
	return list_length(written) + list_length(vanished);
}

/*
 * makini_retry_rejected
 *		makini.retry_rejected(sync_id, rejected_ids): fetches the rows again by
 *		their keys and writes them (those of a drain as they were sent); gives how
 *		many are settled.
 */
Datum
makini_retry_rejected(PG_FUNCTION_ARGS)
{
	ArrayType  *ids = PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1);
	TimestampTz since = GetCurrentTimestamp();
	Counters	counters = {0};
	Sync	   *sync;
	SyncSource *source;
	KeyColumns *columns;
	List	   *all;
	List	   *tried;
	List	   *gone;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	sync = sync_load(PG_GETARG_INT64(0));
	sync_check_visible(sync);
	sync_check_home(sync);
	PreventCommandIfReadOnly("makini.retry_rejected()");
	if (sync->mode == SYNC_DRAIN)
		PG_RETURN_INT64(drain_retry(sync, ids));
	all = read_rejected(sync->sync_id, ids, 0);
	if (all == NIL)
		PG_RETURN_INT64(0);
	source = source_open(sync);
	drift_narrow(sync, source);
	columns = key_columns(sync, source);
	tried = with_keys(all, columns);
	if (list_length(tried) < list_length(all))
		ereport(NOTICE,
				(errmsg_plural("%d row has no key to fetch it by", "%d rows have no key to fetch them by",
							   list_length(all) - list_length(tried),
							   list_length(all) - list_length(tried)),
				 errhint("Settle such rows with makini.resolve_rejected().")));
	if (tried == NIL)
		PG_RETURN_INT64(0);
	gone = refetch_apply(sync, source, keys_of(tried), true, &counters);
	PG_RETURN_INT64(settle_tried(sync, columns, tried, gone, since));
}

/* Which of some rejected rows are not settled yet; raises where one is not the caller's to see. */
static List *
open_rejected(ArrayType *ids)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[] = {INT8ARRAYOID};
	Datum		  values[] = {PointerGetDatum(ids)};
	List		 *syncs = NIL;
	List		 *rows = NIL;
	ListCell	 *lc;

	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT rejected_id, sync_id FROM makini._rejected_row"
						 " WHERE rejected_id = ANY ($1) AND resolved_at IS NULL ORDER BY 1",
						 1, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		int64		 *id = palloc(sizeof(int64));
		int64		 *sync_id = palloc(sizeof(int64));

		*id = private_int64(i, 1, 0);
		*sync_id = private_int64(i, 2, 0);
		rows = lappend(rows, id);
		syncs = lappend(syncs, sync_id);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);

	/* One that is not the caller's to see makes the whole an error. */
	foreach(lc, syncs)
		sync_check_visible(sync_load(*(int64 *) lfirst(lc)));
	return rows;
}

/*
 * makini_resolve_rejected
 *		makini.resolve_rejected(rejected_ids, note): calls rows settled.
 */
Datum
makini_resolve_rejected(PG_FUNCTION_ARGS)
{
	char *note = text_to_cstring(PG_GETARG_TEXT_PP(1));

	PreventCommandIfReadOnly("makini.resolve_rejected()");
	PG_RETURN_INT64(resolve(open_rejected(PG_GETARG_ARRAYTYPE_P(0)), note));
}
