/*-------------------------------------------------------------------------
 *
 * test_connection_step.c
 *		TAP tests of what becomes of a connection's state.
 *
 * Links: src/event/connection_step.c
 *
 *-------------------------------------------------------------------------
 */
#include "event/connection_step.h"

#include <string.h>

#include "tap.h"

#define MINUTE (60 * STEP_SECOND)

static HealthStep
see(HealthRow *row, StepHealth verdict, int64_t now)
{
	HealthSeen seen = {.verdict = verdict, .checked_at = now, .now = now};

	return health_step(row, &seen);
}

static void
test_outage(void)
{
	HealthRow  row = {0};
	HealthStep step = see(&row, STEP_UNKNOWN, 1 * MINUTE);

	ok(!step.changed && step.next == STEP_NEVER, "nothing learned, nothing changed");
	step = see(&row, STEP_ONLINE, 2 * MINUTE);
	ok(step.changed && step.tell == STEP_UNKNOWN, "the first answer is kept, not told");
	ok(!see(&row, STEP_ONLINE, 2 * MINUTE).changed, "the second is nothing new");
	step = see(&row, STEP_OFFLINE, 3 * MINUTE);
	ok(step.changed && step.tell == STEP_OFFLINE && step.before == STEP_ONLINE, "it goes away");
	ok(see(&row, STEP_OFFLINE, 4 * MINUTE).tell == STEP_UNKNOWN, "which is told once");
	ok(see(&row, STEP_UNKNOWN, 5 * MINUTE).tell == STEP_UNKNOWN,
	   "also by whoever knows nothing of now");
	step = see(&row, STEP_ONLINE, 90 * MINUTE);
	ok(step.recovered && step.tell == STEP_ONLINE, "it comes back");
	ok(!see(&row, STEP_ONLINE, 91 * MINUTE).changed, "once");
}

static void
test_flapping(void)
{
	HealthRow  row = {.health = STEP_ONLINE};
	HealthStep step;
	int		   told = 0;

	for (int64_t second = 0; second < 600; second++)
	{
		step = see(&row, second % 2 == 0 ? STEP_OFFLINE : STEP_ONLINE, MINUTE + second * STEP_SECOND);
		told += step.tell != STEP_UNKNOWN;
	}
	is_number(told, 4, "ten minutes of coming and going are told in two pairs");

	row = (HealthRow){.health = STEP_ONLINE};
	(void) see(&row, STEP_OFFLINE, 10 * MINUTE);
	(void) see(&row, STEP_ONLINE, 11 * MINUTE);
	step = see(&row, STEP_OFFLINE, 12 * MINUTE);
	ok(step.tell == STEP_UNKNOWN && step.next == 15 * MINUTE, "the second time waits to be told");
	ok(see(&row, STEP_OFFLINE, 15 * MINUTE).tell == STEP_OFFLINE, "and is, where it lasts");
	ok(see(&row, STEP_ONLINE, 16 * MINUTE).tell == STEP_ONLINE, "as is its end");

	row = (HealthRow){.health = STEP_ONLINE};
	(void) see(&row, STEP_OFFLINE, 10 * MINUTE);
	(void) see(&row, STEP_ONLINE, 11 * MINUTE);
	(void) see(&row, STEP_OFFLINE, 12 * MINUTE);
	(void) see(&row, STEP_ONLINE, 13 * MINUTE);
	step = see(&row, STEP_ONLINE, 20 * MINUTE);
	ok(step.tell == STEP_UNKNOWN && row.told == STEP_ONLINE, "and is not, where it does not");
}

static void
test_probes(void)
{
	HealthRow  row = {.health = STEP_ONLINE};
	HealthSeen seen = {.verdict = STEP_OFFLINE, .checked_at = 9 * MINUTE, .now = 10 * MINUTE};
	HealthStep step = health_step(&row, &seen);

	ok(step.probe, "the caller sets when to try");
	row.probe_at = 11 * MINUTE;
	step = health_step(&row, &seen);
	ok(!step.probe && step.next == 11 * MINUTE && !step.changed, "until then nothing happens");
	seen.now = 11 * MINUTE;
	ok(health_step(&row, &seen).probe, "then one sync may try");
	row.probing = true;
	row.probes = 1;
	row.probe_started_at = 11 * MINUTE;
	row.probe_at = 13 * MINUTE;
	step = health_step(&row, &seen);
	ok(!step.changed && row.probing, "while it does, it may");
	seen.checked_at = 12 * MINUTE;
	step = health_step(&row, &seen);
	ok(step.changed && !row.probing, "once it has, it waits as the others do");
	seen.other_server = true;
	step = health_step(&row, &seen);
	ok(step.probe && row.probes == 0, "a server that was altered is tried at once");
	row.probe_at = 13 * MINUTE;
	ok(health_step(&row, &seen).probe, "before its first try too");
	seen.other_server = false;
	seen.verdict = STEP_ONLINE;
	step = health_step(&row, &seen);
	ok(step.recovered && !step.probe && row.probe_at == 0, "one that answers needs no trying");
}

static void
test_auth(void)
{
	AuthRow	 row = {.version = ""};
	AuthSeen seen = {.verdict = STEP_AUTH_OK, .version = "1/1", .current = "1/1", .now = MINUTE};
	AuthStep step = auth_step(&row, &seen);

	ok(step.changed && !step.refused && !step.restored, "the first success is kept, not told");
	seen.verdict = STEP_AUTH_REQUIRED;
	step = auth_step(&row, &seen);
	ok(step.refused && strcmp(row.version, "1/1") == 0, "a refusal is told, and its syncs wait");
	ok(!auth_step(&row, &seen).changed, "once");
	seen.current = "1/2";
	step = auth_step(&row, &seen);
	ok(step.released && step.changed && !step.refused && row.auth == STEP_AUTH_REQUIRED,
	   "another mapping: they try again");
	step = auth_step(&row, &seen);
	ok(!step.changed, "what the earlier one met is no news of it");
	seen.version = "1/2";
	step = auth_step(&row, &seen);
	ok(step.changed && !step.refused && strcmp(row.version, "1/2") == 0,
	   "wrong as well: they wait again, and nothing is told again");
	seen.verdict = STEP_AUTH_UNKNOWN;
	ok(!auth_step(&row, &seen).changed, "a restart knows nothing and changes nothing");
	seen.verdict = STEP_AUTH_OK;
	step = auth_step(&row, &seen);
	ok(step.restored && step.released && row.auth == STEP_AUTH_OK, "accepted at last");
}

static void
test_certificate(void)
{
	AuthRow row = {.version = "", .auth = STEP_AUTH_OK};
	AuthSeen seen = {.verdict = STEP_AUTH_OK, .version = "", .current = "", .expires = 100 * STEP_DAY};
	int		 told[8] = {0};
	int		 n = 0;
	AuthStep step = auth_step(&row, &seen);

	ok(step.tell_days == 0 && step.next == 70 * STEP_DAY, "30 days ahead is the first time");
	for (seen.now = 60 * STEP_DAY; seen.now < 110 * STEP_DAY; seen.now += STEP_DAY / 4)
	{
		step = auth_step(&row, &seen);
		if (step.tell_days != 0 && n < 8)
			told[n++] = step.tell_days;
	}
	ok(n == 3 && told[0] == 30 && told[1] == 7 && told[2] == 1,
	   "told 30, 7 and 1 days ahead, once each");
	ok(row.auth == STEP_AUTH_EXPIRING, "meanwhile it is expiring");
	seen.expires = 800 * STEP_DAY;
	step = auth_step(&row, &seen);
	ok(row.auth == STEP_AUTH_OK && row.told_days == 0, "another certificate ends that");
	seen.now = 795 * STEP_DAY;
	ok(auth_step(&row, &seen).tell_days == 7, "one that was not looked at for long is told of once");
	seen.expires = 790 * STEP_DAY;
	ok(auth_step(&row, &seen).tell_days == 1, "also when it is over already");
}

static void
test_sunset(void)
{
	SunsetRow  row = {0};
	SunsetStep step = sunset_step(&row, 0, 10 * STEP_DAY);
	int		   told = 0;

	ok(step.tell && step.first && step.next == STEP_NEVER, "an end of unknown date is told of");
	ok(!sunset_step(&row, 0, 100 * STEP_DAY).tell, "once");
	step = sunset_step(&row, 500 * STEP_DAY, 100 * STEP_DAY);
	ok(step.tell && step.first, "then its date");
	ok(step.next == 410 * STEP_DAY, "which is looked at again 90 days ahead");
	for (int64_t now = 100 * STEP_DAY; now < 510 * STEP_DAY; now += STEP_DAY / 4)
	{
		step = sunset_step(&row, 500 * STEP_DAY, now);
		if (!step.tell)
			continue;
		ok(!step.first && now == 500 * STEP_DAY - row.told_days * STEP_DAY, "told ahead");
		told = told * 100 + row.told_days;
	}
	is_number(told, 90300701, "90, 30, 7 and 1 days, once each");

	row = (SunsetRow){0};
	step = sunset_step(&row, 500 * STEP_DAY, 480 * STEP_DAY);
	ok(step.tell && row.told_days == 30, "first seen 20 days ahead");
	ok(!sunset_step(&row, 500 * STEP_DAY, 481 * STEP_DAY).tell,
	   "the marks before are not told as well");
	ok(sunset_step(&row, 500 * STEP_DAY, 493 * STEP_DAY).tell, "those behind are");
	row = (SunsetRow){0};
	ok(sunset_step(&row, 500 * STEP_DAY, 600 * STEP_DAY).tell, "an end gone by is told of");
	ok(!sunset_step(&row, 500 * STEP_DAY, 700 * STEP_DAY).tell, "once");

	row = (SunsetRow){0};
	(void) sunset_step(&row, 500 * STEP_DAY, 100 * STEP_DAY);
	step = sunset_step(&row, 501 * STEP_DAY, 100 * STEP_DAY + STEP_SECOND);
	ok(!step.tell && step.next == 101 * STEP_DAY, "another end at once waits for a day");
	step = sunset_step(&row, 501 * STEP_DAY, 101 * STEP_DAY);
	ok(step.tell && step.first, "and is told then");
}

int
main(void)
{
	test_outage();
	test_flapping();
	test_probes();
	test_auth();
	test_certificate();
	test_sunset();
	return tap_done();
}
