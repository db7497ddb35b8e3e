/*-------------------------------------------------------------------------
 *
 * emit.c
 *		makini.emit(): an event of the user's own.  makini.preview_event(): what
 *		is delivered for one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "argument.h"
#include "connection_store.h"
#include "connector/connector.h"
#include "event/event.h"
#include "makini.h"
#include "private.h"

PG_FUNCTION_INFO_V1(makini_emit);
PG_FUNCTION_INFO_V1(makini_preview_event);

/* ---------------------------------------------------------------------
 * emit
 * ---------------------------------------------------------------------
 */

/*
 * The id of a connection that is stored at home, which costs no lock: storing
 * it anew for each event would make its writers queue.
 */
static bool
stored_connection(Oid serverid, pg_uuid_t *id)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {OIDOID, TEXTOID};
	Datum		 values[] = {ObjectIdGetDatum(serverid), CStringGetTextDatum(connection_home())};
	MakiniRights saved;
	bool		 found;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (plan == NULL)
	{
		plan = SPI_prepare("SELECT connection_id FROM makini._connection"
						   " WHERE server_oid = $1 AND home = $2 ORDER BY connection_id",
						   lengthof(types), types);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not look for a connection")));
	}
	SPI_execute_plan(plan, values, NULL, true, 1);
	found = SPI_processed == 1 && private_uuid(0, 1, id);
	SPI_finish();
	makini_rights_restore(&saved);
	return found;
}

pg_uuid_t
event_connection(const char *server)
{
	Oid		  serverid = server_for_use(server)->serverid;
	pg_uuid_t id;

	return stored_connection(serverid, &id) ? id : connection_store(serverid);
}

Datum
makini_emit(PG_FUNCTION_ARGS)
{
	Event	   event = {0};
	pg_uuid_t  connection;
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));
	bool	   raised;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("type and data must not be null")));
	event.type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	event_check_type(event.type);
	if (!PG_ARGISNULL(2))
	{
		connection = event_connection(NameStr(*PG_GETARG_NAME(2)));
		event.connection = &connection;
	}
	event.owner = GetUserId();
	event.key = argument_text_or_null(fcinfo, 3);
	event.dedupe_key = argument_text_or_null(fcinfo, 4);

	*id = event_raise_jsonb(&event, PG_GETARG_JSONB_P(1), &raised);
	PG_RETURN_UUID_P(id);
}

/* ---------------------------------------------------------------------
 * preview_event
 * ---------------------------------------------------------------------
 */

/* Read with the caller's own rights: the view shows what the caller may see. */
static bool
read_visible_event(const pg_uuid_t *id, EventBody *event)
{
	Oid	  types[] = {UUIDOID};
	Datum values[] = {UUIDPGetDatum(id)};

	SPI_execute_with_args("SELECT e.type, e.occurred_at, e.connection_id, c.server_name::text, e.sequence,"
						  " e.data::text"
						  " FROM makini.event e LEFT JOIN makini.connection c USING (connection_id)"
						  " WHERE e.event_id = $1",
						  lengthof(types), types, values, NULL, true, 1);
	if (SPI_processed == 0)
		return false;
	event->event_id = *id;
	event->type = private_text(0, 1);
	event->occurred_at = private_int64(0, 2, 0);
	event->has_connection = private_uuid(0, 3, &event->connection);
	event->server = private_text(0, 4);
	event->sequence = private_int64(0, 5, 0);
	event->data = private_text(0, 6);
	return true;
}

Datum
makini_preview_event(PG_FUNCTION_ARGS)
{
	pg_uuid_t	 *id = PG_GETARG_UUID_P(0);
	const char	 *api_version = text_to_cstring(PG_GETARG_TEXT_PP(1));
	pg_uuid_t	  instance = instance_id();
	EventBody	  event = {0};
	MemoryContext caller = CurrentMemoryContext;
	text		 *body;
	int			  level = NewGUCNestLevel();

	event_check_api_version(api_version);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	if (!read_visible_event(id, &event))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event \"%s\" does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)))),
				 errhint("The view makini.event shows those that you may see.")));
	MemoryContextSwitchTo(caller);
	body = cstring_to_text(event_body(&event, api_version, &instance));
	SPI_finish();
	AtEOXact_GUC(true, level);
	PG_RETURN_TEXT_P(body);
}
