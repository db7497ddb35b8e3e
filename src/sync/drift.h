/*-------------------------------------------------------------------------
 *
 * drift.h
 *		Columns that come and go at a source while it is being synced, and
 *		rows that are fetched once more by their keys.
 *
 * drift.c looks at the columns, refresh.c and look.c do so on demand; refetch.c asks
 * for single rows; verify.c and rejected.c use it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_DRIFT_H
#define MAKINI_DRIFT_H

#include "postgres.h"

#include "sync/sync.h"

/* ---- drift.c ---- */

/*
 * drift_reconcile
 *		At the start of a run, before target_open(): which of the source's selected
 *		columns can be written.  One that the target lacks, or has in a type that
 *		its values can't be assigned to, goes as on_schema_change says: it is added
 *		(as the target's owner), marked extra and put behind the others, or taken off
 *		source->selected; once for each, a schema.changed is raised.  Writes, and may lock the target for
 *		a moment: call it in a transaction that is committed before anything is
 *		fetched.
 */
extern void drift_reconcile(const Sync *sync, SyncSource *source);

/*
 * drift_narrow
 *		The same without a change of anything, or a word about it: what the target
 *		can't take is taken off the selected columns.
 */
extern void drift_narrow(const Sync *sync, SyncSource *source);

/*
 * drift_left_out
 *		Is this error about one of the selected columns, that the source does not
 *		know (any more)?  Where it names none, the source is asked with conn (or
 *		NULL) which of them it refuses.  Then it is put on the sync's left_out (in its row and in
 *		*sync, which must live in CurrentMemoryContext), schema.changed is raised,
 *		and true says: source_open() once more, and go on.  What the target has of
 *		it stays.  False for a column that the sync can't do without (key, cursor)
 *		and for any other error.  Call it after what failed was undone.
 */
extern bool drift_left_out(Sync *sync, const SyncSource *source, Connection *conn,
						   const ErrorData *error);

/*
 * drift_try_again
 *		Forget which columns were left out, so that they are asked for once more;
 *		for the start of a full pass, before source_open().
 */
extern void drift_try_again(Sync *sync);

/*
 * drift_come_back
 *		At the end of a full pass: columns that were gone and have been read again
 *		are told of.
 */
extern void drift_come_back(const Sync *sync, const SyncSource *source);

/* Note a change of a sync's column that is to be told once; false: it was noted before. */
extern bool drift_note(int64 sync_id, const char *column, const char *change);

/* drift_take_back: the same for one column that is there again; false: it was not left out. */
extern bool drift_take_back(Sync *sync, const char *column);

/* ---- refetch.c ---- */

/*
 * refetch_apply
 *		Fetch the rows of a sync with these keys and write them; keys is a List of
 *		char ** (canonical texts, NULL for NULL, in the order of the source's key).
 *		Returns the keys that the source does not have; deletes: those are deleted
 *		from the target, as the sync says, unless they were written meanwhile.  All
 *		is fetched before the first lock is taken on the target; nothing is
 *		committed.
 */
extern List *refetch_apply(Sync *sync, SyncSource *source, List *keys, bool deletes,
						   Counters *counters);

/* ---- verify.c ---- */

/* A check begins and ends; what lies between is compare_verify's. */
extern int64 verify_open(int64 sync_id);
extern void	 verify_close(int64 check_id);

/* The check begins anew: what it has found so far is void. */
extern void verify_forget(int64 check_id);

/* ---- rejected.c ---- */

/* Rows of a sync rejected since a time and not settled. */
extern int64 rejects_open(int64 sync_id, TimestampTz since);

#endif /* MAKINI_DRIFT_H */
