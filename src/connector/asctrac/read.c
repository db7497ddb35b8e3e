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

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/memutils.h"

#include "connector/array.h"
#include "connector/asctrac/asctrac.h"
#include "connector/asctrac/table_set.h"

#define CHUNK_SIZE		(256 * 1024)
#define MAX_ELEMENT		(64 * 1024 * 1024)
#define MAX_ROWS		10000000

/* A longer list is cheaper to filter here, where it may be. */
#define MAX_OPTIONAL_IN	10

/* Columns that say, in the row itself, that a look-up failed. */
typedef enum HiddenColumn
{
	HIDDEN_SUCCESSFUL,
	HIDDEN_MESSAGE,
	HIDDEN_COLUMNS
} HiddenColumn;

struct Reader
{
	Connection *conn;
	RemoteEndpoint *endpoint;
	const Entity *entity;
	const AsctracDetail *detail;
	MemoryContext cxt;
	MemoryContext call_cxt;		/* of the call whose rows are being given */
	int			ncolumns;		/* wanted; the page has HIDDEN_COLUMNS more where hidden is set */
	const EntityColumn **known; /* by column */
	const char **names;
	bool		hidden;
	PageColumns *columns;
	List	   *calls;			/* of AsctracCall *, in order */
	List	   *filters;		/* of Filter *: lists that were cut into calls */
	int			next_call;
	AsctracCall *call;			/* whose rows are being given */
	ArrayReader *array;			/* what it answers with, or NULL */
	bool		one_answer;		/* the rows of a call come at once */
	CellPage	page;
	int64		delivered;		/* rows of this call, for error messages */
};

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
	ListCell   *lc;

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
	bool		interactive = asctrac_detail(entity)->service == SERVICE_INTERACTIVE;

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
	ListCell   *lc;

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
				 errdetail("The other side would take an apostrophe, a bar or a control character in it for more than a value.")));
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
	ListCell   *lc;

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
	const char *user;
	const char *site;
	const char *time_zone;
	bool		plain;			/* for EXPLAIN: values as they are */
	List	   *lists;			/* of Filter *: each of their values in turn */
	List	   *calls;			/* of AsctracCall * */
} Planner;

/* One call for every combination of the lists' values. */
static void
add_calls(Planner *planner, List *values, int list)
{
	Filter	   *filter;
	ListCell   *lc;

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
			add_calls(planner, lappend(list_copy(values),
									   make_value(filter->column->name, value->text)), list + 1);
	}
}

static bool
is_worth_calls(const Entity *entity, const EntityParameter *parameter, const Filter *filter)
{
	return parameter->required || parameter->one_of ||
		list_length(filter->values) <= MAX_OPTIONAL_IN;
}

/* Would a value of this column be among what goes out? */
static bool
goes_out(Planner *planner, const char *column)
{
	AsctracCall *call;
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, planner->lists)
	{
		Filter	   *filter = lfirst(lc);

		values = lappend(values, make_value(filter->column->name, "?"));
	}
	call = asctrac_call(planner->entity, NULL, NULL, NULL, true, values);
	return has_value(call->sent, column);
}

static void
plan_calls(Planner *planner, const Filter *where)
{
	List	   *columns = NIL;
	List	   *useless = NIL;
	ListCell   *lc;

	foreach(lc, top_filters(where, NIL))
	{
		Filter	   *filter = lfirst(lc);
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
	const Entity *entity = ((Source *) linitial(query->sources))->catalogue;
	Planner		planner = {.entity = entity,.plain = true,.time_zone = conn->time_zone};
	AsctracCall *call;
	StringInfoData out;
	ListCell   *lc;

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
	ListCell   *lc;

	reader->ncolumns = list_length(query->columns);
	reader->names = palloc0(sizeof(char *) * (reader->ncolumns + HIDDEN_COLUMNS + 1));
	reader->known = palloc0(sizeof(EntityColumn *) * (reader->ncolumns + 1));
	foreach(lc, query->columns)
	{
		QueryColumn *column = lfirst(lc);
		int			i = foreach_current_index(lc);

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
	Reader	   *reader = arg;

	page_columns_free(reader->columns);
	page_free(&reader->page);
	array_free(reader->array);
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
	const Entity *entity = ((Source *) linitial(query->sources))->catalogue;
	AsctracState *state = conn->state;
	MemoryContext cxt;
	MemoryContext old;
	MemoryContextCallback *callback;
	Planner		planner = {.entity = entity};
	Reader	   *reader;

	if (entity == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("there is no remote table \"%s\"",
						((Source *) linitial(query->sources))->entity),
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
	MemoryContextSwitchTo(old);
	return reader;
}

/* ---------------------------------------------------------------------
 * Calling
 * ---------------------------------------------------------------------
 */

static RemoteResponse *
send_call(Reader *reader)
{
	RemoteRequest request = {.method = reader->call->method,.repeatable = true};

	request.url = psprintf("%s%s", reader->endpoint->base_url, reader->call->url);
	request.headers = list_make1("Accept: application/json");
	if (reader->call->body != NULL)
	{
		request.body = reader->call->body;
		request.body_len = strlen(request.body);
		request.headers = lappend(request.headers, "Content-Type: application/json; charset=utf-8");
	}
	return remote_request(reader->endpoint, &request);
}

pg_noreturn static void
raise_broken(Reader *reader, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("answer of server \"%s\" for \"%s\" cannot be read", reader->conn->server_name,
					reader->entity->name),
			 errdetail("%s, after row " INT64_FORMAT ".", detail, reader->delivered),
			 errhint("Check base_url and rest_base_url of the server; the answer may have been cut on its way.")));
}

pg_noreturn static void
raise_page_error(Reader *reader, const PageError *error)
{
	if (error->bad_text)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("a value of \"%s\" is no text", reader->entity->name),
				 errdetail_internal("%s", error->message)));
	raise_broken(reader, error->message);
}

pg_noreturn static void
raise_refused(Reader *reader, const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("ASCTrac refused the look-up \"%s\"", reader->entity->name),
			 message != NULL && *message != '\0' ?
			 errdetail_internal("%s", asctrac_clean_text(message)) :
			 errdetail("It gave no reason.")));
}

/* What the interactive service says where there is nothing to list. */
static bool
says_nothing_found(const char *message)
{
	size_t		len = message != NULL ? strlen(message) : 0;

	while (len > 0 && (message[len - 1] == '.' || message[len - 1] == ' '))
		len--;
	return (len > 3 && pg_strncasecmp(message, "no ", 3) == 0) ||
		(len > 10 && pg_strncasecmp(message + len - 10, " not found", 10) == 0);
}

/* Text goes into messages and cells: it has to be what it claims to be. */
static void
verify(Reader *reader, const char *text, size_t len)
{
	if (!pg_verify_mbstr(PG_UTF8, text, (int) len, true))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("invalid byte sequence for encoding \"UTF8\" in \"%s\"",
						reader->entity->name)));
}

/* ---------------------------------------------------------------------
 * The host interface: an array, or an object that says why there is none
 * ---------------------------------------------------------------------
 */

/* {"ReturnCode":200,"Message":"No Records Found"}, or what went wrong. */
static void
take_model_response(Reader *reader, char *collection, size_t len)
{
	static const char *const names[] = {"ReturnCode", "Message"};
	PageColumns *columns = make_columns(names, lengthof(names));
	CellPage	page = {0};
	PageError	error;
	bool		empty = false;
	char	   *message = NULL;

	if (page_decode(&page, columns, collection, len, 1, &error) && page.nrows == 1)
	{
		message = page.cells[1].text ? pstrdup(page.cells[1].text) : NULL;
		empty = page.cells[0].text != NULL && strcmp(page.cells[0].text, "200") == 0 &&
			says_nothing_found(message);
	}
	page_free(&page);
	page_columns_free(columns);
	if (!empty)
		raise_refused(reader, message);
}

static bool
next_chunk(Reader *reader)
{
	size_t		len;
	char	   *chunk = array_take(reader->array, &len);
	PageError	error;

	if (chunk != NULL)
	{
		verify(reader, chunk, len);
		if (!page_decode(&reader->page, reader->columns, chunk, len, MAX_ROWS, &error))
			raise_page_error(reader, &error);
		return true;
	}
	if (array_state(reader->array) == ARRAY_BROKEN)
		raise_broken(reader, array_error(reader->array));
	if (array_state(reader->array) == ARRAY_OBJECT)
	{
		chunk = array_take_object(reader->array, &len);
		if (chunk == NULL)
			raise_broken(reader, array_error(reader->array));
		verify(reader, chunk, len);
		take_model_response(reader, chunk, len);
		return false;
	}
	if (array_state(reader->array) != ARRAY_CLOSED)
		raise_broken(reader, "the array does not end");
	return false;
}

static void
begin_array(Reader *reader, RemoteResponse *response)
{
	array_free(reader->array);
	reader->array = NULL;

	/* Older versions have neither an array nor an object for nothing. */
	if (response->status == 204 || response->status == 404)
		return;
	reader->array = array_create(CHUNK_SIZE, MAX_ELEMENT);
	if (reader->array == NULL || !array_push(reader->array, response->body, response->body_len))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* ---------------------------------------------------------------------
 * The interactive service: an envelope
 * ---------------------------------------------------------------------
 */

/* A text made a collection: an array as it is, an object as its only item. */
static char *
as_collection(const char *text, size_t *len)
{
	text += strspn(text, " \t\r\n");
	if (*text == '[')
	{
		char	   *collection = psprintf("{\"items\":%s}", text);

		*len = strlen(collection);
		return collection;
	}
	if (*text == '{')
	{
		char	   *collection = psprintf("{\"items\":[%s]}", text);

		*len = strlen(collection);
		return collection;
	}
	return NULL;
}

/* Members of an object, or of the first of an array; the cells live in page. */
static bool
read_members(Reader *reader, const char *text, const char *const *names, int n, CellPage *page)
{
	PageColumns *columns = make_columns(names, n);
	size_t		len;
	char	   *collection = as_collection(text, &len);
	PageError	error;
	bool		read;

	if (collection == NULL)
	{
		page_columns_free(columns);
		raise_broken(reader, "it is neither an array nor an object");
	}
	read = page_decode(page, columns, collection, len, MAX_ROWS, &error);
	page_columns_free(columns);
	if (!read)
		raise_page_error(reader, &error);
	return page->nrows > 0;
}

static void
take_rows(Reader *reader, const char *text)
{
	size_t		len;
	char	   *collection = as_collection(text, &len);
	PageError	error;

	if (collection == NULL)
		raise_broken(reader, "what it says is neither an array nor an object");
	if (!page_decode(&reader->page, reader->columns, collection, len, MAX_ROWS, &error))
		raise_page_error(reader, &error);
}

/* "OK" and behind it the table set. */
static void
take_table_set(Reader *reader, const char *text)
{
	char	   *xml;
	PageError	error;

	if (strncmp(text, "OK", 2) != 0)
	{
		if (!says_nothing_found(text))
			raise_refused(reader, text);
		return;
	}
	xml = pstrdup(text + 2);
	if (!table_set_decode(&reader->page, reader->names, Max(page_width(reader), 1),
						  reader->detail->member, xml, strlen(xml), MAX_ROWS, &error))
		raise_page_error(reader, &error);
}

static char *
member_of(Reader *reader, const char *text, const char *name)
{
	CellPage	page = {0};
	char	   *member = NULL;

	if (read_members(reader, text, &name, 1, &page) && page.cells[0].text != NULL)
		member = pnstrdup(page.cells[0].text, page.cells[0].len);
	page_free(&page);
	return member;
}

static void
take_message(Reader *reader, const char *text)
{
	const char *rows = text;

	if (text[0] == '\0')
		return;
	switch (reader->detail->shape)
	{
		case SHAPE_MEMBER:
			rows = member_of(reader, text, reader->detail->member);
			if (rows != NULL)
				take_rows(reader, rows);
			break;
		case SHAPE_XML:
			if (text[strspn(text, " \t\r\n")] == '{')
				rows = member_of(reader, text, "DetailXMLInfo");
			if (rows != NULL && rows[0] != '\0')
				take_table_set(reader, rows);
			break;
		default:
			take_rows(reader, rows);
			break;
	}
}

/* A page of no rows, until something fills it. */
static void
clear_page(Reader *reader)
{
	reader->page.nrows = 0;
	reader->page.has_more = false;
}

static void
open_envelope(Reader *reader, RemoteResponse *response)
{
	static const char *const names[] = {"successful", "ErrorMessage", "DataMessage"};
	CellPage	page = {0};
	bool		successful;
	char	   *message = NULL;
	char	   *data = NULL;

	clear_page(reader);
	verify(reader, response->body, response->body_len);
	if (strlen(response->body) != response->body_len)
		raise_broken(reader, "there is a NUL in it");
	if (!read_members(reader, response->body, names, lengthof(names), &page))
		raise_broken(reader, "it is empty");
	successful = page.cells[0].text != NULL && strcmp(page.cells[0].text, "true") == 0;
	if (page.cells[1].text != NULL)
		message = pstrdup(page.cells[1].text);
	if (page.cells[2].text != NULL)
		data = pstrdup(page.cells[2].text);
	if (page.cells[0].text == NULL && data == NULL)
		data = response->body;	/* some answer without an envelope */
	else if (!successful && !says_nothing_found(message))
		raise_refused(reader, message);
	else if (!successful)
		data = NULL;
	page_free(&page);
	if (data != NULL)
		take_message(reader, data);
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

static bool
begins(const Cell *cell, const char *text)
{
	size_t		len = strlen(text);

	return cell->len >= len && memcmp(cell->text, text, len) == 0;
}

/* The ways in which .NET says that there is no value. */
static bool
is_none(const EntityColumn *known, const Cell *cell)
{
	if (cell->len == 0)
		return known->type == NULL || cell->quoted;
	if (known->kind != VALUE_TIMESTAMP && known->kind != VALUE_TIMESTAMPTZ)
		return false;
	return begins(cell, "0001-01-01T00:00:00") ||
		(asctrac_none_is_1900(known) && begins(cell, "1900-01-01T00:00:00"));
}

/* Whole numbers may come as doubles: 123.0. */
static void
cut_fraction(Cell *cell)
{
	char	   *point = memchr(cell->text, '.', cell->len);

	if (point == NULL || strspn(point + 1, "0") != cell->len - (point + 1 - cell->text))
		return;
	*point = '\0';
	cell->len = (uint32_t) (point - cell->text);
}

static void
tidy_cell(const EntityColumn *known, Cell *cell)
{
	if (cell->text == NULL)
		return;
	if (is_none(known, cell))
		cell->text = NULL;
	else if (known->kind == VALUE_INTEGER)
		cut_fraction(cell);
	else if (known->kind == VALUE_BOOLEAN)
	{
		/* The decoder's quick form. */
		if (begins(cell, "true"))
			cell->text[0] = 'T', cell->text[1] = '\0', cell->len = 1;
		else if (begins(cell, "false"))
			cell->text[0] = 'F', cell->text[1] = '\0', cell->len = 1;
	}
}

static const char *
sent_value(const AsctracCall *call, const char *column)
{
	ListCell   *lc;

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

static void
convert_cell(Cell *cell)
{
	if (cell->text == NULL || GetDatabaseEncoding() == PG_UTF8)
		return;
	cell->text = pg_any_to_server(cell->text, (int) cell->len, PG_UTF8);
	cell->len = (uint32_t) strlen(cell->text);
	cell->quoted = false;
}

/*
 * A list that became several calls: what another of them brings too, because
 * the other side takes more for equal, is left to that one.
 */
static bool
belongs_to_call(Reader *reader, int row)
{
	ListCell   *lc;

	foreach(lc, reader->filters)
	{
		Filter	   *filter = lfirst(lc);
		const char *sent;

		if (list_length(filter->values) < 2)
			continue;
		sent = sent_value(reader->call, filter->column->name);
		for (int i = 0; i < reader->ncolumns && sent != NULL; i++)
		{
			Cell	   *cell = cell_at(reader, row, i);

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
	Cell	   *successful;
	Cell	   *message;

	if (!reader->hidden)
		return false;
	successful = cell_at(reader, row, reader->ncolumns + HIDDEN_SUCCESSFUL);
	message = cell_at(reader, row, reader->ncolumns + HIDDEN_MESSAGE);
	if (successful->text == NULL || strcmp(successful->text, "false") != 0 ||
		message->text == NULL || message->len == 0)
		return false;
	if (!says_nothing_found(message->text))
		raise_refused(reader, message->text);
	return true;
}

static void
tidy_page(Reader *reader)
{
	int			kept = 0;

	for (int row = 0; row < reader->page.nrows; row++)
	{
		if (is_failure(reader, row))
			continue;
		for (int i = 0; i < reader->ncolumns; i++)
		{
			Cell	   *cell = cell_at(reader, row, i);

			if (reader->known[i] == NULL)
				continue;
			if (asctrac_is_sent(reader->known[i]))
				fill_sent(reader, i, cell);
			else
			{
				tidy_cell(reader->known[i], cell);
				convert_cell(cell);
			}
		}
		if (!belongs_to_call(reader, row))
			continue;
		if (kept != row)
			memcpy(cell_at(reader, kept, 0), cell_at(reader, row, 0),
				   sizeof(Cell) * reader->page.ncolumns);
		kept++;
	}
	reader->delivered += reader->page.nrows;
	reader->page.nrows = kept;
}

/* ---------------------------------------------------------------------
 * Pages
 * ---------------------------------------------------------------------
 */

static void
start_next_call(Reader *reader)
{
	RemoteResponse *response;

	MemoryContextReset(reader->call_cxt);
	MemoryContextSwitchTo(reader->call_cxt);
	reader->call = list_nth(reader->calls, reader->next_call++);
	reader->delivered = 0;
	response = send_call(reader);
	if (reader->detail->shape == SHAPE_ARRAY)
		begin_array(reader, response);
	else
	{
		open_envelope(reader, response);
		reader->one_answer = true;
	}
}

/* Is there a page for the caller in what has been answered? */
static bool
page_of_answer(Reader *reader)
{
	if (reader->one_answer)
	{
		reader->one_answer = false;
		return true;
	}
	return reader->array != NULL && next_chunk(reader);
}

static bool
may_go_on(Reader *reader)
{
	return reader->next_call < list_length(reader->calls) ||
		(reader->detail->shape == SHAPE_ARRAY && reader->array != NULL &&
		 array_state(reader->array) != ARRAY_CLOSED);
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
	bool		found;

	while (!(found = page_of_answer(reader)))
	{
		CHECK_FOR_INTERRUPTS();
		if (reader->next_call >= list_length(reader->calls))
			break;
		start_next_call(reader);
	}
	if (found)
	{
		tidy_page(reader);
		reader->page.has_more = may_go_on(reader);
	}
	MemoryContextSwitchTo(old);
	return found ? &reader->page : NULL;
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
