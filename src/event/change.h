/*-------------------------------------------------------------------------
 *
 * change.h
 *		Reading the JSON objects that alter_* functions and options are given.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_CHANGE_H
#define MAKINI_CHANGE_H

#include "postgres.h"

#include "utils/jsonb.h"

/* Raises 22023 naming the nearest unless it is an object with no other keys.  what: "changes" or "options". */
extern void change_check_keys(const Jsonb *object, const char *what, const char *const *keys);

/*
 * Each leaves *value alone and returns false where the key is absent.  A JSON null
 * is NULL.  The text of a member that is no string is its JSON.
 */
extern bool change_text(const Jsonb *object, const char *key, char **value);
extern bool change_object(const Jsonb *object, const char *key, Jsonb **value);

/* Raises 22023 where the member is something else. */
extern bool change_integer(const Jsonb *object, const char *key, int min, int max, int *value);
extern bool change_choice(const Jsonb *object, const char *key, const char *const *choices, int *value);
extern bool change_interval(const Jsonb *object, const char *key, int64 *microseconds);

/* An array of texts, as a text[]. */
extern bool change_array(const Jsonb *object, const char *key, Datum *value, bool *isnull);

#endif /* MAKINI_CHANGE_H */
