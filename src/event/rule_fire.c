/*-------------------------------------------------------------------------
 *
 * rule_fire.c
 *		The trigger function that makini puts on tables with rules.
 *
 * It is called once for a statement, however many rows that has, and finds the
 * rows the rule is about with one query, as the rule's author, in a
 * subtransaction that writes nothing.  The events are written after it, with the
 * rights of the extension.  What goes wrong in the query is the rule's fault and
 * not that of whoever runs the statement: unless the rule says otherwise, the
 * statement goes on and the error is noted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "event/event.h"
#include "event/rule.h"
#include "makini.h"

/* Up to so many rows, the plan is the one that was made for few. */
#define FEW_ROWS 64

PG_FUNCTION_INFO_V1(makini_fire_rule);

/* ---------------------------------------------------------------------
 * Rules that this backend has seen
 * ---------------------------------------------------------------------
 */

typedef struct KnownRule
{
	int64		  rule_id; /* key */
	Oid			  relid;
	bool		  valid;   /* nothing about its table has changed since */
	MemoryContext context; /* of rule */
	Rule		 *rule;
	SPIPlanPtr	  plans[RULE_TEST]; /* by operation */
} KnownRule;

static HTAB *known_rules = NULL;

/* Each change of a rule is told as a change of its table. */
static void
on_change(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	KnownRule	   *known;

	hash_seq_init(&scan, known_rules);
	while ((known = hash_seq_search(&scan)) != NULL)
		if (!OidIsValid(relid) || known->relid == relid)
			known->valid = false;
}

static void
start_knowing(void)
{
	HASHCTL control = {.keysize = sizeof(int64), .entrysize = sizeof(KnownRule)};

	known_rules = hash_create("makini rules", 16, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(on_change, (Datum) 0);
}

static void
forget(KnownRule *known)
{
	for (int i = 0; i < RULE_TEST; i++)
		if (known->plans[i] != NULL)
			SPI_freeplan(known->plans[i]);
	if (known->context != NULL)
		MemoryContextDelete(known->context);
	(void) hash_search(known_rules, &known->rule_id, HASH_REMOVE, NULL);
}

/*
 * Valid before it is read, lest a change that comes meanwhile be missed; after an
 * error it is read again.
 */
static KnownRule *
read_rule(int64 rule_id, Oid relid)
{
	bool		  found;
	KnownRule	 *known = hash_search(known_rules, &rule_id, HASH_ENTER, &found);
	MemoryContext old;

	memset((char *) known + sizeof(int64), 0, sizeof(KnownRule) - sizeof(int64));
	known->relid = relid;
	known->context = AllocSetContextCreate(CacheMemoryContext, "makini rule", ALLOCSET_SMALL_SIZES);
	known->valid = true;
	old = MemoryContextSwitchTo(known->context);
	PG_TRY();
	{
		known->rule = rule_load(rule_id);
	}
	PG_CATCH();
	{
		known->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return known;
}

static KnownRule *
known_rule(int64 rule_id, Oid relid)
{
	KnownRule *known;

	if (known_rules == NULL)
		start_knowing();
	known = hash_search(known_rules, &rule_id, HASH_FIND, NULL);
	if (known != NULL && known->valid)
		return known;
	if (known != NULL)
		forget(known);
	return read_rule(rule_id, relid);
}

/* ---------------------------------------------------------------------
 * The rows
 * ---------------------------------------------------------------------
 */

typedef struct Firing
{
	KnownRule	 *known;
	const Rule	 *rule;
	TriggerData	 *trigger;
	RuleOperation operation;
	MemoryContext context; /* of what follows */
	int			  n;
	char		**keys;
	Jsonb		**data;
	bool		  more; /* than the rule may raise */
} Firing;

static bool
is_few(const TriggerData *trigger)
{
	return tuplestore_tuple_count(trigger->tg_newtable) <= FEW_ROWS;
}

/*
 * A plan for few rows would pair a hundred thousand one by one, so only that for
 * few is kept.
 */
static SPIPlanPtr
plan_of(Firing *firing)
{
	SPIPlanPtr *kept = &firing->known->plans[firing->operation];
	SPIPlanPtr	plan;

	if (is_few(firing->trigger) && *kept != NULL)
		return *kept;
	plan = SPI_prepare(rule_query(firing->rule, firing->operation), 0, NULL);
	if (is_few(firing->trigger) && firing->known->valid && SPI_keepplan(plan) == 0)
		*kept = plan;
	return plan;
}

static Jsonb *
data_of(HeapTuple row, TupleDesc desc)
{
	bool  isnull;
	Datum value = SPI_getbinval(row, desc, RULE_COLUMN_DATA, &isnull);

	if (isnull)
		value = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	event_check_data(DatumGetJsonbP(value));
	return DatumGetJsonbPCopy(value);
}

static void
keep_rows(Firing *firing)
{
	MemoryContext old = MemoryContextSwitchTo(firing->context);

	firing->more = SPI_processed > (uint64) firing->rule->options.max_events;
	firing->n = firing->more ? firing->rule->options.max_events : (int) SPI_processed;
	firing->keys = palloc(sizeof(char *) * Max(firing->n, 1));
	firing->data = palloc(sizeof(Jsonb *) * Max(firing->n, 1));
	for (int i = 0; i < firing->n; i++)
	{
		firing->keys[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, RULE_COLUMN_KEY);
		firing->data[i] = data_of(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	}
	MemoryContextSwitchTo(old);
}

static void
find_rows(void *arg)
{
	Firing *firing = arg;

	SPI_connect();
	SPI_register_trigger_data(firing->trigger);
	SPI_execute_plan(plan_of(firing), NULL, NULL, false, firing->rule->options.max_events + 1);
	keep_rows(firing);
	SPI_finish();
}

/* ---------------------------------------------------------------------
 * Not again so soon
 * ---------------------------------------------------------------------
 */

/*
 * Rows that are within their cooldown are not locked; of a key that comes twice
 * in a statement the first counts.
 */
#define TAKE_COOLDOWN                                                                                  \
	"WITH given AS ("                                                                                  \
	"  SELECT key, min(n)::int AS n FROM unnest($2) WITH ORDINALITY AS u (key, n) GROUP BY key),"      \
	" taken AS ("                                                                                      \
	"  INSERT INTO makini._rule_cooldown AS c (rule_id, key, until)"                                   \
	"  SELECT $1, g.key, $3 FROM given g WHERE NOT EXISTS ("                                           \
	"    SELECT FROM makini._rule_cooldown o WHERE o.rule_id = $1 AND o.key = g.key AND o.until > $4)" \
	"  ORDER BY g.key"                                                                                 \
	"  ON CONFLICT (rule_id, key) DO UPDATE SET until = excluded.until WHERE c.until <= $4"            \
	"  RETURNING key)"                                                                                 \
	" SELECT n FROM given JOIN taken USING (key) ORDER BY n"

static Datum
keys_array(const Firing *firing)
{
	Datum *keys = palloc(sizeof(Datum) * firing->n);

	for (int i = 0; i < firing->n; i++)
		keys[i] = CStringGetTextDatum(firing->keys[i] == NULL ? "" : event_index_key(firing->keys[i]));
	return PointerGetDatum(construct_array(keys, firing->n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Leave of the rows those whose cooldown is over. */
static void
apply_cooldown(Firing *firing)
{
	Oid			 types[] = {INT8OID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	TimestampTz	 now = GetCurrentTimestamp();
	Datum		 values[4];
	MakiniRights saved;
	bool		 isnull;

	values[0] = Int64GetDatum(firing->rule->rule_id);
	values[1] = keys_array(firing);
	values[2] = TimestampTzGetDatum(now + firing->rule->options.cooldown);
	values[3] = TimestampTzGetDatum(now);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args(TAKE_COOLDOWN, lengthof(types), types, values, NULL, false, 0);
	firing->n = (int) SPI_processed;
	for (int i = 0; i < firing->n; i++)
	{
		int from =
			DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)) - 1;

		firing->keys[i] = firing->keys[from];
		firing->data[i] = firing->data[from];
	}
	SPI_finish();
	makini_rights_restore(&saved);
}

/* ---------------------------------------------------------------------
 * The events
 * ---------------------------------------------------------------------
 */

static void
note(const Rule *rule, int sqlstate, const char *message, const char *hint)
{
	SystemError error = {.component = "rule",
						 .code = unpack_sql_state(sqlstate),
						 .message = message,
						 .hint = hint,
						 .connection = rule->has_connection ? &rule->connection : NULL,
						 .affected = rule->name,
						 .owner = rule->author.userid};

	event_system_error(&error);
}

static void
raise_events(const Firing *firing)
{
	const Rule *rule = firing->rule;
	Event		event = {.type = rule->type,
						 .connection = rule->has_connection ? &rule->connection : NULL,
						 .owner = rule->author.userid,
						 .rule_id = rule->rule_id};
	EventBatch	batch;

	event_batch_open(&batch, &event);
	for (int i = 0; i < firing->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) event_batch_add(&batch, firing->keys[i], firing->data[i]);
	}
	event_batch_close(&batch);
}

/* Not the rule's doing: the statement must not go on as if nothing were. */
static bool
is_of_server(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_TRANSACTION_ROLLBACK:
			return true;
		default:
			return sqlstate == ERRCODE_DATA_CORRUPTED || sqlstate == ERRCODE_INDEX_CORRUPTED;
	}
}

static void
failed(const Rule *rule, ErrorData *error)
{
	if (is_of_server(error->sqlerrcode))
		ReThrowError(error);
	if (rule->options.on_error != RULE_SKIP)
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("rule \"%s\" failed: %s", rule->name, error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("With the option \"on_error\": \"skip\" of the rule the statement goes on.")));
	note(rule, error->sqlerrcode, psprintf("rule \"%s\" failed: %s", rule->name, error->message),
		 psprintf("Try it with makini.test_rule('%s'), and change it with makini.alter_rule().",
				  rule->name));
}

static void
fire(Firing *firing)
{
	const Rule *rule = firing->rule;
	ErrorData  *error = author_run(&rule->author, 0, find_rows, firing);

	if (error != NULL)
	{
		failed(rule, error);
		return;
	}
	if (firing->more)
		note(rule, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
			 psprintf("rule \"%s\" met more rows of one statement than its max_events, %d",
					  rule->name, rule->options.max_events),
			 "The rows beyond that raised no event. Raise max_events, or make the condition narrower.");
	if (firing->n > 0 && rule->options.cooldown > 0)
		apply_cooldown(firing);
	if (firing->n > 0)
		raise_events(firing);
}

/* Does the rule have a say in this statement? */
static bool
applies(const Rule *rule, const TriggerData *trigger)
{
	if (rule == NULL || !rule->at_home || !rule->enabled)
		return false;
	/* Somebody has put the trigger on another table. */
	if (rule->relid != RelationGetRelid(trigger->tg_relation))
		return false;
	if (event_backfill && rule->options.backfill == RULE_SKIP)
		return false;
	return trigger->tg_newtable != NULL && tuplestore_tuple_count(trigger->tg_newtable) > 0;
}

static int64
rule_of_trigger(const TriggerData *trigger)
{
	if (!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) || trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("makini._fire_rule() is put on tables by makini.create_rule() only")));
	return DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(trigger->tg_trigger->tgargs[0])));
}

/*
 * makini_fire_rule
 *		Trigger function: raise the events of a rule for a statement.
 */
Datum
makini_fire_rule(PG_FUNCTION_ARGS)
{
	Firing firing = {0};

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("makini._fire_rule() was not called by a trigger")));
	firing.trigger = (TriggerData *) fcinfo->context;
	firing.known =
		known_rule(rule_of_trigger(firing.trigger), RelationGetRelid(firing.trigger->tg_relation));
	firing.rule = firing.known->rule;
	firing.operation = TRIGGER_FIRED_BY_UPDATE(firing.trigger->tg_event) ? RULE_UPDATE : RULE_INSERT;
	firing.context = CurrentMemoryContext;
	if (!applies(firing.rule, firing.trigger))
		return PointerGetDatum(NULL);
	if (rule_owns_relation(firing.rule))
		fire(&firing);
	else
		note(firing.rule, ERRCODE_INSUFFICIENT_PRIVILEGE,
			 psprintf("the owner of rule \"%s\" does not own %s any more", firing.rule->name,
					  firing.rule->relation),
			 "Drop the rule, or give the table back.");
	return PointerGetDatum(NULL);
}
