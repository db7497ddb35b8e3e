/*-------------------------------------------------------------------------
 *
 * options.c
 *		ASCTrac's options, and from them a connection: the two services, and the
 *		kind of authentication.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "connector/asctrac/asctrac.h"
#include "connector/common_options.h"
#include "connector/option.h"
#include "remote/secret.h"

/* clang-format off */
const OptionDef asctrac_options[] = {
	SERVER_OPTION("rest_base_url", URL),
	SERVER_OPTION("token_encoding", ENUM, .values = "raw|base64"),
	SERVER_OPTION("site_id", TEXT),
	SERVER_OPTION("rest_user", TEXT),
	SERVER_OPTION("redelivers", BOOL),
	SERVER_OPTION("not_found_is_empty", BOOL),
	COMMON_SERVER_OPTIONS,

	MAPPING_OPTION("token", SECRET),
	MAPPING_OPTION("token_file", FILE),
	MAPPING_OPTION("client_id", TEXT),
	MAPPING_OPTION("client_secret", SECRET),
	MAPPING_OPTION("client_secret_file", FILE),
	MAPPING_OPTION("resource", TEXT),

	TABLE_OPTION("entity", TEXT),
	TABLE_OPTION("api_version", ENUM, .values = "v1"),

	COLUMN_OPTION("column_name", TEXT),
	{.name = NULL},
};
/* clang-format on */

static const char *
role_name(const Connection *conn)
{
	const char *name = GetUserNameFromId(conn->userid, true);

	return name ? quote_identifier(name) : "CURRENT_USER";
}

pg_noreturn static void
refuse_mapping(const Connection *conn, const char *detail, const char *change)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("user mapping for server \"%s\" cannot be used", conn->server_name),
			 errdetail("%s", detail),
			 errhint("Use ALTER USER MAPPING FOR %s SERVER %s OPTIONS (%s).", role_name(conn),
					 quote_identifier(conn->server_name), change)));
}

/* An option or the file it may stand in instead; NULL when neither is set. */
static char *
text_or_file(const Connection *conn, List *options, const char *name, const char *file_option)
{
	const char *text = option_text(options, name);
	const char *path = option_text(options, file_option);

	if (text != NULL && path != NULL)
		refuse_mapping(conn, psprintf("It has both \"%s\" and \"%s\".", name, file_option),
					   psprintf("DROP %s", name));
	if (path != NULL)
		return secret_read_file(file_option, path, true);
	return text != NULL ? pstrdup(text) : NULL;
}

static void
fill_secret(Connection *conn, List *server_options, List *options, Credential *credential)
{
	credential->kind = CREDENTIAL_SECRET;
	credential->resource = option_text(options, "resource");
	if (credential->resource == NULL)
		credential->resource = conn->endpoint.base_url;
	credential->token_url = option_url(server_options, "token_url");
	if (credential->client_id == NULL)
		refuse_mapping(conn, "It has a client secret and no client id.", "ADD client_id '...'");
	if (credential->client_secret == NULL)
		refuse_mapping(conn, "It has a client id and no client secret.",
					   "ADD client_secret_file '...'");
	if (credential->token_url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("server \"%s\" has no option \"token_url\"", conn->server_name),
				 errdetail("The user mapping has a client id, which is exchanged for a token there."),
				 errhint("Name the token service with ALTER SERVER %s OPTIONS (ADD token_url 'https://.../api/Authorize').",
						 quote_identifier(conn->server_name))));
}

/* A mapping without any of it, or none at all, is for installations that run without. */
static Credential *
make_credential(Connection *conn, List *server_options, List *options)
{
	Credential *credential = palloc0(sizeof(Credential));
	const char *encoding = option_text(server_options, "token_encoding");

	credential->token = text_or_file(conn, options, "token", "token_file");
	credential->client_id = option_text(options, "client_id");
	credential->client_secret = text_or_file(conn, options, "client_secret", "client_secret_file");
	credential->token_base64 = encoding != NULL && strcmp(encoding, "base64") == 0;
	if (credential->token != NULL &&
		(credential->client_id != NULL || credential->client_secret != NULL))
		refuse_mapping(conn, "It has a token, and a client id or secret to get one with.",
					   "DROP token");
	if (credential->token != NULL)
		credential->kind = CREDENTIAL_STATIC;
	else if (credential->client_id != NULL || credential->client_secret != NULL)
		fill_secret(conn, server_options, options, credential);
	else
		credential->kind = CREDENTIAL_NONE;
	credential_fingerprint(credential);
	return credential;
}

/*
 * The interactive service is asked without a token; only its trailer
 * inspection wants one, together with the user's name.
 */
static Credential *
interactive_credential(const Credential *host, const char *user)
{
	Credential *credential = palloc0(sizeof(Credential));

	if (host->kind == CREDENTIAL_STATIC && user != NULL)
	{
		credential->kind = CREDENTIAL_BASIC;
		credential->client_id = user;
		credential->token = host->token;
	}
	credential_fingerprint(credential);
	return credential;
}

/*
 * The interactive service keeps user and site in variables that all its calls
 * share: one call at a time, whoever makes it.
 */
static void
fill_interactive(Connection *conn, AsctracState *state, const char *base_url)
{
	state->interactive = conn->endpoint;
	state->interactive.base_url = base_url;
	state->interactive.account = "interactive";
	state->interactive.max_concurrency = 1;
	state->interactive.sync_concurrency = 1;
	state->interactive.credential =
		interactive_credential(conn->endpoint.credential, state->rest_user);
}

/*
 * asctrac_connect
 *		Fill a connection from the options of its server and user mapping;
 *		raises what is missing.
 */
void
asctrac_connect(Connection *conn, List *server_options, List *mapping_options)
{
	RemoteEndpoint *endpoint = &conn->endpoint;
	AsctracState   *state = palloc0(sizeof(AsctracState));

	endpoint->base_url = option_url(server_options, "base_url");
	if (endpoint->base_url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("server \"%s\" has no option \"base_url\"", conn->server_name),
				 errhint("Name the host interface with ALTER SERVER %s OPTIONS (ADD base_url 'https://wms.example.com').",
						 quote_identifier(conn->server_name))));
	endpoint->classify = option_bool(server_options, "not_found_is_empty", false) ?
		asctrac_classify_old :
		asctrac_classify;
	endpoint->credential = make_credential(conn, server_options, mapping_options);
	state->site_id = option_text(server_options, "site_id");
	state->rest_user = option_text(server_options, "rest_user");
	state->redelivers = option_bool(server_options, "redelivers", false);
	fill_interactive(conn, state, option_url(server_options, "rest_base_url"));
	conn->state = state;
}

/*
 * asctrac_server_option
 *		An option of a connection's server, for connections that are no more
 *		than an outline.
 */
const char *
asctrac_server_option(const Connection *conn, const char *name)
{
	return option_text(GetForeignServer(conn->serverid)->options, name);
}
