/*-------------------------------------------------------------------------
 *
 * decode.c
 *		Makes Datums of the text cells of a page.
 *
 * Common types have paths of their own, which take the forms that connectors
 * send and nothing else; whatever these don't take goes to the type's input
 * function, whose error then names column, table, row and page.  Numbers never
 * pass through floating point.
 *
 * Text that stands in the page between quotes becomes a Datum where it stands:
 * the byte before it takes a one-byte varlena header.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "connector/decode.h"

typedef struct Target
{
	Oid			type;
	int32		typmod;
	bool		fast;		 /* the type has a path of its own here */
	bool		timestamptz; /* or a domain over it */
	FmgrInfo	input;
	Oid			ioparam;
	int			slot;
	bool		divisor;
	const char *relation; /* for the error context, which may not look it up */
	const char *column;
} Target;

struct Decoder
{
	int			  ntargets;
	Target		 *targets;
	int			  natts;
	pg_tz		 *zone; /* of timestamps that come as wall clock, or NULL: UTC */
	int			  row;	/* for the error context */
	int64		  page;
	const Target *target;
};

/* ---------------------------------------------------------------------
 * Types with a path of their own.  Each gives false for a form it doesn't take.
 * ---------------------------------------------------------------------
 */

static bool
decode_integer(const Cell *cell, int64 min, int64 max, int64 *value)
{
	const char *at = cell->text;
	const char *end = at + cell->len;
	bool		negative = at < end && *at == '-';
	int64		sum = 0;

	at += negative;
	if (at == end || end - at > 18)
		return false;
	for (; at < end; at++)
	{
		if (*at < '0' || *at > '9')
			return false;
		sum = sum * 10 + (*at - '0');
	}
	*value = negative ? -sum : sum;
	return *value >= min && *value <= max;
}

/* Up to 18 digits with or without a point, which an int64 can hold. */
static bool
decode_numeric(const Cell *cell, Datum *datum)
{
	const char *at = cell->text;
	const char *end = at + cell->len;
	bool		negative = at < end && *at == '-';
	int64		sum = 0;
	int			digits = 0;
	int			scale = -1;

	at += negative;
	for (; at < end; at++)
	{
		if (*at == '.' && scale < 0)
		{
			scale = 0;
			continue;
		}
		if (*at < '0' || *at > '9' || ++digits > 18)
			return false;
		sum = sum * 10 + (*at - '0');
		if (scale >= 0)
			scale++;
	}
	if (digits == 0)
		return false;
	if (negative)
		sum = -sum;
	*datum =
		NumericGetDatum(scale > 0 ? int64_div_fast_to_numeric(sum, scale) : int64_to_numeric(sum));
	return true;
}

static bool
two_digits(const char *text, int *value)
{
	if (!isdigit((unsigned char) text[0]) || !isdigit((unsigned char) text[1]))
		return false;
	*value = (text[0] - '0') * 10 + (text[1] - '0');
	return true;
}

/* "2026-01-31" */
static bool
decode_ymd(const char *text, int *jdate)
{
	int century, year, month, day;

	if (!two_digits(text, &century) || !two_digits(text + 2, &year) || text[4] != '-' ||
		!two_digits(text + 5, &month) || text[7] != '-' || !two_digits(text + 8, &day))
		return false;
	year += century * 100;
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > day_tab[isleap(year)][month - 1])
		return false;
	*jdate = date2j(year, month, day);
	return true;
}

static bool
decode_date(const Cell *cell, Datum *datum)
{
	int jdate;

	if (cell->len != 10 || !decode_ymd(cell->text, &jdate))
		return false;
	*datum = DateADTGetDatum(jdate - POSTGRES_EPOCH_JDATE);
	return true;
}

/* "2026-01-31 13:45:00", or with a T between */
static bool
decode_clock(const Cell *cell, Timestamp *ts)
{
	const char *text = cell->text;
	int			jdate, hour, minute, second;

	if (cell->len != 19 || !decode_ymd(text, &jdate) || (text[10] != ' ' && text[10] != 'T') ||
		!two_digits(text + 11, &hour) || text[13] != ':' || !two_digits(text + 14, &minute) ||
		text[16] != ':' || !two_digits(text + 17, &second) || hour > 23 || minute > 59 || second > 59)
		return false;
	*ts = (Timestamp) (jdate - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY +
		((hour * 60 + minute) * 60 + second) * USECS_PER_SEC;
	return true;
}

static Timestamp
wall_clock_to_utc(Timestamp ts, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t		 fsec;
	int			 offset;

	if (timestamp2tm(ts, NULL, &tm, &fsec, NULL, NULL) != 0)
		return ts;
	offset = DetermineTimeZoneOffset(&tm, zone);
	return ts + offset * USECS_PER_SEC;
}

static bool
decode_timestamptz(const Decoder *decoder, const Cell *cell, Datum *datum)
{
	Timestamp ts;

	if (!decode_clock(cell, &ts))
		return false;
	*datum = TimestampTzGetDatum(decoder->zone ? wall_clock_to_utc(ts, decoder->zone) : ts);
	return true;
}

static Datum
decode_text(Cell *cell)
{
	if (!cell->quoted || cell->len > VARATT_SHORT_MAX - VARHDRSZ_SHORT)
		return PointerGetDatum(cstring_to_text_with_len(cell->text, cell->len));
	SET_VARSIZE_SHORT(cell->text - 1, cell->len + VARHDRSZ_SHORT);
	return PointerGetDatum(cell->text - 1);
}

static bool
decode_boolean(const Cell *cell, Datum *datum)
{
	if (cell->len != 1 || (cell->text[0] != 'T' && cell->text[0] != 'F'))
		return false;
	*datum = BoolGetDatum(cell->text[0] == 'T');
	return true;
}

static bool
decode_fast(const Decoder *decoder, Oid type, Cell *cell, Datum *datum)
{
	int64	  integer;
	Timestamp ts;

	switch (type)
	{
		case INT8OID:
			if (!decode_integer(cell, PG_INT64_MIN, PG_INT64_MAX, &integer))
				return false;
			*datum = Int64GetDatum(integer);
			return true;
		case INT4OID:
			if (!decode_integer(cell, PG_INT32_MIN, PG_INT32_MAX, &integer))
				return false;
			*datum = Int32GetDatum((int32) integer);
			return true;
		case INT2OID:
			if (!decode_integer(cell, PG_INT16_MIN, PG_INT16_MAX, &integer))
				return false;
			*datum = Int16GetDatum((int16) integer);
			return true;
		case BOOLOID:
			return decode_boolean(cell, datum);
		case TEXTOID:
		case VARCHAROID:
			*datum = decode_text(cell);
			return true;
		case NUMERICOID:
			return decode_numeric(cell, datum);
		case DATEOID:
			return decode_date(cell, datum);
		case TIMESTAMPTZOID:
			return decode_timestamptz(decoder, cell, datum);
		case TIMESTAMPOID:
			if (!decode_clock(cell, &ts))
				return false;
			*datum = TimestampGetDatum(ts);
			return true;
		default:
			return false;
	}
}

/* ---------------------------------------------------------------------
 * The rest
 * ---------------------------------------------------------------------
 */

/*
 * A timestamp without a zone is UTC or the account's, never the session's.
 */
static char *
zoned_text(const Decoder *decoder, const Cell *cell)
{
	Timestamp	 ts;
	struct pg_tm tm;
	fsec_t		 fsec;

	if (decoder->zone != NULL && decode_clock(cell, &ts) &&
		timestamp2tm(wall_clock_to_utc(ts, decoder->zone), NULL, &tm, &fsec, NULL, NULL) == 0)
		return psprintf("%04d-%02d-%02d %02d:%02d:%02d+00", tm.tm_year, tm.tm_mon, tm.tm_mday,
						tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (decoder->zone == NULL && cell->len > 10 && strpbrk(cell->text + 10, "Zz+-") == NULL)
		return psprintf("%s+00", cell->text);
	return cell->text;
}

static Datum
decode_slow(Decoder *decoder, const Target *target, Cell *cell)
{
	char *text = target->timestamptz ? zoned_text(decoder, cell) : cell->text;

	return InputFunctionCall(unconstify(FmgrInfo *, &target->input), text, target->ioparam,
							 target->typmod);
}

static void
decode_context(void *arg)
{
	Decoder *decoder = arg;

	errcontext("column \"%s\" of foreign table \"%s\", row %d of page " INT64_FORMAT,
			   decoder->target->column, decoder->target->relation, decoder->row + 1, decoder->page);
}

/* A sum becomes an average by the count that follows it. */
static void
divide(Datum *sum, bool *isnull, const Cell *count)
{
	Datum divisor;
	int64 n;

	if (*isnull || count->text == NULL)
		return;
	if (!decode_integer(count, 0, PG_INT64_MAX, &n) || n == 0)
	{
		*isnull = true;
		return;
	}
	divisor = NumericGetDatum(int64_to_numeric(n));
	*sum = DirectFunctionCall2(numeric_div, *sum, divisor);
}

static void
init_target(Target *target, const DecodeColumn *column)
{
	Oid input;

	target->type = column->type;
	target->typmod = column->typmod;
	target->slot = column->slot;
	target->divisor = column->divisor;
	target->relation = pstrdup(column->relation);
	target->column = pstrdup(column->column);
	target->fast = target->typmod == -1;
	target->timestamptz = getBaseType(target->type) == TIMESTAMPTZOID;
	getTypeInputInfo(target->type, &input, &target->ioparam);
	fmgr_info(input, &target->input);
}

/*
 * decoder_create
 *		Prepare to fill rows of natts values from pages of n columns; what it
 *		needs stays in CurrentMemoryContext.
 */
Decoder *
decoder_create(Connection *conn, int natts, const DecodeColumn *columns, int n)
{
	Decoder *decoder = palloc0(sizeof(Decoder));

	decoder->natts = natts;
	decoder->ntargets = n;
	decoder->targets = palloc0(sizeof(Target) * Max(1, n));
	if (conn->time_zone != NULL)
		decoder->zone = pg_tzset(conn->time_zone);
	for (int i = 0; i < n; i++)
		init_target(&decoder->targets[i], &columns[i]);
	return decoder;
}

/*
 * decoder_row
 *		Fill values and isnull (natts of them) from one row of a page.  What
 *		needs memory takes it from CurrentMemoryContext; text may point into the
 *		page.
 */
void
decoder_row(Decoder *decoder, CellPage *page, int row, int64 page_number, Datum *values, bool *isnull)
{
	Cell				*cells = page->cells + (size_t) row * page->ncolumns;
	ErrorContextCallback context;

	context.callback = decode_context;
	context.arg = decoder;
	context.previous = error_context_stack;
	error_context_stack = &context;
	decoder->row = row;
	decoder->page = page_number;
	memset(isnull, true, sizeof(bool) * decoder->natts);
	for (int i = 0; i < decoder->ntargets; i++)
	{
		Target *target = &decoder->targets[i];
		Cell   *cell = &cells[i];

		decoder->target = target;
		if (target->divisor)
			divide(&values[target->slot], &isnull[target->slot], cell);
		else if (cell->text != NULL)
		{
			isnull[target->slot] = false;
			if (!target->fast || !decode_fast(decoder, target->type, cell, &values[target->slot]))
				values[target->slot] = decode_slow(decoder, target, cell);
		}
	}
	error_context_stack = context.previous;
}
