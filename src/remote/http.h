/*-------------------------------------------------------------------------
 *
 * http.h
 *		One HTTP transfer: from a request to an answer or to what went wrong.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_HTTP_H
#define MAKINI_HTTP_H

#include "postgres.h"

#include "remote/remote.h"

typedef struct HttpTransfer HttpTransfer;

/* Where and how to connect. */
typedef struct HttpTarget
{
	const char *server_name;	 /* for the hints' ALTER SERVER; or NULL */
	int			connect_timeout; /* ms */
	int			request_timeout; /* ms */
	bool		allow_http;
	bool		allow_private;
	const char *ca_file; /* or NULL */
	const char *proxy;	 /* or NULL: none */
} HttpTarget;

/* What a transfer came to besides its answer. */
typedef struct HttpFacts
{
	long  status; /* 0: no answer */
	int64 bytes;  /* of the body as received */
	int64 elapsed_us;
	bool  unsent;	 /* nothing of the request can have reached the other side */
	bool  permanent; /* sending it again would end the same way */
} HttpFacts;

/* Whether a text can be a header or part of one. */
extern bool http_header_is_clean(const char *text);

/*
 * http_start
 *		Begin a transfer.  The strings of target and request must live until it
 *		is done.  authorization (or NULL) is the value of that header; it is
 *		copied and wiped when the transfer ends.  NULL: out of memory.
 */
extern HttpTransfer *http_start(const HttpTarget *target, const RemoteRequest *request,
								const char *authorization);

extern bool http_done(HttpTransfer *transfer);
extern void http_facts(HttpTransfer *transfer, HttpFacts *facts);

/*
 * http_answer
 *		The answer, its strings in CurrentMemoryContext, its body with the
 *		transfer.  NULL when there is none; fault then says why.
 */
extern RemoteResponse *http_answer(HttpTransfer *transfer, RemoteFault *fault);

/*
 * http_take
 *		What has come of a streamed body since the last time; valid until the
 *		next.  False when nothing has.
 */
extern bool http_take(HttpTransfer *transfer, const char **data, size_t *len);

/* Would http_take have something? */
extern bool http_has(const HttpTransfer *transfer);

/* Ends the transfer wherever it is.  Raises nothing. */
extern void http_free(HttpTransfer *transfer);

#endif /* MAKINI_HTTP_H */
