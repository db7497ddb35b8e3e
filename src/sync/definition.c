/*-------------------------------------------------------------------------
 *
 * definition.c
 *		A sync as its row in makini._sync says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "connection_store.h"
#include "makini.h"
#include "private.h"
#include "sync/sync.h"

/* What sync_load reads, in the order of the enum. */
static const char *const load_statement =
	"SELECT s.sync_id, s.connection_id, s.source_oid, s.source, s.target_oid, s.target, s.owner_oid,"
	" s.mode, s.deletes, s.history_from,"
	" (extract(epoch from s.lookback) * 1000000)::bigint,"
	" s.filter, s.initial_filter, s.columns::text[], s.key::text[], s.constants::text, s.enabled, s.state, s.identity,"
	" s.cursor, s.canary_key, s.full_due_at, s.left_out::text[], s.home,"
	" s.options->>'full_every', s.options->>'on_schema_change',"
	" coalesce((s.options->>'reject_limit')::float8, 0.05), s.options->>'backfill_order',"
	" s.swept_at, s.owner, s.data_as_of,"
	" s.canary_cursor, s.canary_asked_at"
	" FROM makini._sync s WHERE s.sync_id = $1";

enum LoadItem
{
	LOAD_SYNC_ID = 1,
	LOAD_CONNECTION,
	LOAD_SOURCE_OID,
	LOAD_SOURCE,
	LOAD_TARGET_OID,
	LOAD_TARGET,
	LOAD_OWNER_OID,
	LOAD_MODE,
	LOAD_DELETES,
	LOAD_HISTORY_FROM,
	LOAD_LOOKBACK,
	LOAD_FILTER,
	LOAD_INITIAL_FILTER,
	LOAD_COLUMNS,
	LOAD_KEY,
	LOAD_CONSTANTS,
	LOAD_ENABLED,
	LOAD_STATE,
	LOAD_IDENTITY,
	LOAD_CURSOR,
	LOAD_CANARY_KEY,
	LOAD_FULL_DUE_AT,
	LOAD_LEFT_OUT,
	LOAD_HOME,
	LOAD_FULL_EVERY,
	LOAD_ON_SCHEMA_CHANGE,
	LOAD_REJECT_LIMIT,
	LOAD_BACKFILL_ORDER,
	LOAD_SWEPT_AT,
	LOAD_OWNER,
	LOAD_DATA_AS_OF,
	LOAD_CANARY_CURSOR,
	LOAD_CANARY_ASKED_AT
};

static Datum
item(enum LoadItem at, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, at, isnull);
}

static Oid
item_oid(enum LoadItem at)
{
	bool isnull;

	return DatumGetObjectId(item(at, &isnull));
}

List *
texts_of_row(int column, MemoryContext cxt)
{
	bool  isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	MemoryContext old;
	List		 *texts;

	if (isnull)
		return NIL;
	old = MemoryContextSwitchTo(cxt);
	texts = array_to_texts(DatumGetArrayTypeP(value));
	MemoryContextSwitchTo(old);
	return texts;
}

uint64
about_id(const char *statement, int64 id)
{
	Oid	  types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(id)};

	return private_execute(statement, 1, types, values, NULL);
}

static SyncMode
mode_of(const char *text)
{
	if (strcmp(text, "drain") == 0)
		return SYNC_DRAIN;
	return strcmp(text, "full") == 0 ? SYNC_FULL : SYNC_INCREMENTAL;
}

DeleteMode
deletes_of_text(const char *text)
{
	if (strcmp(text, "ignore") == 0)
		return DELETES_IGNORED;
	return strcmp(text, "hard") == 0 ? DELETES_HARD : DELETES_SOFT;
}

static DriftMode
drift_of(const char *text)
{
	if (text != NULL && strcmp(text, "extra") == 0)
		return DRIFT_EXTRA;
	return text != NULL && strcmp(text, "report") == 0 ? DRIFT_REPORT : DRIFT_ADD;
}

static Sync *
sync_from_row(MemoryContext caller)
{
	Sync *sync = SPI_palloc(sizeof(Sync));
	bool  isnull;
	char *order;

	memset(sync, 0, sizeof(Sync));
	sync->sync_id = private_int64(0, LOAD_SYNC_ID, 0);
	sync->connection = *DatumGetUUIDP(item(LOAD_CONNECTION, &isnull));
	sync->home = private_text(0, LOAD_HOME);
	sync->source = item_oid(LOAD_SOURCE_OID);
	sync->source_name = private_text(0, LOAD_SOURCE);
	sync->target = item_oid(LOAD_TARGET_OID);
	sync->target_name = private_text(0, LOAD_TARGET);
	sync->owner = item_oid(LOAD_OWNER_OID);
	sync->owner_name = private_text(0, LOAD_OWNER);
	sync->mode = mode_of(private_text(0, LOAD_MODE));
	sync->deletes = deletes_of_text(private_text(0, LOAD_DELETES));
	sync->history_from = private_int64(0, LOAD_HISTORY_FROM, 0);
	sync->lookback = private_int64(0, LOAD_LOOKBACK, 0);
	sync->filter = private_text(0, LOAD_FILTER);
	sync->initial_filter = private_text(0, LOAD_INITIAL_FILTER);
	sync->columns = texts_of_row(LOAD_COLUMNS, caller);
	sync->key = texts_of_row(LOAD_KEY, caller);
	sync->constants = private_text(0, LOAD_CONSTANTS);
	sync->enabled = private_bool(0, LOAD_ENABLED);
	sync->state = private_text(0, LOAD_STATE);
	sync->identity = private_text(0, LOAD_IDENTITY);
	sync->cursor = private_int64(0, LOAD_CURSOR, 0);
	sync->canary_key = private_int64(0, LOAD_CANARY_KEY, 0);
	sync->canary_cursor = private_int64(0, LOAD_CANARY_CURSOR, 0);
	sync->canary_asked_at = private_int64(0, LOAD_CANARY_ASKED_AT, 0);
	sync->full_due_at = private_int64(0, LOAD_FULL_DUE_AT, 0);
	sync->data_as_of = private_int64(0, LOAD_DATA_AS_OF, 0);
	sync->swept_at = private_int64(0, LOAD_SWEPT_AT, 0);
	sync->left_out = texts_of_row(LOAD_LEFT_OUT, caller);
	sync->full_every = private_text(0, LOAD_FULL_EVERY);
	sync->on_schema_change = drift_of(private_text(0, LOAD_ON_SCHEMA_CHANGE));
	sync->reject_limit = DatumGetFloat8(item(LOAD_REJECT_LIMIT, &isnull));
	order = private_text(0, LOAD_BACKFILL_ORDER);
	sync->newest_first = order == NULL || strcmp(order, "oldest") != 0;
	return sync;
}

void
sync_raise_unknown(int64 sync_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("sync " INT64_FORMAT " does not exist", sync_id),
			 errhint("The view makini.sync lists the syncs that you may see.")));
}

/*
 * sync_load
 *		Read a sync; raises 42704 where there is none.  Allocated in
 *		CurrentMemoryContext.
 */
Sync *
sync_load(int64 sync_id)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[1] = {INT8OID};
	Datum		  values[1] = {Int64GetDatum(sync_id)};
	Sync		 *sync;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (private_query(load_statement, 1, types, values, NULL) == 0)
		sync_raise_unknown(sync_id);
	sync = sync_from_row(caller);
	SPI_finish();
	makini_rights_restore(&saved);
	return sync;
}

/*
 * sync_check_owner
 *		Raise 42501 unless the caller may act for the owner of a sync.
 */
void
sync_check_owner(const Sync *sync)
{
	if (has_privs_of_role(GetUserId(), sync->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of sync " INT64_FORMAT, sync->sync_id),
			 errdetail("It belongs to role \"%s\".", sync->owner_name)));
}

/*
 * sync_check_home
 *		Raise 55000 where the sync came here by a restore or a copy.
 */
void
sync_check_home(const Sync *sync)
{
	if (strcmp(sync->home, connection_home()) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("sync " INT64_FORMAT " belongs to another database", sync->sync_id),
			 errdetail("It was restored or copied; where it came from it may still be running."),
			 errhint("Take it over with SELECT makini.activate_instance().")));
}
