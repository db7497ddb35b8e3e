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

#include <curl/curl.h>

#include "remote/reactor.h"
#include "webhook/deliver.h"

/* Why a callback stopped a transfer. */
typedef enum TransferStop
{
	TRANSFER_STOP_NONE,
	TRANSFER_STOP_PRIVATE, /* the address guard */
	TRANSFER_STOP_ENOUGH,  /* of the answer's body */
	TRANSFER_STOP_HEADERS,
	TRANSFER_STOP_MEMORY
} TransferStop;

/* malloc'd: libcurl may write into it at any moment until it is removed. */
struct Transfer
{
	ReactorJob		   job;		/* must be first */
	Message			  *message; /* its body is not copied */
	struct curl_slist *headers; /* may hold secrets */
	char			  *host;
	bool			   guarded;
	bool			   connected;
	TransferStop	   stop;
	char			   address[64]; /* what the guard refused */
	int				   timeout;
	TimestampTz		   started_at;
	int64			   retry_after;
	size_t			   header_bytes;
	char			  *response;
	size_t			   response_len;
	size_t			   response_size;
	char			   error[CURL_ERROR_SIZE];

	/* of mail */
	struct curl_slist *recipients;
	char			  *mail;
	size_t			   mail_len;
	size_t			   mail_sent;
};

/* mail.c: the message as a mail through makini.smtp_url; false: out of memory. */
extern bool mail_prepare(Transfer *transfer, const Endpoint *endpoint, const Message *message);

#endif /* MAKINI_TRANSFER_H */
