/* socket_counts.h - how many sockets of each listener a worker has, sockets on their way to it included. The worker's
 * thread and the listeners' thread write. Any thread reads. */
#ifndef CARILLON_NET_STREAM_SOCKET_COUNTS_H
#define CARILLON_NET_STREAM_SOCKET_COUNTS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/metrics/metrics.h"

struct socket_counts {
    atomic_size_t of[2];     /* of the public listener, of the internal one */
    struct metrics *metrics; /* the worker's; borrowed. Sockets of the internal listener are not counted there */
};

static inline size_t socket_counts_get(const struct socket_counts *counts, bool internal)
{
    return atomic_load_explicit(&counts->of[internal], memory_order_relaxed);
}

/* The listener's thread: a socket is on its way. */
static inline void socket_counts_expect(struct socket_counts *counts, bool internal)
{
    atomic_fetch_add_explicit(&counts->of[internal], 1, memory_order_relaxed);
}

/* The socket has arrived: it is opened and counts by socket_counts_change, or it is closed. */
static inline void socket_counts_note_arrival(struct socket_counts *counts, bool internal)
{
    atomic_fetch_sub_explicit(&counts->of[internal], 1, memory_order_relaxed);
}

/* The worker's thread: one socket more, or one less. */
static inline void socket_counts_change(struct socket_counts *counts, bool internal, int change)
{
    if (change > 0)
        atomic_fetch_add_explicit(&counts->of[internal], 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&counts->of[internal], 1, memory_order_relaxed);
    if (!internal)
        metrics_gauge_add(counts->metrics, METRIC_CONNECTIONS_OPEN, change);
}

#endif
