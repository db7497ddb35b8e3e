/*-------------------------------------------------------------------------
 *
 * json_member.c
 *		Members of the JSON objects that people pass as options or changes:
 *		which there may be, of which type, and errors that help.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "nearest.h"
#include "sync/json_member.h"

/* ---------------------------------------------------------------------
 * Values of their own
 * ---------------------------------------------------------------------
 */

/* "a|b|c" as people read it. */
static char *
list_of_values(const char *values)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *c = values; *c != '\0'; c++)
	{
		if (*c == '|')
			appendStringInfoString(&out, ", ");
		else
			appendStringInfoChar(&out, *c);
	}
	return out.data;
}

void
enum_check(const char *value, const char *values, const char *name)
{
	size_t len = strlen(value);

	for (const char *at = values; at != NULL; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
	{
		if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0'))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for \"%s\": \"%s\"", name, value),
			 errhint("Valid values: %s.", list_of_values(values))));
}

/* NULL where it is none. */
static Interval *
try_interval(const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	Interval *volatile interval = NULL;

	PG_TRY();
	{
		interval =
			DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
												  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();
	return interval;
}

Interval *
interval_or_null(const char *text)
{
	Interval *interval = try_interval(text);

	if (interval == NULL ||
		!DatumGetBool(DirectFunctionCall1(interval_finite, IntervalPGetDatum(interval))))
		return NULL;
	return interval;
}

Interval *
interval_of_text(const char *text, const char *name)
{
	Interval *interval = interval_or_null(text);

	if (interval == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for \"%s\": \"%s\"", name, text),
				 errhint("Give an interval, such as 15 min or 30 days.")));
	return interval;
}

bool
interval_is_positive(const Interval *interval)
{
	Interval zero = {0};

	return DatumGetBool(
		DirectFunctionCall2(interval_gt, IntervalPGetDatum(interval), IntervalPGetDatum(&zero)));
}

/* ---------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------
 */

/* The value of a member that is there and not null. */
static JsonbValue *
member_find(Jsonb *object, const char *name)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

static char *
text_of_string(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

bool
member_present(Jsonb *object, const char *name)
{
	return getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL) != NULL;
}

char *
member_text(Jsonb *object, const char *name)
{
	JsonbValue *value = member_find(object, name);

	return value == NULL ? NULL : text_of_string(value);
}

bool
member_bool(Jsonb *object, const char *name, bool missing)
{
	JsonbValue *value = member_find(object, name);

	return value == NULL ? missing : value->val.boolean;
}

double
member_number(Jsonb *object, const char *name, double missing)
{
	JsonbValue *value = member_find(object, name);

	if (value == NULL)
		return missing;
	return DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
}

List *
member_texts(Jsonb *object, const char *name)
{
	JsonbValue *value = member_find(object, name);
	List	   *texts = NIL;

	if (value == NULL)
		return NIL;
	for (uint32 i = 0; i < JsonContainerSize(value->val.binary.data); i++)
		texts =
			lappend(texts, text_of_string(getIthJsonbValueFromContainer(value->val.binary.data, i)));
	return texts;
}

Jsonb *
member_object(Jsonb *object, const char *name)
{
	JsonbValue *value = member_find(object, name);

	return value == NULL ? NULL : JsonbValueToJsonb(value);
}

/* ---------------------------------------------------------------------
 * Making new objects
 * ---------------------------------------------------------------------
 */

Jsonb *
members_merge(Jsonb *object, Jsonb *changes)
{
	return DatumGetJsonbP(
		DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(object), JsonbPGetDatum(changes)));
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	pushJsonbValue(state, token, &value);
}

Jsonb *
member_with_text(Jsonb *object, const char *name, const char *text)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, WJB_KEY, name);
	push_string(&state, WJB_VALUE, text);
	return members_merge(object, JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* ---------------------------------------------------------------------
 * Checking
 * ---------------------------------------------------------------------
 */

static void
raise_unknown(const char *name, const MemberDef *known, const char *what)
{
	Nearest		   nearest;
	StringInfoData valid;

	initStringInfo(&valid);
	nearest_init(&nearest, name);
	for (const MemberDef *def = known; def->name != NULL; def++)
	{
		nearest_offer(&nearest, def->name);
		appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", def->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown %s \"%s\"", what, name),
			 nearest_found(&nearest) ? errhint("Perhaps you meant \"%s\".", nearest_found(&nearest)) :
									   errhint("There are: %s.", valid.data)));
}

static void
raise_type(const MemberDef *def, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for \"%s\"", def->name),
			 errhint("The value must be %s.", expected)));
}

static bool
is_array_of_texts(const JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerSize(value->val.binary.data) == 0)
		return false;
	for (uint32 i = 0; i < JsonContainerSize(value->val.binary.data); i++)
	{
		if (getIthJsonbValueFromContainer(value->val.binary.data, i)->type != jbvString)
			return false;
	}
	return true;
}

static void
check_number(const MemberDef *def, const JsonbValue *value)
{
	double number;

	if (value->type != jbvNumeric)
		raise_type(def, "a number");
	number = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!(number >= def->min && number <= def->max))
		raise_type(def, psprintf("a number from %g to %g", def->min, def->max));
}

static void
check_interval(const MemberDef *def, const JsonbValue *value)
{
	if (value->type != jbvString)
		raise_type(def, "the text of an interval, such as \"1 day\"");
	if (!interval_is_positive(interval_of_text(text_of_string(value), def->name)))
		raise_type(def, "an interval longer than nothing");
}

static void
check_value(const MemberDef *def, const JsonbValue *value)
{
	if (value->type == jbvNull)
	{
		if (!def->nullable)
			raise_type(def, "something other than null");
		return;
	}
	switch (def->kind)
	{
		case MEMBER_BOOL:
			if (value->type != jbvBool)
				raise_type(def, "true or false");
			break;
		case MEMBER_NUMBER:
			check_number(def, value);
			break;
		case MEMBER_TEXT:
			if (value->type != jbvString)
				raise_type(def, "a text");
			break;
		case MEMBER_ENUM:
			if (value->type != jbvString)
				raise_type(def, "a text");
			enum_check(text_of_string(value), def->values, def->name);
			break;
		case MEMBER_INTERVAL:
			check_interval(def, value);
			break;
		case MEMBER_TEXTS:
			if (!is_array_of_texts(value))
				raise_type(def, "an array of one or more texts");
			break;
		case MEMBER_OBJECT:
			if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
				raise_type(def, "an object");
			break;
	}
}

static const MemberDef *
find_def(const MemberDef *known, const char *name)
{
	for (const MemberDef *def = known; def->name != NULL; def++)
	{
		if (strcmp(def->name, name) == 0)
			return def;
	}
	return NULL;
}

void
members_check(Jsonb *object, const MemberDef *known, const char *what, const char *argument)
{
	JsonbIterator	  *iterator;
	JsonbValue		   value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be a JSON object", argument)));

	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		const MemberDef *def;
		char			*name;

		if (token != WJB_KEY)
			continue;
		name = text_of_string(&value);
		def = find_def(known, name);
		if (def == NULL)
			raise_unknown(name, known, what);
		(void) JsonbIteratorNext(&iterator, &value, true);
		check_value(def, &value);
	}
}
