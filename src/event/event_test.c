/*-------------------------------------------------------------------------
 *
 * event_test.c
 *		What the tests of events need and nobody else.  Built only where
 *		MAKINI_TEST is defined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef MAKINI_TEST

#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "connection_store.h"
#include "event/event.h"
#include "event/watch.h"

PG_FUNCTION_INFO_V1(makini_test_backfill);
PG_FUNCTION_INFO_V1(makini_test_own_events);
PG_FUNCTION_INFO_V1(makini_test_system_error);
PG_FUNCTION_INFO_V1(makini_test_watch_ms);
PG_FUNCTION_INFO_V1(makini_test_run_due_watch);

/* As a sync run does it while it loads what was there before. */
Datum
makini_test_backfill(PG_FUNCTION_ARGS)
{
	event_backfill = PG_GETARG_BOOL(0);
	PG_RETURN_VOID();
}

static void
change_of(Oid serverid, const char *type, const char *role, const char *from, const char *to,
		  const EventError *error)
{
	ConnectionChange change = {.type = type,
							   .connection = connection_store(serverid),
							   .server = GetForeignServer(serverid)->servername,
							   .role = role,
							   .from = from,
							   .to = to,
							   .reason = error == NULL ? NULL : "timeout",
							   .error = error,
							   .since = GetCurrentTimestamp(),
							   .owner = GetUserId()};

	event_connection_change(&change);
}

/* One of each that makini raises about a connection and a sync of it. */
Datum
makini_test_own_events(PG_FUNCTION_ARGS)
{
	Oid			   serverid = GetForeignServerByName(NameStr(*PG_GETARG_NAME(0)), false)->serverid;
	int64		   sync_id = PG_GETARG_INT64(1);
	EventError	   error = {"08006", "no answer", 503, "It is tried again.", true};
	EventError	   refused = {"28000", "refused", 0, NULL, false};
	ApiDeprecation deprecation = {.connection = connection_store(serverid),
								  .server = GetForeignServer(serverid)->servername,
								  .path = "/v1/x",
								  .sunset_at = GetCurrentTimestamp() + 30 * USECS_PER_DAY,
								  .told = -1,
								  .now = GetCurrentTimestamp(),
								  .owner = GetUserId()};

	change_of(serverid, "connection.offline", NULL, "online", "offline", &error);
	change_of(serverid, "connection.online", NULL, "offline", "online", NULL);
	change_of(serverid, "connection.auth_required", "public", "ok", "required", &refused);
	change_of(serverid, "connection.auth_restored", "nobody", "required", "ok", NULL);
	event_sync_age(sync_id, true, 0);
	event_sync_age(sync_id, false, 17);
	event_sync_age(-1, true, 0);
	event_api_deprecated(&deprecation);
	event_api_deprecated(&deprecation);
	PG_RETURN_VOID();
}

Datum
makini_test_system_error(PG_FUNCTION_ARGS)
{
	SystemError error = {.component = "test",
						 .code = text_to_cstring(PG_GETARG_TEXT_PP(0)),
						 .message = "something is wrong",
						 .affected = "a thing",
						 .from = GetCurrentTimestamp() - USECS_PER_HOUR,
						 .to = GetCurrentTimestamp(),
						 .owner = GetUserId()};

	event_system_error(&error);
	PG_RETURN_VOID();
}

Datum
makini_test_watch_ms(PG_FUNCTION_ARGS)
{
	watch_ms = PG_GETARG_INT32(0);
	PG_RETURN_VOID();
}

/* As a worker does it. */
Datum
makini_test_run_due_watch(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(watch_run_next(PG_GETARG_TIMESTAMPTZ(0)));
}

#endif /* MAKINI_TEST */
