/*-------------------------------------------------------------------------
 *
 * discover.c
 *		Which tables and columns this account has for this role.
 *
 * The catalogue and the custom fields say what may exist.  One column that
 * the role cannot read makes a whole query fail, so each table is asked for
 * one row of all its columns:
 *
 *	whole	all columns.  Answered: done.  A column named in the error is dropped
 *			and the rest asked for once more; an error that names none leads to
 *	key		the key alone.  Refused: the role cannot read the table at all.
 *	part	half of the columns, halved again wherever no column is named.  A
 *			single column is left out when it fails twice (once would do, but
 *			NetSuite also answers 500 for no reason).
 *
 * Several tables are in flight at once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "connector/netsuite/discover.h"

typedef struct Column
{
	DiscoveredColumn found;
	bool			 key;
	bool			 uncertain; /* may not be a column of this table at all */
	bool			 left_out;
} Column;

typedef struct Table
{
	DiscoveredTable *result;
	List			*columns;  /* of Column *, in the order they are imported */
	RemoteFault		*last;	   /* why a column was left out */
	bool			 displays; /* has display columns, which reach into other tables */
} Table;

typedef enum QuestionKind
{
	QUESTION_WHOLE,
	QUESTION_KEY,
	QUESTION_PART
} QuestionKind;

/* A request, or one still to be sent: can these columns be read together? */
typedef struct Question
{
	QuestionKind kind;
	Table		*table;
	List		*columns;  /* of Column * */
	int			 failures; /* of this very question */
	RemoteCall	*call;
} Question;

typedef struct Discovery
{
	Connection	 conn;	  /* a copy with a classification of its own */
	List		*waiting; /* of Question * */
	Question   **asked;	  /* in flight */
	RemoteCall **calls;	  /* theirs */
	int			 nasked;
} Discovery;

/*
 * NetSuite answers 500 for a column it cannot render: sending that again and
 * again would only take time, halving finds the column.
 */
static RemoteClass
classify_question(const RemoteResponse *response, RemoteFault *fault)
{
	RemoteClass cls = netsuite_classify(response, fault);

	if (cls == REMOTE_RETRY && response->status == 500)
		cls = fault->cls = REMOTE_REJECTED;
	return cls;
}

/* ---------------------------------------------------------------------
 * What may exist
 * ---------------------------------------------------------------------
 */

static bool
in_comma_list(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; p; p = strchr(p, ','))
	{
		p += strspn(p, ", ");
		if (pg_strncasecmp(p, name, len) == 0 && strchr(", ", p[len]))
			return true;
	}
	return false;
}

static Column *
add_column(Table *table, const char *name, ValueKind kind, const char *comment)
{
	Column *column = palloc0(sizeof(Column));

	column->found.name = name;
	column->found.kind = kind;
	column->found.comment = comment;
	table->columns = lappend(table->columns, column);
	return column;
}

static void
add_display(Table *table, const char *name)
{
	Column *column = add_column(table, name, VALUE_TEXT, psprintf("text of %s", name));

	column->found.display = true;
	table->displays = true;
}

static void
add_catalogue_columns(Table *table, const Entity *entity, bool display)
{
	for (int i = 0; i < entity->ncolumns; i++)
	{
		const EntityColumn *from = &entity->columns[i];
		Column			   *column;

		if (from->costly)
			continue;
		column = add_column(table, from->name, from->kind, from->comment);
		column->found.not_null = from->required;
		column->key = in_comma_list(entity->key, from->name);
		if (display && from->reference)
			add_display(table, from->name);
	}
}

static void
add_custom_columns(Table *table, const Entity *entity, List *fields, bool display)
{
	ListCell *lc;

	foreach(lc, fields)
	{
		CustomField *field = lfirst(lc);

		if (!custom_field_belongs(field, entity) || entity_find_column(entity, field->name))
			continue;
		add_column(table, field->name, field->kind, field->comment)->uncertain = field->shared;
		if (display && field->reference)
			add_display(table, field->name);
	}
}

static Table *
make_table(const Entity *entity, List *fields, bool display)
{
	Table *table = palloc0(sizeof(Table));

	table->result = palloc0(sizeof(DiscoveredTable));
	table->result->entity = entity;
	add_catalogue_columns(table, entity, display);
	add_custom_columns(table, entity, fields, display);
	return table;
}

/* ---------------------------------------------------------------------
 * Asking
 * ---------------------------------------------------------------------
 */

static void
ask(Discovery *discovery, QuestionKind kind, Table *table, List *columns)
{
	Question *question;

	if (columns == NIL)
		return;
	question = palloc0(sizeof(Question));
	question->kind = kind;
	question->table = table;
	question->columns = columns;
	discovery->waiting = lappend(discovery->waiting, question);
}

static char *
question_statement(Discovery *discovery, const Question *question)
{
	StringInfoData out;
	ListCell	  *lc;

	initStringInfo(&out);
	appendStringInfoString(&out, "SELECT ");
	foreach(lc, question->columns)
	{
		Column		*column = lfirst(lc);
		SourceColumn source = {0};

		source.name = column->found.name;
		source.kind = column->found.kind;
		source.nullable = true;
		source.display = column->found.display;
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(&out, ", ");
		suiteql_column(&out, &discovery->conn, "t", &source);
		appendStringInfo(&out, " AS p%d", foreach_current_index(lc) + 1);
	}
	appendStringInfo(&out, " FROM %s t FETCH FIRST 1 ROWS ONLY", question->table->result->entity->name);
	return out.data;
}

/* Sends what is waiting, as far as the server's concurrency goes. */
static void
send_waiting(Discovery *discovery)
{
	while (discovery->waiting != NIL && discovery->nasked < discovery->conn.endpoint.max_concurrency)
	{
		Question *question = linitial(discovery->waiting);
		char	 *statement = question_statement(discovery, question);

		discovery->waiting = list_delete_first(discovery->waiting);
		question->call = suiteql_call(&discovery->conn, statement, NIL, 1, 0);
		pfree(statement);
		discovery->asked[discovery->nasked] = question;
		discovery->calls[discovery->nasked] = question->call;
		discovery->nasked++;
	}
}

static Question *
take_answered(Discovery *discovery)
{
	int		  i = remote_call_wait_any(discovery->calls, discovery->nasked);
	Question *question = discovery->asked[i];

	discovery->nasked--;
	discovery->asked[i] = discovery->asked[discovery->nasked];
	discovery->calls[i] = discovery->calls[discovery->nasked];
	return question;
}

/* ---------------------------------------------------------------------
 * Understanding the answers
 * ---------------------------------------------------------------------
 */

static List *
columns_not_left_out(const Table *table)
{
	List	 *rest = NIL;
	ListCell *lc;

	foreach(lc, table->columns)
	{
		Column *column = lfirst(lc);

		if (!column->left_out)
			rest = lappend(rest, column);
	}
	return rest;
}

static List *
key_columns(const Table *table)
{
	List	 *key = NIL;
	ListCell *lc;

	foreach(lc, table->columns)
	{
		Column *column = lfirst(lc);

		if (column->key && !column->left_out)
			key = lappend(key, column);
	}
	if (key == NIL)
		key = list_make1(linitial(columns_not_left_out(table)));
	return key;
}

static char *
copy_text(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

/* A fault goes with its call; this one outlives it. */
static RemoteFault *
copy_fault(const RemoteFault *fault)
{
	RemoteFault *copy = palloc(sizeof(RemoteFault));

	*copy = *fault;
	copy->message = copy_text(fault->message);
	copy->remote_code = copy_text(fault->remote_code);
	copy->path = copy_text(fault->path);
	copy->remote_message = copy_text(fault->remote_message);
	copy->operation_id = copy_text(fault->operation_id);
	copy->hint = copy_text(fault->hint);
	copy->column = copy_text(fault->column);
	return copy;
}

/* Is the fault about the table and not about one of its columns? */
static bool
is_refusal(const Question *question, const RemoteFault *fault)
{
	if (question->kind == QUESTION_KEY)
		return true;
	if (question->kind == QUESTION_PART || question->table->displays)
		return false;
	return fault->cls == REMOTE_DENIED || fault->sqlstate == ERRCODE_FDW_TABLE_NOT_FOUND;
}

/* Leaves out the column that a fault names; false when it names none of these. */
static bool
leave_out_named(Question *question, const RemoteFault *fault)
{
	char	  name[NAMEDATALEN];
	List	 *rest = NIL;
	ListCell *lc;

	if (!netsuite_bad_identifier(fault, name, sizeof(name)))
		return false;
	foreach(lc, question->columns)
	{
		Column *column = lfirst(lc);

		if (pg_strcasecmp(column->found.name, name) == 0)
			column->left_out = true;
		else
			rest = lappend(rest, column);
	}
	if (list_length(rest) == list_length(question->columns))
		return false;
	question->columns = rest;
	return true;
}

static void
ask_halves(Discovery *discovery, const Question *question)
{
	List *right = list_copy(question->columns);
	int	  half = (list_length(question->columns) + 1) / 2;

	for (int i = 0; i < half; i++)
		right = list_delete_first(right);
	ask(discovery, QUESTION_PART, question->table, list_truncate(list_copy(question->columns), half));
	ask(discovery, QUESTION_PART, question->table, right);
}

static void
ask_again(Discovery *discovery, Question *question)
{
	question->failures++;
	discovery->waiting = lappend(discovery->waiting, question);
}

/* The key can be read and the whole can't: the columns are to blame. */
static void
ask_parts(Discovery *discovery, Table *table)
{
	Question whole = {.table = table, .columns = columns_not_left_out(table)};

	ask_halves(discovery, &whole);
}

/* Its error names a column, which is left out by now: go on with the rest. */
static void
take_named(Discovery *discovery, Question *question)
{
	if (question->kind == QUESTION_KEY)
		ask_parts(discovery, question->table);
	else if (question->kind == QUESTION_WHOLE && question->failures > 0)
		ask_halves(discovery, question);
	else if (question->columns != NIL)
		ask_again(discovery, question);
}

static void
take_failure(Discovery *discovery, Question *question, const RemoteFault *fault)
{
	Table *table = question->table;

	if (fault->cls != REMOTE_REJECTED && fault->cls != REMOTE_DENIED)
		remote_raise(fault, &discovery->conn.endpoint);

	if (leave_out_named(question, fault))
	{
		table->last = copy_fault(fault);
		take_named(discovery, question);
	}
	else if (is_refusal(question, fault))
		table->result->refused = copy_fault(fault);
	else if (question->kind == QUESTION_WHOLE)
		ask(discovery, QUESTION_KEY, table, key_columns(table));
	else if (list_length(question->columns) > 1)
		ask_halves(discovery, question);
	else if (question->failures == 0)
		ask_again(discovery, question);
	else
	{
		((Column *) linitial(question->columns))->left_out = true;
		table->last = copy_fault(fault);
	}
}

static void
probe_tables(Discovery *discovery)
{
	int slots = discovery->conn.endpoint.max_concurrency;

	discovery->asked = palloc(slots * sizeof(Question *));
	discovery->calls = palloc(slots * sizeof(RemoteCall *));
	while (discovery->waiting != NIL || discovery->nasked > 0)
	{
		Question	*question;
		RemoteFault *fault;

		CHECK_FOR_INTERRUPTS();
		send_waiting(discovery);
		question = take_answered(discovery);
		fault = remote_call_fault(question->call);
		if (fault)
			take_failure(discovery, question, fault);
		else if (question->kind == QUESTION_KEY)
			ask_parts(discovery, question->table);
		remote_call_free(question->call);
		question->call = NULL;
	}
}

/* ---------------------------------------------------------------------
 * Results
 * ---------------------------------------------------------------------
 */

static bool
is_left_out(const Table *table, const char *name)
{
	ListCell *lc;

	foreach(lc, table->columns)
	{
		Column *column = lfirst(lc);

		if (column->left_out && !column->found.display && strcmp(column->found.name, name) == 0)
			return true;
	}
	return false;
}

static DiscoveredTable *
finish_table(Table *table)
{
	DiscoveredTable *result = table->result;
	ListCell		*lc;

	foreach(lc, table->columns)
	{
		Column	   *column = lfirst(lc);
		const char *name = column->found.name;

		if (column->found.display && is_left_out(table, name))
			continue;
		if (!column->left_out)
			result->columns = lappend(result->columns, &column->found);
		else if (column->uncertain)
			continue;
		else if (column->found.display)
			result->left_out = lappend(result->left_out, psprintf("%s_display", name));
		else
			result->left_out = lappend(result->left_out, pstrdup(name));
	}
	if (result->columns == NIL && !result->refused)
		result->refused = table->last;
	return result;
}

/*
 * netsuite_discover
 *		The tables asked for with the columns that exist and that the role may
 *		read, one DiscoveredTable per entity.
 */
List *
netsuite_discover(Connection *conn, const ImportRequest *request)
{
	Discovery *discovery = palloc0(sizeof(Discovery)); /* calls point into it */
	bool	   online = conn->endpoint.credential != NULL;
	List	  *fields = NIL;
	List	  *tables = NIL;
	List	  *results = NIL;
	ListCell  *lc;

	if (online && request->custom_fields)
		fields = custom_fields_read(conn);
	foreach(lc, request->entities)
		tables = lappend(tables, make_table(lfirst(lc), fields, request->display));

	discovery->conn = *conn;
	discovery->conn.endpoint.classify = classify_question;
	if (online && request->probe)
	{
		foreach(lc, tables)
		{
			Table *table = lfirst(lc);

			ask(discovery, QUESTION_WHOLE, table, table->columns);
		}
		probe_tables(discovery);
	}
	foreach(lc, tables)
		results = lappend(results, finish_table(lfirst(lc)));
	return results;
}
