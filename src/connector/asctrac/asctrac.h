/*-------------------------------------------------------------------------
 *
 * asctrac.h
 *		What the files of the ASCTrac connector share.
 *
 * ASCTrac has two services.  The host interface (base_url) exports feeds that
 * hand each row out once and imports records; the interactive service
 * (rest_base_url) answers look-ups in an envelope that is always HTTP 200, and
 * can take only one call at a time.
 *
 * catalogue.c holds what there is, options.c turns options into a connection,
 * request.c writes requests, read.c runs look-ups, envelope.c opens what the
 * interactive service answers and table_set.c the XML in some of that, answer.c
 * reads what the host interface answers, cell.c tidies the cells of both, feed.c
 * drains, acknowledge.c says what was drained, classify.c says what an answer
 * means, check.c and probe.c look before the leap.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MAKINI_ASCTRAC_H
#define MAKINI_ASCTRAC_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "connector/connector.h"

typedef enum AsctracService
{
	SERVICE_HOST,
	SERVICE_INTERACTIVE
} AsctracService;

/* Where in an answer the rows are. */
typedef enum AsctracShape
{
	SHAPE_ARRAY,	/* the answer is an array */
	SHAPE_ENVELOPE, /* DataMessage holds an array, or one object */
	SHAPE_MEMBER,	/* the same, in a member of that object */
	SHAPE_XML		/* a table set: DataMessage, or DetailXMLInfo in there */
} AsctracShape;

/* What the catalogue knows of an entity beyond what all connectors know. */
typedef struct AsctracDetail
{
	AsctracService service;
	const char	  *method; /* to read, or NULL */
	const char	  *path;
	AsctracShape   shape;
	const char	  *member;			/* SHAPE_MEMBER: its name; SHAPE_XML: the row element's */
	const char	  *acknowledge_key; /* comma list: what an acknowledgement names, or NULL */
} AsctracDetail;

/* EntityParameter.flags: where a parameter goes; the query string when none is set. */
#define PARAMETER_JOINED 1 /* with others of its name, a | between */
#define PARAMETER_BODY 2   /* a member of the body */
#define PARAMETER_LIST 4   /* an element of the body's array of that name */

/* Connection.state */
typedef struct AsctracState
{
	const char	  *site_id;	  /* or NULL */
	const char	  *rest_user; /* or NULL */
	bool		   redelivers;
	RemoteEndpoint interactive; /* base_url is NULL where there is no such service */
} AsctracState;

/* asctrac.c */
extern const Connector asctrac_connector;

/* options.c */
extern const OptionDef asctrac_options[];
extern const char	  *asctrac_server_option(const Connection *conn, const char *name);
extern void asctrac_connect(Connection *conn, List *server_options, List *mapping_options);

/* catalogue.c */
extern const Entity		   *asctrac_entities(int *n);
extern const AsctracDetail *asctrac_detail(const Entity *entity);
extern void					asctrac_traits(const Entity *entity, EntityTraits *traits);
extern bool					asctrac_is_sent(const EntityColumn *column);
extern bool					asctrac_is_of_parent(const EntityColumn *column);
extern bool					asctrac_none_is_1900(const EntityColumn *column);
extern bool					asctrac_is_unused(const EntityColumn *column);
extern List				   *asctrac_discover(Connection *conn, const ImportRequest *request);

/* classify.c */
extern RemoteClass asctrac_classify(const RemoteResponse *response, RemoteFault *fault);
extern RemoteClass asctrac_classify_old(const RemoteResponse *response, RemoteFault *fault);
extern char		  *asctrac_clean_text(const char *text);

/* request.c */

/* A value that a condition gives a parameter. */
typedef struct AsctracValue
{
	const char *column;
	const char *text; /* canonical */
} AsctracValue;

typedef struct AsctracCall
{
	const char *method;
	char	   *url;	 /* below the service's base */
	char	   *body;	 /* or NULL */
	List	   *sent;	 /* of AsctracValue *: columns whose value went out, or a fixed one did */
	List	   *missing; /* of char *: parameters without which it cannot be sent */
} AsctracCall;

extern AsctracCall *asctrac_call(const Entity *entity, const char *user, const char *site,
								 const char *time_zone, bool plain, List *values);
extern void			asctrac_refuse_missing(const Entity *entity, const AsctracCall *call);
extern void			asctrac_append_escaped(StringInfo out, const char *text);

/* read.c */
extern FilterVerdict asctrac_judge(const Filter *leaf);
extern char			*asctrac_describe(Connection *conn, const RemoteQuery *query, List **params);
extern Reader		*asctrac_open(Connection *conn, const RemoteQuery *query);
extern CellPage		*asctrac_next_page(Reader *reader);
extern void			 asctrac_close(Reader *reader);
extern void			 asctrac_wait(Reader *reader);
extern char			*asctrac_position(Reader *reader);
extern bool			 asctrac_range(Reader *reader, PageRange *range);
extern int64		 asctrac_expected(Reader *reader);
extern TimestampTz	 asctrac_answered_at(Reader *reader);

/* envelope.c */
extern void				asctrac_envelope(const Entity *entity, const RemoteResponse *response,
										 const PageColumns *columns, const char *const *names, int ncolumns,
										 CellPage *page);
extern bool				asctrac_says_nothing_found(const char *message);
pg_noreturn extern void asctrac_raise_refused(const Entity *entity, const char *message);

/* cell.c */
extern void asctrac_tidy_cell(const EntityColumn *known, Cell *cell);
extern void asctrac_verify_text(const Entity *entity, const char *text, size_t len);

/* answer.c */
typedef struct AsctracAnswer AsctracAnswer;
extern AsctracAnswer		*asctrac_answer_start(RemoteEndpoint *endpoint, const Entity *entity,
												  const RemoteRequest *request);
extern void					 asctrac_answer_wait(AsctracAnswer *answer);
extern AsctracAnswer		*asctrac_answer_kept(const Connection *conn, const Entity *entity);
extern char					*asctrac_answer_next(AsctracAnswer *answer, size_t *len);
extern void					 asctrac_answer_count(AsctracAnswer *answer, int rows);
extern int64				 asctrac_answer_rows(const AsctracAnswer *answer);
extern bool					 asctrac_answer_is_over(AsctracAnswer *answer);
extern const RemoteFault	*asctrac_answer_fault(AsctracAnswer *answer);
pg_noreturn extern void asctrac_answer_broken(const AsctracAnswer *answer, const PageError *error);

/* feed.c */
extern Feed		 *asctrac_feed_open(Connection *conn, const Entity *entity);
extern FeedBatch *asctrac_feed_next(Feed *feed);
extern void		  asctrac_feed_close(Feed *feed);
extern bool		  asctrac_feed_untouched(Feed *feed);
extern FeedBatch *asctrac_feed_again(Connection *conn, const Entity *entity, const char *row);

/* acknowledge.c */
extern const char *asctrac_acknowledge_key(const Entity *entity);
extern void asctrac_acknowledge(Connection *conn, const Entity *entity, List *acknowledgements);

/* check.c */
extern const char *asctrac_feed_flag(const Entity *entity);
extern bool		   asctrac_feed_redelivers(const Connection *conn, const Entity *entity);
extern List		  *asctrac_check_drain(Connection *conn, const Entity *entity);

/* write.c */
extern Writer *asctrac_begin_write(Connection *conn, const Source *source, List *columns);
extern void	   asctrac_write_rows(Writer *writer, const FilterValue *const *const *rows, int n,
								  WriteProgress *progress);
extern int	   asctrac_write_batch(const Source *source);

/* probe.c */
extern List *asctrac_probe(Connection *conn);

#endif /* MAKINI_ASCTRAC_H */
