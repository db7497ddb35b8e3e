/*-------------------------------------------------------------------------
 *
 * reactor.h
 *		Drives this process's transfers without ever blocking on a socket.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_REACTOR_H
#define MAKINI_REACTOR_H

#include "postgres.h"

#include <curl/curl.h>

/* One handle in the reactor's care; CURLOPT_PRIVATE of it points here. */
typedef struct ReactorJob
{
	CURL	*handle;
	bool	 running; /* added and not yet finished */
	bool	 done;	  /* finished; result counts */
	CURLcode result;
} ReactorJob;

/* What a process waits for, as its wait event says. */
typedef enum ReactorWait
{
	REACTOR_WAIT_HTTP,
	REACTOR_WAIT_GOVERNOR,
	REACTOR_WAIT_BACKOFF,
	REACTOR_WAIT_TOKEN
} ReactorWait;

/* Raises when the libcurl that was loaded is not good enough. */
extern void reactor_check_library(void);

/* Set up on first use in this process; raises what is missing. */
extern void reactor_start(void);

/* Prepare for so many transfers at once, most of them to the same few hosts. */
extern void reactor_scale(int transfers);

/* A fresh handle, or one used before and reset.  NULL: out of memory. */
extern CURL *reactor_take_handle(void);
extern void	 reactor_give_handle(CURL *easy);

/* Whether another name may be resolved now; see reactor.c about abandoned threads. */
extern bool reactor_has_room(void);

/* Whether a new transfer must not use connections that are open already. */
extern bool reactor_is_stale(void);

/* Begin a transfer; whatever can be sent at once is sent. */
extern bool reactor_add(ReactorJob *job);

/* Stop a transfer wherever it is; does not wait and does not raise. */
extern void reactor_remove(ReactorJob *job);

/* Let all transfers advance as far as they can without waiting. */
extern void reactor_drive(void);

/*
 * reactor_wait
 *		Sleep until a transfer may advance, the latch is set, or timeout_ms (-1:
 *		none) have passed; then let them advance and handle interrupts.
 *		Returns the microseconds slept.
 */
extern int64 reactor_wait(long timeout_ms, ReactorWait why);

/* Was the latch set while reactor_wait() slept, since this was asked last? */
extern bool reactor_was_woken(void);

/* Sockets that count; for CURLOPT_OPENSOCKETFUNCTION and CLOSESOCKETFUNCTION. */
extern curl_socket_t reactor_open_socket(const struct curl_sockaddr *address);
extern int			 reactor_close_socket(void *arg, curl_socket_t fd);

/* Microseconds of a clock that only goes forward. */
extern int64 reactor_clock(void);

#endif /* MAKINI_REACTOR_H */
