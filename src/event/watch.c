/*-------------------------------------------------------------------------
 *
 * watch.c
 *		A watch as its row says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event/change.h"
#include "event/event.h"
#include "event/named.h"
#include "event/watch.h"
#include "makini.h"
#include "private.h"

#define MAX_ROWS 10000

void
watch_read_options(const Jsonb *json, WatchOptions *options)
{
	static const char *const keys[] = {"initial", "resolved_type", "max_rows", NULL};
	static const char *const initial[] = {"silent", "emit", NULL};

	*options = (WatchOptions){.max_rows = MAX_ROWS};
	change_check_keys(json, "options", keys);
	(void) change_choice(json, "initial", initial, &options->initial);
	if (change_text(json, "resolved_type", &options->resolved_type) && options->resolved_type != NULL)
		event_check_type(options->resolved_type);
	(void) change_integer(json, "max_rows", 1, 100000, &options->max_rows);
}

/* ---------------------------------------------------------------------
 * The query
 * ---------------------------------------------------------------------
 */

static void
append_members(StringInfo query, const Datum *columns, int n, bool names)
{
	for (int i = 0; i < n; i++)
	{
		char *column = TextDatumGetCString(columns[i]);

		appendStringInfoString(query, i == 0 ? "" : ", ");
		if (names)
			appendStringInfo(query, "%s::pg_catalog.text, ", quote_literal_cstr(column));
		appendStringInfo(query, "makini_row.%s", quote_identifier(column));
	}
}

char *
watch_query(const Watch *watch)
{
	StringInfoData query;
	Datum		  *columns;
	int			   n;

	deconstruct_array(DatumGetArrayTypeP(watch->key), TEXTOID, -1, false, TYPALIGN_INT, &columns,
					  NULL, &n);
	initStringInfo(&query);
	if (n == 1)
	{
		appendStringInfoString(&query, "SELECT (");
		append_members(&query, columns, n, false);
		appendStringInfoString(&query, ")::pg_catalog.text");
	}
	else
	{
		appendStringInfoString(&query, "SELECT pg_catalog.jsonb_build_array(");
		append_members(&query, columns, n, false);
		appendStringInfoString(&query, ")::pg_catalog.text");
	}
	appendStringInfo(&query,
					 ", pg_catalog.jsonb_build_object('watch', %s::pg_catalog.text, 'key', pg_catalog.jsonb_build_object(",
					 quote_literal_cstr(watch->name));
	append_members(&query, columns, n, true);
	appendStringInfo(&query, "), 'row', pg_catalog.to_jsonb(makini_row)) FROM (\n%s\n) AS makini_row",
					 watch->query);
	return query.data;
}

/* ---------------------------------------------------------------------
 * Reading and writing
 * ---------------------------------------------------------------------
 */

Watch *
watch_of_row(void)
{
	Watch *watch = palloc0(sizeof(Watch));
	bool   isnull;

	watch->watch_id = private_int64(0, 1, 0);
	watch->name = private_text(0, 2);
	watch->at_home = private_bool(0, 3);
	watch->author.userid = DatumGetObjectId(private_value(0, 4, &isnull));
	watch->query = private_text(0, 5);
	watch->schedule = private_text(0, 6);
	watch->type = private_text(0, 7);
	watch->key = PointerGetDatum(DatumGetArrayTypePCopy(private_value(0, 8, &isnull)));
	watch->has_connection = private_uuid(0, 9, &watch->connection);
	watch->options_json = DatumGetJsonbPCopy(private_value(0, 10, &isnull));
	watch_read_options(watch->options_json, &watch->options);
	watch->author.search_path = private_text(0, 11);
	watch->enabled = private_bool(0, 12);
	watch->seeded = private_bool(0, 13);
	watch->silent = private_bool(0, 14);
	return watch;
}

Watch *
watch_load_by_name(const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			  types[] = {TEXTOID};
	Datum		  values[] = {CStringGetTextDatum(name)};
	MakiniRights  saved;
	Watch		 *watch = NULL;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (private_query("SELECT " WATCH_COLUMNS " FROM makini._watch WHERE name = $1 FOR UPDATE", 1,
					  types, values, NULL) == 1)
	{
		MemoryContextSwitchTo(context);
		watch = watch_of_row();
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return watch;
}

#define INSERT_WATCH                                                                                        \
	"INSERT INTO makini._watch (name, home, owner_oid, owner, query, schedule, type, key,"                  \
	"  connection_id, options, search_path, enabled, seeded, silent, next_run_at)"                          \
	" VALUES ($1, makini._home(), $2, pg_get_userbyid($2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)" \
	" ON CONFLICT (name) DO NOTHING RETURNING watch_id"

#define UPDATE_WATCH                                                                               \
	"UPDATE makini._watch SET name = $1, owner_oid = $2, query = $3, schedule = $4, type = $5,"    \
	"  key = $6, connection_id = $7, options = $8, search_path = $9, enabled = $10, seeded = $11," \
	"  silent = $12, next_run_at = coalesce($13, next_run_at)"                                     \
	" WHERE watch_id = $14 RETURNING watch_id"

#define FORGET_ROWS "DELETE FROM makini._watch_row WHERE watch_id = $1"

void
watch_store(Watch *watch, TimestampTz next_run_at)
{
	Oid			 types[] = {TEXTOID,  OIDOID,  TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID,	  UUIDOID,
							JSONBOID, TEXTOID, BOOLOID, BOOLOID, BOOLOID, TIMESTAMPTZOID, INT8OID};
	Datum		 values[14];
	char		 nulls[] = "              ";
	bool		 is_new = watch->watch_id == 0;
	MakiniRights saved;

	values[0] = CStringGetTextDatum(watch->name);
	values[1] = ObjectIdGetDatum(watch->author.userid);
	values[2] = CStringGetTextDatum(watch->query);
	values[3] = CStringGetTextDatum(watch->schedule);
	values[4] = CStringGetTextDatum(watch->type);
	values[5] = watch->key;
	values[6] = UUIDPGetDatum(&watch->connection);
	nulls[6] = watch->has_connection ? ' ' : 'n';
	values[7] = JsonbPGetDatum(watch->options_json);
	values[8] = CStringGetTextDatum(watch->author.search_path);
	values[9] = BoolGetDatum(watch->enabled);
	values[10] = BoolGetDatum(watch->seeded);
	values[11] = BoolGetDatum(watch->silent);
	values[12] = TimestampTzGetDatum(next_run_at);
	nulls[12] = next_run_at == 0 ? 'n' : ' ';
	values[13] = Int64GetDatum(watch->watch_id);

	makini_rights_of_extension(&saved);
	SPI_connect();
	/* Another transaction was first. */
	if (private_query(is_new ? INSERT_WATCH : UPDATE_WATCH, is_new ? 13 : 14, types, values, nulls) == 0)
		named_refuse_second("watch", watch->name);
	watch->watch_id = private_int64(0, 1, 0);
	if (!is_new && !watch->seeded)
		(void) private_query(FORGET_ROWS, 1, &types[13], &values[13], NULL);
	SPI_finish();
	makini_rights_restore(&saved);
}

#define DELETE_WATCH                                                                               \
	"WITH gone AS (DELETE FROM makini._watch WHERE watch_id = $1 RETURNING name)"                  \
	" DELETE FROM makini._condition USING gone WHERE component = 'watch' AND affected = name"

void
watch_delete(int64 watch_id)
{
	Oid	  types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(watch_id)};

	(void) private_execute(DELETE_WATCH, 1, types, values, NULL);
}
