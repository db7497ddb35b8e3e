/*-------------------------------------------------------------------------
 *
 * bench_page.c
 *		How fast pages are decoded, beside jansson's document.
 *
 *		cc -O2 -Isrc test/bench/bench_page.c src/connector/page.c -ljansson
 *
 * The page has 1,000 rows of up to 16 members in alphabetical order, of which
 * 12 are wanted, as SuiteQL answers: NULLs left out, an empty array of links
 * in each row.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/page.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS 1000
#define ROUNDS 2000
#define JANSSON_ROUNDS 100

static const char *const wanted[] = {"id",
									 "itemid",
									 "displayname",
									 "itemtype",
									 "isinactive",
									 "lastmodifieddate",
									 "createddate",
									 "averagecost",
									 "quantityonhand",
									 "quantityavailable",
									 "purchasedescription",
									 "subsidiary"};

#define N_WANTED ((int) (sizeof(wanted) / sizeof(wanted[0])))

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static size_t
put_row(char *out, int i)
{
	char *p = out;

	p += sprintf(p, "{\"links\":[],\"averagecost\":\"%d.%02d\",\"class\":\"%d\"", i * 3, i % 100,
				 i % 20);
	p += sprintf(p, ",\"costcategory\":\"%d\",\"createddate\":\"2025-%02d-%02d 08:15:%02d\"", i % 7,
				 i % 12 + 1, i % 28 + 1, i % 60);
	p += sprintf(p, ",\"displayname\":\"Bracket, steel, %d mm\",\"id\":\"%d\"", i % 300, 100000 + i);
	p += sprintf(p, ",\"isinactive\":\"%s\",\"itemid\":\"BRK-%06d\",\"itemtype\":\"InvtPart\"",
				 i % 10 ? "F" : "T", i);
	p += sprintf(p, ",\"lastmodifieddate\":\"2026-%02d-%02d 17:45:%02d.123\"", i % 12 + 1,
				 i % 28 + 1, i % 60);
	if (i % 3)
		p += sprintf(p, ",\"purchasedescription\":\"Order by the box of %d, \\\"zinc\\\"\"", i % 50);
	if (i % 4)
		p += sprintf(p, ",\"quantityavailable\":\"%d\"", i * 2);
	p += sprintf(p, ",\"quantityonhand\":\"%d.5\",\"saleunit\":\"%d\"", i * 4, i % 5);
	p += sprintf(p, ",\"subsidiary\":\"1, 2, 5\",\"upccode\":\"40%011d\"}", i);
	return (size_t) (p - out);
}

static size_t
put_page(char *out)
{
	char *p = out;

	p += sprintf(p, "{\"links\":[],\"count\":%d,\"hasMore\":true,\"items\":[", ROWS);
	for (int i = 0; i < ROWS; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += put_row(p, i);
	}
	p += sprintf(p, "],\"offset\":0,\"totalResults\":300000}");
	return (size_t) (p - out);
}

static double
time_decoder(const char *page_text, size_t len, char *body)
{
	PageColumns *columns = page_columns_create(wanted, N_WANTED);
	CellPage	 page = {0};
	PageError	 error;
	double		 seconds = 0;

	for (int i = 0; i < ROUNDS; i++)
	{
		double start;

		memcpy(body, page_text, len + 1);
		start = now();
		if (!page_decode(&page, columns, body, len, ROWS, &error))
		{
			fprintf(stderr, "%s at %zu\n", error.message, error.offset);
			exit(1);
		}
		seconds += now() - start;
	}
	page_free(&page);
	page_columns_free(columns);
	return seconds / ROUNDS;
}

static double
time_jansson(const char *page_text, size_t len)
{
	double start = now();
	size_t found = 0;

	for (int i = 0; i < JANSSON_ROUNDS; i++)
	{
		json_t *root = json_loadb(page_text, len, 0, NULL);
		json_t *items = json_object_get(root, "items");

		for (size_t row = 0; row < json_array_size(items); row++)
		{
			for (int column = 0; column < N_WANTED; column++)
				found += json_object_get(json_array_get(items, row), wanted[column]) != NULL;
		}
		json_decref(root);
	}
	if (found == 0)
		exit(1);
	return (now() - start) / JANSSON_ROUNDS;
}

static void
report(const char *name, double seconds, size_t len)
{
	printf("%-12s %8.3f ms/page %12.0f rows/s %8.0f MB/s\n", name, seconds * 1e3, ROWS / seconds,
		   (double) len / seconds / 1e6);
}

int
main(void)
{
	char  *text = malloc(1024 * ROWS);
	char  *body = malloc(1024 * ROWS);
	size_t len;
	double ours;
	double jansson;

	if (text == NULL || body == NULL)
		return 1;
	len = put_page(text);
	ours = time_decoder(text, len, body);
	jansson = time_jansson(text, len);
	printf("page of %d rows, %zu bytes, %d columns wanted\n", ROWS, len, N_WANTED);
	report("page_decode", ours, len);
	report("jansson", jansson, len);
	printf("%.1f times as fast\n", jansson / ours);
	free(text);
	free(body);
	return 0;
}
