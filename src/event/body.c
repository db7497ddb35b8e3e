/*-------------------------------------------------------------------------
 *
 * body.c
 *		The body of a delivery: exactly these bytes are signed and sent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "event/event.h"
#include "makini.h"

void
event_check_api_version(const char *api_version)
{
	if (strcmp(api_version, MAKINI_API_VERSION) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("makini knows no API version \"%s\"", api_version),
				 errhint("Versions known: %s.", MAKINI_API_VERSION)));
}

static void
append_uuid(StringInfo body, const char *member, const pg_uuid_t *id)
{
	char *text = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));

	appendStringInfo(body, "%s\"%s\"", member, text);
	pfree(text);
}

void
event_append_moment(StringInfo text, TimestampTz moment)
{
	struct pg_tm tm;
	fsec_t		 fsec;

	if (moment == 0)
	{
		appendStringInfoString(text, "null");
		return;
	}
	if (timestamp2tm(moment, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	appendStringInfo(text, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", tm.tm_year, tm.tm_mon,
					 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec);
}

void
event_append_text(StringInfo text, const char *value)
{
	if (value == NULL)
		appendStringInfoString(text, "null");
	else
		escape_json(text, value);
}

void
event_append_member(StringInfo text, const char *member, const char *value)
{
	appendStringInfoString(text, member);
	event_append_text(text, value);
}

char *
event_body(const EventBody *event, const char *api_version, const pg_uuid_t *instance)
{
	StringInfoData body;

	initStringInfo(&body);
	append_uuid(&body, "{\"id\":", &event->event_id);
	event_append_member(&body, ",\"type\":", event->type);
	appendStringInfoString(&body, ",\"timestamp\":");
	event_append_moment(&body, event->occurred_at);
	event_append_member(&body, ",\"api_version\":", api_version);
	append_uuid(&body, ",\"instance\":", instance);
	if (event->has_connection)
		append_uuid(&body, ",\"connection_id\":", &event->connection);
	else
		appendStringInfoString(&body, ",\"connection_id\":null");
	event_append_member(&body, ",\"connection\":", event->server);
	if (event->sequence > 0)
		appendStringInfo(&body, ",\"sequence\":" INT64_FORMAT, event->sequence);
	else
		appendStringInfoString(&body, ",\"sequence\":null");
	appendStringInfo(&body, ",\"data\":%s}", event->data);
	return body.data;
}
