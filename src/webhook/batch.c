/*-------------------------------------------------------------------------
 *
 * batch.c
 *		Rows for one statement, as an array for each column.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "webhook/batch.h"
#include "webhook/deliver.h"

#define MAX_EXTRA 4

void
batch_init(Batch *batch, int size, const Oid *types, int ntypes)
{
	Assert(ntypes <= BATCH_MAX_COLUMNS);
	batch->n = 0;
	batch->ncolumns = ntypes;
	for (int i = 0; i < ntypes; i++)
	{
		BatchColumn *column = &batch->columns[i];

		column->type = types[i];
		column->values = palloc(Max(size, 1) * sizeof(Datum));
		column->nulls = palloc(Max(size, 1) * sizeof(bool));
		get_typlenbyvalalign(types[i], &column->len, &column->byval, &column->align);
	}
}

void
batch_begin_row(Batch *batch)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		batch->columns[i].values[batch->n] = (Datum) 0;
		batch->columns[i].nulls[batch->n] = true;
	}
}

void
batch_set(Batch *batch, int column, Datum value)
{
	batch->columns[column].values[batch->n] = value;
	batch->columns[column].nulls[batch->n] = false;
}

void
batch_set_text(Batch *batch, int column, const char *text)
{
	if (text != NULL)
		batch_set(batch, column, CStringGetTextDatum(text));
}

void
batch_end_row(Batch *batch)
{
	batch->n++;
}

Datum
batch_array(const Batch *batch, int column)
{
	const BatchColumn *c = &batch->columns[column];
	int				   dims[] = {batch->n};
	int				   bounds[] = {1};

	return PointerGetDatum(construct_md_array(c->values, c->nulls, 1, dims, bounds, c->type, c->len,
											  c->byval, c->align));
}

uint64
batch_execute(SPIPlanPtr *plan, const char *statement, const Batch *batch, int nextra,
			  const Oid *extra_types, const Datum *extra)
{
	Oid	  types[BATCH_MAX_COLUMNS + MAX_EXTRA];
	Datum values[BATCH_MAX_COLUMNS + MAX_EXTRA];

	if (batch->n == 0)
		return 0;
	for (int i = 0; i < batch->ncolumns; i++)
	{
		types[i] = get_array_type(batch->columns[i].type);
		values[i] = batch_array(batch, i);
	}
	for (int i = 0; i < nextra; i++)
	{
		types[batch->ncolumns + i] = extra_types[i];
		values[batch->ncolumns + i] = extra[i];
	}
	if (SPI_execute_plan(sender_plan(plan, statement, batch->ncolumns + nextra, types), values,
						 NULL, false, 0) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not write what became of deliveries")));
	return SPI_processed;
}
