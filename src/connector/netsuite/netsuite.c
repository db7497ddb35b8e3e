/*-------------------------------------------------------------------------
 *
 * netsuite.c
 *		The NetSuite connector: what it offers, in one table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/netsuite/discover.h"

const Connector netsuite_connector = {
	.wrapper = "netsuite_fdw",
	.query_label = "SuiteQL",
	.options = netsuite_options,
	.entities = netsuite_entities,
	.connect = netsuite_connect,
	.judge = suiteql_judge,
	.can_order = suiteql_can_order,
	.can_aggregate = suiteql_can_aggregate,
	.can_group = suiteql_can_group,
	.can_join = suiteql_can_join,
	.describe = netsuite_describe,
	.open = netsuite_open,
	.next_page = netsuite_next_page,
	.close = netsuite_close,
	.count = netsuite_count,
	.wait = netsuite_wait,
	.position = netsuite_position,
	.range = netsuite_range,
	.expected = netsuite_expected,
	.answered_at = netsuite_answered_at,
	.traits = netsuite_traits,
	.open_deleted = netsuite_open_deleted,
	.discover = netsuite_discover,
	.probe = netsuite_probe,
	.account_mark = custom_fields_mark,
};
