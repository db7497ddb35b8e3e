/*-------------------------------------------------------------------------
 *
 * imported.h
 *		What an import makes of columns that were discovered, and what it knew
 *		of a table when it last looked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_IMPORTED_H
#define MAKINI_IMPORTED_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "connector/connector.h"

/* How a column is called here, and its type. */
extern char		  *imported_name(const DiscoveredColumn *column);
extern const char *imported_type(const DiscoveredColumn *column);

/* The column as it stands in CREATE and ALTER FOREIGN TABLE. */
extern void imported_definition(StringInfo out, const DiscoveredColumn *column);

/* A column of a foreign table's remote side as it was known. */
typedef struct KnownColumn
{
	char *name; /* as imported_name gives it */
	char *type; /* as imported_type gives it */
} KnownColumn;

/* What is known of the remote side of a foreign table. */
typedef struct Imported
{
	bool  custom_fields; /* these were asked for */
	bool  display;		 /* display texts were */
	List *columns;		 /* of KnownColumn * */
} Imported;

/* NULL: this table was declared by hand, and never looked at. */
extern Imported *imported_recall(Oid relid);

/* Keep what is known from now on. */
extern void imported_remember(Oid relid, const Imported *imported);

extern KnownColumn *imported_find(const Imported *imported, const char *name);

/* What discovery says of a table, to be remembered. */
extern Imported *imported_from(const DiscoveredTable *table, bool custom_fields, bool display);

#endif /* MAKINI_IMPORTED_H */
