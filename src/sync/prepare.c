/*-------------------------------------------------------------------------
 *
 * prepare.c
 *		Makes a sync's target where there is none, and checks one that is there.
 *
 * All of it is done with the rights of whoever creates the sync, by SQL, so
 * that PostgreSQL itself decides what they may.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "sync/target.h"

typedef struct Preparation
{
	const char	*name; /* qualified and quoted */
	RangeVar	*relation;
	const Table *source;
	List		*selected;
	List		*key;
	List		*constants;
	DeleteMode	 deletes;
} Preparation;

static void
run_sql(const char *sql)
{
	int status = SPI_execute(sql, false, 0);

	if (status < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run \"%s\": %s", sql, SPI_result_code_string(status))));
}

static SelectedColumn *
find_selected(const Preparation *prep, const char *name)
{
	SelectedColumn *column = selected_find(prep->selected, name);

	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("key column \"%s\" is not among the columns that are read", name)));
	return column;
}

/* ---------------------------------------------------------------------
 * A new table
 * ---------------------------------------------------------------------
 */

static const char *
constant_type(const TargetConstant *constant)
{
	switch (constant->kind)
	{
		case jbvBool:
			return "pg_catalog.bool";
		case jbvNumeric:
			return strspn(constant->text, "-0123456789") == strlen(constant->text) &&
					strlen(constant->text) <= 18 ?
				"pg_catalog.int8" :
				"pg_catalog.numeric";
		default:
			return "pg_catalog.text";
	}
}

/* The type that the foreign table declares, a domain too. */
static char *
declared_type(const Preparation *prep, const char *name)
{
	AttrNumber attnum = get_attnum(prep->source->relid, name);
	Oid		   type;
	int32	   typmod;
	Oid		   collation;

	get_atttypetypmodcoll(prep->source->relid, attnum, &type, &typmod, &collation);
	return format_type_extended(type, typmod, FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_TYPEMOD_GIVEN);
}

static void
refuse_name(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("column \"%s\" of the source has the name of a column that syncs add", name),
			 errhint("Leave it out with \"columns\", or give it another name in the foreign table.")));
}

static void
append_columns(StringInfo sql, const Preparation *prep)
{
	ListCell *lc;

	foreach(lc, prep->selected)
	{
		SelectedColumn *column = lfirst(lc);

		if (target_is_mark(column->name))
			refuse_name(column->name);
		appendStringInfo(sql, "%s %s, ", quote_identifier(column->name),
						 declared_type(prep, column->name));
	}
	foreach(lc, prep->constants)
	{
		TargetConstant *constant = lfirst(lc);

		appendStringInfo(sql, "%s %s NOT NULL, ", quote_identifier(constant->name),
						 constant_type(constant));
	}
	appendStringInfoString(sql,
						   "_synced_at pg_catalog.timestamptz, _deleted_at pg_catalog.timestamptz,"
						   " _extra pg_catalog.jsonb");
}

/* Constants first: a tenant's rows lie together. */
static void
append_key(StringInfo sql, const Preparation *prep)
{
	const char *separator = "";
	bool		nullable = false;
	ListCell   *lc;

	if (prep->key == NIL)
		return;
	foreach(lc, prep->key)
		nullable = nullable || find_selected(prep, lfirst(lc))->remote->nullable;
	appendStringInfoString(sql, nullable ? ", UNIQUE NULLS NOT DISTINCT (" : ", PRIMARY KEY (");
	foreach(lc, prep->constants)
	{
		appendStringInfo(sql, "%s%s", separator,
						 quote_identifier(((TargetConstant *) lfirst(lc))->name));
		separator = ", ";
	}
	foreach(lc, prep->key)
	{
		appendStringInfo(sql, "%s%s", separator, quote_identifier(lfirst(lc)));
		separator = ", ";
	}
	appendStringInfoChar(sql, ')');
}

static void
make_schema(const Preparation *prep)
{
	if (OidIsValid(get_namespace_oid(prep->relation->schemaname, true)))
		return;
	run_sql(psprintf("CREATE SCHEMA %s", quote_identifier(prep->relation->schemaname)));
}

static void
carry_comments(const Preparation *prep)
{
	char	 *text = GetComment(prep->source->relid, RelationRelationId, 0);
	ListCell *lc;

	if (text != NULL)
		run_sql(psprintf("COMMENT ON TABLE %s IS %s", prep->name, quote_literal_cstr(text)));
	foreach(lc, prep->selected)
	{
		SelectedColumn *column = lfirst(lc);

		text = GetComment(prep->source->relid, RelationRelationId,
						  get_attnum(prep->source->relid, column->name));
		if (text != NULL)
			run_sql(psprintf("COMMENT ON COLUMN %s.%s IS %s", prep->name,
							 quote_identifier(column->name), quote_literal_cstr(text)));
	}
	run_sql(psprintf("COMMENT ON COLUMN %s._synced_at IS 'When makini wrote the row last.'",
					 prep->name));
	run_sql(psprintf("COMMENT ON COLUMN %s._deleted_at IS 'When the row was found deleted at the source; NULL: it is there.'",
					 prep->name));
	run_sql(psprintf("COMMENT ON COLUMN %s._extra IS 'What the source has in columns that the table lacks.'",
					 prep->name));
}

static void
make_table(const Preparation *prep)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", prep->name);
	append_columns(&sql, prep);
	append_key(&sql, prep);
	appendStringInfoChar(&sql, ')');
	SPI_connect();
	make_schema(prep);
	run_sql(sql.data);
	carry_comments(prep);
	SPI_finish();
	CommandCounterIncrement();
}

/* ---------------------------------------------------------------------
 * A table that is there
 * ---------------------------------------------------------------------
 */

static Form_pg_attribute
check_key_column(Relation rel, const char *name)
{
	Form_pg_attribute attr = target_attribute(rel, name);

	if (attr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("target %s has no column \"%s\", which is part of the key",
						target_qualified_name(rel), name)));
	if (attr->attgenerated != '\0' || attr->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("key column \"%s\" of target %s is generated", name, target_qualified_name(rel)),
				 errhint("Rows are found by their keys, which have to be the source's.")));
	return attr;
}

static bool
index_begins_with(Relation rel, AttrNumber attnum)
{
	ListCell *lc;
	bool	  found = false;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation index = relation_open(lfirst_oid(lc), AccessShareLock);

		found = found || index->rd_index->indkey.values[0] == attnum;
		relation_close(index, AccessShareLock);
	}
	return found;
}

static void
check_key(const Preparation *prep, Relation rel)
{
	bool	  indexed = rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE;
	ListCell *lc;

	foreach(lc, prep->key)
	{
		SelectedColumn *selected = find_selected(prep, lfirst(lc));
		TargetColumn	column = {0};

		indexed = index_begins_with(rel, check_key_column(rel, lfirst(lc))->attnum) || indexed;
		target_column(rel, selected, &column);
		target_check_key_column(rel, &column);
	}
	foreach(lc, prep->constants)
		indexed =
			index_begins_with(rel,
							  check_key_column(rel, ((TargetConstant *) lfirst(lc))->name)->attnum) ||
			indexed;
	if (prep->key != NIL && !indexed)
		ereport(WARNING,
				(errmsg("target %s has no index on the key", target_qualified_name(rel)),
				 errdetail("Each page is looked up in the whole table."),
				 errhint("Create a unique index on the columns of the key.")));
}

static void
warn_of_unlogged(Relation rel)
{
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		ereport(WARNING,
				(errmsg("target %s is unlogged", target_qualified_name(rel)),
				 errdetail("A crash empties it, and a sync does not read again what it has read."),
				 errhint("ALTER TABLE %s SET LOGGED; or call makini.reset_sync after each crash.",
						 target_qualified_name(rel))));
}

static void
check_table(const Preparation *prep, Oid relid)
{
	Relation  rel = relation_open(relid, AccessShareLock);
	ListCell *lc;

	(void) target_check_kind(rel);
	target_check_rights(rel, GetUserId());
	foreach(lc, prep->selected)
	{
		TargetColumn	column = {0};
		SelectedColumn *selected = lfirst(lc);

		if (!selected->extra)
			target_column(rel, selected, &column);
	}
	check_key(prep, rel);
	warn_of_unlogged(rel);
	target_check_marks(rel, prep->deletes);
	relation_close(rel, NoLock);
}

/* Between the two no search_path of the caller's decides about a name. */
static int
begin_safe_names(void)
{
	int level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/*
 * target_prepare
 *		See sync.h.
 */
Oid
target_prepare(const char *name, const Table *source, List *selected, List *key,
			   const char *constants, DeleteMode deletes, bool *created)
{
	Preparation prep = {.name = name, .source = source, .selected = selected, .key = key};
	int			level = begin_safe_names();
	Oid			relid;

	prep.deletes = deletes;
	prep.constants = target_constants(constants);
	prep.relation = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	relid = RangeVarGetRelid(prep.relation, NoLock, true);
	*created = !OidIsValid(relid);
	if (*created)
	{
		make_table(&prep);
		relid = RangeVarGetRelid(prep.relation, NoLock, false);
	}
	else
		check_table(&prep, relid);
	AtEOXact_GUC(true, level);
	return relid;
}
