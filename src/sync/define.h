/*-------------------------------------------------------------------------
 *
 * define.h
 *		What people say about a sync, before it is one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_DEFINE_H
#define MAKINI_DEFINE_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "sync/sync.h"

/* The arguments of create_sync, and what follows from them. */
typedef struct Definition
{
	int64		sync_id; /* 0: not yet one */
	Oid			source;
	char	   *target;			/* as given */
	char	   *schedule;		/* or NULL: manual */
	char	   *initial_window; /* auto, all or an interval */
	char	   *mode;
	char	   *deletes;
	Interval   *lookback;
	char	   *initial_filter; /* or NULL */
	List	   *columns;		/* of char *, NIL: all */
	char	   *filter;			/* or NULL */
	List	   *key;			/* of char *, NIL: the source's, or none */
	Jsonb	   *constants;
	Jsonb	   *options;
	TimestampTz history_from; /* 0: everything */

	/* found out about them */
	SyncSource *opened;
	char	   *source_name; /* quoted and qualified */
	char	   *target_name;
	Oid			target_oid;
} Definition;

/*
 * define_check_arguments
 *		All that can be said without looking at source and target.
 */
extern void define_check_arguments(const Definition *definition);

/* define_check_schedule: an interval, a cron text, or NULL. */
extern void define_check_schedule(const char *schedule);

/* define_open_source: look at the source, with the caller's rights. */
extern void define_open_source(Definition *definition);

/* define_history: where history begins, as initial_window says, counted from now. */
extern TimestampTz define_history(const Definition *definition);

/*
 * define_prepare_target
 *		Make or check the target, and make sure that no other sync writes the
 *		same rows.
 */
extern void define_prepare_target(Definition *definition);

/* define_has_cursor: can it be told which rows of the source have changed? */
extern bool define_has_cursor(const Definition *definition);

/* define_target_name: the canonical form of a target's name. */
extern char *define_target_name(const char *target);

/* define_texts: a text[] as a List of char *; raises where there is none, or a NULL. */
extern List *define_texts(ArrayType *array, const char *argument);
extern void	 define_check_names(List *names, const char *argument);

/* ---- store_sync.c: rows of makini._sync ---- */

extern int64	   definition_insert(const Definition *definition);
extern Definition *definition_load(int64 sync_id);
extern void		   definition_update(const Definition *definition);

/* ---- create.c ---- */

/* sync_create: what makini.create_sync does. */
extern int64 sync_create(Definition *definition);

/* ---- visible.c ---- */

/* May the current user see what belongs to an owner and a server (InvalidOid: gone)? */
extern bool sync_is_visible(Oid owner, Oid serverid);

/* Raise 42704 where the current user may not see a sync. */
extern void sync_check_visible(const Sync *sync);

#endif /* MAKINI_DEFINE_H */
