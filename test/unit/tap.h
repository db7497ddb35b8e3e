/*-------------------------------------------------------------------------
 *
 * tap.h
 *		What a unit test needs to print TAP.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_TAP_H
#define MAKINI_TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count = 0;
static int tap_failed = 0;

static inline bool
ok(bool pass, const char *name)
{
	tap_count++;
	if (!pass)
		tap_failed++;
	printf("%sok %d - %s\n", pass ? "" : "not ", tap_count, name);
	fflush(stdout);
	return pass;
}

static inline bool
is_text(const char *got, const char *want, const char *name)
{
	bool pass = got && want ? strcmp(got, want) == 0 : got == want;

	if (!ok(pass, name))
		printf("# got:  %s\n# want: %s\n", got ? got : "(null)", want ? want : "(null)");
	return pass;
}

static inline bool
is_number(long long got, long long want, const char *name)
{
	bool pass = got == want;

	if (!ok(pass, name))
		printf("# got:  %lld\n# want: %lld\n", got, want);
	return pass;
}

/* The last thing a test does: its exit status. */
static inline int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif /* MAKINI_TAP_H */
