/*-------------------------------------------------------------------------
 *
 * control.h
 *		What control.c and alter.c share about syncs that exist.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_CONTROL_H
#define MAKINI_CONTROL_H

#include "postgres.h"

#include "sync/sync.h"

/* A sync that the caller may see and is the owner of; raises where not. */
extern Sync *control_owned_sync(int64 sync_id);

/* Keep runs of a sync away until the transaction ends; raises 55006 where one goes on. */
extern void control_keep_idle(const Sync *sync);

typedef enum ResetWay
{
	RESET_RECONCILE, /* what the source does not have is deleted by the next run */
	RESET_TRUNCATE,	 /* the target is emptied now */
	RESET_KEEP		 /* what is in the target stays */
} ResetWay;

/* Forget how far a sync has come; the caller has kept runs away. */
extern void control_begin_anew(Sync *sync, ResetWay way);

#endif /* MAKINI_CONTROL_H */
