/*-------------------------------------------------------------------------
 *
 * target.h
 *		What target.c and prepare.c share about a local table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SYNC_TARGET_H
#define MAKINI_SYNC_TARGET_H

#include "sync/sync.h"

#include "utils/jsonb.h"

/* A member of a sync's constants. */
typedef struct TargetConstant
{
	char		*name;
	char		*text;
	enum jbvType kind;
} TargetConstant;

extern char				*target_qualified_name(Relation rel);
extern void				 target_refuse_rules(Relation rel);
extern bool				 target_check_kind(Relation rel);
extern void				 target_check_rights(Relation rel, Oid role);
extern bool				 type_runs_code(Oid type);
extern void				 target_check_marks(Relation rel, DeleteMode deletes);
extern bool				 target_is_mark(const char *name);
extern Form_pg_attribute target_attribute(Relation rel, const char *name);
extern void	 target_column(Relation rel, const SelectedColumn *selected, TargetColumn *column);
extern void	 target_check_key_column(Relation rel, const TargetColumn *column);
extern List *target_constants(const char *json);

#endif /* MAKINI_SYNC_TARGET_H */
