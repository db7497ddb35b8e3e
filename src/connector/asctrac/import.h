/*-------------------------------------------------------------------------
 *
 * import.h
 *		What write.c and import.c share: an import's JSON.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_ASCTRAC_IMPORT_H
#define MAKINI_ASCTRAC_IMPORT_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "connector/asctrac/asctrac.h"

/* Does an import take a missing value of this column for zero? */
extern bool import_needs_value(const EntityColumn *column);

/*
 * Append "name":value of a column to an object that has been begun; nothing
 * where value is NULL.  Raises what the import could not express.  time_zone
 * is the site's, or NULL.
 */
extern void import_append(StringInfo out, const Entity *entity, const EntityColumn *column,
						  const SourceColumn *local, const FilterValue *value, const char *time_zone);

#endif /* MAKINI_ASCTRAC_IMPORT_H */
