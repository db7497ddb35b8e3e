/*-------------------------------------------------------------------------
 *
 * test_tba.c
 *		TAP tests of OAuth 1.0a signatures.  The signatures expected were
 *		computed with Python's hmac and urllib.
 *
 * Links: src/remote/tba.c
 *
 *-------------------------------------------------------------------------
 */
#include "remote/tba.h"

#include <stdlib.h>

#include "tap.h"

/* RFC 5849's example credentials. */
static TbaInput
example(const char *method, const char *url)
{
	TbaInput in = {0};

	in.method = method;
	in.url = url;
	in.realm = "1234567_SB1";
	in.consumer_key = "9djdj82h48djs9d2";
	in.consumer_secret = "j49sk3j29djd";
	in.token_id = "kkk9d7dh3k39sjv7";
	in.token_secret = "dh893hdasih9";
	in.nonce = "7d8f3e4a";
	in.timestamp = 137131201;
	return in;
}

static char *
signature_in(const char *header)
{
	const char *begin = header ? strstr(header, "oauth_signature=\"") : NULL;
	char	   *out;

	if (!begin)
		return NULL;
	begin += strlen("oauth_signature=\"");
	out = strdup(begin);
	out[strcspn(out, "\"")] = '\0';
	return out;
}

static void
check_signature(const TbaInput *in, const char *want, const char *name)
{
	char *header = tba_authorization(in);
	char *got = signature_in(header);

	is_text(got, want, name);
	free(got);
	free(header);
}

static void
test_signatures(void)
{
	TbaInput in =
		example("POST", "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2&a3=2+q");

	check_signature(&in, "xie2kqHv7CoC3VI1g%2FIUClHXm4q%2B1H3XJZG1izUgBXs%3D",
					"the query of RFC 5849's example");
	in = example("GET",
				 "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/system/v1/serverTime");
	check_signature(&in, "yeV8O999zl0N2W%2BnmeDrBcaIix2imK%2FvmEsN0ybRtBE%3D", "no query");
	in = example("POST",
				 "https://1234567-sb1.suitetalk.api.netsuite.com:443/services/rest/query/v1/suiteql?limit=1000&offset=2000");
	check_signature(&in, "mSZGS9pkqEUuosEHMUio0aW8PT7eJfNIMNVDAIanVe8%3D",
					"limit and offset are signed, the scheme's own port is not");
	in = example("GET", "http://127.0.0.1:8080");
	check_signature(&in, "wO%2FHaAf51a5UrLmIkfy0cvNbF%2FkOtTYJfjU4meJfT8c%3D",
					"another port, and no path");
	in = example("POST", "https://h.example/x?limit=10&offset=0#fragment");
	in.consumer_key = "k&ey";
	in.consumer_secret = "s e/c";
	in.token_id = "t%k";
	in.token_secret = "\xc3\xbc+~";
	in.nonce = "n";
	in.timestamp = 1700000000;
	check_signature(&in, "ZYTWDFoc%2BoFrGz%2FqRTyaPXBTayivX406Jbk0CFO3cNo%3D",
					"characters that have to be escaped");
}

static void
test_header(void)
{
	TbaInput in =
		example("GET",
				"https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/system/v1/serverTime");
	char *header = tba_authorization(&in);

	is_text(header,
			"OAuth realm=\"1234567_SB1\", oauth_consumer_key=\"9djdj82h48djs9d2\", "
			"oauth_token=\"kkk9d7dh3k39sjv7\", oauth_signature_method=\"HMAC-SHA256\", "
			"oauth_timestamp=\"137131201\", oauth_nonce=\"7d8f3e4a\", oauth_version=\"1.0\", "
			"oauth_signature=\"yeV8O999zl0N2W%2BnmeDrBcaIix2imK%2FvmEsN0ybRtBE%3D\"",
			"the whole header");
	ok(!strstr(header, in.consumer_secret) && !strstr(header, in.token_secret),
	   "no secret stands in it");
	free(header);
}

static void
test_refusals(void)
{
	TbaInput in = example("GET", "not a url");

	ok(tba_authorization(&in) == NULL, "a text that is no URL");
	in = example("GET", "https:///path");
	ok(tba_authorization(&in) == NULL, "a URL without a host");
}

static void
test_nonce(void)
{
	char a[TBA_NONCE_SIZE];
	char b[TBA_NONCE_SIZE];

	ok(tba_nonce(a) && tba_nonce(b), "nonces can be had");
	ok(strlen(a) == TBA_NONCE_SIZE - 1 && strspn(a, "0123456789abcdef") == strlen(a),
	   "a nonce has 32 hexadecimal digits");
	ok(strcmp(a, b) != 0, "two nonces differ");
}

int
main(void)
{
	test_signatures();
	test_header();
	test_refusals();
	test_nonce();
	return tap_done();
}
