/*-------------------------------------------------------------------------
 *
 * target.c
 *		A local table that a sync writes: which of its columns, and in which way.
 *
 * Everything here is read from the catalogues.  Making a target where there is
 * none stands in prepare.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "catalog/partition.h"
#include "commands/defrem.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "parser/parse_coerce.h"
#include "rewrite/prs2lock.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "connector/option.h"
#include "sync/sync.h"
#include "sync/target.h"

/* ---------------------------------------------------------------------
 * The relation as a whole
 * ---------------------------------------------------------------------
 */

char *
target_qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/* Raise 42809 unless a foreign table takes all three kinds of writes. */
static void
check_foreign(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	FdwRoutine *routine = GetFdwRoutineForRelation(rel, false);
	int			all = (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
	int			can = all;

	if (routine->IsForeignRelUpdatable != NULL)
		can = routine->IsForeignRelUpdatable(rel);
	else if (routine->ExecForeignInsert == NULL || routine->ExecForeignUpdate == NULL ||
			 routine->ExecForeignDelete == NULL)
		can = 0;
	if ((can & all) != all)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("foreign table %s cannot be a target, or part of one",
						target_qualified_name(rel)),
				 errdetail("It does not take inserts, updates and deletes.")));
	relation_close(rel, AccessShareLock);
}

/* Some leaf of a partitioned table is foreign, or a plain table's child is. */
static bool
has_foreign_parts(Relation rel)
{
	bool	  found = false;
	ListCell *lc;

	if (!rel->rd_rel->relhassubclass)
		return false;
	foreach(lc, find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_FOREIGN_TABLE)
			continue;
		check_foreign(lfirst_oid(lc));
		found = true;
	}
	return found;
}

/*
 * target_refuse_rules
 *		Raise 0A000 where rules rewrite what is written: PostgreSQL does not take
 *		them together with the statements that a page is written with.
 */
void
target_refuse_rules(Relation rel)
{
	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		if (rel->rd_rules->rules[i]->event == CMD_SELECT)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("target %s has rules about what is written to it", target_qualified_name(rel)),
				 errdetail("Rows would be written elsewhere, or not at all."),
				 errhint("Drop its rules on INSERT, UPDATE and DELETE; triggers can do the same.")));
	}
}

/*
 * target_check_kind
 *		Raise 42809 for what syncs can't write to, 0A000 where rules stand in the
 *		way; true where part of it is foreign.
 */
bool
target_check_kind(Relation rel)
{
	target_refuse_rules(rel);
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("target %s is a temporary table", target_qualified_name(rel)),
				 errdetail("Runs of other sessions could not write it.")));
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			return has_foreign_parts(rel);
		case RELKIND_FOREIGN_TABLE:
			check_foreign(RelationGetRelid(rel));
			return true;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("target %s is not a table that can be written", target_qualified_name(rel)),
					 errdetail_relkind_not_supported(rel->rd_rel->relkind),
					 errhint("Targets are plain or partitioned tables, and foreign tables that take inserts, updates and deletes.")));
	}
}

/*
 * target_check_rights
 *		Raise 42501 unless a role may act as the target's owner, and the owner
 *		sees all of its rows.
 */
void
target_check_rights(Relation rel, Oid role)
{
	Oid owner = rel->rd_rel->relowner;

	if (!makini_may_become(role, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" cannot act as the owner of target %s",
						GetUserNameFromId(role, false), target_qualified_name(rel)),
				 errdetail("Rows are written with the rights of the target's owner, \"%s\".",
						   GetUserNameFromId(owner, false)),
				 errhint("GRANT %s TO %s;", quote_identifier(GetUserNameFromId(owner, false)),
						 quote_identifier(GetUserNameFromId(role, false)))));
	if (check_enable_rls(RelationGetRelid(rel), owner, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security applies to the owner of target %s",
						target_qualified_name(rel)),
				 errdetail("A sync that does not see all rows would insert those it does not see again."),
				 errhint("ALTER TABLE %s NO FORCE ROW LEVEL SECURITY;", target_qualified_name(rel))));
}

/* ---------------------------------------------------------------------
 * Columns
 * ---------------------------------------------------------------------
 */

/*
 * type_runs_code
 *		Whether making a value of a base type out of text may check a domain, and
 *		so call functions of whoever made that: values are made by who runs a
 *		sync, with his rights.
 */
bool
type_runs_code(Oid type)
{
	switch (get_typtype(type))
	{
		case TYPTYPE_BASE:
			return OidIsValid(get_element_type(type)) && type_runs_code(get_element_type(type));
		case TYPTYPE_ENUM:
			return false;
		case TYPTYPE_RANGE:
			return type_runs_code(get_range_subtype(type));
		case TYPTYPE_MULTIRANGE:
			return type_runs_code(get_multirange_range(type));
		default:
			return true;
	}
}

/* The attribute of this name that people see, or NULL. */
Form_pg_attribute
target_attribute(Relation rel, const char *name)
{
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (!attr->attisdropped && strcmp(NameStr(attr->attname), name) == 0)
			return attr;
	}
	return NULL;
}

/*
 * Whether "IS DISTINCT FROM" tells all differences: the type has an equality
 * that is PostgreSQL's own and calls nothing equal that looks different.
 */
static bool
is_comparable(Form_pg_attribute attr)
{
	TypeCacheEntry *type = lookup_type_cache(attr->atttypid, TYPECACHE_EQ_OPR);
	HeapTuple		tuple;
	bool			own;

	if (!OidIsValid(type->eq_opr))
		return false;
	if (OidIsValid(attr->attcollation) && !get_collation_isdeterministic(attr->attcollation))
		return false;
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(type->eq_opr));
	own = HeapTupleIsValid(tuple) &&
		((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace == PG_CATALOG_NAMESPACE;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return own;
}

static void
describe_attribute(TargetColumn *column, Form_pg_attribute attr)
{
	column->name = pstrdup(NameStr(attr->attname));
	column->attnum = attr->attnum;
	column->type = attr->atttypid;
	column->typmod = attr->atttypmod;
	column->comparable = is_comparable(attr);
	column->nullable = !attr->attnotnull;
	column->written = attr->attgenerated == '\0' && attr->attidentity != ATTRIBUTE_IDENTITY_ALWAYS;
}

/*
 * target_column
 *		The column of a target that values of a selected column go to; raises
 *		42703 and 42804.
 */
void
target_column(Relation rel, const SelectedColumn *selected, TargetColumn *column)
{
	Form_pg_attribute attr = target_attribute(rel, selected->name);

	if (attr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("target %s has no column \"%s\"", target_qualified_name(rel), selected->name),
				 errhint(selected->always ?
							 "ALTER TABLE %s ADD COLUMN %s %s; a sync always reads its key, its cursor and what its filters speak of." :
							 "ALTER TABLE %s ADD COLUMN %s %s; or leave it out with \"columns\".",
						 target_qualified_name(rel), quote_identifier(selected->name),
						 format_type_with_typemod(selected->type, selected->typmod))));
	describe_attribute(column, attr);
	column->source_type = selected->type;
	column->source_typmod = selected->typmod;
	column->source_type_sql = format_type_be_qualified(selected->type);
	column->remote = selected->remote;
	if (column->written && !can_coerce_type(1, &column->source_type, &column->type, COERCION_ASSIGNMENT))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of target %s is of type %s, but the source's values are of type %s",
						selected->name, target_qualified_name(rel),
						format_type_with_typemod(column->type, column->typmod),
						format_type_be(column->source_type)),
				 errhint("ALTER TABLE %s ALTER COLUMN %s TYPE %s.", target_qualified_name(rel),
						 quote_identifier(selected->name),
						 format_type_with_typemod(selected->type, selected->typmod))));
}

/* ---------------------------------------------------------------------
 * Columns of the key
 * ---------------------------------------------------------------------
 */

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_timestamp(Oid type)
{
	return type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

/* Digits behind the point of a numeric(p, s). */
static int
scale_of(int32 typmod)
{
	return (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
}

/*
 * Whether values that the source tells apart stay apart in a column of the
 * target.  What is too long, or out of range, is an error when it is written.
 */
static bool
keeps_apart(const TargetColumn *column)
{
	int32 typmod = column->typmod;
	Oid	  type = getBaseTypeAndTypmod(column->type, &typmod);
	Oid	  from = column->source_type;

	if (!column->comparable)
		return false;
	if (type == TEXTOID || type == VARCHAROID || (type == BPCHAROID && from == BPCHAROID) ||
		(type == from && typmod == column->source_typmod))
		return true;
	if (is_integer(from) && type == NUMERICOID)
		return typmod == -1 || scale_of(typmod) >= 0;
	if (from == NUMERICOID && type == NUMERICOID && column->source_typmod != -1)
		return typmod == -1 || scale_of(typmod) >= scale_of(column->source_typmod);
	if (from == DATEOID && is_timestamp(type))
		return true;
	return typmod == -1 &&
		(type == from || (is_integer(from) && is_integer(type)) ||
		 (is_timestamp(from) && is_timestamp(type)));
}

/*
 * target_check_key_column
 *		Raise 42804 where a column of the key calls values the same that are not at
 *		the source: one row would be written over another.
 */
void
target_check_key_column(Relation rel, const TargetColumn *column)
{
	if (keeps_apart(column))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("key column \"%s\" of target %s does not tell all keys of the source apart",
					column->name, target_qualified_name(rel)),
			 errdetail("As %s%s it takes different keys for the same, and one row would be written over another.",
					   format_type_with_typemod(column->type, column->typmod),
					   type_is_collatable(column->type) && !column->comparable ? " with its collation" :
																				 ""),
			 errhint("ALTER TABLE %s ALTER COLUMN %s TYPE %s%s;", target_qualified_name(rel),
					 quote_identifier(column->name),
					 format_type_with_typemod(column->source_type, column->source_typmod),
					 type_is_collatable(column->source_type) ? " COLLATE \"default\"" : "")));
}

/* ---------------------------------------------------------------------
 * Constants
 * ---------------------------------------------------------------------
 */

/* A constant's value as the text that its column's type reads. */
static char *
constant_text(const char *name, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("constant \"%s\" must be a string, a number or a boolean", name)));
	}
}

/*
 * target_constants
 *		The members of a sync's constants, as a List of TargetConstant *.
 */
List *
target_constants(const char *json)
{
	List			  *constants = NIL;
	Jsonb			  *object;
	JsonbIterator	  *iterator;
	JsonbValue		   value;
	JsonbIteratorToken token;
	TargetConstant	  *constant = NULL;

	if (json == NULL)
		return NIL;
	object = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("constants must be a JSON object"),
				 errhint("Write them as in '{\"tenant_id\": 17}'.")));
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			constant = palloc0(sizeof(TargetConstant));
			constant->name = pnstrdup(value.val.string.val, value.val.string.len);
		}
		else if (token == WJB_VALUE)
		{
			constant->text = constant_text(constant->name, &value);
			constant->kind = value.type;
			constants = lappend(constants, constant);
		}
	}
	return constants;
}

static void
constant_column(Relation rel, const TargetConstant *constant, TargetColumn *column)
{
	Form_pg_attribute attr = target_attribute(rel, constant->name);

	if (attr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("target %s has no column \"%s\", which is one of the constants",
						target_qualified_name(rel), constant->name)));
	describe_attribute(column, attr);
	column->source_type = column->type;
	column->source_type_sql = format_type_be_qualified(column->type);
	column->constant = constant->text;
	column->key = true;
}

/* ---------------------------------------------------------------------
 * The way
 * ---------------------------------------------------------------------
 */

/* The attributes that make up the key. */
static Bitmapset *
key_attributes(const Target *target)
{
	Bitmapset *set = NULL;

	for (int i = 0; i < target->ncolumns; i++)
		if (target->columns[i].key)
			set = bms_add_member(set, target->columns[i].attnum);
	return set;
}

/* Whether ON CONFLICT can rely on an index to tell rows by their keys. */
static bool
is_arbiter(Relation index, const Bitmapset *key, bool nullable_key)
{
	Form_pg_index form = index->rd_index;
	Bitmapset	 *columns = NULL;

	if (!form->indisunique || !form->indimmediate || !form->indisvalid || form->indisexclusion ||
		RelationGetIndexPredicate(index) != NIL || RelationGetIndexExpressions(index) != NIL ||
		(nullable_key && !form->indnullsnotdistinct))
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		if (OidIsValid(index->rd_indcollation[i]) &&
			!get_collation_isdeterministic(index->rd_indcollation[i]))
			return false;
		columns = bms_add_member(columns, form->indkey.values[i]);
	}
	return bms_equal(columns, key);
}

static bool
begins_with_key(Relation index, const Bitmapset *key)
{
	return index->rd_index->indisvalid && index->rd_index->indkey.values[0] > 0 &&
		RelationGetIndexPredicate(index) == NIL &&
		bms_is_member(index->rd_index->indkey.values[0], key);
}

/* Does an index of the table hold all of its rows? */
static bool
is_whole(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE || !rel->rd_rel->relhassubclass;
}

static void
choose_way(Target *target, Relation rel)
{
	Bitmapset *key = key_attributes(target);
	ListCell  *lc;
	bool	   has_key = false;

	for (int i = 0; i < target->nsource; i++)
		has_key = has_key || target->columns[i].key;
	target->way = has_key ? WAY_JOINED : WAY_MULTISET;
	if (!has_key || rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		return;
	foreach(lc, RelationGetIndexList(rel))
	{
		Relation index = relation_open(lfirst_oid(lc), AccessShareLock);

		if (begins_with_key(index, key))
			target->key_indexed = true;
		if (is_whole(rel) && is_arbiter(index, key, target->nullable_key))
			target->way = WAY_INDEXED;
		relation_close(index, AccessShareLock);
	}
}

/* Columns that decide about a row's partition, at any level. */
static void
note_partition_columns(Target *target, Relation rel)
{
	ListCell *lc;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	foreach(lc, find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL))
	{
		Relation part = relation_open(lfirst_oid(lc), NoLock);

		for (int i = 0; i < target->nsource; i++)
		{
			TargetColumn *column = &target->columns[i];
			AttrNumber	  attnum = get_attnum(lfirst_oid(lc), column->name);
			Bitmapset	 *set = bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber);

			if (part->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && attnum != InvalidAttrNumber &&
				has_partition_attrs(part, set, NULL) &&
				!list_member(target->partition_columns, makeString(column->name)))
				target->partition_columns =
					lappend(target->partition_columns, makeString(column->name));
		}
		relation_close(part, NoLock);
	}
	foreach(lc, target->partition_columns)
		lfirst(lc) = strVal(lfirst(lc));
}

/* Which column of the source tells the age of a row, or NULL. */
static const char *
cursor_name(Oid source)
{
	Table		 *table;
	ForeignTable *foreign;
	const char	 *name;

	if (!OidIsValid(source) || get_rel_relkind(source) != RELKIND_FOREIGN_TABLE)
		return NULL;
	foreign = GetForeignTable(source);
	name = option_text(foreign->options, "cursor");
	if (name != NULL)
		return name;
	table = table_open_options(source);
	return table->source->catalogue ? table->source->catalogue->cursor : NULL;
}

static void
note_keys(Target *target, Relation rel, const Sync *sync, const char *cursor)
{
	target->cursor = -1;
	for (int i = 0; i < target->nsource; i++)
	{
		TargetColumn *column = &target->columns[i];
		ListCell	 *lc;

		foreach(lc, sync->key)
			column->key = column->key || strcmp(lfirst(lc), column->name) == 0;
		target->nullable_key = target->nullable_key || (column->key && column->nullable);
		if (column->key && !column->written)
			ereport(ERROR,
					(errcode(ERRCODE_GENERATED_ALWAYS),
					 errmsg("key column \"%s\" of target %s is generated", column->name, target->name),
					 errhint("Rows are found by their keys, which have to be the source's.")));
		if (column->key)
			target_check_key_column(rel, column);
		if (cursor != NULL && column->remote != NULL && !column->remote->display &&
			pg_strcasecmp(column->remote->name, cursor) == 0)
			target->cursor = i;
	}
}

static void
note_own_columns(Target *target, Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		bool			  known = attr->attisdropped || attr->attgenerated != '\0' ||
			target_is_mark(NameStr(attr->attname));

		for (int j = 0; j < target->ncolumns; j++)
			known = known || target->columns[j].attnum == attr->attnum;
		if (!known)
			target->own_columns = lappend(target->own_columns, pstrdup(NameStr(attr->attname)));
	}
}

static void
note_columns(Target *target, Relation rel, const Sync *sync, List *selected)
{
	List	 *constants = target_constants(sync->constants);
	ListCell *lc;

	target->columns =
		palloc0(sizeof(TargetColumn) * Max(1, list_length(selected) + list_length(constants)));
	foreach(lc, selected)
	{
		SelectedColumn *column = lfirst(lc);

		if (!column->extra)
			target_column(rel, column, &target->columns[target->nsource++]);
	}
	target->ncolumns = target->nsource;
	foreach(lc, constants)
		constant_column(rel, lfirst(lc), &target->columns[target->ncolumns++]);
	note_keys(target, rel, sync, cursor_name(sync->source));
	note_own_columns(target, rel);
	target->has_synced_at = target_attribute(rel, "_synced_at") != NULL;
	target->has_deleted_at = target_attribute(rel, "_deleted_at") != NULL;
	target->has_extra = target_attribute(rel, "_extra") != NULL;
}

/*
 * target_open
 *		See sync.h.
 */
Target *
target_open(const Sync *sync, List *selected)
{
	Relation rel = try_relation_open(sync->target, RowExclusiveLock);
	Target	*target = palloc0(sizeof(Target));

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE), errmsg("target %s does not exist", sync->target_name),
				 errhint("drop_sync() and create_sync() make it anew.")));
	target->foreign_parts = target_check_kind(rel);
	target_check_rights(rel, sync->owner);
	target->relid = sync->target;
	target->owner = rel->rd_rel->relowner;
	target->name = target_qualified_name(rel);
	target->plain = rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relhassubclass;
	note_columns(target, rel, sync, selected);
	target_check_marks(rel, sync->deletes);
	choose_way(target, rel);
	note_partition_columns(target, rel);
	relation_close(rel, NoLock);
	return target;
}

/*
 * target_keep
 *		See sync.h.
 */
void
target_keep(const Target *target)
{
	char *name;

	LockRelationOid(target->relid, RowExclusiveLock);
	name = get_rel_name(target->relid);
	if (name != NULL &&
		strcmp(quote_qualified_identifier(get_namespace_name(get_rel_namespace(target->relid)), name),
			   target->name) == 0)
		return;
	ereport(ERROR,
			(errcode(name == NULL ? ERRCODE_UNDEFINED_TABLE : ERRCODE_T_R_SERIALIZATION_FAILURE),
			 name == NULL ? errmsg("target %s does not exist any more", target->name) :
							errmsg("target %s got another name while it was written", target->name),
			 name == NULL ? 0 : errhint("The next run goes on with the same table.")));
}

/* A column that syncs keep their own marks in. */
bool
target_is_mark(const char *name)
{
	return strcmp(name, "_synced_at") == 0 || strcmp(name, "_deleted_at") == 0 ||
		strcmp(name, "_extra") == 0;
}

/*
 * target_check_marks
 *		Raise 42703 where columns are lacking that syncs keep their own marks in.
 */
void
target_check_marks(Relation rel, DeleteMode deletes)
{
	static const char *const marks[] = {"_synced_at", "_deleted_at"};

	for (int i = 0; i < (deletes == DELETES_SOFT ? 2 : 1); i++)
	{
		Form_pg_attribute attr = target_attribute(rel, marks[i]);

		if (attr == NULL || attr->atttypid != TIMESTAMPTZOID)
			ereport(ERROR,
					(errcode(attr == NULL ? ERRCODE_UNDEFINED_COLUMN : ERRCODE_DATATYPE_MISMATCH),
					 errmsg("target %s needs a column \"%s\" of type timestamp with time zone",
							target_qualified_name(rel), marks[i]),
					 errhint("ALTER TABLE %s %s COLUMN %s%s timestamptz;", target_qualified_name(rel),
							 attr == NULL ? "ADD" : "ALTER", marks[i], attr == NULL ? "" : " TYPE")));
	}
}
