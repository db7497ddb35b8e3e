/*-------------------------------------------------------------------------
 *
 * setting.c
 *		The settings of webhooks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "interval_setting.h"
#include "webhook/allow.h"
#include "webhook/webhook.h"

bool  webhook_allow_http = false;
char *webhook_allowed_hosts = NULL;
char *webhook_key_file = NULL;
char *webhook_smtp_url = NULL;
char *webhook_disable_after = NULL;

static bool
check_allowed_hosts(char **newval, void **extra, GucSource source)
{
	char bad[256];

	if (allow_check(*newval, bad, sizeof(bad)))
		return true;
	GUC_check_errdetail("\"%s\" is neither a host name nor an address nor a network.", bad);
	GUC_check_errhint("Write them as in '10.1.0.0/16, hooks.internal'.");
	return false;
}

static bool
check_smtp_url(char **newval, void **extra, GucSource source)
{
	if (**newval == '\0' || strncmp(*newval, "smtp://", 7) == 0 || strncmp(*newval, "smtps://", 8) == 0)
		return true;
	GUC_check_errdetail("It must begin with smtp:// or smtps://.");
	return false;
}

void
webhook_init(void)
{
	DefineCustomBoolVariable("makini.allow_http", "Lets webhooks be sent without encryption.", NULL,
							 &webhook_allow_http, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("makini.allowed_private_hosts",
							   "Host names, addresses and networks within reach of webhooks although they are not public.",
							   NULL, &webhook_allowed_hosts, "", PGC_SIGHUP, 0, check_allowed_hosts,
							   NULL, NULL);
	DefineCustomStringVariable("makini.key_file",
							   "File whose content encrypts the secrets that makini stores.", NULL,
							   &webhook_key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL,
							   NULL);
	DefineCustomStringVariable("makini.smtp_url",
							   "Mail server for webhooks with a mailto: URL, as smtp[s]://[user:password@]host[:port][?from=address].",
							   NULL, &webhook_smtp_url, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   check_smtp_url, NULL, NULL);
	define_interval_setting("makini.disable_webhook_after",
							"A webhook is disabled when it has only failed for this long.",
							&webhook_disable_after, "5 days");
}
