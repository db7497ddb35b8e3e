/*-------------------------------------------------------------------------
 *
 * imported.c
 *		What an import makes of columns that were discovered, and what it knew
 *		of a table when it last looked.
 *
 * A column that a foreign table lacks may be new at the remote side, or have
 * been left out by whoever declared the table.  Only what was known before
 * tells the two apart, so that is kept: by an import, and by the first look at
 * a table that was declared by hand.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"

#include "connection_store.h"
#include "imported.h"
#include "makini.h"
#include "private.h"

/* ---------------------------------------------------------------------
 * Columns
 * ---------------------------------------------------------------------
 */

static const char *
type_of_kind(ValueKind kind)
{
	switch (kind)
	{
		case VALUE_INTEGER:
			return "bigint";
		case VALUE_NUMERIC:
			return "numeric";
		case VALUE_BOOLEAN:
			return "boolean";
		case VALUE_DATE:
			return "date";
		case VALUE_TIMESTAMPTZ:
			return "timestamptz";
		case VALUE_TIMESTAMP:
			return "timestamp";
		default:
			return "text";
	}
}

char *
imported_name(const DiscoveredColumn *column)
{
	char *name = asc_tolower(column->name, strlen(column->name));

	return column->display ? psprintf("%s_display", name) : name;
}

const char *
imported_type(const DiscoveredColumn *column)
{
	if (column->display)
		return "text";
	return column->type ? column->type : type_of_kind(column->kind);
}

void
imported_definition(StringInfo out, const DiscoveredColumn *column)
{
	char *name = imported_name(column);

	appendStringInfo(out, "%s %s", quote_identifier(name), imported_type(column));
	if (column->display)
		appendStringInfo(out, " OPTIONS (column_name %s, display 'true')",
						 quote_literal_cstr(column->name));
	else if (strcmp(name, column->name) != 0)
		appendStringInfo(out, " OPTIONS (column_name %s)", quote_literal_cstr(column->name));
	if (column->not_null)
		appendStringInfoString(out, " NOT NULL");
}

/* ---------------------------------------------------------------------
 * What is known
 * ---------------------------------------------------------------------
 */

static KnownColumn *
known_column(const char *name, const char *type)
{
	KnownColumn *known = palloc(sizeof(KnownColumn));

	known->name = pstrdup(name);
	known->type = pstrdup(type);
	return known;
}

KnownColumn *
imported_find(const Imported *imported, const char *name)
{
	ListCell *lc;

	foreach(lc, imported->columns)
	{
		KnownColumn *known = lfirst(lc);

		if (strcmp(known->name, name) == 0)
			return known;
	}
	return NULL;
}

Imported *
imported_from(const DiscoveredTable *table, bool custom_fields, bool display)
{
	Imported *imported = palloc0(sizeof(Imported));
	ListCell *lc;

	imported->custom_fields = custom_fields;
	imported->display = display;
	foreach(lc, table->columns)
		imported->columns =
			lappend(imported->columns,
					known_column(imported_name(lfirst(lc)), imported_type(lfirst(lc))));
	return imported;
}

static char *
relation_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* A row of makini._imported, in the given memory. */
static Imported *
read_row(MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Imported	 *imported = palloc0(sizeof(Imported));
	List		 *texts;
	bool		  isnull;

	imported->custom_fields = private_bool(0, 1);
	imported->display = private_bool(0, 2);
	texts = array_to_texts(
		DatumGetArrayTypeP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull)));
	for (int i = 0; i + 1 < list_length(texts); i += 2)
		imported->columns =
			lappend(imported->columns, known_column(list_nth(texts, i), list_nth(texts, i + 1)));
	MemoryContextSwitchTo(old);
	return imported;
}

Imported *
imported_recall(Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[] = {OIDOID, TEXTOID, TEXTOID};
	Datum		  values[3];
	Imported	 *imported = NULL;

	values[0] = ObjectIdGetDatum(relid);
	values[1] = CStringGetTextDatum(relation_name(relid));
	values[2] = CStringGetTextDatum(connection_home());
	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT custom_fields, display, columns FROM makini._imported"
						 " WHERE CASE WHEN home = $3 THEN relation_oid = $1 ELSE relation = $2 END"
						 " ORDER BY home = $3 DESC LIMIT 1",
						 lengthof(types), types, values, NULL);
	if (SPI_processed == 1)
		imported = read_row(caller);
	SPI_finish();
	makini_rights_restore(&saved);
	return imported;
}

static Datum
columns_array(const Imported *imported)
{
	List	 *texts = NIL;
	ListCell *lc;

	foreach(lc, imported->columns)
	{
		KnownColumn *known = lfirst(lc);

		texts = lappend(lappend(texts, (char *) known->name), (char *) known->type);
	}
	return PointerGetDatum(texts_to_array(texts));
}

void
imported_remember(Oid relid, const Imported *imported)
{
	Oid	  types[] = {OIDOID, TEXTOID, TEXTOID, BOOLOID, BOOLOID, TEXTARRAYOID};
	Datum values[6];

	values[0] = ObjectIdGetDatum(relid);
	values[1] = CStringGetTextDatum(relation_name(relid));
	values[2] = CStringGetTextDatum(connection_home());
	values[3] = BoolGetDatum(imported->custom_fields);
	values[4] = BoolGetDatum(imported->display);
	values[5] = columns_array(imported);
	private_execute("DELETE FROM makini._imported i WHERE relation = $2 OR home = $3 AND"
					" (relation_oid = $1 OR NOT EXISTS (SELECT FROM pg_catalog.pg_class c"
					" WHERE c.oid = i.relation_oid))",
					3, types, values, NULL);
	private_execute("INSERT INTO makini._imported (relation_oid, relation, home, custom_fields,"
					" display, columns) VALUES ($1, $2, $3, $4, $5, $6)",
					lengthof(types), types, values, NULL);
}
