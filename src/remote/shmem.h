/*-------------------------------------------------------------------------
 *
 * shmem.h
 *		The piece of shared memory that all of makini's processes meet in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SHMEM_H
#define MAKINI_SHMEM_H

#include "postgres.h"

#include "lib/dshash.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "utils/dsa.h"

#define ANCHOR_VERSION 4 /* of the layout; part of the segment's name */
#define GOVERNOR_ACCOUNTS 64
#define GOVERNOR_ENTRIES 256
#define RUN_SLOTS 64

/* A remote account, as the governor sees it. */
typedef struct GovernorAccount
{
	uint64 key;		 /* hash of url_account_key(); 0: free */
	int32  limit;	 /* the smallest max_concurrency that somebody asked with */
	int32  allowed;	 /* what the other side seems to bear, at most limit */
	Oid	   limit_db; /* who set limit */
	Oid	   limit_server;
	int64  limit_seen;	 /* when that one asked last */
	int64  not_before;	 /* no request until then */
	int64  throttled_at; /* the other side last said "too many" */
	int32  throttles;	 /* in a row */
	int32  successes;	 /* since allowed changed */
	int64  used_at;
} GovernorAccount;

typedef enum GovernorState
{
	GOVERNOR_FREE,
	GOVERNOR_WAITING, /* -> HELD, FREE */
	GOVERNOR_HELD	  /* -> FREE */
} GovernorState;

/* A request in flight, or one that waits to be. */
typedef struct GovernorEntry
{
	GovernorState state;
	int32		  pid;
	int32		  account;
	bool		  sync;	   /* which lane */
	bool		  present; /* WAITING: its process is really waiting now */
	uint64		  ticket;  /* order of arrival; tells this use of the entry from others */
	int64		  seen;	   /* HELD: its owner last looked after it */
} GovernorEntry;

/* A sync's run, as it tells others. */
typedef struct RunSlot
{
	int32 pid; /* 0: free */
	Oid	  database;
	int64 sync_id;
	int64 run_id;
	int32 lane;
	int32 phase;
	int64 rows_done;	 /* of the load, with what earlier runs of it did */
	int64 rows_before;	 /* by those */
	int64 rows_expected; /* -1: not known */
	int64 started_at;
	bool  waiting; /* for the network */
	bool  cancelled;
} RunSlot;

typedef struct Anchor
{
	LWLock				lock; /* protects everything below but the tables' contents */
	int					lock_tranche;
	int					dsa_tranche;
	int					table_tranche;
	ConditionVariable	released; /* a slot, a claim or a token */
	bool				has_tables;
	dsa_handle			area;
	dshash_table_handle tokens;
	dshash_table_handle stats;
	dshash_table_handle health;
	dshash_table_handle deprecations;
	uint64				last_ticket;
	pg_atomic_uint64	health_changes; /* of servers and mappings, of any database */
	GovernorAccount		accounts[GOVERNOR_ACCOUNTS];
	GovernorEntry		entries[GOVERNOR_ENTRIES];
	RunSlot				runs[RUN_SLOTS];
} Anchor;

/* The tables of the dynamic area. */
typedef struct SharedTables
{
	dshash_table *tokens;
	dshash_table *stats;
	dshash_table *health;
	dshash_table *deprecations;
} SharedTables;

extern Anchor		*shmem_anchor(void);
extern SharedTables *shmem_tables(void);

/*
 * Waiting for another process: shmem_wait_begin() puts this one among those
 * that shmem_wake_all() wakes through their latch; what is waited for must be
 * looked at once more behind it.  To be called again after each wake-up, and
 * whenever shmem_is_waiting() says no: waking others ends one's own waiting.
 */
extern void shmem_wait_begin(void);
extern bool shmem_is_waiting(void);
extern void shmem_wait_end(void);
extern void shmem_wake_all(void);

#endif /* MAKINI_SHMEM_H */
