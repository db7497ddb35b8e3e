/*-------------------------------------------------------------------------
 *
 * record.c
 *		What came of deliveries: what it means for their webhook, and the rows
 *		that say so, written in batches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "interval_setting.h"
#include "makini.h"
#include "private.h"
#include "webhook/batch.h"
#include "webhook/deliver.h"

#define JITTER 0.2
#define STATE_EVERY_MS 500
/* After failing for this long the first success makes due what waits. */
#define LONG_FAILURE (60 * USECS_PER_SEC)
#define MAX_PAUSE_MS 60000
#define FIRST_PAUSE_MS 1000

/* ---- what an outcome means for its webhook ---- */

static void
note_success(Endpoint *endpoint, const Outcome *outcome, TimestampTz now)
{
	endpoint->last_success = now;
	if (endpoint->failing_since != 0)
	{
		endpoint->recovered |= endpoint->failing_since < now - LONG_FAILURE;
		endpoint->state_written = 0;
	}
	endpoint->failing_since = 0;
	endpoint->failures = 0;
	endpoint->paused_until = 0;
	endpoint->mean_ms += (outcome->duration_ms - endpoint->mean_ms) / 16;
	latency_note(endpoint->latency, outcome->duration_ms);
}

static void
disable(Endpoint *endpoint, const char *why)
{
	if (endpoint->disabling || !endpoint->present || !endpoint->enabled)
		return;
	endpoint->disabling = true;
	endpoint->disable_why = MemoryContextStrdup(endpoint->context, why);
}

/* Who says that it is too much for him, or is not there, is left alone for a while. */
static int64
pause_of(const Endpoint *endpoint, const Outcome *outcome)
{
	switch (outcome->status)
	{
		case 429:
		case 502:
		case 503:
		case 504:
			if (outcome->retry_after >= 0)
				return Min(outcome->retry_after, MAX_PAUSE_MS);
			return Min((int64) FIRST_PAUSE_MS << Min(endpoint->failures / 4, 10), MAX_PAUSE_MS);
		default:
			return 0;
	}
}

static void
note_failure(Endpoint *endpoint, const Outcome *outcome, TimestampTz now)
{
	int64 limit = interval_length(webhook_disable_after);

	endpoint->last_failure = now;
	endpoint->failures++;
	endpoint->mean_ms += (outcome->duration_ms - endpoint->mean_ms) / 16;
	endpoint->paused_until =
		Max(endpoint->paused_until, TimestampTzPlusMilliseconds(now, pause_of(endpoint, outcome)));
	if (endpoint->failing_since == 0)
	{
		endpoint->failing_since = now;
		endpoint->state_written = 0;
	}
	if (outcome->status == 410)
		disable(endpoint, "it answered 410 Gone");
	else if (limit > 0 && endpoint->failing_since <= now - limit)
		disable(endpoint,
				psprintf("it has only failed since %s", timestamptz_to_str(endpoint->failing_since)));
}

void
record_note(Endpoint *endpoint, const Outcome *outcome)
{
	TimestampTz now = GetCurrentTimestamp();

	endpoint->state_dirty = true;
	endpoint->unresolved = outcome->unresolved;
	if (outcome->delivered)
		note_success(endpoint, outcome, now);
	else
		note_failure(endpoint, outcome, now);
}

/* ---- what becomes of a delivery ---- */

static const char *
final_status(const Delivery *delivery)
{
	switch (delivery->end)
	{
		case END_EVENT_GONE:
			return "cancelled";
		case END_QUARANTINED:
			return "failed";
		case END_UNSENT:
			return NULL;
		case END_ANSWERED:
			break;
	}
	if (delivery->outcome.delivered)
		return "delivered";
	if (delivery->outcome.status == 410 || delivery->attempts >= delivery->endpoint->options.nsteps)
		return "failed";
	return NULL;
}

static const char *
error_of(const Delivery *delivery)
{
	switch (delivery->end)
	{
		case END_EVENT_GONE:
			return "the event is no longer kept";
		case END_QUARANTINED:
			return "quarantined: three times the sender ended while it had this delivery in hand";
		case END_UNSENT:
		case END_ANSWERED:
			break;
	}
	return delivery->outcome.error;
}

/* The schedule with its jitter, or later where the other side asked for that. */
static TimestampTz
next_attempt_of(const Delivery *delivery, TimestampTz now)
{
	int64  step = delivery->endpoint->options.steps[delivery->attempts];
	double factor = 1 - JITTER + 2 * JITTER * pg_prng_double(&pg_global_prng_state);
	int64  delay = (int64) (step * factor);

	if (delivery->end == END_UNSENT)
		return now;
	if (delivery->outcome.retry_after > 0)
		delay = Max(delay, delivery->outcome.retry_after * 1000);
	return now + delay;
}

static int
length_of(dlist_head *list)
{
	dlist_iter it;
	int		   n = 0;

	dlist_foreach(it, list)
		n++;
	return n;
}

static void
write_attempts(dlist_head *finished, int n)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, UUIDOID, INT4OID, TIMESTAMPTZOID, INT4OID,
								 INT4OID, TEXTOID, TEXTOID, BOOLOID};
	Batch			  batch;
	dlist_iter		  it;

	batch_init(&batch, n, types, lengthof(types));
	dlist_foreach(it, finished)
	{
		Delivery *delivery = dlist_container(Delivery, node, it.cur);
		Outcome	 *outcome = &delivery->outcome;

		if (delivery->end != END_ANSWERED)
			continue;
		batch_begin_row(&batch);
		batch_set(&batch, 0, UUIDPGetDatum(&delivery->event_id));
		batch_set(&batch, 1, UUIDPGetDatum(&delivery->endpoint->id));
		batch_set(&batch, 2, Int32GetDatum(delivery->attempts + 1));
		batch_set(&batch, 3, TimestampTzGetDatum(outcome->started_at));
		batch_set(&batch, 4, Int32GetDatum(outcome->duration_ms));
		if (outcome->status != 0)
			batch_set(&batch, 5, Int32GetDatum(outcome->status));
		batch_set_text(&batch, 6, outcome->error);
		batch_set_text(&batch, 7, outcome->response);
		batch_set(&batch, 8, BoolGetDatum(delivery->manual));
		batch_end_row(&batch);
	}
	(void) batch_execute(&plan,
						 "INSERT INTO makini._delivery_attempt"
						 " (event_id, webhook_id, attempt, started_at, duration_ms, status, error, response, manual)"
						 " SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)",
						 &batch, 0, NULL, NULL);
}

/* The row goes from the table of what is pending to that of what is done. */
static void
write_done(dlist_head *finished, int n, int64 sender)
{
	static SPIPlanPtr plan = NULL;
	Oid	  types[] = {UUIDOID, UUIDOID, INT8OID, TEXTOID, INT4OID, TIMESTAMPTZOID, INT4OID, TEXTOID};
	Oid	  extra_types[] = {INT8OID};
	Datum extra[] = {Int64GetDatum(sender)};
	Batch batch;
	dlist_iter it;

	batch_init(&batch, n, types, lengthof(types));
	dlist_foreach(it, finished)
	{
		Delivery   *delivery = dlist_container(Delivery, node, it.cur);
		const char *status = final_status(delivery);
		Outcome	   *outcome = &delivery->outcome;

		if (status == NULL)
			continue;
		batch_begin_row(&batch);
		batch_set(&batch, 0, UUIDPGetDatum(&delivery->event_id));
		batch_set(&batch, 1, UUIDPGetDatum(&delivery->endpoint->id));
		batch_set(&batch, 2, Int64GetDatum(delivery->number));
		batch_set_text(&batch, 3, status);
		batch_set(&batch, 4, Int32GetDatum(delivery->attempts + (delivery->end == END_ANSWERED)));
		if (outcome->delivered)
			batch_set(&batch, 5,
					  TimestampTzGetDatum(
						  TimestampTzPlusMilliseconds(outcome->started_at, outcome->duration_ms)));
		if (outcome->status != 0)
			batch_set(&batch, 6, Int32GetDatum(outcome->status));
		batch_set_text(&batch, 7, error_of(delivery));
		batch_end_row(&batch);
	}
	(void) batch_execute(&plan,
						 "WITH r AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)"
						 "  AS r(event_id, webhook_id, number, status, attempts, delivered_at, last_status, last_error)),"
						 " gone AS (DELETE FROM makini._delivery d USING r WHERE d.event_id = r.event_id"
						 "  AND d.webhook_id = r.webhook_id AND d.claimed_by = $9)"
						 " INSERT INTO makini._delivery_done AS o"
						 " (event_id, webhook_id, number, status, attempts, delivered_at, last_status, last_error)"
						 " SELECT * FROM r ON CONFLICT (event_id, webhook_id) DO UPDATE"
						 " SET number = excluded.number, status = excluded.status, attempts = excluded.attempts,"
						 " delivered_at = coalesce(excluded.delivered_at, o.delivered_at),"
						 " last_status = excluded.last_status, last_error = excluded.last_error",
						 &batch, lengthof(extra), extra_types, extra);
}

static void
write_pending(dlist_head *finished, int n, int64 sender)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, UUIDOID, INT4OID, TIMESTAMPTZOID, INT4OID, TEXTOID};
	Oid				  extra_types[] = {INT8OID};
	Datum			  extra[] = {Int64GetDatum(sender)};
	TimestampTz		  now = GetCurrentTimestamp();
	Batch			  batch;
	dlist_iter		  it;

	batch_init(&batch, n, types, lengthof(types));
	dlist_foreach(it, finished)
	{
		Delivery   *delivery = dlist_container(Delivery, node, it.cur);
		TimestampTz next;

		if (final_status(delivery) != NULL)
			continue;
		next = next_attempt_of(delivery, now);
		delivery->endpoint->next_due = Min(delivery->endpoint->next_due, next);
		batch_begin_row(&batch);
		batch_set(&batch, 0, UUIDPGetDatum(&delivery->event_id));
		batch_set(&batch, 1, UUIDPGetDatum(&delivery->endpoint->id));
		batch_set(&batch, 2, Int32GetDatum(delivery->attempts + (delivery->end == END_ANSWERED)));
		batch_set(&batch, 3, TimestampTzGetDatum(next));
		if (delivery->outcome.status != 0)
			batch_set(&batch, 4, Int32GetDatum(delivery->outcome.status));
		batch_set_text(&batch, 5, delivery->outcome.error);
		batch_end_row(&batch);
	}
	(void) batch_execute(&plan,
						 "UPDATE makini._delivery d SET attempts = r.attempts, next_attempt_at = r.next_attempt_at,"
						 " claimed_by = NULL, crashes = 0, last_status = r.last_status, last_error = r.last_error"
						 " FROM unnest($1, $2, $3, $4, $5, $6)"
						 "  AS r(event_id, webhook_id, attempts, next_attempt_at, last_status, last_error)"
						 " WHERE d.event_id = r.event_id AND d.webhook_id = r.webhook_id AND d.claimed_by = $7",
						 &batch, lengthof(extra), extra_types, extra);
}

/*
 * The next of each ordering_key that has lost its first, and none behind it where
 * somebody holds it: whether there is such a one is returned.
 */
static bool
promote(dlist_head *finished, int n)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, TEXTOID};
	Batch			  batch;
	dlist_iter		  it;

	batch_init(&batch, n, types, lengthof(types));
	dlist_foreach(it, finished)
	{
		Delivery *delivery = dlist_container(Delivery, node, it.cur);

		if (delivery->ordering_key == NULL || final_status(delivery) == NULL)
			continue;
		delivery->endpoint->backlog = true;
		batch_begin_row(&batch);
		batch_set(&batch, 0, UUIDPGetDatum(&delivery->endpoint->id));
		batch_set_text(&batch, 1, delivery->ordering_key);
		batch_end_row(&batch);
	}
	return batch_execute(&plan,
						 "WITH first AS (SELECT q.event_id, q.webhook_id FROM unnest($1, $2) AS g(webhook_id, ordering_key)"
						 "  CROSS JOIN LATERAL (SELECT d.event_id, d.webhook_id, d.next_attempt_at FROM makini._delivery d"
						 "   WHERE d.webhook_id = g.webhook_id AND d.ordering_key = g.ordering_key"
						 "   ORDER BY d.number LIMIT 1) q WHERE q.next_attempt_at = 'infinity')" CLAIM_PUT_FIRST,
						 &batch, 0, NULL, NULL) > 0 &&
		private_bool(0, 1);
}

/* ---- events of the sender's own ---- */

static void
raise_quarantined(const Delivery *delivery)
{
	SystemError error =
		{.component = "webhook",
		 .code = "delivery_quarantined",
		 .message =
			 "a delivery was given up because three times the sender ended while it had it in hand",
		 .hint = "The server's log says why it ended; makini.replay() sends the event again.",
		 .affected = psprintf("webhook %s, event %s", webhook_id_text(&delivery->endpoint->id),
							  webhook_id_text(&delivery->event_id)),
		 .owner = delivery->endpoint->owner};

	event_system_error(&error);
}

static void
raise_disabled(const Endpoint *endpoint)
{
	StringInfoData data;
	Event		   event = {.type = "webhook.disabled", .owner = endpoint->owner};
	Oid			   types[] = {UUIDOID};
	Datum		   values[] = {UUIDPGetDatum(&endpoint->id)};
	bool		   raised;

	(void) private_query("SELECT count(*) FROM makini._delivery WHERE webhook_id = $1", 1, types,
						 values, NULL);
	initStringInfo(&data);
	appendStringInfo(&data, "{\"webhook_id\":\"%s\",\"url\":", webhook_id_text(&endpoint->id));
	event_append_text(&data, endpoint->url);
	event_append_member(&data, ",\"reason\":", endpoint->disable_why);
	appendStringInfoString(&data, ",\"since\":");
	event_append_moment(&data,
						endpoint->failing_since != 0 ? endpoint->failing_since : GetCurrentTimestamp());
	appendStringInfo(&data, ",\"pending\":" INT64_FORMAT "}", private_int64(0, 1, 0));
	event.data = data.data;
	(void) event_raise(&event, &raised);
}

/* Not waiting for who is changing the webhook just now, nor where somebody has: then it is for the next time. */
static void
write_disabled(Endpoint *endpoint)
{
	Oid	  types[] = {UUIDOID, TEXTOID, INT4OID};
	Datum values[3];

	values[0] = UUIDPGetDatum(&endpoint->id);
	values[1] = CStringGetTextDatum(endpoint->disable_why);
	values[2] = Int32GetDatum(endpoint->version);
	if (private_query("UPDATE makini._webhook SET enabled = false, disabled_reason = $2 WHERE webhook_id IN ("
					  "SELECT webhook_id FROM makini._webhook WHERE webhook_id = $1 AND enabled AND version = $3 FOR UPDATE SKIP LOCKED)",
					  lengthof(types), types, values, NULL) == 0)
		return;
	ereport(LOG,
			(errmsg("webhook %s was disabled: %s", webhook_id_text(&endpoint->id),
					endpoint->disable_why)));
	raise_disabled(endpoint);
	endpoint->enabled = false;
	webhook_changed(&endpoint->id);
}

/* ---- how webhooks are doing ---- */

static Datum
latency_array(const Endpoint *endpoint)
{
	Datum values[LATENCY_BUCKETS];

	for (int i = 0; i < LATENCY_BUCKETS; i++)
		values[i] = Int32GetDatum(endpoint->latency[i]);
	return PointerGetDatum(construct_array(values, LATENCY_BUCKETS, INT4OID, 4, true, TYPALIGN_INT));
}

static void
write_state(Endpoint *endpoint)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4ARRAYOID};
	Datum values[6];
	char  nulls[] = "      ";

	values[0] = UUIDPGetDatum(&endpoint->id);
	values[1] = TimestampTzGetDatum(endpoint->last_success);
	nulls[1] = endpoint->last_success == 0 ? 'n' : ' ';
	values[2] = TimestampTzGetDatum(endpoint->last_failure);
	nulls[2] = endpoint->last_failure == 0 ? 'n' : ' ';
	values[3] = TimestampTzGetDatum(endpoint->failing_since);
	nulls[3] = endpoint->failing_since == 0 ? 'n' : ' ';
	values[4] = Int32GetDatum(endpoint->failures);
	values[5] = latency_array(endpoint);
	SPI_execute_plan(sender_plan(&plan,
								 "UPDATE makini._webhook_state SET last_success_at = $2, last_failure_at = $3, failing_since = $4,"
								 " consecutive_failures = $5, latency = $6 WHERE webhook_id = $1",
								 lengthof(types), types),
					 values, nulls, false, 0);
}

/* What waits for its next attempt is due when the other side is well again. */
static void
write_recovered(Endpoint *endpoint)
{
	Oid	  types[] = {UUIDOID};
	Datum values[] = {UUIDPGetDatum(&endpoint->id)};

	(void) private_query("UPDATE makini._delivery SET next_attempt_at = pg_catalog.clock_timestamp()"
						 " WHERE (event_id, webhook_id) IN (SELECT event_id, webhook_id FROM makini._delivery"
						 "  WHERE webhook_id = $1 AND claimed_by IS NULL AND next_attempt_at > pg_catalog.clock_timestamp()"
						 "  AND next_attempt_at < 'infinity' FOR UPDATE SKIP LOCKED)",
						 1, types, values, NULL);
	endpoint->backlog = true;
}

typedef struct StateWriter
{
	bool		all;
	TimestampTz now;
} StateWriter;

static void
write_state_if_due(Endpoint *endpoint, void *arg)
{
	StateWriter *writer = arg;

	if (!endpoint->present)
		return;
	if (endpoint->disabling)
		write_disabled(endpoint);
	if (endpoint->recovered)
		write_recovered(endpoint);
	endpoint->recovered = false;
	if (!endpoint->state_dirty ||
		(!writer->all &&
		 !TimestampDifferenceExceeds(endpoint->state_written, writer->now, STATE_EVERY_MS)))
		return;
	write_state(endpoint);
	endpoint->state_written = writer->now;
	endpoint->state_dirty = false;
}

void
record_states(bool all)
{
	StateWriter writer = {.all = all, .now = GetCurrentTimestamp()};

	endpoints_visit(write_state_if_due, &writer);
}

/* ---- all of it ---- */

bool
record_finished(dlist_head *finished, int64 sender)
{
	int		   n = length_of(finished);
	bool	   stuck;
	dlist_iter it;

	if (n == 0)
		return false;
	write_attempts(finished, n);
	write_done(finished, n, sender);
	write_pending(finished, n, sender);
	stuck = promote(finished, n);
	dlist_foreach(it, finished)
	{
		Delivery *delivery = dlist_container(Delivery, node, it.cur);

		if (delivery->end == END_QUARANTINED)
			raise_quarantined(delivery);
	}
	return stuck;
}

void
record_acquitted(const Delivery *delivery)
{
	Oid	  types[] = {UUIDOID, UUIDOID};
	Datum values[] = {UUIDPGetDatum(&delivery->event_id), UUIDPGetDatum(&delivery->endpoint->id)};

	(void) private_query("UPDATE makini._delivery SET crashes = 0 WHERE event_id = $1 AND webhook_id = $2",
						 lengthof(types), types, values, NULL);
}
