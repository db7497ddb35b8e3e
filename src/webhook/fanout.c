/*-------------------------------------------------------------------------
 *
 * fanout.c
 *		From a new event to the deliveries of it.
 *
 * A delivery is put into the table by the transaction that moves its event from
 * the outbox to the log, so an event is never without the deliveries that it
 * should have.  Where its webhook has room it is put there claimed: most
 * deliveries are inserted and deleted, and never updated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "makini.h"
#include "webhook/batch.h"
#include "webhook/deliver.h"
#include "webhook/sender.h"

/* A delivery to be put into the table. */
typedef struct Line
{
	EventRow   *event;
	Endpoint   *endpoint;
	int64		number;
	char	   *ordering_key; /* or NULL */
	bool		claimed;
	bool		waits;	/* for another of its ordering_key */
	const char *broken; /* the filter failed for it */
} Line;

typedef struct Fanout
{
	EventRow   *events;
	int			nevents;
	Line	   *lines;
	int			nlines;
	int			size;
	TimestampTz now;
} Fanout;

/* ---- who wants what ---- */

static bool
matches_any(char **patterns, int n, const char *text)
{
	for (int i = 0; i < n; i++)
	{
		if (pattern_matches(patterns[i], text))
			return true;
	}
	return false;
}

/* Without a connection an event goes only where every connection is meant. */
static bool
connection_matches(const Endpoint *endpoint, EventRow *event)
{
	const char *server = event_row_server(event);

	for (int i = 0; i < endpoint->nconnections; i++)
	{
		const char *pattern = endpoint->connections[i];

		if (strcmp(pattern, "*") == 0 || (server != NULL && pattern_matches(pattern, server)))
			return true;
	}
	return false;
}

/* Whether an event of a sync says that nothing changed. */
static bool
is_empty(const EventRow *event)
{
	static const char *const counts[] = {"inserted", "updated", "deleted", "rejected"};
	JsonbValue				 rows;
	JsonbValue				 count;

	if (strcmp(event->type, "sync.completed") != 0 ||
		getKeyJsonValueFromContainer(&DatumGetJsonbP(event->data)->root, "rows", 4, &rows) == NULL ||
		rows.type != jbvBinary)
		return false;
	for (int i = 0; i < (int) lengthof(counts); i++)
	{
		if (getKeyJsonValueFromContainer(rows.val.binary.data, counts[i], strlen(counts[i]),
										 &count) != NULL &&
			count.type == jbvNumeric &&
			strcmp(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(count.val.numeric))),
				   "0") != 0)
			return false;
	}
	return true;
}

/* That a webhook was disabled is told to the others. */
static bool
is_about_itself(const Endpoint *endpoint, const EventRow *event)
{
	JsonbValue id;

	if (strcmp(event->type, "webhook.disabled") != 0 ||
		getKeyJsonValueFromContainer(&DatumGetJsonbP(event->data)->root, "webhook_id", 10, &id) == NULL ||
		id.type != jbvString)
		return false;
	return strncmp(webhook_id_text(&endpoint->id), id.val.string.val, id.val.string.len) == 0;
}

/* Verdicts of event_deliverable(), which asks catalogues, for one endpoint. */
typedef struct Verdict
{
	bool	  has_connection;
	pg_uuid_t connection;
	Oid		  owner;
	bool	  deliverable;
} Verdict;

static bool
may_have(const Endpoint *endpoint, const EventRow *event, List **verdicts)
{
	ListCell *cell;
	Verdict	 *verdict;

	foreach(cell, *verdicts)
	{
		verdict = lfirst(cell);
		if (verdict->has_connection == event->has_connection && verdict->owner == event->owner &&
			(!event->has_connection ||
			 memcmp(&verdict->connection, &event->connection, sizeof(pg_uuid_t)) == 0))
			return verdict->deliverable;
	}
	verdict = palloc0(sizeof(Verdict));
	verdict->has_connection = event->has_connection;
	verdict->connection = event->connection;
	verdict->owner = event->owner;
	verdict->deliverable =
		event_deliverable(endpoint->owner, event->has_connection ? &event->connection : NULL,
						  event->owner);
	*verdicts = lappend(*verdicts, verdict);
	return verdict->deliverable;
}

static char *
ordering_key_of(const Endpoint *endpoint, const EventRow *event)
{
	char *connection = event->has_connection ? webhook_id_text(&event->connection) : NULL;

	if (endpoint->options.ordering == ORDERING_CONNECTION)
		return connection;
	if (endpoint->options.ordering == ORDERING_KEY && event->key != NULL)
		return psprintf("%s/%s", connection != NULL ? connection : "", event_index_key(event->key));
	return NULL;
}

static void
add_line(Fanout *fanout, Endpoint *endpoint, EventRow *event)
{
	Line *line;

	if (fanout->nlines == fanout->size)
	{
		fanout->size = Max(fanout->size * 2, 256);
		fanout->lines = fanout->lines == NULL ? palloc(fanout->size * sizeof(Line)) :
												repalloc(fanout->lines, fanout->size * sizeof(Line));
	}
	line = &fanout->lines[fanout->nlines++];
	memset(line, 0, sizeof(*line));
	line->event = event;
	line->endpoint = endpoint;
	line->ordering_key = ordering_key_of(endpoint, event);
}

/* ---- filters ---- */

static Jsonb *
envelope_of(EventRow *event)
{
	StringInfoData text;
	char		  *envelope = event_row_body(event, MAKINI_API_VERSION, "{}");

	initStringInfo(&text);
	/* without its data, with its key */
	appendBinaryStringInfo(&text, envelope, strlen(envelope) - strlen(",\"data\":{}}"));
	event_append_member(&text, ",\"key\":", event->key);
	appendStringInfoChar(&text, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
}

/* What was not judged is not sent, and not lost either. */
static void
break_lines(Fanout *fanout, int first, const char *why)
{
	for (int i = first; i < fanout->nlines; i++)
		fanout->lines[i].broken = why;
}

/* Judge the lines from first on, all of one endpoint, and leave those out that its filter does not want. */
static void
apply_filter(Fanout *fanout, Endpoint *endpoint, int first)
{
	int			   n = fanout->nlines - first;
	Line		  *lines = fanout->lines + first;
	Datum		  *events = palloc(n * sizeof(Datum));
	Datum		  *data = palloc(n * sizeof(Datum));
	FilterVerdict *verdicts = palloc0(n * sizeof(FilterVerdict));
	const char	  *message;
	bool		   timed_out;
	int			   kept = 0;

	for (int i = 0; i < n; i++)
	{
		events[i] = JsonbPGetDatum(envelope_of(lines[i].event));
		data[i] = lines[i].event->data;
	}
	author_park(sender_end_for, endpoint);
	message = filter_judge(&endpoint->filter, n, events, data, verdicts, &timed_out);
	for (int i = 0; i < n; i++)
	{
		if (timed_out || verdicts[i] == FILTER_BROKEN)
			lines[i].broken = message;
		else if (verdicts[i] == FILTER_NO)
			continue;
		lines[kept++] = lines[i];
	}
	fanout->nlines = first + kept;
	if (timed_out)
	{
		endpoint->disabling = true;
		endpoint->disable_why = MemoryContextStrdup(endpoint->context, message);
	}
}

/* ---- numbers and order ---- */

/* Only the first of an ordering_key may be sent. */
static void
put_in_line(Fanout *fanout, int first)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, TEXTOID};

	for (int i = first; i < fanout->nlines; i++)
	{
		Line *line = &fanout->lines[i];
		Datum values[2];

		if (line->ordering_key == NULL)
			continue;
		for (int j = first; j < i && !line->waits; j++)
			line->waits = fanout->lines[j].ordering_key != NULL &&
				strcmp(fanout->lines[j].ordering_key, line->ordering_key) == 0;
		if (line->waits)
			continue;
		values[0] = UUIDPGetDatum(&line->endpoint->id);
		values[1] = CStringGetTextDatum(line->ordering_key);
		SPI_execute_plan(sender_plan(&plan,
									 "SELECT FROM makini._delivery WHERE webhook_id = $1 AND ordering_key = $2 LIMIT 1",
									 lengthof(types), types),
						 values, NULL, false, 1);
		line->waits = SPI_processed > 0;
	}
}

/* Numbers, and which are claimed at once: not before what has waited for longer. */
static void
number_lines(Fanout *fanout, Endpoint *endpoint, int first)
{
	int	  n = fanout->nlines - first;
	int	  room = endpoint->backlog ? 0 : endpoint_wants(endpoint, fanout->now);
	int64 last = claim_numbers(endpoint, n);

	for (int i = 0; i < n; i++)
	{
		Line *line = &fanout->lines[first + i];

		line->number = last - n + 1 + i;
		if (line->broken != NULL || line->waits)
			continue;
		line->claimed = room-- > 0;
		if (!line->claimed)
			endpoint->backlog = true;
	}
}

static void
choose_for_endpoint(Endpoint *endpoint, void *arg)
{
	Fanout *fanout = arg;
	List   *verdicts = NIL;
	int		first = fanout->nlines;

	if (!endpoint->present)
		return;
	for (int i = 0; i < fanout->nevents; i++)
	{
		EventRow *event = &fanout->events[i];

		if (matches_any(endpoint->events, endpoint->nevents, event->type) &&
			connection_matches(endpoint, event) && may_have(endpoint, event, &verdicts) &&
			!(endpoint->options.skip_empty && is_empty(event)) && !is_about_itself(endpoint, event))
			add_line(fanout, endpoint, event);
	}
	if (endpoint->filter_broken != NULL)
		break_lines(fanout, first, endpoint->filter_broken);
	else if (fanout->nlines > first && endpoint->filter.text != NULL)
		apply_filter(fanout, endpoint, first);
	if (fanout->nlines == first)
		return;
	if (endpoint->options.ordering != ORDERING_NONE)
		put_in_line(fanout, first);
	number_lines(fanout, endpoint, first);
}

/* ---- into the table ---- */

static TimestampTz
first_attempt_of(const Line *line, TimestampTz now)
{
	if (line->waits)
		return DT_NOEND;
	return line->claimed ? claim_lease(line->endpoint, now) : now;
}

static void
insert_pending(const Fanout *fanout, int64 sender)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, UUIDOID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT8OID};
	Batch			  batch;

	batch_init(&batch, fanout->nlines, types, lengthof(types));
	for (int i = 0; i < fanout->nlines; i++)
	{
		Line *line = &fanout->lines[i];

		if (line->broken != NULL)
			continue;
		batch_begin_row(&batch);
		batch_set(&batch, 0, UUIDPGetDatum(&line->event->id));
		batch_set(&batch, 1, UUIDPGetDatum(&line->endpoint->id));
		batch_set(&batch, 2, Int64GetDatum(line->number));
		batch_set_text(&batch, 3, line->ordering_key);
		batch_set(&batch, 4, TimestampTzGetDatum(first_attempt_of(line, fanout->now)));
		if (line->claimed)
			batch_set(&batch, 5, Int64GetDatum(sender));
		batch_end_row(&batch);
	}
	(void) batch_execute(&plan,
						 "INSERT INTO makini._delivery (event_id, webhook_id, number, ordering_key, next_attempt_at, claimed_by)"
						 " SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
						 &batch, 0, NULL, NULL);
}

/* What a filter failed for is not lost: it can be seen, and sent by replay(). */
static void
insert_broken(const Line *line)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, UUIDOID, INT8OID, TEXTOID};
	Datum			  values[4];

	values[0] = UUIDPGetDatum(&line->event->id);
	values[1] = UUIDPGetDatum(&line->endpoint->id);
	values[2] = Int64GetDatum(line->number);
	values[3] = CStringGetTextDatum(psprintf("filter: %s", line->broken));
	SPI_execute_plan(sender_plan(&plan,
								 "INSERT INTO makini._delivery_done (event_id, webhook_id, number, status, attempts, last_error)"
								 " VALUES ($1, $2, $3, 'failed', 0, $4) ON CONFLICT DO NOTHING",
								 lengthof(types), types),
					 values, NULL, false, 0);
}

static void
take_claimed(Line *line, TimestampTz now, dlist_head *claimed)
{
	Delivery *delivery = delivery_claimed(line->endpoint, message_of(line->event, line->endpoint),
										  &line->event->id, now, claimed);

	delivery->number = line->number;
	if (line->ordering_key != NULL)
		delivery->ordering_key = strdup(line->ordering_key);
}

static void
announce(const Fanout *fanout)
{
	EventRow *first = &fanout->events[0];
	EventRow *last = &fanout->events[fanout->nevents - 1];

	if (fanout->nevents == 1)
		event_announce_after(event_announcement(&first->id, first->type,
												first->has_connection ? &first->connection : NULL));
	else
		event_announce_after(event_announcement_of_many(fanout->nevents, &first->id, &last->id));
}

/*
 * Whoever makes a webhook and then an event has both, so what webhooks there are
 * is looked at with a snapshot from after the events were taken.
 */
static bool
look_at_webhooks(void)
{
	bool refreshed;

	PushActiveSnapshot(GetTransactionSnapshot());
	endpoints_check();
	refreshed = endpoints_refresh();
	if (refreshed)
		webhook_store_instance();
	PopActiveSnapshot();
	return refreshed;
}

int
fanout(int limit, int64 sender, dlist_head *claimed, bool *refreshed)
{
	Fanout fanout = {.now = GetCurrentTimestamp()};

	*refreshed = false;
	fanout.nevents = (int) event_sequence_new(limit);
	if (fanout.nevents == 0)
		return 0;
	fanout.events = palloc(fanout.nevents * sizeof(EventRow));
	for (int i = 0; i < fanout.nevents; i++)
		event_row_read(&fanout.events[i], i, 1);
	SPI_freetuptable(SPI_tuptable);
	*refreshed = look_at_webhooks();
	endpoints_visit(choose_for_endpoint, &fanout);
	insert_pending(&fanout, sender);
	for (int i = 0; i < fanout.nlines; i++)
	{
		if (fanout.lines[i].broken != NULL)
			insert_broken(&fanout.lines[i]);
		else if (fanout.lines[i].claimed)
			take_claimed(&fanout.lines[i], fanout.now, claimed);
	}
	announce(&fanout);
	return fanout.nevents;
}
