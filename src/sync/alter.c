/*-------------------------------------------------------------------------
 *
 * alter.c
 *		makini.alter_sync: what create_sync was told, said otherwise.
 *
 * Changes are checked with the rights of the sync's owner, whoever makes them.
 * What a change asks of the data follows from its kind: another target, key or
 * constant begins anew; another filter is met by a full pass; a wider window
 * loads the slice that is missing; everything else holds from the next run on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "makini.h"
#include "sync/control.h"
#include "sync/define.h"
#include "sync/drift.h"
#include "sync/json_member.h"
#include "sync/load.h"

PG_FUNCTION_INFO_V1(makini_alter_sync);

static const MemberDef change_defs[] = {
	{"source", MEMBER_TEXT},
	{"target", MEMBER_TEXT},
	{"schedule", MEMBER_TEXT, .nullable = true},
	{"initial_window", MEMBER_TEXT},
	{"mode", MEMBER_TEXT},
	{"deletes", MEMBER_TEXT},
	{"lookback", MEMBER_TEXT},
	{"initial_filter", MEMBER_TEXT, .nullable = true},
	{"columns", MEMBER_TEXTS, .nullable = true},
	{"filter", MEMBER_TEXT, .nullable = true},
	{"key", MEMBER_TEXTS, .nullable = true},
	{"constants", MEMBER_OBJECT},
	{"options", MEMBER_OBJECT},
	{NULL},
};

/* What is different. */
typedef struct Changes
{
	bool schedule;
	bool window;
	bool target;
	bool begins_anew; /* target, key or constants */
	bool filters;
	bool columns;
	bool others; /* mode, deletes, lookback, options */
} Changes;

/* ---------------------------------------------------------------------
 * Taking the changes over
 * ---------------------------------------------------------------------
 */

static bool
take_text(Jsonb *changes, const char *name, char **value)
{
	char *before = *value;

	if (!member_present(changes, name))
		return false;
	*value = member_text(changes, name);
	if (before == NULL || *value == NULL)
		return before != *value;
	return strcmp(before, *value) != 0;
}

static bool
take_texts(Jsonb *changes, const char *name, List **value)
{
	List	 *before = *value;
	ListCell *a;
	ListCell *b;

	if (!member_present(changes, name))
		return false;
	*value = member_texts(changes, name);
	if (list_length(before) != list_length(*value))
		return true;
	forboth(a, before, b, *value)
	{
		if (strcmp(lfirst(a), lfirst(b)) != 0)
			return true;
	}
	return false;
}

static bool
take_object(Jsonb *changes, const char *name, Jsonb **value, bool merge)
{
	Jsonb *before = *value;
	Jsonb *given;

	if (!member_present(changes, name))
		return false;
	given = member_object(changes, name);
	*value = merge ? members_merge(before, given) : given;
	return compareJsonbContainers(&before->root, &(*value)->root) != 0;
}

static bool
take_lookback(Jsonb *changes, Interval **value)
{
	Interval *before = *value;

	if (!member_present(changes, "lookback"))
		return false;
	*value = interval_of_text(member_text(changes, "lookback"), "lookback");
	return !DatumGetBool(
		DirectFunctionCall2(interval_eq, IntervalPGetDatum(before), IntervalPGetDatum(*value)));
}

static bool
take_target(Jsonb *changes, char **value)
{
	char *before = *value;

	if (!member_present(changes, "target"))
		return false;
	*value = define_target_name(member_text(changes, "target"));
	return strcmp(before, *value) != 0;
}

static Changes
take_changes(Definition *definition, Jsonb *changes)
{
	Changes what = {false};

	what.schedule = take_text(changes, "schedule", &definition->schedule);
	what.window = take_text(changes, "initial_window", &definition->initial_window);
	what.target = take_target(changes, &definition->target);
	what.begins_anew = what.target;
	what.begins_anew |= take_texts(changes, "key", &definition->key);
	what.begins_anew |= take_object(changes, "constants", &definition->constants, false);
	what.filters = take_text(changes, "filter", &definition->filter);
	what.filters |= take_text(changes, "initial_filter", &definition->initial_filter);
	what.columns = take_texts(changes, "columns", &definition->columns);
	what.others = take_text(changes, "mode", &definition->mode);
	what.others |= take_text(changes, "deletes", &definition->deletes);
	what.others |= take_lookback(changes, &definition->lookback);
	what.others |= take_object(changes, "options", &definition->options, true);
	return what;
}

/* A table keeps its sync when it gets another name. */
static void
find_target(Definition *definition)
{
	char *name = get_rel_name(definition->target_oid);

	if (name != NULL)
		definition->target =
			quote_qualified_identifier(get_namespace_name(get_rel_namespace(definition->target_oid)),
									   name);
}

/* Making it anew would leave it without all that does not change. */
static void
refuse_lost_target(const Definition *definition)
{
	if (get_rel_name(definition->target_oid) != NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("target %s of sync " INT64_FORMAT " does not exist any more",
					definition->target, definition->sync_id),
			 errhint("Alter \"target\" to another table, or drop the sync.")));
}

/* ---------------------------------------------------------------------
 * What can't be altered
 * ---------------------------------------------------------------------
 */

static void
refuse_source(Jsonb *changes)
{
	if (!member_present(changes, "source"))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the source of a sync cannot be altered"),
			 errhint("Create another sync, and drop this one.")));
}

/* A drain has a schedule; everything else about it was decided with its tables. */
static void
check_drain_changes(const Sync *sync, const Changes *what)
{
	if (sync->mode != SYNC_DRAIN ||
		!(what->window || what->begins_anew || what->filters || what->columns || what->others))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("only the schedule of a drain can be altered"),
			 errdetail("Sync " INT64_FORMAT " is a drain.", sync->sync_id)));
}

/* ---------------------------------------------------------------------
 * What follows for the data
 * ---------------------------------------------------------------------
 */

static bool
is_wider(TimestampTz from, TimestampTz before)
{
	return before != 0 && (from == 0 || from < before);
}

/* One load at a time: a slice can be added to one that has not read anything. */
static void
widen(const Sync *sync, TimestampTz from)
{
	Load *load = load_find(sync->sync_id, LANE_BACKFILL);

	/* The first load has yet to begin, and reads all of it. */
	if (load == NULL && sync->data_as_of == 0)
		return;
	if (load == NULL)
	{
		Load slice = {.sync_id = sync->sync_id,
					  .lane = LANE_BACKFILL,
					  .mode = RUN_INITIAL,
					  .window_from = from,
					  .window_to = sync->history_from,
					  .rows_expected = -1};

		load_insert(&slice);
		return;
	}
	if (load->position != NULL || load->rows_done > 0 || load->mode == RUN_VERIFY ||
		load->columns != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("sync " INT64_FORMAT " has a load that is not finished", sync->sync_id),
				 errhint("CALL makini.run_sync(" INT64_FORMAT
						 "), or wait for the worker, then widen the window.",
						 sync->sync_id)));
	load->window_from = from;
	load_save(load);
}

static void
execute(const char *statement, int64 sync_id)
{
	MakiniRights saved;
	Oid			 types[1] = {INT8OID};
	Datum		 values[1] = {Int64GetDatum(sync_id)};

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args(statement, 1, types, values, NULL, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

static bool
has_added_column(List *before, List *now)
{
	ListCell *lc;

	if (before == NIL)
		return false;
	if (now == NIL)
		return true;
	foreach(lc, now)
	{
		if (!in_names(before, lfirst(lc)))
			return true;
	}
	return false;
}

static void
tell_of_columns(const Sync *sync, const Definition *definition)
{
	if (has_added_column(sync->columns, definition->columns))
		ereport(NOTICE,
				(errmsg("rows that do not change keep nulls in the columns added"),
				 errhint("Fetch them for all rows with makini.backfill_columns(" INT64_FORMAT ", ...).",
						 sync->sync_id)));
}

#define BEGIN_LOAD_AGAIN                                                                           \
	"UPDATE makini._load l SET phase = 0, position = NULL FROM makini._sync s"                     \
	" WHERE l.sync_id = $1 AND s.sync_id = $1 AND l.mode = 'initial'"                              \
	" AND coalesce(s.options->>'backfill_order', 'newest')"

/* Where a load stands means nothing in another order. */
static void
follow_order(const Sync *before)
{
	execute(before->newest_first ? BEGIN_LOAD_AGAIN " = 'oldest'" : BEGIN_LOAD_AGAIN " <> 'oldest'",
			before->sync_id);
}

/* Once the sync has begun, what it has read may not be what it would read now. */
static void
follow(Sync *sync, const Definition *definition, const Changes *what)
{
	if (what->begins_anew)
	{
		ereport(NOTICE,
				(errmsg("sync " INT64_FORMAT " begins anew", sync->sync_id),
				 errdetail("Rows that it has written so far stay as they are.")));
		control_begin_anew(sync, RESET_KEEP);
		return;
	}
	if (what->window && is_wider(definition->history_from, sync->history_from))
		widen(sync, definition->history_from);
	if (what->filters)
		execute("UPDATE makini._sync SET full_due_at = pg_catalog.now() WHERE sync_id = $1",
				sync->sync_id);
	if (what->columns)
		tell_of_columns(sync, definition);
	if (what->others)
		follow_order(sync);
}

/* ---------------------------------------------------------------------
 * All of it
 * ---------------------------------------------------------------------
 */

/*
 * A narrower window never deletes: where rows do not tell whether they are in it,
 * full passes go on reading all that has been read.
 */
static TimestampTz
history_after(const Sync *sync, const Definition *definition)
{
	TimestampTz from = define_history(definition);
	bool		tells = definition->opened->cursor != NULL && definition->opened->parent == NULL;

	if (strcmp(sync->state, "new") == 0 || tells || is_wider(from, sync->history_from))
		return from;
	return sync->history_from;
}

/* With the rights of the owner, as a run will have them. */
static void
check_definition(const Sync *sync, Definition *definition, const Changes *what)
{
	TargetRights saved;

	if (!what->target)
		refuse_lost_target(definition);
	rights_of_target(sync->owner, &saved);
	define_check_arguments(definition);
	define_open_source(definition);
	if (what->window)
		definition->history_from = history_after(sync, definition);
	/* columns that came since are the next run's to place */
	if (!what->begins_anew && !what->columns)
		drift_narrow(sync, definition->opened);
	define_prepare_target(definition);
	rights_of_target_restore(&saved);
}

static void
alter(Sync *sync, Definition *definition, const Changes *what)
{
	bool only_schedule =
		!(what->window || what->begins_anew || what->filters || what->columns || what->others);

	if (only_schedule)
		define_check_schedule(definition->schedule);
	else
	{
		control_keep_idle(sync);
		check_definition(sync, definition, what);
	}
	definition_update(definition);
	if (what->schedule)
		execute("UPDATE makini._sync SET next_run_at ="
				" CASE WHEN schedule IS NOT NULL THEN pg_catalog.now() END WHERE sync_id = $1",
				sync->sync_id);
	if (!only_schedule && strcmp(sync->state, "new") != 0)
		follow(sync, definition, what);
}

/*
 * makini_alter_sync
 *		makini.alter_sync(sync_id, changes)
 */
Datum
makini_alter_sync(PG_FUNCTION_ARGS)
{
	Sync	   *sync = control_owned_sync(PG_GETARG_INT64(0));
	Jsonb	   *changes = PG_GETARG_JSONB_P(1);
	Definition *definition;
	Changes		what;

	members_check(changes, change_defs, "change", "changes");
	refuse_source(changes);
	sync_check_home(sync);
	definition = definition_load(sync->sync_id);
	sync = control_owned_sync(sync->sync_id);
	find_target(definition);
	what = take_changes(definition, changes);
	check_drain_changes(sync, &what);
	if (!(what.schedule || what.window || what.begins_anew || what.filters || what.columns ||
		  what.others))
		PG_RETURN_BOOL(false);
	alter(sync, definition, &what);
	PG_RETURN_BOOL(true);
}
