/*-------------------------------------------------------------------------
 *
 * answer.c
 *		An answer of the host interface, read while it arrives: an array of any
 *		length, or an object that says why there is none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "connector/array.h"
#include "connector/asctrac/asctrac.h"

#define CHUNK_SIZE (256 * 1024)
#define MAX_ELEMENT (64 * 1024 * 1024)

struct AsctracAnswer
{
	const Entity *entity;
	const char	 *server_name;
	RemoteCall	 *call;
	ArrayReader	 *array;
	char		 *ready; /* a chunk that is waiting to be given, or NULL */
	size_t		  ready_len;
	bool		  full;	 /* there was no memory for what came */
	bool		  ended; /* nothing more will come */
	int64		  rows;	 /* taken so far, for messages */
};

static void
release_answer(void *arg)
{
	AsctracAnswer *answer = arg;

	array_free(answer->array);
}

/*
 * asctrac_answer_start
 *		Send a request whose answer is read with asctrac_answer_next(); both live
 *		in CurrentMemoryContext.
 */
AsctracAnswer *
asctrac_answer_start(RemoteEndpoint *endpoint, const Entity *entity, const RemoteRequest *request)
{
	AsctracAnswer		  *answer = palloc0(sizeof(AsctracAnswer));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	RemoteRequest		   streamed = *request;

	answer->entity = entity;
	answer->server_name = endpoint->server_name;
	callback->func = release_answer;
	callback->arg = answer;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	answer->array = array_create(CHUNK_SIZE, MAX_ELEMENT);
	if (answer->array == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	streamed.streamed = true;
	answer->call = remote_call_start(endpoint, &streamed);
	return answer;
}

/*
 * asctrac_answer_kept
 *		What stands for an answer where rows are decoded that were kept.
 */
AsctracAnswer *
asctrac_answer_kept(const Connection *conn, const Entity *entity)
{
	AsctracAnswer *answer = palloc0(sizeof(AsctracAnswer));

	answer->entity = entity;
	answer->server_name = conn->server_name;
	return answer;
}

pg_noreturn static void
raise_broken(const AsctracAnswer *answer, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("answer of server \"%s\" for \"%s\" cannot be read", answer->server_name,
					answer->entity->name),
			 errdetail("After row " INT64_FORMAT ": %s.", answer->rows, detail),
			 errhint("It may have been cut on its way; where it never comes whole, check base_url of the server.")));
}

/* {"ReturnCode":200,"Message":"No Records Found"}, or what went wrong. */
static void
take_model_response(AsctracAnswer *answer)
{
	static const char *const names[] = {"ReturnCode", "Message"};
	PageColumns				*columns = page_columns_create(names, lengthof(names));
	CellPage				 page = {0};
	PageError				 error;
	bool					 empty = false;
	char					*message = NULL;
	size_t					 len;
	char					*object = array_take_object(answer->array, &len);

	if (object == NULL)
		raise_broken(answer, array_error(answer->array));
	asctrac_verify_text(answer->entity, object, len);
	if (columns != NULL && page_decode(&page, columns, object, len, 1, &error) && page.nrows == 1)
	{
		message = page.cells[1].text ? pstrdup(page.cells[1].text) : NULL;
		empty = page.cells[0].text != NULL && strcmp(page.cells[0].text, "200") == 0 &&
			asctrac_says_nothing_found(message);
	}
	page_free(&page);
	page_columns_free(columns);
	if (!empty)
		asctrac_raise_refused(answer->entity, message);
}

static bool
read_more(AsctracAnswer *answer)
{
	const char *data;
	size_t		len;

	if (answer->ended || array_state(answer->array) == ARRAY_BROKEN)
		return false;
	remote_call_wait_data(answer->call);
	if (!remote_call_take(answer->call, &data, &len))
	{
		answer->ended = true;
		return false;
	}
	answer->full = !array_push(answer->array, data, len);
	return true;
}

/*
 * asctrac_answer_wait
 *		Until asctrac_answer_next need not.  What it gave last is gone then; what
 *		went wrong is for it to raise.
 */
void
asctrac_answer_wait(AsctracAnswer *answer)
{
	while (!answer->full && !answer->ended && array_state(answer->array) != ARRAY_BROKEN)
	{
		const char *data;
		size_t		len;

		if (answer->ready == NULL)
			answer->ready = array_take(answer->array, &answer->ready_len);
		if (answer->ready != NULL)
			return;
		remote_call_wait_data(answer->call);
		if (!remote_call_take(answer->call, &data, &len))
			return;
		answer->full = !array_push(answer->array, data, len);
	}
}

/* What asctrac_answer_wait has found, else what there is now. */
static char *
take_chunk(AsctracAnswer *answer, size_t *len)
{
	char *ready = answer->ready;

	if (answer->full)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (ready == NULL)
		return array_take(answer->array, len);
	answer->ready = NULL;
	*len = answer->ready_len;
	return ready;
}

/* Older versions have neither an array nor an object for nothing. */
static bool
may_be_empty(AsctracAnswer *answer)
{
	RemoteResponse *response = remote_call_result(answer->call);

	return response->status == 204 || response->status == 404;
}

/* Nothing more will come: what does it amount to? */
static void
judge_end(AsctracAnswer *answer)
{
	const char *data;
	size_t		len;

	if (array_state(answer->array) == ARRAY_BROKEN)
		raise_broken(answer, array_error(answer->array));

	/* raises what went wrong on the way */
	(void) remote_call_read(answer->call, &data, &len);
	switch (array_state(answer->array))
	{
		case ARRAY_CLOSED:
			break;
		case ARRAY_OBJECT:
			take_model_response(answer);
			break;
		case ARRAY_BLANK:
			if (!may_be_empty(answer))
				raise_broken(answer, "it is empty");
			break;
		default:
			raise_broken(answer, "the array does not end");
	}
}

/*
 * asctrac_answer_next
 *		The next rows as a collection, which the caller may write to until the
 *		next call; NULL at the end.  An end that is no end is raised once all
 *		that came before it was given.
 */
char *
asctrac_answer_next(AsctracAnswer *answer, size_t *len)
{
	char *chunk;

	while ((chunk = take_chunk(answer, len)) == NULL)
	{
		if (read_more(answer))
			continue;
		chunk = array_take_rest(answer->array, len);
		if (chunk != NULL)
			break;
		judge_end(answer);
		return NULL;
	}
	asctrac_verify_text(answer->entity, chunk, *len);
	return chunk;
}

/*
 * asctrac_answer_count
 *		Note that so many rows were taken out of a chunk.  Behind the last of
 *		them nothing but blanks may come, and that well.
 */
void
asctrac_answer_count(AsctracAnswer *answer, int rows)
{
	answer->rows += rows;
}

int64
asctrac_answer_rows(const AsctracAnswer *answer)
{
	return answer->rows;
}

/*
 * asctrac_answer_is_over
 *		Has the last chunk been given?  Waits for what follows the array.
 */
bool
asctrac_answer_is_over(AsctracAnswer *answer)
{
	const char *data;
	size_t		len;

	if (array_state(answer->array) != ARRAY_CLOSED)
		return false;
	while (read_more(answer))
		continue;
	if (answer->ended)
		(void) remote_call_read(answer->call, &data, &len);
	return array_waiting(answer->array) == 0;
}

/*
 * asctrac_answer_fault
 *		Why there is no answer, NULL where there is one or it is not known yet.
 */
const RemoteFault *
asctrac_answer_fault(AsctracAnswer *answer)
{
	return remote_call_done(answer->call) ? remote_call_fault(answer->call) : NULL;
}

/*
 * asctrac_answer_broken
 *		Raise that a chunk could not be decoded.
 */
void
asctrac_answer_broken(const AsctracAnswer *answer, const PageError *error)
{
	if (error->bad_text)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("a value of \"%s\" is no text", answer->entity->name),
				 errdetail("After row " INT64_FORMAT ": %s.", answer->rows, error->message)));
	raise_broken(answer, error->message);
}
