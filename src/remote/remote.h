/*-------------------------------------------------------------------------
 *
 * remote.h
 *		What the rest of makini may ask of the network.
 *
 * A call is one logical request: it waits for a slot of the governor, gets
 * itself a token, is sent, is classified by the connector's own function, and
 * is sent again when that says so.  Several calls may be in flight at once;
 * they advance only while somebody waits for one of them or calls
 * remote_poll().  Nothing here knows entities, tables or SQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_REMOTE_H
#define MAKINI_REMOTE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "remote/credential.h"

/* 18's own; compilers take the attribute in the same place. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* What an answer means; decided by the connector, acted upon by call.c. */
typedef enum RemoteClass
{
	REMOTE_OK,		  /* use it */
	REMOTE_RETRY,	  /* passing trouble: back off and send again */
	REMOTE_THROTTLED, /* too many at once: slow everybody down */
	REMOTE_AUTH,	  /* credentials refused: renew once, then fail */
	REMOTE_DENIED,	  /* this role may not: fail */
	REMOTE_REJECTED,  /* the request itself is wrong: fail */
	REMOTE_BROKEN	  /* the answer makes no sense: fail */
} RemoteClass;

/* Who a request is made for; the two lanes of the governor and the counters' used_by. */
typedef enum RemoteUse
{
	REMOTE_USE_SCAN,
	REMOTE_USE_SYNC,
	REMOTE_USE_WRITE,
	REMOTE_USE_PROBE
} RemoteUse;

/*
 * What went wrong, in the terms of PostgreSQL.  Strings live in the memory
 * context of the call.  message is PostgreSQL's primary message; remote_code
 * and remote_message are what the other side said and go into DETAIL.
 */
typedef struct RemoteFault
{
	RemoteClass cls;
	int			sqlstate;
	long		http_status; /* 0: no HTTP answer at all */
	const char *message;
	const char *remote_code;	/* or NULL */
	const char *remote_message; /* or NULL */
	const char *operation_id;	/* or NULL */
	const char *hint;			/* or NULL */
	const char *column;			/* that the other side does not know, or NULL */
	const char *path;			/* of the request, without its query; set by call.c */
} RemoteFault;

/*
 * An answer.  The body is NUL-terminated, belongs to the call and may be
 * written to: page decoding works in place.
 */
typedef struct RemoteResponse
{
	long		status;
	char	   *body;
	size_t		body_len;
	const char *content_type; /* "" when absent */
	const char *location;	  /* or NULL */
	const char *retry_after;  /* or NULL */
	const char *operation_id; /* x-n-operationid, or NULL */
	TimestampTz date;		  /* the Date header, 0 when absent or unreadable */
	const char *deprecation;  /* or NULL, like those below: see deprecation_header.h */
	const char *sunset;
	const char *link;
} RemoteResponse;

typedef struct RemoteRequest
{
	const char *method;
	const char *url;  /* absolute */
	const char *body; /* or NULL */
	size_t		body_len;
	List	   *headers;	/* of char *: "name: value", never secrets */
	bool		repeatable; /* may be sent again when its outcome is unknown */
	bool		anonymous;	/* send without credentials (token endpoint, server time) */
	bool		streamed;	/* a good answer is read with remote_call_read(), not kept */
} RemoteRequest;

/* Counters of one scan, run or function call; EXPLAIN (ANALYZE) shows them. */
typedef struct RemoteUsage
{
	int64 requests; /* tries put on the wire, token requests not among them */
	int64 retries;
	int64 throttled;
	int64 bytes;   /* of bodies as received, before inflation */
	int64 wait_us; /* time this process waited */
} RemoteUsage;

/*
 * The other side, as one server and one user mapping describe it.  Built by
 * connector/connection.c; the pointers live as long as the connection.
 */
typedef struct RemoteEndpoint
{
	Oid			 serverid;
	Oid			 umid; /* InvalidOid: no mapping */
	const char	*server_name;
	const char	*account;  /* NULL where the host alone is the account */
	const char	*base_url; /* no trailing slash */
	int			 max_concurrency;
	int			 sync_concurrency;
	int			 connect_timeout; /* ms */
	int			 request_timeout; /* ms, from first byte sent to last received */
	int			 max_retries;
	bool		 allow_http;
	bool		 allow_private;
	const char	*ca_file; /* or NULL */
	const char	*proxy;	  /* or NULL: none, whatever the environment says */
	RemoteUse	 use;
	bool		 recorded;	  /* the outcome of a probe counts as well */
	char		 version[32]; /* of server and mapping: changes with either */
	Credential	*credential;
	RemoteUsage *usage;	 /* counted here, or NULL */
	int64		*budget; /* requests left for this statement, or NULL: no limit */

	/*
	 * Says what an answer means and, unless it is REMOTE_OK, why.  Must not
	 * raise; allocates in CurrentMemoryContext.
	 */
	RemoteClass (*classify)(const RemoteResponse *response, RemoteFault *fault);
} RemoteEndpoint;

typedef struct RemoteCall RemoteCall;

/*
 * remote_call_start
 *		Begin a call.  Strings of the request are copied.  The call belongs to
 *		CurrentMemoryContext: resetting it cancels the transfer and gives the
 *		slot back.  Raises 53400 when the statement's budget is used up.
 */
extern RemoteCall *remote_call_start(RemoteEndpoint *endpoint, const RemoteRequest *request);

/* Wait, interruptibly, until one of n calls is finished; returns its index. */
extern int remote_call_wait_any(RemoteCall **calls, int n);

/* Let calls in flight advance without waiting. */
extern void remote_poll(void);

extern bool remote_call_done(RemoteCall *call);

/* Wait for one call; NULL when it ended well, else what went wrong. */
extern RemoteFault *remote_call_fault(RemoteCall *call);

/*
 * remote_call_read
 *		More of the body of a streamed call, of any length, valid until the next
 *		call of this; false at its end.  Raises what went wrong once all that
 *		came before has been read.  An answer that is not a good one has no body
 *		here.  The total time of such an answer is not limited, only the time
 *		without a byte.
 */
extern bool remote_call_read(RemoteCall *call, const char **data, size_t *len);

/*
 * remote_call_wait_data waits until remote_call_read need not; it raises nothing
 * but cancellation.  remote_call_take is remote_call_read that neither waits nor
 * raises: false says that there is nothing now.
 */
extern void remote_call_wait_data(RemoteCall *call);
extern bool remote_call_take(RemoteCall *call, const char **data, size_t *len);

/* Wait for one call and give its answer, or raise what went wrong. */
extern RemoteResponse *remote_call_result(RemoteCall *call);

extern void remote_call_free(RemoteCall *call);

/*
 * What the other side said, fit to be shown: of this database's encoding,
 * without control characters.  NULL gives NULL.
 */
extern const char *remote_presentable(const char *text);

/*
 * remote_clean_text
 *		What the other side said, valid UTF-8, made fit to be repeated: of
 *		limited length, without control characters and tokens, in the database's
 *		encoding.
 */
extern char *remote_clean_text(const char *text);

/* Raise a fault as an ERROR in the form of INTERFACE.md section 6. */
pg_noreturn extern void remote_raise(const RemoteFault *fault, const RemoteEndpoint *endpoint);

/* start + result in one; the body stays valid until CurrentMemoryContext is reset. */
extern RemoteResponse *remote_request(RemoteEndpoint *endpoint, const RemoteRequest *request);

#endif /* MAKINI_REMOTE_H */
