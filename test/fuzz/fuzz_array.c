/*-------------------------------------------------------------------------
 *
 * fuzz_array.c
 *		libFuzzer target of the reader of one long array.
 *
 *		clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *			test/fuzz/fuzz_array.c src/connector/array.c src/connector/page.c -o fuzz_array
 *
 * For any bytes, in pieces of any size: nothing is read or written outside of
 * what was allocated, and what is accepted in chunks is what the decoder makes
 * of the whole.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connector/page.h"

#define MAX_ELEMENT 4096
#define MAX_ROWS 100000
#define CHECK(condition)                                                                           \
	do                                                                                             \
	{                                                                                              \
		if (!(condition))                                                                          \
			__builtin_trap();                                                                      \
	} while (0)

static const char *const names[] = {"a", "b"};

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Rows of the whole as one collection, -1 where it is none. */
static int
count_whole(const char *body, size_t size, const PageColumns *columns)
{
	char	 *text = malloc(size + 20);
	CellPage  page = {0};
	PageError error;
	int		  rows = -1;
	size_t	  len;

	CHECK(text != NULL);
	memcpy(text, "{\"items\":", 9);
	memcpy(text + 9, body, size);
	len = size + 9;
	text[len++] = '}';
	text[len] = '\0';
	if (page_decode(&page, columns, text, len, MAX_ROWS, &error))
		rows = page.nrows;
	page_free(&page);
	free(text);
	return rows;
}

/* The same in chunks. */
static int
count_chunks(const char *body, size_t size, size_t chunk_size, size_t piece, const PageColumns *columns)
{
	ArrayReader *reader = array_create(chunk_size, MAX_ELEMENT);
	CellPage	 page = {0};
	PageError	 error;
	int			 rows = 0;
	size_t		 len;
	char		*chunk;

	CHECK(reader != NULL);
	for (size_t at = 0; at < size && rows >= 0; at += piece)
	{
		CHECK(array_push(reader, body + at, size - at < piece ? size - at : piece));
		while (rows >= 0 && (chunk = array_take(reader, &len)) != NULL)
		{
			CHECK(strlen(chunk) == len || memchr(body, 0, size) != NULL);
			rows = page_decode(&page, columns, chunk, len, MAX_ROWS, &error) ? rows + page.nrows : -1;
		}
	}
	chunk = rows >= 0 ? array_take_rest(reader, &len) : NULL;
	if (chunk != NULL)
	{
		CHECK(array_state(reader) != ARRAY_CLOSED);
		(void) page_decode(&page, columns, chunk, len, MAX_ROWS, &error);
		CHECK(array_take_rest(reader, &len) == NULL);
	}
	if (array_state(reader) == ARRAY_OBJECT)
		(void) array_take_object(reader, &len);
	else if (array_state(reader) != ARRAY_CLOSED)
		rows = -1;
	if (array_state(reader) == ARRAY_BROKEN)
		CHECK(array_error(reader) != NULL);
	array_free(reader);
	page_free(&page);
	return rows;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PageColumns *columns = page_columns_create(names, 2);
	char		*body;
	int			 whole;
	int			 parts;

	CHECK(columns != NULL);
	if (size > 2 && size < MAX_ELEMENT)
	{
		body = calloc(1, size - 1);
		CHECK(body != NULL);
		memcpy(body, data + 2, size - 2);
		whole = count_whole(body, size - 2, columns);
		parts = count_chunks(body, size - 2, data[0], (size_t) data[1] + 1, columns);
		if (body[strspn(body, " \t\r\n")] == '[')
			CHECK(parts < 0 || whole == parts);
		free(body);
	}
	page_columns_free(columns);
	return 0;
}
