/*-------------------------------------------------------------------------
 *
 * rule.h
 *		Rules: an event for each row of a table that meets a condition.
 *
 *	rule.c			a rule as its row says
 *	rule_sql.c		create_rule() and the others that people call
 *	rule_query.c	the query that finds the rows of a statement
 *	rule_fire.c		the trigger function that makini puts on the table
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_RULE_H
#define MAKINI_RULE_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "event/author.h"

typedef enum RuleOperation
{
	RULE_INSERT,
	RULE_UPDATE,
	RULE_TEST /* as an insert of what is there */
} RuleOperation;

typedef struct RuleOptions
{
	int	  backfill;	  /* index of its choices: skip, emit */
	int	  on_error;	  /* skip, raise */
	int64 cooldown;	  /* microseconds in which a row raises one event only; 0: none */
	int	  max_events; /* of one statement */
} RuleOptions;

#define RULE_SKIP 0

/* A rule as makini._rule has it.  It lives in CurrentMemoryContext of who loaded it. */
typedef struct Rule
{
	int64		rule_id;
	char	   *name;
	bool		at_home; /* else nothing of it runs, and the OIDs mean nothing */
	Author		author;
	Oid			relid;
	char	   *relation; /* qualified and quoted, as at its creation */
	char	   *condition;
	char	   *type;
	bool		on_insert;
	bool		on_update;
	char	   *payload; /* or NULL */
	bool		has_connection;
	pg_uuid_t	connection;
	Jsonb	   *options_json;
	RuleOptions options;
	bool		enabled;
} Rule;

/* ---- rule.c ---- */

/* NULL where there is none. */
extern Rule *rule_load(int64 rule_id);
extern Rule *rule_load_by_name(const char *name);

/* Put it into makini._rule: a new one (rule_id 0) or in place of the old.  Sets rule_id. */
extern void rule_store(Rule *rule);
extern void rule_delete(int64 rule_id);

/* Raises 22023. */
extern void		   rule_read_options(const Jsonb *json, RuleOptions *options);
extern void		   rule_read_operations(Rule *rule, const char *on_operation);
extern const char *rule_operations(const Rule *rule);

/* Does its author have the rights of the table's owner?  False when either is gone. */
extern bool rule_owns_relation(const Rule *rule);

/* ---- rule_query.c ---- */

#define RULE_NEW_ROWS "makini_new"
#define RULE_OLD_ROWS "makini_old"

/* Columns of the query, from 1. */
enum RuleColumn
{
	RULE_COLUMN_KEY = 1,
	RULE_COLUMN_DATA
};

/*
 * The query over the rows of a statement: RULE_NEW_ROWS, and for an UPDATE
 * RULE_OLD_ROWS; over the table itself for a test.
 */
extern char *rule_query(const Rule *rule, RuleOperation operation);

/*
 * Raises unless condition and payload are expressions that the author may
 * evaluate, and rows can be paired where they must be.
 */
extern void rule_check_query(const Rule *rule);

/* Raises 0A000 where triggers with transition tables can't be. */
extern void rule_check_relation(Oid relid);

#endif /* MAKINI_RULE_H */
