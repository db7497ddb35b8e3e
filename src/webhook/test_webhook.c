/*-------------------------------------------------------------------------
 *
 * test_webhook.c
 *		makini.test_webhook(): one request at once, from this session.
 *
 * No event and no delivery is stored, and the webhook's state is not touched: a
 * test says what happened and leaves nothing behind.  It has no makini-delivery
 * number, as numbers have no gaps.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "event/event.h"
#include "makini.h"
#include "private.h"
#include "remote/reactor.h"
#include "webhook/deliver.h"

PG_FUNCTION_INFO_V1(makini_test_webhook);

/* The sample of a type that makini knows; something for others. */
static Datum
sample_of(const char *type)
{
	Oid	  types[] = {TEXTOID, TEXTOID};
	Datum values[2];
	bool  isnull;

	values[0] = CStringGetTextDatum(type);
	values[1] = CStringGetTextDatum(MAKINI_API_VERSION);
	(void) private_query("SELECT coalesce((SELECT sample FROM makini._event_type WHERE type = $1 AND api_version = $2),"
						 " '{\"test\": true}')",
						 lengthof(types), types, values, NULL);
	return PointerGetDatum(
		DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)));
}

static Message *
test_message(const Endpoint *endpoint, const char *type)
{
	EventRow event = {.type = pstrdup(type), .occurred_at = GetCurrentTimestamp(), .owner = GetUserId()};

	webhook_new_id(&event.id);
	event.data = sample_of(type);
	return message_of(&event, endpoint);
}

/* Can be cancelled wherever it stands. */
static void
send_and_wait(const Endpoint *endpoint, Message *message, Outcome *outcome)
{
	Transfer *transfer;

	reactor_start();
	transfer = transfer_start(endpoint, message, 0);
	if (transfer == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_TRY();
	{
		while (!transfer_done(transfer))
			(void) reactor_wait(-1, REACTOR_WAIT_HTTP);
		transfer_outcome(transfer, outcome);
	}
	PG_FINALLY();
	{
		transfer_free(transfer);
	}
	PG_END_TRY();
}

static void
put_outcome(ReturnSetInfo *result, pg_uuid_t *event_id, const Outcome *outcome)
{
	Datum values[6] = {0};
	bool  nulls[6] = {false};

	values[0] = UUIDPGetDatum(event_id);
	values[1] = BoolGetDatum(outcome->delivered);
	values[2] = Int32GetDatum(outcome->status);
	nulls[2] = outcome->status == 0;
	values[3] = Int32GetDatum(outcome->duration_ms);
	nulls[4] = outcome->response == NULL;
	if (outcome->response != NULL)
		values[4] = CStringGetTextDatum(outcome->response);
	nulls[5] = outcome->error == NULL;
	if (outcome->error != NULL)
		values[5] = CStringGetTextDatum(outcome->error);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
makini_test_webhook(PG_FUNCTION_ARGS)
{
	pg_uuid_t	 *webhook = PG_GETARG_UUID_P(0);
	char		 *type = text_to_cstring(PG_GETARG_TEXT_PP(1));
	MemoryContext context = CurrentMemoryContext;
	MakiniRights  saved;
	Endpoint	 *endpoint;
	Message		 *message;
	Outcome		  outcome;
	pg_uuid_t	  event_id;

	event_check_form(type);
	InitMaterializedSRF(fcinfo, 0);
	makini_rights_of_extension(&saved);
	SPI_connect();
	webhook_check_owner(webhook, saved.userid);
	endpoint = endpoint_read(webhook);
	if (endpoint == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("webhook %s comes from another database", webhook_id_text(webhook)),
				 errhint("After a restore makini.activate_instance() makes it this one's.")));
	message = test_message(endpoint, type);
	event_id = message->event_id;
	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		send_and_wait(endpoint, message, &outcome);
	}
	PG_FINALLY();
	{
		message_release(message);
		endpoint_release(endpoint);
	}
	PG_END_TRY();
	SPI_finish();
	makini_rights_restore(&saved);
	put_outcome((ReturnSetInfo *) fcinfo->resultinfo, &event_id, &outcome);
	return (Datum) 0;
}
