/*-------------------------------------------------------------------------
 *
 * unknown.c
 *		Telling the author of a webhook what of it can't ever match as things are.
 *
 * Servers may come later, and types with the next release, so that a name that
 * there is not is no error; but it is mostly a misspelt one, and silence is all
 * that would be heard of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "nearest.h"
#include "private.h"
#include "webhook/webhook.h"

static List *
first_column(const char *statement, int nargs, const Datum *values)
{
	Oid	  types[] = {TEXTARRAYOID};
	List *texts = NIL;

	(void) private_query(statement, nargs, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		texts = lappend(texts, private_text(i, 1));
	return texts;
}

static const char *
nearest_of(List *names, const char *name)
{
	Nearest	  nearest;
	ListCell *lc;

	nearest_init(&nearest, name);
	foreach(lc, names)
		nearest_offer(&nearest, lfirst(lc));
	return nearest_found(&nearest);
}

void
webhook_tell_unknown_servers(const WebhookDefinition *definition)
{
	Datum patterns = PointerGetDatum(definition->connections);
	List *unknown =
		first_column("SELECT p FROM pg_catalog.unnest($1) WITH ORDINALITY AS e(p, n) WHERE pg_catalog.strpos(p, '*') = 0"
					 " AND NOT EXISTS (SELECT FROM makini._server s WHERE s.server_name = p) ORDER BY n",
					 1, &patterns);
	List	 *names = unknown == NIL ?
			NIL :
			first_column("SELECT server_name::text FROM makini._server ORDER BY 1", 0, NULL);
	ListCell *lc;

	foreach(lc, unknown)
	{
		const char *best = nearest_of(names, lfirst(lc));

		ereport(NOTICE,
				(errmsg("there is no server \"%s\" whose events the webhook could get",
						(char *) lfirst(lc)),
				 best != NULL ? errhint("Perhaps you meant \"%s\".", best) :
								errhint("The view makini.connection lists those that you may use.")));
	}
}

void
webhook_tell_unknown_types(const WebhookDefinition *definition)
{
	Datum patterns = PointerGetDatum(definition->events);
	List *unknown =
		first_column("SELECT p FROM pg_catalog.unnest($1) WITH ORDINALITY AS e(p, n) WHERE pg_catalog.strpos(p, '*') = 0"
					 " AND NOT EXISTS (SELECT FROM makini._event_type t WHERE t.type = p)"
					 " AND EXISTS (SELECT FROM makini._event_type t"
					 "  WHERE pg_catalog.split_part(t.type, '.', 1) = pg_catalog.split_part(p, '.', 1))"
					 " ORDER BY n",
					 1, &patterns);
	List	 *types = unknown == NIL ?
			NIL :
			first_column("SELECT DISTINCT type FROM makini._event_type ORDER BY 1", 0, NULL);
	ListCell *lc;

	foreach(lc, unknown)
	{
		const char *best = nearest_of(types, lfirst(lc));

		ereport(NOTICE,
				(errmsg("makini raises no event of type \"%s\"", (char *) lfirst(lc)),
				 best != NULL ? errhint("Perhaps you meant \"%s\".", best) :
								errhint("The view makini.event_type lists those that there are.")));
	}
}
