/*-------------------------------------------------------------------------
 *
 * test_allow.c
 *		TAP tests of makini.allowed_private_hosts.
 *
 * Links: src/webhook/allow.c
 *
 *-------------------------------------------------------------------------
 */
#include "webhook/allow.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tap.h"

static void
test_lists(void)
{
	static const char *const good[] = {"",		   "127.0.0.1",		" 10.0.0.0/8 , hooks.internal ",
									   "fd00::/8", "::1,localhost", ",,"};
	static const char *const bad[] = {"10.0.0.0/33", "10.0.0.0/x", "fd00::/129", "10.0.0.0/",
									  "a b",		 "http://x",   "[::1]"};
	char					 entry[64];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(allow_check(good[i], entry, sizeof(entry)), good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!allow_check(bad[i], entry, sizeof(entry)), bad[i]);
}

static void
test_matches(void)
{
	static const struct
	{
		const char *list;
		const char *host;
		const char *address;
		bool		allowed;
	} cases[] = {
		{"", "localhost", "127.0.0.1", false},
		{"127.0.0.1", "x", "127.0.0.1", true},
		{"127.0.0.1", "x", "127.0.0.2", false},
		{"127.0.0.0/8", "x", "127.255.0.9", true},
		{"127.0.0.0/8", "x", "128.0.0.0", false},
		{"10.1.2.0/23", "x", "10.1.3.255", true},
		{"10.1.2.0/23", "x", "10.1.4.0", false},
		{"0.0.0.0/0", "x", "192.168.1.1", true},
		{"0.0.0.0/0", "x", "fd00::1", false},
		{"10.0.0.0/8", "x", "::ffff:10.1.1.1", true},
		{"fd00::/8", "x", "fdff::1", true},
		{"fd00::/8", "x", "fe80::1", false},
		{"hooks.internal", "hooks.internal", "10.0.0.1", true},
		{"Hooks.Internal", "hooks.internal", "10.0.0.1", true},
		{"hooks.internal", "evil.hooks.internal", "10.0.0.1", false},
		{"a, 10.0.0.0/8", "b", "10.9.9.9", true},
		{"10.0.0.0/8", "10.0.0.0/8", "11.0.0.1", false},
		{"10.0.0.0/8", "x", "nonsense", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char name[200];

		snprintf(name, sizeof(name), "%s in %s (%s)", cases[i].address, cases[i].list, cases[i].host);
		ok(allow_matches_text(cases[i].list, cases[i].host, cases[i].address) == cases[i].allowed,
		   name);
	}
}

static void
test_sockets(void)
{
	struct sockaddr_in	in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr		other = {.sa_family = AF_UNIX};

	ok(allow_matches("127.0.0.0/8", "x", (struct sockaddr *) &in), "an IPv4 socket");
	ok(allow_matches("::1", "x", (struct sockaddr *) &in6), "an IPv6 socket");
	ok(!allow_matches("127.0.0.0/8", "x", (struct sockaddr *) &in6), "which is another");
	ok(!allow_matches("localhost", "localhost", &other), "no other family, whatever its name");
}

int
main(void)
{
	test_lists();
	test_matches();
	test_sockets();
	return tap_done();
}
