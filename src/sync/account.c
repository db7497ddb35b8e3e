/*-------------------------------------------------------------------------
 *
 * account.c
 *		The account that a run gives of itself: its row in makini._sync_run, and
 *		the events of its beginning and end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "makini.h"
#include "private.h"
#include "sync/load.h"

static Datum
nullable_text(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/*
 * account_bury
 *		Call runs failed whose process has ended without a word.
 */
void
account_bury(int64 sync_id, RunLane lane)
{
	Oid	  types[] = {INT8OID, TEXTOID};
	Datum values[2];

	values[0] = Int64GetDatum(sync_id);
	values[1] = CStringGetTextDatum(run_lane_name(lane));
	private_execute("UPDATE makini._sync_run SET status = 'failed',"
					" finished_at = pg_catalog.clock_timestamp(), error_code = '57P01',"
					" error_message = 'the process that ran it ended'"
					" WHERE sync_id = $1 AND lane = $2 AND status = 'running'",
					lengthof(types), types, values, NULL);
}

/*
 * The event of a run's beginning or end.  Its data are built where the account
 * is kept.
 */
static void
raise_event(const Sync *sync, int64 run_id, const char *type, bool retryable)
{
	Oid	  types[] = {INT8OID, BOOLOID};
	Datum values[2];
	Event event = {.type = type, .connection = &sync->connection, .owner = sync->owner};
	bool  raised;

	values[0] = Int64GetDatum(run_id);
	values[1] = BoolGetDatum(retryable);
	SPI_execute_with_args("SELECT pg_catalog.jsonb_build_object("
						  "'sync_id', r.sync_id, 'run_id', r.run_id, 'source', s.source, 'target', s.target,"
						  "'mode', r.mode, 'status', r.status,"
						  "'window', pg_catalog.jsonb_build_object('from', r.window_from, 'to', r.window_to),"
						  "'data_as_of', s.data_as_of,"
						  "'rows', pg_catalog.jsonb_build_object('read', r.rows_read, 'inserted', r.rows_inserted,"
						  " 'updated', r.rows_updated, 'deleted', r.rows_deleted, 'unchanged', r.rows_unchanged,"
						  " 'rejected', r.rows_rejected),"
						  "'requests', r.requests,"
						  "'duration_ms', (extract(epoch from r.finished_at - r.started_at) * 1000)::bigint,"
						  "'error', CASE WHEN r.error_message IS NOT NULL THEN pg_catalog.jsonb_build_object("
						  " 'code', r.error_code, 'message', r.error_message, 'http_status', r.error_http_status,"
						  " 'hint', r.error_hint, 'retryable', $2) END)::text"
						  " FROM makini._sync_run r JOIN makini._sync s USING (sync_id) WHERE r.run_id = $1",
						  lengthof(types), types, values, NULL, false, 1);
	if (SPI_processed != 1)
		return;
	event.key = psprintf(INT64_FORMAT, sync->sync_id);
	event.data = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	event_raise(&event, &raised);
}

/*
 * account_open
 *		Begin the account of a run; gives its id.
 */
int64
account_open(const Sync *sync, const Load *load)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, UUIDOID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID};
	Datum		 values[lengthof(types)];
	char		 nulls[] = "      ";
	int64		 run_id;

	values[0] = Int64GetDatum(sync->sync_id);
	values[1] = UUIDPGetDatum(&sync->connection);
	values[2] = CStringGetTextDatum(run_lane_name(load->lane));
	values[3] = CStringGetTextDatum(run_mode_name(load->mode));
	values[4] = Int32GetDatum(MyProcPid);
	values[5] = TimestampTzGetDatum(load->window_from);
	nulls[5] = load->window_from == 0 ? 'n' : ' ';
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("INSERT INTO makini._sync_run"
						  " (sync_id, connection_id, lane, mode, pid, window_from)"
						  " VALUES ($1, $2, $3, $4, $5, $6) RETURNING run_id",
						  lengthof(types), types, values, nulls, false, 0);
	run_id = private_int64(0, 1, 0);
	raise_event(sync, run_id, "sync.started", false);
	SPI_finish();
	makini_rights_restore(&saved);
	return run_id;
}

#define ACCOUNT_VALUES 14

/*
 * account_save
 *		Bring the account of a run up to date.  Done with every page, so the plan
 *		is kept.
 */
void
account_save(int64 run_id, const Load *load, const Counters *counters, const RemoteUsage *usage)
{
	static SPIPlanPtr plan;
	Oid				  types[ACCOUNT_VALUES];
	Datum			  values[ACCOUNT_VALUES];
	char			  nulls[] = "              ";
	const int64		  numbers[] = {run_id,
								   counters->pages,
								   usage->requests,
								   usage->bytes,
								   counters->read,
								   counters->inserted,
								   counters->updated,
								   counters->deleted,
								   counters->unchanged,
								   counters->rejected,
								   usage->retries,
								   usage->wait_us / 1000};
	MakiniRights	  saved;

	for (int i = 0; i < lengthof(numbers); i++)
	{
		types[i] = INT8OID;
		values[i] = Int64GetDatum(numbers[i]);
	}
	types[12] = types[13] = TIMESTAMPTZOID;
	values[12] = TimestampTzGetDatum(load->window_from);
	nulls[12] = load->window_from == 0 ? 'n' : ' ';
	values[13] = TimestampTzGetDatum(load->window_to);
	nulls[13] = load->window_to == 0 ? 'n' : ' ';
	makini_rights_of_extension(&saved);
	SPI_connect();
	if (plan == NULL)
	{
		plan = SPI_prepare("UPDATE makini._sync_run SET pages = $2, requests = $3, bytes = $4,"
						   " rows_read = $5, rows_inserted = $6, rows_updated = $7,"
						   " rows_deleted = $8, rows_unchanged = $9, rows_rejected = $10,"
						   " retries = $11, wait_ms = $12, window_from = $13, window_to = $14"
						   " WHERE run_id = $1",
						   ACCOUNT_VALUES, types);
		SPI_keepplan(plan);
	}
	SPI_execute_plan(plan, values, nulls, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

/* The network, limits, somebody who stopped it or was in its way. */
bool
error_is_passing(const ErrorData *error)
{
	int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_CONNECTION_EXCEPTION || category == ERRCODE_INSUFFICIENT_RESOURCES ||
		category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_TRANSACTION_ROLLBACK ||
		error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

/*
 * error_name
 *		The code by which an error is kept.
 */
const char *
error_name(const Sync *sync, const ErrorData *error)
{
	return sync->failed_as != NULL ? sync->failed_as : unpack_sql_state(error->sqlerrcode);
}

/*
 * account_close
 *		Say how a run ended and raise the event of it.
 */
void
account_close(const Sync *sync, int64 run_id, const char *status, const ErrorData *error)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		 values[lengthof(types)];
	char		 nulls[] = "       ";
	bool		 failed = strcmp(status, "failed") == 0;

	values[0] = Int64GetDatum(run_id);
	values[1] = CStringGetTextDatum(status);
	values[2] = nullable_text(error ? error_name(sync, error) : NULL, &nulls[2]);
	values[3] = nullable_text(error ? error->message : NULL, &nulls[3]);
	values[4] = nullable_text(error ? error->detail : NULL, &nulls[4]);
	values[5] = nullable_text(error ? error->hint : NULL, &nulls[5]);
	values[6] = nullable_text(error ? error->context : NULL, &nulls[6]);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("UPDATE makini._sync_run SET status = $2,"
						  " finished_at = pg_catalog.clock_timestamp(), error_code = $3,"
						  " error_message = $4, error_detail = $5, error_hint = $6,"
						  " error_http_status = substring($5 from 'HTTP status ([0-9]{3})')::int,"
						  " remote_operation_id = substring($7 from 'remote operation ([^[:space:]]+)')"
						  " WHERE run_id = $1",
						  lengthof(types), types, values, nulls, false, 0);
	if (strcmp(status, "cancelled") != 0)
		raise_event(sync, run_id, failed ? "sync.failed" : "sync.completed",
					error != NULL && error_is_passing(error));
	SPI_finish();
	makini_rights_restore(&saved);
}
