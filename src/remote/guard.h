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

/* An address from text; of no family when the text is not one. */
extern void guard_parse_address(const char *text, struct sockaddr_storage *address);

/* Whether an address in text is private; text that is no address counts as private. */
extern bool guard_text_is_private(const char *text);

/* The address as text, without its port. */
extern void guard_format_address(const struct sockaddr *address, char *out, size_t len);

#endif /* MAKINI_GUARD_H */
