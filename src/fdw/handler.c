/*-------------------------------------------------------------------------
 *
 * handler.c
 *		Entry points of the foreign-data wrappers.
 *
 * Every wrapper has the same routines: what differs between remote systems is
 * behind the connector that a table's server belongs to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "fmgr.h"

#include "connector/option.h"
#include "fdw/fdw.h"

PG_FUNCTION_INFO_V1(makini_fdw_handler);
PG_FUNCTION_INFO_V1(netsuite_fdw_validator);
PG_FUNCTION_INFO_V1(asctrac_fdw_validator);

/*
 * makini_fdw_handler
 *		The routines of all wrappers of makini.
 */
Datum
makini_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = rel_size;
	routine->GetForeignPaths = rel_paths;
	routine->GetForeignPlan = rel_plan;
	routine->GetForeignJoinPaths = join_paths;
	routine->GetForeignUpperPaths = upper_paths;
	routine->BeginForeignScan = scan_begin;
	routine->IterateForeignScan = scan_iterate;
	routine->ReScanForeignScan = scan_rescan;
	routine->EndForeignScan = scan_end;
	routine->ExplainForeignScan = scan_explain;
	routine->IsForeignRelUpdatable = write_updatable;
	routine->PlanForeignModify = write_plan;
	routine->BeginForeignModify = write_begin;
	routine->BeginForeignInsert = write_begin_routed;
	routine->ExecForeignInsert = write_insert;
	routine->ExecForeignBatchInsert = write_batch;
	routine->GetForeignModifyBatchSize = write_batch_size;
	routine->EndForeignModify = write_end;
	routine->ExplainForeignModify = write_explain;
	routine->EndForeignInsert = write_end;
	routine->AnalyzeForeignTable = table_analyze;
	routine->ImportForeignSchema = schema_import;
	PG_RETURN_POINTER(routine);
}

static Datum
validate(const char *wrapper, FunctionCallInfo fcinfo)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));

	options_validate(connector_of_wrapper(wrapper)->options, options, PG_GETARG_OID(1));
	PG_RETURN_VOID();
}

/*
 * netsuite_fdw_validator
 *		Checks options of servers, mappings, tables and columns when they are
 *		set.
 */
Datum
netsuite_fdw_validator(PG_FUNCTION_ARGS)
{
	return validate("netsuite_fdw", fcinfo);
}

/*
 * asctrac_fdw_validator
 *		The same for asctrac_fdw.
 */
Datum
asctrac_fdw_validator(PG_FUNCTION_ARGS)
{
	return validate("asctrac_fdw", fcinfo);
}
