/*-------------------------------------------------------------------------
 *
 * array.h
 *		Cuts one JSON array of any length into collections that page.h can
 *		decode, while its bytes arrive.
 *
 * Does not include postgres.h: it reads bytes from the network and is fuzzed
 * and tested outside a server.  Elements are told apart here and checked where
 * they are decoded.  Memory is flat: what is kept is one chunk and what was
 * pushed and not taken.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_ARRAY_H
#define MAKINI_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* What the bytes so far amount to. */
typedef enum ArrayState
{
	ARRAY_BLANK,  /* nothing but blanks yet */
	ARRAY_OPEN,	  /* inside the array */
	ARRAY_CLOSED, /* behind its end */
	ARRAY_OBJECT, /* not an array: an object */
	ARRAY_BROKEN  /* neither, or not well formed: see array_error */
} ArrayState;

typedef struct ArrayReader ArrayReader;

/*
 * malloc'd; NULL when out of memory.  A chunk ends with the first element that
 * reaches chunk_size bytes; one element may have max_element.
 */
extern ArrayReader *array_create(size_t chunk_size, size_t max_element);
extern void			array_free(ArrayReader *reader);

/* More of the body; false when out of memory.  data is copied. */
extern bool array_push(ArrayReader *reader, const char *data, size_t len);

/* How many bytes were pushed and not yet taken. */
extern size_t array_waiting(const ArrayReader *reader);

/*
 * The next collection, {"items":[...]}, NUL-terminated and the caller's to
 * write to until the next call; NULL when more has to be pushed for one, and at
 * the end.  The last one of an array may be short, and that of an empty array
 * has no items.
 */
extern char *array_take(ArrayReader *reader, size_t *len);

/*
 * Of an array that is broken, or of which no more will come: the whole elements
 * that have not been taken, NULL when there are none.
 */
extern char *array_take_rest(ArrayReader *reader, size_t *len);

extern ArrayState array_state(const ArrayReader *reader);

/* The object that the body is instead, as a collection of one; at the end of the body. */
extern char *array_take_object(ArrayReader *reader, size_t *len);

/* What is wrong, in lower case and without a period. */
extern const char *array_error(const ArrayReader *reader);

#endif /* MAKINI_ARRAY_H */
