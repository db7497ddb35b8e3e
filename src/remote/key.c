/*-------------------------------------------------------------------------
 *
 * key.c
 *		Making a private key and its self-signed certificate.
 *
 * The certificate only carries the public key to the remote side, which
 * trusts it because an administrator uploaded it: nobody signs it but itself.
 *
 *-------------------------------------------------------------------------
 */
#include "remote/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define RSA_BITS 3072
#define SECONDS_PER_DAY 86400

/* RFC 5280 allows serial numbers of up to 20 octets, the first bit being the sign. */
#define SERIAL_BITS 159

typedef struct KeyKind
{
	const char *algorithm;
	const char *group; /* NULL: RSA */
	const EVP_MD *(*digest)(void);
} KeyKind;

static const KeyKind kinds[] = {
	{"ES256", "P-256", EVP_sha256}, {"ES384", "P-384", EVP_sha384}, {"ES512", "P-521", EVP_sha512},
	{"PS256", NULL, EVP_sha256},	{"PS384", NULL, EVP_sha384},	{"PS512", NULL, EVP_sha512},
};

static const KeyKind *
find_kind(const char *algorithm)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		if (strcmp(kinds[i].algorithm, algorithm) == 0)
			return &kinds[i];
	}
	return NULL;
}

static EVP_PKEY *
generate(const KeyKind *kind)
{
	if (kind->group)
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind->group);
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) RSA_BITS);
}

static bool
set_serial(X509 *certificate)
{
	BIGNUM *serial = BN_new();
	bool	ok;

	ok = serial && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate)) != NULL;
	BN_free(serial);
	return ok;
}

static bool
set_validity(X509 *certificate, int64_t from, int64_t to)
{
	return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t) from) != NULL &&
		ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t) to) != NULL;
}

static bool
set_names(X509 *certificate, const char *subject)
{
	X509_NAME *name = X509_get_subject_name(certificate);

	return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
									  (const unsigned char *) subject, -1, -1, 0) == 1 &&
		X509_set_issuer_name(certificate, name) == 1;
}

static bool
add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX		ctx;
	X509_EXTENSION *extension;
	bool			ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

static X509 *
self_sign(EVP_PKEY *key, const KeyKind *kind, const KeyRequest *request, int64_t expires_at)
{
	X509 *certificate = X509_new();

	if (certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
		set_serial(certificate) && set_validity(certificate, request->now, expires_at) &&
		set_names(certificate, request->subject) && X509_set_pubkey(certificate, key) == 1 &&
		add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
		add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
		add_extension(certificate, NID_subject_key_identifier, "hash") &&
		X509_sign(certificate, key, kind->digest()) > 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

/* malloc'd copy of what was written to bio, or NULL. */
static char *
bio_text(BIO *bio)
{
	char *data;
	long  len = BIO_get_mem_data(bio, &data);
	char *out = len > 0 ? malloc((size_t) len + 1) : NULL;

	if (out)
	{
		memcpy(out, data, (size_t) len);
		out[len] = '\0';
	}
	return out;
}

static char *
private_key_pem(EVP_PKEY *key)
{
	BIO	 *bio = BIO_new(BIO_s_mem()); /* wiped when it is freed */
	char *out = NULL;

	if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		out = bio_text(bio);
	BIO_free(bio);
	return out;
}

static char *
certificate_pem(X509 *certificate)
{
	BIO	 *bio = BIO_new(BIO_s_mem());
	char *out = NULL;

	if (bio && PEM_write_bio_X509(bio, certificate) == 1)
		out = bio_text(bio);
	BIO_free(bio);
	return out;
}

static bool
check_request(const KeyRequest *request, char *err, size_t err_len)
{
	if (!find_kind(request->algorithm))
	{
		snprintf(err, err_len,
				 "algorithm \"%.16s\" is not supported, use ES256, ES384, ES512, PS256, PS384 or PS512",
				 request->algorithm);
		return false;
	}
	if (request->days < 1 || request->days > KEY_MAX_DAYS)
	{
		snprintf(err, err_len, "days must be between 1 and %d", KEY_MAX_DAYS);
		return false;
	}
	if (request->subject[0] == '\0')
	{
		snprintf(err, err_len, "subject must not be empty");
		return false;
	}
	return true;
}

bool
key_create(const KeyRequest *request, KeyPair *pair, char *err, size_t err_len)
{
	const KeyKind *kind;
	EVP_PKEY	  *key;
	X509		  *certificate = NULL;

	memset(pair, 0, sizeof(*pair));
	if (!check_request(request, err, err_len))
		return false;
	kind = find_kind(request->algorithm);
	pair->expires_at = request->now + (int64_t) request->days * SECONDS_PER_DAY;

	key = generate(kind);
	if (key)
		certificate = self_sign(key, kind, request, pair->expires_at);
	if (certificate)
	{
		pair->private_key = private_key_pem(key);
		pair->certificate = certificate_pem(certificate);
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	if (pair->private_key && pair->certificate)
		return true;

	key_pair_free(pair);
	snprintf(err, err_len,
			 key ? "certificate cannot be made for this subject" : "key cannot be generated");
	return false;
}

void
key_pair_free(KeyPair *pair)
{
	if (pair->private_key)
		OPENSSL_cleanse(pair->private_key, strlen(pair->private_key));
	free(pair->private_key);
	free(pair->certificate);
	memset(pair, 0, sizeof(*pair));
}
