/*-------------------------------------------------------------------------
 *
 * seal.c
 *		Secrets as they are stored: encrypted where makini.key_file names a key.
 *
 * AES-256-GCM; the key is the SHA-256 of the file's content, the webhook's id is
 * authenticated with the text, so that a sealed secret cannot be moved to
 * another webhook.  Stored as "sealed:" and nonce, tag and text in hexadecimal digits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "utils/builtins.h"

#include "remote/secret.h"
#include "webhook/webhook.h"

#define PREFIX "sealed:"
#define KEY_LEN 32
#define NONCE_LEN 12
#define TAG_LEN 16
#define MIN_KEY_TEXT 32

static void
read_key(unsigned char *key)
{
	char		*content = secret_read_file("makini.key_file", webhook_key_file, true);
	size_t		 len = strlen(content);
	unsigned int key_len = KEY_LEN;
	bool		 made = EVP_Digest(content, len, key, &key_len, EVP_sha256(), NULL) == 1;

	secret_wipe(content);
	if (!made)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not derive the key of makini.key_file")));
	if (len < MIN_KEY_TEXT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the file named by the setting \"makini.key_file\" is too short"),
				 errhint("Write at least 32 random characters into it, as \"openssl rand -base64 48\" makes them.")));
}

/* One direction of AES-256-GCM over len bytes; false where the tag does not fit. */
static bool
cipher(bool encrypt, const unsigned char *key, const pg_uuid_t *webhook, unsigned char *nonce,
	   unsigned char *tag, const unsigned char *in, int len, unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int				n = 0;
	bool			done;

	done = ctx != NULL &&
		EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt ? 1 : 0) == 1 &&
		EVP_CipherUpdate(ctx, NULL, &n, webhook->data, UUID_LEN) == 1 &&
		EVP_CipherUpdate(ctx, out, &n, in, len) == 1;
	if (done && !encrypt)
		done = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1;
	done = done && EVP_CipherFinal_ex(ctx, out + n, &n) == 1;
	if (done && encrypt)
		done = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return done;
}

char *
seal(const char *plain, const pg_uuid_t *webhook)
{
	unsigned char  key[KEY_LEN];
	int			   len = (int) strlen(plain);
	int			   raw_len = NONCE_LEN + TAG_LEN + len;
	unsigned char *raw;
	char		  *text;
	bool		   done;

	if (webhook_key_file[0] == '\0')
		return pstrdup(plain);
	read_key(key);
	raw = palloc(raw_len);
	done = RAND_bytes(raw, NONCE_LEN) == 1 &&
		cipher(true, key, webhook, raw, raw + NONCE_LEN, (const unsigned char *) plain, len,
			   raw + NONCE_LEN + TAG_LEN);
	explicit_bzero(key, sizeof(key));
	if (!done)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not encrypt a secret")));
	text = palloc0(strlen(PREFIX) + raw_len * 2 + 1);
	strcpy(text, PREFIX);
	(void) hex_encode((const char *) raw, raw_len, text + strlen(PREFIX));
	return text;
}

static void
refuse_key(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("could not decrypt the secrets of a webhook"),
			 errhint("The setting \"makini.key_file\" must name the file that they were encrypted with; without it, rotate the secret, and give the headers again with makini.alter_webhook().")));
}

char *
unseal_or_null(const char *stored, const pg_uuid_t *webhook)
{
	unsigned char  key[KEY_LEN];
	size_t		   stored_len = strlen(stored);
	int			   raw_len;
	unsigned char *raw;
	char		  *plain;
	bool		   done;

	if (strncmp(stored, PREFIX, strlen(PREFIX)) != 0)
		return pstrdup(stored);
	if (webhook_key_file[0] == '\0')
		return NULL;
	raw = palloc(stored_len);
	raw_len = (int) hex_decode(stored + strlen(PREFIX), stored_len - strlen(PREFIX), (char *) raw);
	if (raw_len < NONCE_LEN + TAG_LEN)
		return NULL;
	read_key(key);
	plain = palloc0(raw_len - NONCE_LEN - TAG_LEN + 1);
	done = cipher(false, key, webhook, raw, raw + NONCE_LEN, raw + NONCE_LEN + TAG_LEN,
				  raw_len - NONCE_LEN - TAG_LEN, (unsigned char *) plain);
	explicit_bzero(key, sizeof(key));
	return done ? plain : NULL;
}

char *
unseal(const char *stored, const pg_uuid_t *webhook)
{
	char *plain = unseal_or_null(stored, webhook);

	if (plain == NULL)
		refuse_key();
	return plain;
}
