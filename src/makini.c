/*-------------------------------------------------------------------------
 *
 * makini.c
 *		The library's entry: settings, versions and the switch to the rights
 *		that makini's own tables are written with.
 *
 * Works the same whether the server preloads the library or a backend loads
 * it on first use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"

#include "compat.h"
#include "event/event.h"
#include "fdw/fdw.h"
#include "makini.h"
#include "remote/reactor.h"
#include "webhook/webhook.h"
#include "worker/worker.h"

MAKINI_MODULE_MAGIC(MAKINI_VERSION);

int	  makini_max_requests_per_query = 5000;
bool  makini_log_requests = false;
char *makini_api_version = NULL;
int	  makini_retry_base = 1000;
bool  makini_enable_pushdown = true;

extern PGDLLEXPORT void _PG_init(void);

PG_FUNCTION_INFO_V1(makini_version);
PG_FUNCTION_INFO_V1(makini_api_version_in_force);

static bool
check_api_version(char **newval, void **extra, GucSource source)
{
	if (strcmp(*newval, MAKINI_API_VERSION) == 0)
		return true;

	GUC_check_errdetail("makini %s knows no API version \"%s\".", MAKINI_VERSION, *newval);
	GUC_check_errhint("Versions known: %s.", MAKINI_API_VERSION);
	return false;
}

/*
 * A client is told of a setting when it connects and when it changes.  Whoever
 * connected before the library was loaded is told now.
 */
static void
report_api_version(void)
{
	if (MyProcPort != NULL && IsUnderPostmaster && !IsInParallelMode())
		SetConfigOption("makini.api_version", makini_api_version, PGC_USERSET, PGC_S_DYNAMIC_DEFAULT);
}

void
_PG_init(void)
{
	reactor_check_library();

	DefineCustomIntVariable("makini.max_requests_per_query",
							"Requests one statement may send before it is stopped.",
							"Protects the remote account from a careless plan; 0 means no limit.",
							&makini_max_requests_per_query, 5000, 0, INT_MAX, PGC_SUSET, 0, NULL,
							NULL, NULL);
	DefineCustomBoolVariable("makini.log_requests", "Logs every request makini sends, without secrets.",
							 NULL, &makini_log_requests, false, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("makini.api_version",
							   "Version of makini's SQL interface and events that this session speaks.",
							   NULL, &makini_api_version, MAKINI_API_VERSION, PGC_USERSET,
							   GUC_REPORT, check_api_version, NULL, NULL);
	report_api_version();
	DefineCustomIntVariable("makini.retry_base", "First back-off between two tries of one request.",
							"Doubles from try to try; only tests have a reason to change it.",
							&makini_retry_base, 1000, 1, 60000, PGC_SUSET,
							GUC_UNIT_MS | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	DefineCustomBoolVariable("makini.enable_pushdown",
							 "Lets conditions, order, limits, joins and aggregates travel to the remote side.",
							 "Without it tables are read whole; to find out whether a wrong result comes from there.",
							 &makini_enable_pushdown, true, PGC_USERSET,
							 GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	event_init();
	webhook_init();
	worker_init();
	MarkGUCPrefixReserved("makini");
	estimate_init();
}

/*
 * makini_version
 *		makini.version(): the version of the loaded library.
 */
Datum
makini_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MAKINI_VERSION));
}

/*
 * makini_api_version_in_force
 *		makini.api_version(): what this session speaks.
 */
Datum
makini_api_version_in_force(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(makini_api_version));
}

static Oid
extension_owner(void)
{
	Oid			extension = get_extension_oid("makini", false);
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			owner;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(relation, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" does not exist", "makini")));
	owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return owner;
}

/*
 * makini_rights_of_extension
 *		Take the rights of the extension's owner, and a search_path in which
 *		nobody else's objects can stand.
 */
void
makini_rights_of_extension(MakiniRights *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	saved->guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(extension_owner(), saved->sec_context | SECURITY_LOCAL_USERID_CHANGE);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
makini_rights_restore(const MakiniRights *saved)
{
	AtEOXact_GUC(true, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}
