/*-------------------------------------------------------------------------
 *
 * deprecation_header.c
 *		What an answer's headers say about the end of what was asked (pure).
 *
 * Deprecation is a structured date (RFC 9745: "@1688169599"), Sunset an HTTP
 * date (RFC 8594).  Senders mix the two up, and drafts of the former knew other
 * forms ("true", an HTTP date), so each is read wherever it stands.  Link is
 * RFC 8288.  All of it comes from the network.
 *
 *-------------------------------------------------------------------------
 */
#include "remote/deprecation_header.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "remote/retry.h"

#define LAST_SECOND INT64_C(253402300799) /* of the year 9999 */

#define ID_NAME "{id}"
#define EXTERNAL_ID "eid:"
#define UUID_LENGTH 36

/* ---- dates ---- */

/* "@" and seconds, parameters behind them ignored. */
static int64_t
structured_date(const char *text)
{
	int64_t seconds = 0;

	if (*text++ != '@' || !isdigit((unsigned char) *text))
		return 0;
	for (; isdigit((unsigned char) *text); text++)
	{
		seconds = seconds * 10 + (*text - '0');
		if (seconds > LAST_SECOND)
			return 0;
	}
	return *text == '\0' || *text == ';' || *text == ' ' ? seconds : 0;
}

static int64_t
date_of(const char *text)
{
	time_t date = http_date_parse(text);

	return date > 0 ? (int64_t) date : structured_date(text);
}

/* A word that says that there is nothing to announce. */
static bool
denies(const char *text)
{
	return *text == '\0' || strcasecmp(text, "false") == 0 || strcmp(text, "?0") == 0 ||
		strcmp(text, "0") == 0;
}

bool
deprecation_parse(const char *deprecation, const char *sunset, DeprecationDates *dates)
{
	bool announced = deprecation != NULL && !denies(deprecation);

	dates->deprecated_at = announced ? date_of(deprecation) : 0;
	dates->sunset_at = sunset != NULL ? date_of(sunset) : 0;
	return announced || dates->sunset_at != 0;
}

/* ---- links ---- */

static const char *
skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Behind a quoted string, or behind a token. */
static const char *
skip_value(const char *p)
{
	if (*p != '"')
		return p + strcspn(p, ";, \t");
	for (p++; *p != '\0' && *p != '"'; p++)
	{
		if (*p == '\\' && p[1] != '\0')
			p++;
	}
	return *p == '"' ? p + 1 : p;
}

/* Is a relation among those that a value names, divided by spaces? */
static bool
names_relation(const char *value, size_t len, const char *relation)
{
	size_t wanted = strlen(relation);

	while (len > 0)
	{
		size_t word = 0;

		while (word < len && value[word] != ' ' && value[word] != '"')
			word++;
		if (word == wanted && strncasecmp(value, relation, wanted) == 0)
			return true;
		if (word < len)
			word++;
		value += word;
		len -= word;
	}
	return false;
}

/* The parameters of one link: is it about this resource, and of the relation?  Moves to its end. */
static bool
has_relation(const char **p, const char *relation)
{
	bool found = false;
	bool seen = false;
	bool elsewhere = false;

	while (*(*p = skip_space(*p)) == ';')
	{
		const char *name = skip_space(*p + 1);
		size_t		name_len = strcspn(name, "=;, \t");
		const char *value = skip_space(name + name_len);

		if (*value != '=')
		{
			*p = value;
			continue;
		}
		value = skip_space(value + 1);
		*p = skip_value(value);
		if (name_len == 6 && strncasecmp(name, "anchor", 6) == 0)
			elsewhere = true;
		if (name_len == 3 && strncasecmp(name, "rel", 3) == 0 && !seen)
		{
			found = names_relation(value, *p - value, relation);
			seen = true;
		}
	}
	return found && !elsewhere;
}

static bool
is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	}
	return len > 0;
}

static bool
link_of(const char *link, const char *relation, char *target, size_t len)
{
	const char *p = skip_space(link);

	while (*p == '<')
	{
		const char *uri = p + 1;
		size_t		uri_len = strcspn(uri, ">");

		if (uri[uri_len] != '>')
			return false;
		p = uri + uri_len + 1;
		if (has_relation(&p, relation) && uri_len < len && is_printable(uri, uri_len))
		{
			memcpy(target, uri, uri_len);
			target[uri_len] = '\0';
			return true;
		}
		p += strcspn(p, ",");
		while (*p == ',')
			p = skip_space(p + 1);
	}
	return false;
}

bool
deprecation_link(const char *link, char *target, size_t len)
{
	return link != NULL &&
		(link_of(link, "deprecation", target, len) || link_of(link, "sunset", target, len) ||
		 link_of(link, "successor-version", target, len));
}

/* ---- paths ---- */

static bool
is_id(const char *segment, size_t len)
{
	size_t digits = strspn(segment, "0123456789");

	return len > 0 &&
		(digits == len ||
		 (len == UUID_LENGTH && strspn(segment, "0123456789abcdefABCDEF-") == len && segment[8] == '-'));
}

static void
append(char *out, size_t size, size_t *used, const char *text, size_t len)
{
	if (len > size - 1 - *used)
		len = size - 1 - *used;
	memcpy(out + *used, text, len);
	*used += len;
}

void
deprecation_template(const char *path, char *out, size_t size)
{
	size_t used = 0;

	while (*path != '\0')
	{
		size_t len;

		if (*path == '/')
			append(out, size, &used, path++, 1);
		len = strcspn(path, "/");
		if (is_id(path, len))
			append(out, size, &used, ID_NAME, strlen(ID_NAME));
		else if (strncmp(path, EXTERNAL_ID, strlen(EXTERNAL_ID)) == 0)
			append(out, size, &used, EXTERNAL_ID ID_NAME, strlen(EXTERNAL_ID ID_NAME));
		else
			append(out, size, &used, path, len);
		path += len;
	}
	out[used] = '\0';
}

bool
deprecation_is_news(bool differs, bool may_tell, bool *untold)
{
	bool news = (differs || *untold) && may_tell;

	*untold = (differs || *untold) && !may_tell;
	return news;
}
