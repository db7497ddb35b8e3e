/*-------------------------------------------------------------------------
 *
 * schedule.c
 *		When something that repeats is due next.  Pure: no postgres.h.
 *
 * Cron texts are looked up on the wall clock: minutes since 1970 as if there
 * were no zones.  What a zone makes of a wall-clock minute is asked of it
 * around that minute; at most one change of clocks within a day of it is
 * assumed.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/schedule.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MINUTE 60
#define DAY_MINUTES (24 * 60)
#define DAY_SECONDS (DAY_MINUTES * MINUTE)
/* 29 February comes at least once in eight years */
#define SEARCH_DAYS (9 * 366)
#define CRON_JITTER (30 * SCHEDULE_SECOND)
#define ALL_HOURS ((UINT32_C(1) << 24) - 1)

/* ---- reading ---- */

typedef struct Field
{
	const char *name;
	int			first;
	int			last;
	const char *words; /* three letters each, the first stands for first */
} Field;

static const Field fields[5] = {
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of the month", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{"day of the week", 0, 7, "sunmontuewedthufrisat"},
};

static const char *
skip_blanks(const char *at)
{
	while (isspace((unsigned char) *at))
		at++;
	return at;
}

bool
schedule_is_cron(const char *text)
{
	int words = 0;

	for (const char *at = skip_blanks(text); *at; at = skip_blanks(at))
	{
		/* an interval's second word is a unit */
		if (words < 2 && !isdigit((unsigned char) *at) && *at != '*')
			return false;
		words++;
		while (*at && !isspace((unsigned char) *at))
			at++;
	}
	return words == 5 || strchr(text, '*') != NULL;
}

/* A number or a word of a field; -1 for neither. */
static int
parse_value(const Field *field, const char **at)
{
	int value = 0;
	int digits = 0;

	while (isdigit((unsigned char) **at) && digits++ < 3)
		value = value * 10 + (*(*at)++ - '0');
	if (digits > 0)
		return value >= field->first && value <= field->last ? value : -1;
	for (int i = 0; field->words[i]; i += 3)
	{
		if (strncasecmp(*at, field->words + i, 3) == 0)
		{
			*at += 3;
			return field->first + i / 3;
		}
	}
	return -1;
}

/* One item of a field's list: *, a, a-b, each with a step or without. */
static bool
parse_item(const Field *field, const char **at, uint64_t *bits)
{
	int from = field->first;
	int to = field->last;
	int step = 1;

	if (**at == '*')
		(*at)++;
	else
	{
		if ((from = parse_value(field, at)) < 0)
			return false;
		to = from;
		if (**at == '-')
		{
			(*at)++;
			if ((to = parse_value(field, at)) < from)
				return false;
		}
		else if (**at == '/')
			to = field->last;
	}
	if (**at == '/')
	{
		static const Field steps = {"step", 1, 59, ""};

		(*at)++;
		if ((step = parse_value(&steps, at)) < 0)
			return false;
	}
	for (int value = from; value <= to; value += step)
		*bits |= UINT64_C(1) << value;
	return true;
}

static bool
parse_field(const Field *field, const char **at, uint64_t *bits)
{
	*bits = 0;
	for (;;)
	{
		if (!parse_item(field, at, bits))
			return false;
		if (**at != ',')
			return **at == '\0' || isspace((unsigned char) **at);
		(*at)++;
	}
}

static int64_t next_wall_minute(const Schedule *schedule, int64_t after);

bool
schedule_parse_cron(const char *text, Schedule *schedule, char *problem, size_t size)
{
	uint64_t	bits[5];
	bool		star[5];
	const char *at = skip_blanks(text);

	for (int i = 0; i < 5; i++)
	{
		const char *start = at;

		star[i] = at[0] == '*';
		if (*at == '\0')
		{
			snprintf(problem, size, "It has %d of the five fields.", i);
			return false;
		}
		if (!parse_field(&fields[i], &at, &bits[i]))
		{
			snprintf(problem, size, "\"%.*s\" is no %s; numbers from %d to %d are.",
					 (int) strcspn(start, " \t\n\r\f\v"), start, fields[i].name, fields[i].first,
					 fields[i].last);
			return false;
		}
		at = skip_blanks(at);
	}
	if (*at != '\0')
	{
		snprintf(problem, size, "It has more than the five fields.");
		return false;
	}

	memset(schedule, 0, sizeof(Schedule));
	schedule->cron = true;
	schedule->minutes = bits[0];
	schedule->hours = (uint32_t) bits[1];
	schedule->days = (uint32_t) bits[2];
	schedule->months = (uint16_t) bits[3];
	/* Sunday is 0 and 7 */
	schedule->weekdays = (uint8_t) ((bits[4] | bits[4] >> 7) & 0x7f);
	schedule->any_day = star[2];
	schedule->any_weekday = star[4];
	if (next_wall_minute(schedule, 0) == SCHEDULE_NEVER)
	{
		snprintf(problem, size, "It names a day that never comes.");
		return false;
	}
	return true;
}

/* ---- the calendar ---- */

/* Month and day of a day since 1970, after Howard Hinnant's civil_from_days. */
static void
civil_from_days(int64_t days, int *month, int *day)
{
	int64_t shifted = days + 719468;
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int		of_era = (int) (shifted - era * 146097);
	int		year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int		of_year = of_era - (365 * year + year / 4 - year / 100);
	int		from_march = (5 * of_year + 2) / 153;

	*day = of_year - (153 * from_march + 2) / 5 + 1;
	*month = from_march < 10 ? from_march + 3 : from_march - 9;
}

/* As cron has it: where both kinds of days are restricted either will do. */
static bool
day_matches(const Schedule *schedule, int64_t days)
{
	int	 month;
	int	 day;
	int	 weekday = (int) (((days % 7) + 7 + 4) % 7);
	bool by_day;
	bool by_weekday;

	civil_from_days(days, &month, &day);
	if (!(schedule->months >> month & 1))
		return false;
	by_day = schedule->days >> day & 1;
	by_weekday = schedule->weekdays >> weekday & 1;
	if (schedule->any_day || schedule->any_weekday)
		return by_day && by_weekday;
	return by_day || by_weekday;
}

static int64_t
floor_div(int64_t number, int64_t by)
{
	int64_t quotient = number / by;

	return number % by < 0 ? quotient - 1 : quotient;
}

/* The first matching minute of a wall clock after a minute of it. */
static int64_t
next_wall_minute(const Schedule *schedule, int64_t after)
{
	int64_t first_day = floor_div(after + 1, DAY_MINUTES);

	for (int64_t day = first_day; day < first_day + SEARCH_DAYS; day++)
	{
		int minute = day == first_day ? (int) (after + 1 - day * DAY_MINUTES) : 0;

		if (!day_matches(schedule, day))
			continue;
		for (; minute < DAY_MINUTES; minute++)
		{
			if (!(schedule->hours >> (minute / 60) & 1))
				minute += 59 - minute % 60;
			else if (schedule->minutes >> (minute % 60) & 1)
				return day * DAY_MINUTES + minute;
		}
	}
	return SCHEDULE_NEVER;
}

/* ---- zones ---- */

static int
offset_at(const ScheduleZone *zone, int64_t at)
{
	return zone->offset(at, zone->zone);
}

/* The second at which clocks change between two that have different offsets. */
static int64_t
clock_change(const ScheduleZone *zone, int64_t before, int64_t behind)
{
	int offset = offset_at(zone, before);

	while (behind - before > 1)
	{
		int64_t middle = before + (behind - before) / 2;

		if (offset_at(zone, middle) == offset)
			before = middle;
		else
			behind = middle;
	}
	return behind;
}

/* The moment that a wall clock shows this first; where it never does, the end of the gap. */
static int64_t
moment_of_wall(const ScheduleZone *zone, int64_t wall)
{
	int		before = offset_at(zone, wall - DAY_SECONDS);
	int		behind = offset_at(zone, wall + DAY_SECONDS);
	int64_t early = wall - (before > behind ? before : behind);
	int64_t late = wall - (before > behind ? behind : before);

	if (wall - offset_at(zone, early) == early)
		return early;
	if (wall - offset_at(zone, late) == late)
		return late;
	return clock_change(zone, early, late);
}

static int64_t
wall_minute(const ScheduleZone *zone, int64_t at)
{
	return floor_div(at + offset_at(zone, at), MINUTE);
}

/* Fixed hours: each wall-clock time once. */
static int64_t
next_by_wall(const Schedule *schedule, int64_t after, const ScheduleZone *zone)
{
	int64_t wall = wall_minute(zone, after);

	for (;;)
	{
		int64_t at;

		wall = next_wall_minute(schedule, wall);
		if (wall == SCHEDULE_NEVER)
			return SCHEDULE_NEVER;
		at = moment_of_wall(zone, wall * MINUTE);
		if (at > after)
			return at;
	}
}

/* All hours: minutes go by, whatever the clock calls them. */
static int64_t
next_by_elapsed(const Schedule *schedule, int64_t after, const ScheduleZone *zone)
{
	for (;;)
	{
		int		offset = offset_at(zone, after);
		int64_t wall = next_wall_minute(schedule, floor_div(after + offset, MINUTE));
		int64_t at;

		if (wall == SCHEDULE_NEVER)
			return SCHEDULE_NEVER;
		at = wall * MINUTE - offset;
		if (offset_at(zone, at) == offset)
			return at;
		/* on with the other offset from where it begins, which may match itself */
		after = clock_change(zone, after, at);
		wall = wall_minute(zone, after);
		if (next_wall_minute(schedule, wall - 1) == wall)
			return after;
	}
}

/* ---- the next time ---- */

/* splitmix64: ids that follow each other are spread. */
static uint64_t
spread(uint64_t seed)
{
	seed += UINT64_C(0x9e3779b97f4a7c15);
	seed = (seed ^ (seed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	seed = (seed ^ (seed >> 27)) * UINT64_C(0x94d049bb133111eb);
	return seed ^ (seed >> 31);
}

int64_t
schedule_next(const Schedule *schedule, int64_t after, uint64_t seed, const ScheduleZone *zone)
{
	int64_t shift =
		(int64_t) (spread(seed) % (uint64_t) (schedule->cron ? CRON_JITTER : schedule->interval));
	int64_t at;

	if (!schedule->cron)
		return (floor_div(after - shift, schedule->interval) + 1) * schedule->interval + shift;

	at = floor_div(after - shift, SCHEDULE_SECOND);
	at = schedule->hours == ALL_HOURS ? next_by_elapsed(schedule, at, zone) :
										next_by_wall(schedule, at, zone);
	return at == SCHEDULE_NEVER ? SCHEDULE_NEVER : at * SCHEDULE_SECOND + shift;
}

/* ---- spans of a day ---- */

static int
parse_clock(const char **at)
{
	int hour;
	int minute;
	int length = 0;

	if (!isdigit((unsigned char) **at) || sscanf(*at, "%2d:%2d%n", &hour, &minute, &length) != 2 ||
		length < 4 || !isdigit((unsigned char) (*at)[length - 1]) ||
		!isdigit((unsigned char) (*at)[length - 2]) || hour > 24 || minute > 59 ||
		(hour == 24 && minute > 0))
		return -1;
	*at += length;
	return hour * 60 + minute;
}

bool
schedule_parse_span(const char *text, ScheduleSpan *span)
{
	const char *at = skip_blanks(text);

	if ((span->from = parse_clock(&at)) < 0)
		return false;
	at = skip_blanks(at);
	if (*at++ != '-')
		return false;
	at = skip_blanks(at);
	if ((span->to = parse_clock(&at)) < 0)
		return false;
	return *skip_blanks(at) == '\0' && span->from % DAY_MINUTES != span->to % DAY_MINUTES;
}

int64_t
schedule_span_open(const ScheduleSpan *span, int64_t at, const ScheduleZone *zone, int64_t *until)
{
	int64_t now = floor_div(at, SCHEDULE_SECOND);
	int64_t today = floor_div(wall_minute(zone, now), DAY_MINUTES);
	int		length = (span->to - span->from + DAY_MINUTES) % DAY_MINUTES;

	/* yesterday's may still be open; today's or tomorrow's is the next */
	for (int64_t day = today - 1;; day++)
	{
		int64_t wall = day * DAY_MINUTES + span->from;
		int64_t from = moment_of_wall(zone, wall * MINUTE);
		int64_t to = moment_of_wall(zone, (wall + length) * MINUTE);

		if (to <= now)
			continue;
		*until = to * SCHEDULE_SECOND;
		return from <= now ? at : from * SCHEDULE_SECOND;
	}
}
