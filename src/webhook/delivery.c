/*-------------------------------------------------------------------------
 *
 * delivery.c
 *		A delivery that a sender has in hand: ready, in flight, finished.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "webhook/deliver.h"

Delivery *
delivery_claimed(Endpoint *endpoint, Message *message, const pg_uuid_t *event_id, TimestampTz now,
				 dlist_head *claimed)
{
	Delivery *delivery = calloc(1, sizeof(Delivery));

	if (delivery == NULL)
	{
		if (message != NULL)
			message_release(message);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	dlist_push_tail(claimed, &delivery->node);
	delivery->endpoint = endpoint;
	delivery->message = message;
	delivery->event_id = *event_id;
	delivery->lease_ends = claim_lease(endpoint, now);
	endpoint->uses++;
	endpoint->nready++;
	if (endpoint->options.rate > 0)
		endpoint->tokens -= 1;
	return delivery;
}

void
delivery_set_state(Delivery *delivery, DeliveryState state)
{
	Endpoint *endpoint = delivery->endpoint;

	endpoint->nready -= delivery->state == DELIVERY_READY;
	endpoint->in_flight -= delivery->state == DELIVERY_IN_FLIGHT;
	delivery->state = state;
	endpoint->nready += state == DELIVERY_READY;
	endpoint->in_flight += state == DELIVERY_IN_FLIGHT;
}

void
delivery_free(Delivery *delivery)
{
	delivery_set_state(delivery, DELIVERY_FINISHED);
	delivery->endpoint->uses--;
	if (delivery->transfer != NULL)
		transfer_free(delivery->transfer);
	if (delivery->message != NULL)
		message_release(delivery->message);
	free(delivery->ordering_key);
	free(delivery);
}
