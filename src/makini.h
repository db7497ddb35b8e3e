/*-------------------------------------------------------------------------
 *
 * makini.h
 *		The extension as a whole: its version, its settings and whose rights
 *		it writes its own tables with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_H
#define MAKINI_H

#include "postgres.h"

#define MAKINI_VERSION "1.0"
#define MAKINI_API_VERSION "v1"
#define MAKINI_USER_AGENT "makini/" MAKINI_VERSION

/* Settings, all with the prefix "makini." (INTERFACE.md section 5). */
extern int	 makini_max_requests_per_query; /* 0: no limit */
extern bool	 makini_log_requests;
extern char *makini_api_version;
extern bool	 makini_enable_pushdown; /* tests compare with and without */
extern int	 makini_retry_base;		 /* ms; tests shorten it */

/*
 * The private tables belong to whoever created the extension.  Between the
 * two calls everything runs with that role's rights; ends by itself when an
 * error aborts the transaction.
 */
typedef struct MakiniRights
{
	Oid userid;
	int sec_context;
	int guc_level;
} MakiniRights;

extern void makini_rights_of_extension(MakiniRights *saved);
extern void makini_rights_restore(const MakiniRights *saved);

#endif /* MAKINI_H */
