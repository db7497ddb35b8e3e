/*-------------------------------------------------------------------------
 *
 * http.c
 *		One HTTP transfer: from a request to an answer or to what went wrong.
 *
 * Everything that libcurl is told stands in easy.c and set_options(); everything
 * it gives back comes through callbacks, which hold the caps of an answer while it
 * streams and note why they stopped it.
 *
 * What an answer means is not known here, nor when to send again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "remote/easy.h"
#include "remote/http.h"
#include "remote/retry.h"
#include "remote/url.h"

#define MAX_BODY (64 * 1024 * 1024)
#define MAX_INFLATION 200
#define INFLATION_FREE (8 * 1024 * 1024) /* below this any ratio will do */
#define RECEIVE_BUFFER (512 * 1024L)
#define FIRST_BODY (64 * 1024)
#define MAX_IDLE_BUFFERS 4
#define MAX_IDLE_BUFFER (4 * 1024 * 1024) /* larger ones are not kept */
#define STREAM_WINDOW (1024 * 1024)		  /* of a streamed body, waiting to be taken */

typedef struct Buffer
{
	char  *data;
	size_t len;
	size_t size; /* always more than len: room for the NUL */
} Buffer;

struct HttpTransfer
{
	Easy		easy; /* must be first */
	HttpTarget	target;
	const char *url;
	Buffer		body;
	bool		streamed;	  /* a good answer's body is taken while it comes */
	bool		streaming;	  /* and this is one */
	bool		paused;		  /* until some of it was taken */
	Buffer		taken;		  /* streamed: what was taken last */
	size_t		received;	  /* streamed: all of the body so far */
	bool		refused_http; /* plain http without permission: never begun */
	HttpFacts	facts;
	char	   *content_type;
	char	   *location;
	char	   *retry_after;
	char	   *operation_id;
	char	   *date;
	char	   *deprecation;
	char	   *sunset;
	char	   *link;
};

/* Buffers of finished transfers, for the next ones. */
static Buffer idle_buffers[MAX_IDLE_BUFFERS];
static int	  nidle_buffers = 0;

/* ---- body buffers ---- */

static bool
buffer_take(Buffer *buffer)
{
	if (nidle_buffers > 0)
		*buffer = idle_buffers[--nidle_buffers];
	else
	{
		buffer->data = malloc(FIRST_BODY);
		buffer->size = FIRST_BODY;
	}
	buffer->len = 0;
	return buffer->data != NULL;
}

static void
buffer_give(Buffer *buffer)
{
	if (buffer->data == NULL)
		return;
	if (nidle_buffers < MAX_IDLE_BUFFERS && buffer->size <= MAX_IDLE_BUFFER)
		idle_buffers[nidle_buffers++] = *buffer;
	else
		free(buffer->data);
	buffer->data = NULL;
}

static bool
buffer_append(Buffer *buffer, const char *data, size_t len)
{
	if (buffer->len + len >= buffer->size)
	{
		size_t size = buffer->size;
		char  *grown;

		while (size <= buffer->len + len)
			size *= 2;
		grown = realloc(buffer->data, size);
		if (grown == NULL)
			return false;
		buffer->data = grown;
		buffer->size = size;
	}
	memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
	return true;
}

/* ---- callbacks: take notes, never raise ---- */

/* Good answers only: others are small and looked at as a whole. */
static bool
is_streaming(HttpTransfer *transfer)
{
	long status = 0;

	if (transfer->streamed && !transfer->streaming)
	{
		curl_easy_getinfo(transfer->easy.job.handle, CURLINFO_RESPONSE_CODE, &status);
		transfer->streaming = status >= 200 && status < 300;
	}
	return transfer->streaming;
}

static bool
inflates_too_much(HttpTransfer *transfer, size_t len)
{
	curl_off_t received = 0;

	if (len <= INFLATION_FREE)
		return false;
	curl_easy_getinfo(transfer->easy.job.handle, CURLINFO_SIZE_DOWNLOAD_T, &received);
	return (curl_off_t) len > MAX_INFLATION * received;
}

static size_t
on_body(char *data, size_t one, size_t len, void *arg)
{
	HttpTransfer *transfer = arg;
	Buffer		 *body = &transfer->body;

	if (is_streaming(transfer) && body->len >= STREAM_WINDOW)
	{
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (!transfer->streaming && body->len + len > MAX_BODY)
	{
		transfer->easy.stop = EASY_STOP_BODY;
		return 0;
	}
	if (inflates_too_much(transfer, transfer->received + len))
	{
		transfer->easy.stop = EASY_STOP_INFLATION;
		return 0;
	}
	transfer->received += len;
	if (!buffer_append(body, data, len))
	{
		transfer->easy.stop = EASY_STOP_MEMORY;
		return 0;
	}
	return len;
}

/* A copy of the value of a header line when its name is the one asked for, else NULL. */
static char *
header_value(const char *line, size_t len, const char *name)
{
	size_t		value_len;
	const char *found = easy_header_value(line, len, name, &value_len);

	return found != NULL ? strndup(found, value_len) : NULL;
}

/* Of a header that comes twice the last counts. */
static void
keep_header(const char *line, size_t len, const char *name, char **value)
{
	char *found = header_value(line, len, name);

	if (found == NULL)
		return;
	free(*value);
	*value = found;
}

/* Of one that is a list, all do. */
static void
keep_list(const char *line, size_t len, const char *name, char **value)
{
	char  *more = header_value(line, len, name);
	char  *both;
	size_t size;

	if (more == NULL || *value == NULL)
	{
		*value = more != NULL ? more : *value;
		return;
	}
	size = strlen(*value) + strlen(more) + 3;
	both = malloc(size);
	if (both != NULL)
	{
		snprintf(both, size, "%s, %s", *value, more);
		free(*value);
		*value = both;
	}
	free(more);
}

static size_t
on_header(char *line, size_t one, size_t len, void *arg)
{
	HttpTransfer *transfer = arg;

	if (!easy_count_header(&transfer->easy, len))
		return 0;
	keep_header(line, len, "content-type", &transfer->content_type);
	keep_header(line, len, "location", &transfer->location);
	keep_header(line, len, "retry-after", &transfer->retry_after);
	keep_header(line, len, "x-n-operationid", &transfer->operation_id);
	keep_header(line, len, "date", &transfer->date);
	keep_header(line, len, "deprecation", &transfer->deprecation);
	keep_header(line, len, "sunset", &transfer->sunset);
	keep_list(line, len, "link", &transfer->link);
	return len;
}

/* ---- starting ---- */

bool
http_header_is_clean(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if (((unsigned char) *text < ' ' && *text != '\t') || *text == 0x7f)
			return false;
	}
	return true;
}

static bool
add_headers(HttpTransfer *transfer, const RemoteRequest *request, const char *authorization)
{
	ListCell *cell;

	/* never wait for a "100 Continue" */
	if (!easy_add_header(&transfer->easy, "Expect:"))
		return false;
	foreach(cell, request->headers)
	{
		if (!easy_add_header(&transfer->easy, lfirst(cell)))
			return false;
	}
	if (authorization != NULL)
	{
		size_t len = strlen(authorization) + 17;
		char  *header = malloc(len);
		bool   added;

		if (header == NULL)
			return false;
		snprintf(header, len, "Authorization: %s", authorization);
		added = easy_add_header(&transfer->easy, header);
		explicit_bzero(header, len);
		free(header);
		return added;
	}
	return true;
}

static void
set_method(CURL *handle, const RemoteRequest *request)
{
	if (strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
	else if (strcmp(request->method, "GET") != 0 || request->body != NULL)
	{
		bool bare = request->body == NULL && strcmp(request->method, "POST") != 0;

		if (!bare)
		{
			curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
							 (curl_off_t) (request->body != NULL ? request->body_len : 0));
			curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body != NULL ? request->body : "");
		}
		if (strcmp(request->method, "POST") != 0)
			curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
	}

	/*
	 * libcurl silently sends again what it sent over a kept connection that
	 * turns out to be closed.  A request that may go out only once gets a
	 * connection of its own.
	 */
	if (!request->repeatable)
		curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
}

static void
set_connection(CURL *handle, const HttpTarget *target)
{
	if (target->proxy != NULL)
		curl_easy_setopt(handle, CURLOPT_PROXY, target->proxy);
	curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long) target->connect_timeout);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
					 (long) target->connect_timeout + (long) target->request_timeout);
	if (reactor_is_stale())
	{
		curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, 1L);
	}
}

static void
set_options(HttpTransfer *transfer, const RemoteRequest *request)
{
	CURL			 *handle = transfer->easy.job.handle;
	const HttpTarget *target = &transfer->target;

	easy_prepare(&transfer->easy, on_body, on_header);
	easy_set_http(&transfer->easy, request->url, target->allow_http, target->ca_file);
	set_method(handle, request);
	set_connection(handle, target);
	curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	if (!transfer->streamed)
	{
		curl_easy_setopt(handle, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) MAX_BODY);
		return;
	}

	/* Who takes the body may take its time; who sends it may not. */
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 0L);
	curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, (long) (target->request_timeout + 999) / 1000);
}

HttpTransfer *
http_start(const HttpTarget *target, const RemoteRequest *request, const char *authorization)
{
	HttpTransfer *transfer = calloc(1, sizeof(HttpTransfer));

	if (transfer == NULL)
		return NULL;
	transfer->target = *target;
	transfer->url = request->url;
	transfer->streamed = request->streamed;

	/* behind a proxy the address is the proxy's, which a superuser chose */
	transfer->easy.guarded = !target->allow_private && target->proxy == NULL;

	if (!target->allow_http && pg_strncasecmp(request->url, "https://", 8) != 0)
	{
		transfer->refused_http = true;
		transfer->easy.job.done = true;
		transfer->easy.job.result = CURLE_UNSUPPORTED_PROTOCOL;
		return transfer;
	}

	transfer->easy.job.handle = reactor_take_handle();
	if (transfer->easy.job.handle == NULL || !buffer_take(&transfer->body) ||
		(transfer->streamed && !buffer_take(&transfer->taken)) ||
		!add_headers(transfer, request, authorization))
	{
		http_free(transfer);
		return NULL;
	}
	set_options(transfer, request);
	if (!reactor_add(&transfer->easy.job))
	{
		http_free(transfer);
		return NULL;
	}
	return transfer;
}

/* ---- ending ---- */

/* Takes what is worth knowing out of the handle and gives that back. */
static void
settle(HttpTransfer *transfer)
{
	CURL	  *handle = transfer->easy.job.handle;
	curl_off_t bytes = 0;
	curl_off_t elapsed = 0;

	if (handle == NULL)
		return;
	curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &transfer->facts.status);
	curl_easy_getinfo(handle, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
	curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME_T, &elapsed);
	transfer->facts.bytes = bytes;
	transfer->facts.elapsed_us = elapsed;
	easy_release(&transfer->easy);
	if (transfer->easy.job.result == CURLE_FILESIZE_EXCEEDED)
		transfer->easy.stop = EASY_STOP_BODY;
	if (transfer->body.data != NULL)
		transfer->body.data[transfer->body.len] = '\0';
}

bool
http_done(HttpTransfer *transfer)
{
	if (!transfer->easy.job.done)
		return false;
	settle(transfer);
	return true;
}

void
http_free(HttpTransfer *transfer)
{
	reactor_remove(&transfer->easy.job);
	settle(transfer);
	easy_release(&transfer->easy);
	buffer_give(&transfer->body);
	buffer_give(&transfer->taken);
	free(transfer->content_type);
	free(transfer->location);
	free(transfer->retry_after);
	free(transfer->operation_id);
	free(transfer->date);
	free(transfer->deprecation);
	free(transfer->sunset);
	free(transfer->link);
	free(transfer);
}

/* ---- saying what went wrong ---- */

static char *
host_of(const char *text)
{
	const char *p = strstr(text, "://");

	p = p != NULL ? p + 3 : text;
	return pnstrdup(p, strcspn(p, "/?#"));
}

static const char *
hint_alter_server(const HttpTransfer *transfer, const char *option)
{
	if (transfer->target.server_name == NULL)
		return NULL;
	return psprintf("A superuser can allow it: ALTER SERVER %s OPTIONS (ADD %s 'true');",
					quote_identifier(transfer->target.server_name), option);
}

static void
explain_stop(const HttpTransfer *transfer, RemoteFault *fault)
{
	switch (transfer->easy.stop)
	{
		case EASY_STOP_NONE:
		case EASY_STOP_ENOUGH:
			break;
		case EASY_STOP_PRIVATE:
			fault->sqlstate = ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
			fault->message = psprintf("host \"%s\" has the address %s, which is not a public one",
									  host_of(transfer->url), transfer->easy.address);
			fault->hint = hint_alter_server(transfer, "allow_private");
			break;
		case EASY_STOP_BODY:
			fault->message = psprintf("the answer of \"%s\" is larger than %d MB",
									  host_of(transfer->url), MAX_BODY / 1024 / 1024);
			fault->hint = "Ask for fewer rows or columns at once.";
			break;
		case EASY_STOP_INFLATION:
			fault->message = psprintf("the answer of \"%s\" inflates to more than %d times its size",
									  host_of(transfer->url), MAX_INFLATION);
			fault->hint = "An answer compressed that much is taken for an attack or a defect of a "
						  "proxy in between.";
			break;
		case EASY_STOP_HEADERS:
			fault->message = psprintf("the answer of \"%s\" has too many or too large headers",
									  host_of(transfer->url));
			fault->hint = "Look for a proxy in between that adds them.";
			break;
		case EASY_STOP_MEMORY:
			fault->sqlstate = ERRCODE_OUT_OF_MEMORY;
			fault->message = "out of memory";
			break;
	}
}

static void
explain_tls(const HttpTransfer *transfer, RemoteFault *fault)
{
	fault->sqlstate = ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
	fault->message =
		psprintf("could not establish a TLS connection to \"%s\"", host_of(transfer->url));
	fault->remote_message = transfer->easy.error[0] != '\0' ? pstrdup(transfer->easy.error) : NULL;
	fault->hint = "If the certificate is signed by an authority of your own, name its certificate "
				  "in the server option \"ca_file\"; otherwise check the host name, the proxy and "
				  "this machine's clock.";
}

static void
explain_timeout(const HttpTransfer *transfer, RemoteFault *fault)
{
	if (!transfer->easy.connected)
	{
		fault->sqlstate = ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
		fault->message = psprintf("could not connect to \"%s\" within %d ms",
								  host_of(transfer->url), transfer->target.connect_timeout);
		fault->hint = "Check the host name, the network and the server option \"connect_timeout\".";
	}
	else
	{
		fault->sqlstate = ERRCODE_CONNECTION_FAILURE;
		fault->message = psprintf("\"%s\" did not answer completely within %d ms",
								  host_of(transfer->url), transfer->target.request_timeout);
		fault->hint = "Ask for less at once, or raise the server option \"request_timeout\".";
	}
}

static void
explain_result(const HttpTransfer *transfer, RemoteFault *fault)
{
	const char *host = host_of(transfer->url);

	switch (transfer->easy.job.result)
	{
		case CURLE_UNSUPPORTED_PROTOCOL:
		case CURLE_URL_MALFORMAT:
			fault->message = psprintf("could not use the URL of \"%s\"", host);
			fault->hint = "Only http and https URLs without credentials can be used.";
			break;
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
			fault->message = psprintf("could not resolve the host name of \"%s\"", host);
			fault->hint = "Check the server options for a misspelt account or host, and this "
						  "machine's name resolution.";
			break;
		case CURLE_COULDNT_CONNECT:
			fault->message = psprintf("could not connect to \"%s\"", host);
			fault->hint = "Check the host, the port, the firewall and the server option \"proxy\".";
			break;
		default:
			fault->sqlstate = ERRCODE_CONNECTION_FAILURE;
			fault->message =
				psprintf("the connection to \"%s\" broke before the answer was complete", host);
			fault->hint = "This is usually passing trouble of the network or the other side; try "
						  "again.";
			break;
	}
	fault->remote_message = pstrdup(easy_error(&transfer->easy));
}

static bool
is_tls_error(CURLcode result)
{
	switch (result)
	{
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_USE_SSL_FAILED:
			return true;
		default:
			return false;
	}
}

static void
explain(const HttpTransfer *transfer, RemoteFault *fault)
{
	CURLcode result = transfer->easy.job.result;

	memset(fault, 0, sizeof(*fault));
	fault->cls = REMOTE_RETRY;
	fault->sqlstate = ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
	fault->http_status = transfer->facts.status;

	if (transfer->refused_http)
	{
		fault->message = psprintf("plain http to \"%s\" is not allowed", host_of(transfer->url));
		fault->hint = hint_alter_server(transfer, "allow_http");
	}
	else if (transfer->easy.stop != EASY_STOP_NONE)
	{
		fault->cls = REMOTE_BROKEN;
		fault->sqlstate = ERRCODE_FDW_ERROR;
		explain_stop(transfer, fault);
	}
	else if (is_tls_error(result))
		explain_tls(transfer, fault);
	else if (result == CURLE_OPERATION_TIMEDOUT)
		explain_timeout(transfer, fault);
	else if (result == CURLE_OUT_OF_MEMORY)
	{
		fault->sqlstate = ERRCODE_OUT_OF_MEMORY;
		fault->message = "out of memory";
	}
	else
		explain_result(transfer, fault);
}

void
http_facts(HttpTransfer *transfer, HttpFacts *facts)
{
	CURLcode result = transfer->easy.job.result;

	*facts = transfer->facts;
	facts->unsent = !transfer->easy.connected;
	facts->permanent = transfer->refused_http || transfer->easy.stop != EASY_STOP_NONE ||
		result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_URL_MALFORMAT ||
		result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE;
}

/* ---- the answer ---- */

static char *
copy_or_null(const char *text)
{
	return text != NULL ? pstrdup(text) : NULL;
}

static TimestampTz
parse_date(const char *text)
{
	time_t date = text != NULL ? http_date_parse(text) : -1;

	return date < 0 ? 0 : time_t_to_timestamptz(date);
}

RemoteResponse *
http_answer(HttpTransfer *transfer, RemoteFault *fault)
{
	RemoteResponse *response;

	if (transfer->easy.job.result != CURLE_OK || transfer->easy.stop != EASY_STOP_NONE)
	{
		explain(transfer, fault);
		return NULL;
	}
	response = palloc0(sizeof(RemoteResponse));
	response->status = transfer->facts.status;
	response->body = transfer->streaming ? pstrdup("") : transfer->body.data;
	response->body_len = transfer->streaming ? 0 : transfer->body.len;
	response->content_type = transfer->content_type != NULL ? pstrdup(transfer->content_type) : "";
	response->location = copy_or_null(transfer->location);
	response->retry_after = copy_or_null(transfer->retry_after);
	response->operation_id = copy_or_null(transfer->operation_id);
	response->date = parse_date(transfer->date);
	response->deprecation = copy_or_null(transfer->deprecation);
	response->sunset = copy_or_null(transfer->sunset);
	response->link = copy_or_null(transfer->link);
	return response;
}

bool
http_has(const HttpTransfer *transfer)
{
	return transfer->streaming && transfer->body.len > 0;
}

bool
http_take(HttpTransfer *transfer, const char **data, size_t *len)
{
	Buffer full = transfer->body;

	if (!http_has(transfer))
		return false;
	transfer->body = transfer->taken;
	transfer->body.len = 0;
	transfer->taken = full;
	*data = full.data;
	*len = full.len;

	/* this may bring more at once */
	if (transfer->paused && transfer->easy.job.running)
	{
		transfer->paused = false;
		(void) curl_easy_pause(transfer->easy.job.handle, CURLPAUSE_CONT);
	}
	return true;
}
