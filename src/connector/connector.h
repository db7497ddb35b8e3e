/*-------------------------------------------------------------------------
 *
 * connector.h
 *		The interface between the systems makini can talk to and the two
 *		sides that use them: foreign scans and syncs.
 *
 * A connector turns a query over entities into pages of rows.  This file says
 * what an entity, a column, a filter, a query and a page are; nothing in it
 * belongs to one system.  A new system is one folder beside netsuite/ and one
 * line in connector.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_CONNECTOR_H
#define MAKINI_CONNECTOR_H

#include "postgres.h"

#include "foreign/foreign.h"
#include "nodes/pg_list.h"

#include "connector/page.h"
#include "remote/remote.h"

/* The kinds of values that connectors know how to compare, order and render. */
typedef enum ValueKind
{
	VALUE_TEXT,
	VALUE_INTEGER,
	VALUE_NUMERIC,
	VALUE_BOOLEAN,
	VALUE_DATE,
	VALUE_TIMESTAMPTZ,
	VALUE_TIMESTAMP,
	VALUE_OTHER /* travels as text, nothing is pushed */
} ValueKind;

typedef enum SizeClass
{
	SIZE_TINY,	 /* about 100 rows */
	SIZE_SMALL,	 /* 1,000 */
	SIZE_MEDIUM, /* 50,000 */
	SIZE_LARGE,	 /* 1,000,000 */
	SIZE_HUGE	 /* 10,000,000 */
} SizeClass;

/* A column of the built-in catalogue. */
typedef struct EntityColumn
{
	const char *name; /* the remote name, as the remote side spells it */
	ValueKind	kind;
	bool		required;  /* is never null at the source */
	bool		reference; /* a list or record: has a display text */
	bool		code;	   /* text of ASCII codes: equality means the same remotely */
	bool		costly;	   /* calculated: left out of IMPORT */
	const char *comment;   /* or NULL */
	const char *type;	   /* local type where kind does not name one, or NULL */
	int			marks;	   /* the connector's own */
} EntityColumn;

/* What a foreign table of an entity is for. */
typedef enum EntityAccess
{
	ENTITY_TABLE,  /* may be read at any time */
	ENTITY_FEED,   /* reading takes away what is read: only a drain may */
	ENTITY_IMPORT, /* can be written and not read */
	ENTITY_SESSION /* reading it would sign a user on: nobody may */
} EntityAccess;

/*
 * A parameter of a look-up.  Where column is set, equality with it supplies the
 * value; else, and where no value is given, fixed is sent, or nothing at all.
 */
typedef struct EntityParameter
{
	const char *name;	  /* as the remote side calls it */
	const char *column;	  /* or NULL */
	int			flags;	  /* the connector's own */
	bool		required; /* nothing can be read without it */
	bool		one_of;	  /* nothing can be read without one of these */
	const char *fixed;	  /* or NULL */
	const char *select;	  /* sent along with it, or NULL */
} EntityParameter;

typedef struct Entity
{
	const char			  *name;
	const char			  *key;			/* comma list, or NULL: none known */
	const char			  *cursor;		/* column that moves with each change, or NULL */
	const char			  *record_type; /* for writes, or NULL */
	SizeClass			   size;
	const char			  *comment;
	const EntityColumn	  *columns;
	int					   ncolumns;
	bool				   insertable; /* takes rows by INSERT */
	EntityAccess		   access;
	const EntityParameter *parameters;
	int					   nparameters;
	const char			  *insert_method; /* of an entity that can be written, or NULL */
	const char			  *insert_path;
	const char			  *parent;		  /* entity whose rows these belong to, or NULL */
	const char			  *parent_member; /* the array in there that holds them */
} Entity;

/*
 * A table of the remote side as a query uses it: an entity or, where the
 * connector allows it, a query text.  Filled from a foreign table's options.
 */
typedef struct Source
{
	const char	 *entity;	 /* NULL when statement is set */
	const char	 *statement; /* the option "query" */
	List		 *key;		 /* of SourceColumn *: what identifies a row, may be NIL */
	const Entity *catalogue; /* NULL: not built in */
} Source;

typedef struct SourceColumn
{
	const char *name; /* remote name */
	ValueKind	kind;
	bool		nullable;
	bool		display; /* the display text of it, not the value */
	bool		code;
	bool		inexact;   /* declared in a way that changes values: never compared remotely */
	bool		parameter; /* of a look-up: can be asked for by equality */
} SourceColumn;

/* Aggregates a connector may be asked for. */
typedef enum AggregateKind
{
	AGGREGATE_NONE,
	AGGREGATE_COUNT_ALL,
	AGGREGATE_COUNT,
	AGGREGATE_SUM,
	AGGREGATE_MIN,
	AGGREGATE_MAX
} AggregateKind;

/* One output column: page cells come in the order of these. */
typedef struct QueryColumn
{
	AggregateKind aggregate;
	int			  source; /* index into RemoteQuery.sources */
	SourceColumn *column; /* NULL for COUNT(*), and for a row without columns */
} QueryColumn;

typedef enum CompareOp
{
	CMP_EQ,
	CMP_NE,
	CMP_LT,
	CMP_LE,
	CMP_GT,
	CMP_GE
} CompareOp;

typedef enum FilterKind
{
	FILTER_AND,
	FILTER_OR,
	FILTER_NOT,
	FILTER_COMPARE, /* column op value */
	FILTER_COLUMNS, /* column op other column */
	FILTER_IN,		/* column = any of values */
	FILTER_NOT_IN,	/* column <> all of values */
	FILTER_LIKE,
	FILTER_ILIKE,
	FILTER_NULL, /* column is null */
	FILTER_NOT_NULL,
	FILTER_TRUE,	/* boolean column holds */
	FILTER_IS_TRUE, /* two-valued: column IS TRUE */
	FILTER_IS_FALSE
} FilterKind;

/* Values outside what remote literals can say; a comparison with one is decided here. */
typedef enum ValueRange
{
	VALUE_FINITE,
	VALUE_ABOVE_ALL, /* infinity, NaN */
	VALUE_BELOW_ALL	 /* -infinity */
} ValueRange;

/*
 * A value in canonical text: digits, "t"/"f", "2026-01-31", "2026-01-31
 * 13:45:00.25" (UTC for timestamptz).  unknown: only EXPLAIN sees it, text
 * is then "$1" and so on.
 */
typedef struct FilterValue
{
	ValueRange	range;
	bool		unknown;
	const char *text;
} FilterValue;

typedef struct Filter
{
	FilterKind	  kind;
	CompareOp	  op;
	int			  source; /* of column */
	SourceColumn *column;
	int			  other_source; /* of other: FILTER_COLUMNS */
	SourceColumn *other;
	List		 *values; /* of FilterValue * */
	List		 *args;	  /* of Filter *: AND, OR, NOT */
} Filter;

/* How far the remote side can be trusted with a filter. */
typedef enum FilterVerdict
{
	VERDICT_NEVER,	  /* might lose rows: keep it here */
	VERDICT_SUPERSET, /* loses none, may let others through: send it and check again */
	VERDICT_EXACT	  /* means the same on both sides */
} FilterVerdict;

typedef struct QueryOrder
{
	int			  source;
	SourceColumn *column;
	bool		  descending; /* nulls last ascending, first descending, as in SQL */
} QueryOrder;

typedef enum QueryJoin
{
	QUERY_NO_JOIN,
	QUERY_INNER_JOIN,
	QUERY_LEFT_JOIN
} QueryJoin;

typedef struct RemoteQuery
{
	List	 *sources; /* of Source *: one, or two joined */
	QueryJoin join;
	Filter	 *on;		   /* of the join, or NULL */
	bool	  joined_once; /* each row of the first source meets at most one of the second */
	List	 *columns;	   /* of QueryColumn * */
	Filter	 *where;	   /* or NULL */
	bool	  grouped;	   /* has aggregates; group may still be NIL */
	List	 *group;	   /* of QueryOrder * (direction unused) */
	List	 *order;	   /* of QueryOrder *: the caller relies on it */
	int64	  limit;	   /* -1: none.  A bound: more may be needed by nobody */

	/*
	 * Syncs, where order is NIL.  together: a column of the first source, which
	 * an inner join compares with the key of the second; rows that share it come
	 * one after another, within a page or from one page to the next of its range.
	 * resume: a text that Connector.position gave, to read what was left.
	 * keys_may_repeat: rows that share a key which somebody declared are wanted
	 * all, next to each other; else they are an error.
	 */
	SourceColumn *together; /* or NULL */
	const char	 *resume;	/* or NULL */
	bool		  keys_may_repeat;
} RemoteQuery;

/*
 * The part of a query's order that a page covers: behind low, up to and with
 * high.  Rows of that part which are not in the page were not there when it was
 * made.  Values are canonical texts as in FilterValue, for the first nlow
 * (nhigh) columns, NULL for SQL NULL, which comes last; none: from the beginning
 * (to the end).  Fewer values than columns: rows with just these values are in
 * the part that ends with them.
 */
typedef struct PageRange
{
	List		*order; /* of QueryOrder *, all ascending: what the values belong to */
	int			 nlow;	/* may be fewer than the order has columns */
	const char **low;
	int			 nhigh;
	const char **high;
} PageRange;

/* How a sync learns that rows of an entity are gone. */
typedef enum EntityDeletes
{
	DELETES_BY_FULL_PASS, /* only by their absence */
	DELETES_BY_TOMBSTONE, /* open_deleted lists their keys */
	DELETES_WITH_PARENT,  /* read anew with every change of the row they belong to */
	DELETES_NEVER		  /* rows stay for ever */
} EntityDeletes;

/* What syncs have to know of an entity besides its columns. */
typedef struct EntityTraits
{
	EntityDeletes deletes;
	bool		  document;		 /* grows with time: an initial window of days is enough */
	const char	 *parent;		 /* entity whose changes stand for these rows' too, or NULL */
	const char	 *parent_column; /* of this entity: the parent's key */
	const char	 *full_every;	 /* interval between full passes besides those that a run is */
} EntityTraits;

/*
 * A server with one user's mapping, resolved and checked.  Lives in the memory
 * context it was opened in.
 */
typedef struct Connection
{
	Oid						serverid;
	Oid						userid;
	const char			   *server_name;
	const struct Connector *connector;
	int						page_size;
	int						fetch_ahead;
	bool					use_remote_estimate;
	const char			   *time_zone;		 /* or NULL */
	const char			   *accept_language; /* or NULL */
	const char			   *api_version;
	RemoteEndpoint			endpoint;
	void				   *state; /* the connector's own */
} Connection;

typedef struct Reader Reader; /* each connector's own */
typedef struct Writer Writer; /* each connector's own */

/* How far the rows handed over have come. */
typedef struct WriteProgress
{
	int	  row;	 /* of those handed over: the one being dealt with */
	int64 taken; /* by the remote side, altogether */
} WriteProgress;

typedef struct Feed Feed; /* each connector's own */

/* Rows of one of the tables that a feed fills, in the order of its entity's columns. */
typedef struct FeedPart
{
	const Entity *entity;
	CellPage	  page;
	int			 *parents; /* by row: the row it belongs to; NULL for the feed's own */
} FeedPart;

/* What a feed gives at a time; lives until the next is asked for. */
typedef struct FeedBatch
{
	int		  nparts;
	FeedPart *parts;   /* the feed's own first, then its children's */
	CellPage  raw;	   /* by row of the first part: all that was sent, as JSON */
	Cell	 *essence; /* likewise: bytes that are the same when it is handed out again */

	/*
	 * By row of the first part: what of it is no text and stands as NULL, so that
	 * the row can't be taken as it is; NULL where there is no such row.
	 */
	const char **broken;
} FeedBatch;

/*
 * An answer to a row that a feed gave.  key holds the texts of the columns that
 * Connector.acknowledge_key names, NULL for NULL.
 */
typedef struct Acknowledgement
{
	const char *const *key;
	bool			   accepted;
	const char		  *message; /* why not, or NULL */
	bool			   done;	/* set when the other side has taken it */
	const char		  *error;	/* set when it refused this one alone */
} Acknowledgement;

/* One option of a server, user mapping, foreign table or column. */
typedef enum OptionType
{
	OPTION_TEXT,
	OPTION_SECRET, /* text that no message may repeat */
	OPTION_BOOL,
	OPTION_INT,
	OPTION_DURATION, /* PostgreSQL time unit, kept in ms */
	OPTION_URL,
	OPTION_FILE, /* an absolute path; needs pg_read_server_files */
	OPTION_ZONE,
	OPTION_TIMESTAMP,
	OPTION_ACCOUNT,
	OPTION_ENUM
} OptionType;

typedef struct OptionDef
{
	const char *name;
	Oid			context; /* catalogue the option stands in */
	OptionType	type;
	bool		superuser; /* only a superuser may set or change it */
	int64		min, max;  /* INT, DURATION (ms) */
	const char *values;	   /* ENUM: "a|b|c" */
} OptionDef;

/* A column or table that IMPORT FOREIGN SCHEMA found. */
typedef struct DiscoveredColumn
{
	const char *name; /* remote */
	ValueKind	kind;
	bool		not_null;
	bool		display;
	const char *comment;
	const char *type; /* where kind does not name one, or NULL */
} DiscoveredColumn;

typedef struct DiscoveredTable
{
	const Entity *entity;
	List		 *columns;	/* of DiscoveredColumn * */
	List		 *left_out; /* of char *: names this role cannot read */
	RemoteFault	 *refused;	/* the role cannot read the table at all; or NULL */
} DiscoveredTable;

typedef struct ImportRequest
{
	List *entities; /* of const Entity * */
	bool  named;	/* each of them, so that none may be left out without a word */
	bool  custom_fields;
	bool  probe;
	bool  display;
} ImportRequest;

/* A step of test_connection. */
typedef struct ProbeStep
{
	const char *step;
	const char *status; /* ok, warning, failed, skipped */
	const char *detail;
	const char *hint;
	double		ms;
} ProbeStep;

typedef struct Connector
{
	const char		*wrapper;	  /* name of the foreign-data wrapper */
	const char		*query_label; /* what EXPLAIN calls the remote text */
	const OptionDef *options;	  /* ended by a NULL name */
	const Entity *(*entities)(int *n);

	/* Fill conn from options; raises what is missing with a hint. */
	void (*connect)(Connection *conn, List *server_options, List *mapping_options);

	/* Planning. */
	FilterVerdict (*judge)(const Filter *leaf);
	bool (*can_order)(const SourceColumn *column, bool bounded_by_page);
	bool (*can_aggregate)(AggregateKind aggregate, const SourceColumn *column);
	bool (*can_group)(const SourceColumn *column);
	bool (*can_join)(const SourceColumn *left, const SourceColumn *right);

	/* Reading.  next_page gives NULL at the end; a page lives until the next call. */
	char *(*describe)(Connection *conn, const RemoteQuery *query, List **params);
	Reader *(*open)(Connection *conn, const RemoteQuery *query);
	CellPage *(*next_page)(Reader *reader);
	void (*close)(Reader *reader);
	double (*count)(Connection *conn, const RemoteQuery *query); /* NULL: the remote side can't */

	/*
	 * Syncs.  wait lets requests advance until next_page will not block; it
	 * needs no transaction, touches no catalogue and raises nothing but
	 * cancellation; the page given last is gone then.  position is what is left to
	 * read once the page given last has been stored, NULL where reading can't be
	 * taken up again; range is the part of the key's order that this page covers,
	 * false where it covers none that could be named.  Pages without rows are given
	 * where they cover some.  expected: rows of the whole query as the first answer
	 * said, -1 where it did not.  answered_at: the remote clock when the query was
	 * opened, 0 where no answer has said; what was changed later may not have been
	 * read.  open_deleted reads the keys (one column, as the entity's key) of rows
	 * that were deleted since a time, and maybe others: whoever reads them has to
	 * make sure.
	 */
	void (*wait)(Reader *reader);
	char *(*position)(Reader *reader);
	bool (*range)(Reader *reader, PageRange *range);
	int64 (*expected)(Reader *reader);
	TimestampTz (*answered_at)(Reader *reader);
	void (*traits)(const Entity *entity, EntityTraits *traits);
	Reader *(*open_deleted)(Connection *conn, const Source *source, TimestampTz since);

	/*
	 * Writing; NULL where a connector can't.  A writer lives in the memory
	 * context it was begun in.  Values of a row come in the order of columns,
	 * NULL for SQL NULL; the rows have been taken by the remote side when
	 * write_rows is back.  write_batch: how many are worth handing over at once.
	 */
	Writer *(*begin_write)(Connection *conn, const Source *source, List *columns);
	void (*write_rows)(Writer *writer, const FilterValue *const *const *rows, int n,
					   WriteProgress *progress);
	int (*write_batch)(const Source *source);

	/*
	 * Feeds, of connectors that have such.  feed_next gives NULL at the end, and
	 * raises what went wrong after all that came before it.  An answer has to be
	 * stored as a whole before any of it is acknowledged: acknowledgements may
	 * cover more rows than the one they name.  feed_untouched says of a feed that
	 * failed whether it is certain that nothing was handed out; feed_again makes of
	 * a row as it was sent what it came in (it lives in CurrentMemoryContext, and
	 * asks nobody); feed_flag names
	 * what feeds have in common that hand out the same rows; feed_redelivers: rows
	 * come again until they are acknowledged (an outline will do).
	 */
	Feed *(*feed_open)(Connection *conn, const Entity *entity);
	FeedBatch *(*feed_next)(Feed *feed);
	void (*feed_close)(Feed *feed);
	bool (*feed_untouched)(Feed *feed);
	FeedBatch *(*feed_again)(Connection *conn, const Entity *entity, const char *row);
	const char *(*feed_flag)(const Entity *entity);
	bool (*feed_redelivers)(const Connection *conn, const Entity *entity);
	const char *(*acknowledge_key)(const Entity *entity); /* comma list, NULL: it takes none */
	void (*acknowledge)(Connection *conn, const Entity *entity,
						List *acknowledgements);				  /* Acknowledgement * */
	List *(*check_drain)(Connection *conn, const Entity *entity); /* ProbeStep * */

	/* Looking around.  Where discovery makes no requests it is given an outline. */
	bool discovers_locally;
	List *(*discover)(Connection *conn, const ImportRequest *request); /* DiscoveredTable * */
	List *(*probe)(Connection *conn);								   /* ProbeStep * */

	/* Something else once the account's own fields are others; NULL where accounts have none. */
	char *(*account_mark)(Connection *conn);
} Connector;

extern const Connector *connector_of_wrapper(const char *wrapper);
extern const Connector *connector_of_server(Oid serverid); /* raises for other wrappers */
extern const Entity	   *connector_find_entity(const Connector *connector, const char *name);
extern const char	   *connector_nearest_entity(const Connector *connector, const char *name);
extern void entity_traits(const Connector *connector, const Entity *entity, EntityTraits *traits);
extern const EntityColumn *entity_find_column(const Entity *entity, const char *name);
extern bool				   entity_is_parameter(const Entity *entity, const char *column);
extern bool				   entity_needs_parameter(const Entity *entity);
extern bool connector_has_option(const Connector *connector, const char *name, Oid context);

/*
 * connection.c.  connection_open resolves a server and a user's mapping and
 * raises what is missing; connection_outline takes the server's options only,
 * for planning and EXPLAIN, where no request is made.
 */
extern Connection *connection_open(Oid serverid, Oid userid, RemoteUse use);
extern Connection *connection_outline(Oid serverid);
extern bool		   connection_has_mapping(Oid serverid, Oid userid);

extern ForeignServer *server_for_use(const char *name);

/* check_drain.c: the feed behind a foreign table; raises where it is none. */
extern const Entity *feed_of_table(Oid relid, const Connector **connector);

/* common_options.c: what means the same for every connector. */
extern void connection_apply_common(Connection *conn, List *server_options);

#endif /* MAKINI_CONNECTOR_H */
