/*-------------------------------------------------------------------------
 *
 * message.c
 *		The bytes of an event, shared by the deliveries of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "private.h"
#include "webhook/deliver.h"

#define THIN_DATA "{}"

/* ---- events ---- */

void
event_row_read(EventRow *event, uint64 row, int column)
{
	bool  isnull;
	Datum value;

	memset(event, 0, sizeof(*event));
	column--;
	(void) private_uuid(row, column + EVENT_COLUMN_ID, &event->id);
	value = private_value(row, column + EVENT_COLUMN_TYPE, &isnull);
	event->type = TextDatumGetCString(value);
	event->occurred_at = private_int64(row, column + EVENT_COLUMN_OCCURRED_AT, 0);
	event->has_connection = private_uuid(row, column + EVENT_COLUMN_CONNECTION, &event->connection);
	event->owner = DatumGetObjectId(private_value(row, column + EVENT_COLUMN_OWNER_OID, &isnull));
	value = private_value(row, column + EVENT_COLUMN_KEY, &isnull);
	event->key = isnull ? NULL : TextDatumGetCString(value);
	event->sequence = private_int64(row, column + EVENT_COLUMN_SEQUENCE, 0);
	value = private_value(row, column + EVENT_COLUMN_DATA, &isnull);
	event->data = PointerGetDatum(DatumGetJsonbPCopy(value));
}

/* ---- names of servers ---- */

/* Looked up once; forgotten when any server changes. */
typedef struct KnownServer
{
	pg_uuid_t connection; /* hash key, must be first */
	char	  name[NAMEDATALEN];
	bool	  exists;
} KnownServer;

static HTAB *known_servers = NULL;

static void
forget_servers(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	KnownServer	   *known;

	hash_seq_init(&status, known_servers);
	while ((known = hash_seq_search(&status)) != NULL)
		hash_search(known_servers, &known->connection, HASH_REMOVE, NULL);
}

static void
make_known_servers(void)
{
	HASHCTL control = {.keysize = sizeof(pg_uuid_t),
					   .entrysize = sizeof(KnownServer),
					   .hcxt = TopMemoryContext};

	if (known_servers != NULL)
		return;
	known_servers =
		hash_create("makini connections", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget_servers, (Datum) 0);
}

/* Leaves SPI_tuptable as it was. */
static bool
look_up_server(const pg_uuid_t *connection, char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID};
	Datum			  values[] = {UUIDPGetDatum(connection)};
	SPITupleTable	 *saved_table = SPI_tuptable;
	uint64			  saved_processed = SPI_processed;
	bool			  found;

	if (plan == NULL)
	{
		plan = SPI_prepare("SELECT server_name::text FROM makini._server WHERE connection_id = $1",
						   1, types);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not look for a connection")));
	}
	found = SPI_execute_plan(plan, values, NULL, true, 1) == SPI_OK_SELECT && SPI_processed == 1;
	if (found)
		strlcpy(name, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), NAMEDATALEN);
	SPI_freetuptable(SPI_tuptable);
	SPI_tuptable = saved_table;
	SPI_processed = saved_processed;
	return found;
}

static const char *
server_of(const pg_uuid_t *connection)
{
	KnownServer *known;
	char		 name[NAMEDATALEN] = "";
	bool		 exists;

	make_known_servers();
	known = hash_search(known_servers, connection, HASH_FIND, NULL);
	if (known == NULL)
	{
		exists = look_up_server(connection, name);
		known = hash_search(known_servers, connection, HASH_ENTER, NULL);
		known->exists = exists;
		strlcpy(known->name, name, NAMEDATALEN);
	}
	return known->exists ? pstrdup(known->name) : NULL;
}

const char *
event_row_server(EventRow *event)
{
	if (!event->server_known && event->has_connection)
		event->server = server_of(&event->connection);
	event->server_known = true;
	return event->server;
}

/* ---- this installation ---- */

static pg_uuid_t instance;
static bool		 instance_known = false;

/* The id that bodies tell. */
static pg_uuid_t
webhook_instance(void)
{
	if (!instance_known)
		instance = instance_id();
	instance_known = true;
	return instance;
}

void
webhook_store_instance(void)
{
	instance = instance_store();
	instance_known = true;
}

/* ---- messages ---- */

/* In memory that outlives the transaction. */
static Message *
make_message(const char *type, const pg_uuid_t *id, const char *body)
{
	Message *message = malloc(sizeof(Message));

	if (message == NULL)
		return NULL;
	message->uses = 0;
	message->event_id = *id;
	message->len = strlen(body);
	message->body = strdup(body);
	message->type = strdup(type);
	strlcpy(message->id, webhook_id_text(id), UUID_TEXT);
	if (message->body == NULL || message->type == NULL)
	{
		message->uses = 1;
		message_release(message);
		return NULL;
	}
	return message;
}

char *
event_row_body(EventRow *event, const char *api_version, const char *data)
{
	EventBody body = {.event_id = event->id,
					  .type = event->type,
					  .occurred_at = event->occurred_at,
					  .has_connection = event->has_connection,
					  .connection = event->connection,
					  .server = event_row_server(event),
					  .sequence = event->sequence,
					  .data = data};
	pg_uuid_t instance = webhook_instance();

	return event_body(&body, api_version, &instance);
}

static char *
data_of(const EventRow *event, bool thin)
{
	Jsonb *data = DatumGetJsonbP(event->data);

	return thin ? pstrdup(THIN_DATA) : JsonbToCString(NULL, &data->root, VARSIZE(data));
}

/* How many bytes of a text in the database's encoding became UTF-8, all up to one that cannot. */
static int
convert(unsigned char *text, int len, unsigned char *out, int out_size)
{
	int encoding = GetDatabaseEncoding();
	Oid conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	int n;

	if (!OidIsValid(conversion))
	{
		n = pg_encoding_verifymbstr(PG_UTF8, (char *) text, len);
		memcpy(out, text, n);
		out[n] = '\0';
		return n;
	}
	return pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, text, len, out, out_size, true);
}

/*
 * A character that UTF-8 does not have, or a byte that is none, becomes a
 * question mark: one event that cannot be told as it is must not keep the others.
 */
static char *
in_utf8(char *text)
{
	int	  len = strlen(text);
	int	  size = len * MAX_CONVERSION_GROWTH + 1;
	char *utf8;
	char *out;

	if (GetDatabaseEncoding() == PG_UTF8)
		return text;
	utf8 = out = palloc(size);
	while (len > 0)
	{
		int n = convert((unsigned char *) text, len, (unsigned char *) out, size - (out - utf8));

		out += strlen(out);
		text += n;
		len -= n;
		if (len == 0)
			break;
		n = Min(pg_mblen(text), len);
		*out++ = '?';
		text += n;
		len -= n;
	}
	*out = '\0';
	return utf8;
}

static Message *
compose(EventRow *event, const char *api_version, bool thin)
{
	char *text = event_row_body(event, api_version, data_of(event, thin));

	return make_message(event->type, &event->id, in_utf8(text));
}

/* Events are few versions' and shapes' at a time: the last message made is kept for the next endpoint. */
Message *
message_of(EventRow *event, const Endpoint *endpoint)
{
	bool thin = endpoint->options.thin;

	if (event->message == NULL || event->message_thin != thin ||
		strcmp(event->message_version, endpoint->api_version) != 0)
	{
		event->message = compose(event, endpoint->api_version, thin);
		event->message_thin = thin;
		strlcpy(event->message_version, endpoint->api_version, sizeof(event->message_version));
	}
	if (event->message == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	event->message->uses++;
	return event->message;
}

void
message_release(Message *message)
{
	if (--message->uses > 0)
		return;
	free(message->body);
	free(message->type);
	free(message);
}
