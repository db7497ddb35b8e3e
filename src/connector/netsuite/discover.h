/*-------------------------------------------------------------------------
 *
 * discover.h
 *		What the files that look around in an account share.
 *
 * discover.c puts tables together and asks which of their columns the role may
 * read; custom_field.c asks for the account's custom fields.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_NETSUITE_DISCOVER_H
#define MAKINI_NETSUITE_DISCOVER_H

#include "connector/netsuite/netsuite.h"

typedef struct CustomField
{
	const char *name; /* its script id: the column's name, lower case */
	ValueKind	kind;
	bool		reference; /* has a display text */
	bool		shared;	   /* of a kind that several tables have, and need not apply to each */
	const char *comment;   /* or NULL */
} CustomField;

/*
 * custom_fields_read
 *		The account's custom fields (of CustomField *), without those that are
 *		inactive or not stored.  A role that may not see them gets NIL and a
 *		WARNING; what keeps any query from working is raised.
 */
extern List *custom_fields_read(Connection *conn);

/* What tells one set of custom fields, as the role may see it, from another. */
extern char *custom_fields_mark(Connection *conn);

/* Is a custom field, by its name, one of this table's? */
extern bool custom_field_belongs(const CustomField *field, const Entity *entity);

#endif /* MAKINI_NETSUITE_DISCOVER_H */
