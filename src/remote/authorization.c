/*-------------------------------------------------------------------------
 *
 * authorization.c
 *		The Authorization header, by kind of credential.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "common/base64.h"

#include "remote/authorization.h"
#include "remote/http.h"
#include "remote/tba.h"

static char *
encoded(const char *scheme, const char *text)
{
	int	  len = (int) strlen(text);
	int	  size = pg_b64_enc_len(len);
	char *code = palloc0(size + 1);
	char *value;

	if (pg_b64_encode((const void *) text, len, code, size) < 0)
		code[0] = '\0';
	value = psprintf("%s %s", scheme, code);
	explicit_bzero(code, size);
	pfree(code);
	return value;
}

static char *
bearer(const char *token, bool encode)
{
	return encode ? encoded("Bearer", token) : psprintf("Bearer %s", token);
}

static char *
basic(const char *user, const char *password)
{
	char *text = psprintf("%s:%s", user, password);
	char *value = encoded("Basic", text);

	explicit_bzero(text, strlen(text));
	pfree(text);
	return value;
}

static char *
tba_header(const Credential *credential, const RemoteRequest *request)
{
	char	 nonce[TBA_NONCE_SIZE];
	TbaInput in = {
		.method = request->method,
		.url = request->url,
		.realm = credential->realm,
		.consumer_key = credential->consumer_key,
		.consumer_secret = credential->consumer_secret,
		.token_id = credential->token_id,
		.token_secret = credential->token_secret,
		.nonce = nonce,
		.timestamp = (int64_t) time(NULL),
	};
	char *signature;
	char *value;

	if (!tba_nonce(nonce))
		return NULL;
	signature = tba_authorization(&in);
	if (signature == NULL)
		return NULL;
	value = pstrdup(signature);
	explicit_bzero(signature, strlen(signature));
	free(signature);
	return value;
}

char *
authorization_make(const Credential *credential, const RemoteRequest *request, const char *token,
				   bool *failed)
{
	char *value = NULL;

	*failed = false;
	if (request->anonymous || credential == NULL || credential->kind == CREDENTIAL_NONE)
		return NULL;
	switch (credential->kind)
	{
		case CREDENTIAL_NONE:
			break;
		case CREDENTIAL_STATIC:
			value = bearer(credential->token, credential->token_base64);
			break;
		case CREDENTIAL_ASSERTION:
		case CREDENTIAL_SECRET:
			value = bearer(token, credential->token_base64);
			break;
		case CREDENTIAL_TBA:
			value = tba_header(credential, request);
			break;
		case CREDENTIAL_BASIC:
			value = basic(credential->client_id, credential->token);
			break;
	}
	*failed = value == NULL || !http_header_is_clean(value);
	return value;
}
