/*-------------------------------------------------------------------------
 *
 * write.c
 *		Writes rows through the imports of the host interface: one object a
 *		request, which replaces what has the same key.
 *
 * Nothing that was sent can be taken back.  So a row is checked whole before
 * it goes out, what is doubtful about an outcome is said, and what would have
 * another effect the second time is sent once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <jansson.h>

#include "mb/pg_wchar.h"
#include "utils/formatting.h"
#include "utils/memutils.h"

#include "connector/asctrac/asctrac.h"
#include "connector/asctrac/import.h"

/* Where rows may go out side by side, this many are handed over at once. */
#define BATCH_ROWS 64

/* And so many of them are on their way at most. */
#define MAX_LANES 32

/* The whole site matches a hold that names none of these. */
static const char *const hold_filters[] = {
	"Product_Code", "VMI_Cust_ID", "Lot_ID",	 "Alt_Lot_ID",	 "Workorder_ID",
	"Recv_PO_Num",	"Receiver_ID", "License_ID", "RecvDateTime", "Host_String_ID",
};

/*
 * What an import is like.  Those that are not here can be repeated, and go out
 * one after the other: orders share one lock over there.
 */
typedef struct ImportRule
{
	const char		  *entity;
	bool			   once;		 /* the second time has another effect, or fails */
	bool			   side_by_side; /* requests with different keys don't meet */
	const char *const *one_of;		 /* at least one of these columns needs a value */
	int				   none_of;
} ImportRule;

static const ImportRule rules[] = {
	{"item_master_import", .side_by_side = true},
	{"customer_master_import", .side_by_side = true},
	{"vendor_import", .side_by_side = true},
	{"lot_import", .side_by_side = true},
	{"controlled_count_import", .once = true},
	{"qc_hold_import", .once = true, .one_of = hold_filters, .none_of = lengthof(hold_filters)},
	{"cust_order_confirm_ship", .once = true},
};

static const ImportRule ordinary = {NULL};

struct Writer
{
	Connection			*conn;
	const Entity		*entity;
	const ImportRule	*rule;
	int					 ncolumns;
	const SourceColumn **locals;
	const EntityColumn **columns;
	bool				*in_key;
};

/* A row on its way. */
typedef struct Shipment
{
	RemoteCall				 *call;
	int						  row;
	const FilterValue *const *values;
} Shipment;

typedef struct Flight
{
	Shipment shipments[MAX_LANES];
	int		 n;
} Flight;

static const ImportRule *
rule_of(const Entity *entity)
{
	for (int i = 0; i < lengthof(rules); i++)
	{
		if (strcmp(rules[i].entity, entity->name) == 0)
			return &rules[i];
	}
	return &ordinary;
}

/* ---------------------------------------------------------------------
 * Beginning
 * ---------------------------------------------------------------------
 */

static bool
is_key(const Source *source, const SourceColumn *column)
{
	ListCell *lc;

	foreach(lc, source->key)
	{
		if (pg_strcasecmp(((SourceColumn *) lfirst(lc))->name, column->name) == 0)
			return true;
	}
	return false;
}

static void
refuse_unknown(const Entity *entity, const SourceColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
			 errmsg("import \"%s\" has no column \"%s\"", entity->name, column->name),
			 errdetail("ASCTrac would pass over it without a word."),
			 errhint("Drop the column, or name the right one in its option column_name.")));
}

/* A number the table has no column for would become 0 with every row. */
static void
refuse_lacking(const Writer *writer)
{
	for (int i = 0; i < writer->entity->ncolumns; i++)
	{
		const EntityColumn *column = &writer->entity->columns[i];
		bool				found = !import_needs_value(column) && !column->required;

		for (int k = 0; k < writer->ncolumns && !found; k++)
			found = writer->columns[k] == column;
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
					 errmsg("the foreign table lacks column \"%s\"",
							asc_tolower(column->name, strlen(column->name))),
					 errdetail("Import \"%s\" needs a value of it in every row.", writer->entity->name),
					 errhint("Add the column, or drop the table and import it again.")));
	}
}

/*
 * asctrac_begin_write
 *		Prepare to write rows of these columns.
 */
Writer *
asctrac_begin_write(Connection *conn, const Source *source, List *columns)
{
	Writer	 *writer = palloc0(sizeof(Writer));
	ListCell *lc;
	int		  i = 0;

	writer->conn = conn;
	writer->entity = source->catalogue;
	writer->rule = rule_of(writer->entity);
	writer->ncolumns = list_length(columns);
	writer->locals = palloc(sizeof(SourceColumn *) * (writer->ncolumns + 1));
	writer->columns = palloc(sizeof(EntityColumn *) * (writer->ncolumns + 1));
	writer->in_key = palloc(sizeof(bool) * (writer->ncolumns + 1));
	foreach(lc, columns)
	{
		writer->locals[i] = lfirst(lc);
		writer->columns[i] = entity_find_column(writer->entity, writer->locals[i]->name);
		writer->in_key[i] = is_key(source, writer->locals[i]);
		if (writer->columns[i] == NULL)
			refuse_unknown(writer->entity, writer->locals[i]);
		i++;
	}
	refuse_lacking(writer);
	return writer;
}

/*
 * asctrac_write_batch
 *		How many rows are worth handing over at once.
 */
int
asctrac_write_batch(const Source *source)
{
	return rule_of(source->catalogue)->side_by_side ? BATCH_ROWS : 1;
}

/* ---------------------------------------------------------------------
 * Sending
 * ---------------------------------------------------------------------
 */

static void
check_one_of(const Writer *writer, const FilterValue *const *values)
{
	if (writer->rule->none_of == 0)
		return;
	for (int i = 0; i < writer->ncolumns; i++)
	{
		for (int k = 0; values[i] != NULL && k < writer->rule->none_of; k++)
		{
			if (strcmp(writer->rule->one_of[k], writer->columns[i]->name) == 0)
				return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("import \"%s\" without a condition is refused", writer->entity->name),
			 errdetail("ASCTrac would take it for all the stock of the site."),
			 errhint("Give a license, an item, a lot, or another column that says what is meant.")));
}

static char *
body_of(const Writer *writer, const FilterValue *const *values)
{
	StringInfoData body;

	initStringInfo(&body);
	appendStringInfoChar(&body, '{');
	for (int i = 0; i < writer->ncolumns; i++)
		import_append(&body, writer->entity, writer->columns[i], writer->locals[i], values[i],
					  writer->conn->time_zone);
	appendStringInfoChar(&body, '}');
	return body.data;
}

/* An action takes its values from the address. */
static char *
query_of(const Writer *writer, const FilterValue *const *values)
{
	StringInfoData query;

	initStringInfo(&query);
	for (int i = 0; i < writer->ncolumns; i++)
	{
		StringInfoData checked;

		initStringInfo(&checked);
		import_append(&checked, writer->entity, writer->columns[i], writer->locals[i], values[i],
					  writer->conn->time_zone);
		appendStringInfo(&query, "%c%s=", query.len == 0 ? '?' : '&', writer->columns[i]->name);
		asctrac_append_escaped(&query, values[i] != NULL ? values[i]->text : "");
	}
	return query.data;
}

static void
prepare_row(const Writer *writer, const FilterValue *const *values, RemoteRequest *request)
{
	const char *base = writer->conn->endpoint.base_url;

	check_one_of(writer, values);
	memset(request, 0, sizeof(*request));
	request->method = writer->entity->insert_method;
	request->repeatable = !writer->rule->once;
	request->headers =
		list_make2("Accept: application/json", "Content-Type: application/json; charset=utf-8");
	if (strcmp(request->method, "PUT") == 0)
	{
		request->url = psprintf("%s%s%s", base, writer->entity->insert_path, query_of(writer, values));
		request->body = "";
		return;
	}
	request->url = psprintf("%s%s", base, writer->entity->insert_path);
	request->body = body_of(writer, values);
	request->body_len = strlen(request->body);
}

/* ---------------------------------------------------------------------
 * Answers
 * ---------------------------------------------------------------------
 */

#define NULL_REFERENCE "Object reference not set"

/* Says what can be done about a failure, where there is more to say than usual. */
static void
explain_fault(const Writer *writer, RemoteFault *fault)
{
	bool sent = fault->sqlstate != ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;

	if (fault->remote_message != NULL && *fault->remote_message == '\0')
	{
		fault->remote_message = NULL;
		fault->hint = "ASCTrac gave no reason; its own log has one.";
	}
	else if (fault->remote_message != NULL &&
			 strncmp(fault->remote_message, NULL_REFERENCE, strlen(NULL_REFERENCE)) == 0)
		fault->hint =
			"A value that this import cannot do without is NULL; see the comments of the columns.";
	if (writer->rule->once && sent && (fault->cls == REMOTE_RETRY || fault->cls == REMOTE_BROKEN))
		fault->hint =
			"Whether it took effect is not known, and it was not sent again. Look it up in ASCTrac before you repeat it.";
}

static RemoteFault *
make_fault(const Writer *writer, const RemoteResponse *response, RemoteClass cls,
		   const char *message, const char *hint)
{
	RemoteFault *fault = palloc0(sizeof(RemoteFault));

	fault->cls = cls;
	fault->sqlstate = ERRCODE_FDW_ERROR;
	fault->http_status = response->status;
	fault->path = writer->entity->insert_path;
	fault->message = message;
	fault->hint = hint;
	return fault;
}

/* The status was 200; what that means stands in the answer.  NULL: it is well. */
static RemoteFault *
fault_of_result(const Writer *writer, const RemoteResponse *response)
{
	json_t		*root = json_loadb(response->body, response->body_len, 0, NULL);
	json_t		*code = json_object_get(root, "ReturnCode");
	const char	*message = json_string_value(json_object_get(root, "Message"));
	int			 value = json_is_integer(code) ? (int) json_integer_value(code) : 0;
	char		*text = message != NULL ? asctrac_clean_text(message) : NULL;
	RemoteFault *fault;

	json_decref(root);
	if (value == 200)
		return NULL;
	if (value == 0)
		return make_fault(writer, response, REMOTE_BROKEN,
						  "ASCTrac answered an import with something else than its result",
						  "Whether the row was taken is not known. Check base_url of the server: something else may answer there.");
	if (value == 412)
		fault =
			make_fault(writer, response, REMOTE_REJECTED, "ASCTrac took the row only in part",
					   "It is stored without what is named here. Import that first, then insert the same row again, which replaces it.");
	else
		fault = make_fault(writer, response, REMOTE_REJECTED, "ASCTrac refused the row", NULL);
	fault->remote_code = psprintf("%d", value);
	fault->remote_message = text;
	return fault;
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

static bool
same_value(const FilterValue *a, const FilterValue *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return pg_strcasecmp(a->text, b->text) == 0;
}

static bool
same_key(const Writer *writer, const FilterValue *const *a, const FilterValue *const *b)
{
	for (int i = 0; i < writer->ncolumns; i++)
	{
		if (writer->in_key[i] && !same_value(a[i], b[i]))
			return false;
	}
	return true;
}

/*
 * Raise what became of a row.  Others on their way are waited for first, so
 * that it is known what became of them too.
 */
static void
fail_row(const Writer *writer, const Flight *flight, RemoteFault *fault, WriteProgress *progress)
{
	for (int i = 0; i < flight->n; i++)
	{
		if (remote_call_fault(flight->shipments[i].call) == NULL)
			progress->taken++;
	}
	explain_fault(writer, fault);
	remote_raise(fault, &writer->conn->endpoint);
}

/* Wait for one row of those on their way, whichever is done first. */
static void
land_one(const Writer *writer, Flight *flight, WriteProgress *progress)
{
	RemoteCall	*calls[MAX_LANES];
	Shipment	 landed;
	RemoteFault *fault;
	int			 at;

	for (int i = 0; i < flight->n; i++)
		calls[i] = flight->shipments[i].call;
	at = remote_call_wait_any(calls, flight->n);
	landed = flight->shipments[at];
	flight->shipments[at] = flight->shipments[--flight->n];
	progress->row = landed.row;
	fault = remote_call_fault(landed.call);
	if (fault == NULL)
		fault = fault_of_result(writer, remote_call_result(landed.call));
	if (fault != NULL)
		fail_row(writer, flight, fault, progress);
	progress->taken++;
	remote_call_free(landed.call);
}

static bool
is_flying(const Writer *writer, const Flight *flight, const FilterValue *const *values)
{
	for (int i = 0; i < flight->n; i++)
	{
		if (same_key(writer, flight->shipments[i].values, values))
			return true;
	}
	return false;
}

/*
 * asctrac_write_rows
 *		Write rows, all of which are looked at before the first goes out.  Those
 *		with one key arrive in their order.
 */
void
asctrac_write_rows(Writer *writer, const FilterValue *const *const *rows, int n, WriteProgress *progress)
{
	int lanes =
		writer->rule->side_by_side ? Min(writer->conn->endpoint.max_concurrency, MAX_LANES) : 1;
	RemoteRequest *requests = palloc(sizeof(RemoteRequest) * n);
	Flight		   flight = {0};

	for (progress->row = 0; progress->row < n; progress->row++)
		prepare_row(writer, rows[progress->row], &requests[progress->row]);
	for (int i = 0; i < n; i++)
	{
		while (flight.n >= lanes || is_flying(writer, &flight, rows[i]))
			land_one(writer, &flight, progress);
		progress->row = i;
		flight.shipments[flight.n].row = i;
		flight.shipments[flight.n].values = rows[i];
		flight.shipments[flight.n].call = remote_call_start(&writer->conn->endpoint, &requests[i]);
		flight.n++;
	}
	while (flight.n > 0)
		land_one(writer, &flight, progress);
}
