/*-------------------------------------------------------------------------
 *
 * probe_step.c
 *		The steps of a probe: how each went, how long it took, and whether those
 *		that build on it are worth trying.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "connector/probe_step.h"

void
step_begin(ProbeSteps *steps)
{
	INSTR_TIME_SET_CURRENT(steps->started);
}

void
step_end(ProbeSteps *steps, const char *name, const char *status, const char *detail, const char *hint)
{
	ProbeStep *step = palloc0(sizeof(ProbeStep));
	instr_time elapsed;

	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, steps->started);
	step->step = name;
	step->status = status;
	step->detail = detail;
	step->hint = hint;
	step->ms = INSTR_TIME_GET_MILLISEC(elapsed);
	steps->done = lappend(steps->done, step);
}

bool
step_skip(ProbeSteps *steps, const char *name)
{
	step_begin(steps);
	if (steps->failed)
		step_end(steps, name, STEP_SKIPPED, "an earlier step failed", NULL);
	return steps->failed;
}

void
step_fail(ProbeSteps *steps, const char *name, const RemoteFault *fault)
{
	step_end(steps, name, STEP_FAILED, step_describe_fault(fault), fault->hint);
	steps->failed = true;
}

char *
step_describe_fault(const RemoteFault *fault)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, fault->message);
	if (fault->http_status > 0)
		appendStringInfo(&out, "; HTTP %ld", fault->http_status);
	if (fault->remote_code)
		appendStringInfo(&out, " %s", fault->remote_code);
	if (fault->remote_message)
		appendStringInfo(&out, ": %s", fault->remote_message);
	if (fault->operation_id)
		appendStringInfo(&out, " (operation id %s)", fault->operation_id);
	return out.data;
}
