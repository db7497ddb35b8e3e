/*-------------------------------------------------------------------------
 *
 * spec.c
 *		Carries a planned query inside the plan.
 *
 * A plan may be copied and written out, so it holds nothing but nodes: lists
 * of integers and constants in the order of the enums below.  Columns are
 * (source, attnum); what they are remotely is read again from the table's
 * options when the scan begins, which a change of them has invalidated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "utils/lsyscache.h"

#include "fdw/fdw.h"

enum SpecItem
{
	SPEC_RELIDS,  /* OidList */
	SPEC_FLAGS,	  /* IntList: join, joined_once, grouped */
	SPEC_ON,	  /* filter */
	SPEC_WHERE,	  /* filter */
	SPEC_COLUMNS, /* List of IntList: aggregate, source, attnum, slot, divisor */
	SPEC_GROUP,	  /* List of IntList: source, attnum, descending */
	SPEC_ORDER,	  /* the same */
	SPEC_LIMIT	  /* Float */
};

enum FilterItem
{
	FILTER_ITEM_HEAD,	/* IntList: kind, op, source, attnum, other source, other attnum */
	FILTER_ITEM_VALUES, /* IntList: param, is array; one pair a value */
	FILTER_ITEM_ARGS	/* List of filters */
};

static AttrNumber
attnum_of(List *tables, int source, const SourceColumn *column)
{
	Table *table;

	if (column == NULL)
		return InvalidAttrNumber;
	table = list_nth(tables, source);
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i] == column)
			return i + 1;
	}
	return InvalidAttrNumber;
}

static List *
filter_to_list(const Filter *filter, List *tables)
{
	List	 *head;
	List	 *values = NIL;
	List	 *args = NIL;
	ListCell *lc;

	if (filter == NULL)
		return NIL;
	head = list_make4_int(filter->kind, filter->op, filter->source,
						  attnum_of(tables, filter->source, filter->column));
	head = lappend_int(head, filter->other_source);
	head = lappend_int(head, attnum_of(tables, filter->other_source, filter->other));
	foreach(lc, filter->values)
	{
		PlannedValue *value = lfirst(lc);

		values = lappend_int(values, value->param);
		values = lappend_int(values, value->array);
	}
	foreach(lc, filter->args)
		args = lappend(args, filter_to_list(lfirst(lc), tables));
	return list_make3(head, values, args);
}

static SourceColumn *
column_of(List *tables, int source, int attnum)
{
	return attnum == InvalidAttrNumber ? NULL :
										 ((Table *) list_nth(tables, source))->columns[attnum - 1];
}

static Filter *
filter_from_list(List *list, List *tables)
{
	List	 *head;
	List	 *values;
	Filter	 *filter;
	ListCell *lc;

	if (list == NIL)
		return NULL;
	head = list_nth(list, FILTER_ITEM_HEAD);
	values = list_nth(list, FILTER_ITEM_VALUES);
	filter = palloc0(sizeof(Filter));
	filter->kind = list_nth_int(head, 0);
	filter->op = list_nth_int(head, 1);
	filter->source = list_nth_int(head, 2);
	filter->column = column_of(tables, filter->source, list_nth_int(head, 3));
	filter->other_source = list_nth_int(head, 4);
	filter->other = column_of(tables, filter->other_source, list_nth_int(head, 5));
	for (int i = 0; i < list_length(values); i += 2)
	{
		PlannedValue *value = palloc0(sizeof(PlannedValue));

		value->value.unknown = true;
		value->param = list_nth_int(values, i);
		value->array = list_nth_int(values, i + 1);
		filter->values = lappend(filter->values, value);
	}
	foreach(lc, (List *) list_nth(list, FILTER_ITEM_ARGS))
		filter->args = lappend(filter->args, filter_from_list(lfirst(lc), tables));
	return filter;
}

static List *
open_tables(List *relids)
{
	List	 *tables = NIL;
	ListCell *lc;

	foreach(lc, relids)
		tables = lappend(tables, table_open_options(lfirst_oid(lc)));
	return tables;
}

/*
 * spec_to_list
 *		tables are those the filters' columns point into, in source order.
 */
List *
spec_to_list(const Spec *spec, List *tables)
{
	List	 *columns = NIL;
	ListCell *lc;
	List	 *list;

	foreach(lc, spec->columns)
	{
		OutputColumn *column = lfirst(lc);

		columns = lappend(columns,
						  list_make5_int(column->aggregate, column->source, column->attnum,
										 column->slot, column->divisor));
	}
	list = list_make4(spec->relids, list_make3_int(spec->join, spec->joined_once, spec->grouped),
					  filter_to_list(spec->on, tables), filter_to_list(spec->where, tables));
	list = lappend(list, columns);
	list = lappend(list, spec->group);
	list = lappend(list, spec->order);

	/* Without a point it would be read back as an Integer. */
	return lappend(list, makeFloat(psprintf("%.1f", spec->limit)));
}

/*
 * spec_from_list
 *		The reverse; tables gets the list of Table * the spec refers to.
 */
Spec *
spec_from_list(List *list, List **tables)
{
	Spec	 *spec = palloc0(sizeof(Spec));
	List	 *flags = list_nth(list, SPEC_FLAGS);
	ListCell *lc;

	spec->relids = list_nth(list, SPEC_RELIDS);
	*tables = open_tables(spec->relids);
	spec->join = list_nth_int(flags, 0);
	spec->joined_once = list_nth_int(flags, 1);
	spec->grouped = list_nth_int(flags, 2);
	spec->on = filter_from_list(list_nth(list, SPEC_ON), *tables);
	spec->where = filter_from_list(list_nth(list, SPEC_WHERE), *tables);
	foreach(lc, (List *) list_nth(list, SPEC_COLUMNS))
	{
		List		 *item = lfirst(lc);
		OutputColumn *column = palloc0(sizeof(OutputColumn));

		column->aggregate = list_nth_int(item, 0);
		column->source = list_nth_int(item, 1);
		column->attnum = list_nth_int(item, 2);
		column->slot = list_nth_int(item, 3);
		column->divisor = list_nth_int(item, 4);
		spec->columns = lappend(spec->columns, column);
	}
	spec->group = list_nth(list, SPEC_GROUP);
	spec->order = list_nth(list, SPEC_ORDER);
	spec->limit = floatVal(list_nth(list, SPEC_LIMIT));
	return spec;
}

/*
 * spec_decoder
 *		What fills tuples of a descriptor from pages of a spec's columns.
 */
Decoder *
spec_decoder(Connection *conn, TupleDesc desc, const Spec *spec, List *tables)
{
	int			  n = list_length(spec->columns);
	DecodeColumn *columns = palloc0(sizeof(DecodeColumn) * Max(1, n));
	ListCell	 *lc;

	foreach(lc, spec->columns)
	{
		OutputColumn	 *output = lfirst(lc);
		Table			 *table = list_nth(tables, output->source);
		Form_pg_attribute attr = TupleDescAttr(desc, output->slot);
		DecodeColumn	 *column = &columns[foreach_current_index(lc)];
		char			 *relation = get_rel_name(table->relid);

		column->slot = output->slot;
		column->type = attr->atttypid;
		column->typmod = attr->atttypmod;
		column->divisor = output->divisor;
		column->relation = relation != NULL ? relation : "?";
		column->column = output->attnum == InvalidAttrNumber ?
			"count" :
			get_attname(table->relid, output->attnum, false);
	}
	return decoder_create(conn, desc->natts, columns, n);
}
