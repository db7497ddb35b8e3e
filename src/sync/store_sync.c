/*-------------------------------------------------------------------------
 *
 * store_sync.c
 *		Writes what people say about syncs to makini._sync, and reads it back to
 *		be altered.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "connection_store.h"
#include "makini.h"
#include "private.h"
#include "sync/define.h"
#include "sync/json_member.h"
#include "worker/worker.h"

/* The arguments of the statements below, in their order. */
enum StoreItem
{
	STORE_TARGET_OID,
	STORE_TARGET,
	STORE_MODE,
	STORE_SCHEDULE,
	STORE_INITIAL_WINDOW,
	STORE_HISTORY_FROM,
	STORE_LOOKBACK,
	STORE_DELETES,
	STORE_INITIAL_FILTER,
	STORE_FILTER,
	STORE_COLUMNS,
	STORE_KEY,
	STORE_CONSTANTS,
	STORE_OPTIONS,
	STORE_DEFINED,
	STORE_SYNC_ID = STORE_DEFINED,
	STORE_ALTER_END,
	STORE_CONNECTION = STORE_DEFINED,
	STORE_SOURCE_OID,
	STORE_SOURCE,
	STORE_OWNER_OID,
	STORE_ENABLED,
	STORE_CREATE_END
};

static const Oid defined_types[STORE_DEFINED] = {
	OIDOID,	 TEXTOID, TEXTOID, TEXTOID,		 TEXTOID,	   TIMESTAMPTZOID, INTERVALOID,
	TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, JSONBOID,	   JSONBOID,
};

static const char *const insert_statement =
	"INSERT INTO makini._sync (home, target_oid, target, mode, schedule, initial_window, history_from,"
	" lookback, deletes, initial_filter, filter, columns, key, constants, options,"
	" connection_id, source_oid, source, owner_oid, owner, enabled, next_run_at)"
	" VALUES (makini._home(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::name[], $12::name[], $13, $14,"
	" $15, $16, $17, $18, pg_catalog.pg_get_userbyid($18), $19,"
	" CASE WHEN $19 AND $4 IS NOT NULL THEN pg_catalog.now() END)"
	" RETURNING sync_id";

static const char *const update_statement =
	"UPDATE makini._sync SET target_oid = $1, target = $2, mode = $3, schedule = $4, initial_window = $5,"
	" history_from = $6, lookback = $7, deletes = $8, initial_filter = $9, filter = $10,"
	" columns = $11::name[], key = $12::name[], constants = $13, options = $14"
	" WHERE sync_id = $15";

static const char *const load_statement =
	"SELECT source_oid, source, target_oid, target, schedule, initial_window, mode, deletes,"
	" initial_filter, filter, lookback, history_from, constants, options,"
	" columns::text[] AS columns, key::text[] AS key"
	" FROM makini._sync WHERE sync_id = $1 FOR NO KEY UPDATE";

/* ---------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------
 */

static void
set_text(Datum *value, char *null, const char *text)
{
	*null = text == NULL ? 'n' : ' ';
	*value = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
set_texts(Datum *value, char *null, List *texts)
{
	*null = texts == NIL ? 'n' : ' ';
	*value = PointerGetDatum(texts_to_array(texts));
}

static void
set_defined(const Definition *definition, Oid *types, Datum *values, char *nulls)
{
	memcpy(types, defined_types, sizeof(defined_types));
	values[STORE_TARGET_OID] = ObjectIdGetDatum(definition->target_oid);
	nulls[STORE_TARGET_OID] = ' ';
	set_text(&values[STORE_TARGET], &nulls[STORE_TARGET], definition->target_name);
	set_text(&values[STORE_MODE], &nulls[STORE_MODE], definition->mode);
	set_text(&values[STORE_SCHEDULE], &nulls[STORE_SCHEDULE], definition->schedule);
	set_text(&values[STORE_INITIAL_WINDOW], &nulls[STORE_INITIAL_WINDOW], definition->initial_window);
	values[STORE_HISTORY_FROM] = TimestampTzGetDatum(definition->history_from);
	nulls[STORE_HISTORY_FROM] = definition->history_from == 0 ? 'n' : ' ';
	values[STORE_LOOKBACK] = IntervalPGetDatum(definition->lookback);
	nulls[STORE_LOOKBACK] = ' ';
	set_text(&values[STORE_DELETES], &nulls[STORE_DELETES], definition->deletes);
	set_text(&values[STORE_INITIAL_FILTER], &nulls[STORE_INITIAL_FILTER], definition->initial_filter);
	set_text(&values[STORE_FILTER], &nulls[STORE_FILTER], definition->filter);
	set_texts(&values[STORE_COLUMNS], &nulls[STORE_COLUMNS], definition->columns);
	set_texts(&values[STORE_KEY], &nulls[STORE_KEY], definition->key);
	values[STORE_CONSTANTS] = JsonbPGetDatum(definition->constants);
	nulls[STORE_CONSTANTS] = ' ';
	values[STORE_OPTIONS] = JsonbPGetDatum(definition->options);
	nulls[STORE_OPTIONS] = ' ';
}

/*
 * definition_insert
 *		A new sync of the current user; gives its id.
 */
int64
definition_insert(const Definition *definition)
{
	MakiniRights saved;
	Oid			 types[STORE_CREATE_END];
	Datum		 values[STORE_CREATE_END];
	char		 nulls[STORE_CREATE_END];
	pg_uuid_t	 connection = connection_store(definition->opened->table->serverid);
	int64		 sync_id;

	memset(nulls, ' ', sizeof(nulls));
	set_defined(definition, types, values, nulls);
	types[STORE_CONNECTION] = UUIDOID;
	values[STORE_CONNECTION] = UUIDPGetDatum(&connection);
	types[STORE_SOURCE_OID] = OIDOID;
	values[STORE_SOURCE_OID] = ObjectIdGetDatum(definition->source);
	types[STORE_SOURCE] = TEXTOID;
	values[STORE_SOURCE] = CStringGetTextDatum(definition->source_name);
	types[STORE_OWNER_OID] = OIDOID;
	values[STORE_OWNER_OID] = ObjectIdGetDatum(GetUserId());
	types[STORE_ENABLED] = BOOLOID;
	values[STORE_ENABLED] = BoolGetDatum(member_bool(definition->options, "start", true));

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args(insert_statement, STORE_CREATE_END, types, values, nulls, false, 0);
	sync_id = private_int64(0, 1, 0);
	SPI_finish();
	makini_rights_restore(&saved);
	worker_wake_at_commit();
	if (definition->schedule != NULL)
		worker_remind("run syncs on their schedules");
	return sync_id;
}

/*
 * definition_update
 *		Write what has been altered.
 */
void
definition_update(const Definition *definition)
{
	Oid	  types[STORE_ALTER_END];
	Datum values[STORE_ALTER_END];
	char  nulls[STORE_ALTER_END];

	memset(nulls, ' ', sizeof(nulls));
	set_defined(definition, types, values, nulls);
	types[STORE_SYNC_ID] = INT8OID;
	values[STORE_SYNC_ID] = Int64GetDatum(definition->sync_id);
	(void) private_execute(update_statement, STORE_ALTER_END, types, values, nulls);
	worker_wake_at_commit();
}

/* ---------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------
 */

static int
place(const char *name)
{
	return SPI_fnumber(SPI_tuptable->tupdesc, name);
}

/* Of a column that is not null. */
static Datum
item(const char *name)
{
	bool isnull;

	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, place(name), &isnull);
}

static char *
item_text(const char *name)
{
	return private_text(0, place(name));
}

/* In the current memory, which is SPI's caller's. */
static void
definition_from_row(Definition *definition)
{
	definition->source = DatumGetObjectId(item("source_oid"));
	definition->source_name = item_text("source");
	definition->target_oid = DatumGetObjectId(item("target_oid"));
	definition->target = definition->target_name = item_text("target");
	definition->schedule = item_text("schedule");
	definition->initial_window = item_text("initial_window");
	definition->mode = item_text("mode");
	definition->deletes = item_text("deletes");
	definition->initial_filter = item_text("initial_filter");
	definition->filter = item_text("filter");
	definition->lookback = palloc(sizeof(Interval));
	*definition->lookback = *DatumGetIntervalP(item("lookback"));
	definition->history_from = private_int64(0, place("history_from"), 0);
	definition->constants = DatumGetJsonbPCopy(item("constants"));
	definition->options = DatumGetJsonbPCopy(item("options"));
	definition->columns = texts_of_row(place("columns"), CurrentMemoryContext);
	definition->key = texts_of_row(place("key"), CurrentMemoryContext);
}

/*
 * definition_load
 *		A sync as it was defined, or NULL where there is none.  Nobody else changes
 *		it until the transaction ends.
 */
Definition *
definition_load(int64 sync_id)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[1] = {INT8OID};
	Datum		  values[1] = {Int64GetDatum(sync_id)};
	Definition	 *definition = NULL;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args(load_statement, 1, types, values, NULL, false, 1);
	if (SPI_processed > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		definition = palloc0(sizeof(Definition));
		definition->sync_id = sync_id;
		definition_from_row(definition);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return definition;
}
