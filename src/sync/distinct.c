/*-------------------------------------------------------------------------
 *
 * distinct.c
 *		Rows of a page that share a key.
 *
 * One statement can't write a row twice.  Of several versions of a row the
 * newest is taken; where nothing says which is newer and they differ, the last
 * is taken and the others are kept as rejected: the key does not identify
 * rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "port/pg_bitutils.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "sync/apply.h"

typedef struct KeyColumn
{
	int				at;
	TypeCacheEntry *type;
	Oid				collation;
} KeyColumn;

typedef struct Distinct
{
	Apply	   *apply;
	const Rows *rows;
	int			nkeys;
	KeyColumn  *keys;
	uint32		mask;
	int		   *buckets; /* row + 1; 0: free */
	uint32	   *hashes;	 /* by row */
	bool	   *dropped; /* by row */
} Distinct;

static bool
find_key(Distinct *distinct)
{
	const Target *target = distinct->apply->target;

	distinct->keys = palloc0(sizeof(KeyColumn) * Max(1, target->nsource));
	for (int i = 0; i < target->nsource; i++)
	{
		const TargetColumn *column = &target->columns[i];
		KeyColumn		   *key = &distinct->keys[distinct->nkeys];

		if (!column->key)
			continue;
		key->at = i;
		key->type = lookup_type_cache(column->source_type,
									  TYPECACHE_EQ_OPR_FINFO | TYPECACHE_HASH_PROC_FINFO);
		key->collation = get_typcollation(column->source_type);
		/* A type that can't be hashed is left to the statements, which refuse repeats. */
		if (!OidIsValid(key->type->hash_proc_finfo.fn_oid) ||
			!OidIsValid(key->type->eq_opr_finfo.fn_oid))
			return false;
		distinct->nkeys++;
	}
	return distinct->nkeys > 0;
}

static inline Datum
value_at(const Distinct *distinct, int row, int column)
{
	return distinct->rows->values[(size_t) row * distinct->rows->ncolumns + column];
}

static inline bool
null_at(const Distinct *distinct, int row, int column)
{
	return distinct->rows->nulls[(size_t) row * distinct->rows->ncolumns + column];
}

static uint32
hash_row(const Distinct *distinct, int row)
{
	uint32 hash = 0;

	for (int i = 0; i < distinct->nkeys; i++)
	{
		const KeyColumn *key = &distinct->keys[i];
		uint32			 one = 0;

		if (!null_at(distinct, row, key->at))
			one = DatumGetUInt32(FunctionCall1Coll(&key->type->hash_proc_finfo, key->collation,
												   value_at(distinct, row, key->at)));
		hash = hash_combine(hash, one);
	}
	return hash;
}

static bool
same_key(const Distinct *distinct, int a, int b)
{
	for (int i = 0; i < distinct->nkeys; i++)
	{
		const KeyColumn *key = &distinct->keys[i];
		bool			 null = null_at(distinct, a, key->at);

		if (null != null_at(distinct, b, key->at))
			return false;
		if (!null &&
			!DatumGetBool(FunctionCall2Coll(&key->type->eq_opr_finfo, key->collation,
											value_at(distinct, a, key->at),
											value_at(distinct, b, key->at))))
			return false;
	}
	return true;
}

static bool
same_row(const Distinct *distinct, int a, int b)
{
	const Target *target = distinct->apply->target;

	for (int i = 0; i < target->nsource; i++)
	{
		int16 typlen;
		bool  typbyval;
		bool  null = null_at(distinct, a, i);

		if (null != null_at(distinct, b, i))
			return false;
		get_typlenbyval(target->columns[i].source_type, &typlen, &typbyval);
		if (!null &&
			!datum_image_eq(value_at(distinct, a, i), value_at(distinct, b, i), typbyval, typlen))
			return false;
	}
	return true;
}

/* Which of two versions is newer: above 0 the first, 0 where nothing tells. */
static int
compare_age(const Distinct *distinct, int a, int b)
{
	const Target   *target = distinct->apply->target;
	int				at = target->cursor;
	TypeCacheEntry *type;

	if (at < 0 || target->ambiguous || null_at(distinct, a, at) || null_at(distinct, b, at))
		return 0;
	type = lookup_type_cache(target->columns[at].source_type, TYPECACHE_CMP_PROC_FINFO);
	if (!OidIsValid(type->cmp_proc_finfo.fn_oid))
		return 0;
	return DatumGetInt32(FunctionCall2Coll(&type->cmp_proc_finfo,
										   get_typcollation(target->columns[at].source_type),
										   value_at(distinct, a, at), value_at(distinct, b, at)));
}

static void
reject_repeat(Distinct *distinct, int row)
{
	ErrorData error = {.elevel = ERROR, .sqlerrcode = ERRCODE_UNIQUE_VIOLATION};

	error.message = "another row of the same page has the same key";
	error.detail = "The key does not identify rows of this source; the last row was taken.";
	error.hint = "Give the sync a key that does, or one of more columns.";
	reject_of_page(distinct->apply, distinct->rows, row, &error);
}

/* Two rows share a key: drop one, and say which stays. */
static int
choose(Distinct *distinct, int former, int latter)
{
	int age = compare_age(distinct, former, latter);
	int loser = age > 0 ? latter : former;

	distinct->dropped[loser] = true;
	if (age == 0 && !same_row(distinct, former, latter))
		reject_repeat(distinct, loser);
	else
		distinct->apply->counters->unchanged++;
	return loser == former ? latter : former;
}

static void
place(Distinct *distinct, int row)
{
	uint32 at;

	distinct->hashes[row] = hash_row(distinct, row);
	for (at = distinct->hashes[row] & distinct->mask; distinct->buckets[at] != 0;
		 at = (at + 1) & distinct->mask)
	{
		int other = distinct->buckets[at] - 1;

		if (distinct->hashes[other] == distinct->hashes[row] && same_key(distinct, other, row))
		{
			distinct->buckets[at] = choose(distinct, other, row) + 1;
			return;
		}
	}
	distinct->buckets[at] = row + 1;
}

/*
 * rows_distinct
 *		The rows of a page, one for each key.
 */
void
rows_distinct(Apply *apply, const Rows *rows, RowSet *set)
{
	Distinct distinct = {.apply = apply, .rows = rows};

	distinct.dropped = palloc0(sizeof(bool) * Max(1, rows->n));
	if (rows->n > 1 && find_key(&distinct))
	{
		distinct.mask = pg_nextpower2_32(rows->n * 2) - 1;
		distinct.buckets = palloc0(sizeof(int) * (distinct.mask + 1));
		distinct.hashes = palloc(sizeof(uint32) * rows->n);
		for (int row = 0; row < rows->n; row++)
			place(&distinct, row);
	}
	set->rows = rows;
	set->n = 0;
	set->at = palloc(sizeof(int) * Max(1, rows->n));
	for (int row = 0; row < rows->n; row++)
		if (!distinct.dropped[row])
			set->at[set->n++] = row;
}
