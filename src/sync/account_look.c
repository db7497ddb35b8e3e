/*-------------------------------------------------------------------------
 *
 * account_look.c
 *		Once a day: has somebody given the account new fields, or other ones?
 *
 * A run only asks for columns that it knows.  So a run worker asks each account,
 * as each role that has syncs there, for the list of its fields: one request.
 * Where that is not what it was, the sources of the syncs are compared with what
 * an import would make of them today, as makini.refresh_schema() does.  New
 * columns are followed where on_schema_change says so and the role owns the
 * foreign table; everything else is told, once.
 *
 * The network is waited for outside any snapshot, and without a lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "makini.h"
#include "private.h"
#include "sync/define.h"
#include "sync/drift.h"
#include "sync/job.h"
#include "sync/refresh.h"
#include "sync/schema_change.h"
#include "worker/worker.h"

/* After trouble; by then it may be over. */
#define LOOK_AGAIN USECS_PER_HOUR

typedef struct AccountLook
{
	MemoryContext cxt;
	pg_uuid_t	  connection;
	Oid			  role;
	Oid			  serverid;
	List		 *sources; /* of Oid: foreign tables that its syncs read */
	char		 *mark;
	List		 *told;	  /* of char * */
	List		 *tell;	  /* of char *: what is to be called told from now on */
	List		 *all;	  /* of Looked * */
	bool		  undone; /* something was to be followed and could not be */
} AccountLook;

/* ---- which is due ---- */

/* Syncs that run by themselves and may do so now: account, role, server, source and when to look. */
#define ACCOUNTS                                                                                    \
	" FROM makini._sync s JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = s.source_oid"           \
	" JOIN pg_catalog.pg_roles r ON r.oid = s.owner_oid"                                            \
	" LEFT JOIN makini._account_look l ON l.connection_id = s.connection_id AND l.role_oid = r.oid" \
	" WHERE s.schedule IS NOT NULL AND s.mode <> 'drain' AND" JOB_MAY_RUN
#define DUE " coalesce(l.due_at, s.created_at + interval '1 day')"

TimestampTz
account_look_due(void)
{
	/* whoever is at one goes on to the next */
	if (worker_somebody_looks())
		return DT_NOEND;
	SPI_execute("SELECT min(" DUE ")" ACCOUNTS, true, 1);
	return SPI_processed == 0 ? DT_NOEND : private_int64(0, 1, DT_NOEND);
}

/* What is due, into *look; noted as looked at before it is, so that a crash is not repeated at once. */
static bool
claim(AccountLook *look, TimestampTz now)
{
	Oid	  types[3] = {TIMESTAMPTZOID, UUIDOID, OIDOID};
	Datum values[3];

	values[0] = TimestampTzGetDatum(now);
	(void) private_query("SELECT s.connection_id, r.oid::bigint, t.ftserver::bigint" ACCOUNTS
						 " AND" DUE " <= $1 ORDER BY" DUE " LIMIT 1",
						 1, types, values, NULL);
	if (SPI_processed == 0)
		return false;
	(void) private_uuid(0, 1, &look->connection);
	look->role = (Oid) private_int64(0, 2, 0);
	look->serverid = (Oid) private_int64(0, 3, 0);
	values[1] = UUIDPGetDatum(&look->connection);
	values[2] = ObjectIdGetDatum(look->role);
	SPI_execute_with_args("INSERT INTO makini._account_look AS l (due_at, connection_id, role_oid)"
						  " VALUES ($1 + interval '1 day', $2, $3)"
						  " ON CONFLICT (connection_id, role_oid) DO UPDATE SET due_at = excluded.due_at"
						  " WHERE l.due_at <= $1 RETURNING l.mark, l.told",
						  3, types, values, NULL, false, 1);
	return SPI_processed == 1;
}

static void
take_claimed(AccountLook *look)
{
	Oid			  types[3] = {UUIDOID, OIDOID, OIDOID};
	Datum		  values[3];
	MemoryContext old = MemoryContextSwitchTo(look->cxt);
	char		 *mark = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	bool		  isnull;

	look->mark = mark == NULL ? NULL : pstrdup(mark);
	look->told = array_to_texts(
		DatumGetArrayTypeP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull)));
	values[0] = UUIDPGetDatum(&look->connection);
	values[1] = ObjectIdGetDatum(look->role);
	values[2] = ObjectIdGetDatum(look->serverid);
	(void) private_query("SELECT DISTINCT s.source_oid::bigint" ACCOUNTS
						 " AND s.connection_id = $1 AND r.oid = $2 AND t.ftserver = $3 ORDER BY 1",
						 3, types, values, NULL);
	MemoryContextSwitchTo(look->cxt);
	for (uint64 i = 0; i < SPI_processed; i++)
		look->sources = lappend_oid(look->sources, (Oid) private_int64(i, 1, 0));
	MemoryContextSwitchTo(old);
}

static bool
next_due(AccountLook *look, TimestampTz now)
{
	PrivateTransaction transaction;
	bool			   found;

	private_begin(&transaction);
	found = claim(look, now);
	if (found)
		take_claimed(look);
	private_end(&transaction);
	return found;
}

/* ---- asking ---- */

/* Are the account's fields others than they were?  *mark: what tells. */
static bool
ask_for_mark(AccountLook *look, char **mark)
{
	Connection *conn;

	PushActiveSnapshot(GetTransactionSnapshot());
	conn = connection_open(look->serverid, look->role, REMOTE_USE_PROBE);
	PopActiveSnapshot();
	/* it is asked again in an hour anyway */
	conn->endpoint.max_retries = Min(conn->endpoint.max_retries, 1);

	*mark = NULL;
	if (conn->connector->account_mark == NULL)
		return false;
	InvalidateCatalogSnapshot();
	*mark = conn->connector->account_mark(conn);
	return look->mark == NULL || strcmp(look->mark, *mark) != 0;
}

static void
ask_for_columns(AccountLook *look)
{
	ListCell *lc;

	look_around(look->all);
	foreach(lc, look->all)
		look_compare(lfirst(lc));
}

/* ---- what comes of it ---- */

static bool
is_new(const Finding *finding)
{
	return strcmp(finding->change, "added") == 0;
}

/* Does one of the role's syncs want what is new, and may it have that? */
static bool
is_to_follow(const Looked *looked)
{
	ListCell *lc;

	if (!makini_may_become(looked->role, relation_owner(looked->relid)))
		return false;
	foreach(lc, looked->syncs)
	{
		Sync *sync = sync_load(*(int64 *) lfirst(lc));

		if (sync->owner == looked->role && sync->columns == NIL && sync->on_schema_change != DRIFT_REPORT)
			return true;
	}
	return false;
}

/* A column that is gone is left out by the next run, if not by the last one: one of them tells. */
static bool
is_news(const AccountLook *look, const Looked *looked, const Finding *finding, const char *text)
{
	bool	  news = false;
	ListCell *lc;

	if (strcmp(finding->change, "removed") != 0)
		return !in_names(look->told, text);
	foreach(lc, looked->syncs)
		news |= drift_note(*(int64 *) lfirst(lc), finding->column, finding->change);
	return news;
}

/* Tell of what nothing was done about, and was not told before. */
static void
tell_news(AccountLook *look, Looked *looked, List *findings)
{
	ListCell *lc;

	looked->findings = NIL;
	foreach(lc, findings)
	{
		Finding *finding = lfirst(lc);
		char	*text = psprintf("%s.%s %s %s", looked->name, finding->column, finding->change,
								 finding->remote_type == NULL ? "" : finding->remote_type);

		if (is_news(look, looked, finding, text))
			looked->findings = lappend(looked->findings, finding);
		look->tell = lappend(look->tell, text);
	}
	look_tell(looked);
}

/* Of these the new ones; *others, which may be NULL: the rest. */
static List *
take_new(List *findings, List **others)
{
	List *new = NIL;
	ListCell *lc;

	if (others != NULL)
		*others = NIL;
	foreach(lc, findings)
	{
		if (is_new(lfirst(lc)))
			new = lappend(new, lfirst(lc));
		else if (others != NULL)
			*others = lappend(*others, lfirst(lc));
	}
	return new;
}

/* Returns what could not be followed: that is told once, but tried each day. */
static List *
apply_and_tell(AccountLook *look, Looked *looked)
{
	List	 *undone = NIL;
	ListCell *lc;

	look_apply(looked);
	foreach(lc, looked->findings)
	{
		Finding *finding = lfirst(lc);

		if (finding->applied)
			continue;
		undone = lappend(undone, finding);
		looked->findings = foreach_delete_current(looked->findings, lc);
	}
	look_tell(looked);
	look->undone |= undone != NIL;
	return undone;
}

static void
settle_table(AccountLook *look, Looked *looked)
{
	List *rest;

	LockRelationOid(looked->relid, AccessShareLock);
	if (get_rel_relkind(looked->relid) != RELKIND_FOREIGN_TABLE)
		return;
	look_follow(looked);
	if (is_to_follow(looked))
	{
		looked->findings = take_new(looked->findings, &rest);
		looked->targets = take_new(looked->targets, NULL);
		if (looked->findings != NIL)
			rest = list_concat(apply_and_tell(look, looked), rest);
	}
	else
		rest = looked->findings;
	tell_news(look, looked, rest);
	look_remember_first(looked);
}

static void
keep_mark(AccountLook *look, const char *mark)
{
	Oid	  types[4] = {UUIDOID, OIDOID, TEXTOID, TEXTARRAYOID};
	Datum values[4];
	char  nulls[] = "    ";

	values[0] = UUIDPGetDatum(&look->connection);
	values[1] = ObjectIdGetDatum(look->role);
	values[2] = mark == NULL ? (Datum) 0 : CStringGetTextDatum(mark);
	nulls[2] = mark == NULL ? 'n' : ' ';
	values[3] = PointerGetDatum(texts_to_array(look->tell));

	/* an account without fields of its own is not asked again */
	private_execute("UPDATE makini._account_look SET mark = $3, told = $4,"
					" due_at = CASE WHEN $3 IS NULL THEN 'infinity' ELSE due_at END"
					" WHERE connection_id = $1 AND role_oid = $2",
					4, types, values, nulls);
	private_execute("DELETE FROM makini._account_look l WHERE NOT EXISTS"
					" (SELECT FROM makini._sync s WHERE s.connection_id = l.connection_id"
					"  AND s.owner_oid = l.role_oid)",
					0, NULL, NULL, NULL);
}

static void
settle(AccountLook *look, const char *mark)
{
	ListCell *lc;

	foreach(lc, look->all)
		settle_table(look, lfirst(lc));
	/* no account has this one, so that the next look compares again */
	keep_mark(look, look->undone ? "" : mark);
}

/* ---- one account ---- */

static void
begin(AccountLook *look, bool snapshot)
{
	StartTransactionCommand();
	MemoryContextSwitchTo(look->cxt);
	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
}

static void
end(bool snapshot)
{
	if (snapshot)
		PopActiveSnapshot();
	CommitTransactionCommand();
}

static void
look_at_account(AccountLook *look)
{
	char *mark;
	bool  changed;

	begin(look, false);
	changed = ask_for_mark(look, &mark);
	end(false);
	if (!changed && mark != NULL)
		return;
	if (changed)
	{
		begin(look, true);
		look->all = look_at_tables(look->sources, look->role);
		end(true);
		begin(look, false);
		ask_for_columns(look);
		end(false);
	}
	begin(look, true);
	settle(look, mark);
	end(true);
}

static void
try_again_later(const AccountLook *look, TimestampTz now)
{
	PrivateTransaction transaction;
	Oid				   types[3] = {UUIDOID, OIDOID, TIMESTAMPTZOID};
	Datum			   values[3];

	values[0] = UUIDPGetDatum(&look->connection);
	values[1] = ObjectIdGetDatum(look->role);
	values[2] = TimestampTzGetDatum(now + LOOK_AGAIN);
	private_begin(&transaction);
	SPI_execute_with_args("UPDATE makini._account_look SET due_at = $3"
						  " WHERE connection_id = $1 AND role_oid = $2",
						  3, types, values, NULL, false, 0);
	private_end(&transaction);
}

bool
account_look_next(TimestampTz now)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt =
		AllocSetContextCreate(TopMemoryContext, "makini account", ALLOCSET_DEFAULT_SIZES);
	AccountLook *look = MemoryContextAllocZero(cxt, sizeof(AccountLook));
	bool		 found;

	look->cxt = cxt;
	found = worker_begin_look() && next_due(look, now);
	if (found)
	{
		worker_is_looking();
		PG_TRY();
		{
			look_at_account(look);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(cxt);
			EmitErrorReport();
			FlushErrorState();
			AbortOutOfAnyTransaction();
			try_again_later(look, now);
		}
		PG_END_TRY();
	}
	worker_end_look();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	return found;
}
