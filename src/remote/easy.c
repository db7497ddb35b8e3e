/*-------------------------------------------------------------------------
 *
 * easy.c
 *		What everything that makini sends over libcurl holds to.
 *
 * Addresses are judged when a socket is opened for them, redirects are not
 * followed, nothing of the environment counts, TLS is verified, headers are
 * capped.  What is asked, how much of an answer is taken and what it means is
 * the affair of who sends: http.c for one reader's pages, src/webhook/transfer.c
 * for small messages by the hundred.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "makini.h"
#include "remote/easy.h"
#include "remote/guard.h"

#define MAX_HEADER_BYTES (64 * 1024)
#define MAX_HEADERS 200

/* ---- the address guard ---- */

static bool
refuses(Easy *easy, const struct sockaddr *address)
{
	if (!easy->guarded || !guard_address_is_private(address) ||
		(easy->permits != NULL && easy->permits(easy, address)))
		return false;
	easy->stop = EASY_STOP_PRIVATE;
	guard_format_address(address, easy->address, sizeof(easy->address));
	return true;
}

/* A socket is opened for the address a name turned out to have: here the guard stands. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	if (refuses(arg, &address->addr))
		return CURL_SOCKET_BAD;
	return reactor_open_socket(address);
}

/* A connection is about to be used, perhaps one that another transfer opened. */
static int
on_ready(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	Easy				   *easy = arg;
	struct sockaddr_storage address;

	guard_parse_address(remote_ip, &address);
	if (refuses(easy, (struct sockaddr *) &address))
		return CURL_PREREQFUNC_ABORT;

	/* a name may have private addresses beside the public one that answered */
	if (easy->stop == EASY_STOP_PRIVATE)
		easy->stop = EASY_STOP_NONE;
	easy->connected = true;
	return CURL_PREREQFUNC_OK;
}

/* ---- headers ---- */

bool
easy_add_header(Easy *easy, const char *header)
{
	struct curl_slist *longer = curl_slist_append(easy->headers, header);

	if (longer == NULL)
		return false;
	easy->headers = longer;
	return true;
}

static void
wipe_headers(Easy *easy)
{
	for (struct curl_slist *h = easy->headers; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(easy->headers);
	easy->headers = NULL;
}

bool
easy_count_header(Easy *easy, size_t len)
{
	easy->header_bytes += len;
	easy->header_count++;
	if (easy->header_bytes <= MAX_HEADER_BYTES && easy->header_count <= MAX_HEADERS)
		return true;
	easy->stop = EASY_STOP_HEADERS;
	return false;
}

const char *
easy_header_value(const char *line, size_t len, const char *name, size_t *value_len)
{
	size_t name_len = strlen(name);

	if (len <= name_len || line[name_len] != ':' || pg_strncasecmp(line, name, name_len) != 0)
		return NULL;
	line += name_len + 1;
	len -= name_len + 1;
	while (len > 0 && (*line == ' ' || *line == '\t'))
		line++, len--;
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' '))
		len--;
	*value_len = len;
	return line;
}

/* ---- the handle ---- */

void
easy_prepare(Easy *easy, curl_write_callback on_body, curl_write_callback on_header)
{
	CURL *handle = easy->job.handle;

	curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, easy);
	curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, reactor_close_socket);
	curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, on_ready);
	curl_easy_setopt(handle, CURLOPT_PREREQDATA, easy);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, easy);
	curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(handle, CURLOPT_HEADERDATA, easy);
	curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, easy->error);
	curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);

	/* an empty text keeps libcurl from looking at the environment */
	curl_easy_setopt(handle, CURLOPT_PROXY, "");
	curl_easy_setopt(handle, CURLOPT_NOPROXY, "");
}

void
easy_set_http(Easy *easy, const char *url, bool allow_http, const char *ca_file)
{
	CURL *handle = easy->job.handle;

	curl_easy_setopt(handle, CURLOPT_URL, url);
	curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, allow_http ? "http,https" : "https");
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, easy->headers);
	curl_easy_setopt(handle, CURLOPT_USERAGENT, MAKINI_USER_AGENT);
	curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(handle, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca_file != NULL)
	{
		curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file);
		curl_easy_setopt(handle, CURLOPT_CAPATH, NULL);
	}
}

const char *
easy_error(const Easy *easy)
{
	return easy->error[0] != '\0' ? easy->error : curl_easy_strerror(easy->job.result);
}

void
easy_release(Easy *easy)
{
	reactor_remove(&easy->job);
	if (easy->job.handle != NULL)
		reactor_give_handle(easy->job.handle);
	easy->job.handle = NULL;
	wipe_headers(easy);
}
