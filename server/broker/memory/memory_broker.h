/* memory_broker.h - the broker of a single node: orders events at once, in memory.
 *
 * What can be relied on, beyond broker.h:
 * - All calls of the sink come from the turn's mail, in the order in which the operations were called; none from within
 *   an operation. A publication's event is handed on before its answer.
 * - Positions: a channel with history counts in an epoch of its own, begun by its first subscriber or event. It is
 *   forgotten, and the next one begins a new epoch, when nobody is subscribed and nothing was published for a day
 *   longer than its ttl (if nothing ever was: for empty_ttl); or when there are more than positions_max: those that
 *   have had no event go first, then those unused for longest.
 * - The events of a channel with history are kept as its rule says, and all together as far as history_bytes_max goes
 *   (memory_log.h); a position outlives its events.
 * - An event_id is remembered for its window, as far as ids_bytes_max goes (memory_ids.h).
 * - What one user's clients have published takes up no more than a share of each of these: over it that user's own goes
 *   first, so that no user's names push out another's. An event and an event_id count for the user who published it, a
 *   position for the one who published there last. What goes is in channels in which that user has published.
 * - Restarting begins new epochs: nothing is kept on disk. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_BROKER_H
#define CARILLON_BROKER_MEMORY_MEMORY_BROKER_H

#include "common/base/mailbox.h"
#include "server/broker/broker.h"

struct memory_broker_config {
    struct turn *turn;         /* borrowed; outlives the broker */
    struct str node_id;        /* copied */
    uint64_t (*now_us)(void);  /* clock_now_us, or a test's */
    uint64_t (*wall_ms)(void); /* clock_wall_ms, or a test's */
    uint64_t idempotency_window_ms;
    uint64_t empty_ttl_ms; /* a position without any event outlives its last subscriber by it */
    size_t positions_max;  /* channels without subscribers whose position is kept */
    size_t ids_bytes_max;  /* event_ids remembered */
    size_t history_bytes_max;
    unsigned user_share; /* percent of each of these that one user's clients may take up */
};

struct broker *memory_broker_create(const struct memory_broker_config *config, const struct broker_sink *sink,
                                    void *owner, struct metrics *metrics);

#endif
