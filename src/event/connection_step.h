/*-------------------------------------------------------------------------
 *
 * connection_step.h
 *		What becomes of a connection's state when something was learned (pure).
 *
 * Health of a server, as far as syncs and events are concerned:
 *
 *	                 answers                 5 calls in a row found nobody,
 *	   unknown ------------------> online    or check_connection did
 *	      |                        |    ^
 *	      | (the same)             |    |  answers: its syncs catch up
 *	      +--------> offline <-----+    |
 *	                    |  ^            |
 *	                    |  +-- fails    |
 *	                    +----- one sync tries, after 30 s and then later and
 *	                           later, up to 15 minutes
 *
 * Authentication of a user mapping:
 *
 *	               accepted                  refused
 *	   unknown ----------------> ok, expiring ------> required
 *	      |                            ^                |  |
 *	      +-- refused --> required     +--- accepted ---+  |
 *	                          ^    mapping or server       | its syncs wait
 *	                          +--- changed: they try again-+
 *
 * Of both each change has one event, except that a server that comes and goes
 * has at most one pair of events in five minutes; what is told in the end is
 * how it is in the end.
 *
 * The announced end of a part of an interface is told when it is first heard of,
 * and 90, 30, 7 and 1 days ahead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_CONNECTION_STEP_H
#define MAKINI_CONNECTION_STEP_H

#include <stdbool.h>
#include <stdint.h>

/* Moments and lengths of time are in microseconds; no moment: */
#define STEP_NEVER INT64_MAX

#define STEP_SECOND INT64_C(1000000)
#define STEP_DAY (86400 * STEP_SECOND)

/* A server that was told to be offline is not told so again for this long. */
#define STEP_DAMPING (300 * STEP_SECOND)

/* ---- servers ---- */

typedef enum StepHealth
{
	STEP_UNKNOWN,
	STEP_ONLINE,
	STEP_OFFLINE
} StepHealth;

/* What was learned: UNKNOWN where it allows no verdict. */
typedef struct HealthSeen
{
	StepHealth verdict;
	int64_t	   checked_at;	 /* by the real clock, 0: never */
	bool	   other_server; /* its options changed since the last look */
	int64_t	   now;			 /* by the schedules' clock */
} HealthSeen;

typedef struct HealthRow
{
	StepHealth health;
	StepHealth told; /* by the last event */
	int64_t	   told_offline_at;
	bool	   probing;			 /* one sync is allowed to try */
	int64_t	   probe_started_at; /* by the real clock */
	int64_t	   probe_at;		 /* the next one; 0: none yet */
	int		   probes;			 /* since it went offline */
} HealthRow;

typedef struct HealthStep
{
	bool	   changed;
	StepHealth before;
	StepHealth tell; /* UNKNOWN: nothing */
	bool	   recovered;
	bool	   probe; /* it is time for one sync to try */
	int64_t	   next;  /* when to look again though nothing is learned */
} HealthStep;

extern HealthStep health_step(HealthRow *row, const HealthSeen *seen);

/* ---- user mappings ---- */

typedef enum StepAuth
{
	STEP_AUTH_UNKNOWN,
	STEP_AUTH_OK,
	STEP_AUTH_EXPIRING,
	STEP_AUTH_REQUIRED
} StepAuth;

typedef struct AuthSeen
{
	StepAuth	verdict; /* of the last request */
	const char *version; /* which server and mapping it was made with */
	const char *current; /* which they are now */
	int64_t		expires; /* the certificate; 0: not known */
	int64_t		now;
} AuthSeen;

typedef struct AuthRow
{
	StepAuth	auth;
	const char *version; /* it was refused with; its syncs wait while that is the current one */
	int64_t		expires;
	int			told_days; /* 0: nothing has been told */
} AuthRow;

typedef struct AuthStep
{
	bool	 changed;
	StepAuth before;
	bool	 refused;	/* now required, and was not */
	bool	 restored;	/* was required */
	bool	 released;	/* its syncs need not wait any more */
	int		 tell_days; /* the certificate expires within so many; 0: nothing to tell */
	int64_t	 next;
} AuthStep;

extern AuthStep auth_step(AuthRow *row, const AuthSeen *seen);

/* ---- announced ends of interfaces ---- */

/* Another end than was told is told at most so often. */
#define STEP_SUNSET_DAMPING STEP_DAY

typedef struct SunsetRow
{
	int64_t told_at;   /* 0: never */
	int		told_days; /* how far ahead; 0: more than any mark */
	int64_t told_sunset;
} SunsetRow;

typedef struct SunsetStep
{
	bool	tell;
	bool	first; /* of this end */
	int64_t next;
} SunsetStep;

/* sunset: the end, or 0 where it is not known. */
extern SunsetStep sunset_step(SunsetRow *row, int64_t sunset, int64_t now);

#endif /* MAKINI_CONNECTION_STEP_H */
