/*-------------------------------------------------------------------------
 *
 * health.h
 *		What was last learned about servers and user mappings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_HEALTH_H
#define MAKINI_HEALTH_H

#include "postgres.h"

#include "lib/dshash.h"

#include "remote/remote.h"

extern dshash_parameters health_table_parameters(int tranche);

/* A call ended: well (fault is NULL), or with this. */
extern void health_record(const RemoteEndpoint *endpoint, const RemoteFault *fault);

#endif /* MAKINI_HEALTH_H */
