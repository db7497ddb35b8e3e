/*-------------------------------------------------------------------------
 *
 * condition.c
 *		Turns SQL conditions into filters that a connector can judge.
 *
 * A condition may travel when it is made of comparisons between a column of
 * the remote side and a value that can be known before the scan starts: a
 * constant, a parameter, a column of another relation, or any expression of
 * these that isn't volatile.  Such expressions are evaluated here, at the start
 * of the scan, so that what travels are plain values.
 *
 * What the remote side makes of a comparison is the connector's to judge; how
 * judgements combine under AND, OR and NOT is decided here.  Only what is
 * exact may be negated: the negation of a superset is a subset.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "connector/filter.h"
#include "fdw/fdw.h"

static Filter *build(ConditionContext *cx, Node *node, FilterVerdict *verdict);

/* ---------------------------------------------------------------------
 * Columns and values
 * ---------------------------------------------------------------------
 */

/*
 * Conversions that change no value and that the parser adds by itself.  To
 * types that compare by rules of their own (bpchar, oid) they change what a
 * comparison means.
 */
static Node *
strip_widening(Node *node)
{
	while (node != NULL)
	{
		if (IsA(node, RelabelType) &&
			kind_of_type(getBaseType(((RelabelType *) node)->resulttype)) != VALUE_OTHER)
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, FuncExpr) &&
				 (((FuncExpr *) node)->funcid == F_INT4_INT2 ||
				  ((FuncExpr *) node)->funcid == F_INT8_INT2 ||
				  ((FuncExpr *) node)->funcid == F_INT8_INT4 ||
				  ((FuncExpr *) node)->funcid == F_NUMERIC_INT2 ||
				  ((FuncExpr *) node)->funcid == F_NUMERIC_INT4 ||
				  ((FuncExpr *) node)->funcid == F_NUMERIC_INT8))
			node = linitial(((FuncExpr *) node)->args);
		else
			break;
	}
	return node;
}

static SourceColumn *
find_column(ConditionContext *cx, Node *node, int *source)
{
	Var		 *var = (Var *) node;
	ListCell *lc;

	if (node == NULL || !IsA(node, Var) || var->varlevelsup != 0 || var->varattno <= 0)
		return NULL;
	foreach(lc, cx->members)
	{
		Member *member = lfirst(lc);

		if (member->rti != (Index) var->varno)
			continue;
		*source = foreach_current_index(lc);
		return member->table->columns[var->varattno - 1];
	}
	return NULL;
}

/*
 * condition_column
 *		The remote column a plain Var stands for, where it may be compared
 *		remotely; else NULL.
 */
SourceColumn *
condition_column(ConditionContext *cx, Node *node, int *source)
{
	SourceColumn *column = find_column(cx, node, source);

	return column == NULL || column->inexact ? NULL : column;
}

/* Can this be evaluated before the scan starts? */
static bool
is_value(ConditionContext *cx, Node *node)
{
	return !bms_overlap(pull_varnos(NULL, node), cx->relids) && !contain_volatile_functions(node) &&
		!contain_subplans(node);
}

/*
 * A value of the kind the column is compared as.  Whole numbers may be compared
 * with fractions; everything else with its own kind only.
 */
static bool
value_fits(const SourceColumn *column, Oid type)
{
	ValueKind kind = kind_of_type(getBaseType(type));

	if (column->kind == VALUE_INTEGER || column->kind == VALUE_NUMERIC)
		return kind == VALUE_INTEGER || kind == VALUE_NUMERIC;
	return kind == column->kind;
}

/*
 * Dates and timestamps may be compared with each other: the value is turned
 * into the column's kind when it is known.  That keeps days apart but not what
 * lies within one, so the comparison is loosened to what it implies.
 */
static bool
loosen_compare(const SourceColumn *column, Oid type, CompareOp *op)
{
	ValueKind kind = kind_of_type(getBaseType(type));

	if (column->kind == VALUE_TIMESTAMPTZ)
		return kind == VALUE_DATE || kind == VALUE_TIMESTAMP;
	if (column->kind != VALUE_DATE || *op == CMP_NE ||
		(kind != VALUE_TIMESTAMP && kind != VALUE_TIMESTAMPTZ) ||
		(kind == VALUE_TIMESTAMPTZ && *op == CMP_EQ))
		return false;
	*op = *op == CMP_GT ? CMP_GE : *op == CMP_LT ? CMP_LE : *op;
	return true;
}

static PlannedValue *
add_value(ConditionContext *cx, Node *expr, bool array)
{
	PlannedValue *value = palloc0(sizeof(PlannedValue));

	value->value.unknown = true;
	value->param = list_length(cx->params);
	value->array = array;
	cx->params = lappend(cx->params, copyObject(expr));
	return value;
}

static Filter *
judged(ConditionContext *cx, Filter *filter, FilterVerdict *verdict)
{
	*verdict = cx->connector->judge(filter);
	return *verdict == VERDICT_NEVER ? NULL : filter;
}

/* ---------------------------------------------------------------------
 * Leaves
 * ---------------------------------------------------------------------
 */

/* What a built-in operator compares, by the operator family it belongs to. */
static bool
compare_op(Oid opno, CompareOp *op)
{
	static const CompareOp ops[] = {
		[BTLessStrategyNumber] = CMP_LT,	[BTLessEqualStrategyNumber] = CMP_LE,
		[BTEqualStrategyNumber] = CMP_EQ,	[BTGreaterEqualStrategyNumber] = CMP_GE,
		[BTGreaterStrategyNumber] = CMP_GT,
	};
	int strategy;

	if (opno >= FirstGenbkiObjectId)
		return false;
	strategy = makini_btree_strategy(opno);
	if (strategy == 0)
		return false;
	*op = strategy <= BTMaxStrategyNumber ? ops[strategy] : CMP_NE;
	return true;
}

/* Equality under a nondeterministic collation is not equality of texts. */
static bool
plain_collation(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

static Filter *
build_columns(ConditionContext *cx, CompareOp op, int source, SourceColumn *column,
			  int other_source, SourceColumn *other, FilterVerdict *verdict)
{
	Filter *filter = filter_new(FILTER_COLUMNS, source, column);

	filter->op = op;
	filter->other_source = other_source;
	filter->other = other;
	return judged(cx, filter, verdict);
}

static Filter *
build_compare(ConditionContext *cx, OpExpr *expr, CompareOp op, FilterVerdict *verdict)
{
	Oid			  opno = expr->opno;
	Node		 *left = strip_widening(linitial(expr->args));
	Node		 *right = strip_widening(lsecond(expr->args));
	SourceColumn *column;
	SourceColumn *other;
	Filter		 *filter;
	bool		  fits;
	int			  source, other_source;

	column = condition_column(cx, left, &source);
	other = condition_column(cx, right, &other_source);
	if (column != NULL && other != NULL)
		return build_columns(cx, op, source, column, other_source, other, verdict);
	if (column == NULL && other != NULL)
	{
		column = other;
		source = other_source;
		right = strip_widening(linitial(expr->args));
		opno = get_commutator(opno);
		if (!OidIsValid(opno) || !compare_op(opno, &op))
			return NULL;
	}
	if (column == NULL || !is_value(cx, right))
		return NULL;
	fits = value_fits(column, exprType(right));
	if (!fits && !loosen_compare(column, exprType(right), &op))
		return NULL;
	filter = filter_new(FILTER_COMPARE, source, column);
	filter->op = op;
	filter->values = list_make1(add_value(cx, right, false));
	filter = judged(cx, filter, verdict);
	if (!fits)
		*verdict = Min(*verdict, VERDICT_SUPERSET);
	return filter;
}

static Filter *
build_like(ConditionContext *cx, OpExpr *expr, FilterKind kind, FilterVerdict *verdict)
{
	Node		 *left = strip_widening(linitial(expr->args));
	Node		 *right = lsecond(expr->args);
	SourceColumn *column;
	Filter		 *filter;
	int			  source;

	column = condition_column(cx, left, &source);
	if (column == NULL || !is_value(cx, right))
		return NULL;
	filter = filter_new(kind, source, column);
	filter->values = list_make1(add_value(cx, right, false));
	return judged(cx, filter, verdict);
}

static Filter *
build_operator(ConditionContext *cx, OpExpr *expr, FilterVerdict *verdict)
{
	CompareOp op;

	if (list_length(expr->args) != 2 || !plain_collation(expr->inputcollid))
		return NULL;
	if (expr->opno == OID_TEXT_LIKE_OP)
		return build_like(cx, expr, FILTER_LIKE, verdict);
	if (expr->opno == OID_TEXT_ICLIKE_OP)
		return build_like(cx, expr, FILTER_ILIKE, verdict);
	if (!compare_op(expr->opno, &op))
		return NULL;
	return build_compare(cx, expr, op, verdict);
}

/* NULLs among the members make what is not found unknown instead of false. */
static bool
array_may_hold_null(Node *node)
{
	Const *array = (Const *) node;

	if (!IsA(node, Const) || array->constisnull)
		return true;
	return array_contains_nulls(DatumGetArrayTypeP(array->constvalue));
}

/*
 * column = ANY (array), column <> ALL (array).  With a NULL member NOT IN holds
 * for no row, and IN holds for the same rows as without it, though where it
 * does not hold it is unknown: it may not be negated.
 */
static Filter *
build_array(ConditionContext *cx, ScalarArrayOpExpr *expr, FilterVerdict *verdict)
{
	Node		 *left = strip_widening(linitial(expr->args));
	Node		 *array = lsecond(expr->args);
	SourceColumn *column;
	Filter		 *filter;
	CompareOp	  op;
	int			  source;

	if (!plain_collation(expr->inputcollid) || !compare_op(expr->opno, &op) ||
		op != (expr->useOr ? CMP_EQ : CMP_NE))
		return NULL;
	column = condition_column(cx, left, &source);
	if (column == NULL || !is_value(cx, array) ||
		!value_fits(column, get_base_element_type(exprType(array))))
		return NULL;
	if (!expr->useOr && array_may_hold_null(array))
		return NULL;
	filter = filter_new(expr->useOr ? FILTER_IN : FILTER_NOT_IN, source, column);
	filter->values = list_make1(add_value(cx, array, true));
	filter = judged(cx, filter, verdict);
	return filter;
}

static Filter *
build_null_test(ConditionContext *cx, NullTest *test, FilterVerdict *verdict)
{
	SourceColumn *column;
	int			  source;

	if (test->argisrow)
		return NULL;
	column = find_column(cx, strip_widening((Node *) test->arg), &source);
	if (column == NULL)
		return NULL;
	return judged(cx,
				  filter_new(test->nulltesttype == IS_NULL ? FILTER_NULL : FILTER_NOT_NULL, source,
							 column),
				  verdict);
}

static Filter *
build_boolean_test(ConditionContext *cx, BooleanTest *test, FilterVerdict *verdict)
{
	static const struct
	{
		FilterKind kind;
		bool	   negated;
	} forms[] = {
		[IS_TRUE] = {FILTER_IS_TRUE, false},   [IS_NOT_TRUE] = {FILTER_IS_TRUE, true},
		[IS_FALSE] = {FILTER_IS_FALSE, false}, [IS_NOT_FALSE] = {FILTER_IS_FALSE, true},
		[IS_UNKNOWN] = {FILTER_NULL, false},   [IS_NOT_UNKNOWN] = {FILTER_NOT_NULL, false},
	};
	SourceColumn *column;
	Filter		 *filter;
	Filter		 *negation;
	int			  source;

	column = condition_column(cx, (Node *) test->arg, &source);
	if (column == NULL)
		return NULL;
	filter = judged(cx, filter_new(forms[test->booltesttype].kind, source, column), verdict);
	if (filter == NULL || !forms[test->booltesttype].negated)
		return filter;
	if (*verdict != VERDICT_EXACT)
		return NULL;
	negation = filter_new(FILTER_NOT, 0, NULL);
	negation->args = list_make1(filter);
	return negation;
}

static Filter *
build_boolean_column(ConditionContext *cx, Node *node, FilterVerdict *verdict)
{
	SourceColumn *column;
	int			  source;

	column = condition_column(cx, node, &source);
	if (column == NULL || column->kind != VALUE_BOOLEAN)
		return NULL;
	return judged(cx, filter_new(FILTER_TRUE, source, column), verdict);
}

/* ---------------------------------------------------------------------
 * AND, OR, NOT
 * ---------------------------------------------------------------------
 */

/* An arm of AND that can't travel may stay behind: the rest is a superset. */
static Filter *
build_and(ConditionContext *cx, List *args, FilterVerdict *verdict)
{
	Filter	 *filter = filter_new(FILTER_AND, 0, NULL);
	ListCell *lc;

	*verdict = VERDICT_EXACT;
	foreach(lc, args)
	{
		FilterVerdict each = VERDICT_NEVER;
		Filter		 *arg = build(cx, lfirst(lc), &each);

		if (arg == NULL)
			*verdict = VERDICT_SUPERSET;
		else
		{
			filter->args = lappend(filter->args, arg);
			*verdict = Min(*verdict, each);
		}
	}
	return filter->args == NIL ? NULL : filter;
}

static Filter *
build_or(ConditionContext *cx, List *args, FilterVerdict *verdict)
{
	Filter	 *filter = filter_new(FILTER_OR, 0, NULL);
	ListCell *lc;

	*verdict = VERDICT_EXACT;
	foreach(lc, args)
	{
		FilterVerdict each = VERDICT_NEVER;
		Filter		 *arg = build(cx, lfirst(lc), &each);

		if (arg == NULL)
			return NULL;
		filter->args = lappend(filter->args, arg);
		*verdict = Min(*verdict, each);
	}
	return filter;
}

/* Does an IN list stand in here whose members aren't known to be without NULL? */
static bool
has_uncertain_in(ConditionContext *cx, const Filter *filter)
{
	ListCell *lc;

	if (filter->kind == FILTER_IN)
	{
		PlannedValue *value = linitial(filter->values);

		return array_may_hold_null(list_nth(cx->params, value->param));
	}
	foreach(lc, filter->args)
	{
		if (has_uncertain_in(cx, lfirst(lc)))
			return true;
	}
	return false;
}

static Filter *
build_not(ConditionContext *cx, Node *arg, FilterVerdict *verdict)
{
	Filter *filter = filter_new(FILTER_NOT, 0, NULL);
	Filter *inner = build(cx, arg, verdict);

	if (inner == NULL || *verdict != VERDICT_EXACT || has_uncertain_in(cx, inner))
		return NULL;
	filter->args = list_make1(inner);
	return filter;
}

static Filter *
build_node(ConditionContext *cx, Node *node, FilterVerdict *verdict)
{
	switch (nodeTag(node))
	{
		case T_BoolExpr:
			switch (((BoolExpr *) node)->boolop)
			{
				case AND_EXPR:
					return build_and(cx, ((BoolExpr *) node)->args, verdict);
				case OR_EXPR:
					return build_or(cx, ((BoolExpr *) node)->args, verdict);
				default:
					return build_not(cx, linitial(((BoolExpr *) node)->args), verdict);
			}
		case T_OpExpr:
			return build_operator(cx, (OpExpr *) node, verdict);
		case T_ScalarArrayOpExpr:
			return build_array(cx, (ScalarArrayOpExpr *) node, verdict);
		case T_NullTest:
			return build_null_test(cx, (NullTest *) node, verdict);
		case T_BooleanTest:
			return build_boolean_test(cx, (BooleanTest *) node, verdict);
		case T_Var:
			return build_boolean_column(cx, node, verdict);
		default:
			return NULL;
	}
}

/* What doesn't travel leaves no expression behind: evaluating it could fail. */
static Filter *
build(ConditionContext *cx, Node *node, FilterVerdict *verdict)
{
	int		nparams = list_length(cx->params);
	Filter *filter;

	check_stack_depth();
	*verdict = VERDICT_NEVER;
	filter = build_node(cx, node, verdict);
	if (filter == NULL)
	{
		*verdict = VERDICT_NEVER;
		cx->params = list_truncate(cx->params, nparams);
	}
	return filter;
}

/*
 * condition_build
 *		The filter for a condition.  Expressions of its values are appended to
 *		cx->params; when nothing travels the list is left as it was.
 */
Filter *
condition_build(ConditionContext *cx, Expr *expr, FilterVerdict *verdict)
{
	if (!makini_enable_pushdown)
	{
		*verdict = VERDICT_NEVER;
		return NULL;
	}
	return build(cx, (Node *) expr, verdict);
}
