/*-------------------------------------------------------------------------
 *
 * reactor.c
 *		Drives this process's transfers without ever blocking on a socket.
 *
 * One curl_multi per process.  libcurl says through callbacks which sockets
 * and which timer it wants watched; the sockets stand in one epoll descriptor,
 * and that descriptor, the latch and the postmaster's death are the three
 * events of one WaitEventSet that lives as long as the process: such a set
 * has no "remove", and up to 16 it leaks when an error passes it by.  So a
 * cancel is noticed wherever a transfer stands.
 *
 * The callbacks only take notes.  An error raised in one would jump through
 * libcurl's own stack.
 *
 * libcurl resolves names in threads.  Signals are blocked around every call
 * that might start one, so that it inherits a mask under which PostgreSQL's
 * handlers never run in it.  Cancelling leaves such a thread behind
 * (CURLOPT_QUICK_EXIT; joining it would take as long as the resolver does);
 * their number is limited.
 *
 * Nothing here knows what is transferred.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "remote/reactor.h"

#if LIBCURL_VERSION_NUM < 0x075700
#error "makini needs libcurl 7.87 or newer"
#endif

#define MIN_LIBCURL 0x075700
#define MAX_IDLE_HANDLES 256
#define IDLE_HANDLES 8
#define CONNECTIONS 16 /* kept alive */
#define MAX_ABANDONED 16
#define EVENTS_AT_ONCE 64
#define RESOLVER_RECHECK_MS 100

typedef struct Reactor
{
	CURLM		 *multi;
	CURLSH		 *share; /* TLS sessions, which libcurl keeps per handle otherwise */
	int			  epoll_fd;
	WaitEventSet *wait_set;
	uint32		  wait_events[4]; /* by ReactorWait */
	bool		  timer_armed;
	int64		  timer_at;	   /* of reactor_clock() */
	int			  running;	   /* transfers in multi */
	bool		  stale;	   /* open connections belong to settings of the past */
	int			  abandoned;   /* resolver threads left behind, at most */
	int			  connections; /* kept alive */
	int			  max_idle;
	CURL		 *idle[MAX_IDLE_HANDLES];
	int			  nidle;
	bool		  woken; /* by the latch, since anybody asked */
	sigset_t	  all_signals;
} Reactor;

static Reactor reactor = {.epoll_fd = -1, .connections = CONNECTIONS, .max_idle = IDLE_HANDLES};
static bool	   callbacks_registered = false;

int64
reactor_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- what libcurl asks for ---- */

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct epoll_event event = {0};

	if (what == CURL_POLL_REMOVE)
	{
		(void) epoll_ctl(reactor.epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}

	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	event.data.fd = fd;

	/* libcurl may reuse a number whose descriptor was closed meanwhile, so either can be wrong */
	if (epoll_ctl(reactor.epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 &&
		epoll_ctl(reactor.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -1;
	return 0;
}

static int
watch_timer(CURLM *multi, long timeout_ms, void *arg)
{
	reactor.timer_armed = timeout_ms >= 0;
	reactor.timer_at = reactor_clock() + (int64) timeout_ms * 1000;
	return 0;
}

curl_socket_t
reactor_open_socket(const struct curl_sockaddr *address)
{
	curl_socket_t fd;

	if (!AcquireExternalFD())
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
	{
		ReleaseExternalFD();
		return CURL_SOCKET_BAD;
	}
	return fd;
}

int
reactor_close_socket(void *arg, curl_socket_t fd)
{
	close(fd);
	ReleaseExternalFD();
	return 0;
}

/* ---- setting up ---- */

void
reactor_check_library(void)
{
	curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	if (info->version_num < MIN_LIBCURL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("libcurl %s is too old", info->version),
				 errdetail("makini needs libcurl 7.87 or newer.")));
	if ((info->features & CURL_VERSION_ASYNCHDNS) == 0 ||
		(info->features & CURL_VERSION_SSL) == 0 || (info->features & CURL_VERSION_LIBZ) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("libcurl %s lacks a feature", info->version),
				 errdetail("makini needs libcurl with TLS, gzip and asynchronous name resolution.")));
}

/* A server or user mapping changed: connections made under the old options are not used again. */
static void
forget_connections(Datum arg, int cacheid, uint32 hashvalue)
{
	reactor.stale = true;
}

static void
start_multi(void)
{
	CURLM *multi = curl_multi_init();

	if (multi == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, watch_timer);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) reactor.connections);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	reactor.multi = multi;
	reactor.timer_armed = false;
	reactor.stale = false;
}

static void
start_wait_set(void)
{
	reactor.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reactor.epoll_fd < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not create an epoll descriptor: %m")));
	ReserveExternalFD();

	reactor.wait_set = makini_create_wait_event_set(3);
	AddWaitEventToSet(reactor.wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(reactor.wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(reactor.wait_set, WL_SOCKET_READABLE, reactor.epoll_fd, NULL, NULL);
}

void
reactor_start(void)
{
	if (reactor.multi == NULL)
	{
		reactor_check_library();
		if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not initialize libcurl")));
		sigfillset(&reactor.all_signals);
		sigdelset(&reactor.all_signals, SIGSEGV);
		sigdelset(&reactor.all_signals, SIGBUS);
		sigdelset(&reactor.all_signals, SIGFPE);
		sigdelset(&reactor.all_signals, SIGILL);
		sigdelset(&reactor.all_signals, SIGABRT);
		sigdelset(&reactor.all_signals, SIGTRAP);

		reactor.wait_events[REACTOR_WAIT_HTTP] = makini_wait_event("MakiniHttp");
		reactor.wait_events[REACTOR_WAIT_GOVERNOR] = makini_wait_event("MakiniGovernor");
		reactor.wait_events[REACTOR_WAIT_BACKOFF] = makini_wait_event("MakiniBackoff");
		reactor.wait_events[REACTOR_WAIT_TOKEN] = makini_wait_event("MakiniToken");

		if (reactor.wait_set == NULL)
			start_wait_set();
		if (reactor.share == NULL)
		{
			reactor.share = curl_share_init();
			if (reactor.share != NULL)
				curl_share_setopt(reactor.share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
		}
		if (!callbacks_registered)
		{
			CacheRegisterSyscacheCallback(FOREIGNSERVEROID, forget_connections, (Datum) 0);
			CacheRegisterSyscacheCallback(USERMAPPINGOID, forget_connections, (Datum) 0);
			callbacks_registered = true;
		}
		start_multi();
	}
	else if (reactor.stale && reactor.running == 0)
	{
		curl_multi_cleanup(reactor.multi);
		reactor.multi = NULL;
		start_multi();
	}
}

void
reactor_scale(int transfers)
{
	reactor.connections = transfers;
	reactor.max_idle = Min(transfers, MAX_IDLE_HANDLES);
	curl_multi_setopt(reactor.multi, CURLMOPT_MAXCONNECTS, (long) reactor.connections);
}

bool
reactor_is_stale(void)
{
	return reactor.stale;
}

/* ---- handles ---- */

CURL *
reactor_take_handle(void)
{
	CURL *easy;

	if (reactor.nidle > 0)
		easy = reactor.idle[--reactor.nidle];
	else
		easy = curl_easy_init();
	if (easy != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
		curl_easy_setopt(easy, CURLOPT_SHARE, reactor.share);
	}
	return easy;
}

void
reactor_give_handle(CURL *easy)
{
	if (reactor.nidle < reactor.max_idle)
	{
		/* forgets headers, URL and body: they belong to the caller */
		curl_easy_reset(easy);
		reactor.idle[reactor.nidle++] = easy;
	}
	else
		curl_easy_cleanup(easy);
}

/* ---- resolver threads ---- */

/*
 * A transfer that ends before its name was resolved leaves a thread behind
 * that nobody can join or see.  They are counted as they are made, and
 * recounted only when there seem to be too many.
 */
static void
note_abandoned(CURL *easy)
{
	curl_off_t resolved = 0;

	if (curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved) == CURLE_OK && resolved == 0)
		reactor.abandoned++;
}

static int
count_other_threads(void)
{
	DIR			  *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int			   n = -1; /* not this one */

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
	{
		if (entry->d_name[0] != '.')
			n++;
	}
	closedir(dir);
	return n;
}

bool
reactor_has_room(void)
{
	if (reactor.abandoned >= MAX_ABANDONED)
		reactor.abandoned = Min(reactor.abandoned, count_other_threads());
	return reactor.abandoned < MAX_ABANDONED;
}

/* ---- driving ---- */

static void
act(curl_socket_t fd, int what)
{
	int running;

	(void) curl_multi_socket_action(reactor.multi, fd, what, &running);
}

static void
act_on_sockets(void)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int				   n = epoll_wait(reactor.epoll_fd, events, EVENTS_AT_ONCE, 0);

	for (int i = 0; i < n; i++)
	{
		int what = 0;

		if (events[i].events & (EPOLLIN | EPOLLHUP))
			what |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		if (events[i].events & EPOLLERR)
			what |= CURL_CSELECT_ERR;
		act(events[i].data.fd, what);
	}
}

static void
act_on_timer(void)
{
	if (reactor.timer_armed && reactor_clock() >= reactor.timer_at)
	{
		reactor.timer_armed = false;
		act(CURL_SOCKET_TIMEOUT, 0);
	}
}

static void
finish(ReactorJob *job)
{
	(void) curl_multi_remove_handle(reactor.multi, job->handle);
	job->running = false;
	reactor.running--;
}

static void
collect_finished(void)
{
	CURLMsg *message;
	int		 left;

	while ((message = curl_multi_info_read(reactor.multi, &left)) != NULL)
	{
		ReactorJob *job = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &job);
		job->result = message->data.result;
		job->done = true;
		if (job->result != CURLE_OK)
			note_abandoned(job->handle);
		finish(job);
	}
}

void
reactor_drive(void)
{
	sigset_t saved;

	if (reactor.running == 0)
		return;
	sigprocmask(SIG_BLOCK, &reactor.all_signals, &saved);
	act_on_sockets();
	act_on_timer();
	collect_finished();
	sigprocmask(SIG_SETMASK, &saved, NULL);
}

bool
reactor_add(ReactorJob *job)
{
	sigset_t saved;
	bool	 added;

	job->running = false;
	job->done = false;
	curl_easy_setopt(job->handle, CURLOPT_PRIVATE, job);

	sigprocmask(SIG_BLOCK, &reactor.all_signals, &saved);
	added = curl_multi_add_handle(reactor.multi, job->handle) == CURLM_OK;
	if (added)
	{
		job->running = true;
		reactor.running++;
		act_on_timer();
		collect_finished();
	}
	sigprocmask(SIG_SETMASK, &saved, NULL);
	return added;
}

void
reactor_remove(ReactorJob *job)
{
	sigset_t saved;

	if (!job->running)
		return;
	sigprocmask(SIG_BLOCK, &reactor.all_signals, &saved);
	note_abandoned(job->handle);
	finish(job);
	sigprocmask(SIG_SETMASK, &saved, NULL);
}

/* How long libcurl lets us sleep, at most timeout_ms; -1: for ever. */
static long
shorten(long timeout_ms)
{
	int64 left;

	if (reactor.abandoned >= MAX_ABANDONED && (timeout_ms < 0 || timeout_ms > RESOLVER_RECHECK_MS))
		timeout_ms = RESOLVER_RECHECK_MS;
	if (reactor.running == 0 || !reactor.timer_armed)
		return timeout_ms;
	left = reactor.timer_at - reactor_clock();
	left = left <= 0 ? 0 : (left + 999) / 1000;
	return timeout_ms < 0 || left < timeout_ms ? (long) left : timeout_ms;
}

int64
reactor_wait(long timeout_ms, ReactorWait why)
{
	WaitEvent event;
	int64	  before = reactor_clock();
	int64	  slept;

	if (WaitEventSetWait(reactor.wait_set, shorten(timeout_ms), &event, 1, reactor.wait_events[why]) > 0 &&
		event.events == WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		reactor.woken = true;
	}
	slept = reactor_clock() - before;

	CHECK_FOR_INTERRUPTS();
	reactor_drive();
	return slept;
}

bool
reactor_was_woken(void)
{
	bool woken = reactor.woken;

	reactor.woken = false;
	return woken;
}
