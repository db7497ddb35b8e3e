/*-------------------------------------------------------------------------
 *
 * slow_dns.c
 *		A resolver for tests, put before the system's with LD_PRELOAD: names
 *		that end in "slow.test" take longer than any test and "brief.test" a
 *		moment, neither is there; "rebound.test" is this machine.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

typedef int (*Resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	Resolver real = (Resolver) dlsym(RTLD_NEXT, "getaddrinfo");

	if (node != NULL && strstr(node, "slow.test") != NULL)
	{
		sleep(600);
		return EAI_NONAME;
	}
	if (node != NULL && strcmp(node, "brief.test") == 0)
	{
		usleep(300000);
		return EAI_NONAME;
	}
	if (node != NULL && strcmp(node, "rebound.test") == 0)
		node = "127.0.0.1";
	return real(node, service, hints, result);
}
