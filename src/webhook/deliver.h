/*-------------------------------------------------------------------------
 *
 * deliver.h
 *		What the files of the sender share: endpoints, messages, deliveries.
 *
 * A delivery's life within a sender:
 *
 *	  claimed (fanout.c, claim.c)      a slot of its endpoint is free
 *	------------------------------> ready ------------------------> in flight
 *	                                  ^                                |  answer, failure
 *	                                  | its transaction was            v
 *	                                  | rolled back: forgotten      finished
 *	                                                                   |  record.c
 *	                                                                   v
 *	                                               delivered, failed, or pending again
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_DELIVER_H
#define MAKINI_DELIVER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "lib/ilist.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

#include "webhook/filter.h"
#include "webhook/webhook.h"

#define LATENCY_BUCKETS 34
#define UUID_TEXT 37

/* ---- endpoint.c ---- */

/* A webhook as the sender has it: what its row says, and how it is doing. */
typedef struct Endpoint
{
	pg_uuid_t id; /* hash key, must be first */

	/* of its row; in context, which goes when the row changes */
	int			   version;
	MemoryContext  context;
	Oid			   owner;
	char		  *url;
	char		  *host; /* of the URL, without port */
	bool		   mail;
	char		 **events;
	int			   nevents;
	char		 **connections;
	int			   nconnections;
	char		 **headers; /* "name: value", may hold secrets */
	int			   nheaders;
	Filter		   filter;		  /* text NULL: none */
	char		  *filter_broken; /* why it is not asked; NULL: it is */
	char		  *api_version;
	WebhookOptions options;
	bool		   enabled;
	TimestampTz	   enabled_at;
	int			   nkeys;
	SignKey		   keys[WEBHOOK_MAX_SECRETS];
	TimestampTz	   key_ends[WEBHOOK_MAX_SECRETS]; /* DT_NOEND: never */

	/* how it is doing; some of it as its state row has it */
	bool		present;   /* there is a row of it */
	bool		disabling; /* to be disabled by the next transaction */
	char	   *disable_why;
	int			uses; /* deliveries that point here */
	int			in_flight;
	int			nready;
	dlist_head	ready;
	bool		backlog;	 /* more is due in the table than was taken */
	TimestampTz next_due;	 /* of what is in the table and not due yet */
	TimestampTz claim_floor; /* nothing is due before */
	TimestampTz paused_until;
	double		tokens;
	TimestampTz tokens_at;
	double		mean_ms;	/* of late */
	bool		recovered;	/* after a long time of failures: what waits is due at once */
	bool		unresolved; /* its name was not resolved in time, last */
	bool		state_dirty;
	TimestampTz state_written;
	TimestampTz last_success;
	TimestampTz last_failure;
	TimestampTz failing_since; /* 0: it isn't */
	int			failures;	   /* in a row */
	int			latency[LATENCY_BUCKETS];
} Endpoint;

/*
 * endpoints_refresh
 *		Read what changed, in a transaction, connected to SPI with the rights of
 *		the extension.  Returns whether anything did.
 */
extern bool endpoints_refresh(void);

/* Has anybody changed any?  Then they are stale. */
extern void endpoints_check(void);
extern void endpoints_forget(void);
extern bool endpoints_are_stale(void);

typedef void (*EndpointVisitor)(Endpoint *endpoint, void *arg);
extern void		 endpoints_visit(EndpointVisitor visit, void *arg);
extern Endpoint *endpoint_find(const pg_uuid_t *id);

/* One that is read for this once and not kept: for test_webhook(). */
extern Endpoint *endpoint_read(const pg_uuid_t *id);
extern void		 endpoint_release(Endpoint *endpoint);

/* How many deliveries more it may have in flight, and claimed in advance. */
extern int endpoint_room(const Endpoint *endpoint);
extern int endpoint_wants(Endpoint *endpoint, TimestampTz now);

/* Earliest time at which something may be done for it without anybody's doing. */
extern TimestampTz endpoint_next(const Endpoint *endpoint, TimestampTz now);

/* ---- latency.c ---- */

extern void latency_note(int *buckets, int ms);

/* ---- message.c ---- */

/* The bytes of an event; several deliveries may share it. */
typedef struct Message
{
	int		  uses;
	pg_uuid_t event_id;
	char	  id[UUID_TEXT];
	char	 *type;
	size_t	  len;
	char	 *body;
} Message;

/* An event as its row in the log has it. */
typedef struct EventRow
{
	pg_uuid_t	id;
	char	   *type;
	TimestampTz occurred_at;
	bool		has_connection;
	pg_uuid_t	connection;
	Oid			owner;
	char	   *key; /* or NULL */
	int64		sequence;
	Datum		data; /* jsonb */

	/* made when first asked for */
	bool		server_known;
	const char *server; /* or NULL */
	Message	   *message;
	char		message_version[16];
	bool		message_thin;
} EventRow;

/* Make a row of SPI_tuptable into an event; columns as in enum EventColumn, the first being column. */
extern void event_row_read(EventRow *event, uint64 row, int column);

/* Its connection's server, or NULL. */
extern const char *event_row_server(EventRow *event);

/* Its body in one API version, with these data. */
extern char *event_row_body(EventRow *event, const char *api_version, const char *data);

/* Keep the id of this installation, which bodies tell: from now on dump and restore don't change it. */
extern void webhook_store_instance(void);

/* The message of an event for an endpoint, one more use of it. */
extern Message *message_of(EventRow *event, const Endpoint *endpoint);
extern void		message_release(Message *message);

/* ---- transfer.c, mail.c ---- */

typedef struct Transfer Transfer;

/* What came of a request; texts in CurrentMemoryContext. */
typedef struct Outcome
{
	int			status; /* 0: no answer */
	bool		delivered;
	const char *error;		 /* or NULL */
	const char *response;	 /* or NULL */
	int64		retry_after; /* ms; -1: not said */
	TimestampTz started_at;
	int			duration_ms;
	bool		unresolved; /* the name was not resolved in time */
} Outcome;

/* NULL: out of memory, or of sockets. */
extern Transfer *transfer_start(const Endpoint *endpoint, Message *message, int64 number);
extern bool		 transfer_done(const Transfer *transfer);
extern void		 transfer_outcome(Transfer *transfer, Outcome *outcome);
extern void		 transfer_free(Transfer *transfer);

/* ---- deliveries ---- */

typedef enum DeliveryState
{
	DELIVERY_READY,
	DELIVERY_IN_FLIGHT,
	DELIVERY_FINISHED
} DeliveryState;

typedef enum DeliveryEnd
{
	END_ANSWERED,	 /* the outcome says */
	END_EVENT_GONE,	 /* the event is no longer kept */
	END_QUARANTINED, /* senders ended with it too often */
	END_UNSENT		 /* not tried after all: pending as before */
} DeliveryEnd;

/* malloc'd, as it outlives transactions. */
typedef struct Delivery
{
	dlist_node	  node;
	DeliveryState state;
	Endpoint	 *endpoint;
	Message		 *message; /* NULL: there is no event any more */
	pg_uuid_t	  event_id;
	int64		  number;
	char		 *ordering_key; /* or NULL */
	int			  attempts;		/* before this one */
	bool		  manual;
	bool		  suspect; /* it was in hand when a sender ended */
	TimestampTz	  lease_ends;
	TimestampTz	  started_at;
	Transfer	 *transfer;

	/* finished */
	DeliveryEnd end;
	Outcome		outcome;
} Delivery;

/*
 * delivery_claimed
 *		One that was claimed just now and is ready to be sent, at the end of the
 *		list.  The message, which may be NULL, is the delivery's from now on.
 */
extern Delivery *delivery_claimed(Endpoint *endpoint, Message *message, const pg_uuid_t *event_id,
								  TimestampTz now, dlist_head *claimed);
extern void		 delivery_set_state(Delivery *delivery, DeliveryState state);
extern void		 delivery_free(Delivery *delivery);

/* ---- fanout.c ---- */

/*
 * fanout
 *		Number at most limit new events and put a delivery of each into the table
 *		for every webhook that wants it, claimed as far as there is room.  Those
 *		are added to the list.  Returns the number of events; *refreshed: webhooks
 *		were others than they had been.
 */
extern int fanout(int limit, int64 sender, dlist_head *claimed, bool *refreshed);

extern bool pattern_matches(const char *pattern, const char *text);

/* ---- claim.c ---- */

/* Claim what is due, as far as there is room. */
extern void claim_due(int64 sender, dlist_head *claimed);

/* Is something due that there is room for? */
extern bool claim_is_due(TimestampTz now);

/* Claim one of those that were in hand when a sender ended. */
extern void claim_suspect(int64 sender, dlist_head *claimed);
extern bool claim_has_suspects(void);

/* Take from senders that are gone; clear away what dropped webhooks left; put stuck groups in line: true where one stays stuck for now. */
extern bool claim_sweep(int64 sender);

/*
 * Behind "WITH first AS (...)", the deliveries that are first of their
 * ordering_key and wait all the same: makes them due, and says whether some could
 * not be, because a transaction that is open holds them.
 */
#define CLAIM_PUT_FIRST                                                                            \
	", free AS (SELECT d.event_id, d.webhook_id FROM makini._delivery d, first"                    \
	"  WHERE d.event_id = first.event_id AND d.webhook_id = first.webhook_id"                      \
	"  FOR UPDATE OF d SKIP LOCKED),"                                                              \
	" put AS (UPDATE makini._delivery d SET next_attempt_at = pg_catalog.clock_timestamp()"        \
	"  FROM free WHERE d.event_id = free.event_id AND d.webhook_id = free.webhook_id RETURNING 1)" \
	" SELECT (SELECT count(*) FROM first) > (SELECT count(*) FROM put)"

/* When the lease of a delivery claimed now ends. */
extern TimestampTz claim_lease(const Endpoint *endpoint, TimestampTz now);

/* The next n numbers of a webhook's deliveries: the last of them. */
extern int64 claim_numbers(const Endpoint *endpoint, int n);

/* A number for this process, which others can tell is alive. */
extern int64 claim_register_sender(void);

/* ---- record.c ---- */

/* Write what came of the deliveries of a list, which stays as it is.  True: a group is stuck for now. */
extern bool record_finished(dlist_head *finished, int64 sender);

/* A suspect that lives for a while was not why a sender ended. */
extern void record_acquitted(const Delivery *delivery);

/* Write how endpoints are doing: all that changed, or those that were not written of late. */
extern void record_states(bool all);

/* What an outcome means for its endpoint, in memory; once for each. */
extern void record_note(Endpoint *endpoint, const Outcome *outcome);

/* Prepare a statement of a sender once. */
extern SPIPlanPtr sender_plan(SPIPlanPtr *plan, const char *statement, int nargs, Oid *types);

#endif /* MAKINI_DELIVER_H */
