/*-------------------------------------------------------------------------
 *
 * analyze.c
 *		ANALYZE of a foreign table, with a bounded number of requests.
 *
 * The rows are counted by the remote side.  A table of few pages is read
 * whole; of a longer one a page is read at each of a number of places spread
 * over the range of its key, which costs the same whatever the table's size.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

#include "fdw/fdw.h"

#define SAMPLE_PAGES 32

typedef struct Sample
{
	Connection		  *conn;
	Table			  *table;
	List			  *tables;
	Spec			   spec;
	Decoder			  *decoder;
	TupleDesc		   desc;
	HeapTuple		  *rows;
	int				   target;
	int				   nrows;
	double			   seen;
	double			   to_skip;
	ReservoirStateData reservoir;
	MemoryContext	   row_cxt;
	int64			   pages;
} Sample;

static void
keep_row(Sample *sample, CellPage *page, int row)
{
	Datum		 *values;
	bool		 *isnull;
	MemoryContext old;
	int			  at = sample->nrows;

	sample->seen++;
	if (sample->nrows >= sample->target)
	{
		/* Vitter's algorithm, as in acquire_sample_rows(). */
		if (sample->to_skip < 0)
			sample->to_skip =
				reservoir_get_next_S(&sample->reservoir, sample->seen - 1, sample->target);
		if (sample->to_skip-- > 0)
			return;
		sample->to_skip = -1;
		at = (int) (sample->target * sampler_random_fract(&sample->reservoir.randstate));
		heap_freetuple(sample->rows[at]);
	}
	else
		sample->nrows++;

	MemoryContextReset(sample->row_cxt);
	old = MemoryContextSwitchTo(sample->row_cxt);
	values = palloc0(sizeof(Datum) * sample->desc->natts);
	isnull = palloc(sizeof(bool) * sample->desc->natts);
	decoder_row(sample->decoder, page, row, sample->pages, values, isnull);
	MemoryContextSwitchTo(old);
	sample->rows[at] = heap_form_tuple(sample->desc, values, isnull);
}

static void
read_rows(Sample *sample, RemoteQuery *query)
{
	Reader	 *reader = sample->conn->connector->open(sample->conn, query);
	CellPage *page;

	while ((page = sample->conn->connector->next_page(reader)) != NULL)
	{
		sample->pages++;
		for (int row = 0; row < page->nrows; row++)
			keep_row(sample, page, row);
		CHECK_FOR_INTERRUPTS();
	}
	sample->conn->connector->close(reader);
}

static SourceColumn *
integer_key(Sample *sample)
{
	List		 *key = sample->table->source->key;
	SourceColumn *column;

	if (list_length(key) != 1)
		return NULL;
	column = linitial(key);
	return column->kind == VALUE_INTEGER ? column : NULL;
}

static QueryColumn *
aggregate_column(AggregateKind aggregate, SourceColumn *column)
{
	QueryColumn *result = palloc0(sizeof(QueryColumn));

	result->aggregate = aggregate;
	result->column = column;
	return result;
}

static bool
key_range(Sample *sample, SourceColumn *key, int64 *min, int64 *max)
{
	RemoteQuery *query = query_from_spec(&sample->spec, sample->tables);
	Reader		*reader;
	CellPage	*page;
	bool		 found = false;

	query->grouped = true;
	query->columns =
		list_make2(aggregate_column(AGGREGATE_MIN, key), aggregate_column(AGGREGATE_MAX, key));
	reader = sample->conn->connector->open(sample->conn, query);
	page = sample->conn->connector->next_page(reader);
	if (page != NULL && page->nrows == 1 && page->cells[0].text != NULL && page->cells[1].text != NULL)
	{
		*min = pg_strtoint64(page->cells[0].text);
		*max = pg_strtoint64(page->cells[1].text);
		found = true;
	}
	sample->conn->connector->close(reader);
	return found;
}

static Filter *
key_bound(SourceColumn *key, CompareOp op, int64 bound)
{
	Filter		*filter = palloc0(sizeof(Filter));
	FilterValue *value = palloc0(sizeof(FilterValue));

	value->text = psprintf(INT64_FORMAT, bound);
	filter->kind = FILTER_COMPARE;
	filter->op = op;
	filter->column = key;
	filter->values = list_make1(value);
	return filter;
}

/* One page at each of SAMPLE_PAGES places, each within its own part of the range. */
static void
read_places(Sample *sample, SourceColumn *key, int64 min, int64 max)
{
	double	   span = ((double) max - (double) min + 1) / SAMPLE_PAGES;
	QueryOrder order = {.column = key};

	for (int i = 0; i < SAMPLE_PAGES; i++)
	{
		RemoteQuery *query = query_from_spec(&sample->spec, sample->tables);
		Filter		*where = palloc0(sizeof(Filter));
		int64		 from = min + (int64) (span * i);
		int64		 to = i == SAMPLE_PAGES - 1 ? max : min + (int64) (span * (i + 1)) - 1;

		where->kind = FILTER_AND;
		where->args = list_make2(key_bound(key, CMP_GE, from), key_bound(key, CMP_LE, to));
		query->where = where;
		query->order = list_make1(&order);
		query->limit = sample->conn->page_size;
		read_rows(sample, query);
	}
}

static void
read_sample(Sample *sample, double total)
{
	RemoteQuery	 *query = query_from_spec(&sample->spec, sample->tables);
	SourceColumn *key = integer_key(sample);
	int64		  min, max;

	if (total > (double) SAMPLE_PAGES * sample->conn->page_size)
	{
		if (key != NULL && key_range(sample, key, &min, &max))
		{
			read_places(sample, key, min, max);
			return;
		}
		query->limit = (int64) SAMPLE_PAGES * sample->conn->page_size;
	}
	read_rows(sample, query);
}

static void
all_columns(Sample *sample)
{
	for (int i = 0; i < sample->table->natts; i++)
	{
		OutputColumn *column;

		if (sample->table->columns[i] == NULL)
			continue;
		column = palloc0(sizeof(OutputColumn));
		column->attnum = i + 1;
		column->slot = i;
		sample->spec.columns = lappend(sample->spec.columns, column);
	}
}

static int
acquire_sample(Relation relation, int elevel, HeapTuple *rows, int targrows, double *totalrows,
			   double *totaldeadrows)
{
	Sample sample = {.rows = rows, .target = targrows, .to_skip = -1};
	double total;

	sample.table = table_open_options(RelationGetRelid(relation));
	sample.tables = list_make1(sample.table);
	sample.spec.relids = list_make1_oid(RelationGetRelid(relation));
	sample.spec.limit = -1;
	sample.desc = RelationGetDescr(relation);
	all_columns(&sample);
	sample.conn = connection_open(sample.table->serverid, relation->rd_rel->relowner, REMOTE_USE_SCAN);
	sample.decoder = spec_decoder(sample.conn, sample.desc, &sample.spec, sample.tables);
	sample.row_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini sample row", ALLOCSET_DEFAULT_SIZES);
	reservoir_init_selection_state(&sample.reservoir, targrows);

	if (sample.conn->connector->count != NULL)
	{
		total =
			sample.conn->connector->count(sample.conn, query_from_spec(&sample.spec, sample.tables));
		read_sample(&sample, total);
	}
	else
	{
		read_rows(&sample, query_from_spec(&sample.spec, sample.tables));
		total = sample.seen;
	}
	MemoryContextDelete(sample.row_cxt);
	*totalrows = total;
	*totaldeadrows = 0;
	ereport(elevel,
			(errmsg("\"%s\": table has %.0f rows; " INT64_FORMAT " pages read, %d rows in sample",
					RelationGetRelationName(relation), total, sample.pages, sample.nrows)));
	return sample.nrows;
}

/*
 * table_analyze
 *		AnalyzeForeignTable.  An error where a table is not to be read; false,
 *		which PostgreSQL reports as a warning, where it can't be read without
 *		being asked for something.
 */
bool
table_analyze(Relation relation, AcquireSampleRowsFunc *func, BlockNumber *pages)
{
	Table		 *table = table_open_options(RelationGetRelid(relation));
	const Entity *entity = table->source->catalogue;
	double		  rows = size_class_rows(table);

	table_refuse_read(table);
	if (entity != NULL && entity_needs_parameter(entity))
		return false;
	*func = acquire_sample;
	*pages = Max(1, (BlockNumber) (rows / 100));
	return true;
}
