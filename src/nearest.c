/*-------------------------------------------------------------------------
 *
 * nearest.c
 *		The candidate most like a misspelt name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/formatting.h"
#include "utils/varlena.h"

#include "nearest.h"

#define MAX_DISTANCE 4

void
nearest_init(Nearest *nearest, const char *name)
{
	nearest->name = asc_tolower(name, strlen(name));
	nearest->best = NULL;
	nearest->distance = Min(MAX_DISTANCE, (int) strlen(name) / 2) + 1;
}

void
nearest_offer(Nearest *nearest, const char *candidate)
{
	int distance;

	if (strlen(nearest->name) > 100)
		return;
	distance = varstr_levenshtein_less_equal(nearest->name, strlen(nearest->name), candidate,
											 strlen(candidate), 1, 1, 1, nearest->distance, true);
	if (distance >= nearest->distance)
		return;
	nearest->distance = distance;
	nearest->best = candidate;
}

const char *
nearest_found(const Nearest *nearest)
{
	return nearest->best;
}
