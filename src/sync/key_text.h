/*-------------------------------------------------------------------------
 *
 * key_text.h
 *		Keys as texts: in JSON objects of checks and rejected rows, in queries.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_KEY_TEXT_H
#define MAKINI_KEY_TEXT_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "sync/sync.h"

/* The columns of a source's key among those selected. */
typedef struct KeyColumns
{
	int				 n;
	int				*places; /* among the selected columns */
	SelectedColumn **columns;
} KeyColumns;

/* Raises 55000 where the source has no key. */
extern KeyColumns *key_columns(const Sync *sync, const SyncSource *source);

/* A value in the canonical text of FilterValue. */
extern char *value_text(Datum value, Oid type);

/* The reverse, for a column of its base type. */
extern Datum text_value(const char *text, const SelectedColumn *column);

/*
 * key_of_json
 *		The canonical texts of a key that a JSON object holds by column, NULL for
 *		null; NULL where it lacks a member or holds what is no such value.
 */
extern char **key_of_json(const KeyColumns *columns, Jsonb *object);

/* The key of a row of Rows. */
extern char **key_of_row(const KeyColumns *columns, const Rows *rows, int row);

/* One text for a whole key, the same for the same keys only. */
extern char *key_joined(const KeyColumns *columns, char *const *key);

#endif /* MAKINI_KEY_TEXT_H */
