/*-------------------------------------------------------------------------
 *
 * visible.h
 *		Who may see what shared memory knows of servers and user mappings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_VISIBLE_H
#define MAKINI_VISIBLE_H

#include "postgres.h"

/* May the current user use the server?  False for servers that are gone. */
extern bool server_is_visible(Oid serverid);

/*
 * Is the mapping on that server the current user's, everybody's, of a role it
 * belongs to, or is the server the user's?
 */
extern bool mapping_is_visible(Oid serverid, Oid umid);

#endif /* MAKINI_VISIBLE_H */
