/*-------------------------------------------------------------------------
 *
 * reader.h
 *		A query being read from NetSuite: what paging.c, arrival.c and read.c
 *		share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_NETSUITE_READER_H
#define MAKINI_NETSUITE_READER_H

#include "postgres.h"

#include "connector/netsuite/netsuite.h"

#define MAX_LANES 16

/* How the pages of a query are found. */
typedef enum Paging
{
	PAGING_ONCE,   /* one request holds it all */
	PAGING_KEYSET, /* each page begins behind the one before */
	PAGING_OFFSET
} Paging;

typedef struct Lane
{
	RemoteCall		*call;	/* in flight, or NULL */
	RemoteCall		*shown; /* the answer whose page the reader works on, or NULL */
	bool			 finished;
	bool			 has_position;
	bool			 has_high;	/* high is a bound; else the lane runs to the end */
	int64			 position;	/* where keys rise: last key seen */
	int64			 high;		/* last key of the lane's range; a guess without has_high */
	int64			 remaining; /* rows behind position, as the last page said; -1: unknown */
	SuiteqlPosition *after;		/* position for the query text, or NULL */
	MemoryContext	 cxt;		/* of after */
	int64			 offset;	/* PAGING_OFFSET */
} Lane;

struct Reader
{
	Connection	 *conn;
	MemoryContext cxt;		/* lives as long as the reader */
	MemoryContext page_cxt; /* converted cells of the page shown */
	RemoteQuery	 *query;	/* with the key columns added to its columns */
	int			  ncolumns; /* of the caller's query */
	Paging		  paging;
	List		 *order;		/* of QueryOrder *: what the text is ordered by */
	int			 *order_column; /* where each of them is among the columns */
	bool		  unique;		/* no two rows share a position */
	bool		  parallel;		/* may be cut into ranges */
	PageColumns	 *columns;
	CellPage	  page;
	int64		  delivered;	/* rows handed out */
	const char	 *operation_id; /* of the answer being taken in, or NULL */
	int			  nlanes;
	Lane		  lanes[MAX_LANES];
	bool		  extreme_known;
	RemoteCall	 *extreme;	/* greatest key asked for, or NULL */
	const Filter *split_in; /* the IN list that is too long for one text, or NULL */
	int			  split_at; /* its members already read */
	bool		  finished;
};

/* paging.c */
extern void paging_choose(Reader *reader);

/* arrival.c */
extern void arrival_take(Reader *reader, Lane *lane);

/* read.c */
extern void reader_request_page(Reader *reader, Lane *lane);
extern bool reader_has_enough(Reader *reader, int64 rows);

#endif /* MAKINI_NETSUITE_READER_H */
