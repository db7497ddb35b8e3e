/*-------------------------------------------------------------------------
 *
 * test_guard.c
 *		TAP tests of the address guard: the addresses that every client of
 *		webhooks should block, and the forms that smuggle IPv4 into IPv6.
 *
 * Links: src/remote/guard.c
 *
 *-------------------------------------------------------------------------
 */
#include "remote/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "tap.h"

static const char *const blocked[] =
	{"10.254.0.0", "192.168.10.65", "172.16.10.65", "0.1.2.3", "0.0.0.0", "127.0.0.1",
	 "127.0.0.254", "127.254.254.254", "169.254.45.1", "169.254.169.254", "255.255.255.255",
	 "224.1.2.3", "233.252.0.16", "192.0.0.0", "192.0.0.255", "192.0.2.255", "198.51.100.65",
	 "203.0.113.6", "100.100.0.0", "192.88.99.3", "198.18.0.0", "240.240.240.240", "::", "::1",
	 "::ffff:127.0.0.1", "::ffff:0.0.0.1", "2001:db8::1", "3fff::dead:beef", "fe80::dead:beef",
	 "febf:ffff::dead:beef", "fdee:3A45:9057::0001", "fd7a:115c:a1e0::1",
	 "2002:c000:0204::dead:beef", "2002:c0a8:0001::dead:beef", "64:ff9b::c0a8:0",
	 "64:ff9b::808:808", "64:ff9b:1::dead:beef", "5f00::dead:beef", "100::1:2:3:4",
	 /* the edges of ranges */
	 "10.0.0.0", "10.255.255.255", "172.31.255.255", "100.64.0.0", "100.127.255.255",
	 "198.19.255.255", "239.255.255.255", "169.254.0.0",
	 /* IPv4 inside IPv6 */
	 "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
	 "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001::1",
	 "2a00:1450:4001:1:0:5efe:10.0.0.1", "2a00:1450:4001:1:200:5efe:192.168.0.1",
	 /* the rest of what is not global unicast */
	 "ff02::1", "ff0e::1", "fec0::1", "4000::1", "2001:20::1", "3fff:fff::1"};

static const char *const allowed[] = {"1.1.1.1",
									  "8.8.8.8",
									  "2001:4860:4860::8888",
									  "::ffff:8.8.8.8",
									  "9.255.255.255",
									  "11.0.0.0",
									  "172.15.255.255",
									  "172.32.0.0",
									  "100.63.255.255",
									  "100.128.0.0",
									  "198.17.255.255",
									  "198.20.0.0",
									  "223.255.255.255",
									  "169.253.255.255",
									  "169.255.0.0",
									  "192.0.1.0",
									  "192.167.255.255",
									  "192.169.0.0",
									  "128.0.0.0",
									  "2001:200::1",
									  "2600::1",
									  "3ffe::1",
									  "2a00:1450:4001:1:0:5efe:8.8.8.8"};

/* The same through a socket address, as libcurl hands it over. */
static bool
private_as_socket(const char *text)
{
	struct sockaddr_in	in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return guard_address_is_private((struct sockaddr *) &in);
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		return guard_address_is_private((struct sockaddr *) &in6);
	printf("# not an address: %s\n", text);
	return true;
}

int
main(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	char			   name[64];

	for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++)
		ok(private_as_socket(blocked[i]) && guard_text_is_private(blocked[i]), blocked[i]);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ok(!private_as_socket(allowed[i]) && !guard_text_is_private(allowed[i]), allowed[i]);

	ok(guard_address_is_private((struct sockaddr *) &un), "a Unix-domain socket is private");
	ok(guard_text_is_private("localhost"), "a name is not an address");
	ok(guard_text_is_private("2130706433"), "a decimal number is not an address");
	ok(guard_text_is_private("fe80::1%lo"), "an address with a zone is private");
	guard_format_address((struct sockaddr *) &in, name, sizeof(name));
	is_text(name, "127.0.0.1", "an address is shown without its port");
	return tap_done();
}
