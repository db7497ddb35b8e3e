/*-------------------------------------------------------------------------
 *
 * schedule.h
 *		When something that repeats is due next.  Pure: no postgres.h.
 *
 * A schedule is an interval, or a five-field cron text in somebody's time
 * zone.  What happens to it when clocks change:
 *
 *	- A wall-clock time that is skipped runs once, right after the gap; several
 *	  skipped times run as one.
 *	- A wall-clock time that comes twice runs the first time only.
 *	- A text whose hours are all of them ("30 * * * *") counts elapsed time
 *	  instead: it runs in both of the repeated hours, and a skipped one is no
 *	  loss to it.
 *
 * Each schedule is shifted by a little that depends on the seed alone, so that
 * not everything starts at once: intervals anywhere within themselves, cron
 * texts by less than half a minute.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SCHEDULE_H
#define MAKINI_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NEVER INT64_MAX
#define SCHEDULE_SECOND INT64_C(1000000)

typedef struct Schedule
{
	bool	 cron;
	int64_t	 interval; /* microseconds, where it is none */
	uint64_t minutes;  /* bit n: minute n */
	uint32_t hours;
	uint32_t days;	   /* bits 1 to 31 */
	uint16_t months;   /* bits 1 to 12 */
	uint8_t	 weekdays; /* bit 0: Sunday */
	bool	 any_day;  /* the field was a star: only the other of the two counts */
	bool	 any_weekday;
} Schedule;

/* Seconds east of UTC at a moment, given in seconds since 1970. */
typedef struct ScheduleZone
{
	int (*offset)(int64_t at, void *zone);
	void *zone;
} ScheduleZone;

/* Does a text look like cron's, as opposed to an interval? */
extern bool schedule_is_cron(const char *text);

/* Read a cron text; false and a sentence on what is wrong with it. */
extern bool schedule_parse_cron(const char *text, Schedule *schedule, char *problem, size_t size);

/*
 * The first time after a moment, both in microseconds since 1970;
 * SCHEDULE_NEVER for a cron text that names no day there is.
 */
extern int64_t schedule_next(const Schedule *schedule, int64_t after, uint64_t seed,
							 const ScheduleZone *zone);

/*
 * A daily stretch of time as in "18:00-06:00", in minutes since midnight.
 */
typedef struct ScheduleSpan
{
	int from;
	int to;
} ScheduleSpan;

extern bool schedule_parse_span(const char *text, ScheduleSpan *span);

/*
 * When the span is open next: the moment itself when it is now, and in *until
 * when it closes then.  All in microseconds since 1970.
 */
extern int64_t schedule_span_open(const ScheduleSpan *span, int64_t at, const ScheduleZone *zone,
								  int64_t *until);

#endif /* MAKINI_SCHEDULE_H */
