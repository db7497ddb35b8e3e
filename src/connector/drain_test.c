/*-------------------------------------------------------------------------
 *
 * drain_test.c
 *		Drains a feed and acknowledges it, for tests of connectors.  Built only
 *		where MAKINI_TEST is defined: what it drains it keeps nowhere.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef MAKINI_TEST

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "connector/connector.h"

PG_FUNCTION_INFO_V1(makini_test_drain);

typedef struct TestDrain
{
	Connection		*conn;
	const Connector *connector;
	const Entity	*entity;
	ReturnSetInfo	*result;
	const char		*answer; /* accept, refuse, or none */
	bool			 keep;	 /* give the rows, not just their number */
	List			*acknowledgements;
	int64			 rows;
	int64			 children;
} TestDrain;

static Datum
cells_datum(const FeedPart *part, int row)
{
	Datum *values = palloc(sizeof(Datum) * part->entity->ncolumns);
	bool  *nulls = palloc(sizeof(bool) * part->entity->ncolumns);
	int	   dims = part->entity->ncolumns;
	int	   lower = 1;

	for (int i = 0; i < dims; i++)
	{
		const Cell *cell = &part->page.cells[(size_t) row * part->page.ncolumns + i];

		nulls[i] = cell->text == NULL;
		values[i] =
			nulls[i] ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(cell->text, cell->len));
	}
	return PointerGetDatum(
		construct_md_array(values, nulls, 1, &dims, &lower, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
put_row(TestDrain *drain, const FeedBatch *batch, int at, int row)
{
	const FeedPart *part = &batch->parts[at];
	Datum			values[4];
	bool			nulls[4] = {false, part->parents == NULL, false, at > 0};

	values[0] = CStringGetTextDatum(part->entity->name);
	values[1] = Int64GetDatum(nulls[1] ? 0 : drain->rows + part->parents[row]);
	values[2] = cells_datum(part, row);
	values[3] = nulls[3] ? (Datum) 0 :
						   PointerGetDatum(cstring_to_text_with_len(batch->raw.cells[row].text,
																	batch->raw.cells[row].len));
	tuplestore_putvalues(drain->result->setResult, drain->result->setDesc, values, nulls);
}

static void
add_acknowledgement(TestDrain *drain, const FeedPart *part, int row)
{
	Acknowledgement *acknowledgement = palloc0(sizeof(Acknowledgement));
	const char	   **key = palloc0(sizeof(char *) * part->entity->ncolumns);
	const char		*name = drain->connector->acknowledge_key(part->entity);

	for (int n = 0; name != NULL; n++)
	{
		size_t len = strcspn(name, ",");

		for (int i = 0; i < part->entity->ncolumns; i++)
		{
			const Cell *cell = &part->page.cells[(size_t) row * part->page.ncolumns + i];

			if (strlen(part->entity->columns[i].name) == len &&
				strncmp(part->entity->columns[i].name, name, len) == 0)
				key[n] = cell->text == NULL ? NULL : pnstrdup(cell->text, cell->len);
		}
		name = name[len] == ',' ? name + len + 1 : NULL;
	}
	acknowledgement->key = key;
	acknowledgement->accepted = strcmp(drain->answer, "accept") == 0;
	acknowledgement->message = "refused by a test";
	drain->acknowledgements = lappend(drain->acknowledgements, acknowledgement);
}

static void
take_batch(TestDrain *drain, const FeedBatch *batch, MemoryContext scratch)
{
	for (int at = 0; at < batch->nparts; at++)
	{
		for (int row = 0; row < batch->parts[at].page.nrows; row++)
		{
			MemoryContext old = MemoryContextSwitchTo(scratch);

			if (drain->keep)
				put_row(drain, batch, at, row);
			MemoryContextSwitchTo(old);
			MemoryContextReset(scratch);
			if (at == 0 && strcmp(drain->answer, "none") != 0)
				add_acknowledgement(drain, &batch->parts[at], row);
		}
		if (at > 0)
			drain->children += batch->parts[at].page.nrows;
	}
	drain->rows += batch->parts[0].page.nrows;
}

static void
put_totals(TestDrain *drain)
{
	int		  done = 0;
	int		  refused = 0;
	ListCell *lc;
	Datum	  values[4] = {0};
	bool	  nulls[4] = {false, true, false, true};

	foreach(lc, drain->acknowledgements)
	{
		Acknowledgement *acknowledgement = lfirst(lc);

		done += acknowledgement->done;
		refused += acknowledgement->error != NULL;
	}
	values[0] = CStringGetTextDatum(psprintf("rows " INT64_FORMAT " children " INT64_FORMAT
											 " acknowledged %d refused %d",
											 drain->rows, drain->children, done, refused));
	values[2] = PointerGetDatum(construct_empty_array(TEXTOID));
	tuplestore_putvalues(drain->result->setResult, drain->result->setDesc, values, nulls);
}

/*
 * makini_test_drain
 *		(server name, entity text, answer text, keep boolean): the rows of a feed
 *		and its children, at the end a row with totals.
 */
Datum
makini_test_drain(PG_FUNCTION_ARGS)
{
	ForeignServer *server = server_for_use(NameStr(*PG_GETARG_NAME(0)));
	TestDrain	   drain = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	MemoryContext  scratch =
		AllocSetContextCreate(CurrentMemoryContext, "makini test row", ALLOCSET_DEFAULT_SIZES);
	Feed	  *feed;
	FeedBatch *batch;

	drain.answer = text_to_cstring(PG_GETARG_TEXT_PP(2));
	drain.keep = PG_GETARG_BOOL(3);
	drain.connector = connector_of_server(server->serverid);
	drain.entity = connector_find_entity(drain.connector, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	drain.conn = connection_open(server->serverid, GetUserId(), REMOTE_USE_SYNC);
	InitMaterializedSRF(fcinfo, 0);
	feed = drain.connector->feed_open(drain.conn, drain.entity);
	while ((batch = drain.connector->feed_next(feed)) != NULL)
		take_batch(&drain, batch, scratch);
	drain.connector->feed_close(feed);
	drain.connector->acknowledge(drain.conn, drain.entity, drain.acknowledgements);
	put_totals(&drain);
	return (Datum) 0;
}

#endif /* MAKINI_TEST */
