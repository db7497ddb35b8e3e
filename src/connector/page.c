/*-------------------------------------------------------------------------
 *
 * page.c
 *		Decodes a JSON collection into a page of cells, in one pass and in
 *		place.
 *
 * No document is built.  Three things make it fast: strings are scanned
 * sixteen bytes at a time for the only bytes that matter (json.h); members are
 * expected in the order in which earlier rows had them, so that a name is
 * usually found with one comparison; and what nobody asked for is checked but
 * not kept.
 *
 * The bytes come from the network, see json.h for what keeps the reading
 * inside of them.  Whether a page has the rows that it claims is its reader's
 * business.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/page.h"

#include <stdlib.h>

#include "connector/json.h"

#define FIRST_CAPACITY 128

/* Unwanted members worth remembering, and how far ahead one is looked for. */
#define UNWANTED_MEMBERS 64
#define LOOK_AHEAD 64

#define NO_COLUMN (-1)

typedef struct ColumnName
{
	char  *text; /* in lower case */
	size_t len;
} ColumnName;

struct PageColumns
{
	int			n;
	ColumnName *names;
	size_t		mask;  /* slots - 1, a power of two less one */
	int		   *slots; /* open addressing: column or NO_COLUMN */
};

/* A member that an earlier row of the body had. */
typedef struct Member
{
	const char *name; /* points into the body */
	size_t		len;
	int			column; /* or NO_COLUMN: not wanted */
} Member;

typedef struct Decoder
{
	Json			   json;
	CellPage		  *page;
	const PageColumns *columns; /* NULL: whole objects are wanted */
	int				   max_rows;

	/* Members in the order in which they are likely to come. */
	Member *members;
	int		nmembers;
	int		max_members;
	int		next;	/* the one expected now */
	int	   *places; /* per column: index in members or -1 */
} Decoder;

/* ------------------------------------------------------------------------
 * Columns
 * ------------------------------------------------------------------------
 */

static inline char
lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char) (c + ('a' - 'A')) : c;
}

static size_t
hash_name(const char *name, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) lower(name[i])) * 16777619u;
	return hash ^ (hash >> 15);
}

static bool
same_name(const ColumnName *column, const char *name, size_t len)
{
	if (column->len != len)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (column->text[i] != lower(name[i]))
			return false;
	}
	return true;
}

static int
find_column(const PageColumns *columns, const char *name, size_t len)
{
	size_t slot = hash_name(name, len) & columns->mask;

	while (columns->slots[slot] != NO_COLUMN)
	{
		if (same_name(&columns->names[columns->slots[slot]], name, len))
			return columns->slots[slot];
		slot = (slot + 1) & columns->mask;
	}
	return NO_COLUMN;
}

static bool
add_column(PageColumns *columns, const char *name)
{
	size_t len = strlen(name);
	char  *text = malloc(len + 1);
	size_t slot = hash_name(name, len) & columns->mask;

	if (text == NULL)
		return false;
	for (size_t i = 0; i <= len; i++)
		text[i] = lower(name[i]);
	while (columns->slots[slot] != NO_COLUMN)
		slot = (slot + 1) & columns->mask;
	columns->slots[slot] = columns->n;
	columns->names[columns->n].text = text;
	columns->names[columns->n].len = len;
	columns->n++;
	return true;
}

PageColumns *
page_columns_create(const char *const *names, int n)
{
	PageColumns *columns = calloc(1, sizeof(PageColumns));
	size_t		 nslots = 4;

	if (columns == NULL)
		return NULL;
	while (nslots < (size_t) n * 2)
		nslots *= 2;
	columns->mask = nslots - 1;
	columns->names = calloc((size_t) n + 1, sizeof(ColumnName));
	columns->slots = malloc(nslots * sizeof(int));
	if (columns->names == NULL || columns->slots == NULL)
	{
		page_columns_free(columns);
		return NULL;
	}
	for (size_t i = 0; i < nslots; i++)
		columns->slots[i] = NO_COLUMN;
	for (int i = 0; i < n; i++)
	{
		if (!add_column(columns, names[i]))
		{
			page_columns_free(columns);
			return NULL;
		}
	}
	return columns;
}

void
page_columns_free(PageColumns *columns)
{
	if (columns == NULL)
		return;
	for (int i = 0; i < columns->n; i++)
		free(columns->names[i].text);
	free(columns->names);
	free(columns->slots);
	free(columns);
}

/* ------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------
 */

static inline bool
same_bytes(const char *a, const char *b, size_t len)
{
	uint64_t x;
	uint64_t y;

	if (len < 8)
	{
		for (size_t i = 0; i < len; i++)
		{
			if (a[i] != b[i])
				return false;
		}
		return true;
	}
	for (size_t i = 0; i + 8 < len; i += 8)
	{
		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		if (x != y)
			return false;
	}
	memcpy(&x, a + len - 8, 8);
	memcpy(&y, b + len - 8, 8);
	return x == y;
}

/*
 * remember_member
 *		Expects this member here from now on.
 */
static void
remember_member(Decoder *d, const char *name, size_t len, int column)
{
	if (d->nmembers == d->max_members)
		return;
	for (int i = d->nmembers; i > d->next; i--)
	{
		d->members[i] = d->members[i - 1];
		if (d->members[i].column != NO_COLUMN)
			d->places[d->members[i].column] = i;
	}
	d->nmembers++;
	d->members[d->next].name = name;
	d->members[d->next].len = len;
	d->members[d->next].column = column;
	if (column != NO_COLUMN)
		d->places[column] = d->next;
	d->next++;
}

/*
 * find_member
 *		Reads a member's name whose opening quote is before p and says which
 *		column it is.  Stops behind the closing quote.
 *
 *		Members that are NULL are left out by the source, so the expected one
 *		may be missing: those after it are tried before the name is looked up.
 */
static inline char *
find_member(Decoder *d, char *p, int *column)
{
	size_t left = (size_t) (d->json.end - p);
	int	   stop = d->next + LOOK_AHEAD;
	char  *tail;
	char  *q;

	if (stop > d->nmembers)
		stop = d->nmembers;
	for (int i = d->next; i < stop; i++)
	{
		const Member *m = &d->members[i];

		if (m->len < left && p[m->len] == '"' && same_bytes(p, m->name, m->len))
		{
			d->next = i + 1;
			*column = m->column;
			return p + m->len + 1;
		}
	}

	q = tail = json_scan_string(p, d->json.end);
	if (*q == '\\' && (q = json_undo_escapes(&d->json, q, &tail)) == NULL)
		return NULL;
	if (*q != '"')
		return json_fail_string(&d->json, q);
	*column = find_column(d->columns, p, (size_t) (tail - p));
	if (*column != NO_COLUMN && d->places[*column] >= 0)
		d->next = d->places[*column] + 1;
	else if (tail == q)
		remember_member(d, p, (size_t) (tail - p), *column);
	return q + 1;
}

/*
 * name_column
 *		Adds the place in the page to an error.  A name is cut between two
 *		characters.
 */
static char *
name_column(Decoder *d, int column)
{
	const ColumnName *name = &d->columns->names[column];
	char			 *message = d->json.error->message;
	size_t			  used = strlen(message);
	size_t			  len = name->len < 63 ? name->len : 63;

	while (len > 0 && len < name->len && ((unsigned char) name->text[len] & 0xc0) == 0x80)
		len--;
	snprintf(message + used, sizeof(d->json.error->message) - used, " in column \"%.*s\" of row %d",
			 (int) len, name->text, d->page->nrows + 1);
	return NULL;
}

static inline char *
decode_string(Decoder *d, char *p, Cell *cell, int column)
{
	char *q = json_scan_string(p, d->json.end);
	char *tail = q;

	if (*q == '\\' && (q = json_undo_escapes(&d->json, q, &tail)) == NULL)
		return name_column(d, column);
	if (*q != '"')
	{
		json_fail_string(&d->json, q);
		return name_column(d, column);
	}
	*tail = '\0';
	cell->text = p;
	cell->len = (uint32_t) (tail - p);
	cell->quoted = true;
	return q + 1;
}

/*
 * decode_bare
 *		A value without quotes.  The byte behind it is still needed: it is
 *		returned in *open, to be set to NUL once it has been read.
 */
static char *
decode_bare(Decoder *d, char *p, Cell *cell, char **open)
{
	char *q = json_skip_value(&d->json, p, 3);

	if (q == NULL)
		return NULL;
	memset(cell, 0, sizeof(Cell));
	if (*p == 'n')
		return q;
	cell->text = p;
	cell->len = (uint32_t) (q - p);
	*open = q;
	return q;
}

/*
 * decode_row
 *		From a row's opening brace to behind its closing one.
 */
static char *
decode_row(Decoder *d, char *p, Cell *cells)
{
	d->next = 0;
	p = json_skip_space(p + 1);
	if (*p == '}')
		return p + 1;
	for (;;)
	{
		char *open = NULL;
		int	  column = NO_COLUMN;

		if (*p != '"')
			return json_fail_unexpected(&d->json, p, "a member");
		p = find_member(d, p + 1, &column);
		if (p == NULL)
			return NULL;
		p = json_skip_space(p);
		if (*p != ':')
			return json_fail_unexpected(&d->json, p, "\":\"");
		p = json_skip_space(p + 1);

		if (column == NO_COLUMN)
			p = json_skip_value(&d->json, p, 3);
		else if (*p == '"')
			p = decode_string(d, p + 1, &cells[column], column);
		else
			p = decode_bare(d, p, &cells[column], &open);
		if (p == NULL)
			return NULL;

		p = json_skip_space(p);
		if (*p == ',')
			p = json_skip_space(p + 1);
		else if (*p == '}')
		{
			if (open != NULL)
				*open = '\0';
			return p + 1;
		}
		else
			return json_fail_unexpected(&d->json, p, "\",\" or \"}\"");
		if (open != NULL)
			*open = '\0';
	}
}

/* The cells of the next row, all NULL; NULL when there is no memory or too many rows. */
static Cell *
new_row(Decoder *d, const char *at)
{
	CellPage *page = d->page;
	size_t	  width = (size_t) page->ncolumns * sizeof(Cell);
	Cell	 *row;

	if (page->nrows >= d->max_rows)
	{
		json_fail(&d->json, at, "more than %d rows", d->max_rows);
		return NULL;
	}
	if (page->nrows >= page->capacity || page->cells == NULL)
	{
		size_t capacity =
			page->capacity < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : (size_t) page->capacity * 2;
		Cell *cells;

		if (capacity > (size_t) d->max_rows)
			capacity = (size_t) d->max_rows;
		cells = realloc(page->cells, capacity * width + 1);
		if (cells == NULL)
		{
			json_fail(&d->json, at, "out of memory");
			return NULL;
		}
		page->cells = cells;
		page->capacity = (int) capacity;
	}
	row = page->cells + (size_t) page->nrows * (size_t) page->ncolumns;
	memset(row, 0, width);
	return row;
}

/* A row as one cell that holds the object's text. */
static char *
decode_object(Decoder *d, char *p, Cell *cell)
{
	char *q = json_skip_value(&d->json, p, 2);

	if (q == NULL)
		return NULL;
	cell->text = p;
	cell->len = (uint32_t) (q - p);
	return q;
}

/*
 * decode_items
 *		The array of rows.  When the body has it twice the last one counts.
 */
static char *
decode_items(Decoder *d, char *p)
{
	d->page->nrows = 0;
	if (*p != '[')
		return json_fail_unexpected(&d->json, p, "the array \"items\"");
	p = json_skip_space(p + 1);
	if (*p == ']')
		return p + 1;
	for (;;)
	{
		Cell *row;
		char *open = NULL;
		bool  last;

		if (*p != '{')
			return json_fail_unexpected(&d->json, p, "a row");
		row = new_row(d, p);
		if (row == NULL)
			return NULL;
		if (d->columns != NULL)
			p = decode_row(d, p, row);
		else
			open = p = decode_object(d, p, row);
		if (p == NULL)
			return NULL;
		d->page->nrows++;

		p = json_skip_space(p);
		last = (*p == ']');
		if (!last && *p != ',')
			return json_fail_unexpected(&d->json, p, "\",\" or \"]\"");
		if (open != NULL)
			*open = '\0';
		if (last)
			return p + 1;
		p = json_skip_space(p + 1);
	}
}

/* ------------------------------------------------------------------------
 * The collection around them
 * ------------------------------------------------------------------------
 */

static char *
decode_counter(Decoder *d, char *p, const char *name, int64_t *counter)
{
	char   *start = p;
	int64_t value = 0;

	*counter = -1;
	if (json_starts_with(&d->json, p, "null", 4))
		return p + 4;
	p = json_skip_value(&d->json, p, 1);
	if (p == NULL)
		return NULL;
	for (char *q = start; q < p; q++)
	{
		if (!json_is_digit(*q) || value > (INT64_MAX - 9) / 10)
			return json_fail(&d->json, start, "\"%s\" is not a number of rows", name);
		value = value * 10 + (*q - '0');
	}
	*counter = value;
	return p;
}

static char *
decode_has_more(Decoder *d, char *p)
{
	bool more = (*p == 't');

	if (*p != 't' && *p != 'f' && *p != 'n')
		return json_fail_unexpected(&d->json, p, "true or false");
	p = json_skip_value(&d->json, p, 1);
	if (p != NULL)
		d->page->has_more = more;
	return p;
}

/* The value of a member of the collection. */
static char *
decode_member(Decoder *d, char *p, const char *name, size_t len, bool *items)
{
	CellPage *page = d->page;

#define IS(word) (len == sizeof(word) - 1 && memcmp(name, word, len) == 0)
	if (IS("items"))
	{
		*items = true;
		return decode_items(d, p);
	}
	if (IS("hasMore"))
		return decode_has_more(d, p);
	if (IS("totalResults"))
		return decode_counter(d, p, "totalResults", &page->total_results);
	if (IS("count"))
		return decode_counter(d, p, "count", &page->count);
	if (IS("offset"))
		return decode_counter(d, p, "offset", &page->offset);
#undef IS
	return json_skip_value(&d->json, p, 1);
}

/* The collection's opening brace is before p. */
static char *
decode_members(Decoder *d, char *p, bool *items)
{
	p = json_skip_space(p);
	if (*p == '}')
		return p + 1;
	for (;;)
	{
		char *name = p + 1;
		char *tail;

		if (*p != '"')
			return json_fail_unexpected(&d->json, p, "a member");
		p = tail = json_scan_string(name, d->json.end);
		if (*p == '\\' && (p = json_undo_escapes(&d->json, p, &tail)) == NULL)
			return NULL;
		if (*p != '"')
			return json_fail_string(&d->json, p);
		p = json_skip_space(p + 1);
		if (*p != ':')
			return json_fail_unexpected(&d->json, p, "\":\"");
		p = decode_member(d, json_skip_space(p + 1), name, (size_t) (tail - name), items);
		if (p == NULL)
			return NULL;
		p = json_skip_space(p);
		if (*p == '}')
			return p + 1;
		if (*p != ',')
			return json_fail_unexpected(&d->json, p, "\",\" or \"}\"");
		p = json_skip_space(p + 1);
	}
}

static char *
decode_body(Decoder *d)
{
	char *p = json_skip_space(d->json.body);
	bool  items = false;

	if (*p != '{')
		return json_fail_unexpected(&d->json, p, "a collection");
	p = decode_members(d, p + 1, &items);
	if (p == NULL)
		return NULL;
	p = json_skip_space(p);
	if (p != d->json.end)
		return json_fail(&d->json, p, "bytes behind the end of the collection");
	if (!items)
		return json_fail(&d->json, p, "\"items\" is missing");
	return p;
}

/* An empty page; its cells are kept for another row width. */
static void
reset_page(CellPage *page, int ncolumns)
{
	if (page->ncolumns != ncolumns)
	{
		size_t cells = (size_t) page->capacity * (size_t) page->ncolumns;

		page->capacity = ncolumns > 0 ? (int) (cells / (size_t) ncolumns) : 0;
		page->ncolumns = ncolumns;
	}
	page->nrows = 0;
	page->has_more = false;
	page->total_results = -1;
	page->count = -1;
	page->offset = -1;
}

static bool
allocate_members(Decoder *d)
{
	int n = d->columns == NULL ? 0 : d->columns->n;

	d->max_members = n + UNWANTED_MEMBERS;
	d->members = malloc((size_t) d->max_members * sizeof(Member));
	d->places = malloc(((size_t) n + 1) * sizeof(int));
	if (d->members == NULL || d->places == NULL)
		return false;
	for (int i = 0; i < n; i++)
		d->places[i] = -1;
	return true;
}

static bool
decode(Decoder *d, int ncolumns, size_t len)
{
	bool done = false;

	reset_page(d->page, ncolumns);
	d->json.error->message[0] = '\0';
	d->json.error->offset = 0;
	d->json.error->bad_text = false;
	if (len >= UINT32_MAX)
		json_fail(&d->json, d->json.body, "body is too large");
	else if (!allocate_members(d))
		json_fail(&d->json, d->json.body, "out of memory");
	else
		done = (decode_body(d) != NULL);
	free(d->members);
	free(d->places);
	if (!done)
		reset_page(d->page, ncolumns);
	return done;
}

bool
page_decode(CellPage *page, const PageColumns *columns, char *body, size_t len, int max_rows,
			PageError *error)
{
	Decoder d = {.json = {body, body + len, error}, .page = page, .columns = columns};

	d.max_rows = max_rows;
	return decode(&d, columns->n, len);
}

bool
page_decode_objects(CellPage *page, char *body, size_t len, int max_rows, PageError *error)
{
	Decoder d = {.json = {body, body + len, error}, .page = page, .columns = NULL};

	d.max_rows = max_rows;
	return decode(&d, 1, len);
}

void
page_free(CellPage *page)
{
	free(page->cells);
	memset(page, 0, sizeof(CellPage));
}
