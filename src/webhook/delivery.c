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
delivery_make(Endpoint *endpoint, Message *message, const pg_uuid_t *event_id)
{
	Delivery *delivery = calloc(1, sizeof(Delivery));

	if (delivery == NULL)
		return NULL;
	delivery->endpoint = endpoint;
	delivery->message = message;
	delivery->event_id = *event_id;
	if (message != NULL)
		message->uses++;
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
