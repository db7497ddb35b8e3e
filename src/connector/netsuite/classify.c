/*-------------------------------------------------------------------------
 *
 * classify.c
 *		What an answer of NetSuite means.
 *
 * The tables below are the one place where remote errors become SQLSTATEs,
 * messages and hints.  A body may be NetSuite's error object, an OAuth error,
 * a page of HTML from the edge in front of it, torn, or empty: nothing about
 * it is taken for granted, and nothing here raises.
 *
 * The token endpoint's refusals are told by token.c, which knows what they are
 * about.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <jansson.h>

#include "connector/netsuite/netsuite.h"

/* Error bodies are small; a larger one is not worth parsing. */
#define MAX_ERROR_BODY (256 * 1024)

/* What of a page's title is looked at, in bytes. */
#define MAX_TITLE 600

/* What an error body says; each NULL when it does not. */
typedef struct ErrorBody
{
	char *code;
	char *text;
} ErrorBody;

/* What a fault becomes; name in message stands for the quoted name in the text. */
typedef struct Verdict
{
	const char *match; /* code, or piece of the text */
	RemoteClass cls;
	int			sqlstate;
	const char *message;
	const char *hint;
} Verdict;

#define HINT_COLUMN                                                                                \
	"The column does not exist in this account, or the role may not see it. Drop it from the foreign table, or import the table again: columns that the role cannot read are then left out."
#define HINT_RECORD                                                                                \
	"Give the role the view permission for this record type, or enable the feature that it belongs to. Nothing was read."
#define HINT_AUDIT_TRAIL                                                                           \
	"The reason stands in NetSuite under Setup > Users/Roles > User Management > View Login Audit Trail."

/*
 * Details of a rejected query, by a piece of their text.  A quoted name behind
 * the piece, or a bare word up to a period, fills the %s of the message.
 */
static const Verdict query_verdicts[] = {
	{"Unknown identifier '", REMOTE_REJECTED, ERRCODE_FDW_COLUMN_NAME_NOT_FOUND,
	 "NetSuite does not know column \"%s\"", HINT_COLUMN},
	{"Field '", REMOTE_REJECTED, ERRCODE_FDW_COLUMN_NAME_NOT_FOUND,
	 "NetSuite does not expose column \"%s\"", HINT_COLUMN},
	{"Record '", REMOTE_DENIED, ERRCODE_INSUFFICIENT_PRIVILEGE,
	 "the NetSuite role may not read record \"%s\"", HINT_RECORD},
	{"Invalid search type: ", REMOTE_REJECTED, ERRCODE_FDW_TABLE_NOT_FOUND,
	 "NetSuite does not know table \"%s\"",
	 "Check the option \"entity\" of the foreign table; the feature that the table belongs to may be disabled in this account."},
	{"Record type '", REMOTE_REJECTED, ERRCODE_FDW_TABLE_NOT_FOUND,
	 "NetSuite does not know record type \"%s\"",
	 "Check the option \"record_type\" of the foreign table."},
	{"Invalid or unsupported search", REMOTE_REJECTED, ERRCODE_FDW_ERROR,
	 "NetSuite does not support this query",
	 "Either the query uses something that SuiteQL does not know, or the role may not read one of its tables."},
	{"Parse of date/time", REMOTE_REJECTED, ERRCODE_FDW_ERROR,
	 "NetSuite could not read a date in the query",
	 "Write dates with TO_DATE and a format; bare dates are read in the format of the user's preferences."},
};

/* Codes of error objects, whatever the HTTP status. */
static const Verdict code_verdicts[] = {
	{"CONCURRENCY_LIMIT_EXCEEDED", REMOTE_THROTTLED, ERRCODE_TOO_MANY_CONNECTIONS,
	 "NetSuite's concurrency limit is exceeded", NULL},
	{"SSS_REQUEST_LIMIT_EXCEEDED", REMOTE_THROTTLED, ERRCODE_TOO_MANY_CONNECTIONS,
	 "NetSuite's concurrency limit is exceeded", NULL},
	{"INVALID_LOGIN", REMOTE_AUTH, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	 "NetSuite refused the authentication", NULL},
	{"INSUFFICIENT_PERMISSION", REMOTE_DENIED, ERRCODE_INSUFFICIENT_PRIVILEGE,
	 "the NetSuite role lacks a permission", NULL},
	{"NONEXISTENT_FIELD", REMOTE_REJECTED, ERRCODE_FDW_COLUMN_NAME_NOT_FOUND,
	 "NetSuite does not know a field of the request", HINT_COLUMN},
	{"NONEXISTENT_ID", REMOTE_REJECTED, ERRCODE_FDW_ERROR, "NetSuite does not have this record", NULL},
	{"INVALID_PARAMETER", REMOTE_REJECTED, ERRCODE_FDW_ERROR, "NetSuite rejected the query",
	 "EXPLAIN (VERBOSE) shows the text of the query that is sent."},
	{"INVALID_CONTENT", REMOTE_REJECTED, ERRCODE_FDW_ERROR, "NetSuite rejected a value", NULL},
	{"INVALID_HEADER", REMOTE_REJECTED, ERRCODE_FDW_ERROR,
	 "NetSuite rejected a header of the request", NULL},
	{"IDEMPOTENCY_ERROR", REMOTE_REJECTED, ERRCODE_FDW_ERROR,
	 "NetSuite has already been given this request", NULL},
	{"USER_ERROR", REMOTE_REJECTED, ERRCODE_FDW_ERROR, "NetSuite refused the request", NULL},
	{"UNEXPECTED_ERROR", REMOTE_RETRY, ERRCODE_FDW_ERROR, "NetSuite failed inside",
	 "One column that the role cannot read may be enough for this. Import the table again, or select fewer columns to find it; NetSuite's support asks for the operation id."},
};

/* The rest goes by HTTP status; match is not used. */
static const struct
{
	long	from, to;
	Verdict verdict;
} status_verdicts[] = {
	{200,
	 299,
	 {NULL, REMOTE_BROKEN, ERRCODE_FDW_ERROR, "NetSuite answered with a page instead of data",
	  "Check the options \"account_id\" and \"base_url\" of the server; the account may be under maintenance."}},
	{300,
	 399,
	 {NULL, REMOTE_BROKEN, ERRCODE_FDW_ERROR, "NetSuite answered with a redirect",
	  "Redirects are not followed. Check the options \"account_id\" and \"base_url\" of the server."}},
	{401,
	 401,
	 {NULL, REMOTE_AUTH, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	  "NetSuite refused the authentication", NULL}},
	{403,
	 403,
	 {NULL, REMOTE_DENIED, ERRCODE_INSUFFICIENT_PRIVILEGE, "the NetSuite role may not do this", NULL}},
	{404,
	 404,
	 {NULL, REMOTE_REJECTED, ERRCODE_FDW_ERROR, "NetSuite does not know this address",
	  "Check the options \"account_id\" and \"base_url\" of the server, and that the features REST Web Services and SuiteAnalytics Workbook are enabled."}},
	{408,
	 408,
	 {NULL, REMOTE_RETRY, ERRCODE_CONNECTION_FAILURE, "NetSuite gave up waiting for the request", NULL}},
	{425,
	 425,
	 {NULL, REMOTE_RETRY, ERRCODE_CONNECTION_FAILURE, "NetSuite is not ready for the request", NULL}},
	{429,
	 429,
	 {NULL, REMOTE_THROTTLED, ERRCODE_TOO_MANY_CONNECTIONS,
	  "NetSuite's concurrency limit is exceeded", NULL}},
	{400, 499, {NULL, REMOTE_REJECTED, ERRCODE_FDW_ERROR, "NetSuite rejected the request", NULL}},
	{500, 500, {NULL, REMOTE_RETRY, ERRCODE_FDW_ERROR, "NetSuite failed inside", NULL}},
	{501,
	 599,
	 {NULL, REMOTE_RETRY, ERRCODE_CONNECTION_FAILURE, "NetSuite is not available",
	  "The trouble is at NetSuite's side or in between; see status.netsuite.com."}},
};

/* Hints that a verdict without one of its own gets, by class. */
static const char *
hint_of_class(RemoteClass cls)
{
	switch (cls)
	{
		case REMOTE_AUTH:
			return "The role needs the permissions REST Web Services and Log in using OAuth 2.0 Access Tokens (token-based authentication: Log in using Access Tokens, the right four secrets and the right time); its integration record must be enabled. " HINT_AUDIT_TRAIL;
		case REMOTE_DENIED:
			return "Give the role the permissions REST Web Services, SuiteAnalytics Workbook and the view permission of the record types it reads.";
		case REMOTE_THROTTLED:
			return "All integrations of the account share its limit. Lower max_concurrency of the server, or run at a quieter time.";
		case REMOTE_REJECTED:
			return "EXPLAIN (VERBOSE) shows the text of the query that is sent.";
		default:
			return "The trouble is at NetSuite's side or in between; its support can look the operation up by its id.";
	}
}

/* Hints for codes whose meaning is in the text. */
static const char *
hint_of_text(const char *code, const char *text)
{
	if (strcmp(code, "INVALID_HEADER") == 0 && strstr(text, "anguage"))
		return "Set the option \"accept_language\" of the server to the company's default language, such as 'en'.";
	if (strcmp(code, "USER_ERROR") == 0 && strstr(text, "locked by a user defined workflow"))
		return "The record interface loads records as if to edit them; SuiteQL reads locked records too.";
	return NULL;
}

static char *
member_text(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text && *text ? remote_clean_text(text) : NULL;
}

static void
read_error_object(json_t *root, ErrorBody *error)
{
	json_t *detail = json_array_get(json_object_get(root, "o:errorDetails"), 0);

	error->code = member_text(detail, "o:errorCode");
	error->text = member_text(detail, "detail");
	if (!error->code)
		error->code = member_text(root, "o:errorCode");
	if (!error->text)
		error->text = member_text(root, "detail");
	if (!error->text)
		error->text = member_text(root, "title");

	/* The form of OAuth, should something in between speak it. */
	if (!error->code)
		error->code = member_text(root, "error");
	if (!error->text)
		error->text = member_text(root, "error_description");
}

/* The title of an HTML page says most of what there is to say. */
static char *
html_title(const char *body, size_t len)
{
	const char *begin = NULL;
	const char *end;
	char	   *title;

	for (const char *p = body; p + 7 <= body + len && !begin; p++)
	{
		if (pg_strncasecmp(p, "<title>", 7) == 0)
			begin = p + 7;
	}
	if (!begin)
		return NULL;
	end = memchr(begin, '<', (size_t) (body + len - begin));
	if (!end)
		return NULL;
	title = pnstrdup(begin, (Size) Min(end - begin, MAX_TITLE));
	for (char *p = title; *p; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	}
	return remote_clean_text(title);
}

static void
read_error(const RemoteResponse *response, ErrorBody *error)
{
	json_t *root;

	memset(error, 0, sizeof(*error));
	if (!response->body || response->body_len == 0 || response->body_len > MAX_ERROR_BODY)
		return;
	root = json_loadb(response->body, response->body_len, 0, NULL);
	if (json_is_object(root))
		read_error_object(root, error);
	json_decref(root);
	if (!error->code && !error->text)
		error->text = html_title(response->body, response->body_len);
}

/* The name behind a piece of text: up to its quote, or a word. */
static char *
name_behind(const char *text, const char *piece)
{
	const char *name = strstr(text, piece) + strlen(piece);
	bool		quoted = piece[strlen(piece) - 1] == '\'';

	return pnstrdup(name, Min(strcspn(name, quoted ? "'" : " .,"), NAMEDATALEN));
}

static const Verdict *
verdict_of_query(const char *text)
{
	for (int i = 0; i < (int) lengthof(query_verdicts); i++)
	{
		if (strstr(text, query_verdicts[i].match))
			return &query_verdicts[i];
	}
	return NULL;
}

static const Verdict *
verdict_of_code(const Verdict *verdicts, int n, const char *code)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(verdicts[i].match, code) == 0)
			return &verdicts[i];
	}
	return NULL;
}

static const Verdict *
verdict_of_status(long status)
{
	for (int i = 0; i < (int) lengthof(status_verdicts); i++)
	{
		if (status >= status_verdicts[i].from && status <= status_verdicts[i].to)
			return &status_verdicts[i].verdict;
	}
	return &status_verdicts[0].verdict;
}

static const Verdict *
find_verdict(const RemoteResponse *response, const ErrorBody *error)
{
	const Verdict *verdict = NULL;

	/* An edge that says 502 is passing trouble, whatever its body claims. */
	if (response->status > 500 || response->status == 429 || response->status == 408)
		return verdict_of_status(response->status);
	if (error->code)
	{
		if (error->text && (strcmp(error->code, "INVALID_PARAMETER") == 0 || response->status == 404))
			verdict = verdict_of_query(error->text);
		if (!verdict)
			verdict = verdict_of_code(code_verdicts, lengthof(code_verdicts), error->code);
	}
	/* Who may not is told so by the status; the code may be any. */
	if (verdict && verdict->cls == REMOTE_REJECTED &&
		(response->status == 401 || response->status == 403))
		verdict = NULL;
	return verdict ? verdict : verdict_of_status(response->status);
}

static const char *
fault_message(const Verdict *verdict, const ErrorBody *error)
{
	const char *slot = strstr(verdict->message, "%s");
	char	   *name;

	if (!slot)
		return verdict->message;
	name = name_behind(error->text, verdict->match);
	return psprintf("%.*s%s%s", (int) (slot - verdict->message), verdict->message, name, slot + 2);
}

static const char *
fault_hint(const Verdict *verdict, const ErrorBody *error)
{
	const char *hint = NULL;

	if (error->code && error->text)
		hint = hint_of_text(error->code, error->text);
	if (!hint)
		hint = verdict->hint;
	return hint ? hint : hint_of_class(verdict->cls);
}

static bool
is_html(const RemoteResponse *response)
{
	const char *type = response->content_type ? response->content_type : "";

	return pg_strncasecmp(type, "text/html", 9) == 0;
}

/*
 * netsuite_classify
 *		Say what an answer means and, unless it is well, why.
 */
RemoteClass
netsuite_classify(const RemoteResponse *response, RemoteFault *fault)
{
	const Verdict *verdict;
	ErrorBody	   error;
	char		   column[NAMEDATALEN];

	if (response->status >= 200 && response->status < 300 && !is_html(response))
		return REMOTE_OK;

	read_error(response, &error);
	verdict = find_verdict(response, &error);
	memset(fault, 0, sizeof(*fault));
	fault->cls = verdict->cls;
	fault->sqlstate = verdict->sqlstate;
	fault->http_status = response->status;
	fault->message = fault_message(verdict, &error);
	fault->remote_code = error.code;
	fault->remote_message = error.text;
	fault->operation_id = response->operation_id ? pstrdup(response->operation_id) : NULL;
	fault->hint = fault_hint(verdict, &error);
	if (netsuite_bad_identifier(fault, column, sizeof(column)))
		fault->column = pstrdup(column);
	return fault->cls;
}

/*
 * netsuite_bad_identifier
 *		The column that a fault names as unknown, without its table's alias;
 *		false when it names none.
 */
bool
netsuite_bad_identifier(const RemoteFault *fault, char *name, size_t len)
{
	const Verdict *verdict;
	char		  *found;
	char		  *dot;

	if (fault->sqlstate != ERRCODE_FDW_COLUMN_NAME_NOT_FOUND || !fault->remote_message)
		return false;
	verdict = verdict_of_query(fault->remote_message);
	if (!verdict || verdict->sqlstate != ERRCODE_FDW_COLUMN_NAME_NOT_FOUND)
		return false;
	found = name_behind(fault->remote_message, verdict->match);
	dot = strrchr(found, '.');
	strlcpy(name, dot ? dot + 1 : found, len);
	return *name != '\0';
}
