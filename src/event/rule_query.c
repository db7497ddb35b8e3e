/*-------------------------------------------------------------------------
 *
 * rule_query.c
 *		The query that finds the rows of a statement which a rule is about.
 *
 * NEW and OLD are the aliases of the statement's transition tables, so that
 * condition and payload stand in the query as they were written, each on lines
 * of its own between brackets.  Rows of an UPDATE are paired by the key of the
 * table; one whose key was changed has no OLD and counts as a new row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "event/event.h"
#include "event/rule.h"

/* ---------------------------------------------------------------------
 * What pairs rows
 * ---------------------------------------------------------------------
 */

typedef struct KeyColumn
{
	const char *name;	  /* quoted */
	const char *literal;  /* as a literal */
	const char *equality; /* operator, qualified */
	Oid			type;
} KeyColumn;

static const char *
qualified_equality(Relation index, int column)
{
	Oid				 opfamily = index->rd_opfamily[column];
	Oid				 type = index->rd_opcintype[column];
	Oid				 operator= get_opfamily_member(opfamily, type, type, BTEqualStrategyNumber);
	HeapTuple		 tuple;
	Form_pg_operator form;
	const char		*name;

	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has no equality operator", RelationGetRelationName(index))));
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return name;
}

static List *
columns_of_index(Oid relid, Oid indexid)
{
	Relation index = index_open(indexid, AccessShareLock);
	List	*columns = NIL;

	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		char	  *name = get_attname(relid, index->rd_index->indkey.values[i], false);
		KeyColumn *column = palloc(sizeof(KeyColumn));

		column->name = quote_identifier(name);
		column->literal = quote_literal_cstr(name);
		column->equality = qualified_equality(index, i);
		column->type = getBaseType(get_atttype(relid, index->rd_index->indkey.values[i]));
		columns = lappend(columns, column);
	}
	index_close(index, AccessShareLock);
	return columns;
}

/* Without a key the rows before and after an UPDATE are not known to belong together. */
static void
require_key(const Rule *rule, List *key)
{
	if (key == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of \"%s\" before and after an UPDATE cannot be paired", rule->relation),
				 errdetail("It has neither a primary key nor a replica identity that is an index."),
				 errhint("Add a primary key, or create the rule with on_operation => 'INSERT'.")));
}

/* The columns of the primary key, else of the replica identity, else none. */
static List *
key_of(Oid relid)
{
	Relation relation = table_open(relid, AccessShareLock);
	Oid		 indexid;

	(void) RelationGetIndexList(relation);
	indexid = OidIsValid(relation->rd_pkindex) ? relation->rd_pkindex : relation->rd_replidindex;
	table_close(relation, AccessShareLock);
	return OidIsValid(indexid) ? columns_of_index(relid, indexid) : NIL;
}

/* ---------------------------------------------------------------------
 * Its parts
 * ---------------------------------------------------------------------
 */

/* The same in every session, whatever its TimeZone and DateStyle are: keys are compared. */
static char *
key_value(const KeyColumn *column)
{
	switch (column->type)
	{
		case TIMESTAMPTZOID:
			return psprintf("pg_catalog.concat(pg_catalog.to_jsonb(pg_catalog.timezone('UTC', new.%s))"
							" OPERATOR(pg_catalog.#>>) '{}', 'Z')",
							column->name);
		case TIMESTAMPOID:
		case DATEOID:
			return psprintf("(pg_catalog.to_jsonb(new.%s) OPERATOR(pg_catalog.#>>) '{}')",
							column->name);
		default:
			return psprintf("(new.%s)", column->name);
	}
}

/* The text of the one key column, or of the JSON array of several. */
static void
append_key_text(StringInfo query, List *key)
{
	ListCell *cell;

	if (list_length(key) == 1)
	{
		appendStringInfo(query, "%s::pg_catalog.text", key_value(linitial(key)));
		return;
	}
	appendStringInfoString(query, key == NIL ? "NULL" : "pg_catalog.jsonb_build_array(");
	foreach(cell, key)
		appendStringInfo(query, "%s%s", foreach_current_index(cell) == 0 ? "" : ", ",
						 key_value(lfirst(cell)));
	appendStringInfoString(query, key == NIL ? "::pg_catalog.text" : ")::pg_catalog.text");
}

static void
append_key_object(StringInfo query, List *key)
{
	ListCell *cell;

	if (key == NIL)
	{
		appendStringInfoString(query, "NULL::pg_catalog.jsonb");
		return;
	}
	appendStringInfoString(query, "pg_catalog.jsonb_build_object(");
	foreach(cell, key)
	{
		KeyColumn *column = lfirst(cell);

		appendStringInfo(query, "%s%s::pg_catalog.text, new.%s",
						 foreach_current_index(cell) == 0 ? "" : ", ", column->literal, column->name);
	}
	appendStringInfoChar(query, ')');
}

static void
append_payload(StringInfo query, const Rule *rule, RuleOperation operation, List *key)
{
	if (rule->payload != NULL)
	{
		appendStringInfo(query, "pg_catalog.to_jsonb((\n%s\n))", rule->payload);
		return;
	}
	appendStringInfo(query, "pg_catalog.jsonb_build_object('rule', %s::pg_catalog.text,",
					 quote_literal_cstr(rule->name));
	appendStringInfo(query,
					 " 'relation', %s::pg_catalog.text, 'operation', '%s'::pg_catalog.text, 'key', ",
					 quote_literal_cstr(rule->relation),
					 operation == RULE_UPDATE ? "UPDATE" : "INSERT");
	append_key_object(query, key);
	appendStringInfo(query, ", 'new', pg_catalog.to_jsonb(new), 'old', %s)",
					 operation == RULE_UPDATE ? "pg_catalog.to_jsonb(old)" : "NULL::pg_catalog.jsonb");
}

static void
append_join(StringInfo query, List *key, const char *row)
{
	ListCell *cell;

	foreach(cell, key)
	{
		KeyColumn *column = lfirst(cell);

		appendStringInfo(query, "%s%s.%s %s %s", foreach_current_index(cell) == 0 ? "" : " AND ",
						 row, column->name, column->equality,
						 psprintf("%s.%s", strcmp(row, "old") == 0 ? "new" : "makini_key",
								  column->name));
	}
}

/*
 * Where the condition says nothing of OLD it must not have been true before: in
 * the inner query NEW is the row as it was.
 */
static void
append_becomes_true(StringInfo query, const Rule *rule, List *key)
{
	appendStringInfoString(query, "\n AND NOT EXISTS (SELECT FROM " RULE_OLD_ROWS " AS new WHERE ");
	append_join(query, key, "new");
	appendStringInfo(query, " AND (\n%s\n))", rule->condition);
}

static void
append_key_row(StringInfo query, List *key)
{
	ListCell *cell;

	appendStringInfoString(query, " CROSS JOIN LATERAL (SELECT ");
	foreach(cell, key)
		appendStringInfo(query, "%snew.%s", foreach_current_index(cell) == 0 ? "" : ", ",
						 ((KeyColumn *) lfirst(cell))->name);
	appendStringInfoString(query, ") AS makini_key");
}

/* A join that nobody asks for is worth leaving out: statements of one row wait for it. */
static bool
needs_old(const Rule *rule, RuleOperation operation)
{
	if (author_mentions(rule->condition, "old"))
		return true;
	return rule->payload == NULL ? operation == RULE_UPDATE : author_mentions(rule->payload, "old");
}

static void
append_rows(StringInfo query, const Rule *rule, RuleOperation operation, List *key, bool becomes)
{
	const char *rows = operation == RULE_TEST ?
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(rule->relid)),
								   get_rel_name(rule->relid)) :
		RULE_NEW_ROWS;

	appendStringInfo(query, "\n FROM %s AS new", rows);
	if (needs_old(rule, operation) && operation != RULE_UPDATE)
		appendStringInfo(query, " LEFT JOIN %s AS old ON false", rows);
	else if (needs_old(rule, operation))
	{
		appendStringInfoString(query, " LEFT JOIN " RULE_OLD_ROWS " AS old ON ");
		append_join(query, key, "old");
	}
	if (becomes)
		append_key_row(query, key);
}

char *
rule_query(const Rule *rule, RuleOperation operation)
{
	List		  *key = key_of(rule->relid);
	bool		   becomes = operation == RULE_UPDATE && !author_mentions(rule->condition, "old");
	StringInfoData query;

	if (operation == RULE_UPDATE)
		require_key(rule, key);
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT ");
	append_key_text(&query, key);
	appendStringInfoString(&query, ", ");
	append_payload(&query, rule, operation, key);
	append_rows(&query, rule, operation, key, becomes);
	appendStringInfo(&query, "\n WHERE (\n%s\n)", rule->condition);
	if (becomes)
		append_becomes_true(&query, rule, key);
	return query.data;
}

/* ---------------------------------------------------------------------
 * Checking
 * ---------------------------------------------------------------------
 */

static void
register_rows(const char *name, Oid relid)
{
	EphemeralNamedRelation rows = palloc0(sizeof(EphemeralNamedRelationData));

	rows->md.name = pstrdup(name);
	rows->md.reliddesc = relid;
	rows->md.enrtype = ENR_NAMED_TUPLESTORE;
	rows->reldata = tuplestore_begin_heap(false, false, work_mem);
	if (SPI_register_relation(rows) != SPI_OK_REL_REGISTER)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not check the rule")));
}

/* Aggregates and the like would make other rows of the statement's. */
static void
check_one_row_each(SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	Query			 *query = linitial_node(Query, source->query_list);

	if (query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs)
		ereport(ERROR,
				(errcode(ERRCODE_GROUPING_ERROR),
				 errmsg("aggregates, window functions and set-returning functions are not allowed in the payload of a rule")));
}

/* Running it over no rows also finds functions that the author must not call. */
static void
try_query(void *arg)
{
	const Rule *rule = arg;

	for (RuleOperation operation = RULE_INSERT; operation <= RULE_UPDATE; operation++)
	{
		SPIPlanPtr plan;

		if (!(operation == RULE_INSERT ? rule->on_insert : rule->on_update))
			continue;
		SPI_connect();
		register_rows(RULE_NEW_ROWS, rule->relid);
		register_rows(RULE_OLD_ROWS, rule->relid);
		plan = SPI_prepare(rule_query(rule, operation), 0, NULL);
		check_one_row_each(plan);
		SPI_execute_plan(plan, NULL, NULL, true, 0);
		SPI_finish();
	}
}

void
rule_check_query(const Rule *rule)
{
	ErrorData *error;

	author_check_expression("condition of a rule", rule->condition);
	if (rule->payload != NULL)
		author_check_expression("payload of a rule", rule->payload);
	if (rule->on_update)
		require_key(rule, key_of(rule->relid));
	error = author_run(&rule->author, 0, try_query, (void *) rule);
	if (error != NULL)
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("rule \"%s\" cannot be evaluated: %s", rule->name, error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("%s",
						 error->hint ? error->hint :
									   "Columns of a row are written as NEW.column and OLD.column.")));
}

/* ---------------------------------------------------------------------
 * Relations
 * ---------------------------------------------------------------------
 */

static void
refuse_relation(Oid relid, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("\"%s\" cannot have rules", get_rel_name(relid)), errdetail("%s", detail),
			 errhint("%s", hint)));
}

static void
refuse_foreign_parts(Oid relid)
{
	List	 *children = find_all_inheritors(relid, AccessShareLock, NULL);
	ListCell *cell;

	foreach(cell, children)
	{
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
			refuse_relation(relid,
							"It has foreign partitions, whose rows PostgreSQL does not collect for triggers.",
							"Create the rule on a partition that is a table, or use makini.create_watch().");
	}
}

void
rule_check_relation(Oid relid)
{
	char relkind = get_rel_relkind(relid);

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		refuse_relation(relid, "It is not a table of this database.",
						"Use makini.create_watch(), or create the rule on the table that a sync fills.");
	if (IsCatalogRelationOid(relid) || get_rel_namespace(relid) == get_namespace_oid("makini", false))
		refuse_relation(relid, "It is a table of PostgreSQL or of makini.",
						"Create the rule on a table of yours.");
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		refuse_relation(relid, "It is a temporary table.", "Create the rule on a table that stays.");
	refuse_foreign_parts(relid);
}
