/*-------------------------------------------------------------------------
 *
 * transfer.h
 *		One request to a webhook, as transfer.c and mail.c have it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_TRANSFER_H
#define MAKINI_TRANSFER_H

#include "postgres.h"

#include "remote/easy.h"
#include "webhook/deliver.h"

struct Transfer
{
	Easy		easy;	 /* must be first */
	Message	   *message; /* its body is not copied */
	char	   *host;
	int			timeout;
	TimestampTz started_at;
	int64		retry_after;
	char	   *response;
	size_t		response_len;
	size_t		response_size;

	/* of mail */
	struct curl_slist *recipients;
	char			  *mail;
	size_t			   mail_len;
	size_t			   mail_sent;
};

/* mail.c: the message as a mail through makini.smtp_url; false: out of memory. */
extern bool mail_prepare(Transfer *transfer, const Endpoint *endpoint, const Message *message);

#endif /* MAKINI_TRANSFER_H */
