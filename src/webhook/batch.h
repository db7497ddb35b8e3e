/*-------------------------------------------------------------------------
 *
 * batch.h
 *		Rows for one statement, as an array for each column.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_BATCH_H
#define MAKINI_BATCH_H

#include "postgres.h"

#include "executor/spi.h"

#define BATCH_MAX_COLUMNS 10

typedef struct BatchColumn
{
	Oid	   type;
	int16  len;
	bool   byval;
	char   align;
	Datum *values;
	bool  *nulls;
} BatchColumn;

typedef struct Batch
{
	BatchColumn columns[BATCH_MAX_COLUMNS];
	int			ncolumns;
	int			n; /* rows that are complete */
} Batch;

/* For at most size rows of columns of these types. */
extern void batch_init(Batch *batch, int size, const Oid *types, int ntypes);

/* The next row's values, one after another; those not given are null. */
extern void batch_begin_row(Batch *batch);
extern void batch_set(Batch *batch, int column, Datum value);
extern void batch_set_text(Batch *batch, int column, const char *text); /* NULL is null */
extern void batch_end_row(Batch *batch);

/* A column as an array. */
extern Datum batch_array(const Batch *batch, int column);

/*
 * batch_execute
 *		Run a statement whose parameters are the columns and, behind them, extra
 *		values; prepared on first use.  Nothing is done for no rows.  Returns the
 *		rows processed.
 */
extern uint64 batch_execute(SPIPlanPtr *plan, const char *statement, const Batch *batch, int nextra,
							const Oid *extra_types, const Datum *extra);

#endif /* MAKINI_BATCH_H */
