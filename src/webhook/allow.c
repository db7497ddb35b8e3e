/*-------------------------------------------------------------------------
 *
 * allow.c
 *		Which private addresses webhooks may be sent to: the setting
 *		makini.allowed_private_hosts.
 *
 * Pure: does not include postgres.h.
 *
 *-------------------------------------------------------------------------
 */
#include "webhook/allow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_ENTRY 256

/* An address as 16 bytes; IPv4 as it is mapped into IPv6. */
typedef struct Address
{
	uint8_t bytes[16];
} Address;

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void
set_ipv4(Address *address, const void *in)
{
	memcpy(address->bytes, mapped, sizeof(mapped));
	memcpy(address->bytes + sizeof(mapped), in, 4);
}

static bool
parse_address(const char *text, Address *address, int *base_bits)
{
	struct in_addr in;

	*base_bits = 0;
	if (inet_pton(AF_INET6, text, address->bytes) == 1)
		return true;
	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	set_ipv4(address, &in);
	*base_bits = 96;
	return true;
}

static bool
parse_bits(const char *text, int base_bits, int *bits)
{
	size_t len = strlen(text);

	if (len == 0 || len > 3 || strspn(text, "0123456789") != len)
		return false;
	*bits = base_bits + atoi(text);
	return *bits <= 128;
}

static bool
parse_network(const char *entry, Address *network, int *bits)
{
	char  text[MAX_ENTRY];
	char *slash;
	int	  base_bits;

	snprintf(text, sizeof(text), "%s", entry);
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash = '\0';
	*bits = 128;
	return parse_address(text, network, &base_bits) &&
		(slash == NULL || parse_bits(slash + 1, base_bits, bits));
}

static bool
is_name(const char *entry)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	return entry[0] != '\0' && strspn(entry, letters) == strlen(entry);
}

/* The next entry of the list without blanks around it; false at the end. */
static bool
next_entry(const char **list, char *entry)
{
	size_t len;

	*list += strspn(*list, " \t,");
	if (**list == '\0')
		return false;
	len = strcspn(*list, ",");
	snprintf(entry, MAX_ENTRY, "%.*s", (int) (len < MAX_ENTRY ? len : MAX_ENTRY - 1), *list);
	*list += len;
	for (len = strlen(entry); len > 0 && strchr(" \t", entry[len - 1]) != NULL;)
		entry[--len] = '\0';
	return true;
}

bool
allow_check(const char *list, char *bad, size_t bad_len)
{
	char	entry[MAX_ENTRY];
	Address network;
	int		bits;

	while (next_entry(&list, entry))
	{
		if (!parse_network(entry, &network, &bits) && !is_name(entry))
		{
			snprintf(bad, bad_len, "%s", entry);
			return false;
		}
	}
	return true;
}

static bool
is_within(const Address *address, const Address *network, int bits)
{
	int whole = bits / 8;
	int rest = bits % 8;

	if (memcmp(address->bytes, network->bytes, (size_t) whole) != 0)
		return false;
	return rest == 0 || ((address->bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

static bool
matches(const char *list, const char *host, const Address *address)
{
	char	entry[MAX_ENTRY];
	Address network;
	int		bits;

	while (next_entry(&list, entry))
	{
		if (parse_network(entry, &network, &bits) ? is_within(address, &network, bits) :
													strcasecmp(entry, host) == 0)
			return true;
	}
	return false;
}

bool
allow_matches(const char *list, const char *host, const struct sockaddr *sockaddr)
{
	Address address;

	if (sockaddr->sa_family == AF_INET)
	{
		struct sockaddr_in in;

		memcpy(&in, sockaddr, sizeof(in));
		set_ipv4(&address, &in.sin_addr);
	}
	else if (sockaddr->sa_family == AF_INET6)
	{
		struct sockaddr_in6 in6;

		memcpy(&in6, sockaddr, sizeof(in6));
		memcpy(address.bytes, &in6.sin6_addr, sizeof(address.bytes));
	}
	else
		return false;
	return matches(list, host, &address);
}

bool
allow_matches_text(const char *list, const char *host, const char *text)
{
	Address address;
	int		base_bits;

	return parse_address(text, &address, &base_bits) && matches(list, host, &address);
}
