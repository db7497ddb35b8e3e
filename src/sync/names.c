/*-------------------------------------------------------------------------
 *
 * names.c
 *		What things are called now.
 *
 * OIDs say at home what a sync or a webhook is about, names where it was
 * restored or copied to.  Nobody tells when a role, a table or a server is
 * renamed, so the names are brought up to date now and then: else the copy would
 * know nothing by the old one, or another thing that has it now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"

#include "sync/job.h"

typedef struct StoredName
{
	const char *table;
	const char *column;
	const char *present; /* what it is called now, of the row k; NULL where it is gone */
	const char *at_home;
} StoredName;

#define HOME "k.home = makini._home()"
#define HOME_OF_SYNC                                                                               \
	"EXISTS (SELECT FROM makini._sync s WHERE s.sync_id = k.sync_id AND s.home = makini._home())"
#define OWNER "(SELECT r.rolname::text FROM pg_catalog.pg_roles r WHERE r.oid = k.owner_oid)"
#define RELATION(oid) "(SELECT v.name FROM makini._relation v WHERE v.relid = k." oid ")"

static const StoredName stored_names[] =
	{{"_sync", "owner", OWNER, HOME},
	 {"_rule", "owner", OWNER, HOME},
	 {"_watch", "owner", OWNER, HOME},
	 {"_webhook", "owner", OWNER, HOME},
	 {"_sync", "source", RELATION("source_oid"), HOME},
	 {"_sync", "target", RELATION("target_oid"), HOME},
	 {"_rule", "relation", RELATION("relation_oid"), HOME},
	 {"_drain_target", "target", RELATION("target_oid"), HOME_OF_SYNC},
	 {"_connection", "server_name",
	  "(SELECT f.srvname::text FROM pg_catalog.pg_foreign_server f WHERE f.oid = k.server_oid)", HOME}};

/* Rows that somebody is changing are left for the next time. */
void
names_refresh(void)
{
	for (int i = 0; i < (int) lengthof(stored_names); i++)
	{
		const StoredName *name = &stored_names[i];

		SPI_execute(psprintf("UPDATE makini.%1$s t SET %2$s = o.present"
							 " FROM (SELECT k.ctid AS at, %3$s AS present FROM makini.%1$s k"
							 "  WHERE %4$s AND k.%2$s <> %3$s FOR UPDATE OF k SKIP LOCKED) o"
							 " WHERE t.ctid = o.at",
							 name->table, name->column, name->present, name->at_home),
					false, 0);
	}
}
