/*-------------------------------------------------------------------------
 *
 * expiry.c
 *		When the certificate of a user mapping ends, for makini.connection.
 *
 * A view must not fail because a file is gone: whatever cannot be read or
 * understood here is NULL.  Using the connection says what is wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "connector/option.h"
#include "remote/jwt.h"
#include "remote/secret.h"
#include "remote/visible.h"

PG_FUNCTION_INFO_V1(makini_certificate_expires_at);

static List *
options_of_mapping(Oid umid)
{
	HeapTuple tuple = SearchSysCache1(USERMAPPINGOID, ObjectIdGetDatum(umid));
	List	 *options = NIL;
	Datum	  value;
	bool	  isnull;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	value = SysCacheGetAttr(USERMAPPINGOID, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		options = untransformRelOptions(value);
	ReleaseSysCache(tuple);
	return options;
}

/* A small regular file as text, or NULL. */
static char *
read_quietly(const char *path)
{
	struct stat st;
	FILE	   *file;
	char	   *text;
	size_t		len;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > SECRET_MAX_BYTES)
		return NULL;
	file = AllocateFile(path, PG_BINARY_R);
	if (file == NULL)
		return NULL;
	text = palloc(st.st_size + 1);
	len = fread(text, 1, st.st_size, file);
	text[len] = '\0';
	FreeFile(file);
	return text;
}

/*
 * makini_certificate_expires_at
 *		makini._certificate_expires_at(serverid, umid): what the certificate
 *		says, else what the option says, else NULL.
 */
Datum
makini_certificate_expires_at(PG_FUNCTION_ARGS)
{
	Oid			umid = PG_GETARG_OID(1);
	List	   *options;
	const char *certificate;
	const char *stated;
	int64_t		not_after;
	char		ignored[256];

	if (!mapping_is_visible(PG_GETARG_OID(0), umid))
		PG_RETURN_NULL();
	options = options_of_mapping(umid);
	certificate = option_text(options, "certificate");
	if (certificate == NULL && option_text(options, "certificate_file") != NULL)
		certificate = read_quietly(option_text(options, "certificate_file"));
	if (certificate != NULL &&
		certificate_expiry(certificate, &not_after, NULL, ignored, sizeof(ignored)))
		PG_RETURN_TIMESTAMPTZ(time_t_to_timestamptz((pg_time_t) not_after));

	stated = option_text(options, "certificate_expires_at");
	if (stated == NULL)
		PG_RETURN_NULL();
	return DirectFunctionCall3(timestamptz_in, CStringGetDatum(stated),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}
