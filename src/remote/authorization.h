/*-------------------------------------------------------------------------
 *
 * authorization.h
 *		The Authorization header, by kind of credential.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_AUTHORIZATION_H
#define MAKINI_AUTHORIZATION_H

#include "postgres.h"

#include "remote/remote.h"

/*
 * authorization_make
 *		The header's value, palloc'd and to be wiped; NULL where none is needed.
 *		*failed: there should be one and cannot.  token is the fetched one, for
 *		the kinds of credential that have such.
 */
extern char *authorization_make(const Credential *credential, const RemoteRequest *request,
								const char *token, bool *failed);

#endif /* MAKINI_AUTHORIZATION_H */
