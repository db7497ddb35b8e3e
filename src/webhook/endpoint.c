/*-------------------------------------------------------------------------
 *
 * endpoint.c
 *		A webhook as the sender has it.
 *
 * Webhooks are read when the process begins and whenever somebody changed one,
 * which a sum over their versions tells.  What a row says lives in a context of its own and is made anew; how an
 * endpoint is doing stays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "private.h"
#include "remote/url.h"
#include "webhook/deliver.h"

/* An endpoint that has failed this often in a row gets half as many at once, and so on. */
#define FAILURES_PER_STEP 2
#define MAX_STEPS 8
/* One that answers within this may have deliveries claimed in advance. */
#define QUICK_MS 100
#define AHEAD 3

enum
{
	WEBHOOK_ID = 1,
	WEBHOOK_OWNER_OID,
	WEBHOOK_URL,
	WEBHOOK_EVENTS,
	WEBHOOK_CONNECTIONS,
	WEBHOOK_HEADERS,
	WEBHOOK_FILTER,
	WEBHOOK_FILTER_PATH,
	WEBHOOK_API_VERSION,
	WEBHOOK_OPTIONS,
	WEBHOOK_ENABLED,
	WEBHOOK_ENABLED_AT,
	WEBHOOK_DISABLED_REASON,
	WEBHOOK_VERSION,
	WEBHOOK_SECRETS,
	WEBHOOK_SECRETS_END,
	WEBHOOK_LAST_SUCCESS,
	WEBHOOK_LAST_FAILURE,
	WEBHOOK_FAILING_SINCE,
	WEBHOOK_FAILURES,
	WEBHOOK_LATENCY
};

#define READ_WEBHOOKS                                                                                  \
	"SELECT w.webhook_id, w.owner_oid, w.url, w.events, w.connections, w.headers, w.filter,"           \
	" w.filter_path, w.api_version, w.options, w.enabled, w.enabled_at, w.disabled_reason, w.version," \
	" ARRAY(SELECT secret FROM makini._webhook_secret s WHERE s.webhook_id = w.webhook_id"             \
	"  AND (expires_at IS NULL OR expires_at > pg_catalog.now()) ORDER BY created_at DESC),"           \
	" ARRAY(SELECT coalesce(expires_at, 'infinity') FROM makini._webhook_secret s"                     \
	"  WHERE s.webhook_id = w.webhook_id"                                                              \
	"  AND (expires_at IS NULL OR expires_at > pg_catalog.now()) ORDER BY created_at DESC),"           \
	" s.last_success_at, s.last_failure_at, s.failing_since, s.consecutive_failures, s.latency"        \
	" FROM makini._webhook w LEFT JOIN makini._webhook_state s USING (webhook_id)"                     \
	" WHERE w.home = makini._home()"

static HTAB *endpoints = NULL;
static int64 versions = 0;
static bool	 stale = true;

/* ---- reading ---- */

/*
 * Not an invalidation of the table: those are sent out after whoever committed
 * has woken the sender.
 */
#define SUM_OF_VERSIONS                                                                            \
	"SELECT count(*) + coalesce(pg_catalog.bit_xor("                                               \
	"  pg_catalog.uuid_hash_extended(webhook_id, version)), 0)"                                    \
	" FROM makini._webhook WHERE home = makini._home()"

void
endpoints_check(void)
{
	static SPIPlanPtr plan = NULL;
	int64			  sum;

	SPI_execute_plan(sender_plan(&plan, SUM_OF_VERSIONS, 0, NULL), NULL, NULL, true, 1);
	sum = private_int64(0, 1, 0);
	stale |= sum != versions;
	versions = sum;
}

static char *
text_of(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static TimestampTz
moment_of(uint64 row, int column)
{
	bool  isnull;
	Datum value = private_value(row, column, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

static char **
texts_of(uint64 row, int column, int *n)
{
	bool   isnull;
	Datum *elements;
	bool  *nulls;
	char **texts;

	deconstruct_array(DatumGetArrayTypeP(private_value(row, column, &isnull)), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, n);
	texts = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		texts[i] = TextDatumGetCString(elements[i]);
	return texts;
}

static void
read_headers(Endpoint *endpoint, const char *stored)
{
	Jsonb *headers =
		DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(unseal(stored, &endpoint->id))));
	JsonbIterator	  *it = JsonbIteratorInit(&headers->root);
	JsonbValue		   value;
	JsonbIteratorToken token;
	char			  *name = NULL;

	endpoint->nheaders = 0;
	endpoint->headers = palloc(sizeof(char *) * Max(JB_ROOT_COUNT(headers), 1));
	(void) JsonbIteratorNext(&it, &value, false);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			endpoint->headers[endpoint->nheaders++] =
				psprintf("%s: %.*s", name, value.val.string.len, value.val.string.val);
	}
}

static void
clear_keys(Endpoint *endpoint)
{
	for (int i = 0; i < endpoint->nkeys; i++)
		sign_key_clear(&endpoint->keys[i]);
	endpoint->nkeys = 0;
}

static void
read_keys(Endpoint *endpoint, uint64 row)
{
	int	   n;
	char **secrets = texts_of(row, WEBHOOK_SECRETS, &n);
	bool   isnull;
	Datum *ends;
	bool  *nulls;

	deconstruct_array(DatumGetArrayTypeP(private_value(row, WEBHOOK_SECRETS_END, &isnull)),
					  TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &ends, &nulls, &n);
	clear_keys(endpoint);
	for (int i = 0; i < n && i < WEBHOOK_MAX_SECRETS; i++)
	{
		char *plain = unseal(secrets[i], &endpoint->id);
		char  reason[200];

		if (sign_key_parse(plain, &endpoint->keys[endpoint->nkeys], reason, sizeof(reason)))
			endpoint->key_ends[endpoint->nkeys++] = DatumGetTimestampTz(ends[i]);
		explicit_bzero(plain, strlen(plain));
	}
}

static char *
host_of(const char *url)
{
	char *base = pnstrdup(url, strcspn(url, "?"));
	char  reason[200];
	Url	  parsed;

	return url_parse(base, &parsed, reason, sizeof(reason)) ? pstrdup(parsed.host) : pstrdup("");
}

/* A filter that was too slow is not asked again before somebody enables its webhook. */
static char *
filter_reason(char *disabled_reason)
{
	bool is_one = disabled_reason != NULL &&
		strncmp(disabled_reason, FILTER_REASON, strlen(FILTER_REASON)) == 0;

	return is_one ? disabled_reason : NULL;
}

/* What the row says; in endpoint->context. */
static void
read_definition(Endpoint *endpoint, uint64 row)
{
	bool isnull;

	/* what can't be read is not what it was: that goes with its context */
	endpoint->nevents = endpoint->nconnections = endpoint->nheaders = 0;
	endpoint->filter.text = endpoint->filter_broken = NULL;
	endpoint->url = text_of(row, WEBHOOK_URL);
	endpoint->owner = DatumGetObjectId(private_value(row, WEBHOOK_OWNER_OID, &isnull));
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(endpoint->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the owner of the webhook does not exist any more")));
	endpoint->mail = webhook_url_is_mail(endpoint->url);
	endpoint->host = host_of(endpoint->url);
	endpoint->events = texts_of(row, WEBHOOK_EVENTS, &endpoint->nevents);
	endpoint->connections = texts_of(row, WEBHOOK_CONNECTIONS, &endpoint->nconnections);
	endpoint->filter.text = text_of(row, WEBHOOK_FILTER);
	endpoint->filter_broken = filter_reason(text_of(row, WEBHOOK_DISABLED_REASON));
	endpoint->filter.author.search_path = text_of(row, WEBHOOK_FILTER_PATH);
	endpoint->filter.author.userid = endpoint->owner;
	endpoint->api_version = text_of(row, WEBHOOK_API_VERSION);
	webhook_options_read(DatumGetJsonbP(private_value(row, WEBHOOK_OPTIONS, &isnull)),
						 &endpoint->options);
	endpoint->enabled = DatumGetBool(private_value(row, WEBHOOK_ENABLED, &isnull));
	endpoint->enabled_at = moment_of(row, WEBHOOK_ENABLED_AT);
	read_headers(endpoint, text_of(row, WEBHOOK_HEADERS));
	read_keys(endpoint, row);
}

static void
read_state(Endpoint *endpoint, uint64 row)
{
	bool   isnull;
	Datum  latency = private_value(row, WEBHOOK_LATENCY, &isnull);
	Datum *elements;
	bool  *nulls;
	int	   n = 0;

	endpoint->last_success = moment_of(row, WEBHOOK_LAST_SUCCESS);
	endpoint->last_failure = moment_of(row, WEBHOOK_LAST_FAILURE);
	endpoint->failing_since = moment_of(row, WEBHOOK_FAILING_SINCE);
	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(latency), INT4OID, 4, true, TYPALIGN_INT, &elements,
						  &nulls, &n);
	for (int i = 0; i < n && i < LATENCY_BUCKETS; i++)
		endpoint->latency[i] = DatumGetInt32(elements[i]);
	latency = private_value(row, WEBHOOK_FAILURES, &isnull);
	endpoint->failures = isnull ? 0 : DatumGetInt32(latency);
}

static void
start_state(Endpoint *endpoint, uint64 row)
{
	pg_uuid_t id = endpoint->id;

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->id = id;
	dlist_init(&endpoint->ready);
	read_state(endpoint, row);
}

/*
 * A webhook whose row cannot be used (its secrets are sealed with another key)
 * is parked: the others go on.
 */
static void
read_definition_or_park(Endpoint *endpoint, uint64 row)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "makini webhook", ALLOCSET_SMALL_SIZES);

	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		read_definition(endpoint, row);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->elevel > ERROR || error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		endpoint->enabled = false;
		endpoint->disabling = true;
		endpoint->disable_why = MemoryContextStrdup(context, error->message);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (endpoint->context != NULL)
		MemoryContextDelete(endpoint->context);
	endpoint->context = context;
}

static void
read_row(uint64 row)
{
	bool	   isnull;
	pg_uuid_t *id = DatumGetUUIDP(private_value(row, WEBHOOK_ID, &isnull));
	bool	   found;
	Endpoint  *endpoint = hash_search(endpoints, id, HASH_ENTER, &found);
	bool	   was_enabled = found && endpoint->enabled;

	if (!found)
		start_state(endpoint, row);
	endpoint->version = DatumGetInt32(private_value(row, WEBHOOK_VERSION, &isnull));
	read_definition_or_park(endpoint, row);
	endpoint->present = true;
	endpoint->backlog = true;
	endpoint->claim_floor = DT_NOBEGIN;
	if (endpoint->enabled && !was_enabled)
	{
		endpoint->disabling = false;
		endpoint->paused_until = 0;
		if (endpoint->failing_since < endpoint->enabled_at)
		{
			endpoint->failing_since = 0;
			endpoint->failures = 0;
		}
	}
}

static void
unuse(Endpoint *endpoint, void *arg)
{
	endpoint->present = false;
}

static void
drop_unused(Endpoint *endpoint, void *arg)
{
	if (endpoint->present || endpoint->uses > 0)
		return;
	clear_keys(endpoint);
	if (endpoint->context != NULL)
		MemoryContextDelete(endpoint->context);
	hash_search(endpoints, &endpoint->id, HASH_REMOVE, NULL);
}

static void
make_table(void)
{
	HASHCTL control = {.keysize = sizeof(pg_uuid_t),
					   .entrysize = sizeof(Endpoint),
					   .hcxt = TopMemoryContext};

	if (endpoints == NULL)
		endpoints =
			hash_create("makini webhooks", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

bool
endpoints_refresh(void)
{
	if (!stale)
		return false;
	make_table();
	stale = false;
	PG_TRY();
	{
		SPI_execute(READ_WEBHOOKS, true, 0);
		endpoints_visit(unuse, NULL);
		for (uint64 i = 0; i < SPI_processed; i++)
			read_row(i);
		endpoints_visit(drop_unused, NULL);
	}
	PG_CATCH();
	{
		stale = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
	return true;
}

void
endpoints_forget(void)
{
	stale = true;
}

bool
endpoints_are_stale(void)
{
	return stale;
}

void
endpoints_visit(EndpointVisitor visit, void *arg)
{
	HASH_SEQ_STATUS status;
	Endpoint	   *endpoint;

	hash_seq_init(&status, endpoints);
	while ((endpoint = hash_seq_search(&status)) != NULL)
		visit(endpoint, arg);
}

Endpoint *
endpoint_find(const pg_uuid_t *id)
{
	return hash_search(endpoints, id, HASH_FIND, NULL);
}

Endpoint *
endpoint_read(const pg_uuid_t *id)
{
	Endpoint *endpoint = palloc0(sizeof(Endpoint));
	Oid		  types[] = {UUIDOID};
	Datum	  values[] = {UUIDPGetDatum(id)};

	if (private_query(READ_WEBHOOKS " AND w.webhook_id = $1", 1, types, values, NULL) == 0)
		return NULL;
	endpoint->id = *id;
	start_state(endpoint, 0);
	read_definition(endpoint, 0);
	return endpoint;
}

void
endpoint_release(Endpoint *endpoint)
{
	clear_keys(endpoint);
}

/* ---- how much at once ---- */

/* As many as its option says, fewer while it fails. */
static int
limit_of(const Endpoint *endpoint)
{
	int steps = Min(endpoint->failures / FAILURES_PER_STEP, MAX_STEPS);

	return Max(endpoint->options.max_in_flight >> steps, 1);
}

int
endpoint_room(const Endpoint *endpoint)
{
	return Max(limit_of(endpoint) - endpoint->in_flight, 0);
}

/* Tokens come in at the endpoint's rate, a tenth of a second's worth at most are kept. */
static int
tokens_of(Endpoint *endpoint, TimestampTz now)
{
	double most = Max(endpoint->options.rate / 10, 1);
	double passed = (now - endpoint->tokens_at) / (double) USECS_PER_SEC;

	endpoint->tokens = endpoint->tokens_at == 0 ?
		most :
		Min(most, endpoint->tokens + passed * endpoint->options.rate);
	endpoint->tokens_at = now;
	return (int) endpoint->tokens;
}

int
endpoint_wants(Endpoint *endpoint, TimestampTz now)
{
	int limit = limit_of(endpoint);
	int n;

	if (!endpoint->present || !endpoint->enabled || endpoint->disabling || endpoint->paused_until > now)
		return 0;
	if (endpoint->failures == 0 && endpoint->mean_ms < QUICK_MS && endpoint->last_success != 0)
		limit += limit * AHEAD;
	n = Max(limit - endpoint->in_flight - endpoint->nready, 0);
	if (endpoint->options.rate > 0)
		n = Min(n, tokens_of(endpoint, now));
	return n;
}

TimestampTz
endpoint_next(const Endpoint *endpoint, TimestampTz now)
{
	TimestampTz next = endpoint->backlog ? now : endpoint->next_due;

	if (!endpoint->present || !endpoint->enabled || endpoint->disabling)
		return DT_NOEND;
	next = Max(next, endpoint->paused_until);
	if (endpoint->options.rate > 0 && endpoint->tokens < 1)
		next =
			Max(next,
				endpoint->tokens_at +
					(TimestampTz) ((1 - endpoint->tokens) / endpoint->options.rate * USECS_PER_SEC));
	return next;
}
