/*-------------------------------------------------------------------------
 *
 * import.c
 *		Writes the JSON of an import, and refuses what an import can't say.
 *
 * The other side never complains of a value: a number that is missing, null or
 * unreadable is zero, an empty text means "leave what is stored", a name it
 * does not know is passed over, a long text is cut.  Each of these would store
 * something else than the row says, so that each is an error here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/formatting.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "connector/asctrac/import.h"
#include "nearest.h"

/* The columns of what stands in a list. */
typedef struct Shape
{
	const EntityColumn *columns;
	int					ncolumns;
} Shape;

static const EntityColumn note_columns[] = {
	{.name = "SEQNUM", .kind = VALUE_INTEGER},
	{.name = "TYPE", .kind = VALUE_TEXT},
	{.name = "NOTE", .kind = VALUE_TEXT},
};

static const EntityColumn custom_columns[] = {
	{.name = "FieldName", .kind = VALUE_TEXT},
	{.name = "Value", .kind = VALUE_TEXT},
};

static const Shape notes = {note_columns, lengthof(note_columns)};
static const Shape customs = {custom_columns, lengthof(custom_columns)};

/* Texts that are cut without a word; entity NULL: in every list. */
static const struct
{
	const char *entity;
	const char *column;
	int			length;
} cuts[] = {
	{"item_master_import", "DESCRIPTION", 60},
	{"item_master_import", "PROD_ALTDESC", 60},
	{NULL, "NOTE", 250},
};

/* Where a value is going. */
typedef struct Place
{
	const Entity *entity;	 /* NULL: the elements of a list that is no entity */
	const char	 *column;	 /* as the user knows it */
	const char	 *time_zone; /* of the site, or NULL */
} Place;

static void append_list(StringInfo out, const Place *place, const Shape *shape, JsonbContainer *list);

/*
 * import_needs_value
 *		Does an import take a missing value of this column for zero?
 */
bool
import_needs_value(const EntityColumn *column)
{
	return (column->kind == VALUE_INTEGER || column->kind == VALUE_NUMERIC) &&
		!asctrac_is_unused(column);
}

static void
append_name(StringInfo out, const char *name)
{
	if (out->len > 0 && out->data[out->len - 1] != '{')
		appendStringInfoChar(out, ',');
	escape_json(out, name);
	appendStringInfoChar(out, ':');
}

/* ---------------------------------------------------------------------
 * Texts
 * ---------------------------------------------------------------------
 */

static void
refuse_cut(const Place *place, const EntityColumn *column, const char *text)
{
	for (int i = 0; i < lengthof(cuts); i++)
	{
		if (strcmp(cuts[i].column, column->name) == 0 &&
			(cuts[i].entity == NULL ?
				 place->entity == NULL :
				 place->entity != NULL && strcmp(cuts[i].entity, place->entity->name) == 0) &&
			pg_mbstrlen(text) > cuts[i].length)
			ereport(ERROR,
					(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
					 errmsg("value too long for \"%s\"", place->column),
					 errdetail("ASCTrac would cut it at %d characters.", cuts[i].length)));
	}
}

static void
append_text(StringInfo out, const Place *place, const EntityColumn *column, const char *text)
{
	if (*text == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\" cannot be set to an empty string", place->column),
				 errdetail("An import of ASCTrac takes an empty string for no value and keeps what is stored."),
				 errhint("Use NULL to keep what is stored; a value can be removed in ASCTrac only.")));
	refuse_cut(place, column, text);
	escape_json(out, pg_server_to_any(text, (int) strlen(text), PG_UTF8));
}

/* ---------------------------------------------------------------------
 * Numbers
 * ---------------------------------------------------------------------
 */

static int
significant_digits(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
	{
		if (isdigit((unsigned char) *text) && (n > 0 || *text != '0'))
			n++;
	}
	return n;
}

/* The other side computes with doubles: is this what it would make of it? */
static bool
survives_double(Numeric number)
{
	Datum twin = DirectFunctionCall1(numeric_float8, NumericGetDatum(number));
	char *shortest = float8out_internal(DatumGetFloat8(twin));
	Datum back = DirectFunctionCall3(numeric_in, CStringGetDatum(shortest),
									 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(number), back));
}

static void
append_number(StringInfo out, const Place *place, const EntityColumn *column, Numeric number)
{
	char *text;

	if (numeric_is_nan(number) || numeric_is_inf(number))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" cannot be NaN or infinite", place->column)));
	text = numeric_normalize(number);
	if (column->kind == VALUE_INTEGER && strchr(text, '.') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be a whole number", place->column)));
	if (column->kind == VALUE_INTEGER)
		DirectFunctionCall1(numeric_int8, NumericGetDatum(number));
	else if (significant_digits(text) > 15 && !survives_double(number))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" has more digits than ASCTrac keeps", place->column),
				 errdetail("It stores numbers in double precision, which would change %s.", text)));
	appendStringInfoString(out, text);
}

static Numeric
numeric_of_text(const char *text)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* ---------------------------------------------------------------------
 * Times
 * ---------------------------------------------------------------------
 */

static void
refuse_moment(const Place *place)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
			 errmsg("\"%s\" is outside the dates that ASCTrac knows", place->column)));
}

/* The site's wall clock, without a zone. */
static void
append_clock(StringInfo out, const Place *place, const struct pg_tm *tm, fsec_t fsec)
{
	/* its first day stands for no date at all */
	if (tm->tm_year < 1 || tm->tm_year > 9999 ||
		(tm->tm_year == 1 && tm->tm_mon == 1 && tm->tm_mday == 1))
		refuse_moment(place);
	appendStringInfo(out, "\"%04d-%02d-%02dT%02d:%02d:%02d", tm->tm_year, tm->tm_mon, tm->tm_mday,
					 tm->tm_hour, tm->tm_min, tm->tm_sec);
	if (fsec != 0)
		appendStringInfo(out, ".%06d", (int) fsec);
	appendStringInfoChar(out, '"');
}

static void
append_timestamp(StringInfo out, const Place *place, Timestamp when)
{
	struct pg_tm tm;
	fsec_t		 fsec = 0;

	if (TIMESTAMP_NOT_FINITE(when) || timestamp2tm(when, NULL, &tm, &fsec, NULL, NULL) != 0)
		refuse_moment(place);
	append_clock(out, place, &tm, fsec);
}

static void
append_timestamptz(StringInfo out, const Place *place, TimestampTz when)
{
	struct pg_tm tm;
	fsec_t		 fsec = 0;
	int			 offset;
	pg_tz		*zone;

	if (place->time_zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("\"%s\" has a time zone and the server has none", place->column),
				 errdetail("ASCTrac takes the time that the site's clocks show."),
				 errhint("Set option time_zone of the server, or give a timestamp without time zone.")));
	zone = pg_tzset(place->time_zone);
	if (zone == NULL || TIMESTAMP_NOT_FINITE(when) ||
		timestamp2tm(when, &offset, &tm, &fsec, NULL, zone) != 0)
		refuse_moment(place);
	append_clock(out, place, &tm, fsec);
}

/* Does a text of a time say how far it is from UTC? */
static bool
has_offset(const char *text)
{
	const char *time = strpbrk(text, "T ");

	return time != NULL && strpbrk(time + 1, "Zz+-") != NULL;
}

static void
append_moment_text(StringInfo out, const Place *place, const char *text)
{
	Datum args[] = {CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)};

	if (has_offset(text))
		append_timestamptz(out, place,
						   DatumGetTimestampTz(
							   DirectFunctionCall3(timestamptz_in, args[0], args[1], args[2])));
	else
		append_timestamp(out, place,
						 DatumGetTimestamp(
							 DirectFunctionCall3(timestamp_in, args[0], args[1], args[2])));
}

/* ---------------------------------------------------------------------
 * Lists
 * ---------------------------------------------------------------------
 */

static void
refuse_type(const Place *place, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" must be %s", place->column, wanted)));
}

static bool
shape_of_list(const Entity *entity, const char *name, Shape *shape, const Entity **lines)
{
	int			  n;
	const Entity *all = asctrac_entities(&n);

	*lines = NULL;
	if (strcmp(name, "NotesList") == 0)
		*shape = notes;
	else if (strcmp(name, "CustomList") == 0)
		*shape = customs;
	else
	{
		for (int i = 0; i < n; i++)
		{
			if (all[i].parent != NULL && strcmp(all[i].parent, entity->name) == 0 &&
				strcmp(all[i].parent_member, name) == 0)
				*lines = &all[i];
		}
		if (*lines == NULL)
			return false;
		shape->columns = (*lines)->columns;
		shape->ncolumns = (*lines)->ncolumns;
	}
	return true;
}

/* An object of any names and texts. */
static void
append_dictionary(StringInfo out, const Place *place, JsonbContainer *object)
{
	JsonbIterator	  *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue		   value;

	if (!JsonContainerIsObject(object))
		refuse_type(place, "an object");
	appendStringInfoChar(out, '{');
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char *text;

		if (token != WJB_KEY && token != WJB_VALUE)
			continue;
		if (value.type != jbvString)
			refuse_type(place, "an object of texts");
		text = pnstrdup(value.val.string.val, value.val.string.len);
		if (token == WJB_KEY)
			append_name(out, pg_server_to_any(text, (int) strlen(text), PG_UTF8));
		else
			escape_json(out, pg_server_to_any(text, (int) strlen(text), PG_UTF8));
	}
	appendStringInfoChar(out, '}');
}

static void
append_nested(StringInfo out, const Place *place, const EntityColumn *column, JsonbContainer *container)
{
	Shape shape;
	Place inner = *place;

	if (place->entity == NULL || !shape_of_list(place->entity, column->name, &shape, &inner.entity))
		append_dictionary(out, place, container);
	else
		append_list(out, &inner, &shape, container);
}

static char *
text_of(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
append_json_value(StringInfo out, const Place *place, const EntityColumn *column, const JsonbValue *value)
{
	switch (column->kind)
	{
		case VALUE_INTEGER:
		case VALUE_NUMERIC:
			if (value->type != jbvNumeric)
				refuse_type(place, "a number");
			append_number(out, place, column, value->val.numeric);
			break;
		case VALUE_OTHER:
			if (value->type != jbvBinary)
				refuse_type(place, "a list");
			append_nested(out, place, column, value->val.binary.data);
			break;
		case VALUE_TIMESTAMP:
			if (value->type != jbvString)
				refuse_type(place, "a time");
			append_moment_text(out, place, text_of(value));
			break;
		default:
			if (value->type != jbvString)
				refuse_type(place, "a text");
			append_text(out, place, column, text_of(value));
			break;
	}
}

static void
refuse_member(const Place *place, const Shape *shape, const char *name)
{
	Nearest		nearest;
	const char *found;

	nearest_init(&nearest, name);
	for (int i = 0; i < shape->ncolumns; i++)
		nearest_offer(&nearest, shape->columns[i].name);
	found = nearest_found(&nearest);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
			 errmsg("\"%s\" has no member \"%s\"", place->column, name),
			 errdetail("ASCTrac would pass over it without a word."),
			 found != NULL ? errhint("Perhaps you meant \"%s\".", found) : 0));
}

/* Values of an object by column; names are compared as the other side does. */
static JsonbValue **
match_members(const Place *place, const Shape *shape, JsonbContainer *object)
{
	JsonbValue		 **found = palloc0(sizeof(JsonbValue *) * shape->ncolumns);
	JsonbIterator	  *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue		  *value = palloc(sizeof(JsonbValue));
	int				   at = 0;

	while ((token = JsonbIteratorNext(&it, value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char *name = text_of(value);

			for (at = 0; at < shape->ncolumns; at++)
			{
				if (pg_strcasecmp(shape->columns[at].name, name) == 0)
					break;
			}
			if (at == shape->ncolumns)
				refuse_member(place, shape, name);
			if (found[at] != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_JSON_OBJECT_KEY_VALUE),
						 errmsg("\"%s\" has member \"%s\" twice", place->column, name)));
		}
		else if (token == WJB_VALUE)
		{
			found[at] = value;
			value = palloc(sizeof(JsonbValue));
		}
	}
	return found;
}

static void
append_object(StringInfo out, const Place *place, const Shape *shape, JsonbContainer *object)
{
	JsonbValue **members = match_members(place, shape, object);

	appendStringInfoChar(out, '{');
	for (int i = 0; i < shape->ncolumns; i++)
	{
		const EntityColumn *column = &shape->columns[i];
		Place				inner = *place;

		inner.column = psprintf("%s.%s", place->column, column->name);
		if (asctrac_is_of_parent(column))
			continue;
		if (members[i] != NULL && members[i]->type != jbvNull)
		{
			append_name(out, column->name);
			append_json_value(out, &inner, column, members[i]);
		}
		else if (import_needs_value(column))
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("\"%s\" must have a value", inner.column),
					 errdetail("An import of ASCTrac takes a missing number for 0 and stores that."),
					 errhint("Give 0 where 0 is meant.")));
	}
	appendStringInfoChar(out, '}');
}

static void
append_list(StringInfo out, const Place *place, const Shape *shape, JsonbContainer *list)
{
	if (!JsonContainerIsArray(list) || JsonContainerIsScalar(list))
		refuse_type(place, "an array");
	appendStringInfoChar(out, '[');
	for (uint32 i = 0; i < JsonContainerSize(list); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(list, i);
		Place		inner = *place;

		CHECK_FOR_INTERRUPTS();
		inner.column = psprintf("%s[%u]", place->column, i);
		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			refuse_type(&inner, "an object");
		if (i > 0)
			appendStringInfoChar(out, ',');
		append_object(out, &inner, shape, value->val.binary.data);
	}
	appendStringInfoChar(out, ']');
}

/* ---------------------------------------------------------------------
 * Columns
 * ---------------------------------------------------------------------
 */

static void
append_local_moment(StringInfo out, const Place *place, const SourceColumn *local,
					const FilterValue *value)
{
	if (value->range != VALUE_FINITE)
		refuse_moment(place);
	/* canonical text is UTC */
	if (local->kind == VALUE_TIMESTAMPTZ)
		append_moment_text(out, place, psprintf("%s+00", value->text));
	else
		append_moment_text(out, place, value->text);
}

static void
append_local_list(StringInfo out, const Place *place, const EntityColumn *column, const char *text)
{
	Datum json = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));

	append_nested(out, place, column, &DatumGetJsonbP(json)->root);
}

/*
 * import_append
 *		Append "name":value of a column to an object that has been begun.
 */
void
import_append(StringInfo out, const Entity *entity, const EntityColumn *column,
			  const SourceColumn *local, const FilterValue *value, const char *time_zone)
{
	Place place = {entity, asc_tolower(column->name, strlen(column->name)), time_zone};

	if (value == NULL && (import_needs_value(column) || column->required))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in column \"%s\" cannot be imported", place.column),
				 column->required ?
					 errdetail("It is part of the key.") :
					 errdetail("An import of ASCTrac takes a missing number for 0 and stores that."),
				 column->required ? 0 : errhint("Give 0 where 0 is meant.")));
	if (value == NULL)
		return;
	append_name(out, column->name);
	switch (column->kind)
	{
		case VALUE_INTEGER:
		case VALUE_NUMERIC:
			append_number(out, &place, column, numeric_of_text(value->text));
			break;
		case VALUE_TIMESTAMP:
			append_local_moment(out, &place, local, value);
			break;
		case VALUE_OTHER:
			append_local_list(out, &place, column, value->text);
			break;
		default:
			append_text(out, &place, column, value->text);
			break;
	}
}
