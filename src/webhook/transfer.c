/*-------------------------------------------------------------------------
 *
 * transfer.c
 *		One request to a webhook.
 *
 * Unlike src/remote/http.c, which fetches pages for one reader, this sends small
 * messages by the hundred: small buffers, connections kept alive, answers of
 * which little is read.  What both hold to is in src/remote/easy.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "remote/easy.h"
#include "remote/retry.h"
#include "webhook/allow.h"
#include "webhook/deliver.h"
#include "webhook/transfer.h"

#define MAX_RESPONSE 20000
#define KEPT_OF_SUCCESS 1000
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
		transfer->easy.stop = EASY_STOP_MEMORY;
		return 0;
	}
	if (len > room)
	{
		transfer->easy.stop = EASY_STOP_ENOUGH;
		return 0;
	}
	return len;
}

static size_t
on_header(char *line, size_t one, size_t len, void *arg)
{
	Transfer   *transfer = arg;
	size_t		value_len;
	const char *value = easy_header_value(line, len, "retry-after", &value_len);
	char		text[64];

	if (!easy_count_header(&transfer->easy, len))
		return 0;
	if (value != NULL)
	{
		snprintf(text, sizeof(text), "%.*s", (int) value_len, value);
		transfer->retry_after = retry_after_parse(text, time(NULL));
	}
	return len;
}

/* The private addresses that a superuser allowed. */
static bool
is_allowed(const Easy *easy, const struct sockaddr *address)
{
	return allow_matches(webhook_allowed_hosts, ((const Transfer *) easy)->host, address);
}

/* ---- starting ---- */

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
	return easy_add_header(&transfer->easy, header);
}

static bool
add_headers(Transfer *transfer, const Endpoint *endpoint, const Message *message, int64 number,
			TimestampTz now)
{
	int64 timestamp = timestamptz_to_time_t(now);
	char  line[128];

	if (!easy_add_header(&transfer->easy, "Expect:") || !easy_add_header(&transfer->easy, "Accept:") ||
		!easy_add_header(&transfer->easy, "content-type: application/json"))
		return false;
	snprintf(line, sizeof(line), "webhook-id: %s", message->id);
	if (!easy_add_header(&transfer->easy, line))
		return false;
	snprintf(line, sizeof(line), "webhook-timestamp: " INT64_FORMAT, timestamp);
	if (!easy_add_header(&transfer->easy, line) ||
		!add_signatures(transfer, endpoint, message, timestamp, now))
		return false;
	snprintf(line, sizeof(line), "makini-version: %s", endpoint->api_version);
	if (!easy_add_header(&transfer->easy, line))
		return false;
	snprintf(line, sizeof(line), "makini-delivery: " INT64_FORMAT, number);
	if (number > 0 && !easy_add_header(&transfer->easy, line))
		return false;
	for (int i = 0; i < endpoint->nheaders; i++)
	{
		if (!easy_add_header(&transfer->easy, endpoint->headers[i]))
			return false;
	}
	return true;
}

static void
set_common(Transfer *transfer, const WebhookOptions *options)
{
	CURL *handle = transfer->easy.job.handle;

	easy_prepare(&transfer->easy, on_body, on_header);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long) options->timeout);
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
					 (long) Min(options->timeout, CONNECT_TIMEOUT_MS));
	curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
}

static void
set_http(Transfer *transfer, const Endpoint *endpoint, const Message *message)
{
	CURL				 *handle = transfer->easy.job.handle;
	const WebhookOptions *options = &endpoint->options;

	easy_set_http(&transfer->easy, endpoint->url, webhook_allow_http, options->ca_file);
	curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) message->len);
	curl_easy_setopt(handle, CURLOPT_POSTFIELDS, message->body);
	if (options->client_certificate_file != NULL)
		curl_easy_setopt(handle, CURLOPT_SSLCERT, options->client_certificate_file);
	if (options->client_key_file != NULL)
		curl_easy_setopt(handle, CURLOPT_SSLKEY, options->client_key_file);
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
	transfer->easy.guarded = !endpoint->mail;
	transfer->easy.permits = is_allowed;
	transfer->retry_after = -1;
	transfer->timeout = endpoint->options.timeout;
	transfer->started_at = GetCurrentTimestamp();
	transfer->easy.job.handle = reactor_take_handle();
	ready = transfer->easy.job.handle != NULL && transfer->host != NULL;
	if (ready)
		set_common(transfer, &endpoint->options);
	if (ready && endpoint->mail)
		ready = mail_prepare(transfer, endpoint, message);
	else if (ready)
	{
		ready = add_headers(transfer, endpoint, message, number, transfer->started_at);
		set_http(transfer, endpoint, message);
	}
	if (!ready || !reactor_add(&transfer->easy.job))
	{
		transfer_free(transfer);
		return NULL;
	}
	return transfer;
}

bool
transfer_done(const Transfer *transfer)
{
	return transfer->easy.job.done;
}

void
transfer_free(Transfer *transfer)
{
	easy_release(&transfer->easy);
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
error_of(const Transfer *transfer)
{
	const char *text;

	switch (transfer->easy.stop)
	{
		case EASY_STOP_PRIVATE:
			return psprintf("\"%s\" has the address %s, which is not a public one; a superuser can allow it in the setting \"makini.allowed_private_hosts\"",
							transfer->host, transfer->easy.address);
		case EASY_STOP_HEADERS:
			return "the answer has too many or too large headers";
		case EASY_STOP_MEMORY:
			return "out of memory";
		default:
			break;
	}
	if (transfer->easy.job.result == CURLE_OPERATION_TIMEDOUT)
		return transfer->easy.connected ?
			psprintf("no complete answer within %d ms", transfer->timeout) :
			psprintf("could not connect within %d ms", Min(transfer->timeout, CONNECT_TIMEOUT_MS));
	text = easy_error(&transfer->easy);
	return as_text(text, strlen(text));
}

void
transfer_outcome(Transfer *transfer, Outcome *outcome)
{
	long	   status = 0;
	curl_off_t elapsed = 0;
	curl_off_t resolved = 0;
	bool complete = transfer->easy.job.result == CURLE_OK || transfer->easy.stop == EASY_STOP_ENOUGH;
	size_t kept = transfer->response_len;

	memset(outcome, 0, sizeof(*outcome));
	curl_easy_getinfo(transfer->easy.job.handle, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->easy.job.handle, CURLINFO_TOTAL_TIME_T, &elapsed);
	curl_easy_getinfo(transfer->easy.job.handle, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
	outcome->started_at = transfer->started_at;
	outcome->duration_ms = (int) ((elapsed + 500) / 1000);
	outcome->retry_after = transfer->retry_after;
	outcome->status = (int) status;
	outcome->delivered = complete && status >= 200 && status < 300;
	if (!complete)
	{
		outcome->error = error_of(transfer);
		outcome->unresolved = transfer->easy.job.result == CURLE_OPERATION_TIMEDOUT && resolved == 0;
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
