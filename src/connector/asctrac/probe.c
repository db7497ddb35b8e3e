/*-------------------------------------------------------------------------
 *
 * probe.c
 *		makini.test_connection() for ASCTrac: the way from the options to an
 *		answer of each service, one step after another.
 *
 * No feed is asked.  What answers without credentials, or whatever they are,
 * proves nothing about them, and the steps say so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/asctrac/asctrac.h"
#include "connector/probe_step.h"

/* Answers without looking at credentials or the database. */
#define LIVENESS_PATH "/api/Values"

typedef struct Probe
{
	Connection	 *conn;
	AsctracState *state;
	ProbeSteps	  steps;
} Probe;

static RemoteFault *
try_get(RemoteEndpoint *endpoint, const char *path, bool anonymous)
{
	RemoteRequest request = {.method = "GET", .repeatable = true, .anonymous = anonymous};

	request.url = psprintf("%s%s", endpoint->base_url, path);
	request.headers = list_make1("Accept: application/json");
	return remote_call_fault(remote_call_start(endpoint, &request));
}

static void
probe_options(Probe *probe)
{
	static const char *const kinds[] = {
		[CREDENTIAL_NONE] = "no credentials",
		[CREDENTIAL_STATIC] = "a fixed token",
		[CREDENTIAL_SECRET] = "tokens of a token service",
	};

	step_begin(&probe->steps);
	step_end(&probe->steps, "options", STEP_OK,
			 psprintf("%s, %s", probe->conn->endpoint.base_url,
					  kinds[probe->conn->endpoint.credential->kind]),
			 NULL);
}

/* The liveness page is a leftover that an installation may have taken out. */
static void
probe_network(Probe *probe)
{
	RemoteFault *fault;

	step_begin(&probe->steps);
	fault = try_get(&probe->conn->endpoint, LIVENESS_PATH, true);
	probe->steps.failed = fault != NULL && fault->http_status != 404 && fault->http_status != 401;
	if (probe->steps.failed)
		step_end(&probe->steps, "network", STEP_FAILED, step_describe_fault(fault), fault->hint);
	else
		step_end(&probe->steps, "network", STEP_OK,
				 psprintf("%s answers", probe->conn->endpoint.base_url), NULL);
}

/*
 * An item that cannot be: the one read that changes nothing, and as little of
 * it as can be had.
 */
static void
probe_stock(Probe *probe)
{
	RemoteFault *fault;

	if (step_skip(&probe->steps, "inventory"))
		return;
	fault = try_get(&probe->conn->endpoint,
					"/api/InventoryAudit?aVMICustID=&aSiteID=&aItemID=makini-test-connection", false);
	probe->steps.failed = fault != NULL;
	if (fault != NULL)
		step_end(&probe->steps, "inventory", STEP_FAILED, step_describe_fault(fault), fault->hint);
	else
		step_end(&probe->steps, "inventory", STEP_OK, "the host interface reads its database",
				 probe->conn->endpoint.credential->kind == CREDENTIAL_NONE ?
					 "The interface takes anybody's calls. Switch its authentication on (GWInterfaceUseAuthentication)." :
					 "Where authentication is switched off (GWInterfaceUseAuthentication) any token passes.");
}

static void
probe_interactive(Probe *probe)
{
	RemoteFault *fault;

	step_begin(&probe->steps);
	if (probe->state->interactive.base_url == NULL)
	{
		step_end(&probe->steps, "interactive service", STEP_SKIPPED, "rest_base_url is not set",
				 "Set rest_base_url of the server for live stock, orders, docks and trailers.");
		return;
	}
	fault = try_get(&probe->state->interactive,
					"/api/InvLookup?aSkidID=&aItemID=&aLocationID=&aUserID=&aSiteID=", true);
	if (fault != NULL)
		step_end(&probe->steps, "interactive service", STEP_FAILED, step_describe_fault(fault),
				 fault->hint);
	else
		step_end(&probe->steps, "interactive service", STEP_OK,
				 psprintf("%s answers", probe->state->interactive.base_url), NULL);
}

static void
probe_time_zone(Probe *probe)
{
	step_begin(&probe->steps);
	if (probe->conn->time_zone != NULL)
		step_end(&probe->steps, "time zone", STEP_OK,
				 psprintf("dates are the local time of %s", probe->conn->time_zone), NULL);
	else
		step_end(&probe->steps, "time zone", STEP_WARNING, "dates come without a zone",
				 "Set time_zone of the server to the site's zone, and import the tables again: their dates then become timestamptz.");
}

static void
probe_redelivery(Probe *probe)
{
	step_begin(&probe->steps);
	if (probe->state->redelivers)
		step_end(&probe->steps, "feeds", STEP_OK,
				 "the server says that rows handed out come again until they are acknowledged", NULL);
	else
		step_end(&probe->steps, "feeds", STEP_WARNING, "rows that a broken connection loses are lost",
				 "Have GWAPIIncludeProcessingStatus set to T in ASCTrac, then set redelivers of the server to true.");
}

/*
 * asctrac_probe
 *		Walk from the options to an answer and say at each step how it went.
 */
List *
asctrac_probe(Connection *conn)
{
	Probe probe = {.conn = conn, .state = conn->state};

	conn->endpoint.max_retries = Min(conn->endpoint.max_retries, 1);
	probe.state->interactive.max_retries = conn->endpoint.max_retries;
	probe.state->interactive.use = conn->endpoint.use;
	probe_options(&probe);
	probe_network(&probe);
	probe_stock(&probe);
	probe_interactive(&probe);
	probe_time_zone(&probe);
	probe_redelivery(&probe);
	return probe.steps.done;
}
