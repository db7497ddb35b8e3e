/*-------------------------------------------------------------------------
 *
 * digest.c
 *		Rows that came before, told by their bytes.
 *
 * Feeds have no keys that could be relied on.  A row that is handed out once
 * more is the same as before to the last byte; one answer may hold the same
 * bytes several times and mean it, so that the n-th of an answer is the n-th
 * that came before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/uuid.h"

#include "makini.h"
#include "sync/drain.h"

struct Digests
{
	int			 n;
	const int64 *row_ids;
	pg_uuid_t	*digests;
};

static void
raise_digest(pg_cryptohash_ctx *hash)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("could not compute the digest of a row: %s", pg_cryptohash_error(hash))));
}

static void
compute(Digests *digests, const Cell *essence)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (hash == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	for (int i = 0; i < digests->n; i++)
	{
		uint8 digest[PG_SHA256_DIGEST_LENGTH];

		if (pg_cryptohash_init(hash) < 0 ||
			pg_cryptohash_update(hash, (const uint8 *) essence[i].text, essence[i].len) < 0 ||
			pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
			raise_digest(hash);
		memcpy(digests->digests[i].data, digest, UUID_LEN);
	}
	pg_cryptohash_free(hash);
}

/* Digests and row ids of the rows that were landed, of all where landed is NULL. */
static void
put_arrays(const Digests *digests, const bool *landed, Datum *values)
{
	Datum *uuids = palloc(sizeof(Datum) * Max(1, digests->n));
	Datum *ids = palloc(sizeof(Datum) * Max(1, digests->n));
	int	   n = 0;

	for (int i = 0; i < digests->n; i++)
	{
		if (landed != NULL && !landed[i])
			continue;
		uuids[n] = UUIDPGetDatum(&digests->digests[i]);
		ids[n++] = Int64GetDatum(digests->row_ids[i]);
	}
	values[2] = PointerGetDatum(construct_array(uuids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	values[3] = PointerGetDatum(construct_array(ids, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The setting goes with the rights. */
static void
execute(const Drain *drain, const char *statement, const Digests *digests, const bool *landed)
{
	Oid	  types[4] = {INT8OID, INT8OID, UUIDARRAYOID, INT8ARRAYOID};
	Datum values[4];

	/* nobody may have counted the rows yet that have come so far */
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	values[0] = Int64GetDatum(drain->sync->sync_id);
	values[1] = Int64GetDatum(drain->answer_id);
	put_arrays(digests, landed, values);
	SPI_execute_with_args(statement, 4, types, values, NULL, false, 0);
}

/* The place of each row among those with the same bytes, of this batch. */
#define BATCH                                                                                      \
	"SELECT digest, row_id, place,"                                                                \
	" row_number() OVER (PARTITION BY digest ORDER BY place) AS nth"                               \
	" FROM unnest($3, $4) WITH ORDINALITY AS u(digest, row_id, place)"

Digests *
digests_find(const Drain *drain, const Cell *essence, int n, const int64 *row_ids, int64 *duplicates)
{
	Digests		*digests = palloc(sizeof(Digests));
	MakiniRights saved;

	digests->n = n;
	digests->row_ids = row_ids;
	digests->digests = palloc(sizeof(pg_uuid_t) * Max(1, n));
	memset(duplicates, 0, sizeof(int64) * n);
	compute(digests, essence);

	makini_rights_of_extension(&saved);
	SPI_connect();
	execute(drain,
			"SELECT b.place, d.row_ids[b.nth + CASE WHEN d.answer_id = $2 THEN d.seen ELSE 0 END]"
			" FROM (" BATCH ") AS b CROSS JOIN LATERAL"
			" (SELECT k.row_ids, k.answer_id, k.seen FROM makini._drain_digest k"
			"  WHERE k.sync_id = $1 AND k.digest = b.digest OFFSET 0) AS d"
			" WHERE b.nth + CASE WHEN d.answer_id = $2 THEN d.seen ELSE 0 END <= cardinality(d.row_ids)",
			digests, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool  isnull;
		Datum place = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		Datum row = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull);

		if (!isnull)
			duplicates[DatumGetInt64(place) - 1] = DatumGetInt64(row);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return digests;
}

void
digests_keep(const Drain *drain, Digests *digests, const bool *landed)
{
	MakiniRights saved;

	makini_rights_of_extension(&saved);
	SPI_connect();
	execute(drain,
			"INSERT INTO makini._drain_digest AS d (sync_id, digest, row_ids, answer_id, seen)"
			" SELECT $1, b.digest, array_agg(b.row_id ORDER BY b.nth), $2, count(*)"
			" FROM (" BATCH ") AS b GROUP BY b.digest"
			" ON CONFLICT (sync_id, digest) DO UPDATE SET answer_id = excluded.answer_id,"
			" seen = excluded.seen + CASE WHEN d.answer_id = excluded.answer_id THEN d.seen ELSE 0 END,"
			" row_ids = d.row_ids || excluded.row_ids[cardinality(d.row_ids) + 1"
			" - CASE WHEN d.answer_id = excluded.answer_id THEN d.seen ELSE 0 END :]",
			digests, landed);
	SPI_finish();
	makini_rights_restore(&saved);
}
