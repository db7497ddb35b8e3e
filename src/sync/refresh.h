/*-------------------------------------------------------------------------
 *
 * refresh.h
 *		Foreign tables that are compared with what an import would make today:
 *		what refresh.c and look.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_REFRESH_H
#define MAKINI_REFRESH_H

#include "postgres.h"

#include "connector/table.h"
#include "imported.h"

/* One row of the result. */
typedef struct Finding
{
	Oid				  relation;
	const char		 *column;
	const char		 *change;
	const char		 *from;		   /* declared type, or NULL */
	const char		 *remote_type; /* or NULL */
	const char		 *sql;		   /* or NULL */
	DiscoveredColumn *discovered;  /* or NULL */
	const char		 *known_as;	   /* of a removed one: its name to an import */
	bool			  runnable;	   /* apply may run it */
	bool			  applied;
} Finding;

/* A foreign table that is looked at. */
typedef struct Looked
{
	Oid				 relid;
	Oid				 role; /* with whose credentials and rights */
	char			*name;
	Table			*table;
	Imported		*known; /* or NULL: it was not looked at before */
	bool			 custom_fields;
	bool			 display;
	bool			 done;
	DiscoveredTable *found;	   /* or NULL: nothing can be discovered */
	List			*findings; /* of Finding *, of the foreign table itself */
	List			*targets;  /* of Finding *, of targets of its syncs */
	List			*syncs;	   /* of int64 * */
} Looked;

/* ---- refresh.c ---- */

/* Foreign tables (list of OIDs) that a role is to look at (Looked *); those that are gone are left out. */
extern List *look_at_tables(List *relids, Oid role);

/* What of the findings the targets of the table's syncs are to follow. */
extern void look_follow(Looked *looked);

/* Run what can be run, and know it from now on. */
extern void look_apply(Looked *looked);

/* Raise one schema.changed of the findings. */
extern void look_tell(const Looked *looked);

/* Keep what there is of a table that was not looked at before. */
extern void look_remember_first(const Looked *looked);

/* ---- look.c ---- */

/* Ask what the remote side has today for all of these (Looked *). */
extern void look_around(List *all);

/* Find out what of a foreign table has changed; some more requests may be needed. */
extern void look_compare(Looked *looked);

extern Finding *add_finding(List **list, Oid relation, const char *column, const char *change,
							const char *sql);
extern bool		is_discovered(const DiscoveredTable *found, const SourceColumn *column);
extern Oid		type_of_text(const char *text);
extern char	   *declared_type(Oid relid, AttrNumber attnum);

#endif /* MAKINI_REFRESH_H */
