/*-------------------------------------------------------------------------
 *
 * filter.c
 *		Filters, values and columns of queries that makini itself makes up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "connector/filter.h"

Filter *
filter_new(FilterKind kind, int source, SourceColumn *column)
{
	Filter *filter = palloc0(sizeof(Filter));

	filter->kind = kind;
	filter->source = source;
	filter->column = column;
	return filter;
}

static FilterValue *
new_value(const char *text)
{
	FilterValue *value = palloc0(sizeof(FilterValue));

	value->text = text;
	return value;
}

Filter *
filter_compare(CompareOp op, int source, SourceColumn *column, const char *text)
{
	Filter *filter = filter_new(FILTER_COMPARE, source, column);

	filter->op = op;
	filter->values = list_make1(new_value(text));
	return filter;
}

Filter *
filter_in(int source, SourceColumn *column, List *texts)
{
	Filter	 *filter = filter_new(FILTER_IN, source, column);
	ListCell *lc;

	foreach(lc, texts)
		filter->values = lappend(filter->values, new_value(lfirst(lc)));
	return filter;
}

Filter *
filter_both(FilterKind kind, Filter *a, Filter *b)
{
	Filter *filter;

	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	filter = filter_new(kind, 0, NULL);
	filter->args = list_make2(a, b);
	return filter;
}

char *
filter_moment(Timestamp moment)
{
	struct pg_tm tm;
	fsec_t		 fsec;

	if (timestamp2tm(moment, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	return psprintf("%04d-%02d-%02d %02d:%02d:%02d.%06d", tm.tm_year, tm.tm_mon, tm.tm_mday,
					tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
}

void
query_add_column(RemoteQuery *query, SourceColumn *column)
{
	QueryColumn *output = palloc0(sizeof(QueryColumn));

	output->column = column;
	query->columns = lappend(query->columns, output);
}

SourceColumn *
source_column_of_entity(const Entity *entity, const char *name)
{
	const EntityColumn *known = entity_find_column(entity, name);
	SourceColumn	   *column;

	if (known == NULL)
		return NULL;
	column = palloc0(sizeof(SourceColumn));
	column->name = known->name;
	column->kind = known->kind;
	column->nullable = !known->required;
	column->code = known->code;
	return column;
}
