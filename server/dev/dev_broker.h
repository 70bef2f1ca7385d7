/* dev_broker.h - stands in front of the broker: every request to it and every answer passes here, and every event. One
 * thread: the broker's. */
#ifndef CARILLON_DEV_DEV_BROKER_H
#define CARILLON_DEV_DEV_BROKER_H

#include "common/base/mailbox.h"
#include "server/broker/broker.h"
#include "server/dev/journal.h"

struct dev_broker {
    struct broker base;
    struct broker *inner; /* owned */
    const struct broker_sink *sink;
    void *sink_owner;
    void (*closed)(void *owner);
    struct journal *journal;
    struct turn *turn; /* set before the broker is asked for anything */
};

void dev_broker_init(struct dev_broker *broker, struct journal *journal);
/* Exchanges the node's sink for one that passes on to it. */
void dev_broker_take_sink(struct dev_broker *broker, const struct broker_sink **sink, void **sink_owner);
/* Takes the real broker. Returns the one that stands in front of it. */
struct broker *dev_broker_wrap(struct dev_broker *broker, struct broker *inner);

#endif
