/*-------------------------------------------------------------------------
 *
 * aggregate.c
 *		Counts, sums and extremes, answered remotely.
 *
 * Only where every condition is exact, over columns whose values compare the
 * same on both sides.  An average is fetched as a sum and a count and divided
 * here, because the two sides round quotients differently.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "fdw/fdw.h"

/*
 * aggregate_kind
 *		Which remote aggregate an Aggref is, if any.
 */
bool
aggregate_kind(Aggref *aggref, AggregateKind *kind, bool *average)
{
	static const struct
	{
		const char	 *name;
		AggregateKind kind;
		bool		  average;
	} known[] = {
		{"count", AGGREGATE_COUNT, false}, {"sum", AGGREGATE_SUM, false},
		{"avg", AGGREGATE_SUM, true},	   {"min", AGGREGATE_MIN, false},
		{"max", AGGREGATE_MAX, false},
	};
	char *name;

	if (!IsA(aggref, Aggref) || aggref->aggfnoid >= FirstGenbkiObjectId ||
		aggref->aggsplit != AGGSPLIT_SIMPLE || aggref->aggfilter != NULL ||
		aggref->aggdistinct != NIL || aggref->aggorder != NIL || aggref->aggvariadic ||
		aggref->aggkind != AGGKIND_NORMAL || aggref->agglevelsup != 0)
		return false;
	name = get_func_name(aggref->aggfnoid);
	*average = false;
	if (aggref->aggstar)
	{
		*kind = AGGREGATE_COUNT_ALL;
		return strcmp(name, "count") == 0;
	}
	if (list_length(aggref->args) != 1)
		return false;
	for (int i = 0; i < (int) lengthof(known); i++)
	{
		if (strcmp(name, known[i].name) != 0)
			continue;
		*kind = known[i].kind;
		*average = known[i].average;
		return true;
	}
	return false;
}

static bool
aggregate_travels(ConditionContext *cx, Aggref *aggref)
{
	AggregateKind kind;
	bool		  average;
	SourceColumn *column = NULL;
	int			  source;

	if (!aggregate_kind(aggref, &kind, &average))
		return false;
	if (kind == AGGREGATE_COUNT_ALL)
		return cx->connector->can_aggregate(kind, NULL);
	column = condition_column(cx, (Node *) ((TargetEntry *) linitial(aggref->args))->expr, &source);
	return column != NULL && cx->connector->can_aggregate(kind, column);
}

/*
 * What the scan has to give: the columns grouped by and the aggregates in the
 * wanted expressions; NIL when something else is wanted.
 */
static List *
collect_targets(PlannerInfo *root, ConditionContext *cx, PathTarget *wanted)
{
	List	 *targets = NIL;
	List	 *parts = NIL;
	ListCell *lc;
	int		  i = 0;

	foreach(lc, wanted->exprs)
	{
		Expr *expr = lfirst(lc);
		Index ref = get_pathtarget_sortgroupref(wanted, i++);

		if (ref != 0 && get_sortgroupref_clause_noerr(ref, root->parse->groupClause) != NULL)
			targets = add_to_flat_tlist(targets, list_make1(expr));
		else
			parts = list_concat(parts, pull_var_clause((Node *) expr, PVC_INCLUDE_AGGREGATES));
	}
	foreach(lc, parts)
	{
		Node *part = lfirst(lc);

		if (IsA(part, Aggref) ? !aggregate_travels(cx, (Aggref *) part) :
								tlist_member((Expr *) part, targets) == NULL)
			return NIL;
	}
	return add_to_flat_tlist(targets, parts);
}

/*
 * Grouped by nothing but columns that group the same there?  Here and below
 * it is the whole clause: the planner's own, shorter one may have become
 * empty, which would make a row of no rows.
 */
static bool
groups_travel(PlannerInfo *root, ConditionContext *cx)
{
	ListCell *lc;

	foreach(lc, root->parse->groupClause)
	{
		Node		 *expr = get_sortgroupclause_expr(lfirst(lc), root->processed_tlist);
		int			  source;
		SourceColumn *column = condition_column(cx, expr, &source);

		if (column == NULL || !cx->connector->can_group(column))
			return false;
	}
	return true;
}

static double
group_count(PlannerInfo *root, RelOptInfo *input)
{
	List *exprs;

	if (root->parse->groupClause == NIL)
		return 1;
	exprs = get_sortgrouplist_exprs(root->parse->groupClause, root->processed_tlist);
	return clamp_row_est(estimate_num_groups(root, exprs, input->rows, NULL, NULL));
}

/*
 * upper_paths
 *		GetForeignUpperPaths: plain grouping only; HAVING, grouping sets and
 *		everything later stay here.
 */
void
upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
			RelOptInfo *output_rel, void *extra)
{
	RelState		*input = input_rel->fdw_private;
	RelState		*state;
	ConditionContext cx;
	PathExtra		*path_extra;
	QualCost		 no_quals = {0};
	double			 groups;
	Cost			 startup, total;

	(void) extra;
	if (stage != UPPERREL_GROUP_AGG || input == NULL || input->grouped ||
		output_rel->fdw_private != NULL || !makini_enable_pushdown)
		return;
	if (input->superset != NIL || input->local != NIL || input->pseudoconstant ||
		root->parse->groupingSets != NIL || root->hasHavingQual || root->parse->hasTargetSRFs ||
		(input_rel->reloptkind != RELOPT_BASEREL && input_rel->reloptkind != RELOPT_JOINREL))
		return;
	state = palloc0(sizeof(RelState));
	context_init(&cx, input);
	if (!groups_travel(root, &cx))
		return;
	state->targets = collect_targets(root, &cx, root->upper_targets[UPPERREL_GROUP_AGG]);
	if (state->targets == NIL)
		return;
	state->connector = input->connector;
	state->outline = input->outline;
	state->relids = input->relids;
	state->grouped = true;
	state->input = input;
	output_rel->fdw_private = state;

	groups = group_count(root, input_rel);
	rel_cost(state, groups, groups, &no_quals, &startup, &total);
	path_extra = palloc0(sizeof(PathExtra));
	path_extra->limit = -1;
	add_path(output_rel,
			 (Path *) makini_create_foreign_upper_path(root, output_rel,
													   root->upper_targets[UPPERREL_GROUP_AGG],
													   groups, startup, total, NIL, NULL,
													   list_make1(path_extra)));
}
