/*-------------------------------------------------------------------------
 *
 * named.h
 *		What people make by name, rules and watches: the questions that both are
 *		asked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_NAMED_H
#define MAKINI_NAMED_H

#include "postgres.h"

#include "fmgr.h"

#include "event/author.h"

/* kind is "rule" or "watch" in all of these. */

/* Raises 42602 where a name can't be one. */
extern void named_check_name(const char *kind, const char *name);

extern void named_refuse_second(const char *kind, const char *name);
extern void named_refuse_unknown(const char *kind, const char *name);

/*
 * Raises 55000 where it came by a restore or a copy, 42501 unless the caller is
 * its author, a member of that role or a superuser.
 */
extern void named_check_owner(const char *kind, const char *name, bool at_home, const Author *author);

/*
 * named_try
 *		What test_rule() and test_watch() give: of at most max_rows, the second
 *		argument, the column of a query that is run as its author.
 */
extern void named_try(FunctionCallInfo fcinfo, const Author *author, int timeout_ms,
					  const char *query, int column);

#endif /* MAKINI_NAMED_H */
