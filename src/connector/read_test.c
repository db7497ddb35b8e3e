/*-------------------------------------------------------------------------
 *
 * read_test.c
 *		Reads a table as syncs do, page by page, for tests of connectors.  Built
 *		only where MAKINI_TEST is defined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef MAKINI_TEST

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "connector/filter.h"
#include "connector/table.h"

PG_FUNCTION_INFO_V1(makini_test_read);
PG_FUNCTION_INFO_V1(makini_test_deleted);
PG_FUNCTION_INFO_V1(makini_test_traits);

static SourceColumn *
find_column(const Table *table, const char *name)
{
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i] != NULL && strcmp(table->columns[i]->name, name) == 0)
			return table->columns[i];
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("there is no column \"%s\"", name)));
}

/* Changed since a time, or at no time that is known. */
static Filter *
changed_since(const Table *table, int source, TimestampTz since)
{
	SourceColumn *cursor = find_column(table, table->source->catalogue->cursor);

	return filter_both(FILTER_OR, filter_compare(CMP_GE, source, cursor, filter_moment(since)),
					   filter_new(FILTER_NULL, source, cursor));
}

static void
join_parent(RemoteQuery *query, const Table *child, const Table *parent, const char *column)
{
	query->sources = lappend(query->sources, parent->source);
	query->join = QUERY_INNER_JOIN;
	query->joined_once = true;
	query->together = find_column(child, column);
	query->on = filter_new(FILTER_COLUMNS, 0, query->together);
	query->on->other_source = 1;
	query->on->other = linitial(parent->source->key);
}

static Datum
row_datum(const CellPage *page, int row, int ncolumns)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < ncolumns; i++)
	{
		const Cell *cell = &page->cells[(size_t) row * page->ncolumns + i];

		appendStringInfo(&text, "%s%s", i > 0 ? "," : "", cell->text != NULL ? cell->text : "NULL");
	}
	return CStringGetTextDatum(text.data);
}

static Datum
rows_datum(const CellPage *page, int ncolumns)
{
	Datum *rows = palloc(sizeof(Datum) * (page->nrows + 1));

	for (int i = 0; i < page->nrows; i++)
		rows[i] = row_datum(page, i, ncolumns);
	return PointerGetDatum(construct_array(rows, page->nrows, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
values_datum(int n, const char **values)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < n; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? "," : "", values[i] != NULL ? values[i] : "NULL");
	return CStringGetTextDatum(text.data);
}

/* covers, low, high, position, expected, answered_at, rows */
static void
put_page(ReturnSetInfo *result, const Connector *connector, Reader *reader, const CellPage *page,
		 int ncolumns)
{
	PageRange range = {0};
	Datum	  values[7];
	bool	  nulls[7] = {false};
	char	 *position = connector->position(reader);

	values[0] = BoolGetDatum(connector->range(reader, &range));
	values[1] = values_datum(range.nlow, range.low);
	values[2] = values_datum(range.nhigh, range.high);
	values[3] = position != NULL ? CStringGetTextDatum(position) : (Datum) 0;
	nulls[3] = position == NULL;
	values[4] = Int64GetDatum(connector->expected(reader));
	values[5] = TimestampTzGetDatum(connector->answered_at(reader));
	nulls[5] = connector->answered_at(reader) == 0;
	values[6] = rows_datum(page, ncolumns);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_pages(ReturnSetInfo *result, const Connector *connector, Reader *reader, int ncolumns, int most)
{
	CellPage *page;

	for (int n = 0; n < most; n++)
	{
		connector->wait(reader);
		page = connector->next_page(reader);
		if (page == NULL)
			break;
		put_page(result, connector, reader, page, ncolumns);
	}
	connector->close(reader);
}

/*
 * makini_test_read
 *		(table regclass, columns text[], since timestamptz, resume text, pages
 *		int, parent regclass, parent column text): so many pages, of what changed
 *		since, in the table or in its parent.
 */
Datum
makini_test_read(PG_FUNCTION_ARGS)
{
	Table	   *table = table_open_options(PG_GETARG_OID(0));
	Table	   *parent = PG_ARGISNULL(5) ? NULL : table_open_options(PG_GETARG_OID(5));
	Connection *conn = connection_open(table->serverid, GetUserId(), REMOTE_USE_SYNC);
	RemoteQuery query = {.limit = -1};
	Datum	   *names;
	int			n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &n);
	query.sources = list_make1(table->source);
	for (int i = 0; i < n; i++)
		query_add_column(&query, find_column(table, TextDatumGetCString(names[i])));
	if (parent != NULL)
		join_parent(&query, table, parent, text_to_cstring(PG_GETARG_TEXT_PP(6)));
	if (!PG_ARGISNULL(2))
		query.where =
			changed_since(parent != NULL ? parent : table, parent != NULL, PG_GETARG_TIMESTAMPTZ(2));
	if (!PG_ARGISNULL(3))
		query.resume = text_to_cstring(PG_GETARG_TEXT_PP(3));
	InitMaterializedSRF(fcinfo, 0);
	put_pages((ReturnSetInfo *) fcinfo->resultinfo, table->connector,
			  table->connector->open(conn, &query), n, PG_GETARG_INT32(4));
	return (Datum) 0;
}

/*
 * makini_test_deleted
 *		(table regclass, since timestamptz): pages of keys of deleted rows.
 */
Datum
makini_test_deleted(PG_FUNCTION_ARGS)
{
	Table	   *table = table_open_options(PG_GETARG_OID(0));
	Connection *conn = connection_open(table->serverid, GetUserId(), REMOTE_USE_SYNC);

	InitMaterializedSRF(fcinfo, 0);
	put_pages((ReturnSetInfo *) fcinfo->resultinfo, table->connector,
			  table->connector->open_deleted(conn, table->source, PG_GETARG_TIMESTAMPTZ(1)), 1,
			  INT_MAX);
	return (Datum) 0;
}

/*
 * makini_test_traits
 *		(wrapper text): entity, deletes, document, parent, parent column,
 *		full_every and cursor of all that is built in.
 */
Datum
makini_test_traits(PG_FUNCTION_ARGS)
{
	static const char *const deletes[] = {
		[DELETES_BY_FULL_PASS] = "full pass",
		[DELETES_BY_TOMBSTONE] = "tombstone",
		[DELETES_WITH_PARENT] = "parent",
		[DELETES_NEVER] = "never",
	};
	ReturnSetInfo	*result = (ReturnSetInfo *) fcinfo->resultinfo;
	const Connector *connector = connector_of_wrapper(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	int				 n;
	const Entity	*entities = connector->entities(&n);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		EntityTraits traits;
		const char	*texts[6];
		Datum		 values[7];
		bool		 nulls[7] = {false};

		entity_traits(connector, &entities[i], &traits);
		texts[0] = entities[i].name;
		texts[1] = deletes[traits.deletes];
		texts[2] = traits.parent;
		texts[3] = traits.parent_column;
		texts[4] = traits.full_every;
		texts[5] = entities[i].cursor;
		for (int j = 0; j < (int) lengthof(texts); j++)
		{
			nulls[j] = texts[j] == NULL;
			values[j] = nulls[j] ? (Datum) 0 : CStringGetTextDatum(texts[j]);
		}
		values[6] = BoolGetDatum(traits.document);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

#endif /* MAKINI_TEST */
