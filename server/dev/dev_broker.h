/* dev_broker.h - stands in front of the broker: every request to it and every answer passes here, and every event. It
 * can be down, slow, or come back empty, as a Redis can. One thread: the broker's. */
#ifndef CARILLON_DEV_DEV_BROKER_H
#define CARILLON_DEV_DEV_BROKER_H

#include "common/base/mailbox.h"
#include "common/base/map.h"
#include "server/broker/broker.h"
#include "server/dev/journal.h"

enum dev_broker_mode {
    DEV_BROKER_UP,   /* as the broker behind it */
    DEV_BROKER_DOWN, /* requests fail, subscriptions wait, and events are lost on their way */
    DEV_BROKER_SLOW, /* what is asked of it comes late, in order */
};

struct dev_broker {
    struct broker base;
    struct broker *inner; /* owned */
    const struct broker_sink *sink;
    void *sink_owner;
    void (*closed)(void *owner);
    struct journal *journal;
    struct turn *turn;
    struct wheel *wheel;    /* of the hub: its timers go by the clock that tests move. Set before any fault */
    struct mailbox mailbox; /* of answers while it is down */
    enum dev_broker_mode mode;
    bool comes_back_empty;
    struct map wanted;     /* name -> struct wanted_channel: the node's subscriptions */
    struct list_link late; /* struct late_order, while it is slow: the next one first */
    uint64_t slow_us;
    struct timer late_timer;
    struct timer back_timer;
};

void dev_broker_init(struct dev_broker *broker, struct journal *journal);
/* Exchanges the node's sink for one that passes on to it. */
void dev_broker_take_sink(struct dev_broker *broker, const struct broker_sink **sink, void **sink_owner);
/* Takes the real broker, whose turn it is. Returns the one that stands in front of it. */
struct broker *dev_broker_wrap(struct dev_broker *broker, struct broker *inner, struct turn *turn);

/* After for_ms it is up again; 0: not by itself. slow_ms: with DEV_BROKER_SLOW, how late each request is. A broker that
 * is not slow any more carries out at once what it held. */
void dev_broker_set(struct dev_broker *broker, enum dev_broker_mode mode, uint64_t slow_ms, uint64_t for_ms);
/* Loses all histories, as a Redis that starts again without its data: the connection is lost, too, and is back after
 * for_ms. The broker behind it is the memory broker. */
void dev_broker_lose(struct dev_broker *broker, uint64_t for_ms);
/* It is up. Requests that it held as a slow broker fail: the broker behind never gets them. */
void dev_broker_rewind(struct dev_broker *broker);
/* Loses the channel's history, as memory_broker_lose does. False: there was none, or the broker is Redis. */
bool dev_broker_lose_history(struct dev_broker *broker, struct str channel);

#endif
