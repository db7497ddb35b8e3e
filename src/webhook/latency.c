/*-------------------------------------------------------------------------
 *
 * latency.c
 *		How long deliveries of a webhook took: a histogram that forgets.
 *
 * Each bucket is wider than the one before by the root of two, so a share of
 * deliveries is told within a fifth of its time, from 34 numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

#include "webhook/deliver.h"

#define FORGET_ABOVE 4000

PG_FUNCTION_INFO_V1(makini_latency);

static double
bound_of(int bucket)
{
	return pow(2, bucket / 2.0);
}

void
latency_note(int *buckets, int ms)
{
	int bucket = 0;
	int total = 0;

	while (bucket < LATENCY_BUCKETS - 1 && bound_of(bucket) < ms)
		bucket++;
	buckets[bucket]++;
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		total += buckets[i];
	for (int i = 0; i < LATENCY_BUCKETS && total > FORGET_ABOVE; i++)
		buckets[i] /= 2;
}

/*
 * makini_latency
 *		makini._latency(): within how many milliseconds a share of them was done.
 */
Datum
makini_latency(PG_FUNCTION_ARGS)
{
	double share = PG_GETARG_FLOAT8(1);
	Datum *elements;
	bool  *nulls;
	int	   n;
	int64  total = 0;
	int64  seen = 0;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, 4, true, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		total += nulls[i] ? 0 : DatumGetInt32(elements[i]);
	if (total == 0)
		PG_RETURN_NULL();
	for (int i = 0; i < n; i++)
	{
		seen += nulls[i] ? 0 : DatumGetInt32(elements[i]);
		if (seen >= share * total)
			PG_RETURN_FLOAT8(rint(bound_of(i)));
	}
	PG_RETURN_FLOAT8(rint(bound_of(n)));
}
