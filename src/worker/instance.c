/*-------------------------------------------------------------------------
 *
 * instance.c
 *		May anything run here at all?
 *
 * Not on a standby, not on a host that makini.run_on does not name, and not
 * where rows came from another system or database: what they would do is done
 * there already.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "worker/worker.h"

PG_FUNCTION_INFO_V1(makini_instance_obstacle);

#define HOST_MAX 256

static const char *
host_name(void)
{
	static char name[HOST_MAX];

	if (gethostname(name, sizeof(name)) != 0)
		return "";
	name[sizeof(name) - 1] = '\0';
	return name;
}

/* A host is named in full, or by what stands before its first dot. */
static bool
is_this_host(const char *name)
{
	const char *host = host_name();
	size_t		first = strcspn(host, ".");

	return pg_strcasecmp(name, host) == 0 ||
		(strlen(name) == first && pg_strncasecmp(name, host, first) == 0);
}

static bool
runs_on_this_host(void)
{
	char *names = pstrdup(makini_run_on);
	bool  named = false;
	char *rest = names;
	char *name;
	int	  n = 0;

	while ((name = strtok_r(n++ == 0 ? names : NULL, ", \t\n", &rest)) != NULL)
		if (is_this_host(name))
			named = true;
	pfree(names);
	return named || n == 1;
}

static InstanceState
state_of_process(void)
{
	if (RecoveryInProgress())
		return INSTANCE_STANDBY;
	return runs_on_this_host() ? INSTANCE_ACTIVE : INSTANCE_FENCED;
}

bool
instance_may_run(void)
{
	return state_of_process() == INSTANCE_ACTIVE;
}

void
instance_check(void)
{
	switch (state_of_process())
	{
		case INSTANCE_STANDBY:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("makini is not active here: this is a standby"),
					 errhint("Do this on the primary.")));
			break;
		case INSTANCE_FENCED:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("makini is not active here: \"makini.run_on\" does not name this host"),
					 errdetail("This host is \"%s\", the setting is \"%s\".", host_name(), makini_run_on),
					 errhint("Where this host is to run syncs and deliver events, add it to"
							 " \"makini.run_on\" and reload the configuration.")));
			break;
		default:
			break;
	}
}

const char *
instance_obstacle(void)
{
	switch (state_of_process())
	{
		case INSTANCE_STANDBY:
			return "standby";
		case INSTANCE_FENCED:
			return "fenced";
		default:
			return NULL;
	}
}

/*
 * makini_instance_obstacle
 *		makini._instance_obstacle(): the state that keeps this process from
 *		running anything; NULL where nothing does.
 */
Datum
makini_instance_obstacle(PG_FUNCTION_ARGS)
{
	const char *obstacle = instance_obstacle();

	if (obstacle == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(obstacle));
}
