/*-------------------------------------------------------------------------
 *
 * test_schedule.c
 *		TAP tests of schedules: cron texts, intervals, spans, and the nights
 *		on which clocks change.
 *
 * Links: src/worker/schedule.c
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include "worker/schedule.h"

#include <stdlib.h>
#include <time.h>

#include "tap.h"

/* ---- zones and times as text ---- */

static int
system_offset(int64_t at, void *zone)
{
	time_t	  seconds = at;
	struct tm tm;

	localtime_r(&seconds, &tm);
	return (int) tm.tm_gmtoff;
}

static const ScheduleZone zone = {system_offset, NULL};

/* Rules are spelt out, so that no database of zones is needed. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define LORD_HOWE "LHST-10:30LHDT-11,M10.1.0,M4.1.0"
#define UTC "UTC0"

static void
use_zone(const char *rules)
{
	setenv("TZ", rules, 1);
	tzset();
}

/* "2026-03-29 01:30:00" UTC as microseconds */
static int64_t
moment(const char *text)
{
	struct tm tm = {0};

	sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec);
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t) timegm(&tm) * SCHEDULE_SECOND;
}

static const char *
moment_text(int64_t at)
{
	static char text[32];
	time_t		seconds = at / SCHEDULE_SECOND;
	struct tm	tm;

	if (at == SCHEDULE_NEVER)
		return "never";
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	return text;
}

/* The seed whose shift is less than a second is not known: what it is, is taken off. */
static int64_t
shift_of(const Schedule *schedule, uint64_t seed)
{
	static const ScheduleZone none = {system_offset, NULL};
	Schedule				  every = *schedule;
	int64_t					  at;

	if (!schedule->cron)
		return 0;
	schedule_parse_cron("* * * * *", &every, NULL, 0);
	at = schedule_next(&every, 0, seed, &none);
	return at % (60 * SCHEDULE_SECOND);
}

/* The times that follow a moment, joined with commas, without the shift. */
static const char *
times(const char *cron, const char *after, int n)
{
	static char text[512];
	char		problem[200];
	Schedule	schedule;
	int64_t		shift;
	int64_t		at = moment(after);

	text[0] = '\0';
	if (!schedule_parse_cron(cron, &schedule, problem, sizeof(problem)))
		return strcpy(text, problem);
	shift = shift_of(&schedule, 1);
	at += shift;
	for (int i = 0; i < n; i++)
	{
		at = schedule_next(&schedule, at, 1, &zone);
		if (i > 0)
			strcat(text, ", ");
		strcat(text, moment_text(at == SCHEDULE_NEVER ? at : at - shift));
	}
	return text;
}

static const char *
problem_of(const char *cron)
{
	static char problem[200];
	Schedule	schedule;

	problem[0] = '\0';
	return schedule_parse_cron(cron, &schedule, problem, sizeof(problem)) ? "none" : problem;
}

/* ---- the tests ---- */

static void
test_kinds(void)
{
	ok(schedule_is_cron("*/5 * * * *"), "stars are cron's");
	ok(schedule_is_cron("0 2 1 1 mon"), "five fields are");
	ok(schedule_is_cron("  0\t2 1 1 mon "), "whatever is between them");
	ok(schedule_is_cron("* *"), "a star alone is enough to be told what is missing");
	ok(!schedule_is_cron("5 min"), "an interval is not");
	ok(!schedule_is_cron("1 hour 30 min 10"), "even of five words");
	ok(!schedule_is_cron("00:05"), "nor a time");
	ok(!schedule_is_cron(""), "nor nothing");
}

static void
test_reading(void)
{
	is_text(problem_of("* * * * *"), "none", "stars");
	is_text(problem_of("0,15-30/5 0-23/2 1,15 JAN,jun-Aug Mon-fri"), "none",
			"lists, ranges, steps and words");
	is_text(problem_of("0 0 * * 7"), "none", "Sunday as 7");
	is_text(problem_of("5/10 * * * *"), "none", "a step from a number");
	is_text(problem_of("* * * *"), "It has 4 of the five fields.", "too few");
	is_text(problem_of(""), "It has 0 of the five fields.", "nothing");
	is_text(problem_of("* * * * * *"), "It has more than the five fields.", "too many");
	is_text(problem_of("60 * * * *"), "\"60\" is no minute; numbers from 0 to 59 are.", "minute 60");
	is_text(problem_of("* 24 * * *"), "\"24\" is no hour; numbers from 0 to 23 are.", "hour 24");
	is_text(problem_of("* * 0 * *"), "\"0\" is no day of the month; numbers from 1 to 31 are.",
			"day 0");
	is_text(problem_of("* * * 13 *"), "\"13\" is no month; numbers from 1 to 12 are.", "month 13");
	is_text(problem_of("* * * * 8"), "\"8\" is no day of the week; numbers from 0 to 7 are.",
			"weekday 8");
	is_text(problem_of("* * * * monday"),
			"\"monday\" is no day of the week; numbers from 0 to 7 are.", "a long word");
	is_text(problem_of("5-1 * * * *"), "\"5-1\" is no minute; numbers from 0 to 59 are.", "backwards");
	is_text(problem_of("*/0 * * * *"), "\"*/0\" is no minute; numbers from 0 to 59 are.",
			"a step of nothing");
	is_text(problem_of("1,,2 * * * *"), "\"1,,2\" is no minute; numbers from 0 to 59 are.",
			"an empty item");
	is_text(problem_of("1- * * * *"), "\"1-\" is no minute; numbers from 0 to 59 are.", "half a range");
	is_text(problem_of("0001 * * * *"), "\"0001\" is no minute; numbers from 0 to 59 are.",
			"many digits");
	is_text(problem_of("99999999999 * * * *"),
			"\"99999999999\" is no minute; numbers from 0 to 59 are.", "more than fit");
	is_text(problem_of("0 0 30 2 *"), "It names a day that never comes.", "30 February");
	is_text(problem_of("0 0 31 2,4,6,9,11 *"), "It names a day that never comes.",
			"the 31st of short months");
	is_text(problem_of("0 0 29 2 *"), "none", "29 February");
}

/* The first n times of a cron text after a moment, all in UTC. */
typedef struct Case
{
	const char *cron;
	const char *after;
	int			n;
	const char *expected;
	const char *name;
} Case;

static void
check_cases(const char *rules, const Case *cases, size_t n)
{
	use_zone(rules);
	for (size_t i = 0; i < n; i++)
		is_text(times(cases[i].cron, cases[i].after, cases[i].n), cases[i].expected, cases[i].name);
}

static void
test_cron(void)
{
	static const Case cases[] = {
		{"*/15 * * * *", "2026-11-23 10:07:00", 3,
		 "2026-11-23 10:15, 2026-11-23 10:30, 2026-11-23 10:45", "quarters"},
		{"0 * * * *", "2026-11-23 10:00:00", 1, "2026-11-23 11:00", "a time itself is not after it"},
		{"30 2 * * *", "2026-12-31 02:30:00", 1, "2027-01-01 02:30", "over the year"},
		{"0 0 29 2 *", "2026-01-01 00:00:00", 2, "2028-02-29 00:00, 2032-02-29 00:00", "leap days"},
		{"0 0 29 2 *", "2096-03-01 00:00:00", 1, "2104-02-29 00:00", "a century without one"},
		{"0 6 * * mon-fri", "2026-11-20 06:00:00", 2, "2026-11-23 06:00, 2026-11-24 06:00",
		 "not on weekends"},
		{"0 0 13 * 5", "2026-11-01 00:00:00", 4,
		 "2026-11-06 00:00, 2026-11-13 00:00, 2026-11-20 00:00, 2026-11-27 00:00",
		 "either kind of day where both are named"},
		{"0 0 * * 0,7", "2026-11-23 00:00:00", 2, "2026-11-29 00:00, 2026-12-06 00:00", "Sunday twice"},
		{"5/20 1 * * *", "2026-11-23 00:00:00", 4,
		 "2026-11-23 01:05, 2026-11-23 01:25, 2026-11-23 01:45, 2026-11-24 01:05",
		 "steps from a number"},
		{"0 12 31 * *", "2026-01-31 12:00:00", 2, "2026-03-31 12:00, 2026-05-31 12:00", "long months"},
	};

	check_cases(UTC, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_spring(void)
{
	/* 29 March 2026: 02:00 becomes 03:00, at 01:00 UTC */
	static const Case cases[] = {
		{"30 2 * * *", "2026-03-28 00:00:00", 3, "2026-03-28 01:30, 2026-03-29 01:00, 2026-03-30 00:30",
		 "a skipped time runs right after the gap"},
		{"0,20,40 2 * * *", "2026-03-29 00:00:00", 2, "2026-03-29 01:00, 2026-03-30 00:00",
		 "several run once"},
		{"0 2,3 * * *", "2026-03-29 00:00:00", 2, "2026-03-29 01:00, 2026-03-30 00:00",
		 "together with what is due there anyway"},
		{"30 1,3 * * *", "2026-03-28 23:59:00", 2, "2026-03-29 00:30, 2026-03-29 01:30",
		 "times around it are as ever"},
		{"30 * * * *", "2026-03-29 00:00:00", 3,
		 "2026-03-29 00:30, 2026-03-29 01:30, 2026-03-29 02:30", "every hour goes on by the hour"},
		{"*/30 * * * *", "2026-03-29 00:30:00", 2, "2026-03-29 01:00, 2026-03-29 01:30",
		 "half-hours too, the end of the gap being one"},
	};

	check_cases(BERLIN, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_autumn(void)
{
	/* 25 October 2026: 03:00 becomes 02:00, at 01:00 UTC */
	static const Case cases[] = {
		{"30 2 * * *", "2026-10-24 00:30:00", 2, "2026-10-25 00:30, 2026-10-26 01:30",
		 "a repeated time runs the first time"},
		{"*/30 2 * * *", "2026-10-25 00:00:00", 2, "2026-10-25 00:30, 2026-10-26 01:00", "several do"},
		{"30 2 * * *", "2026-10-25 01:10:00", 1, "2026-10-26 01:30",
		 "not in the repetition when asked in it"},
		{"0 3 * * *", "2026-10-25 00:00:00", 1, "2026-10-25 02:00", "what follows waits for it"},
		{"30 * * * *", "2026-10-24 23:30:00", 4,
		 "2026-10-25 00:30, 2026-10-25 01:30, 2026-10-25 02:30, 2026-10-25 03:30",
		 "every hour runs in both"},
		{"0 * * 1 *", "2026-09-01 00:00:00", 1, "2026-12-31 23:00", "with a change far before it"},
	};

	check_cases(BERLIN, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_half_hour(void)
{
	/* 4 October 2026: 02:00 becomes 02:30, at 15:30 UTC the day before */
	static const Case cases[] = {
		{"15 2 * * *", "2026-10-03 00:00:00", 2, "2026-10-03 15:30, 2026-10-04 15:15",
		 "a gap of half an hour"},
		{"15,45 2 * * *", "2026-10-03 00:00:00", 2, "2026-10-03 15:30, 2026-10-03 15:45",
		 "and what is behind it"},
		/* 5 April 2026: 02:00 becomes 01:30 */
		{"45 1 * * *", "2026-04-04 00:00:00", 2, "2026-04-04 14:45, 2026-04-05 15:15",
		 "half an hour twice"},
		{"*/15 * * * *", "2026-04-04 14:45:00", 3,
		 "2026-04-04 15:00, 2026-04-04 15:15, 2026-04-04 15:30", "all quarters of it"},
	};

	check_cases(LORD_HOWE, cases, sizeof(cases) / sizeof(cases[0]));
}

/* Each night of some years: never backwards, never twice, never more than a day and an hour apart. */
static void
test_every_day(const char *rules, const char *cron)
{
	Schedule schedule;
	char	 name[200];
	int64_t	 at = moment("2024-01-01 00:00:00");
	int64_t	 longest = 0;
	int		 n = 0;

	use_zone(rules);
	schedule_parse_cron(cron, &schedule, NULL, 0);
	at = schedule_next(&schedule, at, 7, &zone);
	while (at < moment("2028-01-01 00:00:00"))
	{
		int64_t next = schedule_next(&schedule, at, 7, &zone);
		int64_t again = schedule_next(&schedule, next - 1, 7, &zone);

		if (next <= at || again != next)
			break;
		longest = next - at > longest ? next - at : longest;
		at = next;
		n++;
	}
	snprintf(name, sizeof(name), "%s in %s: once a day for four years", cron, rules);
	is_number(n, 1461, name);
	ok(longest <= 25 * 3600 * SCHEDULE_SECOND, "and never more than 25 hours apart");
}

static void
test_interval(void)
{
	Schedule schedule = {.interval = 300 * SCHEDULE_SECOND};
	int64_t	 now = moment("2026-11-23 10:00:00");
	int64_t	 first = schedule_next(&schedule, now, 1, &zone);
	bool	 spread = false;

	ok(first > now && first <= now + schedule.interval, "an interval is due within itself");
	is_number(schedule_next(&schedule, first, 1, &zone) - first, schedule.interval,
			  "and again after itself");
	is_number(schedule_next(&schedule, first - 1, 1, &zone), first, "always at the same times");
	for (uint64_t seed = 2; seed < 10; seed++)
		spread |= schedule_next(&schedule, now, seed, &zone) != first;
	ok(spread, "which others do not share");
	schedule.interval = SCHEDULE_SECOND;
	is_number(schedule_next(&schedule, -5 * SCHEDULE_SECOND, 1, &zone) / SCHEDULE_SECOND, -4,
			  "before 1970 too");
}

static void
test_jitter(void)
{
	Schedule schedule;
	int64_t	 now = moment("2026-11-23 10:00:00");
	int64_t	 least = INT64_MAX;
	int64_t	 most = 0;

	use_zone(UTC);
	schedule_parse_cron("0 12 * * *", &schedule, NULL, 0);
	for (uint64_t seed = 0; seed < 1000; seed++)
	{
		int64_t at = schedule_next(&schedule, now, seed, &zone) - moment("2026-11-23 12:00:00");

		least = at < least ? at : least;
		most = at > most ? at : most;
	}
	ok(least >= 0 && least < SCHEDULE_SECOND, "cron texts are shifted by nothing");
	ok(most < 30 * SCHEDULE_SECOND && most > 29 * SCHEDULE_SECOND, "up to half a minute");
}

static const char *
open_at(const char *text, const char *at)
{
	static char	 result[100];
	ScheduleSpan span;
	int64_t		 until;
	int64_t		 from;

	if (!schedule_parse_span(text, &span))
		return "no span";
	from = schedule_span_open(&span, moment(at), &zone, &until);
	strcpy(result, moment_text(from));
	strcat(result, " to ");
	strcat(result, moment_text(until));
	return result;
}

static void
test_span(void)
{
	use_zone(UTC);
	is_text(open_at("18:00-06:00", "2026-11-23 10:00:00"), "2026-11-23 18:00 to 2026-11-24 06:00",
			"tonight");
	is_text(open_at("18:00-06:00", "2026-11-23 20:00:00"), "2026-11-23 20:00 to 2026-11-24 06:00",
			"now");
	is_text(open_at("18:00-06:00", "2026-11-23 05:59:00"), "2026-11-23 05:59 to 2026-11-23 06:00",
			"since yesterday");
	is_text(open_at("18:00-06:00", "2026-11-23 06:00:00"), "2026-11-23 18:00 to 2026-11-24 06:00",
			"closed again");
	is_text(open_at(" 9:00 - 17:30 ", "2026-11-23 18:00:00"),
			"2026-11-24 09:00 to 2026-11-24 17:30", "tomorrow");
	is_text(open_at("00:00-24:00", "2026-11-23 18:00:00"), "no span", "all day is none");
	is_text(open_at("18:00", "2026-11-23 18:00:00"), "no span", "half of one");
	is_text(open_at("18:00-6", "2026-11-23 18:00:00"), "no span", "no minutes");
	is_text(open_at("25:00-06:00", "2026-11-23 18:00:00"), "no span", "no such hour");
	is_text(open_at("18:00-06:00x", "2026-11-23 18:00:00"), "no span", "and more");
	use_zone(BERLIN);
	is_text(open_at("02:30-04:00", "2026-03-29 00:00:00"), "2026-03-29 01:00 to 2026-03-29 02:00",
			"beginning in a gap");
}

int
main(void)
{
	test_kinds();
	test_reading();
	test_cron();
	test_spring();
	test_autumn();
	test_half_hour();
	test_every_day(BERLIN, "30 2 * * *");
	test_every_day(BERLIN, "0 0 * * *");
	test_every_day(LORD_HOWE, "45 1 * * *");
	test_every_day(LORD_HOWE, "15 2 * * *");
	test_interval();
	test_jitter();
	test_span();
	return tap_done();
}
