/*-------------------------------------------------------------------------
 *
 * common_options.c
 *		From options that mean the same for every connector to a connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"

#include "connector/common_options.h"
#include "connector/option.h"
#include "remote/secret.h"

#define DEFAULT_PAGE_SIZE 1000
#define DEFAULT_FETCH_AHEAD 2
#define DEFAULT_MAX_CONCURRENCY 4
#define DEFAULT_CONNECT_TIMEOUT 10000  /* ms */
#define DEFAULT_REQUEST_TIMEOUT 300000 /* ms */
#define DEFAULT_MAX_RETRIES 5

/*
 * connection_apply_common
 *		Fill in what every connector reads the same way: limits, timeouts, TLS,
 *		proxy, versions.  Addresses and credentials are the connector's own.
 */
void
connection_apply_common(Connection *conn, List *server_options)
{
	RemoteEndpoint *endpoint = &conn->endpoint;
	int				half;

	conn->page_size = option_int(server_options, "page_size", DEFAULT_PAGE_SIZE);
	conn->fetch_ahead = option_int(server_options, "fetch_ahead", DEFAULT_FETCH_AHEAD);
	conn->use_remote_estimate = option_bool(server_options, "use_remote_estimate", false);
	conn->time_zone = option_text(server_options, "time_zone");
	conn->accept_language = option_text(server_options, "accept_language");
	conn->api_version = option_text(server_options, "api_version");
	if (!conn->api_version)
		conn->api_version = "v1";

	endpoint->max_concurrency = option_int(server_options, "max_concurrency", DEFAULT_MAX_CONCURRENCY);
	half = Max(endpoint->max_concurrency / 2, 1);
	endpoint->sync_concurrency =
		Min(option_int(server_options, "sync_concurrency", half), endpoint->max_concurrency);
	endpoint->connect_timeout =
		option_duration(server_options, "connect_timeout", DEFAULT_CONNECT_TIMEOUT);
	endpoint->request_timeout =
		option_duration(server_options, "request_timeout", DEFAULT_REQUEST_TIMEOUT);
	endpoint->max_retries = option_int(server_options, "max_retries", DEFAULT_MAX_RETRIES);
	endpoint->ca_file = option_text(server_options, "ca_file");
	endpoint->proxy = option_text(server_options, "proxy");
	endpoint->allow_http = option_bool(server_options, "allow_http", false);
	endpoint->allow_private = option_bool(server_options, "allow_private", false);
}

char *
option_url(List *options, const char *name)
{
	const char *text = option_text(options, name);
	char	   *url;
	size_t		len;

	if (!text)
		return NULL;
	url = pstrdup(text);
	len = strlen(url);
	while (len > 0 && url[len - 1] == '/')
		url[--len] = '\0';
	return url;
}

/* Lengths are part of it, so that no two sets of fields give the same bytes. */
static void
append_field(StringInfo out, const char *field)
{
	if (field)
		appendStringInfo(out, "%zu:%s;", strlen(field), field);
	else
		appendStringInfoString(out, "-;");
}

void
credential_fingerprint(Credential *credential)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);
	StringInfoData	   text;
	bool			   ok;

	initStringInfo(&text);
	appendStringInfo(&text, "%d;%d;", (int) credential->kind, credential->token_base64);
	append_field(&text, credential->token_url);
	append_field(&text, credential->client_id);
	append_field(&text, credential->client_secret);
	append_field(&text, credential->resource);
	append_field(&text, credential->certificate_id);
	append_field(&text, credential->private_key);
	append_field(&text, credential->key_passphrase);
	append_field(&text, credential->algorithm);
	append_field(&text, credential->scope);
	append_field(&text, credential->token);
	append_field(&text, credential->realm);
	append_field(&text, credential->consumer_key);
	append_field(&text, credential->consumer_secret);
	append_field(&text, credential->token_id);
	append_field(&text, credential->token_secret);

	ok = ctx && pg_cryptohash_init(ctx) >= 0 &&
		pg_cryptohash_update(ctx, (uint8 *) text.data, text.len) >= 0 &&
		pg_cryptohash_final(ctx, credential->fingerprint, PG_SHA256_DIGEST_LENGTH) >= 0;
	pg_cryptohash_free(ctx);
	secret_wipe(text.data);
	pfree(text.data);
	if (!ok)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a SHA-256 digest")));
}
