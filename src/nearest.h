/*-------------------------------------------------------------------------
 *
 * nearest.h
 *		The candidate most like a misspelt name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_NEAREST_H
#define MAKINI_NEAREST_H

#include "postgres.h"

typedef struct Nearest
{
	const char *name;
	const char *best;
	int			distance;
} Nearest;

extern void		   nearest_init(Nearest *nearest, const char *name);
extern void		   nearest_offer(Nearest *nearest, const char *candidate);
extern const char *nearest_found(const Nearest *nearest); /* NULL: nothing is near */

#endif /* MAKINI_NEAREST_H */
