/*-------------------------------------------------------------------------
 *
 * replay.c
 *		Deliveries that people cancel or want again.
 *
 * Only what no sender has in hand is touched, and what another transaction has
 * locked is left out: neither ever waits for the other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "makini.h"
#include "private.h"
#include "webhook/webhook.h"

PG_FUNCTION_INFO_V1(makini_cancel_deliveries);
PG_FUNCTION_INFO_V1(makini_replay);
PG_FUNCTION_INFO_V1(makini_replay_webhook);

/* ---- cancelling ---- */

int64
deliveries_cancel(const pg_uuid_t *webhook, TimestampTz before)
{
	Oid	  types[] = {UUIDOID, TIMESTAMPTZOID};
	Datum values[2];

	values[0] = UUIDPGetDatum(webhook);
	values[1] = TimestampTzGetDatum(before);
	return private_query("WITH gone AS (DELETE FROM makini._delivery WHERE (event_id, webhook_id) IN ("
						 "  SELECT d.event_id, d.webhook_id FROM makini._delivery d"
						 "  LEFT JOIN makini._event_log e USING (event_id)"
						 "  WHERE d.webhook_id = $1 AND d.claimed_by IS NULL AND coalesce(e.occurred_at, '-infinity') < $2"
						 "  FOR UPDATE OF d SKIP LOCKED)"
						 " RETURNING *)"
						 " INSERT INTO makini._delivery_done AS o"
						 " (event_id, webhook_id, number, status, attempts, last_status, last_error)"
						 " SELECT event_id, webhook_id, number, 'cancelled', attempts, last_status, last_error FROM gone"
						 " ON CONFLICT (event_id, webhook_id) DO UPDATE SET status = 'cancelled', attempts = excluded.attempts,"
						 " last_status = excluded.last_status, last_error = excluded.last_error",
						 lengthof(types), types, values, NULL);
}

Datum
makini_cancel_deliveries(PG_FUNCTION_ARGS)
{
	pg_uuid_t	*webhook = PG_GETARG_UUID_P(0);
	MakiniRights saved;
	int64		 n;

	makini_rights_of_extension(&saved);
	SPI_connect();
	webhook_lock(webhook, saved.userid);
	n = deliveries_cancel(webhook, PG_GETARG_TIMESTAMPTZ(1));
	webhook_changed(webhook);
	SPI_finish();
	makini_rights_restore(&saved);
	PG_RETURN_INT64(n);
}

/* ---- replaying ---- */

/*
 * Pending again, at once and before its turn, with the number it had.  What is
 * pending already is made due.
 */
#define PUT_AGAIN                                                                                  \
	" gone AS (DELETE FROM makini._delivery_done o USING wanted w"                                 \
	"  WHERE o.event_id = w.event_id AND o.webhook_id = w.webhook_id"                              \
	"  RETURNING o.event_id, o.webhook_id, o.number, o.attempts),"                                 \
	" due AS (UPDATE makini._delivery d SET next_attempt_at = pg_catalog.now(), manual = true"     \
	"  FROM wanted w WHERE d.event_id = w.event_id AND d.webhook_id = w.webhook_id"                \
	"  AND d.claimed_by IS NULL AND d.ordering_key IS NULL),"                                      \
	" put AS (INSERT INTO makini._delivery"                                                        \
	"   (event_id, webhook_id, number, attempts, next_attempt_at, manual)"                         \
	"  SELECT w.event_id, w.webhook_id, g.number, coalesce(g.attempts, 0), pg_catalog.now(), true" \
	"  FROM wanted w LEFT JOIN gone g USING (event_id, webhook_id)"                                \
	"  ON CONFLICT (event_id, webhook_id) DO NOTHING)"                                             \
	" SELECT count(*) FROM wanted"

static int64
put_again(const char *statement, int nargs, Oid *types, Datum *values, const char *nulls)
{
	(void) private_query(statement, nargs, types, values, nulls);
	return private_int64(0, 1, 0);
}

static void
refuse_unknown_event(const pg_uuid_t *event)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("event %s does not exist, or no webhook of yours had it", webhook_id_text(event)),
			 errhint("The views makini.event and makini.delivery list what there is; events that no sender has seen yet are sent anyway.")));
}

/* To one webhook, whether it had the event or not, as long as its owner may have it. */
static int64
replay_to_one(const pg_uuid_t *event, const pg_uuid_t *webhook)
{
	Oid	  types[] = {UUIDOID, UUIDOID};
	Datum values[] = {UUIDPGetDatum(event), UUIDPGetDatum(webhook)};

	if (private_query("SELECT FROM makini._event_log e, makini._webhook w WHERE e.event_id = $1 AND w.webhook_id = $2"
					  " AND makini._event_deliverable(w.owner_oid, e.connection_id, e.owner_oid)",
					  lengthof(types), types, values, NULL) == 0)
		return 0;
	return put_again("WITH wanted AS (SELECT $1 AS event_id, $2 AS webhook_id)," PUT_AGAIN,
					 lengthof(types), types, values, NULL);
}

/* To every webhook of the caller's that had it. */
static int64
replay_to_all(const pg_uuid_t *event, Oid caller)
{
	Oid	  types[] = {UUIDOID, OIDOID};
	Datum values[] = {UUIDPGetDatum(event), ObjectIdGetDatum(caller)};

	return put_again("WITH wanted AS (SELECT o.event_id, o.webhook_id"
					 " FROM (SELECT event_id, webhook_id FROM makini._delivery_done"
					 "  UNION SELECT event_id, webhook_id FROM makini._delivery) o"
					 " JOIN makini._webhook w USING (webhook_id) JOIN makini._event_log e USING (event_id)"
					 " WHERE o.event_id = $1 AND pg_catalog.pg_has_role($2, w.owner_oid, 'USAGE'))," PUT_AGAIN,
					 lengthof(types), types, values, NULL);
}

/* All that have a delivery of it now; not those that somebody else is changing, which are looked at then anyway. */
static void
webhooks_changed_by_event(const pg_uuid_t *event)
{
	Oid			   types[] = {UUIDOID};
	Datum		   values[] = {UUIDPGetDatum(event)};
	uint64		   n = private_query("SELECT webhook_id FROM makini._webhook WHERE webhook_id IN"
											 " (SELECT webhook_id FROM makini._delivery WHERE event_id = $1)"
											 " FOR UPDATE SKIP LOCKED",
									 lengthof(types), types, values, NULL);
	SPITupleTable *found = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;

		webhook_changed(DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 1, &isnull)));
	}
}

Datum
makini_replay(PG_FUNCTION_ARGS)
{
	pg_uuid_t	*event;
	MakiniRights saved;
	int64		 n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	event = PG_GETARG_UUID_P(0);
	makini_rights_of_extension(&saved);
	SPI_connect();
	if (PG_ARGISNULL(1))
		n = replay_to_all(event, saved.userid);
	else
	{
		webhook_lock(PG_GETARG_UUID_P(1), saved.userid);
		n = replay_to_one(event, PG_GETARG_UUID_P(1));
	}
	if (n == 0)
		refuse_unknown_event(event);
	webhooks_changed_by_event(event);
	SPI_finish();
	makini_rights_restore(&saved);
	PG_RETURN_INT64(n);
}

static bool
wants_all(const char *only_state)
{
	if (strcmp(only_state, "all") == 0)
		return true;
	if (strcmp(only_state, "undelivered") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a state of deliveries to replay", only_state),
				 errhint("It is undelivered or all.")));
	return false;
}

/*
 * Events of the span that the webhook would get: those it had, and those before
 * it was made that its patterns fit.
 */
static int64
replay_span(const pg_uuid_t *webhook, TimestampTz since, TimestampTz until, Datum events,
			bool any_event, bool all)
{
	Oid	  types[] = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, BOOLOID};
	Datum values[5];
	char  nulls[] = "     ";

	values[0] = UUIDPGetDatum(webhook);
	values[1] = TimestampTzGetDatum(since);
	values[2] = TimestampTzGetDatum(until);
	values[3] = events;
	nulls[3] = any_event ? 'n' : ' ';
	values[4] = BoolGetDatum(all);
	return put_again("WITH wanted AS (SELECT e.event_id, w.webhook_id"
					 " FROM makini._webhook w CROSS JOIN makini._event_log e"
					 " LEFT JOIN makini._delivery_done o ON o.event_id = e.event_id AND o.webhook_id = w.webhook_id"
					 " WHERE w.webhook_id = $1 AND e.occurred_at >= $2 AND e.occurred_at <= $3"
					 " AND ($5 OR o.status IS DISTINCT FROM 'delivered')"
					 " AND makini._event_matches(e.type, coalesce($4, w.events))"
					 " AND makini._event_matches(e.type, w.events)"
					 " AND (o.event_id IS NOT NULL OR w.filter IS NULL AND '*' = ANY (w.connections)"
					 "  AND makini._event_deliverable(w.owner_oid, e.connection_id, e.owner_oid)))," PUT_AGAIN,
					 lengthof(types), types, values, nulls);
}

Datum
makini_replay_webhook(PG_FUNCTION_ARGS)
{
	pg_uuid_t	*webhook;
	MakiniRights saved;
	bool		 all;
	int64		 n;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(4))
		PG_RETURN_NULL();
	webhook = PG_GETARG_UUID_P(0);
	all = wants_all(text_to_cstring(PG_GETARG_TEXT_PP(4)));
	makini_rights_of_extension(&saved);
	SPI_connect();
	webhook_lock(webhook, saved.userid);
	n = replay_span(webhook, PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_TIMESTAMPTZ(2),
					PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3), PG_ARGISNULL(3), all);
	webhook_changed(webhook);
	SPI_finish();
	makini_rights_restore(&saved);
	PG_RETURN_INT64(n);
}
