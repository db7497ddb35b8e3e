/*-------------------------------------------------------------------------
 *
 * land.c
 *		Rows of a feed into the tables that they are drained into.
 *
 * A row of the feed and its children are one thing: they are landed together
 * or not at all, and what can't be landed is kept as it was sent in
 * makini._rejected_row.  They get their row ids first, so that children can
 * name their parent and acknowledgements their row, whatever triggers do.
 *
 * A batch is written by one statement per table.  Where that fails it is tried
 * in halves until the rows are found that can't be written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "connector/decode.h"
#include "makini.h"
#include "sync/drain.h"

/* A batch on its way into the tables. */
typedef struct Landing
{
	Drain		 *drain;
	FeedBatch	 *batch;
	TimestampTz	  received_at;
	int			  nrows;	  /* of the feed's own */
	DrainTarget **targets;	  /* by part */
	int64		**row_ids;	  /* by part and row */
	int64		**duplicates; /* likewise; 0: none */
	int			**first;	  /* by part, child: by parent, its first row; one more at the end */
	bool		 *landed;
	const char	**reasons; /* of the feed's own rows that were rejected */
	const char	**reason_columns;
	int			  low, high; /* what is being tried: rows from low, below high */
	const char	 *ack;		 /* how the rows begin */
} Landing;

/* What the arguments of an insert are, before the arrays of the columns. */
enum InsertArgument
{
	INSERT_RECEIVED_AT,
	INSERT_RUN_ID,
	INSERT_ACK,
	INSERT_ROW_ID,
	INSERT_PARENT,
	INSERT_DUPLICATE,
	INSERT_RAW,
	INSERT_COLUMNS
};

/* ---------------------------------------------------------------------
 * Row ids
 * ---------------------------------------------------------------------
 */

static void
take_row_ids(const DrainTarget *target, int64 *row_ids, int n)
{
	TargetRights saved;
	Oid			 types[2] = {TEXTOID, INT4OID};
	Datum		 values[2];
	bool		 isnull;

	values[0] = CStringGetTextDatum(target->name);
	values[1] = Int32GetDatum(n);
	rights_of_target(target->owner, &saved);
	SPI_connect();
	SPI_execute_with_args("SELECT nextval(s.name) FROM (SELECT pg_get_serial_sequence($1, '_row_id')::regclass"
						  " AS name OFFSET 0) AS s, generate_series(1, $2)",
						  2, types, values, NULL, false, 0);
	for (int i = 0; i < n; i++)
		row_ids[i] =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	rights_of_target_restore(&saved);
}

/* ---------------------------------------------------------------------
 * Children of rows that came before
 * ---------------------------------------------------------------------
 */

/* The rows that these parents' children were landed as, in order. */
static int64 *
children_of(const DrainTarget *target, int64 parent, int *n)
{
	Oid	  types[1] = {INT8OID};
	Datum values[1] = {Int64GetDatum(parent)};
	char *statement =
		psprintf("SELECT _row_id FROM %s WHERE _parent_row_id = $1 ORDER BY _row_id", target->name);
	int64 *ids;
	bool   isnull;

	SPI_execute_with_args(statement, 1, types, values, NULL, true, 0);
	*n = (int) SPI_processed;
	ids = palloc(sizeof(int64) * Max(1, *n));
	for (int i = 0; i < *n; i++)
		ids[i] =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return ids;
}

/* Bytes that are the same hold the same children in the same order. */
static void
find_child_duplicates(Landing *landing, int part)
{
	const DrainTarget *target = landing->targets[part];
	TargetRights	   saved;

	rights_of_target(target->owner, &saved);
	SPI_connect();
	for (int row = 0; row < landing->nrows; row++)
	{
		int	   from = landing->first[part][row];
		int	   count = landing->first[part][row + 1] - from;
		int	   n;
		int64 *ids;

		if (landing->duplicates[0][row] == 0 || count == 0)
			continue;
		ids = children_of(target, landing->duplicates[0][row], &n);
		for (int i = 0; i < Min(n, count); i++)
			landing->duplicates[part][from + i] = ids[i];
	}
	SPI_finish();
	rights_of_target_restore(&saved);
}

/* ---------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------
 */

/* "INSERT INTO t (...) SELECT ... FROM unnest(...)" */
static char *
insert_statement(const DrainTarget *target)
{
	StringInfoData sql, values, arrays, names;
	int			   n = 0;

	initStringInfo(&sql);
	initStringInfo(&values);
	initStringInfo(&arrays);
	initStringInfo(&names);
	appendStringInfo(&sql, "INSERT INTO %s (_received_at, _run_id, _ack, _row_id, _duplicate_of, %s",
					 target->name, target->child ? "_parent_row_id" : "_raw");
	appendStringInfo(&values, "$%d, $%d, $%d, u.r, NULLIF(u.d, 0), %s", INSERT_RECEIVED_AT + 1,
					 INSERT_RUN_ID + 1, INSERT_ACK + 1, target->child ? "u.p" : "u.j::jsonb");
	appendStringInfo(&arrays, "$%d, $%d, $%d, $%d", INSERT_ROW_ID + 1, INSERT_PARENT + 1,
					 INSERT_DUPLICATE + 1, INSERT_RAW + 1);
	appendStringInfoString(&names, "r, p, d, j");
	for (int i = 0; i < target->entity->ncolumns; i++)
	{
		if (target->columns[i] == NULL)
			continue;
		appendStringInfo(&sql, ", %s", quote_identifier(target->columns[i]));
		appendStringInfo(&values, ", u.c%d", n);
		appendStringInfo(&arrays, ", $%d", INSERT_COLUMNS + 1 + n);
		appendStringInfo(&names, ", c%d", n);
		n++;
	}
	appendStringInfo(&sql, ") OVERRIDING SYSTEM VALUE SELECT %s FROM unnest(%s) AS u(%s)",
					 values.data, arrays.data, names.data);
	return sql.data;
}

static const char *
ack_word(const Drain *drain)
{
	switch (drain->mode)
	{
		case ACK_LANDED:
			return "owed";
		case ACK_MANUAL:
			return "manual";
		case ACK_NEVER:
			break;
	}
	return "never";
}

static Datum
int64_array(const int64 *numbers, int n)
{
	Datum *values = palloc(sizeof(Datum) * Max(1, n));

	for (int i = 0; i < n; i++)
		values[i] = Int64GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(values, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The first arguments of an insert of rows from low, below high, of a part. */
static void
put_marks(const Landing *landing, int part, int low, int high, Oid *types, Datum *values)
{
	int	   n = high - low;
	int64 *parents = palloc0(sizeof(int64) * Max(1, n));
	Datum *raw = palloc0(sizeof(Datum) * Max(1, n));
	bool  *nulls = palloc0(sizeof(bool) * Max(1, n));
	int	   lower = 1;

	for (int i = 0; i < n; i++)
	{
		if (part > 0)
			parents[i] = landing->row_ids[0][landing->batch->parts[part].parents[low + i]];
		else
			raw[i] =
				PointerGetDatum(cstring_to_text_with_len(landing->batch->raw.cells[low + i].text,
														 landing->batch->raw.cells[low + i].len));
		nulls[i] = part > 0;
	}
	types[INSERT_RECEIVED_AT] = TIMESTAMPTZOID;
	values[INSERT_RECEIVED_AT] = TimestampTzGetDatum(landing->received_at);
	types[INSERT_RUN_ID] = INT8OID;
	values[INSERT_RUN_ID] = Int64GetDatum(landing->drain->run->run_id);
	types[INSERT_ACK] = TEXTOID;
	values[INSERT_ACK] = CStringGetTextDatum(landing->ack);
	types[INSERT_ROW_ID] = types[INSERT_PARENT] = types[INSERT_DUPLICATE] = INT8ARRAYOID;
	values[INSERT_ROW_ID] = int64_array(landing->row_ids[part] + low, n);
	values[INSERT_PARENT] = int64_array(parents, n);
	values[INSERT_DUPLICATE] = int64_array(landing->duplicates[part] + low, n);
	types[INSERT_RAW] = TEXTARRAYOID;
	values[INSERT_RAW] = PointerGetDatum(
		construct_md_array(raw, nulls, 1, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}

/* All values of some rows of a part, column by column: values[column * n + row]. */
static void
decode_rows(const Landing *landing, int part, int low, int high, Datum *values, bool *nulls)
{
	DrainTarget *target = landing->targets[part];
	int			 ncolumns = target->entity->ncolumns;
	int			 n = high - low;
	Datum		*row_values = palloc(sizeof(Datum) * ncolumns);
	bool		*row_nulls = palloc(sizeof(bool) * ncolumns);

	for (int row = 0; row < n; row++)
	{
		decoder_row(target->decoder, &landing->batch->parts[part].page, low + row,
					landing->drain->run->counters.pages + 1, row_values, row_nulls);
		for (int i = 0; i < ncolumns; i++)
		{
			values[(size_t) i * n + row] = row_values[i];
			nulls[(size_t) i * n + row] = row_nulls[i];
		}
	}
}

static Datum
column_array(Datum *values, bool *nulls, int n, Oid type)
{
	int16 typlen;
	bool  typbyval;
	char  typalign;
	int	  lower = 1;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(
		construct_md_array(values, nulls, 1, &n, &lower, type, typlen, typbyval, typalign));
}

/*
 * Triggers may leave rows out, and a row that is nowhere must not be
 * acknowledged.  Those that send a row into a child of the table do not.
 */
static void
check_landed(const Landing *landing, int part, int low, int n)
{
	const DrainTarget *target = landing->targets[part];
	Oid				   types[1] = {INT8ARRAYOID};
	Datum			   values[1] = {int64_array(landing->row_ids[part] + low, n)};

	SPI_execute_with_args(psprintf("SELECT FROM %s WHERE _row_id = ANY ($1)", target->name), 1,
						  types, values, NULL, false, 0);
	if (SPI_processed < n)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger of %s left the row out", target->name)));
}

static void
insert_rows(Landing *landing, int part, int low, int high)
{
	DrainTarget *target = landing->targets[part];
	int			 ncolumns = target->entity->ncolumns;
	int			 n = high - low;
	Oid			*types = palloc(sizeof(Oid) * (INSERT_COLUMNS + ncolumns));
	Datum		*arguments = palloc(sizeof(Datum) * (INSERT_COLUMNS + ncolumns));
	Datum		*values = palloc_extended(sizeof(Datum) * n * ncolumns, MCXT_ALLOC_HUGE);
	bool		*nulls = palloc(sizeof(bool) * n * ncolumns);
	int			 nargs = INSERT_COLUMNS;

	put_marks(landing, part, low, high, types, arguments);
	decode_rows(landing, part, low, high, values, nulls);
	for (int i = 0; i < ncolumns; i++)
	{
		if (target->columns[i] == NULL)
			continue;
		types[nargs] = get_array_type(target->types[i]);
		arguments[nargs++] =
			column_array(values + (size_t) i * n, nulls + (size_t) i * n, n, target->types[i]);
	}
	SPI_connect();
	SPI_execute_with_args(insert_statement(target), nargs, types, arguments, NULL, false, 0);
	if (SPI_processed < n)
		check_landed(landing, part, low, n);
	SPI_finish();
}

/* Rows from low, below high, and their children. */
static void
try_range(void *arg)
{
	Landing		*landing = arg;
	TargetRights saved;

	for (int part = 0; part < landing->batch->nparts; part++)
	{
		int low = part == 0 ? landing->low : landing->first[part][landing->low];
		int high = part == 0 ? landing->high : landing->first[part][landing->high];

		if (low == high)
			continue;
		rights_of_target(landing->targets[part]->owner, &saved);
		insert_rows(landing, part, low, high);
		rights_of_target_restore(&saved);
	}
}

/* ---------------------------------------------------------------------
 * What can't be written
 * ---------------------------------------------------------------------
 */

/* What says nothing about the rows: they are not to be blamed for it. */
static bool
is_of_the_server(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE: /* a lock that was not had in time */
		case ERRCODE_TRANSACTION_ROLLBACK:
			return true;
		default:
			return error->elevel > ERROR;
	}
}

/* What a row's neighbours would fail for, too. */
static bool
is_of_the_table(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
		ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION);
}

static char *
reason_of(const ErrorData *error)
{
	const char *context = error->context;
	char	   *reason = psprintf("%s: %s", unpack_sql_state(error->sqlerrcode), error->message);

	if (context != NULL && strncmp(context, "column \"", strlen("column \"")) == 0)
		return psprintf("%s (%.*s)", reason, (int) strcspn(context, "\n"), context);
	return reason;
}

/* The column that the decoder was at, or the one that PostgreSQL named. */
static char *
column_of(const ErrorData *error)
{
	const char *name = error->context;

	if (error->column_name != NULL)
		return error->column_name;
	if (name == NULL || strncmp(name, "column \"", strlen("column \"")) != 0)
		return NULL;
	name += strlen("column \"");
	return pnstrdup(name, strcspn(name, "\""));
}

static void
reject(Landing *landing, int low, int high, const ErrorData *error)
{
	for (int row = low; row < high; row++)
	{
		landing->reasons[row] = reason_of(error);
		landing->reason_columns[row] = column_of(error);
	}
}

static void
land_range(Landing *landing, int low, int high)
{
	ErrorData *error;

	while (low < high && landing->reasons[low] != NULL)
		low++;
	while (low < high && landing->reasons[high - 1] != NULL)
		high--;
	for (int row = low; row < high; row++)
	{
		/* known to be broken: what stands around it is tried by itself */
		if (landing->reasons[row] != NULL)
		{
			land_range(landing, low, row);
			land_range(landing, row + 1, high);
			return;
		}
	}
	if (low == high)
		return;
	CHECK_FOR_INTERRUPTS();
	landing->low = low;
	landing->high = high;
	error = run_attempt(try_range, landing);
	if (error == NULL)
		memset(landing->landed + low, true, high - low);
	else if (is_of_the_server(error))
		ThrowErrorData(error);
	else if (high - low == 1 || is_of_the_table(error))
		reject(landing, low, high, error);
	else
	{
		land_range(landing, low, low + (high - low) / 2);
		land_range(landing, low + (high - low) / 2, high);
	}
}

/* A row as it was sent; one that no jsonb can hold becomes a string of its text. */
static char *
data_of(const Landing *landing, int row)
{
	const Cell	  *raw = &landing->batch->raw.cells[row];
	char		  *text = pnstrdup(raw->text, raw->len);
	StringInfoData quoted;

	if (landing->batch->broken == NULL || landing->batch->broken[row] == NULL)
		return text;
	initStringInfo(&quoted);
	escape_json(&quoted, text);
	return quoted.data;
}

static char *
key_of(const Landing *landing, int row)
{
	const Drain *drain = landing->drain;
	const Cell *cells = &landing->batch->parts[0].page.cells[(size_t) row * drain->entity->ncolumns];
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < drain->nkeys; i++)
	{
		const Cell *cell = &cells[drain->keys[i]];

		appendStringInfoString(&out, i == 0 ? "{" : ", ");
		escape_json(&out, drain_column_name(NULL, &drain->entity->columns[drain->keys[i]]));
		appendStringInfoString(&out, ": ");
		if (cell->text == NULL)
			appendStringInfoString(&out, "null");
		else
			escape_json(&out, pnstrdup(cell->text, cell->len));
	}
	appendStringInfoString(&out, "}");
	return drain->nkeys == 0 ? NULL : out.data;
}

static void
insert_rejected(const Landing *landing, int row, const char *data)
{
	Oid		 types[] = {INT8OID, INT8OID, OIDOID, INT8OID, JSONBOID, JSONBOID, NAMEOID, TEXTOID};
	Datum	 values[lengthof(types)];
	char	 nulls[] = "        ";
	char	*key = key_of(landing, row);
	NameData column;

	namestrcpy(&column, landing->reason_columns[row] != NULL ? landing->reason_columns[row] : "");
	values[0] = Int64GetDatum(landing->drain->run->run_id);
	values[1] = Int64GetDatum(landing->drain->sync->sync_id);
	values[2] = ObjectIdGetDatum(landing->targets[0]->relid);
	values[3] = Int64GetDatum(landing->row_ids[0][row]);
	values[4] = key != NULL ? DirectFunctionCall1(jsonb_in, CStringGetDatum(key)) : (Datum) 0;
	nulls[4] = key != NULL ? ' ' : 'n';
	values[5] = DirectFunctionCall1(jsonb_in, CStringGetDatum(data));
	values[6] = NameGetDatum(&column);
	nulls[6] = landing->reason_columns[row] != NULL ? ' ' : 'n';
	values[7] = CStringGetTextDatum(landing->reasons[row]);
	SPI_execute_with_args("INSERT INTO makini._rejected_row"
						  " (run_id, sync_id, target_oid, row_id, key, data, column_name, reason)"
						  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
						  lengthof(types), types, values, nulls, false, 0);
}

/* One rejected row on its way into makini._rejected_row. */
typedef struct Rejection
{
	Landing *landing;
	int		 row;
	bool	 quoted;
} Rejection;

static void
keep_one(void *arg)
{
	Rejection	  *rejection = arg;
	char		  *data = data_of(rejection->landing, rejection->row);
	StringInfoData quoted;
	MakiniRights   saved;

	if (rejection->quoted)
	{
		initStringInfo(&quoted);
		escape_json(&quoted, data);
		data = quoted.data;
	}
	makini_rights_of_extension(&saved);
	SPI_connect();
	insert_rejected(rejection->landing, rejection->row, data);
	SPI_finish();
	makini_rights_restore(&saved);
}

static void
keep_rejected(Landing *landing)
{
	Rejection rejection = {.landing = landing};

	for (rejection.row = 0; rejection.row < landing->nrows; rejection.row++)
	{
		ErrorData *error;

		if (landing->reasons[rejection.row] == NULL)
			continue;
		rejection.quoted = false;
		error = run_attempt(keep_one, &rejection);
		if (error == NULL)
			continue;
		if (is_of_the_server(error))
			ThrowErrorData(error);
		rejection.quoted = true;
		keep_one(&rejection);
	}
}

/* ---------------------------------------------------------------------
 * Keeping account
 * ---------------------------------------------------------------------
 */

static void
note_answer(const Landing *landing)
{
	Oid			 types[] = {INT8OID, INT8OID, INT8OID, INT8OID};
	Datum		 values[lengthof(types)];
	MakiniRights saved;

	if (landing->nrows == 0)
		return;
	values[0] = Int64GetDatum(landing->drain->answer_id);
	values[1] = Int64GetDatum(landing->nrows);
	values[2] = Int64GetDatum(landing->row_ids[0][0]);
	values[3] = Int64GetDatum(landing->row_ids[0][landing->nrows - 1]);
	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("UPDATE makini._drain_answer SET rows = rows + $2,"
						  " first_row_id = coalesce(first_row_id, $3), last_row_id = $4,"
						  " progressed_at = clock_timestamp() WHERE answer_id = $1",
						  lengthof(types), types, values, NULL, false, 0);
	SPI_finish();
	makini_rights_restore(&saved);
}

static void
note_owed(const Landing *landing)
{
	Drain	*drain = landing->drain;
	OwedRow *rows = palloc0(sizeof(OwedRow) * Max(1, landing->nrows));

	if (drain->mode == ACK_NEVER)
		return;
	for (int row = 0; row < landing->nrows; row++)
	{
		const Cell *cells =
			&landing->batch->parts[0].page.cells[(size_t) row * drain->entity->ncolumns];

		rows[row].row_id = landing->row_ids[0][row];
		rows[row].reason = landing->reasons[row];
		rows[row].key = palloc0(sizeof(char *) * drain->nkeys);
		for (int i = 0; i < drain->nkeys; i++)
		{
			const Cell *cell = &cells[drain->keys[i]];

			rows[row].key[i] = cell->text == NULL ? NULL : pnstrdup(cell->text, cell->len);
		}
	}
	owed_insert(drain, rows, landing->nrows);
}

static void
count_rows(const Landing *landing)
{
	Counters *counters = &landing->drain->run->counters;

	counters->pages++;
	for (int row = 0; row < landing->nrows; row++)
	{
		int64 n = 1;

		for (int part = 1; part < landing->batch->nparts; part++)
			n += landing->first[part][row + 1] - landing->first[part][row];
		counters->read += n;
		if (landing->landed[row])
			counters->inserted += n;
		else
			counters->rejected++;
	}
}

/* ---------------------------------------------------------------------
 * Batches
 * ---------------------------------------------------------------------
 */

static DrainTarget *
target_of(const Drain *drain, const Entity *entity)
{
	for (int i = 0; i < drain->ntargets; i++)
	{
		if (strcmp(drain->targets[i].entity->name, entity->name) == 0)
			return &drain->targets[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("\"%s\" is not drained into a table", entity->name)));
	return NULL;
}

static int *
first_children(const FeedPart *part, int nparents)
{
	int *first = palloc(sizeof(int) * (nparents + 1));
	int	 at = 0;

	for (int parent = 0; parent <= nparents; parent++)
	{
		while (at < part->page.nrows && part->parents[at] < parent)
			at++;
		first[parent] = at;
	}
	return first;
}

/* row_id: of the only row, where it has one already. */
static Landing *
prepare(Drain *drain, FeedBatch *batch, int64 row_id)
{
	Landing *landing = palloc0(sizeof(Landing));
	int		 n = batch->nparts;

	landing->drain = drain;
	landing->batch = batch;
	landing->received_at = GetCurrentTimestamp();
	landing->ack = ack_word(drain);
	landing->nrows = batch->parts[0].page.nrows;
	landing->targets = palloc0(sizeof(DrainTarget *) * n);
	landing->row_ids = palloc0(sizeof(int64 *) * n);
	landing->duplicates = palloc0(sizeof(int64 *) * n);
	landing->first = palloc0(sizeof(int *) * n);
	landing->landed = palloc0(sizeof(bool) * (landing->nrows + 1));
	landing->reasons = palloc0(sizeof(char *) * (landing->nrows + 1));
	landing->reason_columns = palloc0(sizeof(char *) * (landing->nrows + 1));
	for (int part = 0; part < n; part++)
	{
		int nrows = batch->parts[part].page.nrows;

		landing->targets[part] = target_of(drain, batch->parts[part].entity);
		drain_target_hold(landing->targets[part]);
		landing->row_ids[part] = palloc0(sizeof(int64) * (nrows + 1));
		landing->duplicates[part] = palloc0(sizeof(int64) * (nrows + 1));
		if (part > 0 || row_id == 0)
			take_row_ids(landing->targets[part], landing->row_ids[part], nrows);
		else
			landing->row_ids[part][0] = row_id;
		if (part > 0)
			landing->first[part] = first_children(&batch->parts[part], landing->nrows);
	}
	for (int row = 0; batch->broken != NULL && row < landing->nrows; row++)
		landing->reasons[row] = batch->broken[row];
	return landing;
}

void
land_batch(Drain *drain, FeedBatch *batch)
{
	Landing *landing = prepare(drain, batch, 0);
	Digests *digests = digests_find(drain, batch->essence, landing->nrows, landing->row_ids[0],
									landing->duplicates[0]);

	for (int part = 1; part < batch->nparts; part++)
		find_child_duplicates(landing, part);
	land_range(landing, 0, landing->nrows);
	keep_rejected(landing);
	digests_keep(drain, digests, landing->landed);
	note_owed(landing);
	note_answer(landing);
	count_rows(landing);
	account_save(drain->run->run_id, drain->run->load, &drain->run->counters, &drain->run->usage);
}

/*
 * land_again
 *		Land a row that was rejected.  NULL when it went well, else the reason.
 */
const char *
land_again(Drain *drain, FeedBatch *batch, int64 row_id, const char *ack)
{
	Landing	  *landing = prepare(drain, batch, row_id);
	Digests	  *digests = digests_find(drain, batch->essence, landing->nrows, landing->row_ids[0],
									  landing->duplicates[0]);
	ErrorData *error;

	if (landing->nrows != 1 || landing->reasons[0] != NULL)
		return landing->nrows == 1 ? landing->reasons[0] : "it is not one row";
	landing->ack = ack;
	landing->high = 1;
	error = run_attempt(try_range, landing);
	if (error != NULL && is_of_the_server(error))
		ThrowErrorData(error);
	if (error != NULL)
		return reason_of(error);
	landing->landed[0] = true;
	digests_keep(drain, digests, landing->landed);
	return NULL;
}
