/* endpoint.h - the common settings of all sessions that have come in by one path. An endpoint is filled before it is
 * shared. From then on it is immutable, and all threads use it. A reload makes new endpoints: an open session follows
 * to the one that takes the place of its own (hub_use_endpoint). */
#ifndef CARILLON_CORE_ENDPOINT_H
#define CARILLON_CORE_ENDPOINT_H

#include <stdatomic.h>

#include "common/protocol/reason.h"
#include "server/core/dialect.h"
#include "server/core/upstream.h"

/* Maps a reason to a close code; indexed by enum reason. */
struct close_codes {
    uint16_t code[REASON_COUNT];
};

/* Of each session. */
struct endpoint_limits {
    size_t message_bytes; /* of a client's message, fragments joined */
    uint32_t channels;
    uint32_t bad_messages;            /* in a row, before the session is closed; 0: never */
    uint64_t message_rate_per_minute; /* 0: no limit */
    uint64_t message_burst;
};

/* What becomes of a client's messages. */
enum message_use {
    USE_COMMANDS, /* the dialect's */
    USE_UPSTREAM, /* the endpoint's upstream gets them; there must be one */
    USE_ECHO,     /* they come back */
    USE_IGNORE,
    USE_REJECT, /* one such message ends the session with data_kind */
};

/* Which messages the rate counts, as a set. */
enum rate_counts { RATE_TEXT = 1, RATE_BINARY = 2 };

enum { BINARY_TYPE_MAX = 127 };

struct endpoint {
    atomic_uint refs;
    void (*destroy)(struct endpoint *endpoint); /* called with the last reference, in any thread */
    struct str path;                            /* as it is configured. Kept by who made the endpoint; may be empty */
    const struct dialect *dialect;              /* an open session keeps the one that it began with */
    struct close_codes close_codes;
    struct endpoint_limits limits;
    uint64_t ping_interval_us; /* 0: no pings */
    uint64_t pong_timeout_us;
    enum message_use text; /* an open session keeps the use that it began with, of this and the next */
    enum message_use binary;
    unsigned rate_counts; /* enum rate_counts */
    uint32_t frames;     /* which replies are sent: a bit by enum reply_type. An open session keeps this and the next */
    bool deliver_data;   /* of an event its data alone is sent, as the publisher wrote it */
    bool ignores_expiry; /* the token's exp counts at the upgrade only */
    struct correlation *correlation; /* one reference; NULL: none */
    struct upstream *upstream;       /* one reference; NULL: none. An open session keeps the one that it began with */
    char binary_type[BINARY_TYPE_MAX + 1]; /* content type of binary messages, for the upstream. The same */
};

enum { FRAMES_ALL = (1 << REPLY_TYPE_COUNT) - 1 };

/* One reference, the default close codes, commands as text, no binary messages, all frames. The rate counts text and
 * binary. Zero in the rest. */
void endpoint_init(struct endpoint *endpoint, const struct dialect *dialect,
                   void (*destroy)(struct endpoint *endpoint));
struct endpoint *endpoint_ref(struct endpoint *endpoint);
void endpoint_unref(struct endpoint *endpoint);

/* The bits of frames for a word of the configuration, such as "subscribed"; 0: there is no such word. */
uint32_t frames_of_word(struct str word);

/* For sessions that are open: the endpoint, which has just been made, becomes as the other one is. It has no upstream,
 * since each session has the one that it began with. */
void endpoint_continue(struct endpoint *endpoint, const struct endpoint *before);

#endif
