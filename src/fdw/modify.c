/*-------------------------------------------------------------------------
 *
 * modify.c
 *		INSERT into foreign tables whose remote side takes rows: one by one, in
 *		batches, by COPY, and through partitions.
 *
 * Nothing remote can be rolled back, so that there is nothing to be gained by
 * holding rows back: each goes out as it comes, or with the few of its batch.
 * Every column is sent, given or not, because what an import isn't told it may
 * overwrite with its own default.  What may be written, and how, the connector
 * says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/fdw.h"

/* What a result relation keeps while rows go into it. */
typedef struct RemoteWrite
{
	Table		 *table;
	Connection	 *conn;
	Writer		 *writer;
	AttrNumber	 *attnums; /* of the columns sent */
	Oid			 *types;
	int			  ncolumns;
	MemoryContext batch_cxt;
	int64		  before; /* rows of the batches before this one */
	WriteProgress progress;
	RemoteUsage	  usage;
} RemoteWrite;

static bool
takes_rows(const Table *table)
{
	return table->connector->begin_write != NULL && table->source->catalogue != NULL &&
		table->source->catalogue->insertable;
}

/*
 * write_updatable
 *		IsForeignRelUpdatable: INSERT, where the connector takes rows.
 */
int
write_updatable(Relation rel)
{
	return takes_rows(table_open_options(RelationGetRelid(rel))) ? 1 << CMD_INSERT : 0;
}

/* ---------------------------------------------------------------------
 * Refusing
 * ---------------------------------------------------------------------
 */

static void
refuse_conflict(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("ON CONFLICT is not supported on foreign tables of makini"),
			 errdetail("An import replaces what has the same key by itself.")));
}

/* A whole system that is only read, and not this table alone. */
static int
detail_read_only(const Table *table)
{
	return table->connector->begin_write != NULL ?
		0 :
		errdetail("Tables of %s can only be read in this version of makini.",
				  table->connector->wrapper);
}

static void
refuse_insert(const Table *table)
{
	const Entity *entity = table->source->catalogue;
	const char	 *name = get_rel_name(table->relid);

	if (entity != NULL && entity->parent != NULL && entity->access == ENTITY_IMPORT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of foreign table \"%s\" are written inside those of \"%s\" only",
						name, entity->parent),
				 errhint("INSERT INTO %s with an array of them in column \"%s\".", entity->parent,
						 downcase_truncate_identifier(entity->parent_member,
													  strlen(entity->parent_member), false))));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign table \"%s\" does not allow inserts", name),
			 table->connector->begin_write != NULL ? errdetail("The remote side takes no rows there.") :
													 detail_read_only(table)));
}

static void
refuse_change(const Table *table, CmdType operation)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg(operation == CMD_DELETE		? "cannot delete from foreign table \"%s\"" :
						operation == CMD_UPDATE ? "cannot update foreign table \"%s\"" :
												  "cannot merge into foreign table \"%s\"",
					get_rel_name(table->relid)),
			 detail_read_only(table),
			 takes_rows(table) ?
				 errhint("INSERT a row with the same key, which replaces what is there.") :
				 0));
}

/*
 * write_plan
 *		PlanForeignModify: nothing to carry along, but something to refuse.
 */
List *
write_plan(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index)
{
	Table *table = table_open_options(planner_rt_fetch(result_relation, root)->relid);

	(void) subplan_index;
	if (plan->operation != CMD_INSERT)
		refuse_change(table, plan->operation);
	if (!takes_rows(table))
		refuse_insert(table);
	if (plan->onConflictAction != ONCONFLICT_NONE)
		refuse_conflict();
	return NIL;
}

/* ---------------------------------------------------------------------
 * Beginning
 * ---------------------------------------------------------------------
 */

static void
list_columns(RemoteWrite *write, TupleDesc desc, List **columns)
{
	write->attnums = palloc(sizeof(AttrNumber) * Max(1, desc->natts));
	write->types = palloc(sizeof(Oid) * Max(1, desc->natts));
	for (int i = 0; i < desc->natts; i++)
	{
		if (write->table->columns[i] == NULL)
			continue;
		write->attnums[write->ncolumns] = i + 1;
		write->types[write->ncolumns++] = TupleDescAttr(desc, i)->atttypid;
		*columns = lappend(*columns, write->table->columns[i]);
	}
}

/*
 * The limit of requests per statement is for scans that turn out larger than
 * they were thought.  A row is a request, as many as were given, and half a
 * COPY would be worse than a long one.
 */
static void
begin_write(ResultRelInfo *relinfo, Oid userid)
{
	Relation	 rel = relinfo->ri_RelationDesc;
	RemoteWrite *write = palloc0(sizeof(RemoteWrite));
	List		*columns = NIL;

	write->table = table_open_options(RelationGetRelid(rel));
	list_columns(write, RelationGetDescr(rel), &columns);
	write->conn = connection_open(write->table->serverid, userid, REMOTE_USE_WRITE);
	write->conn->endpoint.usage = &write->usage;
	write->writer = write->table->connector->begin_write(write->conn, write->table->source, columns);
	write->batch_cxt =
		AllocSetContextCreate(CurrentMemoryContext, "makini write batch", ALLOCSET_DEFAULT_SIZES);
	relinfo->ri_FdwState = write;
}

/*
 * write_begin
 *		BeginForeignModify.
 */
void
write_begin(ModifyTableState *state, ResultRelInfo *relinfo, List *fdw_private, int subplan_index,
			int eflags)
{
	(void) fdw_private;
	(void) subplan_index;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	begin_write(relinfo, makini_result_user(relinfo, state->ps.state));
}

/*
 * write_begin_routed
 *		BeginForeignInsert: COPY, and rows routed to a partition.
 */
void
write_begin_routed(ModifyTableState *state, ResultRelInfo *relinfo)
{
	Table		*table = table_open_options(RelationGetRelid(relinfo->ri_RelationDesc));
	ModifyTable *plan = (ModifyTable *) state->ps.plan;

	if (!takes_rows(table))
		refuse_insert(table);
	if (plan != NULL && IsA(plan, ModifyTable) && plan->onConflictAction != ONCONFLICT_NONE)
		refuse_conflict();
	begin_write(relinfo, GetUserId());
}

/*
 * write_batch_size
 *		GetForeignModifyBatchSize: one where something wants to see each row
 *		when it is there.
 */
int
write_batch_size(ResultRelInfo *relinfo)
{
	RemoteWrite *write = relinfo->ri_FdwState;
	TriggerDesc *triggers = relinfo->ri_TrigDesc;

	if (write == NULL || write->table->connector->write_batch == NULL ||
		relinfo->ri_projectReturning != NULL || relinfo->ri_WithCheckOptions != NIL ||
		(triggers != NULL && (triggers->trig_insert_before_row || triggers->trig_insert_after_row)))
		return 1;
	return write->table->connector->write_batch(write->table->source);
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

static void
write_context(void *arg)
{
	ResultRelInfo *relinfo = arg;
	RemoteWrite	  *write = relinfo->ri_FdwState;

	if (write->progress.taken > 0)
		errcontext("the remote side keeps rows it has taken, " INT64_FORMAT " so far",
				   write->progress.taken);
	errcontext("foreign table \"%s\", row " INT64_FORMAT,
			   RelationGetRelationName(relinfo->ri_RelationDesc),
			   write->before + write->progress.row + 1);
}

static const FilterValue *const *
values_of(const RemoteWrite *write, TupleTableSlot *slot)
{
	const FilterValue **values = palloc(sizeof(FilterValue *) * Max(1, write->ncolumns));

	slot_getallattrs(slot);
	for (int i = 0; i < write->ncolumns; i++)
	{
		int at = write->attnums[i] - 1;

		values[i] =
			slot->tts_isnull[at] ? NULL : value_of_datum(slot->tts_values[at], write->types[i]);
	}
	return values;
}

/*
 * write_batch
 *		ExecForeignBatchInsert.  The rows come back as they were sent: the
 *		remote side says nothing of what it made of them.
 */
TupleTableSlot **
write_batch(EState *estate, ResultRelInfo *relinfo, TupleTableSlot **slots,
			TupleTableSlot **plan_slots, int *n)
{
	RemoteWrite				  *write = relinfo->ri_FdwState;
	const FilterValue *const **rows;
	ErrorContextCallback	   context;
	MemoryContext			   old;

	(void) estate;
	(void) plan_slots;
	context.callback = write_context;
	context.arg = relinfo;
	context.previous = error_context_stack;
	error_context_stack = &context;

	MemoryContextReset(write->batch_cxt);
	old = MemoryContextSwitchTo(write->batch_cxt);
	rows = palloc(sizeof(*rows) * *n);
	for (int i = 0; i < *n; i++)
	{
		write->progress.row = i;
		rows[i] = values_of(write, slots[i]);
	}
	write->table->connector->write_rows(write->writer, rows, *n, &write->progress);
	write->before += *n;
	MemoryContextSwitchTo(old);
	error_context_stack = context.previous;
	return slots;
}

/*
 * write_insert
 *		ExecForeignInsert.
 */
TupleTableSlot *
write_insert(EState *estate, ResultRelInfo *relinfo, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	int n = 1;

	return write_batch(estate, relinfo, &slot, &plan_slot, &n)[0];
}

/*
 * write_end
 *		EndForeignModify, EndForeignInsert.
 */
void
write_end(EState *estate, ResultRelInfo *relinfo)
{
	RemoteWrite *write = relinfo->ri_FdwState;

	(void) estate;
	if (write != NULL)
		MemoryContextDelete(write->batch_cxt);
	relinfo->ri_FdwState = NULL;
}

/*
 * write_explain
 *		ExplainForeignModify: where rows go with VERBOSE, what it took with
 *		ANALYZE.
 */
void
write_explain(ModifyTableState *state, ResultRelInfo *relinfo, List *fdw_private, int subplan_index,
			  ExplainState *es)
{
	RemoteWrite	 *write = relinfo->ri_FdwState;
	Table		 *table = table_open_options(RelationGetRelid(relinfo->ri_RelationDesc));
	const Entity *entity = table->source->catalogue;

	(void) state;
	(void) fdw_private;
	(void) subplan_index;
	if (es->verbose && entity != NULL && entity->insert_path != NULL)
		ExplainPropertyText(table->connector->query_label,
							psprintf("%s %s", entity->insert_method, entity->insert_path), es);
	if (!es->analyze || write == NULL)
		return;
	ExplainPropertyInteger("Requests", NULL, write->usage.requests, es);
	ExplainPropertyInteger("Retries", NULL, write->usage.retries, es);
	ExplainPropertyInteger("Bytes", NULL, write->usage.bytes, es);
	if (es->timing)
		ExplainPropertyFloat("Wait", "ms", write->usage.wait_us / 1000.0, 3, es);
}
