/*-------------------------------------------------------------------------
 *
 * guard.c
 *		Which network addresses makini does not talk to unless told to.
 *
 * A server's owner chooses host names, and whoever answers for a name chooses
 * its addresses.  So the address is judged, not the name, and at the moment a
 * socket is opened for it: a name that changes its answer gains nothing.
 *
 * Pure: does not include postgres.h.
 *
 *-------------------------------------------------------------------------
 */
#include "remote/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

typedef struct Range4
{
	uint32_t network;
	int		 bits;
} Range4;

/* Everything that IANA's registry of special addresses calls not global. */
static const Range4 ranges4[] = {
	{0x00000000, 8},  /* this network */
	{0x0a000000, 8},  /* private */
	{0x64400000, 10}, /* carriers' NAT */
	{0x7f000000, 8},  /* loopback */
	{0xa9fe0000, 16}, /* link-local, cloud metadata */
	{0xac100000, 12}, /* private */
	{0xc0000000, 24}, /* protocol assignments */
	{0xc0000200, 24}, /* documentation */
	{0xc0586300, 24}, /* 6to4 relays */
	{0xc0a80000, 16}, /* private */
	{0xc6120000, 15}, /* benchmarks */
	{0xc6336400, 24}, /* documentation */
	{0xcb007100, 24}, /* documentation */
	{0xe0000000, 4},  /* multicast */
	{0xf0000000, 4},  /* reserved, broadcast */
};

static bool
private4(uint32_t address)
{
	for (size_t i = 0; i < sizeof(ranges4) / sizeof(ranges4[0]); i++)
	{
		uint32_t mask = 0xffffffffu << (32 - ranges4[i].bits);

		if ((address & mask) == ranges4[i].network)
			return true;
	}
	return false;
}

static uint32_t
word(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

static bool
private6(const uint8_t *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (memcmp(a, mapped, sizeof(mapped)) == 0)
		return private4(word(a + 12));

	/*
	 * Only 2000::/3 is given out as global unicast.  That leaves out loopback,
	 * IPv4-compatible, NAT64 (which can carry any IPv4 address, private ones
	 * too), unique local, link-local and multicast.
	 */
	if ((a[0] & 0xe0) != 0x20)
		return true;

	if (a[0] == 0x20 && a[1] == 0x01 && a[2] <= 0x01)
		return true; /* 2001::/23: protocols, Teredo among them */
	if (word(a) == 0x20010db8)
		return true; /* documentation */
	if (a[0] == 0x20 && a[1] == 0x02)
		return true; /* 6to4: carries any IPv4 address */
	if (a[0] == 0x3f && a[1] == 0xff && (a[2] & 0xf0) == 0)
		return true; /* documentation */

	/* ISATAP: an IPv4 address in the lower half of any prefix */
	if ((word(a + 8) & 0xfdffffff) == 0x00005efe)
		return private4(word(a + 12));

	return false;
}

bool
guard_address_is_private(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
	{
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		return private4(ntohl(in.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6)
	{
		struct sockaddr_in6 in6;

		memcpy(&in6, address, sizeof(in6));
		return private6(in6.sin6_addr.s6_addr);
	}
	return true;
}

void
guard_parse_address(const char *text, struct sockaddr_storage *address)
{
	struct sockaddr_in	in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	memset(address, 0, sizeof(*address));
	address->ss_family = AF_UNSPEC;
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		memcpy(address, &in, sizeof(in));
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		memcpy(address, &in6, sizeof(in6));
}

bool
guard_text_is_private(const char *text)
{
	struct sockaddr_storage address;

	guard_parse_address(text, &address);
	return guard_address_is_private((struct sockaddr *) &address);
}

void
guard_format_address(const struct sockaddr *address, char *out, size_t len)
{
	out[0] = '\0';
	if (address->sa_family == AF_INET)
	{
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		(void) inet_ntop(AF_INET, &in.sin_addr, out, (socklen_t) len);
	}
	else if (address->sa_family == AF_INET6)
	{
		struct sockaddr_in6 in6;

		memcpy(&in6, address, sizeof(in6));
		(void) inet_ntop(AF_INET6, &in6.sin6_addr, out, (socklen_t) len);
	}
}
