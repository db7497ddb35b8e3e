/*-------------------------------------------------------------------------
 *
 * fuzz_page.c
 *		libFuzzer target of the page decoder, with jansson as the judge.
 *
 *		clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *			test/fuzz/fuzz_page.c src/connector/page.c -ljansson -o fuzz_page
 *		./fuzz_page -max_total_time=180 -dict=test/fuzz/page.dict DIR test/fuzz/corpus/page
 *
 * For any bytes: nothing is read or written outside the body, a page keeps
 * its contract, and what is accepted is what jansson makes of it.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE /* memmem */
#include "connector/page.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_ROWS 50
#define CHECK(condition)                                                                           \
	do                                                                                             \
	{                                                                                              \
		if (!(condition))                                                                          \
			__builtin_trap();                                                                      \
	} while (0)

static const char *const names[] = {"id", "name", "Quantity", "lastmodifieddate"};

#define N_NAMES 4

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
copy_of(const uint8_t *data, size_t size)
{
	char *body = malloc(size + 1);

	CHECK(body != NULL);
	memcpy(body, data, size);
	body[size] = '\0';
	return body;
}

static size_t
sum_of_cells(const CellPage *page)
{
	size_t sum = 5381;

	for (int i = 0; i < page->nrows * page->ncolumns; i++)
	{
		for (uint32_t k = 0; page->cells[i].text != NULL && k < page->cells[i].len; k++)
			sum = sum * 33 + (unsigned char) page->cells[i].text[k];
	}
	return sum;
}

/*
 * The bytes around cells must be nobody's: overwriting all of them changes no
 * cell.
 */
static void
check_cells(const CellPage *page, const char *body, size_t size)
{
	size_t sum = sum_of_cells(page);

	CHECK(page->nrows <= MAX_ROWS);
	for (int i = 0; i < page->nrows * page->ncolumns; i++)
	{
		Cell *cell = &page->cells[i];

		if (cell->text == NULL)
			continue;
		CHECK(cell->text > body && cell->text + cell->len < body + size);
		CHECK(cell->text[cell->len] == '\0');
		cell->text[cell->len] = 'X';
		if (cell->quoted)
			cell->text[-1] = 'X';
	}
	CHECK(sum == sum_of_cells(page));
}

/* jansson refuses what the decoder leaves to others. */
static bool
is_left_to_others(const uint8_t *data, size_t size, const json_error_t *error)
{
	switch (json_error_code(error))
	{
		case json_error_invalid_utf8:
		case json_error_numeric_overflow:
		case json_error_null_character:
		case json_error_null_byte_in_key:
			return true;
		default:

			/* surrogates and U+0000 in what was skipped */
			return memmem(data, size, "\\u", 2) != NULL;
	}
}

static void
check_value(const Cell *cell, const json_t *value)
{
	if (value == NULL || json_is_null(value))
		CHECK(cell->text == NULL);
	else if (json_is_string(value))
	{
		CHECK(cell->text != NULL && cell->quoted && cell->len == json_string_length(value));
		CHECK(memcmp(cell->text, json_string_value(value), cell->len) == 0);
	}
	else
		CHECK(cell->text != NULL && !cell->quoted && cell->len > 0);
}

/* Two spellings of one name: which of them is last jansson cannot say. */
static bool
has_other_spelling(json_t *row, const char *name)
{
	const char *key;
	json_t	   *value;

	json_object_foreach(row, key, value)
	{
		if (strcasecmp(key, name) == 0 && strcmp(key, name) != 0)
			return true;
	}
	return false;
}

static void
check_against_jansson(const CellPage *page, const uint8_t *data, size_t size)
{
	json_error_t error;
	json_t		*root = json_loadb((const char *) data, size, 0, &error);
	json_t		*items = json_object_get(root, "items");

	if (root == NULL)
	{
		CHECK(is_left_to_others(data, size, &error));
		return;
	}
	CHECK(json_is_array(items) && json_array_size(items) == (size_t) page->nrows);
	CHECK(page->has_more == json_is_true(json_object_get(root, "hasMore")));
	if (json_is_integer(json_object_get(root, "count")))
		CHECK(page->count == json_integer_value(json_object_get(root, "count")));
	for (int row = 0; row < page->nrows; row++)
	{
		json_t *item = json_array_get(items, (size_t) row);

		CHECK(json_is_object(item));
		for (int i = 0; i < N_NAMES; i++)
		{
			if (!has_other_spelling(item, names[i]))
				check_value(&page->cells[row * N_NAMES + i], json_object_get(item, names[i]));
		}
	}
	json_decref(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static PageColumns *columns = NULL;
	static CellPage		page;
	PageError			error;
	char			   *body = copy_of(data, size);
	bool				accepted;

	if (columns == NULL)
		columns = page_columns_create(names, N_NAMES);
	accepted = page_decode(&page, columns, body, size, MAX_ROWS, &error);
	if (accepted)
	{
		check_against_jansson(&page, data, size);
		check_cells(&page, body, size);
	}
	else
		CHECK(page.nrows == 0 && error.message[0] != '\0' && error.offset <= size);
	free(body);

	body = copy_of(data, size);
	if (page_decode_objects(&page, body, size, MAX_ROWS, &error))
		check_cells(&page, body, size);
	else
		CHECK(!accepted && page.nrows == 0 && error.message[0] != '\0' && error.offset <= size);
	free(body);
	return 0;
}
