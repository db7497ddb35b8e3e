/*-------------------------------------------------------------------------
 *
 * read.c
 *		Runs look-ups: from conditions to calls, from answers to pages.
 *
 * Both services take a parameter's value one at a time, so that a condition
 * with several (IN) becomes several calls, one after another.  What they take
 * for equal is wider than what PostgreSQL does (case, blanks at the end), so
 * that every condition is checked again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/memutils.h"

#include "connector/asctrac/asctrac.h"

#define MAX_ROWS 10000000

/* A longer list is cheaper to filter here, where it may be. */
#define MAX_OPTIONAL_IN 10

/* Columns that say, in the row itself, that a look-up failed. */
typedef enum HiddenColumn
{
	HIDDEN_SUCCESSFUL,
	HIDDEN_MESSAGE,
	HIDDEN_COLUMNS
} HiddenColumn;

struct Reader
{
	Connection			*conn;
	RemoteEndpoint		*endpoint;
	const Entity		*entity;
	const AsctracDetail *detail;
	MemoryContext		 cxt;
	MemoryContext		 call_cxt; /* of the call whose rows are being given */
	int ncolumns;				/* wanted; the page has HIDDEN_COLUMNS more where hidden is set */
	const EntityColumn **known; /* by column */
	const char		   **names;
	bool				 hidden;
	PageColumns			*columns;
	List				*calls;	  /* of AsctracCall *, in order */
	List				*filters; /* of Filter *: lists that were cut into calls */
	int					 next_call;
	AsctracCall			*call;	  /* whose rows are being given */
	AsctracAnswer		*answer;  /* SHAPE_ARRAY: what it answers with */
	RemoteCall			*pending; /* else: in flight, or not yet looked at */
	CellPage			 page;
};

static void start_next_call(Reader *reader);

/* ---------------------------------------------------------------------
 * Conditions
 * ---------------------------------------------------------------------
 */

/*
 * asctrac_judge
 *		Equality with a parameter of the look-up can be asked for; what comes is
 *		checked again.
 */
FilterVerdict
asctrac_judge(const Filter *leaf)
{
	if (leaf->column == NULL || !leaf->column->parameter)
		return VERDICT_NEVER;
	if ((leaf->kind == FILTER_COMPARE && leaf->op == CMP_EQ) || leaf->kind == FILTER_IN)
		return VERDICT_SUPERSET;
	return VERDICT_NEVER;
}

/* Conditions that hold for every row: the parts of an AND. */
static List *
top_filters(const Filter *filter, List *filters)
{
	ListCell *lc;

	if (filter == NULL)
		return filters;
	if (filter->kind != FILTER_AND)
		return lappend(filters, (void *) filter);
	foreach(lc, filter->args)
		filters = top_filters(lfirst(lc), filters);
	return filters;
}

static bool
is_equality(const Filter *filter)
{
	return (filter->kind == FILTER_COMPARE && filter->op == CMP_EQ) || filter->kind == FILTER_IN;
}

static const EntityParameter *
find_parameter(const Entity *entity, const char *column)
{
	for (int i = 0; i < entity->nparameters; i++)
	{
		if (entity->parameters[i].column != NULL &&
			pg_strcasecmp(entity->parameters[i].column, column) == 0)
			return &entity->parameters[i];
	}
	return NULL;
}

/* The interactive service puts values into SQL as they are. */
static bool
can_be_sent(const Entity *entity, const EntityParameter *parameter, const char *text)
{
	bool interactive = asctrac_detail(entity)->service == SERVICE_INTERACTIVE;

	for (const char *p = text; *p != '\0'; p++)
	{
		if ((unsigned char) *p < ' ' || *p == 0x7f || (*p == '\'' && interactive) ||
			(*p == '|' && (parameter->flags & PARAMETER_JOINED)))
			return false;
	}
	return true;
}

/* False where the parameter has to stay away, and its condition be checked here only. */
static bool
check_values(const Entity *entity, const EntityParameter *parameter, const Filter *filter)
{
	ListCell *lc;

	foreach(lc, filter->values)
	{
		FilterValue *value = lfirst(lc);

		if (value->range == VALUE_FINITE && can_be_sent(entity, parameter, value->text))
			continue;
		if (!parameter->required && !parameter->one_of)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("look-up \"%s\" cannot be asked for this value of \"%s\"", entity->name,
						asc_tolower(filter->column->name, strlen(filter->column->name))),
				 errdetail(
					 "The other side would take an apostrophe, a bar or a control character in it for more than a value.")));
	}
	return true;
}

static AsctracValue *
make_value(const char *column, const char *text)
{
	AsctracValue *value = palloc0(sizeof(AsctracValue));

	value->column = column;
	value->text = text;
	return value;
}

static bool
has_value(List *values, const char *column)
{
	ListCell *lc;

	foreach(lc, values)
	{
		if (pg_strcasecmp(((AsctracValue *) lfirst(lc))->column, column) == 0)
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------------
 * Calls
 * ---------------------------------------------------------------------
 */

typedef struct Planner
{
	const Entity *entity;
	const char	 *user;
	const char	 *site;
	const char	 *time_zone;
	bool		  plain; /* for EXPLAIN: values as they are */
	List		 *lists; /* of Filter *: each of their values in turn */
	List		 *calls; /* of AsctracCall * */
} Planner;

/* One call for every combination of the lists' values. */
static void
add_calls(Planner *planner, List *values, int list)
{
	Filter	 *filter;
	ListCell *lc;

	CHECK_FOR_INTERRUPTS();
	if (list == list_length(planner->lists))
	{
		planner->calls = lappend(planner->calls,
								 asctrac_call(planner->entity, planner->user, planner->site,
											  planner->time_zone, planner->plain, values));
		return;
	}
	filter = list_nth(planner->lists, list);
	foreach(lc, filter->values)
	{
		FilterValue *value = lfirst(lc);

		/* "" is how NULL comes: no row has it. */
		if (value->text[0] != '\0')
			add_calls(planner,
					  lappend(list_copy(values), make_value(filter->column->name, value->text)),
					  list + 1);
	}
}

static bool
is_worth_calls(const Entity *entity, const EntityParameter *parameter, const Filter *filter)
{
	return parameter->required || parameter->one_of || list_length(filter->values) <= MAX_OPTIONAL_IN;
}

/* Would a value of this column be among what goes out? */
static bool
goes_out(Planner *planner, const char *column)
{
	AsctracCall *call;
	List		*values = NIL;
	ListCell	*lc;

	foreach(lc, planner->lists)
	{
		Filter *filter = lfirst(lc);

		values = lappend(values, make_value(filter->column->name, "?"));
	}
	call = asctrac_call(planner->entity, NULL, NULL, NULL, true, values);
	return has_value(call->sent, column);
}

static void
plan_calls(Planner *planner, const Filter *where)
{
	List	 *columns = NIL;
	List	 *useless = NIL;
	ListCell *lc;

	foreach(lc, top_filters(where, NIL))
	{
		Filter				  *filter = lfirst(lc);
		const EntityParameter *parameter;

		if (!is_equality(filter) || has_value(columns, filter->column->name))
			continue;
		parameter = find_parameter(planner->entity, filter->column->name);
		if (parameter == NULL || !is_worth_calls(planner->entity, parameter, filter) ||
			!check_values(planner->entity, parameter, filter))
			continue;
		columns = lappend(columns, make_value(filter->column->name, ""));
		planner->lists = lappend(planner->lists, filter);
	}
	foreach(lc, planner->lists)
	{
		if (!goes_out(planner, ((Filter *) lfirst(lc))->column->name))
			useless = lappend(useless, lfirst(lc));
	}
	planner->lists = list_difference_ptr(planner->lists, useless);
	add_calls(planner, NIL, 0);
}

/* ---------------------------------------------------------------------
 * EXPLAIN
 * ---------------------------------------------------------------------
 */

/*
 * asctrac_describe
 *		The request, with $n for what only running it will tell.
 */
char *
asctrac_describe(Connection *conn, const RemoteQuery *query, List **params)
{
	const Entity  *entity = ((Source *) linitial(query->sources))->catalogue;
	Planner		   planner = {.entity = entity, .plain = true, .time_zone = conn->time_zone};
	AsctracCall	  *call;
	StringInfoData out;
	ListCell	  *lc;

	*params = NIL;
	if (entity == NULL || asctrac_detail(entity)->method == NULL)
		return "none";
	planner.user = asctrac_server_option(conn, "rest_user");
	planner.site = asctrac_server_option(conn, "site_id");
	plan_calls(&planner, query->where);
	if (planner.calls == NIL)
		return "none";
	call = linitial(planner.calls);
	initStringInfo(&out);
	appendStringInfo(&out, "%s %s", call->method, call->url);
	if (call->body != NULL)
		appendStringInfo(&out, " %s", call->body);
	if (list_length(planner.calls) > 1)
		appendStringInfo(&out, " and %d more", list_length(planner.calls) - 1);
	foreach(lc, call->missing)
		appendStringInfo(&out, "%s%s", lc == list_head(call->missing) ? " without " : ", ",
						 asc_tolower(lfirst(lc), strlen(lfirst(lc))));
	return out.data;
}

/* ---------------------------------------------------------------------
 * Opening
 * ---------------------------------------------------------------------
 */

static RemoteEndpoint *
choose_endpoint(Connection *conn, const AsctracDetail *detail)
{
	AsctracState *state = conn->state;

	if (detail->service == SERVICE_HOST)
		return &conn->endpoint;
	if (state->interactive.base_url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("server \"%s\" has no option \"rest_base_url\"", conn->server_name),
				 errdetail("This look-up is one of the interactive service."),
				 errhint("Name the service with ALTER SERVER %s OPTIONS (ADD rest_base_url 'https://...').",
						 quote_identifier(conn->server_name))));

	/* What belongs to the statement was put into the connection after it was made. */
	state->interactive.usage = conn->endpoint.usage;
	state->interactive.budget = conn->endpoint.budget;
	state->interactive.use = conn->endpoint.use;
	return &state->interactive;
}

static void
set_columns(Reader *reader, const RemoteQuery *query)
{
	ListCell *lc;

	reader->ncolumns = list_length(query->columns);
	reader->names = palloc0(sizeof(char *) * (reader->ncolumns + HIDDEN_COLUMNS + 1));
	reader->known = palloc0(sizeof(EntityColumn *) * (reader->ncolumns + 1));
	foreach(lc, query->columns)
	{
		QueryColumn *column = lfirst(lc);
		int			 i = foreach_current_index(lc);

		reader->names[i] = column->column != NULL ? column->column->name : "";
		reader->known[i] = entity_find_column(reader->entity, reader->names[i]);
	}
}

/* The columns, if any, in which a row says that it is an error. */
static void
set_hidden_columns(Reader *reader)
{
	static const char *const pairs[][HIDDEN_COLUMNS] = {
		{"successful", "ReturnMessage"},
		{"fSuccessful", "ErrorMessage"},
	};

	for (int i = 0; i < (int) lengthof(pairs); i++)
	{
		if (reader->detail->service != SERVICE_INTERACTIVE ||
			entity_find_column(reader->entity, pairs[i][HIDDEN_SUCCESSFUL]) == NULL)
			continue;
		reader->hidden = true;
		reader->names[reader->ncolumns + HIDDEN_SUCCESSFUL] = pairs[i][HIDDEN_SUCCESSFUL];
		reader->names[reader->ncolumns + HIDDEN_MESSAGE] = pairs[i][HIDDEN_MESSAGE];
	}
}

static PageColumns *
make_columns(const char *const *names, int n)
{
	PageColumns *columns = page_columns_create(names, n);

	if (columns == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return columns;
}

/* malloc'd parts go when the reader's context does. */
static void
release_reader(void *arg)
{
	Reader *reader = arg;

	page_columns_free(reader->columns);
	page_free(&reader->page);
}

static int
page_width(const Reader *reader)
{
	return reader->ncolumns + (reader->hidden ? HIDDEN_COLUMNS : 0);
}

/*
 * asctrac_open
 *		Begin to read a look-up; the reader lives in CurrentMemoryContext.
 *		Raises 22023 where a parameter is missing.
 */
Reader *
asctrac_open(Connection *conn, const RemoteQuery *query)
{
	const Entity		  *entity = ((Source *) linitial(query->sources))->catalogue;
	AsctracState		  *state = conn->state;
	MemoryContext		   cxt;
	MemoryContext		   old;
	MemoryContextCallback *callback;
	Planner				   planner = {.entity = entity};
	Reader				  *reader;

	if (entity == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("there is no remote table \"%s\"", ((Source *) linitial(query->sources))->entity),
				 errhint("Import tables with IMPORT FOREIGN SCHEMA, or set the option \"entity\" to one of those it brings.")));
	cxt = AllocSetContextCreate(CurrentMemoryContext, "makini asctrac reader", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	reader = palloc0(sizeof(Reader));
	callback = palloc0(sizeof(MemoryContextCallback));
	reader->conn = conn;
	reader->cxt = cxt;
	reader->call_cxt = AllocSetContextCreate(cxt, "makini asctrac call", ALLOCSET_DEFAULT_SIZES);
	reader->entity = entity;
	reader->detail = asctrac_detail(entity);
	reader->endpoint = choose_endpoint(conn, reader->detail);
	callback->func = release_reader;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(cxt, callback);
	set_columns(reader, query);
	set_hidden_columns(reader);
	if (page_width(reader) == 0)
		reader->names[0] = entity->columns[0].name; /* rows are wanted all the same */
	reader->columns = make_columns(reader->names, Max(page_width(reader), 1));

	planner.user = state->rest_user;
	planner.site = state->site_id;
	planner.time_zone = conn->time_zone;
	plan_calls(&planner, query->where);
	reader->calls = planner.calls;
	reader->filters = planner.lists;
	if (reader->calls != NIL)
		asctrac_refuse_missing(entity, linitial(reader->calls));
	if (conn->endpoint.use == REMOTE_USE_SYNC)
		start_next_call(reader);
	MemoryContextSwitchTo(old);
	return reader;
}

/* ---------------------------------------------------------------------
 * Calling
 * ---------------------------------------------------------------------
 */

static void
make_request(Reader *reader, RemoteRequest *request)
{
	memset(request, 0, sizeof(*request));
	request->method = reader->call->method;
	request->repeatable = true;
	request->url = psprintf("%s%s", reader->endpoint->base_url, reader->call->url);
	request->headers = list_make1("Accept: application/json");
	if (reader->call->body == NULL)
		return;
	request->body = reader->call->body;
	request->body_len = strlen(request->body);
	request->headers = lappend(request->headers, "Content-Type: application/json; charset=utf-8");
}

/* Send the next call, if there is one; the rows of the one before are gone then. */
static void
start_next_call(Reader *reader)
{
	RemoteRequest request;
	MemoryContext old;

	if (reader->next_call >= list_length(reader->calls))
		return;
	MemoryContextReset(reader->call_cxt);
	old = MemoryContextSwitchTo(reader->call_cxt);
	reader->call = list_nth(reader->calls, reader->next_call++);
	make_request(reader, &request);
	if (reader->detail->shape == SHAPE_ARRAY)
		reader->answer = asctrac_answer_start(reader->endpoint, reader->entity, &request);
	else
		reader->pending = remote_call_start(reader->endpoint, &request);
	MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

static Cell *
cell_at(Reader *reader, int row, int column)
{
	return &reader->page.cells[(size_t) row * reader->page.ncolumns + column];
}

static const char *
sent_value(const AsctracCall *call, const char *column)
{
	ListCell *lc;

	foreach(lc, call->sent)
	{
		AsctracValue *value = lfirst(lc);

		if (pg_strcasecmp(value->column, column) == 0)
			return value->text;
	}
	return NULL;
}

static void
fill_sent(Reader *reader, int column, Cell *cell)
{
	const char *text = sent_value(reader->call, reader->known[column]->name);

	memset(cell, 0, sizeof(Cell));
	if (text == NULL)
		return;
	cell->text = unconstify(char *, text);
	cell->len = (uint32_t) strlen(text);
}

/*
 * A list that became several calls: what another of them brings too, because
 * the other side takes more for equal, is left to that one.
 */
static bool
belongs_to_call(Reader *reader, int row)
{
	ListCell *lc;

	foreach(lc, reader->filters)
	{
		Filter	   *filter = lfirst(lc);
		const char *sent;

		if (list_length(filter->values) < 2)
			continue;
		sent = sent_value(reader->call, filter->column->name);
		for (int i = 0; i < reader->ncolumns && sent != NULL; i++)
		{
			Cell *cell = cell_at(reader, row, i);

			if (pg_strcasecmp(reader->names[i], filter->column->name) == 0 &&
				(cell->text == NULL || strcmp(cell->text, sent) != 0))
				return false;
		}
	}
	return true;
}

/* Some look-ups report their failure as a row. */
static bool
is_failure(Reader *reader, int row)
{
	Cell *successful;
	Cell *message;

	if (!reader->hidden)
		return false;
	successful = cell_at(reader, row, reader->ncolumns + HIDDEN_SUCCESSFUL);
	message = cell_at(reader, row, reader->ncolumns + HIDDEN_MESSAGE);
	if (successful->text == NULL || strcmp(successful->text, "false") != 0 ||
		message->text == NULL || message->len == 0)
		return false;
	if (!asctrac_says_nothing_found(message->text))
		asctrac_raise_refused(reader->entity, message->text);
	return true;
}

static void
tidy_page(Reader *reader)
{
	int kept = 0;

	for (int row = 0; row < reader->page.nrows; row++)
	{
		if (is_failure(reader, row))
			continue;
		for (int i = 0; i < reader->ncolumns; i++)
		{
			Cell *cell = cell_at(reader, row, i);

			if (reader->known[i] != NULL && asctrac_is_sent(reader->known[i]))
				fill_sent(reader, i, cell);
			else
				asctrac_tidy_cell(reader->known[i], cell);
		}
		if (!belongs_to_call(reader, row))
			continue;
		if (kept != row)
			memcpy(cell_at(reader, kept, 0), cell_at(reader, row, 0),
				   sizeof(Cell) * reader->page.ncolumns);
		kept++;
	}
	reader->page.nrows = kept;
}

/* ---------------------------------------------------------------------
 * Pages
 * ---------------------------------------------------------------------
 */

static bool
next_chunk(Reader *reader)
{
	PageError error;
	size_t	  len;
	char	 *chunk;

	if (reader->answer == NULL)
		return false;
	chunk = asctrac_answer_next(reader->answer, &len);
	if (chunk == NULL)
	{
		reader->answer = NULL;
		return false;
	}
	if (!page_decode(&reader->page, reader->columns, chunk, len, MAX_ROWS, &error))
		asctrac_answer_broken(reader->answer, &error);
	asctrac_answer_count(reader->answer, reader->page.nrows);
	if (asctrac_answer_is_over(reader->answer))
		reader->answer = NULL;
	return true;
}

/* The one page that an envelope holds. */
static bool
open_envelope(Reader *reader)
{
	RemoteCall *call = reader->pending;

	if (call == NULL)
		return false;
	reader->pending = NULL;
	asctrac_envelope(reader->entity, remote_call_result(call), reader->columns, reader->names,
					 Max(page_width(reader), 1), &reader->page);
	return true;
}

/*
 * asctrac_next_page
 *		The next page, NULL at the end.  page->ncolumns may be greater than the
 *		query's columns are.
 */
CellPage *
asctrac_next_page(Reader *reader)
{
	MemoryContext old = MemoryContextSwitchTo(reader->call_cxt);
	bool		  found;

	while (!(found = open_envelope(reader) || next_chunk(reader)))
	{
		CHECK_FOR_INTERRUPTS();
		if (reader->next_call >= list_length(reader->calls))
			break;
		start_next_call(reader);
	}
	if (found)
	{
		tidy_page(reader);
		reader->page.has_more =
			reader->answer != NULL || reader->next_call < list_length(reader->calls);
	}
	MemoryContextSwitchTo(old);
	return found ? &reader->page : NULL;
}

/* ---------------------------------------------------------------------
 * Syncs
 * ---------------------------------------------------------------------
 */

/*
 * asctrac_wait
 *		Until asctrac_next_page need not.  The page before is gone then.
 */
void
asctrac_wait(Reader *reader)
{
	if (reader->answer == NULL && reader->pending == NULL)
		start_next_call(reader);
	if (reader->answer != NULL)
		asctrac_answer_wait(reader->answer);
	else if (reader->pending != NULL)
		(void) remote_call_wait_any(&reader->pending, 1);
}

/* An answer can't be asked for from its middle on. */
char *
asctrac_position(Reader *reader)
{
	(void) reader;
	return NULL;
}

/* Rows come in no order that is known. */
bool
asctrac_range(Reader *reader, PageRange *range)
{
	(void) reader;
	memset(range, 0, sizeof(*range));
	return false;
}

int64
asctrac_expected(Reader *reader)
{
	(void) reader;
	return -1;
}

/* No row says when it was changed, so that there is nothing to compare the time with. */
TimestampTz
asctrac_answered_at(Reader *reader)
{
	(void) reader;
	return 0;
}

/*
 * asctrac_close
 *		Give up whatever is still in flight.
 */
void
asctrac_close(Reader *reader)
{
	MemoryContextDelete(reader->cxt);
}
