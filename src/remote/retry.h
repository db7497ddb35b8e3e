/*-------------------------------------------------------------------------
 *
 * retry.h
 *		How long to wait before a request is sent again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_RETRY_H
#define MAKINI_RETRY_H

#include <stdint.h>
#include <time.h>

#define RETRY_CAP_MS 60000		  /* longest wait of our own choice */
#define RETRY_AFTER_CAP_MS 300000 /* longest wait that the other side may impose */

/*
 * retry_delay
 *		Exponential back-off with full jitter: a random time between nothing
 *		and base * 2^attempt, at most RETRY_CAP_MS.  attempt counts from 0;
 *		random is any 64 random bits.
 */
extern int retry_delay(int attempt, int base_ms, uint64_t random);

/*
 * retry_after_parse
 *		Milliseconds that a Retry-After header asks for, seconds or a date, at
 *		most RETRY_AFTER_CAP_MS; -1 when it makes no sense.  now is the other
 *		side's clock where its Date header told, so that skew does no harm.
 */
extern int retry_after_parse(const char *text, time_t now);

/* An HTTP date (the IMF-fixdate form alone) as seconds since 1970; -1 when it is none. */
extern time_t http_date_parse(const char *text);

#endif /* MAKINI_RETRY_H */
