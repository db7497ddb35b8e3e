/*-------------------------------------------------------------------------
 *
 * create_drain.c
 *		makini.create_drain: the tables that a feed is drained into, and the row
 *		that says so.
 *
 * A drain takes rows away for everybody, so that it is the foreign table's
 * owner's to make, begins disabled, and wants to be told where rows could get
 * lost on the way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/schemacmds.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "argument.h"
#include "compat.h"
#include "connector/common_options.h"
#include "imported.h"
#include "makini.h"
#include "private.h"
#include "sync/define.h"
#include "sync/drain.h"
#include "sync/json_member.h"
#include "sync/target.h"

PG_FUNCTION_INFO_V1(makini_create_drain);

static const MemberDef drain_option_defs[] = {
	{"accept_loss", MEMBER_BOOL},
	{"max_staleness", MEMBER_INTERVAL, .nullable = true},
	{"reject_limit", MEMBER_NUMBER, .min = 0, .max = 1},
	{NULL},
};

/* What is being created. */
typedef struct NewDrain
{
	Definition		 definition;
	Table			*table;
	const Connector *connector;
	const Entity	*entity;
	const char		*schema;
	List			*entities; /* of const Entity * */
	List			*relids;   /* of the tables, in the same order */
} NewDrain;

/* ---------------------------------------------------------------------
 * What has to be so
 * ---------------------------------------------------------------------
 */

static void
check_rights(Oid source, Oid serverid)
{
	AclResult result = makini_server_aclcheck(serverid, GetUserId(), ACL_USAGE);

	if (!makini_owns_relation(source))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of foreign table %s", get_rel_name(source)),
				 errdetail("Draining takes away what a feed hands out for everybody.")));
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER, GetForeignServer(serverid)->servername);
}

static void
check_loss(const NewDrain *drain)
{
	Connection *outline = connection_outline(drain->table->serverid);

	if (drain->connector->feed_redelivers(outline, drain->entity) ||
		member_bool(drain->definition.options, "accept_loss", false))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rows of feed \"%s\" that a broken connection loses are lost", drain->entity->name),
			 errdetail("The feed hands each row out once, whether it arrives or not."),
			 errhint("makini.check_drain(%s) says what would change that. To drain it all the same, add options => '{\"accept_loss\": true}'.",
					 quote_literal_cstr(drain->definition.source_name))));
}

static bool
same_account(Oid one, Oid other)
{
	const char *url = option_url(GetForeignServer(one)->options, "base_url");
	const char *other_url = option_url(GetForeignServer(other)->options, "base_url");

	return one == other || (url != NULL && other_url != NULL && strcmp(url, other_url) == 0);
}

/* Feeds with one flag take rows from one another. */
static void
check_flag(const NewDrain *drain, int64 sync_id, const char *source, Oid serverid, const char *name)
{
	const Entity *entity;

	if (connector_of_server(serverid) != drain->connector ||
		!same_account(drain->table->serverid, serverid))
		return;
	entity = connector_find_entity(drain->connector, name);
	if (entity == NULL ||
		strcmp(drain->connector->feed_flag(entity), drain->connector->feed_flag(drain->entity)) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("drain " INT64_FORMAT " of %s takes the same rows", sync_id, source),
			 errdetail("The remote side marks a row as handed out for whoever asks first; each of the two would miss what the other got."),
			 errhint("Drain one of the two, or drop the other with SELECT makini.drop_sync(" INT64_FORMAT
					 ").",
					 sync_id)));
}

static void
check_flags(const NewDrain *drain)
{
	MakiniRights saved;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute("LOCK TABLE makini._drain_target IN SHARE ROW EXCLUSIVE MODE", false, 0);
	SPI_execute("SELECT s.sync_id, s.source, v.server_oid, t.entity FROM makini._sync s"
				" JOIN makini._drain_target t ON t.sync_id = s.sync_id AND t.target_oid = s.target_oid"
				" JOIN makini._server v ON v.connection_id = s.connection_id"
				" WHERE s.home = makini._home()",
				false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		bool	  isnull;

		check_flag(drain, DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull)),
				   SPI_getvalue(tuple, desc, 2),
				   DatumGetObjectId(SPI_getbinval(tuple, desc, 3, &isnull)),
				   SPI_getvalue(tuple, desc, 4));
	}
	SPI_finish();
	makini_rights_restore(&saved);
}

/* ---------------------------------------------------------------------
 * Tables
 * ---------------------------------------------------------------------
 */

/* The columns of the foreign table itself. */
static void
append_own_columns(StringInfo sql, const Table *table)
{
	Relation  rel = table_open(table->relid, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (!attr->attisdropped)
			appendStringInfo(sql, "%s %s, ", quote_identifier(NameStr(attr->attname)),
							 format_type_extended(attr->atttypid, attr->atttypmod,
												  FORMAT_TYPE_TYPEMOD_GIVEN |
													  FORMAT_TYPE_FORCE_QUALIFY));
	}
	table_close(rel, NoLock);
}

/* Children have no foreign table of their own to go by: as an import would make it. */
static void
append_child_columns(StringInfo sql, const NewDrain *drain, const Entity *entity)
{
	ImportRequest request = {.entities = list_make1(unconstify(Entity *, entity))};
	List *found = drain->connector->discover(connection_outline(drain->table->serverid), &request);
	ListCell *lc;

	foreach(lc, ((DiscoveredTable *) linitial(found))->columns)
	{
		DiscoveredColumn *column = lfirst(lc);

		appendStringInfo(sql, "%s %s, ", quote_identifier(imported_name(column)),
						 imported_type(column));
	}
}

static void
execute(const char *statement)
{
	SPI_connect();
	SPI_execute(statement, false, 0);
	SPI_finish();
}

static void
make_table(const NewDrain *drain, const Entity *entity, const char *name)
{
	StringInfoData sql;
	bool		   child = entity != drain->entity;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", name);
	if (child)
		append_child_columns(&sql, drain, entity);
	else
		append_own_columns(&sql, drain->table);
	appendStringInfo(&sql,
					 "_row_id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, %s"
					 "_received_at pg_catalog.timestamptz NOT NULL, _run_id pg_catalog.int8, "
					 "_ack pg_catalog.text CHECK (_ack IN ('owed', 'done', 'refused', 'manual', 'never')), "
					 "_duplicate_of pg_catalog.int8, _raw pg_catalog.jsonb)",
					 child ? "_parent_row_id pg_catalog.int8, " : "");
	execute(sql.data);
	if (child)
		execute(psprintf("CREATE INDEX ON %s (_parent_row_id)", name));
}

/* Something else writes to the table. */
static void
check_unused(Oid relid, const char *name)
{
	Oid	  types[1] = {OIDOID};
	Datum values[1] = {ObjectIdGetDatum(relid)};
	int64 other =
		private_number("SELECT sync_id FROM makini._sync WHERE target_oid = $1 AND home = makini._home()"
					   " UNION SELECT t.sync_id FROM makini._drain_target t JOIN makini._sync s USING (sync_id)"
					   " WHERE t.target_oid = $1 AND s.home = makini._home() LIMIT 1",
					   lengthof(types), types, values, NULL, 0);

	if (other != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("sync " INT64_FORMAT " writes to %s already", other, name),
				 errhint("Drain into another schema.")));
}

static void
prepare_table(NewDrain *drain, const Entity *entity)
{
	bool	 child = entity != drain->entity;
	char	*name = child ? asc_tolower(entity->name, strlen(entity->name)) :
							get_rel_name(drain->definition.source);
	char	*full_name = quote_qualified_identifier(drain->schema, name);
	Oid		 schema = get_namespace_oid(drain->schema, false);
	Oid		 relid = get_relname_relid(name, schema);
	Relation rel;

	if (!OidIsValid(relid))
	{
		make_table(drain, entity, full_name);
		relid = get_relname_relid(name, schema);
	}
	rel = relation_open(relid, AccessShareLock);
	drain_check_target(rel, child, GetUserId());
	relation_close(rel, NoLock);
	check_unused(relid, full_name);
	drain->relids = lappend_oid(drain->relids, relid);
	if (!child)
	{
		drain->definition.target_name = full_name;
		drain->definition.target_oid = relid;
	}
}

static void
prepare_tables(NewDrain *drain)
{
	ListCell *lc;

	if (!OidIsValid(get_namespace_oid(drain->schema, true)))
		execute(psprintf("CREATE SCHEMA %s", quote_identifier(drain->schema)));
	drain->entities = drain_entities(drain->connector, drain->entity);
	foreach(lc, drain->entities)
		prepare_table(drain, lfirst(lc));
}

/* ---------------------------------------------------------------------
 * The row
 * ---------------------------------------------------------------------
 */

static void
store_targets(const NewDrain *drain, int64 sync_id)
{
	ListCell *lc;
	ListCell *lc2;

	forboth(lc, drain->entities, lc2, drain->relids)
	{
		const Entity *entity = lfirst(lc);
		Oid			  relid = lfirst_oid(lc2);
		Oid			  types[] = {INT8OID, TEXTOID, OIDOID, TEXTOID};
		Datum		  values[lengthof(types)];

		values[0] = Int64GetDatum(sync_id);
		values[1] = CStringGetTextDatum(entity->name);
		values[2] = ObjectIdGetDatum(relid);
		values[3] =
			CStringGetTextDatum(quote_qualified_identifier(drain->schema, get_rel_name(relid)));
		private_execute("INSERT INTO makini._drain_target (sync_id, entity, target_oid, target)"
						" VALUES ($1, $2, $3, $4)",
						lengthof(types), types, values, NULL);
	}
}

/* The columns that an acknowledgement names, as they are called here. */
static List *
key_names(const NewDrain *drain)
{
	const char *names = drain->connector->acknowledge_key(drain->entity);
	List	   *list = NIL;

	while (names != NULL)
	{
		size_t len = strcspn(names, ",");

		list = lappend(list, asc_tolower(names, len));
		names = names[len] == ',' ? names + len + 1 : NULL;
	}
	return list;
}

static Jsonb *
stored_options(Jsonb *options, const char *acknowledge, const char *refuse)
{
	char *more = psprintf("{\"start\": false, \"acknowledge\": \"%s\", \"refuse\": \"%s\"}",
						  acknowledge, refuse);

	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(options),
											  DirectFunctionCall1(jsonb_in, CStringGetDatum(more))));
}

/* ---------------------------------------------------------------------
 * The function
 * ---------------------------------------------------------------------
 */

static char *
word_argument(FunctionCallInfo fcinfo, int place, const char *argument, const char *words)
{
	char *word = argument_text(fcinfo, place, argument);

	enum_check(word, words, argument);
	return word;
}

static void
open_source(NewDrain *drain, Oid source)
{
	drain->entity = feed_of_table(source, &drain->connector);
	check_rights(source, GetForeignTable(source)->serverid);
	relation_close(relation_open(source, AccessShareLock), NoLock);
	drain->table = table_open_options(source);
	drain->definition.source = source;
	drain->definition.source_name =
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(source)), get_rel_name(source));
}

static int64
store(NewDrain *drain)
{
	Definition *definition = &drain->definition;
	SyncSource	opened = {.table = drain->table};
	int64		sync_id;

	definition->mode = "drain";
	definition->deletes = "ignore";
	definition->lookback = palloc0(sizeof(Interval));
	definition->key = key_names(drain);
	definition->constants = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	definition->opened = &opened;
	sync_id = definition_insert(definition);
	store_targets(drain, sync_id);
	return sync_id;
}

/*
 * makini_create_drain
 *		makini.create_drain(source, target_schema, schedule, acknowledge, refuse,
 *		options)
 */
Datum
makini_create_drain(PG_FUNCTION_ARGS)
{
	NewDrain drain = {0};
	char	*acknowledge = word_argument(fcinfo, 3, "acknowledge", "landed|manual|never");
	char	*refuse = word_argument(fcinfo, 4, "refuse", "never|rejected");

	argument_refuse_null(fcinfo, 0, "source");
	argument_refuse_null(fcinfo, 1, "target_schema");
	argument_refuse_null(fcinfo, 5, "options");
	drain.schema = NameStr(*PG_GETARG_NAME(1));
	drain.definition.schedule = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	drain.definition.options = PG_GETARG_JSONB_P(5);
	define_check_schedule(drain.definition.schedule);
	members_check(drain.definition.options, drain_option_defs, "option", "options");
	open_source(&drain, PG_GETARG_OID(0));
	check_loss(&drain);
	check_flags(&drain);
	prepare_tables(&drain);
	drain.definition.options = stored_options(drain.definition.options, acknowledge, refuse);
	PG_RETURN_INT64(store(&drain));
}
