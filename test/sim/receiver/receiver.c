/*-------------------------------------------------------------------------
 *
 * receiver.c
 *		A receiver of webhooks that does as it is told, for tests and benchmarks.
 *
 *	receiver DIR [CERTIFICATE KEY [CLIENTS]]
 *
 * Listens on two ports of 127.0.0.1 and writes DIR/receiver.json with their
 * numbers: {"port": .., "control_port": ..}; with a certificate the first speaks
 * TLS, and with CLIENTS, a file of certificates, only to who has one of these.
 * Each path of the first is an endpoint of its own.  On the control port:
 *
 *	POST /script/PATH	how PATH answers from now on, as name=value lines:
 *		status=200  delay_ms=0  reset=0  drip_ms=0  huge=0  location=..
 *		retry_after=..  body=..  secret=.. (verify signatures with it)
 *		times=-1 (how often; then as before)
 *	GET /count/PATH		{"requests", "distinct", "invalid", "first_us", "last_us"}
 *	GET /log/PATH		a line of JSON for each request, newest last
 *	GET /latency/PATH	{"p50_us", "p99_us"} from the event's timestamp to its arrival
 *	DELETE /log			forget everything but scripts
 *
 * One thread, epoll, answers of pipelined size: tens of thousands a second.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "webhook/sign.h"

#define MAX_ENDPOINTS 1024
#define MAX_PATH 200
#define IN_SIZE (512 * 1024)
#define ID_LEN 37

typedef struct Request
{
	int64_t arrived_us;
	char	id[ID_LEN];
	int64_t number;
	int		status;
	int		valid; /* of its signature: 1, 0, -1 not checked */
	char   *head;
	char   *body;
} Request;

typedef struct Script
{
	int		status;
	int		delay_ms;
	int		reset;
	int		drip_ms;
	int		huge; /* bytes */
	int		times;
	char	location[MAX_PATH];
	char	retry_after[64];
	char	body[1024];
	int		nkeys;
	SignKey keys[4];
} Script;

typedef struct Endpoint
{
	char	  path[MAX_PATH];
	Script	  script;
	Script	  before; /* what is in force again after "times" */
	Request	 *requests;
	size_t	  nrequests;
	size_t	  size;
	int64_t	  invalid;
	uint32_t *seen; /* hashes of ids, open addressing; 0 is free */
	size_t	  nseen;
	size_t	  seen_size;
	int		 *latencies;
} Endpoint;

typedef struct Connection
{
	int				   fd;
	bool			   control;
	SSL				  *ssl;
	bool			   handshaken;
	char			  *in;
	size_t			   in_len;
	size_t			   in_size;
	char			  *out;
	size_t			   out_len;
	size_t			   out_sent;
	bool			   closing;
	bool			   writing; /* asked epoll for it */
	int64_t			   due_us;	/* of a delayed answer, 0: none */
	int				   delayed_status;
	Endpoint		  *delayed;
	int64_t			   drip_us;
	int				   drip_ms;
	struct Connection *next_timer;
	bool			   timed;
} Connection;

static Endpoint	  *endpoints[MAX_ENDPOINTS];
static int		   nendpoints = 0;
static Connection *timers = NULL;
static int		   epoll_fd;
static SSL_CTX	  *tls = NULL;
static bool		   keep_log = true;

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- endpoints ---- */

static Endpoint *
endpoint_of(const char *path)
{
	Endpoint *endpoint;

	for (int i = 0; i < nendpoints; i++)
	{
		if (strcmp(endpoints[i]->path, path) == 0)
			return endpoints[i];
	}
	if (nendpoints == MAX_ENDPOINTS)
		return endpoints[0];
	endpoint = calloc(1, sizeof(Endpoint));
	snprintf(endpoint->path, sizeof(endpoint->path), "%s", path);
	endpoint->script.status = 200;
	endpoint->script.times = -1;
	endpoint->before = endpoint->script;
	endpoints[nendpoints++] = endpoint;
	return endpoint;
}

static uint32_t
hash_of(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char) *text) * 16777619u;
	return hash != 0 ? hash : 1;
}

/* Two hashes of 32 bits in neighbouring slots: what collides is counted once too little, hardly ever. */
static void
note_id(Endpoint *endpoint, const char *id)
{
	uint32_t a = hash_of(id);
	uint32_t b = hash_of(id + strlen(id) / 2);
	size_t	 slot;

	if ((endpoint->nseen + 1) * 4 > endpoint->seen_size)
	{
		size_t	  old_size = endpoint->seen_size;
		uint32_t *old = endpoint->seen;

		endpoint->seen_size = old_size ? old_size * 2 : 4096;
		endpoint->seen = calloc(endpoint->seen_size, 2 * sizeof(uint32_t));
		for (size_t i = 0; i < old_size; i++)
		{
			if (old[i * 2] == 0)
				continue;
			for (slot = old[i * 2] % endpoint->seen_size; endpoint->seen[slot * 2] != 0;)
				slot = (slot + 1) % endpoint->seen_size;
			endpoint->seen[slot * 2] = old[i * 2];
			endpoint->seen[slot * 2 + 1] = old[i * 2 + 1];
		}
		free(old);
	}
	for (slot = a % endpoint->seen_size; endpoint->seen[slot * 2] != 0;)
	{
		if (endpoint->seen[slot * 2] == a && endpoint->seen[slot * 2 + 1] == b)
			return;
		slot = (slot + 1) % endpoint->seen_size;
	}
	endpoint->seen[slot * 2] = a;
	endpoint->seen[slot * 2 + 1] = b;
	endpoint->nseen++;
}

static void
forget(Endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->nrequests; i++)
	{
		free(endpoint->requests[i].head);
		free(endpoint->requests[i].body);
	}
	free(endpoint->seen);
	endpoint->seen = NULL;
	endpoint->nrequests = endpoint->nseen = endpoint->seen_size = 0;
	endpoint->invalid = 0;
}

/* ---- output ---- */

static void
put(Connection *c, const char *data, size_t len)
{
	c->out = realloc(c->out, c->out_len + len + 1);
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
}

static void
put_text(Connection *c, const char *text)
{
	put(c, text, strlen(text));
}

static void
watch(Connection *c, bool writing)
{
	struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};

	if (writing != c->writing)
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
	c->writing = writing;
}

static void
drop(Connection *c, bool reset)
{
	struct linger linger = {1, 0};

	for (Connection **p = &timers; *p != NULL; p = &(*p)->next_timer)
	{
		if (*p == c)
		{
			*p = c->next_timer;
			break;
		}
	}
	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (c->ssl != NULL)
		SSL_free(c->ssl);
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

static ssize_t
send_some(Connection *c, const char *data, size_t len)
{
	if (c->ssl != NULL)
		return SSL_write(c->ssl, data, (int) len);
	return send(c->fd, data, len, MSG_NOSIGNAL);
}

static void
add_timer(Connection *c)
{
	if (c->timed)
		return;
	c->timed = true;
	c->next_timer = timers;
	timers = c;
}

/* False: the connection is gone. */
static bool
flush(Connection *c)
{
	while (c->out_sent < c->out_len)
	{
		size_t	len = c->out_len - c->out_sent;
		ssize_t n;

		if (c->drip_ms > 0)
		{
			if (now_us() < c->drip_us)
			{
				add_timer(c);
				return true;
			}
			c->drip_us = now_us() + c->drip_ms * 1000;
			len = 1;
		}
		n = send_some(c, c->out + c->out_sent, len);
		if (n <= 0)
		{
			if (c->ssl == NULL && (errno == EAGAIN || errno == EWOULDBLOCK))
			{
				watch(c, true);
				return true;
			}
			drop(c, false);
			return false;
		}
		c->out_sent += (size_t) n;
	}
	c->out_len = c->out_sent = 0;
	c->drip_ms = 0;
	watch(c, false);
	if (c->closing)
	{
		drop(c, false);
		return false;
	}
	return true;
}

static void
put_answer(Connection *c, const Script *script, int status)
{
	char   head[1024];
	size_t body_len = script->huge > 0 ? (size_t) script->huge : strlen(script->body);
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\ncontent-length: %zu\r\n", status, body_len);

	if (script->location[0] != '\0')
		n += snprintf(head + n, sizeof(head) - (size_t) n, "location: %s\r\n", script->location);
	if (script->retry_after[0] != '\0')
		n += snprintf(head + n, sizeof(head) - (size_t) n, "retry-after: %s\r\n", script->retry_after);
	n += snprintf(head + n, sizeof(head) - (size_t) n, "\r\n");
	put(c, head, (size_t) n);
	if (script->huge > 0)
	{
		char *filler = malloc(body_len);

		memset(filler, 'x', body_len);
		put(c, filler, body_len);
		free(filler);
	}
	else
		put(c, script->body, body_len);
	c->drip_ms = script->drip_ms;
}

/* ---- requests ---- */

static char *
header_of(const char *head, const char *name, char *value, size_t size)
{
	size_t		name_len = strlen(name);
	const char *p = head;

	value[0] = '\0';
	while ((p = strchr(p, '\n')) != NULL)
	{
		p++;
		if (strncasecmp(p, name, name_len) == 0 && p[name_len] == ':')
		{
			p += name_len + 1;
			p += strspn(p, " ");
			snprintf(value, size, "%.*s", (int) strcspn(p, "\r\n"), p);
			return value;
		}
	}
	return value;
}

static int
verify(Script *script, const char *head, const char *body, size_t len)
{
	char id[100];
	char sent_at[40];
	char signature[2000];

	if (script->nkeys == 0)
		return -1;
	header_of(head, "webhook-id", id, sizeof(id));
	header_of(head, "webhook-timestamp", sent_at, sizeof(sent_at));
	header_of(head, "webhook-signature", signature, sizeof(signature));
	for (int i = 0; i < script->nkeys; i++)
	{
		if (sign_verify(&script->keys[i], id, sent_at, body, len, signature, 300, now_us() / 1000000))
			return 1;
	}
	return 0;
}

static Request *
note_request(Endpoint *endpoint, const char *head, const char *body, size_t len, int status)
{
	Request *request;
	char	 number[40];

	if (endpoint->nrequests == endpoint->size)
	{
		endpoint->size = endpoint->size ? endpoint->size * 2 : 256;
		endpoint->requests = realloc(endpoint->requests, endpoint->size * sizeof(Request));
	}
	request = &endpoint->requests[endpoint->nrequests++];
	memset(request, 0, sizeof(*request));
	request->arrived_us = now_us();
	header_of(head, "webhook-id", request->id, sizeof(request->id));
	request->number = atoll(header_of(head, "makini-delivery", number, sizeof(number)));
	request->status = status;
	request->valid = verify(&endpoint->script, head, body, len);
	endpoint->invalid += request->valid == 0;
	if (keep_log)
	{
		request->head = strdup(head);
		request->body = strndup(body, len);
	}
	else
	{
		/* "timestamp":"2026-11-23T08:09:10.123456Z" is enough for latencies */
		const char *stamp = memmem(body, len < 400 ? len : 400, "\"timestamp\":\"", 13);

		request->body = stamp != NULL ? strndup(stamp, 41) : NULL;
	}
	note_id(endpoint, request->id);
	return request;
}

static void
take_delivery(Connection *c, const char *path, const char *head, const char *body, size_t len)
{
	Endpoint *endpoint = endpoint_of(path);
	Script	 *script = &endpoint->script;

	note_request(endpoint, head, body, len, script->status);
	if (script->delay_ms > 0)
	{
		c->due_us = now_us() + (int64_t) script->delay_ms * 1000;
		c->delayed = endpoint;
		c->delayed_status = script->reset ? 0 : script->status;
		add_timer(c);
	}
	else if (script->reset)
		c->closing = true;
	else
		put_answer(c, script, script->status);
	if (script->times > 0 && --script->times == 0)
		endpoint->script = endpoint->before;
}

/* ---- control ---- */

static void
set_script(Endpoint *endpoint, char *lines)
{
	Script script = {.status = 200, .times = -1};
	char  *save;
	char   err[200];

	for (char *line = strtok_r(lines, "\r\n", &save); line != NULL;
		 line = strtok_r(NULL, "\r\n", &save))
	{
		char *value = strchr(line, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';
		if (strcmp(line, "status") == 0)
			script.status = atoi(value);
		else if (strcmp(line, "delay_ms") == 0)
			script.delay_ms = atoi(value);
		else if (strcmp(line, "reset") == 0)
			script.reset = atoi(value);
		else if (strcmp(line, "drip_ms") == 0)
			script.drip_ms = atoi(value);
		else if (strcmp(line, "huge") == 0)
			script.huge = atoi(value);
		else if (strcmp(line, "times") == 0)
			script.times = atoi(value);
		else if (strcmp(line, "location") == 0)
			snprintf(script.location, sizeof(script.location), "%s", value);
		else if (strcmp(line, "retry_after") == 0)
			snprintf(script.retry_after, sizeof(script.retry_after), "%s", value);
		else if (strcmp(line, "body") == 0)
			snprintf(script.body, sizeof(script.body), "%s", value);
		else if (strcmp(line, "log") == 0)
			keep_log = atoi(value) != 0;
		else if (strcmp(line, "secret") == 0 && script.nkeys < 4 &&
				 sign_key_parse(value, &script.keys[script.nkeys], err, sizeof(err)))
			script.nkeys++;
	}
	if (script.times < 0)
		endpoint->before = script;
	endpoint->script = script;
}

static int
compare_ints(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/* From "timestamp" of the body, which is when the event was raised. */
static int64_t
raised_us(const char *body)
{
	const char *p = body != NULL ? strstr(body, "\"timestamp\":\"") : NULL;
	struct tm	tm = {0};
	int			micros = 0;

	if (p == NULL ||
		sscanf(p + 13, "%d-%d-%dT%d:%d:%d.%6d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
			   &tm.tm_min, &tm.tm_sec, &micros) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t) timegm(&tm) * 1000000 + micros;
}

static void
put_latency(Connection *c, Endpoint *endpoint)
{
	int *latencies = malloc((endpoint->nrequests + 1) * sizeof(int));
	int	 n = 0;
	char text[200];

	for (size_t i = 0; i < endpoint->nrequests; i++)
	{
		int64_t raised = raised_us(endpoint->requests[i].body);

		if (raised != 0)
			latencies[n++] = (int) (endpoint->requests[i].arrived_us - raised);
	}
	qsort(latencies, (size_t) n, sizeof(int), compare_ints);
	snprintf(text, sizeof(text), "{\"n\": %d, \"p50_us\": %d, \"p99_us\": %d, \"max_us\": %d}\n", n,
			 n ? latencies[n / 2] : 0, n ? latencies[(int) (n * 0.99)] : 0, n ? latencies[n - 1] : 0);
	put_text(c, text);
	free(latencies);
}

static void
put_count(Connection *c, Endpoint *endpoint)
{
	char text[300];

	snprintf(text, sizeof(text),
			 "{\"requests\": %zu, \"distinct\": %zu, \"invalid\": %lld, \"first_us\": %lld, \"last_us\": %lld}\n",
			 endpoint->nrequests, endpoint->nseen, (long long) endpoint->invalid,
			 (long long) (endpoint->nrequests ? endpoint->requests[0].arrived_us : 0),
			 (long long) (endpoint->nrequests ? endpoint->requests[endpoint->nrequests - 1].arrived_us :
												0));
	put_text(c, text);
}

static void
put_json_text(Connection *c, const char *text)
{
	put_text(c, "\"");
	for (; text != NULL && *text; text++)
	{
		char escaped[8];

		if (*text == '"' || *text == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", *text);
		else if ((unsigned char) *text < ' ')
			snprintf(escaped, sizeof(escaped), "\\u%04x", *text);
		else
			snprintf(escaped, sizeof(escaped), "%c", *text);
		put_text(c, escaped);
	}
	put_text(c, "\"");
}

static void
put_log(Connection *c, Endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->nrequests; i++)
	{
		Request *request = &endpoint->requests[i];
		char	 text[200];

		snprintf(text, sizeof(text),
				 "{\"id\": \"%s\", \"number\": %lld, \"at_us\": %lld, \"status\": %d, \"valid\": %d, \"head\": ",
				 request->id, (long long) request->number, (long long) request->arrived_us,
				 request->status, request->valid);
		put_text(c, text);
		put_json_text(c, request->head);
		put_text(c, ", \"body\": ");
		put_json_text(c, request->body);
		put_text(c, "}\n");
	}
}

static void
take_control(Connection *c, const char *method, char *path, char *body)
{
	char *rest = strchr(path + 1, '/');

	put_text(c, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n");
	c->closing = true;
	if (strcmp(method, "DELETE") == 0)
	{
		for (int i = 0; i < nendpoints; i++)
			forget(endpoints[i]);
		put_text(c, "{}\n");
	}
	else if (rest == NULL)
		put_text(c, "{}\n");
	else if (strncmp(path, "/script/", 8) == 0)
	{
		set_script(endpoint_of(rest), body);
		put_text(c, "{}\n");
	}
	else if (strncmp(path, "/count/", 7) == 0)
		put_count(c, endpoint_of(rest));
	else if (strncmp(path, "/log/", 5) == 0)
		put_log(c, endpoint_of(rest));
	else if (strncmp(path, "/latency/", 9) == 0)
		put_latency(c, endpoint_of(rest));
}

/* ---- input ---- */

/* Takes one whole request out of the buffer; false: there is none yet. */
static bool
take_request(Connection *c)
{
	char  *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
	char   length[32];
	char   method[16] = "";
	char   path[MAX_PATH] = "";
	size_t head_len;
	size_t body_len;
	char   saved;

	if (end == NULL || c->due_us != 0)
		return false;
	*end = '\0';
	header_of(c->in, "content-length", length, sizeof(length));
	body_len = (size_t) atoll(length);
	sscanf(c->in, "%15s %199s", method, path);
	head_len = (size_t) (end - c->in) + 4;
	if (c->in_len < head_len + body_len)
	{
		*end = '\r';
		return false;
	}
	saved = c->in[head_len + body_len];
	c->in[head_len + body_len] = '\0';
	if (c->control)
		take_control(c, method, path, c->in + head_len);
	else
		take_delivery(c, path, c->in, c->in + head_len, body_len);
	c->in[head_len + body_len] = saved;
	memmove(c->in, c->in + head_len + body_len, c->in_len - head_len - body_len);
	c->in_len -= head_len + body_len;
	return true;
}

static void
serve(Connection *c)
{
	bool reset = false;

	while (take_request(c))
	{
		if (c->closing && c->out_len == 0)
		{
			reset = true;
			break;
		}
	}
	if (reset)
		drop(c, true);
	else
		(void) flush(c);
}

static ssize_t
receive_some(Connection *c)
{
	if (c->in_size - c->in_len < 64 * 1024)
	{
		c->in_size = c->in_size ? c->in_size * 2 : 128 * 1024;
		c->in = realloc(c->in, c->in_size + 1);
	}
	if (c->ssl != NULL)
		return SSL_read(c->ssl, c->in + c->in_len, (int) (c->in_size - c->in_len));
	return recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
}

static void
on_event(Connection *c, uint32_t events)
{
	ssize_t n;

	if (c->ssl != NULL && !c->handshaken)
	{
		int done = SSL_accept(c->ssl);

		if (done == 1)
			c->handshaken = true;
		else if (SSL_get_error(c->ssl, done) == SSL_ERROR_WANT_READ ||
				 SSL_get_error(c->ssl, done) == SSL_ERROR_WANT_WRITE)
			return;
		else
		{
			drop(c, false);
			return;
		}
	}
	if ((events & EPOLLOUT) && !flush(c))
		return;
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	do
	{
		n = receive_some(c);
		if (n > 0)
			c->in_len += (size_t) n;
	} while (n > 0 && c->ssl != NULL);
	if (n == 0 || (n < 0 && c->ssl == NULL && errno != EAGAIN) ||
		(n <= 0 && c->ssl != NULL && SSL_get_error(c->ssl, (int) n) != SSL_ERROR_WANT_READ))
	{
		drop(c, false);
		return;
	}
	serve(c);
}

static void
accept_all(int listener, bool control)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
	{
		Connection		  *c = calloc(1, sizeof(Connection));
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
		int				   one = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->fd = fd;
		c->control = control;
		if (tls != NULL && !control)
		{
			c->ssl = SSL_new(tls);
			SSL_set_fd(c->ssl, fd);
		}
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
	}
}

/* ---- time ---- */

static int
run_timers(void)
{
	int64_t		now = now_us();
	int64_t		next = 0;
	Connection *list = timers;

	timers = NULL;
	while (list != NULL)
	{
		Connection *c = list;
		int64_t		due = c->due_us != 0 ? c->due_us : c->drip_us;

		list = c->next_timer;
		c->timed = false;
		if (due > now)
		{
			add_timer(c);
			if (next == 0 || due < next)
				next = due;
			continue;
		}
		if (c->due_us == 0)
		{
			(void) flush(c);
			continue;
		}
		c->due_us = 0;
		if (c->delayed_status == 0)
		{
			drop(c, true);
			continue;
		}
		put_answer(c, &c->delayed->script, c->delayed_status);
		serve(c);
	}
	if (timers != NULL && next == 0)
		return 1;
	return next == 0 ? -1 : (int) ((next - now) / 1000 + 1);
}

/* ---- setting up ---- */

static int
listen_on_loopback(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t		   len = sizeof(address);
	int				   fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);


	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		listen(fd, 1024) < 0 || getsockname(fd, (struct sockaddr *) &address, &len) < 0)
	{
		perror("receiver");
		exit(1);
	}
	*port = ntohs(address.sin_port);

	return fd;
}

static void
set_up_tls(int argc, char **argv)
{
	tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_use_certificate_chain_file(tls, argv[2]) != 1 ||
		SSL_CTX_use_PrivateKey_file(tls, argv[3], SSL_FILETYPE_PEM) != 1 ||
		(argc == 5 && SSL_CTX_load_verify_locations(tls, argv[4], NULL) != 1))
	{
		ERR_print_errors_fp(stderr);
		exit(1);
	}
	if (argc == 5)
		SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static void
announce(const char *dir, int port, int control_port)
{
	char  path[1024];
	char  final[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/receiver.tmp", dir);
	snprintf(final, sizeof(final), "%s/receiver.json", dir);
	file = fopen(path, "w");
	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	fprintf(file, "{\"port\": %d, \"control_port\": %d, \"pid\": %d}\n", port, control_port,
			(int) getpid());
	fclose(file);
	rename(path, final);
}

int
main(int argc, char **argv)
{
	static char		   delivery_mark, control_mark;
	struct epoll_event events[256];
	int				   port, control_port, listener, control;

	if (argc != 2 && argc != 4 && argc != 5)
	{
		fprintf(stderr, "usage: receiver DIR [CERTIFICATE KEY]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 4)
		set_up_tls(argc, argv);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_on_loopback(&port);
	control = listen_on_loopback(&control_port);
	events[0] = (struct epoll_event){.events = EPOLLIN, .data.ptr = &delivery_mark};
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &events[0]);
	events[0] = (struct epoll_event){.events = EPOLLIN, .data.ptr = &control_mark};
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, control, &events[0]);
	announce(argv[1], port, control_port);

	for (;;)
	{
		int n = epoll_wait(epoll_fd, events, 256, run_timers());

		for (int i = 0; i < n; i++)
		{
			if (events[i].data.ptr == &delivery_mark)
				accept_all(listener, false);
			else if (events[i].data.ptr == &control_mark)
				accept_all(control, true);
			else
				on_event(events[i].data.ptr, events[i].events);
		}
	}
}
