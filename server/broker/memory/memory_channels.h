/* memory_channels.h - the channels of the memory broker: those with subscribers, and those whose position is kept
 * though nobody is subscribed. memory_broker.h says how long. Pure, for one thread. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_CHANNELS_H
#define CARILLON_BROKER_MEMORY_MEMORY_CHANNELS_H

#include "common/base/random.h"
#include "server/broker/memory/memory_log.h"

struct memory_channels {
    struct map by_name;     /* owns the channels */
    struct list_link idle;  /* unused for longest first */
    struct list_link empty; /* the same: those that have had no event, all equally long-lived */
    size_t idle_count;      /* in both */
    size_t idle_max;
    uint64_t empty_ttl_us;
    struct memory_shares positions;
    struct memory_logs logs;
};

/* A channel with subscribers or a position. */
struct memory_channel {
    struct list_link idle;   /* in memory_channels.idle or .empty while nobody is subscribed */
    struct memory_part part; /* of memory_channels.positions, while it is in idle */
    uint64_t user;           /* whose client published last, or 0: a backend, or nobody yet */
    bool subscribed;
    bool answered;             /* sink->subscribed has been called: events may follow */
    uint64_t serial;           /* of the subscription: an answer for an earlier one is dropped */
    uint64_t forget_us;        /* when an idle position ends, or 0: never by age */
    char epoch[EPOCH_MAX + 1]; /* "": no history so far */
    uint64_t offset;
    char last_id[UUID_LEN + 1]; /* of the event there, or "": none so far */
    struct memory_log log;
    struct str name;
    char bytes[];
};

/* Zeroes all but the bounds. idle_max: channels without subscribers whose position is kept; one user's share of them is
 * idle_share. The events have history_bytes_max, of which one user's share is history_share. */
void memory_channels_init(struct memory_channels *channels, uint64_t empty_ttl_us, size_t idle_max, size_t idle_share,
                          size_t history_bytes_max, size_t history_share);
void memory_channels_fini(struct memory_channels *channels);

/* NULL: there is none. */
struct memory_channel *memory_channel_find(const struct memory_channels *channels, struct str name);
struct memory_channel *memory_channel_find_or_create(struct memory_channels *channels, struct str name);

bool memory_channel_has_position(const struct memory_channel *channel, uint64_t now_us);
/* Its events go, and the next one has offset 1. */
void memory_channel_begin_epoch(struct memory_channels *channels, struct memory_channel *channel);
/* It has a history by this rule now. */
void memory_channel_keep_for(struct memory_channel *channel, const struct history_policy *history, uint64_t now_us);

/* It has subscribers now. */
void memory_channel_make_busy(struct memory_channels *channels, struct memory_channel *channel);
/* It has been used without a subscriber, or has lost its last one. Others may be forgotten for it. */
void memory_channel_make_idle(struct memory_channels *channels, struct memory_channel *channel, uint64_t now_us);
void memory_channel_forget(struct memory_channels *channels, struct memory_channel *channel);
/* All that have no subscriber. */
void memory_channels_forget_all_idle(struct memory_channels *channels);
/* Those whose time is over, and those over idle_max. */
void memory_channels_forget_idle(struct memory_channels *channels, uint64_t now_us);

#endif
