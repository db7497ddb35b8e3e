/*-------------------------------------------------------------------------
 *
 * author.h
 *		Running what somebody wrote, as its author.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_AUTHOR_H
#define MAKINI_AUTHOR_H

#include "postgres.h"

#include "utils/elog.h"

/* Who wrote it, and where names were looked up then. */
typedef struct Author
{
	Oid			userid;
	const char *search_path;
} Author;

/* The search_path in force, with the temporary schema last. */
extern char *author_search_path(void);

/*
 * Raise 42601 unless a text is exactly one expression, or one SELECT.  What it
 * says can't reach beyond brackets put around it, each on a line of its own.
 * what: "condition of a rule" and the like.
 */
extern void author_check_expression(const char *what, const char *text);
extern void author_check_select(const char *what, const char *text);

/* Strings are read alike wherever a text is: the level for AtEOXact_GUC(true, level). */
extern int author_strings(void);

/* Does an expression name a row, as NEW.x names "new"? */
extern bool author_mentions(const char *text, const char *row);

/*
 * author_run
 *		Call a function as an author: read only, under SECURITY_RESTRICTED_OPERATION,
 *		for at most timeout_ms (0: any time), in a subtransaction that is rolled
 *		back, so that nothing of it stays.  NULL when it went well, else the error.
 *		What it allocates for its caller must be in the caller's memory.  That
 *		somebody cancelled the statement or ends the process is raised again.
 */
typedef void (*AuthorStep)(void *arg);
extern ErrorData *author_run(const Author *author, int timeout_ms, AuthorStep step, void *arg);

/*
 * author_park
 *		What to do, in a transaction of its own, when a text does not end although
 *		it was told to several times and its worker ends for it: park whatever the
 *		text is of, lest the next worker run it.  Must not wait for anybody.
 */
typedef void (*AuthorPark)(void *arg);
extern void author_park(AuthorPark callback, void *arg);

#endif /* MAKINI_AUTHOR_H */
