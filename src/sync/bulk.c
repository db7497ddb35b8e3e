/*-------------------------------------------------------------------------
 *
 * bulk.c
 *		Fills an empty table below SQL, as COPY does.
 *
 * Rows go into the heap a page at a time and then into the indexes.  Only a
 * unique index on the key makes that safe: it finds rows that somebody else has
 * put there meanwhile, and rows that come twice.  Whatever goes wrong, the page
 * is written by statements instead.
 *
 * What a row needs is set up once and kept: descriptors without references
 * that a transaction would have to give back, and slots over the page's own
 * values.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "sync/apply.h"

#define ROWS_AT_ONCE 1000

/* What does not change from page to page. */
struct Bulk
{
	MemoryContext	 cxt;
	TupleDesc		 desc;	   /* of the target, as it was */
	TupleTableSlot **slots;	   /* ROWS_AT_ONCE, over desc */
	TupleTableSlot	*source;   /* a row of the page */
	Node		   **casts;	   /* by source column; NULL: none is needed */
	Node		   **defaults; /* by attribute - 1; NULL: none */
	bool			 casts_any;
	bool			 defaults_any;
};

/* One page being written. */
typedef struct BulkPage
{
	Apply		  *apply;
	Bulk		  *bulk;
	Relation	   rel;
	EState		  *estate;
	ResultRelInfo *relinfo;
	ExprState	 **casts;
	ExprState	 **defaults;
	Datum		  *fixed;		 /* by attribute - 1: constants and marks */
	bool		  *fixed_isnull; /* ... NULL where nothing else fills it */
} BulkPage;

/* ---------------------------------------------------------------------
 * Whether it can be done
 * ---------------------------------------------------------------------
 */

static bool
has_insert_triggers(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	return triggers != NULL &&
		(triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
		 triggers->trig_insert_instead_row || triggers->trig_insert_before_statement ||
		 triggers->trig_insert_after_statement || triggers->trig_insert_new_table);
}

static bool
indexes_are_immediate(Relation rel)
{
	ListCell *lc;
	bool	  immediate = true;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		immediate = immediate && index->rd_index->indimmediate;
		index_close(index, AccessShareLock);
	}
	return immediate;
}

static bool
is_simple(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relispartition &&
		rel->rd_rules == NULL && !has_insert_triggers(rel) && indexes_are_immediate(rel) &&
		check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED &&
		pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_INSERT) == ACLCHECK_OK;
}

/* ---------------------------------------------------------------------
 * Setting up
 * ---------------------------------------------------------------------
 */

/* A descriptor of the page's rows: what casts read. */
static TupleDesc
source_descriptor(const Target *target)
{
	TupleDesc desc = CreateTemplateTupleDesc(Max(1, target->nsource));

	for (int i = 0; i < target->nsource; i++)
		TupleDescInitEntry(desc, i + 1, NULL, target->columns[i].source_type, -1, 0);
	if (target->nsource == 0)
		TupleDescInitEntry(desc, 1, NULL, INT4OID, -1, 0);
	return desc;
}

static Node *
make_cast(const TargetColumn *column, int i)
{
	Node *var =
		(Node *) makeVar(1, i + 1, column->source_type, -1, get_typcollation(column->source_type), 0);
	Node *cast = coerce_to_target_type(NULL, var, column->source_type, column->type, column->typmod,
									   COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);

	return cast == var ? NULL : cast;
}

static bool
is_filled(const Target *target, AttrNumber attnum, const char *name)
{
	for (int i = 0; i < target->ncolumns; i++)
		if (target->columns[i].attnum == attnum && target->columns[i].written)
			return true;
	return strcmp(name, "_synced_at") == 0 || strcmp(name, "_extra") == 0;
}

static void
set_up_expressions(Bulk *bulk, const Target *target, Relation rel)
{
	bulk->casts = palloc0(sizeof(Node *) * Max(1, target->nsource));
	bulk->defaults = palloc0(sizeof(Node *) * bulk->desc->natts);
	for (int i = 0; i < target->nsource; i++)
	{
		if (target->columns[i].written)
			bulk->casts[i] = make_cast(&target->columns[i], i);
		bulk->casts_any = bulk->casts_any || bulk->casts[i] != NULL;
	}
	for (int i = 0; i < bulk->desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(bulk->desc, i);

		if (attr->attisdropped || attr->attgenerated != '\0' ||
			is_filled(target, attr->attnum, NameStr(attr->attname)))
			continue;
		bulk->defaults[i] = build_column_default(rel, attr->attnum);
		bulk->defaults_any = bulk->defaults_any || bulk->defaults[i] != NULL;
	}
}

/* Are the columns where they were when the target was opened? */
static bool
still_fits(const Target *target, TupleDesc desc)
{
	for (int i = 0; i < target->ncolumns; i++)
	{
		const TargetColumn *column = &target->columns[i];
		Form_pg_attribute	attr;

		if (column->attnum > desc->natts)
			return false;
		attr = TupleDescAttr(desc, column->attnum - 1);
		if (attr->attisdropped || attr->atttypid != column->type ||
			strcmp(NameStr(attr->attname), column->name) != 0)
			return false;
	}
	return true;
}

/* The set-up for the target as it is now; an old one that still fits is kept. */
static Bulk *
set_up(Apply *apply, Relation rel)
{
	Bulk		 *bulk = apply->bulk;
	MemoryContext old;

	if (bulk != NULL && equalTupleDescs(bulk->desc, RelationGetDescr(rel)))
		return bulk;
	if (bulk != NULL)
		MemoryContextDelete(bulk->cxt);
	apply->bulk = NULL;
	old = MemoryContextSwitchTo(apply->cxt);
	bulk = palloc0(sizeof(Bulk));
	bulk->cxt = AllocSetContextCreate(apply->cxt, "makini bulk", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(bulk->cxt);
	bulk->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	bulk->slots = palloc(sizeof(TupleTableSlot *) * ROWS_AT_ONCE);
	for (int i = 0; i < ROWS_AT_ONCE; i++)
		bulk->slots[i] = MakeSingleTupleTableSlot(bulk->desc, &TTSOpsVirtual);
	bulk->source = MakeSingleTupleTableSlot(source_descriptor(apply->target), &TTSOpsVirtual);
	set_up_expressions(bulk, apply->target, rel);
	MemoryContextSwitchTo(old);
	apply->bulk = bulk;
	return bulk;
}

static ExprState **
prepare_expressions(EState *estate, Node **nodes, int n)
{
	ExprState **states = palloc0(sizeof(ExprState *) * Max(1, n));

	for (int i = 0; i < n; i++)
		if (nodes[i] != NULL)
			states[i] = ExecPrepareExpr((Expr *) nodes[i], estate);
	return states;
}

static void
fix(BulkPage *page, AttrNumber attnum, Datum value)
{
	page->fixed[attnum - 1] = value;
	page->fixed_isnull[attnum - 1] = false;
}

/* What all rows of the page have in common. */
static void
fix_values(BulkPage *page)
{
	const Target *target = page->apply->target;
	int			  natts = page->bulk->desc->natts;

	page->fixed = palloc0(sizeof(Datum) * natts);
	page->fixed_isnull = palloc(sizeof(bool) * natts);
	memset(page->fixed_isnull, true, sizeof(bool) * natts);
	for (int i = target->nsource; i < target->ncolumns; i++)
	{
		const TargetColumn *column = &target->columns[i];
		Oid					input, ioparam;

		getTypeInputInfo(column->type, &input, &ioparam);
		fix(page, column->attnum,
			OidInputFunctionCall(input, column->constant, ioparam, column->typmod));
	}
	fix(page, get_attnum(target->relid, "_synced_at"), TimestampTzGetDatum(GetCurrentTimestamp()));
}

static void
begin_page(BulkPage *page)
{
	page->estate = CreateExecutorState();
	page->relinfo = makeNode(ResultRelInfo);
	InitResultRelInfo(page->relinfo, page->rel, 0, NULL, 0);
	ExecOpenIndices(page->relinfo, false);
	if (page->bulk->casts_any)
		page->casts =
			prepare_expressions(page->estate, page->bulk->casts, page->apply->target->nsource);
	if (page->bulk->defaults_any)
		page->defaults =
			prepare_expressions(page->estate, page->bulk->defaults, page->bulk->desc->natts);
	fix_values(page);
}

static void
end_page(BulkPage *page)
{
	ExecCloseIndices(page->relinfo);
	FreeExecutorState(page->estate);
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

/* What expressions give lives as long as the page. */
static void
cast_row(BulkPage *page, TupleTableSlot *slot, const Datum *values, const bool *nulls)
{
	const Target   *target = page->apply->target;
	ExprContext	   *econtext = GetPerTupleExprContext(page->estate);
	TupleTableSlot *source = page->bulk->source;

	ExecClearTuple(source);
	memcpy(source->tts_values, values, sizeof(Datum) * target->nsource);
	memcpy(source->tts_isnull, nulls, sizeof(bool) * target->nsource);
	ExecStoreVirtualTuple(source);
	econtext->ecxt_scantuple = source;
	for (int i = 0; i < target->nsource; i++)
	{
		int at = target->columns[i].attnum - 1;

		if (page->casts[i] != NULL)
			slot->tts_values[at] = ExecEvalExpr(page->casts[i], econtext, &slot->tts_isnull[at]);
	}
}

static void
default_row(BulkPage *page, TupleTableSlot *slot)
{
	ExprContext *econtext = GetPerTupleExprContext(page->estate);

	for (int i = 0; i < page->bulk->desc->natts; i++)
		if (page->defaults[i] != NULL)
			slot->tts_values[i] = ExecEvalExpr(page->defaults[i], econtext, &slot->tts_isnull[i]);
}

static void
fill_slot(BulkPage *page, TupleTableSlot *slot, const Rows *rows, int row)
{
	const Target *target = page->apply->target;
	const Datum	 *values = rows->values + (size_t) row * rows->ncolumns;
	const bool	 *nulls = rows->nulls + (size_t) row * rows->ncolumns;
	int			  natts = page->bulk->desc->natts;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, page->fixed, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, page->fixed_isnull, sizeof(bool) * natts);
	for (int i = 0; i < target->nsource; i++)
	{
		int at = target->columns[i].attnum - 1;

		if (!target->columns[i].written)
			continue;
		slot->tts_values[at] = values[i];
		slot->tts_isnull[at] = nulls[i];
	}
	if (page->casts != NULL)
		cast_row(page, slot, values, nulls);
	if (page->defaults != NULL)
		default_row(page, slot);
	if (rows->extra != NULL && rows->extra[row] != NULL && target->has_extra)
	{
		int at = get_attnum(target->relid, "_extra") - 1;

		slot->tts_isnull[at] = false;
		slot->tts_values[at] = DirectFunctionCall1(jsonb_in, CStringGetDatum(rows->extra[row]));
	}
	ExecStoreVirtualTuple(slot);
}

/* Generated columns, NOT NULL and CHECK. */
static void
check_row(BulkPage *page, TupleTableSlot *slot)
{
	TupleConstr *constr = RelationGetDescr(page->rel)->constr;

	if (constr == NULL)
		return;
	if (constr->has_generated_stored)
		ExecComputeStoredGenerated(page->relinfo, page->estate, slot, CMD_INSERT);
	ExecConstraints(page->relinfo, slot, page->estate);
}

static void
store_rows(BulkPage *page, const RowSet *set, int from, int n)
{
	TupleTableSlot **slots = page->bulk->slots;

	for (int i = 0; i < n; i++)
	{
		slots[i]->tts_tableOid = RelationGetRelid(page->rel);
		fill_slot(page, slots[i], set->rows, set->at[from + i]);
		check_row(page, slots[i]);
	}
	table_multi_insert(page->rel, slots, n, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < n && page->relinfo->ri_NumIndices > 0; i++)
	{
		makini_insert_index_tuples(page->relinfo, slots[i], page->estate);
		ResetPerTupleExprContext(page->estate);
	}
}

static void
clear_slots(Bulk *bulk)
{
	for (int i = 0; i < ROWS_AT_ONCE; i++)
		ExecClearTuple(bulk->slots[i]);
	ExecClearTuple(bulk->source);
}

/*
 * bulk_write
 *		Insert rows that the target does not have; false where it has to be done
 *		by statements.
 */
bool
bulk_write(Apply *apply, const RowSet *set, Written *written)
{
	BulkPage page = {.apply = apply};

	page.rel = table_open(apply->target->relid, RowExclusiveLock);
	if (!is_simple(page.rel) || !still_fits(apply->target, RelationGetDescr(page.rel)))
	{
		table_close(page.rel, NoLock);
		return false;
	}
	page.bulk = set_up(apply, page.rel);
	PushActiveSnapshot(GetTransactionSnapshot());
	begin_page(&page);
	for (int from = 0; from < set->n; from += ROWS_AT_ONCE)
	{
		CHECK_FOR_INTERRUPTS();
		store_rows(&page, set, from, Min(ROWS_AT_ONCE, set->n - from));
	}
	end_page(&page);
	clear_slots(page.bulk);
	PopActiveSnapshot();
	table_close(page.rel, NoLock);
	CommandCounterIncrement();
	written->inserted += set->n;
	return true;
}
