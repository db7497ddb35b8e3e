/*-------------------------------------------------------------------------
 *
 * jwt.h
 *		Signed assertions for OAuth 2.0 client credentials (RFC 7523).
 *
 * Does not include postgres.h: everything here is tested outside a server.
 * Nothing it writes into an error text comes from a key, a passphrase or an
 * assertion.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_JWT_H
#define MAKINI_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct JwtInput
{
	const char *private_key; /* PEM */
	const char *passphrase;	 /* or NULL */
	const char *algorithm;	 /* or NULL: chosen from the key */
	const char *key_id;		 /* the kid */
	const char *issuer;
	const char *audience;
	const char *scope;	   /* comma list, sent as a JSON array */
	int64_t		issued_at; /* seconds since 1970 */
	int			lifetime;  /* seconds from issued_at to exp */
} JwtInput;

/* What kind of key somebody has, for messages and for choosing an algorithm. */
typedef struct KeyInfo
{
	const char *type; /* "RSA" or "EC" */
	int			bits;
	char		curve[16];	  /* "P-256", ..., "" for RSA */
	char		algorithm[8]; /* the algorithm the key signs with by default */
} KeyInfo;

/*
 * jwt_assertion
 *		Make a compact JWS.  On success *out is malloc'd; on failure it is NULL
 *		and err says why.
 */
extern bool jwt_assertion(const JwtInput *in, char **out, char *err, size_t err_len);

/*
 * jwt_describe_key
 *		Refuses what jwt_assertion would refuse, without signing anything.
 */
extern bool jwt_describe_key(const char *pem, const char *passphrase, KeyInfo *info, char *err,
							 size_t err_len);

/* Does the certificate (PEM) hold the public half of the private key? */
extern bool key_matches_certificate(const char *key_pem, const char *passphrase,
									const char *certificate_pem, char *err, size_t err_len);

/* The certificate's validity, in seconds since 1970; not_before may be NULL. */
extern bool certificate_expiry(const char *pem, int64_t *not_after, int64_t *not_before, char *err,
							   size_t err_len);

#endif /* MAKINI_JWT_H */
