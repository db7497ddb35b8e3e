/*-------------------------------------------------------------------------
 *
 * custom_field.c
 *		The account's custom fields: which there are, of what type, and to
 *		which tables they belong.
 *
 * NetSuite lists them in one table, "customfield".  What a field hangs on is
 * told by the prefix of its script id; whether it really applies to a table of
 * that kind (a field of entities may be for vendors only) is found out by
 * probing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "connector/netsuite/discover.h"

/* Fields of the table of custom fields, in the order of the query. */
enum
{
	FIELD_ID,
	FIELD_SCRIPT_ID,
	FIELD_VALUE_TYPE,
	FIELD_NAME,
	FIELD_INACTIVE,
	FIELD_STORED,
	N_FIELDS
};

static const char *const field_names[N_FIELDS] = {
	[FIELD_ID] = "internalid",
	[FIELD_SCRIPT_ID] = "scriptid",
	[FIELD_VALUE_TYPE] = "fieldvaluetype",
	[FIELD_NAME] = "name",
	[FIELD_INACTIVE] = "isinactive",
	[FIELD_STORED] = "isstored",
};

/* From here on a column may be missing from an account without harm. */
#define FIRST_OPTIONAL FIELD_NAME

/* Types by their letters in lower case; everything else is text. */
static const struct
{
	const char *letters;
	ValueKind	kind;
	bool		reference;
} value_types[] = {
	{"checkbox", VALUE_BOOLEAN, false},		{"integernumber", VALUE_INTEGER, false},
	{"integer", VALUE_INTEGER, false},		{"decimalnumber", VALUE_NUMERIC, false},
	{"float", VALUE_NUMERIC, false},		{"currency", VALUE_NUMERIC, false},
	{"percent", VALUE_NUMERIC, false},		{"date", VALUE_DATE, false},
	{"datetime", VALUE_TIMESTAMPTZ, false}, {"listrecord", VALUE_INTEGER, true},
	{"select", VALUE_INTEGER, true},		{"image", VALUE_INTEGER, true},
	{"document", VALUE_INTEGER, true},
};

static const struct
{
	const char *prefix;
	const char *tables; /* comma list with a comma at both ends */
} owners[] = {
	{"custbody", ",transaction,"},
	{"custcol", ",transactionline,"},
	{"custitem", ",item,"},
	{"custentity", ",customer,vendor,contact,employee,partner,job,entity,"},
};

/* The tables that a field may belong to, or NULL. */
static const char *
tables_of(const char *name)
{
	for (int i = 0; i < (int) lengthof(owners); i++)
	{
		if (strncmp(name, owners[i].prefix, strlen(owners[i].prefix)) == 0)
			return owners[i].tables;
	}
	return NULL;
}

static void
set_kind(CustomField *field, const char *value_type)
{
	char letters[64];
	int	 n = 0;

	field->kind = VALUE_TEXT;
	for (const char *p = value_type; *p && n < (int) sizeof(letters) - 1; p++)
	{
		char c = pg_ascii_tolower((unsigned char) *p);

		if (c >= 'a' && c <= 'z')
			letters[n++] = c;
	}
	letters[n] = '\0';
	for (int i = 0; i < (int) lengthof(value_types); i++)
	{
		if (strcmp(value_types[i].letters, letters) == 0)
		{
			field->kind = value_types[i].kind;
			field->reference = value_types[i].reference;
		}
	}
}

/* A name that could be anything but a column's name must not get into a query. */
static bool
is_identifier(const char *name)
{
	return name[0] >= 'a' && name[0] <= 'z' &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static bool
says(const Cell *cell, const char *text)
{
	return cell->text && strcmp(cell->text, text) == 0;
}

/* Adds the field of one row to the list, when it is one to show. */
static void
add_field(List **fields, const Cell *row)
{
	CustomField *field;
	char		*name;
	const char	*tables;

	if (!row[FIELD_SCRIPT_ID].text || says(&row[FIELD_INACTIVE], "T") || says(&row[FIELD_STORED], "F"))
		return;
	name = pstrdup(row[FIELD_SCRIPT_ID].text);
	for (char *p = name; *p; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	if (!is_identifier(name))
		return;

	tables = tables_of(name);
	field = palloc0(sizeof(CustomField));
	field->name = name;
	field->shared = tables && strchr(tables + 1, ',') != strrchr(tables, ',');
	field->comment = row[FIELD_NAME].text ? pstrdup(row[FIELD_NAME].text) : NULL;
	set_kind(field, row[FIELD_VALUE_TYPE].text ? row[FIELD_VALUE_TYPE].text : "");
	*fields = lappend(*fields, field);
}

static char *
field_statement(const bool *missing, const char *after)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, "SELECT ");
	for (int i = 0; i < N_FIELDS; i++)
	{
		if (!missing[i])
			appendStringInfo(&out, "%st.%s", i > 0 ? ", " : "", field_names[i]);
	}
	appendStringInfoString(&out, " FROM customfield t");
	if (after)
		appendStringInfo(&out, " WHERE t.internalid > %s", after);
	appendStringInfoString(&out, " ORDER BY t.internalid");
	return out.data;
}

/* Marks the optional column that a fault names; false when it names none. */
static bool
drop_named(const RemoteFault *fault, bool *missing)
{
	char name[NAMEDATALEN];

	if (!netsuite_bad_identifier(fault, name, sizeof(name)))
		return false;
	for (int i = FIRST_OPTIONAL; i < N_FIELDS; i++)
	{
		if (!missing[i] && pg_strcasecmp(name, field_names[i]) == 0)
		{
			missing[i] = true;
			return true;
		}
	}
	return false;
}

/* Trouble that is not about the table of custom fields would hit every query. */
static void
warn_or_raise(Connection *conn, const RemoteFault *fault)
{
	if (fault->cls != REMOTE_DENIED && fault->cls != REMOTE_REJECTED)
		remote_raise(fault, &conn->endpoint);
	ereport(WARNING,
			(errcode(fault->sqlstate),
			 errmsg("custom fields of server \"%s\" could not be read", conn->server_name),
			 errdetail_internal("%s", fault->remote_message ? fault->remote_message : fault->message),
			 errhint("Tables are imported without custom fields. Give the role the permission Custom Fields and import again.")));
}

/* The id that the next page begins behind: that of a page's last row, or NULL. */
static char *
last_id(const CellPage *page)
{
	const Cell *id = page->cells + (size_t) (page->nrows - 1) * page->ncolumns + FIELD_ID;

	if (!id->text || strspn(id->text, "-0123456789") != strlen(id->text))
		return NULL;
	return pstrdup(id->text);
}

/*
 * Adds one page's fields; *after becomes the position behind a page that is
 * not the last, else NULL.
 */
static void
add_page(Connection *conn, List **fields, RemoteResponse *response, char **after)
{
	PageColumns *columns = page_columns_create(field_names, N_FIELDS);
	CellPage	 page = {0};
	PageError	 error = {{0}};
	char		*before = *after;

	PG_TRY();
	{
		if (!columns ||
			!page_decode(&page, columns, response->body, response->body_len, conn->page_size, &error))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_ERROR),
					 errmsg("answer of server \"%s\" could not be read", conn->server_name),
					 errdetail("Table \"customfield\": %s.", error.message)));
		for (int i = 0; i < page.nrows; i++)
			add_field(fields, page.cells + (size_t) i * page.ncolumns);
		*after = page.has_more && page.nrows > 0 ? last_id(&page) : NULL;
	}
	PG_FINALLY();
	{
		page_free(&page);
		page_columns_free(columns);
	}
	PG_END_TRY();

	/* A position that does not move would never end. */
	if (*after && before && strcmp(*after, before) == 0)
		*after = NULL;
}

List *
custom_fields_read(Connection *conn)
{
	bool  missing[N_FIELDS] = {false};
	List *fields = NIL;
	char *after = NULL;

	do
	{
		RemoteCall *call =
			suiteql_call(conn, field_statement(missing, after), NIL, conn->page_size, 0);
		RemoteFault *fault = remote_call_fault(call);

		if (!fault)
			add_page(conn, &fields, remote_call_result(call), &after);
		else if (!drop_named(fault, missing))
		{
			warn_or_raise(conn, fault);
			remote_call_free(call);
			return NIL;
		}
		remote_call_free(call);
		if (!fault && !after)
			return fields;
	} while (true);
}

bool
custom_field_belongs(const CustomField *field, const Entity *entity)
{
	const char *tables = tables_of(field->name);

	return tables && strstr(tables, psprintf(",%s,", entity->name)) != NULL;
}

char *
custom_fields_mark(Connection *conn)
{
	List	 *fields = custom_fields_read(conn);
	uint64	  mark = 0;
	ListCell *lc;

	/* in any order */
	foreach(lc, fields)
	{
		const CustomField *field = lfirst(lc);
		char			  *text = psprintf("%s %d", field->name, field->kind);

		mark += hash_bytes_extended((unsigned char *) text, (int) strlen(text), 0);
	}
	return psprintf("%d " UINT64_FORMAT, list_length(fields), mark);
}
