/*-------------------------------------------------------------------------
 *
 * option.h
 *		Options of servers, user mappings, foreign tables and columns: checking
 *		them when they are set, reading them when they are used.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_OPTION_H
#define MAKINI_OPTION_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "connector/connector.h"

/*
 * Check a list of DefElem against a connector's option table; context is the
 * catalogue they stand in.  Raises with the statement hidden from the log,
 * which may hold secrets.
 */
extern void options_validate(const OptionDef *defs, List *options, Oid context);

/* The text of an option, or NULL. */
extern const char *option_text(List *options, const char *name);
extern bool		   option_bool(List *options, const char *name, bool missing);
extern int		   option_int(List *options, const char *name, int missing);
extern int		   option_duration(List *options, const char *name, int missing); /* ms */

#endif /* MAKINI_OPTION_H */
