/*-------------------------------------------------------------------------
 *
 * test_url.c
 *		TAP tests of base URLs, account keys and the paths shown in messages.
 *
 * Links: src/remote/url.c
 *
 *-------------------------------------------------------------------------
 */
#include "remote/url.h"

#include "tap.h"

static Url	url;
static char err[128];

static bool
parses(const char *text)
{
	err[0] = '\0';
	return url_parse(text, &url, err, sizeof(err));
}

static void
refuses(const char *text, const char *why)
{
	if (parses(text))
		ok(false, text);
	else
		is_text(err, why, text);
}

static void
test_parts(void)
{
	ok(parses("https://Example.COM"), "the shortest");
	is_text(url.host, "example.com", "its host, in lower case");
	is_number(url.port, 443, "its port");
	is_text(url.path, "", "its path");
	ok(url.tls, "it is encrypted");

	ok(parses("HTTP://127.0.0.1:8080/a/b//"), "a port and a path");
	is_number(url.port, 8080, "the port");
	is_text(url.path, "/a/b", "the path without its last slashes");
	ok(!url.tls, "it is not encrypted");

	ok(parses("https://[2001:DB8::1]:444/x"), "an IPv6 address");
	is_text(url.host, "2001:db8::1", "without its brackets");
	ok(url.ipv6, "known as one");
	is_number(url.port, 444, "and its port");

	ok(parses("https://1234567-sb1.suitetalk.api.netsuite.com"), "a sandbox");
	ok(parses("https://localhost./"), "a name with a dot at its end is left to the guard");
	ok(parses("http://2130706433/"), "and so is a number");
	ok(parses("https://h/%2F"), "an escape in the path");
}

static void
test_refusals(void)
{
	const char *scheme = "must begin with https:// or http://";

	refuses("", scheme);
	refuses("example.com", scheme);
	refuses("file:///etc/passwd", scheme);
	refuses("gopher://127.0.0.1:5432/", scheme);
	refuses("http+unix://%2Fvar%2Frun%2Fpostgresql%2F.s.PGSQL.5432/", scheme);
	refuses(" https://h", scheme);
	refuses("https://", "has no host name");
	refuses("https:///path", "has no host name");
	refuses("https://:443", "has no host name");
	refuses("http://user@127.0.0.1/", "must not contain credentials");
	refuses("http://user:password@h/", "must not contain credentials");
	refuses("http://h:80@evil/", "must not contain credentials");
	refuses("http://h\\@evil/", "must not contain credentials");
	refuses("http://[::1%25lo]/", "has an IPv6 address that is not valid");
	refuses("http://[::1", "has an IPv6 address without its closing bracket");
	refuses("http://[]/", "has an IPv6 address that is not valid");
	refuses("http://[::1]x/", "has something other than a path behind its host");
	refuses("https://h:0", "has a port that is not between 1 and 65535");
	refuses("https://h:65536", "has a port that is not between 1 and 65535");
	refuses("https://h:", "has a port that is not between 1 and 65535");
	refuses("https://h:4444444444444", "has a port that is not between 1 and 65535");
	refuses("https://h:80x", "has something other than a path behind its host");
	refuses("https://h/?q=1", "must not contain a query");
	refuses("https://h?q=1", "must not contain a query");
	refuses("https://h/#f", "must not contain a fragment");
	refuses("https://h/a b", "has a path with a character that is not allowed");
	refuses("https://h/a\"b", "has a path with a character that is not allowed");
	refuses("https://h/\xc3\xa4", "has a path with a character that is not allowed");
	refuses("https://h\xc3\xa4", "has a host name with a character that is not allowed");
	refuses("https://a b", "has a host name with a character that is not allowed");
	refuses("https://%31", "has a host name with a character that is not allowed");
}

static void
test_lengths(void)
{
	char text[2048];

	memset(text, 'a', sizeof(text));
	memcpy(text, "https://", 8);
	text[8 + URL_MAX_HOST] = '\0';
	ok(parses(text), "the longest host");
	text[8 + URL_MAX_HOST] = 'a';
	text[9 + URL_MAX_HOST] = '\0';
	refuses(text, "has a host name that is too long");

	memset(text, 'a', sizeof(text));
	memcpy(text, "https://h/", 10);
	text[9 + URL_MAX_PATH] = '\0';
	ok(parses(text), "the longest path");
	text[9 + URL_MAX_PATH] = 'a';
	text[10 + URL_MAX_PATH] = '\0';
	refuses(text, "has a path that is too long");
}

static const char *
key(const char *text, const char *account)
{
	static char out[400];

	parses(text);
	url_account_key(&url, account, out, sizeof(out));
	return out;
}

static const char *
path(const char *text)
{
	static char out[16];

	url_path_of(text, out, sizeof(out));
	return out;
}

static void
test_keys_and_paths(void)
{
	char small[12];

	is_text(key("https://H/x", NULL), "https://h:443/", "the path is no part of the account");
	is_text(key("https://h:443", "1234567_SB1"), "https://h:443/1234567_sb1", "an account");
	is_text(key("https://h", "1234567-sb1"), "https://h:443/1234567_sb1", "in its other spelling");
	is_text(key("http://h", NULL), "http://h:80/", "another scheme is another account");
	url_account_key(&url, "123456789", small, sizeof(small));
	is_text(small, "http://h:80", "a key that is cut off ends where it should");

	is_text(path("https://h/a/b?token=secret"), "/a/b", "a path without its query");
	is_text(path("https://h/a#f"), "/a", "or its fragment");
	is_text(path("https://h"), "/", "no path");
	is_text(path("https://h?q=1"), "/", "no path but a query");
	is_text(path("https://h/0123456789abcdefgh"), "/0123456789abcd", "a path cut off");
}

int
main(void)
{
	test_parts();
	test_refusals();
	test_lengths();
	test_keys_and_paths();
	return tap_done();
}
