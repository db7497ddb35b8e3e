/*-------------------------------------------------------------------------
 *
 * fuzz_table_set.c
 *		libFuzzer target of the reader of table sets.
 *
 *		clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *			test/fuzz/fuzz_table_set.c src/connector/asctrac/table_set.c src/connector/page.c -o fuzz_table_set
 *
 * For any bytes: nothing is read or written outside the text, and every cell
 * lies inside it and ends with a NUL.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/asctrac/table_set.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
	do                                                                                             \
	{                                                                                              \
		if (!(condition))                                                                          \
			__builtin_trap();                                                                      \
	} while (0)

static const char *const names[] = {"SKIDID", "QTYTOTAL", "DESCRIPTION"};

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	 *text = malloc(size + 1);
	CellPage  page = {0};
	PageError error;

	CHECK(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (table_set_decode(&page, names, 3, "LOCITEMS", text, size, 100, &error))
	{
		CHECK(page.nrows <= 100 && page.ncolumns == 3);
		for (int i = 0; i < page.nrows * 3; i++)
		{
			Cell *cell = &page.cells[i];

			CHECK(cell->text == NULL ||
				  (cell->text > text && cell->text + cell->len <= text + size &&
				   cell->text[cell->len] == '\0'));
		}
	}
	else
		CHECK(page.nrows == 0 && error.message[0] != '\0');
	page_free(&page);
	free(text);
	return 0;
}
