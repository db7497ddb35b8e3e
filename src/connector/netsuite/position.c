/*-------------------------------------------------------------------------
 *
 * position.c
 *		Where a query has come to: the ranges of its order that are still to be
 *		read, as a text that outlives the process, and the range that a page is
 *		all of.
 *
 * The text is JSON, {"order": ["transaction", "id"], "split": 0, "left":
 * [{"after": ["12", "3"], "upto": "900"}]}: ranges begin behind "after", which
 * may have fewer values than the order has columns, and end with "upto", a value
 * of the first column.  What was asked for and not given counts as left.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <jansson.h>

#include "utils/json.h"
#include "utils/memutils.h"

#include "connector/netsuite/reader.h"

/*
 * position_copy
 *		A copy of a position in a memory context; NULL of NULL.
 */
SuiteqlPosition *
position_copy(MemoryContext cxt, const SuiteqlPosition *from)
{
	SuiteqlPosition *copy;

	if (from == NULL)
		return NULL;
	copy = MemoryContextAllocZero(cxt, offsetof(SuiteqlPosition, values) + sizeof(char *) * from->n);
	copy->n = from->n;
	for (int i = 0; i < from->n; i++)
		copy->values[i] = from->values[i] == NULL ? NULL : MemoryContextStrdup(cxt, from->values[i]);
	return copy;
}

/*
 * position_of_number
 *		The position of all rows whose first column has this value.
 */
SuiteqlPosition *
position_of_number(MemoryContext cxt, int64 number)
{
	SuiteqlPosition *position =
		MemoryContextAllocZero(cxt, offsetof(SuiteqlPosition, values) + sizeof(char *));
	char text[32];

	snprintf(text, sizeof(text), INT64_FORMAT, number);
	position->n = 1;
	position->values[0] = MemoryContextStrdup(cxt, text);
	return position;
}

/* ---------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------
 */

static const char *
order_name(const Reader *reader, int i)
{
	return ((QueryOrder *) list_nth(reader->order, i))->column->name;
}

static void
append_range(StringInfo out, const Lane *lane, bool first)
{
	const char *comma = "";

	appendStringInfoString(out, first ? "{" : ", {");
	if (lane->has_position)
	{
		appendStringInfoString(out, "\"after\": [");
		for (int i = 0; i < lane->after->n; i++)
		{
			appendStringInfoString(out, i > 0 ? ", " : "");
			if (lane->after->values[i] == NULL)
				appendStringInfoString(out, "null");
			else
				escape_json(out, lane->after->values[i]);
		}
		appendStringInfoChar(out, ']');
		comma = ", ";
	}
	if (lane->has_high)
		appendStringInfo(out, "%s\"upto\": \"" INT64_FORMAT "\"", comma, lane->high);
	appendStringInfoChar(out, '}');
}

/*
 * netsuite_position
 *		What is left once the page given last has been dealt with.
 */
char *
netsuite_position(Reader *reader)
{
	StringInfoData out;
	ListCell	  *lc;
	bool		   first = true;

	if (reader->paging != PAGING_KEYSET || reader->query->limit >= 0)
		return NULL;
	initStringInfo(&out);
	appendStringInfoString(&out, "{\"order\": [");
	for (int i = 0; i < list_length(reader->order); i++)
	{
		appendStringInfoString(&out, i > 0 ? ", " : "");
		escape_json(&out, order_name(reader, i));
	}
	appendStringInfo(&out, "], \"split\": %d, \"left\": [", reader->split_at);
	for (int i = 0; i < reader->nlanes; i++)
	{
		if (reader->lanes[i].finished)
			continue;
		append_range(&out, &reader->lanes[i], first);
		first = false;
	}
	foreach(lc, reader->queued)
	{
		append_range(&out, lfirst(lc), first);
		first = false;
	}
	appendStringInfoString(&out, "]}");
	return out.data;
}

/* ---------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------
 */

pg_noreturn static void
raise_unfit(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("position of an unfinished load does not fit what is to be read"),
			 errdetail("%s", detail),
			 errhint("The table's key was changed since; have the sync begin anew with makini.reset_sync.")));
}

static bool
fits_kind(ValueKind kind, const char *text)
{
	switch (kind)
	{
		case VALUE_INTEGER:
			return text[0] != '\0' && text[strspn(text, "0123456789-")] == '\0';
		case VALUE_NUMERIC:
			return text[0] != '\0' && text[strspn(text, "0123456789+-.eE")] == '\0';
		case VALUE_DATE:
			return strlen(text) == 10 && text[strspn(text, "0123456789-")] == '\0';
		default:
			return strcmp(text, "T") == 0 || strcmp(text, "F") == 0;
	}
}

static int64
number_of(const char *text)
{
	char *end;
	int64 number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text)
		raise_unfit("A number is none.");
	return number;
}

static void
check_order(Reader *reader, const json_t *order)
{
	if (json_array_size(order) != (size_t) list_length(reader->order))
		raise_unfit("The number of columns differs.");
	for (int i = 0; i < list_length(reader->order); i++)
	{
		const char *name = json_string_value(json_array_get(order, i));

		if (name == NULL || strcmp(name, order_name(reader, i)) != 0)
			raise_unfit(psprintf("Column %d is \"%s\" now.", i + 1, order_name(reader, i)));
	}
}

static void
restore_after(Reader *reader, Lane *lane, const json_t *after)
{
	int n = (int) json_array_size(after);

	if (n < 1 || n > list_length(reader->order))
		raise_unfit("A range begins with another number of columns.");
	lane->after = palloc0(offsetof(SuiteqlPosition, values) + sizeof(char *) * n);
	lane->after->n = n;
	for (int i = 0; i < n; i++)
	{
		const QueryOrder *order = list_nth(reader->order, i);
		const json_t	 *value = json_array_get(after, i);

		if (json_is_null(value))
			continue;
		if (!json_is_string(value) || !fits_kind(order->column->kind, json_string_value(value)))
			raise_unfit(
				psprintf("A range begins with what is no value of \"%s\".", order->column->name));
		lane->after->values[i] = pstrdup(json_string_value(value));
	}
	lane->has_position = true;
	if (reader->numbered)
	{
		if (lane->after->values[0] == NULL)
			raise_unfit("A range begins with no value.");
		lane->position = number_of(lane->after->values[0]);
	}
}

static void
restore_range(Reader *reader, const json_t *range)
{
	Lane		 *lane = palloc0(sizeof(Lane));
	const json_t *after = json_object_get(range, "after");
	const json_t *upto = json_object_get(range, "upto");

	if (!json_is_object(range))
		raise_unfit("It is damaged.");
	if (after != NULL)
		restore_after(reader, lane, after);
	if (upto != NULL)
	{
		if (!reader->numbered || !json_is_string(upto) ||
			!fits_kind(VALUE_INTEGER, json_string_value(upto)))
			raise_unfit("A range ends with what is no value of its column.");
		lane->has_high = true;
		lane->high = number_of(json_string_value(upto));
	}
	reader->queued = lappend(reader->queued, lane);
}

static void
restore(Reader *reader, const json_t *root)
{
	const json_t *left = json_object_get(root, "left");

	if (root == NULL || !json_is_array(left))
		raise_unfit("It is damaged.");
	if (reader->paging != PAGING_KEYSET)
		raise_unfit("There is no key to be read by now.");
	check_order(reader, json_object_get(root, "order"));
	reader->split_at = (int) json_integer_value(json_object_get(root, "split"));
	if (reader->split_at != 0 &&
		(reader->split_in == NULL || reader->split_at < 0 ||
		 reader->split_at >= list_length(reader->split_in->values)))
		raise_unfit("The list of values is shorter.");
	for (size_t i = 0; i < json_array_size(left); i++)
		restore_range(reader, json_array_get(left, i));
}

/*
 * position_restore
 *		Queue the ranges that a text of netsuite_position names.
 */
void
position_restore(Reader *reader, const char *text)
{
	json_t *root = json_loads(text, 0, NULL);

	PG_TRY();
	{
		restore(reader, root);
	}
	PG_FINALLY();
	{
		json_decref(root);
	}
	PG_END_TRY();
}

/* ---------------------------------------------------------------------
 * The range of a page
 * ---------------------------------------------------------------------
 */

static const char **
canonical_values(List *order, const SuiteqlPosition *position, int *n)
{
	const char **values;

	*n = position != NULL ? position->n : 0;
	values = palloc0(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		const QueryOrder *each = list_nth(order, i);

		values[i] = position->values[i];
		if (values[i] != NULL && each->column->kind == VALUE_BOOLEAN)
			values[i] = values[i][0] == 'T' ? "t" : "f";
	}
	return values;
}

/*
 * netsuite_range
 *		The part of the order that the page given last is all of.  The values
 *		live until the next page is asked for.
 */
bool
netsuite_range(Reader *reader, PageRange *range)
{
	ListCell *lc;

	memset(range, 0, sizeof(*range));
	if (!reader->covers)
		return false;
	if (reader->paging != PAGING_KEYSET)
		return true;
	foreach(lc, reader->order)
	{
		if (((QueryOrder *) lfirst(lc))->descending)
			return false;
	}
	range->order = reader->order;
	range->low = canonical_values(reader->order, reader->covered_after, &range->nlow);
	range->high = canonical_values(reader->order, reader->covered_upto, &range->nhigh);
	return true;
}
