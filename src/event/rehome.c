/*-------------------------------------------------------------------------
 *
 * rehome.c
 *		After a restore or a copy: rules, watches and events find their owners
 *		and tables again.
 *
 * OIDs are others then, names the same.  A rule's table is known by the trigger
 * that came with it, even where the table was renamed after the rule was made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "event/event.h"
#include "makini.h"
#include "private.h"

PG_FUNCTION_INFO_V1(makini_rehome_events);

#define OWNER_NOW "coalesce(to_regrole(quote_ident(owner))::oid, 0)"

#define REHOME_RULES                                                                               \
	"UPDATE makini._rule r SET home = makini._home(), owner_oid = " OWNER_NOW ","                  \
	"  relation_oid = coalesce("                                                                   \
	"   (SELECT t.tgrelid FROM pg_trigger t WHERE t.tgfoid = 'makini._fire_rule'::regproc"         \
	"    AND t.tgargs = convert_to(r.rule_id::text, 'UTF8') || '\\x00'::bytea LIMIT 1),"           \
	"   to_regclass(relation)::oid, 0)"                                                            \
	" WHERE home <> makini._home() RETURNING relation_oid"

#define REHOME_WATCHES                                                                             \
	"UPDATE makini._watch SET home = makini._home(), owner_oid = " OWNER_NOW                       \
	" WHERE home <> makini._home()"

/* At home an owner that has another name was renamed. */
#define REHOME_EVENTS                                                                              \
	"UPDATE makini.%s SET owner_oid = " OWNER_NOW " WHERE pg_get_userbyid(owner_oid) <> owner"     \
	" AND ($1 OR NOT EXISTS (SELECT FROM makini._instance i WHERE i.home = makini._home()))"

/* Backends know of a rule by its table. */
static void
tell_of_rules(void)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Oid	 relid =
			DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		if (get_rel_name(relid) != NULL)
			CacheInvalidateRelcacheByRelid(relid);
	}
}

void
event_rehome(bool foreign)
{
	Oid			 types[] = {BOOLOID};
	Datum		 values[] = {BoolGetDatum(foreign)};
	MakiniRights saved;

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute(REHOME_RULES, false, 0);
	tell_of_rules();
	SPI_execute(REHOME_WATCHES, false, 0);
	(void) private_query(psprintf(REHOME_EVENTS, "_event"), 1, types, values, NULL);
	(void) private_query(psprintf(REHOME_EVENTS, "_event_log"), 1, types, values, NULL);
	SPI_finish();
	makini_rights_restore(&saved);
}

Datum
makini_rehome_events(PG_FUNCTION_ARGS)
{
	event_rehome(true);
	PG_RETURN_VOID();
}
