/*-------------------------------------------------------------------------
 *
 * filter_text.h
 *		Conditions that people give as text, made into filters.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_FILTER_TEXT_H
#define MAKINI_FILTER_TEXT_H

#include "postgres.h"

#include "nodes/primnodes.h"

#include "connector/table.h"

/* A condition over the columns of one foreign table. */
typedef struct TextFilter
{
	Expr   *expr;	/* its Vars have varno 1 */
	Filter *filter; /* the same for the connector; NULL where it can never hold */
	bool	exact;	/* rows that the connector lets through need no second look */
} TextFilter;

/*
 * filter_parse
 *		Parse a text as exactly one boolean expression over the table's columns,
 *		made of built-in functions, all of which can travel.  Raises 42601, 42703,
 *		42804 and 0A000; name is what messages call it.
 */
extern TextFilter *filter_parse(Table *table, const char *text, const char *name);

#endif /* MAKINI_FILTER_TEXT_H */
