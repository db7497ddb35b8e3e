/*-------------------------------------------------------------------------
 *
 * test_retry.c
 *		TAP tests of back-off, Retry-After and HTTP dates.
 *
 * Links: src/remote/retry.c
 *
 *-------------------------------------------------------------------------
 */
#include "remote/retry.h"

#include "tap.h"

static void
test_delay(void)
{
	is_number(retry_delay(0, 1000, UINT64_MAX - (UINT64_MAX % 1001) - 1), 1000,
			  "the first wait is at most the base");
	is_number(retry_delay(0, 1000, 0), 0, "and may be nothing");
	is_number(retry_delay(3, 1000, 8000), 8000, "it doubles");
	is_number(retry_delay(3, 1000, 8001), 0, "but goes no further");
	is_number(retry_delay(6, 1000, RETRY_CAP_MS), RETRY_CAP_MS, "up to the cap");
	is_number(retry_delay(1000, 1000, RETRY_CAP_MS + 1), 0, "and not beyond it");
	is_number(retry_delay(INT32_MAX, 60000, RETRY_CAP_MS), RETRY_CAP_MS,
			  "however many tries there were");
	is_number(retry_delay(2, 1, 4), 4, "tests may shorten the base");
	is_number(retry_delay(5, 0, 12345), 0, "a base of nothing waits for nothing");
}

static void
test_retry_after(void)
{
	time_t noon = http_date_parse("Sun, 06 Nov 1994 12:00:00 GMT");

	is_number(retry_after_parse("0", noon), 0, "no seconds");
	is_number(retry_after_parse("7", noon), 7000, "seconds");
	is_number(retry_after_parse("  7 \t", noon), 7000, "space around them");
	is_number(retry_after_parse("300", noon), 300000, "the longest");
	is_number(retry_after_parse("301", noon), RETRY_AFTER_CAP_MS, "longer is capped");
	is_number(retry_after_parse("99999999999999999999999999", noon), RETRY_AFTER_CAP_MS,
			  "more digits than fit");
	is_number(retry_after_parse("Sun, 06 Nov 1994 12:00:30 GMT", noon), 30000, "a date");
	is_number(retry_after_parse("Sun, 06 Nov 1994 11:59:30 GMT", noon), 0, "a date gone by");
	is_number(retry_after_parse("Mon, 07 Nov 1994 12:00:00 GMT", noon), RETRY_AFTER_CAP_MS,
			  "a date far off is capped");
	is_number(retry_after_parse("", noon), -1, "nothing");
	is_number(retry_after_parse("-1", noon), -1, "less than nothing");
	is_number(retry_after_parse("1.5", noon), -1, "a fraction");
	is_number(retry_after_parse("soon", noon), -1, "a word");
	is_number(retry_after_parse("7 seconds", noon), -1, "seconds and more");
}

static void
test_date(void)
{
	is_number(http_date_parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0, "the first second");
	is_number(http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777, "RFC 9110's own");
	is_number(http_date_parse("Thu, 29 Feb 2024 00:00:00 GMT"), 1709164800, "a leap day");
	is_number(http_date_parse("Tue, 31 Dec 2199 23:59:59 GMT"), 7258118399LL, "far ahead");
	is_number(http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT"), -1, "RFC 850's form");
	is_number(http_date_parse("Sun Nov  6 08:49:37 1994"), -1, "asctime's form");
	is_number(http_date_parse("Sun, 06 Nov 1994 08:49:37"), -1, "no zone");
	is_number(http_date_parse("Sun, 06 Nov 1994 24:00:00 GMT"), -1, "no such hour");
	is_number(http_date_parse("Sun, 00 Nov 1994 08:49:37 GMT"), -1, "no such day");
	is_number(http_date_parse("Sun, 06 Nov 1969 08:49:37 GMT"), -1, "before 1970");
	is_number(http_date_parse("Sun, 06 Nix 1994 08:49:37 GMT"), -1, "no such month");
	is_number(http_date_parse("Su"), -1, "cut off");
	is_number(http_date_parse("Sun, 06 No"), -1, "cut off in the month");
}

int
main(void)
{
	test_delay();
	test_retry_after();
	test_date();
	return tap_done();
}
