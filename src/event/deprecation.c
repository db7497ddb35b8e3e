/*-------------------------------------------------------------------------
 *
 * deprecation.c
 *		What servers announced about the end of their interfaces: written down,
 *		and told when it is first heard of and so many days ahead.
 *
 * Whoever talks to a server leaves in shared memory what the headers of its
 * answers announced (remote/deprecation.c).  When to tell of it is
 * connection_step.c's to say.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "connection_store.h"
#include "event/connection_state.h"
#include "event/connection_step.h"
#include "private.h"
#include "worker/worker.h"

/* ---- writing down ---- */

/* That it was seen again is worth a row only now and then. */
#define NEWLY_ANNOUNCED                                                                            \
	"SELECT s.server_oid, s.connection_id, a.path, a.first_seen, a.last_seen, a.deprecated_at,"    \
	" a.sunset_at, a.link"                                                                         \
	" FROM makini._announced_deprecation() a"                                                      \
	" JOIN makini._server s ON s.server_oid = a.serverid"                                          \
	" LEFT JOIN makini._deprecation d ON d.connection_id = s.connection_id AND d.path = a.path"    \
	" WHERE ($1 = 0 OR s.server_oid = $1)"                                                         \
	" AND NOT EXISTS (SELECT FROM makini._connection k"                                            \
	"  WHERE k.connection_id = s.connection_id AND k.home <> makini._home())"                      \
	" AND (d.path IS NULL OR a.last_seen > d.last_seen + interval '1 hour'"                        \
	"  OR (a.deprecated_at, a.sunset_at, a.link)"                                                  \
	"   IS DISTINCT FROM (d.deprecated_at, d.sunset_at, d.link))"                                  \
	" ORDER BY s.connection_id, a.path"

/* The columns of that behind the server are those of the table. */
static void
write_row(HeapTuple row, TupleDesc desc)
{
	Oid	  types[] = {UUIDOID,		 TEXTOID,		 TIMESTAMPTZOID, TIMESTAMPTZOID,
					 TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID};
	Datum values[lengthof(types)];
	char  nulls[lengthof(types)];
	bool  isnull;

	(void) connection_store(DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull)));
	for (int i = 0; i < lengthof(types); i++)
	{
		values[i] = SPI_getbinval(row, desc, i + 2, &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}
	SPI_execute_with_args("INSERT INTO makini._deprecation AS d (connection_id, path, first_seen,"
						  " last_seen, deprecated_at, sunset_at, link)"
						  " VALUES ($1, $2, $3, $4, $5, $6, $7)"
						  " ON CONFLICT (connection_id, path) DO UPDATE"
						  " SET last_seen = greatest(d.last_seen, excluded.last_seen),"
						  " deprecated_at = excluded.deprecated_at, sunset_at = excluded.sunset_at,"
						  " link = excluded.link",
						  lengthof(types), types, values, nulls, false, 0);
}

static void
write_down(Oid serverid)
{
	Oid			   types[1] = {OIDOID};
	Datum		   values[1] = {ObjectIdGetDatum(serverid)};
	SPITupleTable *rows;
	uint64		   n;

	SPI_execute_with_args(NEWLY_ANNOUNCED, 1, types, values, NULL, false, 0);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
		write_row(rows->vals[i], rows->tupdesc);
}

/* ---- telling ---- */

#define ANNOUNCED                                                                                  \
	"SELECT d.connection_id, s.server_name::text, f.srvowner::bigint, d.path, d.deprecated_at,"    \
	" d.sunset_at, d.link, d.told_at, d.told_days::bigint, d.told_sunset_at"                       \
	" FROM makini._deprecation d"                                                                  \
	" JOIN makini._server s ON s.connection_id = d.connection_id"                                  \
	" JOIN pg_catalog.pg_foreign_server f ON f.oid = s.server_oid"                                 \
	" JOIN makini._connection k ON k.connection_id = d.connection_id AND k.home = makini._home()"  \
	" WHERE $1 = 0 OR s.server_oid = $1 ORDER BY d.connection_id, d.path"

static ApiDeprecation
deprecation_of(uint64 row)
{
	ApiDeprecation deprecation = {0};

	(void) private_uuid(row, 1, &deprecation.connection);
	deprecation.server = private_text(row, 2);
	deprecation.owner = (Oid) private_int64(row, 3, 0);
	deprecation.path = private_text(row, 4);
	deprecation.deprecated_at = private_int64(row, 5, 0);
	deprecation.sunset_at = private_int64(row, 6, 0);
	deprecation.link = private_text(row, 7);
	return deprecation;
}

/* False where somebody else has told it meanwhile. */
static bool
note_told(const ApiDeprecation *deprecation, const SunsetRow *row, TimestampTz before)
{
	Oid	  types[] = {UUIDOID, TEXTOID, TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[lengthof(types)];
	char  nulls[lengthof(types) + 1] = "      ";

	values[0] = UUIDPGetDatum(&deprecation->connection);
	values[1] = CStringGetTextDatum(deprecation->path);
	values[2] = TimestampTzGetDatum(row->told_at);
	values[3] = Int32GetDatum(row->told_days);
	nulls[4] = state_put_time(&values[4], row->told_sunset);
	nulls[5] = state_put_time(&values[5], before);
	SPI_execute_with_args("UPDATE makini._deprecation SET told_at = $3, told_days = $4,"
						  " told_sunset_at = $5 WHERE connection_id = $1 AND path = $2"
						  " AND told_at IS NOT DISTINCT FROM $6",
						  lengthof(types), types, values, nulls, false, 0);
	return SPI_processed == 1;
}

static TimestampTz
tell(uint64 i, TimestampTz now)
{
	ApiDeprecation deprecation = deprecation_of(i);
	SunsetRow	   row = {.told_at = private_int64(i, 8, 0),
						  .told_days = (int) private_int64(i, 9, 0),
						  .told_sunset = private_int64(i, 10, 0)};
	TimestampTz	   before = row.told_at;
	SunsetStep	   step = sunset_step(&row, deprecation.sunset_at, now);

	deprecation.told = step.first ? -1 : row.told_days;
	deprecation.now = now;
	if (step.tell && note_told(&deprecation, &row, before))
		event_api_deprecated(&deprecation);
	return step.next;
}

/* That its server was dropped is told by whoever drops it (dropped.c). */
static void
forget_dropped(void)
{
	SPI_execute("DELETE FROM makini._deprecation d USING makini._connection c"
				" WHERE c.connection_id = d.connection_id AND c.home = makini._home()"
				" AND NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.oid = c.server_oid)",
				false, 0);
}

TimestampTz
deprecation_look(Oid serverid, TimestampTz now)
{
	Oid			   types[1] = {OIDOID};
	Datum		   values[1] = {ObjectIdGetDatum(serverid)};
	TimestampTz	   next = WORKER_NEVER;
	SPITupleTable *rows;
	uint64		   n;

	write_down(serverid);
	SPI_execute_with_args(ANNOUNCED, 1, types, values, NULL, false, 0);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		TimestampTz again;

		SPI_tuptable = rows;
		again = tell(i, now);
		next = Min(next, again);
	}
	if (!OidIsValid(serverid))
		forget_dropped();
	return next;
}
