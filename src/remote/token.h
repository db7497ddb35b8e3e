/*-------------------------------------------------------------------------
 *
 * token.h
 *		Access tokens, shared by all processes that use the same credential.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_TOKEN_H
#define MAKINI_TOKEN_H

#include "postgres.h"

#include "lib/dshash.h"

#include "remote/remote.h"

/* What a token is kept under. */
typedef struct TokenKey
{
	Oid	  database;
	Oid	  umid;
	Oid	  serverid;
	uint8 fingerprint[32];
} TokenKey;

/* One call's dealings with the cache.  All zero at first. */
typedef struct TokenAsk
{
	TokenKey key;	  /* set by token_get() */
	uint64	 claim;	  /* it is ours to fetch; 0: not */
	uint64	 awaited; /* somebody else's claim that we wait for; 0: none */
} TokenAsk;

typedef enum TokenAnswer
{
	TOKEN_READY, /* *token is set */
	TOKEN_WAIT,	 /* another process is fetching one */
	TOKEN_FETCH, /* this call has to: token_request(), then accept or fail */
	TOKEN_FAILED /* the process that fetched failed; *fault is set */
} TokenAnswer;

extern dshash_parameters token_table_parameters(int tranche);

/* Does this credential need tokens that are fetched? */
extern bool token_is_needed(const Credential *credential);

/* Strings in CurrentMemoryContext. */
extern TokenAnswer token_get(TokenAsk *ask, const RemoteEndpoint *endpoint, char **token,
							 RemoteFault *fault);

/* The request that fetches a token.  False, with a fault, where none can be made. */
extern bool token_request(const RemoteEndpoint *endpoint, RemoteRequest *request, RemoteFault *fault);

/* What came back.  False, with a fault, when it is no token. */
extern bool token_accept(TokenAsk *ask, const RemoteEndpoint *endpoint,
						 const RemoteResponse *response, RemoteFault *fault);

/*
 * token_fail
 *		Tell those who wait for our claim that it came to nothing.  True when
 *		an older token is still good, so that nothing is lost.
 */
extern bool token_fail(TokenAsk *ask, const RemoteFault *fault);

/* To be called every few seconds while a claim is held, or others take it. */
extern void token_keep(const TokenAsk *ask);

/* Give a claim back without a result; raises nothing. */
extern void token_abandon(TokenAsk *ask);

/* This token was refused: nobody is to use it again. */
extern void token_invalidate(const RemoteEndpoint *endpoint, const char *token);

/* At the end of the process. */
extern void token_forget_process(void);

#endif /* MAKINI_TOKEN_H */
