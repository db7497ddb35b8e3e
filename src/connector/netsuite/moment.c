/*-------------------------------------------------------------------------
 *
 * moment.c
 *		Moments as bounds that lose nothing: in UTC, as a day near them, or as
 *		wall clock.
 *
 * NetSuite keeps moments to the second and compares them bare as wall clock of
 * the account, where one hour comes twice in a year.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "connector/filter.h"
#include "connector/netsuite/netsuite.h"

static Timestamp
read_moment(const char *text)
{
	return DatumGetTimestamp(DirectFunctionCall3(timestamp_in, CStringGetDatum(text),
												 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static Timestamp
to_second(Timestamp ts, bool up)
{
	Timestamp cut = ts - (((ts % USECS_PER_SEC) + USECS_PER_SEC) % USECS_PER_SEC);

	return up && cut != ts ? cut + USECS_PER_SEC : cut;
}

static char *
moment_text(Timestamp second)
{
	char *text = filter_moment(second);

	*strchr(text, '.') = '\0';
	return text;
}

/*
 * moment_to_second
 *		A moment to the second, as the remote side keeps them; up: rounded up.
 */
char *
moment_to_second(const char *text, bool up)
{
	return moment_text(to_second(read_moment(text), up));
}

/*
 * moment_near
 *		A day that the wall clock shows before a moment (lower) or after it, in
 *		whatever zone: all of them are within a day of UTC.
 */
char *
moment_near(const char *text, bool lower)
{
	int y, m, d;

	if (sscanf(text, "%d-%d-%d", &y, &m, &d) != 3)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_DATETIME_FORMAT), errmsg("invalid timestamp \"%s\"", text)));
	j2date(date2j(y, m, d) + (lower ? -1 : 2), &y, &m, &d);
	return psprintf("%04d-%02d-%02d", y, m, d);
}

/*
 * By how much a clock is put back within a day of a moment: what it shows then
 * stands for two moments, and whether text is compared with the clock or taken
 * for one of the two is not known.
 */
static long
put_back(pg_time_t moment, const pg_tz *zone)
{
	pg_time_t from = moment - SECS_PER_DAY;
	pg_time_t boundary;
	long	  before;
	long	  after;
	int		  is_dst;

	while (pg_next_dst_boundary(&from, &before, &is_dst, &boundary, &after, &is_dst, zone) > 0 &&
		   boundary <= moment + SECS_PER_DAY)
	{
		if (after < before)
			return before - after;
		from = boundary;
	}
	return 0;
}

/*
 * moment_as_wall
 *		What the clock of a zone shows at a moment, or less where that could lose
 *		moments from this one on (lower; else more, for those up to it).
 */
char *
moment_as_wall(const char *text, const char *zone, bool lower)
{
	pg_tz	 *tz = pg_tzset(zone);
	Timestamp ts = to_second(read_moment(text), !lower);
	pg_time_t moment = timestamptz_to_time_t(ts);
	long	  shift = 0;

	if (tz != NULL)
	{
		shift = pg_localtime(&moment, tz)->tm_gmtoff;
		shift += lower ? -put_back(moment, tz) : put_back(moment, tz);
	}
	return moment_text(ts + shift * USECS_PER_SEC);
}
