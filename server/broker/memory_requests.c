/* memory_requests.c - see memory_requests.h. */
#include "server/broker/memory_requests.h"

void memory_requests_run(struct broker *broker, struct broker_request *request)
{
    switch (request->kind) {
    case REQUEST_REVOKE:
        broker->sink->revoked(broker->owner, &CONTAINER_OF(request, struct revoke_request, base)->revocation);
        break;
    case REQUEST_BERTH: /* this node's own limits have decided already */
        CONTAINER_OF(request, struct berth_request, base)->granted = true;
        break;
    }
}
