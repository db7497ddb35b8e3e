/*-------------------------------------------------------------------------
 *
 * connection_state.c
 *		Servers: what was learned about them is kept, told, and acted upon.
 *
 * Whoever talks to a server leaves in shared memory what came of it, even where
 * the transaction is rolled back (health.c).  Here that is compared with the
 * table makini._connection_health, which restarts, dumps and the queue of jobs
 * know; what is different is written, with one event.  What to make of it is
 * connection_step.c's to say.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "connection_store.h"
#include "event/connection_state.h"
#include "event/connection_step.h"
#include "makini.h"
#include "private.h"
#include "worker/worker.h"

/* Between two syncs that try whether a server is back. */
#define PROBE_BASE (30 * USECS_PER_SEC)
#define PROBE_CAP (15 * 60 * USECS_PER_SEC)

/* A scheduler does not wait for people's transactions: it comes again. */
#define LOCK_PATIENCE "100ms"
#define LOCKED_AGAIN (2 * USECS_PER_SEC)

typedef struct ServerState
{
	StateOwner	of;
	const char *version; /* of its row in pg_foreign_server */
	bool		kept;	 /* has a row */
	bool		stale;	 /* which is about an earlier version */
	HealthRow	row;
	int64		probe_sync_id;
	TimestampTz changed_at;
} ServerState;

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

char
state_put_time(Datum *value, TimestampTz moment)
{
	*value = TimestampTzGetDatum(moment);
	return moment == 0 ? 'n' : ' ';
}

char
state_put_text(Datum *value, const char *text)
{
	*value = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
	return text == NULL ? 'n' : ' ';
}

static const char *const health_names[] = {"unknown", "online", "offline"};

static StepHealth
health_of(const char *name)
{
	StepHealth health = STEP_UNKNOWN;

	for (int i = 0; name != NULL && i < (int) lengthof(health_names); i++)
		if (strcmp(name, health_names[i]) == 0)
			health = (StepHealth) i;
	return health;
}

/* What is known by names only, after a restore, is left alone until the instance is activated. */
#define SERVERS                                                                                    \
	"SELECT s.server_oid::bigint, s.connection_id, s.server_name::text, f.srvowner::bigint,"       \
	" f.xmin::text, h.connection_id IS NOT NULL,"                                                  \
	" h.server_version IS DISTINCT FROM f.xmin::text, h.health, h.told, h.told_offline_at,"        \
	" h.probing, h.probe_started_at, h.probe_at, h.probes::bigint, h.probe_sync_id, h.changed_at"  \
	" FROM makini._server s"                                                                       \
	" JOIN pg_catalog.pg_foreign_server f ON f.oid = s.server_oid"                                 \
	" LEFT JOIN makini._connection_health h ON h.connection_id = s.connection_id"                  \
	" WHERE ($1 = 0 OR s.server_oid = $1) AND NOT EXISTS (SELECT FROM makini._connection k"        \
	"  WHERE k.connection_id = s.connection_id AND k.home <> makini._home())"

static ServerState *
server_state(uint64 row, bool *other_server)
{
	ServerState *state = palloc0(sizeof(ServerState));

	state->of.serverid = (Oid) private_int64(row, 1, 0);
	(void) private_uuid(row, 2, &state->of.connection);
	state->of.server = private_text(row, 3);
	state->of.owner = (Oid) private_int64(row, 4, 0);
	state->version = private_text(row, 5);
	state->kept = private_bool(row, 6);
	state->stale = state->kept && private_bool(row, 7);
	state->row.health = health_of(private_text(row, 8));
	state->row.told = health_of(private_text(row, 9));
	state->row.told_offline_at = private_int64(row, 10, 0);
	state->row.probing = private_bool(row, 11);
	state->row.probe_started_at = private_int64(row, 12, 0);
	state->row.probe_at = private_int64(row, 13, 0);
	state->row.probes = (int) private_int64(row, 14, 0);
	state->probe_sync_id = private_int64(row, 15, 0);
	state->changed_at = private_int64(row, 16, 0);
	*other_server = state->stale;
	return state;
}

static SPITupleTable *
read_servers(Oid serverid, uint64 *n)
{
	Oid	  types[1] = {OIDOID};
	Datum values[1] = {ObjectIdGetDatum(serverid)};

	SPI_execute_with_args(SERVERS, 1, types, values, NULL, false, 0);
	*n = SPI_processed;
	return SPI_tuptable;
}

/* Makes sure of a row, and that nobody else changes it meanwhile. */
static void
lock_row(const ServerState *state)
{
	Oid	  types[2] = {UUIDOID, TEXTOID};
	Datum values[2];

	if (!state->kept)
		(void) connection_store(state->of.serverid);
	values[0] = UUIDPGetDatum(&state->of.connection);
	values[1] = CStringGetTextDatum(state->version);
	SPI_execute_with_args("INSERT INTO makini._connection_health (connection_id, server_version)"
						  " VALUES ($1, $2) ON CONFLICT DO NOTHING",
						  2, types, values, NULL, false, 0);
	SPI_execute_with_args("SELECT FROM makini._connection_health WHERE connection_id = $1 FOR UPDATE",
						  1, types, values, NULL, false, 0);
}

static const char *
error_of(const HealthFacts *facts)
{
	return facts->last_error[0] == '\0' ? NULL : remote_presentable(facts->last_error);
}

static void
write_row(const ServerState *state, const HealthFacts *facts)
{
	const HealthRow *row = &state->row;
	Oid	  types[] = {UUIDOID,		 TEXTOID,		 TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
					 TIMESTAMPTZOID, TEXTOID,		 TEXTOID, TIMESTAMPTZOID, INT4OID,
					 TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, BOOLOID};
	Datum values[lengthof(types)];
	char  nulls[lengthof(types) + 1] = "              ";

	values[0] = UUIDPGetDatum(&state->of.connection);
	values[1] = CStringGetTextDatum(state->version);
	values[2] = CStringGetTextDatum(health_names[row->health]);
	nulls[3] = state_put_time(&values[3], state->changed_at);
	nulls[4] = state_put_time(&values[4], facts->last_ok_at);
	nulls[5] = state_put_time(&values[5], facts->last_checked_at);
	nulls[6] = state_put_text(&values[6], error_of(facts));
	nulls[7] = state_put_text(&values[7], row->told == STEP_UNKNOWN ? NULL : health_names[row->told]);
	nulls[8] = state_put_time(&values[8], row->told_offline_at);
	values[9] = Int32GetDatum(row->probes);
	nulls[10] = state_put_time(&values[10], row->probe_at);
	nulls[11] = state_put_time(&values[11], row->probe_started_at);
	values[12] = Int64GetDatum(state->probe_sync_id);
	values[13] = BoolGetDatum(row->probing);
	SPI_execute_with_args("UPDATE makini._connection_health SET server_version = $2, health = $3,"
						  " changed_at = $4, last_ok_at = greatest(last_ok_at, $5),"
						  " last_checked_at = greatest(last_checked_at, $6),"
						  " last_error = CASE WHEN $6 IS NULL THEN last_error ELSE $7 END,"
						  " told = $8, told_offline_at = $9, probes = $10, probe_at = $11,"
						  " probe_started_at = $12, probe_sync_id = $13, probing = $14"
						  " WHERE connection_id = $1",
						  lengthof(types), types, values, nulls, false, 0);
}

/* ---------------------------------------------------------------------
 * Events, and what syncs do
 * ---------------------------------------------------------------------
 */

/* What a failure is called where the other side has no word for it. */
static const char *
reason_of(const HealthFacts *failure)
{
	if (failure->reason[0] != '\0')
		return remote_presentable(failure->reason);
	return failure->http_status != 0 ? psprintf("HTTP %d", failure->http_status) : "no answer";
}

void
connection_tell(const StateOwner *owner, ConnectionChange *change, const HealthFacts *failure)
{
	EventError *error;

	change->connection = owner->connection;
	change->server = owner->server;
	change->owner = owner->owner;
	if (failure != NULL && failure->last_error[0] != '\0')
	{
		error = palloc0(sizeof(EventError));
		error->code = pstrdup(unpack_sql_state(failure->sqlstate));
		error->message = remote_presentable(failure->last_error);
		error->http_status = failure->http_status;
		error->hint = failure->hint[0] == '\0' ? NULL : remote_presentable(failure->hint);
		error->retryable = change->role == NULL;
		change->error = error;
		change->reason = reason_of(failure);
	}
	event_connection_change(change);
}

static void
tell_health(const ServerState *state, const HealthStep *step, const HealthFacts *facts)
{
	bool			 offline = step->tell == STEP_OFFLINE;
	ConnectionChange change = {.type = offline ? "connection.offline" : "connection.online"};

	change.to = health_names[step->tell];
	change.from = offline ? health_names[step->before == STEP_UNKNOWN ? STEP_UNKNOWN : STEP_ONLINE] :
							health_names[STEP_OFFLINE];
	change.since = state->changed_at;
	connection_tell(&state->of, &change, offline ? facts : NULL);
}

void
connection_catch_up(const pg_uuid_t *connection, const Oid *role, TimestampTz now)
{
	static const char *const whose =
		" s.connection_id = $1 AND s.home = makini._home() AND s.consecutive_failures > 0"
		" AND ($3 IS NULL OR s.owner_oid = $3 OR $3 = 0 AND NOT EXISTS (SELECT FROM makini._mapping m"
		"  WHERE m.connection_id = $1 AND m.role_oid = s.owner_oid))";
	Oid	  types[3] = {UUIDOID, TIMESTAMPTZOID, OIDOID};
	Datum values[3];
	char  nulls[] = "   ";

	values[0] = UUIDPGetDatum(connection);
	values[1] = TimestampTzGetDatum(now);
	values[2] = role == NULL ? (Datum) 0 : ObjectIdGetDatum(*role);
	nulls[2] = role == NULL ? 'n' : ' ';
	SPI_execute_with_args(psprintf("UPDATE makini._sync s SET next_run_at = $2"
								   " WHERE s.enabled AND s.schedule IS NOT NULL AND s.next_run_at > $2 AND%s",
								   whose),
						  3, types, values, nulls, false, 0);
	SPI_execute_with_args(psprintf("UPDATE makini._job j SET due_at = $2 FROM makini._sync s"
								   " WHERE s.sync_id = j.sync_id AND j.worker IS NULL AND j.due_at > $2"
								   " AND makini._within_span(s.options->>'backfill_between') IS NOT FALSE AND%s",
								   whose),
						  3, types, values, nulls, false, 0);
}

/*
 * The next of the syncs that could find out whether the server is back, one
 * after another; 0: none.
 */
static int64
choose_sync(const ServerState *state)
{
	Oid	  types[2] = {UUIDOID, INT8OID};
	Datum values[2];

	values[0] = UUIDPGetDatum(&state->of.connection);
	values[1] = Int64GetDatum(state->probe_sync_id);
	SPI_execute_with_args("SELECT s.sync_id FROM makini._sync s"
						  " WHERE s.connection_id = $1 AND s.enabled AND s.home = makini._home()"
						  " AND (s.schedule IS NOT NULL OR EXISTS (SELECT FROM makini._job j"
						  "  WHERE j.sync_id = s.sync_id))"
						  " AND NOT EXISTS (SELECT FROM makini._sync_waiting w"
						  "  WHERE w.sync_id = s.sync_id AND w.waiting_for <> 'offline')"
						  " ORDER BY s.sync_id <= $2, s.sync_id LIMIT 1",
						  2, types, values, NULL, false, 1);
	return SPI_processed == 0 ? 0 : private_int64(0, 1, 0);
}

static void
let_try(int64 sync_id, TimestampTz now)
{
	Oid	  types[2] = {INT8OID, TIMESTAMPTZOID};
	Datum values[2] = {Int64GetDatum(sync_id), TimestampTzGetDatum(now)};

	SPI_execute_with_args("UPDATE makini._sync SET next_run_at = $2"
						  " WHERE sync_id = $1 AND schedule IS NOT NULL AND next_run_at > $2",
						  2, types, values, NULL, false, 0);
	SPI_execute_with_args("UPDATE makini._job j SET due_at = $2 FROM makini._sync s"
						  " WHERE s.sync_id = $1 AND j.sync_id = $1 AND j.worker IS NULL AND j.due_at > $2"
						  " AND makini._within_span(s.options->>'backfill_between') IS NOT FALSE",
						  2, types, values, NULL, false, 0);
}

/* One sync may try; the first a while after the server was given up. */
static void
probe(ServerState *state, TimestampTz now)
{
	HealthRow *row = &state->row;
	bool	   first = row->probe_at == 0;
	int64	   sync_id = first ? 0 : choose_sync(state);

	if (!first && sync_id == 0)
		return;
	row->probe_at = now + worker_backoff(first ? 1 : ++row->probes, PROBE_BASE, PROBE_CAP);
	if (first)
		return;
	row->probing = true;
	row->probe_started_at = GetCurrentTimestamp();
	state->probe_sync_id = sync_id;
	let_try(sync_id, now);
}

/* ---------------------------------------------------------------------
 * Looking
 * ---------------------------------------------------------------------
 */

static StepHealth
verdict_of(const HealthFacts *facts)
{
	if (facts->state == HEALTH_BAD)
		return facts->failures >= HEALTH_GIVE_UP ? STEP_OFFLINE : STEP_UNKNOWN;
	return facts->state == HEALTH_UNKNOWN ? STEP_UNKNOWN : STEP_ONLINE;
}

/* Row i of those read; the step that the row takes, on a copy. */
static ServerState *
step_server(uint64 row, TimestampTz now, HealthFacts *facts, HealthStep *step)
{
	HealthSeen	 seen = {.now = now};
	ServerState *state = server_state(row, &seen.other_server);

	memset(facts, 0, sizeof(HealthFacts));
	(void) health_facts(state->of.serverid, InvalidOid, facts);
	seen.verdict = verdict_of(facts);
	seen.checked_at = facts->last_checked_at;
	*step = health_step(&state->row, &seen);
	return state;
}

/* Again with the row locked, and this time for good. */
static void
settle(ServerState *before, TimestampTz now, TimestampTz *next)
{
	HealthFacts	 facts;
	HealthStep	 step;
	ServerState *state;
	uint64		 n;

	lock_row(before);
	(void) read_servers(before->of.serverid, &n);
	if (n == 0)
		return;
	state = step_server(0, now, &facts, &step);
	if (state->row.health != step.before)
		state->changed_at = facts.changed_at;
	if (step.recovered)
		connection_catch_up(&state->of.connection, NULL, now);
	if (step.probe)
		probe(state, now);
	write_row(state, &facts);
	if (step.tell != STEP_UNKNOWN)
		tell_health(state, &step, &facts);
	*next = Min(*next, step.next);
	if (state->row.health == STEP_OFFLINE && state->row.probe_at > now)
		*next = Min(*next, state->row.probe_at);
}

/* Is any of them away?  Then a run's end is worth a look. */
static bool some_offline = false;

static TimestampTz
look_at_servers(Oid serverid, TimestampTz now)
{
	uint64		   n;
	SPITupleTable *rows = read_servers(serverid, &n);
	TimestampTz	   next = WORKER_NEVER;

	for (uint64 i = 0; i < n; i++)
	{
		HealthFacts	 facts;
		HealthStep	 step;
		ServerState *state;

		SPI_tuptable = rows;
		state = step_server(i, now, &facts, &step);
		if (step.changed || state->stale || step.probe)
			settle(state, now, &next);
		else
			next = Min(next, step.next);
		some_offline |= state->row.health == STEP_OFFLINE;
	}
	return next;
}

/* That a server was dropped is told by whoever drops it (dropped.c). */
static void
forget_dropped(void)
{
	SPI_execute("DELETE FROM makini._connection_health h USING makini._connection c"
				" WHERE c.connection_id = h.connection_id AND c.home = makini._home()"
				" AND NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.oid = c.server_oid)",
				false, 0);
}

TimestampTz
connection_state_look(Oid serverid, TimestampTz now)
{
	MakiniRights saved;
	TimestampTz	 next;
	TimestampTz	 next_auth;
	TimestampTz	 next_deprecation;

	makini_rights_of_extension(&saved);
	SPI_connect();
	next = look_at_servers(serverid, now);
	next_auth = connection_auth_look(serverid, now);
	next_deprecation = deprecation_look(serverid, now);
	next = Min(next, Min(next_auth, next_deprecation));
	if (!OidIsValid(serverid))
		forget_dropped();
	SPI_finish();
	makini_rights_restore(&saved);
	return next;
}

/* Not waiting long for anybody. */
static TimestampTz
look_impatiently(Oid serverid, TimestampTz now)
{
	int			nest = NewGUCNestLevel();
	TimestampTz next;

	(void) set_config_option("lock_timeout", LOCK_PATIENCE, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	next = connection_state_look(serverid, now);
	AtEOXact_GUC(true, nest);
	return next;
}

void
connection_state_note(Oid serverid)
{
	static bool	  noted = false;
	static uint64 noted_changes = 0;
	uint64		  changes = health_changes();

	if (worker_available() || (noted && changes == noted_changes))
		return;
	(void) look_impatiently(serverid, worker_now());
	noted = true;
	noted_changes = changes;
}

/* ---------------------------------------------------------------------
 * A scheduler's turn
 * ---------------------------------------------------------------------
 */

static bool		   look_again = true;
static uint64	   seen_changes = 0;
static TimestampTz next_look = 0;

static void
catalogue_changed(Datum arg, int cache, uint32 hash)
{
	look_again = true;
}

static bool
is_news(TimestampTz now)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, catalogue_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, catalogue_changed, (Datum) 0);
	}
	registered = true;
	return look_again || some_offline || health_changes() != seen_changes || now >= next_look;
}

static void
look_at_all(TimestampTz now)
{
	PrivateTransaction transaction;

	private_begin(&transaction);
	look_again = some_offline = false;
	seen_changes = health_changes();
	next_look = look_impatiently(InvalidOid, now);
	private_end(&transaction);
}

/* Someone has a row locked: that is no error of ours. */
static void
give_up_for_now(MemoryContext caller, TimestampTz now)
{
	MemoryContextSwitchTo(caller);
	if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
		EmitErrorReport();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	look_again = true;
	next_look = now + LOCKED_AGAIN;
}

TimestampTz
connection_state_turn(TimestampTz now)
{
	MemoryContext caller = CurrentMemoryContext;

	if (!is_news(now))
		return next_look;
	PG_TRY();
	{
		look_at_all(now);
	}
	PG_CATCH();
	{
		give_up_for_now(caller, now);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return next_look;
}
