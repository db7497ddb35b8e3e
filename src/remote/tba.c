/*-------------------------------------------------------------------------
 *
 * tba.c
 *		The Authorization header of token-based authentication (RFC 5849 with
 *		HMAC-SHA256).
 *
 * What is signed: the method, the URL without its query, and the parameters of
 * the query together with oauth_*, sorted by their encoded names and values.
 * The realm and a JSON body are not signed.
 *
 *-------------------------------------------------------------------------
 */
#include "remote/tba.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define OAUTH_PARAMETERS 6
#define SIGNATURE_BYTES 32

/* Text that grows; failed is sticky, so that only the end has to look at it. */
typedef struct Text
{
	char  *data;
	size_t len;
	size_t size;
	bool   failed;
} Text;

/* A parameter with both halves percent-encoded. */
typedef struct Parameter
{
	char *name;
	char *value;
} Parameter;

typedef struct Parameters
{
	Parameter *items;
	size_t	   n;
	bool	   failed;
} Parameters;

static void
append(Text *text, const char *data, size_t len)
{
	if (text->failed)
		return;
	if (text->len + len + 1 > text->size)
	{
		size_t size = (text->len + len + 1) * 2;
		char  *grown = realloc(text->data, size);

		if (!grown)
		{
			text->failed = true;
			return;
		}
		text->data = grown;
		text->size = size;
	}
	memcpy(text->data + text->len, data, len);
	text->len += len;
	text->data[text->len] = '\0';
}

static void
append_string(Text *text, const char *string)
{
	append(text, string, strlen(string));
}

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		c == '.' || c == '_' || c == '~';
}

static void
append_encoded(Text *text, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) data[i];
		char		  escaped[4];

		if (is_unreserved(c))
			append(text, data + i, 1);
		else
		{
			snprintf(escaped, sizeof(escaped), "%%%02X", c);
			append(text, escaped, 3);
		}
	}
}

static void
wipe_text(Text *text)
{
	if (text->data)
		OPENSSL_cleanse(text->data, text->size);
	free(text->data);
	memset(text, 0, sizeof(*text));
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Half of a query parameter, which may be encoded in more than one way, in the one way that is signed. */
static char *
reencode(const char *data, size_t len)
{
	Text text = {NULL, 0, 0, false};

	append(&text, "", 0);
	for (size_t i = 0; i < len; i++)
	{
		char c = data[i];

		if (c == '+')
			c = ' ';
		else if (c == '%' && i + 2 < len && hex_digit(data[i + 1]) >= 0 && hex_digit(data[i + 2]) >= 0)
		{
			c = (char) (hex_digit(data[i + 1]) * 16 + hex_digit(data[i + 2]));
			i += 2;
		}
		append_encoded(&text, &c, 1);
	}
	if (text.failed)
	{
		free(text.data);
		return NULL;
	}
	return text.data;
}

static void
add_parameter(Parameters *parameters, char *name, char *value)
{
	Parameter *grown;

	grown = realloc(parameters->items, (parameters->n + 1) * sizeof(Parameter));
	if (grown)
		parameters->items = grown;
	if (!grown || !name || !value)
	{
		free(name);
		free(value);
		parameters->failed = true;
		return;
	}
	parameters->items[parameters->n].name = name;
	parameters->items[parameters->n].value = value;
	parameters->n++;
}

static char *
encode(const char *string)
{
	Text text = {NULL, 0, 0, false};

	append(&text, "", 0);
	append_encoded(&text, string, strlen(string));
	if (text.failed)
	{
		free(text.data);
		return NULL;
	}
	return text.data;
}

static void
add_query(Parameters *parameters, const char *query)
{
	while (*query && *query != '#')
	{
		size_t		len = strcspn(query, "&#");
		const char *equals = memchr(query, '=', len);
		size_t		name_len = equals ? (size_t) (equals - query) : len;

		if (len > 0)
			add_parameter(parameters, reencode(query, name_len),
						  equals ? reencode(equals + 1, len - name_len - 1) : reencode("", 0));
		query += len;
		if (*query == '&')
			query++;
	}
}

static void
add_oauth(Parameters *parameters, const TbaInput *in, const char *timestamp)
{
	const char *const pairs[OAUTH_PARAMETERS][2] = {
		{"oauth_consumer_key", in->consumer_key},
		{"oauth_token", in->token_id},
		{"oauth_signature_method", "HMAC-SHA256"},
		{"oauth_timestamp", timestamp},
		{"oauth_nonce", in->nonce},
		{"oauth_version", "1.0"},
	};

	for (int i = 0; i < OAUTH_PARAMETERS; i++)
		add_parameter(parameters, encode(pairs[i][0]), encode(pairs[i][1]));
}

static void
free_parameters(Parameters *parameters)
{
	for (size_t i = 0; i < parameters->n; i++)
	{
		free(parameters->items[i].name);
		free(parameters->items[i].value);
	}
	free(parameters->items);
}

static int
compare_parameters(const void *a, const void *b)
{
	const Parameter *left = a;
	const Parameter *right = b;
	int				 order = strcmp(left->name, right->name);

	return order ? order : strcmp(left->value, right->value);
}

static void
append_lower(Text *text, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		char c = data[i];

		if (c >= 'A' && c <= 'Z')
			c = (char) (c - 'A' + 'a');
		append(text, &c, 1);
	}
}

/*
 * scheme://host[:port]/path with scheme and host in lower case and the scheme's
 * own port left out (RFC 5849 3.4.1.2).
 */
static bool
base_uri(const char *url, Text *out)
{
	const char *authority = strstr(url, "://");
	size_t		scheme_len;
	size_t		host_len;
	const char *path;
	bool		https;

	if (!authority)
		return false;
	scheme_len = (size_t) (authority - url);
	authority += 3;
	host_len = strcspn(authority, "/?#");
	if (scheme_len == 0 || host_len == 0)
		return false;
	path = authority + host_len;
	https = scheme_len == 5;
	if (https && host_len > 4 && memcmp(authority + host_len - 4, ":443", 4) == 0)
		host_len -= 4;
	else if (!https && host_len > 3 && memcmp(authority + host_len - 3, ":80", 3) == 0)
		host_len -= 3;

	append_lower(out, url, scheme_len);
	append_string(out, "://");
	append_lower(out, authority, host_len);
	if (*path != '/')
		append_string(out, "/");
	append(out, path, strcspn(path, "?#"));
	return true;
}

/* The text that is signed, in out. */
static bool
signature_base(const TbaInput *in, Parameters *parameters, Text *out)
{
	Text uri = {NULL, 0, 0, false};
	Text list = {NULL, 0, 0, false};
	bool ok = base_uri(in->url, &uri);

	qsort(parameters->items, parameters->n, sizeof(Parameter), compare_parameters);
	for (size_t i = 0; i < parameters->n; i++)
	{
		append_string(&list, i ? "&" : "");
		append_string(&list, parameters->items[i].name);
		append_string(&list, "=");
		append_string(&list, parameters->items[i].value);
	}
	ok = ok && !uri.failed && !list.failed;
	if (ok)
	{
		append_string(out, in->method);
		append_string(out, "&");
		append_encoded(out, uri.data, uri.len);
		append_string(out, "&");
		append_encoded(out, list.data, list.len);
	}
	free(uri.data);
	free(list.data);
	return ok && !out->failed;
}

/* Base64 of the signature over base; signature has room for 45 bytes. */
static bool
sign(const TbaInput *in, const Text *base, char *signature)
{
	Text		  key = {NULL, 0, 0, false};
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int  mac_len = 0;
	bool		  ok;

	append_encoded(&key, in->consumer_secret, strlen(in->consumer_secret));
	append_string(&key, "&");
	append_encoded(&key, in->token_secret, strlen(in->token_secret));
	ok = !key.failed &&
		HMAC(EVP_sha256(), key.data, (int) key.len, (const unsigned char *) base->data, base->len,
			 mac, &mac_len) &&
		mac_len == SIGNATURE_BYTES;
	if (ok)
		EVP_EncodeBlock((unsigned char *) signature, mac, SIGNATURE_BYTES);
	wipe_text(&key);
	return ok;
}

static void
append_field(Text *out, const char *name, const char *value)
{
	append_string(out, ", ");
	append_string(out, name);
	append_string(out, "=\"");
	append_encoded(out, value, strlen(value));
	append_string(out, "\"");
}

static char *
header_value(const TbaInput *in, const char *timestamp, const char *signature)
{
	Text out = {NULL, 0, 0, false};

	append_string(&out, "OAuth realm=\"");
	append_encoded(&out, in->realm, strlen(in->realm));
	append_string(&out, "\"");
	append_field(&out, "oauth_consumer_key", in->consumer_key);
	append_field(&out, "oauth_token", in->token_id);
	append_field(&out, "oauth_signature_method", "HMAC-SHA256");
	append_field(&out, "oauth_timestamp", timestamp);
	append_field(&out, "oauth_nonce", in->nonce);
	append_field(&out, "oauth_version", "1.0");
	append_field(&out, "oauth_signature", signature);
	if (out.failed)
		wipe_text(&out);
	return out.data;
}

char *
tba_authorization(const TbaInput *in)
{
	Parameters	parameters = {NULL, 0, false};
	Text		base = {NULL, 0, 0, false};
	const char *query = strchr(in->url, '?');
	char		timestamp[24];
	char		signature[48];
	char	   *out = NULL;

	snprintf(timestamp, sizeof(timestamp), "%lld", (long long) in->timestamp);
	add_oauth(&parameters, in, timestamp);
	if (query)
		add_query(&parameters, query + 1);
	if (!parameters.failed && signature_base(in, &parameters, &base) && sign(in, &base, signature))
		out = header_value(in, timestamp, signature);
	free_parameters(&parameters);
	free(base.data);
	return out;
}

bool
tba_nonce(char nonce[TBA_NONCE_SIZE])
{
	unsigned char random[(TBA_NONCE_SIZE - 1) / 2];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return false;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(nonce + 2 * i, 3, "%02x", random[i]);
	return true;
}
