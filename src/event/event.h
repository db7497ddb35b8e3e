/*-------------------------------------------------------------------------
 *
 * event.h
 *		Events: raising them, the outbox that keeps them, what is sent of them.
 *
 *	event.c			raising: a row of the outbox in the transaction of its cause
 *	announce.c		the wake-up of the sender and pg_notify at commit
 *	condition.c		what needs a person: system.error
 *	own.c			the data of other events that makini raises itself
 *	outbox.c		from the outbox to the log: sequence numbers, retention
 *	body.c			the bytes that are delivered
 *	emit.c			makini.emit() and makini.preview_event()
 *	instance.c		which installation speaks
 *	rehome.c		after a restore or a copy
 *	dropped.c		a server was dropped
 *	rule*.c			create_rule(): conditions over the rows of a table
 *	watch*.c		create_watch(): rows that newly appear in a query
 *	named.c			what rules and watches are both asked
 *
 * An event goes from makini._event, where writers put it and which stays small,
 * to makini._event_log as soon as a sender has seen it committed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_EVENT_H
#define MAKINI_EVENT_H

#include "postgres.h"

#include "catalog/indexing.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

/* Of data, as jsonb keeps it, and of a key. */
#define EVENT_MAX_BYTES (256 * 1024)

/* Of all numbers in data, written out. */
#define EVENT_MAX_DIGITS (1024 * 1024)

/* Of a dedupe_key: what surely fits an index. */
#define EVENT_MAX_DEDUPE_KEY 1000

/* Bytes of a key that indexes hold as it is. */
#define EVENT_MAX_INDEX_KEY 1000

/* ---- event.c ---- */

typedef struct Event
{
	const char		*type;
	const pg_uuid_t *connection; /* or NULL */
	Oid				 owner;
	const char		*key;		 /* or NULL */
	const char		*dedupe_key; /* or NULL: one event only for each, and owner */
	const char		*data;		 /* JSON object */
	int64			 rule_id;	 /* which raises it, or 0 */
} Event;

/*
 * event_raise
 *		Put an event into the outbox, with the rights of the extension.  It
 *		exists if, and only if, the transaction commits.  Returns its id.  Where
 *		there is one with this dedupe_key, raised is false and the id is that one's.
 */
extern pg_uuid_t event_raise(const Event *event, bool *raised);

/* The same with data as a datum instead of event->data. */
extern pg_uuid_t event_raise_jsonb(const Event *event, const Jsonb *data, bool *raised);

/*
 * Many events of one owner, connection and type, without looking anything up
 * for each.  Nothing that may run users' code comes between open and close.
 */
typedef struct EventBatch
{
	Event			  event; /* key and data are not looked at */
	char			 *owner_name;
	Relation		  relation;
	CatalogIndexState indexes;
} EventBatch;

extern void		 event_batch_open(EventBatch *batch, const Event *event);
extern pg_uuid_t event_batch_add(EventBatch *batch, const char *key, const Jsonb *data);
extern void		 event_batch_close(EventBatch *batch);

/* Raises 22023 unless it is a JSON object, 54000 where it is too large. */
extern void event_check_data(const Jsonb *data);

/* A key as an index can hold it: of one that is long, a digest. */
extern char *event_index_key(const char *key);

/* Raises 42602. */
extern void event_check_form(const char *type);

/* The same, and 42939 where the type is one of makini's own. */
extern void event_check_type(const char *type);

/*
 * Set while a sync run loads what was there before: rules with backfill 'skip'
 * raise nothing then.  Cleared at the end of every transaction.
 */
extern bool event_backfill;

/* ---- announce.c ---- */

/* The setting makini.event_retention, an interval. */
extern char *makini_event_retention;

/* An event was written: wake, and announce, at commit. */
extern void event_noted(const pg_uuid_t *id, const char *type, const pg_uuid_t *connection);

/* What pg_notify says of one event, and of several. */
extern char *event_announcement(const pg_uuid_t *id, const char *type, const pg_uuid_t *connection);
extern char *event_announcement_of_many(int64 count, const pg_uuid_t *first, const pg_uuid_t *last);

/* pg_notify on makini's channel, by a sender inside a transaction; nothing unless makini.notify says "after". */
extern void event_announce_after(const char *announcement);

extern void event_init(void);

/* ---- condition.c ---- */

/*
 * A condition of makini itself that needs a person.  One event for each, by
 * component, code, affected and connection, and hour, however often it occurs.
 */
typedef struct SystemError
{
	const char		*component; /* "rule", "watch", "sync", ... */
	const char		*code;		/* an SQLSTATE, or a word */
	const char		*message;
	const char		*hint;		 /* or NULL */
	const pg_uuid_t *connection; /* or NULL */
	const char		*server;	 /* its name, or NULL */
	const char		*affected;	 /* what of the component, or NULL */
	TimestampTz		 from;		 /* the window of time it concerns, or 0 */
	TimestampTz		 to;
	Oid				 owner; /* who sees it where there is no connection */
} SystemError;

/* Never waits for another transaction that sees the same condition. */
extern void event_system_error(const SystemError *error);

/* ---- own.c ---- */

/* The "error" of an event's data; NULL members are null. */
typedef struct EventError
{
	const char *code;
	const char *message;
	int			http_status; /* 0: none */
	const char *hint;
	bool		retryable;
} EventError;

/*
 * connection.online, offline, auth_required, auth_expiring, auth_restored, deleted.
 * Which syncs it affects is looked up: with a role those that use its mapping.
 */
typedef struct ConnectionChange
{
	const char		 *type;
	pg_uuid_t		  connection;
	const char		 *server;
	const char		 *role; /* mapped role, "public" for PUBLIC's mapping; NULL for health */
	const char		 *from; /* or NULL */
	const char		 *to;
	const char		 *reason;
	const EventError *error; /* or NULL */
	TimestampTz		  since; /* 0: none */
	TimestampTz		  certificate_expires_at;
	Oid				  owner;
	const char		 *dedupe_key; /* or NULL */
} ConnectionChange;

extern void event_connection_change(const ConnectionChange *change);

/* sync.stale, or sync.fresh; run_id of the run that brought it, or 0. */
extern void event_sync_age(int64 sync_id, bool stale, int64 run_id);

/* api.deprecated, once for each path and number of days left that is told (-1: first sight). */
typedef struct ApiDeprecation
{
	pg_uuid_t	connection;
	const char *server;
	const char *path;
	TimestampTz deprecated_at; /* 0: not said */
	TimestampTz sunset_at;
	const char *link; /* or NULL */
	int			told; /* 90, 30, 7, 1, or -1 */
	TimestampTz now;
	Oid			owner;
} ApiDeprecation;

extern void event_api_deprecated(const ApiDeprecation *deprecation);

/* ---- outbox.c ---- */

/*
 * event_sequence_new
 *		Move up to limit committed events from the outbox into the log, in the
 *		order of occurred_at and event_id, each with the next number of its
 *		connection.  Called by a sender, connected to SPI and with the rights of
 *		the extension; the events are SPI_tuptable's rows then, with the columns
 *		below.  Several senders may call it at once.  Returns their number.
 *		Where fewer than limit came there may be one of a long transaction left
 *		that is found a second later: call it now and then.
 */
extern uint64 event_sequence_new(int limit);

/* Columns of SPI_tuptable after event_sequence_new(), from 1. */
enum EventColumn
{
	EVENT_COLUMN_ID = 1,
	EVENT_COLUMN_TYPE,
	EVENT_COLUMN_OCCURRED_AT,
	EVENT_COLUMN_CONNECTION,
	EVENT_COLUMN_OWNER_OID,
	EVENT_COLUMN_OWNER,
	EVENT_COLUMN_KEY,
	EVENT_COLUMN_SEQUENCE,
	EVENT_COLUMN_DATA
};

/*
 * event_purge
 *		Delete what is older than makini.event_retention, at most limit of each
 *		kind, in the caller's transaction.  Returns how many events went: as long
 *		as that is limit there may be more.
 */
extern int64 event_purge(int limit);

/* Events before this id are older than makini.event_retention. */
extern pg_uuid_t event_retention_id(void);

/*
 * May a role have an event delivered?  With a connection, who may use it; else
 * the owner and its members.
 */
extern bool event_deliverable(Oid role, const pg_uuid_t *connection, Oid owner);

/* ---- body.c ---- */

/* What a body says. */
typedef struct EventBody
{
	pg_uuid_t	event_id;
	const char *type;
	TimestampTz occurred_at;
	bool		has_connection;
	pg_uuid_t	connection;
	const char *server;	  /* the connection's server, or NULL */
	int64		sequence; /* 0: none */
	const char *data;	  /* JSON object */
} EventBody;

/*
 * event_body
 *		The bytes of a delivery in one API version, in CurrentMemoryContext.
 */
extern char *event_body(const EventBody *event, const char *api_version, const pg_uuid_t *instance);

/* A moment as bodies have it: RFC 3339, UTC, microseconds; "null" for 0.  With quotes. */
extern void event_append_moment(StringInfo text, TimestampTz moment);

/* Text as a JSON string; null for NULL. */
extern void event_append_text(StringInfo text, const char *value);

/* The same behind what makes it a member: ",\"name\":". */
extern void event_append_member(StringInfo text, const char *member, const char *value);

/* Raises 22023 unless it is a version that bodies can be made in. */
extern void event_check_api_version(const char *api_version);

/* ---- emit.c ---- */

/*
 * The id, stored, of a server's connection that the caller may use: 42704 where
 * there is none, 42501 without USAGE.
 */
extern pg_uuid_t event_connection(const char *server);

/* ---- instance.c ---- */

/*
 * The id of this installation: computed until a first sender has stored it,
 * from then on kept by dump and restore.
 */
extern pg_uuid_t instance_id(void);
extern pg_uuid_t instance_store(void);

/* ---- rehome.c ---- */

/*
 * event_rehome
 *		Make this database the home of rules, watches and events that came from
 *		elsewhere: find owners and tables by name, and put the rules in force.
 *		For activate_instance(), in its transaction, before the installation is
 *		at home; foreign: something came from elsewhere.
 */
extern void event_rehome(bool foreign);

#endif /* MAKINI_EVENT_H */
