/*-------------------------------------------------------------------------
 *
 * raise.c
 *		Turns a fault into PostgreSQL's error, in the one form all have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "remote/remote.h"

/* What of a remote text is repeated at most, in bytes. */
#define MAX_REMOTE_TEXT 600

/* A word of this length that begins like a JWT is taken for a token. */
#define MIN_TOKEN_LENGTH 40

#define TOKEN_ENDS " \t\r\n\"'<>,;&"

/* Does a token seem to begin here? */
static bool
is_token(const char *text)
{
	return strncmp(text, "eyJ", 3) == 0 && strcspn(text, TOKEN_ENDS) >= MIN_TOKEN_LENGTH;
}

char *
remote_clean_text(const char *text)
{
	StringInfoData out;
	bool		   any = GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII;

	initStringInfo(&out);
	while (*text && out.len < MAX_REMOTE_TEXT)
	{
		unsigned char c = (unsigned char) *text;
		int			  len = pg_utf_mblen((const unsigned char *) text);

		if (is_token(text))
		{
			appendStringInfoString(&out, "(token not shown)");
			text += strcspn(text, TOKEN_ENDS);
			continue;
		}
		if (c < ' ' || c == 0x7f)
		{
			if (out.len > 0 && out.data[out.len - 1] != ' ')
				appendStringInfoChar(&out, ' ');
		}
		else if (len == 1 || any)
			appendBinaryStringInfo(&out, text, len);
		else
			appendStringInfoChar(&out, '?');
		text += len;
	}
	while (out.len > 0 && out.data[out.len - 1] == ' ')
		out.data[--out.len] = '\0';
	if (*text)
		appendStringInfoString(&out, "...");
	return out.data;
}

const char *
remote_presentable(const char *text)
{
	char *copy;
	bool  sound;

	if (text == NULL)
		return NULL;
	copy = pstrdup(text);
	sound = GetDatabaseEncoding() == PG_UTF8 && pg_verify_mbstr(PG_UTF8, copy, strlen(copy), true);
	for (unsigned char *p = (unsigned char *) copy; *p != '\0'; p++)
	{
		if ((*p < ' ' && *p != '\n') || *p == 0x7f || (*p >= 0x80 && !sound))
			*p = '?';
	}
	return copy;
}

static char *
detail_of(const RemoteFault *fault)
{
	const char	  *code = remote_presentable(fault->remote_code);
	const char	  *message = remote_presentable(fault->remote_message);
	StringInfoData detail;

	initStringInfo(&detail);
	if (fault->http_status != 0)
		appendStringInfo(&detail, "HTTP status %ld", fault->http_status);
	else if (fault->path != NULL)
		appendStringInfoString(&detail, "No answer");
	if (fault->path != NULL)
		appendStringInfo(&detail, " from %s", remote_presentable(fault->path));
	if (code != NULL || message != NULL)
		appendStringInfo(&detail, "%s%s%s%s", detail.len > 0 ? ": " : "", code != NULL ? code : "",
						 code != NULL && message != NULL ? ": " : "", message != NULL ? message : "");
	if (detail.len > 0 && detail.data[detail.len - 1] != '.')
		appendStringInfoChar(&detail, '.');
	return detail.data;
}

void
remote_raise(const RemoteFault *fault, const RemoteEndpoint *endpoint)
{
	char	   *detail;
	const char *context;

	/* whoever cancelled wants to hear of that, not of what it broke */
	CHECK_FOR_INTERRUPTS();

	detail = detail_of(fault);
	if (fault->operation_id != NULL)
		context = psprintf("remote operation %s of server \"%s\"",
						   remote_presentable(fault->operation_id), endpoint->server_name);
	else
		context = psprintf("request to server \"%s\"", endpoint->server_name);
	ereport(ERROR,
			(errcode(fault->sqlstate != 0 ? fault->sqlstate : ERRCODE_FDW_ERROR),
			 errmsg("%s", remote_presentable(fault->message)),
			 detail[0] != '\0' ? errdetail("%s", detail) : 0,
			 fault->hint != NULL ? errhint("%s", remote_presentable(fault->hint)) : 0,
			 fault->column != NULL ?
				 err_generic_string(PG_DIAG_COLUMN_NAME, remote_presentable(fault->column)) :
				 0,
			 errcontext("%s", context)));
}
