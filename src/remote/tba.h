/*-------------------------------------------------------------------------
 *
 * tba.h
 *		Token-based authentication: OAuth 1.0a with HMAC-SHA256 signatures.
 *
 * Does not include postgres.h: everything here is tested outside a server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_TBA_H
#define MAKINI_TBA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for a nonce and its NUL. */
#define TBA_NONCE_SIZE 33

typedef struct TbaInput
{
	const char *method; /* upper case */
	const char *url;	/* absolute, with its query; the query is signed too */
	const char *realm;	/* the account, upper case with _ */
	const char *consumer_key;
	const char *consumer_secret;
	const char *token_id;
	const char *token_secret;
	const char *nonce;
	int64_t		timestamp; /* seconds since 1970 */
} TbaInput;

/*
 * tba_authorization
 *		The value of the Authorization header for one request; malloc'd.  NULL
 *		when out of memory or the URL has no scheme and host.
 */
extern char *tba_authorization(const TbaInput *in);

/* A fresh random nonce: 32 hexadecimal digits.  False when there is no randomness. */
extern bool tba_nonce(char nonce[TBA_NONCE_SIZE]);

#endif /* MAKINI_TBA_H */
