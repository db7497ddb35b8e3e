/*-------------------------------------------------------------------------
 *
 * interval_setting.c
 *		Settings that are intervals.
 *
 * PostgreSQL's own settings of time know only "30d"; people write '30 days'.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/datetime.h"
#include "utils/guc.h"

#include "interval_setting.h"

/* As interval_in does it, which raises: a setting is checked where nobody could catch that. */
int64
interval_length(const char *text)
{
	char			 work[256];
	char			*field[MAXDATEFIELDS];
	int				 ftype[MAXDATEFIELDS];
	int				 nfields;
	int				 dtype;
	struct pg_itm_in itm = {0};

	if (ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nfields) != 0 ||
		DecodeInterval(field, ftype, nfields, INTERVAL_FULL_RANGE, &dtype, &itm) != 0 ||
		dtype != DTK_DELTA)
		return -1;
	/* More than a thousand years is a mistake, and would overflow. */
	if (abs(itm.tm_year) > 1000 || abs(itm.tm_mon) > 12000 || abs(itm.tm_mday) > 365000)
		return -1;
	return ((int64) itm.tm_year * 360 + (int64) itm.tm_mon * 30 + itm.tm_mday) * USECS_PER_DAY +
		itm.tm_usec;
}

static bool
check_interval(char **newval, void **extra, GucSource source)
{
	if (interval_length(*newval) >= USECS_PER_SEC)
		return true;
	GUC_check_errdetail("It must be an interval of at least a second, such as \"30 days\".");
	return false;
}

void
define_interval_setting(const char *name, const char *description, char **setting, const char *value)
{
	DefineCustomStringVariable(name, description, NULL, setting, value, PGC_SIGHUP, 0,
							   check_interval, NULL, NULL);
}
