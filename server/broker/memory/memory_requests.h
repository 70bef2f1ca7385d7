/* memory_requests.h - how the memory broker answers requests (request.h): there is one node, and nothing outlives it.
 */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_REQUESTS_H
#define CARILLON_BROKER_MEMORY_MEMORY_REQUESTS_H

#include "server/broker/broker.h"
#include "server/broker/memory/memory_presence.h"

/* Does it, calling the broker's sink for what follows from it, and fills in the answer. */
void memory_requests_run(struct broker *broker, struct memory_presence *presence, struct broker_request *request,
                         uint64_t wall_ms);

#endif
