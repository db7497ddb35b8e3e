/*-------------------------------------------------------------------------
 *
 * apply.h
 *		What the files that write to a target share.
 *
 *	apply.c			a page is written, or bisected until it can be
 *	distinct.c		rows of a page that share a key
 *	statement.c		the SQL for a target, and its plans
 *	bulk.c			into an empty table below SQL
 *	delete.c		deleted rows
 *	multiset.c		rows without a key
 *	compare.c		the part of the target that a page stands for
 *	missing.c		... what of it the page does not have
 *	seen.c			the keys that a pass has read
 *	difference.c	... and what is not the same
 *	reject.c		rows that could not be written
 *
 * All statements over a page have the same parameters: an array for each of
 * the target's source columns, one of JSON texts for _extra, the time of
 * writing, and the constants' texts; what a statement has besides follows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SYNC_APPLY_H
#define MAKINI_SYNC_APPLY_H

#include "sync/sync.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"

/* Which columns of the key are NULL: such rows need statements of their own. */
typedef uint32 KeyPattern;

/* How a statement finds the target's rows. */
typedef enum PlanKind
{
	PLAN_BY_KEY,   /* each by its key */
	PLAN_BY_RANGE, /* those of a range of keys */
	PLAN_FREELY
} PlanKind;

typedef struct Statement
{
	char	  *sql;
	int		   nargs;
	Oid		  *types;
	PlanKind   kind;
	SPIPlanPtr plan;	  /* NULL: not prepared yet */
	int64	   replan_at; /* rows inserted by then */
} Statement;

/* The statements that write rows whose keys have a pattern. */
typedef struct WriteStatements
{
	KeyPattern pattern;
	Statement *count;  /* how many there are: where the writing statement can't tell */
	Statement *upsert; /* indexed */
	Statement *move;   /* joined: into other partitions where some are foreign */
	Statement *update; /* joined */
	Statement *insert;
} WriteStatements;

typedef struct Bulk		Bulk;
typedef struct Multiset Multiset;

struct Apply
{
	const Sync	 *sync;
	const Target *target;
	int64		  run_id;
	Counters	 *counters;
	bool		  empty;		/* the target had no rows when the load began */
	bool		  only_updates; /* rows that are not there are not wanted */
	MemoryContext cxt;			/* over pages */
	MemoryContext page_cxt;
	List		 *statements; /* of Statement * */
	List		 *writes;	  /* of WriteStatements * */
	int64		  inserted;	  /* by this Apply: plans grow old */
	bool		  rejected;	  /* some row of the sync is kept as rejected */
	Bulk		 *bulk;		  /* NULL: not begun */
	Multiset	 *multiset;	  /* way without a key; NULL: not begun */
	bool		  initial_filter_judged;
	bool		  initial_filter_fits; /* the target has all columns that it speaks of */
	int			  parent;			   /* column that goes along with keys, or -1 */
	TimestampTz	  delete_before;	   /* rows written since are left alone */
	bool		  delete_unwritten;	   /* ... and not those that no sync ever wrote */
	bool		  lost;				   /* not all that was read could be counted */
	bool		  seen_judged;		   /* what was not noted as seen is noted as missing */
};

/* Some rows of a page. */
typedef struct RowSet
{
	const Rows *rows;
	int			n;
	int		   *at; /* which rows */
} RowSet;

typedef struct Written
{
	int64 inserted;
	int64 updated;
	int64 deleted;
	int64 unchanged;
} Written;

/* Does something with rows, as the target's owner and connected to SPI. */
typedef void (*RowWork)(Apply *apply, const RowSet *set, Written *written);

/* ---- apply.c ---- */

/* Do that with all rows it can be done with; the others are rejected. */
extern void rows_write(Apply *apply, RowSet *set, RowWork work);
/* Delete the rows of these keys that were last written before a time, or never by a sync. */
extern void rows_delete(Apply *apply, const Rows *rows, TimestampTz before, bool unwritten);
/* Between the two: the target's rights, SPI, and the caller's memory. */
extern void	 owner_begin(Apply *apply, TargetRights *saved);
extern void	 owner_end(const TargetRights *saved);
extern int64 result_count(int column);
extern List *result_texts(MemoryContext cxt); /* of the first column */
extern bool	 error_is_about_data(const ErrorData *error);

/* ---- distinct.c ---- */
extern void rows_distinct(Apply *apply, const Rows *rows, RowSet *set);

/* ---- statement.c ---- */
#define PAGE_EXTRA(target) ((target)->nsource)
#define PAGE_CLOCK(target) ((target)->nsource + 1)
#define PAGE_CONSTANTS(target) ((target)->nsource + 2)
#define PAGE_NARGS(target) (2 + (target)->ncolumns)

extern WriteStatements *statements_for(Apply *apply, KeyPattern pattern);
extern Statement	   *statement_get(Apply *apply, const char *sql, PlanKind kind, int nmore,
									  const Oid *more);
extern void statement_execute(Apply *apply, Statement *statement, Datum *values, const char *nulls);
extern void statements_free(Apply *apply);
extern Datum *page_values(Apply *apply, const RowSet *set, int nmore, char **nulls);
extern Datum *page_key_values(Apply *apply, const RowSet *set, int nmore, char **nulls);

extern void	 sql_page(StringInfo sql, const Target *target);
extern void	 sql_key_page(StringInfo sql, const Target *target);
extern void	 sql_key_join(StringInfo sql, const Target *target, KeyPattern pattern);
extern void	 sql_key_match(StringInfo sql, const Target *target, KeyPattern pattern);
extern void	 sql_changed(StringInfo sql, const Target *target, bool excluded);
extern void	 sql_data_changed(StringInfo sql, const Target *target);
extern void	 sql_constants(StringInfo sql, const Target *target);
extern void	 sql_insert(StringInfo sql, const Target *target);
extern void	 sql_column_changed(StringInfo sql, const Target *target, int i, bool excluded);
extern char *sql_compared_type(const TargetColumn *column);
extern char *sql_type(Oid type, int32 typmod);
extern char *sql_equality(Oid type);

extern void		  rowset_whole(const Rows *rows, RowSet *set);
extern KeyPattern key_pattern(const Target *target, const Rows *rows, int row);
extern bool next_pattern(const Target *target, RowSet *rest, RowSet *same, KeyPattern *pattern);

/* ---- bulk.c ---- */

/* False where the rows have to go the way of SQL. */
extern bool bulk_write(Apply *apply, const RowSet *set, Written *written);

/* ---- multiset.c ---- */
extern void multiset_write(Apply *apply, const Rows *rows);
extern void multiset_delete(Apply *apply);

/* ---- delete.c ---- */

/* "UPDATE ... SET _deleted_at" or "DELETE", of target t joined with the page. */
extern void sql_delete(StringInfo sql, const Apply *apply);
extern void sql_not_deleted(StringInfo sql, const Apply *apply);

/* ---- reject.c ---- */
extern void	 reject_of_page(Apply *apply, const Rows *rows, int row, const ErrorData *reason);
extern void	 reject_resolve(Apply *apply, const RowSet *set);
extern void	 reject_resolve_deleted(Apply *apply, const RowSet *set);
extern void	 reject_resolve_deleted_keys(Apply *apply, List *keys);
extern char *row_json(const Target *target, const Rows *rows, int row, bool key_only);

#endif /* MAKINI_SYNC_APPLY_H */
