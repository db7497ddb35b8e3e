/*-------------------------------------------------------------------------
 *
 * explain.c
 *		What EXPLAIN says of a foreign scan: the remote text with VERBOSE, what
 *		it took with ANALYZE.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/fdw.h"

static void
explain_text(ForeignScanState *node, RemoteScan *state, ExplainState *es)
{
	ForeignScan	  *plan = (ForeignScan *) node->ss.ps.plan;
	Table		  *table = linitial(state->tables);
	Connection	  *outline = connection_outline(table->serverid);
	RemoteQuery	  *query = query_from_spec(state->spec, state->tables);
	StringInfoData label;
	List		  *params;
	char		  *text;

	query->on = filter_describe(state->spec->on, plan->fdw_exprs);
	query->where = filter_describe(state->spec->where, plan->fdw_exprs);
	text = outline->connector->describe(outline, query, &params);
	ExplainPropertyText(outline->connector->query_label, text, es);
	if (params == NIL)
		return;
	initStringInfo(&label);
	appendStringInfo(&label, "%s Parameters", outline->connector->query_label);
	ExplainPropertyList(label.data, params, es);
}

static void
explain_usage(const RemoteScan *state, ExplainState *es)
{
	ExplainPropertyInteger("Requests", NULL, state->usage.requests, es);
	ExplainPropertyInteger("Pages", NULL, state->total_pages, es);
	ExplainPropertyInteger("Retries", NULL, state->usage.retries, es);
	ExplainPropertyInteger("Bytes", NULL, state->usage.bytes, es);
	if (es->timing)
		ExplainPropertyFloat("Wait", "ms", state->usage.wait_us / 1000.0, 3, es);
}

/*
 * scan_explain
 *		ExplainForeignScan.
 */
void
scan_explain(ForeignScanState *node, ExplainState *es)
{
	RemoteScan *state = node->fdw_state;

	if (es->verbose)
		explain_text(node, state, es);
	if (es->analyze)
		explain_usage(state, es);
}
