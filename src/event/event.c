/*-------------------------------------------------------------------------
 *
 * event.c
 *		Raises events: writes the outbox.
 *
 * An event is a row written in the transaction that causes it, so that it is
 * delivered if, and only if, that commits.  Every sync page, rule and emit() goes
 * through here, so rows are put into the table as catalogues are, below SQL:
 * planning, executing and changing rights for one row of a private table costs
 * several times what the row does.  Nothing a user says is executed by it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "makini.h"
#include "private.h"

/* Columns of makini._event. */
enum
{
	OUTBOX_EVENT_ID,
	OUTBOX_TYPE,
	OUTBOX_OCCURRED_AT,
	OUTBOX_CONNECTION_ID,
	OUTBOX_OWNER_OID,
	OUTBOX_OWNER,
	OUTBOX_KEY,
	OUTBOX_DATA,
	OUTBOX_RULE_ID,
	OUTBOX_COLUMNS
};

bool event_backfill = false;

/* ---------------------------------------------------------------------
 * Types
 * ---------------------------------------------------------------------
 */

static const char *const own_prefixes[] = {"sync", "connection", "system", "schema",
										   "api",  "webhook",	 "write",  NULL};

/* Words of letters, digits and underscores with full stops between them. */
static bool
type_is_well_formed(const char *type)
{
	bool word = false;

	for (const char *c = type; *c; c++)
	{
		if (*c == '.' && word)
			word = false;
		else if (isalnum((unsigned char) *c) || *c == '_')
			word = true;
		else
			return false;
	}
	return word && strlen(type) <= 128;
}

void
event_check_form(const char *type)
{
	if (!type_is_well_formed(type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME), errmsg("\"%s\" is not a type of event", type),
				 errdetail(
					 "A type is at most 128 letters, digits and underscores in words parted by full stops, such as \"order.late\".")));
}

void
event_check_type(const char *type)
{
	event_check_form(type);
	for (int i = 0; own_prefixes[i]; i++)
	{
		size_t len = strlen(own_prefixes[i]);

		if (strncmp(type, own_prefixes[i], len) == 0 && (type[len] == '.' || type[len] == '\0'))
			ereport(ERROR,
					(errcode(ERRCODE_RESERVED_NAME), errmsg("event type \"%s\" is reserved", type),
					 errdetail("Types that begin with \"%s.\" are those of makini itself.",
							   own_prefixes[i])));
	}
}

/* ---------------------------------------------------------------------
 * Ids
 * ---------------------------------------------------------------------
 */

/* A clock that never stands still within a backend, so that its events keep their order. */
static TimestampTz
next_moment(void)
{
	static TimestampTz last = 0;

	last = Max(GetCurrentTimestamp(), last + 1);
	return last;
}

/*
 * A UUID of version 7 (RFC 9562): milliseconds since 1970, twelve bits of the
 * millisecond, then random bits.  Its order is that of time, which keeps the
 * outbox's index narrow where it grows.
 */
static pg_uuid_t
event_id_at(TimestampTz moment)
{
	pg_uuid_t id;
	uint64	  us = moment + (uint64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	uint64	  stamp = pg_hton64(((us / 1000) << 16) | 0x7000 | (us % 1000) * 4096 / 1000);

	memcpy(id.data, &stamp, sizeof(stamp));
	if (!pg_strong_random(id.data + sizeof(stamp), UUID_LEN - sizeof(stamp)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	id.data[8] = (id.data[8] & 0x3f) | 0x80;
	return id;
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

static Relation
open_outbox(void)
{
	Oid relid = get_relname_relid("_event", get_namespace_oid("makini", false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", "makini._event"),
				 errhint("CREATE EXTENSION makini makes it.")));
	return table_open(relid, RowExclusiveLock);
}

void
event_batch_open(EventBatch *batch, const Event *event)
{
	/* What the executor would have seen to. */
	PreventCommandIfReadOnly("raising an event");
	PreventCommandIfParallelMode("raising an event");

	batch->event = *event;
	batch->owner_name = GetUserNameFromId(event->owner, true);
	if (batch->owner_name == NULL)
		batch->owner_name = psprintf("unknown (OID=%u)", event->owner);
	batch->relation = open_outbox();
	batch->indexes = CatalogOpenIndexes(batch->relation);
}

void
event_batch_close(EventBatch *batch)
{
	CatalogCloseIndexes(batch->indexes);
	/* The lock stays until the end of the transaction, as after any INSERT. */
	table_close(batch->relation, NoLock);
	CommandCounterIncrement();
}

static void
refuse_large(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the data of an event is too large"),
			 errdetail_internal("%s", detail),
			 errhint("Send the key of the row, and let the receiver ask for the rest.")));
}

/*
 * A number that jsonb keeps in ten bytes can have a hundred thousand digits, and
 * a sender that cannot write them all down would not get past the event.
 */
static void
check_digits(const Jsonb *data)
{
	JsonbIterator	  *it = JsonbIteratorInit((JsonbContainer *) &data->root);
	JsonbValue		   value;
	JsonbIteratorToken token;
	size_t			   digits = 0;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		char *text;

		if ((token != WJB_VALUE && token != WJB_ELEM) || value.type != jbvNumeric)
			continue;
		text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
		digits += strlen(text);
		pfree(text);
		if (digits > EVENT_MAX_DIGITS)
			refuse_large(psprintf("Its numbers have more than %d digits.", EVENT_MAX_DIGITS));
	}
}

void
event_check_data(const Jsonb *data)
{
	if (!JB_ROOT_IS_OBJECT(data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the data of an event must be a JSON object")));
	if (VARSIZE_ANY(data) > EVENT_MAX_BYTES)
		refuse_large(psprintf("It has %u bytes, of %d.", (unsigned) VARSIZE_ANY(data), EVENT_MAX_BYTES));
	check_digits(data);
}

static void
check_key(const char *key)
{
	if (key != NULL && strlen(key) > EVENT_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the key of an event is too long"),
				 errdetail("It has %zu bytes, of %d.", strlen(key), EVENT_MAX_BYTES)));
}

char *
event_index_key(const char *key)
{
	size_t len = strlen(key);

	if (len <= EVENT_MAX_INDEX_KEY)
		return pstrdup(key);
	return psprintf("%016llx%016llx %zu",
					(unsigned long long) hash_bytes_extended((const unsigned char *) key, len, 0),
					(unsigned long long) hash_bytes_extended((const unsigned char *) key, len, 1),
					len);
}

static void
insert_row(EventBatch *batch, pg_uuid_t *id, TimestampTz moment, const char *key, const Jsonb *data)
{
	const Event *event = &batch->event;
	Datum		 values[OUTBOX_COLUMNS] = {0};
	bool		 nulls[OUTBOX_COLUMNS] = {false};
	HeapTuple	 tuple;

	values[OUTBOX_EVENT_ID] = UUIDPGetDatum(id);
	values[OUTBOX_TYPE] = CStringGetTextDatum(event->type);
	values[OUTBOX_OCCURRED_AT] = TimestampTzGetDatum(moment);
	values[OUTBOX_CONNECTION_ID] = UUIDPGetDatum(event->connection);
	nulls[OUTBOX_CONNECTION_ID] = event->connection == NULL;
	values[OUTBOX_OWNER_OID] = ObjectIdGetDatum(event->owner);
	values[OUTBOX_OWNER] = CStringGetTextDatum(batch->owner_name);
	nulls[OUTBOX_KEY] = key == NULL;
	if (key != NULL)
		values[OUTBOX_KEY] = CStringGetTextDatum(key);
	values[OUTBOX_DATA] = PointerGetDatum(data);
	values[OUTBOX_RULE_ID] = Int64GetDatum(event->rule_id);
	nulls[OUTBOX_RULE_ID] = event->rule_id == 0;

	tuple = heap_form_tuple(RelationGetDescr(batch->relation), values, nulls);
	CatalogTupleInsertWithInfo(batch->relation, tuple, batch->indexes);
	heap_freetuple(tuple);
	event_noted(id, event->type, event->connection);
}

pg_uuid_t
event_batch_add(EventBatch *batch, const char *key, const Jsonb *data)
{
	TimestampTz moment = next_moment();
	pg_uuid_t	id = event_id_at(moment);

	event_check_data(data);
	insert_row(batch, &id, moment, key, data);
	return id;
}

/* ---------------------------------------------------------------------
 * One event, perhaps only once
 * ---------------------------------------------------------------------
 */

static void
prepare(SPIPlanPtr *plan, const char *statement, int nargs, Oid *types)
{
	if (*plan != NULL)
		return;
	*plan = SPI_prepare(statement, nargs, types);
	if (*plan == NULL || SPI_keepplan(*plan) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not prepare to raise an event")));
}

static void
check_dedupe_key(const char *dedupe_key)
{
	if (strlen(dedupe_key) > EVENT_MAX_DEDUPE_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("dedupe_key is too long"),
				 errdetail("It has %zu bytes, of %d.", strlen(dedupe_key), EVENT_MAX_DEDUPE_KEY)));
}

/*
 * Take a dedupe_key for an id, or find out whose it is.  Another transaction
 * that is about to take the same one is waited for.
 */
static bool
take_dedupe_key(const EventBatch *batch, pg_uuid_t *id)
{
	static SPIPlanPtr take = NULL;
	static SPIPlanPtr look = NULL;
	Oid				  types[] = {TEXTOID, TEXTOID, UUIDOID};
	Datum			  values[3];
	MakiniRights	  saved;
	bool			  taken;

	check_dedupe_key(batch->event.dedupe_key);
	values[0] = CStringGetTextDatum(batch->owner_name);
	values[1] = CStringGetTextDatum(batch->event.dedupe_key);
	values[2] = UUIDPGetDatum(id);
	makini_rights_of_extension(&saved);
	SPI_connect();
	prepare(&take,
			"INSERT INTO makini._event_dedupe (owner, dedupe_key, event_id)"
			" VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			3, types);
	prepare(&look, "SELECT event_id FROM makini._event_dedupe WHERE owner = $1 AND dedupe_key = $2",
			2, types);
	SPI_execute_plan(take, values, NULL, false, 0);
	taken = SPI_processed == 1;
	if (!taken && SPI_execute_plan(look, values, NULL, false, 1) == SPI_OK_SELECT && SPI_processed == 1)
		(void) private_uuid(0, 1, id);
	SPI_finish();
	makini_rights_restore(&saved);
	return taken;
}

pg_uuid_t
event_raise_jsonb(const Event *event, const Jsonb *data, bool *raised)
{
	EventBatch	batch;
	TimestampTz moment = next_moment();
	pg_uuid_t	id = event_id_at(moment);

	event_check_data(data);
	check_key(event->key);
	event_batch_open(&batch, event);
	*raised = event->dedupe_key == NULL || take_dedupe_key(&batch, &id);
	if (*raised)
		insert_row(&batch, &id, moment, event->key, data);
	event_batch_close(&batch);
	return id;
}

pg_uuid_t
event_raise(const Event *event, bool *raised)
{
	Datum data = DirectFunctionCall1(jsonb_in, CStringGetDatum(event->data));

	return event_raise_jsonb(event, DatumGetJsonbP(data), raised);
}
