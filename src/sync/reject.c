/*-------------------------------------------------------------------------
 *
 * reject.c
 *		Rows that could not be written: kept with what was wrong with them.
 *
 * A row that is read again and is no better replaces what is kept of it; one
 * that was written after all is resolved.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "makini.h"
#include "private.h"
#include "sync/apply.h"

static void
append_value(StringInfo json, Oid type, Datum value)
{
	Oid	  output;
	bool  varlena;
	char *text;

	getTypeOutputInfo(type, &output, &varlena);
	text = OidOutputFunctionCall(output, value);
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			appendStringInfoString(json, text);
			break;
		case BOOLOID:
			appendStringInfoString(json, DatumGetBool(value) ? "true" : "false");
			break;
		case NUMERICOID:
			if (strspn(text, "-.0123456789") == strlen(text))
				appendStringInfoString(json, text);
			else
				escape_json(json, text);
			break;
		default:
			escape_json(json, text);
	}
}

static void
append_member(StringInfo json, const char *name)
{
	if (json->len > 1)
		appendStringInfoString(json, ", ");
	escape_json(json, name);
	appendStringInfoString(json, ": ");
}

/*
 * row_json
 *		A row of a page, or its key, as a JSON object.
 */
char *
row_json(const Target *target, const Rows *rows, int row, bool key_only)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < target->nsource; i++)
	{
		size_t at = (size_t) row * rows->ncolumns + i;

		if (key_only && !target->columns[i].key)
			continue;
		append_member(&json, target->columns[i].name);
		if (rows->nulls[at])
			appendStringInfoString(&json, "null");
		else
			append_value(&json, target->columns[i].source_type, rows->values[at]);
	}
	if (!key_only && rows->extra != NULL && rows->extra[row] != NULL)
	{
		append_member(&json, "_extra");
		appendStringInfoString(&json, rows->extra[row]);
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

static char *
reason_text(const ErrorData *reason)
{
	if (reason->detail == NULL)
		return reason->message;
	return psprintf("%s (%s)", reason->message, reason->detail);
}

/*
 * reject_row
 *		See sync.h.
 */
void
reject_row(int64 sync_id, int64 run_id, const char *key, const char *data, const char *column,
		   const ErrorData *reason)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		 values[6];
	char		 nulls[] = "      ";

	values[0] = Int64GetDatum(sync_id);
	values[1] = Int64GetDatum(run_id);
	nulls[1] = run_id == 0 ? 'n' : ' ';
	values[2] = key == NULL ? (Datum) 0 : CStringGetTextDatum(key);
	nulls[2] = key == NULL ? 'n' : ' ';
	values[3] = CStringGetTextDatum(data);
	values[4] = column == NULL ? (Datum) 0 : CStringGetTextDatum(column);
	nulls[4] = column == NULL ? 'n' : ' ';
	values[5] = CStringGetTextDatum(reason_text(reason));

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("WITH same AS (UPDATE makini._rejected_row SET run_id = $2,"
						  " rejected_at = pg_catalog.clock_timestamp(), column_name = $5::name, reason = $6"
						  " WHERE sync_id = $1 AND resolved_at IS NULL AND key IS NOT DISTINCT FROM $3::jsonb"
						  " AND data = $4::jsonb RETURNING 1),"
						  " older AS (UPDATE makini._rejected_row SET resolved_at = pg_catalog.clock_timestamp(),"
						  " resolution = 'replaced by a later version'"
						  " WHERE sync_id = $1 AND resolved_at IS NULL AND key = $3::jsonb"
						  " AND data <> $4::jsonb AND run_id IS DISTINCT FROM $2)"
						  " INSERT INTO makini._rejected_row (run_id, sync_id, key, data, column_name, reason)"
						  " SELECT $2, $1, $3::jsonb, $4::jsonb, $5::name, $6"
						  " WHERE NOT EXISTS (SELECT FROM same)",
						  lengthof(types), types, values, nulls, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

/*
 * reject_of_page
 *		Reject a row of a page.
 */
void
reject_of_page(Apply *apply, const Rows *rows, int row, const ErrorData *reason)
{
	const Target *target = apply->target;

	reject_row(apply->sync->sync_id, apply->run_id,
			   target->way == WAY_MULTISET ? NULL : row_json(target, rows, row, true),
			   row_json(target, rows, row, false), reason->column_name, reason);
	apply->counters->rejected++;
	apply->rejected = true;
}

/*
 * Call rejected rows settled whose keys these (in $3) are, as the condition says.
 * What this very run rejected stays: another row may have the same key.
 */
static void
resolve(const Apply *apply, List *keys, const char *condition, const char *resolution)
{
	MakiniRights saved;
	Oid			 types[] = {INT8OID, INT8OID, TEXTARRAYOID, TEXTOID};
	Datum		 values[lengthof(types)];

	values[0] = Int64GetDatum(apply->sync->sync_id);
	values[1] = Int64GetDatum(apply->run_id);
	values[2] = PointerGetDatum(texts_to_array(keys));
	values[3] = CStringGetTextDatum(resolution);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args(psprintf("UPDATE makini._rejected_row SET resolved_at = pg_catalog.clock_timestamp(),"
								   " resolution = $4"
								   " WHERE sync_id = $1 AND resolved_at IS NULL AND coalesce(run_id, 0) <> $2"
								   " AND %s",
								   condition),
						  lengthof(types), types, values, NULL, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

static List *
keys_of_set(const Apply *apply, const RowSet *set)
{
	List *keys = NIL;

	for (int i = 0; i < set->n; i++)
		keys = lappend(keys, row_json(apply->target, set->rows, set->at[i], true));
	return keys;
}

/*
 * reject_resolve
 *		Rows that have been written need nobody's care any longer.
 */
void
reject_resolve(Apply *apply, const RowSet *set)
{
	resolve(apply, keys_of_set(apply, set), "key IN (SELECT k::jsonb FROM unnest($3) AS k)",
			"written since");
}

/*
 * reject_resolve_deleted_keys
 *		Nor do those that have been deleted, by their keys or by their parent's.
 */
void
reject_resolve_deleted_keys(Apply *apply, List *keys)
{
	resolve(apply, keys,
			"EXISTS (SELECT FROM unnest($3) AS k WHERE k <> '{}' AND (key @> k::jsonb OR k::jsonb @> key))",
			"deleted since");
}

void
reject_resolve_deleted(Apply *apply, const RowSet *set)
{
	reject_resolve_deleted_keys(apply, keys_of_set(apply, set));
}
