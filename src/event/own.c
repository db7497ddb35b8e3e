/*-------------------------------------------------------------------------
 *
 * own.c
 *		Events that makini raises itself about connections, the age of data, and
 *		versions of interfaces: their data, as makini.event_type shows it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "event/event.h"
#include "makini.h"
#include "private.h"

/* ---------------------------------------------------------------------
 * Members
 * ---------------------------------------------------------------------
 */

static void
append_time(StringInfo data, const char *member, TimestampTz moment)
{
	appendStringInfoString(data, member);
	event_append_moment(data, moment);
}

static void
append_error(StringInfo data, const EventError *error)
{
	if (error == NULL)
	{
		appendStringInfoString(data, ",\"error\":null");
		return;
	}
	event_append_member(data, ",\"error\":{\"code\":", error->code);
	event_append_member(data, ",\"message\":", error->message);
	if (error->http_status == 0)
		appendStringInfoString(data, ",\"http_status\":null");
	else
		appendStringInfo(data, ",\"http_status\":%d", error->http_status);
	event_append_member(data, ",\"hint\":", error->hint);
	appendStringInfo(data, ",\"retryable\":%s}", error->retryable ? "true" : "false");
}

/* Run one statement that gives a text, with the rights of the extension. */
static char *
ask_for_text(const char *statement, int n, Oid *types, Datum *values, const char *nulls)
{
	MakiniRights saved;
	char		*text;

	makini_rights_of_extension(&saved);
	SPI_connect();
	text = private_query(statement, n, types, values, nulls) == 1 ? private_text(0, 1) : NULL;
	SPI_finish();
	makini_rights_restore(&saved);
	return text;
}

/* ---------------------------------------------------------------------
 * connection.*
 * ---------------------------------------------------------------------
 */

/* Who has no mapping of his own uses PUBLIC's. */
#define AFFECTED_SYNCS                                                                             \
	"SELECT coalesce(jsonb_agg(jsonb_build_object('sync_id', s.sync_id, 'source', s.source)"       \
	"  ORDER BY s.sync_id), '[]')::text"                                                           \
	" FROM makini._sync s WHERE s.connection_id = $1"                                              \
	" AND ($2 IS NULL OR s.owner = $2 OR ($2 = 'public' AND NOT EXISTS ("                          \
	"   SELECT FROM makini._mapping m WHERE m.connection_id = $1 AND m.role_oid = s.owner_oid)))"

static char *
affected_syncs(const ConnectionChange *change)
{
	Oid	  types[] = {UUIDOID, TEXTOID};
	Datum values[2];
	char  nulls[] = "  ";

	values[0] = UUIDPGetDatum(&change->connection);
	values[1] = change->role == NULL ? (Datum) 0 : CStringGetTextDatum(change->role);
	nulls[1] = change->role == NULL ? 'n' : ' ';
	return ask_for_text(AFFECTED_SYNCS, lengthof(types), types, values, nulls);
}

void
event_connection_change(const ConnectionChange *change)
{
	Event		   event = {.type = change->type,
							.connection = &change->connection,
							.owner = change->owner,
							.key = change->role,
							.dedupe_key = change->dedupe_key};
	StringInfoData data;
	bool		   raised;

	initStringInfo(&data);
	event_append_member(&data, "{\"server\":", change->server);
	event_append_member(&data, ",\"role\":", change->role);
	event_append_member(&data, ",\"from\":", change->from);
	event_append_member(&data, ",\"to\":", change->to);
	event_append_member(&data, ",\"reason\":", change->reason);
	append_error(&data, change->error);
	appendStringInfo(&data, ",\"affected\":%s", affected_syncs(change));
	append_time(&data, ",\"since\":", change->since);
	append_time(&data, ",\"certificate_expires_at\":", change->certificate_expires_at);
	appendStringInfoChar(&data, '}');
	event.data = data.data;
	(void) event_raise(&event, &raised);
}

/* ---------------------------------------------------------------------
 * sync.stale, sync.fresh
 * ---------------------------------------------------------------------
 */

#define SYNC_AGE                                                                                   \
	"SELECT connection_id, owner_oid, jsonb_build_object("                                         \
	"  'sync_id', sync_id, 'run_id', $2, 'source', source, 'target', target,"                      \
	"  'mode', mode, 'status', $3, 'window', NULL, 'data_as_of', data_as_of, 'rows', NULL,"        \
	"  'requests', NULL, 'duration_ms', NULL, 'error', NULL)::text"                                \
	" FROM makini._sync WHERE sync_id = $1"

void
event_sync_age(int64 sync_id, bool stale, int64 run_id)
{
	Oid			 types[] = {INT8OID, INT8OID, TEXTOID};
	Datum		 values[3];
	char		 nulls[] = "   ";
	Event		 event = {.type = stale ? "sync.stale" : "sync.fresh"};
	pg_uuid_t	 connection;
	MakiniRights saved;
	bool		 isnull;
	bool		 raised;

	values[0] = Int64GetDatum(sync_id);
	values[1] = Int64GetDatum(run_id);
	nulls[1] = run_id == 0 ? 'n' : ' ';
	values[2] = CStringGetTextDatum(stale ? "stale" : "fresh");
	makini_rights_of_extension(&saved);
	SPI_connect();
	if (private_query(SYNC_AGE, lengthof(types), types, values, nulls) == 1)
	{
		event.connection = private_uuid(0, 1, &connection) ? &connection : NULL;
		event.owner = DatumGetObjectId(private_value(0, 2, &isnull));
		event.key = psprintf(INT64_FORMAT, sync_id);
		event.data = private_text(0, 3);
		(void) event_raise(&event, &raised);
	}
	SPI_finish();
	makini_rights_restore(&saved);
}

/* ---------------------------------------------------------------------
 * api.deprecated
 * ---------------------------------------------------------------------
 */

/* Whole ones, below zero once it is over. */
static int
days_until(TimestampTz moment, TimestampTz now)
{
	int64 left = moment - now;

	return (int) ((left < 0 ? left - USECS_PER_DAY + 1 : left) / USECS_PER_DAY);
}

void
event_api_deprecated(const ApiDeprecation *deprecation)
{
	Event		   event = {.type = "api.deprecated",
							.connection = &deprecation->connection,
							.owner = deprecation->owner,
							.key = deprecation->path};
	StringInfoData data;
	char		  *id;
	bool		   raised;

	initStringInfo(&data);
	event_append_member(&data, "{\"server\":", deprecation->server);
	event_append_member(&data, ",\"path\":", deprecation->path);
	append_time(&data, ",\"deprecated_at\":", deprecation->deprecated_at);
	append_time(&data, ",\"sunset_at\":", deprecation->sunset_at);
	event_append_member(&data, ",\"link\":", deprecation->link);
	if (deprecation->sunset_at == 0)
		appendStringInfoString(&data, ",\"days_left\":null}");
	else
		appendStringInfo(&data, ",\"days_left\":%d}",
						 days_until(deprecation->sunset_at, deprecation->now));
	event.data = data.data;
	id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&deprecation->connection)));
	event.dedupe_key = psprintf("api.deprecated %s %s " INT64_FORMAT " %d", id, deprecation->path,
								deprecation->sunset_at, deprecation->told);
	(void) event_raise(&event, &raised);
}

/* ---------------------------------------------------------------------
 * api.version_announced
 * ---------------------------------------------------------------------
 */

#define VERSION_SAYS                                                                               \
	"SELECT jsonb_build_object('version', version, 'status', status, 'released_at', released_at,"  \
	"  'deprecated_at', deprecated_at, 'sunset_at', sunset_at, 'replacement', replacement,"        \
	"  'migration_guide', migration_guide)::text"                                                  \
	" FROM makini._api_version WHERE version = $1"

PG_FUNCTION_INFO_V1(makini_announce_version);

/*
 * makini_announce_version
 *		Trigger of the table of versions: what an update of the extension says of
 *		one is an event.
 */
Datum
makini_announce_version(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Oid			 types[1] = {TEXTOID};
	Datum		 values[1];
	HeapTuple	 row;
	Event		 event = {.type = "api.version_announced", .owner = GetUserId()};
	bool		 isnull;
	bool		 raised;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("makini._announce_version() was not called by a trigger")));
	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	values[0] = heap_getattr(row, 1, RelationGetDescr(trigger->tg_relation), &isnull);
	event.key = TextDatumGetCString(values[0]);
	event.data = ask_for_text(VERSION_SAYS, lengthof(types), types, values, NULL);
	(void) event_raise(&event, &raised);
	return PointerGetDatum(NULL);
}
