/*-------------------------------------------------------------------------
 *
 * deleted.c
 *		Which records were deleted, as NetSuite keeps it.
 *
 * The table tells record types by numbers that are documented nowhere and by
 * names that follow the account's language, and ids of other types may be the
 * same numbers.  So all are read, and whoever reads them asks for those that it
 * has before it believes that they are gone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/filter.h"
#include "connector/netsuite/netsuite.h"

/*
 * netsuite_open_deleted
 *		Read the ids of records of any type that were deleted since a time.
 */
Reader *
netsuite_open_deleted(Connection *conn, const Source *source, TimestampTz since)
{
	const Entity *entity = connector_find_entity(&netsuite_connector, "deletedrecord");
	Source		 *deleted = palloc0(sizeof(Source));
	RemoteQuery	  query = {.limit = -1};
	QueryColumn	 *output = palloc0(sizeof(QueryColumn));
	SourceColumn *id = source_column_of_entity(entity, "recordid");

	if (list_length(source->key) != 1 || ((SourceColumn *) linitial(source->key))->kind != VALUE_INTEGER)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("deletions of \"%s\" are not kept",
						source->entity != NULL ? source->entity : "query"),
				 errdetail("NetSuite keeps those of records with an internal id.")));
	deleted->entity = entity->name;
	deleted->catalogue = entity;
	deleted->key = list_make2(id, source_column_of_entity(entity, "recordtypeid"));
	deleted->key = lappend(deleted->key, source_column_of_entity(entity, "scriptid"));
	output->column = id;
	query.sources = list_make1(deleted);
	query.columns = list_make1(output);
	if (since != 0)
		query.where = filter_compare(CMP_GE, 0, source_column_of_entity(entity, "deleteddate"),
									 filter_moment(since));
	return netsuite_open(conn, &query);
}
