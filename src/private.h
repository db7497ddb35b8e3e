/*-------------------------------------------------------------------------
 *
 * private.h
 *		Statements on makini's own tables, and what they give.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_PRIVATE_H
#define MAKINI_PRIVATE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/uuid.h"

#include "makini.h"

/*
 * private_execute
 *		Run one statement with the rights of the extension; nulls as in
 *		SPI_execute_with_args, NULL where no argument is.  Gives the number of rows
 *		it met.  What it returns is gone: for rows there are the accessors below.
 */
extern uint64 private_execute(const char *statement, int nargs, const Oid *types,
							  const Datum *values, const char *nulls);

/*
 * The same for who is connected to SPI and has those rights; SPI_tuptable holds
 * the rows.  Sees what the transaction itself has written, even the statement
 * that calls for it.
 */
extern uint64 private_query(const char *statement, int nargs, const Oid *types, const Datum *values,
							const char *nulls);

/*
 * private_number, private_oids
 *		Like private_execute, of a statement that asks: the number (bigint) in the
 *		first column of its first row, when_none where there is no row; or that
 *		column of all rows, which is an oid.
 */
extern int64 private_number(const char *statement, int nargs, const Oid *types, const Datum *values,
							const char *nulls, int64 when_none);
extern List *private_oids(const char *statement, int nargs, const Oid *types, const Datum *values);

/*
 * A short transaction of a worker, connected to SPI with the rights of the
 * extension.  An error ends it as the worker's AbortCurrentTransaction() does.
 */
typedef struct PrivateTransaction
{
	MakiniRights saved;
} PrivateTransaction;

extern void private_begin(PrivateTransaction *transaction);
extern void private_end(PrivateTransaction *transaction);

/*
 * Values of SPI_tuptable, whose rows are counted from 0 and columns from 1.
 * Texts are in the memory that was current before SPI_connect, so that they
 * outlive SPI_finish; NULL for NULL.
 */
extern char *private_text(uint64 row, int column);
extern int64 private_int64(uint64 row, int column, int64 when_null);
extern bool	 private_bool(uint64 row, int column);				  /* NULL is not true */
extern bool	 private_uuid(uint64 row, int column, pg_uuid_t *id); /* false for NULL */
extern Datum private_value(uint64 row, int column, bool *isnull);

/* An array of type text of strings, NULL for NULL. */
extern ArrayType *strings_to_array(const char *const *strings, int n);

/* An array of type text of a List of char *, and the other way round. */
extern ArrayType *texts_to_array(List *texts);
extern List		 *array_to_texts(ArrayType *array);

#endif /* MAKINI_PRIVATE_H */
