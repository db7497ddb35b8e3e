/*-------------------------------------------------------------------------
 *
 * test_array.c
 *		TAP tests of the reader of one long array.
 *
 *		cc -Isrc test/unit/test_array.c src/connector/array.c src/connector/page.c
 *
 * Each body is given in pieces of several sizes: what comes out may not depend
 * on them.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/array.h"

#include <stdlib.h>

#include "connector/page.h"
#include "tap.h"

static const char *const names[] = {"a", "b"};

static int
put_rows(char *out, CellPage *page, PageColumns *columns, char *chunk, size_t len)
{
	PageError error;

	if (!page_decode(page, columns, chunk, len, 1000, &error))
	{
		strcat(out, "! ");
		strcat(out, error.message);
		return 0;
	}
	for (int i = 0; i < page->nrows; i++)
	{
		strcat(out, page->cells[i * 2].text ? page->cells[i * 2].text : "null");
		strcat(out, " ");
	}
	return 1;
}

/* The texts of column a of all rows, joined by blanks, or what is wrong. */
static char *
read_body(const char *body, size_t chunk_size, size_t piece, int *chunks)
{
	ArrayReader *reader = array_create(chunk_size, 1000);
	PageColumns *columns = page_columns_create(names, 2);
	CellPage	 page = {0};
	char		*out = calloc(1, 100000);
	size_t		 at = 0;
	size_t		 len;
	char		*chunk;

	*chunks = 0;
	for (;;)
	{
		while ((chunk = array_take(reader, &len)) != NULL)
		{
			(*chunks)++;
			if (!put_rows(out, &page, columns, chunk, len))
				goto done;
		}
		if (array_state(reader) == ARRAY_BROKEN || at == strlen(body))
			break;
		len = strlen(body) - at < piece ? strlen(body) - at : piece;
		array_push(reader, body + at, len);
		at += len;
	}
	chunk = array_take_rest(reader, &len);
	if (chunk != NULL)
		put_rows(out, &page, columns, chunk, len);
	switch (array_state(reader))
	{
		case ARRAY_BROKEN:
			strcat(out, "! ");
			strcat(out, array_error(reader));
			break;
		case ARRAY_BLANK:
			strcat(out, "(blank)");
			break;
		case ARRAY_OPEN:
			strcat(out, "(open)");
			break;
		case ARRAY_OBJECT:
			chunk = array_take_object(reader, &len);
			strcat(out, chunk ? chunk : "(too large)");
			break;
		case ARRAY_CLOSED:
			break;
	}
done:
	array_free(reader);
	page_columns_free(columns);
	page_free(&page);
	return out;
}

static void
check(const char *body, const char *want, const char *name)
{
	static const size_t pieces[] = {1, 2, 7, 64, 100000};
	static const size_t sizes[] = {1, 40, 100000};
	bool				same = true;

	for (int i = 0; i < 5; i++)
	{
		for (int k = 0; k < 3; k++)
		{
			int	  chunks;
			char *got = read_body(body, sizes[k], pieces[i], &chunks);

			if (strcmp(got, want) != 0)
			{
				same = false;
				printf("# pieces of %zu, chunks of %zu: %s\n", pieces[i], sizes[k], got);
			}
			free(got);
		}
	}
	ok(same, name);
}

/* A body of many rows comes in more than one chunk, and none is lost. */
static void
check_long(void)
{
	char  *body = malloc(100000);
	char  *want = calloc(1, 100000);
	char  *got;
	size_t len = 1;
	int	   chunks;

	body[0] = '[';
	for (int i = 0; i < 1000; i++)
	{
		len += (size_t) sprintf(body + len, "%s{\"a\":%d,\"b\":[{\"c\":\"],}\\\"\"}]}",
								i ? ",\n" : "", i);
		sprintf(want + strlen(want), "%d ", i);
	}
	strcpy(body + len, "]");
	got = read_body(body, 4096, 1000, &chunks);
	is_text(got, want, "a thousand rows");
	ok(chunks >= 7 && chunks <= 9, "in chunks of four kilobytes");
	free(got);
	free(want);
	free(body);
}

static void
check_limits(void)
{
	char *body = malloc(4000);
	char *got;
	int	  chunks;

	memset(body, ' ', 3999);
	memcpy(body, "[{\"a\":\"", 7);
	body[3999] = '\0';
	got = read_body(body, 100, 50, &chunks);
	is_text(got, "! an element is too large", "an element that does not end");
	free(got);
	memcpy(body, "{\"a\":\"x", 7);
	got = read_body(body, 100, 50, &chunks);
	is_text(got, "! the object is too large", "an object that does not end");
	free(got);
	memset(body, '[', 200);
	body[200] = '\0';
	got = read_body(body, 100, 50, &chunks);
	is_text(got, "! brackets are nested too deeply", "brackets without end");
	free(got);
	free(body);
}

int
main(void)
{
	check("[]", "", "an empty array");
	check(" \r\n[ ] \n", "", "and with blanks");
	check("[{\"a\":1}]", "1 ", "one row");
	check("[{\"a\":1},{\"a\":2,\"b\":[1,2,{\"x\":\"}\"}]},{\"b\":null}]", "1 2 null ", "several rows");
	check("[{\"a\":\"]\"},{\"a\":\"\\\\\"},{\"a\":\"\\\"}\"},{\"a\":\",\"}]", "] \\ \"} , ",
		  "strings that look like more");
	check("", "(blank)", "nothing");
	check("  \n", "(blank)", "nothing but blanks");
	check("{\"ReturnCode\":200}", "{\"items\":[{\"ReturnCode\":200}]}", "an object instead");
	check("<html>", "! it begins neither like an array nor like an object", "a page instead");
	check("\"x\"", "! it begins neither like an array nor like an object", "a string instead");
	check("[{\"a\":1}", "(open)", "a torn array");
	check("[{\"a\":1},{\"a\":2},{\"a\":", "1 2 (open)", "what was whole before it was torn");
	check("[{\"a\":1},{\"a\":2},}", "1 2 ! a bracket does not match", "what was whole before it broke");
	check("[{\"a\":1}] x", "1 ! something follows the array", "and what was before something else");
	check("[,]", "! an element is missing", "no element before a comma");
	check("[}", "! a bracket does not match", "a bracket that does not match");
	check_long();
	check_limits();
	return tap_done();
}
