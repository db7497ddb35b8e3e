/*-------------------------------------------------------------------------
 *
 * shmem.c
 *		The piece of shared memory that all of makini's processes meet in.
 *
 * A small anchor of fixed size, found by name on first use, so that nothing
 * has to be preloaded; and a dynamic area, made by the first process that
 * needs it, in which the tables of tokens, counters, health and deprecations
 * live.  Their contents belong to token.c, stat.c, health.c and deprecation.c.
 *
 * Nothing in here is private to a process but the pids of who holds what:
 * a process gives back what it holds when it exits, and one that cannot do
 * so any more takes the whole cluster through a restart, which empties this.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "remote/deprecation.h"
#include "remote/governor.h"
#include "remote/health.h"
#include "remote/shmem.h"
#include "remote/stat.h"
#include "remote/token.h"

static Anchor	   *anchor = NULL;
static dsa_area	   *area = NULL;
static SharedTables tables;
static bool			waiting = false;

static void
init_anchor(void *memory)
{
	Anchor *new_anchor = memory;

	memset(new_anchor, 0, sizeof(Anchor));
	new_anchor->lock_tranche = LWLockNewTrancheId();
	new_anchor->dsa_tranche = LWLockNewTrancheId();
	new_anchor->table_tranche = LWLockNewTrancheId();
	LWLockInitialize(&new_anchor->lock, new_anchor->lock_tranche);
	pg_atomic_init_u64(&new_anchor->health_changes, 0);
	ConditionVariableInit(&new_anchor->released);
}

static void
give_back_all(int code, Datum arg)
{
	governor_forget_process();
	token_forget_process();
}

Anchor *
shmem_anchor(void)
{
	if (anchor == NULL)
	{
		char	name[32];
		bool	found;
		Anchor *found_anchor;

		snprintf(name, sizeof(name), "makini_remote_%d", ANCHOR_VERSION);
		found_anchor = makini_shared_memory(name, sizeof(Anchor), init_anchor, &found);
		LWLockRegisterTranche(found_anchor->lock_tranche, "MakiniAnchor");
		LWLockRegisterTranche(found_anchor->dsa_tranche, "MakiniArea");
		LWLockRegisterTranche(found_anchor->table_tranche, "MakiniTable");
		before_shmem_exit(give_back_all, (Datum) 0);
		anchor = found_anchor;
	}
	return anchor;
}

static void
attach_tables(void)
{
	dshash_parameters tokens = token_table_parameters(anchor->table_tranche);
	dshash_parameters stats = stat_table_parameters(anchor->table_tranche);
	dshash_parameters health = health_table_parameters(anchor->table_tranche);
	dshash_parameters deprecations = deprecation_table_parameters(anchor->table_tranche);

	if (anchor->has_tables)
	{
		area = dsa_attach(anchor->area);
		dsa_pin_mapping(area);
		tables.tokens = dshash_attach(area, &tokens, anchor->tokens, NULL);
		tables.stats = dshash_attach(area, &stats, anchor->stats, NULL);
		tables.health = dshash_attach(area, &health, anchor->health, NULL);
		tables.deprecations = dshash_attach(area, &deprecations, anchor->deprecations, NULL);
		return;
	}

	area = dsa_create(anchor->dsa_tranche);
	dsa_pin_mapping(area);
	tables.tokens = dshash_create(area, &tokens, NULL);
	tables.stats = dshash_create(area, &stats, NULL);
	tables.health = dshash_create(area, &health, NULL);
	tables.deprecations = dshash_create(area, &deprecations, NULL);
	anchor->area = dsa_get_handle(area);
	anchor->tokens = dshash_get_hash_table_handle(tables.tokens);
	anchor->stats = dshash_get_hash_table_handle(tables.stats);
	anchor->health = dshash_get_hash_table_handle(tables.health);
	anchor->deprecations = dshash_get_hash_table_handle(tables.deprecations);

	/* last of all: an area that is not pinned goes away with an error above */
	dsa_pin(area);
	anchor->has_tables = true;
}

SharedTables *
shmem_tables(void)
{
	if (tables.deprecations == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

		(void) shmem_anchor();
		if (area != NULL)
		{
			/* an earlier attempt failed half-way */
			dsa_detach(area);
			area = NULL;
		}
		LWLockAcquire(&anchor->lock, LW_EXCLUSIVE);
		attach_tables();
		LWLockRelease(&anchor->lock);
		MemoryContextSwitchTo(caller);
	}
	return &tables;
}

/*
 * A condition variable has only its own way of sleeping, which knows nothing
 * of our sockets.  But being among its sleepers is all that is needed: waking
 * them sets their latches.  A timed sleep of no time enters this process, or
 * enters it again after it was woken, without passing the signal on as
 * leaving and entering would up to 16.
 */
void
shmem_wait_begin(void)
{
	(void) ConditionVariableTimedSleep(&shmem_anchor()->released, 0, PG_WAIT_EXTENSION);
	waiting = true;
}

bool
shmem_is_waiting(void)
{
	return waiting;
}

void
shmem_wait_end(void)
{
	if (waiting)
		ConditionVariableCancelSleep();
	waiting = false;
}

void
shmem_wake_all(void)
{
	ConditionVariableBroadcast(&shmem_anchor()->released);
	waiting = false;
}
