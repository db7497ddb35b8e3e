/*-------------------------------------------------------------------------
 *
 * call.c
 *		A call: one logical request, from waiting for its turn to its answer.
 *
 *						   token needed, none fresh
 *		QUEUED --> TOKEN ------------------------> FETCHING
 *		  ^  turn   | ^  <------------------------- |  token or the old one's
 *		  |         | +- waits for another process  |
 *		  |         v token at hand                 |
 *		  |      SENDING ---> DONE <----------------+ refused
 *		  |         |    used up, or no use
 *		  +---------+ credentials refused once: again with a new token
 *		  |         v passing trouble, too many at once
 *		  +----- BACKOFF
 *
 * All calls of a process that are not DONE stand in one list, and whoever
 * waits for one of them advances all.  Nothing here blocks except
 * remote_call_wait_any().  A call belongs to a memory context, whose reset
 * takes the transfer off the wire and gives slot and claim back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "makini.h"
#include "remote/authorization.h"
#include "remote/deprecation.h"
#include "remote/governor.h"
#include "remote/health.h"
#include "remote/http.h"
#include "remote/reactor.h"
#include "remote/remote.h"
#include "remote/retry.h"
#include "remote/shmem.h"
#include "remote/stat.h"
#include "remote/token.h"
#include "remote/url.h"

#define MAX_PATH_SHOWN 512
#define TOKEN_RECHECK_MS 1000 /* a claim's time may run out without anybody saying so */
#define KEEP_MS 2000		  /* so often slots and claims are looked after */
#define ROOM_RECHECK_MS 100	  /* until a resolver thread may have ended */

typedef enum CallState
{
	CALL_QUEUED,   /* -> TOKEN, DONE */
	CALL_TOKEN,	   /* -> FETCHING, SENDING, BACKOFF, DONE */
	CALL_FETCHING, /* -> TOKEN, BACKOFF, DONE */
	CALL_SENDING,  /* -> QUEUED, BACKOFF, DONE */
	CALL_BACKOFF,  /* -> QUEUED */
	CALL_DONE
} CallState;

struct RemoteCall
{
	dlist_node			  node; /* in active, unless DONE */
	CallState			  state;
	MemoryContext		  context; /* everything of the call */
	MemoryContextCallback on_reset;
	RemoteEndpoint		 *endpoint;
	RemoteRequest		  request;
	GovernorPlace		  place;
	bool				  present;		 /* others queue behind our place */
	bool				  account_waits; /* QUEUED: for the account's back-off, not for a slot */
	TokenAsk			  ask;
	char				 *token;		 /* that the request went out with, or NULL */
	bool				  renewed;		 /* the token was refused once already */
	HttpTransfer		 *transfer;		 /* FETCHING, SENDING, DONE */
	RemoteRequest		  token_request; /* FETCHING; its body is wiped afterwards */
	int					  failures;		 /* tries that came to nothing */
	int64				  started;		 /* of reactor_clock() */
	int64				  wake_at;		 /* of reactor_clock(); 0: no need */
	int64				  kept_at;		 /* of reactor_clock(); slot and claim were looked after */
	RemoteUsage			  usage;		 /* of this call alone */
	RemoteFault			  fault;
	bool				  failed; /* DONE: fault counts, not response */
	bool				  taken;  /* part of a streamed answer was given away */
	RemoteResponse		 *response;
};

static dlist_head active = DLIST_STATIC_INIT(active);

static void advance(RemoteCall *call);

/* ---- counting ---- */

/* Requests go into the shared counters as they are sent: a call may never come to its end. */
static void
count_request(RemoteCall *call)
{
	RemoteUsage *usage = call->endpoint->usage;
	RemoteUsage	 one = {.requests = 1, .retries = call->usage.requests > 0};

	call->usage.requests++;
	call->usage.retries += one.retries;
	if (usage != NULL)
	{
		usage->requests++;
		usage->retries += one.retries;
	}
	stat_add(call->endpoint, &one);
}

static void
count_throttled(RemoteCall *call)
{
	call->usage.throttled++;
	if (call->endpoint->usage != NULL)
		call->endpoint->usage->throttled++;
}

static void
count_bytes(RemoteCall *call, int64 bytes)
{
	call->usage.bytes += bytes;
	if (call->endpoint->usage != NULL)
		call->endpoint->usage->bytes += bytes;
}

static void
count_wait(RemoteCall *call, int64 slept_us)
{
	call->usage.wait_us += slept_us;
	if (call->endpoint->usage != NULL)
		call->endpoint->usage->wait_us += slept_us;
}

/* Takes one request from the statement's budget; false when there is none left. */
static bool
take_budget(const RemoteEndpoint *endpoint)
{
	if (endpoint->budget == NULL)
		return true;
	if (*endpoint->budget <= 0)
		return false;
	(*endpoint->budget)--;
	return true;
}

#define BUDGET_MESSAGE "statement needs more than %d remote requests"
#define BUDGET_HINT                                                                                \
	"Add conditions that can be sent to the remote side (see EXPLAIN VERBOSE), or "                \
	"raise makini.max_requests_per_query."

/* A probe looks and records nothing, unless who makes it says so. */
static bool
is_recorded(const RemoteEndpoint *endpoint)
{
	return endpoint->use != REMOTE_USE_PROBE || endpoint->recorded;
}

/* ---- the end of a call ---- */

static void
log_call(const RemoteCall *call)
{
	char	  path[MAX_PATH_SHOWN];
	HttpFacts facts = {0};

	url_path_of(call->request.url, path, sizeof(path));
	if (call->transfer != NULL)
		http_facts(call->transfer, &facts);
	ereport(LOG,
			(errmsg("request %s %s of server \"%s\": status %ld, " INT64_FORMAT " ms, " INT64_FORMAT
					" bytes, " INT64_FORMAT " retries",
					call->request.method, path, call->endpoint->server_name, facts.status,
					(reactor_clock() - call->started) / 1000, call->usage.bytes, call->usage.retries),
			 errhidestmt(true), errhidecontext(true)));
}

static void
wipe_token(RemoteCall *call)
{
	if (call->token == NULL)
		return;
	explicit_bzero(call->token, strlen(call->token));
	pfree(call->token);
	call->token = NULL;
}

static void
end_call(RemoteCall *call, bool failed)
{
	RemoteUsage rest = call->usage;

	governor_release(&call->place);
	wipe_token(call);
	call->failed = failed;
	call->state = CALL_DONE;
	dlist_delete(&call->node);

	rest.requests = 0;
	rest.retries = 0;
	stat_add(call->endpoint, &rest);

	if (is_recorded(call->endpoint))
		health_record(call->endpoint, !call->request.anonymous, failed ? &call->fault : NULL);
	if (makini_log_requests)
		log_call(call);
}

static void
drop_transfer(RemoteCall *call)
{
	if (call->transfer != NULL)
		http_free(call->transfer);
	call->transfer = NULL;
	if (call->token_request.body != NULL)
		explicit_bzero((char *) call->token_request.body, call->token_request.body_len);
	call->token_request.body = NULL;
}

static void
set_path(RemoteCall *call, const char *url)
{
	char path[MAX_PATH_SHOWN];

	url_path_of(url, path, sizeof(path));
	call->fault.path = pstrdup(path);
}

/* ---- sending again ---- */

/* The pause that an answer asks for, in ms; -1: none. */
static int
pause_asked(const RemoteResponse *response)
{
	TimestampTz now;

	if (response == NULL || response->retry_after == NULL)
		return -1;
	now = response->date != 0 ? response->date : GetCurrentTimestamp();
	return retry_after_parse(response->retry_after, (time_t) timestamptz_to_time_t(now));
}

/*
 * Send again later if that is allowed, else end with call->fault.  safe: what
 * was sent cannot have had an effect.
 */
static void
back_off_or_end(RemoteCall *call, bool safe, int pause_ms)
{
	int delay;

	if (!(safe || call->request.repeatable) || call->taken ||
		call->failures >= call->endpoint->max_retries)
	{
		end_call(call, true);
		return;
	}
	if (!take_budget(call->endpoint))
	{
		call->fault.sqlstate = ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		call->fault.message = psprintf(BUDGET_MESSAGE, makini_max_requests_per_query);
		call->fault.hint = BUDGET_HINT;
		end_call(call, true);
		return;
	}

	delay = retry_delay(call->failures, makini_retry_base, pg_prng_uint64(&pg_global_prng_state));
	call->failures++;
	governor_release(&call->place);
	drop_transfer(call);
	wipe_token(call);
	call->response = NULL;
	call->wake_at = reactor_clock() + (int64) Max(delay, pause_ms) * 1000;
	call->state = CALL_BACKOFF;
}

/* What to do about a try that did not end well; call->fault says how it ended. */
static void
handle_failure(RemoteCall *call, const RemoteResponse *response, const HttpFacts *facts)
{
	int pause_ms = pause_asked(response);

	switch (call->fault.cls)
	{
		case REMOTE_THROTTLED:
			count_throttled(call);
			governor_throttled(&call->place, pause_ms);
			call->fault.sqlstate = ERRCODE_TOO_MANY_CONNECTIONS;
			back_off_or_end(call, true, pause_ms);
			break;
		case REMOTE_RETRY:
			if (facts->permanent)
			{
				end_call(call, true);
				break;
			}
			if (pause_ms > 0)
				governor_pause(&call->place, pause_ms);
			back_off_or_end(call, facts->unsent, pause_ms);
			break;
		default:
			end_call(call, true);
			break;
	}
}

/* ---- tokens ---- */

static void
init_target(const RemoteEndpoint *endpoint, HttpTarget *target)
{
	target->server_name = endpoint->server_name;
	target->connect_timeout = endpoint->connect_timeout;
	target->request_timeout = endpoint->request_timeout;
	target->allow_http = endpoint->allow_http;
	target->allow_private = endpoint->allow_private;
	target->ca_file = endpoint->ca_file;
	target->proxy = endpoint->proxy;
}

static void
out_of_memory(RemoteCall *call)
{
	memset(&call->fault, 0, sizeof(call->fault));
	call->fault.cls = REMOTE_BROKEN;
	call->fault.sqlstate = ERRCODE_OUT_OF_MEMORY;
	call->fault.message = "out of memory";
	end_call(call, true);
}

static void
fail_token(RemoteCall *call, const RemoteResponse *response, const HttpFacts *facts)
{
	HttpFacts kept = *facts;

	kept.unsent = true; /* the request itself never went out */
	if (call->transfer != NULL)
		set_path(call, call->endpoint->credential->token_url);
	if (token_fail(&call->ask, &call->fault))
	{
		drop_transfer(call);
		call->state = CALL_TOKEN;
		return;
	}
	handle_failure(call, response, &kept);
}

static void
fetch_token(RemoteCall *call)
{
	HttpFacts  facts = {.permanent = true};
	HttpTarget target;

	if (!token_request(call->endpoint, &call->token_request, &call->fault))
	{
		fail_token(call, NULL, &facts);
		return;
	}
	init_target(call->endpoint, &target);
	call->transfer = http_start(&target, &call->token_request, NULL);
	if (call->transfer == NULL)
	{
		token_abandon(&call->ask);
		out_of_memory(call);
		return;
	}
	call->state = CALL_FETCHING;
}

static void
finish_token(RemoteCall *call)
{
	HttpFacts		facts;
	RemoteResponse *response;

	http_facts(call->transfer, &facts);
	response = http_answer(call->transfer, &call->fault);
	if (response != NULL && is_recorded(call->endpoint))
		deprecation_record(call->endpoint, call->token_request.url, response);
	if (response == NULL || !token_accept(&call->ask, call->endpoint, response, &call->fault))
	{
		fail_token(call, response, &facts);
		return;
	}
	drop_transfer(call);
	call->state = CALL_TOKEN;
}

/* ---- sending ---- */

static void
wipe(char *text)
{
	if (text == NULL)
		return;
	explicit_bzero(text, strlen(text));
	pfree(text);
}

static void
send_request(RemoteCall *call)
{
	bool  failed;
	char *header =
		authorization_make(call->endpoint->credential, &call->request, call->token, &failed);
	HttpTarget target;

	if (failed)
	{
		wipe(header);
		memset(&call->fault, 0, sizeof(call->fault));
		call->fault.cls = REMOTE_AUTH;
		call->fault.sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		call->fault.message = "could not make an Authorization header from the user mapping";
		call->fault.hint = "Look for line breaks or other control characters in its options.";
		end_call(call, true);
		return;
	}
	init_target(call->endpoint, &target);
	count_request(call);
	call->transfer = http_start(&target, &call->request, header);
	wipe(header);
	if (call->transfer == NULL)
	{
		out_of_memory(call);
		return;
	}
	call->state = CALL_SENDING;
}

/* Refused credentials: once, a new token may help. */
static bool
renew_token(RemoteCall *call)
{
	if (call->renewed || call->token == NULL || !take_budget(call->endpoint))
		return false;
	token_invalidate(call->endpoint, call->token);
	call->renewed = true;
	wipe_token(call);
	drop_transfer(call);
	governor_release(&call->place);
	call->state = CALL_QUEUED;
	return true;
}

static void
finish_request(RemoteCall *call)
{
	HttpFacts		facts;
	RemoteResponse *response;
	RemoteClass		cls;

	memset(&call->fault, 0, sizeof(call->fault));
	http_facts(call->transfer, &facts);
	count_bytes(call, facts.bytes);
	response = http_answer(call->transfer, &call->fault);
	if (response != NULL)
	{
		if (is_recorded(call->endpoint))
			deprecation_record(call->endpoint, call->request.url, response);
		cls = call->endpoint->classify(response, &call->fault);
		call->fault.cls = cls;
		if (call->fault.http_status == 0)
			call->fault.http_status = response->status;
		if (call->fault.operation_id == NULL)
			call->fault.operation_id = response->operation_id;
	}
	else
		cls = call->fault.cls;

	if (cls == REMOTE_OK)
	{
		governor_succeeded(&call->place);
		call->response = response;
		end_call(call, false);
		return;
	}
	set_path(call, call->request.url);
	if (cls == REMOTE_AUTH && renew_token(call))
		return;
	handle_failure(call, response, &facts);
}

/* ---- advancing ---- */

static void
take_turn(RemoteCall *call)
{
	long wait_ms;

	if (!reactor_has_room())
	{
		call->wake_at = reactor_clock() + ROOM_RECHECK_MS * 1000;
		return;
	}
	if (governor_acquire(&call->place, call->endpoint, call->present, &wait_ms, &call->account_waits))
		call->state = CALL_TOKEN;
	else
		call->wake_at = reactor_clock() + (int64) wait_ms * 1000;
}

static void
take_token(RemoteCall *call)
{
	HttpFacts facts = {0};

	if (call->request.anonymous || !token_is_needed(call->endpoint->credential))
	{
		send_request(call);
		return;
	}
	switch (token_get(&call->ask, call->endpoint, &call->token, &call->fault))
	{
		case TOKEN_READY:
			send_request(call);
			break;
		case TOKEN_WAIT:
			call->wake_at = reactor_clock() + TOKEN_RECHECK_MS * 1000;
			break;
		case TOKEN_FETCH:
			fetch_token(call);
			break;
		case TOKEN_FAILED:
			set_path(call, call->endpoint->credential->token_url);
			facts.unsent = true;
			handle_failure(call, NULL, &facts);
			break;
	}
}

static void
step(RemoteCall *call)
{
	switch (call->state)
	{
		case CALL_QUEUED:
			take_turn(call);
			break;
		case CALL_TOKEN:
			take_token(call);
			break;
		case CALL_FETCHING:
			if (http_done(call->transfer))
				finish_token(call);
			break;
		case CALL_SENDING:
			if (http_done(call->transfer))
				finish_request(call);
			break;
		case CALL_BACKOFF:
			if (reactor_clock() >= call->wake_at)
				call->state = CALL_QUEUED;
			break;
		case CALL_DONE:
			break;
	}
}

/* A slot or claim whose owner is silent for long is given to others. */
static void
keep(RemoteCall *call)
{
	int64 now = reactor_clock();

	if (!call->place.held)
		return;
	if (now - call->kept_at >= KEEP_MS * 1000)
	{
		governor_keep(&call->place);
		if (call->ask.claim != 0)
			token_keep(&call->ask);
		call->kept_at = now;
	}
	if (call->wake_at == 0)
		call->wake_at = call->kept_at + KEEP_MS * 1000;
}

/* As far as it goes without waiting. */
static void
advance(RemoteCall *call)
{
	MemoryContext caller = MemoryContextSwitchTo(call->context);
	CallState	  before;

	do
	{
		before = call->state;
		if (before != CALL_BACKOFF)
			call->wake_at = 0;
		step(call);
	} while (call->state != before && call->state != CALL_DONE);
	keep(call);
	MemoryContextSwitchTo(caller);
}

static void
advance_all(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &active)
	{
		advance(dlist_container(RemoteCall, node, iter.cur));
	}
}

void
remote_poll(void)
{
	if (dlist_is_empty(&active))
		return;
	reactor_drive();
	advance_all();
}

/* ---- waiting ---- */

static bool
waits_for_others(const RemoteCall *call)
{
	return call->state == CALL_QUEUED || call->state == CALL_TOKEN;
}

/*
 * Before this process sleeps: let others know, and look again at what they
 * may have released in between.  Returns whether there was need to.
 */
static bool
join_queues(void)
{
	dlist_iter iter;
	bool	   joined = false;

	dlist_foreach(iter, &active)
	{
		RemoteCall *call = dlist_container(RemoteCall, node, iter.cur);

		call->present = call->state == CALL_QUEUED;
		joined |= waits_for_others(call);
	}
	if (joined)
	{
		do
		{
			shmem_wait_begin();
			advance_all();
		} while (!shmem_is_waiting());
	}
	return joined;
}

static void
leave_queues(void)
{
	dlist_iter iter;

	shmem_wait_end();
	dlist_foreach(iter, &active)
	{
		RemoteCall *call = dlist_container(RemoteCall, node, iter.cur);

		if (call->present && call->state == CALL_QUEUED)
			governor_absent(&call->place);
		call->present = false;
	}
}

/* Milliseconds until some call has to be looked at even if nothing happens; -1: none has to. */
static long
time_to_sleep(void)
{
	dlist_iter iter;
	int64	   earliest = 0;
	int64	   left;

	dlist_foreach(iter, &active)
	{
		RemoteCall *call = dlist_container(RemoteCall, node, iter.cur);

		if (call->wake_at != 0 && (earliest == 0 || call->wake_at < earliest))
			earliest = call->wake_at;
	}
	if (earliest == 0)
		return -1;
	left = earliest - reactor_clock();
	return left <= 0 ? 0 : (long) ((left + 999) / 1000);
}

static ReactorWait
reason_to_sleep(const RemoteCall *call)
{
	switch (call->state)
	{
		case CALL_QUEUED:
			return call->account_waits ? REACTOR_WAIT_BACKOFF : REACTOR_WAIT_GOVERNOR;
		case CALL_TOKEN:
		case CALL_FETCHING:
			return REACTOR_WAIT_TOKEN;
		case CALL_BACKOFF:
			return REACTOR_WAIT_BACKOFF;
		default:
			return REACTOR_WAIT_HTTP;
	}
}

static int
find_done(RemoteCall **calls, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (calls[i]->state == CALL_DONE)
			return i;
	}
	return -1;
}

static int
sleep_until_done(RemoteCall **calls, int n)
{
	int index;

	while ((index = find_done(calls, n)) < 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (join_queues() && (index = find_done(calls, n)) >= 0)
			break;
		count_wait(calls[0], reactor_wait(time_to_sleep(), reason_to_sleep(calls[0])));
		advance_all();
	}
	return index;
}

int
remote_call_wait_any(RemoteCall **calls, int n)
{
	volatile int index;

	Assert(n > 0);
	if ((index = find_done(calls, n)) >= 0)
		return index;
	remote_poll();

	/* a cancel ends the waiting of every call, also of those that live on */
	PG_TRY();
	{
		index = sleep_until_done(calls, n);
	}
	PG_FINALLY();
	{
		leave_queues();
	}
	PG_END_TRY();
	return index;
}

static bool
take(RemoteCall *call, const char **data, size_t *len)
{
	if ((call->state != CALL_SENDING && call->state != CALL_DONE) || call->transfer == NULL ||
		!http_take(call->transfer, data, len))
		return false;

	/*
	 * The other side has done its work, and the reader may take its time: others
	 * need not wait for it, least of all those that the reader itself waits for.
	 */
	if (!call->taken)
		governor_release(&call->place);
	call->taken = true;
	return true;
}

static bool
is_readable(const RemoteCall *call)
{
	return call->state == CALL_DONE ||
		(call->state == CALL_SENDING && call->transfer != NULL && http_has(call->transfer));
}

void
remote_call_wait_data(RemoteCall *call)
{
	bool joined = false;

	if (call->state != CALL_DONE)
		remote_poll();
	while (!is_readable(call))
	{
		CHECK_FOR_INTERRUPTS();
		joined |= join_queues();
		if (is_readable(call))
			break;
		count_wait(call, reactor_wait(time_to_sleep(), reason_to_sleep(call)));
		advance_all();
	}
	if (joined)
		leave_queues();
}

bool
remote_call_read(RemoteCall *call, const char **data, size_t *len)
{
	remote_call_wait_data(call);
	if (take(call, data, len))
		return true;
	if (call->failed)
		remote_raise(&call->fault, call->endpoint);
	return false;
}

bool
remote_call_take(RemoteCall *call, const char **data, size_t *len)
{
	return take(call, data, len);
}

/* ---- the interface ---- */

static void
release_call(void *arg)
{
	RemoteCall *call = arg;

	drop_transfer(call);
	if (call->state == CALL_DONE)
		return;
	dlist_delete(&call->node);
	governor_release(&call->place);
	token_abandon(&call->ask);
	if (call->token != NULL)
		explicit_bzero(call->token, strlen(call->token));
}

static void
copy_request(RemoteCall *call, const RemoteRequest *request)
{
	ListCell *cell;

	call->request = *request;
	call->request.method = pstrdup(request->method);
	call->request.url = pstrdup(request->url);
	call->request.headers = NIL;
	foreach(cell, request->headers)
	{
		call->request.headers = lappend(call->request.headers, pstrdup(lfirst(cell)));
		if (!http_header_is_clean(lfirst(cell)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("request header contains a control character"),
					 errhint("Look for line breaks in the options of the server.")));
	}
	if (request->body != NULL)
	{
		char *body = palloc(request->body_len + 1);

		memcpy(body, request->body, request->body_len);
		body[request->body_len] = '\0';
		call->request.body = body;
	}
}

RemoteCall *
remote_call_start(RemoteEndpoint *endpoint, const RemoteRequest *request)
{
	MemoryContext context;
	MemoryContext caller;
	RemoteCall	 *call;

	if (!take_budget(endpoint))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg(BUDGET_MESSAGE, makini_max_requests_per_query), errhint(BUDGET_HINT)));
	reactor_start();

	context = AllocSetContextCreate(CurrentMemoryContext, "makini call", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	call = palloc0(sizeof(RemoteCall));
	call->context = context;
	call->endpoint = endpoint;
	call->started = reactor_clock();
	copy_request(call, request);
	call->state = CALL_QUEUED;
	dlist_push_tail(&active, &call->node);
	call->on_reset.func = release_call;
	call->on_reset.arg = call;
	MemoryContextRegisterResetCallback(context, &call->on_reset);
	MemoryContextSwitchTo(caller);

	advance(call);
	return call;
}

bool
remote_call_done(RemoteCall *call)
{
	return call->state == CALL_DONE;
}

RemoteFault *
remote_call_fault(RemoteCall *call)
{
	(void) remote_call_wait_any(&call, 1);
	return call->failed ? &call->fault : NULL;
}

RemoteResponse *
remote_call_result(RemoteCall *call)
{
	RemoteFault *fault = remote_call_fault(call);

	if (fault != NULL)
		remote_raise(fault, call->endpoint);
	return call->response;
}

void
remote_call_free(RemoteCall *call)
{
	MemoryContextDelete(call->context);
}

RemoteResponse *
remote_request(RemoteEndpoint *endpoint, const RemoteRequest *request)
{
	return remote_call_result(remote_call_start(endpoint, request));
}
