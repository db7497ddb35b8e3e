/*-------------------------------------------------------------------------
 *
 * json_member.h
 *		Members of the JSON objects that people pass as options or changes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_JSON_MEMBER_H
#define MAKINI_JSON_MEMBER_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

typedef enum MemberKind
{
	MEMBER_BOOL,
	MEMBER_NUMBER,
	MEMBER_TEXT,
	MEMBER_ENUM,
	MEMBER_INTERVAL, /* text of a positive interval */
	MEMBER_TEXTS,	 /* array of texts */
	MEMBER_OBJECT
} MemberKind;

typedef struct MemberDef
{
	const char *name;
	MemberKind	kind;
	bool		nullable; /* null is a value, and not only "as if it were absent" */
	double		min, max; /* NUMBER */
	const char *values;	  /* ENUM: "a|b|c" */
} MemberDef;

/*
 * members_check
 *		Raise 22023 unless an object has known members only, each of its type;
 *		known ends with a NULL name.  what is what people call a member: "option",
 *		"change".  argument is the name of the function's argument.
 */
extern void members_check(Jsonb *object, const MemberDef *known, const char *what,
						  const char *argument);

/* Is there such a member, be it null? */
extern bool member_present(Jsonb *object, const char *name);

/* A member's value; NULL, missing or NIL where it is absent or null. */
extern char	 *member_text(Jsonb *object, const char *name);
extern bool	  member_bool(Jsonb *object, const char *name, bool missing);
extern double member_number(Jsonb *object, const char *name, double missing);
extern List	 *member_texts(Jsonb *object, const char *name); /* of char * */
extern Jsonb *member_object(Jsonb *object, const char *name);

/* The object with a member more or instead. */
extern Jsonb *member_with_text(Jsonb *object, const char *name, const char *text);

/* The object with the members of another over its own. */
extern Jsonb *members_merge(Jsonb *object, Jsonb *changes);

/* One of the values in "a|b|c"; raises 22023 naming what it is a value of. */
extern void enum_check(const char *value, const char *values, const char *name);

/* An interval of finite length, or NULL. */
extern Interval *interval_or_null(const char *text);

/* An interval of finite length; raises 22023 naming what it is a value of. */
extern Interval *interval_of_text(const char *text, const char *name);
extern bool		 interval_is_positive(const Interval *interval);

#endif /* MAKINI_JSON_MEMBER_H */
