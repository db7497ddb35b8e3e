/*-------------------------------------------------------------------------
 *
 * deprecation.h
 *		What servers announced about the end of parts of their interfaces.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_DEPRECATION_H
#define MAKINI_DEPRECATION_H

#include "postgres.h"

#include "lib/dshash.h"

#include "remote/remote.h"

extern dshash_parameters deprecation_table_parameters(int tranche);

/* An answer came from there: note what its headers announce, if anything.  Raises nothing. */
extern void deprecation_record(const RemoteEndpoint *endpoint, const char *url,
							   const RemoteResponse *response);

#endif /* MAKINI_DEPRECATION_H */
