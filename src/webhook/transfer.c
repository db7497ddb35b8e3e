/*-------------------------------------------------------------------------
 *
 * transfer.c
 *		One request to a webhook.
 *
 * Unlike src/remote/http.c, which fetches pages for one reader, this sends small
 * messages by the hundred: small buffers, connections kept alive, answers of
 * which little is read.  What both hold is the same: addresses are judged when
 * a socket is opened for them, redirects are not followed, nothing of the
 * environment counts, callbacks only take notes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>

#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "remote/guard.h"
#include "remote/reactor.h"
#include "remote/retry.h"
#include "webhook/allow.h"
#include "webhook/deliver.h"
#include "webhook/transfer.h"

#define MAX_RESPONSE 20000
#define KEPT_OF_SUCCESS 1000
#define MAX_HEADER_BYTES (64 * 1024)
#define BUFFER_BYTES (16 * 1024L)
#define CONNECT_TIMEOUT_MS 10000

/* ---- callbacks: take notes, never raise ---- */

static bool
keep(Transfer *transfer, const char *data, size_t len)
{
	if (transfer->response_len + len >= transfer->response_size)
	{
		size_t size = Max(transfer->response_len + len + 1, 512);
		char  *grown = realloc(transfer->response, size);

		if (grown == NULL)
			return false;
		transfer->response = grown;
		transfer->response_size = size;
	}
	memcpy(transfer->response + transfer->response_len, data, len);
	transfer->response_len += len;
	return true;
}

/* What comes after the cap is not waited for: the status is known by then. */
static size_t
on_body(char *data, size_t one, size_t len, void *arg)
{
	Transfer *transfer = arg;
	size_t	  room = MAX_RESPONSE - transfer->response_len;

	if (!keep(transfer, data, Min(len, room)))
	{
		transfer->stop = TRANSFER_STOP_MEMORY;
		return 0;
	}
	if (len > room)
	{
		transfer->stop = TRANSFER_STOP_ENOUGH;
		return 0;
	}
	return len;
}

static size_t
on_header(char *line, size_t one, size_t len, void *arg)
{
	static const char name[] = "retry-after:";
	Transfer		 *transfer = arg;
	char			  text[64];

	transfer->header_bytes += len;
	if (transfer->header_bytes > MAX_HEADER_BYTES)
	{
		transfer->stop = TRANSFER_STOP_HEADERS;
		return 0;
	}
	if (len > sizeof(name) - 1 && pg_strncasecmp(line, name, sizeof(name) - 1) == 0)
	{
		snprintf(text, sizeof(text), "%.*s", (int) (len - sizeof(name) + 1), line + sizeof(name) - 1);
		for (size_t i = strlen(text);
			 i > 0 && (text[i - 1] == '\r' || text[i - 1] == '\n' || text[i - 1] == ' ');)
			text[--i] = '\0';
		transfer->retry_after = retry_after_parse(text + strspn(text, " \t"), time(NULL));
	}
	return len;
}

static void
refuse_address(Transfer *transfer, const char *address)
{
	transfer->stop = TRANSFER_STOP_PRIVATE;
	strlcpy(transfer->address, address, sizeof(transfer->address));
}

/* A socket is opened for the address a name turned out to have: here the guard stands. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	Transfer *transfer = arg;
	char	  text[64];

	if (transfer->guarded && guard_address_is_private(&address->addr) &&
		!allow_matches(webhook_allowed_hosts, transfer->host, &address->addr))
	{
		guard_format_address(&address->addr, text, sizeof(text));
		refuse_address(transfer, text);
		return CURL_SOCKET_BAD;
	}
	return reactor_open_socket(address);
}

/* A connection is about to be used, perhaps one that another webhook's request opened. */
static int
on_ready(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	Transfer *transfer = arg;

	if (transfer->guarded && guard_text_is_private(remote_ip) &&
		!allow_matches_text(webhook_allowed_hosts, transfer->host, remote_ip))
	{
		refuse_address(transfer, remote_ip);
		return CURL_PREREQFUNC_ABORT;
	}

	/* a name may have private addresses beside the public one that answered */
	if (transfer->stop == TRANSFER_STOP_PRIVATE)
		transfer->stop = TRANSFER_STOP_NONE;
	transfer->connected = true;
	return CURL_PREREQFUNC_OK;
}

/* ---- starting ---- */

static bool
add_header(Transfer *transfer, const char *header)
{
	struct curl_slist *longer = curl_slist_append(transfer->headers, header);

	if (longer == NULL)
		return false;
	transfer->headers = longer;
	return true;
}

/* Every key that is in force signs. */
static bool
add_signatures(Transfer *transfer, const Endpoint *endpoint, const Message *message,
			   int64 timestamp, TimestampTz now)
{
	char   header[32 + WEBHOOK_MAX_SECRETS * SIGN_MAX_SIGNATURE] = "webhook-signature:";
	size_t len = strlen(header);

	for (int i = 0; i < endpoint->nkeys; i++)
	{
		if (endpoint->key_ends[i] <= now)
			continue;
		header[len++] = ' ';
		if (!sign_message((SignKey *) &endpoint->keys[i], message->id, timestamp, message->body,
						  message->len, header + len, SIGN_MAX_SIGNATURE))
			return false;
		len += strlen(header + len);
	}
	return add_header(transfer, header);
}

static bool
add_headers(Transfer *transfer, const Endpoint *endpoint, const Message *message, int64 number,
			TimestampTz now)
{
	int64 timestamp = timestamptz_to_time_t(now);
	char  line[128];

	if (!add_header(transfer, "Expect:") || !add_header(transfer, "Accept:") ||
		!add_header(transfer, "content-type: application/json"))
		return false;
	snprintf(line, sizeof(line), "webhook-id: %s", message->id);
	if (!add_header(transfer, line))
		return false;
	snprintf(line, sizeof(line), "webhook-timestamp: " INT64_FORMAT, timestamp);
	if (!add_header(transfer, line) || !add_signatures(transfer, endpoint, message, timestamp, now))
		return false;
	snprintf(line, sizeof(line), "makini-version: %s", endpoint->api_version);
	if (!add_header(transfer, line))
		return false;
	snprintf(line, sizeof(line), "makini-delivery: " INT64_FORMAT, number);
	if (number > 0 && !add_header(transfer, line))
		return false;
	for (int i = 0; i < endpoint->nheaders; i++)
	{
		if (!add_header(transfer, endpoint->headers[i]))
			return false;
	}
	return true;
}

static void
set_tls(CURL *easy, const WebhookOptions *options)
{
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (options->ca_file != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (options->client_certificate_file != NULL)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, options->client_certificate_file);
	if (options->client_key_file != NULL)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, options->client_key_file);
}

static void
set_common(Transfer *transfer, const Endpoint *endpoint)
{
	CURL *easy = transfer->job.easy;

	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) endpoint->options.timeout);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
					 (long) Min(endpoint->options.timeout, CONNECT_TIMEOUT_MS));
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, reactor_close_socket);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
}

static void
set_http(Transfer *transfer, const Endpoint *endpoint, const Message *message)
{
	CURL *easy = transfer->job.easy;

	curl_easy_setopt(easy, CURLOPT_URL, endpoint->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, webhook_allow_http ? "http,https" : "https");
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) message->len);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, message->body);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, MAKINI_USER_AGENT);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	set_tls(easy, &endpoint->options);
}

Transfer *
transfer_start(const Endpoint *endpoint, Message *message, int64 number)
{
	Transfer *transfer = calloc(1, sizeof(Transfer));
	bool	  ready;

	if (transfer == NULL)
		return NULL;
	transfer->message = message;
	message->uses++;
	transfer->host = strdup(endpoint->host);
	transfer->guarded = !endpoint->mail;
	transfer->retry_after = -1;
	transfer->timeout = endpoint->options.timeout;
	transfer->started_at = GetCurrentTimestamp();
	transfer->job.easy = reactor_take_handle();
	ready = transfer->job.easy != NULL && transfer->host != NULL;
	if (ready)
		set_common(transfer, endpoint);
	if (ready && endpoint->mail)
		ready = mail_prepare(transfer, endpoint, message);
	else if (ready)
	{
		ready = add_headers(transfer, endpoint, message, number, transfer->started_at);
		set_http(transfer, endpoint, message);
	}
	if (!ready || !reactor_add(&transfer->job))
	{
		transfer_free(transfer);
		return NULL;
	}
	return transfer;
}

bool
transfer_done(const Transfer *transfer)
{
	return transfer->job.done;
}

static void
wipe(struct curl_slist *list)
{
	for (struct curl_slist *item = list; item != NULL; item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(list);
}

void
transfer_free(Transfer *transfer)
{
	reactor_remove(&transfer->job);
	if (transfer->job.easy != NULL)
		reactor_give_handle(transfer->job.easy);
	wipe(transfer->headers);
	curl_slist_free_all(transfer->recipients);
	message_release(transfer->message);
	free(transfer->mail);
	free(transfer->host);
	free(transfer->response);
	free(transfer);
}

/* ---- what came of it ---- */

/* A receiver's bytes as text that the database can hold. */
static char *
as_text(const char *bytes, size_t len)
{
	char *text = palloc(len * 2 + 1);
	char *out = text;

	for (size_t i = 0; i < len;)
	{
		int n = 1;

		if (IS_HIGHBIT_SET(bytes[i]))
		{
			n = pg_utf_mblen((const unsigned char *) bytes + i);
			if (GetDatabaseEncoding() != PG_UTF8 || i + n > len ||
				!pg_utf8_islegal((const unsigned char *) bytes + i, n))
			{
				*out++ = '?';
				i++;
				continue;
			}
		}
		else if (bytes[i] == '\0')
		{
			*out++ = '?';
			i++;
			continue;
		}
		memcpy(out, bytes + i, n);
		out += n;
		i += n;
	}
	*out = '\0';
	return text;
}

static const char *
error_of(const Transfer *transfer, Outcome *outcome)
{
	CURLcode result = transfer->job.result;

	switch (transfer->stop)
	{
		case TRANSFER_STOP_PRIVATE:
			return psprintf("\"%s\" has the address %s, which is not a public one; a superuser can allow it in the setting \"makini.allowed_private_hosts\"",
							transfer->host, transfer->address);
		case TRANSFER_STOP_HEADERS:
			return "the headers of the answer are larger than 64 kB";
		case TRANSFER_STOP_MEMORY:
			return "out of memory";
		case TRANSFER_STOP_ENOUGH:
		case TRANSFER_STOP_NONE:
			break;
	}
	if (result == CURLE_OPERATION_TIMEDOUT)
		return transfer->connected ?
			psprintf("no complete answer within %d ms", transfer->timeout) :
			psprintf("could not connect within %d ms", Min(transfer->timeout, CONNECT_TIMEOUT_MS));
	return as_text(transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(result),
				   strlen(transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(result)));
}

void
transfer_outcome(Transfer *transfer, Outcome *outcome)
{
	long	   status = 0;
	curl_off_t elapsed = 0;
	curl_off_t resolved = 0;
	bool   complete = transfer->job.result == CURLE_OK || transfer->stop == TRANSFER_STOP_ENOUGH;
	size_t kept = transfer->response_len;

	memset(outcome, 0, sizeof(*outcome));
	curl_easy_getinfo(transfer->job.easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->job.easy, CURLINFO_TOTAL_TIME_T, &elapsed);
	curl_easy_getinfo(transfer->job.easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
	outcome->started_at = transfer->started_at;
	outcome->duration_ms = (int) ((elapsed + 500) / 1000);
	outcome->retry_after = transfer->retry_after;
	outcome->status = (int) status;
	outcome->delivered = complete && status >= 200 && status < 300;
	if (!complete)
	{
		outcome->error = error_of(transfer, outcome);
		outcome->unresolved = transfer->job.result == CURLE_OPERATION_TIMEDOUT && resolved == 0;
	}
	else if (!outcome->delivered)
		outcome->error = status >= 300 && status < 400 ?
			psprintf("answered %ld: redirects are not followed", status) :
			psprintf("answered %ld", status);
	if (outcome->delivered)
		kept = Min(kept, KEPT_OF_SUCCESS);
	if (kept > 0)
		outcome->response = as_text(transfer->response, kept);
}
