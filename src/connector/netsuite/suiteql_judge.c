/*-------------------------------------------------------------------------
 *
 * suiteql_judge.c
 *		What of SQL means the same in SuiteQL.
 *
 * A wrong row is worse than a slow query: whatever is not certain to mean the
 * same is left to PostgreSQL, or asked for and checked again here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/netsuite/netsuite.h"

static FilterVerdict
judge_compare(const Filter *leaf)
{
	bool equality = leaf->op == CMP_EQ;

	switch (leaf->column->kind)
	{
		case VALUE_INTEGER:
		case VALUE_NUMERIC:
		case VALUE_DATE:
			return VERDICT_EXACT;
		case VALUE_BOOLEAN:
			return equality || leaf->op == CMP_NE ? VERDICT_EXACT : VERDICT_NEVER;
		case VALUE_TIMESTAMPTZ:
			return leaf->op == CMP_NE ? VERDICT_NEVER : VERDICT_SUPERSET;
		case VALUE_TEXT:
			if (leaf->column->code && (equality || leaf->op == CMP_NE))
				return VERDICT_EXACT;
			return equality ? VERDICT_SUPERSET : VERDICT_NEVER;
		default:
			return VERDICT_NEVER;
	}
}

static FilterVerdict
judge_in(const Filter *leaf)
{
	bool negated = leaf->kind == FILTER_NOT_IN;

	switch (leaf->column->kind)
	{
		case VALUE_INTEGER:
		case VALUE_NUMERIC:
		case VALUE_DATE:
		case VALUE_BOOLEAN:
			return VERDICT_EXACT;
		case VALUE_TEXT:
			if (leaf->column->code)
				return VERDICT_EXACT;
			return negated ? VERDICT_NEVER : VERDICT_SUPERSET;
		default:
			return VERDICT_NEVER;
	}
}

/*
 * suiteql_judge
 *		How far SuiteQL can be trusted with one condition.
 *
 * Collations, case and blank rules of the account's session are not
 * documented, so text is exact only for columns of ASCII codes; timestamps are
 * read to the second and compared in a zone that may not be known.
 */
FilterVerdict
suiteql_judge(const Filter *leaf)
{
	if (leaf->column->display)
		return VERDICT_NEVER;
	switch (leaf->kind)
	{
		case FILTER_COMPARE:
			return judge_compare(leaf);
		case FILTER_IN:
		case FILTER_NOT_IN:
			return judge_in(leaf);
		case FILTER_LIKE:
		case FILTER_ILIKE:
			return leaf->column->kind == VALUE_TEXT ? VERDICT_SUPERSET : VERDICT_NEVER;
		case FILTER_NULL:
		case FILTER_NOT_NULL:
			return VERDICT_EXACT;
		case FILTER_TRUE:
		case FILTER_IS_TRUE:
		case FILTER_IS_FALSE:
			return leaf->column->kind == VALUE_BOOLEAN ? VERDICT_EXACT : VERDICT_NEVER;
		case FILTER_COLUMNS:
			return suiteql_can_join(leaf->column, leaf->other) ? VERDICT_EXACT : VERDICT_NEVER;
		default:
			return VERDICT_NEVER;
	}
}

static bool
is_number(const SourceColumn *column)
{
	return column->kind == VALUE_INTEGER || column->kind == VALUE_NUMERIC;
}

/*
 * suiteql_can_order
 *		May rows be asked for in the order of this column?  Timestamps only
 *		where one page holds the answer: their seconds are no position that a
 *		next page could go on from.
 */
bool
suiteql_can_order(const SourceColumn *column, bool bounded_by_page)
{
	if (column->display)
		return false;
	if (column->kind == VALUE_TIMESTAMPTZ)
		return bounded_by_page;
	return is_number(column) || column->kind == VALUE_DATE || column->kind == VALUE_BOOLEAN;
}

bool
suiteql_can_aggregate(AggregateKind aggregate, const SourceColumn *column)
{
	if (aggregate == AGGREGATE_COUNT_ALL)
		return true;
	if (column->display)
		return false;
	if (aggregate == AGGREGATE_COUNT)
		return true;
	if (aggregate == AGGREGATE_SUM)
		return is_number(column);
	return is_number(column) || column->kind == VALUE_DATE;
}

bool
suiteql_can_group(const SourceColumn *column)
{
	return !column->display &&
		(is_number(column) || column->kind == VALUE_DATE || column->kind == VALUE_BOOLEAN);
}

bool
suiteql_can_join(const SourceColumn *left, const SourceColumn *right)
{
	return !left->display && !right->display && left->kind == VALUE_INTEGER &&
		right->kind == VALUE_INTEGER;
}
