/*-------------------------------------------------------------------------
 *
 * compare.h
 *		What compare.c, missing.c, seen.c and difference.c share: statements over a
 *		page and the range of keys that it covers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_SYNC_COMPARE_H
#define MAKINI_SYNC_COMPARE_H

#include "sync/apply.h"

/* Arguments behind the page's, counted from 1 as in SQL. */
#define COMPARE_BEFORE(target) (PAGE_NARGS(target) + 1)
#define COMPARE_HISTORY(target) (PAGE_NARGS(target) + 2)
#define COMPARE_LOW(target) (PAGE_NARGS(target) + 3)
#define COMPARE_HIGH(target) (PAGE_NARGS(target) + 4)
#define COMPARE_NMORE 4

/* Texts of values that do not depend on the session's settings. */
extern int	stable_texts_begin(void);
extern void stable_texts_end(int level);

/* " AND ...": rows t of the sync's scope, in the range, not deleted. */
extern void	 sql_scope(StringInfo sql, Apply *apply);
extern void	 sql_bound(StringInfo sql, const Target *target, const PageRange *range, bool low);
extern char *sql_bound_value(Oid type, int parameter, int at);
extern const TargetColumn *compare_ordered_column(const Target *target, const PageRange *range, int at);
extern void				   sql_in_range(StringInfo sql, Apply *apply, const PageRange *range);
extern void				   sql_not_in_page(StringInfo sql, const Target *target);
extern void				   sql_same_key(StringInfo sql, const Target *target);
extern void compare_execute(Apply *apply, const char *sql, PlanKind kind, const Rows *rows,
							const PageRange *range, TimestampTz before);

extern Portal compare_cursor(Apply *apply, const char *sql, TimestampTz before);

/* ---- missing.c: keys as texts ---- */
extern void	 sql_key_array(StringInfo sql, const Target *target, bool page);
extern void	 sql_written_before(StringInfo sql, const Target *target);
extern List *compare_keys(Apply *apply, const char *sql, PlanKind kind, const Rows *rows,
						  const PageRange *range, TimestampTz before);
extern void	 compare_private(int64 sync_id, const char *statement, List *keys);

/* ---- seen.c ---- */

/* Note all rows of the scope that were not seen as missing. */
extern void seen_judge(Apply *apply, TimestampTz before);

#endif /* MAKINI_SYNC_COMPARE_H */
