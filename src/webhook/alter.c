/*-------------------------------------------------------------------------
 *
 * alter.c
 *		What people do with webhooks that there are: alter, enable, disable,
 *		drop, rotate the secret.
 *
 * Only the owner, its members and superusers may.  What is written here is what
 * senders only read: a transaction left open must not keep them from the other
 * webhooks.  So the deliveries of a dropped webhook are theirs to remove.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "connection_store.h"
#include "event/author.h"
#include "makini.h"
#include "nearest.h"
#include "private.h"
#include "webhook/webhook.h"

PG_FUNCTION_INFO_V1(makini_alter_webhook);
PG_FUNCTION_INFO_V1(makini_enable_webhook);
PG_FUNCTION_INFO_V1(makini_disable_webhook);
PG_FUNCTION_INFO_V1(makini_drop_webhook);
PG_FUNCTION_INFO_V1(makini_rotate_webhook_secret);

static Oid uuid_only[] = {UUIDOID};

/* ---- whose it is ---- */

char *
webhook_id_text(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

static bool
find_owner(const pg_uuid_t *webhook, Oid *owner, bool lock)
{
	Datum values[] = {UUIDPGetDatum(webhook)};
	bool  isnull;

	const char *statement =
		"SELECT CASE WHEN home = makini._home() THEN owner_oid"
		" ELSE coalesce(pg_catalog.to_regrole(pg_catalog.quote_ident(owner))::oid, 0) END"
		" FROM makini._webhook WHERE webhook_id = $1";

	if (lock)
		statement = psprintf("%s FOR UPDATE", statement);
	if (private_query(statement, 1, uuid_only, values, NULL) == 0)
		return false;
	*owner = DatumGetObjectId(private_value(0, 1, &isnull));
	return true;
}

/* False where there is no such webhook. */
static bool
check_owner(const pg_uuid_t *webhook, Oid caller, bool lock)
{
	Oid owner;

	if (!find_owner(webhook, &owner, lock))
		return false;
	if (!has_privs_of_role(caller, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for webhook %s", webhook_id_text(webhook)),
				 errdetail("It belongs to another role.")));
	return true;
}

static void
refuse_unknown(const pg_uuid_t *webhook)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("webhook %s does not exist", webhook_id_text(webhook)),
			 errhint("The view makini.webhook lists those that there are.")));
}

void
webhook_lock(const pg_uuid_t *webhook, Oid caller)
{
	if (!check_owner(webhook, caller, true))
		refuse_unknown(webhook);
}

void
webhook_check_owner(const pg_uuid_t *webhook, Oid caller)
{
	if (!check_owner(webhook, caller, false))
		refuse_unknown(webhook);
}

/* ---- alter ---- */

/* Columns of the statement that lays changes over a webhook. */
enum
{
	ALTER_URL = 1,
	ALTER_EVENTS,
	ALTER_CONNECTIONS,
	ALTER_HEADERS,
	ALTER_FILTER,
	ALTER_API_VERSION,
	ALTER_OPTIONS,
	ALTER_OLD_OPTIONS
};

static const char alter_query[] =
	"SELECT coalesce(c.change ->> 'url', w.url),"
	" CASE WHEN c.change ? 'events' THEN ARRAY(SELECT pg_catalog.jsonb_array_elements_text(c.change -> 'events')) ELSE w.events END,"
	" CASE WHEN c.change ? 'connections' THEN ARRAY(SELECT pg_catalog.jsonb_array_elements_text(c.change -> 'connections')) ELSE w.connections END,"
	" coalesce(c.change -> 'headers', $3::jsonb),"
	" CASE WHEN c.change ? 'filter' THEN c.change ->> 'filter' ELSE w.filter END,"
	" coalesce(c.change ->> 'api_version', w.api_version),"
	" coalesce(c.change -> 'options', w.options),"
	" w.options"
	" FROM makini._webhook w, (SELECT $2::jsonb) c(change) WHERE webhook_id = $1";

static const char *const known_keys[] = {"url",	   "events",	  "connections", "headers",
										 "filter", "api_version", "options",	 NULL};

static bool
is_known_key(const char *name)
{
	for (int i = 0; known_keys[i] != NULL; i++)
	{
		if (strcmp(name, known_keys[i]) == 0)
			return true;
	}
	return false;
}

static void
refuse_unknown_key(const char *name)
{
	Nearest nearest;

	nearest_init(&nearest, name);
	for (int i = 0; known_keys[i] != NULL; i++)
		nearest_offer(&nearest, known_keys[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a webhook has no \"%s\" to alter", name),
			 strcmp(name, "secret") == 0 ?
				 errhint("makini.rotate_webhook_secret gives it another secret.") :
				 nearest_found(&nearest) ?
				 errhint("Perhaps you meant \"%s\".", nearest_found(&nearest)) :
				 errhint("Keys are url, events, connections, headers, filter, api_version and options."),
			 errhidestmt(true)));
}

static void
check_change(const char *name, const JsonbValue *value)
{
	if (value->type == jbvNull && strcmp(name, "filter") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of a webhook must not be null", name), errhidestmt(true)));
	if (value->type != jbvBinary && (strcmp(name, "events") == 0 || strcmp(name, "connections") == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of a webhook must be an array", name), errhidestmt(true)));
}

/* Raises for keys that create_webhook has no argument of, and for null where that can't be. */
static void
check_changes(Jsonb *changes)
{
	JsonbIterator	  *it;
	JsonbValue		   value;
	JsonbIteratorToken token;
	const char		  *name = NULL;

	if (!JB_ROOT_IS_OBJECT(changes))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("changes must be a JSON object"),
				 errhint("Write them as in makini.alter_webhook(id, '{\"events\": [\"sync.*\"]}')."),
				 errhidestmt(true)));
	it = JsonbIteratorInit(&changes->root);
	(void) JsonbIteratorNext(&it, &value, false);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			name = pnstrdup(value.val.string.val, value.val.string.len);
			if (!is_known_key(name))
				refuse_unknown_key(name);
		}
		else if (token == WJB_VALUE)
			check_change(name, &value);
	}
}

static bool
has_key(Jsonb *object, const char *key)
{
	JsonbValue value;

	return getKeyJsonValueFromContainer(&object->root, key, strlen(key), &value) != NULL;
}

static Jsonb *
stored_headers(const pg_uuid_t *webhook)
{
	Datum values[] = {UUIDPGetDatum(webhook)};
	char *plain;

	(void) private_query("SELECT headers FROM makini._webhook WHERE webhook_id = $1", 1, uuid_only,
						 values, NULL);
	plain = unseal(private_text(0, 1), webhook);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(plain)));
}

static void
read_altered(const pg_uuid_t *webhook, Jsonb *changes, WebhookDefinition *definition, Jsonb **old_options)
{
	Oid	  types[] = {UUIDOID, JSONBOID, JSONBOID};
	Datum values[3];
	bool  isnull;

	values[0] = UUIDPGetDatum(webhook);
	values[1] = JsonbPGetDatum(changes);
	values[2] = JsonbPGetDatum(has_key(changes, "headers") ? changes : stored_headers(webhook));
	(void) private_query(alter_query, lengthof(types), types, values, NULL);
	definition->url = private_text(0, ALTER_URL);
	definition->events = DatumGetArrayTypePCopy(private_value(0, ALTER_EVENTS, &isnull));
	definition->connections = DatumGetArrayTypePCopy(private_value(0, ALTER_CONNECTIONS, &isnull));
	definition->headers = DatumGetJsonbPCopy(private_value(0, ALTER_HEADERS, &isnull));
	definition->filter = private_text(0, ALTER_FILTER);
	definition->api_version = private_text(0, ALTER_API_VERSION);
	definition->options = DatumGetJsonbPCopy(private_value(0, ALTER_OPTIONS, &isnull));
	*old_options = DatumGetJsonbPCopy(private_value(0, ALTER_OLD_OPTIONS, &isnull));
}

static void
update_webhook(const pg_uuid_t *webhook, const WebhookDefinition *definition, bool new_filter)
{
	Oid	  types[] = {UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID,
					 TEXTOID, TEXTOID, TEXTOID,		 JSONBOID};
	Datum values[lengthof(types)];
	char  nulls[lengthof(types) + 1] = "         ";
	char *headers = JsonbToCString(NULL, &definition->headers->root, VARSIZE(definition->headers));

	values[0] = UUIDPGetDatum(webhook);
	values[1] = CStringGetTextDatum(definition->url);
	values[2] = PointerGetDatum(definition->events);
	values[3] = PointerGetDatum(definition->connections);
	values[4] = CStringGetTextDatum(seal(headers, webhook));
	values[5] = definition->filter != NULL ? CStringGetTextDatum(definition->filter) : (Datum) 0;
	nulls[5] = definition->filter != NULL ? ' ' : 'n';
	values[6] = new_filter ? CStringGetTextDatum(definition->filter_path) : (Datum) 0;
	nulls[6] = new_filter ? ' ' : 'n';
	values[7] = CStringGetTextDatum(definition->api_version);
	values[8] = JsonbPGetDatum(definition->options);
	(void) private_query("UPDATE makini._webhook SET url = $2, events = $3, connections = $4, headers = $5, filter = $6,"
						 " filter_path = coalesce($7, filter_path), api_version = $8, options = $9"
						 " WHERE webhook_id = $1",
						 lengthof(types), types, values, nulls);
}

/*
 * Deliveries that wait for their turn are put in line anew when the order
 * changes: without one they are all due.  What a sender has in hand stays as it is,
 * or it would wait for this transaction.
 */
static void
reorder(const pg_uuid_t *webhook, const WebhookOptions *now, const WebhookOptions *before)
{
	Datum values[] = {UUIDPGetDatum(webhook)};

	if (now->ordering == before->ordering)
		return;
	(void) private_query("UPDATE makini._delivery SET ordering_key = NULL,"
						 " next_attempt_at = CASE WHEN next_attempt_at = 'infinity' THEN pg_catalog.now() ELSE next_attempt_at END"
						 " WHERE (event_id, webhook_id) IN (SELECT event_id, webhook_id FROM makini._delivery"
						 "  WHERE webhook_id = $1 AND ordering_key IS NOT NULL AND claimed_by IS NULL FOR UPDATE SKIP LOCKED)",
						 1, uuid_only, values, NULL);
}

static void
alter_webhook(const pg_uuid_t *webhook, Jsonb *changes)
{
	WebhookDefinition definition;
	WebhookOptions	  now;
	WebhookOptions	  before;
	Jsonb			 *old_options;
	MakiniRights	  saved;
	MakiniRights	  again;

	check_changes(changes);
	definition.filter_path = author_search_path();
	makini_rights_of_extension(&saved);
	SPI_connect();
	webhook_lock(webhook, saved.userid);
	read_altered(webhook, changes, &definition, &old_options);
	makini_rights_restore(&saved);

	/* a filter and the files of options are checked with the caller's own rights */
	webhook_check(&definition);
	webhook_options_read(definition.options, &now);
	webhook_options_read(old_options, &before);
	webhook_options_check_rights(&now, &before);

	makini_rights_of_extension(&again);
	update_webhook(webhook, &definition, has_key(changes, "filter"));
	reorder(webhook, &now, &before);
	webhook_changed(webhook);
	if (has_key(changes, "connections"))
		webhook_tell_unknown_servers(&definition);
	if (has_key(changes, "events"))
		webhook_tell_unknown_types(&definition);
	SPI_finish();
	makini_rights_restore(&again);
}

Datum
makini_alter_webhook(PG_FUNCTION_ARGS)
{
	ErrorContextCallback hide = {.previous = error_context_stack, .callback = webhook_hide_statement};

	error_context_stack = &hide;
	alter_webhook(PG_GETARG_UUID_P(0), PG_GETARG_JSONB_P(1));
	error_context_stack = hide.previous;
	PG_RETURN_VOID();
}

/* ---- enable, disable, drop ---- */

/* What had waited for its next attempt is due when somebody says that the other side is well again. */
static bool
set_enabled(const pg_uuid_t *webhook, bool enabled)
{
	Oid	  types[] = {UUIDOID, BOOLOID};
	Datum values[2];

	values[0] = UUIDPGetDatum(webhook);
	values[1] = BoolGetDatum(enabled);
	if (private_query("UPDATE makini._webhook SET enabled = $2, enabled_at = CASE WHEN $2 THEN pg_catalog.clock_timestamp() ELSE enabled_at END, disabled_reason = CASE WHEN $2 THEN NULL ELSE 'disabled by a person' END"
					  " WHERE webhook_id = $1 AND enabled <> $2",
					  lengthof(types), types, values, NULL) == 0)
		return false;
	if (enabled)
	{
		(void) private_query("UPDATE makini._delivery SET next_attempt_at = pg_catalog.now()"
							 " WHERE webhook_id = $1 AND claimed_by IS NULL"
							 " AND next_attempt_at > pg_catalog.now() AND next_attempt_at < 'infinity'",
							 1, types, values, NULL);
	}
	webhook_changed(webhook);
	return true;
}

Datum
makini_enable_webhook(PG_FUNCTION_ARGS)
{
	pg_uuid_t	*webhook;
	MakiniRights saved;
	bool		 changed;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	webhook = PG_GETARG_UUID_P(0);
	makini_rights_of_extension(&saved);
	SPI_connect();
	webhook_lock(webhook, saved.userid);
	if (!PG_ARGISNULL(1))
		(void) deliveries_cancel(webhook, PG_GETARG_TIMESTAMPTZ(1));
	changed = set_enabled(webhook, true);
	SPI_finish();
	makini_rights_restore(&saved);
	PG_RETURN_BOOL(changed);
}

Datum
makini_disable_webhook(PG_FUNCTION_ARGS)
{
	pg_uuid_t	*webhook = PG_GETARG_UUID_P(0);
	MakiniRights saved;
	bool		 changed;

	makini_rights_of_extension(&saved);
	SPI_connect();
	webhook_lock(webhook, saved.userid);
	changed = set_enabled(webhook, false);
	SPI_finish();
	makini_rights_restore(&saved);
	PG_RETURN_BOOL(changed);
}

Datum
makini_drop_webhook(PG_FUNCTION_ARGS)
{
	pg_uuid_t	*webhook = PG_GETARG_UUID_P(0);
	Datum		 values[] = {UUIDPGetDatum(webhook)};
	MakiniRights saved;
	bool		 found;

	makini_rights_of_extension(&saved);
	SPI_connect();
	found = check_owner(webhook, saved.userid, true);
	if (found)
	{
		(void) private_query("DELETE FROM makini._webhook WHERE webhook_id = $1", 1, uuid_only,
							 values, NULL);
		webhook_changed(webhook);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	PG_RETURN_BOOL(found);
}

/* ---- secrets ---- */

/* Those in force end with the grace; beyond the limit the oldest end now. */
static void
expire_secrets(const pg_uuid_t *webhook, TimestampTz until)
{
	Oid	  types[] = {UUIDOID, TIMESTAMPTZOID, INT4OID};
	Datum values[3];

	values[0] = UUIDPGetDatum(webhook);
	values[1] = TimestampTzGetDatum(until);
	values[2] = Int32GetDatum(WEBHOOK_MAX_SECRETS - 1);
	(void) private_query("UPDATE makini._webhook_secret SET expires_at = $2"
						 " WHERE webhook_id = $1 AND (expires_at IS NULL OR expires_at > $2)",
						 2, types, values, NULL);
	(void) private_query("DELETE FROM makini._webhook_secret s WHERE webhook_id = $1 AND (expires_at <= pg_catalog.clock_timestamp() OR"
						 " (SELECT count(*) FROM makini._webhook_secret n WHERE n.webhook_id = $1 AND n.created_at > s.created_at) >= $3)",
						 3, types, values, NULL);
}

static char *
newest_secret(const pg_uuid_t *webhook)
{
	Datum values[] = {UUIDPGetDatum(webhook)};

	if (private_query("SELECT secret FROM makini._webhook_secret WHERE webhook_id = $1 ORDER BY created_at DESC LIMIT 1",
					  1, uuid_only, values, NULL) == 0)
		return NULL;
	return private_text(0, 1);
}

/* A new secret is of the kind of the last; a key that can't be read any more doesn't hinder that. */
static SignKind
kind_of(const char *stored, const pg_uuid_t *webhook)
{
	char *plain = stored == NULL ? NULL : unseal_or_null(stored, webhook);

	return plain != NULL && strncmp(plain, "whsk_", 5) == 0 ? SIGN_PRIVATE : SIGN_HMAC;
}

/* What can't be read any more signs nothing, and would keep what can from it. */
static void
drop_unreadable(const pg_uuid_t *webhook)
{
	Oid	   types[] = {UUIDOID, TEXTOID};
	Datum  values[] = {UUIDPGetDatum(webhook), (Datum) 0};
	uint64 n = private_query("SELECT secret FROM makini._webhook_secret WHERE webhook_id = $1", 1,
							 types, values, NULL);
	SPITupleTable *found = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		char *stored = SPI_getvalue(found->vals[i], found->tupdesc, 1);

		if (unseal_or_null(stored, webhook) != NULL)
			continue;
		values[1] = CStringGetTextDatum(stored);
		(void) private_query("DELETE FROM makini._webhook_secret WHERE webhook_id = $1 AND secret = $2",
							 lengthof(types), types, values, NULL);
	}
}

Datum
makini_rotate_webhook_secret(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *webhook = PG_GETARG_UUID_P(0);
	TimestampTz until = DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()),
							IntervalPGetDatum(PG_GETARG_INTERVAL_P(1))));
	MakiniRights  saved;
	char		  secret[SIGN_MAX_TEXT];
	char		 *receiver;
	MemoryContext context = CurrentMemoryContext;
	SignKind	  kind;

	makini_rights_of_extension(&saved);
	SPI_connect();
	webhook_lock(webhook, saved.userid);
	kind = kind_of(newest_secret(webhook), webhook);
	receiver = webhook_choose_secret(kind == SIGN_PRIVATE ? "whsk_" : NULL, secret, sizeof(secret));
	receiver = MemoryContextStrdup(context, receiver);
	drop_unreadable(webhook);
	expire_secrets(webhook, until);
	webhook_add_secret(webhook, secret);
	webhook_changed(webhook);
	SPI_finish();
	makini_rights_restore(&saved);
	explicit_bzero(secret, sizeof(secret));
	PG_RETURN_TEXT_P(cstring_to_text(receiver));
}
