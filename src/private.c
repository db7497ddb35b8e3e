/*-------------------------------------------------------------------------
 *
 * private.c
 *		Statements on makini's own tables, and what they give.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "makini.h"
#include "private.h"

uint64
private_query(const char *statement, int nargs, const Oid *types, const Datum *values, const char *nulls)
{
	if (SPI_execute_with_args(statement, nargs, unconstify(Oid *, types),
							  unconstify(Datum *, values), nulls, false, 0) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run \"%s\": %s", statement, SPI_result_code_string(SPI_result))));
	return SPI_processed;
}

uint64
private_execute(const char *statement, int nargs, const Oid *types, const Datum *values,
				const char *nulls)
{
	MakiniRights saved;
	uint64		 met;

	makini_rights_of_extension(&saved);
	SPI_connect();
	met = private_query(statement, nargs, types, values, nulls);
	SPI_finish();
	makini_rights_restore(&saved);
	return met;
}

void
private_begin(PrivateTransaction *transaction)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	makini_rights_of_extension(&transaction->saved);
	SPI_connect();
}

void
private_end(PrivateTransaction *transaction)
{
	SPI_finish();
	makini_rights_restore(&transaction->saved);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
}

Datum
private_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

int64
private_number(const char *statement, int nargs, const Oid *types, const Datum *values,
			   const char *nulls, int64 when_none)
{
	MakiniRights saved;
	int64		 number;

	makini_rights_of_extension(&saved);
	SPI_connect();
	number = private_query(statement, nargs, types, values, nulls) > 0 ?
		private_int64(0, 1, when_none) :
		when_none;
	SPI_finish();
	makini_rights_restore(&saved);
	return number;
}

List *
private_oids(const char *statement, int nargs, const Oid *types, const Datum *values)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	List		 *oids = NIL;

	makini_rights_of_extension(&saved);
	SPI_connect();
	private_query(statement, nargs, types, values, NULL);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;

		oids = lappend_oid(oids, DatumGetObjectId(private_value(i, 1, &isnull)));
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return oids;
}

char *
private_text(uint64 row, int column)
{
	char *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return text == NULL ? NULL : strcpy(SPI_palloc(strlen(text) + 1), text);
}

int64
private_int64(uint64 row, int column, int64 when_null)
{
	bool  isnull;
	Datum value = private_value(row, column, &isnull);

	return isnull ? when_null : DatumGetInt64(value);
}

bool
private_bool(uint64 row, int column)
{
	bool  isnull;
	Datum value = private_value(row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

bool
private_uuid(uint64 row, int column, pg_uuid_t *id)
{
	bool  isnull;
	Datum value = private_value(row, column, &isnull);

	if (!isnull)
		*id = *DatumGetUUIDP(value);
	return !isnull;
}

ArrayType *
strings_to_array(const char *const *strings, int n)
{
	Datum *elems = palloc(sizeof(Datum) * Max(1, n));
	bool  *nulls = palloc(sizeof(bool) * Max(1, n));
	int	   lower = 1;

	for (int i = 0; i < n; i++)
	{
		nulls[i] = strings[i] == NULL;
		elems[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(strings[i]);
	}
	return construct_md_array(elems, nulls, 1, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT);
}

ArrayType *
texts_to_array(List *texts)
{
	Datum	 *elems = palloc(sizeof(Datum) * Max(1, list_length(texts)));
	ListCell *lc;

	foreach(lc, texts)
		elems[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	return construct_array(elems, list_length(texts), TEXTOID, -1, false, TYPALIGN_INT);
}

List *
array_to_texts(ArrayType *array)
{
	List  *texts = NIL;
	Datum *elems;
	bool  *nulls;
	int	   n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
		texts = lappend(texts, nulls[i] ? NULL : TextDatumGetCString(elems[i]));
	return texts;
}
