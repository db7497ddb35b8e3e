/*-------------------------------------------------------------------------
 *
 * drain_target.c
 *		A drain as it stands, and the tables that it fills.
 *
 * Everything that could be wrong with them is found here, before a feed is
 * asked: what it hands out has to go somewhere.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "connector/decode.h"
#include "makini.h"
#include "private.h"
#include "sync/drain.h"
#include "sync/schema_change.h"
#include "sync/target.h"

/* A column that makini adds to the rows. */
typedef struct MarkColumn
{
	const char *name;
	Oid			type;
	bool		child; /* only in tables of children */
} MarkColumn;

static const MarkColumn marks[] = {
	{"_row_id", INT8OID, false},
	{"_parent_row_id", INT8OID, true},
	{"_received_at", TIMESTAMPTZOID, false},
	{"_run_id", INT8OID, false},
	{"_ack", TEXTOID, false},
	{"_duplicate_of", INT8OID, false},
	{"_raw", JSONBOID, false},
};

/* ---------------------------------------------------------------------
 * Entities
 * ---------------------------------------------------------------------
 */

List *
drain_entities(const Connector *connector, const Entity *entity)
{
	int			  n;
	const Entity *entities = connector->entities(&n);
	List		 *list = list_make1(unconstify(Entity *, entity));

	for (int i = 0; i < n; i++)
	{
		if (entities[i].parent != NULL && strcmp(entities[i].parent, entity->name) == 0)
			list = lappend(list, unconstify(Entity *, &entities[i]));
	}
	return list;
}

char *
drain_column_name(const Table *source, const EntityColumn *column)
{
	if (source == NULL)
		return asc_tolower(column->name, strlen(column->name));
	for (int i = 0; i < source->natts; i++)
	{
		if (source->columns[i] != NULL && !source->columns[i]->display &&
			pg_strcasecmp(source->columns[i]->name, column->name) == 0)
			return get_attname(source->relid, i + 1, false);
	}
	return NULL;
}

/* ---------------------------------------------------------------------
 * Tables
 * ---------------------------------------------------------------------
 */

static void
check_mark(Relation rel, const MarkColumn *mark)
{
	Form_pg_attribute attr = target_attribute(rel, mark->name);

	if (attr != NULL && getBaseType(attr->atttypid) == mark->type)
		return;
	ereport(ERROR,
			(errcode(attr == NULL ? ERRCODE_UNDEFINED_COLUMN : ERRCODE_DATATYPE_MISMATCH),
			 errmsg("target %s needs a column \"%s\" of type %s", target_qualified_name(rel),
					mark->name, format_type_be(mark->type)),
			 errhint("ALTER TABLE %s %s COLUMN %s%s %s%s;", target_qualified_name(rel),
					 attr == NULL ? "ADD" : "ALTER", mark->name, attr == NULL ? "" : " TYPE",
					 format_type_be(mark->type),
					 attr == NULL && strcmp(mark->name, "_row_id") == 0 ?
						 " GENERATED ALWAYS AS IDENTITY PRIMARY KEY" :
						 "")));
}

/* Row ids are taken before rows are written, so there must be something to take them from. */
static void
check_sequence(Relation rel)
{
	Datum name = CStringGetTextDatum(target_qualified_name(rel));
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo function;

	fmgr_info(F_PG_GET_SERIAL_SEQUENCE, &function);
	InitFunctionCallInfoData(*fcinfo, &function, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = name;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = CStringGetTextDatum("_row_id");
	fcinfo->args[1].isnull = false;
	(void) FunctionCallInvoke(fcinfo);
	if (fcinfo->isnull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"_row_id\" of target %s has no sequence", target_qualified_name(rel)),
				 errhint("ALTER TABLE %s ALTER COLUMN _row_id ADD GENERATED ALWAYS AS IDENTITY;",
						 target_qualified_name(rel))));
}

void
drain_check_target(Relation rel, bool child, Oid role)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("target %s is not a table", target_qualified_name(rel))));
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("target %s does not survive a crash", target_qualified_name(rel)),
				 errdetail("It is unlogged or temporary, and what a feed has handed out it does not hand out again."),
				 errhint("ALTER TABLE %s SET LOGGED;", target_qualified_name(rel))));
	target_refuse_rules(rel);
	target_check_rights(rel, role);
	for (int i = 0; i < lengthof(marks); i++)
	{
		if (child || !marks[i].child)
			check_mark(rel, &marks[i]);
	}
	check_sequence(rel);
}

/* The base type that values of a column are made as; the rest is left to assignment. */
static Oid
value_type(Relation rel, Form_pg_attribute attr)
{
	Oid type = getBaseType(attr->atttypid);

	if (OidIsValid(get_element_type(type)) || !OidIsValid(get_array_type(type)) || type_runs_code(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of target %s is of type %s", NameStr(attr->attname),
						target_qualified_name(rel), format_type_be(attr->atttypid)),
				 errdetail("Rows of a feed can't be landed in such a column.")));
	return type;
}

static void
open_columns(DrainTarget *target, Relation rel, const Table *source, Connection *conn)
{
	int			  n = target->entity->ncolumns;
	DecodeColumn *decode = palloc0(sizeof(DecodeColumn) * n);

	target->columns = palloc0(sizeof(char *) * n);
	target->types = palloc(sizeof(Oid) * n);
	for (int i = 0; i < n; i++)
	{
		char			 *name = drain_column_name(source, &target->entity->columns[i]);
		Form_pg_attribute attr = name != NULL ? target_attribute(rel, name) : NULL;
		bool			  written = attr != NULL && attr->attgenerated == '\0';

		target->types[i] = written ? value_type(rel, attr) : TEXTOID;
		target->columns[i] = written ? name : NULL;
		decode[i] = (DecodeColumn){
			.slot = i,
			.type = target->types[i],
			.typmod = -1,
			.relation = target->entity->name,
			.column = target->entity->columns[i].name,
		};
	}
	target->decoder = decoder_create(conn, n, decode, n);
}

static Relation
take_relation(const DrainTarget *target, LOCKMODE lock)
{
	Relation rel = try_relation_open(target->relid, lock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table that \"%s\" is drained into does not exist", target->entity->name),
				 errhint("Create the drain anew: makini.drop_sync(" INT64_FORMAT
						 "), then makini.create_drain().",
						 target->sync_id)));
	return rel;
}

/*
 * drain_target_hold
 *		See drain.h.
 */
void
drain_target_hold(DrainTarget *target)
{
	Relation rel = take_relation(target, RowExclusiveLock);
	char	*name = target_qualified_name(rel);

	target_check_rights(rel, target->role);
	target->owner = rel->rd_rel->relowner;
	if (strcmp(name, target->name) != 0)
		target->name = MemoryContextStrdup(GetMemoryChunkContext(target->name), name);
	relation_close(rel, NoLock);
}

static void
open_target(DrainTarget *target, const Table *source, const Drain *drain)
{
	Relation rel = take_relation(target, AccessShareLock);

	target->owner = rel->rd_rel->relowner;
	target->role = drain->sync->owner;
	target->name = target_qualified_name(rel);
	drain_check_target(rel, target->child, drain->sync->owner);
	open_columns(target, rel, target->child ? NULL : source, drain->conn);
	relation_close(rel, NoLock);
}

/* ---------------------------------------------------------------------
 * The drain
 * ---------------------------------------------------------------------
 */

static Oid
find_target(const Entity *entity)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3);
		bool  isnull;

		if (name != NULL && strcmp(name, entity->name) == 0)
			return DatumGetObjectId(
				SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4, &isnull));
	}
	return InvalidOid;
}

List *
drain_target_ids(int64 sync_id)
{
	Oid	  types[1] = {INT8OID};
	Datum values[1] = {Int64GetDatum(sync_id)};

	return private_oids("SELECT t.target_oid FROM makini._drain_target t"
						" JOIN makini._sync s ON s.sync_id = t.sync_id"
						" WHERE t.sync_id = $1 ORDER BY t.target_oid <> s.target_oid, t.entity",
						lengthof(types), types, values);
}

static AckMode
ack_mode(const char *text)
{
	if (text != NULL && strcmp(text, "manual") == 0)
		return ACK_MANUAL;
	return text != NULL && strcmp(text, "never") == 0 ? ACK_NEVER : ACK_LANDED;
}

/* What the tables say: how it acknowledges, and where it lands. */
static void
read_row(Drain *drain)
{
	MakiniRights saved;
	Oid			 types[1] = {INT8OID};
	Datum		 values[1] = {Int64GetDatum(drain->sync->sync_id)};
	char		*refuse;

	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT s.options->>'acknowledge', s.options->>'refuse', t.entity, t.target_oid"
						 " FROM makini._sync s LEFT JOIN makini._drain_target t ON t.sync_id = s.sync_id"
						 " WHERE s.sync_id = $1",
						 1, types, values, NULL);
	if (SPI_processed > 0)
	{
		drain->mode = ack_mode(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
		refuse = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
		drain->refuse_rejected = refuse != NULL && strcmp(refuse, "rejected") == 0;
	}
	for (int i = 0; i < drain->ntargets; i++)
	{
		drain->targets[i].sync_id = drain->sync->sync_id;
		drain->targets[i].relid = find_target(drain->targets[i].entity);
	}
	SPI_finish();
	makini_rights_restore(&saved);
}

/* Which columns an acknowledgement names. */
static void
find_keys(Drain *drain)
{
	const char *names = drain->conn->connector->acknowledge_key(drain->entity);

	drain->keys = palloc(sizeof(int) * drain->entity->ncolumns);
	while (names != NULL)
	{
		size_t len = strcspn(names, ",");

		for (int i = 0; i < drain->entity->ncolumns; i++)
		{
			const char *name = drain->entity->columns[i].name;

			if (strlen(name) == len && strncmp(name, names, len) == 0)
				drain->keys[drain->nkeys++] = i;
		}
		names = names[len] == ',' ? names + len + 1 : NULL;
	}
	if (drain->nkeys == 0)
		drain->mode = ACK_NEVER;
}

static void
check_source(const Sync *sync)
{
	Oid owner = relation_owner(sync->source);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("foreign table %s does not exist", sync->source_name)));
	if (!has_privs_of_role(sync->owner, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of foreign table %s", sync->source_name),
				 errdetail("Draining takes away what a feed hands out for everybody.")));
	LockRelationOid(sync->source, AccessShareLock);
}

Drain *
drain_open(Run *run)
{
	Drain			*drain = palloc0(sizeof(Drain));
	const Connector *connector;
	Table			*source;
	List			*entities;
	ListCell		*lc;

	drain->run = run;
	drain->sync = run->sync;
	drain->conn = run->conn;
	check_source(run->sync);
	drain->entity = feed_of_table(run->sync->source, &connector);
	drain->redelivers = connector->feed_redelivers(run->conn, drain->entity);
	source = table_open_options(run->sync->source);
	entities = drain_entities(connector, drain->entity);
	drain->targets = palloc0(sizeof(DrainTarget) * list_length(entities));
	foreach(lc, entities)
	{
		drain->targets[drain->ntargets].entity = lfirst(lc);
		drain->targets[drain->ntargets].child = drain->ntargets > 0;
		drain->ntargets++;
	}
	read_row(drain);
	find_keys(drain);
	for (int i = 0; i < drain->ntargets; i++)
		open_target(&drain->targets[i], source, drain);
	return drain;
}
