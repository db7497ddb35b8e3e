/*-------------------------------------------------------------------------
 *
 * check.c
 *		makini.check_drain() for ASCTrac: what can be known about draining a feed
 *		without asking the feed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "connector/asctrac/asctrac.h"
#include "connector/option.h"

#define LIVENESS_PATH "/api/Values"

static List *
add_item(List *items, const char *item, const char *status, const char *detail, const char *hint)
{
	ProbeStep *step = palloc0(sizeof(ProbeStep));

	step->step = item;
	step->status = status;
	step->detail = detail;
	step->hint = hint;
	return lappend(items, step);
}

/* The liveness page is a leftover that an installation may have taken out. */
static List *
check_network(List *items, Connection *conn)
{
	RemoteRequest request = {.method = "GET", .repeatable = true, .anonymous = true};
	RemoteFault	 *fault;

	request.url = psprintf("%s%s", conn->endpoint.base_url, LIVENESS_PATH);
	request.headers = list_make1("Accept: application/json");
	fault = remote_call_fault(remote_call_start(&conn->endpoint, &request));
	if (fault != NULL && fault->http_status == 0)
		return add_item(items, "network", "failed", fault->message, fault->hint);
	return add_item(items, "network", "ok", psprintf("%s answers", conn->endpoint.base_url), NULL);
}

static List *
check_credentials(List *items, const Connection *conn)
{
	if (conn->endpoint.credential->kind != CREDENTIAL_NONE)
		return add_item(items, "credentials", "ok",
						"the user mapping has a token, or what one is had with", NULL);
	return add_item(items, "credentials", "warning", "requests go out without a token",
					"Anybody who reaches the host interface can consume its feeds. Switch its authentication on (GWInterfaceUseAuthentication).");
}

/*
 * asctrac_feed_redelivers
 *		Do rows come again until they are acknowledged?  Parcels always do.
 */
bool
asctrac_feed_redelivers(const Connection *conn, const Entity *entity)
{
	if (asctrac_detail(entity)->acknowledge_key == NULL)
		return false;
	if (strcmp(entity->name, "parcel_export") == 0)
		return true;
	return option_bool(GetForeignServer(conn->serverid)->options, "redelivers", false);
}

/*
 * asctrac_feed_flag
 *		What an installation notes with a row that was handed out: feeds with the
 *		same flag take rows from one another.
 */
const char *
asctrac_feed_flag(const Entity *entity)
{
	if (strcmp(entity->name, "po_lines_export") == 0 || strcmp(entity->name, "po_licenses_export") == 0)
		return "receipts";
	return entity->name;
}

static List *
check_delivery(List *items, const Connection *conn, const Entity *entity)
{
	if (asctrac_detail(entity)->acknowledge_key == NULL)
		return add_item(items, "delivery", "warning", "each row is handed out once and never again",
						"Nothing brings back a row of this feed that a broken connection loses. Create the drain with options => '{\"accept_loss\": true}'.");
	if (strcmp(entity->name, "parcel_export") == 0)
		return add_item(items, "delivery", "ok", "rows come again until they are acknowledged", NULL);
	if (asctrac_feed_redelivers(conn, entity))
		return add_item(items, "delivery", "ok",
						"the server says that rows come again until they are acknowledged",
						"That is true while GWAPIIncludeProcessingStatus is T in ASCTrac, and after its application pool was recycled.");
	return add_item(items, "delivery", "warning", "rows that a broken connection loses are lost",
					psprintf("Have GWAPIIncludeProcessingStatus set to T in ASCTrac, then use ALTER SERVER %s OPTIONS (ADD redelivers 'true'); or create the drain with options => '{\"accept_loss\": true}'.",
							 quote_identifier(conn->server_name)));
}

/* What else reads the same rows. */
static List *
check_flag(List *items, const Entity *entity)
{
	if (strcmp(asctrac_feed_flag(entity), entity->name) != 0)
		return add_item(items, "posted flag", "warning",
						"po_lines_export and po_licenses_export hand out the same receipts, each only to the first that asks",
						"Drain one of the two.");
	return add_item(items, "posted flag", "ok", "no other feed hands out these rows",
					"Another consumer of this feed would take rows from this one: ask whether there is any.");
}

static List *
check_key(List *items, const Entity *entity)
{
	const AsctracDetail *detail = asctrac_detail(entity);

	if (detail->acknowledge_key == NULL)
		return add_item(items, "acknowledgement", "ok", "this feed takes none", NULL);
	if (strcmp(detail->acknowledge_key, "ORDERNUMBER") == 0)
		return add_item(items, "acknowledgement", "ok",
						"by order: it covers every row of the order that was handed out", NULL);
	return add_item(items, "acknowledgement", "ok", psprintf("by %s", detail->acknowledge_key), NULL);
}

static List *
check_children(List *items, const Entity *entity)
{
	StringInfoData names;
	int			   n;
	const Entity  *entities = asctrac_entities(&n);

	initStringInfo(&names);
	for (int i = 0; i < n; i++)
	{
		if (entities[i].parent != NULL && strcmp(entities[i].parent, entity->name) == 0)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", entities[i].name);
	}
	if (names.len == 0)
		return items;
	return add_item(items, "tables", "ok", psprintf("brings %s too", names.data), NULL);
}

/*
 * asctrac_check_drain
 *		What to know before a feed is drained.  Calls no feed.
 */
List *
asctrac_check_drain(Connection *conn, const Entity *entity)
{
	List *items = NIL;

	conn->endpoint.max_retries = Min(conn->endpoint.max_retries, 1);
	items = check_network(items, conn);
	items = check_credentials(items, conn);
	items = check_delivery(items, conn, entity);
	items = check_flag(items, entity);
	items = check_key(items, entity);
	return check_children(items, entity);
}
