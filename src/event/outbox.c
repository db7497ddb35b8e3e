/*-------------------------------------------------------------------------
 *
 * outbox.c
 *		What becomes of an event after its commit: a sender moves it from the
 *		outbox into the log and numbers it, retention deletes it.
 *
 * Writers never touch a connection's counter, so they never queue behind each
 * other; senders do, in the order of connection_id, and so never wait for each
 * other in a circle.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "event/event.h"
#include "interval_setting.h"
#include "makini.h"

PG_FUNCTION_INFO_V1(makini_sequence_events);
PG_FUNCTION_INFO_V1(makini_purge_events);

/* ---------------------------------------------------------------------
 * Numbers
 * ---------------------------------------------------------------------
 */

/*
 * Rows of the outbox are inserted and deleted, never updated, so what was locked
 * is found again by its ctid.  The columns returned are enum EventColumn.
 */
#define MOVE_TO_LOG                                                                                        \
	"WITH recent AS MATERIALIZED ("                                                                        \
	"  SELECT ctid FROM makini._event WHERE event_id > $2"                                                 \
	"  ORDER BY event_id LIMIT $1 FOR UPDATE SKIP LOCKED),"                                                \
	" older AS MATERIALIZED ("                                                                             \
	"  SELECT ctid FROM makini._event WHERE $3 AND event_id <= $2"                                         \
	"  ORDER BY event_id LIMIT $1 FOR UPDATE SKIP LOCKED),"                                                \
	" taken AS ("                                                                                          \
	"  DELETE FROM makini._event WHERE ctid = ANY (ARRAY("                                                 \
	"    SELECT ctid FROM recent UNION ALL SELECT ctid FROM older LIMIT $1))"                              \
	"  RETURNING *),"                                                                                      \
	" numbered AS ("                                                                                       \
	"  SELECT *, row_number() OVER (PARTITION BY connection_id ORDER BY occurred_at, event_id) AS n"       \
	"  FROM taken),"                                                                                       \
	" counted AS ("                                                                                        \
	"  SELECT connection_id, count(*) AS n FROM taken WHERE connection_id IS NOT NULL"                     \
	"  GROUP BY connection_id),"                                                                           \
	" counter AS ("                                                                                        \
	"  INSERT INTO makini._event_counter AS c (connection_id, last_sequence)"                              \
	"  SELECT connection_id, n FROM counted ORDER BY connection_id"                                        \
	"  ON CONFLICT (connection_id) DO UPDATE SET last_sequence = c.last_sequence + excluded.last_sequence" \
	"  RETURNING connection_id, last_sequence),"                                                           \
	" fired AS ("                                                                                          \
	"  INSERT INTO makini._rule_stat AS s (rule_id, fired, last_fired_at)"                                 \
	"  SELECT rule_id, count(*), max(occurred_at) FROM taken WHERE rule_id IS NOT NULL"                    \
	"  GROUP BY rule_id ORDER BY rule_id"                                                                  \
	"  ON CONFLICT (rule_id) DO UPDATE"                                                                    \
	"  SET fired = s.fired + excluded.fired, last_fired_at = excluded.last_fired_at)"                      \
	" INSERT INTO makini._event_log AS l"                                                                  \
	"  (event_id, type, occurred_at, connection_id, owner_oid, owner, key, sequence, data)"                \
	" SELECT event_id, type, occurred_at, connection_id, owner_oid, owner, key,"                           \
	"  counter.last_sequence - counted.n + numbered.n, data"                                               \
	" FROM numbered LEFT JOIN counter USING (connection_id) LEFT JOIN counted USING (connection_id)"       \
	" ORDER BY occurred_at, event_id"                                                                      \
	" RETURNING event_id, type, occurred_at, connection_id, owner_oid, owner, key, sequence, data"

/*
 * The outbox is empty at one moment and has a million rows at the next: the plan
 * that is kept must be the one for many, by the index.
 */
static int
begin_index_plans(void)
{
	int level = NewGUCNestLevel();

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/*
 * Where this process has got to.  What it has moved leaves dead rows behind,
 * which stay as long as somebody has an old snapshot; beginning after them keeps
 * a backlog from getting slower as it drains.  Transactions that took longer may
 * still bring older events: those are looked for when there are no more recent
 * ones, but not again at once where that took long.
 */
static pg_uuid_t   reached = {{0}};
static TimestampTz older_again = 0;

#define OLDER_LONG 20000 /* microseconds */
#define OLDER_MOST USECS_PER_SEC

static void
note_reached(TimestampTz began, bool looked_for_older, int limit)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		isnull;

	if (looked_for_older && SPI_processed < (uint64) limit && now - began > OLDER_LONG)
		older_again = now + Min(10 * (now - began), OLDER_MOST);
	if (SPI_processed > 0)
	{
		pg_uuid_t *last =
			DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[SPI_processed - 1],
										SPI_tuptable->tupdesc, EVENT_COLUMN_ID, &isnull));

		if (memcmp(last, &reached, UUID_LEN) > 0)
			reached = *last;
	}
}

uint64
event_sequence_new(int limit)
{
	static SPIPlanPtr plan = NULL;
	TimestampTz		  began = GetCurrentTimestamp();
	bool			  older = began >= older_again;
	Oid				  types[] = {INT4OID, UUIDOID, BOOLOID};
	Datum values[] = {Int32GetDatum(limit), UUIDPGetDatum(&reached), BoolGetDatum(older)};
	int	  level = begin_index_plans();

	if (plan == NULL)
	{
		plan = SPI_prepare(MOVE_TO_LOG, lengthof(types), types);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not prepare to number events")));
	}
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT_RETURNING)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not number events")));
	AtEOXact_GUC(true, level);
	note_reached(began, older, limit);
	return SPI_processed;
}

/* ---------------------------------------------------------------------
 * Retention
 * ---------------------------------------------------------------------
 */

pg_uuid_t
event_retention_id(void)
{
	TimestampTz before = GetCurrentTimestamp() - interval_length(makini_event_retention);
	int64		us = before + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	/* ids begin in 1970: who keeps events for longer than that keeps all */
	uint64	  stamp = pg_hton64(((uint64) Max(us, 0) / 1000) << 16);
	pg_uuid_t id = {{0}};

	memcpy(id.data, &stamp, sizeof(stamp));
	return id;
}

static int64
delete_before(const char *table, const pg_uuid_t *id, int limit)
{
	Oid	  types[] = {UUIDOID, INT4OID};
	Datum values[] = {UUIDPGetDatum(id), Int32GetDatum(limit)};
	char *statement = psprintf("DELETE FROM makini.%s WHERE ctid = ANY (ARRAY("
							   "SELECT ctid FROM makini.%s WHERE event_id < $1"
							   " ORDER BY event_id LIMIT $2 FOR UPDATE SKIP LOCKED))",
							   table, table);

	SPI_execute_with_args(statement, lengthof(types), types, values, NULL, false, 0);
	return SPI_processed;
}

/* What else has had its time: nobody misses it, so it is not counted. */
static void
purge_leftovers(int limit)
{
	Oid	  types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(limit)};
	Oid	  age_types[] = {TIMESTAMPTZOID};
	Datum age_values[] = {
		TimestampTzGetDatum(GetCurrentTimestamp() - interval_length(makini_event_retention))};

	SPI_execute_with_args("DELETE FROM makini._rule_cooldown WHERE ctid = ANY (ARRAY("
						  "SELECT ctid FROM makini._rule_cooldown WHERE until < now()"
						  " LIMIT $1 FOR UPDATE SKIP LOCKED))",
						  lengthof(types), types, values, NULL, false, 0);
	SPI_execute_with_args("DELETE FROM makini._condition WHERE ctid = ANY (ARRAY("
						  "SELECT ctid FROM makini._condition WHERE last_seen < $1"
						  " FOR UPDATE SKIP LOCKED))",
						  lengthof(age_types), age_types, age_values, NULL, false, 0);
	/* the rules of tables that were dropped */
	SPI_execute("DELETE FROM makini._rule r WHERE home = makini._home()"
				" AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relation_oid)",
				false, 0);
}

int64
event_purge(int limit)
{
	pg_uuid_t	 id = event_retention_id();
	MakiniRights saved;
	int64		 n;

	makini_rights_of_extension(&saved);
	SPI_connect();
	n = delete_before("_event_log", &id, limit);
	n = Max(n, delete_before("_event", &id, limit));
	n = Max(n, delete_before("_event_dedupe", &id, limit));
	purge_leftovers(limit);
	SPI_finish();
	makini_rights_restore(&saved);
	return n;
}

/* ---------------------------------------------------------------------
 * Who may have it
 * ---------------------------------------------------------------------
 */

static Oid
server_of_connection(const pg_uuid_t *connection)
{
	static SPIPlanPtr plan = NULL;
	Oid				  types[] = {UUIDOID};
	Datum			  values[] = {UUIDPGetDatum(connection)};
	MakiniRights	  saved;
	bool			  isnull;
	Oid				  server = InvalidOid;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (plan == NULL)
	{
		plan = SPI_prepare("SELECT server_oid FROM makini._server WHERE connection_id = $1", 1, types);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not look for a connection")));
	}
	SPI_execute_plan(plan, values, NULL, true, 1);
	if (SPI_processed == 1)
		server =
			DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	makini_rights_restore(&saved);
	return server;
}

bool
event_deliverable(Oid role, const pg_uuid_t *connection, Oid owner)
{
	Oid server = connection == NULL ? InvalidOid : server_of_connection(connection);

	if (OidIsValid(server))
		return makini_server_aclcheck(server, role, ACL_USAGE) == ACLCHECK_OK;
	return has_privs_of_role(role, owner);
}

/* ---------------------------------------------------------------------
 * The same by hand
 * ---------------------------------------------------------------------
 */

Datum
makini_sequence_events(PG_FUNCTION_ARGS)
{
	MakiniRights saved;
	uint64		 n;

	older_again = 0;
	makini_rights_of_extension(&saved);
	SPI_connect();
	n = event_sequence_new(PG_GETARG_INT32(0));
	SPI_finish();
	makini_rights_restore(&saved);
	PG_RETURN_INT64(n);
}

Datum
makini_purge_events(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(event_purge(PG_GETARG_INT32(0)));
}
