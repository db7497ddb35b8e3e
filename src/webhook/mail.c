/*-------------------------------------------------------------------------
 *
 * mail.c
 *		Webhooks with a mailto: URL: an event as a mail.
 *
 * Sent through the server that a superuser named in makini.smtp_url, which may
 * be a private address.  The event's id makes the Message-ID, so that a mail
 * sent twice can be told.  Lines are cut short by quoted-printable, and a full
 * stop at the beginning of one is doubled by libcurl.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pgtime.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "webhook/transfer.h"

#define LINE_LEN 72
#define DEFAULT_SENDER "makini@localhost"

static size_t
on_read(char *buffer, size_t size, size_t n, void *arg)
{
	Transfer *transfer = arg;
	size_t	  len = Min(size * n, transfer->mail_len - transfer->mail_sent);

	memcpy(buffer, transfer->mail + transfer->mail_sent, len);
	transfer->mail_sent += len;
	return len;
}

/* Value of "from" behind the ? of the setting. */
static char *
sender_of(const char *setting)
{
	const char *from = strstr(setting, "?from=");

	return from != NULL ? pnstrdup(from + 6, strcspn(from + 6, "&")) : pstrdup(DEFAULT_SENDER);
}

static void
append_quoted_printable(StringInfo out, const char *text)
{
	int column = 0;

	for (const char *p = text; *p != '\0'; p++)
	{
		unsigned char c = (unsigned char) *p;
		bool		  plain = c > ' ' && c <= '~' && c != '=';

		plain |= c == ' ' && p[1] != '\0';
		if (column >= LINE_LEN)
		{
			appendStringInfoString(out, "=\r\n");
			column = 0;
		}
		if (plain)
			appendStringInfoChar(out, (char) c);
		else
			appendStringInfo(out, "=%02X", c);
		column += plain ? 1 : 3;
	}
	appendStringInfoString(out, "\r\n");
}

static void
append_date(StringInfo out, TimestampTz moment)
{
	pg_time_t now = timestamptz_to_time_t(moment);
	char	  text[64];

	pg_strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", pg_gmtime(&now));
	appendStringInfo(out, "Date: %s\r\n", text);
}

static char *
write_mail(const Message *message, const char *sender, const char *recipients, TimestampTz now)
{
	StringInfoData out;

	initStringInfo(&out);
	append_date(&out, now);
	appendStringInfo(&out, "From: <%s>\r\nTo: %s\r\nSubject: [makini] %s\r\n", sender, recipients,
					 message->type);
	appendStringInfo(&out, "Message-ID: <%s@makini>\r\nMIME-Version: 1.0\r\n", message->id);
	appendStringInfo(&out, "X-Mailer: %s\r\nAuto-Submitted: auto-generated\r\n", MAKINI_USER_AGENT);
	appendStringInfoString(&out,
						   "Content-Type: text/plain; charset=utf-8\r\n"
						   "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	append_quoted_printable(&out, message->body);
	return out.data;
}

static bool
add_recipients(Transfer *transfer, const char *list)
{
	while (*list != '\0')
	{
		size_t			   len = strcspn(list, ",");
		struct curl_slist *longer =
			curl_slist_append(transfer->recipients, psprintf("<%.*s>", (int) len, list));

		if (longer == NULL)
			return false;
		transfer->recipients = longer;
		list += len;
		list += strspn(list, ",");
	}
	return true;
}

bool
mail_prepare(Transfer *transfer, const Endpoint *endpoint, const Message *message)
{
	CURL	   *handle = transfer->easy.job.handle;
	const char *recipients = endpoint->url + strlen("mailto:");
	char	   *server = pnstrdup(webhook_smtp_url, strcspn(webhook_smtp_url, "?"));
	char	   *sender = sender_of(webhook_smtp_url);

	transfer->mail = strdup(write_mail(message, sender, recipients, transfer->started_at));
	if (transfer->mail == NULL || !add_recipients(transfer, recipients))
		return false;
	transfer->mail_len = strlen(transfer->mail);
	curl_easy_setopt(handle, CURLOPT_URL, server);
	curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(handle, CURLOPT_USE_SSL, (long) CURLUSESSL_TRY);
	curl_easy_setopt(handle, CURLOPT_MAIL_FROM, psprintf("<%s>", sender));
	curl_easy_setopt(handle, CURLOPT_MAIL_RCPT, transfer->recipients);
	curl_easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(handle, CURLOPT_READDATA, transfer);
	curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
	explicit_bzero(server, strlen(server));
	return true;
}
