/*-------------------------------------------------------------------------
 *
 * watch.h
 *		Watches: an event for each row that newly appears in a query.
 *
 *	watch.c			a watch as its row says
 *	watch_sql.c		create_watch() and the others that people call
 *	watch_run.c		asking the query, comparing with what was seen
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_WATCH_H
#define MAKINI_WATCH_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "event/author.h"

/* ---- for whoever runs what is due ---- */

/*
 * watch_run_next
 *		Run one watch that is due at a moment, in the caller's transaction, and
 *		say when it is due again.  False when none is, or others are at those that
 *		are.  Takes up to half a minute: not for a process that others wait for.
 *		What is wrong with a watch is noted and not raised.
 */
extern bool watch_run_next(TimestampTz now);

/* The same for one watch whether it is due or not; false when there is none, or it runs elsewhere. */
extern bool watch_run(int64 watch_id, TimestampTz now);

/* When the next one is due, DT_NOEND for never; in a transaction. */
extern TimestampTz watch_next_due(void);

/* ---- for the files above only ---- */

typedef struct WatchOptions
{
	int	  initial;		 /* index of its choices: silent, emit */
	char *resolved_type; /* or NULL */
	int	  max_rows;
} WatchOptions;

#define WATCH_SILENT 0

/* A watch as makini._watch has it, in the memory of who loaded it. */
typedef struct Watch
{
	int64		 watch_id;
	char		*name;
	bool		 at_home;
	Author		 author;
	char		*query;
	char		*schedule;
	char		*type;
	Datum		 key; /* text[] */
	bool		 has_connection;
	pg_uuid_t	 connection;
	Jsonb		*options_json;
	WatchOptions options;
	bool		 enabled;
	bool		 seeded; /* it has been asked before, so that rows can be new */
	bool		 silent; /* the next look tells nothing */
} Watch;

#define WATCH_COLUMNS                                                                              \
	"watch_id, name, home = makini._home(), owner_oid, query, schedule, type, key, connection_id," \
	" options, search_path, enabled, seeded, silent"

/*
 * The row of SPI_tuptable with those columns.  The present memory context, and
 * the one that was current before SPI_connect, must live as long as the watch.
 */
extern Watch *watch_of_row(void);

/* NULL where there is none; locked until the end of the transaction. */
extern Watch *watch_load_by_name(const char *name);

/* next_run_at 0: as it was. */
extern void watch_store(Watch *watch, TimestampTz next_run_at);
extern void watch_delete(int64 watch_id);

/* Raises 22023. */
extern void watch_read_options(const Jsonb *json, WatchOptions *options);

/* The query with a key and the data of an event for each row. */
extern char *watch_query(const Watch *watch);

enum WatchColumn
{
	WATCH_COLUMN_KEY = 1,
	WATCH_COLUMN_DATA
};

/* For how long a query may run; tests shorten it. */
extern int watch_ms;

#endif /* MAKINI_WATCH_H */
