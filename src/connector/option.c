/*-------------------------------------------------------------------------
 *
 * option.c
 *		Checks options when they are set and reads them when they are used.
 *
 * What options there are stands in each connector's table; this file knows
 * their types.  Whether all that is needed is there is checked at use.  Every
 * error here hides its statement from the log: the statement may hold a key.
 *
 * An option that only a superuser may set must not keep a server's owner from
 * changing the others.  PostgreSQL hands a validator all options, old and new,
 * so what the running statement leaves as it was is taken out first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "connector/option.h"
#include "nearest.h"
#include "remote/url.h"

/* ---------------------------------------------------------------------
 * Checking
 * ---------------------------------------------------------------------
 */

/* Where an option stands, as the hint for one that was looked for elsewhere says it. */
static const char *
place_of_context(Oid context)
{
	switch (context)
	{
		case ForeignServerRelationId:
			return "of a server";
		case UserMappingRelationId:
			return "of a user mapping";
		case ForeignTableRelationId:
			return "of a foreign table";
		default:
			return "of a column";
	}
}

static void
refuse_misplaced(const OptionDef *defs, const char *name)
{
	for (const OptionDef *def = defs; def->name != NULL; def++)
	{
		if (strcmp(def->name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
					 errhint("It is an option %s.", place_of_context(def->context)),
					 errhidestmt(true), errhidecontext(true)));
	}
}

static void
raise_unknown(const OptionDef *defs, const char *name, Oid context)
{
	Nearest		   nearest;
	StringInfoData valid;

	refuse_misplaced(defs, name);
	initStringInfo(&valid);
	nearest_init(&nearest, name);
	for (const OptionDef *def = defs; def->name != NULL; def++)
	{
		if (def->context != context)
			continue;
		nearest_offer(&nearest, def->name);
		appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", def->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
			 nearest_found(&nearest) ?
				 errhint("Perhaps you meant the option \"%s\".", nearest_found(&nearest)) :
				 valid.len > 0 ? errhint("Valid options in this context are: %s.", valid.data) :
								 errhint("There are no valid options in this context."),
			 errhidestmt(true), errhidecontext(true)));
}

static void
raise_value(const OptionDef *def, const char *value, const char *hint)
{
	/* What stands before an @ may be a password. */
	bool secret =
		def->type == OPTION_SECRET || (def->type == OPTION_URL && strchr(value, '@') != NULL);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 secret ? errmsg("invalid value for option \"%s\"", def->name) :
					  errmsg("invalid value for option \"%s\": \"%s\"", def->name, value),
			 errhint("%s", hint), errhidestmt(true), errhidecontext(true)));
}

static void
check_number(const OptionDef *def, const char *value, int flags)
{
	int			number;
	const char *hint = NULL;

	if (parse_int(value, &number, flags, &hint) && number >= def->min && number <= def->max)
		return;
	if (def->type == OPTION_DURATION)
		raise_value(def, value,
					psprintf("Give a time with its unit, such as 10s or 500ms, from " INT64_FORMAT
							 " ms to " INT64_FORMAT " ms.",
							 def->min, def->max));
	raise_value(def, value,
				psprintf("Valid values are " INT64_FORMAT " to " INT64_FORMAT ".", def->min, def->max));
}

/* An account id becomes part of a host name: anything else in it could name another host. */
static void
check_account(const OptionDef *def, const char *value)
{
	int	   separators = 0;
	size_t len = strlen(value);

	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c == '_' || *c == '-')
			separators++;
		else if (!isalnum((unsigned char) *c) || IS_HIGHBIT_SET(*c))
			separators = 2;
	}
	if (len == 0 || len > 50 || separators > 1 || !isalnum((unsigned char) value[0]) ||
		!isalnum((unsigned char) value[len - 1]))
		raise_value(def, value,
					"An account id has letters, digits and at most one \"_\" or \"-\" between them, as in 1234567_SB1.");
}

static void
check_enum(const OptionDef *def, const char *value)
{
	const char	  *at = def->values;
	StringInfoData valid;

	initStringInfo(&valid);
	while (at != NULL)
	{
		const char *end = strchr(at, '|');
		size_t		len = end ? (size_t) (end - at) : strlen(at);

		if (strlen(value) == len && strncmp(at, value, len) == 0)
			return;
		appendStringInfo(&valid, "%s%.*s", valid.len > 0 ? ", " : "", (int) len, at);
		at = end ? end + 1 : NULL;
	}
	raise_value(def, value, psprintf("Valid values: %s.", valid.data));
}

static void
check_url(const OptionDef *def, const char *value)
{
	Url	 url;
	char why[200];

	if (!url_parse(value, &url, why, sizeof(why)))
		raise_value(def, value, psprintf("The URL %s; the form is scheme://host[:port][/path].", why));
}

/* The input function's own error would let the statement into the log. */
static void
check_timestamp(const OptionDef *def, const char *value)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool valid = true;

	PG_TRY();
	{
		(void) DirectFunctionCall3(timestamptz_in, CStringGetDatum(value),
								   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		valid = false;
	}
	PG_END_TRY();
	if (!valid)
		raise_value(def, value, "Give a date and time, such as 2028-01-31 00:00:00+00.");
}

static void
check_value(const OptionDef *def, const char *value)
{
	bool ignored;

	switch (def->type)
	{
		case OPTION_TEXT:
		case OPTION_SECRET:
			if (value[0] == '\0')
				raise_value(def, value, "The value must not be empty.");
			break;
		case OPTION_BOOL:
			if (!parse_bool(value, &ignored))
				raise_value(def, value, "Valid values are true and false.");
			break;
		case OPTION_INT:
			check_number(def, value, 0);
			break;
		case OPTION_DURATION:
			check_number(def, value, GUC_UNIT_MS);
			break;
		case OPTION_URL:
			check_url(def, value);
			break;
		case OPTION_FILE:
			if (!is_absolute_path(value))
				raise_value(def, value, "Give the absolute path of a file on the server.");
			break;
		case OPTION_ZONE:
			if (pg_tzset(value) == NULL)
				raise_value(def, value, "Give the name of a time zone, as in pg_timezone_names.");
			break;
		case OPTION_TIMESTAMP:
			check_timestamp(def, value);
			break;
		case OPTION_ACCOUNT:
			check_account(def, value);
			break;
		case OPTION_ENUM:
			check_enum(def, value);
			break;
	}
}

/* ---------------------------------------------------------------------
 * Options that not everybody may set
 * ---------------------------------------------------------------------
 */

static Oid
role_of_mapping(const RoleSpec *role)
{
	return role->roletype == ROLESPEC_PUBLIC ? InvalidOid : get_rolespec_oid(role, true);
}

/*
 * The options, before the running statement, of what it alters.  A statement
 * run from inside a function isn't seen here, and is then held to all options
 * it leaves in place.
 */
static List *
options_before(Oid context)
{
	ListCell *lc;

	if (ActivePortal == NULL)
		return NIL;
	foreach(lc, ActivePortal->stmts)
	{
		Node *stmt = lfirst_node(PlannedStmt, lc)->utilityStmt;

		if (stmt == NULL)
			continue;
		if (context == ForeignServerRelationId && IsA(stmt, AlterForeignServerStmt))
		{
			ForeignServer *server =
				GetForeignServerByName(((AlterForeignServerStmt *) stmt)->servername, true);

			return server ? server->options : NIL;
		}
		if (context == UserMappingRelationId && IsA(stmt, AlterUserMappingStmt))
		{
			AlterUserMappingStmt *alter = (AlterUserMappingStmt *) stmt;
			ForeignServer		 *server = GetForeignServerByName(alter->servername, true);
			UserMapping			 *mapping = server == NULL ?
						 NULL :
						 GetUserMapping(role_of_mapping(alter->user), server->serverid);

			return mapping ? mapping->options : NIL;
		}
	}
	return NIL;
}

static void
check_right(const OptionDef *def, const char *value, List *before)
{
	const char *stored = option_text(before, def->name);

	if (superuser() || (stored != NULL && strcmp(stored, value) == 0))
		return;
	if (def->superuser)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", def->name),
				 errdetail("Only superusers may set this option."), errhidestmt(true),
				 errhidecontext(true)));
	if (def->type == OPTION_FILE && !has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", def->name),
				 errdetail("Only superusers and members of pg_read_server_files may name files on the server."),
				 errhidestmt(true), errhidecontext(true)));
}

static const OptionDef *
find_def(const OptionDef *defs, const char *name, Oid context)
{
	for (const OptionDef *def = defs; def->name != NULL; def++)
	{
		if (def->context == context && strcmp(def->name, name) == 0)
			return def;
	}
	return NULL;
}

void
options_validate(const OptionDef *defs, List *options, Oid context)
{
	List	 *before = options == NIL ? NIL : options_before(context);
	ListCell *lc;

	foreach(lc, options)
	{
		DefElem			*option = lfirst_node(DefElem, lc);
		const OptionDef *def = find_def(defs, option->defname, context);
		const char		*value;

		if (def == NULL)
			raise_unknown(defs, option->defname, context);
		value = defGetString(option);
		check_right(def, value, before);
		check_value(def, value);
	}
}

/* ---------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------
 */

const char *
option_text(List *options, const char *name)
{
	ListCell *lc;

	foreach(lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return NULL;
}

bool
option_bool(List *options, const char *name, bool missing)
{
	const char *text = option_text(options, name);
	bool		value;

	return text != NULL && parse_bool(text, &value) ? value : missing;
}

int
option_int(List *options, const char *name, int missing)
{
	const char *text = option_text(options, name);
	int			value;

	return text != NULL && parse_int(text, &value, 0, NULL) ? value : missing;
}

int
option_duration(List *options, const char *name, int missing)
{
	const char *text = option_text(options, name);
	int			value;

	return text != NULL && parse_int(text, &value, GUC_UNIT_MS, NULL) ? value : missing;
}
