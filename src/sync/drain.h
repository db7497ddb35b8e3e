/*-------------------------------------------------------------------------
 *
 * drain.h
 *		Drains: feeds that consume what they hand out.
 *
 * A run of a drain sends what it still owes, notes that it is going to ask,
 * asks, lands the rows as they come together with the acknowledgements they
 * are owed, and sends these once the whole answer has landed.
 *
 *	create_drain.c	makini.create_drain
 *	drain_target.c	a drain as it stands, and the tables it fills
 *	drain.c			a run from beginning to end, and what breaks off in it
 *	land.c			rows of a feed into its tables
 *	retry_drain.c	rows that were rejected, once more
 *	digest.c		rows that came before
 *	owed.c			acknowledgements
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_DRAIN_H
#define MAKINI_DRAIN_H

#include "postgres.h"

#include "utils/array.h"

#include "sync/run.h"

/* How rows get acknowledged. */
typedef enum AckMode
{
	ACK_LANDED, /* by having landed */
	ACK_MANUAL, /* by makini.acknowledge() */
	ACK_NEVER	/* not at all, or the feed takes none */
} AckMode;

/* One of the tables that a drain fills. */
typedef struct DrainTarget
{
	const Entity *entity;
	int64		  sync_id;
	Oid			  relid;
	Oid			  owner;
	Oid			  role;	   /* the drain's owner, who must be able to act as that */
	char		 *name;	   /* quoted and qualified */
	bool		  child;   /* has _parent_row_id */
	char		**columns; /* by column of the entity: of the table, NULL where it lacks it */
	Oid			 *types;   /* of the values: base types */
	Decoder		 *decoder;
} DrainTarget;

typedef struct Drain
{
	Run			 *run;
	Sync		 *sync;
	Connection	 *conn;
	const Entity *entity;
	AckMode		  mode;
	bool		  refuse_rejected;
	bool		  redelivers;
	int			  nkeys; /* columns that an acknowledgement names */
	int			 *keys;	 /* of the entity */
	int			  ntargets;
	DrainTarget	 *targets;	 /* the feed's own first */
	int64		  answer_id; /* being landed */
} Drain;

/*
 * drain_run
 *		Run a drain.  NULL when it went well, else why it did not.  To be called
 *		with nothing written and outside of subtransactions: it commits as it
 *		goes, and saves the account with each batch.
 */
extern ErrorData *drain_run(Run *run);

/* ---- drain_target.c ---- */

/*
 * drain_open
 *		A drain as it stands.  Raises what is wrong with it: nothing has been
 *		handed out yet.  Lives in CurrentMemoryContext.
 */
extern Drain *drain_open(Run *run);

/*
 * drain_target_hold
 *		For the rest of the transaction: keep a table from being dropped or renamed,
 *		and take its name and owner as they are now, which may not be those it had
 *		when the run began.  Raises 42501 where the drain's owner may not act as that.
 */
extern void drain_target_hold(DrainTarget *target);

/* The tables that a feed is landed in: itself, then its children; of const Entity *. */
extern List *drain_entities(const Connector *connector, const Entity *entity);

/* The local name of an entity's column; source: the entity's foreign table, or NULL. */
extern char *drain_column_name(const Table *source, const EntityColumn *column);

/* The tables that a drain fills, the feed's own first; OIDs. */
extern List *drain_target_ids(int64 sync_id);

/* Raise what a table lacks that rows are to be landed in. */
extern void drain_check_target(Relation rel, bool child, Oid role);

/* ---- land.c ---- */

/*
 * land_batch
 *		Land the rows of a batch.  A row that can't be written is rejected, the
 *		others are written.
 */
extern void land_batch(Drain *drain, FeedBatch *batch);

/*
 * land_again
 *		Land a row that was rejected, by the id it was given then; ack is what
 *		has become of its acknowledgement.  NULL when it went well, else the
 *		reason.
 */
extern const char *land_again(Drain *drain, FeedBatch *batch, int64 row_id, const char *ack);

/* ---- retry_drain.c ---- */

/*
 * drain_retry
 *		Land rejected rows of a drain (all, or those with these ids) once more, as
 *		they were sent; gives how many are settled.
 */
extern int64 drain_retry(Sync *sync, ArrayType *ids);

/* ---- digest.c ---- */

typedef struct Digests Digests;

/*
 * digests_find
 *		Which rows came before: duplicates[i] is the row that it was landed as
 *		first, 0 where it is new.
 */
extern Digests *digests_find(const Drain *drain, const Cell *essence, int n, const int64 *row_ids,
							 int64 *duplicates);

/* digests_keep: remember the rows that were landed. */
extern void digests_keep(const Drain *drain, Digests *digests, const bool *landed);

/* ---- owed.c ---- */

/* An acknowledgement to be owed. */
typedef struct OwedRow
{
	int64		row_id;
	char	  **key;	/* texts, NULL for NULL */
	const char *reason; /* why it could not be written; NULL: it was */
} OwedRow;

extern void owed_insert(const Drain *drain, const OwedRow *rows, int n);

/*
 * owed_send
 *		Send what is owed for complete answers (or one of them, unless 0), in
 *		chunks; commits as it goes.  NULL when it went well.
 */
extern ErrorData *owed_send(Drain *drain, int64 answer_id);

#endif /* MAKINI_DRAIN_H */
