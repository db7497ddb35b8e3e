/*-------------------------------------------------------------------------
 *
 * stat.c
 *		Counters of what was asked of each server, by day and by purpose.
 *
 * In shared memory, so that they count what a rollback undid too.  A restart
 * of PostgreSQL begins them anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "remote/shmem.h"
#include "remote/stat.h"
#include "remote/visible.h"

#define KEPT_DAYS 90

typedef struct StatKey
{
	Oid		database;
	Oid		serverid;
	DateADT day; /* UTC */
	int32	use; /* RemoteUse */
} StatKey;

typedef struct StatEntry
{
	StatKey		key; /* must be first */
	RemoteUsage usage;
} StatEntry;

dshash_parameters
stat_table_parameters(int tranche)
{
	dshash_parameters parameters = {sizeof(StatKey), sizeof(StatEntry), MAKINI_DSHASH_FUNCTIONS,
									tranche};

	return parameters;
}

/* The first to count on a new day clears away the oldest. */
static void
drop_old_days(dshash_table *table, DateADT today)
{
	dshash_seq_status scan;
	StatEntry		 *entry;

	dshash_seq_init(&scan, table, true);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		if (entry->key.day < today - KEPT_DAYS)
			dshash_delete_current(&scan);
	}
	dshash_seq_term(&scan);
}

void
stat_add(const RemoteEndpoint *endpoint, const RemoteUsage *usage)
{
	StatKey		  key = {MyDatabaseId, endpoint->serverid, 0, endpoint->use};
	dshash_table *table = shmem_tables()->stats;
	StatEntry	 *entry;
	bool		  found;

	if (!OidIsValid(endpoint->serverid))
		return;
	key.day = (DateADT) (GetCurrentTimestamp() / USECS_PER_DAY);
	entry = dshash_find_or_insert(table, &key, &found);
	if (!found)
		memset(&entry->usage, 0, sizeof(entry->usage));
	entry->usage.requests += usage->requests;
	entry->usage.retries += usage->retries;
	entry->usage.throttled += usage->throttled;
	entry->usage.bytes += usage->bytes;
	entry->usage.wait_us += usage->wait_us;
	dshash_release_lock(table, entry);
	if (!found)
		drop_old_days(table, key.day);
}

/* ---- reading ---- */

/* A copy of this database's entries: nothing may be raised while a table is locked. */
static StatEntry *
copy_entries(int *n)
{
	dshash_table	 *table = shmem_tables()->stats;
	dshash_seq_status scan;
	StatEntry		 *entry;
	int				  room = 64;
	StatEntry		 *copy = palloc(room * sizeof(StatEntry));

	*n = 0;
	dshash_seq_init(&scan, table, false);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		if (entry->key.database != MyDatabaseId)
			continue;
		if (*n == room)
		{
			room *= 2;
			copy = repalloc(copy, room * sizeof(StatEntry));
		}
		copy[(*n)++] = *entry;
	}
	dshash_seq_term(&scan);
	return copy;
}

PG_FUNCTION_INFO_V1(makini_connection_stat);

/*
 * makini_connection_stat
 *		The counters of every server of this database that the caller may use.
 */
Datum
makini_connection_stat(PG_FUNCTION_ARGS)
{
	static const char *const uses[] = {"scan", "sync", "write", "probe"};
	ReturnSetInfo			*result = (ReturnSetInfo *) fcinfo->resultinfo;
	int						 n;
	StatEntry				*entries;

	InitMaterializedSRF(fcinfo, 0);
	entries = copy_entries(&n);
	for (int i = 0; i < n; i++)
	{
		const StatEntry *entry = &entries[i];
		Datum			 values[8];
		bool			 nulls[8] = {0};

		if (!server_is_visible(entry->key.serverid))
			continue;
		values[0] = ObjectIdGetDatum(entry->key.serverid);
		values[1] = DateADTGetDatum(entry->key.day);
		values[2] = CStringGetTextDatum(uses[entry->key.use]);
		values[3] = Int64GetDatum(entry->usage.requests);
		values[4] = Int64GetDatum(entry->usage.retries);
		values[5] = Int64GetDatum(entry->usage.throttled);
		values[6] = Int64GetDatum(entry->usage.bytes);
		values[7] = Int64GetDatum(entry->usage.wait_us / 1000);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
