/*-------------------------------------------------------------------------
 *
 * author.c
 *		Running what somebody wrote, as its author.
 *
 * Conditions, payloads and queries of rules and watches are texts of people who
 * have no rights over who runs them: another user's statement, or a worker.
 * PostgreSQL's own parser says that a text is one expression, or one SELECT,
 * before anything is built of it; it runs with its author's rights, where it can
 * neither write nor escape them, and looks names up where its author did.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/varlena.h"

#include "compat.h"
#include "event/author.h"

#define MAX_TEXT 10000

/* How often, and after how long each time, a text is told again that its time is up. */
#define TELL_TIMES 5
#define TELL_EVERY_MS 1000

/* ---------------------------------------------------------------------
 * Where names are looked up
 * ---------------------------------------------------------------------
 */

/* Temporary objects belong to whoever runs the text: last, where they shadow nothing. */
char *
author_search_path(void)
{
	char		  *copy = pstrdup(GetConfigOption("search_path", false, false));
	List		  *schemas;
	ListCell	  *cell;
	StringInfoData path;

	initStringInfo(&path);
	if (!SplitIdentifierString(copy, ',', &schemas))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid list syntax in search_path")));
	foreach(cell, schemas)
	{
		const char *schema = lfirst(cell);

		if (strcmp(schema, "pg_temp") != 0)
			appendStringInfo(&path, "%s, ", quote_identifier(schema));
	}
	appendStringInfoString(&path, "pg_temp");
	return path.data;
}

/* ---------------------------------------------------------------------
 * What a text is
 * ---------------------------------------------------------------------
 */

static void
refuse(const char *what, const char *must, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR), errmsg("the %s must be %s", what, must),
			 errdetail("%s", detail)));
}

/* Positions are those in the text, not in the statement that has it. */
static void
on_syntax_error(void *arg)
{
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(arg);
	}
}

/*
 * author_strings
 *		Read backslashes in strings as the standard does until AtEOXact_GUC of what
 *		this gives: were a text read in one way when it is checked and in another
 *		when it runs, a string of it could end, and the text with it.
 */
int
author_strings(void)
{
	int level = NewGUCNestLevel();

	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static List *
parse(const char *text, RawParseMode mode)
{
	int					 level = author_strings();
	ErrorContextCallback callback;
	List				*parsed;

	callback.previous = error_context_stack;
	callback.callback = on_syntax_error;
	callback.arg = (void *) text;
	error_context_stack = &callback;
	parsed = raw_parser(text, mode);
	error_context_stack = callback.previous;
	AtEOXact_GUC(true, level);
	return parsed;
}

/* In the mode of PL/pgSQL an expression is a SELECT of which the word was left out. */
static SelectStmt *
parse_expression(const char *text)
{
	return (SelectStmt *) linitial_node(RawStmt, parse(text, RAW_PARSE_PLPGSQL_EXPR))->stmt;
}

void
author_check_expression(const char *what, const char *text)
{
	SelectStmt *select;

	if (strlen(text) > MAX_TEXT)
		refuse(what, "one expression", "It is longer than 10000 bytes.");
	select = parse_expression(text);
	if (list_length(select->targetList) != 1 ||
		linitial_node(ResTarget, select->targetList)->name != NULL ||
		select->distinctClause != NIL || select->intoClause != NULL || select->fromClause != NIL ||
		select->whereClause != NULL || select->groupClause != NIL || select->havingClause != NULL ||
		select->windowClause != NIL || select->sortClause != NIL || select->limitOffset != NULL ||
		select->limitCount != NULL || select->lockingClause != NIL || select->op != SETOP_NONE)
		refuse(what, "one expression", "It must have no name, no list and no clauses.");
}

void
author_check_select(const char *what, const char *text)
{
	List	*parsed;
	RawStmt *statement;

	if (strlen(text) > MAX_TEXT)
		refuse(what, "one SELECT", "It is longer than 10000 bytes.");
	parsed = parse(text, RAW_PARSE_DEFAULT);
	if (list_length(parsed) != 1)
		refuse(what, "one SELECT", "It has no statement, or several.");
	statement = linitial_node(RawStmt, parsed);
	if (!IsA(statement->stmt, SelectStmt) || ((SelectStmt *) statement->stmt)->intoClause != NULL)
		refuse(what, "one SELECT", "It is another statement.");
	if (statement->stmt_len > 0)
		refuse(what, "one SELECT", "It must not end with a semicolon.");
}

static bool
names_row(Node *node, void *row)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node *first = linitial(((ColumnRef *) node)->fields);

		return IsA(first, String) && strcmp(strVal(first), row) == 0;
	}
	return raw_expression_tree_walker(node, names_row, row);
}

bool
author_mentions(const char *text, const char *row)
{
	return names_row((Node *) parse_expression(text), (void *) row);
}

/* ---------------------------------------------------------------------
 * Running it
 * ---------------------------------------------------------------------
 */

static TimeoutId			 timeout_id = MAX_TIMEOUTS;
static volatile sig_atomic_t out_of_time = false;
static volatile sig_atomic_t times_told = 0;
static AuthorPark			 park = NULL;
static void					*park_arg;

/*
 * A function can catch the error that ends it, and go on.  A worker, which
 * others wait for, ends itself then; who waits at a terminal can end that.
 */
static void
on_timeout(void)
{
	out_of_time = true;
	if (++times_told > TELL_TIMES && MyBgworkerEntry != NULL)
		ProcDiePending = true;
	else
		QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

/* The one that made the process end must not run in the next. */
static void
park_at_exit(int code, Datum arg)
{
	if (times_told <= TELL_TIMES || park == NULL)
		return;
	disable_timeout(timeout_id, false);
	AbortOutOfAnyTransaction();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	park(park_arg);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

void
author_park(AuthorPark callback, void *arg)
{
	static bool registered = false;

	if (!registered)
		before_shmem_exit(park_at_exit, (Datum) 0);
	registered = true;
	park = callback;
	park_arg = arg;
}

static void
start_clock(int timeout_ms)
{
	out_of_time = false;
	times_told = 0;
	if (timeout_ms == 0)
		return;
	if (timeout_id == MAX_TIMEOUTS)
		timeout_id = RegisterTimeout(USER_TIMEOUT, on_timeout);
	enable_timeout_every(timeout_id, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms),
						 TELL_EVERY_MS);
}

/* It may have run out after the last statement. */
static void
stop_clock(int timeout_ms)
{
	if (timeout_ms == 0)
		return;
	disable_timeout(timeout_id, false);
	times_told = 0;
	if (out_of_time)
		QueryCancelPending = false;
}

/* The end of the subtransaction puts all of it back. */
static void
become(const Author *author)
{
	Oid userid;
	int sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(author->userid,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	(void) author_strings();
	(void) set_config_option("search_path", author->search_path, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	XactReadOnly = true;
}

static bool
ends_process_or_statement(const ErrorData *error)
{
	if (error->elevel > ERROR || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
		return true;
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED && !out_of_time;
}

ErrorData *
author_run(const Author *author, int timeout_ms, AuthorStep step, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	start_clock(timeout_ms);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		become(author);
		step(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	stop_clock(timeout_ms);
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (error != NULL && ends_process_or_statement(error))
		ReThrowError(error);
	return error;
}
