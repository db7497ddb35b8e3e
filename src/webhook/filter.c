/*-------------------------------------------------------------------------
 *
 * filter.c
 *		An SQL condition over events, run as its author.
 *
 * The condition is text that somebody without rights over the sender wrote; how
 * such text is run is author.c's to know.  It is evaluated for many events at
 * once; where it fails, for each by itself, so that one event that it cannot
 * deal with doesn't keep the others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "webhook/filter.h"

#define FILTER_MS 1000
#define MAX_FILTER 10000

static char *
statement_of(const char *text)
{
	return psprintf("SELECT e.ord::pg_catalog.int4"
					" FROM unnest($1, $2) WITH ORDINALITY AS e(event, data, ord)"
					" WHERE (\n%s\n)",
					text);
}

void
filter_check(const char *text)
{
	Oid types[] = {JSONBARRAYOID, JSONBARRAYOID};
	int level;

	if (strlen(text) > MAX_FILTER)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the filter of a webhook is too long"),
				 errdetail("It has %zu bytes, of %d.", strlen(text), MAX_FILTER)));
	author_check_expression("filter of a webhook", text);
	level = author_strings();
	SPI_connect();
	if (SPI_prepare(statement_of(text), lengthof(types), types) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR), errmsg("could not prepare the filter of a webhook")));
	SPI_finish();
	AtEOXact_GUC(true, level);
}

typedef struct Trial
{
	const char	  *statement;
	Datum		   events; /* arrays of jsonb */
	Datum		   data;
	int			   n;
	FilterVerdict *verdicts;
} Trial;

static void
evaluate(void *arg)
{
	Trial *trial = arg;
	Oid	   types[] = {JSONBARRAYOID, JSONBARRAYOID};
	Datum  values[] = {trial->events, trial->data};

	SPI_connect();
	SPI_execute_with_args(trial->statement, lengthof(types), types, values, NULL, true, 0);
	for (int i = 0; i < trial->n; i++)
		trial->verdicts[i] = FILTER_NO;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		int	 ord =
			DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		trial->verdicts[ord - 1] = FILTER_YES;
	}
	SPI_finish();
}

static Datum
jsonb_array(Datum *values, int n)
{
	return PointerGetDatum(construct_array(values, n, JSONBOID, -1, false, TYPALIGN_INT));
}

static ErrorData *
attempt(const Filter *filter, int n, Datum *events, Datum *data, FilterVerdict *verdicts, int ms)
{
	Trial trial = {.statement = statement_of(filter->text),
				   .events = jsonb_array(events, n),
				   .data = jsonb_array(data, n),
				   .n = n,
				   .verdicts = verdicts};

	return author_run(&filter->author, ms, evaluate, &trial);
}

static const char *
judge_each(const Filter *filter, int n, Datum *events, Datum *data, FilterVerdict *verdicts,
		   TimestampTz until, bool *timed_out)
{
	const char *message = NULL;

	for (int i = 0; i < n && !*timed_out; i++)
	{
		long	   left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
		ErrorData *error = attempt(filter, 1, events + i, data + i, verdicts + i, (int) Max(left, 1));

		if (error == NULL)
			continue;
		verdicts[i] = FILTER_BROKEN;
		message = error->message;
		*timed_out = error->sqlerrcode == ERRCODE_QUERY_CANCELED;
	}
	return message;
}

const char *
filter_judge(const Filter *filter, int n, Datum *events, Datum *data, FilterVerdict *verdicts,
			 bool *timed_out)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FILTER_MS);
	ErrorData  *error = attempt(filter, n, events, data, verdicts, FILTER_MS);
	const char *message = NULL;

	*timed_out = error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED;
	if (error != NULL && !*timed_out)
		message = judge_each(filter, n, events, data, verdicts, until, timed_out);
	return *timed_out ? FILTER_REASON "took longer than a second" : message;
}
