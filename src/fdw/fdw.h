/*-------------------------------------------------------------------------
 *
 * fdw.h
 *		What the files of the foreign-data wrapper share.
 *
 * condition.c turns SQL conditions into filters and says which may travel;
 * plan.c, join.c and aggregate.c make paths; spec.c carries a planned query
 * inside the plan; scan.c runs it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_FDW_H
#define MAKINI_FDW_H

#include "postgres.h"

#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"

#include "compat.h"
#include "connector/decode.h"
#include "connector/table.h"
#include "makini.h"

/* ---- condition.c ---- */

/* A relation taking part in a remote query, and its place in there. */
typedef struct Member
{
	Index  rti;
	Table *table;
} Member;

/*
 * Conditions are built with values that are not known yet: param is the place
 * of the value's expression in the plan's list of expressions.
 */
typedef struct PlannedValue
{
	FilterValue value; /* first, so that connectors see a FilterValue */
	int			param;
	bool		array; /* the expression gives an array: many values */
} PlannedValue;

typedef struct ConditionContext
{
	const Connector *connector;
	List			*members; /* of Member *; the place is the source's index */
	Relids			 relids;
	List			*params; /* expressions of values met so far */
} ConditionContext;

/*
 * Build the filter for a condition, or NULL when no part of it may travel.
 * verdict says whether it has to be checked again here.
 */
extern Filter *condition_build(ConditionContext *cx, Expr *expr, FilterVerdict *verdict);

/* The column a plain Var stands for, or NULL; source gets its index. */
extern SourceColumn *condition_column(ConditionContext *cx, Node *node, int *source);

/* ---- plan.c ---- */

/* What planning knows about a relation that a remote query could answer. */
typedef struct RelState
{
	const Connector *connector;
	Connection		*outline;
	List			*members; /* of Member * */
	Relids			 relids;
	QueryJoin		 join;
	List			*join_clauses; /* of Expr *: the ON of the join */
	bool			 joined_once;
	List			*exact;			 /* of RestrictInfo *: sent, mean the same there */
	List			*superset;		 /* sent, and checked again here */
	List			*local;			 /* stay here */
	bool			 pseudoconstant; /* has conditions that gate the whole scan */
	bool			 guessed;		 /* nobody has counted the rows */
	double			 fetched;		 /* rows expected over the network */
	double			 width;

	/* upper relations only */
	bool			 grouped;
	List			*targets; /* of TargetEntry *: what the scan gives */
	struct RelState *input;
} RelState;

/* What a path adds to its relation; stands in ForeignPath.fdw_private. */
typedef struct PathExtra
{
	List  *order; /* of IntList (source, attnum, descending) */
	double limit; /* -1: none */
} PathExtra;

extern void			rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid);
extern void			rel_paths(PlannerInfo *root, RelOptInfo *baserel, Oid relid);
extern ForeignScan *rel_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
							 List *tlist, List *scan_clauses, Plan *outer_plan);
extern Filter	   *build_where(ConditionContext *cx, List *clauses);
extern void add_plain_and_ordered_paths(PlannerInfo *root, RelOptInfo *rel, RelState *state);
extern void context_init(ConditionContext *cx, const RelState *state);
extern FilterVerdict classify_clause(ConditionContext *cx, RestrictInfo *rinfo);

/* ---- estimate.c ---- */
extern void	  estimate_init(void);
extern void	  estimate_size(PlannerInfo *root, RelOptInfo *rel, RelState *state);
extern double estimate_rows_by_key(RelState *state, List *conditions, double tuples);
extern Cost	  cost_of_transfer(double rows);
extern Cost	  cost_of_missing_parameter(RelState *state, List *conditions);
extern void	  cost_conditions(PlannerInfo *root, RelState *state, QualCost *cost);
extern void rel_cost(const RelState *state, double fetched, double rows, const QualCost *qual_cost,
					 Cost *startup, Cost *total);

/* ---- join.c, aggregate.c ---- */
extern void join_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
					   RelOptInfo *innerrel, JoinType jointype, JoinPathExtraData *extra);
extern void upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
						RelOptInfo *output_rel, void *extra);
extern bool aggregate_kind(Aggref *aggref, AggregateKind *kind, bool *average);

/* ---- spec.c ---- */

/* Where an output column goes. */
typedef struct OutputColumn
{
	AggregateKind aggregate;
	int			  source;
	AttrNumber	  attnum;  /* 0: COUNT(*) */
	int			  slot;	   /* place in the scan tuple, from 0 */
	bool		  divisor; /* the count that turns the sum before it into an average */
} OutputColumn;

/* A query as the plan carries it. */
typedef struct Spec
{
	List	 *relids; /* of Oid: the foreign tables */
	QueryJoin join;
	bool	  joined_once;
	Filter	 *on;
	Filter	 *where;
	List	 *columns; /* of OutputColumn * */
	bool	  grouped;
	List	 *group; /* of IntList (source, attnum, 0) */
	List	 *order; /* of IntList (source, attnum, descending) */
	double	  limit; /* -1: none */
} Spec;

extern List	   *spec_to_list(const Spec *spec, List *tables);
extern Spec	   *spec_from_list(List *list, List **tables);
extern Decoder *spec_decoder(Connection *conn, TupleDesc desc, const Spec *spec, List *tables);

/* ---- scan.c ---- */
extern void			   scan_begin(ForeignScanState *node, int eflags);
extern TupleTableSlot *scan_iterate(ForeignScanState *node);
extern void			   scan_rescan(ForeignScanState *node);
extern void			   scan_end(ForeignScanState *node);
extern int64		  *statement_budget(EState *estate);

/* ---- value.c ---- */

/*
 * A filter with its values put in; NULL in place of one that cannot hold.
 * texts of all values, as they were put in, are appended to fingerprint.
 */
extern Filter	   *filter_bind(const Filter *planned, List *exprs, ExprContext *econtext,
								StringInfo fingerprint, bool *never);
extern Filter	   *filter_describe(const Filter *planned, List *exprs);
extern bool			filter_has_unknown(const Filter *filter);
extern RemoteQuery *query_from_spec(const Spec *spec, List *tables);

extern FilterValue *value_of_datum(Datum datum, Oid type);

/* ---- modify.c ---- */
extern int write_updatable(Relation rel);
extern List *write_plan(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index);
extern void write_begin(ModifyTableState *state, ResultRelInfo *relinfo, List *fdw_private,
						int subplan_index, int eflags);
extern void write_begin_routed(ModifyTableState *state, ResultRelInfo *relinfo);
extern TupleTableSlot  *write_insert(EState *estate, ResultRelInfo *relinfo, TupleTableSlot *slot,
									 TupleTableSlot *plan_slot);
extern TupleTableSlot **write_batch(EState *estate, ResultRelInfo *relinfo, TupleTableSlot **slots,
									TupleTableSlot **plan_slots, int *n);
extern int				write_batch_size(ResultRelInfo *relinfo);
extern void				write_end(EState *estate, ResultRelInfo *relinfo);
extern void write_explain(ModifyTableState *state, ResultRelInfo *relinfo, List *fdw_private,
						  int subplan_index, ExplainState *es);

/* ---- explain.c ---- */
extern void scan_explain(ForeignScanState *node, ExplainState *es);

/* ---- analyze.c, import.c ---- */
extern bool	 table_analyze(Relation relation, AcquireSampleRowsFunc *func, BlockNumber *pages);
extern List *schema_import(ImportForeignSchemaStmt *stmt, Oid serverid);

/* What a scan node keeps while it runs. */
typedef struct RemoteScan
{
	Spec		 *spec;
	List		 *tables; /* of Table * */
	List		 *exprs;  /* of ExprState * */
	Connection	 *conn;	  /* opened with the first row asked for */
	Reader		 *reader;
	MemoryContext cxt;		 /* of conn */
	MemoryContext query_cxt; /* of the bound query and its reader */
	MemoryContext row_cxt;	 /* of the values of one row */
	Decoder		 *decoder;
	CellPage	 *page;
	int			  row;
	int64		  pages;	   /* of the query bound */
	int64		  total_pages; /* of all */
	bool		  running;	   /* rows are being given since the last (re)scan */
	bool		  bound;	   /* a query has been bound */
	bool		  never;	   /* its conditions cannot hold */
	bool		  empty;	   /* it has given no row */
	char		 *fingerprint; /* of the values bound */
	RemoteUsage	  usage;
} RemoteScan;

#endif /* MAKINI_FDW_H */
