/*-------------------------------------------------------------------------
 *
 * connection.c
 *		A server and a user's mapping become a connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "compat.h"
#include "connector/connector.h"
#include "connector/option.h"

/*
 * The mapping of a user, else PUBLIC's, else none: what to do without one is
 * the connector's to say, so this must not raise as GetUserMapping does.
 */
static Oid
find_mapping(Oid userid, Oid serverid)
{
	Oid umid = GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
							   ObjectIdGetDatum(userid), ObjectIdGetDatum(serverid));

	if (OidIsValid(umid))
		return umid;
	return GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
						   ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(serverid));
}

/* Of a catalogue's row: who wrote it; 0 where there is none. */
static TransactionId
writer_of(int cache, Oid oid)
{
	HeapTuple	  tuple = SearchSysCache1(cache, ObjectIdGetDatum(oid));
	TransactionId writer = InvalidTransactionId;

	if (!HeapTupleIsValid(tuple))
		return writer;
	writer = HeapTupleHeaderGetRawXmin(tuple->t_data);
	ReleaseSysCache(tuple);
	return writer;
}

static Connection *
start_connection(ForeignServer *server, Oid userid)
{
	Connection *conn = palloc0(sizeof(Connection));

	conn->serverid = server->serverid;
	conn->userid = userid;
	conn->server_name = server->servername;
	conn->connector = connector_of_server(server->serverid);
	conn->endpoint.serverid = server->serverid;
	conn->endpoint.server_name = server->servername;
	connection_apply_common(conn, server->options);
	return conn;
}

/*
 * connection_open
 *		Resolve a server and the mapping of a user (or PUBLIC's).  Lives in
 *		CurrentMemoryContext.  Raises what the connector finds missing, with a
 *		hint.
 */
Connection *
connection_open(Oid serverid, Oid userid, RemoteUse use)
{
	ForeignServer *server = GetForeignServer(serverid);
	Connection	  *conn = start_connection(server, userid);
	List		  *mapping_options = NIL;

	conn->endpoint.use = use;
	conn->endpoint.umid = find_mapping(userid, serverid);
	if (OidIsValid(conn->endpoint.umid))
		mapping_options = GetUserMapping(userid, serverid)->options;
	snprintf(conn->endpoint.version, sizeof(conn->endpoint.version), "%u/%u",
			 writer_of(FOREIGNSERVEROID, serverid), writer_of(USERMAPPINGOID, conn->endpoint.umid));
	conn->connector->connect(conn, server->options, mapping_options);
	return conn;
}

/*
 * connection_outline
 *		What a server's own options say, for planning and EXPLAIN.  No request
 *		can be made with it.
 */
Connection *
connection_outline(Oid serverid)
{
	return start_connection(GetForeignServer(serverid), InvalidOid);
}

/*
 * server_for_use
 *		A server by name, for a caller who may use it: 42704 when there is none,
 *		42501 without USAGE.
 */
ForeignServer *
server_for_use(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	AclResult	   result = makini_server_aclcheck(server->serverid, GetUserId(), ACL_USAGE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER, name);
	return server;
}

/*
 * connection_has_mapping
 *		Is there a mapping for a user, of its own or PUBLIC's?
 */
bool
connection_has_mapping(Oid serverid, Oid userid)
{
	return OidIsValid(find_mapping(userid, serverid));
}
