/*-------------------------------------------------------------------------
 *
 * governor.h
 *		How many requests one remote account gets at once, and when.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_GOVERNOR_H
#define MAKINI_GOVERNOR_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "remote/remote.h"

/* A call's place with the governor.  All zero: none. */
typedef struct GovernorPlace
{
	uint64		key;   /* of the account; 0: not worked out yet */
	int			entry; /* counted from 1; 0: none */
	uint64		ticket;
	bool		held;
	TimestampTz since; /* held since */
} GovernorPlace;

/*
 * governor_acquire
 *		Ask for leave to send; true when it is given.  Otherwise *wait_ms says
 *		when to ask again at the latest, and shmem_wake_all() tells of it when
 *		it may be given earlier.  *backoff: the account as a whole waits.
 *		waiting: the process goes to sleep for the answer, so that it keeps
 *		its turn.
 */
extern bool governor_acquire(GovernorPlace *place, const RemoteEndpoint *endpoint, bool waiting,
							 long *wait_ms, bool *backoff);

/* To be called every few seconds while a slot is held, or it is given to others. */
extern void governor_keep(GovernorPlace *place);

/* The process no longer sleeps: others need not queue behind this place. */
extern void governor_absent(GovernorPlace *place);

/* Give the place back, held or not; raises nothing. */
extern void governor_release(GovernorPlace *place);

/* The other side took a request: it can bear what it got. */
extern void governor_succeeded(const GovernorPlace *place);

/*
 * governor_throttled
 *		The other side had too many requests: everybody slows down.  delay_ms
 *		is what it asked for, -1 for nothing.
 */
extern void governor_throttled(const GovernorPlace *place, int delay_ms);

/* The other side asked for a pause without complaining of the number. */
extern void governor_pause(const GovernorPlace *place, int delay_ms);

/* At the end of the process. */
extern void governor_forget_process(void);

#endif /* MAKINI_GOVERNOR_H */
