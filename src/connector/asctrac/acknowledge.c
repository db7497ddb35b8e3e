/*-------------------------------------------------------------------------
 *
 * acknowledge.c
 *		Says which rows of a feed have arrived: a PUT of their keys, in chunks
 *		that the other side takes.
 *
 * Several feeds are acknowledged by keys that cover more than one row (all of
 * an order): each key goes out once, refused where any of its rows is.  The
 * other side answers without counts, and takes a repetition for nothing new.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/json.h"

#include "connector/asctrac/asctrac.h"

/* The other side takes 4 MB. */
#define MAX_BODY (3 * 1024 * 1024 + 512 * 1024)

/* A key, and all acknowledgements of it. */
typedef struct Group
{
	const char *members; /* the key as members of a JSON object */
	bool		accepted;
	bool		alone; /* the other side can't take it together with others */
	const char *message;
	List	   *acknowledgements;
} Group;

typedef struct Sender
{
	Connection	 *conn;
	const Entity *entity;
	List		 *names;	  /* of char *: columns of the key */
	const char	 *successful; /* what this feed calls the two others */
	const char	 *message;
} Sender;

const char *
asctrac_acknowledge_key(const Entity *entity)
{
	return asctrac_detail(entity)->acknowledge_key;
}

static List *
split_names(const char *names)
{
	List *list = NIL;

	for (;;)
	{
		size_t len = strcspn(names, ",");

		list = lappend(list, pnstrdup(names, len));
		if (names[len] == '\0')
			return list;
		names += len + 1;
	}
}

/* ---------------------------------------------------------------------
 * Groups
 * ---------------------------------------------------------------------
 */

static void
append_json(StringInfo out, const char *text)
{
	escape_json(out, pg_server_to_any(text, (int) strlen(text), PG_UTF8));
}

/* Numbers as they are, everything else as text; what is NULL here was empty there. */
static char *
key_members(const Sender *sender, const Acknowledgement *acknowledgement)
{
	StringInfoData out;
	ListCell	  *lc;

	initStringInfo(&out);
	foreach(lc, sender->names)
	{
		const EntityColumn *column = entity_find_column(sender->entity, lfirst(lc));
		const char		   *text = acknowledgement->key[foreach_current_index(lc)];
		bool				number = column->kind == VALUE_INTEGER || column->kind == VALUE_NUMERIC;

		appendStringInfo(&out, "\"%s\":", column->name);
		if (number)
			appendStringInfoString(&out, text != NULL ? text : "0");
		else
			append_json(&out, text != NULL ? text : "");
		appendStringInfoChar(&out, ',');
	}
	return out.data;
}

static void
add_to_group(Group *group, Acknowledgement *acknowledgement)
{
	if (!acknowledgement->accepted && group->accepted)
	{
		group->accepted = false;
		group->message = acknowledgement->message;
	}
	group->acknowledgements = lappend(group->acknowledgements, acknowledgement);
}

static Group *
make_group(const char *members)
{
	Group *group = palloc0(sizeof(Group));

	group->members = members;
	group->accepted = true;
	group->alone = strchr(members, '\'') != NULL;
	return group;
}

/* An entry of the table of groups. */
typedef struct GroupEntry
{
	uint64 hash; /* must be first */
	Group *group;
} GroupEntry;

static List *
make_groups(const Sender *sender, List *acknowledgements)
{
	HASHCTL	  control = {.keysize = sizeof(uint64), .entrysize = sizeof(GroupEntry)};
	HTAB	 *table;
	List	 *groups = NIL;
	ListCell *lc;

	control.hcxt = CurrentMemoryContext;
	table =
		hash_create("makini acknowledgements", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(lc, acknowledgements)
	{
		char	   *members = key_members(sender, lfirst(lc));
		uint64		hash = hash_bytes_extended((unsigned char *) members, (int) strlen(members), 0);
		bool		found;
		GroupEntry *entry = hash_search(table, &hash, HASH_ENTER, &found);

		/* Of two keys with one hash, the second is sent as often as it occurs. */
		if (!found || strcmp(entry->group->members, members) != 0)
		{
			Group *group = make_group(members);

			groups = lappend(groups, group);
			if (!found)
				entry->group = group;
			add_to_group(group, lfirst(lc));
		}
		else
			add_to_group(entry->group, lfirst(lc));
	}
	hash_destroy(table);
	return groups;
}

/* ---------------------------------------------------------------------
 * Sending
 * ---------------------------------------------------------------------
 */

static void
append_group(const Sender *sender, StringInfo body, const Group *group)
{
	appendStringInfo(body, "%c{%s\"%s\":%s,\"%s\":", body->len == 0 ? '[' : ',', group->members,
					 sender->successful, group->accepted ? "true" : "false", sender->message);
	append_json(body, group->accepted || group->message == NULL ? "" : group->message);
	appendStringInfoChar(body, '}');
}

static RemoteFault *
put(const Sender *sender, StringInfo body)
{
	RemoteRequest request = {.method = "PUT", .repeatable = true};

	appendStringInfoChar(body, ']');
	request.url =
		psprintf("%s%s", sender->conn->endpoint.base_url, asctrac_detail(sender->entity)->path);
	request.body = body->data;
	request.body_len = body->len;
	request.headers =
		list_make2("Accept: application/json", "Content-Type: application/json; charset=utf-8");
	return remote_call_fault(remote_call_start(&sender->conn->endpoint, &request));
}

static void
note_done(List *groups)
{
	ListCell *lc;

	foreach(lc, groups)
	{
		ListCell *lc2;

		foreach(lc2, ((Group *) lfirst(lc))->acknowledgements)
			((Acknowledgement *) lfirst(lc2))->done = true;
	}
}

static void
send_chunk(const Sender *sender, StringInfo body, List *groups)
{
	RemoteFault *fault = put(sender, body);

	if (fault != NULL)
		remote_raise(fault, &sender->conn->endpoint);
	note_done(groups);
	resetStringInfo(body);
}

/* A key that may be refused for what stands in it must not take others with it. */
static void
send_alone(const Sender *sender, Group *group)
{
	StringInfoData body;
	RemoteFault	  *fault;
	ListCell	  *lc;

	initStringInfo(&body);
	append_group(sender, &body, group);
	fault = put(sender, &body);
	if (fault == NULL)
		note_done(list_make1(group));
	else if (fault->cls != REMOTE_REJECTED)
		remote_raise(fault, &sender->conn->endpoint);
	else
	{
		foreach(lc, group->acknowledgements)
			((Acknowledgement *) lfirst(lc))->error =
				fault->remote_message != NULL ? fault->remote_message : fault->message;
	}
}

/*
 * asctrac_acknowledge
 *		Acknowledge rows of a feed; sets done of each that was taken, and error
 *		of one that was refused by itself.  Raises whatever else goes wrong.
 */
void
asctrac_acknowledge(Connection *conn, const Entity *entity, List *acknowledgements)
{
	const AsctracDetail *detail = asctrac_detail(entity);
	Sender				 sender = {.conn = conn, .entity = entity};
	bool				 parcel = entity_find_column(entity, "ErrorMessage") != NULL;
	StringInfoData		 body;
	List				*chunk = NIL;
	ListCell			*lc;

	if (detail->acknowledge_key == NULL || acknowledgements == NIL)
		return;
	sender.names = split_names(detail->acknowledge_key);
	sender.successful = parcel ? "Successful" : "SUCCESSFUL";
	sender.message = parcel ? "ErrorMessage" : "ERROR_MESSAGE";
	initStringInfo(&body);
	foreach(lc, make_groups(&sender, acknowledgements))
	{
		Group *group = lfirst(lc);

		if (group->alone)
		{
			send_alone(&sender, group);
			continue;
		}
		append_group(&sender, &body, group);
		chunk = lappend(chunk, group);
		if (body.len >= MAX_BODY)
		{
			send_chunk(&sender, &body, chunk);
			chunk = NIL;
		}
	}
	if (chunk != NIL)
		send_chunk(&sender, &body, chunk);
}
