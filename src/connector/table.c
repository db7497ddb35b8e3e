/*-------------------------------------------------------------------------
 *
 * table.c
 *		A foreign table's options, as planning and scanning want them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "connector/option.h"
#include "connector/table.h"

/*
 * kind_of_type
 *		The kind of value a local type can be compared as.
 */
ValueKind
kind_of_type(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return VALUE_INTEGER;
		case NUMERICOID:
			return VALUE_NUMERIC;
		case BOOLOID:
			return VALUE_BOOLEAN;
		case TEXTOID:
		case VARCHAROID:
			return VALUE_TEXT;
		case DATEOID:
			return VALUE_DATE;
		case TIMESTAMPTZOID:
			return VALUE_TIMESTAMPTZ;
		case TIMESTAMPOID:
			return VALUE_TIMESTAMP;
		default:
			return VALUE_OTHER;
	}
}

/*
 * How a column's text is asked for.  The catalogue decides about dates, which
 * come in the user's own format when they are asked for as they are.
 */
static ValueKind
rendered_kind(ValueKind declared, ValueKind remote)
{
	if (remote == VALUE_TIMESTAMPTZ)
		return declared == VALUE_TIMESTAMPTZ ? VALUE_TIMESTAMPTZ : VALUE_TIMESTAMP;
	if (remote == VALUE_DATE)
		return VALUE_DATE;
	return declared;
}

/*
 * Whole numbers may be declared numeric.  The other way round, and all other
 * ways of declaring a column as what it is not, values would be compared by
 * different rules here and there.
 */
static bool
kinds_agree(ValueKind declared, ValueKind remote)
{
	return declared == remote || (declared == VALUE_NUMERIC && remote == VALUE_INTEGER);
}

static SourceColumn *
make_column(Form_pg_attribute attr, List *options, const Entity *entity)
{
	SourceColumn	   *column = palloc0(sizeof(SourceColumn));
	const char		   *name = option_text(options, "column_name");
	const EntityColumn *known = NULL;
	int32				typmod = attr->atttypmod;
	Oid					type = getBaseTypeAndTypmod(attr->atttypid, &typmod);

	column->name = pstrdup(name != NULL ? name : NameStr(attr->attname));
	column->display = option_bool(options, "display", false);
	column->kind = kind_of_type(type);
	column->nullable = !attr->attnotnull;
	column->inexact = column->display || typmod != -1;

	/* Only the catalogue knows that no time of day is hidden behind a date. */
	if (entity == NULL && column->kind == VALUE_DATE)
		column->inexact = true;
	if (entity != NULL && !column->display)
		known = entity_find_column(entity, column->name);
	if (known == NULL)
		return column;
	column->code = known->code;
	column->parameter = entity_is_parameter(entity, column->name);
	column->nullable = column->nullable && !known->required;
	if (!kinds_agree(column->kind, known->kind))
		column->inexact = true;
	column->kind = rendered_kind(column->kind, known->kind);
	return column;
}

static SourceColumn *
find_by_remote_name(Table *table, const char *name)
{
	for (int i = 0; i < table->natts; i++)
	{
		SourceColumn *column = table->columns[i];

		if (column != NULL && !column->display && pg_strcasecmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

/*
 * A key column that the table doesn't have, or has as something else than it
 * is: the catalogue knows how it compares.
 */
static SourceColumn *
key_column(Table *table, const char *name)
{
	SourceColumn	   *column = find_by_remote_name(table, name);
	const Entity	   *entity = table->source->catalogue;
	const EntityColumn *known = entity ? entity_find_column(entity, name) : NULL;

	if (column != NULL && (known == NULL || kinds_agree(column->kind, known->kind)))
		return column;
	if (known == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
				 errmsg("key column \"%s\" of foreign table \"%s\" is not known", name,
						get_rel_name(table->relid)),
				 errhint("The option \"key\" lists remote names. Declare the column in the foreign table, so that its type is known.")));
	column = palloc0(sizeof(SourceColumn));
	column->name = pstrdup(name);
	column->kind = known->kind;
	column->nullable = !known->required;
	column->code = known->code;
	return column;
}

static void
set_key(Table *table, const char *text)
{
	List	 *names;
	ListCell *lc;

	if (text == NULL && table->source->catalogue != NULL)
		text = table->source->catalogue->key;
	if (text == NULL)
		return;
	if (!SplitIdentifierString(pstrdup(text), ',', &names))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"key\" of foreign table \"%s\" is not a list of columns",
						get_rel_name(table->relid))));
	foreach(lc, names)
	{
		SourceColumn *column = key_column(table, lfirst(lc));

		/* A key of one column identifies rows, so that it is never null. */
		if (list_length(names) == 1)
			column->nullable = false;
		table->source->key = lappend(table->source->key, column);
	}
}

/*
 * table_open_options
 *		Read the options of a foreign table and its columns.
 */
Table *
table_open_options(Oid relid)
{
	ForeignTable *foreign = GetForeignTable(relid);
	Relation	  rel = table_open(relid, NoLock);
	TupleDesc	  desc = RelationGetDescr(rel);
	Table		 *table = palloc0(sizeof(Table));
	Source		 *source = palloc0(sizeof(Source));

	table->relid = relid;
	table->serverid = foreign->serverid;
	table->connector = connector_of_server(foreign->serverid);
	table->source = source;
	source->entity = option_text(foreign->options, "entity");
	source->statement = option_text(foreign->options, "query");
	if (source->statement != NULL)
		source->entity = NULL;
	else if (source->entity == NULL)
		source->entity = pstrdup(RelationGetRelationName(rel));
	if (source->entity != NULL)
		source->catalogue = connector_find_entity(table->connector, source->entity);

	table->natts = desc->natts;
	table->columns = palloc0(sizeof(SourceColumn *) * Max(1, desc->natts));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (!attr->attisdropped)
			table->columns[i] =
				make_column(attr, GetForeignColumnOptions(relid, i + 1), source->catalogue);
	}
	table_close(rel, NoLock);
	set_key(table, option_text(foreign->options, "key"));
	return table;
}

/*
 * table_refuse_read
 *		Raise 0A000 where reading a table is not for queries.
 */
void
table_refuse_read(const Table *table)
{
	const Entity *entity = table->source->catalogue;
	const char	 *name;

	if (entity == NULL || entity->access == ENTITY_TABLE)
		return;
	name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table->relid)),
									  get_rel_name(table->relid));
	switch (entity->access)
	{
		case ENTITY_TABLE:
			break;
		case ENTITY_FEED:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("reading foreign table \"%s\" would consume what it hands out",
							get_rel_name(table->relid)),
					 errdetail("The remote side marks rows as exported while it answers; a query cannot give them back."),
					 errhint("Land them in a local table with makini.create_drain(%s, ...).",
							 quote_literal_cstr(name))));
			break;
		case ENTITY_IMPORT:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("foreign table \"%s\" can be written but not read",
							get_rel_name(table->relid)),
					 errdetail("The remote side imports these records and has no way to read them back."),
					 entity->parent != NULL ?
						 errhint("Use INSERT on a foreign table of \"%s\", which holds these rows in \"%s\".",
								 entity->parent, entity->parent_member) :
						 errhint("Use INSERT; it creates or replaces a record.")));
			break;
		case ENTITY_SESSION:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("foreign table \"%s\" cannot be read", get_rel_name(table->relid)),
					 errdetail("Reading it would sign a user on.")));
			break;
	}
}

/*
 * size_class_rows
 *		How many rows a table may have that nobody has counted.
 */
double
size_class_rows(const Table *table)
{
	static const double rows[] = {
		[SIZE_TINY] = 100,		[SIZE_SMALL] = 1000,	[SIZE_MEDIUM] = 50000,
		[SIZE_LARGE] = 1000000, [SIZE_HUGE] = 10000000,
	};

	return table->source->catalogue ? rows[table->source->catalogue->size] : 10000;
}

List *
foreign_tables_of(Oid namespace)
{
	List	   *relids = NIL;
	Relation	pg_class_rel = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_class_relnamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(namespace));
	scan = systable_beginscan(pg_class_rel, InvalidOid, false, NULL, 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_FOREIGN_TABLE)
			relids = lappend_oid(relids, form->oid);
	}
	systable_endscan(scan);
	table_close(pg_class_rel, AccessShareLock);
	return relids;
}
