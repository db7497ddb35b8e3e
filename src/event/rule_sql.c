/*-------------------------------------------------------------------------
 *
 * rule_sql.c
 *		Rules as people make, change and try them.
 *
 * A rule's triggers are there as long as it is enabled: a disabled trigger makes
 * statements collect their rows all the same.  They are found by function and
 * argument, whatever somebody may have renamed them to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "argument.h"
#include "compat.h"
#include "event/change.h"
#include "event/event.h"
#include "event/named.h"
#include "event/rule.h"
#include "makini.h"

PG_FUNCTION_INFO_V1(makini_create_rule);
PG_FUNCTION_INFO_V1(makini_alter_rule);
PG_FUNCTION_INFO_V1(makini_enable_rule);
PG_FUNCTION_INFO_V1(makini_disable_rule);
PG_FUNCTION_INFO_V1(makini_drop_rule);
PG_FUNCTION_INFO_V1(makini_test_rule);

/* ---------------------------------------------------------------------
 * Triggers
 * ---------------------------------------------------------------------
 */

static void
run_ddl(const char *statement)
{
	MakiniRights saved;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (SPI_execute(statement, false, 0) != SPI_OK_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not change the triggers of a rule")));
	SPI_finish();
	makini_rights_restore(&saved);
}

static const char *
relation_now(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static void
create_trigger(const Rule *rule, const char *operation, const char *old_rows)
{
	run_ddl(psprintf("CREATE TRIGGER makini_rule_" INT64_FORMAT "_%s AFTER %s ON %s"
					 " REFERENCING NEW TABLE AS " RULE_NEW_ROWS " %s FOR EACH STATEMENT"
					 " EXECUTE FUNCTION makini._fire_rule('" INT64_FORMAT "')",
					 rule->rule_id, operation, operation, relation_now(rule->relid), old_rows,
					 rule->rule_id));
}

static void
create_triggers(const Rule *rule)
{
	if (rule->on_insert)
		create_trigger(rule, "insert", "");
	if (rule->on_update)
		create_trigger(rule, "update", "OLD TABLE AS " RULE_OLD_ROWS);
}

/* Its only argument is the rule's number. */
static bool
is_trigger_of(Relation triggers, HeapTuple tuple, Oid function, int64 rule_id)
{
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
	bool			isnull;
	bytea		   *args;

	if (form->tgfoid != function || form->tgnargs != 1)
		return false;
	args = DatumGetByteaPP(
		heap_getattr(tuple, Anum_pg_trigger_tgargs, RelationGetDescr(triggers), &isnull));
	return strcmp(VARDATA_ANY(args), psprintf(INT64_FORMAT, rule_id)) == 0;
}

static List *
names_of_triggers(const Rule *rule)
{
	List	   *funcname = list_make2(makeString("makini"), makeString("_fire_rule"));
	Oid			function = LookupFuncName(funcname, 0, NULL, false);
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	List	   *names = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule->relid));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		if (is_trigger_of(triggers, tuple, function, rule->rule_id))
			names = lappend(names, pstrdup(NameStr(((Form_pg_trigger) GETSTRUCT(tuple))->tgname)));
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return names;
}

static void
drop_triggers(const Rule *rule)
{
	List	 *names;
	ListCell *cell;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(rule->relid)))
		return;
	names = names_of_triggers(rule);
	foreach(cell, names)
		run_ddl(psprintf("DROP TRIGGER %s ON %s", quote_identifier(lfirst(cell)),
						 relation_now(rule->relid)));
}

/* ---------------------------------------------------------------------
 * Arguments
 * ---------------------------------------------------------------------
 */

static void
check_free(const char *name)
{
	Rule *other = rule_load_by_name(name);

	if (other == NULL)
		return;
	/* Its table is gone, and so is the rule. */
	if (other->at_home && !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(other->relid)))
		rule_delete(other->rule_id);
	else
		named_refuse_second("rule", name);
}

static void
set_connection(Rule *rule, const char *server)
{
	rule->has_connection = server != NULL;
	if (server != NULL)
		rule->connection = event_connection(server);
}

/* A rule that its owner, a member of it or a superuser asks for. */
static Rule *
rule_for(FunctionCallInfo fcinfo)
{
	char *name = argument_text(fcinfo, 0, "name");
	Rule *rule = rule_load_by_name(name);

	if (rule == NULL ||
		(rule->at_home && !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(rule->relid))))
		named_refuse_unknown("rule", name);
	named_check_owner("rule", name, rule->at_home, &rule->author);
	return rule;
}

static void
check_rule(const Rule *rule)
{
	event_check_type(rule->type);
	rule_check_relation(rule->relid);
	if (!rule_owns_relation(rule))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the owner of rule \"%s\" must be owner of table %s", rule->name,
						rule->relation)));
	rule_check_query(rule);
}

/* ---------------------------------------------------------------------
 * Functions
 * ---------------------------------------------------------------------
 */

Datum
makini_create_rule(PG_FUNCTION_ARGS)
{
	Rule rule = {.at_home = true, .enabled = true};

	rule.name = argument_text(fcinfo, 0, "name");
	named_check_name("rule", rule.name);
	argument_refuse_null(fcinfo, 1, "relation");
	rule.relid = PG_GETARG_OID(1);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(rule.relid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", rule.relid)));
	if (!makini_owns_relation(rule.relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(rule.relid));
	rule.relation = (char *) relation_now(rule.relid);
	rule.condition = argument_text(fcinfo, 2, "condition");
	rule.type = argument_text(fcinfo, 3, "type");
	rule_read_operations(&rule, argument_text(fcinfo, 4, "on_operation"));
	rule.payload = argument_text_or_null(fcinfo, 5);
	set_connection(&rule, PG_ARGISNULL(6) ? NULL : NameStr(*PG_GETARG_NAME(6)));
	argument_refuse_null(fcinfo, 7, "options");
	rule.options_json = PG_GETARG_JSONB_P(7);
	rule_read_options(rule.options_json, &rule.options);
	rule.author.userid = GetUserId();
	rule.author.search_path = author_search_path();

	check_rule(&rule);
	check_free(rule.name);
	rule_store(&rule);
	create_triggers(&rule);
	PG_RETURN_VOID();
}

static void
apply_changes(Rule *rule, const Jsonb *changes)
{
	static const char *const keys[] = {"name",	  "condition",	"type",	   "on_operation",
									   "payload", "connection", "options", NULL};
	char					*old_name = rule->name;
	char					*operations = NULL;
	char					*server = NULL;
	bool					 rewritten;

	change_check_keys(changes, "changes", keys);
	if (change_text(changes, "name", &rule->name))
	{
		named_check_name("rule", rule->name);
		if (strcmp(rule->name, old_name) != 0)
			check_free(rule->name);
	}
	rewritten = change_text(changes, "condition", &rule->condition);
	rewritten = change_text(changes, "payload", &rule->payload) || rewritten;
	/* Names in what is written now are looked up where they would be now. */
	if (rewritten)
		rule->author.search_path = author_search_path();
	(void) change_text(changes, "type", &rule->type);
	if (change_text(changes, "on_operation", &operations) && operations != NULL)
		rule_read_operations(rule, operations);
	if (change_text(changes, "connection", &server))
		set_connection(rule, server);
	if (change_object(changes, "options", &rule->options_json))
		rule_read_options(rule->options_json, &rule->options);
	if (rule->condition == NULL || rule->type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("condition and type must not be null")));
}

Datum
makini_alter_rule(PG_FUNCTION_ARGS)
{
	Rule *rule = rule_for(fcinfo);

	apply_changes(rule, PG_GETARG_JSONB_P(1));
	check_rule(rule);
	rule_store(rule);
	drop_triggers(rule);
	if (rule->enabled)
		create_triggers(rule);
	PG_RETURN_VOID();
}

/* True where that changed something. */
static bool
set_enabled(FunctionCallInfo fcinfo, bool enabled)
{
	Rule *rule = rule_for(fcinfo);

	if (rule->enabled == enabled)
		return false;
	rule->enabled = enabled;
	if (enabled)
		check_rule(rule);
	rule_store(rule);
	drop_triggers(rule);
	if (enabled)
		create_triggers(rule);
	return true;
}

Datum
makini_enable_rule(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_enabled(fcinfo, true));
}

Datum
makini_disable_rule(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_enabled(fcinfo, false));
}

Datum
makini_drop_rule(PG_FUNCTION_ARGS)
{
	Rule *rule = rule_for(fcinfo);

	drop_triggers(rule);
	rule_delete(rule->rule_id);
	CacheInvalidateRelcacheByRelid(rule->relid);
	PG_RETURN_BOOL(true);
}

Datum
makini_test_rule(PG_FUNCTION_ARGS)
{
	Rule *rule = rule_for(fcinfo);

	named_try(fcinfo, &rule->author, 0, rule_query(rule, RULE_TEST), RULE_COLUMN_DATA);
	PG_RETURN_NULL();
}
