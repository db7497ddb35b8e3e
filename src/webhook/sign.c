/*-------------------------------------------------------------------------
 *
 * sign.c
 *		Signatures of Standard Webhooks 1.0.0: v1 (HMAC-SHA256) and v1a (ed25519).
 *
 * A key is parsed once and signs many messages: its OpenSSL contexts live with
 * it.  Signatures are compared in constant time.
 *
 * Pure: does not include postgres.h.
 *
 *-------------------------------------------------------------------------
 */
#include "webhook/sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#define SEED_LEN 32
#define PUBLIC_LEN 32
#define MAC_LEN 32
#define ED25519_LEN 64
#define NEW_SECRET_LEN 32
#define MAX_TIMESTAMP_DIGITS 12

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- base64 ---- */

static size_t
encode(const unsigned char *bytes, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3)
	{
		size_t	 left = len - i;
		uint32_t word = (uint32_t) bytes[i] << 16;

		word |= left > 1 ? (uint32_t) bytes[i + 1] << 8 : 0;
		word |= left > 2 ? bytes[i + 2] : 0;
		out[n++] = alphabet[word >> 18];
		out[n++] = alphabet[word >> 12 & 63];
		out[n++] = left > 1 ? alphabet[word >> 6 & 63] : '=';
		out[n++] = left > 2 ? alphabet[word & 63] : '=';
	}
	out[n] = '\0';
	return n;
}

/* Strict: nothing but the alphabet, whole groups of four, padding only at the end. */
static bool
decode(const char *text, size_t text_len, unsigned char *out, size_t size, size_t *len)
{
	size_t	 padding = 0;
	uint32_t word = 0;

	*len = 0;
	if (text_len == 0 || text_len % 4 != 0)
		return false;
	while (padding < 2 && text[text_len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text_len; i++)
	{
		const char *p = text[i] != '\0' ? strchr(alphabet, text[i]) : NULL;

		if (i >= text_len - padding)
			p = alphabet;
		if (p == NULL)
			return false;
		word = word << 6 | (uint32_t) (p - alphabet);
		if (i % 4 != 3)
			continue;
		for (int shift = 16; shift >= 0; shift -= 8)
		{
			if (i + 1 == text_len && (size_t) (shift / 8) < padding)
				break;
			if (*len >= size)
				return false;
			out[(*len)++] = (unsigned char) (word >> shift);
		}
		word = 0;
	}
	return true;
}

/* ---- keys ---- */

static bool
refuse(char *err, size_t err_len, const char *why)
{
	snprintf(err, err_len, "%s", why);
	return false;
}

static const char *
prefix_of(SignKind kind)
{
	return kind == SIGN_HMAC ? "whsec_" : kind == SIGN_PRIVATE ? "whsk_" : "whpk_";
}

static SignKind
split_prefix(const char **text)
{
	for (SignKind kind = SIGN_HMAC; kind <= SIGN_PUBLIC; kind++)
	{
		const char *prefix = prefix_of(kind);

		if (strncmp(*text, prefix, strlen(prefix)) == 0)
		{
			*text += strlen(prefix);
			return kind;
		}
	}
	return SIGN_HMAC;
}

static bool
prepare_mac(SignKey *key)
{
	EVP_MAC	  *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	char	   digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
						   OSSL_PARAM_construct_end()};

	key->mac = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	return key->mac != NULL && EVP_MAC_init(key->mac, key->bytes, key->len, params) == 1;
}

static bool
prepare_ed25519(SignKey *key)
{
	if (key->kind == SIGN_PRIVATE)
		key->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->bytes, SEED_LEN);
	else
		key->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, PUBLIC_LEN);
	key->work = EVP_MD_CTX_new();
	return key->pkey != NULL && key->work != NULL;
}

/* A private key that goes with another public key would sign what nobody can verify. */
static bool
halves_match(const SignKey *key)
{
	unsigned char public[PUBLIC_LEN];
	size_t len = sizeof(public);

	return EVP_PKEY_get_raw_public_key(key->pkey, public, &len) == 1 && len == PUBLIC_LEN &&
		CRYPTO_memcmp(public, key->bytes + SEED_LEN, PUBLIC_LEN) == 0;
}

static bool
check_length(const SignKey *key)
{
	if (key->kind == SIGN_HMAC)
		return key->len > 0;
	return key->len == (key->kind == SIGN_PRIVATE ? SEED_LEN + PUBLIC_LEN : PUBLIC_LEN);
}

bool
sign_key_parse(const char *text, SignKey *key, char *err, size_t err_len)
{
	bool prepared;

	memset(key, 0, sizeof(*key));
	key->kind = split_prefix(&text);
	if (*text == '\0')
		return refuse(err, err_len, "is empty");
	if (!decode(text, strlen(text), key->bytes, sizeof(key->bytes), &key->len) || !check_length(key))
	{
		sign_key_clear(key);
		return refuse(err, err_len,
					  "is not whsec_, whsk_ or whpk_ and base64 of the length that belongs to it");
	}
	prepared = key->kind == SIGN_HMAC ? prepare_mac(key) : prepare_ed25519(key);
	if (!prepared || (key->kind == SIGN_PRIVATE && !halves_match(key)))
	{
		sign_key_clear(key);
		return refuse(err, err_len,
					  prepared ? "has a public key that does not belong to its private key" :
								 "cannot be used by OpenSSL");
	}
	return true;
}

void
sign_key_clear(SignKey *key)
{
	EVP_MAC_CTX_free(key->mac);
	EVP_MD_CTX_free(key->work);
	EVP_PKEY_free(key->pkey);
	free(key->scratch);
	OPENSSL_cleanse(key, sizeof(*key));
}

bool
sign_key_make(SignKind kind, char *text, size_t len)
{
	unsigned char bytes[SEED_LEN + PUBLIC_LEN];
	char		  encoded[SIGN_MAX_TEXT];
	size_t		  n = NEW_SECRET_LEN;
	bool		  made = RAND_priv_bytes(bytes, NEW_SECRET_LEN) == 1;

	if (made && kind == SIGN_PRIVATE)
	{
		EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, SEED_LEN);
		size_t	  public_len = PUBLIC_LEN;

		made = pkey != NULL && EVP_PKEY_get_raw_public_key(pkey, bytes + SEED_LEN, &public_len) == 1;
		EVP_PKEY_free(pkey);
		n = SEED_LEN + PUBLIC_LEN;
	}
	if (made)
	{
		encode(bytes, n, encoded);
		snprintf(text, len, "%s%s", prefix_of(kind), encoded);
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	OPENSSL_cleanse(encoded, sizeof(encoded));
	return made;
}

void
sign_key_for_receiver(const SignKey *key, char *text, size_t len)
{
	char encoded[SIGN_MAX_TEXT];

	if (key->kind == SIGN_PRIVATE)
		encode(key->bytes + SEED_LEN, PUBLIC_LEN, encoded);
	else
		encode(key->bytes, key->len, encoded);
	snprintf(text, len, "%s%s", key->kind == SIGN_HMAC ? "whsec_" : "whpk_", encoded);
	OPENSSL_cleanse(encoded, sizeof(encoded));
}

/* ---- signing ---- */

static bool
sign_hmac(SignKey *key, const char *head, size_t head_len, const char *body, size_t body_len,
		  unsigned char *mac)
{
	size_t len = 0;

	return EVP_MAC_init(key->mac, NULL, 0, NULL) == 1 &&
		EVP_MAC_update(key->mac, (const unsigned char *) head, head_len) == 1 &&
		EVP_MAC_update(key->mac, (const unsigned char *) body, body_len) == 1 &&
		EVP_MAC_final(key->mac, mac, &len, MAC_LEN) == 1;
}

static bool
join(SignKey *key, const char *head, size_t head_len, const char *body, size_t body_len)
{
	if (key->scratch_size < head_len + body_len)
	{
		unsigned char *grown = realloc(key->scratch, head_len + body_len);

		if (grown == NULL)
			return false;
		key->scratch = grown;
		key->scratch_size = head_len + body_len;
	}
	memcpy(key->scratch, head, head_len);
	if (body_len > 0)
		memcpy(key->scratch + head_len, body, body_len);
	return true;
}

static bool
sign_ed25519(SignKey *key, const char *head, size_t head_len, const char *body, size_t body_len,
			 unsigned char *signature)
{
	size_t len = ED25519_LEN;

	return key->kind == SIGN_PRIVATE && join(key, head, head_len, body, body_len) &&
		EVP_MD_CTX_reset(key->work) == 1 &&
		EVP_DigestSignInit(key->work, NULL, NULL, NULL, key->pkey) == 1 &&
		EVP_DigestSign(key->work, signature, &len, key->scratch, head_len + body_len) == 1;
}

/* "<id>.<timestamp>." in malloc'd memory. */
static char *
make_head(const char *id, const char *timestamp, size_t *len)
{
	size_t size = strlen(id) + strlen(timestamp) + 3;
	char  *head = malloc(size);

	if (head != NULL)
		*len = (size_t) snprintf(head, size, "%s.%s.", id, timestamp);
	return head;
}

bool
sign_message(SignKey *key, const char *id, int64_t timestamp, const char *body, size_t body_len,
			 char *out, size_t out_len)
{
	unsigned char raw[ED25519_LEN];
	char		  encoded[SIGN_MAX_SIGNATURE];
	char		  digits[24];
	size_t		  head_len = 0;
	char		 *head;
	bool		  made;

	snprintf(digits, sizeof(digits), "%lld", (long long) timestamp);
	head = make_head(id, digits, &head_len);
	if (head == NULL)
		return false;
	if (key->kind == SIGN_HMAC)
		made = sign_hmac(key, head, head_len, body, body_len, raw);
	else
		made = sign_ed25519(key, head, head_len, body, body_len, raw);
	free(head);
	if (!made)
		return false;
	encode(raw, key->kind == SIGN_HMAC ? MAC_LEN : ED25519_LEN, encoded);
	snprintf(out, out_len, "%s,%s", key->kind == SIGN_HMAC ? "v1" : "v1a", encoded);
	return true;
}

/* ---- verifying ---- */

static bool
parse_timestamp(const char *text, int64_t *timestamp)
{
	size_t len = strlen(text);

	*timestamp = 0;
	if (len == 0 || len > MAX_TIMESTAMP_DIGITS || strspn(text, "0123456789") != len)
		return false;
	for (const char *p = text; *p != '\0'; p++)
		*timestamp = *timestamp * 10 + (*p - '0');
	return true;
}

static bool
fits_ed25519(SignKey *key, size_t signed_len, const unsigned char *signature, size_t len)
{
	return len == ED25519_LEN && EVP_MD_CTX_reset(key->work) == 1 &&
		EVP_DigestVerifyInit(key->work, NULL, NULL, NULL, key->pkey) == 1 &&
		EVP_DigestVerify(key->work, signature, len, key->scratch, signed_len) == 1;
}

/* Any signature of the list that fits will do; versions that the key has nothing to do with are skipped. */
static bool
any_fits(SignKey *key, const char *header, const unsigned char *mac, size_t signed_len)
{
	const char *version = key->kind == SIGN_HMAC ? "v1," : "v1a,";
	bool		fits = false;

	while (*header != '\0')
	{
		size_t		  len = strcspn(header, " ");
		size_t		  version_len = strlen(version);
		unsigned char raw[ED25519_LEN];
		size_t		  raw_len;

		if (len > version_len && strncmp(header, version, version_len) == 0 &&
			decode(header + version_len, len - version_len, raw, sizeof(raw), &raw_len))
		{
			if (key->kind == SIGN_HMAC)
				fits |= raw_len == MAC_LEN && CRYPTO_memcmp(raw, mac, MAC_LEN) == 0;
			else
				fits |= fits_ed25519(key, signed_len, raw, raw_len);
		}
		header += len;
		header += strspn(header, " ");
	}
	return fits;
}

bool
sign_verify(SignKey *key, const char *id, const char *timestamp, const char *body, size_t body_len,
			const char *header, int64_t tolerance, int64_t now)
{
	unsigned char mac[MAC_LEN] = {0};
	int64_t		  sent_at;
	size_t		  head_len = 0;
	char		 *head;
	bool		  ready;

	if (!parse_timestamp(timestamp, &sent_at) || sent_at - now > tolerance || now - sent_at > tolerance)
		return false;
	head = make_head(id, timestamp, &head_len);
	if (head == NULL)
		return false;
	if (key->kind == SIGN_HMAC)
		ready = sign_hmac(key, head, head_len, body, body_len, mac);
	else
		ready = join(key, head, head_len, body, body_len);
	free(head);
	return ready && any_fits(key, header, mac, head_len + body_len);
}
