/*-------------------------------------------------------------------------
 *
 * suiteql.c
 *		Writes SuiteQL; what of SQL means the same there is said in suiteql_judge.c.
 *
 * SuiteQL is Oracle's dialect behind a gate that refuses much of it: no LIMIT,
 * no WITH, no date literals, IN lists of at most a thousand members.  Dates
 * selected bare come in the user's format and lose their time, so every date
 * goes through TO_CHAR; timestamps are wall clock of the account, so they go
 * through SYS_EXTRACT_UTC.  The empty string is NULL.  Text literals travel as
 * bind parameters, everything else is written out from canonical text.
 *
 * Nothing here makes a request.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/string.h"
#include "utils/builtins.h"

#include "connector/netsuite/netsuite.h"

/* What the writing of one statement carries along. */
typedef struct Writer
{
	StringInfo		   out;
	Connection		  *conn;
	const RemoteQuery *query;
	const SuiteqlPage *page;   /* or NULL */
	List			 **params; /* of char * */
} Writer;

static void write_filter(Writer *w, const Filter *filter);
static void write_aggregate(Writer *w, const QueryColumn *column);

/* Tables are called t, or a and b where two are joined. */
static const char *
source_alias(const RemoteQuery *query, int source)
{
	if (query->join == QUERY_NO_JOIN)
		return "t";
	return source == 0 ? "a" : "b";
}

static void
write_plain(Writer *w, int source, const SourceColumn *column)
{
	appendStringInfo(w->out, "%s.%s", source_alias(w->query, source), column->name);
}

/*
 * suiteql_column
 *		A column as it must be selected so that its text is exact.
 */
void
suiteql_column(StringInfo out, Connection *conn, const char *alias, const SourceColumn *column)
{
	if (column->display)
		appendStringInfo(out, "BUILTIN.DF(%s.%s)", alias, column->name);
	else if (column->kind == VALUE_DATE)
		appendStringInfo(out, "TO_CHAR(%s.%s, 'YYYY-MM-DD')", alias, column->name);
	else if (column->kind == VALUE_TIMESTAMPTZ && conn->time_zone == NULL)
		appendStringInfo(out, "TO_CHAR(SYS_EXTRACT_UTC(%s.%s), 'YYYY-MM-DD HH24:MI:SS')", alias,
						 column->name);
	else if (column->kind == VALUE_TIMESTAMPTZ || column->kind == VALUE_TIMESTAMP)
		appendStringInfo(out, "TO_CHAR(%s.%s, 'YYYY-MM-DD HH24:MI:SS')", alias, column->name);
	else
		appendStringInfo(out, "%s.%s", alias, column->name);
}

static bool
is_bare(const QueryColumn *column)
{
	return column->aggregate == AGGREGATE_NONE && column->column != NULL &&
		!column->column->display && column->column->kind != VALUE_DATE &&
		column->column->kind != VALUE_TIMESTAMP && column->column->kind != VALUE_TIMESTAMPTZ;
}

/* Two columns may show the same remote column, in different ways. */
static bool
is_taken(const RemoteQuery *query, int index)
{
	const QueryColumn *column = list_nth(query->columns, index);

	for (int i = 0; i < index; i++)
	{
		const QueryColumn *other = list_nth(query->columns, i);

		if (other->column->display == column->column->display &&
			pg_strcasecmp(other->column->name, column->column->name) == 0)
			return true;
	}
	return false;
}

/*
 * suiteql_column_name
 *		The name under which output column index (from 0) comes back.
 *
 * Single tables keep their columns' names, which makes EXPLAIN readable.  Where
 * names could collide, or an expression's name might be a reserved word of
 * Oracle ("date"), columns are numbered.
 */
char *
suiteql_column_name(const RemoteQuery *query, int index)
{
	QueryColumn *column = list_nth(query->columns, index);
	const char	*name;

	if (query->join != QUERY_NO_JOIN || query->grouped || column->column == NULL)
		return psprintf("c%d", index + 1);
	name = column->column->name;
	if (is_taken(query, index) || (!is_bare(column) && pg_strcasecmp(name, "date") == 0))
		return psprintf("%s_%d", name, index + 1);
	return column->column->display ? psprintf("%s_display", name) : pstrdup(name);
}

static void
write_select(Writer *w)
{
	ListCell *lc;

	appendStringInfoString(w->out, "SELECT ");
	foreach(lc, w->query->columns)
	{
		QueryColumn *column = lfirst(lc);
		int			 index = foreach_current_index(lc);
		char		*name = suiteql_column_name(w->query, index);

		if (index > 0)
			appendStringInfoString(w->out, ", ");
		if (column->aggregate != AGGREGATE_NONE)
			write_aggregate(w, column);
		else if (column->column == NULL)
			appendStringInfoChar(w->out, '1');
		else
			suiteql_column(w->out, w->conn, source_alias(w->query, column->source), column->column);
		if (!is_bare(column) || strcmp(name, column->column->name) != 0)
			appendStringInfo(w->out, " AS %s", name);
	}
}

/* Dates are aggregated before TO_CHAR, timestamps after their move to UTC. */
static void
write_aggregate(Writer *w, const QueryColumn *column)
{
	static const char *const names[] = {
		[AGGREGATE_COUNT] = "COUNT",
		[AGGREGATE_SUM] = "SUM",
		[AGGREGATE_MIN] = "MIN",
		[AGGREGATE_MAX] = "MAX",
	};
	ValueKind kind;
	bool	  rendered;

	if (column->aggregate == AGGREGATE_COUNT_ALL)
	{
		appendStringInfoString(w->out, "COUNT(*)");
		return;
	}
	kind = column->column->kind;
	rendered =
		column->aggregate != AGGREGATE_COUNT && (kind == VALUE_DATE || kind == VALUE_TIMESTAMPTZ);
	if (rendered)
		appendStringInfoString(w->out, "TO_CHAR(");
	appendStringInfo(w->out, "%s(", names[column->aggregate]);
	if (rendered && kind == VALUE_TIMESTAMPTZ)
		appendStringInfoString(w->out, "SYS_EXTRACT_UTC(");
	write_plain(w, column->source, column->column);
	if (rendered && kind == VALUE_TIMESTAMPTZ)
		appendStringInfoChar(w->out, ')');
	appendStringInfoChar(w->out, ')');
	if (rendered)
		appendStringInfo(w->out, ", '%s')",
						 kind == VALUE_DATE ? "YYYY-MM-DD" : "YYYY-MM-DD HH24:MI:SS");
}

static void
write_source(Writer *w, int index)
{
	Source *source = list_nth(w->query->sources, index);

	/* A comment at the end of a statement must not swallow the parenthesis. */
	if (source->statement != NULL)
		appendStringInfo(w->out, "(%s%s)", source->statement,
						 strstr(source->statement, "--") ? "\n" : "");
	else
		appendStringInfoString(w->out, source->entity);
	appendStringInfo(w->out, " %s", source_alias(w->query, index));
}

static void
write_from(Writer *w)
{
	appendStringInfoString(w->out, " FROM ");
	write_source(w, 0);
	if (w->query->join == QUERY_NO_JOIN)
		return;
	appendStringInfoString(w->out,
						   w->query->join == QUERY_LEFT_JOIN ? " LEFT OUTER JOIN " : " INNER JOIN ");
	write_source(w, 1);
	appendStringInfoString(w->out, " ON ");
	write_filter(w, w->query->on);
}

/* ---------------------------------------------------------------------
 * Values
 * ---------------------------------------------------------------------
 */

static void
write_parameter(Writer *w, const char *text)
{
	appendStringInfoChar(w->out, '?');
	*w->params = lappend(*w->params, pstrdup(text));
}

/* Numbers come from the values' own output functions or from a page: check, never trust. */
static void
write_number(Writer *w, const char *text)
{
	if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("\"%s\" is not a number that can be compared remotely", text)));
	appendStringInfoString(w->out, text);
}

static void
write_value(Writer *w, ValueKind kind, const FilterValue *value)
{
	if (value->unknown)
	{
		appendStringInfoString(w->out, value->text);
		return;
	}
	switch (kind)
	{
		case VALUE_INTEGER:
		case VALUE_NUMERIC:
			write_number(w, value->text);
			break;
		case VALUE_BOOLEAN:
			appendStringInfo(w->out, "'%c'",
							 (value->text[0] == 't' || value->text[0] == 'T') ? 'T' : 'F');
			break;
		case VALUE_DATE:
			Assert(value->text[strspn(value->text, "0123456789-")] == '\0');
			appendStringInfo(w->out, "TO_DATE('%s', 'YYYY-MM-DD')", value->text);
			break;
		default:
			write_parameter(w, value->text);
			break;
	}
}

/* A comparison with something greater or less than every value is true or false where not null. */
static bool
beyond_holds(CompareOp op, ValueRange range)
{
	switch (op)
	{
		case CMP_EQ:
			return false;
		case CMP_NE:
			return true;
		case CMP_LT:
		case CMP_LE:
			return range == VALUE_ABOVE_ALL;
		default:
			return range == VALUE_BELOW_ALL;
	}
}

/* The empty string is NULL there and an ordinary, least value here. */
static ValueRange
value_range(const Filter *filter, const FilterValue *value)
{
	if (!value->unknown && filter->column->kind == VALUE_TEXT && value->text[0] == '\0')
		return VALUE_BELOW_ALL;
	return value->range;
}

/* True or false, and unknown for NULL, as the comparison itself would be. */
static void
write_decided(Writer *w, const Filter *filter, bool holds)
{
	write_plain(w, filter->source, filter->column);
	appendStringInfoString(w->out, holds ? " = " : " <> ");
	write_plain(w, filter->source, filter->column);
}

static const char *
op_text(CompareOp op)
{
	static const char *const texts[] = {
		[CMP_EQ] = "=",	 [CMP_NE] = "<>", [CMP_LT] = "<",
		[CMP_LE] = "<=", [CMP_GT] = ">",  [CMP_GE] = ">=",
	};

	return texts[op];
}

/*
 * Where the zone is known the bare column is compared; else in UTC, and besides
 * on the bare column with a bound a day wider, which loses nothing and lets the
 * source use its index.
 */
static void
write_moment_bound(Writer *w, const Filter *filter, const char *text, bool lower)
{
	CompareOp op = lower ? CMP_GE : CMP_LE;

	write_plain(w, filter->source, filter->column);
	if (w->conn->time_zone != NULL)
	{
		appendStringInfo(w->out, " %s TO_DATE('%s', 'YYYY-MM-DD HH24:MI:SS')", op_text(op),
						 moment_as_wall(text, w->conn->time_zone, lower));
		return;
	}
	appendStringInfo(w->out, " %s TO_DATE('%s', 'YYYY-MM-DD') AND SYS_EXTRACT_UTC(", op_text(op),
					 moment_near(text, lower));
	write_plain(w, filter->source, filter->column);
	appendStringInfo(w->out, ") %s TO_TIMESTAMP('%s', 'YYYY-MM-DD HH24:MI:SS')", op_text(op),
					 moment_to_second(text, !lower));
}

/*
 * timestamptz: never exact, always rechecked, so that bounds may be rounded
 * outwards to whole seconds.
 */
static void
write_timestamp_compare(Writer *w, const Filter *filter, const FilterValue *value)
{
	bool lower = filter->op == CMP_GT || filter->op == CMP_GE || filter->op == CMP_EQ;
	bool upper = filter->op == CMP_LT || filter->op == CMP_LE || filter->op == CMP_EQ;

	if (value->unknown)
	{
		write_plain(w, filter->source, filter->column);
		appendStringInfo(w->out, " %s %s", op_text(filter->op), value->text);
		return;
	}
	appendStringInfoChar(w->out, '(');
	if (lower)
		write_moment_bound(w, filter, value->text, true);
	if (lower && upper)
		appendStringInfoString(w->out, " AND ");
	if (upper)
		write_moment_bound(w, filter, value->text, false);
	appendStringInfoChar(w->out, ')');
}

static void
write_compare(Writer *w, const Filter *filter)
{
	FilterValue *value = linitial(filter->values);
	ValueRange	 range = value_range(filter, value);

	if (range != VALUE_FINITE)
		write_decided(w, filter, beyond_holds(filter->op, range));
	else if (filter->column->kind == VALUE_TIMESTAMPTZ)
		write_timestamp_compare(w, filter, value);
	else
	{
		write_plain(w, filter->source, filter->column);
		appendStringInfo(w->out, " %s ", op_text(filter->op));
		write_value(w, filter->column->kind, value);
	}
}

/* ---------------------------------------------------------------------
 * Filters
 * ---------------------------------------------------------------------
 */

/* Values that can equal something remotely. */
static List *
comparable_values(const Filter *filter, List *values)
{
	List	 *kept = NIL;
	ListCell *lc;

	foreach(lc, values)
	{
		if (value_range(filter, lfirst(lc)) == VALUE_FINITE)
			kept = lappend(kept, lfirst(lc));
	}
	return kept;
}

/* One IN list, or several joined by OR (NOT IN: AND) where it is longer than SuiteQL takes. */
static void
write_in(Writer *w, const Filter *filter)
{
	bool  negated = filter->kind == FILTER_NOT_IN;
	List *values = filter->values;
	int	  n;

	/* Without any member it is decided even where the column is NULL. */
	if (values == NIL)
	{
		appendStringInfoString(w->out, negated ? "1 = 1" : "1 = 0");
		return;
	}
	if (w->page != NULL && w->page->split_in == filter)
		values = w->page->in_values;
	values = comparable_values(filter, values);
	n = list_length(values);
	if (n == 0)
	{
		write_decided(w, filter, negated);
		return;
	}
	if (n > SUITEQL_MAX_IN)
		appendStringInfoChar(w->out, '(');
	for (int i = 0; i < n; i++)
	{
		if (i % SUITEQL_MAX_IN == 0)
		{
			if (i > 0)
				appendStringInfoString(w->out, negated ? ") AND " : ") OR ");
			write_plain(w, filter->source, filter->column);
			appendStringInfoString(w->out, negated ? " NOT IN (" : " IN (");
		}
		else
			appendStringInfoString(w->out, ", ");
		write_value(w, filter->column->kind, list_nth(values, i));
	}
	appendStringInfoChar(w->out, ')');
	if (n > SUITEQL_MAX_IN)
		appendStringInfoChar(w->out, ')');
}

/*
 * The sides map letters differently outside ASCII, and 'i' and 'k' are lower
 * case of letters outside it too: those match anything remotely, the recheck
 * sorts it out.
 */
static char *
loosen_pattern(const char *pattern)
{
	char *loose = palloc(strlen(pattern) + 1);
	char *to = loose;

	for (const char *from = pattern; *from != '\0'; from++)
	{
		if (IS_HIGHBIT_SET(*from))
		{
			if (to == loose || to[-1] != '%')
				*to++ = '%';
		}
		else if (strchr("iIkK", *from) != NULL)
			*to++ = '_';
		else
			*to++ = pg_ascii_toupper((unsigned char) *from);
	}
	*to = '\0';
	return loose;
}

static void
write_like(Writer *w, const Filter *filter)
{
	FilterValue *value = linitial(filter->values);

	/* What a backslash does in a pattern is not the same on both sides. */
	if (!value->unknown && strchr(value->text, '\\') != NULL)
	{
		write_plain(w, filter->source, filter->column);
		appendStringInfoString(w->out, " IS NOT NULL");
		return;
	}
	if (value->unknown || filter->kind == FILTER_LIKE)
	{
		write_plain(w, filter->source, filter->column);
		appendStringInfoString(w->out, " LIKE ");
		write_value(w, VALUE_TEXT, value);
		return;
	}
	appendStringInfoString(w->out, "UPPER(");
	write_plain(w, filter->source, filter->column);
	appendStringInfoString(w->out, ") LIKE ");
	write_parameter(w, loosen_pattern(value->text));
}

static void
write_list(Writer *w, const Filter *filter)
{
	ListCell *lc;

	if (filter->args == NIL)
	{
		appendStringInfoString(w->out, filter->kind == FILTER_AND ? "1 = 1" : "1 = 0");
		return;
	}
	appendStringInfoChar(w->out, '(');
	foreach(lc, filter->args)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(w->out, filter->kind == FILTER_AND ? " AND " : " OR ");
		write_filter(w, lfirst(lc));
	}
	appendStringInfoChar(w->out, ')');
}

/* Two-valued, so that it may stand under NOT: NULL AND FALSE is FALSE. */
static void
write_is_boolean(Writer *w, const Filter *filter, char letter)
{
	appendStringInfoChar(w->out, '(');
	write_plain(w, filter->source, filter->column);
	appendStringInfo(w->out, " = '%c' AND ", letter);
	write_plain(w, filter->source, filter->column);
	appendStringInfoString(w->out, " IS NOT NULL)");
}

static void
write_filter(Writer *w, const Filter *filter)
{
	switch (filter->kind)
	{
		case FILTER_AND:
		case FILTER_OR:
			write_list(w, filter);
			break;
		case FILTER_NOT:
			appendStringInfoString(w->out, "NOT (");
			write_filter(w, linitial(filter->args));
			appendStringInfoChar(w->out, ')');
			break;
		case FILTER_COMPARE:
			write_compare(w, filter);
			break;
		case FILTER_COLUMNS:
			write_plain(w, filter->source, filter->column);
			appendStringInfo(w->out, " %s ", op_text(filter->op));
			write_plain(w, filter->other_source, filter->other);
			break;
		case FILTER_IN:
		case FILTER_NOT_IN:
			write_in(w, filter);
			break;
		case FILTER_LIKE:
		case FILTER_ILIKE:
			write_like(w, filter);
			break;
		case FILTER_NULL:
		case FILTER_NOT_NULL:
			write_plain(w, filter->source, filter->column);
			appendStringInfoString(w->out, filter->kind == FILTER_NULL ? " IS NULL" : " IS NOT NULL");
			break;
		case FILTER_TRUE:
			write_plain(w, filter->source, filter->column);
			appendStringInfoString(w->out, " = 'T'");
			break;
		case FILTER_IS_TRUE:
			write_is_boolean(w, filter, 'T');
			break;
		case FILTER_IS_FALSE:
			write_is_boolean(w, filter, 'F');
			break;
	}
}

/* ---------------------------------------------------------------------
 * Positions: where a page begins and where its range ends
 * ---------------------------------------------------------------------
 */

static void
write_order_compare(Writer *w, const QueryOrder *order, const char *op, const char *text)
{
	FilterValue value = {.text = text};

	write_plain(w, order->source, order->column);
	appendStringInfo(w->out, " %s ", op);
	write_value(w, order->column->kind, &value);
}

/*
 * Can rows come behind this value in this column?  NULLs are last ascending
 * and first descending, on both sides.
 */
static bool
has_behind(const QueryOrder *order, const char *text)
{
	return text != NULL || order->descending;
}

static void
write_behind(Writer *w, const QueryOrder *order, const char *text)
{
	if (text == NULL)
	{
		write_plain(w, order->source, order->column);
		appendStringInfoString(w->out, " IS NOT NULL");
		return;
	}
	if (order->column->nullable && !order->descending)
	{
		appendStringInfoChar(w->out, '(');
		write_order_compare(w, order, ">", text);
		appendStringInfoString(w->out, " OR ");
		write_plain(w, order->source, order->column);
		appendStringInfoString(w->out, " IS NULL)");
	}
	else
		write_order_compare(w, order, order->descending ? "<" : ">", text);
}

static void
write_same(Writer *w, const QueryOrder *order, const char *text)
{
	if (text == NULL)
	{
		write_plain(w, order->source, order->column);
		appendStringInfoString(w->out, " IS NULL");
	}
	else
		write_order_compare(w, order, "=", text);
}

/*
 * Rows behind a position: equal in the first columns, behind in the next, for
 * each number of first columns.
 */
static void
write_after(Writer *w, List *order, const SuiteqlPosition *position)
{
	bool first = true;

	if (position->n > 1)
		appendStringInfoChar(w->out, '(');
	for (int i = 0; i < position->n; i++)
	{
		if (!has_behind(list_nth(order, i), position->values[i]))
			continue;
		if (!first)
			appendStringInfoString(w->out, " OR ");
		first = false;
		if (i > 0)
			appendStringInfoChar(w->out, '(');
		for (int j = 0; j < i; j++)
		{
			write_same(w, list_nth(order, j), position->values[j]);
			appendStringInfoString(w->out, " AND ");
		}
		write_behind(w, list_nth(order, i), position->values[i]);
		if (i > 0)
			appendStringInfoChar(w->out, ')');
	}
	if (first)
		appendStringInfoString(w->out, "1 = 0");
	if (position->n > 1)
		appendStringInfoChar(w->out, ')');
}

static void
write_where(Writer *w)
{
	const char *word = " WHERE ";

	if (w->query->where != NULL)
	{
		appendStringInfoString(w->out, word);
		write_filter(w, w->query->where);
		word = " AND ";
	}
	if (w->page != NULL && w->page->after != NULL)
	{
		appendStringInfoString(w->out, word);
		write_after(w, w->page->order, w->page->after);
		word = " AND ";
	}
	if (w->page != NULL && w->page->upto != NULL)
	{
		appendStringInfoString(w->out, word);
		write_order_compare(w, linitial(w->page->order), "<=", w->page->upto->values[0]);
	}
}

static void
write_group(Writer *w)
{
	ListCell *lc;

	foreach(lc, w->query->group)
	{
		QueryOrder *group = lfirst(lc);

		appendStringInfoString(w->out, foreach_current_index(lc) == 0 ? " GROUP BY " : ", ");
		write_plain(w, group->source, group->column);
	}
}

static void
write_order(Writer *w)
{
	ListCell *lc;

	foreach(lc, w->page->order)
	{
		QueryOrder *order = lfirst(lc);
		bool		utc = order->column->kind == VALUE_TIMESTAMPTZ && w->conn->time_zone == NULL;

		appendStringInfoString(w->out, foreach_current_index(lc) == 0 ? " ORDER BY " : ", ");
		if (utc)
			appendStringInfoString(w->out, "SYS_EXTRACT_UTC(");
		write_plain(w, order->source, order->column);
		if (utc)
			appendStringInfoChar(w->out, ')');
		if (order->descending)
			appendStringInfoString(w->out, " DESC");
	}
}

/*
 * suiteql_statement
 *		The text of one page of a query; params becomes the list of its bind
 *		parameters' texts.
 */
char *
suiteql_statement(Connection *conn, const RemoteQuery *query, const SuiteqlPage *page, List **params)
{
	StringInfoData out;
	Writer		   w = {.out = &out, .conn = conn, .query = query, .page = page, .params = params};

	initStringInfo(&out);
	*params = NIL;
	write_select(&w);
	write_from(&w);
	write_where(&w);
	write_group(&w);
	write_order(&w);
	if (page->fetch_first >= 0)
		appendStringInfo(&out, " FETCH FIRST " INT64_FORMAT " ROWS ONLY", page->fetch_first);
	return out.data;
}

/*
 * suiteql_extreme
 *		The least or greatest value of an order column over a query's rows, as
 *		column "c1".
 */
char *
suiteql_extreme(Connection *conn, const RemoteQuery *query, AggregateKind aggregate,
				const QueryOrder *order, List **params)
{
	StringInfoData out;
	Writer		   w = {.out = &out, .conn = conn, .query = query, .params = params};
	QueryColumn column = {.aggregate = aggregate, .source = order->source, .column = order->column};

	initStringInfo(&out);
	*params = NIL;
	appendStringInfoString(&out, "SELECT ");
	write_aggregate(&w, &column);
	appendStringInfoString(&out, " AS c1");
	write_from(&w);
	write_where(&w);
	return out.data;
}

/*
 * suiteql_count
 *		The number of a query's rows, as column "c1".
 */
char *
suiteql_count(Connection *conn, const RemoteQuery *query, List **params)
{
	StringInfoData out;
	Writer		   w = {.out = &out, .conn = conn, .query = query, .params = params};

	initStringInfo(&out);
	*params = NIL;
	appendStringInfoString(&out, "SELECT COUNT(*) AS c1");
	write_from(&w);
	write_where(&w);
	return out.data;
}
