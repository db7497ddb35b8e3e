/*-------------------------------------------------------------------------
 *
 * test_sign.c
 *		TAP tests of webhooks' signatures.
 *
 * The official vectors stand here; those collected from all reference
 * libraries are read from a file beside the checkout where there is one.
 *
 * Links: src/webhook/sign.c
 *
 *-------------------------------------------------------------------------
 */
#include "webhook/sign.h"

#include <stdlib.h>
#include <strings.h>

#include <jansson.h>

#include "tap.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define PRIVATE                                                                                    \
	"whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
#define PUBLIC "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define BODY "{\"test\": 2432232314}"
#define SENT_AT 1614265330
#define V1 "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define V1A                                                                                        \
	"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="

static char err[200];

/* ---------------------------------------------------------------------
 * The official vectors
 * ---------------------------------------------------------------------
 */

static void
test_signing(void)
{
	char	signature[SIGN_MAX_SIGNATURE];
	SignKey key;

	ok(sign_key_parse(SECRET, &key, err, sizeof(err)), "a symmetric secret is taken");
	ok(sign_message(&key, ID, SENT_AT, BODY, strlen(BODY), signature, sizeof(signature)), "v1 signs");
	is_text(signature, V1, "v1 as the reference libraries have it");
	ok(sign_message(&key, ID, SENT_AT, BODY, strlen(BODY), signature, sizeof(signature)), "and again");
	is_text(signature, V1, "the second signature of a key is as the first");
	sign_key_clear(&key);

	ok(sign_key_parse(PRIVATE, &key, err, sizeof(err)), "a private key is taken");
	ok(sign_message(&key, ID, SENT_AT, BODY, strlen(BODY), signature, sizeof(signature)), "v1a signs");
	is_text(signature, V1A, "v1a as the specification's example has it");
	sign_key_for_receiver(&key, signature, sizeof(signature));
	is_text(signature, PUBLIC, "what a receiver of it needs is the public key");
	sign_key_clear(&key);

	ok(sign_key_parse(PUBLIC, &key, err, sizeof(err)), "a public key is taken");
	ok(!sign_message(&key, ID, SENT_AT, BODY, strlen(BODY), signature, sizeof(signature)),
	   "a public key cannot sign");
	sign_key_clear(&key);
}

static bool
verifies(const char *secret, const char *header, const char *timestamp, int64_t now)
{
	SignKey key;
	bool	fits;

	if (!sign_key_parse(secret, &key, err, sizeof(err)))
		return false;
	fits = sign_verify(&key, ID, timestamp, BODY, strlen(BODY), header, 300, now);
	sign_key_clear(&key);
	return fits;
}

static void
test_verifying(void)
{
	ok(verifies(SECRET, V1, "1614265330", SENT_AT), "the right signature");
	ok(verifies(SECRET, V1A " v2,x " V1, "1614265330", SENT_AT), "one of several");
	ok(verifies(PUBLIC, V1 " " V1A, "1614265330", SENT_AT), "v1a beside v1");
	ok(!verifies(SECRET, V1A, "1614265330", SENT_AT), "v1a says nothing to a symmetric secret");
	ok(verifies(SECRET, V1, "1614265330", SENT_AT + 300), "300 s old");
	ok(!verifies(SECRET, V1, "1614265330", SENT_AT + 301), "301 s old");
	ok(!verifies(SECRET, V1, "1614265330", SENT_AT - 301), "301 s ahead");
	ok(!verifies(SECRET, V1, "1614265331", SENT_AT), "the time is signed");
	ok(!verifies(SECRET, V1, "16142653300000000000000000000", SENT_AT), "a time beyond all numbers");
	ok(!verifies(SECRET, V1, "-1614265330", SENT_AT), "a negative time");
	ok(!verifies(SECRET, V1, "", SENT_AT), "no time");
	ok(!verifies(SECRET, "", "1614265330", SENT_AT), "no signature");
	ok(!verifies(SECRET, "   ", "1614265330", SENT_AT), "nothing but blanks");
	ok(!verifies(SECRET, "v1", "1614265330", SENT_AT), "no comma");
	ok(!verifies(SECRET, "v1,====", "1614265330", SENT_AT), "nothing but padding");
	ok(!verifies("whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", V1A, "1614265330", SENT_AT),
	   "another public key");
}

/* ---------------------------------------------------------------------
 * Keys
 * ---------------------------------------------------------------------
 */

static void
test_refused_keys(void)
{
	static const struct
	{
		const char *text;
		const char *name;
	} bad[] = {
		{"", "nothing"},
		{"whsec_", "a prefix alone"},
		{"whsec_abc", "no whole group of base64"},
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", "a character that is not base64"},
		{"whsec_MfKQ=r8GKYqrTwjUPD8ILPZIo2LaLaSw", "padding in the middle"},
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2Lá", "text beyond ASCII"},
		{"whsk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "half a private key"},
		{"whsk_"
		 "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvw==",
		 "halves that do not belong together"},
		{"whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a public key too short"},
		{"whsec_"
		 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=",
		 "65 bytes"},
	};
	SignKey key;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		char name[100];

		snprintf(name, sizeof(name), "refused: %s", bad[i].name);
		ok(!sign_key_parse(bad[i].text, &key, err, sizeof(err)) && err[0] != '\0', name);
	}
}

static void
test_made_keys(SignKind kind, const char *name)
{
	char	text[SIGN_MAX_TEXT];
	char	other[SIGN_MAX_TEXT];
	char	receiver[SIGN_MAX_TEXT];
	char	signature[SIGN_MAX_SIGNATURE];
	SignKey key;
	bool good = sign_key_make(kind, text, sizeof(text)) && sign_key_make(kind, other, sizeof(other)) &&
		strcmp(text, other) != 0 && sign_key_parse(text, &key, err, sizeof(err));

	ok(good, name);
	if (!good)
		return;
	ok(sign_message(&key, "id", 1000, "", 0, signature, sizeof(signature)), "a made key signs");
	sign_key_for_receiver(&key, receiver, sizeof(receiver));
	sign_key_clear(&key);
	ok(sign_key_parse(receiver, &key, err, sizeof(err)) &&
		   sign_verify(&key, "id", "1000", "", 0, signature, 0, 1000),
	   "and its receiver verifies");
	sign_key_clear(&key);
}

/* ---------------------------------------------------------------------
 * Vectors from a file
 * ---------------------------------------------------------------------
 */

static const char *
text_of(json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* One vector gives the rule of its long payload instead of the text. */
static char *
payload_of(json_t *vector)
{
	const char *given = text_of(vector, "payload");
	char	   *payload;
	size_t		len;

	if (given != NULL)
		return strdup(given);
	payload = malloc(20100);
	len = (size_t) sprintf(payload, "{\"type\":\"t\",\"data\":\"");
	memset(payload + len, 'x', 20000);
	strcpy(payload + len + 20000, "\"}");
	return payload;
}

static void
check_sign_vector(json_t *vector)
{
	char  signature[SIGN_MAX_SIGNATURE] = "";
	char *payload = payload_of(vector);
	const char *public = text_of(vector, "public_key");
	char		digits[32];
	SignKey		key;
	int64_t		sent_at = json_integer_value(json_object_get(vector, "timestamp"));
	const char *id = text_of(vector, "id");

	snprintf(digits, sizeof(digits), "%lld", (long long) sent_at);
	if (sign_key_parse(text_of(vector, "secret"), &key, err, sizeof(err)))
		sign_message(&key, id, sent_at, payload, strlen(payload), signature, sizeof(signature));
	is_text(signature, text_of(vector, "signature"), text_of(vector, "name"));
	sign_key_clear(&key);

	ok(sign_key_parse(public != NULL ? public : text_of(vector, "secret"), &key, err, sizeof(err)) &&
		   sign_verify(&key, id, digits, payload, strlen(payload), signature, 300, sent_at),
	   "... and verifies");
	sign_key_clear(&key);
	free(payload);
}

static const char *
header_of(json_t *vector, const char *name)
{
	const char *key;
	json_t	   *value;

	json_object_foreach(json_object_get(vector, "headers"), key, value)
	{
		if (strcasecmp(key, name) == 0)
			return json_string_value(value);
	}
	return NULL;
}

static void
check_verify_vector(json_t *vector)
{
	const char *id = header_of(vector, "webhook-id");
	const char *sent_at = header_of(vector, "webhook-timestamp");
	const char *signature = header_of(vector, "webhook-signature");
	const char *payload = text_of(vector, "payload");
	bool		expected = strcmp(text_of(vector, "expect"), "accept") == 0;
	bool		accepted = false;
	SignKey		key;

	if (id != NULL && sent_at != NULL && signature != NULL &&
		sign_key_parse(text_of(vector, "secret"), &key, err, sizeof(err)))
	{
		accepted = sign_verify(&key, id, sent_at, payload, strlen(payload), signature, 300,
							   json_integer_value(json_object_get(vector, "now")));
		sign_key_clear(&key);
	}
	ok(accepted == expected, text_of(vector, "name"));
}

static void
test_vectors(void)
{
	const char *path = getenv("MAKINI_WEBHOOK_VECTORS");
	json_t	   *vectors =
		json_load_file(path != NULL ? path : "../shared/research/webhook-vectors.json", 0, NULL);
	json_t *vector;
	size_t	i;

	if (vectors == NULL)
	{
		ok(true, "vectors # SKIP no file of them here");
		return;
	}
	json_array_foreach(json_object_get(vectors, "sign"), i, vector) check_sign_vector(vector);
	json_array_foreach(json_object_get(vectors, "verify"), i, vector) check_verify_vector(vector);
	json_decref(vectors);
}

int
main(void)
{
	test_signing();
	test_verifying();
	test_refused_keys();
	test_made_keys(SIGN_HMAC, "a symmetric secret is made");
	test_made_keys(SIGN_PRIVATE, "a pair of keys is made");
	test_vectors();
	return tap_done();
}
