/*-------------------------------------------------------------------------
 *
 * visible.c
 *		Who may see what shared memory knows of servers and user mappings.
 *
 * The functions behind public views can be called by anybody, so each row is
 * judged here rather than in the view.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "compat.h"
#include "remote/visible.h"

bool
server_is_visible(Oid serverid)
{
	if (!SearchSysCacheExists1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid)))
		return false;
	return makini_server_aclcheck(serverid, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
}

bool
mapping_is_visible(Oid serverid, Oid umid)
{
	HeapTuple			 tuple = SearchSysCache1(USERMAPPINGOID, ObjectIdGetDatum(umid));
	Form_pg_user_mapping mapping;
	bool				 visible;

	if (!HeapTupleIsValid(tuple))
		return false;
	mapping = (Form_pg_user_mapping) GETSTRUCT(tuple);
	visible = mapping->umserver == serverid &&
		(!OidIsValid(mapping->umuser) || has_privs_of_role(GetUserId(), mapping->umuser) ||
		 has_privs_of_role(GetUserId(), GetForeignServer(serverid)->owner));
	ReleaseSysCache(tuple);
	return visible;
}
