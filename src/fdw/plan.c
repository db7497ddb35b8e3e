/*-------------------------------------------------------------------------
 *
 * plan.c
 *		Paths and plans for one foreign table, and what all remote paths share.
 *
 * The idea is postgres_fdw's: conditions are split into those that travel and
 * those that stay.  There are three kinds here, because a remote side may be
 * trusted to lose no row without being trusted to mean the same: such
 * conditions travel and are checked again.  Sorting, limits and aggregates
 * travel only where every condition was exact.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"

#include "fdw/fdw.h"

/* ---------------------------------------------------------------------
 * Conditions
 * ---------------------------------------------------------------------
 */

void
context_init(ConditionContext *cx, const RelState *state)
{
	memset(cx, 0, sizeof(*cx));
	cx->connector = state->connector;
	cx->members = state->members;
	cx->relids = state->relids;
}

/*
 * classify_clause
 *		How far one condition may travel.
 */
FilterVerdict
classify_clause(ConditionContext *cx, RestrictInfo *rinfo)
{
	FilterVerdict verdict;

	if (rinfo->pseudoconstant)
		return VERDICT_NEVER;
	condition_build(cx, rinfo->clause, &verdict);
	return verdict;
}

static void
classify_conditions(RelState *state, List *conditions)
{
	ConditionContext cx;
	ListCell		*lc;

	context_init(&cx, state);
	foreach(lc, conditions)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		state->pseudoconstant |= rinfo->pseudoconstant;
		switch (classify_clause(&cx, rinfo))
		{
			case VERDICT_EXACT:
				state->exact = lappend(state->exact, rinfo);
				break;
			case VERDICT_SUPERSET:
				state->superset = lappend(state->superset, rinfo);
				break;
			case VERDICT_NEVER:
				state->local = lappend(state->local, rinfo);
				break;
		}
	}
}

/* ---------------------------------------------------------------------
 * Size
 * ---------------------------------------------------------------------
 */

/*
 * rel_size
 *		GetForeignRelSize.
 */
void
rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	RelState *state = palloc0(sizeof(RelState));
	Member	 *member = palloc0(sizeof(Member));

	member->rti = baserel->relid;
	member->table = table_open_options(relid);
	state->members = list_make1(member);
	state->relids = bms_copy(baserel->relids);
	state->connector = member->table->connector;
	state->outline = connection_outline(member->table->serverid);
	baserel->fdw_private = state;
	classify_conditions(state, baserel->baserestrictinfo);
	estimate_size(root, baserel, state);
}

/* ---------------------------------------------------------------------
 * Order and limit
 * ---------------------------------------------------------------------
 */

/*
 * The bound on rows that the whole query needs, where this relation alone
 * gives them; -1 where there is none.  Only constants: what planning guesses
 * of a parameter may be wrong when it runs.
 */
static double
query_limit(PlannerInfo *root, RelOptInfo *rel)
{
	Query *parse = root->parse;

	if (root->limit_tuples <= 0 || parse->rowMarks != NIL || parse->setOperations != NULL ||
		parse->distinctClause != NIL || parse->hasTargetSRFs || parse->hasDistinctOn ||
		!makini_enable_pushdown)
		return -1;
	if (parse->limitOption == LIMIT_OPTION_WITH_TIES ||
		(parse->limitCount != NULL && !IsA(parse->limitCount, Const)) ||
		(parse->limitOffset != NULL && !IsA(parse->limitOffset, Const)))
		return -1;
	if (rel->reloptkind != RELOPT_BASEREL && rel->reloptkind != RELOPT_JOINREL)
		return -1;
	if (!bms_equal(rel->relids, makini_all_query_rels(root)))
		return -1;
	return root->limit_tuples;
}

static bool
all_exact(const RelState *state)
{
	return state->superset == NIL && state->local == NIL && !state->pseudoconstant;
}

/* The order column for a pathkey, or NIL; who makes an operator class may order as he likes. */
static List *
order_of_pathkey(PathKey *pathkey, ConditionContext *cx, bool one_page, bool wall_clock)
{
	bool	  descending = makini_pathkey_descends(pathkey);
	ListCell *lc;

	if (pathkey->pk_nulls_first != descending || pathkey->pk_eclass->ec_has_volatile ||
		pathkey->pk_opfamily >= FirstGenbkiObjectId)
		return NIL;
	foreach(lc, pathkey->pk_eclass->ec_members)
	{
		EquivalenceMember *member = lfirst(lc);
		SourceColumn	  *column;
		int				   source;

		if (member->em_is_child)
			continue;
		column = condition_column(cx, (Node *) member->em_expr, &source);

		/* Wall clock repeats an hour a year: its order is not that of the instants. */
		if (column != NULL && column->kind == VALUE_TIMESTAMPTZ && wall_clock)
			continue;
		if (column != NULL && cx->connector->can_order(column, one_page))
			return list_make3_int(source, ((Var *) member->em_expr)->varattno, descending);
	}
	return NIL;
}

static List *
order_of_query(PlannerInfo *root, RelState *state, bool one_page)
{
	ConditionContext cx;
	List			*order = NIL;
	ListCell		*lc;

	context_init(&cx, state);
	foreach(lc, root->query_pathkeys)
	{
		List *item = order_of_pathkey(lfirst(lc), &cx, one_page, state->outline->time_zone != NULL);

		if (item == NIL)
			return NIL;
		order = lappend(order, item);
	}
	return order;
}

/* Offsets are no way to page through an order: ties could move between requests. */
static bool
can_page_in_order(const RelState *state)
{
	ListCell *lc;

	foreach(lc, state->members)
	{
		Member *member = lfirst(lc);

		if (member->table->source->key == NIL)
			return false;
	}
	return true;
}

static void
add_scan_path(PlannerInfo *root, RelOptInfo *rel, RelState *state, List *order, double limit)
{
	PathExtra	*extra = palloc0(sizeof(PathExtra));
	double		 rows = rel->rows;
	double		 fetched = state->fetched;
	List		*pathkeys = order != NIL ? root->query_pathkeys : NIL;
	QualCost	 qual_cost;
	Cost		 startup, total, missing;
	ForeignPath *path;

	extra->order = order;
	extra->limit = limit;
	if (limit >= 0)
	{
		rows = Min(rows, limit);
		fetched = Min(fetched, limit);
	}
	cost_conditions(root, state, &qual_cost);
	rel_cost(state, fetched, rows, &qual_cost, &startup, &total);

	missing = cost_of_missing_parameter(state, list_concat_copy(state->exact, state->superset));
	startup += missing;
	total += missing;

	/* An ordered scan can't be read in several ranges at once. */
	if (order != NIL && limit < 0)
		total += cost_of_transfer(fetched);
	if (IS_JOIN_REL(rel))
		path = makini_create_foreign_join_path(root, rel, NULL, rows, startup, total, pathkeys,
											   rel->lateral_relids, NULL, NIL, list_make1(extra));
	else
		path = makini_create_foreignscan_path(root, rel, NULL, rows, startup, total, pathkeys,
											  rel->lateral_relids, NULL, list_make1(extra));
	add_path(rel, (Path *) path);
}

/*
 * add_plain_and_ordered_paths
 *		The scan as it is, and where nothing is left to be done here, the scan
 *		in the order and with the bound of the query.
 */
void
add_plain_and_ordered_paths(PlannerInfo *root, RelOptInfo *rel, RelState *state)
{
	double limit = query_limit(root, rel);
	bool   one_page;
	List  *order;

	add_scan_path(root, rel, state, NIL, all_exact(state) && root->query_pathkeys == NIL ? limit : -1);
	if (!all_exact(state) || root->query_pathkeys == NIL || !makini_enable_pushdown ||
		!bms_is_empty(rel->lateral_relids))
		return;
	one_page = limit > 0 && limit <= state->outline->page_size;
	if (!one_page && !can_page_in_order(state))
		return;
	order = order_of_query(root, state, one_page);
	if (order != NIL)
		add_scan_path(root, rel, state, order, limit);
}

/* ---------------------------------------------------------------------
 * Parameterized paths: look-ups for the rows of another relation
 * ---------------------------------------------------------------------
 */

static void
add_lookup_path(PlannerInfo *root, RelOptInfo *rel, RelState *state, Relids outer)
{
	ConditionContext cx;
	ParamPathInfo	*info;
	PathExtra		*extra = palloc0(sizeof(PathExtra));
	List			*remote = list_concat_copy(state->exact, state->superset);
	double			 fetched;
	double			 by_key;
	QualCost		 qual_cost;
	Cost			 startup, total, missing;
	ListCell		*lc;

	outer = bms_union(outer, rel->lateral_relids);
	if (bms_is_empty(outer))
		return;
	info = get_baserel_parampathinfo(root, rel, outer);
	context_init(&cx, state);
	foreach(lc, info->ppi_clauses)
	{
		if (classify_clause(&cx, lfirst(lc)) != VERDICT_NEVER)
			remote = lappend(remote, lfirst(lc));
	}
	fetched = clamp_row_est(rel->tuples *
							clauselist_selectivity(root, remote, rel->relid, JOIN_INNER, NULL));
	by_key = estimate_rows_by_key(state, remote, rel->tuples);
	fetched = clamp_row_est(Min(fetched, by_key));
	info->ppi_rows = clamp_row_est(Min(info->ppi_rows, by_key));
	cost_conditions(root, state, &qual_cost);
	rel_cost(state, fetched, info->ppi_rows, &qual_cost, &startup, &total);
	missing = cost_of_missing_parameter(state, remote);
	startup += missing;
	total += missing;
	extra->limit = -1;
	add_path(rel,
			 (Path *) makini_create_foreignscan_path(root, rel, NULL, info->ppi_rows, startup,
													 total, NIL, outer, NULL, list_make1(extra)));
}

static List *
add_outer(List *outers, Relids outer)
{
	ListCell *lc;

	foreach(lc, outers)
	{
		if (bms_equal(lfirst(lc), outer))
			return outers;
	}
	return lappend(outers, outer);
}

/* Is this the condition a look-up by another relation's row could use? */
static bool
is_lookup(ConditionContext *cx, RelOptInfo *rel, RestrictInfo *rinfo)
{
	return join_clause_is_movable_to(rinfo, rel) && classify_clause(cx, rinfo) != VERDICT_NEVER;
}

typedef struct EquivalenceSearch
{
	Expr *current; /* the member looked at, NULL: take the next */
	List *done;	   /* members looked at before */
} EquivalenceSearch;

static bool
next_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *em, void *arg)
{
	EquivalenceSearch *search = arg;

	(void) root;
	(void) rel;
	(void) ec;
	if (search->current != NULL)
		return equal(em->em_expr, search->current);
	if (list_member(search->done, em->em_expr))
		return false;
	search->current = em->em_expr;
	return true;
}

/* Equalities that the planner derived from others don't stand in joininfo. */
static List *
outers_of_equivalences(PlannerInfo *root, RelOptInfo *rel, ConditionContext *cx, List *outers)
{
	EquivalenceSearch search = {0};

	if (!rel->has_eclass_joins)
		return outers;
	for (;;)
	{
		List	 *clauses;
		ListCell *lc;

		search.current = NULL;
		clauses = generate_implied_equalities_for_column(root, rel, next_member, &search,
														 rel->lateral_referencers);
		if (search.current == NULL)
			return outers;
		foreach(lc, clauses)
		{
			RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

			if (is_lookup(cx, rel, rinfo))
				outers = add_outer(outers, bms_difference(rinfo->clause_relids, rel->relids));
		}
		search.done = lappend(search.done, search.current);
	}
}

static void
add_lookup_paths(PlannerInfo *root, RelOptInfo *rel, RelState *state)
{
	ConditionContext cx;
	List			*outers = NIL;
	ListCell		*lc;

	context_init(&cx, state);
	foreach(lc, rel->joininfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (is_lookup(&cx, rel, rinfo))
			outers = add_outer(outers, bms_difference(rinfo->clause_relids, rel->relids));
	}
	outers = outers_of_equivalences(root, rel, &cx, outers);
	foreach(lc, outers)
		add_lookup_path(root, rel, state, lfirst(lc));
}

/*
 * rel_paths
 *		GetForeignPaths.
 */
void
rel_paths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	RelState *state = baserel->fdw_private;

	(void) relid;
	add_plain_and_ordered_paths(root, baserel, state);
	add_lookup_paths(root, baserel, state);
}

/* ---------------------------------------------------------------------
 * Plans
 * ---------------------------------------------------------------------
 */

/*
 * build_where
 *		AND of the filters of clauses; NULL when there are none.
 */
Filter *
build_where(ConditionContext *cx, List *clauses)
{
	List	 *filters = NIL;
	Filter	 *where;
	ListCell *lc;

	foreach(lc, clauses)
	{
		FilterVerdict verdict;
		Filter		 *filter = condition_build(cx, lfirst(lc), &verdict);

		if (filter != NULL)
			filters = lappend(filters, filter);
	}
	if (list_length(filters) < 2)
		return filters == NIL ? NULL : linitial(filters);
	where = palloc0(sizeof(Filter));
	where->kind = FILTER_AND;
	where->args = filters;
	return where;
}

static void
add_output(Spec *spec, AggregateKind aggregate, int source, AttrNumber attnum, int slot, bool divisor)
{
	OutputColumn *column = palloc0(sizeof(OutputColumn));

	column->aggregate = aggregate;
	column->source = source;
	column->attnum = attnum;
	column->slot = slot;
	column->divisor = divisor;
	spec->columns = lappend(spec->columns, column);
}

/* The columns of a table that the plan or a condition checked here needs. */
static void
output_table(Spec *spec, RelOptInfo *rel, const RelState *state, List *local)
{
	Table	  *table = ((Member *) linitial(state->members))->table;
	Bitmapset *needed = NULL;
	bool	   whole_row;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &needed);
	pull_varattnos((Node *) local, rel->relid, &needed);
	whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, needed);
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i] != NULL &&
			(whole_row || bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, needed)))
			add_output(spec, AGGREGATE_NONE, 0, i + 1, i, false);
	}
}

static void
output_expression(Spec *spec, ConditionContext *cx, Expr *expr, int slot)
{
	AggregateKind kind;
	bool		  average;
	Node		 *column = (Node *) expr;
	int			  source = 0;

	if (IsA(expr, Var))
	{
		Var		 *var = (Var *) expr;
		ListCell *lc;

		foreach(lc, cx->members)
		{
			if (((Member *) lfirst(lc))->rti == (Index) var->varno)
				add_output(spec, AGGREGATE_NONE, foreach_current_index(lc), var->varattno, slot, false);
		}
		return;
	}
	if (!aggregate_kind((Aggref *) expr, &kind, &average))
		return;
	if (kind == AGGREGATE_COUNT_ALL)
	{
		add_output(spec, kind, 0, InvalidAttrNumber, slot, false);
		return;
	}
	column = (Node *) ((TargetEntry *) linitial(((Aggref *) expr)->args))->expr;
	if (condition_column(cx, column, &source) == NULL)
		return;
	add_output(spec, kind, source, ((Var *) column)->varattno, slot, false);
	if (average)
		add_output(spec, AGGREGATE_COUNT, source, ((Var *) column)->varattno, slot, true);
}

static void
output_targets(Spec *spec, ConditionContext *cx, List *targets)
{
	ListCell *lc;

	foreach(lc, targets)
		output_expression(spec, cx, ((TargetEntry *) lfirst(lc))->expr, foreach_current_index(lc));
}

/* What a join gives: what is wanted of it, and what conditions checked here need. */
static List *
join_targets(RelOptInfo *rel, List *local)
{
	List *targets =
		add_to_flat_tlist(NIL,
						  pull_var_clause((Node *) rel->reltarget->exprs, PVC_RECURSE_PLACEHOLDERS));

	return add_to_flat_tlist(targets, pull_var_clause((Node *) local, PVC_RECURSE_PLACEHOLDERS));
}

static List *
group_columns(ConditionContext *cx, PlannerInfo *root)
{
	List	 *group = NIL;
	ListCell *lc;

	foreach(lc, root->parse->groupClause)
	{
		Node *expr = get_sortgroupclause_expr(lfirst(lc), root->processed_tlist);
		int	  source;

		if (condition_column(cx, expr, &source) != NULL)
			group = lappend(group, list_make3_int(source, ((Var *) expr)->varattno, 0));
	}
	return group;
}

/* Conditions of a scan: those of the table, and for a look-up those of its outer rows. */
static void
split_scan_clauses(ConditionContext *cx, List *scan_clauses, List **remote, List **local)
{
	ListCell *lc;

	foreach(lc, scan_clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		FilterVerdict verdict;

		if (rinfo->pseudoconstant)
			continue;
		verdict = classify_clause(cx, rinfo);
		if (verdict != VERDICT_NEVER)
			*remote = lappend(*remote, rinfo->clause);
		if (verdict != VERDICT_EXACT)
			*local = lappend(*local, rinfo->clause);
	}
	cx->params = NIL;
}

static void
split_state_clauses(const RelState *state, List **remote, List **local)
{
	*remote = list_concat(extract_actual_clauses(state->exact, false),
						  extract_actual_clauses(state->superset, false));
	*local = list_concat(extract_actual_clauses(state->superset, false),
						 extract_actual_clauses(state->local, false));
}

static List *
member_tables(const RelState *state, List **relids)
{
	List	 *tables = NIL;
	ListCell *lc;

	foreach(lc, state->members)
	{
		Member *member = lfirst(lc);

		tables = lappend(tables, member->table);
		*relids = lappend_oid(*relids, member->table->relid);
	}
	return tables;
}

/*
 * rel_plan
 *		GetForeignPlan, for a table, a join of two, or aggregates over either.
 */
ForeignScan *
rel_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *tlist,
		 List *scan_clauses, Plan *outer_plan)
{
	RelState		*state = rel->fdw_private;
	RelState		*base = state->grouped ? state->input : state;
	PathExtra		*extra = linitial(path->fdw_private);
	Spec			 spec = {.limit = extra->limit, .order = extra->order};
	ConditionContext cx;
	List			*tables;
	List			*remote = NIL;
	List			*local = NIL;
	List			*recheck = NIL;
	List			*targets = NIL;

	(void) relid;
	context_init(&cx, base);
	tables = member_tables(base, &spec.relids);
	if (rel->reloptkind == RELOPT_BASEREL || rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
	{
		split_scan_clauses(&cx, scan_clauses, &remote, &local);

		/* A row that another session has changed meanwhile may need another of ours. */
		recheck = list_difference_ptr(remote, local);
	}
	else
		split_state_clauses(base, &remote, &local);
	spec.join = base->join;
	spec.joined_once = base->joined_once;
	spec.on = build_where(&cx, base->join_clauses);
	spec.where = build_where(&cx, remote);
	if (state->grouped)
	{
		spec.grouped = true;
		spec.group = group_columns(&cx, root);
		targets = state->targets;
	}
	else if (base->join != QUERY_NO_JOIN)
		targets = join_targets(rel, local);
	if (targets != NIL)
		output_targets(&spec, &cx, targets);
	else if (base->join == QUERY_NO_JOIN && !state->grouped)
		output_table(&spec, rel, base, local);
	return make_foreignscan(tlist, local, rel->relid, cx.params, spec_to_list(&spec, tables),
							targets, recheck, outer_plan);
}
