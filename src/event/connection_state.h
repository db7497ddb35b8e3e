/*-------------------------------------------------------------------------
 *
 * connection_state.h
 *		The states of servers and user mappings: kept, told, acted upon.
 *
 *	connection_step.c	what becomes of a state when something was learned
 *	connection_state.c	servers: health
 *	connection_auth.c	user mappings: authentication and certificates
 *	deprecation.c		what servers announced about the end of their interfaces
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_CONNECTION_STATE_H
#define MAKINI_CONNECTION_STATE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "event/event.h"
#include "remote/health.h"

/*
 * connection_state_turn
 *		For a scheduler, outside any transaction: write down what was learned
 *		since the last turn, with its events, and let those syncs run that need
 *		not wait any more.  Costs nothing where nothing was.  Returns when to
 *		come again though nothing happens.
 */
extern TimestampTz connection_state_turn(TimestampTz now);

/*
 * connection_state_look
 *		The same in a transaction, of one server or, with InvalidOid, of all.
 */
extern TimestampTz connection_state_look(Oid serverid, TimestampTz now);

/*
 * connection_state_note
 *		For a run, in a transaction: the same of its server where no scheduler
 *		does it.  Raises 55P03 where somebody is at it.
 */
extern void connection_state_note(Oid serverid);

/* ---- among the files above ---- */

/* A server, or a mapping on it, whose state is looked at. */
typedef struct StateOwner
{
	Oid			serverid;
	pg_uuid_t	connection;
	const char *server;
	Oid			owner; /* of the server */
} StateOwner;

/* Likewise, with the rights of the extension and connected to SPI. */
extern TimestampTz connection_auth_look(Oid serverid, TimestampTz now);
extern TimestampTz deprecation_look(Oid serverid, TimestampTz now);

/* An event of it, about the last failure that facts tell of where that is not NULL. */
extern void connection_tell(const StateOwner *owner, ConnectionChange *change,
							const HealthFacts *failure);

/* Have syncs of it that failed run now; of one mapping, or with role NULL of all. */
extern void connection_catch_up(const pg_uuid_t *connection, const Oid *role, TimestampTz now);

/* A parameter of a statement that may be NULL: 'n' where it is. */
extern char state_put_time(Datum *value, TimestampTz moment);
extern char state_put_text(Datum *value, const char *text);

#endif /* MAKINI_CONNECTION_STATE_H */
