/*-------------------------------------------------------------------------
 *
 * window.c
 *		What a run reads: the columns of its source, and the queries for the part
 *		of it that is wanted.
 *
 * A window has a lower bound only: rows are read in the order of their key, and
 * what changes meanwhile gets a newer cursor, which the next window begins
 * before.  Rows without a cursor value belong to every history.  Rows that
 * follow a parent are in a window when their parent is, however new they are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "foreign/foreign.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "connector/filter.h"
#include "connector/option.h"
#include "sync/sync.h"
#include "sync/target.h"

/* ---------------------------------------------------------------------
 * The source
 * ---------------------------------------------------------------------
 */

bool
in_names(const List *names, const char *name)
{
	const ListCell *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/* The column that moves with each change, where it is one that can be compared. */
static void
find_cursor(SyncSource *source, List *table_options, TupleDesc desc)
{
	const Entity *entity = source->table->source->catalogue;
	const char	 *name = option_text(table_options, "cursor");

	if (name == NULL && entity != NULL)
		name = entity->cursor;
	if (name == NULL)
		return;
	for (int i = 0; i < source->table->natts; i++)
	{
		SourceColumn *column = source->table->columns[i];

		if (column != NULL && !column->display && pg_strcasecmp(column->name, name) == 0 &&
			column->kind == VALUE_TIMESTAMPTZ)
		{
			source->cursor = column;
			source->cursor_name = pstrdup(NameStr(TupleDescAttr(desc, i)->attname));
		}
	}
}

/* The entity whose changes stand for those of the source's rows. */
static void
find_parent(SyncSource *source)
{
	const Connector *connector = source->table->connector;
	const Entity	*parent;

	if (source->traits.parent == NULL)
		return;
	parent = connector_find_entity(connector, source->traits.parent);
	if (parent == NULL || parent->cursor == NULL || strchr(parent->key, ',') != NULL)
		return;
	source->parent = palloc0(sizeof(Source));
	source->parent->entity = parent->name;
	source->parent->catalogue = parent;
	source->parent_key = source_column_of_entity(parent, parent->key);
	source->parent_cursor = source_column_of_entity(parent, parent->cursor);
	source->parent->key = list_make1(source->parent_key);
}

static void
find_parent_column(SyncSource *source, TupleDesc desc)
{
	if (source->parent == NULL)
		return;
	for (int i = 0; i < source->table->natts; i++)
	{
		SourceColumn *column = source->table->columns[i];

		if (column != NULL && !column->display &&
			pg_strcasecmp(column->name, source->traits.parent_column) == 0)
		{
			source->parent_column = column;
			source->parent_column_name = pstrdup(NameStr(TupleDescAttr(desc, i)->attname));
		}
	}
	if (source->parent_column == NULL)
		source->parent = NULL;
}

/* The columns that tell rows apart, where the sync says other ones than the source. */
static void
use_key(SyncSource *source, List *names, TupleDesc desc)
{
	ListCell *lc;

	if (names == NIL)
		return;
	source->table->source->key = NIL;
	foreach(lc, names)
	{
		for (int i = 0; i < desc->natts; i++)
		{
			if (source->table->columns[i] != NULL &&
				strcmp(NameStr(TupleDescAttr(desc, i)->attname), lfirst(lc)) == 0)
				source->table->source->key =
					lappend(source->table->source->key, source->table->columns[i]);
		}
	}
	if (list_length(source->table->source->key) != list_length(names))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("a key column is not among the columns of foreign table \"%s\"",
						get_rel_name(source->table->relid)),
				 errhint("Drop the sync and create it with a key that the table has.")));
}

static bool
speaks_of(const TextFilter *filter, AttrNumber attnum)
{
	ListCell *lc;

	if (filter == NULL)
		return false;
	foreach(lc, pull_var_clause((Node *) filter->expr, 0))
		if (((Var *) lfirst(lc))->varattno == attnum)
			return true;
	return false;
}

/* What filters speak of is read too: rows are held to them here once more. */
static bool
is_always_wanted(const SyncSource *source, const Sync *sync, const char *name, AttrNumber attnum)
{
	return speaks_of(source->filter, attnum) || speaks_of(source->initial_filter, attnum) ||
		in_names(sync->key, name) ||
		(source->parent_column_name != NULL && strcmp(source->parent_column_name, name) == 0) ||
		(source->cursor_name != NULL && strcmp(source->cursor_name, name) == 0);
}

static void
select_columns(SyncSource *source, const Sync *sync, TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		char			 *name = NameStr(attr->attname);
		SelectedColumn	 *column;
		bool			  always;

		if (attr->attisdropped || in_names(sync->left_out, name))
			continue;
		always = is_always_wanted(source, sync, name, attr->attnum);
		if (!always && sync->columns != NIL && !in_names(sync->columns, name))
			continue;
		column = palloc0(sizeof(SelectedColumn));
		column->remote = source->table->columns[i];
		column->name = pstrdup(name);
		column->always = always;
		column->typmod = attr->atttypmod;
		column->type = getBaseTypeAndTypmod(attr->atttypid, &column->typmod);
		if (type_runs_code(column->type))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of foreign table \"%s\" is of type %s", name,
							get_rel_name(source->table->relid), format_type_be(attr->atttypid)),
					 errdetail("Syncs do not read composite types, nor arrays and ranges of domains."),
					 errhint("Declare the column as text, or leave it out with \"columns\".")));
		column->attnum = attr->attnum;
		source->selected = lappend(source->selected, column);
	}
}

SelectedColumn *
selected_find(const List *selected, const char *name)
{
	ListCell *lc;

	foreach(lc, selected)
	{
		SelectedColumn *column = lfirst(lc);

		if (strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

int
selected_place(const SyncSource *source, const SourceColumn *column)
{
	ListCell *lc;

	foreach(lc, source->selected)
	{
		if (((SelectedColumn *) lfirst(lc))->remote == column)
			return foreach_current_index(lc);
	}
	return -1;
}

/*
 * sync_filter
 *		A condition of a sync.  Values in it are worked out here, which only its
 *		owner's rights may do, whoever runs the sync.
 */
TextFilter *
sync_filter(const Sync *sync, Table *table, const char *text, const char *name)
{
	TargetRights saved;
	TextFilter	*filter;

	rights_of_target(sync->owner, &saved);
	filter = filter_parse(table, text, name);
	rights_of_target_restore(&saved);
	return filter;
}

/*
 * source_open
 *		A sync's source as it is declared now.  Takes AccessShareLock until the
 *		end of the transaction.
 */
SyncSource *
source_open(const Sync *sync)
{
	SyncSource *source = palloc0(sizeof(SyncSource));
	Relation	relation = try_relation_open(sync->source, AccessShareLock);
	TupleDesc	desc;

	if (relation == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("source %s of sync " INT64_FORMAT " does not exist any more",
						sync->source_name, sync->sync_id),
				 errhint("Drop the sync with SELECT makini.drop_sync(" INT64_FORMAT ").",
						 sync->sync_id)));
	desc = RelationGetDescr(relation);
	source->table = table_open_options(sync->source);
	entity_traits(source->table->connector, source->table->source->catalogue, &source->traits);
	use_key(source, sync->key, desc);
	find_cursor(source, GetForeignTable(sync->source)->options, desc);
	find_parent(source);
	find_parent_column(source, desc);
	if (sync->filter != NULL)
		source->filter = sync_filter(sync, source->table, sync->filter, "filter");
	if (sync->initial_filter != NULL)
		source->initial_filter =
			sync_filter(sync, source->table, sync->initial_filter, "initial_filter");
	select_columns(source, sync, desc);
	relation_close(relation, NoLock);
	return source;
}

/* ---------------------------------------------------------------------
 * Filters
 * ---------------------------------------------------------------------
 */

static Filter *
compare(CompareOp op, int source, SourceColumn *cursor, TimestampTz moment)
{
	return filter_compare(op, source, cursor, filter_moment(moment));
}

/* NULL: no bounds. */
static Filter *
between(int source, SourceColumn *cursor, const Window *window)
{
	return filter_both(FILTER_AND,
					   window->from != 0 ? compare(CMP_GE, source, cursor, window->from) : NULL,
					   window->upto != 0 ? compare(CMP_LT, source, cursor, window->upto) : NULL);
}

/* What of the source the sync is about, besides its filter; NULL: all of it. */
static Filter *
history(const SyncSource *source, const Window *window)
{
	int			  place = source->parent != NULL ? 1 : 0;
	SourceColumn *cursor = source->parent != NULL ? source->parent_cursor : source->cursor;
	Filter		 *filter = cursor != NULL ? between(place, cursor, window) : NULL;

	if (filter == NULL || window->kind == WINDOW_SLICE)
		return filter;
	filter = filter_both(FILTER_OR, filter, filter_new(FILTER_NULL, place, cursor));
	if (source->initial_filter != NULL)
		filter = filter_both(FILTER_OR, filter, source->initial_filter->filter);
	return filter;
}

/* ---------------------------------------------------------------------
 * Queries
 * ---------------------------------------------------------------------
 */

RemoteQuery *
source_query(const SyncSource *source, Filter *where)
{
	RemoteQuery *query = palloc0(sizeof(RemoteQuery));
	ListCell	*lc;

	query->sources = list_make1(source->table->source);
	query->limit = -1;
	query->keys_may_repeat = true;
	foreach(lc, source->selected)
		query_add_column(query, ((SelectedColumn *) lfirst(lc))->remote);
	query->where =
		filter_both(FILTER_AND, source->filter != NULL ? source->filter->filter : NULL, where);
	return query;
}

static void
join_parent(RemoteQuery *query, const SyncSource *source)
{
	query->sources = lappend(query->sources, source->parent);
	query->join = QUERY_INNER_JOIN;
	query->joined_once = true;
	query->together = source->parent_column;
	query->on = filter_new(FILTER_COLUMNS, 0, source->parent_column);
	query->on->op = CMP_EQ;
	query->on->other_source = 1;
	query->on->other = source->parent_key;
}

/*
 * window_query
 *		The query for a part of the source.
 */
RemoteQuery *
window_query(const SyncSource *source, const Window *window)
{
	RemoteQuery *query = source_query(source, NULL);
	Filter		*part = NULL;

	switch (window->kind)
	{
		case WINDOW_HISTORY:
		case WINDOW_SLICE:
			part = history(source, window);
			if (part != NULL && source->parent != NULL)
				join_parent(query, source);
			break;
		case WINDOW_CHANGED:
			part = between(0, source->cursor, window);
			if (source->parent != NULL && window->history != 0)
			{
				Window all = {WINDOW_HISTORY, window->history};

				part = filter_both(FILTER_AND, part, history(source, &all));
				join_parent(query, source);
			}
			break;
		case WINDOW_PARENT_CHANGED:
			part = between(1, source->parent_cursor, window);
			join_parent(query, source);
			break;
		case WINDOW_WITHOUT_CURSOR:
			part = filter_new(FILTER_NULL, 0, source->cursor);
			break;
	}
	query->where = filter_both(FILTER_AND, query->where, part);
	return query;
}

static RemoteQuery *
column_query(Source *from, SourceColumn *column)
{
	RemoteQuery *query = palloc0(sizeof(RemoteQuery));

	query->sources = list_make1(from);
	query->limit = -1;
	query_add_column(query, column);
	return query;
}

/*
 * keys_query
 *		One column of the rows that have one of these texts in it.
 */
RemoteQuery *
keys_query(const SyncSource *source, KeyKind kind, List *texts)
{
	Source		 *from = kind == KEYS_OF_PARENT ? source->parent : source->table->source;
	SourceColumn *column = kind == KEYS_OF_PARENT ? source->parent_key :
		kind == KEYS_OF_CHILDREN				  ? source->parent_column :
													linitial(source->table->source->key);
	RemoteQuery	 *query = column_query(from, column);

	query->where = filter_in(0, column, texts);
	return query;
}

/*
 * parents_query
 *		Keys of parents that changed since a time.
 */
RemoteQuery *
parents_query(const SyncSource *source, TimestampTz from)
{
	RemoteQuery *query = column_query(source->parent, source->parent_key);

	query->where = compare(CMP_GE, 0, source->parent_cursor, from);
	return query;
}
