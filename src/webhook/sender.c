/*-------------------------------------------------------------------------
 *
 * sender.c
 *		Sends webhooks: claim, send, record, in turns.
 *
 * A turn has at most one transaction, which writes what was answered, moves new
 * events on and claims deliveries; then requests are sent and answers waited
 * for, outside any transaction.  Requests in flight are answered into the
 * kernel's buffers while a transaction runs.
 *
 * What is in hand outlives an error: the transaction is tried again later, and
 * what was answered is written then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "makini.h"
#include "remote/reactor.h"
#include "webhook/deliver.h"
#include "webhook/sender.h"

#define MAX_IN_FLIGHT 256
/* A transaction is worth it for so many answers, or after so long. */
#define BATCH 128
#define BATCH_US 2000
#define NEW_EVENTS_AT_ONCE 500
#define NEW_EVENTS_AT_LEAST 32
/* New events wait at most this long for webhooks that keep up to be done with those before. */
#define FANOUT_EVERY_US 50000
/* Whoever runs anyway looks for events that nobody told of. */
#define POLL_US 5000000
#define SWEEP_EVERY_MS 30000
#define STUCK_EVERY_MS 1000
#define SUSPECT_MS 1000
#define SUSPECTS_EVERY_US 100000
#define RETRY_MS 1000

typedef struct Sender
{
	bool		  begun;
	int64		  number;
	bool		  look;		  /* there may be new events */
	int64		  looked_us;  /* when that was done last */
	int64		  wrote_us;	  /* when the last transaction ended */
	int64		  not_before; /* after an error */
	TimestampTz	  swept_at;
	bool		  stuck; /* somebody holds the first of an ordering_key */
	bool		  suspects;
	int64		  suspects_us; /* not to be looked at before */
	Delivery	 *suspect;	   /* in flight, and not for long */
	int			  in_flight;
	int			  nfinished;
	dlist_head	  flying;
	dlist_head	  finished;
	MemoryContext turn;	   /* of one turn */
	MemoryContext answers; /* of what finished */
} Sender;

static Sender sender;

/* ---------------------------------------------------------------------
 * Transactions
 * ---------------------------------------------------------------------
 */

/* One sender at a time: they would only wait for each other's rows, and in circles. */
static void
lock_senders(void)
{
	Oid		relid = get_relname_relid("_webhook_state", get_namespace_oid("makini", false));
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, relid, 0, 1);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * The tables are empty at one moment and have a million rows at the next.  Plans
 * are made once, for the latter, and kept.
 */
static void
set_planner(void)
{
	set("enable_seqscan", "off");
	set("enable_bitmapscan", "off");
	set("enable_hashjoin", "off");
	set("enable_mergejoin", "off");
	set("jit", "off");
	set("plan_cache_mode", "force_generic_plan");
}

static void
begin(MakiniRights *saved)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	makini_rights_of_extension(saved);
	set_planner();
	SPI_connect();
}

static void
commit(const MakiniRights *saved)
{
	SPI_finish();
	makini_rights_restore(saved);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
}

/* ---------------------------------------------------------------------
 * Deliveries
 * ---------------------------------------------------------------------
 */

static void
free_list(dlist_head *list)
{
	while (!dlist_is_empty(list))
		delivery_free(dlist_container(Delivery, node, dlist_pop_head_node(list)));
}

static void
finish(Delivery *delivery)
{
	delivery_set_state(delivery, DELIVERY_FINISHED);
	dlist_push_tail(&sender.finished, &delivery->node);
	sender.nfinished++;
	if (delivery == sender.suspect)
		sender.suspect = NULL;
}

/* What was claimed and committed waits for a slot. */
static void
make_ready(dlist_head *claimed)
{
	while (!dlist_is_empty(claimed))
	{
		Delivery *delivery = dlist_container(Delivery, node, dlist_pop_head_node(claimed));

		if (delivery->suspect && delivery->end == END_ANSWERED)
			sender.suspect = delivery;
		if (delivery->end != END_ANSWERED)
			finish(delivery);
		else
			dlist_push_tail(&delivery->endpoint->ready, &delivery->node);
	}
}

static bool
may_start(const Endpoint *endpoint)
{
	return endpoint->present && endpoint->enabled && !endpoint->disabling;
}

/* False: not now. */
static bool
start_one(Delivery *delivery, TimestampTz now)
{
	Endpoint *endpoint = delivery->endpoint;

	if (!may_start(endpoint) ||
		TimestampTzPlusMilliseconds(now, endpoint->options.timeout) > delivery->lease_ends)
	{
		delivery->end = END_UNSENT;
		finish(delivery);
		return true;
	}
	delivery->transfer = transfer_start(endpoint, delivery->message, delivery->number);
	if (delivery->transfer == NULL)
	{
		delivery->end = END_UNSENT;
		finish(delivery);
		return false;
	}
	delivery->started_at = now;
	delivery_set_state(delivery, DELIVERY_IN_FLIGHT);
	dlist_push_tail(&sender.flying, &delivery->node);
	sender.in_flight++;
	return true;
}

typedef struct Starter
{
	TimestampTz now;
	int			share; /* of each endpoint in this round */
	int			started;
	bool		full;
	bool		room; /* for resolver threads: see reactor.c about abandoned ones */
} Starter;

static void
start_some(Endpoint *endpoint, void *arg)
{
	Starter *starter = arg;
	int		 n = Min(endpoint_room(endpoint), starter->share);

	if ((endpoint->paused_until > starter->now || (endpoint->unresolved && !starter->room)) &&
		may_start(endpoint))
		n = 0;
	for (int i = 0; i < n && !starter->full && !dlist_is_empty(&endpoint->ready); i++)
	{
		Delivery *delivery = dlist_container(Delivery, node, dlist_pop_head_node(&endpoint->ready));

		starter->full = !start_one(delivery, starter->now) || sender.in_flight >= MAX_IN_FLIGHT;
		starter->started++;
	}
}

/* Some of each endpoint, then some more: none gets all the slots while others wait. */
static void
start_ready(void)
{
	Starter starter = {.now = GetCurrentTimestamp(), .share = 4};

	do
	{
		starter.started = 0;
		starter.full = sender.in_flight >= MAX_IN_FLIGHT;
		starter.room = reactor_has_room();
		if (!starter.full)
			endpoints_visit(start_some, &starter);
	} while (starter.started > 0 && !starter.full);
}

static void
collect_finished(void)
{
	MemoryContext	   old = MemoryContextSwitchTo(sender.answers);
	dlist_mutable_iter it;

	dlist_foreach_modify(it, &sender.flying)
	{
		Delivery *delivery = dlist_container(Delivery, node, it.cur);

		if (!transfer_done(delivery->transfer))
			continue;
		transfer_outcome(delivery->transfer, &delivery->outcome);
		transfer_free(delivery->transfer);
		delivery->transfer = NULL;
		record_note(delivery->endpoint, &delivery->outcome);
		dlist_delete(it.cur);
		sender.in_flight--;
		finish(delivery);
	}
	MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------------
 * The transaction of a turn
 * ---------------------------------------------------------------------
 */

typedef struct Appetite
{
	TimestampTz now;
	bool		healthy; /* one of them keeps up */
	int			most;	 /* that one of those takes */
} Appetite;

static void
ask_appetite(Endpoint *endpoint, void *arg)
{
	Appetite *appetite = arg;

	int wants;

	if (!may_start(endpoint) || endpoint->failures > 0 || endpoint->paused_until > appetite->now)
		return;
	wants = endpoint->backlog ? 0 : endpoint_wants(endpoint, appetite->now);
	appetite->healthy |= wants > 0 || endpoint->in_flight > 0;
	/* one that is more than half full is left to work that off first */
	if (wants >= endpoint->in_flight + endpoint->nready)
		appetite->most = Max(appetite->most, wants);
}

/*
 * How many events to move on: as many as those webhooks that keep up will take
 * at once, because a delivery that is claimed when it is inserted costs half.
 */
static int
fanout_limit(void)
{
	Appetite appetite = {.now = GetCurrentTimestamp()};

	endpoints_visit(ask_appetite, &appetite);
	if (!appetite.healthy)
		return NEW_EVENTS_AT_ONCE;
	if (appetite.most > 0)
		return Min(appetite.most, NEW_EVENTS_AT_ONCE);
	return reactor_clock() - sender.looked_us < FANOUT_EVERY_US ? 0 : NEW_EVENTS_AT_LEAST;
}

static void
look_for_events(dlist_head *claimed)
{
	int	 limit = sender.look ? fanout_limit() : 0;
	bool refreshed;

	if (limit == 0)
		return;
	sender.look = fanout(limit, sender.number, claimed, &refreshed) == limit;
	if (refreshed)
		sender.swept_at = 0;
	sender.looked_us = reactor_clock();
}

static void
sweep_if_due(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(sender.swept_at, now, sender.stuck ? STUCK_EVERY_MS : SWEEP_EVERY_MS))
		return;
	sender.stuck = claim_sweep(sender.number);
	sender.suspects = claim_has_suspects();
	sender.swept_at = now;
}

static void
see_to_suspects(dlist_head *claimed)
{
	if (sender.suspect != NULL && sender.suspect->state == DELIVERY_IN_FLIGHT &&
		TimestampDifferenceExceeds(sender.suspect->started_at, GetCurrentTimestamp(), SUSPECT_MS))
	{
		record_acquitted(sender.suspect);
		sender.suspect->suspect = false;
		sender.suspect = NULL;
	}
	if (!sender.suspects || sender.suspect != NULL)
		return;
	claim_suspect(sender.number, claimed);
	if (!dlist_is_empty(claimed))
		return;
	sender.suspects = claim_has_suspects();
	sender.suspects_us = reactor_clock() + SUSPECTS_EVERY_US;
}

static void
work(dlist_head *claimed)
{
	MakiniRights saved;

	begin(&saved);
	lock_senders();
	if (sender.look)
		endpoints_check();
	if (endpoints_refresh())
	{
		webhook_store_instance();
		sender.swept_at = 0;
	}
	sender.stuck |= record_finished(&sender.finished, sender.number);
	sweep_if_due();
	see_to_suspects(claimed);
	claim_due(sender.number, claimed);
	look_for_events(claimed);
	record_states(sender.in_flight == 0);
	commit(&saved);
}

/* All or nothing: what was claimed is forgotten when the transaction fails, what was answered is kept. */
static void
transact(void)
{
	MemoryContext old = CurrentMemoryContext;
	dlist_head	  claimed;

	dlist_init(&claimed);
	PG_TRY();
	{
		work(&claimed);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		free_list(&claimed);
		if (ProcDiePending || geterrcode() == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		endpoints_forget();
		sender.look = true;
		sender.not_before = reactor_clock() + RETRY_MS * 1000;
		MemoryContextSwitchTo(old);
		return;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	free_list(&sender.finished);
	sender.nfinished = 0;
	MemoryContextReset(sender.answers);
	make_ready(&claimed);
	sender.wrote_us = reactor_clock();
}

/* ---------------------------------------------------------------------
 * Turns
 * ---------------------------------------------------------------------
 */

static bool
suspects_wait(void)
{
	return sender.suspects && sender.suspect == NULL && reactor_clock() >= sender.suspects_us;
}

static bool
stuck_waits(void)
{
	return sender.stuck &&
		TimestampDifferenceExceeds(sender.swept_at, GetCurrentTimestamp(), STUCK_EVERY_MS);
}

/* Is there something to write or to claim? */
static bool
has_work(void)
{
	return sender.nfinished > 0 || sender.look || endpoints_are_stale() ||
		claim_is_due(GetCurrentTimestamp()) || suspects_wait() || stuck_waits();
}

/* Microseconds until the transaction is worth it. */
static int64
time_to_work(void)
{
	int64 now = reactor_clock();

	if (sender.not_before > now)
		return sender.not_before - now;
	if (sender.in_flight == 0 || sender.nfinished >= BATCH)
		return 0;
	return Max(sender.wrote_us + BATCH_US - now, 0);
}

typedef struct NextDue
{
	TimestampTz now;
	TimestampTz at;
} NextDue;

static void
find_next(Endpoint *endpoint, void *arg)
{
	NextDue *next = arg;

	/* where there is no room an answer will make some */
	if (endpoint->in_flight > 0 && endpoint_room(endpoint) == 0)
		return;
	next->at = Min(next->at, endpoint_next(endpoint, next->now));
	if (!dlist_is_empty(&endpoint->ready))
		next->at = Min(next->at, endpoint->paused_until);
}

TimestampTz
sender_next_due(void)
{
	NextDue next = {.now = GetCurrentTimestamp(), .at = DT_NOEND};

	if (!sender.begun || endpoints_are_stale() || sender.look || sender.nfinished > 0)
		return next.now;
	endpoints_visit(find_next, &next);
	return next.at;
}

bool
sender_is_idle(void)
{
	return sender.in_flight == 0 && sender.nfinished == 0 && !sender.look && !sender.suspects &&
		!sender.stuck;
}

void
sender_look(void)
{
	sender.look = true;
}

/* How long to wait for the next thing, at most max_wait_ms (-1: no limit). */
static long
wait_time(long max_wait_ms)
{
	TimestampTz next = sender_next_due();
	long		wait = max_wait_ms;

	if (has_work())
		return Min((time_to_work() + 999) / 1000, max_wait_ms < 0 ? LONG_MAX : max_wait_ms);
	if (sender.suspects)
		wait = wait < 0 ? SUSPECTS_EVERY_US / 1000 : Min(wait, SUSPECTS_EVERY_US / 1000);
	if (sender.stuck)
		wait = wait < 0 ? STUCK_EVERY_MS : Min(wait, STUCK_EVERY_MS);
	if (next != DT_NOEND)
	{
		long until = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next);

		wait = wait < 0 ? until : Min(wait, until);
	}
	return wait;
}

void
sender_turn(long max_wait_ms)
{
	MemoryContext old = MemoryContextSwitchTo(sender.turn);
	long		  wait;

	if (reactor_was_woken() || reactor_clock() - sender.looked_us > POLL_US)
		sender.look = true;
	if (has_work() && time_to_work() == 0)
		transact();
	start_ready();
	/* some may be done by now, and nothing would end the wait for them */
	collect_finished();
	wait = wait_time(max_wait_ms);
	(void) reactor_wait(wait, REACTOR_WAIT_HTTP);
	collect_finished();
	MemoryContextSwitchTo(old);
	MemoryContextReset(sender.turn);
}

void
sender_begin(void)
{
	MakiniRights saved;

	reactor_start();
	reactor_scale(MAX_IN_FLIGHT);
	if (!sender.begun)
	{
		dlist_init(&sender.flying);
		dlist_init(&sender.finished);
		sender.turn = AllocSetContextCreate(TopMemoryContext, "makini sender", ALLOCSET_DEFAULT_SIZES);
		sender.answers =
			AllocSetContextCreate(TopMemoryContext, "makini answers", ALLOCSET_DEFAULT_SIZES);
	}
	begin(&saved);
	if (sender.number == 0)
		sender.number = claim_register_sender();
	endpoints_check();
	(void) endpoints_refresh();
	webhook_store_instance();
	lock_senders();
	sender.stuck = claim_sweep(sender.number);
	sender.suspects = claim_has_suspects();
	commit(&saved);
	sender.swept_at = GetCurrentTimestamp();
	sender.look = true;
	sender.begun = true;
}

/* Pending as before: what is sent twice has the same webhook-id. */
static void
give_up(Delivery *delivery)
{
	if (delivery->transfer != NULL)
		transfer_free(delivery->transfer);
	delivery->transfer = NULL;
	delivery->end = END_UNSENT;
	finish(delivery);
}

static void
give_up_ready(Endpoint *endpoint, void *arg)
{
	while (!dlist_is_empty(&endpoint->ready))
		give_up(dlist_container(Delivery, node, dlist_pop_head_node(&endpoint->ready)));
}

static void
give_up_flying(void)
{
	while (!dlist_is_empty(&sender.flying))
		give_up(dlist_container(Delivery, node, dlist_pop_head_node(&sender.flying)));
	sender.in_flight = 0;
}

/* What is in hand goes back, and what was answered is written; in a transaction. */
static void
give_back(void)
{
	lock_senders();
	(void) record_finished(&sender.finished, sender.number);
	record_states(true);
}

void
sender_end(void)
{
	MakiniRights saved;

	if (!sender.begun)
		return;
	collect_finished();
	give_up_flying();
	endpoints_visit(give_up_ready, NULL);
	begin(&saved);
	give_back();
	commit(&saved);
	free_list(&sender.finished);
	sender.nfinished = 0;
	MemoryContextReset(sender.answers);
}

void
sender_end_for(void *arg)
{
	Endpoint	*endpoint = arg;
	MakiniRights saved;

	collect_finished();
	give_up_flying();
	endpoints_visit(give_up_ready, NULL);
	endpoint->disabling = true;
	endpoint->disable_why = pstrdup(FILTER_REASON "did not end when its time was up");
	makini_rights_of_extension(&saved);
	SPI_connect();
	give_back();
	SPI_finish();
	makini_rights_restore(&saved);
}
