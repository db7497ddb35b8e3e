/*-------------------------------------------------------------------------
 *
 * classify.c
 *		What an answer of ASCTrac means, as far as its HTTP status says.
 *
 * The interactive service always says 200; what it means by that stands in its
 * envelope, which read.c opens.  Texts of errors come from anywhere inside the
 * other side, SQL Server included: they are cut short and cleaned.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <jansson.h>

#include "mb/pg_wchar.h"

#include "connector/asctrac/asctrac.h"

/* Error bodies are small; a larger one is not worth parsing. */
#define MAX_ERROR_BODY (256 * 1024)

/* What a status becomes. */
typedef struct Verdict
{
	long		from, to;
	RemoteClass cls;
	int			sqlstate;
	const char *message;
	const char *hint;
} Verdict;

static const Verdict verdicts[] = {
	{200, 299, REMOTE_BROKEN, ERRCODE_FDW_ERROR, "ASCTrac answered with a page instead of data",
	 "Check base_url and rest_base_url of the server: something else answers there."},
	{300, 399, REMOTE_BROKEN, ERRCODE_FDW_ERROR, "ASCTrac answered with a redirect",
	 "Redirects are not followed. Check base_url and rest_base_url of the server."},
	{401, 401, REMOTE_AUTH, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	 "ASCTrac refused the credentials",
	 "The token is missing, unknown or no longer valid: the other side doesn't say which. Check the user mapping, and token_encoding of the server."},
	{403, 403, REMOTE_DENIED, ERRCODE_INSUFFICIENT_PRIVILEGE, "ASCTrac does not allow this", NULL},
	{404, 404, REMOTE_REJECTED, ERRCODE_FDW_ERROR, "ASCTrac does not know this address",
	 "Check base_url and rest_base_url of the server; an older version may lack this part of the interface."},
	{405, 405, REMOTE_REJECTED, ERRCODE_FDW_ERROR, "ASCTrac does not allow this method here",
	 "Check base_url and rest_base_url of the server; an older version may lack this part of the interface."},
	{408, 408, REMOTE_RETRY, ERRCODE_CONNECTION_FAILURE, "ASCTrac gave up waiting for the request", NULL},
	{413, 413, REMOTE_REJECTED, ERRCODE_FDW_ERROR, "the request is too large for ASCTrac", NULL},
	{429, 429, REMOTE_THROTTLED, ERRCODE_TOO_MANY_CONNECTIONS, "ASCTrac limits requests",
	 "Set max_concurrency of the server lower."},
	{400, 499, REMOTE_REJECTED, ERRCODE_FDW_ERROR, "ASCTrac refused the request", NULL},
	{500, 500, REMOTE_RETRY, ERRCODE_FDW_ERROR, "ASCTrac failed inside",
	 "Its own log has more; the database behind it may not be reachable."},
	{501, 599, REMOTE_RETRY, ERRCODE_CONNECTION_FAILURE, "ASCTrac is not available",
	 "This is usually passing trouble of the other side; try again."},
	{0, 999, REMOTE_BROKEN, ERRCODE_FDW_ERROR, "ASCTrac answered with an unknown status", NULL},
};

static const Verdict *
verdict_of_status(long status)
{
	const Verdict *verdict = verdicts;

	while (status < verdict->from || status > verdict->to)
		verdict++;
	return verdict;
}

/* What stands behind the address that imports put before their reason. */
static const char *
reason_of(const char *text)
{
	const char *reason = strstr(text, "ailed: ");

	return reason != NULL ? reason + strlen("ailed: ") : text;
}

/*
 * asctrac_clean_text
 *		A remote text fit for a message: its reason only.  text is valid UTF-8.
 */
char *
asctrac_clean_text(const char *text)
{
	return remote_clean_text(reason_of(text));
}

/* Errors are objects with a Message, or plain text. */
static char *
read_message(const RemoteResponse *response)
{
	json_t	   *root;
	const char *message;
	char	   *text = NULL;

	if (response->body == NULL || response->body_len == 0 || response->body_len > MAX_ERROR_BODY)
		return NULL;
	root = json_loadb(response->body, response->body_len, JSON_DECODE_ANY, NULL);
	message = json_is_string(root) ? json_string_value(root) :
									 json_string_value(json_object_get(root, "Message"));
	if (message != NULL && *message != '\0')
		text = asctrac_clean_text(message);
	else if (root == NULL && response->body[0] != '<' &&
			 pg_verify_mbstr(PG_UTF8, response->body, (int) response->body_len, true))
		text = asctrac_clean_text(response->body);
	json_decref(root);
	return text;
}

/* By what it is: types of content are not to be relied on here, arrays come as plain text. */
static bool
is_page(const RemoteResponse *response)
{
	const char *body = response->body ? response->body : "";

	return body[strspn(body, " \t\r\n")] == '<';
}

/*
 * asctrac_classify
 *		Say what an answer means and, unless it is well, why.
 */
RemoteClass
asctrac_classify(const RemoteResponse *response, RemoteFault *fault)
{
	const Verdict *verdict;

	/* 203 is how this service says that a function is not authorized. */
	if (response->status >= 200 && response->status < 300 && response->status != 203 &&
		!is_page(response))
		return REMOTE_OK;
	verdict = verdict_of_status(response->status == 203 ? 403 : response->status);
	memset(fault, 0, sizeof(*fault));
	fault->cls = verdict->cls;
	fault->sqlstate = verdict->sqlstate;
	fault->http_status = response->status;
	fault->message = verdict->message;
	fault->remote_message = is_page(response) ? NULL : read_message(response);
	fault->hint = verdict->hint;
	return fault->cls;
}

/*
 * asctrac_classify_old
 *		The same for installations that say 404 where there are no rows.  A path
 *		that does not exist is told from that by its message.
 */
RemoteClass
asctrac_classify_old(const RemoteResponse *response, RemoteFault *fault)
{
	char *message;

	if (response->status != 404 || is_page(response))
		return asctrac_classify(response, fault);
	message = read_message(response);
	if (message != NULL && strncmp(message, "No HTTP resource", 16) == 0)
		return asctrac_classify(response, fault);
	return REMOTE_OK;
}
