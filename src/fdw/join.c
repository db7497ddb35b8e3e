/*-------------------------------------------------------------------------
 *
 * join.c
 *		Joins of two foreign tables of one server, answered remotely.
 *
 * Only inner and left joins of two plain tables on ids: more than that, NetSuite
 * answers slowly or not at all.  Two tables travel together when reading one
 * joined result is cheaper than reading both, which the planner decides.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"

#include "fdw/fdw.h"

/* Conditions of the join itself; false when it can't travel because of them. */
static bool
classify_join_clauses(RelState *state, RelOptInfo *joinrel, JoinType jointype, List *clauses)
{
	ConditionContext cx;
	ListCell		*lc;

	context_init(&cx, state);
	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		FilterVerdict verdict = classify_clause(&cx, rinfo);
		bool above = IS_OUTER_JOIN(jointype) && RINFO_IS_PUSHED_DOWN(rinfo, joinrel->relids);

		/* What stands above an outer join, or gates it, is left to the executor. */
		if (rinfo->pseudoconstant || above)
			return false;
		if (verdict == VERDICT_EXACT)
			state->join_clauses = lappend(state->join_clauses, rinfo->clause);
		else if (IS_OUTER_JOIN(jointype))
			return false;
		else if (verdict == VERDICT_SUPERSET)
			state->superset = lappend(state->superset, rinfo);
		else
			state->local = lappend(state->local, rinfo);
	}
	return true;
}

/* The column of one side that a condition sets equal to one of the other, or NULL. */
static SourceColumn *
joined_column(ConditionContext *cx, Expr *clause, int side)
{
	FilterVerdict verdict;
	Filter		 *filter = condition_build(cx, clause, &verdict);

	if (filter == NULL || filter->kind != FILTER_COLUMNS || filter->op != CMP_EQ ||
		filter->source == filter->other_source)
		return NULL;
	return filter->source == side ? filter->column : filter->other;
}

static bool
has_join_column(RelState *state)
{
	ConditionContext cx;
	ListCell		*lc;

	context_init(&cx, state);
	foreach(lc, state->join_clauses)
	{
		if (joined_column(&cx, lfirst(lc), 0) != NULL)
			return true;
	}
	return false;
}

/* Is each row of the other side met by at most one of this side: is its key joined whole? */
static bool
key_is_joined(RelState *state, int side)
{
	ConditionContext cx;
	Member			*member = list_nth(state->members, side);
	ListCell		*lc;

	context_init(&cx, state);
	foreach(lc, member->table->source->key)
	{
		SourceColumn *key = lfirst(lc);
		bool		  found = false;
		ListCell	 *lc2;

		foreach(lc2, state->join_clauses)
			found |= joined_column(&cx, lfirst(lc2), side) == key;
		if (!found)
			return false;
	}
	return member->table->source->key != NIL;
}

/* The side that is met once goes second, where the order of sides is free. */
static void
put_in_order(RelState *state)
{
	state->joined_once = key_is_joined(state, 1);
	if (state->joined_once || state->join == QUERY_LEFT_JOIN || !key_is_joined(state, 0))
		return;
	state->members = list_make2(lsecond(state->members), linitial(state->members));
	state->joined_once = true;
}

/*
 * Without statistics the planner takes a key for a column like any other.  A
 * row that meets one of the other side at most can't become many.
 */
static void
limit_rows(RelOptInfo *joinrel, const RelState *state, const RelOptInfo *first)
{
	if (state->joined_once && joinrel->rows > first->rows)
		joinrel->rows = clamp_row_est(first->rows);
}

static bool
is_plain(const RelState *state)
{
	Member *member;

	if (state == NULL || state->join != QUERY_NO_JOIN || state->pseudoconstant)
		return false;
	member = linitial(state->members);
	return member->table->source->statement == NULL && member->table->source->key != NIL;
}

/*
 * Take over the conditions of the two sides.  Those of a left join's inner side
 * belong to the join itself, where they must be exact: what they let through
 * too much would suppress a row of NULLs.
 */
static bool
take_conditions(RelState *state, RelState *outer, RelState *inner)
{
	ListCell *lc;

	if (state->join == QUERY_LEFT_JOIN && (inner->superset != NIL || inner->local != NIL))
		return false;
	state->exact = list_copy(outer->exact);
	state->superset = list_concat_copy(outer->superset, inner->superset);
	state->local = list_concat_copy(outer->local, inner->local);
	if (state->join == QUERY_INNER_JOIN)
	{
		state->exact = list_concat(state->exact, inner->exact);
		return true;
	}
	foreach(lc, inner->exact)
		state->join_clauses = lappend(state->join_clauses, lfirst_node(RestrictInfo, lc)->clause);
	return true;
}

static bool
only_columns(List *exprs)
{
	ListCell *lc;

	foreach(lc, pull_var_clause((Node *) exprs, PVC_INCLUDE_PLACEHOLDERS))
	{
		Var *var = lfirst(lc);

		if (!IsA(var, Var) || var->varattno <= 0)
			return false;
	}
	return true;
}

static RelState *
make_join(RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel, JoinType jointype,
		  List *clauses)
{
	RelState *outer = outerrel->fdw_private;
	RelState *inner = innerrel->fdw_private;
	RelState *state = palloc0(sizeof(RelState));

	state->connector = outer->connector;
	state->outline = outer->outline;
	state->members = list_make2(linitial(outer->members), linitial(inner->members));
	state->relids = bms_union(outer->relids, inner->relids);
	state->join = jointype == JOIN_LEFT ? QUERY_LEFT_JOIN : QUERY_INNER_JOIN;
	if (!take_conditions(state, outer, inner) ||
		!classify_join_clauses(state, joinrel, jointype, clauses) || !has_join_column(state))
		return NULL;
	put_in_order(state);
	limit_rows(joinrel, state,
			   linitial(state->members) == linitial(outer->members) ? outerrel : innerrel);
	state->fetched = joinrel->rows;
	state->width = joinrel->reltarget->width;
	return state;
}

/*
 * join_paths
 *		GetForeignJoinPaths.  Called for both orders of the sides, and acts upon
 *		the first that can travel.
 */
void
join_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
		   JoinType jointype, JoinPathExtraData *extra)
{
	RelState *state;

	if (joinrel->fdw_private != NULL || !makini_enable_pushdown)
		return;
	if (jointype != JOIN_INNER && jointype != JOIN_LEFT)
		return;
	if (!is_plain(outerrel->fdw_private) || !is_plain(innerrel->fdw_private) ||
		!bms_is_empty(joinrel->lateral_relids))
		return;

	/* Rechecking a locked row would need the two tables apart. */
	if (root->rowMarks != NIL || root->parse->commandType != CMD_SELECT)
		return;
	state = make_join(joinrel, outerrel, innerrel, jointype, extra->restrictlist);
	if (state == NULL || !only_columns(joinrel->reltarget->exprs) ||
		!only_columns(get_actual_clauses(state->superset)) ||
		!only_columns(get_actual_clauses(state->local)))
		return;
	joinrel->fdw_private = state;
	add_plain_and_ordered_paths(root, joinrel, state);
}
