/*-------------------------------------------------------------------------
 *
 * filter_text.c
 *		Conditions that people give as text, made into filters by the rules that
 *		those of queries go by.
 *
 * PostgreSQL's own parser reads the text, as one expression and nothing else.
 * Only built-in functions may stand in it, and no domains, whose checks are
 * anybody's code.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/rel.h"

#include "fdw/fdw.h"
#include "fdw/filter_text.h"

static void
raise_not_one_expression(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR), errmsg("%s must be exactly one expression", name),
			 errhint("Write it as a condition behind WHERE, without the word itself.")));
}

/* The grammar takes all that could follow SELECT. */
static Node *
parse_raw(const char *text, const char *name)
{
	List	   *parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select;
	ResTarget  *target;

	select = castNode(SelectStmt, linitial_node(RawStmt, parsed)->stmt);
	if (list_length(parsed) != 1 || select->op != SETOP_NONE ||
		list_length(select->targetList) != 1 || select->distinctClause != NIL ||
		select->intoClause != NULL || select->fromClause != NIL || select->whereClause != NULL ||
		select->groupClause != NIL || select->havingClause != NULL || select->windowClause != NIL ||
		select->valuesLists != NIL || select->sortClause != NIL || select->limitOffset != NULL ||
		select->limitCount != NULL || select->lockingClause != NIL || select->withClause != NULL)
		raise_not_one_expression(name);
	target = linitial_node(ResTarget, select->targetList);
	if (target->name != NULL || target->indirection != NIL)
		raise_not_one_expression(name);
	return target->val;
}

static bool
is_foreign_code(Oid func_id, void *context)
{
	return func_id >= FirstNormalObjectId;
}

static bool
has_foreign_code(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) || check_functions_in_node(node, is_foreign_code, NULL))
		return true;
	return expression_tree_walker(node, has_foreign_code, context);
}

static Expr *
parse_expression(Table *table, const char *text, const char *name)
{
	Relation			relation = table_open(table->relid, NoLock);
	ParseState		   *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;
	Node			   *node;

	pstate->p_sourcetext = text;
	item = addRangeTableEntryForRelation(pstate, relation, AccessShareLock, NULL, false, true);
	addNSItemToQuery(pstate, item, false, true, true);
	node = transformExpr(pstate, parse_raw(text, name), EXPR_KIND_WHERE);
	node = coerce_to_boolean(pstate, node, "WHERE");
	assign_expr_collations(pstate, node);
	if (pstate->p_hasSubLinks)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s cannot contain a subquery", name)));
	free_parsestate(pstate);
	table_close(relation, NoLock);
	if (contain_volatile_functions(node) || has_foreign_code(node, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s can use PostgreSQL's own functions and types only, and no volatile functions",
						name)));
	return (Expr *) eval_const_expressions(NULL, node);
}

/* The values in a condition, put in. */
static Filter *
bind_values(Filter *planned, List *params)
{
	EState		  *estate = CreateExecutorState();
	ExprContext	  *econtext = CreateExprContext(estate);
	StringInfoData fingerprint;
	bool		   never = false;
	Filter		  *bound;
	MemoryContext  old = CurrentMemoryContext;
	List		  *states;

	initStringInfo(&fingerprint);
	MemoryContextSwitchTo(estate->es_query_cxt);
	states = ExecInitExprList(params, NULL);
	MemoryContextSwitchTo(old);
	bound = filter_bind(planned, states, econtext, &fingerprint, &never);
	FreeExecutorState(estate);
	return never ? NULL : bound;
}

/* Where something is wrong is a place in the text, not in the statement around it. */
static void
text_context(void *text)
{
	int position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery(text);
}

TextFilter *
filter_parse(Table *table, const char *text, const char *name)
{
	TextFilter			*result = palloc0(sizeof(TextFilter));
	ErrorContextCallback place = {error_context_stack, text_context, unconstify(char *, text)};
	ConditionContext	 context = {.connector = table->connector};
	Member				 member = {.rti = 1, .table = table};
	FilterVerdict		 verdict;
	Filter				*planned;

	error_context_stack = &place;
	result->expr = parse_expression(table, text, name);
	error_context_stack = place.previous;
	context.members = list_make1(&member);
	context.relids = bms_make_singleton(1);
	planned = condition_build(&context, result->expr, &verdict);
	if (planned == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s cannot be sent to the remote side", name),
				 errdetail("The whole condition has to mean something there: %s", text),
				 errhint("EXPLAIN (VERBOSE) of a query with this condition shows which part of it stays here.")));
	result->exact = verdict == VERDICT_EXACT;
	result->filter = bind_values(planned, context.params);
	return result;
}
