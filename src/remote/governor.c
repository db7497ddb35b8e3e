/*-------------------------------------------------------------------------
 *
 * governor.c
 *		How many requests one remote account gets at once, and when.
 *
 * Every process of the cluster asks here before it sends.  What counts is the
 * account at the other side (scheme, host, port, account), not the server or
 * the database that names it; of several limits named for one account the
 * smallest holds, and syncs may take only their part of it.
 *
 * Who has to wait takes a ticket and is served in order of arrival, but only
 * while its process really sleeps for it: a session that fetched ahead and
 * then sits idle blocks nobody.  For the same reason a slot that its owner has
 * not looked after for a while is given to others: what was asked for is
 * answered by then, most likely, and lies unread in a buffer.
 *
 * When the other side says "too many", nobody sends for a while and the number
 * is halved; it grows again by one for each round that went well.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "remote/governor.h"
#include "remote/retry.h"
#include "remote/shmem.h"
#include "remote/url.h"

#define LIMIT_MEMORY (10 * USECS_PER_MINUTE) /* how long a smaller limit outlives its last use */
#define ABANDONED_AFTER (10 * USECS_PER_SEC)
#define RECHECK_MS 5000 /* a slot may be abandoned without anybody saying so */
#define ROUNDS_TO_GROW 4

/* ---- accounts ---- */

static uint64
account_key(const RemoteEndpoint *endpoint)
{
	char   text[URL_MAX_HOST + 256];
	char   err[128];
	Url	   url;
	uint64 key;

	if (url_parse(endpoint->base_url, &url, err, sizeof(err)))
		url_account_key(&url, endpoint->account, text, sizeof(text));
	else
		strlcpy(text, endpoint->base_url, sizeof(text));
	key = hash_bytes_extended((const unsigned char *) text, (int) strlen(text), 0);
	return key != 0 ? key : 1;
}

static bool
account_is_busy(const Anchor *anchor, int index)
{
	for (int i = 0; i < GOVERNOR_ENTRIES; i++)
	{
		if (anchor->entries[i].state != GOVERNOR_FREE && anchor->entries[i].account == index)
			return true;
	}
	return false;
}

/*
 * The account's index; a new one takes the place of the idle one unused for
 * longest.  When all are busy, two accounts share one: stricter than asked,
 * never laxer.
 */
static int
find_account(Anchor *anchor, uint64 key, int64 now)
{
	int oldest = -1;

	for (int i = 0; i < GOVERNOR_ACCOUNTS; i++)
	{
		GovernorAccount *account = &anchor->accounts[i];

		if (account->key == key)
			return i;
		if ((oldest < 0 || account->used_at < anchor->accounts[oldest].used_at) &&
			account->not_before <= now && !account_is_busy(anchor, i))
			oldest = i;
	}
	if (oldest < 0)
		return (int) (key % GOVERNOR_ACCOUNTS);
	memset(&anchor->accounts[oldest], 0, sizeof(GovernorAccount));
	anchor->accounts[oldest].key = key;
	return oldest;
}

/* The smallest limit wins, until the one who set it raises it or is not heard of any more. */
static void
learn_limit(GovernorAccount *account, const RemoteEndpoint *endpoint, int64 now)
{
	bool same = account->limit_db == MyDatabaseId && account->limit_server == endpoint->serverid;

	if (account->limit == 0 || same || endpoint->max_concurrency <= account->limit ||
		now - account->limit_seen > LIMIT_MEMORY)
	{
		if (account->limit == 0 || account->allowed == account->limit ||
			account->allowed > endpoint->max_concurrency)
			account->allowed = endpoint->max_concurrency;
		account->limit = endpoint->max_concurrency;
		account->limit_db = MyDatabaseId;
		account->limit_server = endpoint->serverid;
		account->limit_seen = now;
	}
	account->used_at = now;
}

/* ---- entries ---- */

static GovernorEntry *
own_entry(Anchor *anchor, const GovernorPlace *place)
{
	GovernorEntry *entry;

	if (place->entry == 0)
		return NULL;
	entry = &anchor->entries[place->entry - 1];
	if (entry->state == GOVERNOR_FREE || entry->ticket != place->ticket || entry->pid != MyProcPid)
		return NULL; /* taken for lost meanwhile */
	return entry;
}

static GovernorEntry *
make_entry(Anchor *anchor, GovernorPlace *place, int account, bool sync)
{
	for (int i = 0; i < GOVERNOR_ENTRIES; i++)
	{
		GovernorEntry *entry = &anchor->entries[i];

		if (entry->state != GOVERNOR_FREE)
			continue;
		entry->state = GOVERNOR_WAITING;
		entry->pid = MyProcPid;
		entry->account = account;
		entry->sync = sync;
		entry->present = false;
		entry->ticket = ++anchor->last_ticket;
		place->entry = i + 1;
		place->ticket = entry->ticket;
		return entry;
	}
	return NULL;
}

/* What stands before an entry: requests in flight, and others whose turn is earlier. */
typedef struct Load
{
	int held;
	int held_sync;
	int ahead;
	int ahead_sync;
} Load;

static Load
count_load(Anchor *anchor, const GovernorEntry *mine, int64 now)
{
	Load load = {0};

	for (int i = 0; i < GOVERNOR_ENTRIES; i++)
	{
		GovernorEntry *entry = &anchor->entries[i];

		if (entry->state == GOVERNOR_FREE || entry->account != mine->account || entry == mine)
			continue;
		if (entry->state == GOVERNOR_HELD && entry->seen < now - ABANDONED_AFTER)
		{
			entry->state = GOVERNOR_FREE;
			continue;
		}
		if (entry->state == GOVERNOR_HELD)
		{
			load.held++;
			load.held_sync += entry->sync;
		}
		else if (entry->present && entry->ticket < mine->ticket)
		{
			load.ahead++;
			load.ahead_sync += entry->sync;
		}
	}
	return load;
}

/*
 * Syncs that wait only because their own lane is full do not hold up people:
 * of those ahead only as many count as their lane has room for.
 */
static bool
may_go(const Load *load, const GovernorEntry *mine, int allowed, int sync_allowed)
{
	int sync_room = Max(0, sync_allowed - load->held_sync);
	int ahead = load->ahead - load->ahead_sync + Min(load->ahead_sync, sync_room);

	if (load->held + ahead >= allowed)
		return false;
	return !mine->sync || load->held_sync + load->ahead_sync < sync_allowed;
}

static bool
try_acquire(Anchor *anchor, GovernorPlace *place, const RemoteEndpoint *endpoint, bool waiting,
			int64 now, long *wait_ms, bool *backoff)
{
	GovernorEntry	*entry = own_entry(anchor, place);
	int				 index = entry != NULL ? entry->account : find_account(anchor, place->key, now);
	GovernorAccount *account = &anchor->accounts[index];
	int				 allowed;
	Load			 load;

	learn_limit(account, endpoint, now);
	if (entry == NULL)
		entry = make_entry(anchor, place, index, endpoint->use == REMOTE_USE_SYNC);
	if (entry == NULL)
		return false; /* the table is full: wait for anybody */
	entry->present = waiting;

	if (account->not_before > now)
	{
		*backoff = true;
		*wait_ms = (long) ((account->not_before - now + 999) / 1000);
		return false;
	}
	allowed = Max(1, Min(account->allowed, endpoint->max_concurrency));
	load = count_load(anchor, entry, now);
	if (!may_go(&load, entry, allowed, Max(1, Min(endpoint->sync_concurrency, allowed))))
		return false;

	entry->state = GOVERNOR_HELD;
	entry->seen = now;
	return true;
}

bool
governor_acquire(GovernorPlace *place, const RemoteEndpoint *endpoint, bool waiting, long *wait_ms,
				 bool *backoff)
{
	Anchor *anchor = shmem_anchor();
	int64	now = GetCurrentTimestamp();

	*wait_ms = RECHECK_MS;
	*backoff = false;
	if (place->key == 0)
		place->key = account_key(endpoint);

	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	place->held = try_acquire(anchor, place, endpoint, waiting, now, wait_ms, backoff);
	LWLockRelease(&anchor->lock);
	if (place->held)
		place->since = now;
	return place->held;
}

void
governor_keep(GovernorPlace *place)
{
	Anchor		  *anchor = shmem_anchor();
	GovernorEntry *entry;

	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	entry = own_entry(anchor, place);
	if (entry != NULL)
		entry->seen = GetCurrentTimestamp();
	LWLockRelease(&anchor->lock);
}

void
governor_absent(GovernorPlace *place)
{
	Anchor		  *anchor = shmem_anchor();
	GovernorEntry *entry;

	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	entry = own_entry(anchor, place);
	if (entry != NULL)
		entry->present = false;
	LWLockRelease(&anchor->lock);
	shmem_wake_all();
}

void
governor_release(GovernorPlace *place)
{
	Anchor		  *anchor;
	GovernorEntry *entry;

	if (place->entry == 0)
		return;
	anchor = shmem_anchor();
	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	entry = own_entry(anchor, place);
	if (entry != NULL)
		entry->state = GOVERNOR_FREE;
	LWLockRelease(&anchor->lock);
	place->entry = 0;
	place->held = false;
	shmem_wake_all();
}

/* ---- what the other side bears ---- */

static GovernorAccount *
account_of(Anchor *anchor, const GovernorPlace *place)
{
	GovernorEntry *entry = own_entry(anchor, place);

	return entry != NULL ? &anchor->accounts[entry->account] : NULL;
}

void
governor_succeeded(const GovernorPlace *place)
{
	Anchor			*anchor = shmem_anchor();
	GovernorAccount *account;

	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	account = account_of(anchor, place);
	if (account != NULL && place->since > account->throttled_at)
	{
		account->throttles = 0;
		if (account->allowed < account->limit &&
			++account->successes >= ROUNDS_TO_GROW * account->allowed)
		{
			account->allowed++;
			account->successes = 0;
		}
	}
	LWLockRelease(&anchor->lock);
}

static void
put_off(GovernorAccount *account, int64 now, int delay_ms)
{
	account->not_before = Max(account->not_before, now + (int64) delay_ms * 1000);
}

void
governor_throttled(const GovernorPlace *place, int delay_ms)
{
	Anchor			*anchor = shmem_anchor();
	int64			 now = GetCurrentTimestamp();
	uint64			 random = pg_prng_uint64(&pg_global_prng_state);
	GovernorAccount *account;

	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	account = account_of(anchor, place);

	/* refusals of requests that were in flight together are one event */
	if (account != NULL && place->since > account->throttled_at)
	{
		account->allowed = Max(1, account->allowed / 2);
		account->successes = 0;
		account->throttled_at = now;
		if (delay_ms < 0)
			delay_ms = retry_delay(account->throttles, makini_retry_base, random);
		account->throttles++;
	}
	if (account != NULL && delay_ms > 0)
		put_off(account, now, delay_ms);
	LWLockRelease(&anchor->lock);
}

void
governor_pause(const GovernorPlace *place, int delay_ms)
{
	Anchor			*anchor = shmem_anchor();
	GovernorAccount *account;

	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	account = account_of(anchor, place);
	if (account != NULL)
		put_off(account, GetCurrentTimestamp(), delay_ms);
	LWLockRelease(&anchor->lock);
}

void
governor_forget_process(void)
{
	Anchor *anchor = shmem_anchor();

	LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
	for (int i = 0; i < GOVERNOR_ENTRIES; i++)
	{
		if (anchor->entries[i].state != GOVERNOR_FREE && anchor->entries[i].pid == MyProcPid)
			anchor->entries[i].state = GOVERNOR_FREE;
	}
	LWLockRelease(&anchor->lock);
	shmem_wake_all();
}
