/*-------------------------------------------------------------------------
 *
 * page.h
 *		A page of rows: text cells in query-column order, and the decoder
 *		that fills one from a JSON collection.
 *
 * Does not include postgres.h: the decoder reads bytes from the network and
 * is fuzzed and tested outside a server.  It works in place: cells point into
 * the body they were decoded from, whose escapes are undone where they stand.
 *
 * The byte before every cell and the byte behind it belong to the cell's
 * quotes in the body and may be overwritten by whoever owns the page: the
 * byte behind is set to NUL by the decoder; the byte before is free for a
 * one-byte varlena header.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_PAGE_H
#define MAKINI_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Cell
{
	char	*text; /* NULL: SQL NULL.  NUL-terminated, but may hold NULs: see len */
	uint32_t len;
	bool	 quoted; /* was a JSON string: the byte before it is free */
} Cell;

typedef struct CellPage
{
	int		nrows;
	int		ncolumns;
	int		capacity;	   /* rows that cells has room for */
	Cell   *cells;		   /* nrows * ncolumns, row by row */
	bool	has_more;	   /* from a connector: another page will come */
	int64_t total_results; /* -1: not said */
	int64_t count;		   /* what the page says of itself, -1: not said */
	int64_t offset;		   /* -1: not said */
} CellPage;

/* Why a body could not be decoded; offset is where. */
typedef struct PageError
{
	char   message[160]; /* lower-case, no period; names the column where there is one */
	size_t offset;
	bool   bad_text; /* \u0000 or a lone surrogate: JSON, but no text */
} PageError;

/*
 * The columns to pick: names are matched without regard to ASCII case; members
 * not named are skipped.  Made once per scan by page_columns_create.
 */
typedef struct PageColumns PageColumns;

/* malloc'd; NULL when out of memory.  names are copied. */
extern PageColumns *page_columns_create(const char *const *names, int n);
extern void			page_columns_free(PageColumns *columns);

/*
 * page_decode
 *		Decode a collection {"items": [...], "hasMore": ..., "totalResults":
 *		..., "count": ..., "offset": ...}; members may come in any order, others
 *		are skipped.  body must be NUL-terminated at body[len] and is modified.
 *		page->cells is grown with realloc and reused from page to page.
 *
 *		String values become cells without their quotes, escapes undone (UTF-8);
 *		\u0000 and lone surrogates are errors naming the column.  Numbers and
 *		booleans become cells with their own text; null and a missing member
 *		are NULL; an object or array becomes a cell with its JSON text.  When a
 *		member appears twice in a row the last one counts.
 *
 *		items missing, a torn body, bytes behind the end, nesting deeper than
 *		64 and more rows than max_rows are errors.  Returns false and fills
 *		error; the page is then empty.
 */
extern bool page_decode(CellPage *page, const PageColumns *columns, char *body, size_t len,
						int max_rows, PageError *error);

/*
 * page_decode_objects
 *		The same collection, but one cell per row holding the object's own JSON
 *		text (page->ncolumns = 1), nothing undone.
 */
extern bool page_decode_objects(CellPage *page, char *body, size_t len, int max_rows, PageError *error);

extern void page_free(CellPage *page); /* frees the cells, not the struct */

#endif /* MAKINI_PAGE_H */
