/*-------------------------------------------------------------------------
 *
 * asctrac.c
 *		The ASCTrac connector: what it offers, in one table.
 *
 * Neither service sorts, limits, joins or aggregates.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/asctrac/asctrac.h"

static bool
cannot_order(const SourceColumn *column, bool bounded_by_page)
{
	(void) column;
	(void) bounded_by_page;
	return false;
}

static bool
cannot_aggregate(AggregateKind aggregate, const SourceColumn *column)
{
	(void) aggregate;
	(void) column;
	return false;
}

static bool
cannot_group(const SourceColumn *column)
{
	(void) column;
	return false;
}

static bool
cannot_join(const SourceColumn *left, const SourceColumn *right)
{
	(void) left;
	(void) right;
	return false;
}

const Connector asctrac_connector = {
	.wrapper = "asctrac_fdw",
	.query_label = "Request",
	.options = asctrac_options,
	.entities = asctrac_entities,
	.connect = asctrac_connect,
	.judge = asctrac_judge,
	.can_order = cannot_order,
	.can_aggregate = cannot_aggregate,
	.can_group = cannot_group,
	.can_join = cannot_join,
	.describe = asctrac_describe,
	.open = asctrac_open,
	.next_page = asctrac_next_page,
	.close = asctrac_close,
	.wait = asctrac_wait,
	.position = asctrac_position,
	.range = asctrac_range,
	.expected = asctrac_expected,
	.answered_at = asctrac_answered_at,
	.traits = asctrac_traits,
	.feed_open = asctrac_feed_open,
	.feed_next = asctrac_feed_next,
	.feed_close = asctrac_feed_close,
	.feed_untouched = asctrac_feed_untouched,
	.feed_again = asctrac_feed_again,
	.feed_flag = asctrac_feed_flag,
	.feed_redelivers = asctrac_feed_redelivers,
	.acknowledge_key = asctrac_acknowledge_key,
	.acknowledge = asctrac_acknowledge,
	.check_drain = asctrac_check_drain,
	.begin_write = asctrac_begin_write,
	.write_rows = asctrac_write_rows,
	.write_batch = asctrac_write_batch,
	.discovers_locally = true,
	.discover = asctrac_discover,
	.probe = asctrac_probe,
};
