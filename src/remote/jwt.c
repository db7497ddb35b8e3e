/*-------------------------------------------------------------------------
 *
 * jwt.c
 *		Signed assertions for OAuth 2.0 client credentials, and what has to be
 *		known about a private key and its certificate before one is made.
 *
 * Lives here: reading PEM, choosing and checking the algorithm, the JWS
 * itself.  Not here: asking for a token (token.c), making keys (key.c).
 *
 * json_object() must not be called here: within a server that name is taken by
 * a function of PostgreSQL, json_pack() does the same.
 *
 * OpenSSL leaves its errors in a queue of the thread, which a backend's own
 * TLS connection reads too: every function here empties it before it returns.
 *
 *-------------------------------------------------------------------------
 */
#include "remote/jwt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* The smallest RSA key that the remote side takes. */
#define RSA_MIN_BITS 3072

/* An assertion has to live less than an hour; longer is refused remotely. */
#define MAX_LIFETIME 3599

typedef struct Algorithm
{
	const char *name;
	const EVP_MD *(*digest)(void);
	const char *group; /* OpenSSL's name of the curve, NULL: RSA-PSS */
	const char *curve; /* the name people use */
	int			half;  /* bytes of r and of s */
} Algorithm;

static const Algorithm algorithms[] = {
	{"PS256", EVP_sha256, NULL, NULL, 0},
	{"PS384", EVP_sha384, NULL, NULL, 0},
	{"PS512", EVP_sha512, NULL, NULL, 0},
	{"ES256", EVP_sha256, "prime256v1", "P-256", 32},
	{"ES384", EVP_sha384, "secp384r1", "P-384", 48},
	{"ES512", EVP_sha512, "secp521r1", "P-521", 66},
};

#define N_ALGORITHMS ((int) (sizeof(algorithms) / sizeof(algorithms[0])))

/* What the passphrase callback is given and leaves behind. */
typedef struct PassphraseState
{
	const char *passphrase;
	bool		asked;
} PassphraseState;

static const Algorithm *
algorithm_by_name(const char *name)
{
	for (int i = 0; i < N_ALGORITHMS; i++)
	{
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	}
	return NULL;
}

static const Algorithm *
algorithm_by_group(const char *group)
{
	for (int i = 0; i < N_ALGORITHMS; i++)
	{
		if (algorithms[i].group && strcmp(algorithms[i].group, group) == 0)
			return &algorithms[i];
	}
	return NULL;
}

/* OpenSSL would ask the terminal if there were no callback. */
static int
passphrase_callback(char *buf, int size, int rwflag, void *arg)
{
	PassphraseState *state = arg;
	size_t			 len;

	(void) rwflag;
	state->asked = true;
	if (!state->passphrase)
		return -1;
	len = strlen(state->passphrase);
	if (len > (size_t) size)
		return -1;
	memcpy(buf, state->passphrase, len);
	return (int) len;
}

static EVP_PKEY *
read_private_key(const char *pem, const char *passphrase, char *err, size_t err_len)
{
	PassphraseState state = {passphrase, false};
	BIO			   *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY	   *key = NULL;

	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, passphrase_callback, &state);
	BIO_free(bio);
	ERR_clear_error();
	if (key)
		return key;

	if (!state.asked)
		snprintf(err, err_len, "private key is not a PEM private key");
	else if (!passphrase)
		snprintf(err, err_len, "private key is encrypted, but no passphrase is given");
	else
		snprintf(err, err_len, "private key cannot be decrypted with the passphrase given");
	return NULL;
}

static bool
describe_rsa(KeyInfo *info, char *err, size_t err_len)
{
	info->type = "RSA";
	snprintf(info->algorithm, sizeof(info->algorithm), "PS256");
	if (info->bits >= RSA_MIN_BITS)
		return true;
	snprintf(err, err_len, "RSA key has %d bits, at least %d are required", info->bits, RSA_MIN_BITS);
	return false;
}

static bool
describe_ec(EVP_PKEY *key, KeyInfo *info, char *err, size_t err_len)
{
	const Algorithm *algorithm = NULL;
	char			 group[64];
	size_t			 len;

	info->type = "EC";
	if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1)
		algorithm = algorithm_by_group(group);
	if (!algorithm)
	{
		snprintf(err, err_len, "EC key is on an unsupported curve, P-256, P-384 or P-521 is required");
		return false;
	}
	snprintf(info->curve, sizeof(info->curve), "%s", algorithm->curve);
	snprintf(info->algorithm, sizeof(info->algorithm), "%s", algorithm->name);
	return true;
}

static bool
describe_key(EVP_PKEY *key, KeyInfo *info, char *err, size_t err_len)
{
	memset(info, 0, sizeof(*info));
	info->type = "";
	info->bits = EVP_PKEY_get_bits(key);
	if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
		return describe_rsa(info, err, err_len);
	if (EVP_PKEY_is_a(key, "EC"))
		return describe_ec(key, info, err, err_len);
	snprintf(err, err_len, "private key is neither an RSA nor an EC key");
	return false;
}

/* The algorithm asked for, or the key's own; NULL when they do not go together. */
static const Algorithm *
choose_algorithm(const char *name, const KeyInfo *info, char *err, size_t err_len)
{
	const Algorithm *algorithm = algorithm_by_name(name ? name : info->algorithm);
	bool			 rsa = strcmp(info->type, "RSA") == 0;

	if (!algorithm)
		snprintf(err, err_len,
				 "algorithm \"%.16s\" is not supported, use PS256, PS384, PS512, ES256, ES384 or ES512",
				 name);
	else if (rsa && algorithm->group)
		snprintf(err, err_len, "algorithm %s needs an EC key on %s, but the private key is an RSA key",
				 algorithm->name, algorithm->curve);
	else if (!rsa && !algorithm->group)
		snprintf(err, err_len, "algorithm %s needs an RSA key, but the private key is an EC key on %s",
				 algorithm->name, info->curve);
	else if (!rsa && strcmp(algorithm->curve, info->curve) != 0)
		snprintf(err, err_len, "algorithm %s needs an EC key on %s, but the private key is on %s",
				 algorithm->name, algorithm->curve, info->curve);
	else
		return algorithm;
	return NULL;
}

/* malloc'd base64url text without padding, or NULL. */
static char *
base64url(const unsigned char *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char			 *out = malloc(len / 3 * 4 + 5);
	char			 *p = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i += 3)
	{
		size_t	 left = len - i;
		uint32_t group = (uint32_t) data[i] << 16;

		if (left > 1)
			group |= (uint32_t) data[i + 1] << 8;
		if (left > 2)
			group |= data[i + 2];
		*p++ = digits[group >> 18];
		*p++ = digits[(group >> 12) & 63];
		if (left > 1)
			*p++ = digits[(group >> 6) & 63];
		if (left > 2)
			*p++ = digits[group & 63];
	}
	*p = '\0';
	return out;
}

/* Takes over the reference to object; malloc'd base64url of its JSON text, or NULL. */
static char *
encode_json(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	char *out = NULL;

	if (text)
		out = base64url((const unsigned char *) text, strlen(text));
	free(text);
	json_decref(object);
	return out;
}

static json_t *
scope_array(const char *scope)
{
	json_t	   *array = json_array();
	const char *p = scope ? scope : "";

	while (array && *p)
	{
		size_t len;

		p += strspn(p, ", \t");
		len = strcspn(p, ", \t");
		if (len > 0 && json_array_append_new(array, json_stringn(p, len)) != 0)
		{
			json_decref(array);
			return NULL;
		}
		p += len;
	}
	return array;
}

/* malloc'd "header.claims", or NULL with err filled. */
static char *
signing_input(const JwtInput *in, const Algorithm *algorithm, char *err, size_t err_len)
{
	char *header;
	char *claims;
	char *out = NULL;

	header = encode_json(
		json_pack("{s:s, s:s, s:s}", "typ", "JWT", "alg", algorithm->name, "kid", in->key_id));
	claims = encode_json(json_pack("{s:s, s:o, s:s, s:I, s:I}", "iss", in->issuer, "scope",
								   scope_array(in->scope), "aud", in->audience, "iat",
								   (json_int_t) in->issued_at, "exp",
								   (json_int_t) (in->issued_at + in->lifetime)));
	if (header && claims)
	{
		size_t size = strlen(header) + strlen(claims) + 2;

		out = malloc(size);
		if (out)
			snprintf(out, size, "%s.%s", header, claims);
	}
	if (!out)
		snprintf(err, err_len, "assertion cannot be written: an option is missing or not valid UTF-8");
	free(header);
	free(claims);
	return out;
}

/*
 * JWS wants r and s as two numbers of fixed length one behind the other, where
 * OpenSSL gives a DER sequence.  raw has room for 2 * half bytes.
 */
static bool
ecdsa_der_to_raw(const unsigned char *der, size_t der_len, int half, unsigned char *raw)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long) der_len);
	bool	   ok;

	ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, half) == half &&
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, half) == half;
	ECDSA_SIG_free(sig);
	return ok;
}

static bool
set_pss(EVP_PKEY_CTX *pctx, const EVP_MD *digest)
{
	return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) > 0 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, digest) > 0;
}

/* malloc'd signature in the form that JWS wants, or NULL. */
static unsigned char *
sign(EVP_PKEY *key, const Algorithm *algorithm, const char *input, size_t *len)
{
	EVP_MD_CTX	  *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX  *pctx = NULL; /* belongs to ctx */
	unsigned char *sig = NULL;
	unsigned char *raw = NULL;
	const EVP_MD  *digest = algorithm->digest();

	if (!ctx || EVP_DigestSignInit(ctx, &pctx, digest, NULL, key) != 1)
		goto done;
	if (!algorithm->group && !set_pss(pctx, digest))
		goto done;
	if (EVP_DigestSign(ctx, NULL, len, (const unsigned char *) input, strlen(input)) != 1)
		goto done;
	sig = malloc(*len);
	if (!sig || EVP_DigestSign(ctx, sig, len, (const unsigned char *) input, strlen(input)) != 1)
		goto done;
	if (!algorithm->group)
	{
		raw = sig;
		sig = NULL;
		goto done;
	}
	raw = malloc(2 * (size_t) algorithm->half);
	if (raw && !ecdsa_der_to_raw(sig, *len, algorithm->half, raw))
	{
		free(raw);
		raw = NULL;
	}
	*len = 2 * (size_t) algorithm->half;

done:
	free(sig);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return raw;
}

/* malloc'd "input.signature", or NULL with err filled. */
static char *
sign_compact(EVP_PKEY *key, const Algorithm *algorithm, const char *input, char *err, size_t err_len)
{
	size_t		   sig_len = 0;
	unsigned char *sig = sign(key, algorithm, input, &sig_len);
	char		  *encoded = sig ? base64url(sig, sig_len) : NULL;
	char		  *out = NULL;

	if (encoded)
	{
		size_t size = strlen(input) + strlen(encoded) + 2;

		out = malloc(size);
		if (out)
			snprintf(out, size, "%s.%s", input, encoded);
	}
	if (!out)
		snprintf(err, err_len, "private key cannot sign with %s", algorithm->name);
	free(encoded);
	free(sig);
	return out;
}

bool
jwt_assertion(const JwtInput *in, char **out, char *err, size_t err_len)
{
	const Algorithm *algorithm = NULL;
	EVP_PKEY		*key;
	KeyInfo			 info;
	char			*input = NULL;

	*out = NULL;
	if (in->lifetime < 1 || in->lifetime > MAX_LIFETIME)
	{
		snprintf(err, err_len, "lifetime of an assertion must be between 1 and %d seconds",
				 MAX_LIFETIME);
		return false;
	}
	key = read_private_key(in->private_key, in->passphrase, err, err_len);
	if (!key)
		return false;

	if (describe_key(key, &info, err, err_len))
		algorithm = choose_algorithm(in->algorithm, &info, err, err_len);
	if (algorithm)
		input = signing_input(in, algorithm, err, err_len);
	if (input)
		*out = sign_compact(key, algorithm, input, err, err_len);
	free(input);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return *out != NULL;
}

bool
jwt_describe_key(const char *pem, const char *passphrase, KeyInfo *info, char *err, size_t err_len)
{
	EVP_PKEY *key = read_private_key(pem, passphrase, err, err_len);
	bool	  ok;

	memset(info, 0, sizeof(*info));
	info->type = "";
	if (!key)
		return false;
	ok = describe_key(key, info, err, err_len);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

static X509 *
read_certificate(const char *pem, char *err, size_t err_len)
{
	BIO			   *bio = BIO_new_mem_buf(pem, -1);
	X509		   *certificate = NULL;
	PassphraseState state = {NULL, false};

	if (bio)
		certificate = PEM_read_bio_X509(bio, NULL, passphrase_callback, &state);
	BIO_free(bio);
	ERR_clear_error();
	if (!certificate)
		snprintf(err, err_len, "certificate is not a PEM certificate");
	return certificate;
}

bool
key_matches_certificate(const char *key_pem, const char *passphrase, const char *certificate_pem,
						char *err, size_t err_len)
{
	EVP_PKEY *key = read_private_key(key_pem, passphrase, err, err_len);
	X509	 *certificate = NULL;
	bool	  ok = false;

	if (key)
		certificate = read_certificate(certificate_pem, err, err_len);
	if (certificate)
	{
		ok = X509_check_private_key(certificate, key) == 1;
		if (!ok)
			snprintf(err, err_len, "certificate does not belong to the private key");
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

/* timegm() is not everywhere, and an ASN.1 time has two forms: let OpenSSL count. */
static bool
seconds_since_1970(const ASN1_TIME *when, int64_t *seconds)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int		   days = 0;
	int		   rest = 0;
	bool	   ok = epoch && ASN1_TIME_diff(&days, &rest, epoch, when) == 1;

	*seconds = (int64_t) days * 86400 + rest;
	ASN1_TIME_free(epoch);
	return ok;
}

bool
certificate_expiry(const char *pem, int64_t *not_after, int64_t *not_before, char *err, size_t err_len)
{
	X509   *certificate = read_certificate(pem, err, err_len);
	int64_t begin = 0;
	bool	ok;

	if (!certificate)
		return false;
	ok = seconds_since_1970(X509_get0_notAfter(certificate), not_after) &&
		seconds_since_1970(X509_get0_notBefore(certificate), &begin);
	if (not_before)
		*not_before = begin;
	if (!ok)
		snprintf(err, err_len, "certificate has no readable validity");
	X509_free(certificate);
	ERR_clear_error();
	return ok;
}
