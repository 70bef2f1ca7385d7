/* endpoint.c - see endpoint.h. */
#include "server/core/endpoint.h"

void endpoint_init(struct endpoint *endpoint, const struct dialect *dialect, void (*destroy)(struct endpoint *endpoint))
{
    *endpoint = (struct endpoint){.destroy = destroy,
                                  .dialect = dialect,
                                  .text = USE_COMMANDS,
                                  .binary = USE_REJECT,
                                  .rate_counts = RATE_TEXT | RATE_BINARY};
    atomic_init(&endpoint->refs, 1);
    for (int i = 0; i < REASON_COUNT; i++)
        endpoint->close_codes.code[i] = (uint16_t)reason_close_code((enum reason)i);
}

struct endpoint *endpoint_ref(struct endpoint *endpoint)
{
    atomic_fetch_add_explicit(&endpoint->refs, 1, memory_order_relaxed);
    return endpoint;
}

void endpoint_unref(struct endpoint *endpoint)
{
    if (atomic_fetch_sub_explicit(&endpoint->refs, 1, memory_order_acq_rel) != 1)
        return;
    upstream_unref(endpoint->upstream);
    endpoint->destroy(endpoint);
}
