/*-------------------------------------------------------------------------
 *
 * key_text.c
 *		Keys as texts: in JSON objects of checks and rejected rows, in queries.
 *
 * Filters want a value in one certain text.  What JSON holds is a number, a
 * boolean or what a type's output function made of it under settings that may
 * have changed since, so it goes through the type once more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "connector/filter.h"
#include "sync/key_text.h"

KeyColumns *
key_columns(const Sync *sync, const SyncSource *source)
{
	KeyColumns *key = palloc0(sizeof(KeyColumns));
	List	   *wanted = source->table->source->key;
	ListCell   *lc;

	key->places = palloc0(sizeof(int) * Max(1, list_length(wanted)));
	key->columns = palloc0(sizeof(SelectedColumn *) * Max(1, list_length(wanted)));
	foreach(lc, wanted)
	{
		int place = selected_place(source, lfirst(lc));

		if (place < 0)
			break;
		key->places[key->n] = place;
		key->columns[key->n++] = list_nth(source->selected, place);
	}
	if (key->n > 0 && key->n == list_length(wanted))
		return key;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rows of %s cannot be fetched one by one", sync->source_name),
			 errdetail("The source has no key, or the foreign table lacks a column of it."),
			 errhint("Read all of it with CALL makini.run_sync(" INT64_FORMAT ", 'full').",
					 sync->sync_id)));
	return NULL;
}

/* ---------------------------------------------------------------------
 * Canonical texts
 * ---------------------------------------------------------------------
 */

static char *
date_text(DateADT date)
{
	int y, m, d;

	j2date(date + POSTGRES_EPOCH_JDATE, &y, &m, &d);
	return psprintf("%04d-%02d-%02d", y, m, d);
}

char *
value_text(Datum value, Oid type)
{
	Oid	 output;
	bool varlena;

	switch (type)
	{
		case BOOLOID:
			return pstrdup(DatumGetBool(value) ? "t" : "f");
		case DATEOID:
			return date_text(DatumGetDateADT(value));
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return filter_moment(DatumGetTimestamp(value));
		case NUMERICOID:
			return numeric_normalize(DatumGetNumeric(value));
		default:
			getTypeOutputInfo(type, &output, &varlena);
			return OidOutputFunctionCall(output, value);
	}
}

/* ---------------------------------------------------------------------
 * Keys
 * ---------------------------------------------------------------------
 */

typedef struct Reading
{
	const KeyColumns *columns;
	Jsonb			 *object;
	char			**key;
	MemoryContext	  cxt;
} Reading;

/* The text of a scalar, NULL for null; false where the object lacks it. */
static bool
member(Jsonb *object, const char *name, char **text)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, name, strlen(name), &buffer);

	if (value == NULL)
		return false;
	switch (value->type)
	{
		case jbvNull:
			*text = NULL;
			return true;
		case jbvString:
			*text = pnstrdup(value->val.string.val, value->val.string.len);
			return true;
		case jbvNumeric:
			*text = numeric_normalize(value->val.numeric);
			return true;
		case jbvBool:
			*text = value->val.boolean ? "t" : "f";
			return true;
		default:
			return false;
	}
}

/* A text without time zone is of UTC, as the remote side sends them. */
Datum
text_value(const char *text, const SelectedColumn *column)
{
	int	  guc_level = NewGUCNestLevel();
	Oid	  input;
	Oid	  ioparam;
	Datum value;

	(void) set_config_option("timezone", "UTC", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	getTypeInputInfo(column->type, &input, &ioparam);
	value = OidInputFunctionCall(input, unconstify(char *, text), ioparam, column->typmod);
	AtEOXact_GUC(true, guc_level);
	return value;
}

static void
read_key(void *arg)
{
	Reading *reading = arg;

	for (int i = 0; i < reading->columns->n; i++)
	{
		SelectedColumn *column = reading->columns->columns[i];
		char		   *text;

		if (!member(reading->object, column->name, &text))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a key lacks column \"%s\"", column->name)));
		if (text != NULL)
			reading->key[i] =
				MemoryContextStrdup(reading->cxt, value_text(text_value(text, column), column->type));
	}
}

char **
key_of_json(const KeyColumns *columns, Jsonb *object)
{
	Reading	   reading = {.columns = columns, .object = object, .cxt = CurrentMemoryContext};
	ErrorData *error;

	if (!JB_ROOT_IS_OBJECT(object))
		return NULL;
	reading.key = palloc0(sizeof(char *) * columns->n);
	error = run_attempt(read_key, &reading);
	if (error == NULL)
		return reading.key;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
		ThrowErrorData(error);
	return NULL;
}

char **
key_of_row(const KeyColumns *columns, const Rows *rows, int row)
{
	char **key = palloc0(sizeof(char *) * columns->n);

	for (int i = 0; i < columns->n; i++)
	{
		size_t at = (size_t) row * rows->ncolumns + columns->places[i];

		if (!rows->nulls[at])
			key[i] = value_text(rows->values[at], columns->columns[i]->type);
	}
	return key;
}

char *
key_joined(const KeyColumns *columns, char *const *key)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < columns->n; i++)
	{
		if (key[i] == NULL)
			appendStringInfoString(&out, "-;");
		else
			appendStringInfo(&out, "%zu:%s;", strlen(key[i]), key[i]);
	}
	return out.data;
}
