/*-------------------------------------------------------------------------
 *
 * define.c
 *		Whether what people say about a sync makes sense: each argument by
 *		itself, then together with the source and the target.
 *
 * Used when a sync is created and when it is altered.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "makini.h"
#include "nearest.h"
#include "private.h"
#include "sync/define.h"
#include "sync/json_member.h"
#include "sync/schema_change.h"
#include "sync/target.h"
#include "worker/worker.h"

/* How much of a document's history is wanted where nobody says so. */
#define HISTORY_OF_DOCUMENTS "90 days"

/* The options of create_sync. */
static const MemberDef sync_option_defs[] = {
	{"start", MEMBER_BOOL},
	{"full_every", MEMBER_INTERVAL, .nullable = true},
	{"backfill_between", MEMBER_TEXT, .nullable = true},
	{"backfill_order", MEMBER_ENUM, .values = "newest|oldest"},
	{"on_schema_change", MEMBER_ENUM, .values = "add|extra|report"},
	{"max_staleness", MEMBER_INTERVAL, .nullable = true},
	{"reject_limit", MEMBER_NUMBER, .min = 0, .max = 1},
	{NULL},
};

/* ---------------------------------------------------------------------
 * Names
 * ---------------------------------------------------------------------
 */

void
define_check_names(List *names, const char *argument)
{
	ListCell *lc;
	ListCell *before;

	foreach(lc, names)
	{
		const char *name = lfirst(lc);

		if (name[0] == '\0' || strlen(name) >= NAMEDATALEN)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_NAME),
					 errmsg("invalid column name \"%s\" in \"%s\"", name, argument)));
		foreach(before, names)
		{
			if (before == lc)
				break;
			if (strcmp(lfirst(before), name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" appears twice in \"%s\"", name, argument)));
		}
	}
}

List *
define_texts(ArrayType *array, const char *argument)
{
	List	 *texts = array_to_texts(array);
	ListCell *lc;

	if (texts == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" must not be empty", argument),
				 errhint("Leave it NULL for the default.")));
	foreach(lc, texts)
	{
		if (lfirst(lc) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("\"%s\" must not contain nulls", argument)));
	}
	return texts;
}

static void
refuse_schema(const char *target, const char *schema)
{
	Oid schema_oid = get_namespace_oid(schema, true);

	if (strcmp(schema, "makini") != 0 && strcmp(schema, "pg_catalog") != 0 &&
		strcmp(schema, "information_schema") != 0 && strncmp(schema, "pg_temp", 7) != 0 &&
		strncmp(schema, "pg_toast", 8) != 0 && !isAnyTempNamespace(schema_oid))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" cannot be a target", target),
			 errdetail("Schema \"%s\" is not for tables that syncs write.", schema)));
}

/*
 * A session's search_path should not decide where rows go that other sessions
 * write.
 */
char *
define_target_name(const char *target)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(target));
	const char *schema;

	if (list_length(names) == 3 && strcmp(strVal(linitial(names)), get_database_name(MyDatabaseId)) == 0)
		names = list_delete_first(names);
	if (list_length(names) == 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target \"%s\" must be qualified with its schema", target),
				 errhint("Write it as in 'warehouse.%s'.", quote_identifier(strVal(linitial(names))))));
	if (list_length(names) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target \"%s\" is not the name of a table of this database", target),
				 errhint("Write it as in 'warehouse.item'.")));
	schema = strVal(linitial(names));
	refuse_schema(target, schema);
	return quote_qualified_identifier(schema, strVal(lsecond(names)));
}

/* ---------------------------------------------------------------------
 * Arguments by themselves
 * ---------------------------------------------------------------------
 */

void
define_check_schedule(const char *schedule)
{
	if (schedule != NULL)
		schedule_check(schedule);
}

static void
check_window(const char *window)
{
	Interval *interval;

	if (strcmp(window, "auto") == 0 || strcmp(window, "all") == 0)
		return;
	interval = interval_or_null(window);
	if (interval == NULL || !interval_is_positive(interval))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for \"%s\": \"%s\"", "initial_window", window),
				 errhint("Give auto, all, or an interval such as 30 days.")));
}

static void
check_lookback(const Interval *lookback)
{
	Interval zero = {0};

	if (DatumGetBool(DirectFunctionCall1(interval_finite, IntervalPGetDatum(lookback))) &&
		DatumGetBool(DirectFunctionCall2(interval_ge, IntervalPGetDatum(lookback),
										 IntervalPGetDatum(&zero))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" must not be negative", "lookback")));
}

static void
check_mode(const char *mode)
{
	if (strcmp(mode, "drain") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for \"%s\": \"%s\"", "mode", mode),
				 errhint("Feeds are drained by makini.create_drain().")));
	enum_check(mode, "incremental|full", "mode");
}

static void
check_hours(const char *span)
{
	TimestampTz opens;
	TimestampTz closes;

	if (span != NULL)
		(void) schedule_in_hours(span, GetCurrentTimestamp(), &opens, &closes);
}

static void
check_constants(Jsonb *constants)
{
	static const char *const reserved[] = {"_synced_at", "_deleted_at", "_extra"};
	JsonbIterator			*iterator;
	JsonbValue				 value;
	JsonbIteratorToken		 token;
	List					*names = NIL;

	if (!JB_ROOT_IS_OBJECT(constants))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be a JSON object", "constants"),
				 errhint("Write them as in {\"tenant_id\": 17}.")));
	iterator = JsonbIteratorInit(&constants->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		char *name;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(value.val.string.val, value.val.string.len);
		names = lappend(names, name);
		(void) JsonbIteratorNext(&iterator, &value, true);
		if (value.type == jbvNull || value.type == jbvBinary)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("constant \"%s\" must be a text, a number, true or false", name),
					 errdetail("Constants are part of the key of every row.")));
		for (int i = 0; i < (int) lengthof(reserved); i++)
			if (strcmp(name, reserved[i]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_RESERVED_NAME),
						 errmsg("column \"%s\" cannot be a constant", name),
						 errdetail("makini writes this column itself.")));
	}
	define_check_names(names, "constants");
}

void
define_check_arguments(const Definition *definition)
{
	define_check_schedule(definition->schedule);
	check_window(definition->initial_window);
	check_mode(definition->mode);
	enum_check(definition->deletes, "soft|hard|ignore", "deletes");
	check_lookback(definition->lookback);
	define_check_names(definition->columns, "columns");
	define_check_names(definition->key, "key");
	check_constants(definition->constants);
	members_check(definition->options, sync_option_defs, "option", "options");
	check_hours(member_text(definition->options, "backfill_between"));
}

/* ---------------------------------------------------------------------
 * Together with the source
 * ---------------------------------------------------------------------
 */

/* A foreign table of ours that can be read again and again, by this caller. */
static void
check_source(const Definition *definition)
{
	Oid			  relid = definition->source;
	Table		 *table;
	const Entity *entity;

	LockRelationOid(relid, AccessShareLock);
	if (get_rel_name(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 definition->source_name != NULL ?
					 errmsg("source %s of sync " INT64_FORMAT " does not exist any more",
							definition->source_name, definition->sync_id) :
					 errmsg("relation with OID %u does not exist", relid)));
	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a foreign table", get_rel_name(relid)),
				 errhint("Syncs read foreign tables of makini's servers; IMPORT FOREIGN SCHEMA makes them.")));
	table = table_open_options(relid);
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
	table_refuse_read(table);
	entity = table->source->catalogue;
	if (entity != NULL && entity_needs_parameter(entity))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" cannot be synced", get_rel_name(relid)),
				 errdetail("It answers questions about something that each query has to name."),
				 errhint("Query it with conditions on its parameters.")));
}

static void
check_columns_exist(const Definition *definition, List *names, const char *argument)
{
	ListCell *lc;

	foreach(lc, names)
	{
		const char *name = lfirst(lc);
		Nearest		nearest;

		if (get_attnum(definition->source, name) > 0)
			continue;
		nearest_init(&nearest, name);
		for (int i = 0; i < definition->opened->table->natts; i++)
			if (definition->opened->table->columns[i] != NULL)
				nearest_offer(&nearest, get_attname(definition->source, i + 1, false));
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" in \"%s\" does not exist in foreign table \"%s\"", name,
						argument, get_rel_name(definition->source)),
				 nearest_found(&nearest) ?
					 errhint("Perhaps you meant \"%s\".", nearest_found(&nearest)) :
					 0));
	}
}

/* The names, in the foreign table, of what identifies a row at the source. */
static List *
key_of_source(const Table *table)
{
	List	 *names = NIL;
	ListCell *lc;

	foreach(lc, table->source->key)
	{
		const char *remote = ((SourceColumn *) lfirst(lc))->name;
		char	   *found = NULL;

		for (int i = 0; i < table->natts && found == NULL; i++)
		{
			SourceColumn *column = table->columns[i];

			if (column != NULL && !column->display && pg_strcasecmp(column->name, remote) == 0)
				found = get_attname(table->relid, i + 1, false);
		}
		if (found == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("foreign table \"%s\" lacks its key column \"%s\"",
							get_rel_name(table->relid), remote),
					 errhint("Add the column to the foreign table, or name other columns in \"key\".")));
		names = lappend(names, found);
	}
	return names;
}

static void
check_constants_apart(const Definition *definition)
{
	ListCell *lc;

	foreach(lc, definition->opened->selected)
	{
		const char *name = ((SelectedColumn *) lfirst(lc))->name;

		if (member_present(definition->constants, name))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("constant \"%s\" is a column of the source", name),
					 errhint("Leave the column out with \"columns\", or call the constant something else.")));
	}
}

/* The sync as a run would see it, as far as reading goes. */
static SyncSource *
open_source(const Definition *definition, List *columns, List *key)
{
	Sync sync = {0};

	sync.sync_id = definition->sync_id;
	sync.owner = GetUserId();
	sync.source = definition->source;
	sync.source_name = definition->source_name;
	sync.columns = columns;
	sync.key = key;
	sync.filter = definition->filter;
	sync.initial_filter = definition->initial_filter;
	return source_open(&sync);
}

/* What the catalogue says, where people say nothing. */
static void
set_full_every(Definition *definition)
{
	const char *full_every = definition->opened->traits.full_every;

	if (full_every == NULL || member_present(definition->options, "full_every"))
		return;
	definition->options = member_with_text(definition->options, "full_every", full_every);
}

void
define_open_source(Definition *definition)
{
	check_source(definition);
	definition->source_name = relation_full_name(definition->source);

	/* Once for what there is, then for what is wanted of it. */
	definition->opened = open_source(definition, NIL, NIL);
	check_columns_exist(definition, definition->columns, "columns");
	check_columns_exist(definition, definition->key, "key");
	if (definition->key == NIL)
		definition->key = key_of_source(definition->opened->table);
	definition->opened = open_source(definition, definition->columns, definition->key);
	check_constants_apart(definition);
	set_full_every(definition);
}

bool
define_has_cursor(const Definition *definition)
{
	return definition->opened->cursor != NULL || definition->opened->parent != NULL;
}

TimestampTz
define_history(const Definition *definition)
{
	const char *window = definition->initial_window;
	Datum		from;

	if (!define_has_cursor(definition) || strcmp(window, "all") == 0)
		return 0;
	if (strcmp(window, "auto") == 0)
	{
		if (!definition->opened->traits.document)
			return 0;
		window = HISTORY_OF_DOCUMENTS;
	}
	from = DirectFunctionCall2(timestamptz_mi_interval,
							   TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()),
							   IntervalPGetDatum(interval_of_text(window, "initial_window")));
	return DatumGetTimestampTz(from);
}

/* ---------------------------------------------------------------------
 * Together with the target
 * ---------------------------------------------------------------------
 */

/*
 * Two syncs may share a target when no row can be both's: the same constants
 * by name, and one of them with different values.
 */
static const char *const other_syncs_statement =
	"SELECT s.sync_id, CASE WHEN ARRAY(SELECT jsonb_object_keys(s.constants) ORDER BY 1)"
	" = ARRAY(SELECT jsonb_object_keys($4) ORDER BY 1) THEN s.constants::text END"
	" FROM makini._sync s"
	" WHERE CASE WHEN s.home = makini._home() THEN s.target_oid = $1 ELSE s.target = $2 END"
	" AND s.sync_id <> $3 ORDER BY 1";

static Datum
number_of(const TargetConstant *constant)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(constant->text),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* Are the texts different values?  To a number 017 is 17. */
static bool
is_apart(const Definition *definition, const TargetConstant *one, const TargetConstant *other)
{
	AttrNumber		attnum = get_attnum(definition->target_oid, one->name);
	TypeCacheEntry *type;
	Oid				typid, collation, input, ioparam;
	int32			typmod;

	if (strcmp(one->text, other->text) == 0)
		return false;
	if (one->kind == jbvNumeric && other->kind == jbvNumeric &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, number_of(one), number_of(other))))
		return false;
	if (!OidIsValid(definition->target_oid) || attnum == InvalidAttrNumber)
		return true;
	get_atttypetypmodcoll(definition->target_oid, attnum, &typid, &typmod, &collation);
	typid = getBaseTypeAndTypmod(typid, &typmod);
	type = lookup_type_cache(typid, TYPECACHE_EQ_OPR_FINFO);
	if (!OidIsValid(type->eq_opr_finfo.fn_oid))
		return true;
	getTypeInputInfo(typid, &input, &ioparam);
	return !DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, collation,
										   OidInputFunctionCall(input, one->text, ioparam, typmod),
										   OidInputFunctionCall(input, other->text, ioparam, typmod)));
}

static bool
are_apart(const Definition *definition, const char *constants)
{
	char *ours =
		JsonbToCString(NULL, &definition->constants->root, VARSIZE_ANY_EXHDR(definition->constants));
	ListCell *a;
	ListCell *b;

	/* Members of a jsonb are in an order of their own. */
	forboth(a, target_constants(constants), b, target_constants(ours))
		if (is_apart(definition, lfirst(a), lfirst(b)))
			return true;
	return false;
}

typedef struct OtherSync
{
	int64 sync_id;
	char *constants; /* NULL: they have other names */
} OtherSync;

static List *
other_syncs(const Definition *definition)
{
	MemoryContext caller = CurrentMemoryContext;
	MakiniRights  saved;
	Oid			  types[4] = {OIDOID, TEXTOID, INT8OID, JSONBOID};
	Datum		  values[4];
	List		 *others = NIL;

	values[0] = ObjectIdGetDatum(definition->target_oid);
	values[1] = CStringGetTextDatum(definition->target_name);
	values[2] = Int64GetDatum(definition->sync_id);
	values[3] = JsonbPGetDatum(definition->constants);
	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query(other_syncs_statement, 4, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		OtherSync	 *other = palloc(sizeof(OtherSync));

		other->sync_id = private_int64(i, 1, 0);
		other->constants = private_text(i, 2);
		others = lappend(others, other);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return others;
}

static void
check_alone(const Definition *definition)
{
	ListCell *lc;

	foreach(lc, other_syncs(definition))
	{
		const OtherSync *other = lfirst(lc);

		if (other->constants != NULL && are_apart(definition, other->constants))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("target %s is written by sync " INT64_FORMAT " already",
						definition->target_name, other->sync_id),
				 errdetail("Each would take the other's rows for its own."),
				 errhint("Give each of them \"constants\" of the same names with different values, or another target.")));
	}
}

void
define_prepare_target(Definition *definition)
{
	char *constants =
		JsonbToCString(NULL, &definition->constants->root, VARSIZE_ANY_EXHDR(definition->constants));
	bool created;

	definition->target_name = define_target_name(definition->target);
	definition->target_oid = RangeVarGetRelid(makeRangeVarFromNameList(textToQualifiedNameList(
												  cstring_to_text(definition->target_name))),
											  NoLock, true);
	check_alone(definition);
	definition->target_oid = target_prepare(definition->target_name, definition->opened->table,
											definition->opened->selected, definition->key, constants,
											deletes_of_text(definition->deletes), &created);

	/* Once more, against a session that does the same at this moment. */
	LockRelationOid(definition->target_oid, ShareUpdateExclusiveLock);
	check_alone(definition);
}
