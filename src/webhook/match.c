/*-------------------------------------------------------------------------
 *
 * match.c
 *		Patterns of event types and connections, and what SQL asks about them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "event/event.h"
#include "webhook/deliver.h"
#include "webhook/webhook.h"

PG_FUNCTION_INFO_V1(makini_event_matches);
PG_FUNCTION_INFO_V1(makini_event_deliverable);

bool
pattern_matches(const char *pattern, const char *text)
{
	const char *star = NULL;
	const char *resume = NULL;

	while (*text != '\0')
	{
		if (*pattern == '*')
		{
			star = pattern++;
			resume = text;
		}
		else if (*pattern == *text)
			pattern++, text++;
		else if (star != NULL)
		{
			pattern = star + 1;
			text = ++resume;
		}
		else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

Datum
makini_event_matches(PG_FUNCTION_ARGS)
{
	char  *type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum *patterns;
	bool  *nulls;
	int	   n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &patterns, &nulls,
					  &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i] && pattern_matches(TextDatumGetCString(patterns[i]), type))
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

Datum
makini_event_deliverable(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(event_deliverable(PG_GETARG_OID(0), PG_ARGISNULL(1) ? NULL : PG_GETARG_UUID_P(1),
									 PG_GETARG_OID(2)));
}
