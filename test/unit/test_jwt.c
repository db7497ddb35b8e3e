/*-------------------------------------------------------------------------
 *
 * test_jwt.c
 *		TAP tests of assertions, keys and certificates.
 *
 * Every assertion is verified twice: with OpenSSL here, and with PyJWT, which
 * has nothing of ours in it (verify_jwt.py).
 *
 * Links: src/remote/jwt.c src/remote/key.c
 *
 *-------------------------------------------------------------------------
 */
#include "remote/jwt.h"
#include "remote/key.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tap.h"

#define ISSUED_AT 1790000000
#define AUDIENCE "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"

static const struct
{
	const char *name;
	const EVP_MD *(*digest)(void);
	int digest_len;
	int signature_len;
} algorithms[] = {
	{"ES256", EVP_sha256, 32, 64},	{"ES384", EVP_sha384, 48, 96},	{"ES512", EVP_sha512, 64, 132},
	{"PS256", EVP_sha256, 32, 384}, {"PS384", EVP_sha384, 48, 384}, {"PS512", EVP_sha512, 64, 384},
};

#define N_ALGORITHMS 6

static KeyPair pairs[N_ALGORITHMS];
static char	   err[256];

/* ---------------------------------------------------------------------
 * Helpers
 * ---------------------------------------------------------------------
 */

static bool
ok_named(bool pass, const char *algorithm, const char *what)
{
	char name[200];

	snprintf(name, sizeof(name), "%s: %s", algorithm, what);
	return ok(pass, name);
}

static JwtInput
input_for(const char *key)
{
	JwtInput in = {0};

	in.private_key = key;
	in.key_id = "certificate-1";
	in.issuer = "client-1";
	in.audience = AUDIENCE;
	in.scope = "rest_webservices, restlets";
	in.issued_at = ISSUED_AT;
	in.lifetime = 300;
	return in;
}

static size_t
decode_base64url(const char *text, size_t len, unsigned char *out)
{
	size_t	 n = 0;
	uint32_t bits = 0;
	int		 have = 0;

	for (size_t i = 0; i < len; i++)
	{
		static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
		const char		 *at = strchr(digits, text[i]);

		if (!at)
			return 0;
		bits = bits << 6 | (uint32_t) (at - digits);
		have += 6;
		if (have >= 8)
		{
			have -= 8;
			out[n++] = (unsigned char) (bits >> have);
		}
	}
	return n;
}

static EVP_PKEY *
public_key(const char *certificate_pem)
{
	BIO		 *bio = BIO_new_mem_buf(certificate_pem, -1);
	X509	 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	EVP_PKEY *key = X509_get_pubkey(certificate);

	X509_free(certificate);
	BIO_free(bio);
	return key;
}

static int
raw_to_der(const unsigned char *raw, int half, unsigned char **der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int		   len;

	ECDSA_SIG_set0(sig, BN_bin2bn(raw, half, NULL), BN_bin2bn(raw + half, half, NULL));
	len = i2d_ECDSA_SIG(sig, der);
	ECDSA_SIG_free(sig);
	return len;
}

/* salt_len other than the true one must not verify. */
static bool
verify(EVP_PKEY *key, int i, const char *input, size_t input_len, const unsigned char *sig,
	   size_t sig_len, int salt_len)
{
	EVP_MD_CTX	  *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX  *pctx;
	unsigned char *der = NULL;
	bool		   pass;

	EVP_DigestVerifyInit(ctx, &pctx, algorithms[i].digest(), NULL, key);
	if (algorithms[i].name[0] == 'P')
	{
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt_len);
		EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, algorithms[i].digest());
	}
	else
	{
		sig_len = (size_t) raw_to_der(sig, algorithms[i].signature_len / 2, &der);
		sig = der;
	}
	pass = EVP_DigestVerify(ctx, sig, sig_len, (const unsigned char *) input, input_len) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return pass;
}

static char *
write_key(EVP_PKEY *key, const char *passphrase)
{
	BIO	 *bio = BIO_new(BIO_s_mem());
	char *data;
	char *out;
	long  len;

	PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_256_cbc() : NULL, passphrase,
								  passphrase ? (int) strlen(passphrase) : 0, NULL, NULL);
	len = BIO_get_mem_data(bio, &data);
	out = strndup(data, (size_t) len);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return out;
}

static EVP_PKEY *
read_key(const char *pem)
{
	BIO		 *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return key;
}

/* ---------------------------------------------------------------------
 * Keys and certificates
 * ---------------------------------------------------------------------
 */

static void
check_certificate(int i, int64_t now, int days)
{
	const char *algorithm = algorithms[i].name;
	BIO		   *bio = BIO_new_mem_buf(pairs[i].certificate, -1);
	X509	   *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	EVP_PKEY   *key = X509_get0_pubkey(certificate);
	char		name[100];
	int64_t		not_after;
	int64_t		not_before;
	BIGNUM	   *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);

	ok_named(X509_get_version(certificate) == X509_VERSION_3, algorithm, "the certificate is X.509 v3");
	ok_named(X509_verify(certificate, key) == 1, algorithm,
			 "the certificate is signed with its own key");
	X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
	is_text(name, "makini test", "the subject is its common name");
	ok_named(BN_num_bits(serial) > 100, algorithm, "the serial number is long");
	BN_free(serial);
	ok_named((X509_get_extension_flags(certificate) & EXFLAG_CA) == 0, algorithm,
			 "the certificate signs no others");
	ok_named(certificate_expiry(pairs[i].certificate, &not_after, &not_before, err, sizeof(err)) &&
				 not_after == now + (int64_t) days * 86400 && not_before == now &&
				 pairs[i].expires_at == not_after,
			 algorithm, "its validity is the days asked for");
	X509_free(certificate);
	BIO_free(bio);
}

static void
test_keys(void)
{
	int64_t now = (int64_t) time(NULL);

	for (int i = 0; i < N_ALGORITHMS; i++)
	{
		KeyRequest	request = {algorithms[i].name, "makini test", 730 - i, now};
		const char *want = algorithms[i].name[0] == 'P' ? "PS256" : algorithms[i].name;
		KeyInfo		info;

		ok_named(key_create(&request, &pairs[i], err, sizeof(err)), request.algorithm, "a key is made");
		check_certificate(i, now, request.days);
		ok_named(jwt_describe_key(pairs[i].private_key, NULL, &info, err, sizeof(err)) &&
					 strcmp(info.algorithm, want) == 0,
				 request.algorithm, "the key's own algorithm");
		ok_named(key_matches_certificate(pairs[i].private_key, NULL, pairs[i].certificate, err,
										 sizeof(err)),
				 request.algorithm, "key and certificate belong together");
	}
	ok(!key_matches_certificate(pairs[0].private_key, NULL, pairs[1].certificate, err, sizeof(err)),
	   "another key's certificate");
	is_text(err, "certificate does not belong to the private key", "is told so");
}

static void
check_refused_key(const char *algorithm, const char *subject, int days, const char *want)
{
	KeyRequest request = {algorithm, subject, days, ISSUED_AT};
	KeyPair	   pair;

	ok(!key_create(&request, &pair, err, sizeof(err)) && !pair.private_key && !pair.certificate,
	   "no key is made");
	is_text(err, want, "and the reason is given");
}

static void
test_refused_keys(void)
{
	char long_name[100];

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	check_refused_key("RS256", "x", 10,
					  "algorithm \"RS256\" is not supported, use ES256, ES384, ES512, PS256, PS384 or PS512");
	check_refused_key("ES256", "x", 731, "days must be between 1 and 730");
	check_refused_key("ES256", "x", 0, "days must be between 1 and 730");
	check_refused_key("ES256", "", 10, "subject must not be empty");
	check_refused_key("ES256", long_name, 10, "certificate cannot be made for this subject");
}

/* ---------------------------------------------------------------------
 * Assertions
 * ---------------------------------------------------------------------
 */

static void
check_claims(const char *assertion, const char *algorithm)
{
	const char	 *dot = strchr(assertion, '.');
	unsigned char text[2000];
	size_t		  len;
	json_t		 *header;
	json_t		 *claims;
	json_t		 *scope;

	len = decode_base64url(assertion, (size_t) (dot - assertion), text);
	header = json_loadb((char *) text, len, 0, NULL);
	is_text(json_string_value(json_object_get(header, "alg")), algorithm, "header: alg");
	is_text(json_string_value(json_object_get(header, "typ")), "JWT", "header: typ");
	is_text(json_string_value(json_object_get(header, "kid")), "certificate-1", "header: kid");
	json_decref(header);

	len = decode_base64url(dot + 1, strcspn(dot + 1, "."), text);
	claims = json_loadb((char *) text, len, 0, NULL);
	scope = json_object_get(claims, "scope");
	is_text(json_string_value(json_object_get(claims, "iss")), "client-1", "claims: iss");
	is_text(json_string_value(json_object_get(claims, "aud")), AUDIENCE, "claims: aud");
	is_number(json_integer_value(json_object_get(claims, "iat")), ISSUED_AT, "claims: iat");
	is_number(json_integer_value(json_object_get(claims, "exp")), ISSUED_AT + 300, "claims: exp");
	ok(json_array_size(scope) == 2 &&
		   strcmp(json_string_value(json_array_get(scope, 0)), "rest_webservices") == 0 &&
		   strcmp(json_string_value(json_array_get(scope, 1)), "restlets") == 0,
	   "claims: scope is an array");
	json_decref(claims);
}

static void
check_signature(const char *assertion, int i)
{
	const char	 *last = strrchr(assertion, '.');
	EVP_PKEY	 *key = public_key(pairs[i].certificate);
	unsigned char sig[2000];
	size_t		  len = decode_base64url(last + 1, strlen(last + 1), sig);
	const char	 *name = algorithms[i].name;
	size_t		  input_len = (size_t) (last - assertion);

	ok_named((int) len == algorithms[i].signature_len, name, "length of the signature");
	ok_named(verify(key, i, assertion, input_len, sig, len, algorithms[i].digest_len), name,
			 "OpenSSL verifies it");
	if (name[0] == 'P')
		ok_named(!verify(key, i, assertion, input_len, sig, len, algorithms[i].digest_len - 1),
				 name, "the salt is as long as the digest");
	sig[len / 2] ^= 1;
	ok_named(!verify(key, i, assertion, input_len, sig, len, algorithms[i].digest_len), name,
			 "and not with a bit turned");
	EVP_PKEY_free(key);
}

/* r or s begins with a zero byte once in 128 signatures: it must stay. */
static void
test_short_numbers(void)
{
	bool same = true;

	for (int n = 0; n < 600; n++)
	{
		JwtInput in = input_for(pairs[0].private_key);
		char	*assertion = NULL;

		in.issued_at += n;
		same = same && jwt_assertion(&in, &assertion, err, sizeof(err)) &&
			strlen(strrchr(assertion, '.') + 1) == 86;
		free(assertion);
	}
	ok(same, "600 signatures of ES256 have the same length");
}

static void
test_assertions(void)
{
	for (int i = 0; i < N_ALGORITHMS; i++)
	{
		JwtInput in = input_for(pairs[i].private_key);
		char	*assertion;

		in.algorithm = algorithms[i].name;
		ok_named(jwt_assertion(&in, &assertion, err, sizeof(err)), algorithms[i].name,
				 "an assertion is made");
		check_claims(assertion, algorithms[i].name);
		check_signature(assertion, i);
		free(assertion);
	}
}

/* Assertions as a stranger reads them: one line each, certificate and token. */
static void
test_with_pyjwt(void)
{
	FILE *python;

	if (system("/usr/bin/python3 -c 'import jwt, cryptography' 2>/dev/null") != 0)
	{
		printf("ok %d # SKIP PyJWT is not installed\n", ++tap_count);
		return;
	}
	fflush(stdout);
	python = popen("/usr/bin/python3 test/unit/verify_jwt.py", "w");
	for (int i = 0; python && i < N_ALGORITHMS; i++)
	{
		JwtInput in = input_for(pairs[i].private_key);
		char	*assertion = NULL;
		json_t	*line;
		char	*text;

		in.algorithm = algorithms[i].name;
		in.issued_at = (int64_t) time(NULL);
		jwt_assertion(&in, &assertion, err, sizeof(err));
		line = json_pack("{s:s, s:s, s:s}", "algorithm", algorithms[i].name, "certificate",
						 pairs[i].certificate, "assertion", assertion);
		text = json_dumps(line, JSON_COMPACT);
		fprintf(python, "%s\n", text);
		free(text);
		json_decref(line);
		free(assertion);
	}
	ok(python && pclose(python) == 0, "PyJWT accepts all six and refuses them changed");
}

/* ---------------------------------------------------------------------
 * Refusals
 * ---------------------------------------------------------------------
 */

static void
check_refused(const char *key, const char *passphrase, const char *algorithm, const char *want)
{
	JwtInput in = input_for(key);
	char	*assertion = (char *) "";

	in.passphrase = passphrase;
	in.algorithm = algorithm;
	ok(!jwt_assertion(&in, &assertion, err, sizeof(err)) && assertion == NULL, "no assertion is made");
	is_text(err, want, "and the reason is given");
	ok(ERR_peek_error() == 0, "OpenSSL's queue of errors is empty");
}

static void
test_wrong_keys(void)
{
	char *rsa2048 = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048), NULL);
	char *k256 = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), NULL);
	char *ed25519 = write_key(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL);

	check_refused(rsa2048, NULL, NULL, "RSA key has 2048 bits, at least 3072 are required");
	check_refused(rsa2048, NULL, "PS256", "RSA key has 2048 bits, at least 3072 are required");
	check_refused(k256, NULL, NULL,
				  "EC key is on an unsupported curve, P-256, P-384 or P-521 is required");
	check_refused(ed25519, NULL, NULL, "private key is neither an RSA nor an EC key");
	check_refused("", NULL, NULL, "private key is not a PEM private key");
	check_refused("-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n", NULL, NULL,
				  "private key is not a PEM private key");
	check_refused(pairs[0].certificate, NULL, NULL, "private key is not a PEM private key");
	free(rsa2048);
	free(k256);
	free(ed25519);
}

static void
test_wrong_algorithms(void)
{
	const char *p256 = pairs[0].private_key;
	const char *rsa = pairs[3].private_key;

	check_refused(rsa, NULL, "ES256",
				  "algorithm ES256 needs an EC key on P-256, but the private key is an RSA key");
	check_refused(p256, NULL, "PS256",
				  "algorithm PS256 needs an RSA key, but the private key is an EC key on P-256");
	check_refused(p256, NULL, "ES384",
				  "algorithm ES384 needs an EC key on P-384, but the private key is on P-256");
	check_refused(rsa, NULL, "RS256",
				  "algorithm \"RS256\" is not supported, use PS256, PS384, PS512, ES256, ES384 or ES512");
	check_refused(rsa, NULL, "none",
				  "algorithm \"none\" is not supported, use PS256, PS384, PS512, ES256, ES384 or ES512");
}

static void
test_passphrases(void)
{
	char	*encrypted = write_key(read_key(pairs[0].private_key), "canary passphrase");
	JwtInput in = input_for(encrypted);
	char	*assertion;

	in.passphrase = "canary passphrase";
	ok(jwt_assertion(&in, &assertion, err, sizeof(err)), "an encrypted key with its passphrase");
	free(assertion);
	check_refused(encrypted, NULL, NULL, "private key is encrypted, but no passphrase is given");
	check_refused(encrypted, "wrong", NULL,
				  "private key cannot be decrypted with the passphrase given");
	free(encrypted);
}

static void
test_wrong_input(void)
{
	JwtInput in = input_for(pairs[0].private_key);
	char	*assertion;
	int64_t	 not_after;

	in.lifetime = 3600;
	ok(!jwt_assertion(&in, &assertion, err, sizeof(err)), "an hour is too long");
	in = input_for(pairs[0].private_key);
	in.issuer = "\xff";
	ok(!jwt_assertion(&in, &assertion, err, sizeof(err)), "a client id that is not UTF-8");
	ok(!certificate_expiry("no certificate", &not_after, NULL, err, sizeof(err)), "no certificate");
	is_text(err, "certificate is not a PEM certificate", "is told so");
}

int
main(void)
{
	test_keys();
	test_refused_keys();
	test_assertions();
	test_short_numbers();
	test_with_pyjwt();
	test_wrong_keys();
	test_wrong_algorithms();
	test_passphrases();
	test_wrong_input();
	for (int i = 0; i < N_ALGORITHMS; i++)
		key_pair_free(&pairs[i]);
	return tap_done();
}
