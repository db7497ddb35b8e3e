/*-------------------------------------------------------------------------
 *
 * tombstone.c
 *		Deletes what the source says was deleted, and what a parent lost.
 *
 * Tombstones tell the numbers of deleted records of every type, and numbers of
 * one type may be in use as those of another.  So the source is asked once more
 * for those that the target has, and who is not there any more is deleted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "private.h"
#include "sync/run.h"

#define ASKED_AT_ONCE 1000
#define MAX_SEEN 200000

/* What is being found out; in memory of its own, over several transactions. */
struct Search
{
	MemoryContext cxt;
	const char	 *column;	  /* of the target */
	KeyKind		  kind;		  /* what the source is asked for */
	List		 *candidates; /* of char *: the target has them */
	List		 *asked;	  /* of them: in the present question */
	List		 *found;	  /* of those: the source has them still */
	Reader		 *reader;
	bool		  ended;
	bool		  denied;
};

static void
collect_texts(Search *search, const CellPage *page, List **list)
{
	MemoryContext old = MemoryContextSwitchTo(search->cxt);

	for (int row = 0; row < page->nrows; row++)
	{
		const Cell *cell = &page->cells[(size_t) row * page->ncolumns];

		if (cell->text != NULL)
			*list = lappend(*list, pnstrdup(cell->text, cell->len));
	}
	MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------------
 * What was deleted
 * ---------------------------------------------------------------------
 */

static void
open_deleted(Run *run)
{
	Search		 *search = run->search;
	MemoryContext old = MemoryContextSwitchTo(search->cxt);
	const Source *source =
		search->kind == KEYS_OF_PARENT ? run->source->parent : run->source->table->source;

	search->reader = run->conn->connector->open_deleted(run->conn, source,
														run->load->window_from - run->sync->lookback);
	MemoryContextSwitchTo(old);
}

static void
take_deleted(Run *run)
{
	Search		 *search = run->search;
	CellPage	 *page = run->conn->connector->next_page(search->reader);
	List		 *texts = NIL;
	MemoryContext old;

	search->ended = page == NULL;
	if (search->ended)
		return;
	collect_texts(search, page, &texts);
	texts = apply_existing(run->apply, search->column, texts);
	old = MemoryContextSwitchTo(search->cxt);
	for (int i = 0; i < list_length(texts); i++)
		search->candidates = lappend(search->candidates, pstrdup(list_nth(texts, i)));
	MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------------
 * What is there still
 * ---------------------------------------------------------------------
 */

static void
open_question(Run *run)
{
	Search		 *search = run->search;
	MemoryContext old = MemoryContextSwitchTo(search->cxt);

	search->asked = list_copy(search->candidates);
	if (list_length(search->asked) > ASKED_AT_ONCE)
		search->asked = list_truncate(search->asked, ASKED_AT_ONCE);
	search->candidates = list_copy_tail(search->candidates, list_length(search->asked));
	search->found = NIL;
	search->reader =
		run->conn->connector->open(run->conn, keys_query(run->source, search->kind, search->asked));
	MemoryContextSwitchTo(old);
}

static void
take_found(Run *run)
{
	Search	 *search = run->search;
	CellPage *page = run->conn->connector->next_page(search->reader);

	search->ended = page == NULL;
	if (!search->ended)
		collect_texts(search, page, &search->found);
}

static void
delete_gone(Run *run)
{
	Search	 *search = run->search;
	List	 *gone = NIL;
	ListCell *lc;

	foreach(lc, search->asked)
	{
		if (!in_names(search->found, lfirst(lc)))
			gone = lappend(gone, lfirst(lc));
	}
	if (gone == NIL)
		return;
	apply_delete(run->apply, search->column, gone);
	account_save(run->run_id, run->load, &run->counters, &run->usage);
}

/* ---------------------------------------------------------------------
 * The search
 * ---------------------------------------------------------------------
 */

static void
read_whole(Run *run, RunWork open, RunWork take)
{
	Search *search = run->search;
	run_steps(run, open);
	search->ended = false;
	while (!search->ended)
	{
		run_wait(run, search->reader);
		run_step(run, take);
	}
	run->conn->connector->close(search->reader);
	search->reader = NULL;
}

static void
note_denied(Run *run)
{
	Search *search = run->search;
	Oid		types[] = {INT8OID, BOOLOID};
	Datum	values[2];
	uint64	met;

	values[0] = Int64GetDatum(run->sync->sync_id);
	values[1] = BoolGetDatum(search->denied);
	met = private_execute("UPDATE makini._sync SET deletes_denied_at ="
						  " CASE WHEN $2 THEN coalesce(deletes_denied_at, pg_catalog.now()) END"
						  " WHERE sync_id = $1 AND (deletes_denied_at IS NULL) = $2",
						  lengthof(types), types, values, NULL);
	if (met == 1 && search->denied)
		ereport(WARNING,
				(errmsg("role of sync " INT64_FORMAT " may not see which records were deleted",
						run->sync->sync_id),
				 errhint("Grant it the permission Deleted Records; until then rows that are gone are found by full passes only.")));
}

/* A role that may not see tombstones can still read what there is. */
static void
find_candidates(Run *run)
{
	Search *search = run->search;
	PG_TRY();
	{
		read_whole(run, open_deleted, take_deleted);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(run->cxt);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
			PG_RE_THROW();
		FlushErrorState();
		search->denied = true;
	}
	PG_END_TRY();
	run_step(run, note_denied);
}

static const char *
key_column(const Run *run)
{
	SourceColumn *key = linitial(run->source->table->source->key);
	ListCell	 *lc;

	foreach(lc, run->source->selected)
	{
		SelectedColumn *selected = lfirst(lc);

		if (selected->remote == key)
			return selected->name;
	}
	return NULL;
}

static bool
has_tombstones(const Run *run)
{
	if (run->conn->connector->open_deleted == NULL || run->sync->deletes == DELETES_IGNORED)
		return false;
	if (run->source->parent != NULL)
		return true;
	return run->source->traits.deletes == DELETES_BY_TOMBSTONE &&
		list_length(run->source->table->source->key) == 1;
}

static void
begin_search(Run *run, Search *search, KeyKind kind, const char *column)
{
	progress_phase(PHASE_DELETING);
	memset(search, 0, sizeof(Search));
	search->kind = kind;
	search->column = column;
	search->cxt = AllocSetContextCreate(run->cxt, "makini tombstones", ALLOCSET_DEFAULT_SIZES);
	run->search = search;
}

static void
delete_candidates(Run *run)
{
	while (run->search->candidates != NIL)
	{
		read_whole(run, open_question, take_found);
		run_step(run, delete_gone);
	}
	MemoryContextDelete(run->search->cxt);
	run->search = NULL;
}

/*
 * run_tombstones
 *		Delete what was deleted at the source since the load's window began.
 */
void
run_tombstones(Run *run)
{
	Search search;

	if (!has_tombstones(run))
		return;
	if (run->source->parent != NULL)
		begin_search(run, &search, KEYS_OF_PARENT, run->source->parent_column_name);
	else
		begin_search(run, &search, KEYS_OF_ROWS, key_column(run));
	find_candidates(run);
	delete_candidates(run);
}

/* ---------------------------------------------------------------------
 * Parents without children
 * ---------------------------------------------------------------------
 */

static void
open_parents(Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->search->cxt);

	run->search->reader =
		run->conn->connector->open(run->conn, parents_query(run->source, run->changes_from));
	MemoryContextSwitchTo(old);
}

/* Parents whose children were read are not asked for again. */
static void
leave_out_seen(Run *run)
{
	List	 *rest = NIL;
	ListCell *lc;

	foreach(lc, run->search->candidates)
	{
		int64 key = strtoll(lfirst(lc), NULL, 10);

		if (run->parents_seen == NULL || hash_search(run->parents_seen, &key, HASH_FIND, NULL) == NULL)
			rest = lappend(rest, lfirst(lc));
	}
	run->search->candidates = rest;
}

/*
 * run_orphans
 *		Delete the children of parents that changed and have none left: among rows
 *		joined with their parents such a parent does not show.
 */
void
run_orphans(Run *run)
{
	Search		  search;
	MemoryContext old;

	if (run->source->parent == NULL || run->source->traits.full_every == NULL ||
		run->sync->deletes == DELETES_IGNORED || run->source->parent_key->kind != VALUE_INTEGER)
		return;
	begin_search(run, &search, KEYS_OF_CHILDREN, run->source->parent_column_name);
	read_whole(run, open_parents, take_deleted);
	old = MemoryContextSwitchTo(search.cxt);
	leave_out_seen(run);
	MemoryContextSwitchTo(old);
	delete_candidates(run);
}

/*
 * orphans_watch
 *		Note which parents the rows of a page belong to; as many as fit into a
 *		modest piece of memory, for the others can be asked for.
 */
void
orphans_watch(Run *run, const Rows *rows)
{
	int				at = selected_place(run->source, run->source->parent_column);
	SelectedColumn *selected = at < 0 ? NULL : list_nth(run->source->selected, at);

	if (selected == NULL || run->source->traits.full_every == NULL || selected->type != INT8OID)
		return;
	if (run->parents_seen == NULL)
	{
		HASHCTL info = {.keysize = sizeof(int64), .entrysize = sizeof(int64), .hcxt = run->cxt};

		run->parents_seen =
			hash_create("makini parents", 1024, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	for (int row = 0; row < rows->n && hash_get_num_entries(run->parents_seen) < MAX_SEEN; row++)
	{
		int64 key = DatumGetInt64(rows->values[(size_t) row * rows->ncolumns + at]);

		if (!rows->nulls[(size_t) row * rows->ncolumns + at])
			hash_search(run->parents_seen, &key, HASH_ENTER, NULL);
	}
}
