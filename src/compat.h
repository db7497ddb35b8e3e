/*-------------------------------------------------------------------------
 *
 * compat.h
 *		Differences between the PostgreSQL majors that makini is built for
 *		(15, 17 and 18).  PG_VERSION_NUM stands in no other file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_COMPAT_H
#define MAKINI_COMPAT_H

#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "access/stratnum.h"
#include "fmgr.h"
#include "funcapi.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "optimizer/pathnode.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "storage/waiteventset.h"
#else
#include "commands/explain.h"
#endif
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#endif
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* ---- the module ---- */

#if PG_VERSION_NUM >= 180000
#define MAKINI_MODULE_MAGIC(module_version)                                                        \
	PG_MODULE_MAGIC_EXT(.name = "makini", .version = module_version)
#else
#define MAKINI_MODULE_MAGIC(module_version) PG_MODULE_MAGIC
#endif

/* ---- waiting ---- */

/* Named wait events came with 17; before, all extensions share one. */
#if PG_VERSION_NUM >= 170000
#define makini_wait_event(name) WaitEventExtensionNew(name)
#else
#define makini_wait_event(name) PG_WAIT_EXTENSION
#endif

/*
 * A wait event set that lives as long as the process.  From 17 on one can
 * belong to a resource owner; this one must not.
 */
static inline WaitEventSet *
makini_create_wait_event_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

/* ---- running a statement at top level ---- */

#include "tcop/pquery.h"

/* To its end.  18 knows by itself that a portal is run once. */
static inline void
makini_portal_run(Portal portal, DestReceiver *receiver)
{
#if PG_VERSION_NUM >= 180000
	(void) PortalRun(portal, FETCH_ALL, true, receiver, receiver, NULL);
#else
	(void) PortalRun(portal, FETCH_ALL, true, true, receiver, receiver, NULL);
#endif
}

/* ---- shared memory without preloading ---- */

/*
 * A named piece of shared memory, made and set up by whoever asks first.  The
 * name must carry the layout's version: an older library's piece outlives it
 * until the server restarts.  Before 17 it comes from the reserve that the
 * main segment keeps for loadable modules.
 */
#if PG_VERSION_NUM < 170000
#include "storage/lwlock.h"
#endif

static inline void *
makini_shared_memory(const char *name, Size size, void (*init)(void *), bool *found)
{
#if PG_VERSION_NUM >= 170000
	return GetNamedDSMSegment(name, size, init, found);
#else
	void *memory;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct(name, size, found);
	if (!*found)
		init(memory);
	LWLockRelease(AddinShmemInitLock);
	return memory;
#endif
}

/*
 * dshash_parameters got a copy function in 17, which keys of fixed size fill
 * with dshash_memcpy.
 */
#if PG_VERSION_NUM >= 170000
#define MAKINI_DSHASH_FUNCTIONS dshash_memcmp, dshash_memhash, dshash_memcpy
#else
#define MAKINI_DSHASH_FUNCTIONS dshash_memcmp, dshash_memhash
#endif

/* ---- rights ---- */

#if PG_VERSION_NUM >= 160000
#define makini_server_aclcheck(serverid, userid, mode)                                             \
	object_aclcheck(ForeignServerRelationId, serverid, userid, mode)
#else
#define makini_server_aclcheck(serverid, userid, mode)                                             \
	pg_foreign_server_aclcheck(serverid, userid, mode)
#endif

/* ---- operators ---- */

#include "utils/lsyscache.h"

/*
 * The btree strategy by which an operator compares, one more than the last of
 * them for "not equal", 0 for none.  18 speaks of comparison types of any index
 * method, with the same numbers.
 */
static inline int
makini_btree_strategy(Oid opno)
{
#if PG_VERSION_NUM >= 180000
	List *found = get_op_index_interpretation(opno);

	return found == NIL ? 0 : (int) ((OpIndexInterpretation *) linitial(found))->cmptype;
#else
	List *found = get_op_btree_interpretation(opno);

	return found == NIL ? 0 : ((OpBtreeInterpretation *) linitial(found))->strategy;
#endif
}

/* ---- ownership ---- */

#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "utils/acl.h"

static inline bool
makini_owns_relation(Oid relid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, GetUserId());
#else
	return pg_class_ownercheck(relid, GetUserId());
#endif
}

/*
 * May a role act as another one?  16 parted being a member from being allowed
 * to SET ROLE.
 */
static inline bool
makini_may_become(Oid member, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return member_can_set_role(member, role);
#else
	return is_member_of_role(member, role);
#endif
}

/* ---- the database and the extension ---- */

#include "catalog/pg_database.h"

static inline bool
makini_owns_database(Oid database)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, GetUserId());
#else
	return pg_database_ownercheck(database, GetUserId());
#endif
}

#include "catalog/pg_extension.h"
#include "commands/extension.h"

static inline bool
makini_owns_extension(void)
{
	Oid extension = get_extension_oid("makini", true);

	if (!OidIsValid(extension))
		return false;
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ExtensionRelationId, extension, GetUserId());
#else
	return pg_extension_ownercheck(extension, GetUserId());
#endif
}

/* ---- planning ---- */

#include "nodes/pathnodes.h"

/* 18 speaks of comparison types instead of strategies, 16 of outer joins among the relations. */
static inline bool
makini_pathkey_descends(const PathKey *pathkey)
{
#if PG_VERSION_NUM >= 180000
	return pathkey->pk_cmptype == COMPARE_GT;
#else
	return pathkey->pk_strategy == BTGreaterStrategyNumber;
#endif
}

static inline Relids
makini_all_query_rels(PlannerInfo *root)
{
#if PG_VERSION_NUM >= 160000
	return root->all_query_rels;
#else
	return root->all_baserels;
#endif
}

/* ---- foreign scans ---- */

/*
 * The path constructors grew fdw_restrictinfo in 17 and disabled_nodes in 18.
 */
static inline ForeignPath *
makini_create_foreignscan_path(PlannerInfo *root, RelOptInfo *rel, PathTarget *target, double rows,
							   Cost startup_cost, Cost total_cost, List *pathkeys,
							   Relids required_outer, Path *fdw_outerpath, List *fdw_private)
{
#if PG_VERSION_NUM >= 180000
	return create_foreignscan_path(root, rel, target, rows, 0, startup_cost, total_cost, pathkeys,
								   required_outer, fdw_outerpath, NIL, fdw_private);
#elif PG_VERSION_NUM >= 170000
	return create_foreignscan_path(root, rel, target, rows, startup_cost, total_cost, pathkeys,
								   required_outer, fdw_outerpath, NIL, fdw_private);
#else
	return create_foreignscan_path(root, rel, target, rows, startup_cost, total_cost, pathkeys,
								   required_outer, fdw_outerpath, fdw_private);
#endif
}

static inline ForeignPath *
makini_create_foreign_join_path(PlannerInfo *root, RelOptInfo *rel, PathTarget *target, double rows,
								Cost startup_cost, Cost total_cost, List *pathkeys,
								Relids required_outer, Path *fdw_outerpath, List *fdw_restrictinfo,
								List *fdw_private)
{
#if PG_VERSION_NUM >= 180000
	return create_foreign_join_path(root, rel, target, rows, 0, startup_cost, total_cost, pathkeys,
									required_outer, fdw_outerpath, fdw_restrictinfo, fdw_private);
#elif PG_VERSION_NUM >= 170000
	return create_foreign_join_path(root, rel, target, rows, startup_cost, total_cost, pathkeys,
									required_outer, fdw_outerpath, fdw_restrictinfo, fdw_private);
#else
	return create_foreign_join_path(root, rel, target, rows, startup_cost, total_cost, pathkeys,
									required_outer, fdw_outerpath, fdw_private);
#endif
}

static inline ForeignPath *
makini_create_foreign_upper_path(PlannerInfo *root, RelOptInfo *rel, PathTarget *target,
								 double rows, Cost startup_cost, Cost total_cost, List *pathkeys,
								 Path *fdw_outerpath, List *fdw_private)
{
#if PG_VERSION_NUM >= 180000
	return create_foreign_upper_path(root, rel, target, rows, 0, startup_cost, total_cost, pathkeys,
									 fdw_outerpath, NIL, fdw_private);
#elif PG_VERSION_NUM >= 170000
	return create_foreign_upper_path(root, rel, target, rows, startup_cost, total_cost, pathkeys,
									 fdw_outerpath, NIL, fdw_private);
#else
	return create_foreign_upper_path(root, rel, target, rows, startup_cost, total_cost, pathkeys,
									 fdw_outerpath, fdw_private);
#endif
}

#include "nodes/execnodes.h"
#include "parser/parsetree.h"
#include "executor/executor.h"

/*
 * The user a scan reads as: the owner of the view it stands in, if any.  16
 * moved that from the range table to the plan.
 */
static inline Oid
makini_scan_user(ForeignScanState *node)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Oid			 userid;

#if PG_VERSION_NUM >= 160000
	userid = plan->checkAsUser;
#else
	int rti = plan->scan.scanrelid;

	if (rti == 0)
		rti = bms_next_member(plan->fs_relids, -1);
	userid = exec_rt_fetch(rti, node->ss.ps.state)->checkAsUser;
#endif
	return OidIsValid(userid) ? userid : GetUserId();
}

/* The same for a relation that rows are written to. */
static inline Oid
makini_result_user(ResultRelInfo *relinfo, EState *estate)
{
	Oid userid;

#if PG_VERSION_NUM >= 160000
	userid = ExecGetResultRelCheckAsUser(relinfo, estate);
#else
	userid = exec_rt_fetch(relinfo->ri_RangeTableIndex, estate)->checkAsUser;
#endif
	return OidIsValid(userid) ? userid : GetUserId();
}

/* Put a row that has just been stored into all indexes; 16 knows indexes that summarize. */
static inline void
makini_insert_index_tuples(ResultRelInfo *relinfo, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	list_free(ExecInsertIndexTuples(relinfo, slot, estate, false, false, NULL, NIL, false));
#else
	list_free(ExecInsertIndexTuples(relinfo, slot, estate, false, false, NULL, NIL));
#endif
}

#endif /* MAKINI_COMPAT_H */
