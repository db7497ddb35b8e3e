/*-------------------------------------------------------------------------
 *
 * probe_step.h
 *		The steps of a probe: how each went, how long it took, and whether those
 *		that build on it are worth trying.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_PROBE_STEP_H
#define MAKINI_PROBE_STEP_H

#include "postgres.h"

#include "portability/instr_time.h"

#include "connector/connector.h"

#define STEP_OK "ok"
#define STEP_WARNING "warning"
#define STEP_FAILED "failed"
#define STEP_SKIPPED "skipped"

typedef struct ProbeSteps
{
	List	  *done;	/* of ProbeStep * */
	instr_time started; /* of the present step */
	bool	   failed;	/* a step that the rest builds on has failed */
} ProbeSteps;

extern void step_begin(ProbeSteps *steps);
extern void step_end(ProbeSteps *steps, const char *name, const char *status, const char *detail,
					 const char *hint);

/* Begin a step; true, having noted it, when an earlier failure leaves nothing to try. */
extern bool step_skip(ProbeSteps *steps, const char *name);

/* End a step that the rest builds on with what was answered. */
extern void step_fail(ProbeSteps *steps, const char *name, const RemoteFault *fault);

/* What was answered, in a line. */
extern char *step_describe_fault(const RemoteFault *fault);

#endif /* MAKINI_PROBE_STEP_H */
