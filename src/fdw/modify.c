/*-------------------------------------------------------------------------
 *
 * modify.c
 *		INSERT into foreign tables whose remote side takes rows: one by one, by
 *		COPY, and through partitions.
 *
 * Each row is sent as it comes: nothing remote can be rolled back, so there is
 * nothing to be gained by holding rows back.  Every column is sent, given or
 * not, because what an import isn't told it may overwrite with its own
 * default.  What may be written, and how, the connector says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/fdw.h"

/* What a result relation keeps while rows go into it. */
typedef struct RemoteWrite
{
	Table	   *table;
	Connection *conn;
	Writer	   *writer;
	AttrNumber *attnums;		/* of the columns sent */
	Oid		   *types;
	int			ncolumns;
	const FilterValue **values; /* of one row; NULL for NULL */
	MemoryContext row_cxt;
	int64		row;
	RemoteUsage usage;
} RemoteWrite;

/*
 * write_updatable
 *		IsForeignRelUpdatable: INSERT, where the connector takes rows.
 */
int
write_updatable(Relation rel)
{
	Table	   *table = table_open_options(RelationGetRelid(rel));

	if (table->connector->begin_write == NULL || table->source->catalogue == NULL ||
		!table->source->catalogue->insertable)
		return 0;
	return 1 << CMD_INSERT;
}

/*
 * write_plan
 *		PlanForeignModify: nothing to carry along, but something to refuse.
 */
List *
write_plan(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan_index)
{
	(void) root;
	(void) result_relation;
	(void) subplan_index;
	if (plan->onConflictAction != ONCONFLICT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ON CONFLICT is not supported on foreign tables of makini"),
				 errdetail("An import replaces what has the same key by itself.")));
	return NIL;
}

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
	write->values = palloc0(sizeof(FilterValue *) * Max(1, write->ncolumns));
}

static void
begin_write(ResultRelInfo *relinfo, EState *estate, Oid userid)
{
	Relation	rel = relinfo->ri_RelationDesc;
	RemoteWrite *write = palloc0(sizeof(RemoteWrite));
	List	   *columns = NIL;

	write->table = table_open_options(RelationGetRelid(rel));
	list_columns(write, RelationGetDescr(rel), &columns);
	write->conn = connection_open(write->table->serverid, userid, REMOTE_USE_WRITE);
	write->conn->endpoint.usage = &write->usage;
	write->conn->endpoint.budget = statement_budget(estate);
	write->writer = write->table->connector->begin_write(write->conn, write->table->source,
														 columns);
	write->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "makini write row",
										   ALLOCSET_DEFAULT_SIZES);
	relinfo->ri_FdwState = write;
}

/*
 * write_begin
 *		BeginForeignModify.
 */
void
write_begin(ModifyTableState *state, ResultRelInfo *relinfo, List *fdw_private,
			int subplan_index, int eflags)
{
	(void) fdw_private;
	(void) subplan_index;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	begin_write(relinfo, state->ps.state, makini_result_user(relinfo, state->ps.state));
}

/*
 * write_begin_routed
 *		BeginForeignInsert: COPY, and rows routed to a partition.
 */
void
write_begin_routed(ModifyTableState *state, ResultRelInfo *relinfo)
{
	if (write_updatable(relinfo->ri_RelationDesc) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign table \"%s\" does not allow inserts",
						RelationGetRelationName(relinfo->ri_RelationDesc))));
	if (state->ps.plan != NULL && IsA(state->ps.plan, ModifyTable) &&
		((ModifyTable *) state->ps.plan)->onConflictAction != ONCONFLICT_NONE)
		write_plan(NULL, (ModifyTable *) state->ps.plan, 0, 0);
	begin_write(relinfo, state->ps.state, GetUserId());
}

static void
write_context(void *arg)
{
	ResultRelInfo *relinfo = arg;
	RemoteWrite *write = relinfo->ri_FdwState;

	errcontext("foreign table \"%s\", row " INT64_FORMAT,
			   RelationGetRelationName(relinfo->ri_RelationDesc), write->row);
}

/*
 * write_insert
 *		ExecForeignInsert.  The row comes back as it was sent: the remote side
 *		says nothing of what it made of it.
 */
TupleTableSlot *
write_insert(EState *estate, ResultRelInfo *relinfo, TupleTableSlot *slot,
			 TupleTableSlot *plan_slot)
{
	RemoteWrite *write = relinfo->ri_FdwState;
	ErrorContextCallback context;
	MemoryContext old;

	(void) estate;
	(void) plan_slot;
	context.callback = write_context;
	context.arg = relinfo;
	context.previous = error_context_stack;
	error_context_stack = &context;

	write->row++;
	slot_getallattrs(slot);
	MemoryContextReset(write->row_cxt);
	old = MemoryContextSwitchTo(write->row_cxt);
	for (int i = 0; i < write->ncolumns; i++)
	{
		int			at = write->attnums[i] - 1;

		write->values[i] = slot->tts_isnull[at] ? NULL :
			value_of_datum(slot->tts_values[at], write->types[i]);
	}
	write->table->connector->write_row(write->writer, write->values);
	MemoryContextSwitchTo(old);
	error_context_stack = context.previous;
	return slot;
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
		MemoryContextDelete(write->row_cxt);
	relinfo->ri_FdwState = NULL;
}
