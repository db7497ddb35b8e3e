/*-------------------------------------------------------------------------
 *
 * sync.h
 *		What the files of the sync engine share.
 *
 * A run reads pages of a source and writes each to the target in one
 * transaction, together with the position that was reached, the counters and
 * the events.
 *
 *	create.c, alter.c	what people say about syncs
 *	definition.c		a sync as its row says
 *	run.c				run_sync(): windows, lanes, phases, failures
 *	window.c			the queries that a run reads
 *	progress.c			what a run is doing now, for others to see and to stop
 *	target.c			a local table: its columns, and how it can be written
 *	rows.c				a page as Datums
 *	apply.c, bulk.c		rows into the target
 *	compare.c			what of the target a page does not have: deletes, verify
 *	reject.c			rows that could not be written
 *	drain.c, land.c, owed.c		feeds that consume what they hand out
 *	verify.c, drift.c	comparing with the source; columns that come and go
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SYNC_H
#define MAKINI_SYNC_H

#include "postgres.h"

#include "utils/relcache.h"
#include "utils/uuid.h"

#include "connector/connector.h"
#include "connector/decode.h"
#include "connector/table.h"

typedef enum SyncMode
{
	SYNC_INCREMENTAL,
	SYNC_FULL,
	SYNC_DRAIN
} SyncMode;

typedef enum DeleteMode
{
	DELETES_SOFT,
	DELETES_HARD,
	DELETES_IGNORED
} DeleteMode;

typedef enum RunMode
{
	RUN_INITIAL,
	RUN_INCREMENTAL,
	RUN_FULL,
	RUN_DRAIN,
	RUN_VERIFY
} RunMode;

typedef enum RunLane
{
	LANE_INCREMENTAL,
	LANE_BACKFILL
} RunLane;

typedef enum DriftMode
{
	DRIFT_ADD,	  /* a new column of the source becomes one of the target */
	DRIFT_EXTRA,  /* ... goes into _extra */
	DRIFT_REPORT /* ... is left out */
} DriftMode;

/* A sync as makini._sync has it.  Times are 0 where NULL. */
typedef struct Sync
{
	int64		sync_id;
	pg_uuid_t	connection;
	Oid			source; /* InvalidOid: there is none any more */
	char	   *source_name; /* quoted and qualified */
	Oid			target;
	char	   *target_name;
	Oid			owner;
	SyncMode	mode;
	DeleteMode	deletes;
	TimestampTz history_from; /* 0: everything */
	int64		lookback;	  /* microseconds */
	char	   *filter;		  /* or NULL */
	char	   *initial_filter;
	List	   *columns;   /* of char *: the source's columns asked for, NIL: all */
	List	   *key;	   /* of char *, NIL: none */
	char	   *constants; /* JSON object */
	bool		enabled;
	char	   *state;
	char	   *identity; /* or NULL */
	TimestampTz cursor;
	char	   *canary;
	TimestampTz full_due_at;
	List	   *left_out; /* of char * */

	/* options */
	char	 *full_every; /* interval, or NULL */
	DriftMode on_schema_change;
	double	  reject_limit;
	bool	  newest_first;
} Sync;

/* Counted by apply, written with the page. */
typedef struct Counters
{
	int64 pages;
	int64 read;
	int64 inserted;
	int64 updated;
	int64 deleted;
	int64 unchanged;
	int64 rejected;
} Counters;

/* ---- definition.c ---- */

/*
 * sync_load
 *		Read a sync; raises 42704 where there is none that the caller may see.
 *		Allocated in CurrentMemoryContext.
 */
extern Sync *sync_load(int64 sync_id);

/* Raises 42501 unless the caller is the sync's owner, a member of it, or a superuser. */
extern void sync_check_owner(const Sync *sync);

/* ---- target.c ---- */

/* A column that syncs write.  The first nsource are those of Rows, in their order. */
typedef struct TargetColumn
{
	char	  *name;
	AttrNumber attnum;
	Oid		   type;
	int32	   typmod;
	Oid		   source_type; /* of the values in Rows: a base type */
	char	  *source_type_sql;
	bool	   comparable; /* the type has an equality */
	bool	   key;
	char	  *constant; /* text of the value where it is one of the constants, else NULL */
} TargetColumn;

typedef enum TargetWay
{
	WAY_INDEXED, /* INSERT ... ON CONFLICT on a unique index over exactly the key */
	WAY_JOINED,	 /* UPDATE ... FROM, INSERT ... WHERE NOT EXISTS */
	WAY_MULTISET /* no key: whole rows are compared */
} TargetWay;

typedef struct Target
{
	Oid			  relid;
	Oid			  owner;
	char		 *name; /* quoted and qualified */
	int			  nsource;
	int			  ncolumns; /* with constants */
	TargetColumn *columns;
	int			  cursor; /* which of them tells the age of a row, or -1 */
	bool		  nullable_key;
	bool		  has_synced_at;
	bool		  has_deleted_at;
	bool		  has_extra;
	bool		  foreign_parts; /* partitioned with foreign partitions, or foreign itself */
	bool		  plain;		 /* an ordinary table that rows may be put into below SQL */
	TargetWay	  way;
	List		 *partition_columns; /* of char *: moving between partitions */
} Target;

/*
 * A page's rows as Datums of base types: values[row * ncolumns + column], in the
 * order of the source columns asked for.  extra: JSON texts for _extra, or NULL.
 */
typedef struct Rows
{
	int			 n;
	int			 ncolumns;
	Datum		*values;
	bool		*nulls;
	const char **extra;
} Rows;

/* ---- progress.c: transactions, and what others see of a run ---- */

/*
 * run_attempt
 *		Call a function in a subtransaction.  NULL when it went well; else all it
 *		wrote is undone and the error is given, in the caller's memory.
 */
typedef void (*RunStep)(void *arg);
extern ErrorData *run_attempt(RunStep step, void *arg);

/*
 * run_commit
 *		Commit what has been written, and go on without a snapshot, a transaction
 *		id or a lock on a relation.
 */
extern void run_commit(void);

/*
 * rights_of_target / rights_restore
 *		Between the two everything runs as the owner of a target, under
 *		SECURITY_RESTRICTED_OPERATION, with constraints immediate and a safe
 *		search_path.  An aborted (sub)transaction ends it too.
 */
typedef struct TargetRights
{
	Oid userid;
	int sec_context;
	int guc_level;
} TargetRights;
extern void rights_of_target(Oid owner, TargetRights *saved);
extern void rights_of_target_restore(const TargetRights *saved);

#endif /* MAKINI_SYNC_H */
