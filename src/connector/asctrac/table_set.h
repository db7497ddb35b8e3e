/*-------------------------------------------------------------------------
 *
 * table_set.h
 *		Rows out of the XML that .NET writes of a table set.
 *
 * Does not include postgres.h: it reads bytes from the network and is fuzzed
 * and tested outside a server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_TABLE_SET_H
#define MAKINI_TABLE_SET_H

#include "connector/page.h"

/*
 * table_set_decode
 *		Decode <NewDataSet> with its rows, elements named row whose own elements
 *		are columns; others are skipped, a schema written in front among them.
 *		names are matched without regard to ASCII case; a column that is not there is
 *		NULL.  text must be NUL-terminated at text[len] and is modified: cells
 *		point into it, entities undone.  page->cells is grown with realloc.
 *
 *		Returns false and fills error when the text is not of that form; the
 *		page is then empty.
 */
extern bool table_set_decode(CellPage *page, const char *const *names, int n, const char *row,
							 char *text, size_t len, int max_rows, PageError *error);

#endif /* MAKINI_TABLE_SET_H */
