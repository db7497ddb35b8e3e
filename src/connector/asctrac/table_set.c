/*-------------------------------------------------------------------------
 *
 * table_set.c
 *		Rows out of the XML that .NET writes of a table set.
 *
 *	<NewDataSet>
 *		<LOCITEMS><SKIDID>1</SKIDID><EXPDATE>2026-01-31T00:00:00-05:00</EXPDATE></LOCITEMS>
 *		...
 *	</NewDataSet>
 *
 * Just this form is read, and strictly: no document type, no CDATA, no
 * entities but the five of XML and numbers, attributes only to be skipped.
 * That makes it small enough to be sure of.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/asctrac/table_set.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "connector/utf8.h"

#define ROOT "NewDataSet"
#define FIRST_CAPACITY 64
#define MAX_DEPTH 32

typedef struct Xml
{
	const char		  *begin;
	const char		  *end;
	CellPage		  *page;
	const char *const *names;
	int				   n;
	const char		  *row;
	int				   max_rows;
	PageError		  *error;
} Xml;

/* An element's tag as it was read. */
typedef struct Tag
{
	char  *name;
	size_t len;
	bool   closing; /* </a> */
	bool   empty;	/* <a/> */
} Tag;

static char *fail(Xml *xml, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static char *
fail(Xml *xml, const char *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(xml->error->message, sizeof(xml->error->message), format, args);
	va_end(args);
	xml->error->offset = (size_t) (at - xml->begin);
	return NULL;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char *
skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static bool
is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		c == '-' || c == '.' || c == ':' || (unsigned char) c >= 0x80;
}

static bool
tag_is(const Tag *tag, const char *name)
{
	return strlen(name) == tag->len && strncasecmp(tag->name, name, tag->len) == 0;
}

static char *
skip_attributes(Xml *xml, char *p)
{
	for (p = skip_blanks(p); is_name_byte(*p); p = skip_blanks(p))
	{
		char quote;

		while (is_name_byte(*p))
			p++;
		p = skip_blanks(p);
		if (*p != '=')
			return fail(xml, p, "an attribute has no value");
		p = skip_blanks(p + 1);
		quote = *p;
		if (quote != '"' && quote != '\'')
			return fail(xml, p, "an attribute's value is not quoted");
		p = memchr(p + 1, quote, (size_t) (xml->end - p - 1));
		if (p == NULL)
			return fail(xml, xml->end, "an attribute's value does not end");
		p++;
	}
	return p;
}

/* Reads <a>, </a> or <a/>; p stands on its first byte. */
static char *
read_tag(Xml *xml, char *p, Tag *tag)
{
	memset(tag, 0, sizeof(Tag));
	if (*p != '<')
		return fail(xml, p, "an element was expected");
	p++;
	if (*p == '/')
	{
		tag->closing = true;
		p++;
	}
	tag->name = p;
	while (is_name_byte(*p))
		p++;
	tag->len = (size_t) (p - tag->name);
	if (tag->len == 0)
		return fail(xml, p, "an element has no name");
	p = tag->closing ? skip_blanks(p) : skip_attributes(xml, p);
	if (p == NULL)
		return NULL;
	if (*p == '/' && !tag->closing)
	{
		tag->empty = true;
		p++;
	}
	if (*p != '>')
		return fail(xml, p, "an element's tag does not end");
	return p + 1;
}

/* ---- text ---- */

/* Every way of writing a character is at least as long as the character. */
static char *
undo_number(Xml *xml, char *p, char **to)
{
	int		 base = p[2] == 'x' ? 16 : 10;
	char	*digits = p + (base == 16 ? 3 : 2);
	char	*end = digits;
	uint32_t c = 0;

	for (; *end != ';'; end++)
	{
		int digit = hex_digit(*end);

		if (digit < 0 || digit >= base || end - digits >= 8)
			return fail(xml, p, "a character reference is not well formed");
		c = c * (uint32_t) base + (uint32_t) digit;
	}
	if (end == digits || c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
	{
		xml->error->bad_text = true;
		return fail(xml, p, "a character reference names no character");
	}
	*to = utf8_put(*to, c);
	return end + 1;
}

static char *
undo_entity(Xml *xml, char *p, char **to)
{
	static const struct
	{
		const char *text;
		char		c;
	} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

	if (p[1] == '#')
		return undo_number(xml, p, to);
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
	{
		size_t len = strlen(entities[i].text);

		if (strncmp(p, entities[i].text, len) == 0)
		{
			*(*to)++ = entities[i].c;
			return p + len;
		}
	}
	return fail(xml, p, "an entity is not known");
}

/* The text up to the next tag, undone where it stands; *end is where it then ends. */
static char *
read_text(Xml *xml, char *p, char **end)
{
	char *to = p;

	while (*p != '<')
	{
		if (*p == '\0')
			return fail(xml, p, p == xml->end ? "the text is torn" : "there is a NUL in the text");
		if (*p == '&')
		{
			p = undo_entity(xml, p, &to);
			if (p == NULL)
				return NULL;
		}
		else
			*to++ = *p++;
	}
	*end = to;
	return p;
}

/* ---- elements ---- */

/* Behind the end of an element whose opening tag was read. */
static char *
skip_element(Xml *xml, char *p, const Tag *open, int depth)
{
	Tag tag;

	if (open->empty)
		return p;
	if (depth > MAX_DEPTH)
		return fail(xml, p, "elements are nested too deeply");
	for (;;)
	{
		p = memchr(p, '<', (size_t) (xml->end - p));
		if (p == NULL)
			return fail(xml, xml->end, "element \"%.*s\" does not end",
						(int) (open->len > 60 ? 60 : open->len), open->name);
		p = read_tag(xml, p, &tag);
		if (p == NULL)
			return NULL;
		if (tag.closing)
			return tag.len == open->len && memcmp(tag.name, open->name, tag.len) == 0 ?
				p :
				fail(xml, p, "an element ends that did not begin");
		p = skip_element(xml, p, &tag, depth + 1);
		if (p == NULL)
			return NULL;
	}
}

static int
find_name(const Xml *xml, const Tag *tag)
{
	for (int i = 0; i < xml->n; i++)
	{
		if (tag_is(tag, xml->names[i]))
			return i;
	}
	return -1;
}

/* A column: text, and nothing else. */
static char *
read_column(Xml *xml, char *p, const Tag *open, Cell *cell)
{
	char *text = p;
	char *end = p;
	Tag	  tag;

	if (open->empty)
	{
		cell->text = open->name + open->len;
		*cell->text = '\0';
		cell->len = 0;
		cell->quoted = true;
		return p;
	}
	p = read_text(xml, p, &end);
	if (p == NULL)
		return NULL;
	p = read_tag(xml, p, &tag);
	if (p == NULL)
		return NULL;
	if (!tag.closing || tag.len != open->len || memcmp(tag.name, open->name, tag.len) != 0)
		return fail(xml, p, "column \"%.*s\" holds more than text",
					(int) (open->len > 60 ? 60 : open->len), open->name);
	*end = '\0';
	cell->text = text;
	cell->len = (uint32_t) (end - text);

	/* The byte before the text is the > of its tag. */
	cell->quoted = true;
	return p;
}

/* The next element inside another, or that one's closing tag. */
static char *
read_child(Xml *xml, char *p, const char *parent, Tag *tag)
{
	p = read_tag(xml, skip_blanks(p), tag);
	if (p == NULL || !tag->closing || tag_is(tag, parent))
		return p;
	return fail(xml, p, "an element ends that did not begin");
}

static char *
read_row(Xml *xml, char *p, const Tag *open, Cell *cells)
{
	Tag tag;
	int column;

	if (open->empty)
		return p;
	for (;;)
	{
		p = read_child(xml, p, xml->row, &tag);
		if (p == NULL || tag.closing)
			return p;
		column = find_name(xml, &tag);
		p = column < 0 ? skip_element(xml, p, &tag, 1) : read_column(xml, p, &tag, &cells[column]);
		if (p == NULL)
			return NULL;
	}
}

static Cell *
new_row(Xml *xml, const char *at)
{
	CellPage *page = xml->page;

	if (page->nrows >= xml->max_rows)
	{
		fail(xml, at, "there are more than %d rows", xml->max_rows);
		return NULL;
	}
	if (page->nrows >= page->capacity)
	{
		int	  capacity = page->capacity > 0 ? page->capacity * 2 : FIRST_CAPACITY;
		Cell *cells =
			realloc(page->cells, (size_t) capacity * (size_t) (page->ncolumns + 1) * sizeof(Cell));

		if (cells == NULL)
		{
			fail(xml, at, "out of memory");
			return NULL;
		}
		page->cells = cells;
		page->capacity = capacity;
	}
	memset(&page->cells[(size_t) page->nrows * (size_t) page->ncolumns], 0,
		   (size_t) page->ncolumns * sizeof(Cell));
	return &page->cells[(size_t) page->nrows++ * (size_t) page->ncolumns];
}

static char *
read_rows(Xml *xml, char *p, const Tag *open)
{
	Tag tag;

	if (open->empty)
		return p;
	for (;;)
	{
		p = read_child(xml, p, ROOT, &tag);
		if (p == NULL || tag.closing)
			return p;
		if (tag_is(&tag, xml->row))
		{
			Cell *cells = new_row(xml, p);

			p = cells == NULL ? NULL : read_row(xml, p, &tag, cells);
		}
		else
			p = skip_element(xml, p, &tag, 1);
		if (p == NULL)
			return NULL;
	}
}

static char *
read_document(Xml *xml, char *p)
{
	Tag tag;

	p = skip_blanks(p);
	if (strncmp(p, "<?xml", 5) == 0)
	{
		p = strstr(p, "?>");
		if (p == NULL)
			return fail(xml, xml->end, "the declaration does not end");
		p = skip_blanks(p + 2);
	}
	p = read_tag(xml, p, &tag);
	if (p == NULL)
		return NULL;
	if (tag.closing || !tag_is(&tag, ROOT))
		return fail(xml, p, "it does not begin with " ROOT);
	p = read_rows(xml, p, &tag);
	if (p == NULL)
		return NULL;
	p = skip_blanks(p);
	return p == xml->end ? p : fail(xml, p, "something follows the table set");
}

bool
table_set_decode(CellPage *page, const char *const *names, int n, const char *row, char *text,
				 size_t len, int max_rows, PageError *error)
{
	Xml xml = {text, text + len, page, names, n, row, max_rows, error};

	memset(error, 0, sizeof(PageError));
	if (page->ncolumns != n)
	{
		free(page->cells);
		memset(page, 0, sizeof(CellPage));
		page->ncolumns = n;
	}
	page->nrows = 0;
	page->has_more = false;
	if (read_document(&xml, text) != NULL)
		return true;
	page->nrows = 0;
	return false;
}
