/*-------------------------------------------------------------------------
 *
 * json.h
 *		The tokens of JSON (RFC 8259), read in place.
 *
 * Functions rather than declarations: page.c is the only file that includes
 * this one, and its speed comes from having them inlined.
 *
 * Every function that reads takes where to begin and returns where it
 * stopped, or NULL once json_fail has said why.  The byte at end is NUL, which
 * no rule of the grammar accepts, so every step ends there at the latest; only
 * what looks at several bytes at once compares with the end.
 *
 * The encoding of strings is not checked here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_JSON_H
#define MAKINI_JSON_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "connector/page.h"
#include "connector/utf8.h"

#define JSON_MAX_DEPTH 64

typedef struct Json
{
	char	  *body;
	char	  *end; /* where the NUL is */
	PageError *error;
} Json;

static char *json_fail(Json *j, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold, noinline));

static char *
json_fail(Json *j, const char *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(j->error->message, sizeof(j->error->message), format, args);
	va_end(args);
	j->error->offset = (size_t) (at - j->body);
	return NULL;
}

static char *
json_fail_unexpected(Json *j, const char *at, const char *wanted)
{
	unsigned char c = (unsigned char) *at;

	if (at == j->end)
		return json_fail(j, at, "body ends where %s is expected", wanted);
	if (c > ' ' && c < 0x7f)
		return json_fail(j, at, "\"%c\" found where %s is expected", c, wanted);
	return json_fail(j, at, "byte 0x%02x found where %s is expected", c, wanted);
}

static char *
json_fail_string(Json *j, const char *at)
{
	if (at == j->end)
		return json_fail(j, at, "body ends inside a string");
	return json_fail(j, at, "control character 0x%02x in a string", (unsigned char) *at);
}

/* For what is JSON but can't be a text here. */
static char *
json_fail_text(Json *j, const char *at, const char *what)
{
	j->error->bad_text = true;
	return json_fail(j, at, "%s", what);
}

static inline bool
json_is_digit(char c)
{
	return (unsigned char) (c - '0') < 10;
}

static inline char *
json_skip_space(char *p)
{
	while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
		p++;
	return p;
}

/*
 * json_scan_string
 *		The first byte that ends a plain run of a string: a quote, a backslash
 *		or a control character, the NUL at the end among them.
 */
#ifdef __SSE2__
static inline char *
json_scan_string(char *p, const char *end)
{
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i control = _mm_set1_epi8(0x1f);

	/* the NUL at the end may be read too */
	while (end - p >= 15)
	{
		__m128i bytes = _mm_loadu_si128((const __m128i *) p);
		__m128i found = _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes);
		int		mask;

		found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, quote));
		found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, backslash));
		mask = _mm_movemask_epi8(found);
		if (mask != 0)
			return p + __builtin_ctz((unsigned int) mask);
		p += 16;
	}
	while ((unsigned char) *p >= ' ' && *p != '"' && *p != '\\')
		p++;
	return p;
}
#else
static inline char *
json_scan_string(char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t highs = UINT64_C(0x8080808080808080);

	/* may stop early, never late: the loop below knows exactly */
	while (end - p >= 8)
	{
		uint64_t bytes;
		uint64_t quote;
		uint64_t backslash;

		memcpy(&bytes, p, 8);
		quote = bytes ^ (ones * '"');
		backslash = bytes ^ (ones * '\\');
		if ((((bytes - ones * ' ') & ~bytes) | ((quote - ones) & ~quote) |
			 ((backslash - ones) & ~backslash)) &
			highs)
			break;
		p += 8;
	}
	while ((unsigned char) *p >= ' ' && *p != '"' && *p != '\\')
		p++;
	return p;
}
#endif

/* The four digits of a \u escape at p, or -1. */
static int
json_hex_word(const char *p)
{
	int word = 0;

	for (int i = 0; i < 4; i++)
	{
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return -1;
		word = word * 16 + digit;
	}
	return word;
}

/* What a one-letter escape stands for, or 0. */
static char
json_simple_escape(char c)
{
	switch (c)
	{
		case '"':
		case '\\':
		case '/':
			return c;
		case 'b':
			return '\b';
		case 'f':
			return '\f';
		case 'n':
			return '\n';
		case 'r':
			return '\r';
		case 't':
			return '\t';
		default:
			return 0;
	}
}

/*
 * json_skip_string
 *		From behind the opening quote to behind the closing one.  Code points
 *		are not looked at: what is skipped is nobody's text.
 */
static char *
json_skip_string(Json *j, char *p)
{
	for (;;)
	{
		p = json_scan_string(p, j->end);
		if (*p == '"')
			return p + 1;
		if (*p != '\\')
			return json_fail_string(j, p);
		if (json_simple_escape(p[1]) != 0)
			p += 2;
		else if (p[1] == 'u' && json_hex_word(p + 2) >= 0)
			p += 6;
		else
			return json_fail(j, p, "invalid escape in a string");
	}
}

/* Undoes the \u escape at p, a pair of surrogates at once. */
static char *
json_undo_unicode(Json *j, char *p, char **to)
{
	int c = json_hex_word(p + 2);
	int trail;

	if (c < 0)
		return json_fail(j, p, "invalid escape");
	if (c == 0)
		return json_fail_text(j, p, "character U+0000");
	if (c < 0xd800 || c > 0xdfff)
	{
		*to = utf8_put(*to, (uint32_t) c);
		return p + 6;
	}
	trail = (c < 0xdc00 && p[6] == '\\' && p[7] == 'u') ? json_hex_word(p + 8) : -1;
	if (trail < 0xdc00 || trail > 0xdfff)
		return json_fail_text(j, p, "lone surrogate");
	*to = utf8_put(*to, (uint32_t) (0x10000 + ((c - 0xd800) << 10) + (trail - 0xdc00)));
	return p + 12;
}

/*
 * json_undo_escapes
 *		From the first backslash of a string to the byte that ends it, moving
 *		the text together on the way; *tail is where the text ends then.
 */
static char *
json_undo_escapes(Json *j, char *p, char **tail)
{
	char *to = p;

	while (*p == '\\')
	{
		char  simple = json_simple_escape(p[1]);
		char *run;

		if (simple != 0)
		{
			*to++ = simple;
			p += 2;
		}
		else if (p[1] == 'u')
		{
			p = json_undo_unicode(j, p, &to);
			if (p == NULL)
				return NULL;
		}
		else
			return json_fail(j, p, "invalid escape");
		run = p;
		p = json_scan_string(p, j->end);
		memmove(to, run, (size_t) (p - run));
		to += p - run;
	}
	*tail = to;
	return p;
}

static char *
json_skip_number(Json *j, char *p)
{
	if (*p == '-')
		p++;
	if (*p == '0')
		p++;
	else if (json_is_digit(*p))
	{
		while (json_is_digit(*p))
			p++;
	}
	else
		return json_fail_unexpected(j, p, "a digit");
	if (*p == '.')
	{
		p++;
		if (!json_is_digit(*p))
			return json_fail_unexpected(j, p, "a digit");
		while (json_is_digit(*p))
			p++;
	}
	if (*p == 'e' || *p == 'E')
	{
		p++;
		if (*p == '+' || *p == '-')
			p++;
		if (!json_is_digit(*p))
			return json_fail_unexpected(j, p, "a digit");
		while (json_is_digit(*p))
			p++;
	}
	return p;
}

static inline bool
json_starts_with(const Json *j, const char *p, const char *word, size_t len)
{
	return (size_t) (j->end - p) >= len && memcmp(p, word, len) == 0;
}

static char *
json_skip_scalar(Json *j, char *p)
{
	if (*p == '"')
		return json_skip_string(j, p + 1);
	if (*p == '-' || json_is_digit(*p))
		return json_skip_number(j, p);
	if (json_starts_with(j, p, "true", 4) || json_starts_with(j, p, "null", 4))
		return p + 4;
	if (json_starts_with(j, p, "false", 5))
		return p + 5;
	return json_fail_unexpected(j, p, "a value");
}

/* From a member's opening quote to its value. */
static char *
json_skip_member_name(Json *j, char *p)
{
	if (*p != '"')
		return json_fail_unexpected(j, p, "a member");
	p = json_skip_string(j, p + 1);
	if (p == NULL)
		return NULL;
	p = json_skip_space(p);
	if (*p != ':')
		return json_fail_unexpected(j, p, "\":\"");
	return json_skip_space(p + 1);
}

/*
 * json_skip_value
 *		Checks any value and stops behind it.  depth is the number of objects
 *		and arrays it stands in.  The stack is a bit for each of those opened
 *		here, set for objects.
 */
static char *
json_skip_value(Json *j, char *p, int depth)
{
	const int outside = depth;
	uint64_t  objects = 0;

	for (;;)
	{
		if (*p == '{' || *p == '[')
		{
			bool object = (*p == '{');

			if (depth >= JSON_MAX_DEPTH)
				return json_fail(j, p, "nested deeper than %d", JSON_MAX_DEPTH);
			depth++;
			objects = (objects << 1) | object;
			p = json_skip_space(p + 1);
			if (*p != (object ? '}' : ']'))
			{
				if (object && (p = json_skip_member_name(j, p)) == NULL)
					return NULL;
				continue;
			}
		}
		else
		{
			p = json_skip_scalar(j, p);
			if (p == NULL || depth == outside)
				return p;
			p = json_skip_space(p);
		}

		/* a value is complete: close what it was the last of */
		while (*p == ((objects & 1) ? '}' : ']'))
		{
			p++;
			objects >>= 1;
			if (--depth == outside)
				return p;
			p = json_skip_space(p);
		}
		if (*p != ',')
			return json_fail_unexpected(j, p, (objects & 1) ? "\",\" or \"}\"" : "\",\" or \"]\"");
		p = json_skip_space(p + 1);
		if ((objects & 1) && (p = json_skip_member_name(j, p)) == NULL)
			return NULL;
	}
}

#endif /* MAKINI_JSON_H */
