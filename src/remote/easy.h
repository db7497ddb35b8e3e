/*-------------------------------------------------------------------------
 *
 * easy.h
 *		What everything that makini sends over libcurl holds to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_EASY_H
#define MAKINI_EASY_H

#include "postgres.h"

#include <curl/curl.h>

#include "remote/reactor.h"

/* Why a callback stopped a transfer. */
typedef enum EasyStop
{
	EASY_STOP_NONE,
	EASY_STOP_PRIVATE, /* the address guard */
	EASY_STOP_HEADERS,
	EASY_STOP_BODY,		 /* larger than is taken */
	EASY_STOP_INFLATION, /* more out of it than can be meant */
	EASY_STOP_ENOUGH,	 /* of the body was read; what came of it counts */
	EASY_STOP_MEMORY
} EasyStop;

/*
 * The part of a transfer that is every transfer's; whoever sends puts it first
 * in a struct of its own.  malloc'd and zeroed: libcurl may write into it at any
 * moment until it is released.
 */
typedef struct Easy
{
	ReactorJob		   job; /* must be first */
	struct curl_slist *headers;
	bool			   guarded; /* speak to public addresses only */
	/* and to these private ones; NULL: to none */
	bool (*permits)(const struct Easy *easy, const struct sockaddr *address);
	EasyStop stop;
	bool	 connected; /* the request may have been sent */
	size_t	 header_bytes;
	int		 header_count;
	char	 address[64]; /* what the guard refused */
	char	 error[CURL_ERROR_SIZE];
} Easy;

/*
 * easy_prepare
 *		Tell the handle what holds for every protocol.  Both callbacks get the
 *		Easy; they take notes and never raise.
 */
extern void easy_prepare(Easy *easy, curl_write_callback on_body, curl_write_callback on_header);

/* And what holds for HTTP; the URL is copied, the headers are those added so far. */
extern void easy_set_http(Easy *easy, const char *url, bool allow_http, const char *ca_file);

/* False: out of memory.  Headers may hold secrets: they are wiped at the end. */
extern bool easy_add_header(Easy *easy, const char *header);

/* One more header line of the answer has come; false: too much of them, stop. */
extern bool easy_count_header(Easy *easy, size_t len);

/* Where the value of a header line begins when its name is this one, and its length; or NULL. */
extern const char *easy_header_value(const char *line, size_t len, const char *name, size_t *value_len);

/* What libcurl says of a transfer that failed; valid as long as the Easy. */
extern const char *easy_error(const Easy *easy);

/* Take a transfer out of the reactor wherever it is, and wipe its headers. */
extern void easy_release(Easy *easy);

#endif /* MAKINI_EASY_H */
