/*-------------------------------------------------------------------------
 *
 * argument.c
 *		Arguments of SQL functions that are not STRICT.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "argument.h"

void
argument_refuse_null(FunctionCallInfo fcinfo, int place, const char *argument)
{
	if (PG_ARGISNULL(place))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"%s\" must not be null", argument)));
}

char *
argument_text(FunctionCallInfo fcinfo, int place, const char *argument)
{
	argument_refuse_null(fcinfo, place, argument);
	return text_to_cstring(PG_GETARG_TEXT_PP(place));
}

char *
argument_text_or_null(FunctionCallInfo fcinfo, int place)
{
	return PG_ARGISNULL(place) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(place));
}
