/*-------------------------------------------------------------------------
 *
 * sender.h
 *		Sends webhooks: what whoever runs the process calls.
 *
 *	sender_begin();
 *	while (work is wanted)
 *	{
 *		sender_turn(how long it may wait at most);
 *		... whatever else the process does ...
 *	}
 *	sender_end();
 *
 * All of them are called outside a transaction; they have their own.  Several
 * processes may send for one database at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SENDER_H
#define MAKINI_SENDER_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Take up what senders before left behind.  Raises.  After an error that was
 * caught further up it need not be called again.
 */
extern void sender_begin(void);

/*
 * sender_turn
 *		Record what was answered, take new events and due deliveries, send them,
 *		and wait at most max_wait_ms (-1: as long as nothing is to do) for the
 *		next thing: an answer, the process's latch, a delivery that is due.  The
 *		latch is reset then.  Handles interrupts while it waits.  Errors of the
 *		database are logged and tried again later; nothing is lost by them.
 */
extern void sender_turn(long max_wait_ms);

/* There may be new events: the next turn looks for them, as after the latch was set. */
extern void sender_look(void);

/* Is nothing in flight and nothing to record?  Then the process may leave. */
extern bool sender_is_idle(void);

/* When something will be due without anybody's doing; DT_NOEND: nothing will. */
extern TimestampTz sender_next_due(void);

/* Record what was answered; what is in flight is given up and sent again by the next sender. */
extern void sender_end(void);

/* The same within a transaction, when an endpoint's filter does not end and the process ends for it: that endpoint is disabled. */
extern void sender_end_for(void *endpoint);

/*
 * sender_workers_look
 *		By the process that sends, after a turn: have more senders started where it
 *		has not been idle for a while.
 */
extern void sender_workers_look(bool idle);

/*
 * webhook_purge
 *		Delete what is kept of deliveries of events before makini.event_retention,
 *		at most limit of each kind, in the caller's transaction.  Returns how many
 *		went, of the kind of which most did.
 */
extern int64 webhook_purge(int limit);

#endif /* MAKINI_SENDER_H */
