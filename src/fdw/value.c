/*-------------------------------------------------------------------------
 *
 * value.c
 *		Puts values into the filters of a planned query.
 *
 * When a scan starts, the expressions of its conditions are evaluated and
 * their results written in the canonical text that connectors understand.  A
 * comparison with NULL can never hold; it is taken out by the rules of
 * three-valued logic, so that connectors never see one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "connector/filter.h"
#include "fdw/fdw.h"

typedef struct Binding
{
	List		*exprs; /* of ExprState * */
	ExprContext *econtext;
	StringInfo	 fingerprint;
} Binding;

/* ---------------------------------------------------------------------
 * Canonical text
 * ---------------------------------------------------------------------
 */

/* Digits before the point that numbers of remote systems can have, and more. */
#define MAX_DIGITS 38

/* Years that the text form "YYYY-MM-DD" can say. */
#define FIRST_JDATE (date2j(1, 1, 1) - POSTGRES_EPOCH_JDATE)
#define LAST_JDATE (date2j(9999, 12, 31) - POSTGRES_EPOCH_JDATE)

static char *
date_text(DateADT date, ValueRange *range)
{
	int y, m, d;

	if (date > LAST_JDATE || date < FIRST_JDATE)
	{
		*range = date > LAST_JDATE ? VALUE_ABOVE_ALL : VALUE_BELOW_ALL;
		return "";
	}
	j2date(date + POSTGRES_EPOCH_JDATE, &y, &m, &d);
	return psprintf("%04d-%02d-%02d", y, m, d);
}

static char *
timestamp_text(Timestamp ts, ValueRange *range)
{
	/* A day is kept to both ends: bounds are widened by one. */
	if (ts >= (Timestamp) (LAST_JDATE - 2) * USECS_PER_DAY ||
		ts <= (Timestamp) (FIRST_JDATE + 2) * USECS_PER_DAY)
	{
		*range = ts > 0 ? VALUE_ABOVE_ALL : VALUE_BELOW_ALL;
		return "";
	}
	return filter_moment(ts);
}

/* A date or timestamp as the moment that PostgreSQL compares it as. */
static char *
moment_text(Datum datum, Oid type, ValueRange *range)
{
	int overflow;

	/* What overflows becomes infinite. */
	return timestamp_text(type == DATEOID ?
							  date2timestamptz_opt_overflow(DatumGetDateADT(datum), &overflow) :
							  timestamp2timestamptz_opt_overflow(DatumGetTimestamp(datum), &overflow),
						  range);
}

/*
 * The day of a timestamp; of one with time zone, the day before or after, so
 * that no turn of a clock at midnight can matter.
 */
static char *
day_text(Datum datum, Oid type, CompareOp op, ValueRange *range)
{
	Timestamp ts = DatumGetTimestamp(datum);
	int64	  day;

	if (ts > (Timestamp) (LAST_JDATE + 2) * USECS_PER_DAY ||
		ts < (Timestamp) (FIRST_JDATE - 2) * USECS_PER_DAY)
	{
		*range = ts > 0 ? VALUE_ABOVE_ALL : VALUE_BELOW_ALL;
		return "";
	}
	if (type == TIMESTAMPTZOID)
		ts = DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, datum));
	day = ts / USECS_PER_DAY - (ts % USECS_PER_DAY < 0);
	if (type == TIMESTAMPTZOID)
		day += op == CMP_GE ? -1 : 1;
	return date_text((DateADT) day, range);
}

/* Without trailing zeros: equal numbers have to have equal texts. */
static char *
numeric_text(Datum datum, ValueRange *range)
{
	char  *text = numeric_normalize(DatumGetNumeric(datum));
	size_t digits = strcspn(text + (text[0] == '-'), ".");

	if (strcmp(text, "NaN") == 0 || strcmp(text, "Infinity") == 0)
		*range = VALUE_ABOVE_ALL;
	else if (strcmp(text, "-Infinity") == 0)
		*range = VALUE_BELOW_ALL;
	else if (digits > MAX_DIGITS)
		*range = text[0] == '-' ? VALUE_BELOW_ALL : VALUE_ABOVE_ALL;
	return text;
}

static char *
output_text(Datum datum, Oid type)
{
	Oid	 output;
	bool varlena;

	getTypeOutputInfo(type, &output, &varlena);
	return OidOutputFunctionCall(output, datum);
}

/* In canonical text, of the kind of the filter's column; without one, as it is. */
static FilterValue *
make_value(const Filter *filter, Datum datum, Oid declared)
{
	FilterValue *value = palloc0(sizeof(FilterValue));
	Oid			 type = getBaseType(declared);
	ValueKind	 kind = filter != NULL ? filter->column->kind :
		   type == DATEOID			   ? VALUE_DATE :
										 VALUE_OTHER;

	switch (type)
	{
		case INT2OID:
			value->text = psprintf("%d", DatumGetInt16(datum));
			break;
		case INT4OID:
			value->text = psprintf("%d", DatumGetInt32(datum));
			break;
		case INT8OID:
			value->text = psprintf(INT64_FORMAT, DatumGetInt64(datum));
			break;
		case BOOLOID:
			value->text = DatumGetBool(datum) ? "t" : "f";
			break;
		case NUMERICOID:
			value->text = numeric_text(datum, &value->range);
			break;
		case DATEOID:
			value->text = kind == VALUE_DATE ? date_text(DatumGetDateADT(datum), &value->range) :
											   moment_text(datum, type, &value->range);
			break;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			if (kind == VALUE_DATE)
				value->text = day_text(datum, type, filter->op, &value->range);
			else if (type == TIMESTAMPOID && filter != NULL)
				value->text = moment_text(datum, type, &value->range);
			else
				value->text = timestamp_text(DatumGetTimestamp(datum), &value->range);
			break;
		case TEXTOID:
		case VARCHAROID:
			value->text = TextDatumGetCString(datum);
			break;
		default:
			value->text = output_text(datum, type);
			break;
	}
	return value;
}

/*
 * value_of_datum
 *		A value to be written, in the canonical text that connectors understand.
 */
FilterValue *
value_of_datum(Datum datum, Oid type)
{
	return make_value(NULL, datum, type);
}

/* ---------------------------------------------------------------------
 * Binding
 * ---------------------------------------------------------------------
 */

static int
compare_values(const ListCell *a, const ListCell *b)
{
	return strcmp(((FilterValue *) lfirst(a))->text, ((FilterValue *) lfirst(b))->text);
}

/* Members of an array, each once: a list read in parts must not give a row twice. */
static List *
array_values(const Filter *filter, Datum datum)
{
	ArrayType *array = DatumGetArrayTypeP(datum);
	Oid		   element = ARR_ELEMTYPE(array);
	List	  *values = NIL;
	List	  *distinct = NIL;
	Datum	  *datums;
	bool	  *nulls;
	int		   n;
	int16	   len;
	bool	   byval;
	char	   align;
	ListCell  *lc;

	get_typlenbyvalalign(element, &len, &byval, &align);
	deconstruct_array(array, element, len, byval, align, &datums, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			values = lappend(values, make_value(filter, datums[i], element));
	}
	list_sort(values, compare_values);
	foreach(lc, values)
	{
		if (distinct == NIL ||
			strcmp(((FilterValue *) llast(distinct))->text, ((FilterValue *) lfirst(lc))->text) != 0)
			distinct = lappend(distinct, lfirst(lc));
	}
	return distinct;
}

/* The values of a leaf; false when it compares with NULL and so can't hold. */
static bool
bind_values(Binding *binding, const Filter *planned, Filter *bound)
{
	ListCell *lc;

	bound->values = NIL;
	foreach(lc, planned->values)
	{
		PlannedValue *value = lfirst(lc);
		ExprState	 *state = list_nth(binding->exprs, value->param);
		Oid			  type = exprType((Node *) state->expr);
		bool		  isnull;
		Datum		  datum = ExecEvalExpr(state, binding->econtext, &isnull);

		if (isnull)
			return false;
		bound->values = value->array ? array_values(planned, datum) :
									   lappend(bound->values, make_value(planned, datum, type));
	}
	foreach(lc, bound->values)
	{
		FilterValue *value = lfirst(lc);

		appendStringInfo(binding->fingerprint, "%d,%zu:%s", value->range, strlen(value->text),
						 value->text);
	}
	return true;
}

/*
 * What is asked of a filter: that it holds, or (under NOT) that it is false.
 * A comparison with NULL is neither, so that it fails both; NULL is returned
 * for what fails.
 */
static Filter *
bind(Binding *binding, const Filter *planned, bool negated)
{
	Filter	 *bound = palloc(sizeof(Filter));
	bool	  all_needed = (planned->kind == FILTER_AND) != negated;
	ListCell *lc;

	*bound = *planned;
	if (planned->args == NIL)
	{
		appendStringInfoChar(binding->fingerprint, ';');
		return bind_values(binding, planned, bound) ? bound : NULL;
	}
	if (planned->kind == FILTER_NOT)
	{
		Filter *arg = bind(binding, linitial(planned->args), !negated);

		bound->args = list_make1(arg);
		return arg == NULL ? NULL : bound;
	}
	bound->args = NIL;
	foreach(lc, planned->args)
	{
		Filter *arg = bind(binding, lfirst(lc), negated);

		if (arg != NULL)
			bound->args = lappend(bound->args, arg);
		else if (all_needed)
			return NULL;
	}
	return bound->args == NIL ? NULL : bound;
}

/*
 * filter_bind
 *		The filter with its values; never is set when no row can pass it.
 */
Filter *
filter_bind(const Filter *planned, List *exprs, ExprContext *econtext, StringInfo fingerprint,
			bool *never)
{
	Binding binding = {.exprs = exprs, .econtext = econtext, .fingerprint = fingerprint};
	Filter *bound;

	if (planned == NULL)
		return NULL;
	bound = bind(&binding, planned, false);
	if (bound == NULL)
		*never = true;
	return bound;
}

/* ---------------------------------------------------------------------
 * Describing, for EXPLAIN
 * ---------------------------------------------------------------------
 */

static FilterValue *
unknown_value(int number)
{
	FilterValue *value = palloc0(sizeof(FilterValue));

	value->unknown = true;
	value->text = psprintf("$%d", number + 1);
	return value;
}

static List *
describe_values(const Filter *planned, List *exprs)
{
	List	 *values = NIL;
	ListCell *lc;

	foreach(lc, planned->values)
	{
		PlannedValue *value = lfirst(lc);
		Const		 *constant = list_nth(exprs, value->param);

		if (!IsA(constant, Const) || constant->constisnull)
			values = lappend(values, unknown_value(value->param));
		else if (value->array)
			values = list_concat(values, array_values(planned, constant->constvalue));
		else
			values = lappend(values, make_value(planned, constant->constvalue, constant->consttype));
	}
	return values;
}

/*
 * filter_describe
 *		The filter with its constants put in, and $n for what is not known
 *		before it runs.
 */
Filter *
filter_describe(const Filter *planned, List *exprs)
{
	Filter	 *described;
	ListCell *lc;

	if (planned == NULL)
		return NULL;
	described = palloc(sizeof(Filter));
	*described = *planned;
	described->values = describe_values(planned, exprs);
	described->args = NIL;
	foreach(lc, planned->args)
		described->args = lappend(described->args, filter_describe(lfirst(lc), exprs));
	return described;
}

/*
 * filter_has_unknown
 *		Does a described filter hold values that only running it will tell?
 */
bool
filter_has_unknown(const Filter *filter)
{
	ListCell *lc;

	if (filter == NULL)
		return false;
	foreach(lc, filter->values)
	{
		if (((FilterValue *) lfirst(lc))->unknown)
			return true;
	}
	foreach(lc, filter->args)
	{
		if (filter_has_unknown(lfirst(lc)))
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------------
 * The query of a spec
 * ---------------------------------------------------------------------
 */

static SourceColumn *
spec_column(List *tables, int source, int attnum)
{
	if (attnum == InvalidAttrNumber)
		return NULL;
	return ((Table *) list_nth(tables, source))->columns[attnum - 1];
}

static List *
query_order(List *orders, List *tables)
{
	List	 *result = NIL;
	ListCell *lc;

	foreach(lc, orders)
	{
		List	   *item = lfirst(lc);
		QueryOrder *order = palloc0(sizeof(QueryOrder));

		order->source = list_nth_int(item, 0);
		order->column = spec_column(tables, order->source, list_nth_int(item, 1));
		order->descending = list_nth_int(item, 2);
		result = lappend(result, order);
	}
	return result;
}

/*
 * query_from_spec
 *		The query a connector is asked, without its filters.
 */
RemoteQuery *
query_from_spec(const Spec *spec, List *tables)
{
	RemoteQuery *query = palloc0(sizeof(RemoteQuery));
	ListCell	*lc;

	foreach(lc, tables)
		query->sources = lappend(query->sources, ((Table *) lfirst(lc))->source);
	query->join = spec->join;
	query->joined_once = spec->joined_once;
	query->grouped = spec->grouped;
	query->limit = (int64) spec->limit;
	query->group = query_order(spec->group, tables);
	query->order = query_order(spec->order, tables);
	foreach(lc, spec->columns)
	{
		OutputColumn *output = lfirst(lc);
		QueryColumn	 *column = palloc0(sizeof(QueryColumn));

		column->aggregate = output->aggregate;
		column->source = output->source;
		column->column = spec_column(tables, output->source, output->attnum);
		query->columns = lappend(query->columns, column);
	}
	return query;
}
