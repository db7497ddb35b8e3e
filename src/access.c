/*-------------------------------------------------------------------------
 *
 * access.c
 *		makini.grant_access and makini.revoke_access: a level of access as a
 *		set of plain GRANTs.
 *
 * What belongs to which level is data, in the table makini._access.  The
 * GRANTs run with the caller's own rights, so nobody gives away more than is
 * his, and psql and pg_dump show them like any others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "compat.h"
#include "connection_store.h"
#include "makini.h"

PG_FUNCTION_INFO_V1(makini_grant_access);
PG_FUNCTION_INFO_V1(makini_revoke_access);

static const char *const levels[] = {"reader", "operator", "admin"};

static int
level_number(const char *name)
{
	for (int i = 0; i < (int) lengthof(levels); i++)
		if (strcmp(levels[i], name) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is not a level of access", name),
			 errhint("Levels are reader, operator and admin.")));
	return -1;
}

/* Objects of levels first..last as one list of "kind object", in the caller's context. */
static List *
objects_of_levels(int first, int last)
{
	MemoryContext context = CurrentMemoryContext;
	MakiniRights  saved;
	List		 *objects = NIL;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute("SELECT level, kind, object FROM makini._access ORDER BY kind, object", true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	  row = SPI_tuptable->vals[i];
		int			  level = level_number(SPI_getvalue(row, SPI_tuptable->tupdesc, 1));
		MemoryContext old;

		if (level < first || level > last)
			continue;
		old = MemoryContextSwitchTo(context);
		objects = lappend(objects,
						  psprintf("%s %s", SPI_getvalue(row, SPI_tuptable->tupdesc, 2),
								   SPI_getvalue(row, SPI_tuptable->tupdesc, 3)));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return objects;
}

/*
 * PostgreSQL answers a GRANT without grant option with a warning only; here
 * it is an error, because half of a level is none.
 */
static void
check_grantable(const char *object)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	const char *name = strchr(object, ' ') + 1;
	bool		isnull = true;
	bool		may;
	const char *query = strncmp(object, "table ", 6) == 0 ?
		"SELECT pg_catalog.has_table_privilege($1, 'SELECT WITH GRANT OPTION')" :
		"SELECT pg_catalog.has_function_privilege($1, 'EXECUTE WITH GRANT OPTION')";

	values[0] = CStringGetTextDatum(name);
	SPI_execute_with_args(query, 1, types, values, NULL, true, 1);
	may = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (isnull || !may)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for %s", object),
				 errhint("Only a superuser, or who was granted this WITH GRANT OPTION, can pass it on.")));
}

static void
run(const char *statement)
{
	if (SPI_execute(statement, false, 0) != SPI_OK_UTILITY)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not change access rights")));
}

/* GRANT or REVOKE the objects of levels first..last. */
static void
change_levels(bool grant, const char *role, int first, int last)
{
	ListCell *cell;

	foreach(cell, objects_of_levels(first, last))
	{
		const char *object = lfirst(cell);
		const char *privilege = strncmp(object, "table ", 6) == 0 ? "SELECT" : "EXECUTE";

		check_grantable(object);
		run(psprintf("%s %s ON %s %s %s", grant ? "GRANT" : "REVOKE", privilege, object,
					 grant ? "TO" : "FROM", role));
	}
}

static void
change_server(bool grant, const char *role, const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);

	(void) connection_id(server->serverid);
	if (makini_server_aclcheck(server->serverid, GetUserId(), ACL_GRANT_OPTION_FOR(ACL_USAGE)) !=
		ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, server->servername);
	run(psprintf("%s USAGE ON FOREIGN SERVER %s %s %s", grant ? "GRANT" : "REVOKE",
				 quote_identifier(server->servername), grant ? "TO" : "FROM", role));
}

static void
change_access(FunctionCallInfo fcinfo, bool grant)
{
	const char *server;
	const char *role;
	int			level;
	int			guc_level;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("role and level must not be null")));
	(void) get_role_oid(NameStr(*PG_GETARG_NAME(0)), false);
	role = quote_identifier(NameStr(*PG_GETARG_NAME(0)));
	level = level_number(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	server = PG_ARGISNULL(2) ? NULL : NameStr(*PG_GETARG_NAME(2));

	guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	if (grant)
		change_levels(true, role, 0, level);
	else if (server == NULL)
		change_levels(false, role, level, lengthof(levels) - 1);
	if (server != NULL)
		change_server(grant, role, server);
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
}

Datum
makini_grant_access(PG_FUNCTION_ARGS)
{
	change_access(fcinfo, true);
	PG_RETURN_VOID();
}

Datum
makini_revoke_access(PG_FUNCTION_ARGS)
{
	change_access(fcinfo, false);
	PG_RETURN_VOID();
}
