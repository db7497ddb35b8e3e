/*-------------------------------------------------------------------------
 *
 * estimate.c
 *		How many rows a remote query may give, and what fetching them costs.
 *
 * Most foreign tables have never been analyzed.  What is known of them without
 * asking is their size class and that their key identifies a row, which the
 * planner otherwise learns from indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/selfuncs.h"

#include "fdw/fdw.h"

/*
 * In the planner's currency, where a page read from disk is 1: a request takes
 * some tenths of a second whatever it brings; a row over the network costs
 * some times a local one.
 */
#define REQUEST_COST 200.0
#define TRANSFER_COST 0.05

/* More than any plan that can work: this one cannot. */
#define MISSING_PARAMETER_COST 1.0e12

static get_relation_stats_hook_type next_relation_stats_hook = NULL;

/* Ask the remote side how many rows it would send. */
static double
remote_rows(RelOptInfo *rel, RelState *state)
{
	ConditionContext cx;
	Oid				 userid = OidIsValid(rel->userid) ? rel->userid : GetUserId();
	Connection		*conn;
	RemoteQuery		 query = {.limit = -1};
	List			*clauses = list_concat_copy(state->exact, state->superset);
	Filter			*where;

	if (state->connector->count == NULL)
		return -1;
	conn = connection_open(state->outline->serverid, userid, REMOTE_USE_SCAN);
	context_init(&cx, state);
	query.sources = list_make1(((Member *) linitial(state->members))->table->source);
	where = build_where(&cx, extract_actual_clauses(clauses, false));
	query.where = filter_describe(where, cx.params);
	if (filter_has_unknown(query.where))
		return -1;
	return state->connector->count(conn, &query);
}

/* What of conditions the remote side could be asked. */
static List *
filters_of(RelState *state, List *conditions)
{
	ConditionContext cx;
	List			*filters = NIL;
	ListCell		*lc;

	context_init(&cx, state);
	foreach(lc, conditions)
	{
		FilterVerdict verdict;
		Filter *filter = condition_build(&cx, lfirst_node(RestrictInfo, lc)->clause, &verdict);

		if (filter != NULL)
			filters = lappend(filters, filter);
	}
	return filters;
}

static bool
names_key_column(RelState *state, List *conditions, const SourceColumn *key)
{
	ListCell *lc;

	foreach(lc, filters_of(state, conditions))
	{
		Filter *filter = lfirst(lc);

		if (filter->kind == FILTER_COMPARE && filter->op == CMP_EQ && filter->column == key)
			return true;
	}
	return false;
}

/*
 * estimate_rows_by_key
 *		The most rows that conditions on the key leave.
 *
 * The planner knows of no key
 * without an index.  Where all of it is set equal to values there is one row;
 * of a part of it, nothing is known before ANALYZE, and each column is taken
 * to divide the rows as evenly as the others.
 */
double
estimate_rows_by_key(RelState *state, List *conditions, double tuples)
{
	Source	 *source = ((Member *) linitial(state->members))->table->source;
	int		  nkeys = list_length(source->key);
	int		  named = 0;
	ListCell *lc;

	foreach(lc, source->key)
		named += names_key_column(state, conditions, lfirst(lc));
	if (named == nkeys && nkeys > 0)
		return 1;
	if (named == 0 || !state->guessed)
		return tuples;
	return pow(tuples, (double) (nkeys - named) / nkeys);
}

/*
 * estimate_size
 *		How many rows a table has, how many its conditions leave, and how many of
 *		them cross the network.
 */
void
estimate_size(PlannerInfo *root, RelOptInfo *rel, RelState *state)
{
	Table *table = ((Member *) linitial(state->members))->table;
	List  *remote = list_concat_copy(state->exact, state->superset);
	double counted = -1;
	double by_key;

	if (rel->tuples <= 0)
	{
		rel->tuples = size_class_rows(table);
		state->guessed = true;
	}
	if (state->outline->use_remote_estimate)
		counted = remote_rows(rel, state);
	if (counted >= 0)
	{
		double selectivity = clauselist_selectivity(root, remote, 0, JOIN_INNER, NULL);

		rel->tuples = Max(counted, counted / Max(selectivity, 1e-9));
	}
	set_baserel_size_estimates(root, rel);
	by_key = estimate_rows_by_key(state, state->exact, rel->tuples);
	rel->rows = clamp_row_est(Min(rel->rows, by_key));
	state->fetched = counted >= 0 ?
		counted :
		clamp_row_est(
			Min(by_key,
				rel->tuples * clauselist_selectivity(root, remote, rel->relid, JOIN_INNER, NULL)));
	if (counted >= 0)
		rel->rows = clamp_row_est(
			counted * clauselist_selectivity(root, state->local, rel->relid, JOIN_INNER, NULL));
	state->width = rel->reltarget->width;
}

/*
 * cost_of_transfer
 *		What it costs to bring rows over the network, apart from the requests.
 */
Cost
cost_of_transfer(double rows)
{
	return rows * TRANSFER_COST;
}

/* Do conditions give a column a value to ask for? */
static bool
names_column(RelState *state, List *conditions, const char *column)
{
	ListCell *lc;

	foreach(lc, filters_of(state, conditions))
	{
		Filter *filter = lfirst(lc);

		if (((filter->kind == FILTER_COMPARE && filter->op == CMP_EQ) || filter->kind == FILTER_IN) &&
			filter->column != NULL && pg_strcasecmp(filter->column->name, column) == 0)
			return true;
	}
	return false;
}

/*
 * cost_of_missing_parameter
 *		What a look-up costs without the values it needs, over one that has them.
 */
Cost
cost_of_missing_parameter(RelState *state, List *conditions)
{
	const Entity *entity = ((Member *) linitial(state->members))->table->source->catalogue;
	bool		  one_of = false;
	bool		  has_one = false;

	if (entity == NULL || list_length(state->members) > 1)
		return 0;
	for (int i = 0; i < entity->nparameters; i++)
	{
		const EntityParameter *parameter = &entity->parameters[i];
		bool				   named = (parameter->required || parameter->one_of) &&
			names_column(state, conditions, parameter->column);

		if (parameter->required && !named)
			return MISSING_PARAMETER_COST;
		one_of |= parameter->one_of;
		has_one |= parameter->one_of && named;
	}
	return one_of && !has_one ? MISSING_PARAMETER_COST : 0;
}

/*
 * rel_cost
 *		What it costs to fetch a number of rows and check them.
 */
void
rel_cost(const RelState *state, double fetched, double rows, const QualCost *qual_cost,
		 Cost *startup, Cost *total)
{
	double requests = ceil(Max(fetched, 1) / state->outline->page_size);

	*startup = REQUEST_COST + qual_cost->startup;
	*total = *startup + (requests - 1) * REQUEST_COST +
		fetched * (TRANSFER_COST + cpu_tuple_cost + qual_cost->per_tuple) + rows * cpu_tuple_cost;
}

/*
 * cost_conditions
 *		What it costs to check a row's conditions here.
 */
void
cost_conditions(PlannerInfo *root, RelState *state, QualCost *cost)
{
	cost_qual_eval(cost, list_concat_copy(state->superset, state->local), root);
}

/*
 * A key of one column is unique: told here, the planner doesn't take a join on
 * it to multiply rows.
 */
static bool
note_unique_key(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum, VariableStatData *vardata)
{
	/* of a local table nothing may be set: costing a BRIN index comes with a vardata that nobody filled */
	RelOptInfo *rel = rte->relkind == RELKIND_FOREIGN_TABLE ? vardata->rel : NULL;

	if (rel != NULL && rel->fdwroutine != NULL && rel->fdw_private != NULL &&
		rel->fdwroutine->GetForeignRelSize == rel_size && attnum > 0)
	{
		Table *table = ((Member *) linitial(((RelState *) rel->fdw_private)->members))->table;
		List  *key = table->source->key;

		if (list_length(key) == 1 && attnum <= table->natts &&
			linitial(key) == table->columns[attnum - 1])
			vardata->isunique = true;
	}
	return next_relation_stats_hook != NULL && next_relation_stats_hook(root, rte, attnum, vardata);
}

/*
 * estimate_init
 *		Called once, when the library is loaded.
 */
void
estimate_init(void)
{
	next_relation_stats_hook = get_relation_stats_hook;
	get_relation_stats_hook = note_unique_key;
}
