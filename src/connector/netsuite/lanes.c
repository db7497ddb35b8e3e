/*-------------------------------------------------------------------------
 *
 * lanes.c
 *		Several chains of pages of one query, side by side.
 *
 * A query whose order begins with an integer, that relies on no order and is
 * long enough is cut into ranges of that integer, each a chain of pages of its
 * own (a "lane").  A lane that has finished takes half of what the longest
 * still has before it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "connector/netsuite/reader.h"

/* So many pages have to be left for it to be worth another request. */
#define WORTH_LANES 4

static int
wanted_lanes(const Reader *reader)
{
	return Max(1, Min(reader->ahead, MAX_LANES));
}

/*
 * lane_begin
 *		A lane that is free, at the beginning of the query; NULL when there is
 *		none.
 */
Lane *
lane_begin(Reader *reader)
{
	Lane		 *lane = NULL;
	MemoryContext cxt;

	for (int i = 0; i < reader->nlanes && lane == NULL; i++)
	{
		if (reader->lanes[i].finished)
			lane = &reader->lanes[i];
	}
	if (lane == NULL && reader->nlanes < wanted_lanes(reader))
		lane = &reader->lanes[reader->nlanes++];
	if (lane == NULL)
		return NULL;
	cxt = lane->cxt;
	memset(lane, 0, sizeof(Lane));
	lane->cxt = cxt != NULL ?
		cxt :
		AllocSetContextCreate(reader->cxt, "makini position", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(lane->cxt);
	lane->remaining = -1;
	return lane;
}

/*
 * lanes_clear
 *		Have no lanes at all.
 */
void
lanes_clear(Reader *reader)
{
	for (int i = 0; i < reader->nlanes; i++)
	{
		if (reader->lanes[i].cxt != NULL)
			MemoryContextDelete(reader->lanes[i].cxt);
	}
	memset(reader->lanes, 0, sizeof(reader->lanes));
	reader->nlanes = 0;
	reader->extreme_known = false;
}

/*
 * lanes_busy
 *		How many lanes have something to come.
 */
int
lanes_busy(Reader *reader)
{
	int n = 0;

	for (int i = 0; i < reader->nlanes; i++)
		n += !reader->lanes[i].finished;
	return n;
}

/* ---------------------------------------------------------------------
 * The end of the range that has none
 * ---------------------------------------------------------------------
 */

static bool
is_open(const Lane *lane)
{
	return !lane->finished && !lane->has_high;
}

/* The lane that runs to the end: there is one at most. */
static Lane *
open_lane(Reader *reader)
{
	for (int i = 0; i < reader->nlanes; i++)
	{
		if (is_open(&reader->lanes[i]))
			return &reader->lanes[i];
	}
	return NULL;
}

static bool
open_range_is_queued(const Reader *reader)
{
	ListCell *lc;

	foreach(lc, reader->queued)
	{
		if (is_open(lfirst(lc)))
			return true;
	}
	return false;
}

static void
ask_for_extreme(Reader *reader)
{
	QueryOrder	 *order = linitial(reader->order);
	MemoryContext old = MemoryContextSwitchTo(reader->cxt);
	List		 *params;
	char		 *statement;

	statement = suiteql_extreme(reader->conn, reader->query, AGGREGATE_MAX, order, &params);
	reader->extreme = suiteql_call(reader->conn, statement, params, 1, 0);
	MemoryContextSwitchTo(old);
}

/*
 * Once a page has shown that there is much to read, ask for the greatest key,
 * while its lane goes on.  False while it is not known.
 */
static bool
knows_extreme(Reader *reader)
{
	Lane *lane;

	if (reader->extreme_known)
		return true;
	if (reader->extreme != NULL || open_range_is_queued(reader))
		return false;
	lane = open_lane(reader);
	if (lane != NULL && !lane->answered)
		return false;
	if (lane != NULL && lane->remaining > WORTH_LANES * reader->conn->page_size)
	{
		ask_for_extreme(reader);
		return false;
	}
	if (lane != NULL)
		lane->high = PG_INT64_MIN;
	reader->extreme_known = true;
	return true;
}

/*
 * lanes_take_extreme
 *		The answer to what the greatest key is.
 */
void
lanes_take_extreme(Reader *reader)
{
	const char	   *names[] = {"c1"};
	RemoteResponse *response = remote_call_result(reader->extreme);
	PageColumns	   *columns = page_columns_create(names, 1);
	CellPage		page = {0};
	PageError		error;
	Lane		   *lane = open_lane(reader);
	int64			high = PG_INT64_MIN;

	if (columns != NULL && page_decode(&page, columns, response->body, response->body_len, 1, &error) &&
		page.nrows == 1 && page.cells[0].text != NULL)
		high = pg_strtoint64(page.cells[0].text);
	if (lane != NULL)
		lane->high = high;
	page_free(&page);
	page_columns_free(columns);
	remote_call_free(reader->extreme);
	reader->extreme = NULL;
	reader->extreme_known = true;
	lanes_spread(reader);
}

/* ---------------------------------------------------------------------
 * Cutting ranges
 * ---------------------------------------------------------------------
 */

static Lane *
longest_lane(Reader *reader)
{
	Lane *longest = NULL;

	for (int i = 0; i < reader->nlanes; i++)
	{
		Lane *lane = &reader->lanes[i];

		if (!lane->finished && lane->has_position && lane->high > lane->position &&
			lane->remaining > 2 * reader->conn->page_size &&
			(longest == NULL || lane->remaining > longest->remaining))
			longest = lane;
	}
	return longest;
}

/*
 * Give a free lane the second half of what lies behind the page that the
 * longest lane has in flight.
 */
static bool
split_lane(Reader *reader, Lane *victim)
{
	double in_flight = reader->conn->page_size;
	double share = (in_flight + (victim->remaining - in_flight) / 2) / victim->remaining;
	double span = (double) victim->high - (double) victim->position;
	int64  middle = victim->position + (int64) (span * share);
	Lane  *thief;

	if (middle <= victim->position || middle >= victim->high)
	{
		victim->remaining = 0;
		return true;
	}
	thief = lane_begin(reader);
	if (thief == NULL)
		return false;
	thief->after = position_of_number(thief->cxt, middle);
	thief->position = middle;
	thief->has_position = true;
	thief->has_high = victim->has_high;
	thief->high = victim->high;
	thief->remaining = victim->remaining * (1 - share);
	thief->answered = true;
	victim->high = middle;
	victim->has_high = true;
	victim->remaining -= thief->remaining;
	reader_request_page(reader, thief);
	return true;
}

static void
start_queued(Reader *reader)
{
	while (reader->queued != NIL && lanes_busy(reader) < wanted_lanes(reader))
	{
		Lane *range = linitial(reader->queued);
		Lane *lane = lane_begin(reader);

		if (lane == NULL)
			return;
		lane->has_position = range->has_position;
		lane->position = range->position;
		lane->has_high = range->has_high;
		lane->high = range->high;
		lane->after = position_copy(lane->cxt, range->after);
		reader->queued = list_delete_first(reader->queued);
		reader_request_page(reader, lane);
	}
}

/*
 * lanes_spread
 *		Put free lanes to work, where there is some for them.
 */
void
lanes_spread(Reader *reader)
{
	start_queued(reader);
	if (!reader->parallel || !knows_extreme(reader))
		return;
	while (lanes_busy(reader) < wanted_lanes(reader))
	{
		Lane *victim = longest_lane(reader);

		if (victim == NULL || !split_lane(reader, victim))
			break;
	}
}
