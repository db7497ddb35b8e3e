/*-------------------------------------------------------------------------
 *
 * sign_sql.c
 *		makini.webhook_sign() and makini.webhook_verify().
 *
 * Errors hide their statement from the log, which holds the secret.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "webhook/webhook.h"

PG_FUNCTION_INFO_V1(makini_webhook_sign);
PG_FUNCTION_INFO_V1(makini_webhook_verify);

static void
parse_secret(text *secret, SignKey *key)
{
	char *text = text_to_cstring(secret);
	char  reason[200];
	bool  parsed = sign_key_parse(text, key, reason, sizeof(reason));

	explicit_bzero(text, strlen(text));
	if (!parsed)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the secret %s", reason),
				 errhint("Secrets of webhooks begin with whsec_, whsk_ or whpk_."),
				 errhidestmt(true), errhidecontext(true)));
}

static int64
unix_time(TimestampTz moment)
{
	return timestamptz_to_time_t(moment);
}

/* Signatures are over UTF-8, whatever the database's encoding is. */
static char *
in_utf8(text *body, size_t *len)
{
	char *plain = text_to_cstring(body);
	char *utf8 = pg_server_to_any(plain, strlen(plain), PG_UTF8);

	*len = strlen(utf8);
	return utf8;
}

Datum
makini_webhook_sign(PG_FUNCTION_ARGS)
{
	char   *id = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	signature[SIGN_MAX_SIGNATURE];
	SignKey key;
	size_t	len;
	char   *body = in_utf8(PG_GETARG_TEXT_PP(3), &len);
	bool	made;

	if (id[0] == '\0' || strchr(id, '.') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the id of a webhook message must not be empty or contain a full stop"),
				 errhidestmt(true)));
	parse_secret(PG_GETARG_TEXT_PP(0), &key);
	made = sign_message(&key, id, unix_time(PG_GETARG_TIMESTAMPTZ(2)), body, len, signature,
						sizeof(signature));
	sign_key_clear(&key);
	if (!made)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("could not sign with this secret"),
				 errhint("Sign with whsec_ or whsk_; whpk_ only verifies."), errhidestmt(true)));
	PG_RETURN_TEXT_P(cstring_to_text(signature));
}

Datum
makini_webhook_verify(PG_FUNCTION_ARGS)
{
	Interval *tolerance = PG_GETARG_INTERVAL_P(5);
	int64	  seconds = tolerance->time / USECS_PER_SEC +
		((int64) tolerance->month * DAYS_PER_MONTH + tolerance->day) * SECS_PER_DAY;
	SignKey key;
	size_t	len;
	char   *body = in_utf8(PG_GETARG_TEXT_PP(3), &len);
	bool	fits;

	parse_secret(PG_GETARG_TEXT_PP(0), &key);
	fits = sign_verify(&key, text_to_cstring(PG_GETARG_TEXT_PP(1)),
					   text_to_cstring(PG_GETARG_TEXT_PP(2)), body, len,
					   text_to_cstring(PG_GETARG_TEXT_PP(4)), seconds,
					   unix_time(PG_GETARG_TIMESTAMPTZ(6)));
	sign_key_clear(&key);
	PG_RETURN_BOOL(fits);
}
