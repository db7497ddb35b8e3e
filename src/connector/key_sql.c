/*-------------------------------------------------------------------------
 *
 * key_sql.c
 *		makini.create_key(): a key and its certificate, for the caller to keep
 *		or straight into the caller's own user mapping.
 *
 * A key that goes into a mapping is handed over as a parse tree and never
 * stands in a statement's text, which logs and pg_stat_statements would keep.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "connector/connector.h"
#include "connector/option.h"
#include "remote/key.h"
#include "remote/secret.h"

#define DEFAULT_ALGORITHM "ES256"
#define DEFAULT_SUBJECT "makini"

PG_FUNCTION_INFO_V1(makini_create_key);

/* A key pair in the memory of PostgreSQL. */
typedef struct NewKey
{
	const char *algorithm;
	char	   *private_key;
	char	   *certificate;
	TimestampTz expires_at;
} NewKey;

static void
make_key(NewKey *key, const char *algorithm, const char *subject, int days)
{
	KeyRequest request = {0};
	KeyPair	   pair;
	char	   err[256];

	request.algorithm = algorithm;
	request.subject = (const char *) pg_server_to_any(subject, strlen(subject), PG_UTF8);
	request.days = days;
	request.now = (int64_t) time(NULL);
	if (!key_create(&request, &pair, err, sizeof(err)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("could not create a key: %s", err)));
	key->algorithm = algorithm;
	key->private_key = pstrdup(pair.private_key);
	key->certificate = pstrdup(pair.certificate);
	key->expires_at = time_t_to_timestamptz((pg_time_t) pair.expires_at);
	key_pair_free(&pair);
}

/* ---------------------------------------------------------------------
 * Into the caller's mapping
 * ---------------------------------------------------------------------
 */

static void
refuse_without_keys(const ForeignServer *server)
{
	const OptionDef *def = connector_of_server(server->serverid)->options;

	for (; def->name; def++)
	{
		if (def->context == UserMappingRelationId && strcmp(def->name, "private_key") == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("server \"%s\" does not use keys", server->servername)));
}

/* A key that is in use would be lost, and the connection with it. */
static void
refuse_present_key(const ForeignServer *server, List *options)
{
	const char *name = option_text(options, "private_key") ? "private_key" : "private_key_file";

	if (!option_text(options, name))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("user mapping for server \"%s\" already has a private key", server->servername),
			 errhint("If it is not needed any more, drop it first: ALTER USER MAPPING FOR CURRENT_USER SERVER %s OPTIONS (DROP %s).",
					 quote_identifier(server->servername), name)));
}

static List *
set_option(List *changes, List *options, char *name, char *value)
{
	DefElem *change = makeDefElem(name, (Node *) makeString(value), -1);

	change->defaction = option_text(options, name) ? DEFELEM_SET : DEFELEM_ADD;
	return lappend(changes, change);
}

static List *
drop_option(List *changes, List *options, char *name)
{
	DefElem *change;

	if (!option_text(options, name))
		return changes;
	change = makeDefElem(name, NULL, -1);
	change->defaction = DEFELEM_DROP;
	return lappend(changes, change);
}

/* What of the options goes with the new key, and what belonged to an old one. */
static List *
changes_for_key(List *options, const NewKey *key)
{
	List *changes = NIL;
	bool  by_default = strcmp(key->algorithm, "PS384") != 0 && strcmp(key->algorithm, "PS512") != 0;

	changes = set_option(changes, options, "private_key", key->private_key);
	changes = set_option(changes, options, "certificate", key->certificate);
	if (by_default)
		changes = drop_option(changes, options, "algorithm");
	else
		changes = set_option(changes, options, "algorithm", pstrdup(key->algorithm));
	changes = drop_option(changes, options, "certificate_file");
	changes = drop_option(changes, options, "certificate_expires_at");
	changes = drop_option(changes, options, "key_passphrase");
	return drop_option(changes, options, "certificate_id");
}

static RoleSpec *
current_user_spec(void)
{
	RoleSpec *role = makeNode(RoleSpec);

	role->roletype = ROLESPEC_CURRENT_USER;
	role->location = -1;
	return role;
}

static void
create_mapping(ForeignServer *server, List *options)
{
	CreateUserMappingStmt *stmt = makeNode(CreateUserMappingStmt);

	stmt->user = current_user_spec();
	stmt->servername = server->servername;
	stmt->options = options;
	CreateUserMapping(stmt);
}

static void
alter_mapping(ForeignServer *server, List *changes)
{
	AlterUserMappingStmt *stmt = makeNode(AlterUserMappingStmt);

	stmt->user = current_user_spec();
	stmt->servername = server->servername;
	stmt->options = changes;
	AlterUserMapping(stmt);
}

/* The caller's own mapping; PUBLIC's is not the caller's to change. */
static bool
has_own_mapping(const ForeignServer *server)
{
	return SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(GetUserId()),
								 ObjectIdGetDatum(server->serverid));
}

/* Both DDL functions check the caller's USAGE on the server. */
static void
store_key(ForeignServer *server, const NewKey *key)
{
	List *options = NIL;
	bool  exists = has_own_mapping(server);

	if (exists)
		options = GetUserMapping(GetUserId(), server->serverid)->options;
	refuse_present_key(server, options);
	if (exists)
		alter_mapping(server, changes_for_key(options, key));
	else
		create_mapping(server, changes_for_key(NIL, key));
	CommandCounterIncrement();
	ereport(NOTICE,
			(errmsg("the key is in your user mapping for server \"%s\"", server->servername),
			 errhint("Upload the certificate to the remote side, then add the id it is given there: ALTER USER MAPPING FOR CURRENT_USER SERVER %s OPTIONS (ADD certificate_id '...').",
					 quote_identifier(server->servername))));
}

/* ---------------------------------------------------------------------
 * The function
 * ---------------------------------------------------------------------
 */

static const char *
text_argument(FunctionCallInfo fcinfo, int n, const char *missing)
{
	return PG_ARGISNULL(n) ? missing : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * makini_create_key
 *		makini.create_key(algorithm, subject, days, server)
 */
Datum
makini_create_key(PG_FUNCTION_ARGS)
{
	int			   days = PG_ARGISNULL(2) ? KEY_MAX_DAYS : PG_GETARG_INT32(2);
	ForeignServer *server = NULL;
	TupleDesc	   desc;
	Datum		   values[3];
	bool		   nulls[3] = {false};
	NewKey		   key;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record")));
	if (!PG_ARGISNULL(3))
	{
		PreventCommandIfReadOnly("makini.create_key() with a server");
		server = GetForeignServerByName(NameStr(*PG_GETARG_NAME(3)), false);
		refuse_without_keys(server);
	}

	make_key(&key, text_argument(fcinfo, 0, DEFAULT_ALGORITHM),
			 text_argument(fcinfo, 1, DEFAULT_SUBJECT), days);
	if (server)
	{
		store_key(server, &key);
		secret_wipe(key.private_key);
		nulls[0] = true;
		values[0] = (Datum) 0;
	}
	else
		values[0] = CStringGetTextDatum(key.private_key);
	values[1] = CStringGetTextDatum(key.certificate);
	values[2] = TimestampTzGetDatum(key.expires_at);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
