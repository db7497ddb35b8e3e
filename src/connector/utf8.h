/*-------------------------------------------------------------------------
 *
 * utf8.h
 *		Characters out of the numbers that JSON and XML write them with.
 *
 * Does not include postgres.h: the decoders that use it are fuzzed and tested
 * outside a server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_UTF8_H
#define MAKINI_UTF8_H

#include <stdint.h>

/* The value of a hexadecimal digit, or -1. */
static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

/* Write a character's UTF-8; returns where it ends. */
static inline char *
utf8_put(char *to, uint32_t c)
{
	if (c < 0x80)
		*to++ = (char) c;
	else if (c < 0x800)
	{
		*to++ = (char) (0xc0 | (c >> 6));
		*to++ = (char) (0x80 | (c & 0x3f));
	}
	else if (c < 0x10000)
	{
		*to++ = (char) (0xe0 | (c >> 12));
		*to++ = (char) (0x80 | ((c >> 6) & 0x3f));
		*to++ = (char) (0x80 | (c & 0x3f));
	}
	else
	{
		*to++ = (char) (0xf0 | (c >> 18));
		*to++ = (char) (0x80 | ((c >> 12) & 0x3f));
		*to++ = (char) (0x80 | ((c >> 6) & 0x3f));
		*to++ = (char) (0x80 | (c & 0x3f));
	}
	return to;
}

#endif /* MAKINI_UTF8_H */
