/*-------------------------------------------------------------------------
 *
 * test_page.c
 *		TAP tests of the page decoder.
 *
 *		cc -Isrc test/unit/test_page.c src/connector/page.c
 *
 * Bodies stand in exactly allocated memory, so that a sanitizer sees a step
 * beyond their end.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 100

static int tests = 0;
static int failures = 0;

static void
ok(bool pass, const char *name, const char *got)
{
	tests++;
	if (!pass)
		failures++;
	printf("%sok %d - %s\n", pass ? "" : "not ", tests, name);
	if (!pass && got != NULL)
		printf("# got: %s\n", got);
}

static char *
copy_of(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy == NULL)
		abort();
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static PageColumns *
columns_of(const char *list)
{
	const char	*names[32];
	char		*copy = copy_of(list, strlen(list));
	PageColumns *columns;
	int			 n = 0;

	for (char *name = strtok(copy, ","); name != NULL; name = strtok(NULL, ","))
		names[n++] = name;
	columns = page_columns_create(names, n);
	free(copy);
	return columns;
}

/*
 * show
 *		A page as text: cells as text, with = before those without quotes, ~
 *		for NULL, | between cells and / between rows; then what it says of
 *		itself.  Complains of cells that break the contract.
 */
static void
show(const CellPage *page, char *out, size_t size)
{
	size_t used = 0;

#define PUT(...) used += (size_t) snprintf(out + used, used < size ? size - used : 0, __VA_ARGS__)
	out[0] = '\0';
	for (int i = 0; i < page->nrows * page->ncolumns; i++)
	{
		const Cell *cell = &page->cells[i];

		if (i > 0)
			PUT("%s", i % page->ncolumns == 0 ? "/" : "|");
		if (cell->text == NULL)
			PUT("~");
		else
		{
			PUT("%s%s", cell->quoted ? "" : "=", cell->text);
			if (strlen(cell->text) != cell->len)
				PUT("!length");
			if (cell->quoted && cell->text[-1] != '"')
				PUT("!before");
		}
	}
	if (page->ncolumns == 0)
		PUT("%d rows", page->nrows);
	if (page->has_more)
		PUT(" more");
	if (page->total_results >= 0)
		PUT(" total=%lld", (long long) page->total_results);
	if (page->count >= 0)
		PUT(" count=%lld", (long long) page->count);
	if (page->offset >= 0)
		PUT(" offset=%lld", (long long) page->offset);
#undef PUT
}

typedef struct Case
{
	const char *name;
	const char *columns; /* NULL: whole objects */
	const char *body;
	const char *expected; /* as show puts it, or the error's message */
} Case;

static const Case good[] = {
	{"nothing", "a", "{\"items\":[]}", ""},
	{"one cell", "a", "{\"items\":[{\"a\":\"1\"}]}", "1"},
	{"no columns wanted", "", "{\"items\":[{\"a\":\"1\"},{}]}", "2 rows"},
	{"rows of nothing", "a,b", "{\"items\":[{},{ }]}", "~|~/~|~"},
	{"as NetSuite answers", "id,companyname",
	 "{\"links\":[{\"rel\":\"self\",\"href\":\"https://x/suiteql\",\"method\":\"POST\"}],"
	 "\"count\":3,\"hasMore\":false,\"items\":[{\"links\":[],\"id\":\"-3\"},"
	 "{\"links\":[],\"companyname\":\"HMRC\",\"id\":\"8\"},{\"links\":[],\"id\":\"7\"}],"
	 "\"offset\":0,\"totalResults\":3}",
	 "-3|~/8|HMRC/7|~ total=3 count=3 offset=0"},
	{"counters before the items", "a",
	 "{\"totalResults\":100001,\"offset\":1000,\"count\":1,\"hasMore\":true,\"items\":[{\"a\":"
	 "\"x\"}]}",
	 "x more total=100001 count=1 offset=1000"},
	{"counters behind the items", "a",
	 "{\"items\":[{\"a\":\"x\"}],\"hasMore\":true,\"totalResults\":9223372036854775799}",
	 "x more total=9223372036854775799"},
	{"counters that are null", "a", "{\"items\":[],\"count\":null,\"hasMore\":null}", ""},
	{"white space everywhere", "a,b",
	 " \r\n\t{ \"items\" : [ { \"a\" : \"1\" , \"b\" : 2 } , { \"b\" : true } ] , \"count\" : 2 } "
	 "\n",
	 "1|=2/~|=true count=2"},
	{"names in any case", "Id,NAME", "{\"items\":[{\"iD\":\"1\",\"name\":\"x\"},{\"ID\":\"2\"}]}",
	 "1|x/2|~"},
	{"an unwanted name that begins like a wanted one", "ab",
	 "{\"items\":[{\"a\":\"1\",\"abc\":\"2\",\"ab\":\"3\"}]}", "3"},
	{"empty strings are not NULL", "a", "{\"items\":[{\"a\":\"\"}]}", ""},
	{"null", "a,b", "{\"items\":[{\"a\":null,\"b\":\"null\"}]}", "~|null"},
	{"numbers and booleans", "a,b,c,d,e,f",
	 "{\"items\":[{\"a\":0,\"b\":-12.50,\"c\":1e5,\"d\":2.5E-3,\"e\":true,\"f\":false}]}",
	 "=0|=-12.50|=1e5|=2.5E-3|=true|=false"},
	{"a number directly before the end of the row", "a", "{\"items\":[{\"a\":1},{\"a\":2}]}", "=1/=2"},
	{"objects and arrays as text", "a,b",
	 "{\"items\":[{\"a\":{\"x\":[1,{\"y\":\"\\n\"}]},\"b\":[]},{\"a\":[ 1 , 2 ],\"b\":{}}]}",
	 "={\"x\":[1,{\"y\":\"\\n\"}]}|=[]/=[ 1 , 2 ]|={}"},
	{"members omitted in later rows", "a,b,c,d",
	 "{\"items\":[{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\"},{\"c\":\"5\"},{\"b\":\"6\","
	 "\"d\":\"7\"},"
	 "{\"a\":\"8\"},{\"a\":\"9\",\"d\":\"x\"}]}",
	 "1|2|3|4/~|~|5|~/~|6|~|7/8|~|~|~/9|~|~|x"},
	{"members that appear in later rows only", "a,b,c,d",
	 "{\"items\":[{\"d\":\"1\"},{\"a\":\"2\",\"d\":\"3\"},{\"a\":\"4\",\"b\":\"5\",\"c\":\"6\","
	 "\"d\":\"7\"},"
	 "{\"b\":\"8\",\"c\":\"9\"}]}",
	 "~|~|~|1/2|~|~|3/4|5|6|7/~|8|9|~"},
	{"another order in each row", "a,b,c",
	 "{\"items\":[{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"},{\"c\":\"4\",\"b\":\"5\",\"a\":\"6\"},"
	 "{\"b\":\"7\",\"a\":\"8\",\"c\":\"9\"}]}",
	 "1|2|3/6|5|4/8|7|9"},
	{"unwanted members of every kind", "z",
	 "{\"items\":[{\"a\":\"\\u12aB\\\\\",\"b\":-0.5e+7,\"c\":[[],{\"d\":[null]}],\"e\":{\"f\":{}},"
	 "\"g\":null,"
	 "\"h\":true,\"i\":\"\\ud800\",\"z\":\"end\"}]}",
	 "end"},
	{"the last of two members counts", "a,b",
	 "{\"items\":[{\"a\":\"1\",\"b\":\"2\",\"a\":\"3\"},{\"a\":\"4\",\"a\":null},{\"a\":5,\"A\":"
	 "\"6\"}]}",
	 "3|2/~|~/6|~"},
	{"the last items count", "a", "{\"items\":[{\"a\":\"1\"},{}],\"items\":[{\"a\":\"2\"}]}", "2"},
	{"simple escapes", "a,b", "{\"items\":[{\"a\":\"\\\"\\\\\\/|\\b\\f\\n\\r\\t|\",\"b\":\"x\\ny\"}]}",
	 "\"\\/|\b\f\n\r\t||x\ny"},
	{"escaped code points", "a", "{\"items\":[{\"a\":\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00.\"}]}",
	 "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80."},
	{"the ends of the planes", "a",
	 "{\"items\":[{\"a\":"
	 "\"\\u0001\\u007f\\u0080\\u07ff\\u0800\\ud7ff\\ue000\\uffff\\ud800\\udc00\\udbff\\udfff\"}]}",
	 "\x01\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4"
	 "\x8f\xbf\xbf"},
	{"escapes in a long text", "a",
	 "{\"items\":[{\"a\":\"0123456789abcdef\\n0123456789abcdef0123456789abcdef\\t0123\"}]}",
	 "0123456789abcdef\n0123456789abcdef0123456789abcdef\t0123"},
	{"escapes in names", "ab",
	 "{\"it\\u0065ms\":[{\"\\u0061b\":\"1\"},{\"ab\":\"2\"},{\"a\\u0042\":\"3\"}]}", "1/2/3"},
	{"bytes that are no UTF-8 pass", "a", "{\"items\":[{\"a\":\"\xff\xc0\x80\"}]}", "\xff\xc0\x80"},
	{"0x7f is not a control character here", "a", "{\"items\":[{\"a\":\"\x7f\"}]}", "\x7f"},
	{"objects", NULL, "{\"items\":[{\"a\":1},{},{ \"b\" : \"\\n\" } ,{\"c\":{}}]}",
	 "={\"a\":1}/={}/={ \"b\" : \"\\n\" }/={\"c\":{}}"},
	{"objects with counters", NULL, "{\"count\":1,\"items\":[{\"a\":1}],\"hasMore\":true}",
	 "={\"a\":1} more count=1"},
	{"no objects", NULL, "{\"items\":[]}", ""},
};

static const Case bad[] = {
	{"no body", "a", "", "body ends where a collection is expected"},
	{"white space", "a", " \n", "body ends where a collection is expected"},
	{"another value", "a", "[]", "\"[\" found where a collection is expected"},
	{"a page of HTML", "a", "<html>", "\"<\" found where a collection is expected"},
	{"a byte order mark", "a", "\xef\xbb\xbf{\"items\":[]}",
	 "byte 0xef found where a collection is expected"},
	{"no items", "a", "{\"count\":0}", "\"items\" is missing"},
	{"nothing at all", "a", "{}", "\"items\" is missing"},
	{"items of another kind", "a", "{\"items\":{}}", "\"{\" found where the array \"items\" is expected"},
	{"items that are null", "a", "{\"items\":null}", "\"n\" found where the array \"items\" is expected"},
	{"rows of another kind", "a", "{\"items\":[1]}", "\"1\" found where a row is expected"},
	{"a comma behind the last row", "a", "{\"items\":[{},]}", "\"]\" found where a row is expected"},
	{"a comma behind the last member", "a", "{\"items\":[{\"a\":1,}]}",
	 "\"}\" found where a member is expected"},
	{"a comma behind the last unwanted element", "a", "{\"items\":[{\"b\":[1,]}]}",
	 "\"]\" found where a value is expected"},
	{"a comma behind the last unwanted member", "a", "{\"items\":[{\"b\":{\"c\":1,}}]}",
	 "\"}\" found where a member is expected"},
	{"a comma behind the collection's last member", "a", "{\"items\":[],}",
	 "\"}\" found where a member is expected"},
	{"bytes behind the end", "a", "{\"items\":[]}x", "bytes behind the end of the collection"},
	{"two collections", "a", "{\"items\":[]}{\"items\":[]}", "bytes behind the end of the collection"},
	{"a missing comma between rows", "a", "{\"items\":[{}{}]}",
	 "\"{\" found where \",\" or \"]\" is expected"},
	{"a missing comma between members", "a", "{\"items\":[{\"a\":\"1\"\"b\":2}]}",
	 "\"\"\" found where \",\" or \"}\" is expected"},
	{"a missing colon", "a", "{\"items\":[{\"a\" \"1\"}]}", "\"\"\" found where \":\" is expected"},
	{"a missing colon, unwanted", "a", "{\"items\":[{\"b\":{\"c\" 1}}]}",
	 "\"1\" found where \":\" is expected"},
	{"a missing value", "a", "{\"items\":[{\"a\":}]}", "\"}\" found where a value is expected"},
	{"a name without quotes", "a", "{\"items\":[{a:1}]}", "\"a\" found where a member is expected"},
	{"single quotes", "a", "{\"items\":[{\"a\":'1'}]}", "\"'\" found where a value is expected"},
	{"brackets that do not match", "a", "{\"items\":[{\"b\":[1}]}]}",
	 "\"}\" found where \",\" or \"]\" is expected"},
	{"braces that do not match", "a", "{\"items\":[{\"b\":{\"c\":1]}]}",
	 "\"]\" found where \",\" or \"}\" is expected"},
	{"a literal in capitals", "a", "{\"items\":[{\"a\":True}]}", "\"T\" found where a value is expected"},
	{"a literal cut short", "a", "{\"items\":[{\"a\":tru}]}", "\"t\" found where a value is expected"},
	{"a literal with a tail", "a", "{\"items\":[{\"a\":truex}]}",
	 "\"x\" found where \",\" or \"}\" is expected"},
	{"NaN", "a", "{\"items\":[{\"a\":NaN}]}", "\"N\" found where a value is expected"},
	{"a leading zero", "a", "{\"items\":[{\"a\":01}]}", "\"1\" found where \",\" or \"}\" is expected"},
	{"a plus sign", "a", "{\"items\":[{\"a\":+1}]}", "\"+\" found where a value is expected"},
	{"a minus sign alone", "a", "{\"items\":[{\"a\":-}]}", "\"}\" found where a digit is expected"},
	{"no digit before the point", "a", "{\"items\":[{\"a\":.5}]}",
	 "\".\" found where a value is expected"},
	{"no digit behind the point", "a", "{\"items\":[{\"a\":1.}]}",
	 "\"}\" found where a digit is expected"},
	{"no digit in the exponent", "a", "{\"items\":[{\"a\":1e+}]}",
	 "\"}\" found where a digit is expected"},
	{"a comment", "a", "{\"items\":[/**/]}", "\"/\" found where a row is expected"},
	{"other white space", "a", "{\"items\":\f[]}",
	 "byte 0x0c found where the array \"items\" is expected"},
	{"a line break in a string", "a", "{\"items\":[{\"a\":\"1\n2\"}]}",
	 "control character 0x0a in a string in column \"a\" of row 1"},
	{"a line break in an unwanted string", "a", "{\"items\":[{\"b\":\"1\n2\"}]}",
	 "control character 0x0a in a string"},
	{"a line break in a name", "a", "{\"items\":[{\"a\n\":\"1\"}]}",
	 "control character 0x0a in a string"},
	{"an unknown escape", "a,price", "{\"items\":[{},{\"price\":\"\\x\"}]}",
	 "invalid escape in column \"price\" of row 2"},
	{"an unknown escape, unwanted", "a", "{\"items\":[{\"b\":\"\\x\"}]}", "invalid escape in a string"},
	{"too few hexadecimal digits", "a", "{\"items\":[{\"a\":\"\\u12g4\"}]}",
	 "invalid escape in column \"a\" of row 1"},
	{"too few hexadecimal digits, unwanted", "a", "{\"items\":[{\"b\":\"\\u12\"}]}",
	 "invalid escape in a string"},
	{"U+0000", "a", "{\"items\":[{\"a\":\"x\\u0000\"}]}", "character U+0000 in column \"a\" of row 1"},
	{"a high surrogate alone", "Tax", "{\"items\":[{\"tax\":\"\\ud83d\"}]}",
	 "lone surrogate in column \"tax\" of row 1"},
	{"a high surrogate before another character", "a", "{\"items\":[{\"a\":\"\\ud83d\\u0041\"}]}",
	 "lone surrogate in column \"a\" of row 1"},
	{"two high surrogates", "a", "{\"items\":[{\"a\":\"\\ud83d\\ud83d\"}]}",
	 "lone surrogate in column \"a\" of row 1"},
	{"a low surrogate alone", "a", "{\"items\":[{\"a\":\"\\ude00\"}]}",
	 "lone surrogate in column \"a\" of row 1"},
	{"a counter that is no number", "a", "{\"count\":\"5\",\"items\":[]}",
	 "\"count\" is not a number of rows"},
	{"a negative counter", "a", "{\"offset\":-1,\"items\":[]}", "\"offset\" is not a number of rows"},
	{"a broken counter", "a", "{\"offset\":1.5,\"items\":[]}", "\"offset\" is not a number of rows"},
	{"a counter beyond 64 bits", "a", "{\"totalResults\":9223372036854775808,\"items\":[]}",
	 "\"totalResults\" is not a number of rows"},
	{"hasMore of another kind", "a", "{\"hasMore\":\"false\",\"items\":[]}",
	 "\"\"\" found where true or false is expected"},
	{"hasMore misspelt", "a", "{\"hasMore\":trve,\"items\":[]}", "\"t\" found where a value is expected"},
	{"an object of another kind", NULL, "{\"items\":[{},1]}", "\"1\" found where a row is expected"},
	{"an object that ends early", NULL, "{\"items\":[{\"a\":1",
	 "body ends where \",\" or \"}\" is expected"},
};

static void
check(const Case *c, bool expect_good)
{
	PageColumns *columns = c->columns == NULL ? NULL : columns_of(c->columns);
	size_t		 len = strlen(c->body);
	char		*body = copy_of(c->body, len);
	CellPage	 page = {0};
	PageError	 error;
	char		 shown[1024];
	char		 name[256];
	bool		 decoded;
	bool not_text = strstr(c->expected, "U+0000") != NULL || strstr(c->expected, "surrogate") != NULL;

	decoded = columns == NULL ? page_decode_objects(&page, body, len, MAX_ROWS, &error) :
								page_decode(&page, columns, body, len, MAX_ROWS, &error);
	if (decoded)
		show(&page, shown, sizeof(shown));
	else
		snprintf(shown, sizeof(shown), "%s", error.message);
	snprintf(name, sizeof(name), "%s: %s", expect_good ? "good" : "bad", c->name);
	ok(decoded == expect_good && strcmp(shown, c->expected) == 0, name, shown);
	if (!expect_good)
	{
		snprintf(name, sizeof(name), "bad: %s: empty page, offset inside", c->name);
		ok(page.nrows == 0 && !page.has_more && page.count == -1 && page.total_results == -1 &&
			   page.offset == -1 && error.offset <= len,
		   name, NULL);
		snprintf(name, sizeof(name), "bad: %s: %s text", c->name,
				 not_text ? "no" : "not because of its");
		ok(error.bad_text == not_text, name, NULL);
	}
	page_free(&page);
	page_columns_free(columns);
	free(body);
}

/* A body cut off anywhere is an error, whatever stands before the cut. */
static void
test_torn(void)
{
	static const char whole[] = "{\"links\":[],\"count\":2,\"hasMore\":true,\"items\":[{\"a\":"
								"\"x\\u00e9y\\ud83d\\ude00\",\"b\":-1.5e7,"
								"\"c\":{\"d\":[null,\"0123456789abcdefghij\"]},\"longer "
								"name\":false},{\"a\":null,\"b\":12,\"c\":[1],"
								"\"longer name\":true}],\"totalResults\":2}";
	PageColumns		 *columns = columns_of("a,b,c,longer name");
	CellPage		  page = {0};
	PageError		  error;
	int				  accepted = 0;

	for (size_t len = 0; len < sizeof(whole) - 1; len++)
	{
		char *body = copy_of(whole, len);

		accepted += page_decode(&page, columns, body, len, MAX_ROWS, &error);
		free(body);
		body = copy_of(whole, len);
		accepted += page_decode_objects(&page, body, len, MAX_ROWS, &error);
		free(body);
	}
	ok(accepted == 0, "no torn body is accepted", NULL);

	/* a NUL in the middle is not the end */
	for (size_t at = 0; at < sizeof(whole) - 1; at++)
	{
		char *body = copy_of(whole, sizeof(whole) - 1);

		body[at] = '\0';
		accepted += page_decode(&page, columns, body, sizeof(whole) - 1, MAX_ROWS, &error);
		free(body);
	}
	ok(accepted == 0, "no body with a NUL byte is accepted", NULL);
	page_free(&page);
	page_columns_free(columns);
}

/* Decodes rows of one member "a", given the text between "[" and "]". */
static bool
decode_nested(const char *opening, const char *closing, int depth, PageError *error)
{
	PageColumns *columns = columns_of("x");
	CellPage	 page = {0};
	char		 body[4096] = "{\"items\":[{\"a\":";
	bool		 decoded;

	for (int i = 0; i < depth; i++)
		strcat(body, opening);
	strcat(body, "1");
	for (int i = 0; i < depth; i++)
		strcat(body, closing);
	strcat(body, "}]}");
	decoded = page_decode(&page, columns, body, strlen(body), MAX_ROWS, error);
	page_free(&page);
	page_columns_free(columns);
	return decoded;
}

static void
test_limits(void)
{
	PageColumns *columns = columns_of("a");
	CellPage	 page = {0};
	PageError	 error;
	char		*body;
	char		 rows[] = "{\"items\":[{},{},{}]}";
	const size_t big = 2 * 1024 * 1024;

	ok(decode_nested("[", "]", 61, &error), "64 levels of arrays", error.message);
	ok(!decode_nested("[", "]", 62, &error), "65 levels of arrays", NULL);
	ok(strcmp(error.message, "nested deeper than 64") == 0, "and the message", error.message);
	ok(decode_nested("{\"a\":", "}", 61, &error), "64 levels of objects", error.message);
	ok(!decode_nested("{\"a\":", "}", 62, &error), "65 levels of objects", NULL);

	body = copy_of(rows, strlen(rows));
	ok(page_decode(&page, columns, body, strlen(rows), 3, &error) && page.nrows == 3,
	   "as many rows as allowed", error.message);
	free(body);
	body = copy_of(rows, strlen(rows));
	ok(!page_decode(&page, columns, body, strlen(rows), 2, &error), "a row too many", NULL);
	ok(strcmp(error.message, "more than 2 rows") == 0, "and the message", error.message);
	free(body);
	body = copy_of(rows, strlen(rows));
	ok(!page_decode_objects(&page, body, strlen(rows), 2, &error), "an object too many", NULL);
	free(body);

	body = malloc(big + 32);
	if (body == NULL)
		abort();
	strcpy(body, "{\"items\":[{\"a\":\"");
	memset(body + 16, 'x', big);
	strcpy(body + 16 + big, "\"}]}");
	ok(page_decode(&page, columns, body, strlen(body), MAX_ROWS, &error) && page.cells[0].len == big,
	   "a cell of 2 MB", error.message);
	free(body);
	page_free(&page);
	page_columns_free(columns);
}

/* One page for bodies of other widths and sizes, as a scan uses it. */
static void
test_reuse(void)
{
	static const char *const lists[] = {"a", "a,b,c,d,e,f,g,h", "", "b,a", "h"};
	const int				 nrows = 700;
	char					*whole = malloc(64 * (size_t) nrows + 64);
	CellPage				 page = {0};
	PageError				 error;
	bool					 right = true;
	size_t					 len;

	if (whole == NULL)
		abort();
	len = (size_t) sprintf(whole, "{\"items\":[");
	for (int i = 0; i < nrows; i++)
		len += (size_t) sprintf(whole + len, "%s{\"a\":\"%d\",\"b\":%d,\"h\":\"h%d\"}",
								i > 0 ? "," : "", i, i, i);
	len += (size_t) sprintf(whole + len, "],\"count\":%d}", nrows);

	for (int i = 0; i < 20; i++)
	{
		PageColumns *columns = columns_of(lists[i % 5]);
		char		*body = copy_of(whole, len);
		char		*torn = copy_of(whole, len / 2);

		right = right && !page_decode(&page, columns, torn, len / 2, nrows, &error) && page.nrows == 0;
		right = right && page_decode(&page, columns, body, len, nrows, &error) && page.nrows == nrows;
		for (int row = 0; right && row < nrows && page.ncolumns > 0; row++)
		{
			const Cell *last = &page.cells[row * page.ncolumns + page.ncolumns - 1];
			char		expected[16];

			snprintf(expected, sizeof(expected), "%s%d",
					 lists[i % 5][strlen(lists[i % 5]) - 1] == 'h' ? "h" : "", row);
			right = last->text != NULL && strcmp(last->text, expected) == 0;
		}
		free(body);
		free(torn);
		page_columns_free(columns);
	}
	ok(right, "a page is reused for other columns and after errors", NULL);
	page_free(&page);
	free(whole);
}

/* More members than are remembered, in an order that never repeats. */
static void
test_many_members(void)
{
	char		*body = malloc(400 * 1024);
	PageColumns *columns = columns_of("m399,m0,m200");
	CellPage	 page = {0};
	PageError	 error;
	bool		 right;
	size_t		 len;

	if (body == NULL)
		abort();
	len = (size_t) sprintf(body, "{\"items\":[");
	for (int row = 0; row < 40; row++)
	{
		len += (size_t) sprintf(body + len, "%s{", row > 0 ? "," : "");
		for (int i = 0; i < 400; i++)
		{
			int m = (i * 7 + row * 13) % 400;

			len += (size_t) sprintf(body + len, "%s\"m%d\":\"%d.%d\"", i > 0 ? "," : "", m, row, m);
		}
		len += (size_t) sprintf(body + len, "}");
	}
	len += (size_t) sprintf(body + len, "]}");
	right = page_decode(&page, columns, body, len, 40, &error);
	for (int row = 0; right && row < 40; row++)
	{
		static const int wanted[] = {399, 0, 200};

		for (int i = 0; right && i < 3; i++)
		{
			char expected[32];

			snprintf(expected, sizeof(expected), "%d.%d", row, wanted[i]);
			right = strcmp(page.cells[row * 3 + i].text, expected) == 0;
		}
	}
	ok(right, "400 members in shifting order", error.message);
	page_free(&page);
	page_columns_free(columns);
	free(body);
}

/* A column's name is cut between characters in a message that has room for little. */
static void
test_long_names(void)
{
	char		 name[160];
	const char	*names[] = {name};
	char		 text[256];
	PageColumns *columns;
	CellPage	 page = {0};
	PageError	 error;

	memset(name, 'n', 62);
	strcpy(name + 62, "\xc3\xa9rest");
	columns = page_columns_create(names, 1);
	snprintf(text, sizeof(text), "{\"items\":[{\"%s\":\"\\u0000\"}]}", name);
	ok(!page_decode(&page, columns, text, strlen(text), MAX_ROWS, &error),
	   "U+0000 in a column of a long name", NULL);
	memset(name, 'n', 62);
	name[62] = '\0';
	snprintf(text, sizeof(text), "character U+0000 in column \"%s\" of row 1", name);
	ok(strcmp(error.message, text) == 0, "the name is cut between two characters", error.message);
	page_free(&page);
	page_columns_free(columns);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check(&good[i], true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check(&bad[i], false);
	test_torn();
	test_limits();
	test_reuse();
	test_many_members();
	test_long_names();
	printf("1..%d\n", tests);
	return failures > 0;
}
