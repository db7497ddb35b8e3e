/*-------------------------------------------------------------------------
 *
 * traits.c
 *		What syncs have to know of NetSuite's tables: which rows leave a trace
 *		when they go, which belong to others, which grow with time.  The data
 *		are in traits.def.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/netsuite/netsuite.h"

#define DELETES_TOMBSTONE DELETES_BY_TOMBSTONE
#define DELETES_FULL_PASS DELETES_BY_FULL_PASS
#define DOCUMENT true
#define MASTER false

static const struct
{
	const char	*entity;
	EntityTraits traits;
} known_traits[] = {
#define TRAITS(table, deletes, kind, parent, parent_column, full_every)                            \
	{#table, {DELETES_##deletes, kind, parent, parent_column, full_every}},
#include "traits.def"
#undef TRAITS
};

/*
 * netsuite_traits
 *		Fill in what is known of an entity; left alone where nothing is.
 */
void
netsuite_traits(const Entity *entity, EntityTraits *traits)
{
	for (int i = 0; i < (int) lengthof(known_traits); i++)
	{
		if (strcmp(known_traits[i].entity, entity->name) == 0)
		{
			*traits = known_traits[i].traits;
			return;
		}
	}
}
