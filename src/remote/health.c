/*-------------------------------------------------------------------------
 *
 * health.c
 *		What was last learned about servers and user mappings.
 *
 * A query that finds out that the other side is gone is about to be rolled
 * back, so what it learned is kept in shared memory, where anybody can read it
 * and a scheduler can turn it into events.  Whether it answers at all belongs
 * to the server; whether it lets somebody in belongs to the user mapping.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "remote/health.h"
#include "remote/shmem.h"
#include "remote/visible.h"

#define EXPIRING_SOON (INT64CONST(30) * USECS_PER_DAY)

typedef struct HealthKey
{
	Oid database;
	Oid serverid;
	Oid umid; /* InvalidOid: the server itself */
} HealthKey;

typedef struct HealthEntry
{
	HealthKey	key; /* must be first */
	HealthFacts facts;
} HealthEntry;

void (*health_wake)(Oid database) = NULL;

dshash_parameters
health_table_parameters(int tranche)
{
	dshash_parameters parameters = {sizeof(HealthKey), sizeof(HealthEntry), MAKINI_DSHASH_FUNCTIONS,
									tranche};

	return parameters;
}

/* ---- recording ---- */

void
health_tell(void)
{
	pg_atomic_fetch_add_u64(&shmem_anchor()->health_changes, 1);
	if (health_wake != NULL)
		health_wake(MyDatabaseId);
}

static void
note_failure(HealthFacts *facts, const RemoteFault *fault)
{
	facts->failures = facts->failures < PG_INT32_MAX ? facts->failures + 1 : facts->failures;
	facts->sqlstate = fault->sqlstate;
	facts->http_status = (int) fault->http_status;
	strlcpy(facts->reason, fault->remote_code != NULL ? fault->remote_code : "", sizeof(facts->reason));
	strlcpy(facts->hint, fault->hint != NULL ? fault->hint : "", sizeof(facts->hint));
	strlcpy(facts->last_error, fault->message, sizeof(facts->last_error));
}

static void
note_success(HealthFacts *facts, TimestampTz now)
{
	facts->failures = 0;
	facts->last_ok_at = now;
	facts->reason[0] = facts->hint[0] = facts->last_error[0] = '\0';
}

/*
 * Does somebody wait for this?  A mapping that is refused makes syncs wait at
 * once, a server that is away only after several failures.
 */
static bool
is_news(const HealthKey *key, HealthState before, const HealthFacts *facts)
{
	if (facts->state == HEALTH_BAD && !OidIsValid(key->umid))
		return facts->failures == HEALTH_GIVE_UP;
	return facts->state != before;
}

static void
record(const RemoteEndpoint *endpoint, Oid umid, HealthState state, const RemoteFault *fault)
{
	HealthKey	 key = {MyDatabaseId, endpoint->serverid, umid};
	TimestampTz	 now = GetCurrentTimestamp();
	bool		 found;
	bool		 news;
	HealthEntry *entry = dshash_find_or_insert(shmem_tables()->health, &key, &found);
	HealthFacts *facts = &entry->facts;
	HealthState	 before;

	if (!found)
		memset(facts, 0, sizeof(HealthFacts));
	before = facts->state;
	news = state == HEALTH_BAD && strcmp(facts->version, endpoint->version) != 0 && OidIsValid(umid);
	if (before != state)
		facts->changed_at = now;
	facts->state = state;
	facts->last_checked_at = now;
	strlcpy(facts->version, endpoint->version, sizeof(facts->version));
	if (state == HEALTH_BAD)
		note_failure(facts, fault);
	else
		note_success(facts, now);
	news |= is_news(&key, before, facts);
	dshash_release_lock(shmem_tables()->health, entry);
	if (news)
		health_tell();
}

static HealthState
state_of_mapping(const RemoteEndpoint *endpoint)
{
	TimestampTz expires = endpoint->credential != NULL ? endpoint->credential->expires_at : 0;

	return expires != 0 && expires - GetCurrentTimestamp() < EXPIRING_SOON ? HEALTH_EXPIRING :
																			 HEALTH_GOOD;
}

/* Did the other side answer, other than with "I cannot now"? */
static bool
is_offline(const RemoteFault *fault)
{
	return fault->http_status == 0 ? fault->sqlstate != ERRCODE_OUT_OF_MEMORY :
									 fault->cls == REMOTE_RETRY;
}

void
health_record(const RemoteEndpoint *endpoint, bool authenticated, const RemoteFault *fault)
{
	bool offline = fault != NULL && fault->cls != REMOTE_AUTH && is_offline(fault);

	if (!OidIsValid(endpoint->serverid))
		return;

	/* a fault that came before any request says nothing about the server */
	if (fault == NULL || fault->http_status != 0 || offline)
		record(endpoint, InvalidOid, offline ? HEALTH_BAD : HEALTH_GOOD, fault);

	if (!OidIsValid(endpoint->umid) || !authenticated)
		return;
	if (fault == NULL)
		record(endpoint, endpoint->umid, state_of_mapping(endpoint), NULL);
	else if (fault->cls == REMOTE_AUTH)
		record(endpoint, endpoint->umid, HEALTH_BAD, fault);
}

void
health_conclude(Oid serverid)
{
	HealthKey	 key = {MyDatabaseId, serverid, InvalidOid};
	HealthEntry *entry = dshash_find(shmem_tables()->health, &key, true);
	bool		 news;

	if (entry == NULL)
		return;
	news = entry->facts.state == HEALTH_BAD && entry->facts.failures < HEALTH_GIVE_UP;
	if (news)
		entry->facts.failures = HEALTH_GIVE_UP;
	dshash_release_lock(shmem_tables()->health, entry);
	if (news)
		health_tell();
}

/* ---- reading ---- */

bool
health_facts(Oid serverid, Oid umid, HealthFacts *facts)
{
	HealthKey	  key = {MyDatabaseId, serverid, umid};
	dshash_table *table = shmem_tables()->health;
	HealthEntry	 *entry = dshash_find(table, &key, false);

	if (entry == NULL)
		return false;
	*facts = entry->facts;
	dshash_release_lock(table, entry);
	return true;
}

uint64
health_changes(void)
{
	return pg_atomic_read_u64(&shmem_anchor()->health_changes);
}

static void
set_time(Datum *value, bool *isnull, TimestampTz at)
{
	*isnull = at == 0;
	*value = TimestampTzGetDatum(at);
}

static void
set_error(Datum *value, bool *isnull, const char *error)
{
	*isnull = error[0] == '\0';
	*value = *isnull ? (Datum) 0 : CStringGetTextDatum(remote_presentable(error));
}

PG_FUNCTION_INFO_V1(makini_connection_state);

/*
 * makini_connection_state
 *		What is known of a server, and of one mapping on it.  NULL for people
 *		who may not use the server; only the mappings they may see.
 */
Datum
makini_connection_state(PG_FUNCTION_ARGS)
{
	static const char *const health[] = {"unknown", "online", "offline", "online"};
	static const char *const auth[] = {"unknown", "ok", "required", "expiring"};
	Oid						 serverid = PG_GETARG_OID(0);
	Oid						 umid = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	HealthFacts				 server = {0};
	HealthFacts				 mapping = {0};
	TupleDesc				 desc;
	Datum					 values[8];
	bool					 nulls[8] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	if (!server_is_visible(serverid))
		PG_RETURN_NULL();

	(void) health_facts(serverid, InvalidOid, &server);
	if (OidIsValid(umid) && mapping_is_visible(serverid, umid))
		(void) health_facts(serverid, umid, &mapping);

	values[0] = CStringGetTextDatum(health[server.state]);
	set_time(&values[1], &nulls[1], server.last_ok_at);
	set_time(&values[2], &nulls[2], server.last_checked_at);
	set_time(&values[3], &nulls[3], server.changed_at);
	set_error(&values[4], &nulls[4], server.last_error);
	values[5] = CStringGetTextDatum(auth[mapping.state]);
	set_time(&values[6], &nulls[6], mapping.changed_at);
	set_error(&values[7], &nulls[7], mapping.last_error);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
