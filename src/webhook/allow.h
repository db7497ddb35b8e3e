/*-------------------------------------------------------------------------
 *
 * allow.h
 *		Which private addresses webhooks may be sent to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_ALLOW_H
#define MAKINI_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/*
 * allow_check
 *		Is the text a list of host names, addresses and networks (CIDR), parted by
 *		commas?  If not, the entry that isn't is given.
 */
extern bool allow_check(const char *list, char *bad, size_t bad_len);

/* Does the list name the host, or hold the address that it has? */
extern bool allow_matches(const char *list, const char *host, const struct sockaddr *address);

/* The same with the address as text. */
extern bool allow_matches_text(const char *list, const char *host, const char *address);

#endif /* MAKINI_ALLOW_H */
