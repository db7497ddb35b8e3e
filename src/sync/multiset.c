/*-------------------------------------------------------------------------
 *
 * multiset.c
 *		Rows without a key: whole rows are compared, and counted.
 *
 * A pass reads all rows of such a source.  The target's rows are counted by
 * their images when it begins; copies that the source has more of are
 * inserted as they come, copies that the target has more of are deleted at the
 * end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#include "sync/compare.h"

#define IMAGE_SIZE 16
#define ROWS_AT_ONCE 10000

typedef struct ImageCount
{
	uint8 image[IMAGE_SIZE];
	int64 target;
	int64 source;
} ImageCount;

struct Multiset
{
	HTAB *counts;
};

/* An image is the hash of a row's text, that no setting may change. */
static void
sql_image(StringInfo sql, const Target *target, bool page)
{
	const char *separator = "";

	appendStringInfoString(sql, "pg_catalog.decode(pg_catalog.md5(ROW(");
	for (int i = 0; i < target->nsource; i++)
	{
		const TargetColumn *column = &target->columns[i];

		if (!column->written)
			continue;
		if (page)
			appendStringInfo(sql, "%ss.c%d", separator, i + 1);
		else
			appendStringInfo(sql, "%st.%s", separator, quote_identifier(column->name));
		separator = ", ";
	}
	appendStringInfoString(sql, ")::pg_catalog.text), 'hex')");
}

static ImageCount *
count_of(Multiset *multiset, const bytea *image)
{
	bool		found;
	ImageCount *count = hash_search(multiset->counts, VARDATA_ANY(image), HASH_ENTER, &found);

	if (!found)
		count->target = count->source = 0;
	return count;
}

static bytea *
image_at(uint64 row)
{
	bool isnull;

	return DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull));
}

/* ---------------------------------------------------------------------
 * Counting the target
 * ---------------------------------------------------------------------
 */

static void
count_batch(Multiset *multiset)
{
	for (uint64 i = 0; i < SPI_processed; i++)
		count_of(multiset, image_at(i))->target++;
}

static void
count_target(Apply *apply, Multiset *multiset)
{
	StringInfoData sql;
	TargetRights   saved;
	Portal		   portal;
	int			   level = stable_texts_begin();

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_image(&sql, apply->target, false);
	appendStringInfo(&sql, " FROM %s AS t WHERE true", apply->target->name);
	sql_constants(&sql, apply->target);
	sql_not_deleted(&sql, apply);
	owner_begin(apply, &saved);
	portal = compare_cursor(apply, sql.data, 0);
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
		count_batch(multiset);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	owner_end(&saved);
	stable_texts_end(level);
}

static Multiset *
multiset_of(Apply *apply)
{
	HASHCTL	  ctl = {.keysize = IMAGE_SIZE, .entrysize = sizeof(ImageCount), .hcxt = apply->cxt};
	Multiset *multiset;

	if (apply->multiset != NULL)
		return apply->multiset;
	multiset = MemoryContextAlloc(apply->cxt, sizeof(Multiset));
	multiset->counts = hash_create("makini rows", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	count_target(apply, multiset);
	apply->multiset = multiset;
	return multiset;
}

/* ---------------------------------------------------------------------
 * Inserting what is lacking
 * ---------------------------------------------------------------------
 */

/* Take the rows that the target lacks a copy of. */
static void
find_lacking(Apply *apply, const RowSet *page, RowSet *lacking)
{
	Multiset	  *multiset = multiset_of(apply);
	StringInfoData sql;
	TargetRights   saved;
	char		  *nulls;
	Datum		  *values = page_values(apply, page, 0, &nulls);
	int			   level;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	sql_image(&sql, apply->target, true);
	appendStringInfoString(&sql, " FROM ");
	sql_page(&sql, apply->target);
	level = stable_texts_begin();
	owner_begin(apply, &saved);
	statement_execute(apply, statement_get(apply, sql.data, PLAN_FREELY, 0, NULL), values, nulls);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		ImageCount *count = count_of(multiset, image_at(i));

		if (++count->source <= count->target)
			continue;
		count->target++;
		lacking->at[lacking->n++] = page->at[i];
	}
	owner_end(&saved);
	stable_texts_end(level);
}

static void
insert_rows(Apply *apply, const RowSet *set, Written *written)
{
	StringInfoData sql;
	char		  *nulls;
	Datum		  *values = page_values(apply, set, 0, &nulls);

	initStringInfo(&sql);
	sql_insert(&sql, apply->target);
	statement_execute(apply, statement_get(apply, sql.data, PLAN_FREELY, 0, NULL), values, nulls);
	written->inserted += SPI_processed;
}

/*
 * multiset_write
 *		Insert the rows of a page that the target has fewer copies of than have
 *		been read by now.
 */
void
multiset_write(Apply *apply, const Rows *rows)
{
	RowSet page = {.rows = rows, .n = rows->n, .at = palloc(sizeof(int) * Max(1, rows->n))};
	RowSet lacking = {.rows = rows, .n = 0, .at = palloc(sizeof(int) * Max(1, rows->n))};

	for (int i = 0; i < rows->n; i++)
		page.at[i] = i;
	apply->lost = apply->lost || rows->lost > 0;
	find_lacking(apply, &page, &lacking);
	apply->counters->unchanged += rows->n - lacking.n;
	rows_write(apply, &lacking, insert_rows);
}

/* ---------------------------------------------------------------------
 * Deleting what is too much
 * ---------------------------------------------------------------------
 */

static void
delete_surplus(Apply *apply, List *images, List *numbers)
{
	Oid			   more[] = {BYTEAARRAYOID, INT8ARRAYOID};
	const Target  *target = apply->target;
	StringInfoData sql;
	TargetRights   saved;
	char		  *nulls;
	Datum		  *values = page_values(apply, NULL, 2, &nulls);
	int			   n = list_length(images);
	Datum		  *elems = palloc(sizeof(Datum) * n * 2);
	int			   level;

	for (int i = 0; i < n; i++)
	{
		elems[i] = PointerGetDatum(list_nth(images, i));
		elems[n + i] = Int64GetDatum(*(int64 *) list_nth(numbers, i));
	}
	values[PAGE_NARGS(target)] =
		PointerGetDatum(construct_array(elems, n, BYTEAOID, -1, false, TYPALIGN_INT));
	values[PAGE_NARGS(target) + 1] =
		PointerGetDatum(construct_array(elems + n, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	initStringInfo(&sql);
	sql_delete(&sql, apply);
	appendStringInfo(&sql,
					 " WHERE (t.tableoid, t.ctid) IN (SELECT c.part, c.row FROM (SELECT"
					 " t.tableoid AS part, t.ctid AS row, i.n,"
					 " pg_catalog.row_number() OVER (PARTITION BY i.image) AS copy"
					 " FROM %s AS t JOIN unnest($%d, $%d) AS i(image, n) ON i.image OPERATOR(pg_catalog.=) ",
					 target->name, PAGE_NARGS(target) + 1, PAGE_NARGS(target) + 2);
	sql_image(&sql, target, false);
	appendStringInfoString(&sql, " WHERE true");
	sql_constants(&sql, target);
	sql_not_deleted(&sql, apply);
	appendStringInfoString(&sql, ") AS c WHERE c.copy OPERATOR(pg_catalog.<=) c.n)");
	level = stable_texts_begin();
	owner_begin(apply, &saved);
	statement_execute(apply, statement_get(apply, sql.data, PLAN_FREELY, 2, more), values, nulls);
	apply->counters->deleted += SPI_processed;
	owner_end(&saved);
	stable_texts_end(level);
}

/*
 * multiset_delete
 *		After the last page: delete the copies that the source does not have.
 */
void
multiset_delete(Apply *apply)
{
	HASH_SEQ_STATUS scan;
	ImageCount	   *count;
	List		   *images = NIL;
	List		   *numbers = NIL;

	if (apply->sync->deletes == DELETES_IGNORED || apply->lost)
		return;
	hash_seq_init(&scan, multiset_of(apply)->counts);
	while ((count = hash_seq_search(&scan)) != NULL)
	{
		bytea *image;
		int64 *n;

		if (count->target <= count->source)
			continue;
		image = palloc(VARHDRSZ + IMAGE_SIZE);
		SET_VARSIZE(image, VARHDRSZ + IMAGE_SIZE);
		memcpy(VARDATA(image), count->image, IMAGE_SIZE);
		n = palloc(sizeof(int64));
		*n = count->target - count->source;
		images = lappend(images, image);
		numbers = lappend(numbers, n);
	}
	if (images != NIL)
		delete_surplus(apply, images, numbers);
}
