/*-------------------------------------------------------------------------
 *
 * credential.h
 *		What a request proves itself with.
 *
 * A credential is filled from a user mapping by the connector that knows the
 * names of its options, and used by token.c (tokens), tba.c (signatures) and
 * call.c (the Authorization header).  It never leaves the process except into
 * that header.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_CREDENTIAL_H
#define MAKINI_CREDENTIAL_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef enum CredentialKind
{
	CREDENTIAL_NONE,	  /* the installation asks for none */
	CREDENTIAL_STATIC,	  /* a fixed bearer token */
	CREDENTIAL_ASSERTION, /* OAuth 2.0 client credentials, signed JWT (RFC 7523) */
	CREDENTIAL_SECRET,	  /* OAuth 2.0 client credentials, client secret */
	CREDENTIAL_TBA,		  /* OAuth 1.0a, HMAC-SHA256 */
	CREDENTIAL_BASIC	  /* client_id as the user, token as the password */
} CredentialKind;

typedef struct Credential
{
	CredentialKind kind;
	const char	  *token_url; /* ASSERTION, SECRET; also the assertion's aud */
	const char	  *client_id;
	const char	  *client_secret;  /* SECRET */
	const char	  *resource;	   /* SECRET, or NULL */
	const char	  *certificate_id; /* ASSERTION: the kid */
	const char	  *private_key;	   /* ASSERTION: PEM */
	const char	  *key_passphrase; /* or NULL */
	const char	  *certificate;	   /* PEM, or NULL */
	const char	  *algorithm;	   /* or NULL: from the key */
	const char	  *scope;		   /* comma list */
	const char	  *token;		   /* STATIC */
	bool		   token_base64;   /* STATIC, SECRET: the token goes base64-encoded behind Bearer */
	const char	  *realm;		   /* TBA: the account id, upper case with _ */
	const char	  *consumer_key;
	const char	  *consumer_secret;
	const char	  *token_id;
	const char	  *token_secret;
	TimestampTz	   expires_at; /* of the certificate, 0: unknown */

	/*
	 * SHA-256 over every option the token depends on: with the database and
	 * the mapping it is the key of the shared token cache.
	 */
	uint8 fingerprint[32];
} Credential;

#endif /* MAKINI_CREDENTIAL_H */
