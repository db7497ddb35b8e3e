/*-------------------------------------------------------------------------
 *
 * slow_dns.c
 *		A resolver for tests, put before the system's with LD_PRELOAD: names
 *		that end in "slow.test" take longer than any test and "brief.test" a
 *		moment, neither is there; "rebound.test" is this machine, and "turns.test"
 *		is 127.0.0.1 and 127.0.0.2 by turns, counted by the size of the file
 *		that LOOK_UPS names.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*Resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* The answer of this look-up; the next has the other. */
static const char *
take_turn(void)
{
	int			fd = open(getenv("LOOK_UPS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	const char *answer =
		write(fd, "x", 1) == 1 && lseek(fd, 0, SEEK_CUR) % 2 == 1 ? "127.0.0.1" : "127.0.0.2";

	close(fd);
	return answer;
}

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
	if (node != NULL && strcmp(node, "turns.test") == 0)
	{
		/* newer libcurls ask for each family */
		if (hints != NULL && hints->ai_family == AF_INET6)
			return EAI_NONAME;
		node = take_turn();
	}
	return real(node, service, hints, result);
}
