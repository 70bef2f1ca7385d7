/* memory_broker.h - the broker of a single node: orders events at once, in memory.
 *
 * What can be relied on, beyond broker.h:
 * - All calls of the sink come from the turn's mail, in the order of the operations, and none from within an operation.
 *   A publication's event is handed on before its answer.
 * - A channel with history has an epoch of its own, which its first subscriber or event begins.
 * - A position without subscribers is forgotten a day after the ttl of its last event, or after empty_ttl if there was
 *   none. Over positions_max, positions without an event go first, then those unused for longest. The channel's next
 *   position has a new epoch.
 * - The events of a channel are kept as its rule says, and all together up to history_bytes_max (memory_log.h). A
 *   position outlives its events.
 * - An event_id is remembered for its window, as far as ids_bytes_max goes (memory_ids.h).
 * - One user's clients take up no more than a share of each of these. Over it the user's own oldest go first. An event
 *   and an event_id count for the user who published it, a position for the user who published there last.
 * - Restarting begins new epochs: nothing is kept on disk. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_BROKER_H
#define CARILLON_BROKER_MEMORY_MEMORY_BROKER_H

#include "common/base/mailbox.h"
#include "server/broker/broker.h"

struct memory_broker_config {
    struct turn *turn;  /* borrowed, and outlives the broker */
    struct str node_id; /* copied */
    uint64_t idempotency_window_ms;
    uint64_t empty_ttl_ms; /* a position without any event outlives its last subscriber by it */
    size_t positions_max;  /* channels without subscribers whose position is kept */
    size_t ids_bytes_max;  /* event_ids remembered */
    size_t history_bytes_max;
    unsigned user_share; /* percent of each of these that one user's clients may take up */
};

struct broker *memory_broker_create(const struct memory_broker_config *config, const struct broker_sink *sink,
                                    void *owner, struct metrics *metrics);

/* Loses the channel's history, as a Redis that was emptied does: it begins anew, and subscribers are told so. A channel
 * that has had no event has nothing to lose. For a server for development. Returns whether there was a history. */
bool memory_broker_lose(struct broker *broker, struct str channel);
/* Forgets all histories, event_ids, tickets and used tokens. Channels with subscribers begin anew, and the subscribers
 * are told. The members of channels stay. For a server for development. */
void memory_broker_empty(struct broker *broker);
/* Forgets the members of all channels, and tells nobody. For a server for development. */
void memory_broker_forget_members(struct broker *broker);

/* One channel with a position, for a snapshot of a server for development. read has all its events that are kept. */
struct memory_snapshot {
    struct str channel;
    const struct history_read *read;
};
/* Calls tell for each channel that has a position. What it gets is borrowed for the call. */
void memory_broker_save(struct broker *broker, void (*tell)(void *owner, const struct memory_snapshot *snapshot),
                        void *owner);
/* Gives the channel that position, in place of its own, and these events, oldest first and up to the position. Its
 * subscribers are told. The texts of events are as event_decode gives them. */
void memory_broker_restore(struct broker *broker, struct str channel, const struct position *position,
                           const struct history_policy *history, const struct event *events, size_t count);

#endif
