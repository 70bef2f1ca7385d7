/* memory_broker.h - the broker of a single node: orders events at once, in memory.
 *
 * What can be relied on, beyond broker.h:
 * - All calls of the sink come from the turn's mail, in the order in which the operations were called; none from within
 *   an operation. A publication's event is handed on before its answer.
 * - Positions: a channel with history counts in an epoch of its own, begun by its first subscriber or event. It is
 *   forgotten, and the next one begins a new epoch, when nobody is subscribed and nothing was published for a day
 * longer than its ttl, or when it is the one unused for longest among more than positions_max.
 * - The events of a channel with history are kept as its rule says, and all together as far as history_bytes_max goes
 *   (memory_log.h); a position outlives its events.
 * - An event_id is remembered for its window, unless more than ids_max younger ones came since.
 * - Restarting begins new epochs: nothing is kept on disk. */
#ifndef CARILLON_BROKER_MEMORY_BROKER_H
#define CARILLON_BROKER_MEMORY_BROKER_H

#include "common/base/mailbox.h"
#include "server/broker/broker.h"

struct memory_broker_config {
    struct turn *turn;         /* borrowed; outlives the broker */
    struct str node_id;        /* copied */
    uint64_t (*now_us)(void);  /* clock_now_us, or a test's */
    uint64_t (*wall_ms)(void); /* clock_wall_ms, or a test's */
    uint64_t idempotency_window_ms;
    size_t positions_max; /* channels without subscribers whose position is kept */
    size_t ids_max;       /* event_ids remembered */
    size_t history_bytes_max;
};

struct broker *memory_broker_create(const struct memory_broker_config *config, const struct broker_sink *sink,
                                    void *owner, struct metrics *metrics);

#endif
