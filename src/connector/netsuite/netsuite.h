/*-------------------------------------------------------------------------
 *
 * netsuite.h
 *		What the files of the NetSuite connector share.
 *
 * options.c turns options into a connection, suiteql.c writes query texts and
 * moment.c the times in them, suiteql_judge.c says what means the same there,
 * read.c fetches pages with paging.c, arrival.c, lanes.c and position.c,
 * deleted.c reads what is gone, classify.c says what an answer means, discover.c
 * looks at the account's tables and columns, probe.c walks through the connection
 * step by step, catalogue.c and traits.c hold what is built in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_NETSUITE_H
#define MAKINI_NETSUITE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "connector/connector.h"

/* What SuiteQL allows. */
#define SUITEQL_MAX_IN 1000		/* members of an IN list */
#define SUITEQL_MAX_ROWS 100000 /* reachable by offset for one query text */

/* netsuite.c */
extern const Connector netsuite_connector;

/* options.c */
extern const OptionDef netsuite_options[];
extern void netsuite_connect(Connection *conn, List *server_options, List *mapping_options);

/* catalogue.c */
extern const Entity *netsuite_entities(int *n);

/* classify.c */
extern RemoteClass netsuite_classify(const RemoteResponse *response, RemoteFault *fault);
extern bool		   netsuite_bad_identifier(const RemoteFault *fault, char *name, size_t len);

/* discover.c */
extern List *netsuite_discover(Connection *conn, const ImportRequest *request);

/* probe.c */
extern List *netsuite_probe(Connection *conn);

/*
 * A position in the order of a query: one text per order column as it came in
 * a page, NULL for SQL NULL.
 */
typedef struct SuiteqlPosition
{
	int			n;
	const char *values[FLEXIBLE_ARRAY_MEMBER];
} SuiteqlPosition;

/* What one page asks for, on top of the query. */
typedef struct SuiteqlPage
{
	List				  *order;		/* of QueryOrder *: ORDER BY, and what the positions mean */
	const SuiteqlPosition *after;		/* rows behind this one, or NULL */
	const SuiteqlPosition *upto;		/* rows up to and with this one, or NULL */
	int64				   fetch_first; /* FETCH FIRST n ROWS ONLY, -1: none */
	List				  *in_values;	/* stands for the values of split_in, when that is set */
	const Filter		  *split_in;
} SuiteqlPage;

/* suiteql.c */
extern void	 suiteql_column(StringInfo out, Connection *conn, const char *alias,
							const SourceColumn *column);
extern char *suiteql_statement(Connection *conn, const RemoteQuery *query, const SuiteqlPage *page,
							   List **params);
extern char *suiteql_column_name(const RemoteQuery *query, int index);
extern char *suiteql_extreme(Connection *conn, const RemoteQuery *query, AggregateKind aggregate,
							 const QueryOrder *order, List **params);
extern char *suiteql_count(Connection *conn, const RemoteQuery *query, List **params);

/* suiteql_judge.c */
extern FilterVerdict suiteql_judge(const Filter *leaf);
extern bool			 suiteql_can_order(const SourceColumn *column, bool bounded_by_page);
extern bool			 suiteql_can_aggregate(AggregateKind aggregate, const SourceColumn *column);
extern bool			 suiteql_can_group(const SourceColumn *column);
extern bool			 suiteql_can_join(const SourceColumn *left, const SourceColumn *right);

/* moment.c: texts are canonical, of timestamptz */
extern char *moment_to_second(const char *text, bool up);
extern char *moment_near(const char *text, bool lower);
extern char *moment_as_wall(const char *text, const char *zone, bool lower);

/* read.c */
extern RemoteCall *suiteql_call(Connection *conn, const char *statement, List *params, int limit,
								int64 offset);
extern Reader	  *netsuite_open(Connection *conn, const RemoteQuery *query);
extern CellPage	  *netsuite_next_page(Reader *reader);
extern void		   netsuite_close(Reader *reader);
extern void		   netsuite_wait(Reader *reader);
extern int64	   netsuite_expected(Reader *reader);
extern TimestampTz netsuite_answered_at(Reader *reader);
extern double	   netsuite_count(Connection *conn, const RemoteQuery *query);
extern char		  *netsuite_describe(Connection *conn, const RemoteQuery *query, List **params);

/* position.c */
extern char *netsuite_position(Reader *reader);
extern bool	 netsuite_range(Reader *reader, PageRange *range);

/* traits.c */
extern void netsuite_traits(const Entity *entity, EntityTraits *traits);

/* deleted.c */
extern Reader *netsuite_open_deleted(Connection *conn, const Source *source, TimestampTz since);

#endif /* MAKINI_NETSUITE_H */
