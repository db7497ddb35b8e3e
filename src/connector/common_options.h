/*-------------------------------------------------------------------------
 *
 * common_options.h
 *		Options that mean the same for every connector.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_COMMON_OPTIONS_H
#define MAKINI_COMMON_OPTIONS_H

#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "nodes/pg_list.h"

#include "connector/connector.h"

/* Rows of a connector's option table. */
/* clang-format off */
#define SERVER_OPTION(option_name, option_type, ...) \
	{.name = option_name, .context = ForeignServerRelationId, .type = OPTION_##option_type, ##__VA_ARGS__}
#define MAPPING_OPTION(option_name, option_type, ...) \
	{.name = option_name, .context = UserMappingRelationId, .type = OPTION_##option_type, ##__VA_ARGS__}
#define TABLE_OPTION(option_name, option_type, ...) \
	{.name = option_name, .context = ForeignTableRelationId, .type = OPTION_##option_type, ##__VA_ARGS__}
#define COLUMN_OPTION(option_name, option_type, ...) \
	{.name = option_name, .context = AttributeRelationId, .type = OPTION_##option_type, ##__VA_ARGS__}

#define COMMON_SERVER_OPTIONS \
	SERVER_OPTION("base_url", URL), \
	SERVER_OPTION("token_url", URL), \
	SERVER_OPTION("time_zone", ZONE), \
	SERVER_OPTION("api_version", ENUM, .values = "v1"), \
	SERVER_OPTION("max_concurrency", INT, .min = 1, .max = 200), \
	SERVER_OPTION("sync_concurrency", INT, .min = 1, .max = 200), \
	SERVER_OPTION("connect_timeout", DURATION, .min = 1, .max = 3600000), \
	SERVER_OPTION("request_timeout", DURATION, .min = 1, .max = 86400000), \
	SERVER_OPTION("max_retries", INT, .min = 0, .max = 100), \
	SERVER_OPTION("ca_file", FILE, .superuser = true), \
	SERVER_OPTION("proxy", URL, .superuser = true), \
	SERVER_OPTION("allow_http", BOOL, .superuser = true), \
	SERVER_OPTION("allow_private", BOOL, .superuser = true), \
	SERVER_OPTION("use_remote_estimate", BOOL), \
	SERVER_OPTION("fetch_ahead", INT, .min = 0, .max = 16)
/* clang-format on */

/* A URL option without the slashes at its end, or NULL. */
extern char *option_url(List *options, const char *name);

/* Fill credential->fingerprint from its other fields. */
extern void credential_fingerprint(Credential *credential);

#endif /* MAKINI_COMMON_OPTIONS_H */
