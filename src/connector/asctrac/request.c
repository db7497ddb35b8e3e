/*-------------------------------------------------------------------------
 *
 * request.c
 *		Writes the request of a look-up: its parameters, from conditions, from
 *		options, or as the catalogue fixes them.
 *
 * Both services choose what to do by the names in the query string, so that
 * every name goes out in every request, empty where nothing is asked for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/formatting.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "connector/asctrac/asctrac.h"

/* A call while it is written. */
typedef struct Writer
{
	const Entity  *entity;
	const char	  *user;	  /* or NULL */
	const char	  *site;	  /* or NULL */
	const char	  *time_zone; /* or NULL */
	List		  *values;	  /* of AsctracValue *: what conditions give */
	AsctracCall	  *call;
	StringInfoData query;	/* behind the path */
	List		  *names;	/* of char *: names that are in query */
	StringInfoData members; /* of the body */
	StringInfoData list;	/* elements of the body's array */
	const char	  *list_name;
	bool		   plain; /* for people: nothing is escaped */
} Writer;

/* ---------------------------------------------------------------------
 * Pieces
 * ---------------------------------------------------------------------
 */

/*
 * asctrac_append_escaped
 *		A text as it stands in the query string of an address.
 */
void
asctrac_append_escaped(StringInfo out, const char *text)
{
	char *utf8 = pg_server_to_any(text, (int) strlen(text), PG_UTF8);

	for (const unsigned char *p = (const unsigned char *) utf8; *p != '\0'; p++)
	{
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			strchr("-._~", *p) != NULL)
			appendStringInfoCharMacro(out, (char) *p);
		else
			appendStringInfo(out, "%%%02X", *p);
	}
}

static void
append_escaped(const Writer *writer, StringInfo out, const char *text)
{
	if (writer->plain)
		appendStringInfoString(out, text);
	else
		asctrac_append_escaped(out, text);
}

static void
append_json(StringInfo out, const char *text)
{
	escape_json(out, pg_server_to_any(text, (int) strlen(text), PG_UTF8));
}

static bool
has_name(const Writer *writer, const char *name)
{
	ListCell *lc;

	foreach(lc, writer->names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

static void
append_query(Writer *writer, const char *name, const char *value)
{
	appendStringInfo(&writer->query, "%c%s=", writer->query.len == 0 ? '?' : '&', name);
	append_escaped(writer, &writer->query, value);
	writer->names = lappend(writer->names, (void *) name);
}

/* "name=value" that goes along with another parameter. */
static void
append_selector(Writer *writer, const char *selector)
{
	const char *equals = strchr(selector, '=');

	append_query(writer, pnstrdup(selector, equals - selector), equals + 1);
}

static const char *
value_of_column(const Writer *writer, const char *column)
{
	ListCell *lc;

	if (column == NULL)
		return NULL;
	foreach(lc, writer->values)
	{
		AsctracValue *value = lfirst(lc);

		if (pg_strcasecmp(value->column, column) == 0)
			return value->text;
	}
	return NULL;
}

/* The day it is at the site, or here where its zone is not known. */
static char *
today(const char *time_zone)
{
	pg_tz		*zone = time_zone != NULL ? pg_tzset(time_zone) : session_timezone;
	struct pg_tm tm;
	fsec_t		 fsec;
	int			 tz;

	if (timestamp2tm(GetCurrentTransactionStartTimestamp(), &tz, &tm, &fsec, NULL, zone) != 0)
		return "";
	return psprintf("%04d-%02d-%02d", tm.tm_year, tm.tm_mon, tm.tm_mday);
}

static const char *
fixed_value(const Writer *writer, const char *fixed)
{
	if (strcmp(fixed, "@user") == 0)
		return writer->user != NULL ? writer->user : "";
	if (strcmp(fixed, "@site") == 0)
		return writer->site != NULL ? writer->site : "";
	if (strcmp(fixed, "@today") == 0)
		return today(writer->time_zone);
	return fixed;
}

static void
note_sent(Writer *writer, const EntityParameter *parameter, const char *value)
{
	AsctracValue *sent;

	if (parameter->column == NULL || value[0] == '\0')
		return;
	sent = palloc0(sizeof(AsctracValue));
	sent->column = parameter->column;
	sent->text = value;
	writer->call->sent = lappend(writer->call->sent, sent);
}

/* ---------------------------------------------------------------------
 * Parameters
 * ---------------------------------------------------------------------
 */

static void
put_parameter(Writer *writer, const EntityParameter *parameter, const char *value)
{
	if (parameter->flags & PARAMETER_JOINED)
	{
		/* The bar is no part of what either side takes for a value. */
		if (has_name(writer, parameter->name))
		{
			appendStringInfoString(&writer->query, writer->plain ? "|" : "%7C");
			append_escaped(writer, &writer->query, value);
		}
		else
			append_query(writer, parameter->name, value);
	}
	else if (parameter->flags & PARAMETER_BODY)
	{
		append_json(&writer->members, parameter->name);
		appendStringInfoChar(&writer->members, ':');
		append_json(&writer->members, value);
		appendStringInfoChar(&writer->members, ',');
	}
	else if (parameter->flags & PARAMETER_LIST)
	{
		writer->list_name = parameter->name;
		if (writer->list.len > 0)
			appendStringInfoChar(&writer->list, ',');
		append_json(&writer->list, value);
	}
	else
	{
		if (parameter->select != NULL)
			append_selector(writer, parameter->select);
		append_query(writer, parameter->name, value);
	}
	note_sent(writer, parameter, value);
}

/* May a name stand in the query string once only, and does it stand there? */
static bool
is_taken(const Writer *writer, const EntityParameter *parameter)
{
	return parameter->flags == 0 && has_name(writer, parameter->name);
}

/*
 * Of several parameters of one name that conditions could fill, the first goes
 * out; what it lets through too is filtered here.
 */
static void
write_parameters(Writer *writer)
{
	const Entity *entity = writer->entity;
	bool		  one_of = false;
	bool		  has_one = false;

	for (int i = 0; i < entity->nparameters; i++)
	{
		const EntityParameter *parameter = &entity->parameters[i];
		const char			  *value = value_of_column(writer, parameter->column);

		if (is_taken(writer, parameter))
			continue;
		one_of |= parameter->one_of;
		has_one |= parameter->one_of && value != NULL;
		if (value == NULL && parameter->fixed != NULL)
			value = fixed_value(writer, parameter->fixed);
		if (value == NULL && parameter->required)
			writer->call->missing = lappend(writer->call->missing, (void *) parameter->column);
		else if (value != NULL)
			put_parameter(writer, parameter, value);
	}
	for (int i = 0; one_of && !has_one && i < entity->nparameters; i++)
	{
		if (entity->parameters[i].one_of)
			writer->call->missing =
				lappend(writer->call->missing, (void *) entity->parameters[i].column);
	}
}

/*
 * asctrac_call
 *		What a look-up sends, with what conditions give (a list of
 *		AsctracValue).  plain: to be shown, not sent.
 */
AsctracCall *
asctrac_call(const Entity *entity, const char *user, const char *site, const char *time_zone,
			 bool plain, List *values)
{
	const AsctracDetail *detail = asctrac_detail(entity);
	Writer writer = {.entity = entity, .user = user, .site = site, .time_zone = time_zone, .plain = plain};

	writer.values = values;
	writer.call = palloc0(sizeof(AsctracCall));
	initStringInfo(&writer.query);
	initStringInfo(&writer.members);
	initStringInfo(&writer.list);
	write_parameters(&writer);
	writer.call->method = detail->method;
	writer.call->url = psprintf("%s%s", detail->path, writer.query.data);
	if (writer.list_name != NULL)
		writer.call->body =
			psprintf("{%s\"%s\":[%s]}", writer.members.data, writer.list_name, writer.list.data);
	return writer.call;
}

/*
 * asctrac_refuse_missing
 *		Raise what a look-up still needs, if anything.
 */
void
asctrac_refuse_missing(const Entity *entity, const AsctracCall *call)
{
	bool		   one_of = false;
	char		  *first;
	StringInfoData names;
	ListCell	  *lc;

	if (call->missing == NIL)
		return;
	for (int i = 0; i < entity->nparameters; i++)
		one_of |= entity->parameters[i].one_of;
	first = asc_tolower(linitial(call->missing), strlen(linitial(call->missing)));
	initStringInfo(&names);
	foreach(lc, call->missing)
	{
		char *name = lfirst(lc);

		appendStringInfo(&names, "%s\"%s\"",
						 names.len == 0 ? "" :
							 one_of		? " or " :
										  ", ",
						 asc_tolower(name, strlen(name)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("look-up \"%s\" needs a value of %s", entity->name, names.data),
			 errdetail("The remote side can be asked for given values only, and for one at a time."),
			 errhint("Add a condition such as WHERE %s = ..., or join on that column.", first)));
}
