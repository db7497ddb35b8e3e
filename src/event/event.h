/*-------------------------------------------------------------------------
 *
 * event.h
 *		Raising an event: a row of the outbox, in the transaction of its cause.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_EVENT_H
#define MAKINI_EVENT_H

#include "postgres.h"

#include "utils/uuid.h"

typedef struct Event
{
	const char		*type;
	const pg_uuid_t *connection; /* or NULL */
	Oid				 owner;
	const char		*key;		 /* or NULL */
	const char		*dedupe_key; /* or NULL: one event only for each */
	const char		*data;		 /* JSON object */
} Event;

/*
 * event_raise
 *		Put an event into the outbox, with the rights of the extension.  It
 *		exists if, and only if, the transaction commits.  Returns its id; false in
 *		raised where one with this dedupe_key was there.
 */
extern pg_uuid_t event_raise(const Event *event, bool *raised);

#endif /* MAKINI_EVENT_H */
