/*-------------------------------------------------------------------------
 *
 * filter.h
 *		Filters, values and columns of queries that makini itself makes up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_FILTER_H
#define MAKINI_FILTER_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "connector/connector.h"

extern Filter *filter_new(FilterKind kind, int source, SourceColumn *column);

/* column op value, which is in canonical text */
extern Filter *filter_compare(CompareOp op, int source, SourceColumn *column, const char *text);

/* column = any of these canonical texts (List of char *) */
extern Filter *filter_in(int source, SourceColumn *column, List *texts);

/* Both, or either; NULL is no condition at all. */
extern Filter *filter_both(FilterKind kind, Filter *a, Filter *b);

/* The canonical text of a moment, in UTC; raises 22008. */
extern char *filter_moment(Timestamp moment);

/* One more column for a query to answer. */
extern void query_add_column(RemoteQuery *query, SourceColumn *column);

/* A column of the catalogue as queries use it; NULL where there is none of that name. */
extern SourceColumn *source_column_of_entity(const Entity *entity, const char *name);

#endif /* MAKINI_FILTER_H */
