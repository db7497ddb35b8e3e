/*-------------------------------------------------------------------------
 *
 * interval_setting.h
 *		Settings that are intervals, such as '30 days'.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_INTERVAL_SETTING_H
#define MAKINI_INTERVAL_SETTING_H

#include "postgres.h"

/*
 * A setting of the whole cluster (SIGHUP) whose text must be an interval of at
 * least a second.
 */
extern void define_interval_setting(const char *name, const char *description, char **setting,
									const char *value);

/*
 * Its length in microseconds, with days of 24 hours and months of 30 days;
 * -1 where the text is no interval.  Never raises.
 */
extern int64 interval_length(const char *text);

#endif /* MAKINI_INTERVAL_SETTING_H */
