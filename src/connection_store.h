/*-------------------------------------------------------------------------
 *
 * connection_store.h
 *		What makini itself keeps about a connection.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_CONNECTION_STORE_H
#define MAKINI_CONNECTION_STORE_H

#include "postgres.h"

#include "utils/uuid.h"

/* The connection's id, as makini.connection shows it. */
extern pg_uuid_t connection_id(Oid serverid);

/*
 * The same, and keep it: from then on dump, restore and a new name don't
 * change it.  Writes, so not on a standby or in a read-only transaction.
 */
extern pg_uuid_t connection_store(Oid serverid);

/* System identifier and database: where rows that name OIDs are at home. */
extern char *connection_home(void);

#endif /* MAKINI_CONNECTION_STORE_H */
