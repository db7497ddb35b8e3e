/*-------------------------------------------------------------------------
 *
 * claim.c
 *		Which deliveries to send now.
 *
 * A claim is a number of the sender and a lease, committed before anything is
 * sent.  A sender that ends leaves its claims behind: each counts against the
 * delivery, in case that it is why, and such a suspect is sent alone from then
 * on.  Senders hold a lock as long as they live, so that others need not wait
 * for the lease of one that is gone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "private.h"
#include "webhook/deliver.h"

#define LEASE_BEYOND_TIMEOUT_MS 10000
#define MAX_CRASHES 3
#define CLEAR_AT_ONCE 10000

enum
{
	CLAIM_EVENT_ID = 1,
	CLAIM_WEBHOOK_ID,
	CLAIM_NUMBER,
	CLAIM_ATTEMPTS,
	CLAIM_MANUAL,
	CLAIM_ORDERING_KEY,
	CLAIM_CRASHES,
	CLAIM_DUE_AT,
	CLAIM_EVENT /* the event's columns from here */
};

SPIPlanPtr
sender_plan(SPIPlanPtr *plan, const char *statement, int nargs, Oid *types)
{
	if (*plan == NULL)
	{
		*plan = SPI_prepare(statement, nargs, types);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not prepare to send webhooks")));
	}
	return *plan;
}

/* ---- senders ---- */

static void
set_tag(LOCKTAG *tag, int64 sender)
{
	Oid relid = get_relname_relid("_delivery", get_namespace_oid("makini", false));

	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, relid, (uint32) sender, 1);
}

int64
claim_register_sender(void)
{
	LOCKTAG tag;
	uint32	number = 0;

	while (number == 0)
	{
		if (!pg_strong_random(&number, sizeof(number)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	}
	set_tag(&tag, number);
	(void) LockAcquire(&tag, ExclusiveLock, true, false);
	return number;
}

static bool
is_alive(int64 sender)
{
	LOCKTAG tag;

	set_tag(&tag, sender);
	if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, false);
	return false;
}

static void
take_from_the_dead(int64 sender)
{
	Oid	   types[] = {INT8ARRAYOID, INT8OID};
	Datum  values[2];
	Datum *dead;
	int	   ndead = 0;

	SPI_execute("SELECT DISTINCT claimed_by FROM makini._delivery WHERE claimed_by IS NOT NULL",
				true, 0);
	dead = palloc(Max(SPI_processed, 1) * sizeof(Datum));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool  isnull;
		Datum number = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		if (DatumGetInt64(number) != sender && !is_alive(DatumGetInt64(number)))
			dead[ndead++] = number;
	}
	values[0] =
		PointerGetDatum(construct_array(dead, ndead, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = Int64GetDatum(sender);
	(void) private_query("UPDATE makini._delivery SET claimed_by = NULL, crashes = crashes + 1, next_attempt_at = pg_catalog.clock_timestamp()"
						 " WHERE claimed_by = ANY ($1) OR (claimed_by <> $2 AND next_attempt_at < pg_catalog.clock_timestamp())",
						 lengthof(types), types, values, NULL);
}

/* ---- tidying up ---- */

/* What a dropped webhook left; a large backlog goes bit by bit. */
static void
clear_dropped(void)
{
	Oid	  types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(CLEAR_AT_ONCE)};

	(void) private_query("DELETE FROM makini._delivery WHERE ctid = ANY (ARRAY("
						 "SELECT d.ctid FROM makini._webhook_state s JOIN makini._delivery d USING (webhook_id)"
						 " WHERE NOT EXISTS (SELECT FROM makini._webhook w WHERE w.webhook_id = s.webhook_id)"
						 " LIMIT $1 FOR UPDATE OF d SKIP LOCKED))",
						 lengthof(types), types, values, NULL);
	(void) private_query("DELETE FROM makini._webhook_state s"
						 " WHERE NOT EXISTS (SELECT FROM makini._webhook w WHERE w.webhook_id = s.webhook_id)"
						 " AND NOT EXISTS (SELECT FROM makini._delivery d WHERE d.webhook_id = s.webhook_id)",
						 0, NULL, NULL, NULL);
}

/* Groups whose first was taken away by a person go on with the next; true where somebody holds that one. */
static bool
put_stuck_in_line(void)
{
	(void) private_query("WITH line AS ("
						 "  SELECT DISTINCT ON (webhook_id, ordering_key) event_id, webhook_id, next_attempt_at"
						 "  FROM makini._delivery WHERE ordering_key IS NOT NULL"
						 "  ORDER BY webhook_id, ordering_key, number),"
						 " first AS (SELECT event_id, webhook_id FROM line WHERE next_attempt_at = 'infinity')" CLAIM_PUT_FIRST,
						 0, NULL, NULL, NULL);
	return private_bool(0, 1);
}

static void
look_again(Endpoint *endpoint, void *arg)
{
	endpoint->backlog = true;
	endpoint->claim_floor = DT_NOBEGIN;
}

bool
claim_sweep(int64 sender)
{
	bool stuck;

	take_from_the_dead(sender);
	clear_dropped();
	stuck = put_stuck_in_line();
	endpoints_visit(look_again, NULL);
	return stuck;
}

/* ---- claiming ---- */

TimestampTz
claim_lease(const Endpoint *endpoint, TimestampTz now)
{
	return TimestampTzPlusMilliseconds(now,
									   (int64) endpoint->options.timeout + LEASE_BEYOND_TIMEOUT_MS);
}

int64
claim_numbers(const Endpoint *endpoint, int n)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, INT4OID};
	Datum			  values[] = {UUIDPGetDatum(&endpoint->id), Int32GetDatum(n)};
	bool			  isnull;

	SPI_execute_plan(sender_plan(&plan,
								 "UPDATE makini._webhook_state SET last_number = last_number + $2"
								 " WHERE webhook_id = $1 RETURNING last_number",
								 lengthof(types), types),
					 values, NULL, false, 0);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no state of webhook %s", webhook_id_text(&endpoint->id))));
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* Endpoints with room, as arrays for a statement. */
typedef struct Rooms
{
	TimestampTz now;
	bool		any; /* not only those that something may be due for */
	Endpoint  **endpoints;
	Datum	   *ids;
	Datum	   *limits;
	Datum	   *leases;
	Datum	   *floors;
	int		   *wanted;
	bool	   *seen; /* something of it was claimed */
	int			n;
	int			size;
} Rooms;

static void
add_room(Endpoint *endpoint, void *arg)
{
	Rooms *rooms = arg;
	int	   wanted;

	if (!rooms->any && endpoint_next(endpoint, rooms->now) > rooms->now)
		return;
	wanted = endpoint_wants(endpoint, rooms->now);
	if (wanted == 0)
		return;
	if (rooms->n == rooms->size)
	{
		rooms->size = Max(rooms->size * 2, 64);
		rooms->endpoints = repalloc(rooms->endpoints, rooms->size * sizeof(Endpoint *));
		rooms->ids = repalloc(rooms->ids, rooms->size * sizeof(Datum));
		rooms->limits = repalloc(rooms->limits, rooms->size * sizeof(Datum));
		rooms->leases = repalloc(rooms->leases, rooms->size * sizeof(Datum));
		rooms->floors = repalloc(rooms->floors, rooms->size * sizeof(Datum));
		rooms->wanted = repalloc(rooms->wanted, rooms->size * sizeof(int));
	}
	rooms->endpoints[rooms->n] = endpoint;
	rooms->ids[rooms->n] = UUIDPGetDatum(&endpoint->id);
	rooms->limits[rooms->n] = Int32GetDatum(wanted);
	rooms->leases[rooms->n] = TimestampTzGetDatum(claim_lease(endpoint, rooms->now));
	rooms->floors[rooms->n] = TimestampTzGetDatum(endpoint->claim_floor);
	rooms->wanted[rooms->n++] = wanted;
}

static void
find_rooms(Rooms *rooms, bool any)
{
	memset(rooms, 0, sizeof(*rooms));
	rooms->now = GetCurrentTimestamp();
	rooms->any = any;
	rooms->endpoints = palloc(sizeof(Endpoint *));
	rooms->ids = palloc(sizeof(Datum));
	rooms->limits = palloc(sizeof(Datum));
	rooms->leases = palloc(sizeof(Datum));
	rooms->floors = palloc(sizeof(Datum));
	rooms->wanted = palloc(sizeof(int));
	endpoints_visit(add_room, rooms);
}

static Datum
uuid_array(const Rooms *rooms)
{
	return PointerGetDatum(
		construct_array(rooms->ids, rooms->n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

static Datum
int_array(const Rooms *rooms)
{
	return PointerGetDatum(construct_array(rooms->limits, rooms->n, INT4OID, 4, true, TYPALIGN_INT));
}

static Datum
moment_array(Datum *moments, int n)
{
	return PointerGetDatum(
		construct_array(moments, n, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* What has no number yet was put into the table by a person: see replay.c. */
static int64
number_late(const Endpoint *endpoint, const pg_uuid_t *event)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, UUIDOID, INT8OID};
	Datum			  values[3];
	SPITupleTable	 *saved = SPI_tuptable;
	int64			  number = claim_numbers(endpoint, 1);

	values[0] = UUIDPGetDatum(event);
	values[1] = UUIDPGetDatum(&endpoint->id);
	values[2] = Int64GetDatum(number);
	SPI_execute_plan(sender_plan(&plan,
								 "UPDATE makini._delivery SET number = $3 WHERE event_id = $1 AND webhook_id = $2",
								 lengthof(types), types),
					 values, NULL, false, 0);
	SPI_tuptable = saved;
	return number;
}

static Delivery *
take_row(uint64 row, TimestampTz now, dlist_head *claimed)
{
	bool	  isnull;
	bool	  no_event;
	pg_uuid_t event_id = *DatumGetUUIDP(private_value(row, CLAIM_EVENT_ID, &isnull));
	Endpoint *endpoint = endpoint_find(DatumGetUUIDP(private_value(row, CLAIM_WEBHOOK_ID, &isnull)));
	Message	 *message = NULL;
	Delivery *delivery;
	EventRow  event;
	Datum	  number;

	(void) private_value(row, CLAIM_EVENT, &no_event);
	if (!no_event)
	{
		event_row_read(&event, row, CLAIM_EVENT);
		message = message_of(&event, endpoint);
	}
	delivery = delivery_claimed(endpoint, message, &event_id, now, claimed);
	number = private_value(row, CLAIM_NUMBER, &isnull);
	delivery->number = isnull ? number_late(endpoint, &event_id) : DatumGetInt64(number);
	delivery->attempts = DatumGetInt32(private_value(row, CLAIM_ATTEMPTS, &isnull));
	delivery->manual = DatumGetBool(private_value(row, CLAIM_MANUAL, &isnull));
	delivery->suspect = DatumGetInt32(private_value(row, CLAIM_CRASHES, &isnull)) > 0;
	if (private_value(row, CLAIM_ORDERING_KEY, &isnull), !isnull)
		delivery->ordering_key =
			strdup(TextDatumGetCString(private_value(row, CLAIM_ORDERING_KEY, &isnull)));
	if (DatumGetInt32(private_value(row, CLAIM_CRASHES, &isnull)) >= MAX_CRASHES)
		delivery->end = END_QUARANTINED;
	else if (no_event)
		delivery->end = END_EVENT_GONE;
	return delivery;
}

/*
 * Entries of rows that are gone stay in the index as long as some old snapshot
 * might see them; w.floor keeps each claim from passing over all of them again.
 */
#define CLAIM_DUE(condition, order)                                                                    \
	"WITH due AS ("                                                                                    \
	"  SELECT q.event_id, q.webhook_id, q.next_attempt_at, w.lease"                                    \
	"  FROM unnest($1, $2, $3, $4) AS w(webhook_id, n, lease, floor) CROSS JOIN LATERAL ("             \
	"   SELECT d.event_id, d.webhook_id, d.next_attempt_at FROM makini._delivery d"                    \
	"   WHERE d.webhook_id = w.webhook_id AND d.next_attempt_at >= w.floor"                            \
	"   AND d.next_attempt_at <= $5 AND d.claimed_by IS NULL AND " condition "   ORDER BY " order      \
	" LIMIT w.n FOR UPDATE SKIP LOCKED) q),"                                                           \
	" taken AS ("                                                                                      \
	"  UPDATE makini._delivery d SET claimed_by = $6, next_attempt_at = due.lease FROM due"            \
	"  WHERE d.event_id = due.event_id AND d.webhook_id = due.webhook_id"                              \
	"  RETURNING d.event_id, d.webhook_id, d.number, d.attempts, d.manual, d.ordering_key, d.crashes," \
	"   due.next_attempt_at)"                                                                          \
	" SELECT t.*, e.event_id, e.type, e.occurred_at, e.connection_id, e.owner_oid, e.owner, e.key,"    \
	"  e.sequence, e.data"                                                                             \
	" FROM taken t LEFT JOIN makini._event_log e ON e.event_id = t.event_id ORDER BY t.number"

static uint64
execute_claim(SPIPlanPtr *plan, const char *statement, const Rooms *rooms, int64 sender)
{
	Oid	  types[] = {UUIDARRAYOID,		  INT4ARRAYOID,	  TIMESTAMPTZARRAYOID,
					 TIMESTAMPTZARRAYOID, TIMESTAMPTZOID, INT8OID};
	Datum values[6];

	values[0] = uuid_array(rooms);
	values[1] = int_array(rooms);
	values[2] = moment_array(rooms->leases, rooms->n);
	values[3] = moment_array(rooms->floors, rooms->n);
	values[4] = TimestampTzGetDatum(rooms->now);
	values[5] = Int64GetDatum(sender);
	SPI_execute_plan(sender_plan(plan, statement, lengthof(types), types), values, NULL, false, 0);
	return SPI_processed;
}

/* When something will be due next for those that got less than they wanted. */
static void
find_next_due(const Rooms *rooms)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID, TIMESTAMPTZOID};

	for (int i = 0; i < rooms->n; i++)
	{
		Datum values[] = {rooms->ids[i], TimestampTzGetDatum(rooms->now)};
		bool  isnull = true;
		Datum due = (Datum) 0;

		rooms->endpoints[i]->backlog = rooms->wanted[i] <= 0;
		if (rooms->wanted[i] <= 0)
			continue;
		rooms->endpoints[i]->claim_floor = rooms->now;
		SPI_execute_plan(sender_plan(&plan,
									 "SELECT next_attempt_at FROM makini._delivery WHERE webhook_id = $1"
									 " AND next_attempt_at > $2 AND next_attempt_at < 'infinity'"
									 " AND claimed_by IS NULL AND crashes = 0 ORDER BY next_attempt_at LIMIT 1",
									 lengthof(types), types),
						 values, NULL, false, 1);
		if (SPI_processed == 1)
			due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		rooms->endpoints[i]->next_due = isnull ? DT_NOEND : DatumGetTimestampTz(due);
	}
}

/* One that wanted more than there was has nothing left before now; others nothing before what they got. */
static void
count_claimed(Rooms *rooms, const Delivery *delivery, TimestampTz due_at)
{
	for (int i = 0; i < rooms->n; i++)
	{
		Endpoint *endpoint = rooms->endpoints[i];

		if (endpoint != delivery->endpoint)
			continue;
		rooms->wanted[i]--;
		endpoint->claim_floor = rooms->seen[i] ? Min(endpoint->claim_floor, due_at) : due_at;
		rooms->seen[i] = true;
	}
}

void
claim_due(int64 sender, dlist_head *claimed)
{
	static SPIPlanPtr plan = NULL;
	Rooms			  rooms;
	uint64			  n;

	find_rooms(&rooms, false);
	if (rooms.n == 0)
		return;
	rooms.seen = palloc0(rooms.n * sizeof(bool));
	n = execute_claim(&plan, CLAIM_DUE("d.crashes = 0", "d.next_attempt_at, d.number"), &rooms, sender);
	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;
		TimestampTz due_at = DatumGetTimestampTz(private_value(row, CLAIM_DUE_AT, &isnull));

		count_claimed(&rooms, take_row(row, rooms.now, claimed), due_at);
	}
	find_next_due(&rooms);
}

static void
check_due(Endpoint *endpoint, void *arg)
{
	Rooms *rooms = arg;

	if (endpoint_next(endpoint, rooms->now) <= rooms->now && endpoint_wants(endpoint, rooms->now) > 0)
		rooms->n++;
}

bool
claim_is_due(TimestampTz now)
{
	Rooms rooms = {.now = now};

	endpoints_visit(check_due, &rooms);
	return rooms.n > 0;
}

/* ---- suspects ---- */

/* Those too that the transaction itself has just taken from the dead: not read only. */
bool
claim_has_suspects(void)
{
	SPI_execute("SELECT FROM makini._delivery WHERE crashes > 0 LIMIT 1", false, 1);
	return SPI_processed > 0;
}

/* The least suspicious first; one at a time. */
void
claim_suspect(int64 sender, dlist_head *claimed)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDARRAYOID, TIMESTAMPTZOID};
	Datum			  values[2];
	Rooms			  rooms;
	bool			  isnull;
	Endpoint		 *endpoint;

	find_rooms(&rooms, true);
	values[0] = uuid_array(&rooms);
	values[1] = TimestampTzGetDatum(rooms.now);
	if (private_query("SELECT webhook_id FROM makini._delivery WHERE crashes > 0 AND claimed_by IS NULL"
					  " AND webhook_id = ANY ($1) AND next_attempt_at <= $2 ORDER BY crashes, next_attempt_at LIMIT 1",
					  lengthof(types), types, values, NULL) == 0)
		return;
	endpoint = endpoint_find(DatumGetUUIDP(private_value(0, 1, &isnull)));
	rooms.n = 1;
	rooms.ids[0] = UUIDPGetDatum(&endpoint->id);
	rooms.limits[0] = Int32GetDatum(1);
	rooms.leases[0] = TimestampTzGetDatum(claim_lease(endpoint, rooms.now));
	rooms.floors[0] = TimestampTzGetDatum(DT_NOBEGIN);
	if (execute_claim(&plan, CLAIM_DUE("d.crashes > 0", "d.crashes, d.next_attempt_at"), &rooms,
					  sender) == 1)
		(void) take_row(0, rooms.now, claimed);
}
