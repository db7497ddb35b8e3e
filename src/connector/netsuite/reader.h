/*-------------------------------------------------------------------------
 *
 * reader.h
 *		A query being read from NetSuite: what paging.c, arrival.c, lanes.c,
 *		position.c and read.c share.
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
	RemoteCall		*call; /* in flight, or NULL */
	bool			 answered;
	bool			 finished;
	bool			 has_position;
	bool			 has_high;	/* high is a bound; else the lane runs to the end */
	int64			 position;	/* numbered: first column of the last key seen */
	int64			 high;		/* the same of the range's last; a guess without has_high */
	int64			 remaining; /* rows behind position, as the last page said; -1: unknown */
	SuiteqlPosition *after;		/* last key seen, or its first columns; or NULL */
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
	bool		  doubtful;		/* ... says somebody who may be wrong */
	bool		  numbered;		/* the order begins with a rising integer that is never null */
	bool		  parallel;		/* may be cut into ranges of that integer */
	int			  ahead;		/* requests to have in flight while a page is worked on */
	PageColumns	 *columns;
	CellPage	  page;
	RemoteCall	 *shown;		/* the answer that page was made of, or NULL */
	int64		  delivered;	/* rows handed out */
	const char	 *operation_id; /* of the answer being taken in, or NULL */
	int			  nlanes;
	Lane		  lanes[MAX_LANES];
	List		 *queued; /* of Lane *: ranges taken up again that have no lane yet */
	bool		  extreme_known;
	RemoteCall	 *extreme;	/* greatest key asked for, or NULL */
	const Filter *split_in; /* the IN list that is too long for one text, or NULL */
	int			  split_at; /* its members already read */
	bool		  finished;

	/* For syncs. */
	bool			 tells_ranges; /* pages without rows are given too */
	bool			 covers;	   /* the page given last is all there is in a range */
	MemoryContext	 covered_cxt;
	SuiteqlPosition *covered_after; /* or NULL: from the beginning */
	SuiteqlPosition *covered_upto;	/* or NULL: to the end */
	bool			 noted;			/* there was an answer */
	int64			 opened;		/* of reactor_clock() */
	int64			 expected;		/* rows of the query, -1: unknown */
	TimestampTz		 answered_at;	/* 0: unknown */
};

/* paging.c */
extern void paging_choose(Reader *reader);

/* arrival.c */
extern void arrival_take(Reader *reader, Lane *lane);

/* lanes.c */
extern Lane *lane_begin(Reader *reader);
extern void	 lanes_clear(Reader *reader);
extern int	 lanes_busy(Reader *reader);
extern void	 lanes_spread(Reader *reader);
extern void	 lanes_take_extreme(Reader *reader);

/* position.c */
extern SuiteqlPosition *position_copy(MemoryContext cxt, const SuiteqlPosition *from);
extern SuiteqlPosition *position_of_number(MemoryContext cxt, int64 number);
extern void				position_restore(Reader *reader, const char *text);

/* read.c */
extern int	reader_page_size(const Reader *reader);
extern void reader_request_page(Reader *reader, Lane *lane);
extern bool reader_has_enough(Reader *reader, int64 rows);

#endif /* MAKINI_NETSUITE_READER_H */
