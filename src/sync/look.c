/*-------------------------------------------------------------------------
 *
 * look.c
 *		What has changed remotely in foreign tables.
 *
 * Discovery says what an import would make today; what an earlier look knew
 * says which of the differences are news and which are the wish of whoever
 * declared the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "connector/filter.h"
#include "connector/option.h"
#include "sync/refresh.h"
#include "sync/schema_change.h"

static bool
same_name(const char *a, const char *b)
{
	return pg_strcasecmp(a, b) == 0;
}

/* ---------------------------------------------------------------------
 * Asking
 * ---------------------------------------------------------------------
 */

static Connection *
open_for(const Looked *looked)
{
	const Table *table = looked->table;
	Connection	*conn;

	if (table->connector->discovers_locally)
		return connection_outline(table->serverid);
	conn = connection_open(table->serverid, looked->role, REMOTE_USE_PROBE);
	/* the network is waited for: with as little held as can be */
	InvalidateCatalogSnapshot();
	return conn;
}

/* The tables that one discovery can answer for: those like the first. */
static List *
tables_alike(List *all, const Looked *first)
{
	List	 *alike = NIL;
	ListCell *lc;

	foreach(lc, all)
	{
		Looked *looked = lfirst(lc);

		if (!looked->done && looked->table->serverid == first->table->serverid &&
			looked->custom_fields == first->custom_fields && looked->display == first->display)
			alike = lappend(alike, looked);
	}
	return alike;
}

static void
discover_alike(List *alike)
{
	Looked		 *first = linitial(alike);
	ImportRequest request = {.probe = true};
	Connection	 *conn;
	List		 *found;
	ListCell	 *lc;

	request.custom_fields = first->custom_fields;
	request.display = first->display;
	foreach(lc, alike)
	{
		Looked *looked = lfirst(lc);

		looked->done = true;
		if (looked->table->source->catalogue != NULL)
			request.entities =
				list_append_unique_ptr(request.entities, (void *) looked->table->source->catalogue);
	}
	if (request.entities == NIL)
		return;
	conn = open_for(first);
	found = conn->connector->discover(conn, &request);
	foreach(lc, alike)
	{
		Looked	 *looked = lfirst(lc);
		ListCell *lc2;

		foreach(lc2, found)
		{
			DiscoveredTable *table = lfirst(lc2);

			if (table->entity == looked->table->source->catalogue)
				looked->found = table;
		}
	}
}

void
look_around(List *all)
{
	ListCell *lc;

	foreach(lc, all)
	{
		if (!((Looked *) lfirst(lc))->done)
			discover_alike(tables_alike(all, lfirst(lc)));
	}
}

/* One row of some columns, to hear whether the remote side knows them. */
typedef struct Trial
{
	Connection	*conn;
	const Table *table;
	List		*columns; /* of SourceColumn * */
} Trial;

static void
trial_step(void *arg)
{
	Trial		*trial = arg;
	RemoteQuery *query = palloc0(sizeof(RemoteQuery));
	Reader		*reader;
	ListCell	*lc;

	query->sources = list_make1(trial->table->source);
	query->limit = 1;
	foreach(lc, trial->columns)
		query_add_column(query, lfirst(lc));
	reader = trial->conn->connector->open(trial->conn, query);
	(void) trial->conn->connector->next_page(reader);
	trial->conn->connector->close(reader);
}

static List *
without_column(List *columns, const char *name)
{
	List	 *rest = NIL;
	ListCell *lc;

	foreach(lc, columns)
	{
		if (!same_name(((SourceColumn *) lfirst(lc))->name, name))
			rest = lappend(rest, lfirst(lc));
	}
	return rest;
}

/*
 * Which of these columns the remote side does not know: discovery says nothing
 * of columns that are neither in the catalogue nor custom fields.
 */
static List *
unknown_columns(const Looked *looked, List *columns)
{
	Trial trial = {.table = looked->table, .columns = columns};

	if (columns == NIL)
		return NIL;
	trial.conn = open_for(looked);
	while (trial.columns != NIL)
	{
		ErrorData *error = run_attempt(trial_step, &trial);
		List	  *rest;

		if (error == NULL)
			break;
		if (error->sqlerrcode != ERRCODE_FDW_COLUMN_NAME_NOT_FOUND || error->column_name == NULL)
			ThrowErrorData(error);
		rest = without_column(trial.columns, error->column_name);
		if (list_length(rest) == list_length(trial.columns))
			ThrowErrorData(error);
		trial.columns = rest;
	}
	return list_difference_ptr(columns, trial.columns);
}

/* ---------------------------------------------------------------------
 * Comparing
 * ---------------------------------------------------------------------
 */

Finding *
add_finding(List **list, Oid relation, const char *column, const char *change, const char *sql)
{
	Finding *finding = palloc0(sizeof(Finding));

	finding->relation = relation;
	finding->column = column;
	finding->change = change;
	finding->sql = sql;
	finding->runnable = true;
	*list = lappend(*list, finding);
	return finding;
}

static int
declared_place(const Table *table, const DiscoveredColumn *column)
{
	for (int i = 0; i < table->natts; i++)
	{
		if (table->columns[i] != NULL && table->columns[i]->display == column->display &&
			same_name(table->columns[i]->name, column->name))
			return i;
	}
	return -1;
}

Oid
type_of_text(const char *text)
{
	Oid	  type;
	int32 typmod;

	(void) parseTypeString(text, &type, &typmod, NULL);
	return type;
}

char *
declared_type(Oid relid, AttrNumber attnum)
{
	Oid	  type;
	int32 typmod;
	Oid	  collation;

	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	return format_type_with_typemod(type, typmod);
}

static void
compare_declared(Looked *looked, DiscoveredColumn *column, int place)
{
	const char	*type = imported_type(column);
	KnownColumn *known = looked->known ? imported_find(looked->known, imported_name(column)) : NULL;
	AttrNumber	 attnum = place + 1;
	char		*name = get_attname(looked->relid, attnum, false);
	Oid			 declared = getBaseType(get_atttype(looked->relid, attnum));
	Finding		*finding;

	if (known == NULL || strcmp(known->type, type) == 0 ||
		kind_of_type(declared) == kind_of_type(type_of_text(type)))
		return;
	finding = add_finding(&looked->findings, looked->relid, name, "type",
						  psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s TYPE %s", looked->name,
								   quote_identifier(name), type));
	finding->from = declared_type(looked->relid, attnum);
	finding->remote_type = type;
	finding->discovered = column;
}

static void
compare_undeclared(Looked *looked, DiscoveredColumn *column)
{
	char		  *name = imported_name(column);
	StringInfoData sql;
	Finding		  *finding;

	if (looked->known == NULL || imported_find(looked->known, name) != NULL ||
		get_attnum(looked->relid, name) != InvalidAttrNumber)
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER FOREIGN TABLE %s ADD COLUMN ", looked->name);
	imported_definition(&sql, column);
	finding = add_finding(&looked->findings, looked->relid, name, "added", sql.data);
	finding->remote_type = imported_type(column);
	finding->discovered = column;
}

bool
is_discovered(const DiscoveredTable *found, const SourceColumn *column)
{
	ListCell *lc;

	foreach(lc, found != NULL ? found->columns : NIL)
	{
		DiscoveredColumn *each = lfirst(lc);

		/* where display texts were not asked for, a column vouches for its own */
		if (same_name(each->name, column->name) && (column->display || !each->display))
			return true;
	}
	return false;
}

static bool
is_refused(const DiscoveredTable *found, const SourceColumn *column)
{
	ListCell *lc;

	foreach(lc, found != NULL ? found->left_out : NIL)
	{
		if (same_name(lfirst(lc), column->name))
			return true;
	}
	return false;
}

/* Declared columns that the remote side has not, or not for this role. */
static List *
vanished_columns(const Looked *looked)
{
	const Table *table = looked->table;
	List		*vanished = NIL;
	List		*uncertain = NIL;

	for (int i = 0; i < table->natts; i++)
	{
		SourceColumn *column = table->columns[i];

		if (column == NULL || is_discovered(looked->found, column))
			continue;
		if (is_refused(looked->found, column))
			vanished = lappend(vanished, column);
		else if (!table->connector->discovers_locally)
			uncertain = lappend(uncertain, column);
		else if (table->source->catalogue != NULL &&
				 entity_find_column(table->source->catalogue, column->name) == NULL)
			vanished = lappend(vanished, column);
	}
	return list_concat(vanished, unknown_columns(looked, uncertain));
}

/* Can rows still be read and told apart without a column? */
static bool
is_needed(const Looked *looked, const SourceColumn *column)
{
	const Entity *entity = looked->table->source->catalogue;
	const char	 *cursor = option_text(GetForeignTable(looked->relid)->options, "cursor");

	if (cursor == NULL && entity != NULL)
		cursor = entity->cursor;
	return list_member_ptr(looked->table->source->key, column) ||
		(cursor != NULL && !column->display && same_name(cursor, column->name));
}

/* What imported_name() gives for the same column. */
static char *
remote_key(const SourceColumn *column)
{
	DiscoveredColumn same = {.name = column->name, .display = column->display};

	return imported_name(&same);
}

static void
compare_vanished(Looked *looked)
{
	List	 *vanished = vanished_columns(looked);
	ListCell *lc;

	foreach(lc, vanished)
	{
		SourceColumn *column = lfirst(lc);
		AttrNumber	  attnum = 0;
		char		 *name;
		Finding		 *finding;

		for (int i = 0; i < looked->table->natts; i++)
		{
			if (looked->table->columns[i] == column)
				attnum = i + 1;
		}
		name = get_attname(looked->relid, attnum, false);
		finding = add_finding(&looked->findings, looked->relid, name, "removed",
							  psprintf("ALTER FOREIGN TABLE %s DROP COLUMN %s", looked->name,
									   quote_identifier(name)));
		finding->from = declared_type(looked->relid, attnum);
		finding->known_as = remote_key(column);
		finding->runnable = !is_needed(looked, column);
	}
}

/* The first look at a table that was declared by hand: what it lacks, it was to lack. */
static void
report_first_look(const Looked *looked)
{
	StringInfoData names;
	int			   n = 0;
	ListCell	  *lc;

	initStringInfo(&names);
	foreach(lc, looked->found->columns)
	{
		DiscoveredColumn *column = lfirst(lc);

		if (declared_place(looked->table, column) < 0)
			appendStringInfo(&names, "%s%s", n++ > 0 ? ", " : "", imported_name(column));
	}
	if (n > 0)
		ereport(NOTICE,
				(errmsg_plural("foreign table %s was declared by hand: %d column that it lacks is taken to be left out on purpose",
							   "foreign table %s was declared by hand: %d columns that it lacks are taken to be left out on purpose",
							   n, looked->name, n),
				 errdetail("%s", names.data)));
}

void
look_compare(Looked *looked)
{
	ListCell *lc;

	if (looked->found != NULL && looked->found->refused != NULL)
	{
		ereport(WARNING,
				(errcode(looked->found->refused->sqlstate),
				 errmsg("foreign table %s could not be compared, because this role cannot read it",
						looked->name),
				 looked->found->refused->remote_message ?
					 errdetail("%s", looked->found->refused->remote_message) :
					 0));
		return;
	}
	if (looked->found != NULL && looked->known == NULL)
		report_first_look(looked);
	foreach(lc, looked->found != NULL ? looked->found->columns : NIL)
	{
		int place = declared_place(looked->table, lfirst(lc));

		if (place < 0)
			compare_undeclared(looked, lfirst(lc));
		else
			compare_declared(looked, lfirst(lc), place);
	}
	compare_vanished(looked);
}
