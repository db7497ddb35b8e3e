/*-------------------------------------------------------------------------
 *
 * connection_store.c
 *		What makini itself keeps about a connection: its id, its home, its
 *		labels.
 *
 * A server nobody has written anything about has a computed id, so that
 * reading needs no row.  The first thing that writes stores it.  A stored row
 * is found by the server's OID where its home is here, else by the server's
 * name: after a restore OIDs and home are others, the name is the same.  The
 * SQL of that rule stands once, in the view makini._server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "connection_store.h"
#include "makini.h"
#include "private.h"

PG_FUNCTION_INFO_V1(makini_home);
PG_FUNCTION_INFO_V1(makini_computed_connection_id);
PG_FUNCTION_INFO_V1(makini_set_labels);

char *
connection_home(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}

/* The id of a server without a stored row: a UUID of version 8. */
static pg_uuid_t
computed_id(Oid serverid)
{
	char			  *text = psprintf("%s/%u", connection_home(), serverid);
	uint8			   digest[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	pg_uuid_t		   id;

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) text, strlen(text)) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute the id of a connection: %s", pg_cryptohash_error(hash))));
	pg_cryptohash_free(hash);

	memcpy(id.data, digest, UUID_LEN);
	id.data[6] = (id.data[6] & 0x0f) | 0x80;
	id.data[8] = (id.data[8] & 0x3f) | 0x80;
	return id;
}

/* Run one statement whose single argument is the server's OID and which returns an id. */
static pg_uuid_t
run_for_id(const char *statement, Oid serverid)
{
	MakiniRights saved;
	Oid			 types[1] = {OIDOID};
	Datum		 values[1] = {ObjectIdGetDatum(serverid)};
	Datum		 value;
	bool		 isnull = true;
	pg_uuid_t	 id;

	makini_rights_of_extension(&saved);
	SPI_connect();
	if (SPI_execute_with_args(statement, 1, types, values, NULL, false, 1) < 0 || SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("server \"%s\" is not a connection of makini",
						GetForeignServer(serverid)->servername)));
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	Assert(!isnull);
	id = *DatumGetUUIDP(value);
	SPI_finish();
	makini_rights_restore(&saved);
	return id;
}

pg_uuid_t
connection_id(Oid serverid)
{
	return run_for_id("SELECT connection_id FROM makini._server WHERE server_oid = $1", serverid);
}

pg_uuid_t
connection_store(Oid serverid)
{
	return run_for_id("INSERT INTO makini._connection AS c (connection_id, server_oid, server_name, home)"
					  " SELECT connection_id, server_oid, server_name, makini._home()"
					  " FROM makini._server WHERE server_oid = $1"
					  " ON CONFLICT (connection_id) DO UPDATE SET server_oid = excluded.server_oid,"
					  " server_name = excluded.server_name, home = excluded.home"
					  " RETURNING connection_id",
					  serverid);
}

Datum
makini_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(connection_home()));
}

Datum
makini_computed_connection_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

	*id = computed_id(PG_GETARG_OID(0));
	PG_RETURN_UUID_P(id);
}

/*
 * makini_set_labels
 *		makini.set_labels(server, labels): keep what people note about a
 *		connection.
 *
 * EXECUTE is granted to administrators; which servers they may label is told
 * by USAGE, that an owner always has.
 */
Datum
makini_set_labels(PG_FUNCTION_ARGS)
{
	ForeignServer *server = GetForeignServerByName(NameStr(*PG_GETARG_NAME(0)), false);
	Jsonb		  *labels = PG_GETARG_JSONB_P(1);
	Oid			   types[2] = {UUIDOID, JSONBOID};
	Datum		   values[2];
	pg_uuid_t	   id;

	if (makini_server_aclcheck(server->serverid, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, server->servername);
	if (!JB_ROOT_IS_OBJECT(labels))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("labels must be a JSON object"),
				 errhint("Write them as in makini.set_labels('%s', '{\"team\": \"finance\"}').",
						 server->servername)));

	id = connection_store(server->serverid);
	values[0] = UUIDPGetDatum(&id);
	values[1] = JsonbPGetDatum(labels);
	private_execute("UPDATE makini._connection SET labels = $2 WHERE connection_id = $1", 2, types,
					values, NULL);
	PG_RETURN_VOID();
}
