/*-------------------------------------------------------------------------
 *
 * guard.h
 *		Which network addresses makini does not talk to unless told to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_GUARD_H
#define MAKINI_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Whether an address is anything but a public unicast one. */
extern bool guard_address_is_private(const struct sockaddr *address);

/* The same for an address in text; text that is no address counts as private. */
extern bool guard_text_is_private(const char *address);

/* The address as text, without its port. */
extern void guard_format_address(const struct sockaddr *address, char *out, size_t len);

#endif /* MAKINI_GUARD_H */
