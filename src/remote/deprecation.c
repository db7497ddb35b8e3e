/*-------------------------------------------------------------------------
 *
 * deprecation.c
 *		What servers announced about the end of parts of their interfaces.
 *
 * An answer to any request may bring it, also to one whose transaction is
 * rolled back, so it is kept in shared memory like health; a scheduler writes
 * it down and tells of it (event/deprecation.c).  There is room for so many
 * paths of a server: whoever announces more is not believed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "remote/deprecation.h"
#include "remote/deprecation_header.h"
#include "remote/health.h"
#include "remote/shmem.h"
#include "remote/url.h"
#include "remote/visible.h"

#define MAX_ENTRIES 2000
#define MAX_OF_SERVER 100
#define FORGOTTEN_AFTER (90 * USECS_PER_DAY)
#define MAX_PATH_KEPT 200
#define MAX_LINK_KEPT 300

/* Who says something else each time is not listened to each time. */
#define NEWS_EVERY USECS_PER_HOUR

typedef struct DeprecationKey
{
	Oid	 database;
	Oid	 serverid;
	char path[MAX_PATH_KEPT]; /* zeroes behind its end */
} DeprecationKey;

typedef struct DeprecationEntry
{
	DeprecationKey key; /* must be first */
	TimestampTz	   first_seen;
	TimestampTz	   last_seen;
	TimestampTz	   told_at;
	bool		   untold;		  /* it said something else since */
	TimestampTz	   deprecated_at; /* 0: not said, like the next */
	TimestampTz	   sunset_at;
	char		   link[MAX_LINK_KEPT]; /* "": none */
} DeprecationEntry;

dshash_parameters
deprecation_table_parameters(int tranche)
{
	dshash_parameters parameters = {sizeof(DeprecationKey), sizeof(DeprecationEntry),
									MAKINI_DSHASH_FUNCTIONS, tranche};

	return parameters;
}

/* ---- recording ---- */

static TimestampTz
moment_of(int64 seconds)
{
	return seconds == 0 ? 0 : time_t_to_timestamptz((pg_time_t) seconds);
}

/* Only what a browser would open, without credentials. */
static bool
is_web_page(CURLU *url)
{
	char *scheme = NULL;
	char *user = NULL;
	bool  sound;

	curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(url, CURLUPART_USER, &user, 0);
	sound = scheme != NULL && user == NULL &&
		(strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0);
	curl_free(scheme);
	curl_free(user);
	return sound;
}

/* A link as it is from everywhere, not only from where it was said; "" where it is of no use. */
static void
resolve_link(const char *base, const char *header, char *out, size_t len)
{
	char   target[MAX_LINK_KEPT];
	char  *whole = NULL;
	CURLU *url;

	out[0] = '\0';
	if (!deprecation_link(header, target, sizeof(target)) || (url = curl_url()) == NULL)
		return;
	if (curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_URL, target, 0) == CURLUE_OK && is_web_page(url) &&
		curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK && strlen(whole) < len)
		strlcpy(out, whole, len);
	curl_free(whole);
	curl_url_cleanup(url);
}

static void
set_key(DeprecationKey *key, const RemoteEndpoint *endpoint, const char *url)
{
	char path[URL_MAX_PATH];

	memset(key, 0, sizeof(*key));
	key->database = MyDatabaseId;
	key->serverid = endpoint->serverid;
	url_path_of(url, path, sizeof(path));
	deprecation_template(path, key->path, sizeof(key->path));
}

/* Is the path known, or may one more be?  Those that nobody asks for any more make room. */
static bool
has_room(const DeprecationKey *key, TimestampTz now)
{
	dshash_table	 *table = shmem_tables()->deprecations;
	DeprecationEntry *entry = dshash_find(table, key, false);
	dshash_seq_status scan;
	int				  of_server = 0;
	int				  all = 0;

	if (entry != NULL)
	{
		dshash_release_lock(table, entry);
		return true;
	}
	dshash_seq_init(&scan, table, true);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		if (now - entry->last_seen > FORGOTTEN_AFTER)
		{
			dshash_delete_current(&scan);
			continue;
		}
		all++;
		of_server += entry->key.database == key->database && entry->key.serverid == key->serverid;
	}
	dshash_seq_term(&scan);
	return all < MAX_ENTRIES && of_server < MAX_OF_SERVER;
}

static void
record(const DeprecationKey *key, const DeprecationEntry *said)
{
	dshash_table	 *table = shmem_tables()->deprecations;
	TimestampTz		  now = GetCurrentTimestamp();
	bool			  found;
	bool			  differs;
	bool			  news;
	DeprecationEntry *entry;

	if (!has_room(key, now))
		return;
	entry = dshash_find_or_insert(table, key, &found);
	if (!found)
	{
		entry->first_seen = now;
		entry->told_at = 0;
		entry->untold = false;
	}
	differs = !found || entry->deprecated_at != said->deprecated_at ||
		entry->sunset_at != said->sunset_at || strcmp(entry->link, said->link) != 0;
	news = deprecation_is_news(differs, now - entry->told_at >= NEWS_EVERY, &entry->untold);
	entry->last_seen = now;
	entry->deprecated_at = said->deprecated_at;
	entry->sunset_at = said->sunset_at;
	strlcpy(entry->link, said->link, sizeof(entry->link));
	if (news)
		entry->told_at = now;
	dshash_release_lock(table, entry);
	if (news)
		health_tell();
}

void
deprecation_record(const RemoteEndpoint *endpoint, const char *url, const RemoteResponse *response)
{
	DeprecationDates dates;
	DeprecationKey	 key;
	DeprecationEntry said;

	if ((response->deprecation == NULL && response->sunset == NULL) || !OidIsValid(endpoint->serverid) ||
		!deprecation_parse(response->deprecation, response->sunset, &dates))
		return;
	set_key(&key, endpoint, url);
	said.deprecated_at = moment_of(dates.deprecated_at);
	said.sunset_at = moment_of(dates.sunset_at);
	resolve_link(url, response->link, said.link, sizeof(said.link));
	record(&key, &said);
}

/* ---- reading ---- */

/* A copy of this database's entries: nothing may be raised while a table is locked. */
static DeprecationEntry *
copy_entries(int *n)
{
	dshash_table	 *table = shmem_tables()->deprecations;
	DeprecationEntry *copy = palloc(MAX_ENTRIES * sizeof(DeprecationEntry));
	DeprecationEntry *entry;
	dshash_seq_status scan;

	*n = 0;
	dshash_seq_init(&scan, table, false);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		if (entry->key.database == MyDatabaseId && *n < MAX_ENTRIES)
			copy[(*n)++] = *entry;
	}
	dshash_seq_term(&scan);
	return copy;
}

static Datum
moment_datum(TimestampTz moment, bool *isnull)
{
	*isnull = moment == 0;
	return TimestampTzGetDatum(moment);
}

PG_FUNCTION_INFO_V1(makini_announced_deprecation);

/*
 * makini_announced_deprecation
 *		What was announced since the server started, by every server of this
 *		database that the caller may use.
 */
Datum
makini_announced_deprecation(PG_FUNCTION_ARGS)
{
	ReturnSetInfo	 *result = (ReturnSetInfo *) fcinfo->resultinfo;
	DeprecationEntry *entries;
	int				  n;

	InitMaterializedSRF(fcinfo, 0);
	entries = copy_entries(&n);
	for (int i = 0; i < n; i++)
	{
		const DeprecationEntry *entry = &entries[i];
		Datum					values[7];
		bool					nulls[7] = {0};

		if (!server_is_visible(entry->key.serverid))
			continue;
		values[0] = ObjectIdGetDatum(entry->key.serverid);
		values[1] = CStringGetTextDatum(remote_presentable(entry->key.path));
		values[2] = TimestampTzGetDatum(entry->first_seen);
		values[3] = TimestampTzGetDatum(entry->last_seen);
		values[4] = moment_datum(entry->deprecated_at, &nulls[4]);
		values[5] = moment_datum(entry->sunset_at, &nulls[5]);
		values[6] = CStringGetTextDatum(entry->link);
		nulls[6] = entry->link[0] == '\0';
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
