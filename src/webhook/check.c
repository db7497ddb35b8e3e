/*-------------------------------------------------------------------------
 *
 * check.c
 *		Whether a webhook can be as its author says it.
 *
 * What a host name turns out to be is judged when a connection is made; here
 * only what is plain from the text is refused, so that its author learns it at
 * once.  Errors hide their statement from the log: URLs and headers may hold
 * credentials.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "event/event.h"
#include "remote/guard.h"
#include "remote/url.h"
#include "webhook/allow.h"
#include "webhook/filter.h"
#include "webhook/webhook.h"

#define MAX_URL 2000
#define MAX_PATTERNS 100
#define MAX_PATTERN 200

static void
refuse(const char *what, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s of a webhook %s", what, why),
			 hint != NULL ? errhint("%s", hint) : 0, errhidestmt(true)));
}

/* ---- URL ---- */

bool
webhook_url_is_mail(const char *url)
{
	return pg_strncasecmp(url, "mailto:", 7) == 0;
}

char *
webhook_host(const char *url)
{
	const char *host = strstr(url, "://");
	size_t		len;

	if (webhook_url_is_mail(url))
		return pstrdup("mailto:");
	host = host != NULL ? host + 3 : url;
	len = strcspn(host, "/?#");
	return psprintf("%.*s%.*s", (int) (host - url), url, (int) len, host);
}

static void
check_mail(const char *url)
{
	const char *p = url + 7;

	if (webhook_smtp_url[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("there is no mail server"),
				 errhint("A superuser names it in the setting \"makini.smtp_url\".")));
	if (strchr(p, '@') == NULL ||
		strspn(p, "@,.+-_=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(p))
		refuse("the URL", "is not mailto: and addresses parted by commas",
			   "Write it as in mailto:ops@example.com.");
}

/*
 * The C library reads 127.1, 0x7f.1 and 2130706433 as addresses, other readers
 * as names.  Only the usual form is taken.
 */
static void
check_numeric_host(const Url *url)
{
	const char	  *last = strrchr(url->host, '.');
	struct in_addr in;

	if (url->ipv6)
		return;
	last = last != NULL && last[1] != '\0' ? last + 1 : url->host;
	if (last[0] >= '0' && last[0] <= '9' && inet_pton(AF_INET, url->host, &in) != 1)
		refuse("the URL", "has an address that is not written in the usual way", NULL);
}

static void
check_private(const Url *url)
{
	struct in_addr	in;
	struct in6_addr in6;
	bool			is_address =
		inet_pton(AF_INET, url->host, &in) == 1 || inet_pton(AF_INET6, url->host, &in6) == 1;
	bool is_private =
		is_address ? guard_text_is_private(url->host) : strcmp(url->host, "localhost") == 0;

	if (!is_private ||
		allow_matches_text(webhook_allowed_hosts, url->host, is_address ? url->host : "::"))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("webhooks may not be sent to \"%s\", which is not a public address", url->host),
			 errhint("A superuser can allow it in the setting \"makini.allowed_private_hosts\"."),
			 errhidestmt(true)));
}

static void
check_query(const char *query)
{
	for (const char *p = query; *p != '\0'; p++)
	{
		if (*p <= ' ' || *p > '~' || strchr("\\\"<>^`{|}#", *p) != NULL)
			refuse("the URL", "has a query with a character that is not allowed",
				   "Write it percent-encoded.");
	}
}

static void
check_url(const char *text)
{
	char *base = pstrdup(text);
	char *query = strchr(base, '?');
	char  reason[200];
	Url	  url;

	if (webhook_url_is_mail(text))
	{
		check_mail(text);
		return;
	}
	if (strlen(text) > MAX_URL)
		refuse("the URL", "is longer than 2000 bytes", NULL);
	if (query != NULL)
	{
		check_query(query + 1);
		*query = '\0';
	}
	if (!url_parse(base, &url, reason, sizeof(reason)))
		refuse("the URL", reason, "Write it as in https://hooks.example.com/makini.");
	if (!url.tls && !webhook_allow_http)
		refuse("the URL", "must begin with https://",
			   "A superuser can allow plain http in the setting \"makini.allow_http\".");
	check_numeric_host(&url);
	check_private(&url);
}

/* ---- patterns ---- */

static void
check_patterns(const char *what, ArrayType *patterns, const char *letters)
{
	Datum *elements;
	bool  *nulls;
	int	   n;

	deconstruct_array(patterns, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	if (n == 0 || n > MAX_PATTERNS)
		refuse(what, "must have from 1 to 100 elements", "{*} stands for all.");
	for (int i = 0; i < n; i++)
	{
		char *pattern = nulls[i] ? NULL : TextDatumGetCString(elements[i]);

		if (pattern == NULL || pattern[0] == '\0' || strlen(pattern) > MAX_PATTERN ||
			(letters != NULL && strspn(pattern, letters) != strlen(pattern)))
			refuse(what, "have an element that cannot be",
				   "An element is a name in which * stands for any characters.");
	}
}

/* ---- headers ---- */

static const char *const forbidden_names[] = {"accept",
											  "accept-encoding",
											  "connection",
											  "content-encoding",
											  "content-length",
											  "content-type",
											  "cookie",
											  "date",
											  "expect",
											  "forwarded",
											  "host",
											  "http2-settings",
											  "keep-alive",
											  "origin",
											  "referer",
											  "te",
											  "trailer",
											  "transfer-encoding",
											  "upgrade",
											  "user-agent",
											  "via"};
static const char *const forbidden_prefixes[] = {"access-control-", "makini-",
												 "proxy-",			"sec-",
												 "svix-",			"webhook-",
												 "x-forwarded-",	"x-http-method"};

static void
check_header_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	bool			  forbidden = false;

	if (name[0] == '\0' || strspn(name, letters) != strlen(name))
		refuse("the headers", "have a name with a character that is not allowed", NULL);
	for (int i = 0; i < (int) lengthof(forbidden_names); i++)
		forbidden |= pg_strcasecmp(name, forbidden_names[i]) == 0;
	for (int i = 0; i < (int) lengthof(forbidden_prefixes); i++)
		forbidden |= pg_strncasecmp(name, forbidden_prefixes[i], strlen(forbidden_prefixes[i])) == 0;
	if (forbidden)
		refuse("the headers", psprintf("may not have \"%s\"", name), "makini or the protocol sets it.");
}

static void
check_header_value(const JsonbValue *value)
{
	if (value->type != jbvString)
		refuse("the headers", "must be a JSON object of texts", NULL);
	for (int i = 0; i < value->val.string.len; i++)
	{
		unsigned char c = (unsigned char) value->val.string.val[i];

		if ((c < ' ' && c != '\t') || c > '~')
			refuse("the headers", "have a value with a character that is not allowed", NULL);
	}
}

static void
check_headers(Jsonb *headers)
{
	JsonbIterator	  *it;
	JsonbValue		   value;
	JsonbIteratorToken token;
	int				   bytes = 0;

	if (!JB_ROOT_IS_OBJECT(headers))
		refuse("the headers", "must be a JSON object of texts",
			   "Write them as in {\"authorization\": \"...\"}.");
	it = JsonbIteratorInit(&headers->root);
	(void) JsonbIteratorNext(&it, &value, false);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			check_header_name(pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE)
			check_header_value(&value);
		else
			continue;
		bytes += value.val.string.len + 2;
	}
	if (bytes > WEBHOOK_MAX_HEADER_BYTES)
		refuse("the headers", "are larger than 4096 bytes", NULL);
}

/* Others' errors too: the statement of a filter that has a mistake gives the secret beside it. */
void
webhook_hide_statement(void *arg)
{
	errhidestmt(true);
}

void
webhook_check(const WebhookDefinition *definition)
{
	WebhookOptions options;

	check_url(definition->url);
	check_patterns("the events", definition->events,
				   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.*");
	check_patterns("the connections", definition->connections, NULL);
	check_headers(definition->headers);
	webhook_options_read(definition->options, &options);
	event_check_api_version(definition->api_version);
	if (definition->filter != NULL)
		filter_check(definition->filter);
}
