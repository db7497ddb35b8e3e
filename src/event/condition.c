/*-------------------------------------------------------------------------
 *
 * condition.c
 *		Conditions of makini itself that need a person: system.error, one event
 *		for each and hour.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "attempt.h"
#include "event/event.h"
#include "makini.h"
#include "private.h"

/* What is known of a condition after this occurrence. */
typedef struct Seen
{
	bool		raise; /* an hour has passed since the last event of it, or there was none */
	int64		count;
	TimestampTz first_seen;
} Seen;

/* Occurrences of a condition in this transaction. */
typedef struct Recent
{
	uint32		hash;
	TimestampTz transaction;
	int64		count;
	int64		unwritten;
} Recent;

#define RECENT_CONDITIONS 16
#define WRITE_EACH 16

/*
 * The first few occurrences of a transaction are written, of the others fewer and
 * fewer: a row that one transaction updates again and again is slower to find
 * each time.  Returns how many to write.
 */
static int64
occurrences_to_write(uint32 hash)
{
	static Recent recents[RECENT_CONDITIONS];
	Recent		 *recent = &recents[hash % RECENT_CONDITIONS];
	TimestampTz	  transaction = GetCurrentTransactionStartTimestamp();
	int64		  n;

	if (recent->hash != hash || recent->transaction != transaction)
		*recent = (Recent){.hash = hash, .transaction = transaction};
	recent->count++;
	recent->unwritten++;
	if (recent->count > WRITE_EACH && (recent->count & (recent->count - 1)) != 0)
		return 0;
	n = recent->unwritten;
	recent->unwritten = 0;
	return n;
}

/*
 * Only one transaction at a time counts a condition, and nobody waits for it:
 * users' statements come through here, and must not queue for a counter.
 */
static bool
lock_condition(uint32 hash)
{
	Oid		relid = get_relname_relid("_condition", get_namespace_oid("makini", false));
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, relid, hash, 0);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

static uint32
hash_of_condition(const SystemError *error)
{
	char *text =
		psprintf("%s %s %s %d", error->component, error->code,
				 error->affected == NULL ? "" : error->affected,
				 error->connection == NULL ? 0 : (int) hash_bytes(error->connection->data, UUID_LEN));

	return hash_bytes((const unsigned char *) text, strlen(text));
}

/* A day without it, and it is a new condition. */
#define COUNT_CONDITION                                                                            \
	"INSERT INTO makini._condition AS c (component, code, affected, connection_id, message,"       \
	"  first_seen, last_seen, raised_at, count)"                                                   \
	" VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $7)"                                                 \
	" ON CONFLICT (component, code, affected, connection_id) DO UPDATE"                            \
	" SET message = excluded.message, last_seen = $6,"                                             \
	"  first_seen = CASE WHEN c.last_seen < $6 - interval '1 day' THEN $6 ELSE c.first_seen END,"  \
	"  count = CASE WHEN c.last_seen < $6 - interval '1 day' THEN $7 ELSE c.count + $7 END,"       \
	"  raised_at = CASE WHEN c.raised_at <= $6 - interval '1 hour' THEN $6 ELSE c.raised_at END"   \
	" RETURNING raised_at = $6, count, first_seen"

static void
count_condition(const SystemError *error, int64 n, Seen *seen)
{
	Oid			 types[] = {TEXTOID, TEXTOID, TEXTOID, UUIDOID, TEXTOID, TIMESTAMPTZOID, INT8OID};
	Datum		 values[7];
	pg_uuid_t	 none = {{0}};
	MakiniRights saved;

	values[0] = CStringGetTextDatum(error->component);
	values[1] = CStringGetTextDatum(error->code);
	values[2] = CStringGetTextDatum(error->affected == NULL ? "" : error->affected);
	values[3] = UUIDPGetDatum(error->connection == NULL ? &none : error->connection);
	values[4] = CStringGetTextDatum(error->message);
	values[5] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[6] = Int64GetDatum(n);
	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query(COUNT_CONDITION, lengthof(types), types, values, NULL);
	seen->raise = private_bool(0, 1);
	seen->count = private_int64(0, 2, 0);
	seen->first_seen = private_int64(0, 3, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

/* [{"rule": "low_stock"}] */
static void
append_affected(StringInfo data, const SystemError *error)
{
	appendStringInfoString(data, ",\"affected\":[");
	if (error->affected != NULL)
	{
		appendStringInfoChar(data, '{');
		event_append_text(data, error->component);
		event_append_member(data, ":", error->affected);
		appendStringInfoChar(data, '}');
	}
	appendStringInfoChar(data, ']');
}

static void
raise_condition(const SystemError *error, const Seen *seen)
{
	Event event = {.type = "system.error", .connection = error->connection, .owner = error->owner};
	StringInfoData data;
	bool		   raised;

	initStringInfo(&data);
	event_append_member(&data, "{\"component\":", error->component);
	event_append_member(&data, ",\"code\":", error->code);
	event_append_member(&data, ",\"message\":", error->message);
	event_append_member(&data, ",\"hint\":", error->hint);
	event_append_member(&data, ",\"connection\":", error->server);
	append_affected(&data, error);
	if (error->from == 0 && error->to == 0)
		appendStringInfoString(&data, ",\"window\":null");
	else
	{
		appendStringInfoString(&data, ",\"window\":{\"from\":");
		event_append_moment(&data, error->from);
		appendStringInfoString(&data, ",\"to\":");
		event_append_moment(&data, error->to);
		appendStringInfoChar(&data, '}');
	}
	appendStringInfo(&data, ",\"count\":" INT64_FORMAT ",\"first_seen\":", seen->count);
	event_append_moment(&data, seen->first_seen);
	appendStringInfoChar(&data, '}');
	event.data = data.data;
	event.key = error->affected;
	(void) event_raise(&event, &raised);
}

typedef struct Occurrence
{
	const SystemError *error;
	int64			   n;
} Occurrence;

static void
note_condition(void *arg)
{
	Occurrence *occurrence = arg;
	Seen		seen;

	count_condition(occurrence->error, occurrence->n, &seen);
	if (seen.raise)
		raise_condition(occurrence->error, &seen);
}

/*
 * Where a transaction keeps its first snapshot, another one's count since then
 * makes this one's fail; the statement that it was noted by must not.
 */
static void
note_in_old_snapshot(Occurrence *occurrence)
{
	ErrorData *problem = run_attempt(note_condition, occurrence);

	if (problem != NULL && problem->sqlerrcode != ERRCODE_T_R_SERIALIZATION_FAILURE)
		ReThrowError(problem);
}

void
event_system_error(const SystemError *error)
{
	uint32	   hash = hash_of_condition(error);
	Occurrence occurrence = {.error = error, .n = occurrences_to_write(hash)};

	if (occurrence.n == 0 || !lock_condition(hash))
		return;
	if (IsolationUsesXactSnapshot())
		note_in_old_snapshot(&occurrence);
	else
		note_condition(&occurrence);
}
