/*-------------------------------------------------------------------------
 *
 * instance.c
 *		Which installation of makini speaks: an id that receivers see.
 *
 * As with connections, it is computed as long as nobody has been told it, so
 * that reading needs no row, and stored by the first who tells it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/uuid.h"

#include "event/event.h"
#include "makini.h"
#include "private.h"

PG_FUNCTION_INFO_V1(makini_instance_id);

static pg_uuid_t
run_for_id(const char *statement, bool read_only)
{
	MakiniRights saved;
	pg_uuid_t	 id;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (SPI_execute(statement, read_only, 1) < 0 || SPI_processed != 1 || !private_uuid(0, 1, &id))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read the id of this installation")));
	SPI_finish();
	makini_rights_restore(&saved);
	return id;
}

/* No server has the OID 0, so no connection has this computed id. */
pg_uuid_t
instance_id(void)
{
	return run_for_id("SELECT coalesce((SELECT instance_id FROM makini._instance),"
					  " makini._computed_connection_id(0))",
					  true);
}

/*
 * instance_store
 *		The same, and keep it from now on.
 */
pg_uuid_t
instance_store(void)
{
	return run_for_id("WITH stored AS (INSERT INTO makini._instance (instance_id, home)"
					  " SELECT makini._computed_connection_id(0), makini._home()"
					  " WHERE NOT EXISTS (SELECT FROM makini._instance)"
					  " ON CONFLICT DO NOTHING RETURNING instance_id)"
					  " SELECT instance_id FROM stored UNION ALL SELECT instance_id FROM makini._instance"
					  " LIMIT 1",
					  false);
}

Datum
makini_instance_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

	*id = instance_id();
	PG_RETURN_UUID_P(id);
}
