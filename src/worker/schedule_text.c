/*-------------------------------------------------------------------------
 *
 * schedule_text.c
 *		Schedules as people write them: intervals and cron texts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "worker/schedule.h"
#include "worker/worker.h"

#define UNIX_OFFSET ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static int
offset_in_session(int64_t at, void *zone)
{
	pg_time_t	  seconds = at;
	struct pg_tm *tm = pg_localtime(&seconds, session_timezone);

	return tm == NULL ? 0 : (int) tm->tm_gmtoff;
}

static const ScheduleZone session_zone = {offset_in_session, NULL};

/* Microseconds of an interval; months count 30 days, as PostgreSQL itself does. */
static int64
interval_microseconds(const char *text)
{
	Interval *interval =
		DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
											  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	double total = (double) interval->time + (double) interval->day * USECS_PER_DAY +
		(double) interval->month * DAYS_PER_MONTH * USECS_PER_DAY;

	return total > 1e17 ? -1 : (int64) total;
}

static void
refuse(const char *text, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is not a schedule", text),
			 errdetail("%s", problem),
			 errhint("A schedule is an interval, as in \"15 min\", or a cron text of five fields"
					 " (minute, hour, day, month, weekday), as in \"30 2 * * mon-fri\".")));
}

/* The text as a schedule; raises 22023. */
static void
read_schedule(const char *text, Schedule *schedule)
{
	char		  problem[200];
	MemoryContext caller = CurrentMemoryContext;

	if (schedule_is_cron(text))
	{
		if (!schedule_parse_cron(text, schedule, problem, sizeof(problem)))
			refuse(text, problem);
		return;
	}

	memset(schedule, 0, sizeof(Schedule));
	PG_TRY();
	{
		schedule->interval = interval_microseconds(text);
	}
	PG_CATCH();
	{
		ErrorData *error;

		/* input of an interval touches nothing that would have to be undone */
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		schedule->interval = 0;
		snprintf(problem, sizeof(problem), "It is neither an interval nor a cron text.");
		refuse(text, problem);
	}
	PG_END_TRY();
	if (schedule->interval < SCHEDULE_SECOND)
		refuse(text, "An interval must be a second or more, and less than three thousand years.");
}

void
schedule_check(const char *text)
{
	Schedule schedule;

	read_schedule(text, &schedule);
}

TimestampTz
schedule_next_time(const char *text, int64 seed, TimestampTz after)
{
	Schedule schedule;
	int64	 next;

	read_schedule(text, &schedule);
	next = schedule_next(&schedule, after + UNIX_OFFSET, (uint64) seed, &session_zone);
	return next == SCHEDULE_NEVER ? DT_NOEND : next - UNIX_OFFSET;
}

bool
schedule_in_hours(const char *span_text, TimestampTz at, TimestampTz *opens, TimestampTz *closes)
{
	ScheduleSpan span;
	int64_t		 until;
	int64_t		 open;

	if (!schedule_parse_span(span_text, &span))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a part of the day", span_text),
				 errhint("Write it as in \"18:00-06:00\", in the time zone of the database.")));
	open = schedule_span_open(&span, at + UNIX_OFFSET, &session_zone, &until);
	*opens = open - UNIX_OFFSET;
	*closes = until - UNIX_OFFSET;
	return *opens <= at;
}
