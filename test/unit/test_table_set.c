/*-------------------------------------------------------------------------
 *
 * test_table_set.c
 *		TAP tests of the reader of .NET's table sets.
 *
 *		cc -Isrc test/unit/test_table_set.c src/connector/asctrac/table_set.c src/connector/page.c
 *
 * Texts stand in exactly allocated memory, so that a sanitizer sees a step
 * beyond their end.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/asctrac/table_set.h"

#include <stdlib.h>

#include "tap.h"

static const char *const names[] = {"SKIDID", "Description"};

/* Cells joined by "|", rows ended by ";", or what is wrong. */
static char *
decode(const char *text, bool *bad_text)
{
	size_t	  len = strlen(text);
	char	 *copy = malloc(len + 1);
	char	 *out = calloc(1, 20000);
	CellPage  page = {0};
	PageError error;

	memcpy(copy, text, len + 1);
	if (table_set_decode(&page, names, 2, "LOCITEMS", copy, len, 100, &error))
	{
		for (int i = 0; i < page.nrows * 2; i++)
		{
			Cell *cell = &page.cells[i];

			strcat(out, cell->text ? cell->text : "null");
			strcat(out, i % 2 ? ";" : "|");
			if (cell->text && strlen(cell->text) != cell->len)
				strcat(out, "(length)");
		}
	}
	else
		sprintf(out, "! %s", error.message);
	*bad_text = error.bad_text;
	page_free(&page);
	free(copy);
	return out;
}

static void
check(const char *text, const char *want, const char *name)
{
	bool  bad_text;
	char *got = decode(text, &bad_text);

	is_text(got, want, name);
	free(got);
}

#define ROW(cells) "<NewDataSet><LOCITEMS>" cells "</LOCITEMS></NewDataSet>"

static void
check_torn(void)
{
	const char *whole =
		"<NewDataSet>\n  <LOCITEMS a=\"1\">\n    <SKIDID>1&amp;2</SKIDID><X><Y/></X>\n  </LOCITEMS>\n</NewDataSet>";
	bool all = true;

	for (size_t len = 0; len < strlen(whole); len++)
	{
		char *part = strndup(whole, len);
		bool  bad_text;
		char *got = decode(part, &bad_text);

		if (got[0] != '!')
		{
			all = false;
			printf("# %s: %s\n", part, got);
		}
		free(got);
		free(part);
	}
	ok(all, "a torn text is an error wherever it is torn");
}

static void
check_many(void)
{
	char *text = calloc(1, 20000);
	bool  bad_text;
	char *got;

	strcpy(text, "<NewDataSet>");
	for (int i = 0; i < 101; i++)
		strcat(text, "<LOCITEMS/>");
	strcat(text, "</NewDataSet>");
	got = decode(text, &bad_text);
	is_text(got, "! there are more than 100 rows", "more rows than allowed");
	free(got);
	strcpy(text, "<NewDataSet>");
	for (int i = 0; i < 1000; i++)
		strcat(text, "<X>");
	got = decode(text, &bad_text);
	is_text(got, "! elements are nested too deeply", "elements without end");
	free(got);
	free(text);
}

int
main(void)
{
	bool  bad_text;
	char *got;

	check("<NewDataSet/>", "", "no rows");
	check("<NewDataSet></NewDataSet>\r\n", "", "no rows either");
	check("<?xml version=\"1.0\" standalone=\"yes\"?>\n<NewDataSet />", "", "a declaration");
	check(ROW("<SKIDID>1</SKIDID><DESCRIPTION>a b</DESCRIPTION>"), "1|a b;", "a row");
	check(ROW("<DESCRIPTION>x</DESCRIPTION>"), "null|x;", "a column that is not there");
	check(ROW("<SKIDID/><DESCRIPTION></DESCRIPTION>"), "|;", "empty columns");
	check(ROW("<SKIDID xml:space='preserve'> </SKIDID>"), " |null;", "blanks are text");
	check(ROW("<SKIDID>&lt;&amp;&gt;&quot;&apos;&#65;&#x20AC;&#x1F600;</SKIDID>"),
		  "<&>\"'A\xe2\x82\xac\xf0\x9f\x98\x80|null;", "entities and character references");
	check(ROW("<Other><Deep>1</Deep></Other><SKIDID>2</SKIDID>"), "2|null;", "what is not wanted");
	check("<NewDataSet><xs:schema id=\"NewDataSet\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"><xs:element name=\"LOCITEMS\"/></xs:schema>"
		  "<LOCITEMS><SKIDID>1</SKIDID></LOCITEMS><ORDRDET><SKIDID>9</SKIDID></ORDRDET></NewDataSet>",
		  "1|null;", "a schema in front, and other rows");
	check("<Other/>", "! it does not begin with NewDataSet", "another document");
	check("OK", "! an element was expected", "no document");
	check("<!DOCTYPE x><NewDataSet/>", "! an element has no name", "a document type");
	check("<NewDataSet/>x", "! something follows the table set", "something behind it");
	check(ROW("<SKIDID>&nbsp;</SKIDID>"), "! an entity is not known", "an unknown entity");
	check(ROW("<SKIDID>&#x;</SKIDID>"), "! a character reference names no character",
		  "a reference to nothing");
	check(ROW("<SKIDID>&#12</SKIDID>"), "! a character reference is not well formed",
		  "a reference that does not end");
	check(ROW("<SKIDID><B/></SKIDID>"), "! column \"SKIDID\" holds more than text",
		  "elements in a column");
	check(ROW("<SKIDID>1</OTHER>"), "! column \"SKIDID\" holds more than text", "the wrong end");
	check("<NewDataSet><LOCITEMS></NewDataSet>", "! an element ends that did not begin",
		  "a row without end");
	check("<NewDataSet><X></Y></NewDataSet>", "! an element ends that did not begin",
		  "the wrong end of what is skipped");
	check("<NewDataSet a></NewDataSet>", "! an attribute has no value", "an attribute without value");
	check("<NewDataSet a=b></NewDataSet>", "! an attribute's value is not quoted",
		  "an attribute without quotes");
	got = decode(ROW("<SKIDID>&#xD800;</SKIDID>"), &bad_text);
	ok(bad_text, "a lone surrogate is no text");
	free(got);
	check_torn();
	check_many();
	return tap_done();
}
