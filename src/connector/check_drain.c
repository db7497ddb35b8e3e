/*-------------------------------------------------------------------------
 *
 * check_drain.c
 *		makini.check_drain(): what to know before a feed is drained.
 *
 * Draining takes rows away at the other side, so that what can be found out
 * without it is said first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "connector/connector.h"
#include "connector/option.h"

PG_FUNCTION_INFO_V1(makini_check_drain);

static void
put_item(ReturnSetInfo *result, const char *item, const char *status, const char *detail,
		 const char *hint)
{
	Datum values[4] = {0};
	bool  nulls[4] = {false, false, detail == NULL, hint == NULL};

	values[0] = CStringGetTextDatum(item);
	values[1] = CStringGetTextDatum(status);
	if (detail != NULL)
		values[2] = CStringGetTextDatum(detail);
	if (hint != NULL)
		values[3] = CStringGetTextDatum(hint);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * feed_of_table
 *		The feed behind a foreign table; raises where it is none.
 */
const Entity *
feed_of_table(Oid relid, const Connector **connector)
{
	ForeignTable *table;
	const Entity *entity;
	const char	 *name;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a foreign table", get_rel_name(relid))));
	table = GetForeignTable(relid);
	*connector = connector_of_server(table->serverid);
	name = option_text(table->options, "entity");
	entity = connector_find_entity(*connector, name != NULL ? name : get_rel_name(relid));
	if (entity == NULL || entity->access != ENTITY_FEED || (*connector)->check_drain == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("foreign table \"%s\" is not a feed", get_rel_name(relid)),
				 errdetail("Only tables that hand their rows out once are drained."),
				 errhint("Use makini.create_sync() for tables that can be read at any time.")));
	if (entity->parent != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("foreign table \"%s\" is drained with the feed it is part of",
						get_rel_name(relid)),
				 errhint("Use a foreign table of \"%s\".", entity->parent)));
	return entity;
}

static void
put_ownership(ReturnSetInfo *result, Oid relid)
{
	if (makini_owns_relation(relid))
		put_item(result, "ownership", "ok", "the foreign table is yours", NULL);
	else
		put_item(result, "ownership", "failed", "the foreign table is not yours",
				 "Only its owner may drain it: what is drained is gone for everybody.");
}

/*
 * makini_check_drain
 *		makini.check_drain(source)
 */
Datum
makini_check_drain(PG_FUNCTION_ARGS)
{
	Oid				 relid = PG_GETARG_OID(0);
	ReturnSetInfo	*result = (ReturnSetInfo *) fcinfo->resultinfo;
	const Connector *connector;
	const Entity	*entity = feed_of_table(relid, &connector);
	Oid				 serverid = GetForeignTable(relid)->serverid;
	Connection		*conn;
	ListCell		*lc;

	server_for_use(GetForeignServer(serverid)->servername);
	InitMaterializedSRF(fcinfo, 0);
	put_ownership(result, relid);
	conn = connection_open(serverid, GetUserId(), REMOTE_USE_PROBE);
	foreach(lc, connector->check_drain(conn, entity))
	{
		ProbeStep *step = lfirst(lc);

		put_item(result, step->step, step->status, step->detail, step->hint);
	}
	return (Datum) 0;
}
