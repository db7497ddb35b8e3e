/*-------------------------------------------------------------------------
 *
 * stat.h
 *		Counters of what was asked of each server, by day and by purpose.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_STAT_H
#define MAKINI_STAT_H

#include "postgres.h"

#include "lib/dshash.h"

#include "remote/remote.h"

extern dshash_parameters stat_table_parameters(int tranche);

/* Add what one call did. */
extern void stat_add(const RemoteEndpoint *endpoint, const RemoteUsage *usage);

#endif /* MAKINI_STAT_H */
