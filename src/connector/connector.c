/*-------------------------------------------------------------------------
 *
 * connector.c
 *		The table of connectors, and looking things up in their catalogues.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "foreign/foreign.h"

#include "connector/connector.h"
#include "nearest.h"

extern const Connector asctrac_connector;
extern const Connector netsuite_connector;

static const Connector *const connectors[] = {
	&netsuite_connector,
	&asctrac_connector,
};

/*
 * connector_of_wrapper
 *		The connector behind a foreign-data wrapper's name, or NULL.
 */
const Connector *
connector_of_wrapper(const char *wrapper)
{
	for (int i = 0; i < (int) lengthof(connectors); i++)
	{
		if (strcmp(connectors[i]->wrapper, wrapper) == 0)
			return connectors[i];
	}
	return NULL;
}

/*
 * connector_of_server
 *		The connector behind a server; raises 42809 for servers of other
 *		wrappers.
 */
const Connector *
connector_of_server(Oid serverid)
{
	ForeignServer	   *server = GetForeignServer(serverid);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);
	const Connector	   *connector = connector_of_wrapper(wrapper->fdwname);

	if (connector == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not one of makini's", server->servername),
				 errdetail("Its foreign-data wrapper is \"%s\".", wrapper->fdwname)));
	return connector;
}

/*
 * connector_find_entity
 *		An entity of the built-in catalogue by its name, without regard to
 *		case, or NULL.
 */
const Entity *
connector_find_entity(const Connector *connector, const char *name)
{
	int			  n;
	const Entity *entities = connector->entities(&n);

	for (int i = 0; i < n; i++)
	{
		if (pg_strcasecmp(entities[i].name, name) == 0)
			return &entities[i];
	}
	return NULL;
}

/*
 * connector_nearest_entity
 *		The name most like one that the catalogue lacks, or NULL.
 */
const char *
connector_nearest_entity(const Connector *connector, const char *name)
{
	int			  n;
	const Entity *entities = connector->entities(&n);
	Nearest		  nearest;

	nearest_init(&nearest, name);
	for (int i = 0; i < n; i++)
		nearest_offer(&nearest, entities[i].name);
	return nearest_found(&nearest);
}

/*
 * entity_traits
 *		What syncs have to know of an entity; entity may be NULL, for tables that
 *		are not built in and for query texts.
 */
void
entity_traits(const Connector *connector, const Entity *entity, EntityTraits *traits)
{
	memset(traits, 0, sizeof(*traits));
	traits->deletes = DELETES_BY_FULL_PASS;
	traits->full_every = "7 days";
	if (entity != NULL)
		connector->traits(entity, traits);
}

/*
 * entity_find_column
 *		A column of an entity by its remote name, without regard to case, or
 *		NULL.
 */
const EntityColumn *
entity_find_column(const Entity *entity, const char *name)
{
	for (int i = 0; i < entity->ncolumns; i++)
	{
		if (pg_strcasecmp(entity->columns[i].name, name) == 0)
			return &entity->columns[i];
	}
	return NULL;
}

/*
 * entity_is_parameter
 *		Does a column supply a parameter of a look-up?
 */
bool
entity_is_parameter(const Entity *entity, const char *column)
{
	for (int i = 0; i < entity->nparameters; i++)
	{
		if (entity->parameters[i].column != NULL &&
			pg_strcasecmp(entity->parameters[i].column, column) == 0)
			return true;
	}
	return false;
}

/*
 * entity_needs_parameter
 *		Is there something without which nothing of it can be read?
 */
bool
entity_needs_parameter(const Entity *entity)
{
	for (int i = 0; i < entity->nparameters; i++)
	{
		if (entity->parameters[i].required || entity->parameters[i].one_of)
			return true;
	}
	return false;
}

/*
 * connector_has_option
 *		Is there such an option in a catalogue?
 */
bool
connector_has_option(const Connector *connector, const char *name, Oid context)
{
	for (const OptionDef *def = connector->options; def->name != NULL; def++)
	{
		if (def->context == context && strcmp(def->name, name) == 0)
			return true;
	}
	return false;
}
