/*-------------------------------------------------------------------------
 *
 * health.h
 *		What was last learned about servers and user mappings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_HEALTH_H
#define MAKINI_HEALTH_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/dshash.h"

#include "remote/remote.h"

/* Calls in a row that found nobody, after which a server is taken to be away. */
#define HEALTH_GIVE_UP 5

typedef enum HealthState
{
	HEALTH_UNKNOWN,
	HEALTH_GOOD,	/* online; ok */
	HEALTH_BAD,		/* offline; required */
	HEALTH_EXPIRING /* a mapping's certificate will not last */
} HealthState;

/* What is known of a server, or of a mapping on it. */
typedef struct HealthFacts
{
	HealthState state;
	int			failures; /* in a row */
	TimestampTz last_ok_at;
	TimestampTz last_checked_at;
	TimestampTz changed_at;
	char		version[32]; /* RemoteEndpoint.version of the last call */
	int			sqlstate;	 /* of the last failure, while BAD, like all below */
	int			http_status;
	char		reason[64];
	char		hint[640];
	char		last_error[512];
} HealthFacts;

/*
 * Told of the database in which something changed that others may wait for;
 * whoever runs workers sets it.  Must not raise.
 */
extern void (*health_wake)(Oid database);

extern dshash_parameters health_table_parameters(int tranche);

/*
 * A call ended: well (fault is NULL), or with this.  One that did not
 * authenticate says nothing about the mapping.
 */
extern void health_record(const RemoteEndpoint *endpoint, bool authenticated, const RemoteFault *fault);

/* Somebody asked on purpose: where the last call failed the server is away, however few failed before. */
extern void health_conclude(Oid serverid);

/* A server of this database, or with umid one mapping; false where nothing is known. */
extern bool health_facts(Oid serverid, Oid umid, HealthFacts *facts);

/* Tells them: health or a mapping's state changed, or something else was learned that is written down with these. */
extern void health_tell(void);

/* Moves whenever health_wake is called for any database. */
extern uint64 health_changes(void);

#endif /* MAKINI_HEALTH_H */
