/*-------------------------------------------------------------------------
 *
 * connection_auth.c
 *		User mappings: whether the other side lets them in, and how long yet.
 *
 * A mapping that was refused keeps its syncs waiting (the view
 * makini._sync_waiting) for as long as neither it nor its server is changed:
 * an account is not to be locked because nobody looks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "connection_store.h"
#include "event/connection_state.h"
#include "event/connection_step.h"
#include "private.h"
#include "worker/worker.h"

typedef struct MappingState
{
	StateOwner	of;
	Oid			umid;
	const char *role; /* "public" for that of PUBLIC */
	Oid			role_oid;
	const char *version; /* of server and mapping, now */
	bool		kept;	 /* has a row */
	AuthRow		row;
	TimestampTz changed_at;
	TimestampTz expires;
} MappingState;

/* ---- rows ---- */

static const char *const auth_names[] = {"unknown", "ok", "expiring", "required"};

static StepAuth
auth_of(const char *name)
{
	StepAuth auth = STEP_AUTH_UNKNOWN;

	for (int i = 0; name != NULL && i < (int) lengthof(auth_names); i++)
		if (strcmp(name, auth_names[i]) == 0)
			auth = (StepAuth) i;
	return auth;
}

#define MAPPINGS                                                                                      \
	"SELECT m.server_oid::bigint, m.connection_id, f.srvname::text, f.srvowner::bigint,"              \
	" m.mapping_oid::bigint, m.mapped_role::text, m.role_oid::bigint, f.xmin || '/' || u.xmin,"       \
	" a.connection_id IS NOT NULL, a.auth, a.version, a.certificate_expires_at,"                      \
	" a.told_days::bigint, a.changed_at, makini._certificate_expires_at(m.server_oid, m.mapping_oid)" \
	" FROM makini._mapping m"                                                                         \
	" JOIN pg_catalog.pg_foreign_server f ON f.oid = m.server_oid"                                    \
	" JOIN pg_catalog.pg_user_mapping u ON u.oid = m.mapping_oid"                                     \
	" LEFT JOIN makini._connection_auth a"                                                            \
	"  ON a.connection_id = m.connection_id AND a.mapped_role = m.mapped_role"                        \
	" WHERE ($1 = 0 OR m.server_oid = $1) AND ($2 = 0 OR m.mapping_oid = $2)"                         \
	" AND NOT EXISTS (SELECT FROM makini._connection k"                                               \
	"  WHERE k.connection_id = m.connection_id AND k.home <> makini._home())"

static MappingState *
mapping_state(uint64 row)
{
	MappingState *state = palloc0(sizeof(MappingState));
	const char	 *version;

	state->of.serverid = (Oid) private_int64(row, 1, 0);
	(void) private_uuid(row, 2, &state->of.connection);
	state->of.server = private_text(row, 3);
	state->of.owner = (Oid) private_int64(row, 4, 0);
	state->umid = (Oid) private_int64(row, 5, 0);
	state->role = private_text(row, 6);
	state->role_oid = (Oid) private_int64(row, 7, 0);
	state->version = private_text(row, 8);
	state->kept = private_bool(row, 9);
	state->row.auth = auth_of(private_text(row, 10));
	version = private_text(row, 11);
	state->row.version = version == NULL ? "" : version;
	state->row.expires = private_int64(row, 12, 0);
	state->row.told_days = (int) private_int64(row, 13, 0);
	state->changed_at = private_int64(row, 14, 0);
	state->expires = private_int64(row, 15, 0);
	return state;
}

static SPITupleTable *
read_mappings(Oid serverid, Oid umid, uint64 *n)
{
	Oid	  types[2] = {OIDOID, OIDOID};
	Datum values[2] = {ObjectIdGetDatum(serverid), ObjectIdGetDatum(umid)};

	SPI_execute_with_args(MAPPINGS, 2, types, values, NULL, false, 0);
	*n = SPI_processed;
	return SPI_tuptable;
}

static void
lock_row(const MappingState *state)
{
	Oid	  types[3] = {UUIDOID, NAMEOID, OIDOID};
	Datum values[3];

	if (!state->kept)
		(void) connection_store(state->of.serverid);
	values[0] = UUIDPGetDatum(&state->of.connection);
	values[1] = DirectFunctionCall1(namein, CStringGetDatum(state->role));
	values[2] = ObjectIdGetDatum(state->role_oid);
	SPI_execute_with_args("INSERT INTO makini._connection_auth (connection_id, mapped_role, role_oid)"
						  " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
						  3, types, values, NULL, false, 0);
	SPI_execute_with_args("SELECT FROM makini._connection_auth"
						  " WHERE connection_id = $1 AND mapped_role = $2 FOR UPDATE",
						  2, types, values, NULL, false, 0);
}

static void
write_row(const MappingState *state, const char *error)
{
	Oid	  types[] = {UUIDOID, NAMEOID, OIDOID,		   TEXTOID, TIMESTAMPTZOID,
					 TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID};
	Datum values[lengthof(types)];
	char  nulls[lengthof(types) + 1] = "         ";

	values[0] = UUIDPGetDatum(&state->of.connection);
	values[1] = DirectFunctionCall1(namein, CStringGetDatum(state->role));
	values[2] = ObjectIdGetDatum(state->role_oid);
	values[3] = CStringGetTextDatum(auth_names[state->row.auth]);
	nulls[4] = state_put_time(&values[4], state->changed_at);
	nulls[5] = state_put_text(&values[5], error);
	values[6] = CStringGetTextDatum(state->row.version);
	nulls[7] = state_put_time(&values[7], state->row.expires);
	values[8] = Int32GetDatum(state->row.told_days);
	SPI_execute_with_args("UPDATE makini._connection_auth SET role_oid = $3, auth = $4,"
						  " changed_at = $5, last_error = CASE WHEN $4 <> 'required' THEN NULL"
						  " ELSE coalesce($6, last_error) END, version = $7,"
						  " certificate_expires_at = $8, told_days = $9"
						  " WHERE connection_id = $1 AND mapped_role = $2",
						  lengthof(types), types, values, nulls, false, 0);
}

/* ---- events ---- */

static void
tell_auth(const MappingState *state, const AuthStep *step, const HealthFacts *facts)
{
	ConnectionChange change = {.type = step->refused ? "connection.auth_required" :
													   "connection.auth_restored"};

	change.role = state->role;
	change.from = auth_names[step->before];
	change.to = auth_names[state->row.auth];
	change.since = state->changed_at;
	change.certificate_expires_at = state->row.expires;
	connection_tell(&state->of, &change, step->refused ? facts : NULL);
}

static const char *
expiry_text(TimestampTz expires, TimestampTz now)
{
	int days = (int) ((expires - now + USECS_PER_DAY - 1) / USECS_PER_DAY);

	if (expires <= now)
		return "certificate has expired";
	return psprintf("certificate expires in %d day%s", days, days == 1 ? "" : "s");
}

static void
tell_expiry(const MappingState *state, const AuthStep *step, TimestampTz now)
{
	ConnectionChange change = {.type = "connection.auth_expiring", .to = "expiring"};

	change.role = state->role;
	change.from = auth_names[step->before];
	change.since = GetCurrentTimestamp();
	change.reason = expiry_text(state->row.expires, now);
	change.certificate_expires_at = state->row.expires;
	connection_tell(&state->of, &change, NULL);
}

/* ---- looking ---- */

static StepAuth
verdict_of(const HealthFacts *facts)
{
	switch (facts->state)
	{
		case HEALTH_GOOD:
			return STEP_AUTH_OK;
		case HEALTH_EXPIRING:
			return STEP_AUTH_EXPIRING;
		case HEALTH_BAD:
			return STEP_AUTH_REQUIRED;
		case HEALTH_UNKNOWN:
			break;
	}
	return STEP_AUTH_UNKNOWN;
}

static MappingState *
step_mapping(uint64 row, TimestampTz now, HealthFacts *facts, AuthStep *step)
{
	MappingState *state = mapping_state(row);
	AuthSeen	  seen = {.version = facts->version, .now = now};

	memset(facts, 0, sizeof(HealthFacts));
	(void) health_facts(state->of.serverid, state->umid, facts);
	seen.verdict = verdict_of(facts);
	seen.current = state->version;
	seen.expires = state->expires;
	*step = auth_step(&state->row, &seen);
	return state;
}

/* Again with the row locked, and this time for good. */
static void
settle(const MappingState *before, TimestampTz now, TimestampTz *next)
{
	HealthFacts	  facts;
	AuthStep	  step;
	MappingState *state;
	uint64		  n;

	lock_row(before);
	(void) read_mappings(before->of.serverid, before->umid, &n);
	if (n == 0)
		return;
	state = step_mapping(0, now, &facts, &step);
	if (state->row.auth != step.before)
		state->changed_at = facts.changed_at != 0 ? facts.changed_at : GetCurrentTimestamp();
	write_row(state, facts.last_error[0] == '\0' ? NULL : remote_presentable(facts.last_error));
	if (step.released)
		connection_catch_up(&state->of.connection, &state->role_oid, now);
	if (step.refused || step.restored)
		tell_auth(state, &step, &facts);
	if (step.tell_days != 0)
		tell_expiry(state, &step, now);
	*next = Min(*next, step.next);
}

/* A role whose mapping was dropped has none to be refused. */
static void
forget_dropped(void)
{
	SPI_execute("DELETE FROM makini._connection_auth a USING makini._connection c"
				" WHERE c.connection_id = a.connection_id AND c.home = makini._home()"
				" AND NOT EXISTS (SELECT FROM makini._mapping m"
				"  WHERE m.connection_id = a.connection_id AND m.mapped_role = a.mapped_role)",
				false, 0);
}

TimestampTz
connection_auth_look(Oid serverid, TimestampTz now)
{
	uint64		   n;
	SPITupleTable *rows = read_mappings(serverid, InvalidOid, &n);
	TimestampTz	   next = WORKER_NEVER;

	for (uint64 i = 0; i < n; i++)
	{
		HealthFacts	  facts;
		AuthStep	  step;
		MappingState *state;

		SPI_tuptable = rows;
		state = step_mapping(i, now, &facts, &step);
		if (step.changed)
			settle(state, now, &next);
		else
			next = Min(next, step.next);
	}
	if (!OidIsValid(serverid))
		forget_dropped();
	return next;
}
