/*-------------------------------------------------------------------------
 *
 * change.c
 *		Reading the JSON objects that alter_* functions and options are given.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "event/change.h"
#include "interval_setting.h"
#include "nearest.h"

static void
refuse_key(const char *key, const char *what, const char *const *keys)
{
	Nearest		   nearest;
	StringInfoData all;

	nearest_init(&nearest, key);
	initStringInfo(&all);
	for (int i = 0; keys[i]; i++)
	{
		nearest_offer(&nearest, keys[i]);
		appendStringInfo(&all, "%s%s", i > 0 ? ", " : "", keys[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown key \"%s\" in %s", key, what),
			 nearest_found(&nearest) ? errhint("Perhaps you meant \"%s\".", nearest_found(&nearest)) :
									   errhint("There are: %s.", all.data)));
}

static bool
is_known(const char *key, const char *const *keys)
{
	for (int i = 0; keys[i]; i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

void
change_check_keys(const Jsonb *object, const char *what, const char *const *keys)
{
	JsonbIterator	  *it;
	JsonbIteratorToken token;
	JsonbValue		   value;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be a JSON object", what)));
	it = JsonbIteratorInit((JsonbContainer *) &object->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char *key;

		if (token != WJB_KEY)
			continue;
		key = pnstrdup(value.val.string.val, value.val.string.len);
		if (!is_known(key, keys))
			refuse_key(key, what, keys);
	}
}

static bool
find(const Jsonb *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer((JsonbContainer *) &object->root, key, strlen(key), value) !=
		NULL;
}

static void
refuse_value(const char *key, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for \"%s\"", key),
			 errhint("%s", hint)));
}

bool
change_text(const Jsonb *object, const char *key, char **value)
{
	JsonbValue member;

	if (!find(object, key, &member))
		return false;
	if (member.type == jbvNull)
		*value = NULL;
	else if (member.type == jbvString)
		*value = pnstrdup(member.val.string.val, member.val.string.len);
	else
	{
		Jsonb *json = JsonbValueToJsonb(&member);

		*value = JsonbToCString(NULL, &json->root, VARSIZE(json));
	}
	return true;
}

bool
change_object(const Jsonb *object, const char *key, Jsonb **value)
{
	JsonbValue member;

	if (!find(object, key, &member))
		return false;
	if (member.type != jbvBinary)
		refuse_value(key, "It is a JSON object.");
	*value = JsonbValueToJsonb(&member);
	if (!JB_ROOT_IS_OBJECT(*value))
		refuse_value(key, "It is a JSON object.");
	return true;
}

bool
change_integer(const Jsonb *object, const char *key, int min, int max, int *value)
{
	char	  *hint = psprintf("It is a number from %d to %d.", min, max);
	JsonbValue member;
	double	   number;

	if (!find(object, key, &member))
		return false;
	if (member.type != jbvNumeric)
		refuse_value(key, hint);
	number = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(member.val.numeric)));
	if (!(number >= min && number <= max && number == (int) number))
		refuse_value(key, hint);
	*value = (int) number;
	return true;
}

bool
change_choice(const Jsonb *object, const char *key, const char *const *choices, int *value)
{
	char		  *text = NULL;
	StringInfoData hint;

	if (!change_text(object, key, &text))
		return false;
	for (int i = 0; choices[i] && text != NULL; i++)
	{
		if (strcmp(text, choices[i]) != 0)
			continue;
		*value = i;
		return true;
	}
	initStringInfo(&hint);
	for (int i = 0; choices[i]; i++)
		appendStringInfo(&hint, "%s\"%s\"", i == 0 ? "It is " : " or ", choices[i]);
	appendStringInfoChar(&hint, '.');
	refuse_value(key, hint.data);
	return false;
}

bool
change_interval(const Jsonb *object, const char *key, int64 *microseconds)
{
	char *text = NULL;

	if (!change_text(object, key, &text))
		return false;
	*microseconds = text == NULL ? 0 : interval_length(text);
	if (*microseconds < 0)
		refuse_value(key, "It is an interval, such as \"15 min\".");
	return true;
}

bool
change_array(const Jsonb *object, const char *key, Datum *value, bool *isnull)
{
	JsonbValue	   member;
	JsonbIterator *it;
	JsonbValue	   element;
	Datum		   elements[32];
	int			   n = 0;

	if (!find(object, key, &member))
		return false;
	*isnull = member.type == jbvNull;
	if (*isnull)
		return true;
	if (member.type != jbvBinary || !JsonContainerIsArray(member.val.binary.data))
		refuse_value(key, "It is an array of texts.");
	it = JsonbIteratorInit(member.val.binary.data);
	for (JsonbIteratorToken token; (token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE;)
	{
		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvString || n == lengthof(elements))
			refuse_value(key, "It is an array of at most 32 texts.");
		elements[n++] =
			PointerGetDatum(cstring_to_text_with_len(element.val.string.val, element.val.string.len));
	}
	*value = PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
	return true;
}
