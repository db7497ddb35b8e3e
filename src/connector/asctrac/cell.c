/*-------------------------------------------------------------------------
 *
 * cell.c
 *		From the cells of an answer to those that makini means: the ways in
 *		which .NET says that there is no value, numbers and encodings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "connector/asctrac/asctrac.h"

static bool
begins(const Cell *cell, const char *text)
{
	size_t len = strlen(text);

	return cell->len >= len && memcmp(cell->text, text, len) == 0;
}

/* Empty texts, and the days that stand for no day. */
static bool
is_none(const EntityColumn *known, const Cell *cell)
{
	if (cell->len == 0)
		return true;
	if (known->kind != VALUE_TIMESTAMP && known->kind != VALUE_TIMESTAMPTZ)
		return false;
	return begins(cell, "0001-01-01T00:00:00") ||
		(asctrac_none_is_1900(known) && begins(cell, "1900-01-01T00:00:00"));
}

/* Whole numbers may come as doubles: 123.0. */
static void
cut_fraction(Cell *cell)
{
	char *point = memchr(cell->text, '.', cell->len);

	if (point == NULL || strspn(point + 1, "0") != cell->len - (point + 1 - cell->text))
		return;
	*point = '\0';
	cell->len = (uint32_t) (point - cell->text);
}

/* The decoder's quick form. */
static void
shorten_boolean(Cell *cell)
{
	if (!begins(cell, "true") && !begins(cell, "false"))
		return;
	cell->text[0] = cell->text[0] == 't' ? 'T' : 'F';
	cell->text[1] = '\0';
	cell->len = 1;
}

static void
convert(Cell *cell)
{
	if (GetDatabaseEncoding() == PG_UTF8)
		return;
	cell->text = pg_any_to_server(cell->text, (int) cell->len, PG_UTF8);
	cell->len = (uint32_t) strlen(cell->text);
	cell->quoted = false;
}

/*
 * asctrac_tidy_cell
 *		Make a cell what the column it is for wants.  known may be NULL.
 */
void
asctrac_tidy_cell(const EntityColumn *known, Cell *cell)
{
	if (cell->text == NULL)
		return;
	if (known != NULL && is_none(known, cell))
	{
		cell->text = NULL;
		return;
	}
	if (known != NULL && known->kind == VALUE_INTEGER)
		cut_fraction(cell);
	else if (known != NULL && known->kind == VALUE_BOOLEAN)
		shorten_boolean(cell);
	convert(cell);
}

/*
 * asctrac_verify_text
 *		Raise where bytes that a service sent are not UTF-8.
 */
void
asctrac_verify_text(const Entity *entity, const char *text, size_t len)
{
	if (!pg_verify_mbstr(PG_UTF8, text, (int) len, true))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("invalid byte sequence for encoding \"UTF8\" in \"%s\"", entity->name)));
}
