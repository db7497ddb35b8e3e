/*-------------------------------------------------------------------------
 *
 * owed.c
 *		Acknowledgements: what is owed for rows that have landed, until the other
 *		side has taken it.
 *
 * They are noted in the transaction that lands the rows, sent between
 * transactions, and struck off in the next: after a crash in between they are
 * sent again, which the other side takes for nothing new.
 *
 * A key may cover several rows, of several answers.  So only answers that have
 * landed as a whole are acknowledged, all rows of a key at once, and none while
 * somebody has still to decide about another row of the same key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "argument.h"
#include "makini.h"
#include "private.h"
#include "sync/control.h"
#include "sync/drain.h"
#include "sync/schema_change.h"
#include "sync/target.h"
#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_acknowledge);
PG_FUNCTION_INFO_V1(makini_resolve_drain);

/* How many are read and sent at a time. */
#define CHUNK "10000"

/* From how many on it matters how they are found. */
#define MANY "5000"

/* Some of what is owed, on its way. */
typedef struct Chunk
{
	Drain			*drain;
	MemoryContext	 cxt;
	int64			 after;	  /* only keys whose hash is above this */
	bool			 some;	  /* there is something to be sent */
	bool			 blocked; /* some may have to wait for others of their key */
	int64			 answer;  /* only those of this answer, 0: all */
	int				 n;
	int64			*row_ids;
	Acknowledgement *acknowledgements;
	const ErrorData *error; /* why those that are not done are not */
} Chunk;

/* ---------------------------------------------------------------------
 * Owing
 * ---------------------------------------------------------------------
 */

/* Equal keys, equal hashes, on any machine. */
static int64
hash_of_key(char **key, int n)
{
	uint64 hash = 0;

	for (int i = 0; i < n; i++)
	{
		const char *text = key[i] != NULL ? key[i] : "";

		hash = hash_combine64(hash,
							  DatumGetUInt64(hash_any_extended((const unsigned char *) text,
															   (int) strlen(text), i)));
	}
	return (int64) hash;
}

/* Rows that could not be written go back as errors where the drain says so. */
static bool
is_refused(const Drain *drain, const OwedRow *row)
{
	return row->reason != NULL && drain->refuse_rejected;
}

/* Keys travel as texts of arrays: arrays of arrays would have to be of one shape. */
static char *
key_text(char **key, int n)
{
	static FmgrInfo output;

	if (output.fn_oid == InvalidOid)
		fmgr_info_cxt(F_ARRAY_OUT, &output, TopMemoryContext);
	return OutputFunctionCall(&output, PointerGetDatum(strings_to_array((const char *const *) key, n)));
}

void
owed_insert(const Drain *drain, const OwedRow *rows, int n)
{
	Oid	   types[] = {INT8OID,		INT8OID,	  INT8ARRAYOID, TEXTARRAYOID,
					  INT8ARRAYOID, BOOLARRAYOID, TEXTARRAYOID};
	Datum  values[lengthof(types)];
	Datum *ids = palloc(sizeof(Datum) * Max(1, n));
	Datum *keys = palloc(sizeof(Datum) * Max(1, n));
	Datum *hashes = palloc(sizeof(Datum) * Max(1, n));
	Datum *accepted = palloc(sizeof(Datum) * Max(1, n));
	bool  *undecided = palloc(sizeof(bool) * Max(1, n));
	Datum *messages = palloc(sizeof(Datum) * Max(1, n));
	int	   lower = 1;

	for (int i = 0; i < n; i++)
	{
		bool refused = is_refused(drain, &rows[i]);

		ids[i] = Int64GetDatum(rows[i].row_id);
		keys[i] = CStringGetTextDatum(key_text(rows[i].key, drain->nkeys));
		hashes[i] = Int64GetDatum(hash_of_key(rows[i].key, drain->nkeys));
		accepted[i] = BoolGetDatum(!refused);
		undecided[i] = !refused && drain->mode == ACK_MANUAL;
		messages[i] = CStringGetTextDatum(refused ? rows[i].reason : "");
	}
	values[0] = Int64GetDatum(drain->sync->sync_id);
	values[1] = Int64GetDatum(drain->answer_id);
	values[2] = PointerGetDatum(construct_array(ids, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[3] = PointerGetDatum(construct_array(keys, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[4] =
		PointerGetDatum(construct_array(hashes, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[5] = PointerGetDatum(
		construct_md_array(accepted, undecided, 1, &n, &lower, BOOLOID, 1, true, TYPALIGN_CHAR));
	values[6] = PointerGetDatum(construct_array(messages, n, TEXTOID, -1, false, TYPALIGN_INT));
	private_execute("INSERT INTO makini._owed"
					" (sync_id, answer_id, row_id, key, key_hash, accepted, message)"
					" SELECT $1, $2, u.row_id, u.key::text[], u.key_hash, u.accepted, u.message"
					" FROM unnest($3, $4, $5, $6, $7) AS u(row_id, key, key_hash, accepted, message)",
					lengthof(types), types, values, NULL);
}

/* ---------------------------------------------------------------------
 * Reading what is to be sent
 * ---------------------------------------------------------------------
 */

/*
 * Is there anything to send?  And may acknowledgements have to wait for others,
 * or be taken care of by others?
 */
static void
look_for_owed(void *arg)
{
	Chunk		*chunk = arg;
	MakiniRights saved;
	Oid			 types[1] = {INT8OID};
	Datum		 values[1] = {Int64GetDatum(chunk->drain->sync->sync_id)};

	chunk->some =
		about_id("SELECT FROM makini._owed WHERE sync_id = $1 AND accepted IS NOT NULL LIMIT 1",
				 chunk->drain->sync->sync_id) > 0;
	if (!chunk->some)
		return;
	makini_rights_of_extension(&saved);
	SPI_connect();
	(void) private_query("SELECT FROM makini._owed WHERE sync_id = $1 OFFSET " MANY " LIMIT 1", 1,
						 types, values, NULL);

	/* nobody may have counted what has just landed: chunks would be looked for in all of it */
	if (SPI_processed > 0)
		SPI_execute("ANALYZE makini._owed (key_hash, row_id, sync_id, answer_id)", false, 0);
	(void) private_query("SELECT FROM makini._owed o JOIN makini._drain_answer a USING (answer_id)"
						 " WHERE o.sync_id = $1 AND NOT o.decided"
						 " AND (o.accepted IS NULL OR a.landed_at IS NULL) LIMIT 1",
						 1, types, values, NULL);
	chunk->blocked = SPI_processed > 0;
	SPI_finish();
	makini_rights_restore(&saved);
}

static void
take_row(Chunk *chunk, uint64 row)
{
	Acknowledgement *acknowledgement = &chunk->acknowledgements[row];
	ArrayType		*array;
	Datum			*keys;
	bool			*nulls;
	const char	   **texts;
	int				 n;
	bool			 isnull;

	chunk->row_ids[row] = private_int64(row, 1, 0);
	array = DatumGetArrayTypeP(private_value(row, 2, &isnull));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &keys, &nulls, &n);
	texts = MemoryContextAllocZero(chunk->cxt, sizeof(char *) * Max(n, chunk->drain->nkeys));
	for (int i = 0; i < n; i++)
		texts[i] = nulls[i] ? NULL : MemoryContextStrdup(chunk->cxt, TextDatumGetCString(keys[i]));
	acknowledgement->key = texts;
	acknowledgement->accepted = private_bool(row, 3);
	acknowledgement->message =
		MemoryContextStrdup(chunk->cxt, TextDatumGetCString(private_value(row, 4, &isnull)));
	chunk->after = private_int64(row, 5, 0);
}

/*
 * From the reading of the first chunk until it is known what became of all of
 * them nobody may take back what they say.
 */
static void
note_acknowledging(const Chunk *chunk, bool on_its_way)
{
	(void) about_id(on_its_way ?
						"UPDATE makini._sync SET acknowledging = true WHERE sync_id = $1 AND NOT acknowledging" :
						"UPDATE makini._sync SET acknowledging = false WHERE sync_id = $1",
					chunk->drain->sync->sync_id);
}

/*
 * All rows of a key say the same to the other side: it is refused where one of
 * them is.  The last key's rows all come along.
 */
static void
read_chunk(void *arg)
{
	Chunk		*chunk = arg;
	MakiniRights saved;
	Oid			 types[] = {INT8OID, INT8OID, BOOLOID, INT8OID};
	Datum		 values[lengthof(types)];

	values[0] = Int64GetDatum(chunk->drain->sync->sync_id);
	values[1] = Int64GetDatum(chunk->after);
	values[2] = BoolGetDatum(chunk->blocked);
	values[3] = Int64GetDatum(chunk->answer);
	note_acknowledging(chunk, true);
	makini_rights_of_extension(&saved);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) private_query("SELECT row_id, key, bool_and(accepted) OVER same,"
						 " coalesce(min(message) FILTER (WHERE NOT accepted) OVER same, ''), key_hash"
						 " FROM (SELECT o.* FROM makini._owed o JOIN makini._drain_answer a USING (answer_id)"
						 "  WHERE o.sync_id = $1 AND o.key_hash > $2 AND o.accepted IS NOT NULL"
						 "  AND (a.landed_at IS NOT NULL OR o.decided) AND $4 IN (0, o.answer_id)"
						 "  AND NOT ($3 AND EXISTS (SELECT FROM makini._owed u JOIN makini._drain_answer b USING (answer_id)"
						 "   WHERE u.sync_id = o.sync_id AND u.key_hash = o.key_hash AND u.key = o.key AND NOT u.decided"
						 "   AND CASE WHEN b.landed_at IS NOT NULL THEN u.accepted IS NULL ELSE u.answer_id > o.answer_id END))"
						 "  ORDER BY o.key_hash FETCH FIRST " CHUNK " ROWS WITH TIES) AS o"
						 " WINDOW same AS (PARTITION BY key_hash, key) ORDER BY key_hash",
						 lengthof(types), types, values, NULL);
	chunk->n = (int) SPI_processed;
	chunk->row_ids = MemoryContextAlloc(chunk->cxt, sizeof(int64) * Max(1, chunk->n));
	chunk->acknowledgements =
		MemoryContextAllocZero(chunk->cxt, sizeof(Acknowledgement) * Max(1, chunk->n));
	for (int i = 0; i < chunk->n; i++)
		take_row(chunk, i);
	PopActiveSnapshot();
	SPI_finish();
	makini_rights_restore(&saved);
	if (chunk->n == 0)
		note_acknowledging(chunk, false);
}

/* ---------------------------------------------------------------------
 * Sending
 * ---------------------------------------------------------------------
 */

static void
send_chunk(void *arg)
{
	Chunk		 *chunk = arg;
	Drain		 *drain = chunk->drain;
	List		 *list = NIL;
	MemoryContext old = MemoryContextSwitchTo(chunk->cxt);

	for (int i = 0; i < chunk->n; i++)
		list = lappend(list, &chunk->acknowledgements[i]);
	drain->conn->connector->acknowledge(drain->conn, drain->entity, list);
	MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------------
 * Striking off
 * ---------------------------------------------------------------------
 */

static Datum
ids_datum(const Chunk *chunk, bool (*wanted)(const Acknowledgement *), int *n)
{
	Datum *ids = palloc(sizeof(Datum) * Max(1, chunk->n));

	*n = 0;
	for (int i = 0; i < chunk->n; i++)
	{
		if (wanted(&chunk->acknowledgements[i]))
			ids[(*n)++] = Int64GetDatum(chunk->row_ids[i]);
	}
	return PointerGetDatum(construct_array(ids, *n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static bool
was_accepted(const Acknowledgement *acknowledgement)
{
	return acknowledgement->done && acknowledgement->accepted;
}

static bool
was_refused(const Acknowledgement *acknowledgement)
{
	return acknowledgement->done && !acknowledgement->accepted;
}

/* Neither taken nor refused by itself: the request never got that far. */
static bool
was_left(const Acknowledgement *acknowledgement)
{
	return !acknowledgement->done && acknowledgement->error == NULL;
}

/* Note in the tables what became of rows, and of their children. */
static void
mark_rows(const Drain *drain, Datum row_ids, const char *word)
{
	Oid	  types[2] = {TEXTOID, INT8ARRAYOID};
	Datum values[2] = {CStringGetTextDatum(word), row_ids};

	for (int i = 0; i < drain->ntargets; i++)
	{
		DrainTarget *target = &drain->targets[i];
		TargetRights saved;

		drain_target_hold(target);
		rights_of_target(target->owner, &saved);
		SPI_connect();
		SPI_execute_with_args(psprintf("UPDATE %s SET _ack = $1 WHERE %s = ANY ($2)", target->name,
									   target->child ? "_parent_row_id" : "_row_id"),
							  2, types, values, NULL, false, 0);
		SPI_finish();
		rights_of_target_restore(&saved);
	}
}

/*
 * With these rows, those that were owed an acknowledgement by the same key
 * before.  Written so that it can't but use the indexes, whatever is known of
 * the table.
 */
static Datum
with_earlier(const Chunk *chunk, Datum row_ids)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext old;
	MakiniRights  saved;
	Oid			  types[2] = {INT8OID, INT8ARRAYOID};
	Datum		  values[2] = {Int64GetDatum(chunk->drain->sync->sync_id), row_ids};
	bool		  isnull;
	Datum		  ids;

	makini_rights_of_extension(&saved);
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	SPI_connect();
	(void) private_query("SELECT array_agg(DISTINCT e.row_id) FROM unnest($2) AS u(row_id)"
						 " CROSS JOIN LATERAL (SELECT o.key_hash, o.key, o.answer_id FROM makini._owed o"
						 "  WHERE o.sync_id = $1 AND o.row_id = u.row_id OFFSET 0) AS t"
						 " CROSS JOIN LATERAL (SELECT o.row_id FROM makini._owed o"
						 "  WHERE o.sync_id = $1 AND o.key_hash = t.key_hash AND o.key = t.key"
						 "  AND o.answer_id <= t.answer_id OFFSET 0) AS e",
						 2, types, values, NULL);
	ids = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	old = MemoryContextSwitchTo(caller);
	ids = isnull ? row_ids : PointerGetDatum(DatumGetArrayTypePCopy(ids));
	MemoryContextSwitchTo(old);
	SPI_finish();
	makini_rights_restore(&saved);
	return ids;
}

/*
 * What the other side has taken is owed no longer, and with it all that was
 * owed by the same key before.
 */
static void
strike_done(const Chunk *chunk, bool (*wanted)(const Acknowledgement *), const char *word)
{
	Oid	  types[2] = {INT8OID, INT8ARRAYOID};
	Datum values[2];
	int	  n;

	values[0] = Int64GetDatum(chunk->drain->sync->sync_id);
	values[1] = ids_datum(chunk, wanted, &n);
	if (n == 0)
		return;
	if (chunk->blocked)
		values[1] = with_earlier(chunk, values[1]);
	private_execute("DELETE FROM makini._owed WHERE sync_id = $1 AND row_id = ANY ($2)",
					lengthof(types), types, values, NULL);
	mark_rows(chunk->drain, values[1], word);
}

static void
note_error(const Chunk *chunk, Datum row_ids, const char *error)
{
	Oid	  types[3] = {INT8OID, INT8ARRAYOID, TEXTOID};
	Datum values[3];

	values[0] = Int64GetDatum(chunk->drain->sync->sync_id);
	values[1] = row_ids;
	values[2] = CStringGetTextDatum(error);
	private_execute("UPDATE makini._owed SET attempts = attempts + 1, last_error = $3"
					" WHERE sync_id = $1 AND row_id = ANY ($2)",
					lengthof(types), types, values, NULL);
}

/* What was refused by itself, and what the error that ended the chunk left over. */
static void
strike_off(void *arg)
{
	Chunk *chunk = arg;
	int	   n;

	strike_done(chunk, was_accepted, "done");
	strike_done(chunk, was_refused, "refused");
	for (int i = 0; i < chunk->n; i++)
	{
		Datum id = Int64GetDatum(chunk->row_ids[i]);

		if (chunk->acknowledgements[i].error != NULL)
			note_error(chunk,
					   PointerGetDatum(
						   construct_array(&id, 1, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
					   chunk->acknowledgements[i].error);
	}
	if (chunk->error != NULL)
		note_error(chunk, ids_datum(chunk, was_left, &n), chunk->error->message);
	account_save(chunk->drain->run->run_id, chunk->drain->run->load, &chunk->drain->run->counters,
				 &chunk->drain->run->usage);
}

/* Read, send and strike off one chunk; NULL when it went well. */
static ErrorData *
send_some(Chunk *chunk)
{
	ErrorData *error = run_attempt(read_chunk, chunk);
	ErrorData *trouble;

	run_commit();
	if (error != NULL || chunk->n == 0)
		return error;
	InvalidateCatalogSnapshot();
	progress_wait(true);
	error = run_attempt(send_chunk, chunk);
	progress_wait(false);
	chunk->error = error;
	trouble = run_attempt(strike_off, chunk);
	run_commit();
	return error != NULL ? error : trouble;
}

ErrorData *
owed_send(Drain *drain, int64 answer_id)
{
	Chunk	   chunk = {.drain = drain, .after = PG_INT64_MIN, .answer = answer_id};
	ErrorData *error;

	if (drain->nkeys == 0)
		return NULL;
	progress_phase(PHASE_ACKNOWLEDGING);
	chunk.cxt = AllocSetContextCreate(CurrentMemoryContext, "makini acknowledgements",
									  ALLOCSET_DEFAULT_SIZES);
	error = run_attempt(look_for_owed, &chunk);
	run_commit();
	while (error == NULL && chunk.some)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(chunk.cxt);
		chunk.n = 0;
		error = send_some(&chunk);
		chunk.some = chunk.n > 0;
	}
	MemoryContextDelete(chunk.cxt);
	return error;
}

/* ---------------------------------------------------------------------
 * Deciding by hand
 * ---------------------------------------------------------------------
 */

/*
 * May other answers be on their way to the other side, where they are final?
 * Until this transaction ends none is sent then.
 */
static bool
is_too_late(int64 sync_id, Datum row_ids, bool accepted)
{
	Oid	  types[] = {INT8OID, INT8ARRAYOID, BOOLOID};
	Datum values[] = {Int64GetDatum(sync_id), row_ids, BoolGetDatum(accepted)};

	if (private_execute("SELECT FROM makini._owed WHERE sync_id = $1 AND row_id = ANY ($2)"
						" AND accepted = NOT $3 LIMIT 1",
						lengthof(types), types, values, NULL) == 0)
		return true;
	return private_number("SELECT acknowledging::int::bigint FROM makini._sync WHERE sync_id = $1"
						  " FOR NO KEY UPDATE",
						  1, types, values, NULL, 0) != 0;
}

/*
 * The rows of the list get an answer, those that have another one only where
 * that can't have been sent.  Rows of an answer that broke off are sent only
 * when somebody says so.
 */
static Datum
decide(int64 sync_id, Datum row_ids, bool accepted, Datum message, int64 *n)
{
	MakiniRights  saved;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext old;
	Oid			  types[] = {INT8OID, INT8ARRAYOID, BOOLOID, TEXTOID, BOOLOID};
	Datum		  values[] = {Int64GetDatum(sync_id), row_ids, BoolGetDatum(accepted), message,
							  BoolGetDatum(is_too_late(sync_id, row_ids, accepted))};
	Datum		  ids = (Datum) 0;
	bool		  isnull;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("WITH decided AS (UPDATE makini._owed AS o SET accepted = $3, decided = true,"
						  "  message = CASE WHEN o.accepted = $3 AND o.decided THEN o.message ELSE $4 END,"
						  "  last_error = NULL FROM makini._drain_answer AS a"
						  "  WHERE o.sync_id = $1 AND o.row_id = ANY ($2) AND a.answer_id = o.answer_id"
						  "  AND (o.accepted IS NULL OR o.accepted = $3 OR NOT $5"
						  "   OR (NOT o.decided AND a.torn_at IS NOT NULL)) RETURNING o.row_id)"
						  " SELECT count(*), array_agg(row_id) FROM decided",
						  lengthof(types), types, values, NULL, false, 0);
	*n = private_int64(0, 1, 0);
	if (*n > 0)
	{
		Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);

		old = MemoryContextSwitchTo(caller);
		ids = PointerGetDatum(DatumGetArrayTypePCopy(value));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	makini_rights_restore(&saved);
	return ids;
}

/* What keeps another answer than the one that was asked for. */
static void
warn_of_decided(int64 sync_id, Datum row_ids, bool accepted)
{
	Oid	   types[] = {INT8OID, INT8ARRAYOID, BOOLOID};
	Datum  values[] = {Int64GetDatum(sync_id), row_ids, BoolGetDatum(accepted)};
	uint64 n = private_execute("SELECT FROM makini._owed WHERE sync_id = $1 AND row_id = ANY ($2)"
							   " AND accepted = NOT $3",
							   lengthof(types), types, values, NULL);

	if (n > 0)
		ereport(WARNING,
				(errmsg_plural("%llu row was decided about otherwise before",
							   "%llu rows were decided about otherwise before", n,
							   (unsigned long long) n),
				 errdetail("That may have reached the other side, where it is final."),
				 errhint("When the drain has run, makini.owed_acknowledgement says what is still open.")));
}

/* With the rights of who owns the tables now, if the drain's owner still may act as that. */
static void
mark_decided(const Sync *sync, Datum row_ids)
{
	List	 *targets = drain_target_ids(sync->sync_id);
	Oid		  types[1] = {INT8ARRAYOID};
	ListCell *lc;

	foreach(lc, targets)
	{
		Relation	 rel = try_relation_open(lfirst_oid(lc), RowExclusiveLock);
		TargetRights saved;

		if (rel == NULL)
			continue;
		target_check_rights(rel, sync->owner);
		rights_of_target(rel->rd_rel->relowner, &saved);
		SPI_connect();
		SPI_execute_with_args(psprintf("UPDATE %s SET _ack = 'owed' WHERE %s = ANY ($1)",
									   target_qualified_name(rel),
									   lc == list_head(targets) ? "_row_id" : "_parent_row_id"),
							  1, types, &row_ids, NULL, false, 0);
		SPI_finish();
		rights_of_target_restore(&saved);
		relation_close(rel, NoLock);
	}
}

/* A drain that the caller is the owner of. */
static Sync *
owned_drain(int64 sync_id)
{
	Sync *sync = control_owned_sync(sync_id);

	if (sync->mode != SYNC_DRAIN)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("sync " INT64_FORMAT " is not a drain", sync_id),
				 errdetail("Only feeds are acknowledged.")));
	return sync;
}

/* A drain with a schedule sends at once what has been decided. */
static void
run_soon(int64 sync_id)
{
	if (about_id("UPDATE makini._sync SET next_run_at = now()"
				 " WHERE sync_id = $1 AND enabled AND schedule IS NOT NULL",
				 sync_id) > 0)
		worker_wake_at_commit();
}

/*
 * makini_acknowledge
 *		makini.acknowledge(sync_id, row_ids, accepted, message)
 */
Datum
makini_acknowledge(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"sync_id", "row_ids", "accepted", "message"};
	Sync					*sync;
	Datum					 decided;
	int64					 n;

	for (int i = 0; i < lengthof(names); i++)
		argument_refuse_null(fcinfo, i, names[i]);
	sync = owned_drain(PG_GETARG_INT64(0));
	decided = decide(sync->sync_id, PG_GETARG_DATUM(1), PG_GETARG_BOOL(2), PG_GETARG_DATUM(3), &n);
	warn_of_decided(sync->sync_id, PG_GETARG_DATUM(1), PG_GETARG_BOOL(2));
	if (n > 0)
	{
		mark_decided(sync, decided);
		run_soon(sync->sync_id);
	}
	PG_RETURN_INT64(n);
}

/*
 * makini_resolve_drain
 *		makini.resolve_drain(sync_id, note)
 */
Datum
makini_resolve_drain(PG_FUNCTION_ARGS)
{
	Oid	  types[2] = {INT8OID, TEXTOID};
	Datum values[2];

	argument_refuse_null(fcinfo, 0, "sync_id");
	argument_refuse_null(fcinfo, 1, "note");
	values[0] = Int64GetDatum(owned_drain(PG_GETARG_INT64(0))->sync_id);
	values[1] = PG_GETARG_DATUM(1);
	PG_RETURN_INT64((int64) private_execute("UPDATE makini._drain_answer SET resolution = $2,"
											" resolved_at = clock_timestamp() WHERE sync_id = $1"
											" AND torn_at IS NOT NULL AND resolved_at IS NULL",
											lengthof(types), types, values, NULL));
}
