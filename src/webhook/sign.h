/*-------------------------------------------------------------------------
 *
 * sign.h
 *		Signatures of Standard Webhooks 1.0.0: v1 (HMAC-SHA256) and v1a (ed25519).
 *
 * What is signed is "<id>.<timestamp>.<body>".  Does not include postgres.h:
 * everything here is tested outside a server.  No text of a secret ever gets
 * into an error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SIGN_H
#define MAKINI_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#define SIGN_MIN_SECRET 24 /* bytes, of secrets that endpoints get */
#define SIGN_MAX_SECRET 64
#define SIGN_MAX_TEXT 160	  /* of a key as text, with its NUL */
#define SIGN_MAX_SIGNATURE 96 /* of one signature as text, with its NUL */

typedef enum SignKind
{
	SIGN_HMAC,	  /* whsec_, or no prefix */
	SIGN_PRIVATE, /* whsk_: seed and public key */
	SIGN_PUBLIC	  /* whpk_: can only verify */
} SignKind;

/* A key ready for use; sign_key_clear() wipes it. */
typedef struct SignKey
{
	SignKind	   kind;
	unsigned char  bytes[SIGN_MAX_SECRET];
	size_t		   len;
	EVP_MAC_CTX	  *mac;	 /* of SIGN_HMAC, keyed */
	EVP_MD_CTX	  *work; /* of the others */
	EVP_PKEY	  *pkey;
	unsigned char *scratch; /* ed25519 wants its message in one piece */
	size_t		   scratch_size;
} SignKey;

/*
 * sign_key_parse
 *		Take a secret's text apart.  False, with a reason in err that reads well
 *		behind "secret ".
 */
extern bool sign_key_parse(const char *text, SignKey *key, char *err, size_t err_len);
extern void sign_key_clear(SignKey *key);

/* The text of a fresh secret of a kind (SIGN_HMAC or SIGN_PRIVATE). */
extern bool sign_key_make(SignKind kind, char *text, size_t len);

/* What a receiver needs to verify with: the public key, or the secret itself. */
extern void sign_key_for_receiver(const SignKey *key, char *text, size_t len);

/*
 * sign_message
 *		One signature with its version in front, as it stands in the header.
 */
extern bool sign_message(SignKey *key, const char *id, int64_t timestamp, const char *body,
						 size_t body_len, char *out, size_t out_len);

/*
 * sign_verify
 *		Does any signature of the header fit the key, and was it made at most
 *		tolerance seconds away from now?  Texts of any content are answered.
 */
extern bool sign_verify(SignKey *key, const char *id, const char *timestamp, const char *body,
						size_t body_len, const char *header, int64_t tolerance, int64_t now);

#endif /* MAKINI_SIGN_H */
