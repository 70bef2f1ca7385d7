/* memory_requests.c - see memory_requests.h. */
#include "server/broker/memory/memory_requests.h"

void memory_requests_run(struct broker *broker, struct memory_presence *presence, struct broker_request *request,
                         uint64_t wall_ms)
{
    switch (request->kind) {
    case REQUEST_REVOKE:
        broker->sink->revoked(broker->owner, &CONTAINER_OF(request, struct revoke_request, base)->revocation);
        break;
    case REQUEST_SESSION_SLOT: /* this node's own limits have decided already */
        CONTAINER_OF(request, struct session_slot_request, base)->granted = true;
        break;
    case REQUEST_PRESENCE_UPDATE:
        memory_presence_update(presence, broker, CONTAINER_OF(request, struct presence_update, base), wall_ms);
        break;
    case REQUEST_PRESENCE_READ:
        memory_presence_read(presence, CONTAINER_OF(request, struct presence_read, base));
        break;
    }
}
