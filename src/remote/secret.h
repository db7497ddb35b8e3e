/*-------------------------------------------------------------------------
 *
 * secret.h
 *		Reading secrets from files and wiping them from memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SECRET_H
#define MAKINI_SECRET_H

#include "postgres.h"

/* The largest file that may hold a secret. */
#define SECRET_MAX_BYTES (64 * 1024)

/*
 * Content of the file that an option names, palloc'd and NUL-terminated, its
 * trailing newlines removed when trim is set.  Errors name the option and the
 * file, never what stands in it.
 */
extern char *secret_read_file(const char *option, const char *path, bool trim);

/* Overwrite so that no compiler leaves it out; NULL is fine. */
extern void secret_wipe(char *secret);

#endif /* MAKINI_SECRET_H */
