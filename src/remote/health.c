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

typedef enum HealthState
{
	HEALTH_UNKNOWN,
	HEALTH_GOOD,	/* online; ok */
	HEALTH_BAD,		/* offline; required */
	HEALTH_EXPIRING /* a mapping's certificate will not last */
} HealthState;

typedef struct HealthEntry
{
	HealthKey	key; /* must be first */
	HealthState state;
	TimestampTz last_ok_at;
	TimestampTz last_checked_at;
	TimestampTz changed_at;
	char		last_error[512];
} HealthEntry;

dshash_parameters
health_table_parameters(int tranche)
{
	dshash_parameters parameters = {sizeof(HealthKey), sizeof(HealthEntry), MAKINI_DSHASH_FUNCTIONS,
									tranche};

	return parameters;
}

static void
record(Oid serverid, Oid umid, HealthState state, const char *error)
{
	HealthKey	  key = {MyDatabaseId, serverid, umid};
	TimestampTz	  now = GetCurrentTimestamp();
	dshash_table *table = shmem_tables()->health;
	bool		  found;
	HealthEntry	 *entry = dshash_find_or_insert(table, &key, &found);

	if (!found)
		memset((char *) entry + sizeof(HealthKey), 0, sizeof(HealthEntry) - sizeof(HealthKey));
	if (entry->state != state)
		entry->changed_at = now;
	entry->state = state;
	entry->last_checked_at = now;
	if (state != HEALTH_BAD)
	{
		entry->last_ok_at = now;
		entry->last_error[0] = '\0';
	}
	else
		strlcpy(entry->last_error, error, sizeof(entry->last_error));
	dshash_release_lock(table, entry);
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
health_record(const RemoteEndpoint *endpoint, const RemoteFault *fault)
{
	bool offline = fault != NULL && fault->cls != REMOTE_AUTH && is_offline(fault);

	if (!OidIsValid(endpoint->serverid))
		return;

	/* a fault that came before any request says nothing about the server */
	if (fault == NULL || fault->http_status != 0 || offline)
		record(endpoint->serverid, InvalidOid, offline ? HEALTH_BAD : HEALTH_GOOD,
			   offline ? fault->message : "");

	if (!OidIsValid(endpoint->umid))
		return;
	if (fault == NULL)
		record(endpoint->serverid, endpoint->umid, state_of_mapping(endpoint), "");
	else if (fault->cls == REMOTE_AUTH)
		record(endpoint->serverid, endpoint->umid, HEALTH_BAD, fault->message);
}

/* ---- reading ---- */

static bool
look_up(Oid serverid, Oid umid, HealthEntry *copy)
{
	HealthKey	  key = {MyDatabaseId, serverid, umid};
	dshash_table *table = shmem_tables()->health;
	HealthEntry	 *entry = dshash_find(table, &key, false);

	if (entry == NULL)
		return false;
	*copy = *entry;
	dshash_release_lock(table, entry);
	return true;
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
	HealthEntry				 server = {0};
	HealthEntry				 mapping = {0};
	TupleDesc				 desc;
	Datum					 values[8];
	bool					 nulls[8] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	if (!server_is_visible(serverid))
		PG_RETURN_NULL();

	(void) look_up(serverid, InvalidOid, &server);
	if (OidIsValid(umid) && mapping_is_visible(serverid, umid))
		(void) look_up(serverid, umid, &mapping);

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
