/*-------------------------------------------------------------------------
 *
 * watch_sql.c
 *		Watches as people make, change and try them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "argument.h"
#include "event/change.h"
#include "event/event.h"
#include "event/named.h"
#include "event/watch.h"
#include "worker/worker.h"

#define MAX_KEY 32

PG_FUNCTION_INFO_V1(makini_create_watch);
PG_FUNCTION_INFO_V1(makini_alter_watch);
PG_FUNCTION_INFO_V1(makini_enable_watch);
PG_FUNCTION_INFO_V1(makini_disable_watch);
PG_FUNCTION_INFO_V1(makini_drop_watch);
PG_FUNCTION_INFO_V1(makini_test_watch);
PG_FUNCTION_INFO_V1(makini_run_watch);

/* ---------------------------------------------------------------------
 * Checking
 * ---------------------------------------------------------------------
 */

static void
check_free(const char *name)
{
	if (watch_load_by_name(name) != NULL)
		named_refuse_second("watch", name);
}

static void
check_key(Datum key)
{
	ArrayType *columns = DatumGetArrayTypeP(key);
	int		   n = ArrayGetNItems(ARR_NDIM(columns), ARR_DIMS(columns));

	if (ARR_NDIM(columns) != 1 || n < 1 || n > MAX_KEY || array_contains_nulls(columns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the key of a watch must name 1 to %d columns of its query", MAX_KEY)));
}

/* Planning it as its author finds names and types; running it would take its time. */
static void
plan_query(void *arg)
{
	SPI_connect();
	if (SPI_prepare(watch_query(arg), 0, NULL) == NULL)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("the query cannot be prepared")));
	SPI_finish();
}

static void
check_watch(Watch *watch)
{
	ErrorData *error;

	event_check_type(watch->type);
	schedule_check(watch->schedule);
	check_key(watch->key);
	author_check_select("query of a watch", watch->query);
	error = author_run(&watch->author, 0, plan_query, watch);
	if (error != NULL)
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("watch \"%s\" cannot be asked: %s", watch->name, error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0));
}

/*
 * Its first look, the silent one, is at once, and so is one after its schedule
 * was changed: the times behind it are for a worker to find, whose time zone is
 * that of the database.
 */
static void
store(Watch *watch, bool other_schedule)
{
	bool looks_now = !watch->seeded || watch->silent || other_schedule;

	watch_store(watch, looks_now ? worker_now() : 0);
	worker_wake_at_commit();
}

static Watch *
watch_for(FunctionCallInfo fcinfo)
{
	char  *name = argument_text(fcinfo, 0, "name");
	Watch *watch = watch_load_by_name(name);

	if (watch == NULL)
		named_refuse_unknown("watch", name);
	named_check_owner("watch", name, watch->at_home, &watch->author);
	return watch;
}

static void
set_connection(Watch *watch, const char *server)
{
	watch->has_connection = server != NULL;
	if (server != NULL)
		watch->connection = event_connection(server);
}

/* ---------------------------------------------------------------------
 * Functions
 * ---------------------------------------------------------------------
 */

Datum
makini_create_watch(PG_FUNCTION_ARGS)
{
	Watch watch = {.at_home = true, .enabled = true};

	watch.name = argument_text(fcinfo, 0, "name");
	named_check_name("watch", watch.name);
	watch.query = argument_text(fcinfo, 1, "query");
	watch.schedule = argument_text(fcinfo, 2, "schedule");
	watch.type = argument_text(fcinfo, 3, "type");
	argument_refuse_null(fcinfo, 4, "key");
	argument_refuse_null(fcinfo, 6, "options");
	watch.key = PointerGetDatum(PG_GETARG_ARRAYTYPE_P(4));
	set_connection(&watch, PG_ARGISNULL(5) ? NULL : NameStr(*PG_GETARG_NAME(5)));
	watch.options_json = PG_GETARG_JSONB_P(6);
	watch_read_options(watch.options_json, &watch.options);
	watch.author.userid = GetUserId();
	watch.author.search_path = author_search_path();

	check_watch(&watch);
	check_free(watch.name);
	store(&watch, false);
	worker_remind("ask watches on their schedules");
	PG_RETURN_VOID();
}

/* Says whether its schedule is another one now. */
static bool
apply_changes(Watch *watch, const Jsonb *changes)
{
	static const char *const keys[] = {"name", "query",		 "schedule", "type",
									   "key",  "connection", "options",	 NULL};
	char					*old_name = watch->name;
	char					*server = NULL;
	bool					 no_key = false;
	bool					 other_schedule;

	change_check_keys(changes, "changes", keys);
	if (change_text(changes, "name", &watch->name))
	{
		named_check_name("watch", watch->name);
		if (strcmp(watch->name, old_name) != 0)
			check_free(watch->name);
	}
	other_schedule = change_text(changes, "schedule", &watch->schedule);
	(void) change_text(changes, "type", &watch->type);
	/* Rows of another query, or by another key, are none that were seen. */
	if (change_text(changes, "query", &watch->query))
	{
		watch->author.search_path = author_search_path();
		watch->seeded = false;
	}
	if (change_array(changes, "key", &watch->key, &no_key))
		watch->seeded = false;
	if (change_text(changes, "connection", &server))
		set_connection(watch, server);
	if (change_object(changes, "options", &watch->options_json))
		watch_read_options(watch->options_json, &watch->options);
	if (watch->query == NULL || watch->schedule == NULL || watch->type == NULL || no_key)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("query, schedule, type and key must not be null")));
	return other_schedule;
}

Datum
makini_alter_watch(PG_FUNCTION_ARGS)
{
	Watch *watch = watch_for(fcinfo);
	bool   other_schedule = apply_changes(watch, PG_GETARG_JSONB_P(1));

	check_watch(watch);
	store(watch, other_schedule);
	PG_RETURN_VOID();
}

/*
 * What came and went while a watch was disabled is not told: it begins anew with
 * a silent look.
 */
static bool
set_enabled(FunctionCallInfo fcinfo, bool enabled)
{
	Watch *watch = watch_for(fcinfo);

	if (watch->enabled == enabled)
		return false;
	watch->enabled = enabled;
	watch->silent = true;
	if (enabled)
		check_watch(watch);
	store(watch, false);
	return true;
}

Datum
makini_enable_watch(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_enabled(fcinfo, true));
}

Datum
makini_disable_watch(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_enabled(fcinfo, false));
}

Datum
makini_drop_watch(PG_FUNCTION_ARGS)
{
	Watch *watch = watch_for(fcinfo);

	watch_delete(watch->watch_id);
	PG_RETURN_BOOL(true);
}

/* For tests, and for whoever has no worker. */
Datum
makini_run_watch(PG_FUNCTION_ARGS)
{
	Watch *watch = watch_for(fcinfo);

	PG_RETURN_BOOL(watch_run(watch->watch_id, worker_now()));
}

Datum
makini_test_watch(PG_FUNCTION_ARGS)
{
	Watch *watch = watch_for(fcinfo);

	named_try(fcinfo, &watch->author, watch_ms, watch_query(watch), WATCH_COLUMN_DATA);
	PG_RETURN_NULL();
}
