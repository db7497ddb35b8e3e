/*-------------------------------------------------------------------------
 *
 * option.c
 *		The options of a webhook: reading and checking them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "interval_setting.h"
#include "nearest.h"
#include "webhook/webhook.h"

#define MIN_TIMEOUT_MS 1000
#define DEFAULT_TIMEOUT_MS 15000
#define MAX_TIMEOUT_MS 30000
#define MAX_STEP (30 * USECS_PER_DAY)
#define DEFAULT_IN_FLIGHT 32

/* The specification's example: ten attempts over 75 hours. */
static const int default_steps[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};

static const char *const known[] = {"ordering",		   "rate",
									"max_in_flight",   "timeout",
									"schedule",		   "client_certificate_file",
									"client_key_file", "ca_file",
									"skip_empty",	   "thin"};

static void
refuse(const char *name, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\" of a webhook", name), errhint("%s", hint),
			 errhidestmt(true)));
}

static void
refuse_unknown(const char *name)
{
	Nearest nearest;

	nearest_init(&nearest, name);
	for (int i = 0; i < (int) lengthof(known); i++)
		nearest_offer(&nearest, known[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid option \"%s\" of a webhook", name),
			 nearest_found(&nearest) ?
				 errhint("Perhaps you meant the option \"%s\".", nearest_found(&nearest)) :
				 errhint("Options are ordering, rate, max_in_flight, timeout, schedule, client_certificate_file, client_key_file, ca_file, skip_empty and thin."),
			 errhidestmt(true)));
}

static char *
text_of(const JsonbValue *value, const char *name, const char *hint)
{
	if (value->type != jbvString)
		refuse(name, hint);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static double
number_of(const JsonbValue *value, const char *name, double min, double max, const char *hint)
{
	double number;

	if (value->type != jbvNumeric)
		refuse(name, hint);
	number = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!(number >= min && number <= max))
		refuse(name, hint);
	return number;
}

static bool
truth_of(const JsonbValue *value, const char *name)
{
	if (value->type != jbvBool)
		refuse(name, "It is true or false.");
	return value->val.boolean;
}

static WebhookOrdering
ordering_of(const JsonbValue *value)
{
	static const char hint[] = "It is \"none\", \"connection\" or \"key\".";
	char			 *text = text_of(value, "ordering", hint);

	if (strcmp(text, "none") == 0)
		return ORDERING_NONE;
	if (strcmp(text, "connection") == 0)
		return ORDERING_CONNECTION;
	if (strcmp(text, "key") != 0)
		refuse("ordering", hint);
	return ORDERING_KEY;
}

static int
timeout_of(const JsonbValue *value)
{
	static const char hint[] = "It is an interval from 1 to 30 seconds, such as \"15 s\".";
	int64			  length = interval_length(text_of(value, "timeout", hint));

	if (length < MIN_TIMEOUT_MS * INT64CONST(1000) || length > MAX_TIMEOUT_MS * INT64CONST(1000))
		refuse("timeout", hint);
	return (int) (length / 1000);
}

static const char *
file_of(const JsonbValue *value, const char *name)
{
	static const char hint[] = "It is the absolute path of a file on the server.";
	char			 *path = text_of(value, name, hint);

	if (!is_absolute_path(path))
		refuse(name, hint);
	return path;
}

/* The waits before the second, the third, ... attempt. */
static void
read_schedule(JsonbValue *value, WebhookOptions *out)
{
	static const char hint[] =
		"It is an array of at most 50 intervals, the waits between attempts: [\"5 s\", \"5 min\", \"1 hour\"].";
	JsonbIterator	  *it;
	JsonbValue		   element;
	JsonbIteratorToken token;

	if (value->type != jbvBinary)
		refuse("schedule", hint);
	out->nsteps = 0;
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		int64 length;

		if (token == WJB_BEGIN_OBJECT)
			refuse("schedule", hint);
		if (token != WJB_ELEM)
			continue;
		length = interval_length(text_of(&element, "schedule", hint));
		if (length < 0 || length > MAX_STEP || out->nsteps == WEBHOOK_MAX_STEPS)
			refuse("schedule", hint);
		out->steps[out->nsteps++] = length;
	}
}

static void
read_option(const char *name, JsonbValue *value, WebhookOptions *out)
{
	if (strcmp(name, "ordering") == 0)
		out->ordering = ordering_of(value);
	else if (strcmp(name, "rate") == 0)
		out->rate = number_of(value, name, 0.001, 1000000,
							  "It is the number of deliveries a second, from 0.001 to 1000000.");
	else if (strcmp(name, "max_in_flight") == 0)
		out->max_in_flight =
			(int) number_of(value, name, 1, WEBHOOK_MAX_IN_FLIGHT, "It is a number from 1 to 256.");
	else if (strcmp(name, "timeout") == 0)
		out->timeout = timeout_of(value);
	else if (strcmp(name, "schedule") == 0)
		read_schedule(value, out);
	else if (strcmp(name, "client_certificate_file") == 0)
		out->client_certificate_file = file_of(value, name);
	else if (strcmp(name, "client_key_file") == 0)
		out->client_key_file = file_of(value, name);
	else if (strcmp(name, "ca_file") == 0)
		out->ca_file = file_of(value, name);
	else if (strcmp(name, "skip_empty") == 0)
		out->skip_empty = truth_of(value, name);
	else if (strcmp(name, "thin") == 0)
		out->thin = truth_of(value, name);
	else
		refuse_unknown(name);
}

static void
set_defaults(WebhookOptions *out)
{
	memset(out, 0, sizeof(*out));
	out->max_in_flight = DEFAULT_IN_FLIGHT;
	out->timeout = DEFAULT_TIMEOUT_MS;
	out->nsteps = lengthof(default_steps);
	for (int i = 0; i < out->nsteps; i++)
		out->steps[i] = default_steps[i] * USECS_PER_SEC;
}

void
webhook_options_read(Jsonb *options, WebhookOptions *out)
{
	JsonbIterator	  *it;
	JsonbValue		   value;
	JsonbIteratorToken token;
	char			  *name = NULL;

	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("options must be a JSON object"),
				 errhidestmt(true)));
	set_defaults(out);
	it = JsonbIteratorInit(&options->root);
	(void) JsonbIteratorNext(&it, &value, false);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type != jbvNull)
			read_option(name, &value, out);
	}
}

static bool
is_new(const char *now, const char *before)
{
	return now != NULL && (before == NULL || strcmp(now, before) != 0);
}

void
webhook_options_check_rights(const WebhookOptions *now, const WebhookOptions *before)
{
	static const WebhookOptions none;
	const WebhookOptions	   *old = before != NULL ? before : &none;

	if (!is_new(now->client_certificate_file, old->client_certificate_file) &&
		!is_new(now->client_key_file, old->client_key_file) && !is_new(now->ca_file, old->ca_file))
		return;
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to name a file in the options of a webhook"),
				 errdetail("Only superusers and members of pg_read_server_files may name files on the server."),
				 errhidestmt(true)));
}
