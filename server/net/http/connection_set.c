/* connection_set.c - see connection_set.h. */
#include "server/net/http/connection_set.h"

void connection_set_init(struct connection_set *set, const size_t max_pending[2], struct metrics *metrics)
{
    *set = (struct connection_set){.sockets.metrics = metrics};
    list_init(&set->connections);
    list_init(&set->spent);
    list_init(&set->proxied);
    for (int internal = 0; internal < 2; internal++)
        pending_init(&set->pending[internal], max_pending[internal]);
}

void connection_set_fini(struct connection_set *set)
{
    for (int internal = 0; internal < 2; internal++)
        pending_fini(&set->pending[internal]);
    buf_fini(&set->scratch);
}
