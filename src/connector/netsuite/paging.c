/*-------------------------------------------------------------------------
 *
 * paging.c
 *		Decides how the pages of a query are found, and which columns that
 *		takes.
 *
 * A page begins behind the last key of the one before ("keyset paging"), never
 * at an offset, because rows that come or go meanwhile would shift an offset
 * and because only 100,000 rows can be reached by one.  Where a table has no
 * key that can be compared remotely, offsets are used, and the cap is an
 * error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/netsuite/reader.h"

static bool
comparable(const SourceColumn *column)
{
	return suiteql_can_order(column, false);
}

static bool
in_order(List *order, int source, const SourceColumn *column)
{
	ListCell *lc;

	foreach(lc, order)
	{
		QueryOrder *each = lfirst(lc);

		if (each->source == source && strcmp(each->column->name, column->name) == 0)
			return true;
	}
	return false;
}

/* The second side of a left join has NULLs wherever the first one meets nothing. */
static void
add_order(Reader *reader, int source, SourceColumn *column, bool descending)
{
	QueryOrder *each = palloc0(sizeof(QueryOrder));

	if (source > 0 && reader->query->join == QUERY_LEFT_JOIN)
	{
		column = memcpy(palloc(sizeof(SourceColumn)), column, sizeof(SourceColumn));
		column->nullable = true;
	}
	each->source = source;
	each->column = column;
	each->descending = descending;
	reader->order = lappend(reader->order, each);
}

/* Who meets a row of the other source through a column has a value in it. */
static void
add_together(Reader *reader, SourceColumn *column)
{
	if (reader->query->join == QUERY_INNER_JOIN)
	{
		column = memcpy(palloc(sizeof(SourceColumn)), column, sizeof(SourceColumn));
		column->nullable = false;
	}
	add_order(reader, 0, column, false);
}

/*
 * Add the key of one source to the order.  Text is left out: how the remote
 * side sorts and compares it is not known.  Returns whether all of it is in.
 */
static bool
add_key(Reader *reader, int index)
{
	Source	 *source = list_nth(reader->query->sources, index);
	bool	  whole = source->key != NIL;
	ListCell *lc;

	foreach(lc, source->key)
	{
		SourceColumn *column = lfirst(lc);

		if (in_order(reader->order, index, column))
			continue;
		if (!comparable(column))
		{
			whole = false;
			continue;
		}
		add_order(reader, index, column, false);
	}
	return whole;
}

/* Are these the columns that identify a row in every account? */
static bool
key_is_known(const Source *source)
{
	StringInfoData names;
	ListCell	  *lc;

	if (source->catalogue == NULL || source->catalogue->key == NULL)
		return false;
	initStringInfo(&names);
	foreach(lc, source->key)
		appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "", ((SourceColumn *) lfirst(lc))->name);
	return pg_strcasecmp(names.data, source->catalogue->key) == 0;
}

static bool
keys_are_known(const RemoteQuery *query)
{
	return key_is_known(linitial(query->sources)) &&
		(query->join == QUERY_NO_JOIN || query->joined_once || key_is_known(lsecond(query->sources)));
}

static void
choose_order(Reader *reader)
{
	RemoteQuery *query = reader->query;
	ListCell	*lc;

	foreach(lc, query->grouped ? query->group : query->order)
	{
		QueryOrder *each = lfirst(lc);

		add_order(reader, each->source, each->column, each->descending);
	}
	if (query->together != NULL)
		add_together(reader, query->together);
	if (query->grouped)
		reader->unique = true;
	else
	{
		reader->unique = add_key(reader, 0);
		if (query->join != QUERY_NO_JOIN && !query->joined_once)
			reader->unique = add_key(reader, 1) && reader->unique;
		reader->doubtful = reader->unique && !keys_are_known(query);
		if (reader->doubtful && query->keys_may_repeat)
			reader->unique = false;
	}
	foreach(lc, reader->order)
	{
		if (!comparable(((QueryOrder *) lfirst(lc))->column))
			return;
	}
	if (reader->order != NIL)
		reader->paging = PAGING_KEYSET;
}

static bool
begins_with_number(const Reader *reader)
{
	const QueryOrder *first = linitial(reader->order);

	return !reader->query->grouped && first->column->kind == VALUE_INTEGER &&
		!first->column->nullable && !first->descending;
}

static void
choose_paging(Reader *reader)
{
	RemoteQuery *query = reader->query;

	if ((query->grouped && query->group == NIL) ||
		(query->limit >= 0 && query->limit <= reader->conn->page_size &&
		 (reader->split_in == NULL || query->order != NIL)))
	{
		reader->paging = PAGING_ONCE;
		reader->order = query->order;
		reader->split_in = NULL;
		return;
	}
	reader->paging = PAGING_OFFSET;
	choose_order(reader);
	reader->numbered = reader->paging == PAGING_KEYSET && begins_with_number(reader);
	reader->parallel = reader->numbered && query->order == NIL && query->limit < 0 &&
		(query->join == QUERY_NO_JOIN || (query->join == QUERY_INNER_JOIN && query->joined_once)) &&
		reader->ahead > 1;
}

/* Which output column holds an order column; added behind the caller's where none does. */
static int
find_or_add_column(Reader *reader, const QueryOrder *order)
{
	QueryColumn *column;
	ListCell	*lc;

	foreach(lc, reader->query->columns)
	{
		column = lfirst(lc);
		if (column->aggregate == AGGREGATE_NONE && column->source == order->source &&
			!column->column->display && strcmp(column->column->name, order->column->name) == 0)
			return foreach_current_index(lc);
	}
	column = palloc0(sizeof(QueryColumn));
	column->source = order->source;
	column->column = order->column;
	reader->query->columns = lappend(reader->query->columns, column);
	return list_length(reader->query->columns) - 1;
}

static void
add_order_columns(Reader *reader)
{
	ListCell *lc;

	reader->order_column = palloc0(sizeof(int) * Max(1, list_length(reader->order)));
	if (reader->paging == PAGING_KEYSET)
	{
		foreach(lc, reader->order)
			reader->order_column[foreach_current_index(lc)] = find_or_add_column(reader, lfirst(lc));
	}

	/* Rows that nobody wants a column of are still to be counted. */
	if (reader->query->columns == NIL)
		reader->query->columns = list_make1(palloc0(sizeof(QueryColumn)));
}

/* Texts that differ here may be equal there, which would put a row into two parts. */
static bool
can_split(const Filter *filter)
{
	return filter->kind == FILTER_IN && list_length(filter->values) > SUITEQL_MAX_IN &&
		(filter->column->kind != VALUE_TEXT || filter->column->code);
}

/*
 * An IN list beyond SuiteQL's thousand members is read as several queries,
 * where each row can be in only one of them and nobody relies on order or sums.
 */
static const Filter *
find_split(const RemoteQuery *query)
{
	const Filter *where = query->where;
	ListCell	 *lc;

	if (where == NULL || query->order != NIL || query->grouped)
		return NULL;
	if (can_split(where))
		return where;
	if (where->kind != FILTER_AND)
		return NULL;
	foreach(lc, where->args)
	{
		const Filter *arg = lfirst(lc);

		if (can_split(arg))
			return arg;
	}
	return NULL;
}

/*
 * paging_choose
 *		Fill in a reader's paging, order and columns from its query.
 */
void
paging_choose(Reader *reader)
{
	reader->split_in = find_split(reader->query);
	choose_paging(reader);
	add_order_columns(reader);
}

/*
 * netsuite_describe
 *		The text of the first page, for EXPLAIN.
 */
char *
netsuite_describe(Connection *conn, const RemoteQuery *query, List **params)
{
	Reader		reader = {.conn = conn};
	SuiteqlPage page = {.fetch_first = -1};

	reader.query = palloc(sizeof(RemoteQuery));
	*reader.query = *query;
	reader.query->columns = list_copy(query->columns);
	paging_choose(&reader);
	page.order = reader.order;
	if (reader.paging == PAGING_ONCE)
		page.fetch_first = query->limit;
	return suiteql_statement(conn, reader.query, &page, params);
}
