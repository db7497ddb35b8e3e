/*-------------------------------------------------------------------------
 *
 * argument.h
 *		Arguments of SQL functions that are not STRICT.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_ARGUMENT_H
#define MAKINI_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"

/* Raise 22004 where an argument is null. */
extern void argument_refuse_null(FunctionCallInfo fcinfo, int place, const char *argument);

/* The text of one that must not be null, and of one that may be. */
extern char *argument_text(FunctionCallInfo fcinfo, int place, const char *argument);
extern char *argument_text_or_null(FunctionCallInfo fcinfo, int place);

#endif /* MAKINI_ARGUMENT_H */
