/*-------------------------------------------------------------------------
 *
 * announce.c
 *		What happens at the commit of a transaction with events: the sender is
 *		woken, and where makini.notify says "with", listeners are told.
 *
 * One pg_notify for a transaction, however many events it has, so the events are
 * counted until its commit; those of a subtransaction that is rolled back are
 * counted out again.  A prepared transaction is not announced by its writer:
 * PostgreSQL refuses NOTIFY there, and a hint is not worth that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "event/event.h"
#include "interval_setting.h"
#include "worker/worker.h"

#define EVENT_CHANNEL "makini"

typedef enum NotifyMode
{
	NOTIFY_AFTER, /* by the sender */
	NOTIFY_WITH,  /* by the writer, in its transaction */
	NOTIFY_OFF
} NotifyMode;

static const struct config_enum_entry notify_modes[] = {{"after", NOTIFY_AFTER, false},
														{"with", NOTIFY_WITH, false},
														{"off", NOTIFY_OFF, false},
														{NULL, 0, false}};

static int notify_mode = NOTIFY_AFTER;

/* Events of one subtransaction, of this transaction. */
typedef struct Noted
{
	SubTransactionId subid;
	int64			 count;
	pg_uuid_t		 first;
	pg_uuid_t		 last;
	char			*announcement; /* where there is but one */
} Noted;

char *makini_event_retention = NULL;

static bool	 raised = false;
static List *noted = NIL; /* in TopTransactionContext, in the order of subid */

/* ---------------------------------------------------------------------
 * Texts
 * ---------------------------------------------------------------------
 */

static char *
uuid_text(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

char *
event_announcement(const pg_uuid_t *id, const char *type, const pg_uuid_t *connection)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"event_id\":\"%s\",\"type\":", uuid_text(id));
	escape_json(&text, type);
	if (connection == NULL)
		appendStringInfoString(&text, ",\"connection_id\":null}");
	else
		appendStringInfo(&text, ",\"connection_id\":\"%s\"}", uuid_text(connection));
	return text.data;
}

char *
event_announcement_of_many(int64 count, const pg_uuid_t *first, const pg_uuid_t *last)
{
	return psprintf("{\"count\":" INT64_FORMAT ",\"first\":\"%s\",\"last\":\"%s\"}", count,
					uuid_text(first), uuid_text(last));
}

void
event_announce_after(const char *announcement)
{
	if (notify_mode == NOTIFY_AFTER)
		Async_Notify(EVENT_CHANNEL, announcement);
}

/* ---------------------------------------------------------------------
 * Within the transaction
 * ---------------------------------------------------------------------
 */

static Noted *
note_of_subtransaction(void)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Noted			*note = noted == NIL ? NULL : llast(noted);

	if (note == NULL || note->subid != subid)
	{
		note = palloc0(sizeof(Noted));
		note->subid = subid;
		noted = lappend(noted, note);
	}
	return note;
}

void
event_noted(const pg_uuid_t *id, const char *type, const pg_uuid_t *connection)
{
	MemoryContext old;
	Noted		 *note;

	raised = true;
	if (notify_mode != NOTIFY_WITH)
		return;

	old = MemoryContextSwitchTo(TopTransactionContext);
	note = note_of_subtransaction();
	if (note->count++ == 0)
	{
		note->first = *id;
		note->announcement = event_announcement(id, type, connection);
	}
	note->last = *id;
	MemoryContextSwitchTo(old);
}

/* What a subtransaction noted becomes its parent's. */
static void
hand_over(SubTransactionId subid, SubTransactionId parent)
{
	Noted *note = llast(noted);
	Noted *before = list_length(noted) < 2 ? NULL : list_nth(noted, list_length(noted) - 2);

	if (note->subid != subid)
		return;
	note->subid = parent;
	if (before == NULL || before->subid != parent)
		return;
	before->count += note->count;
	before->last = note->last;
	noted = list_delete_last(noted);
}

/* Everything numbered from an aborted subtransaction on was begun within it. */
static void
on_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	if (noted == NIL)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_over(subid, parent);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		while (noted != NIL && ((Noted *) llast(noted))->subid >= subid)
			noted = list_delete_last(noted);
}

/* ---------------------------------------------------------------------
 * At its end
 * ---------------------------------------------------------------------
 */

static void
announce(void)
{
	Noted	 *first = linitial(noted);
	Noted	 *last = llast(noted);
	int64	  count = 0;
	ListCell *cell;

	foreach(cell, noted)
		count += ((Noted *) lfirst(cell))->count;
	Async_Notify(EVENT_CHANNEL,
				 count == 1 ? first->announcement :
							  event_announcement_of_many(count, &first->first, &last->last));
}

static void
on_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (noted != NIL)
				announce();
			return;
		case XACT_EVENT_COMMIT:
			if (raised)
				worker_wake_sender(MyDatabaseId);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	raised = false;
	event_backfill = false;
	noted = NIL;
}

void
event_init(void)
{
	DefineCustomEnumVariable("makini.notify", "Who announces events with pg_notify.",
							 "\"after\": the sender, right after the commit; \"with\": the writer, in its own transaction; \"off\": nobody.",
							 &notify_mode, NOTIFY_AFTER, notify_modes, PGC_USERSET, 0, NULL, NULL,
							 NULL);
	define_interval_setting("makini.event_retention", "How long events and their deliveries are kept.",
							&makini_event_retention, "30 days");
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
}
