/*-------------------------------------------------------------------------
 *
 * activate.c
 *		After a restore or a copy: the view makini.instance, and
 *		makini.activate_instance(), which makes this database the home of what
 *		came from elsewhere.
 *
 * OIDs are others here, names are the same.  What is not found by its name
 * keeps the OID 0 and waits for somebody, as if it had been dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "event/event.h"
#include "makini.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_instance_state);
PG_FUNCTION_INFO_V1(makini_activate_instance);

/* Everything that has a home, but connections: those are found by name in any case. */
static const char *const with_home[] = {"_sync", "_rule", "_watch", "_webhook"};

/* ---- the view ---- */

/* How many objects came from elsewhere; connected to SPI. */
static int64
count_foreign(void)
{
	int64 n = 0;

	for (int i = 0; i < (int) lengthof(with_home); i++)
	{
		bool isnull;

		SPI_execute(psprintf("SELECT count(*) FROM makini.%s WHERE home <> makini._home()",
							 with_home[i]),
					true, 1);
		n += DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	return n;
}

static int64
foreign_objects(void)
{
	MakiniRights saved;
	int64		 n;

	makini_rights_of_extension(&saved);
	SPI_connect();
	n = count_foreign();
	SPI_finish();
	makini_rights_restore(&saved);
	return n;
}

/* The state and why; *since: 0 where it is not known. */
static const char *
describe_state(char **reason, TimestampTz *since)
{
	const char *obstacle = instance_obstacle();
	int64		n;

	*since = 0;
	*reason = NULL;
	if (obstacle != NULL && strcmp(obstacle, "standby") == 0)
	{
		*since = PgStartTime;
		*reason = "The server is a standby.";
		return obstacle;
	}
	if (obstacle != NULL)
	{
		*since = PgReloadTime;
		*reason = psprintf("\"makini.run_on\" is \"%s\", this host is not among it.", makini_run_on);
		return obstacle;
	}
	n = foreign_objects();
	if (n == 0)
		return "active";
	*reason = psprintf(INT64_FORMAT " objects came from another system or database and wait for"
									" makini.activate_instance().",
					   n);
	return "restored";
}

Datum
makini_instance_state(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};
	char	   *reason;
	TimestampTz since;
	pg_uuid_t	id = instance_id();

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a row is wanted where none can be")));
	values[0] = UUIDPGetDatum(&id);
	values[1] = CStringGetTextDatum(describe_state(&reason, &since));
	nulls[2] = reason == NULL;
	values[2] = reason == NULL ? (Datum) 0 : CStringGetTextDatum(reason);
	nulls[3] = since == 0;
	values[3] = TimestampTzGetDatum(since);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* ---- activating ---- */

/*
 * New ids for connections that came from elsewhere, wherever they are named: an
 * original that goes on must not be taken for its copy.
 */
static void
renew_connections(void)
{
	SPITupleTable *connections;
	uint64		   n;

	SPI_execute("SELECT connection_id FROM makini._connection WHERE home <> makini._home()", true, 0);
	connections = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		Oid			   types[2] = {UUIDOID, UUIDOID};
		Datum		   values[2];
		bool		   isnull;
		SPITupleTable *tables;
		uint64		   ntables;

		SPI_execute("SELECT pg_catalog.gen_random_uuid()", false, 1);
		values[1] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		values[0] = SPI_getbinval(connections->vals[i], connections->tupdesc, 1, &isnull);
		SPI_execute("SELECT a.attrelid::pg_catalog.regclass::text FROM pg_catalog.pg_attribute a"
					" JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'r'"
					" AND c.relnamespace = 'makini'::pg_catalog.regnamespace"
					" AND a.attname = 'connection_id' AND a.atttypid = 'uuid'::pg_catalog.regtype",
					true, 0);
		tables = SPI_tuptable;
		ntables = SPI_processed;
		for (uint64 t = 0; t < ntables; t++)
			SPI_execute_with_args(psprintf("UPDATE %s SET connection_id = $2 WHERE connection_id = $1",
										   SPI_getvalue(tables->vals[t], tables->tupdesc, 1)),
								  2, types, values, NULL, false, 0);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * What nobody has been told yet: by the original it has been, or will be.  A
 * sender of the original has some in hand, as far as this copy knows.
 */
static void
discard_events(void)
{
	SPI_execute("UPDATE makini._delivery d SET claimed_by = NULL FROM makini._webhook w"
				" WHERE w.webhook_id = d.webhook_id AND w.home <> makini._home() AND d.claimed_by IS NOT NULL",
				false, 0);
	SPI_execute("SELECT makini.cancel_deliveries(webhook_id, 'infinity') FROM makini._webhook",
				false, 0);
	SPI_execute("DELETE FROM makini._event WHERE occurred_at < pg_catalog.now()", false, 0);
}

static void
rehome(void)
{
	static const char *const statements[] = {
		"UPDATE makini._connection c SET home = makini._home(), server_oid = s.oid"
		" FROM pg_catalog.pg_foreign_server s WHERE s.srvname = c.server_name"
		" AND c.home <> makini._home()",
		"UPDATE makini._drain_target d SET target_oid = coalesce(pg_catalog.to_regclass(d.target)::oid, 0)"
		" FROM makini._sync s WHERE s.sync_id = d.sync_id AND s.home <> makini._home()",
		"UPDATE makini._sync SET home = makini._home(),"
		" source_oid = coalesce(pg_catalog.to_regclass(source)::oid, 0),"
		" target_oid = coalesce(pg_catalog.to_regclass(target)::oid, 0),"
		" owner_oid = coalesce(pg_catalog.to_regrole(pg_catalog.quote_ident(owner))::oid, 0),"
		" next_run_at = NULL WHERE home <> makini._home()",
		"UPDATE makini._webhook SET home = makini._home(),"
		" owner_oid = coalesce(pg_catalog.to_regrole(pg_catalog.quote_ident(owner))::oid, 0)"
		" WHERE home <> makini._home()",
	};

	for (int i = 0; i < (int) lengthof(statements); i++)
		SPI_execute(statements[i], false, 0);
}

/* A copy is another installation, and says so to its receivers. */
static void
rehome_instance(bool renew)
{
	SPI_execute(renew ? "UPDATE makini._instance SET home = makini._home(),"
						" instance_id = pg_catalog.gen_random_uuid() WHERE home <> makini._home()" :
						"UPDATE makini._instance SET home = makini._home() WHERE home <> makini._home()",
				false, 0);
}

static bool
wants_discard(const char *events)
{
	if (strcmp(events, "keep") != 0 && strcmp(events, "discard") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not what can become of events", events),
				 errhint("Events that were not delivered yet are either discarded (discard) or"
						 " delivered from here (keep).")));
	return strcmp(events, "discard") == 0;
}

Datum
makini_activate_instance(PG_FUNCTION_ARGS)
{
	MakiniRights saved;
	bool		 discard;
	bool		 renew;
	int64		 n;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("arguments must not be null")));
	discard = wants_discard(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	renew = PG_GETARG_BOOL(1);
	instance_check();

	makini_rights_of_extension(&saved);
	SPI_connect();
	n = count_foreign();
	if (n > 0 && discard)
		discard_events();
	if (renew)
		renew_connections();
	rehome();
	event_rehome(n > 0);
	rehome_instance(renew);
	SPI_finish();
	makini_rights_restore(&saved);
	worker_wake_at_commit();
	PG_RETURN_INT64(n);
}
