/*-------------------------------------------------------------------------
 *
 * options.c
 *		NetSuite's options, and from them a connection: the account's host, the
 *		kind of authentication, what is missing for it.
 *
 * Whether an option's value is well formed was checked when it was set;
 * whether all that is needed is there is checked here, when it is used.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "connector/common_options.h"
#include "connector/netsuite/netsuite.h"
#include "connector/option.h"
#include "remote/jwt.h"
#include "remote/secret.h"

#define MAX_PAGE_SIZE 1000
#define TOKEN_PATH "/services/rest/auth/oauth2/v1/token"
#define DEFAULT_SCOPE "rest_webservices"

/* clang-format off */
const OptionDef netsuite_options[] = {
	SERVER_OPTION("account_id", ACCOUNT),
	SERVER_OPTION("page_size", INT, .min = 1, .max = MAX_PAGE_SIZE),
	SERVER_OPTION("accept_language", TEXT),
	COMMON_SERVER_OPTIONS,

	MAPPING_OPTION("client_id", TEXT),
	MAPPING_OPTION("certificate_id", TEXT),
	MAPPING_OPTION("private_key", SECRET),
	MAPPING_OPTION("private_key_file", FILE),
	MAPPING_OPTION("key_passphrase", SECRET),
	MAPPING_OPTION("certificate", SECRET),
	MAPPING_OPTION("certificate_file", FILE),
	MAPPING_OPTION("certificate_expires_at", TIMESTAMP),
	MAPPING_OPTION("algorithm", ENUM, .values = "PS256|PS384|PS512|ES256|ES384|ES512"),
	MAPPING_OPTION("scope", TEXT),
	MAPPING_OPTION("consumer_key", SECRET),
	MAPPING_OPTION("consumer_secret", SECRET),
	MAPPING_OPTION("token_id", SECRET),
	MAPPING_OPTION("token_secret", SECRET),

	TABLE_OPTION("entity", TEXT),
	TABLE_OPTION("api_version", ENUM, .values = "v1"),
	TABLE_OPTION("query", TEXT),
	TABLE_OPTION("key", TEXT),
	TABLE_OPTION("cursor", TEXT),
	TABLE_OPTION("record_type", TEXT),
	TABLE_OPTION("writable", ENUM, .values = "off|autocommit|always"),

	COLUMN_OPTION("column_name", TEXT),
	COLUMN_OPTION("display", BOOL),
	COLUMN_OPTION("record_field", TEXT),
	{.name = NULL},
};
/* clang-format on */

/* The options that say which of the two kinds of authentication is meant. */
static const char *const m2m_options[] = {
	"client_id",
	"certificate_id",
	"private_key",
	"private_key_file",
};
static const char *const tba_options[] = {
	"consumer_key",
	"consumer_secret",
	"token_id",
	"token_secret",
};

/* Whose mapping it is: the user's own, or PUBLIC's where that is used instead. */
static const char *
role_name(const Connection *conn)
{
	Oid			own = GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
									  ObjectIdGetDatum(conn->userid), ObjectIdGetDatum(conn->serverid));
	const char *name = GetUserNameFromId(conn->userid, true);

	if (OidIsValid(conn->endpoint.umid) && !OidIsValid(own))
		return "PUBLIC";
	return name ? quote_identifier(name) : "CURRENT_USER";
}

static bool
has_any(List *options, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (option_text(options, names[i]))
			return true;
	}
	return false;
}

static void
add_missing(StringInfo missing, const char *what)
{
	if (missing->len > 0)
		appendStringInfoString(missing, ", ");
	appendStringInfoString(missing, what);
}

static void
refuse_incomplete(const Connection *conn, StringInfo missing)
{
	if (missing->len == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("user mapping for server \"%s\" is incomplete", conn->server_name),
			 errdetail("Missing: %s.", missing->data),
			 errhint("Add what is missing with ALTER USER MAPPING FOR %s SERVER %s OPTIONS (ADD ...).",
					 role_name(conn), quote_identifier(conn->server_name))));
}

/* An option or the file it may stand in instead; NULL when neither is set. */
static char *
text_or_file(const Connection *conn, List *options, const char *name, const char *file_option)
{
	const char *text = option_text(options, name);
	const char *path = option_text(options, file_option);

	if (text && path)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("user mapping for server \"%s\" has both \"%s\" and \"%s\"",
						conn->server_name, name, file_option),
				 errhint("Drop one of them with ALTER USER MAPPING FOR %s SERVER %s OPTIONS (DROP %s).",
						 role_name(conn), quote_identifier(conn->server_name), name)));
	if (path)
		return secret_read_file(file_option, path, true);
	return text ? pstrdup(text) : NULL;
}

/* When the certificate ends: read from it, or what the option says, or 0. */
static TimestampTz
certificate_end(const Connection *conn, List *options, const char *certificate)
{
	const char *text = option_text(options, "certificate_expires_at");
	int64_t		not_after;
	char		err[256];

	if (!certificate)
		return text ?
			DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
													ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))) :
			0;
	if (!certificate_expiry(certificate, &not_after, NULL, err, sizeof(err)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("certificate of the user mapping for server \"%s\" cannot be read",
						conn->server_name),
				 errdetail_internal("%s", err),
				 errhint("Give the PEM text of the certificate that was uploaded to NetSuite, beginning with -----BEGIN CERTIFICATE-----.")));
	return time_t_to_timestamptz((pg_time_t) not_after);
}

static void
fill_m2m(Connection *conn, List *options, Credential *credential)
{
	StringInfoData missing;

	credential->kind = CREDENTIAL_ASSERTION;
	credential->client_id = option_text(options, "client_id");
	credential->certificate_id = option_text(options, "certificate_id");
	credential->private_key = text_or_file(conn, options, "private_key", "private_key_file");
	credential->key_passphrase = option_text(options, "key_passphrase");
	credential->certificate = text_or_file(conn, options, "certificate", "certificate_file");
	credential->algorithm = option_text(options, "algorithm");
	credential->scope = option_text(options, "scope");
	if (!credential->scope)
		credential->scope = DEFAULT_SCOPE;
	credential->expires_at = certificate_end(conn, options, credential->certificate);

	initStringInfo(&missing);
	if (!credential->client_id)
		add_missing(&missing, "client_id");
	if (!credential->certificate_id)
		add_missing(&missing, "certificate_id");
	if (!credential->private_key)
		add_missing(&missing, "private_key or private_key_file");
	refuse_incomplete(conn, &missing);
}

/* The realm is the account as NetSuite's own pages write it: 1234567_SB1. */
static char *
account_realm(const char *account_id)
{
	char *realm = pstrdup(account_id);

	for (char *p = realm; *p; p++)
		*p = *p == '-' ? '_' : pg_toupper((unsigned char) *p);
	return realm;
}

/* As a part of a host name: 1234567-sb1. */
static char *
account_host(const char *account_id)
{
	char *host = pstrdup(account_id);

	for (char *p = host; *p; p++)
		*p = *p == '_' ? '-' : pg_tolower((unsigned char) *p);
	return host;
}

static void
fill_tba(Connection *conn, List *options, const char *account_id, Credential *credential)
{
	StringInfoData missing;

	credential->kind = CREDENTIAL_TBA;
	credential->realm = account_realm(account_id);
	credential->consumer_key = option_text(options, "consumer_key");
	credential->consumer_secret = option_text(options, "consumer_secret");
	credential->token_id = option_text(options, "token_id");
	credential->token_secret = option_text(options, "token_secret");

	initStringInfo(&missing);
	for (int i = 0; i < (int) lengthof(tba_options); i++)
	{
		if (!option_text(options, tba_options[i]))
			add_missing(&missing, tba_options[i]);
	}
	refuse_incomplete(conn, &missing);
}

static void
refuse_without_credentials(const Connection *conn, List *options)
{
	const char *server = quote_identifier(conn->server_name);
	bool		mapped = OidIsValid(conn->endpoint.umid) || options != NIL;

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 mapped ? errmsg("user mapping for server \"%s\" has no credentials", conn->server_name) :
					  errmsg("no user mapping for server \"%s\"", conn->server_name),
			 errhint("%s USER MAPPING FOR %s SERVER %s OPTIONS (%sclient_id '...', %scertificate_id '...', %sprivate_key_file '...').",
					 mapped ? "ALTER" : "CREATE", role_name(conn), server, mapped ? "ADD " : "",
					 mapped ? "ADD " : "", mapped ? "ADD " : "")));
}

static Credential *
make_credential(Connection *conn, List *server_options, List *options, const char *account_id)
{
	Credential *credential = palloc0(sizeof(Credential));
	bool		m2m = has_any(options, m2m_options, lengthof(m2m_options));
	bool		tba = has_any(options, tba_options, lengthof(tba_options));

	if (m2m && tba)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("user mapping for server \"%s\" mixes two kinds of authentication",
						conn->server_name),
				 errdetail("OAuth 2.0 takes client_id, certificate_id and private_key; token-based authentication takes consumer_key, consumer_secret, token_id and token_secret."),
				 errhint("Drop the options of one of them with ALTER USER MAPPING FOR %s SERVER %s OPTIONS (DROP ...).",
						 role_name(conn), quote_identifier(conn->server_name))));
	if (!m2m && !tba)
		refuse_without_credentials(conn, options);

	credential->token_url = option_url(server_options, "token_url");
	if (!credential->token_url)
		credential->token_url = psprintf("%s" TOKEN_PATH, conn->endpoint.base_url);
	if (m2m)
		fill_m2m(conn, options, credential);
	else
		fill_tba(conn, options, account_id, credential);
	credential_fingerprint(credential);
	return credential;
}

/*
 * netsuite_connect
 *		Fill a connection from the options of its server and user mapping;
 *		raises what is missing.
 */
void
netsuite_connect(Connection *conn, List *server_options, List *mapping_options)
{
	const char	   *account_id = option_text(server_options, "account_id");
	RemoteEndpoint *endpoint = &conn->endpoint;

	if (!account_id)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("server \"%s\" has no option \"account_id\"", conn->server_name),
				 errhint("Name the account with ALTER SERVER %s OPTIONS (ADD account_id '1234567').",
						 quote_identifier(conn->server_name))));

	endpoint->account = account_host(account_id);
	endpoint->base_url = option_url(server_options, "base_url");
	if (!endpoint->base_url)
		endpoint->base_url = psprintf("https://%s.suitetalk.api.netsuite.com", endpoint->account);
	endpoint->classify = netsuite_classify;
	endpoint->credential = make_credential(conn, server_options, mapping_options, account_id);
}
