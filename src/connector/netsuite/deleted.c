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

#include "utils/timestamp.h"

#include "connector/netsuite/netsuite.h"

static SourceColumn *
make_column(const Entity *entity, const char *name)
{
	const EntityColumn *known = entity_find_column(entity, name);
	SourceColumn	   *column = palloc0(sizeof(SourceColumn));

	column->name = known->name;
	column->kind = known->kind;
	column->nullable = !known->required;
	column->code = known->code;
	return column;
}

static char *
utc_text(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		 fsec;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	return psprintf("%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour,
					tm.tm_min, tm.tm_sec);
}

static Filter *
make_since(SourceColumn *column, TimestampTz since)
{
	Filter		*filter = palloc0(sizeof(Filter));
	FilterValue *value = palloc0(sizeof(FilterValue));

	value->text = utc_text(since);
	filter->kind = FILTER_COMPARE;
	filter->op = CMP_GE;
	filter->column = column;
	filter->values = list_make1(value);
	return filter;
}

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
	SourceColumn *id = make_column(entity, "recordid");

	if (list_length(source->key) != 1 || ((SourceColumn *) linitial(source->key))->kind != VALUE_INTEGER)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("deletions of \"%s\" are not kept",
						source->entity != NULL ? source->entity : "query"),
				 errdetail("NetSuite keeps those of records with an internal id.")));
	deleted->entity = entity->name;
	deleted->catalogue = entity;
	deleted->key = list_make2(id, make_column(entity, "recordtypeid"));
	deleted->key = lappend(deleted->key, make_column(entity, "scriptid"));
	output->column = id;
	query.sources = list_make1(deleted);
	query.columns = list_make1(output);
	if (since != 0)
		query.where = make_since(make_column(entity, "deleteddate"), since);
	return netsuite_open(conn, &query);
}
