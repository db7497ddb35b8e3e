/*-------------------------------------------------------------------------
 *
 * schema_change.h
 *		Changes of columns: following them in a target, and telling of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SCHEMA_CHANGE_H
#define MAKINI_SCHEMA_CHANGE_H

#include "postgres.h"

#include "sync/sync.h"

typedef struct ColumnChange
{
	const char *column;
	const char *change; /* added, removed, type, returned */
	const char *from;	/* type, or NULL */
	const char *to;		/* type, or NULL */
} ColumnChange;

/* What one schema.changed tells. */
typedef struct SchemaChange
{
	Oid			serverid;
	Oid			owner;	  /* of the event */
	const char *relation; /* the foreign table, quoted and qualified */
	List	   *changes;  /* of ColumnChange * */
	bool		applied;
	List	   *syncs; /* of int64 * */
} SchemaChange;

extern void schema_changed(const SchemaChange *change);

extern List *column_change(List *changes, const char *column, const char *what, const char *from,
						   const char *to);
extern List *sync_in_list(List *syncs, int64 sync_id);

/*
 * alter_relation
 *		Run an ALTER of a relation as a role, restricted, in a subtransaction.
 *		NULL when it went well, else why not.  Waits only a moment for the lock:
 *		everybody else would wait behind it.
 */
extern ErrorData *alter_relation(const char *statement, Oid role);

/* Has a relation partitions elsewhere, that a column can't be added to from here? */
extern bool has_foreign_parts(Oid relid);

extern Oid	 relation_owner(Oid relid);		/* InvalidOid: gone */
extern char *relation_full_name(Oid relid); /* quoted and qualified; NULL: gone */

#endif /* MAKINI_SCHEMA_CHANGE_H */
