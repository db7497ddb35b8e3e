/*-------------------------------------------------------------------------
 *
 * attempt.h
 *		Work that may fail without its transaction failing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_ATTEMPT_H
#define MAKINI_ATTEMPT_H

#include "postgres.h"

/*
 * run_attempt
 *		Call a function in a subtransaction.  NULL when it went well; else all it
 *		wrote is undone and the error is given, in the caller's memory.  A cancel
 *		is given like any other error: whoever goes on after errors has to look.
 */
typedef void (*RunStep)(void *arg);
extern ErrorData *run_attempt(RunStep step, void *arg);

#endif /* MAKINI_ATTEMPT_H */
