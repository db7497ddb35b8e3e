/*-------------------------------------------------------------------------
 *
 * url.h
 *		Base URLs: their parts and what makes two of them one account.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_URL_H
#define MAKINI_URL_H

#include <stdbool.h>
#include <stddef.h>

#define URL_MAX_HOST 255
#define URL_MAX_PATH 1024

typedef struct Url
{
	bool tls;					 /* https */
	char host[URL_MAX_HOST + 1]; /* lower case; IPv6 without its brackets */
	bool ipv6;					 /* host is an IPv6 address */
	int	 port;					 /* the scheme's own when none was given */
	char path[URL_MAX_PATH + 1]; /* "" or "/..." without trailing slash */
} Url;

/*
 * url_parse
 *		Take scheme://host[:port][/path] apart.  False, with a reason in err
 *		that reads well behind "URL ", for anything else: other schemes,
 *		credentials, query, fragment, zones, characters that do not belong.
 */
extern bool url_parse(const char *text, Url *url, char *err, size_t err_len);

/*
 * url_account_key
 *		What the governor calls the remote account: scheme, host, port and
 *		account (may be NULL), in one spelling.
 */
extern void url_account_key(const Url *url, const char *account, char *out, size_t len);

/* The path of any URL, without query and fragment, as it stands in messages. */
extern void url_path_of(const char *text, char *out, size_t len);

#endif /* MAKINI_URL_H */
