/* lifecycle_watch.h - follows the sessions and channels of one hub, and makes lifecycle events of them
 * (core/lifecycle_event.h). A watcher works in the hub's thread, and gives each event to its sink. Each hub has one. It
 * observes the hub only while events are wanted, so it costs nothing otherwise. */
#ifndef CARILLON_NODE_LIFECYCLE_WATCH_H
#define CARILLON_NODE_LIFECYCLE_WATCH_H

#include <stdatomic.h>

#include "common/base/map.h"
#include "server/core/hub.h"
#include "server/core/lifecycle_event.h"
#include "server/core/observer.h"

/* Which events are told, and where. Shared by all threads, never changed. */
struct lifecycle_settings {
    atomic_uint refs;
    uint32_t types;                        /* a set: bit i is enum lifecycle_type i */
    char stream[LIFECYCLE_STREAM_MAX + 1]; /* its key in Redis */
    uint64_t max_len;                      /* about so many events stay in the stream */
    size_t waiting_events;                 /* that may wait for the broker */
    size_t waiting_bytes;                  /* the same */
    uint64_t vacated_after_us;             /* a channel is vacated when it has had no subscribers for so long */
    size_t pattern_count;                  /* patterns of channels, for events that name a channel */
    struct str *patterns;
};

/* One reference. Copies the patterns. The other members are the caller's to set before it shares the settings. */
struct lifecycle_settings *lifecycle_settings_create(size_t pattern_count, const struct str *patterns);
struct lifecycle_settings *lifecycle_settings_ref(struct lifecycle_settings *settings);
/* NULL is fine. */
void lifecycle_settings_unref(struct lifecycle_settings *settings);

/* settings may be NULL: nothing is told. */
static inline bool lifecycle_tells(const struct lifecycle_settings *settings, enum lifecycle_type type)
{
    return settings && (settings->types >> type & 1);
}

bool lifecycle_covers(const struct lifecycle_settings *settings, struct str channel);

/* Of one session, at its place in the hub. */
struct lifecycle_mark {
    uint32_t sequence; /* of its last event */
    uint32_t round;    /* in which it was told as open; 0: never */
};

struct lifecycle_watcher {
    struct observer observer;
    struct hub *hub; /* NULL: it observes nothing */
    struct str node_id;
    struct lifecycle_settings *settings;                      /* one reference; NULL: off */
    void (*sink)(void *owner, struct lifecycle_event *event); /* takes the event */
    void *owner;
    uint32_t round; /* sessions are told anew in each */
    struct lifecycle_mark *marks;
    size_t mark_cap;
    struct map channels; /* with subscribers here: name -> struct watched_channel */
    struct buf data;
    struct buf json;
};

/* The hub's thread, for all that follow. Follows these settings from now on, in this round. NULL: off. A reference is
 * taken. */
void lifecycle_watcher_configure(struct lifecycle_watcher *watcher, struct hub *hub,
                                 struct lifecycle_settings *settings, uint32_t round);
/* Tells the open sessions that have not been told in this round, from that place on: about count. Returns the next
 * place; 0: all have been told. */
size_t lifecycle_watcher_tell(struct lifecycle_watcher *watcher, size_t place, size_t count);
/* When the hub is gone. */
void lifecycle_watcher_fini(struct lifecycle_watcher *watcher);

#endif
