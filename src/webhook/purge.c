/*-------------------------------------------------------------------------
 *
 * purge.c
 *		Deletes what is kept of deliveries when their events are no longer kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "event/event.h"
#include "makini.h"
#include "private.h"
#include "webhook/sender.h"
#include "webhook/webhook.h"

/* What a sender has in hand is left to it. */
static int64
purge_table(const char *table, const char *condition, const pg_uuid_t *id, int limit)
{
	Oid	  types[] = {UUIDOID, INT4OID};
	Datum values[] = {UUIDPGetDatum(id), Int32GetDatum(limit)};

	return (int64) private_query(psprintf("DELETE FROM makini.%s WHERE ctid = ANY (ARRAY("
										  "SELECT ctid FROM makini.%s WHERE event_id < $1%s"
										  " ORDER BY event_id LIMIT $2 FOR UPDATE SKIP LOCKED))",
										  table, table, condition),
								 lengthof(types), types, values, NULL);
}

int64
webhook_purge(int limit)
{
	pg_uuid_t	 id = event_retention_id();
	MakiniRights saved;
	int64		 n;

	makini_rights_of_extension(&saved);
	SPI_connect();
	n = purge_table("_delivery", " AND claimed_by IS NULL", &id, limit);
	n = Max(n, purge_table("_delivery_done", "", &id, limit));
	n = Max(n, purge_table("_delivery_attempt", "", &id, limit));
	SPI_finish();
	makini_rights_restore(&saved);
	return n;
}
