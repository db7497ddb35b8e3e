/*-------------------------------------------------------------------------
 *
 * probe.c
 *		makini.test_connection() for NetSuite: the whole way from the options to
 *		a row, one step after another.
 *
 * A step that fails makes those that build on it skipped, with the reason in
 * the one that failed.  Nothing is recorded, and nothing but a cancel is
 * raised: what goes wrong remotely is the result.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <jansson.h>
#include <math.h>
#include <openssl/crypto.h>

#include "utils/timestamp.h"

#include "connector/netsuite/netsuite.h"
#include "connector/probe_step.h"
#include "remote/jwt.h"

#define SERVER_TIME_PATH "/services/rest/system/v1/serverTime"
#define GOVERNANCE_PATH "/services/rest/system/v1/governanceLimits"

#define ASSERTION_LIFETIME 300 /* seconds */
#define EXPIRY_WARNING_DAYS 30
#define SKEW_WARNING 60 /* seconds */
#define SKEW_FAILURE 240

/* Tables to try a query with, the ones that most roles may read first. */
static const char *const sample_tables[] = {"currency", "item", "customer", "transaction"};

typedef struct Probe
{
	Connection	conn; /* a copy: one retry, and answers judged by the step */
	ProbeSteps	steps;
	TimestampTz remote_time; /* 0: not known */
	TimestampTz local_time;	 /* at the same moment */
	const char *table;		 /* one that could be read, or NULL */
} Probe;

/* ---------------------------------------------------------------------
 * What can be looked at without the network
 * ---------------------------------------------------------------------
 */

static void
probe_options(Probe *probe)
{
	const RemoteEndpoint *endpoint = &probe->conn.endpoint;

	step_begin(&probe->steps);
	step_end(&probe->steps, "options", STEP_OK,
			 psprintf("account %s at %s", endpoint->account, endpoint->base_url), NULL);
}

/* Signing once finds everything that would keep a key from working. */
static bool
can_sign(const Credential *credential, char *err, size_t err_len)
{
	JwtInput in = {0};
	char	*assertion;
	bool	 ok;

	in.private_key = credential->private_key;
	in.passphrase = credential->key_passphrase;
	in.algorithm = credential->algorithm;
	in.key_id = credential->certificate_id;
	in.issuer = credential->client_id;
	in.audience = credential->token_url;
	in.scope = credential->scope;
	in.issued_at = (int64) time(NULL);
	in.lifetime = ASSERTION_LIFETIME;
	ok = jwt_assertion(&in, &assertion, err, err_len);
	if (assertion)
		OPENSSL_cleanse(assertion, strlen(assertion));
	free(assertion);
	return ok;
}

static char *
describe_key(const KeyInfo *info, const char *algorithm)
{
	if (info->curve[0])
		return psprintf("%s key on %s, signs with %s", info->type, info->curve, algorithm);
	return psprintf("%s key of %d bits, signs with %s", info->type, info->bits, algorithm);
}

static void
probe_key(Probe *probe)
{
	const Credential *credential = probe->conn.endpoint.credential;
	KeyInfo			  info;
	char			  err[256];

	step_begin(&probe->steps);
	if (credential->kind != CREDENTIAL_ASSERTION)
	{
		step_end(&probe->steps, "key", STEP_SKIPPED, "token-based authentication uses no key",
				 "NetSuite ends token-based authentication; move to client_id, certificate_id and private_key.");
		return;
	}
	if (jwt_describe_key(credential->private_key, credential->key_passphrase, &info, err, sizeof(err)) &&
		can_sign(credential, err, sizeof(err)))
	{
		step_end(&probe->steps, "key", STEP_OK,
				 describe_key(&info, credential->algorithm ? credential->algorithm : info.algorithm),
				 NULL);
		return;
	}
	step_end(&probe->steps, "key", STEP_FAILED, pstrdup(err),
			 "NetSuite takes RSA keys of 3072 or 4096 bits and EC keys on P-256, P-384 and P-521; makini.create_key() makes one.");
	probe->steps.failed = true;
}

static void
judge_expiry(Probe *probe, TimestampTz expires_at)
{
	int64		days = (expires_at - GetCurrentTimestamp()) / USECS_PER_DAY;
	char	   *detail = psprintf("expires at %s", timestamptz_to_str(expires_at));
	const char *hint =
		"Make a new key and certificate with makini.create_key(), upload the certificate to NetSuite and put its id into certificate_id.";

	if (expires_at <= GetCurrentTimestamp())
	{
		step_end(&probe->steps, "certificate", STEP_FAILED,
				 psprintf("expired at %s", timestamptz_to_str(expires_at)), hint);
		probe->steps.failed = true;
	}
	else if (days < EXPIRY_WARNING_DAYS)
		step_end(&probe->steps, "certificate", STEP_WARNING, detail, hint);
	else
		step_end(&probe->steps, "certificate", STEP_OK, detail, NULL);
}

static void
probe_certificate(Probe *probe)
{
	const Credential *credential = probe->conn.endpoint.credential;
	char			  err[256];

	if (step_skip(&probe->steps, "certificate"))
		return;
	if (credential->kind != CREDENTIAL_ASSERTION)
		step_end(&probe->steps, "certificate", STEP_SKIPPED,
				 "token-based authentication uses no certificate", NULL);
	else if (credential->certificate &&
			 !key_matches_certificate(credential->private_key, credential->key_passphrase,
									  credential->certificate, err, sizeof(err)))
	{
		step_end(&probe->steps, "certificate", STEP_FAILED, pstrdup(err),
				 "Give the private key that the certificate was made with, or the certificate that was made from this key.");
		probe->steps.failed = true;
	}
	else if (credential->expires_at != 0)
		judge_expiry(probe, credential->expires_at);
	else
		step_end(&probe->steps, "certificate", STEP_SKIPPED,
				 "no certificate is given, so its end is not known",
				 "Add the option certificate or certificate_file to the user mapping: makini then warns before it expires.");
}

/* ---------------------------------------------------------------------
 * The network and the clock
 * ---------------------------------------------------------------------
 */

/* Any answer that is not passing trouble proves the way there. */
static RemoteClass
classify_reached(const RemoteResponse *response, RemoteFault *fault)
{
	RemoteClass cls = netsuite_classify(response, fault);

	return cls == REMOTE_RETRY || cls == REMOTE_THROTTLED ? cls : REMOTE_OK;
}

static RemoteCall *
start_get(Probe *probe, const char *path, bool anonymous)
{
	RemoteRequest request = {0};

	request.method = "GET";
	request.url = psprintf("%s%s", probe->conn.endpoint.base_url, path);
	request.headers = list_make1("Accept: application/json");
	request.repeatable = true;
	request.anonymous = anonymous;
	return remote_call_start(&probe->conn.endpoint, &request);
}

/* "2025-03-26T16:21:00.000Z" or 0; by hand, because an input function raises. */
static TimestampTz
parse_server_time(const RemoteResponse *response)
{
	json_t		*root = json_loadb(response->body, response->body_len, 0, NULL);
	const char	*text = json_string_value(json_object_get(root, "serverTime"));
	struct pg_tm tm = {0};
	TimestampTz	 result = 0;
	int			 milli = 0;
	int			 utc = 0;

	if (text &&
		sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &milli) >= 6 &&
		text[strlen(text) - 1] == 'Z' && tm2timestamp(&tm, (fsec_t) (milli * 1000), &utc, &result) != 0)
		result = 0;
	json_decref(root);
	return result;
}

static void
note_clock(Probe *probe, const RemoteResponse *response, TimestampTz sent)
{
	TimestampTz now = GetCurrentTimestamp();

	probe->local_time = sent + (now - sent) / 2;
	probe->remote_time = response->status == 200 ? parse_server_time(response) : 0;
	if (probe->remote_time == 0)
		probe->remote_time = response->date;
}

static void
probe_network(Probe *probe)
{
	TimestampTz	 sent = GetCurrentTimestamp();
	RemoteCall	*call;
	RemoteFault *fault;

	if (step_skip(&probe->steps, "network"))
		return;
	probe->conn.endpoint.classify = classify_reached;
	call = start_get(probe, SERVER_TIME_PATH, true);
	fault = remote_call_fault(call);
	if (fault)
		step_fail(&probe->steps, "network", fault);
	else
	{
		note_clock(probe, remote_call_result(call), sent);
		step_end(&probe->steps, "network", STEP_OK,
				 psprintf("%s answers", probe->conn.endpoint.base_url), NULL);
	}
	remote_call_free(call);
	probe->conn.endpoint.classify = netsuite_classify;
}

static void
probe_clock(Probe *probe)
{
	double skew;
	char  *detail;

	if (step_skip(&probe->steps, "clock"))
		return;
	if (probe->remote_time == 0)
	{
		step_end(&probe->steps, "clock", STEP_SKIPPED, "NetSuite did not say what time it is", NULL);
		return;
	}
	skew = (double) (probe->local_time - probe->remote_time) / USECS_PER_SEC;
	detail = psprintf("this machine's clock is %.1f s %s NetSuite's", fabs(skew),
					  skew < 0 ? "behind" : "ahead of");
	if (fabs(skew) > SKEW_FAILURE)
	{
		step_end(&probe->steps, "clock", STEP_FAILED, detail,
				 "Signed assertions are valid for five minutes: set the clock, best with NTP.");
		probe->steps.failed = true;
	}
	else if (fabs(skew) > SKEW_WARNING)
		step_end(&probe->steps, "clock", STEP_WARNING, detail,
				 "Beyond five minutes NetSuite refuses every token request: set the clock, best with NTP.");
	else
		step_end(&probe->steps, "clock", STEP_OK, detail, NULL);
}

/* ---------------------------------------------------------------------
 * What the role may do
 * ---------------------------------------------------------------------
 */

/*
 * The token, or the signature: a request that needs no permission.  What the
 * answer says besides "who are you" is left to later steps.
 */
static RemoteClass
classify_authenticated(const RemoteResponse *response, RemoteFault *fault)
{
	RemoteClass cls = netsuite_classify(response, fault);

	return cls == REMOTE_DENIED || cls == REMOTE_REJECTED ? REMOTE_OK : cls;
}

static void
probe_token(Probe *probe)
{
	bool		 tba = probe->conn.endpoint.credential->kind == CREDENTIAL_TBA;
	RemoteCall	*call;
	RemoteFault *fault;

	if (step_skip(&probe->steps, "token"))
		return;
	probe->conn.endpoint.classify = classify_authenticated;
	call = start_get(probe, SERVER_TIME_PATH, false);
	fault = remote_call_fault(call);
	if (fault)
		step_fail(&probe->steps, "token", fault);
	else
		step_end(&probe->steps, "token", STEP_OK,
				 tba ? "NetSuite accepts the signature" : "NetSuite gave a token and accepts it",
				 NULL);
	remote_call_free(call);
	probe->conn.endpoint.classify = netsuite_classify;
}

/* NULL when the statement is answered. */
static RemoteFault *
try_statement(Probe *probe, const char *statement)
{
	return remote_call_fault(suiteql_call(&probe->conn, statement, NIL, 1, 0));
}

static void
probe_query(Probe *probe)
{
	RemoteFault *fault = NULL;

	if (step_skip(&probe->steps, "query"))
		return;
	for (int i = 0; i < (int) lengthof(sample_tables) && !probe->table; i++)
	{
		fault =
			try_statement(probe,
						  psprintf("SELECT t.id FROM %s t FETCH FIRST 1 ROWS ONLY", sample_tables[i]));
		if (!fault)
			probe->table = sample_tables[i];
		else if (fault->cls != REMOTE_DENIED && fault->cls != REMOTE_REJECTED)
			break;
	}
	if (probe->table)
		step_end(&probe->steps, "query", STEP_OK, psprintf("SuiteQL reads table %s", probe->table),
				 NULL);
	else
		step_fail(&probe->steps, "query", fault);
}

static void
probe_time_zone(Probe *probe)
{
	const char	*zone = probe->conn.time_zone;
	RemoteFault *fault;

	if (step_skip(&probe->steps, "time zone"))
		return;
	if (zone)
	{
		step_end(&probe->steps, "time zone", STEP_OK,
				 psprintf("timestamps are read as local time of %s", zone), NULL);
		return;
	}
	fault =
		try_statement(probe,
					  psprintf("SELECT TO_CHAR(SYS_EXTRACT_UTC(t.lastmodifieddate), 'YYYY-MM-DD HH24:MI:SS') AS p1 FROM %s t FETCH FIRST 1 ROWS ONLY",
							   probe->table));
	if (fault)
		step_end(&probe->steps, "time zone", STEP_FAILED, step_describe_fault(fault),
				 "This account refuses to give timestamps in UTC: set the option time_zone of the server to the account's time zone.");
	else
		step_end(&probe->steps, "time zone", STEP_OK, "timestamps are read in UTC", NULL);
}

static void
probe_deleted_records(Probe *probe)
{
	RemoteFault *fault;

	if (step_skip(&probe->steps, "deleted records"))
		return;
	fault = try_statement(probe, "SELECT t.recordid FROM deletedrecord t FETCH FIRST 1 ROWS ONLY");
	if (fault)
		step_end(&probe->steps, "deleted records", STEP_WARNING, step_describe_fault(fault),
				 "Give the role the permission Deleted Records; without it syncs cannot see what was deleted.");
	else
		step_end(&probe->steps, "deleted records", STEP_OK, "deletions can be read", NULL);
}

/* A whole number of an object, -1 when it has none. */
static json_int_t
number_of(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void
judge_limits(Probe *probe, const RemoteResponse *response)
{
	json_t	  *root = json_loadb(response->body, response->body_len, 0, NULL);
	json_int_t account = number_of(root, "accountConcurrencyLimit");
	json_int_t integration = number_of(root, "integrationConcurrencyLimit");
	json_int_t limit = integration > 0 ? integration : account;
	int		   used = probe->conn.endpoint.max_concurrency;
	char	  *detail;

	json_decref(root);
	if (limit <= 0)
	{
		step_end(&probe->steps, "concurrency", STEP_SKIPPED,
				 "NetSuite did not say what the limit is", NULL);
		return;
	}
	detail = psprintf("limit of the %s is %lld, makini uses up to %d",
					  integration > 0 ? "integration" : "account", (long long) limit, used);
	if (used > limit)
		step_end(&probe->steps, "concurrency", STEP_WARNING, detail,
				 psprintf("Set max_concurrency of the server to %lld or less: all integrations share the limit.",
						  (long long) limit));
	else
		step_end(&probe->steps, "concurrency", STEP_OK, detail, NULL);
}

static void
probe_concurrency(Probe *probe)
{
	RemoteCall	*call;
	RemoteFault *fault;

	if (step_skip(&probe->steps, "concurrency"))
		return;
	probe->conn.endpoint.recorded = false; /* being no administrator is no failure */
	call = start_get(probe, GOVERNANCE_PATH, false);
	fault = remote_call_fault(call);
	if (fault)
		step_end(&probe->steps, "concurrency", STEP_SKIPPED,
				 psprintf("the limit is shown to administrators only; makini uses up to %d",
						  probe->conn.endpoint.max_concurrency),
				 "See Setup > Integration > Integration Governance, and keep max_concurrency of the server below the limit.");
	else
		judge_limits(probe, remote_call_result(call));
	remote_call_free(call);
}

/*
 * netsuite_probe
 *		Walk from the options to a row and say at each step how it went.
 */
List *
netsuite_probe(Connection *conn)
{
	Probe *probe = palloc0(sizeof(Probe)); /* calls point into it */

	probe->conn = *conn;
	probe->conn.endpoint.max_retries = Min(conn->endpoint.max_retries, 1);
	probe_options(probe);
	probe_key(probe);
	probe_certificate(probe);
	probe_network(probe);
	probe_clock(probe);
	probe_token(probe);
	probe_query(probe);
	probe_time_zone(probe);
	probe_deleted_records(probe);
	probe_concurrency(probe);
	return probe->steps.done;
}
