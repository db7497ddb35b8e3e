/*-------------------------------------------------------------------------
 *
 * init.c
 *		The worker's settings, and what preloading the library sets up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "interval_setting.h"
#include "remote/health.h"
#include "worker/worker.h"

int	  makini_max_workers = 4;
int	  makini_webhook_workers = 1;
bool  makini_launcher = true;
char *makini_run_on = NULL;
char *makini_run_retention = NULL;
int	  makini_scheduler_linger = 60000;
char *makini_test_job = NULL;

static void
define_settings(void)
{
	DefineCustomIntVariable("makini.max_workers",
							"Processes that run syncs in the background, over the whole cluster.",
							"0 runs none.", &makini_max_workers, 4, 0, WORKER_RUNS, PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("makini.webhook_workers",
							"Processes that deliver webhooks, for each database.",
							"The first of them is the scheduler.", &makini_webhook_workers, 1, 0,
							16, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("makini.launcher", "Runs syncs, watches and deliveries in the background.",
							 "Needs the library in shared_preload_libraries.", &makini_launcher,
							 true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("makini.run_on",
							   "Names of the hosts on which makini may run anything; empty: any.",
							   "Keeps copies of the cluster on other hosts from doing the same work.",
							   &makini_run_on, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	define_interval_setting("makini.run_retention",
							"How long runs that are over and rejected rows that are resolved are kept.",
							&makini_run_retention, "30 days");
	DefineCustomIntVariable("makini.scheduler_linger",
							"How long a scheduler stays without work before it leaves.",
							"Only tests have a reason to change it.", &makini_scheduler_linger,
							60000, 0, INT_MAX, PGC_SIGHUP,
							GUC_UNIT_MS | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
#ifdef MAKINI_TEST
	DefineCustomStringVariable("makini.test_job",
							   "A procedure that run workers call in place of a run.", NULL,
							   &makini_test_job, "", PGC_SIGHUP,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
#endif
}

void
worker_init(void)
{
	define_settings();
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	worker_shared_init();
	utility_hook_init();
	launcher_register();
	health_wake = worker_wake_database;
}
