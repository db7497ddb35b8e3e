/*-------------------------------------------------------------------------
 *
 * envelope.c
 *		What the interactive service answers: always HTTP 200, with an envelope
 *		that says whether it went well and holds the rows as a text inside it,
 *		JSON or the XML of a table set.
 *
 *	{"successful":true,"ErrorMessage":null,"DataMessage":"[{...}]"}
 *
 * "successful" is false too where there is nothing to list; that is told from
 * a failure by the words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/asctrac/asctrac.h"
#include "connector/asctrac/table_set.h"

#define MAX_ROWS 10000000

/* Where rows go. */
typedef struct Target
{
	const Entity		*entity;
	const AsctracDetail *detail;
	const PageColumns	*columns;
	const char *const	*names;
	int					 ncolumns;
	CellPage			*page;
} Target;

/*
 * asctrac_says_nothing_found
 *		Is this what ASCTrac says where there are no rows?
 */
bool
asctrac_says_nothing_found(const char *message)
{
	size_t len = message != NULL ? strlen(message) : 0;

	while (len > 0 && (message[len - 1] == '.' || message[len - 1] == ' '))
		len--;
	return (len > 3 && pg_strncasecmp(message, "no ", 3) == 0) ||
		(len > 10 && pg_strncasecmp(message + len - 10, " not found", 10) == 0);
}

/*
 * asctrac_raise_refused
 *		Raise that it did not go well, in ASCTrac's own words.
 */
void
asctrac_raise_refused(const Entity *entity, const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR), errmsg("ASCTrac refused the request for \"%s\"", entity->name),
			 message != NULL && *message != '\0' ?
				 errdetail_internal("%s", asctrac_clean_text(message)) :
				 errdetail("It gave no reason.")));
}

pg_noreturn static void
raise_broken(const Entity *entity, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR), errmsg("answer for \"%s\" cannot be read", entity->name),
			 errdetail_internal("%s", detail),
			 errhint("Check rest_base_url of the server: something else may answer there.")));
}

pg_noreturn static void
raise_page_error(const Entity *entity, const PageError *error)
{
	if (error->bad_text)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("a value of \"%s\" is no text", entity->name),
				 errdetail_internal("%s", error->message)));
	raise_broken(entity, error->message);
}

/* A text made a collection: an array as it is, an object as its only item. */
static char *
as_collection(const Entity *entity, const char *text)
{
	text += strspn(text, " \t\r\n");
	if (*text != '[' && *text != '{')
		raise_broken(entity, "it is neither an array nor an object");
	return psprintf(*text == '[' ? "{\"items\":%s}" : "{\"items\":[%s]}", text);
}

static void
take_rows(const Target *target, const char *text)
{
	char	 *collection = as_collection(target->entity, text);
	PageError error;

	if (!page_decode(target->page, target->columns, collection, strlen(collection), MAX_ROWS, &error))
		raise_page_error(target->entity, &error);
}

/* "OK" and behind it the table set. */
static void
take_table_set(const Target *target, const char *text)
{
	char	 *xml;
	PageError error;

	if (strncmp(text, "OK", 2) != 0)
	{
		if (!asctrac_says_nothing_found(text))
			asctrac_raise_refused(target->entity, text);
		return;
	}
	xml = pstrdup(text + 2);
	if (!table_set_decode(target->page, target->names, target->ncolumns, target->detail->member,
						  xml, strlen(xml), MAX_ROWS, &error))
		raise_page_error(target->entity, &error);
}

/* Members of an object as texts, NULL for those it has not. */
static void
read_members(const Entity *entity, const char *text, const char *const *names, int n, char **members)
{
	PageColumns *columns = page_columns_create(names, n);
	char		*collection = as_collection(entity, text);
	CellPage	 page = {0};
	PageError	 error;
	bool		 read;

	memset(members, 0, sizeof(char *) * n);
	if (columns == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	read = page_decode(&page, columns, collection, strlen(collection), MAX_ROWS, &error);
	page_columns_free(columns);
	for (int i = 0; read && page.nrows > 0 && i < n; i++)
	{
		if (page.cells[i].text != NULL)
			members[i] = pnstrdup(page.cells[i].text, page.cells[i].len);
	}
	page_free(&page);
	if (!read)
		raise_page_error(entity, &error);
}

static void
take_message(const Target *target, const char *text)
{
	static const char *const detail_xml = "DetailXMLInfo";
	char					*member = NULL;

	if (text[0] == '\0')
		return;
	switch (target->detail->shape)
	{
		case SHAPE_MEMBER:
			read_members(target->entity, text, &target->detail->member, 1, &member);
			if (member != NULL)
				take_rows(target, member);
			break;
		case SHAPE_XML:
			if (text[strspn(text, " \t\r\n")] == '{')
				read_members(target->entity, text, &detail_xml, 1, &member);
			else
				member = pstrdup(text);
			if (member != NULL && member[0] != '\0')
				take_table_set(target, member);
			break;
		default:
			take_rows(target, text);
			break;
	}
}

/*
 * asctrac_envelope
 *		Fill a page from an answer of the interactive service: no rows where it
 *		says that there are none, an error where it says that it failed.  Cells
 *		live in CurrentMemoryContext.
 */
void
asctrac_envelope(const Entity *entity, const RemoteResponse *response, const PageColumns *columns,
				 const char *const *names, int ncolumns, CellPage *page)
{
	static const char *const envelope[] = {"successful", "ErrorMessage", "DataMessage"};
	Target target = {entity, asctrac_detail(entity), columns, names, ncolumns, page};
	char  *members[lengthof(envelope)];
	bool   successful;

	page->nrows = 0;
	asctrac_verify_text(entity, response->body, response->body_len);
	if (strlen(response->body) != response->body_len)
		raise_broken(entity, "there is a NUL in it");
	read_members(entity, response->body, envelope, lengthof(envelope), members);
	successful = members[0] != NULL && strcmp(members[0], "true") == 0;
	if (members[0] == NULL && members[2] == NULL)
		take_message(&target, response->body); /* some answer without an envelope */
	else if (!successful)
	{
		if (!asctrac_says_nothing_found(members[1]))
			asctrac_raise_refused(entity, members[1]);
	}
	else if (members[2] != NULL)
		take_message(&target, members[2]);
}
