/*-------------------------------------------------------------------------
 *
 * token.c
 *		Access tokens, shared by all processes that use the same credential.
 *
 * A token is kept under the database, the mapping, the server and a hash of
 * every option it depends on, so that only who could have fetched it finds it.
 *
 *			 none, or 80 % used          accepted
 *		idle ------------------> claimed ----------> idle (new token)
 *			  one process takes it  |  failed
 *									+----------> idle (failure kept for those who waited)
 *									|  abandoned, or its time ran out
 *									+----------> idle (the next to ask claims it)
 *
 * Whoever finds the claim taken goes on with the old token while that is good,
 * else waits and shares the claimant's result.  A claim that its process does
 * not look after ends soon, because that may sit idle in the middle of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>
#include <jansson.h>

#include "miscadmin.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "remote/jwt.h"
#include "remote/shmem.h"
#include "remote/token.h"

#define TOKEN_MAX 8192
#define RENEW_AT 0.8						/* of a token's life */
#define DEFAULT_LIFE 300					/* s, where the answer does not say */
#define LONGEST_LIFE 86400					/* s */
#define LAST_MOMENT (5 * USECS_PER_SEC)		/* a token this near its end is not used */
#define CLAIM_LEASE (10 * USECS_PER_SEC)	/* unless token_keep() makes it longer */
#define FAILED_RENEWAL (30 * USECS_PER_SEC) /* until the next try, while the old one is good */
#define ASSERTION_LIFE 300					/* s */
#define SKEW_WORTH_SAYING (5 * USECS_PER_SEC)

/* A RemoteFault without pointers. */
typedef struct TokenFailure
{
	RemoteClass cls;
	int			sqlstate;
	long		http_status;
	char		message[256];
	char		remote_code[64];
	char		remote_message[512];
	char		hint[1536];
} TokenFailure;

typedef struct TokenEntry
{
	TokenKey	 key;	   /* must be first */
	int32		 claimant; /* pid; 0: nobody */
	TimestampTz	 claim_until;
	uint64		 claim;		   /* number of the last claim */
	uint64		 failed_claim; /* number of the last claim that failed */
	TokenFailure failure;
	TimestampTz	 renew_at;
	TimestampTz	 expires_at;
	uint32		 token_len; /* 0: none */
	char		 token[TOKEN_MAX];
} TokenEntry;

/* Claims this process holds: without any, its exit need not look for them. */
static int claims_held = 0;

dshash_parameters
token_table_parameters(int tranche)
{
	dshash_parameters parameters = {sizeof(TokenKey), sizeof(TokenEntry), MAKINI_DSHASH_FUNCTIONS,
									tranche};

	return parameters;
}

bool
token_is_needed(const Credential *credential)
{
	return credential != NULL &&
		(credential->kind == CREDENTIAL_ASSERTION || credential->kind == CREDENTIAL_SECRET);
}

/* ---- the cache ---- */

static TokenKey
key_of(const RemoteEndpoint *endpoint)
{
	TokenKey key = {MyDatabaseId, endpoint->umid, endpoint->serverid, {0}};

	memcpy(key.fingerprint, endpoint->credential->fingerprint, sizeof(key.fingerprint));
	return key;
}

static void
forget_token(TokenEntry *entry)
{
	explicit_bzero(entry->token, sizeof(entry->token));
	entry->token_len = 0;
	entry->expires_at = 0;
}

/* Tokens of credentials that were changed or dropped are not asked for again. */
static void
drop_expired(dshash_table *table)
{
	TimestampTz		  now = GetCurrentTimestamp();
	dshash_seq_status scan;
	TokenEntry		 *entry;

	dshash_seq_init(&scan, table, true);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		if (entry->claimant == 0 && entry->claim > 0 && entry->expires_at < now &&
			entry->claim_until < now - USECS_PER_HOUR)
			dshash_delete_current(&scan);
	}
	dshash_seq_term(&scan);
}

static TokenEntry *
open_entry(dshash_table *table, const TokenKey *key)
{
	bool		found;
	TokenEntry *entry = dshash_find(table, key, true);

	if (entry != NULL)
		return entry;
	drop_expired(table);
	entry = dshash_find_or_insert(table, key, &found);
	if (!found)
		memset((char *) entry + sizeof(TokenKey), 0, sizeof(TokenEntry) - sizeof(TokenKey));
	return entry;
}

/* The entry, if the claim on it is still ours; locked then. */
static TokenEntry *
open_claimed(dshash_table *table, const TokenAsk *ask)
{
	TokenEntry *entry = dshash_find(table, &ask->key, true);

	if (entry != NULL && (entry->claimant != MyProcPid || entry->claim != ask->claim))
	{
		dshash_release_lock(table, entry);
		return NULL;
	}
	return entry;
}

static void
drop_claim(TokenAsk *ask)
{
	ask->claim = 0;
	claims_held--;
}

static void
save_failure(TokenFailure *failure, const RemoteFault *fault)
{
	memset(failure, 0, sizeof(*failure));
	failure->cls = fault->cls;
	failure->sqlstate = fault->sqlstate;
	failure->http_status = fault->http_status;
	strlcpy(failure->message, fault->message, sizeof(failure->message));
	if (fault->remote_code != NULL)
		strlcpy(failure->remote_code, fault->remote_code, sizeof(failure->remote_code));
	if (fault->remote_message != NULL)
		strlcpy(failure->remote_message, fault->remote_message, sizeof(failure->remote_message));
	if (fault->hint != NULL)
		strlcpy(failure->hint, fault->hint, sizeof(failure->hint));
}

static const char *
copy_or_null(const char *text)
{
	return text[0] != '\0' ? pstrdup(text) : NULL;
}

static void
load_failure(RemoteFault *fault, const TokenFailure *failure)
{
	memset(fault, 0, sizeof(*fault));
	fault->cls = failure->cls;
	fault->sqlstate = failure->sqlstate;
	fault->http_status = failure->http_status;
	fault->message = pstrdup(failure->message);
	fault->remote_code = copy_or_null(failure->remote_code);
	fault->remote_message = copy_or_null(failure->remote_message);
	fault->hint = copy_or_null(failure->hint);
}

TokenAnswer
token_get(TokenAsk *ask, const RemoteEndpoint *endpoint, char **token, RemoteFault *fault)
{
	char		 *copy = palloc(TOKEN_MAX + 1);
	TokenFailure  failure;
	dshash_table *table = shmem_tables()->tokens;
	TokenEntry	 *entry;
	TimestampTz	  now = GetCurrentTimestamp();
	bool		  usable;
	bool		  claimed;
	TokenAnswer	  answer;

	ask->key = key_of(endpoint);
	entry = open_entry(table, &ask->key);
	usable = entry->token_len > 0 && now < entry->expires_at - LAST_MOMENT;
	claimed = entry->claimant != 0 && now < entry->claim_until;

	if (usable && (claimed || now < entry->renew_at))
	{
		memcpy(copy, entry->token, entry->token_len);
		copy[entry->token_len] = '\0';
		answer = TOKEN_READY;
	}
	else if (claimed)
	{
		if (ask->awaited == 0)
			ask->awaited = entry->claim;
		answer = TOKEN_WAIT;
	}
	else if (ask->awaited != 0 && entry->failed_claim >= ask->awaited)
	{
		failure = entry->failure;
		answer = TOKEN_FAILED;
	}
	else
	{
		entry->claimant = MyProcPid;
		entry->claim++;
		entry->claim_until = now + CLAIM_LEASE;
		ask->claim = entry->claim;
		claims_held++;
		answer = TOKEN_FETCH;
	}
	dshash_release_lock(table, entry);

	if (answer == TOKEN_READY)
		*token = copy;
	else
		pfree(copy);
	if (answer == TOKEN_FAILED)
		load_failure(fault, &failure);
	if (answer != TOKEN_WAIT)
		ask->awaited = 0;
	return answer;
}

bool
token_fail(TokenAsk *ask, const RemoteFault *fault)
{
	dshash_table *table = shmem_tables()->tokens;
	TokenEntry	 *entry = open_claimed(table, ask);
	TimestampTz	  now = GetCurrentTimestamp();
	bool		  usable = false;

	if (entry != NULL)
	{
		usable = entry->token_len > 0 && now + FAILED_RENEWAL < entry->expires_at - LAST_MOMENT;
		if (usable)
			entry->renew_at = now + FAILED_RENEWAL;
		else
		{
			save_failure(&entry->failure, fault);
			entry->failed_claim = entry->claim;
		}
		entry->claimant = 0;
		dshash_release_lock(table, entry);
	}
	drop_claim(ask);
	shmem_wake_all();
	return usable;
}

void
token_keep(const TokenAsk *ask)
{
	dshash_table *table = shmem_tables()->tokens;
	TokenEntry	 *entry = open_claimed(table, ask);

	if (entry == NULL)
		return;
	entry->claim_until = GetCurrentTimestamp() + CLAIM_LEASE;
	dshash_release_lock(table, entry);
}

void
token_abandon(TokenAsk *ask)
{
	dshash_table *table;
	TokenEntry	 *entry;

	if (ask->claim == 0)
		return;
	table = shmem_tables()->tokens;
	entry = open_claimed(table, ask);
	if (entry != NULL)
	{
		entry->claimant = 0;
		dshash_release_lock(table, entry);
	}
	drop_claim(ask);
	shmem_wake_all();
}

void
token_invalidate(const RemoteEndpoint *endpoint, const char *token)
{
	dshash_table *table = shmem_tables()->tokens;
	TokenKey	  key = key_of(endpoint);
	TokenEntry	 *entry = dshash_find(table, &key, true);

	if (entry == NULL)
		return;
	if (entry->token_len == strlen(token) && memcmp(entry->token, token, entry->token_len) == 0)
		forget_token(entry);
	dshash_release_lock(table, entry);
}

void
token_forget_process(void)
{
	dshash_table	 *table;
	dshash_seq_status scan;
	TokenEntry		 *entry;

	if (claims_held <= 0)
		return;
	table = shmem_tables()->tokens;
	dshash_seq_init(&scan, table, true);
	while ((entry = dshash_seq_next(&scan)) != NULL)
	{
		if (entry->claimant == MyProcPid)
			entry->claimant = 0;
	}
	dshash_seq_term(&scan);
	shmem_wake_all();
}

/* ---- asking for a token ---- */

static bool
refuse(RemoteFault *fault, const char *message, const char *detail, const char *hint)
{
	memset(fault, 0, sizeof(*fault));
	fault->cls = REMOTE_AUTH;
	fault->sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
	fault->message = message;
	fault->remote_message = detail;
	fault->hint = hint;
	return false;
}

/* Adds "name=value" to a form, the value escaped. */
static void
add_field(StringInfo form, const char *name, const char *value)
{
	appendStringInfo(form, "%s%s=", form->len > 0 ? "&" : "", name);
	for (const unsigned char *p = (const unsigned char *) value; *p != '\0'; p++)
	{
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			strchr("-._~", *p) != NULL)
			appendStringInfoCharMacro(form, (char) *p);
		else
			appendStringInfo(form, "%%%02X", *p);
	}
}

static bool
add_assertion(StringInfo form, const Credential *credential, RemoteFault *fault)
{
	JwtInput in = {
		.private_key = credential->private_key,
		.passphrase = credential->key_passphrase,
		.algorithm = credential->algorithm,
		.key_id = credential->certificate_id,
		.issuer = credential->client_id,
		.audience = credential->token_url,
		.scope = credential->scope,
		.issued_at = (int64_t) time(NULL),
		.lifetime = ASSERTION_LIFE,
	};
	char  err[256];
	char *assertion;

	if (!jwt_assertion(&in, &assertion, err, sizeof(err)))
		return refuse(fault, "could not sign the request for an access token", pstrdup(err),
					  "Check the private key of the user mapping; makini.create_key() makes a "
					  "suitable one.");
	add_field(form, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
	add_field(form, "client_assertion", assertion);
	explicit_bzero(assertion, strlen(assertion));
	free(assertion);
	return true;
}

/* A service that takes a client's secret is given it as an object, not as a form. */
static void
put_secret(StringInfo body, const Credential *credential)
{
	appendStringInfoString(body, "{\"client_id\":");
	escape_json(body, credential->client_id);
	appendStringInfoString(body, ",\"client_secret\":");
	escape_json(body, credential->client_secret);
	if (credential->resource != NULL)
	{
		appendStringInfoString(body, ",\"resource\":");
		escape_json(body, credential->resource);
	}
	appendStringInfoChar(body, '}');
}

bool
token_request(const RemoteEndpoint *endpoint, RemoteRequest *request, RemoteFault *fault)
{
	const Credential *credential = endpoint->credential;
	StringInfoData	  form;

	initStringInfo(&form);
	if (credential->kind == CREDENTIAL_ASSERTION)
	{
		add_field(&form, "grant_type", "client_credentials");
		if (!add_assertion(&form, credential, fault))
			return false;
	}
	else
		put_secret(&form, credential);

	memset(request, 0, sizeof(*request));
	request->method = "POST";
	request->url = credential->token_url;
	request->body = form.data;
	request->body_len = form.len;
	request->headers = list_make1("Accept: application/json");
	if (credential->kind == CREDENTIAL_SECRET)
		request->headers = lappend(request->headers, "Content-Type: application/json; charset=utf-8");
	request->repeatable = true;
	request->anonymous = true;
	return true;
}

/* ---- understanding the answer ---- */

static const char *
skew_of(const RemoteResponse *response)
{
	int64 skew;

	if (response->date == 0)
		return "";
	skew = GetCurrentTimestamp() - response->date;
	if (skew > SKEW_WORTH_SAYING)
		return psprintf(" (this machine's clock is " INT64_FORMAT " s ahead of the other side's)",
						skew / USECS_PER_SEC);
	if (skew < -SKEW_WORTH_SAYING)
		return psprintf(" (this machine's clock is " INT64_FORMAT " s behind the other side's)",
						-skew / USECS_PER_SEC);
	return " (the two clocks agree)";
}

static const char *
hint_for(const RemoteEndpoint *endpoint, const char *code, const RemoteResponse *response)
{
	if (endpoint->credential->kind == CREDENTIAL_SECRET)
		return "Check client_id, the client secret and resource of the user mapping.";
	if (strcmp(code, "invalid_client") == 0)
		return "Check client_id of the user mapping, and that the integration record is enabled in "
			   "this account.";
	if (strcmp(code, "unauthorized_client") == 0)
		return "Enable the client credentials grant on the integration record.";
	if (strcmp(code, "invalid_scope") == 0)
		return "Enable the scope on the integration record, or change the option scope of the user "
			   "mapping.";
	if (strcmp(code, "invalid_request") == 0)
		return "Check token_url of the server and client_id and certificate_id of the user "
			   "mapping.";
	return psprintf("Check in this order: 1. the clock of this machine%s; 2. that certificate_id is "
					"the ID the account shows for this certificate; 3. that the private key "
					"belongs to that certificate; 4. that the certificate is neither expired nor "
					"revoked; 5. that the client credentials mapping exists in this account (a "
					"sandbox refresh wipes it); 6. that the mapped role has the permissions to log "
					"in with OAuth 2.0 tokens and to use REST web services. The account's Login "
					"Audit Trail names the reason.",
					skew_of(response));
}

static const char *
text_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static bool
refuse_answer(const RemoteEndpoint *endpoint, const RemoteResponse *response, const json_t *answer,
			  RemoteFault *fault)
{
	const char *code = text_member(answer, "error");
	const char *description = text_member(answer, "error_description");

	memset(fault, 0, sizeof(*fault));
	fault->http_status = response->status;
	fault->operation_id = response->operation_id;
	fault->remote_code = code[0] != '\0' ? remote_clean_text(code) : NULL;
	fault->remote_message = description[0] != '\0' ? remote_clean_text(description) : NULL;

	/* a torn answer says nothing about the credentials */
	if (response->status == 429 || response->status >= 500 ||
		(response->status == 200 && answer == NULL))
	{
		fault->cls = response->status == 429 ? REMOTE_THROTTLED : REMOTE_RETRY;
		fault->sqlstate =
			response->status == 429 ? ERRCODE_TOO_MANY_CONNECTIONS : ERRCODE_CONNECTION_FAILURE;
		fault->message = "the token endpoint cannot answer now";
		fault->hint = "This is usually passing trouble of the other side; try again.";
		return false;
	}
	fault->cls = REMOTE_AUTH;
	fault->sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
	if (response->status == 400 || response->status == 401 || response->status == 403)
	{
		fault->message = "the token endpoint refused the credentials";
		fault->hint = hint_for(endpoint, code, response);
	}
	else
	{
		fault->message = "the token endpoint gave no token";
		fault->hint = "Check the server option token_url.";
	}
	return false;
}

/* expires_in should be a number; some give it as text. */
static int64
life_of(const json_t *answer)
{
	const json_t *value = json_object_get(answer, "expires_in");
	int64		  life = 0;

	if (json_is_number(value))
		life = (int64) Min(json_number_value(value), (double) LONGEST_LIFE);
	else if (json_is_string(value))
		life = strtol(json_string_value(value), NULL, 10);
	return life > 0 ? Min(life, LONGEST_LIFE) : DEFAULT_LIFE;
}

/* The token of an answer, checked to fit into a header; NULL when there is none. */
static const char *
token_of(const json_t *answer)
{
	const char *token = text_member(answer, "access_token");
	const char *type = text_member(answer, "token_type");
	size_t		len = strlen(token);

	if (len == 0 || len >= TOKEN_MAX || (type[0] != '\0' && pg_strcasecmp(type, "bearer") != 0))
		return NULL;
	for (const char *p = token; *p != '\0'; p++)
	{
		if (*p <= ' ' || *p > '~')
			return NULL;
	}
	return token;
}

static void
store(TokenAsk *ask, const char *token, int64 life)
{
	dshash_table *table = shmem_tables()->tokens;
	TokenEntry	 *entry = open_claimed(table, ask);
	TimestampTz	  now = GetCurrentTimestamp();

	if (entry != NULL)
	{
		forget_token(entry);
		entry->token_len = strlen(token);
		memcpy(entry->token, token, entry->token_len);
		entry->renew_at = now + (int64) (life * RENEW_AT * USECS_PER_SEC);
		entry->expires_at = now + life * USECS_PER_SEC;
		entry->claimant = 0;
		dshash_release_lock(table, entry);
	}
	drop_claim(ask);
	shmem_wake_all();
}

bool
token_accept(TokenAsk *ask, const RemoteEndpoint *endpoint, const RemoteResponse *response,
			 RemoteFault *fault)
{
	json_t	   *answer = json_loadb(response->body, response->body_len, 0, NULL);
	const char *token = response->status == 200 ? token_of(answer) : NULL;
	bool		accepted = token != NULL;

	if (accepted)
		store(ask, token, life_of(answer));
	else
		(void) refuse_answer(endpoint, response, answer, fault);
	json_decref(answer);

	/* the body held the token, and its buffer is used again */
	explicit_bzero(response->body, response->body_len);
	return accepted;
}
