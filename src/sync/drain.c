/*-------------------------------------------------------------------------
 *
 * drain.c
 *		A run of a drain.
 *
 *	owed acknowledgements ─▶ intent ─▶ GET ─▶ land, batch by batch ─▶ complete
 *	                                    │              │                 │
 *	                                    ▼              ▼                 ▼
 *	                              untouched: as     torn: told to    acknowledge
 *	                              if not asked      an operator      and strike off
 *
 * What an answer hands out is gone at the other side when it begins, so that
 * the intent is committed before it is asked for: an answer that is neither
 * landed nor torn when the next run begins was cut off by a crash.  Rows of a
 * torn answer stay where they were landed; they are not acknowledged, because
 * an acknowledgement may cover rows that never came.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "event/event.h"
#include "makini.h"
#include "private.h"
#include "sync/drain.h"

/* How often a batch is tried that only others stood in the way of. */
#define MAX_TRIES 5

/* One run's state between its transactions. */
typedef struct Draining
{
	Run			 *run;
	Drain		 *drain;
	MemoryContext cxt; /* of one batch */
	Feed		 *feed;
	FeedBatch	 *batch;
	bool		  wait_for_answer; /* what is owed has to wait for the next answer */
	int64		  answer_id;	   /* to be torn */
	const char	 *reason;		   /* why */
	char		 *window_from;	   /* of a torn answer */
	char		 *window_to;
	int64		  rows; /* of it that have landed */
} Draining;

/* ---------------------------------------------------------------------
 * Statements about answers
 * ---------------------------------------------------------------------
 */

/* A statement about this sync ($1) and its answer ($2), with a text ($3, or NULL). */
static void
note(const Draining *state, const char *statement, const char *text)
{
	Oid	  types[3] = {INT8OID, INT8OID, TEXTOID};
	Datum values[3];

	values[0] = Int64GetDatum(state->run->sync->sync_id);
	values[1] = Int64GetDatum(state->drain->answer_id);
	values[2] = text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
	private_execute(statement, lengthof(types), types, values, text != NULL ? NULL : "  n");
}

static void
note_intent(void *arg)
{
	Draining *state = arg;
	Oid		  types[3] = {INT8OID, INT8OID, BOOLOID};
	Datum	  values[3];

	values[0] = Int64GetDatum(state->run->sync->sync_id);
	values[1] = Int64GetDatum(state->run->run_id);
	values[2] = BoolGetDatum(state->drain->redelivers);
	state->drain->answer_id =
		private_number("INSERT INTO makini._drain_answer (sync_id, run_id, redelivers)"
					   " VALUES ($1, $2, $3) RETURNING answer_id",
					   lengthof(types), types, values, NULL, 0);
}

/* Nothing was handed out. */
static void
note_untouched(void *arg)
{
	Draining *state = arg;

	note(state,
		 "UPDATE makini._drain_answer SET landed_at = clock_timestamp(), error = $3"
		 " WHERE sync_id = $1 AND answer_id = $2",
		 state->reason);
}

/*
 * The whole answer has landed.  What earlier ones lost came with it, where the
 * other side gives rows again.
 */
static void
note_landed(void *arg)
{
	Draining *state = arg;

	note(state,
		 "UPDATE makini._drain_answer SET landed_at = clock_timestamp()"
		 " WHERE sync_id = $1 AND answer_id = $2",
		 NULL);
	note(state,
		 "UPDATE makini._sync SET state = 'incremental', consecutive_failures = 0,"
		 " last_error_code = NULL, last_error = NULL, data_as_of = a.requested_at"
		 " FROM makini._drain_answer a WHERE _sync.sync_id = $1 AND a.answer_id = $2",
		 NULL);
	note(state,
		 "UPDATE makini._drain_answer SET resolved_at = clock_timestamp(), resolution = $3"
		 " WHERE sync_id = $1 AND answer_id < $2 AND redelivers"
		 " AND torn_at IS NOT NULL AND resolved_at IS NULL",
		 "its rows came again");
	note(state,
		 "DELETE FROM makini._drain_answer a WHERE sync_id = $1 AND answer_id < $2"
		 " AND coalesce(resolved_at, landed_at) < now() - $3::interval"
		 " AND NOT EXISTS (SELECT FROM makini._owed o WHERE o.answer_id = a.answer_id)",
		 "30 days");
}

/*
 * What is committed here the other side acts on, so that it must outlast a crash
 * even where others need not wait for that.
 */
static void
commit_for_good(void)
{
	ForceSyncCommit();
	run_commit();
}

/* ---------------------------------------------------------------------
 * Torn answers
 * ---------------------------------------------------------------------
 */

/* The rows of a torn answer wait for a person, or for coming again. */
static void
mark_torn_rows(const Drain *drain, int64 run_id, int64 first, int64 last)
{
	Oid	  types[3] = {INT8OID, INT8OID, INT8OID};
	Datum values[3] = {Int64GetDatum(run_id), Int64GetDatum(first), Int64GetDatum(last)};

	for (int i = 0; i < drain->ntargets; i++)
	{
		const DrainTarget *target = &drain->targets[i];
		TargetRights	   saved;

		rights_of_target(target->owner, &saved);
		SPI_connect();
		SPI_execute_with_args(psprintf("UPDATE %s SET _ack = 'manual' WHERE %s BETWEEN $2 AND $3"
									   " AND _run_id = $1 AND _ack = 'owed'",
									   target->name, target->child ? "_parent_row_id" : "_row_id"),
							  3, types, values, NULL, false, 0);
		SPI_finish();
		rights_of_target_restore(&saved);
	}
}

static void
append_member(StringInfo out, const char *name, const char *value)
{
	appendStringInfoChar(out, out->len == 0 ? '{' : ',');
	escape_json(out, name);
	appendStringInfoChar(out, ':');
	if (value != NULL)
		escape_json(out, value);
	else
		appendStringInfoString(out, "null");
}

static char *
lost_message(const Draining *state)
{
	return psprintf("feed \"%s\" handed out rows that did not arrive: %s",
					state->drain->entity->name, state->reason);
}

static char *
lost_hint(const Draining *state)
{
	return psprintf("Rows handed out between %s and %s may be lost. Have an operator of the remote side send "
					"them again, then note it with SELECT makini.resolve_drain(" INT64_FORMAT
					", 'resent').",
					state->window_from, state->window_to, state->run->sync->sync_id);
}

/* Only an operator of the other side can bring back what was lost. */
static void
raise_lost(const Draining *state)
{
	StringInfoData data;
	const Sync	  *sync = state->run->sync;
	bool		   raised;
	Event event = {.type = "system.error", .connection = &sync->connection, .owner = sync->owner};

	initStringInfo(&data);
	append_member(&data, "component", "drain");
	append_member(&data, "code", "answer_torn");
	append_member(&data, "message", lost_message(state));
	append_member(&data, "hint", lost_hint(state));
	append_member(&data, "connection", state->run->conn->server_name);
	appendStringInfo(&data, ",\"affected\":[{\"sync_id\":" INT64_FORMAT ",\"source\":", sync->sync_id);
	escape_json(&data, sync->source_name);
	appendStringInfoString(&data, "}],\"window\":{\"from\":");
	escape_json(&data, state->window_from);
	appendStringInfoString(&data, ",\"to\":");
	escape_json(&data, state->window_to);
	appendStringInfoString(&data, "},\"count\":1,\"first_seen\":");
	escape_json(&data, state->window_to);
	appendStringInfoChar(&data, '}');
	event.data = data.data;
	event.key = psprintf("drain:" INT64_FORMAT, sync->sync_id);
	event.dedupe_key =
		psprintf("drain:" INT64_FORMAT ":answer:" INT64_FORMAT, sync->sync_id, state->answer_id);
	(void) event_raise(&event, &raised);
}

/* Note that an answer broke off, and tell who has to know. */
static void
tear(void *arg)
{
	Draining	*state = arg;
	Oid			 types[] = {INT8OID, TEXTOID};
	Datum		 values[] = {Int64GetDatum(state->answer_id), CStringGetTextDatum(state->reason)};
	MakiniRights saved;
	bool		 redelivers;
	int64		 run_id, first, last;

	PushActiveSnapshot(GetTransactionSnapshot());
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("UPDATE makini._drain_answer SET torn_at = clock_timestamp(), error = $2"
						  " WHERE answer_id = $1"
						  " RETURNING run_id, first_row_id, last_row_id, rows, redelivers,"
						  " makini._utc_text(requested_at),"
						  " makini._utc_text(coalesce(progressed_at, clock_timestamp()))",
						  lengthof(types), types, values, NULL, false, 0);
	run_id = private_int64(0, 1, 0);
	first = private_int64(0, 2, 0);
	last = private_int64(0, 3, -1);
	state->rows = private_int64(0, 4, 0);
	redelivers = private_bool(0, 5);
	state->window_from = private_text(0, 6);
	state->window_to = private_text(0, 7);
	SPI_finish();
	makini_rights_restore(&saved);
	if (first <= last)
		mark_torn_rows(state->drain, run_id, first, last);
	if (!redelivers)
		raise_lost(state);
	PopActiveSnapshot();
}

/* What the caller hears of an answer that broke off. */
static ErrorData *
tear_for(Draining *state, ErrorData *error)
{
	ErrorData *trouble;

	state->answer_id = state->drain->answer_id;
	state->reason = error->message;
	trouble = run_attempt(tear, state);
	run_commit();
	if (trouble != NULL)
		return error;
	error->detail = psprintf("%s%sThe answer broke off; " INT64_FORMAT
							 " rows of it have landed and are not acknowledged.",
							 error->detail != NULL ? error->detail : "",
							 error->detail != NULL ? " " : "", state->rows);
	if (!state->drain->redelivers)
		error->hint = lost_hint(state);
	return error;
}

/* ---------------------------------------------------------------------
 * What earlier runs left behind
 * ---------------------------------------------------------------------
 */

/* An answer that is neither landed nor torn: whoever asked for it is no more. */
static void
find_crashed(void *arg)
{
	Draining *state = arg;
	Oid		  types[1] = {INT8OID};
	Datum	  values[1] = {Int64GetDatum(state->run->sync->sync_id)};

	state->answer_id = private_number("SELECT answer_id FROM makini._drain_answer WHERE sync_id = $1"
									  " AND landed_at IS NULL AND torn_at IS NULL"
									  " ORDER BY answer_id LIMIT 1",
									  lengthof(types), types, values, NULL, 0);
	if (state->answer_id == 0)
		return;
	state->reason = "its run ended before all of it had been stored";
	tear(state);
	ereport(WARNING,
			(errmsg("an answer of feed \"%s\" was cut off by the end of the session or server",
					state->drain->entity->name),
			 errdetail(INT64_FORMAT " rows of it have landed.", state->rows),
			 state->drain->redelivers ? errhint("The remote side hands out the others again.") :
										errhint("%s", lost_hint(state))));
}

/*
 * While rows of a torn answer will come again, acknowledging others of the same
 * key would take them away.
 */
static void
look_at_last(void *arg)
{
	Draining *state = arg;

	state->wait_for_answer = about_id("SELECT FROM makini._drain_answer WHERE sync_id = $1 AND redelivers"
									  " AND torn_at IS NOT NULL AND resolved_at IS NULL LIMIT 1",
									  state->run->sync->sync_id) > 0;
}

static ErrorData *
settle_past(Draining *state)
{
	ErrorData *error;

	do
	{
		error = run_attempt(find_crashed, state);
		run_commit();
	} while (error == NULL && state->answer_id != 0);
	if (error == NULL)
	{
		error = run_attempt(look_at_last, state);
		run_commit();
	}
	if (error == NULL && !state->wait_for_answer)
		error = owed_send(state->drain, 0);
	return error;
}

/* ---------------------------------------------------------------------
 * The answer
 * ---------------------------------------------------------------------
 */

static void
open_feed(void *arg)
{
	Draining *state = arg;

	state->feed = state->run->conn->connector->feed_open(state->run->conn, state->drain->entity);
}

static void
next_batch(void *arg)
{
	Draining *state = arg;

	state->batch = state->run->conn->connector->feed_next(state->feed);
}

static void
land(void *arg)
{
	Draining	 *state = arg;
	MemoryContext old = MemoryContextSwitchTo(state->cxt);

	MemoryContextReset(state->cxt);
	PushActiveSnapshot(GetTransactionSnapshot());
	land_batch(state->drain, state->batch);
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
}

static ErrorData *
land_or_try_again(Draining *state)
{
	Counters   before = state->run->counters;
	ErrorData *error;

	for (int try = 1;; try++)
	{
		error = run_attempt(land, state);
		if (error == NULL)
			break;
		state->run->counters = before;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TRANSACTION_ROLLBACK || try == MAX_TRIES)
			break;
	}
	commit_for_good();
	progress_rows(state->run->counters.read);
	progress_notice(state->run->sync);
	return error;
}

static ErrorData *
fetch(Draining *state)
{
	ErrorData *error;

	InvalidateCatalogSnapshot();
	progress_wait(true);
	error = run_attempt(next_batch, state);
	progress_wait(false);
	return error;
}

/* Land all that comes; untouched: nothing was handed out. */
static ErrorData *
land_answer(Draining *state, bool *untouched)
{
	ErrorData *error = run_attempt(open_feed, state);

	*untouched = error != NULL;
	while (error == NULL)
	{
		error = fetch(state);
		if (error != NULL)
			*untouched = state->run->conn->connector->feed_untouched(state->feed);
		else if (state->batch == NULL)
			return NULL;
		else
			error = land_or_try_again(state);
	}
	return error;
}

/* ---------------------------------------------------------------------
 * Runs
 * ---------------------------------------------------------------------
 */

static void
open_drain(void *arg)
{
	Draining	 *state = arg;
	MemoryContext old = MemoryContextSwitchTo(state->run->cxt);

	PushActiveSnapshot(GetTransactionSnapshot());
	state->drain = drain_open(state->run);
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
}

/* A step in a transaction of its own. */
static ErrorData *
do_step(Draining *state, RunStep step)
{
	ErrorData *error = run_attempt(step, state);

	commit_for_good();
	return error;
}

static ErrorData *
take_answer(Draining *state)
{
	bool	   untouched;
	ErrorData *trouble;
	ErrorData *error = do_step(state, note_intent);

	if (error != NULL)
		return error;
	progress_phase(PHASE_READING);
	error = land_answer(state, &untouched);
	if (error == NULL)
		return do_step(state, note_landed);
	if (!untouched)
		return tear_for(state, error);
	state->reason = error->message;
	trouble = do_step(state, note_untouched);
	return trouble != NULL ? trouble : error;
}

static ErrorData *
drain(Draining *state)
{
	ErrorData *error = do_step(state, open_drain);

	if (error == NULL)
		error = settle_past(state);
	if (error == NULL)
		error = take_answer(state);
	if (error != NULL)
		return error;

	/* what is older was tried just now */
	return owed_send(state->drain, state->wait_for_answer ? 0 : state->drain->answer_id);
}

ErrorData *
drain_run(Run *run)
{
	Draining	  state = {.run = run};
	MemoryContext old = MemoryContextSwitchTo(run->cxt);
	ErrorData	 *error;

	state.cxt = AllocSetContextCreate(run->cxt, "makini drained batch", ALLOCSET_DEFAULT_SIZES);
	error = drain(&state);
	if (state.feed != NULL)
		run->conn->connector->feed_close(state.feed);
	MemoryContextDelete(state.cxt);
	MemoryContextSwitchTo(old);
	return error;
}
