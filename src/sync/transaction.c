/*-------------------------------------------------------------------------
 *
 * transaction.c
 *		How a run writes: commits on the way, and whose rights it has meanwhile.
 *
 * A run is a procedure, so that a transaction is open all the time; between
 * two commits of it there is nothing in it: no snapshot, no transaction id, no
 * lock on a relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "sync/sync.h"

/*
 * run_commit
 *		Commit what has been written, and go on without a snapshot, a transaction
 *		id or a lock on a relation.
 */
void
run_commit(void)
{
	MemoryContext caller = CurrentMemoryContext;

	SPI_commit();
	MemoryContextSwitchTo(caller);
}

/*
 * rights_of_target
 *		Become the owner of a target, with nothing of the session that could
 *		change what a statement means.  Deferred constraints would be refused
 *		under the restriction, so they are checked at once.
 */
void
rights_of_target(Oid owner, TargetRights *saved)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"datestyle", "ISO, YMD"},
		{"timezone", "UTC"},
		{"intervalstyle", "postgres"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"},
		{"standard_conforming_strings", "on"},
		{"array_nulls", "on"},
	};
	ConstraintsSetStmt immediate = {.type = T_ConstraintsSetStmt};

	AfterTriggerSetState(&immediate);
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	saved->guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(owner, saved->sec_context | SECURITY_RESTRICTED_OPERATION);
	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

void
rights_of_target_restore(const TargetRights *saved)
{
	AtEOXact_GUC(true, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}
