/*-------------------------------------------------------------------------
 *
 * array.c
 *		Cuts one JSON array of any length into collections that page.h can
 *		decode, while its bytes arrive.
 *
 * Only what is needed to find the end of an element is looked at: strings,
 * their escapes, and the depth of brackets.
 *
 *-------------------------------------------------------------------------
 */
#include "connector/array.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "{\"items\":["
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define SUFFIX "]}"
#define SUFFIX_LEN (sizeof(SUFFIX) - 1)

/* Deeper than the decoder goes: brackets that only waste time. */
#define MAX_DEPTH 70

typedef struct Bytes
{
	char  *data;
	size_t len;
	size_t size;
} Bytes;

struct ArrayReader
{
	size_t		chunk_size;
	size_t		max_element;
	ArrayState	state;
	const char *error;
	Bytes		raw;		/* pushed ... */
	size_t		at;			/* ... and scanned up to here */
	Bytes		chunk;		/* begins with PREFIX */
	size_t		whole;		/* of the chunk: up to the end of its last whole element */
	bool		handed_out; /* the chunk is the caller's until the next call */
	int			depth;		/* of open brackets inside the array */
	bool		in_string;
	bool		escaped;
	bool		has_element; /* something stands since the last comma */
	bool		after_comma;
};

static bool
reserve(Bytes *bytes, size_t more)
{
	size_t size = bytes->size > 0 ? bytes->size : 4096;
	char  *grown;

	if (bytes->len + more <= bytes->size)
		return true;
	while (size < bytes->len + more)
		size *= 2;
	grown = realloc(bytes->data, size);
	if (grown == NULL)
		return false;
	bytes->data = grown;
	bytes->size = size;
	return true;
}

static bool
append(Bytes *bytes, const char *data, size_t len)
{
	if (!reserve(bytes, len))
		return false;
	if (len > 0)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
	return true;
}

static void *
broken(ArrayReader *reader, const char *error)
{
	reader->state = ARRAY_BROKEN;
	reader->error = error;
	return NULL;
}

ArrayReader *
array_create(size_t chunk_size, size_t max_element)
{
	ArrayReader *reader = calloc(1, sizeof(ArrayReader));

	if (reader == NULL)
		return NULL;
	reader->chunk_size = chunk_size;
	reader->max_element = max_element;
	if (!append(&reader->chunk, PREFIX, PREFIX_LEN))
	{
		array_free(reader);
		return NULL;
	}
	return reader;
}

void
array_free(ArrayReader *reader)
{
	if (reader == NULL)
		return;
	free(reader->raw.data);
	free(reader->chunk.data);
	free(reader);
}

/* What was scanned is kept no longer. */
bool
array_push(ArrayReader *reader, const char *data, size_t len)
{
	if (reader->at > 0)
	{
		memmove(reader->raw.data, reader->raw.data + reader->at, reader->raw.len - reader->at);
		reader->raw.len -= reader->at;
		reader->at = 0;
	}
	return append(&reader->raw, data, len);
}

size_t
array_waiting(const ArrayReader *reader)
{
	return reader->raw.len - reader->at;
}

ArrayState
array_state(const ArrayReader *reader)
{
	return reader->state;
}

const char *
array_error(const ArrayReader *reader)
{
	return reader->error;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char *
hand_out(ArrayReader *reader, size_t *len)
{
	if (!append(&reader->chunk, SUFFIX "\0", SUFFIX_LEN + 1))
		return broken(reader, "out of memory");
	*len = reader->chunk.len - 1;
	reader->handed_out = true;
	reader->whole = 0;
	return reader->chunk.data;
}

/* The end of a string, or of the bytes there are. */
static const char *
scan_string(ArrayReader *reader, const char *p, const char *end)
{
	for (; p < end; p++)
	{
		if (reader->escaped)
			reader->escaped = false;
		else if (*p == '\\')
			reader->escaped = true;
		else if (*p == '"')
		{
			reader->in_string = false;
			return p + 1;
		}
	}
	return p;
}

/*
 * Scan up to a comma or the bracket that closes the array, whichever comes at
 * its own level; NULL when the bytes end before.
 */
static const char *
scan_element(ArrayReader *reader, const char *p, const char *end)
{
	while (p < end)
	{
		if (reader->in_string)
		{
			p = scan_string(reader, p, end);
			continue;
		}
		switch (*p)
		{
			case '"':
				reader->in_string = true;
				reader->has_element = true;
				break;
			case '{':
			case '[':
				reader->has_element = true;
				if (++reader->depth > MAX_DEPTH)
					return broken(reader, "brackets are nested too deeply");
				break;
			case '}':
			case ']':
				if (reader->depth == 0)
					return *p == ']' ? p : broken(reader, "a bracket does not match");
				reader->depth--;
				break;
			case ',':
				if (reader->depth == 0)
					return p;
				break;
			default:
				reader->has_element |= !is_blank(*p);
				break;
		}
		p++;
	}
	return NULL;
}

/* Move what was scanned into the chunk. */
static bool
keep(ArrayReader *reader, const char *upto)
{
	const char *from = reader->raw.data + reader->at;

	if (!append(&reader->chunk, from, (size_t) (upto - from)))
	{
		broken(reader, "out of memory");
		return false;
	}
	reader->at = (size_t) (upto - reader->raw.data);
	if (reader->chunk.len > reader->chunk_size + reader->max_element)
	{
		broken(reader, "an element is too large");
		return false;
	}
	return true;
}

/* Behind the array there may be blanks. */
static char *
skip_rest(ArrayReader *reader)
{
	for (; reader->at < reader->raw.len; reader->at++)
	{
		if (!is_blank(reader->raw.data[reader->at]))
			return broken(reader, "something follows the array");
	}
	return NULL;
}

static char *
take_elements(ArrayReader *reader, size_t *len)
{
	for (;;)
	{
		const char *end = reader->raw.data + reader->raw.len;
		const char *stop = scan_element(reader, reader->raw.data + reader->at, end);

		if (reader->state == ARRAY_BROKEN || !keep(reader, stop != NULL ? stop : end) || stop == NULL)
			return NULL;
		if (!reader->has_element && (*stop == ',' || reader->after_comma))
			return broken(reader, "an element is missing");
		reader->at++;
		if (reader->has_element)
			reader->whole = reader->chunk.len;
		reader->has_element = false;
		if (*stop == ']')
		{
			reader->state = ARRAY_CLOSED;
			if (skip_rest(reader) == NULL && reader->state == ARRAY_BROKEN)
				return NULL;
			return hand_out(reader, len);
		}
		reader->after_comma = true;
		if (reader->chunk.len >= reader->chunk_size)
			return hand_out(reader, len);
		if (!append(&reader->chunk, ",", 1))
			return broken(reader, "out of memory");
	}
}

/* What the first byte that is not blank says. */
static void
begin(ArrayReader *reader)
{
	while (reader->at < reader->raw.len && is_blank(reader->raw.data[reader->at]))
		reader->at++;
	if (reader->at == reader->raw.len)
		return;
	switch (reader->raw.data[reader->at])
	{
		case '[':
			reader->state = ARRAY_OPEN;
			reader->at++;
			break;
		case '{':
			reader->state = ARRAY_OBJECT;
			break;
		default:
			broken(reader, "it begins neither like an array nor like an object");
			break;
	}
}

char *
array_take(ArrayReader *reader, size_t *len)
{
	if (reader->handed_out)
	{
		/* The caller may have written anywhere in it. */
		reader->chunk.len = 0;
		(void) append(&reader->chunk, PREFIX, PREFIX_LEN);
		reader->handed_out = false;
	}
	if (reader->state == ARRAY_BLANK)
		begin(reader);
	switch (reader->state)
	{
		case ARRAY_OPEN:
			return take_elements(reader, len);
		case ARRAY_CLOSED:
			return skip_rest(reader);
		case ARRAY_OBJECT:
			if (array_waiting(reader) > reader->max_element)
				return broken(reader, "the object is too large");
			return NULL;
		default:
			return NULL;
	}
}

char *
array_take_rest(ArrayReader *reader, size_t *len)
{
	if (reader->whole == 0)
		return NULL;
	reader->chunk.len = reader->whole;
	return hand_out(reader, len);
}

char *
array_take_object(ArrayReader *reader, size_t *len)
{
	if (reader->state != ARRAY_OBJECT || !keep(reader, reader->raw.data + reader->raw.len))
		return NULL;
	reader->state = ARRAY_CLOSED;
	return hand_out(reader, len);
}
