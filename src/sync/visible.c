/*-------------------------------------------------------------------------
 *
 * visible.c
 *		Who may see a sync and what belongs to it: its owner, members of that,
 *		and whoever may use its server.
 *
 * Levels of access (access.sql) decide who may ask at all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/uuid.h"

#include "makini.h"
#include "private.h"
#include "remote/visible.h"
#include "sync/define.h"

PG_FUNCTION_INFO_V1(makini_visible);

bool
sync_is_visible(Oid owner, Oid serverid)
{
	return has_privs_of_role(GetUserId(), owner) ||
		(OidIsValid(serverid) && server_is_visible(serverid));
}

/* The server of a connection, or InvalidOid. */
static Oid
server_of_connection(const pg_uuid_t *connection)
{
	MakiniRights saved;
	Oid			 types[1] = {UUIDOID};
	Datum		 values[1] = {UUIDPGetDatum(connection)};
	Oid			 serverid = InvalidOid;
	bool		 isnull;

	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT server_oid FROM makini._server WHERE connection_id = $1", 1, types,
						 values, NULL);
	if (SPI_processed > 0)
		serverid =
			DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	makini_rights_restore(&saved);
	return serverid;
}

void
sync_check_visible(const Sync *sync)
{
	if (sync_is_visible(sync->owner, server_of_connection(&sync->connection)))
		return;
	sync_raise_unknown(sync->sync_id);
}

/*
 * makini_visible
 *		makini._visible(owner_oid, server_oid): may the caller see what belongs to
 *		them?  NULL stands for one that is gone.
 */
Datum
makini_visible(PG_FUNCTION_ARGS)
{
	Oid owner = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Oid serverid = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);

	PG_RETURN_BOOL(sync_is_visible(owner, serverid));
}
