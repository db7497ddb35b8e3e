/*-------------------------------------------------------------------------
 *
 * decode.h
 *		Datums from the text cells of a page.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_DECODE_H
#define MAKINI_DECODE_H

#include "postgres.h"

#include "connector/connector.h"

/* What becomes of one column of a page. */
typedef struct DecodeColumn
{
	int			slot; /* place among the values of a row */
	Oid			type;
	int32		typmod;
	bool		divisor;  /* the count that turns the sum before it into an average */
	const char *relation; /* for messages */
	const char *column;
} DecodeColumn;

typedef struct Decoder Decoder;

extern Decoder *decoder_create(Connection *conn, int natts, const DecodeColumn *columns, int n);
extern void decoder_row(Decoder *decoder, CellPage *page, int row, int64 page_number, Datum *values,
						bool *isnull);

#endif /* MAKINI_DECODE_H */
