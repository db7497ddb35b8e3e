/*-------------------------------------------------------------------------
 *
 * webhook.h
 *		What the files about webhooks share.
 *
 *	sign.c			signatures; does not know PostgreSQL
 *	sign_sql.c		webhook_sign(), webhook_verify()
 *	seal.c			secrets as they are stored
 *	setting.c		settings
 *	create.c, alter.c	what people say about webhooks
 *	check.c			whether that can be
 *	option.c		the options of a webhook
 *	filter.c		an SQL condition over events, run as its author
 *	allow.c			private addresses that webhooks may have
 *	endpoint.c		a webhook as the sender has it
 *	fanout.c		from a new event to the deliveries of it
 *	claim.c			which deliveries to send now
 *	transfer.c		one request
 *	mail.c			the same as mail
 *	record.c		what came of it
 *	sender.c		all of these in turn
 *	test_webhook.c, replay.c	what people ask for besides
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_WEBHOOK_H
#define MAKINI_WEBHOOK_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "webhook/sign.h"

#define WEBHOOK_MAX_SECRETS 10
#define WEBHOOK_MAX_HEADER_BYTES 4096
#define WEBHOOK_MAX_STEPS 50
#define WEBHOOK_MAX_IN_FLIGHT 256

/* ---- setting.c ---- */

extern bool	 webhook_allow_http;
extern char *webhook_allowed_hosts;
extern char *webhook_key_file;
extern char *webhook_smtp_url;
extern char *webhook_disable_after; /* an interval */

extern void webhook_init(void);

/* ---- option.c ---- */

typedef enum WebhookOrdering
{
	ORDERING_NONE,
	ORDERING_CONNECTION,
	ORDERING_KEY
} WebhookOrdering;

typedef struct WebhookOptions
{
	WebhookOrdering ordering;
	double			rate; /* deliveries a second; 0: no limit */
	int				max_in_flight;
	int				timeout;				  /* ms */
	int				nsteps;					  /* retries */
	int64			steps[WEBHOOK_MAX_STEPS]; /* microseconds before each */
	const char	   *client_certificate_file;  /* or NULL, as the next two */
	const char	   *client_key_file;
	const char	   *ca_file;
	bool			skip_empty;
	bool			thin;
} WebhookOptions;

/*
 * webhook_options_read
 *		Options as they are in force, in CurrentMemoryContext.  Raises 22023 for
 *		what is unknown or cannot be.
 */
extern void webhook_options_read(Jsonb *options, WebhookOptions *out);

/* Raises 42501 where the options name files that the current user may not name. */
extern void webhook_options_check_rights(const WebhookOptions *now, const WebhookOptions *before);

/* ---- check.c: what may be said about a webhook ---- */

/* A webhook as its author says it; everything in CurrentMemoryContext. */
typedef struct WebhookDefinition
{
	char	  *url;
	ArrayType *events;
	ArrayType *connections;
	Jsonb	  *headers;
	char	  *filter;		/* or NULL */
	char	  *filter_path; /* the search_path it was written under */
	char	  *api_version;
	Jsonb	  *options;
} WebhookDefinition;

extern void webhook_check(const WebhookDefinition *definition);

/* Of an ErrorContextCallback: whatever goes wrong, the statement stays out of the log. */
extern void webhook_hide_statement(void *arg);

/* NOTICEs about names that nothing has; for who has the rights of the extension. */
extern void webhook_tell_unknown_servers(const WebhookDefinition *definition);
extern void webhook_tell_unknown_types(const WebhookDefinition *definition);

/* "mailto:" */
extern bool webhook_url_is_mail(const char *url);

/* What of a URL may stand in messages: scheme and host. */
extern char *webhook_host(const char *url);

/* ---- seal.c ---- */

/*
 * seal, unseal
 *		A secret as it is stored, and back.  Where makini.key_file is set it is
 *		encrypted, and bound to the webhook.  unseal raises 55000 where the key is
 *		not the one it was sealed with.
 */
extern char *seal(const char *plain, const pg_uuid_t *webhook);
extern char *unseal(const char *stored, const pg_uuid_t *webhook);
extern char *unseal_or_null(const char *stored, const pg_uuid_t *webhook);

/* ---- alter.c ---- */

/*
 * webhook_lock
 *		Keep a webhook from being changed by others until the transaction ends.
 *		Connected to SPI, with the rights of the extension.  Raises 42704 where
 *		there is none, 42501 where it is not the caller's.
 */
extern void webhook_lock(const pg_uuid_t *webhook, Oid caller);

/* The same without keeping others from it. */
extern void webhook_check_owner(const pg_uuid_t *webhook, Oid caller);

extern char *webhook_id_text(const pg_uuid_t *id);

/* ---- replay.c ---- */

/*
 * Give up what is pending of events before a time; connected to SPI, with the
 * rights of the extension.  Returns their number.
 */
extern int64 deliveries_cancel(const pg_uuid_t *webhook, TimestampTz before);

/* ---- create.c ---- */

/*
 * webhook_changed
 *		Senders read webhooks anew when this transaction commits.  Connected to
 *		SPI, with the rights of the extension.
 */
extern void webhook_changed(const pg_uuid_t *webhook);

extern void webhook_new_id(pg_uuid_t *id);

/* Give a webhook one more secret, text being whsec_ or whsk_. */
extern void webhook_add_secret(const pg_uuid_t *webhook, const char *text);

/*
 * webhook_choose_secret
 *		The secret a webhook gets: the one given, or a new one where none is or
 *		only its prefix.  Returns what the receiver needs to verify with.
 */
extern char *webhook_choose_secret(const char *given, char *text, size_t len);

#endif /* MAKINI_WEBHOOK_H */
