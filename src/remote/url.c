/*-------------------------------------------------------------------------
 *
 * url.c
 *		Base URLs: their parts and what makes two of them one account.
 *
 * Stricter than RFC 3986 on purpose: what two parsers could read differently
 * is refused, so that the address guard and libcurl never disagree.
 *
 * Pure: does not include postgres.h.
 *
 *-------------------------------------------------------------------------
 */
#include "remote/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
refuse(char *err, size_t err_len, const char *why)
{
	snprintf(err, err_len, "%s", why);
	return false;
}

static bool
parse_scheme(const char **p, Url *url, char *err, size_t err_len)
{
	if (strncasecmp(*p, "https://", 8) == 0)
	{
		url->tls = true;
		*p += 8;
		return true;
	}
	if (strncasecmp(*p, "http://", 7) == 0)
	{
		url->tls = false;
		*p += 7;
		return true;
	}
	return refuse(err, err_len, "must begin with https:// or http://");
}

static bool
parse_ipv6(const char **p, Url *url, char *err, size_t err_len)
{
	const char	   *end = strchr(*p, ']');
	struct in6_addr address;
	size_t			len;

	if (end == NULL)
		return refuse(err, err_len, "has an IPv6 address without its closing bracket");
	len = (size_t) (end - *p - 1);
	if (len > URL_MAX_HOST)
		return refuse(err, err_len, "has a host name that is too long");
	for (size_t i = 0; i < len; i++)
		url->host[i] = (char) tolower((unsigned char) (*p)[i + 1]);
	url->host[len] = '\0';
	if (inet_pton(AF_INET6, url->host, &address) != 1)
		return refuse(err, err_len, "has an IPv6 address that is not valid");
	url->ipv6 = true;
	*p = end + 1;
	return true;
}

static bool
parse_host(const char **p, Url *url, char *err, size_t err_len)
{
	size_t len;

	if (**p == '[')
		return parse_ipv6(p, url, err, err_len);

	len = strcspn(*p, ":/?#@\\");
	if (len == 0)
		return refuse(err, err_len, "has no host name");
	if (len > URL_MAX_HOST)
		return refuse(err, err_len, "has a host name that is too long");
	if ((*p)[len] == '@' || memchr(*p, '@', strcspn(*p, "/?#")) != NULL)
		return refuse(err, err_len, "must not contain credentials");
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) (*p)[i];

		if (!isalnum(c) && c != '-' && c != '.' && c != '_')
			return refuse(err, err_len, "has a host name with a character that is not allowed");
		url->host[i] = (char) tolower(c);
	}
	url->host[len] = '\0';
	*p += len;
	return true;
}

static bool
parse_port(const char **p, Url *url, char *err, size_t err_len)
{
	int port = 0;
	int len = 0;

	url->port = url->tls ? 443 : 80;
	if (**p != ':')
		return true;
	for ((*p)++; isdigit((unsigned char) **p) && len < 6; (*p)++, len++)
		port = port * 10 + (**p - '0');
	if (len == 0 || port < 1 || port > 65535)
		return refuse(err, err_len, "has a port that is not between 1 and 65535");
	url->port = port;
	return true;
}

static bool
parse_path(const char *p, Url *url, char *err, size_t err_len)
{
	size_t len = strlen(p);

	if (strchr(p, '?') != NULL)
		return refuse(err, err_len, "must not contain a query");
	if (strchr(p, '#') != NULL)
		return refuse(err, err_len, "must not contain a fragment");
	if (len > 0 && p[0] != '/')
		return refuse(err, err_len, "has something other than a path behind its host");
	if (len > URL_MAX_PATH)
		return refuse(err, err_len, "has a path that is too long");
	for (size_t i = 0; i < len; i++)
	{
		if (p[i] <= ' ' || p[i] > '~' || strchr("\\\"<>^`{|}", p[i]) != NULL)
			return refuse(err, err_len, "has a path with a character that is not allowed");
	}
	while (len > 0 && p[len - 1] == '/')
		len--;
	memcpy(url->path, p, len);
	url->path[len] = '\0';
	return true;
}

bool
url_parse(const char *text, Url *url, char *err, size_t err_len)
{
	const char *p = text;

	memset(url, 0, sizeof(*url));
	return parse_scheme(&p, url, err, err_len) && parse_host(&p, url, err, err_len) &&
		parse_port(&p, url, err, err_len) && parse_path(p, url, err, err_len);
}

void
url_account_key(const Url *url, const char *account, char *out, size_t len)
{
	size_t used;

	used =
		(size_t) snprintf(out, len, "%s://%s:%d/", url->tls ? "https" : "http", url->host, url->port);
	if (account == NULL)
		return;
	for (; *account != '\0' && used + 1 < len; account++)
	{
		/* 1234567_SB1 and 1234567-sb1 are one account */
		out[used++] = *account == '-' ? '_' : (char) tolower((unsigned char) *account);
	}
	if (used < len)
		out[used] = '\0';
}

void
url_path_of(const char *text, char *out, size_t len)
{
	const char *p = strstr(text, "://");
	size_t		n;

	p = p != NULL ? p + 3 : text;
	p += strcspn(p, "/?#");
	n = strcspn(p, "?#");
	if (n == 0)
	{
		p = "/";
		n = 1;
	}
	if (n >= len)
		n = len - 1;
	memcpy(out, p, n);
	out[n] = '\0';
}
