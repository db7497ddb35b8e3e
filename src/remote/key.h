/*-------------------------------------------------------------------------
 *
 * key.h
 *		Making a private key and the self-signed certificate that is uploaded
 *		to the remote side.
 *
 * Does not include postgres.h: everything here is tested outside a server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_KEY_H
#define MAKINI_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest life a certificate may have at the remote side: two years. */
#define KEY_MAX_DAYS 730

typedef struct KeyRequest
{
	const char *algorithm; /* ES256, ES384, ES512, PS256, PS384, PS512 */
	const char *subject;   /* the common name, UTF-8, 1 to 64 characters */
	int			days;	   /* 1 to KEY_MAX_DAYS */
	int64_t		now;	   /* seconds since 1970: the certificate begins here */
} KeyRequest;

/* Both texts are malloc'd PEM; free them with key_pair_free, which wipes the key. */
typedef struct KeyPair
{
	char   *private_key; /* PKCS #8, not encrypted */
	char   *certificate; /* X.509 v3, self-signed */
	int64_t expires_at;	 /* seconds since 1970 */
} KeyPair;

extern bool key_create(const KeyRequest *request, KeyPair *pair, char *err, size_t err_len);
extern void key_pair_free(KeyPair *pair);

#endif /* MAKINI_KEY_H */
