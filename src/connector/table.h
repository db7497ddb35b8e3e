/*-------------------------------------------------------------------------
 *
 * table.h
 *		A foreign table as its options describe it: what stands between a
 *		relation and the queries that scans and syncs make of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_TABLE_H
#define MAKINI_TABLE_H

#include "postgres.h"

#include "connector/connector.h"

typedef struct Table
{
	Oid				 relid;
	Oid				 serverid;
	const Connector *connector;
	Source			*source;
	int				 natts;
	SourceColumn   **columns; /* by attnum - 1; NULL: dropped */
} Table;

extern Table	*table_open_options(Oid relid);
extern ValueKind kind_of_type(Oid type);
extern double	 size_class_rows(const Table *table);
extern void		 table_refuse_read(const Table *table);

/* OIDs of the foreign tables in a schema, whosever they are. */
extern List *foreign_tables_of(Oid namespace);

#endif /* MAKINI_TABLE_H */
