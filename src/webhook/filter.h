/*-------------------------------------------------------------------------
 *
 * filter.h
 *		An SQL condition over events, run as its author.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_FILTER_H
#define MAKINI_FILTER_H

#include "postgres.h"

#include "event/author.h"

typedef enum FilterVerdict
{
	FILTER_NO,
	FILTER_YES,
	FILTER_BROKEN
} FilterVerdict;

typedef struct Filter
{
	const char *text;
	Author		author;
} Filter;

/* With this begin the reasons for which a webhook is disabled because of its filter. */
#define FILTER_REASON "the filter "

/* Raises unless the text is one boolean expression over event and data that the current user may evaluate. */
extern void filter_check(const char *text);

/*
 * filter_judge
 *		Judge n events at once, within a second.  Where a filter fails, the events
 *		that it fails for are told from the others; the error that was raised last
 *		is given, in CurrentMemoryContext, else NULL.  timed_out: it took too
 *		long, and none was judged.
 */
extern const char *filter_judge(const Filter *filter, int n, Datum *events, Datum *data,
								FilterVerdict *verdicts, bool *timed_out);

#endif /* MAKINI_FILTER_H */
