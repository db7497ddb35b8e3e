/*-------------------------------------------------------------------------
 *
 * connection_step.c
 *		What becomes of a connection's state when something was learned (pure).
 *
 *-------------------------------------------------------------------------
 */
#include "event/connection_step.h"

#include <string.h>

/* How many days ahead the end of a certificate is told, and of an interface; the last first, 0 behind. */
static const int days_of_certificate[] = {1, 7, 30, 0};
static const int days_of_interface[] = {1, 7, 30, 90, 0};

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- servers ---- */

static void
change_health(HealthRow *row, StepHealth to, HealthStep *step)
{
	if (to == STEP_UNKNOWN || to == row->health)
		return;
	step->recovered = row->health == STEP_OFFLINE;
	step->changed = true;
	row->health = to;
	row->probing = false;
	row->probes = 0;
	row->probe_at = 0;
}

static void
tell(HealthRow *row, StepHealth what, HealthStep *step)
{
	row->told = what;
	step->tell = what;
	step->changed = true;
}

/* That it answers is told at once, to end what was told before. */
static void
tell_health(HealthRow *row, int64_t now, HealthStep *step)
{
	int64_t again = row->told_offline_at + STEP_DAMPING;

	if (row->health == STEP_ONLINE && row->told == STEP_OFFLINE)
		tell(row, STEP_ONLINE, step);
	if (row->health != STEP_OFFLINE || row->told == STEP_OFFLINE)
		return;
	if (row->told_offline_at != 0 && now < again)
	{
		step->next = earlier(step->next, again);
		return;
	}
	tell(row, STEP_OFFLINE, step);
	row->told_offline_at = now;
}

/* The caller lets one sync try, and sets when the next may. */
static void
probe_health(HealthRow *row, const HealthSeen *seen, HealthStep *step)
{
	if (row->health != STEP_OFFLINE)
		return;
	if (row->probing && seen->checked_at > row->probe_started_at)
	{
		row->probing = false;
		step->changed = true;
	}
	if (seen->other_server && row->probe_at != 0)
	{
		row->probes = 0;
		row->probe_at = seen->now;
		step->changed = true;
	}
	step->probe = seen->now >= row->probe_at;
	if (!step->probe)
		step->next = earlier(step->next, row->probe_at);
}

HealthStep
health_step(HealthRow *row, const HealthSeen *seen)
{
	HealthStep step = {.before = row->health, .next = STEP_NEVER};

	change_health(row, seen->verdict, &step);
	tell_health(row, seen->now, &step);
	probe_health(row, seen, &step);
	return step;
}

/* ---- user mappings ---- */

static void
refuse(AuthRow *row, const AuthSeen *seen, AuthStep *step)
{
	/* what a request with earlier credentials found is no news of these */
	if (strcmp(seen->version, seen->current) != 0)
		return;
	step->refused = row->auth != STEP_AUTH_REQUIRED;
	if (!step->refused && strcmp(row->version, seen->current) == 0)
		return;
	row->auth = STEP_AUTH_REQUIRED;
	row->version = seen->current;
	step->changed = true;
}

static void
accept(AuthRow *row, AuthStep *step)
{
	if (row->auth == STEP_AUTH_OK || row->auth == STEP_AUTH_EXPIRING)
		return;
	step->restored = step->released = row->auth == STEP_AUTH_REQUIRED;
	row->auth = STEP_AUTH_OK;
	row->version = "";
	step->changed = true;
}

/* Whoever changed server or mapping wants to know whether that was it. */
static void
release(AuthRow *row, const AuthSeen *seen, AuthStep *step)
{
	if (row->auth != STEP_AUTH_REQUIRED || row->version[0] == '\0' ||
		strcmp(row->version, seen->current) == 0)
		return;
	row->version = "";
	step->released = true;
	step->changed = true;
}

/* The first of those numbers of days that are left at most; 0: there are more. */
static int
days_left(const int *days_ahead, int64_t end, int64_t now, int64_t *next)
{
	for (; *days_ahead != 0; days_ahead++)
	{
		int64_t moment = end - *days_ahead * STEP_DAY;

		if (moment <= now)
			return *days_ahead;
		*next = earlier(*next, moment);
	}
	return 0;
}

static void
look_at_certificate(AuthRow *row, const AuthSeen *seen, AuthStep *step)
{
	int	 days = seen->expires == 0 ?
		 0 :
		 days_left(days_of_certificate, seen->expires, seen->now, &step->next);
	bool another = row->expires != seen->expires;

	if (another)
	{
		/* that there never was one is not worth a row */
		step->changed |= row->told_days != 0;
		row->told_days = 0;
	}
	row->expires = seen->expires;
	if (days != 0 && (row->told_days == 0 || days < row->told_days))
	{
		step->tell_days = row->told_days = days;
		step->changed = true;
	}
	if (row->auth == STEP_AUTH_OK && days != 0)
		row->auth = STEP_AUTH_EXPIRING;
	else if (row->auth == STEP_AUTH_EXPIRING && days == 0)
		row->auth = STEP_AUTH_OK;
}

AuthStep
auth_step(AuthRow *row, const AuthSeen *seen)
{
	AuthStep step = {.before = row->auth, .next = STEP_NEVER};

	if (seen->verdict == STEP_AUTH_REQUIRED)
		refuse(row, seen, &step);
	else if (seen->verdict != STEP_AUTH_UNKNOWN)
		accept(row, &step);
	release(row, seen, &step);
	look_at_certificate(row, seen, &step);
	step.changed |= row->auth != step.before;
	return step;
}

/* ---- announced ends of interfaces ---- */

SunsetStep
sunset_step(SunsetRow *row, int64_t sunset, int64_t now)
{
	SunsetStep step = {.next = STEP_NEVER};
	int		   days = sunset == 0 ? 0 : days_left(days_of_interface, sunset, now, &step.next);
	int64_t	   again = row->told_at + STEP_SUNSET_DAMPING;

	step.first = row->told_at == 0 || row->told_sunset != sunset;
	step.tell = step.first || (days != 0 && (row->told_days == 0 || days < row->told_days));
	if (step.first && row->told_at != 0 && now < again)
	{
		step.tell = false;
		step.next = again;
	}
	if (step.tell)
		*row = (SunsetRow){.told_at = now, .told_days = days, .told_sunset = sunset};
	return step;
}
