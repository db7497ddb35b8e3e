/*-------------------------------------------------------------------------
 *
 * deprecation_header.h
 *		What an answer's headers say about the end of what was asked (pure).
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_DEPRECATION_HEADER_H
#define MAKINI_DEPRECATION_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds since 1970; 0: not said, or not to be understood. */
typedef struct DeprecationDates
{
	int64_t deprecated_at;
	int64_t sunset_at;
} DeprecationDates;

/*
 * deprecation_parse
 *		The headers Deprecation and Sunset, either of them NULL where it is
 *		absent.  False where they announce nothing.
 */
extern bool deprecation_parse(const char *deprecation, const char *sunset, DeprecationDates *dates);

/*
 * deprecation_link
 *		Where the header Link says that one can read about it: the target as it
 *		stands there, which may be relative.  False: nowhere, or longer than len.
 */
extern bool deprecation_link(const char *link, char *target, size_t len);

/*
 * deprecation_template
 *		A path with ids taken out, so that all records of one kind are one path.
 */
extern void deprecation_template(const char *path, char *out, size_t len);

/*
 * deprecation_is_news
 *		Is what a server says to be told of now?  Changes may be told of so much
 *		later; *untold: until then they are kept in mind.
 */
extern bool deprecation_is_news(bool differs, bool may_tell, bool *untold);

#endif /* MAKINI_DEPRECATION_HEADER_H */
