/*-------------------------------------------------------------------------
 *
 * test_deprecation.c
 *		TAP tests of the headers Deprecation, Sunset and Link, and when they are news.
 *
 * Links: src/remote/deprecation_header.c src/remote/retry.c
 *
 *-------------------------------------------------------------------------
 */
#include "remote/deprecation_header.h"

#include <string.h>

#include "tap.h"

#define HTTP_DATE "Sun, 06 Nov 2033 08:49:37 GMT"
#define HTTP_SECOND 2014879777LL

/* What the two headers come to: deprecated_at, sunset_at; -1 where nothing is announced. */
static void
is_said(const char *deprecation, const char *sunset, int64_t deprecated_at, int64_t sunset_at,
		const char *name)
{
	DeprecationDates dates = {-2, -2};
	bool			 said = deprecation_parse(deprecation, sunset, &dates);

	if (deprecated_at < 0)
		ok(!said, name);
	else
		ok(said && dates.deprecated_at == deprecated_at && dates.sunset_at == sunset_at, name);
}

static void
test_dates(void)
{
	is_said(NULL, NULL, -1, 0, "no header says nothing");
	is_said("@1688169599", NULL, 1688169599, 0, "RFC 9745's own example");
	is_said("@1688169599;x=1", NULL, 1688169599, 0, "with a parameter");
	is_said("@4102444800", HTTP_DATE, 4102444800, HTTP_SECOND, "ahead, and an end");
	is_said(NULL, HTTP_DATE, 0, HTTP_SECOND, "an end alone, as RFC 8594 has it");
	is_said("true", NULL, 0, 0, "what a draft knew");
	is_said("?1", NULL, 0, 0, "a structured boolean");
	is_said("version=\"v1\"", NULL, 0, 0, "what an older draft knew");
	is_said(HTTP_DATE, NULL, HTTP_SECOND, 0, "an HTTP date where a structured one belongs");
	is_said(NULL, "@2014879777", 0, HTTP_SECOND, "and the other way round");
	is_said("false", NULL, -1, 0, "false");
	is_said("?0", NULL, -1, 0, "a structured false");
	is_said("", NULL, -1, 0, "nothing");
	is_said(NULL, "soon", -1, 0, "an end that is none");
	is_said("@", NULL, 0, 0, "no digit");
	is_said("@12x", NULL, 0, 0, "digits and more");
	is_said("@-5", NULL, 0, 0, "before 1970");
	is_said("@99999999999999999999999999", NULL, 0, 0, "more digits than fit");
	is_said("@253402300799", NULL, 253402300799, 0, "the last second there is");
	is_said("@253402300800", NULL, 0, 0, "and the one behind it");
}

static void
links_to(const char *link, const char *expected, const char *name)
{
	char target[64] = "";
	bool found = deprecation_link(link, target, sizeof(target));

	ok(expected == NULL ? !found : found && strcmp(target, expected) == 0, name);
}

static void
test_links(void)
{
	links_to(NULL, NULL, "no Link");
	links_to("", NULL, "an empty one");
	links_to("<https://a/b>; rel=\"deprecation\"; type=\"text/html\"", "https://a/b", "RFC 9745's");
	links_to("<https://a/b>;rel=sunset", "https://a/b", "RFC 8594's, without quotes");
	links_to("<https://a/n>; rel=next, <https://a/b>; rel=\"deprecation\"", "https://a/b",
			 "the second of two");
	links_to("<https://a/s>; rel=sunset, <https://a/b>; REL=\"Deprecation\"", "https://a/b",
			 "the better of two, in any case");
	links_to("<https://a/b>; rel=\"alternate deprecation\"", "https://a/b", "one relation of two");
	links_to("<https://a/b>; rel=\"predeprecation\"", NULL, "another word");
	links_to("<https://a/b>; rel=next; rel=deprecation", NULL, "only the first rel counts");
	links_to("<https://a/b>; rel=deprecation; anchor=\"/x\"", NULL, "about something else");
	links_to("<https://a/,b>; title=\"a, <b>; rel=\\\"\"; rel=deprecation", "https://a/,b",
			 "commas, quotes and brackets where they may be");
	links_to("<../docs>; rel=deprecation", "../docs", "a relative one");
	links_to("<https://a/v2>; rel=\"successor-version\"", "https://a/v2", "what comes next");
	links_to("<https://a/b", NULL, "torn");
	links_to("<https://a/b>; rel=\"deprecation", "https://a/b", "a quote that does not end");
	links_to("<>; rel=deprecation", NULL, "an empty target");
	links_to("<https://a/\xc3\xa4>; rel=deprecation", NULL, "bytes that no URI has");
	links_to("<https://a/ b>; rel=deprecation", NULL, "a space");
	links_to("<https://a/0123456789012345678901234567890123456789012345678901234567890123456789>; rel=deprecation",
			 NULL, "too long");
	links_to("; rel=deprecation", NULL, "no target");
	links_to("<a>;;; =; rel; rel=deprecation,,,<b>", "a", "odd but sound");
}

static void
comes_to(const char *path, const char *expected)
{
	char out[24];

	deprecation_template(path, out, sizeof(out));
	ok(strcmp(out, expected) == 0, path[0] != '\0' ? path : "(nothing)");
}

static void
test_template(void)
{
	comes_to("", "");
	comes_to("/", "/");
	comes_to("/query/v1/suiteql", "/query/v1/suiteql");
	comes_to("/record/v1/item/4711", "/record/v1/item/{id}");
	comes_to("/item/4711/lines", "/item/{id}/lines");
	comes_to("/item/eid:AB-1", "/item/eid:{id}");
	comes_to("/x/1b4e28ba-2fa1-11d2-883f-0016d3cca427", "/x/{id}");
	comes_to("/1b4e28ba_2fa1/12a", "/1b4e28ba_2fa1/12a");
	comes_to("/a//1", "/a//{id}");
	comes_to("/a-path-that-is-longer-than-there-is-room", "/a-path-that-is-longer-");
	comes_to("/a-path-of-just-so/many/1", "/a-path-of-just-so/many");
}

static void
test_news(void)
{
	bool untold = false;

	ok(!deprecation_is_news(false, true, &untold), "what was told is no news");
	ok(deprecation_is_news(true, true, &untold) && !untold, "something else is");
	ok(!deprecation_is_news(true, false, &untold), "not so soon again");
	ok(!deprecation_is_news(false, false, &untold), "nor when it is said once more");
	ok(deprecation_is_news(false, true, &untold), "but later, though nothing is new then");
	ok(!deprecation_is_news(false, true, &untold), "and once");
}

int
main(void)
{
	test_dates();
	test_links();
	test_template();
	test_news();
	return tap_done();
}
