/*-------------------------------------------------------------------------
 *
 * retry.c
 *		How long to wait before a request is sent again.
 *
 * Pure: does not include postgres.h.  Randomness and the clock come in as
 * arguments, so that the tests need neither.
 *
 *-------------------------------------------------------------------------
 */
#include "remote/retry.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

int
retry_delay(int attempt, int base_ms, uint64_t random)
{
	int64_t ceiling = base_ms;

	while (attempt-- > 0 && ceiling < RETRY_CAP_MS)
		ceiling *= 2;
	if (ceiling > RETRY_CAP_MS)
		ceiling = RETRY_CAP_MS;
	if (ceiling <= 0)
		return 0;
	return (int) (random % (uint64_t) (ceiling + 1));
}

int
retry_after_parse(const char *text, time_t now)
{
	int64_t		seconds = 0;
	const char *p = text;

	while (*p == ' ' || *p == '\t')
		p++;

	if (isdigit((unsigned char) *p))
	{
		for (; isdigit((unsigned char) *p); p++)
		{
			if (seconds <= RETRY_AFTER_CAP_MS)
				seconds = seconds * 10 + (*p - '0');
		}
		while (*p == ' ' || *p == '\t')
			p++;
		if (*p != '\0')
			return -1;
	}
	else
	{
		time_t when = http_date_parse(p);

		if (when < 0)
			return -1;
		seconds = when > now ? (int64_t) (when - now) : 0;
	}
	if (seconds > RETRY_AFTER_CAP_MS / 1000)
		return RETRY_AFTER_CAP_MS;
	return (int) (seconds * 1000);
}

/* Reads exactly n digits; false when there are fewer. */
static bool
digits(const char **p, int n, int *value)
{
	*value = 0;
	for (; n > 0; n--, (*p)++)
	{
		if (!isdigit((unsigned char) **p))
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

static bool
literal(const char **p, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

/* Days since 1970-01-01 of a day in the Gregorian calendar. */
static int64_t
days_of_civil(int year, int month, int day)
{
	int era;
	int of_era;
	int of_year;

	if (month <= 2)
		year--;
	era = year / 400;
	of_era = year - era * 400;
	of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return (int64_t) era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

time_t
http_date_parse(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char		 *p = text;
	int				  day;
	int				  month = 0;
	int				  year;
	int				  hour;
	int				  minute;
	int				  second;

	while (*p == ' ' || *p == '\t')
		p++;
	for (int i = 0; i < 3; i++, p++)
	{
		if (!isalpha((unsigned char) *p))
			return -1;
	}
	if (!literal(&p, ", ") || !digits(&p, 2, &day) || !literal(&p, " "))
		return -1;
	while (month < 12 && strncmp(p, months + 3 * month, 3) != 0)
		month++;
	if (month == 12)
		return -1;
	p += 3;
	if (!literal(&p, " ") || !digits(&p, 4, &year) || !literal(&p, " ") || !digits(&p, 2, &hour) ||
		!literal(&p, ":") || !digits(&p, 2, &minute) || !literal(&p, ":") ||
		!digits(&p, 2, &second) || !literal(&p, " GMT"))
		return -1;
	if (year < 1970 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return -1;
	return (time_t) (days_of_civil(year, month + 1, day) * 86400 + hour * 3600 + minute * 60 + second);
}
