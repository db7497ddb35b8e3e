/*-------------------------------------------------------------------------
 *
 * catalogue.c
 *		The built-in catalogue of NetSuite: tables of SuiteQL, their columns,
 *		keys and cursors.
 *
 * An account without the ODBC module has no list of its columns that could be
 * asked for, so makini brings one along.  It says what may exist; whether an
 * account and a role really have it is found out by probing.
 *
 * The data are in catalogue_*.def, one entry per line, read here and by the
 * simulator's Python (so keep the form; a value never spans lines):
 *
 *	TABLE(name, key, cursor, record type, size, comment)
 *		COLUMN(name, type, flags, comment)
 *	END
 *
 * name		in lower case, as SuiteQL answers with it
 * key		"a,b": what identifies a row
 * cursor	"a" or NULL: the column that moves when a row changes
 * record type	"a" or NULL: its name in the record API, where there is just one
 * size		TINY, SMALL, MEDIUM, LARGE or HUGE: see SizeClass
 * type		INTEGER, TEXT, NUMERIC, BOOLEAN, DATE (without a time of day) or
 *			TIMESTAMPTZ (with one)
 * flags	0, or joined by |:
 *			REQUIRED	part of the key and never null
 *			REFERENCE	a list or record: BUILTIN.DF gives a text for it
 *			CODE		text of ASCII codes, where "equal" can only mean one thing
 *			COSTLY		calculated row by row: IMPORT leaves it out
 * comment	"text" or NULL where the name says it all; for references what
 *			they refer to
 *
 * Single-column keys are required even where little is known of a table; of
 * the parts of composite keys only those that are known never to be null.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/netsuite/netsuite.h"

/* clang-format off */
#define REQUIRED	1
#define REFERENCE	2
#define CODE		4
#define COSTLY		8

/* First the columns of each table ... */
#define TABLE(table, key, cursor, record_type, size, comment) \
	static const EntityColumn columns_of_##table[] = {
#define COLUMN(column, type, flags, comment) \
	{ \
		#column, VALUE_##type, ((flags) & REQUIRED) != 0, ((flags) & REFERENCE) != 0, \
			((flags) & CODE) != 0, ((flags) & COSTLY) != 0, comment \
	},
#define END };

#include "catalogue_transaction.def"
#include "catalogue_item.def"
#include "catalogue_inventory.def"
#include "catalogue_entity.def"
#include "catalogue_finance.def"
#include "catalogue_system.def"

#undef TABLE
#undef COLUMN
#undef END

/* ... then the tables. */
#define TABLE(table, key, cursor, record_type, size, comment) \
	{ \
		#table, key, cursor, record_type, SIZE_##size, comment, columns_of_##table, \
			lengthof(columns_of_##table) \
	},
#define COLUMN(column, type, flags, comment)
#define END

static const Entity entities[] = {
#include "catalogue_transaction.def"
#include "catalogue_item.def"
#include "catalogue_inventory.def"
#include "catalogue_entity.def"
#include "catalogue_finance.def"
#include "catalogue_system.def"
};
/* clang-format on */

const Entity *
netsuite_entities(int *n)
{
	*n = lengthof(entities);
	return entities;
}
