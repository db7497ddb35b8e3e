/*-------------------------------------------------------------------------
 *
 * event.c
 *		Raises events: writes the outbox.
 *
 * An event is a row written in the transaction that causes it, so that it is
 * delivered if, and only if, that commits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event/event.h"
#include "makini.h"

/*
 * A UUID of version 7 (RFC 9562): milliseconds since 1970, then random bits.
 * Its order is that of time, which keeps the outbox's index narrow where it grows.
 */
static pg_uuid_t
new_event_id(void)
{
	pg_uuid_t id;
	uint64	  ms = (GetCurrentTimestamp() / 1000) +
		(uint64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000;
	uint64 stamp = pg_hton64(ms << 16);

	memcpy(id.data, &stamp, 6);
	if (!pg_strong_random(id.data + 6, UUID_LEN - 6))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	id.data[6] = (id.data[6] & 0x0f) | 0x70;
	id.data[8] = (id.data[8] & 0x3f) | 0x80;
	return id;
}

pg_uuid_t
event_raise(const Event *event, bool *raised)
{
	MakiniRights saved;
	Oid			 types[] = {UUIDOID, TEXTOID, UUIDOID, OIDOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		 values[7];
	char		 nulls[] = "       ";
	pg_uuid_t	 id = new_event_id();

	values[0] = UUIDPGetDatum(&id);
	values[1] = CStringGetTextDatum(event->type);
	values[2] = UUIDPGetDatum(event->connection);
	nulls[2] = event->connection == NULL ? 'n' : ' ';
	values[3] = ObjectIdGetDatum(event->owner);
	values[4] = event->key == NULL ? (Datum) 0 : CStringGetTextDatum(event->key);
	nulls[4] = event->key == NULL ? 'n' : ' ';
	values[5] = event->dedupe_key == NULL ? (Datum) 0 : CStringGetTextDatum(event->dedupe_key);
	nulls[5] = event->dedupe_key == NULL ? 'n' : ' ';
	values[6] = CStringGetTextDatum(event->data);

	makini_rights_of_extension(&saved);
	SPI_connect();
	SPI_execute_with_args("INSERT INTO makini._event"
						  " (event_id, type, connection_id, owner_oid, owner, key, dedupe_key, data)"
						  " VALUES ($1, $2, $3, $4, pg_catalog.pg_get_userbyid($4), $5, $6, $7::jsonb)"
						  " ON CONFLICT (dedupe_key) DO NOTHING",
						  lengthof(types), types, values, nulls, false, 0);
	*raised = SPI_processed == 1;
	SPI_finish();
	makini_rights_restore(&saved);
	return id;
}
