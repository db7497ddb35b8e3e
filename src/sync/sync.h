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
 *	canary.c			noticing a source that went back in time
 *	transaction.c		subtransactions, commits and rights of a run
 *	progress.c			what a run is doing now, for others to see and to stop
 *	target.c			a local table: its columns, and how it can be written
 *	rows.c				a page as Datums
 *	apply.c, bulk.c		rows into the target
 *	compare.c			what of the target a page does not have: deletes, verify
 *	seen.c				... and which keys a pass has read
 *	reject.c			rows that could not be written
 *	drain.c, land.c, owed.c		feeds that consume what they hand out
 *	drift.c, schema_change.c	columns that come and go
 *	refresh.c, look.c	... found and followed on demand
 *	account_look.c		... and once a day
 *	verify.c			checks and repairs
 *	rejected.c			trying rejected rows again
 *	refetch.c, key_text.c		single rows by their keys
 *	backfill.c			single columns of what has been read
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SYNC_H
#define MAKINI_SYNC_H

#include "postgres.h"

#include "utils/relcache.h"
#include "utils/uuid.h"

#include "attempt.h"
#include "connector/connector.h"
#include "connector/decode.h"
#include "connector/table.h"
#include "fdw/filter_text.h"

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
	DRIFT_ADD,	 /* a new column of the source becomes one of the target */
	DRIFT_EXTRA, /* ... goes into _extra */
	DRIFT_REPORT /* ... is left out */
} DriftMode;

/* A sync as makini._sync has it.  Times are 0 where NULL. */
typedef struct Sync
{
	int64		sync_id;
	pg_uuid_t	connection;
	Oid			source;		 /* InvalidOid: there is none any more */
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
	char	   *home;
	char	   *owner_name;
	bool		enabled;
	char	   *state;
	char	   *identity; /* or NULL */
	TimestampTz cursor;
	int64		canary_key; /* see canary.c */
	TimestampTz canary_cursor;
	TimestampTz canary_asked_at;
	TimestampTz data_as_of; /* 0: nothing is whole yet */
	TimestampTz full_due_at;
	TimestampTz swept_at; /* rows without a cursor were last looked for */
	List	   *left_out; /* of char * */

	/* what makini calls the error that ends a run; NULL: its SQLSTATE */
	const char *failed_as;

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

/* Raises that 42704. */
extern void sync_raise_unknown(int64 sync_id);

/* Raises 42501 unless the caller is the sync's owner, a member of it, or a superuser. */
extern void sync_check_owner(const Sync *sync);

/* Raises 55000 where it came here by a restore or a copy. */
extern void sync_check_home(const Sync *sync);

/* soft, hard or ignore */
extern DeleteMode deletes_of_text(const char *text);

/*
 * about_id
 *		Run a statement about the row of an id, which is its $1, with the rights of
 *		the extension; gives the number of rows it met.
 */
extern uint64 about_id(const char *statement, int64 id);

/* The texts of a column of SPI_tuptable's first row that is a text[]; in a memory context. */
extern List *texts_of_row(int column, MemoryContext cxt);

/* ---- window.c: what is read ---- */

/* A column of the source that a run asks for, in the order of Rows. */
typedef struct SelectedColumn
{
	SourceColumn *remote;
	char		 *name; /* of the foreign table */
	AttrNumber	  attnum;
	Oid			  type; /* base type of the values */
	int32		  typmod;
	bool		  always; /* wanted, whichever columns the sync is to read */
	bool		  extra;  /* the target has no such column: goes into _extra */
} SelectedColumn;

/* The source of a sync, as it is declared. */
typedef struct SyncSource
{
	Table		 *table;
	EntityTraits  traits;
	List		 *selected; /* of SelectedColumn * */
	SourceColumn *cursor;	/* or NULL */
	char		 *cursor_name;
	TextFilter	 *filter; /* or NULL */
	TextFilter	 *initial_filter;

	/* whose changes stand for those of these rows, or NULL */
	Source		 *parent;
	SourceColumn *parent_key;
	SourceColumn *parent_cursor;
	SourceColumn *parent_column; /* of the source: the parent's key */
	char		 *parent_column_name;
} SyncSource;

typedef enum WindowKind
{
	WINDOW_HISTORY,		   /* all that the sync is about */
	WINDOW_SLICE,		   /* of that: cursor between two times */
	WINDOW_CHANGED,		   /* cursor since a time */
	WINDOW_PARENT_CHANGED, /* all rows of parents whose cursor is since a time */
	WINDOW_WITHOUT_CURSOR
} WindowKind;

/* Is it among these names (List of char *)? */
extern bool in_names(const List *names, const char *name);

/* A column of the selected ones by its name; NULL: it is not among them. */
extern SelectedColumn *selected_find(const List *selected, const char *name);

/* Where a column stands among the selected ones; -1: it does not. */
extern int selected_place(const SyncSource *source, const SourceColumn *column);

/* source_open: takes AccessShareLock until the end of the transaction. */
extern SyncSource *source_open(const Sync *sync);

/* sync_filter: a condition of a sync, worked out with its owner's rights. */
extern TextFilter *sync_filter(const Sync *sync, Table *table, const char *text, const char *name);

/* A part of the source; times are 0 for none. */
typedef struct Window
{
	WindowKind	kind;
	TimestampTz from;
	TimestampTz upto;	 /* not itself */
	TimestampTz history; /* changes of rows whose parent is older are no news; 0: all are */
} Window;


/* The selected columns of the rows that the sync is about and that fulfil a condition, or NULL. */
extern RemoteQuery *source_query(const SyncSource *source, Filter *where);
extern RemoteQuery *window_query(const SyncSource *source, const Window *window);

/* Which column keys_query asks for. */
typedef enum KeyKind
{
	KEYS_OF_ROWS,
	KEYS_OF_PARENT,	 /* of the entity that the source's rows follow */
	KEYS_OF_CHILDREN /* the source's rows by that entity's key */
} KeyKind;

extern RemoteQuery *keys_query(const SyncSource *source, KeyKind kind, List *texts);
extern RemoteQuery *parents_query(const SyncSource *source, TimestampTz from);

/* ---- target.c ---- */

/* A column that syncs write.  The first nsource are those of Rows, in their order. */
typedef struct TargetColumn
{
	char		 *name;
	AttrNumber	  attnum;
	Oid			  type;
	int32		  typmod;
	Oid			  source_type; /* of the values in Rows: a base type */
	int32		  source_typmod;
	char		 *source_type_sql;
	bool		  comparable; /* the type has an equality */
	bool		  key;
	bool		  nullable;
	bool		  written;	/* false: generated, the table makes its own value */
	char		 *constant; /* text of the value where it is one of the constants, else NULL */
	SourceColumn *remote;	/* NULL: a constant */
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
	int			  cursor;	 /* which of them tells the age of a row, or -1 */
	bool		  ambiguous; /* ... as a wall clock: an hour of the year comes twice */
	TimestampTz	  yields;	 /* rows last written before it give way to older ones; 0: none do */
	bool		  nullable_key;
	bool		  key_indexed; /* an index begins with a column of the key */
	bool		  has_synced_at;
	bool		  has_deleted_at;
	bool		  has_extra;
	bool		  foreign_parts; /* partitioned with foreign partitions, or foreign itself */
	bool		  plain;		 /* an ordinary table that rows may be put into below SQL */
	TargetWay	  way;
	List		 *partition_columns; /* of char *: moving between partitions */
	List		 *own_columns;		 /* of char *: of its users, no sync writes them */
} Target;

/*
 * target_open
 *		The sync's target as it is now, for rows of the selected columns (List of
 *		SelectedColumn *; those with extra set are no columns of it).  Raises what
 *		does not fit: 42P01 gone, 42703 a column it lacks, 42804 a type that can't
 *		be assigned, 42501 rights lost.  Takes RowExclusiveLock until the end of
 *		the transaction; the result lives in CurrentMemoryContext.
 */
extern Target *target_open(const Sync *sync, List *selected);

/*
 * target_keep
 *		Hold the target in this transaction, too; raises where its name, which
 *		statements call it by, is no longer its own.
 */
extern void target_keep(const Target *target);

/*
 * target_prepare
 *		What create_sync does: make the target (and its schema) as the caller
 *		where it is missing, else check that syncs may write it.  name is
 *		qualified.  Returns its OID.
 */
extern Oid target_prepare(const char *name, const Table *source, List *selected, List *key,
						  const char *constants, DeleteMode deletes, bool *created);

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
	int			 lost; /* rows of the page that are not among these: they could not be made */
} Rows;

/* ---- rows.c ---- */

typedef struct RowMaker RowMaker;

/*
 * rows_begin
 *		Prepare to make Rows of pages of the source's selected columns.  Rows that
 *		the source's filters don't let through are left out; with history_from
 *		also those that lie before it.
 */
extern RowMaker *rows_begin(Connection *conn, const Sync *sync, const SyncSource *source,
							TimestampTz history_from, int64 run_id, Counters *counters);

/*
 * rows_make
 *		The rows of a page; those that can't be made are rejected.  They live
 *		until the next call, and no longer than the page.
 */
extern Rows *rows_make(RowMaker *maker, CellPage *page, int64 page_number);

/* ---- apply.c, bulk.c: rows into the target ---- */

typedef struct Apply Apply;

/*
 * apply_begin
 *		Prepare to write to a target; lives in CurrentMemoryContext, over
 *		transactions.  run_id and counters are for what is rejected.  empty: the
 *		target had no rows when the load began.
 */
extern Apply *apply_begin(const Sync *sync, const Target *target, int64 run_id, Counters *counters,
						  bool empty);

/*
 * apply_rows
 *		Write rows: new ones are inserted, changed ones updated unless the target
 *		has a newer one, others left alone.  Runs as the target's owner.  A row
 *		that can't be written is rejected, the others are written.
 */
extern void apply_rows(Apply *apply, const Rows *rows);

/* apply_only_updates: from now on rows that the target does not have are left out. */
extern void apply_only_updates(Apply *apply);

/* apply_existing: which of these texts the column holds in rows that are not deleted. */
extern List *apply_existing(Apply *apply, const char *column, List *texts);

/* apply_delete: delete the rows whose column holds one of these, as the sync's deletes say. */
extern void apply_delete(Apply *apply, const char *column, List *texts);

/* target_is_empty: has it no row with the sync's constants? */
extern bool target_is_empty(const Sync *sync, const Target *target);

/* ---- compare.c: what of the target a page does not have ---- */

/*
 * compare_can_bound
 *		Can the target be asked for a page's range?  as_it_is: without a cast,
 *		which no index helps with.
 */
extern bool compare_can_bound(const Target *target, const PageRange *range, bool as_it_is);

/*
 * compare_children
 *		Delete the rows in a page's range that belong to parents of the page (or
 *		to the one that the range begins in), are not in the page and were last
 *		written before a time.
 */
extern void compare_children(Apply *apply, const Rows *rows, const PageRange *range,
							 const char *parent_column, TimestampTz before);

/*
 * compare_note
 *		Note which rows of the target, last written before a time, the page lacks
 *		of its range.
 */
extern void compare_note(Apply *apply, const Rows *rows, const PageRange *range, TimestampTz before);

/*
 * seen_page
 *		Of a pass whose pages cover no range: before a page is written, note its
 *		keys as seen, and reject rows that are others than those of an earlier page
 *		with the same key.
 */
extern void seen_page(Apply *apply, Rows *rows);
extern void seen_forget(int64 sync_id);

/* seen_any: has a pass noted keys that it has yet to be judged by? */
extern bool seen_any(int64 sync_id);

/*
 * compare_delete
 *		After the last page: delete what was noted as missing (or, where keys were
 *		noted as seen, all others), at most so many rows; true while there is more.
 */
extern bool compare_delete(Apply *apply, bool by_seen, TimestampTz before, int limit);

/* compare_forget: throw away what was noted. */
extern void compare_forget(int64 sync_id);

/*
 * compare_verify
 *		Compare a page with its range of the target and write what differs into
 *		makini._sync_difference and a bucket of the check.
 */
extern void compare_verify(Apply *apply, const Rows *rows, const PageRange *range, int64 check_id);

/*
 * compare_seen, compare_unseen
 *		For a check whose pages cover no range: note a page's keys as seen; after
 *		the last page, write what the target has besides into the check.
 */
extern void compare_seen(Apply *apply, const Rows *rows);
extern void compare_unseen(Apply *apply, int64 check_id, TimestampTz before);

/* ---- reject.c ---- */

/*
 * reject_row
 *		Keep a row that could not be written, with its reason; key and data are
 *		JSON objects, key NULL where there is none.
 */
extern void reject_row(int64 sync_id, int64 run_id, const char *key, const char *data,
					   const char *column, const ErrorData *reason);

/* ---- transaction.c ---- */

/*
 * run_commit
 *		Commit what has been written, and go on without a snapshot, a transaction
 *		id or a lock on a relation.
 */
extern void run_commit(void);

/*
 * rights_of_target / rights_of_target_restore
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
