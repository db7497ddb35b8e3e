/*-------------------------------------------------------------------------
 *
 * rule.c
 *		A rule as its row says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "connection_store.h"
#include "event/change.h"
#include "event/event.h"
#include "event/named.h"
#include "event/rule.h"
#include "makini.h"
#include "private.h"

#define MAX_EVENTS 1000

/* ---------------------------------------------------------------------
 * Words
 * ---------------------------------------------------------------------
 */

void
rule_read_options(const Jsonb *json, RuleOptions *options)
{
	static const char *const keys[] = {"backfill", "on_error", "cooldown", "max_events", NULL};
	static const char *const backfill[] = {"skip", "emit", NULL};
	static const char *const on_error[] = {"skip", "raise", NULL};

	*options = (RuleOptions){.max_events = MAX_EVENTS};
	change_check_keys(json, "options", keys);
	(void) change_choice(json, "backfill", backfill, &options->backfill);
	(void) change_choice(json, "on_error", on_error, &options->on_error);
	(void) change_interval(json, "cooldown", &options->cooldown);
	(void) change_integer(json, "max_events", 1, 100000, &options->max_events);
}

void
rule_read_operations(Rule *rule, const char *on_operation)
{
	char *words = asc_toupper(on_operation, strlen(on_operation));

	rule->on_insert = strcmp(words, "INSERT") == 0 || strcmp(words, "INSERT OR UPDATE") == 0 ||
		strcmp(words, "UPDATE OR INSERT") == 0;
	rule->on_update = strcmp(words, "UPDATE") == 0 || (rule->on_insert && strchr(words, ' ') != NULL);
	if (!rule->on_insert && !rule->on_update)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid operation \"%s\" of a rule", on_operation),
				 errhint("It is \"INSERT\", \"UPDATE\" or \"INSERT OR UPDATE\".")));
}

const char *
rule_operations(const Rule *rule)
{
	if (!rule->on_update)
		return "INSERT";
	return rule->on_insert ? "INSERT OR UPDATE" : "UPDATE";
}

bool
rule_owns_relation(const Rule *rule)
{
	HeapTuple tuple;
	Oid		  owner;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(rule->author.userid)))
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rule->relid));
	if (!HeapTupleIsValid(tuple))
		return false;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return has_privs_of_role(rule->author.userid, owner);
}

/* ---------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------
 */

#define RULE_COLUMNS                                                                               \
	"rule_id, name, home = makini._home(), owner_oid, relation_oid, relation, condition, type,"    \
	" on_operation, payload, connection_id, options, search_path, enabled"

static Rule *
rule_of_row(void)
{
	Rule *rule = palloc0(sizeof(Rule));
	bool  isnull;

	rule->rule_id = private_int64(0, 1, 0);
	rule->name = private_text(0, 2);
	rule->at_home = private_bool(0, 3);
	rule->author.userid = DatumGetObjectId(private_value(0, 4, &isnull));
	rule->relid = DatumGetObjectId(private_value(0, 5, &isnull));
	rule->relation = private_text(0, 6);
	rule->condition = private_text(0, 7);
	rule->type = private_text(0, 8);
	rule_read_operations(rule, private_text(0, 9));
	rule->payload = private_text(0, 10);
	rule->has_connection = private_uuid(0, 11, &rule->connection);
	rule->options_json = DatumGetJsonbPCopy(private_value(0, 12, &isnull));
	rule_read_options(rule->options_json, &rule->options);
	rule->author.search_path = private_text(0, 13);
	rule->enabled = private_bool(0, 14);
	return rule;
}

/* Tables are renamed. */
static void
take_present_name(Rule *rule)
{
	char *name = rule->at_home ? get_rel_name(rule->relid) : NULL;

	if (name != NULL)
		rule->relation =
			quote_qualified_identifier(get_namespace_name(get_rel_namespace(rule->relid)), name);
}

static Rule *
load(const char *statement, Oid type, Datum value)
{
	MemoryContext context = CurrentMemoryContext;
	MakiniRights  saved;
	Rule		 *rule = NULL;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (private_query(statement, 1, &type, &value, NULL) == 1)
	{
		MemoryContextSwitchTo(context);
		rule = rule_of_row();
		take_present_name(rule);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return rule;
}

Rule *
rule_load(int64 rule_id)
{
	return load("SELECT " RULE_COLUMNS " FROM makini._rule WHERE rule_id = $1", INT8OID,
				Int64GetDatum(rule_id));
}

Rule *
rule_load_by_name(const char *name)
{
	return load("SELECT " RULE_COLUMNS " FROM makini._rule WHERE name = $1 FOR UPDATE", TEXTOID,
				CStringGetTextDatum(name));
}

/* ---------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------
 */

#define INSERT_RULE                                                                                    \
	"INSERT INTO makini._rule (name, home, owner_oid, owner, relation_oid, relation, condition, type," \
	"  on_operation, payload, connection_id, options, search_path, enabled)"                           \
	" VALUES ($1, makini._home(), $2, pg_get_userbyid($2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)" \
	" ON CONFLICT (name) DO NOTHING RETURNING rule_id"

#define UPDATE_RULE                                                                                \
	"UPDATE makini._rule SET name = $1, owner_oid = $2, relation_oid = $3, relation = $4,"         \
	"  condition = $5, type = $6, on_operation = $7, payload = $8, connection_id = $9,"            \
	"  options = $10, search_path = $11, enabled = $12"                                            \
	" WHERE rule_id = $13 RETURNING rule_id"

void
rule_store(Rule *rule)
{
	Oid			 types[] = {TEXTOID, OIDOID,  OIDOID,	TEXTOID, TEXTOID, TEXTOID, TEXTOID,
							TEXTOID, UUIDOID, JSONBOID, TEXTOID, BOOLOID, INT8OID};
	Datum		 values[13];
	char		 nulls[] = "             ";
	bool		 is_new = rule->rule_id == 0;
	MakiniRights saved;

	values[0] = CStringGetTextDatum(rule->name);
	values[1] = ObjectIdGetDatum(rule->author.userid);
	values[2] = ObjectIdGetDatum(rule->relid);
	values[3] = CStringGetTextDatum(rule->relation);
	values[4] = CStringGetTextDatum(rule->condition);
	values[5] = CStringGetTextDatum(rule->type);
	values[6] = CStringGetTextDatum(rule_operations(rule));
	values[7] = rule->payload == NULL ? (Datum) 0 : CStringGetTextDatum(rule->payload);
	nulls[7] = rule->payload == NULL ? 'n' : ' ';
	values[8] = UUIDPGetDatum(&rule->connection);
	nulls[8] = rule->has_connection ? ' ' : 'n';
	values[9] = JsonbPGetDatum(rule->options_json);
	values[10] = CStringGetTextDatum(rule->author.search_path);
	values[11] = BoolGetDatum(rule->enabled);
	values[12] = Int64GetDatum(rule->rule_id);

	makini_rights_of_extension(&saved);
	SPI_connect();
	/* Another transaction was first. */
	if (private_query(is_new ? INSERT_RULE : UPDATE_RULE, is_new ? 12 : 13, types, values, nulls) == 0)
		named_refuse_second("rule", rule->name);
	rule->rule_id = private_int64(0, 1, 0);
	SPI_finish();
	makini_rights_restore(&saved);
	/* What backends keep of the rule is known to them by its table. */
	CacheInvalidateRelcacheByRelid(rule->relid);
}

#define DELETE_RULE                                                                                \
	"WITH gone AS (DELETE FROM makini._rule WHERE rule_id = $1 RETURNING rule_id, name),"          \
	" stat AS (DELETE FROM makini._rule_stat s USING gone WHERE s.rule_id = gone.rule_id)"         \
	" DELETE FROM makini._condition USING gone WHERE component = 'rule' AND affected = name"

void
rule_delete(int64 rule_id)
{
	Oid	  types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(rule_id)};

	(void) private_execute(DELETE_RULE, 1, types, values, NULL);
}
