/*-------------------------------------------------------------------------
 *
 * create.c
 *		makini.create_webhook(): a new endpoint and its secret.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "connection_store.h"
#include "event/author.h"
#include "event/event.h"
#include "makini.h"
#include "private.h"
#include "webhook/webhook.h"
#include "worker/worker.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_create_webhook);

static bool wake_at_commit = false;

static void
on_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		return;
	if (wake_at_commit && event == XACT_EVENT_COMMIT)
		worker_wake_sender(MyDatabaseId);
	wake_at_commit = false;
}

/*
 * Senders are woken when the transaction has become visible, and look for other
 * versions then.
 */
void
webhook_changed(const pg_uuid_t *webhook)
{
	static bool registered = false;
	Oid			types[] = {UUIDOID};
	Datum		values[] = {UUIDPGetDatum(webhook)};

	(void) private_query("UPDATE makini._webhook SET version = version + 1 WHERE webhook_id = $1",
						 lengthof(types), types, values, NULL);
	if (!registered)
		RegisterXactCallback(on_transaction, NULL);
	registered = true;
	wake_at_commit = true;
}

static char *
headers_as_text(Jsonb *headers)
{
	return JsonbToCString(NULL, &headers->root, VARSIZE(headers));
}

static void
insert_webhook(const pg_uuid_t *id, const WebhookDefinition *definition, Oid owner)
{
	Oid	  types[] = {UUIDOID, TEXTOID, OIDOID,	TEXTOID, TEXTARRAYOID, TEXTARRAYOID,
					 TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID};
	Datum values[lengthof(types)];
	char  nulls[lengthof(types) + 1] = "           ";

	values[0] = UUIDPGetDatum(id);
	values[1] = CStringGetTextDatum(connection_home());
	values[2] = ObjectIdGetDatum(owner);
	values[3] = CStringGetTextDatum(definition->url);
	values[4] = PointerGetDatum(definition->events);
	values[5] = PointerGetDatum(definition->connections);
	values[6] = CStringGetTextDatum(seal(headers_as_text(definition->headers), id));
	values[7] = definition->filter != NULL ? CStringGetTextDatum(definition->filter) : (Datum) 0;
	nulls[7] = definition->filter != NULL ? ' ' : 'n';
	values[8] = CStringGetTextDatum(definition->filter_path);
	values[9] = CStringGetTextDatum(definition->api_version);
	values[10] = JsonbPGetDatum(definition->options);
	(void) private_query("INSERT INTO makini._webhook (webhook_id, home, owner_oid, owner, url, events, connections,"
						 " headers, filter, filter_path, api_version, options)"
						 " VALUES ($1, $2, $3, pg_catalog.pg_get_userbyid($3), $4, $5, $6, $7, $8, $9, $10, $11)",
						 lengthof(types), types, values, nulls);
	(void) private_query("INSERT INTO makini._webhook_state (webhook_id) VALUES ($1)", 1, types,
						 values, NULL);
}

void
webhook_add_secret(const pg_uuid_t *webhook, const char *text)
{
	Oid	  types[] = {UUIDOID, TEXTOID};
	Datum values[2];

	values[0] = UUIDPGetDatum(webhook);
	values[1] = CStringGetTextDatum(seal(text, webhook));
	(void) private_query("INSERT INTO makini._webhook_secret (webhook_id, secret) VALUES ($1, $2)",
						 lengthof(types), types, values, NULL);
}

char *
webhook_choose_secret(const char *given, char *text, size_t len)
{
	char   *receiver = palloc(SIGN_MAX_TEXT);
	char	reason[200] = "cannot be used by OpenSSL";
	SignKey key;
	bool	good = true;

	if (given == NULL || strcmp(given, "whsec_") == 0)
		good = sign_key_make(SIGN_HMAC, text, len);
	else if (strcmp(given, "whsk_") == 0)
		good = sign_key_make(SIGN_PRIVATE, text, len);
	else
		strlcpy(text, given, len);
	if (!good || !sign_key_parse(text, &key, reason, sizeof(reason)) || key.kind == SIGN_PUBLIC ||
		(key.kind == SIGN_HMAC && key.len < SIGN_MIN_SECRET))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid secret of a webhook"),
				 errhint("Leave it out to have one made, or give whsec_ and the base64 of 24 to 64 random bytes, or whsk_ for a key pair."),
				 errhidestmt(true), errhidecontext(true)));
	sign_key_for_receiver(&key, receiver, SIGN_MAX_TEXT);
	sign_key_clear(&key);
	return receiver;
}

void
webhook_new_id(pg_uuid_t *id)
{
	if (!pg_strong_random(id->data, UUID_LEN))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	id->data[6] = (id->data[6] & 0x0f) | 0x40;
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

static void
read_arguments(FunctionCallInfo fcinfo, WebhookDefinition *definition)
{
	static const char *const names[] = {"url",	   "events", "connections", "secret",
										"headers", "filter", "api_version", "options"};

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (PG_ARGISNULL(i) && i != 3 && i != 5)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s of a webhook must not be null", names[i]), errhidestmt(true)));
	}
	definition->url = text_to_cstring(PG_GETARG_TEXT_PP(0));
	definition->events = PG_GETARG_ARRAYTYPE_P(1);
	definition->connections = PG_GETARG_ARRAYTYPE_P(2);
	definition->headers = PG_GETARG_JSONB_P(4);
	definition->filter = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));
	definition->filter_path = author_search_path();
	definition->api_version = text_to_cstring(PG_GETARG_TEXT_PP(6));
	definition->options = PG_GETARG_JSONB_P(7);
}

static Datum
result_row(FunctionCallInfo fcinfo, const pg_uuid_t *id, const char *secret)
{
	TupleDesc desc;
	Datum	  values[2];
	bool	  nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	values[0] = UUIDPGetDatum(id);
	values[1] = CStringGetTextDatum(secret);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static Datum
create_webhook(FunctionCallInfo fcinfo)
{
	WebhookDefinition definition;
	WebhookOptions	  options;
	MakiniRights	  saved;
	Oid				  owner = GetUserId();
	char			  secret[SIGN_MAX_TEXT];
	char			 *given = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	char			 *receiver;
	pg_uuid_t		  id;

	read_arguments(fcinfo, &definition);
	webhook_check(&definition);
	webhook_options_read(definition.options, &options);
	webhook_options_check_rights(&options, NULL);
	receiver = webhook_choose_secret(given, secret, sizeof(secret));
	webhook_new_id(&id);

	makini_rights_of_extension(&saved);
	SPI_connect();
	insert_webhook(&id, &definition, owner);
	webhook_add_secret(&id, secret);
	webhook_changed(&id);
	webhook_tell_unknown_servers(&definition);
	webhook_tell_unknown_types(&definition);
	SPI_finish();
	makini_rights_restore(&saved);
	explicit_bzero(secret, sizeof(secret));
	worker_remind("deliver to webhooks");
	return result_row(fcinfo, &id, receiver);
}

Datum
makini_create_webhook(PG_FUNCTION_ARGS)
{
	ErrorContextCallback hide = {.previous = error_context_stack, .callback = webhook_hide_statement};
	Datum				 row;

	error_context_stack = &hide;
	row = create_webhook(fcinfo);
	error_context_stack = hide.previous;
	return row;
}
