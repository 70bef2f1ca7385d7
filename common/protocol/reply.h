/* reply.h - what the server says to a client besides events, before a dialect has put it into words
 * (server/core/dialect.h). Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_REPLY_H
#define CARILLON_PROTOCOL_REPLY_H

#include "common/protocol/event.h"
#include "common/protocol/gap.h"
#include "common/protocol/presence_page.h"

enum reply_type {
    REPLY_SESSION_INIT,
    REPLY_SUBSCRIBED,
    REPLY_UNSUBSCRIBED,
    REPLY_PONG,
    REPLY_PUBLISHED,
    REPLY_REFRESHED,
    REPLY_HISTORY,
    REPLY_PRESENCE,
    REPLY_ERROR,
    REPLY_WARNING,
    REPLY_RECONNECT,
    REPLY_GAP,
    REPLY_TYPE_COUNT
};

/* All borrowed. The member of the union is the one that type names; unsubscribed has none. Times are milliseconds since
 * 1970 UTC. A position with an empty epoch is that of a channel without history. A position with an empty id has an
 * event whose id is not known. */
struct reply {
    enum reply_type type;
    struct str id;      /* of the command that is answered, as its client wrote it; empty: none */
    struct str channel; /* empty: none */
    union {
        struct {
            struct str session_id;
            uint64_t wall_ms;
            struct str user;
            uint64_t expires_ms; /* 0: never */
            uint64_t ping_interval_s;
            uint64_t message_bytes;
            uint64_t channels;
        } session_init;
        struct {
            struct position position;
            bool recovered; /* what was missed follows */
        } subscribed;
        struct {
            uint64_t wall_ms;
        } pong;
        struct {
            struct position event; /* with its id */
            bool duplicate;        /* the event had been published before */
        } published;
        struct {
            uint64_t expires_ms; /* 0: never */
        } refreshed;
        struct {
            struct position position; /* of the channel; without an id */
            struct str events;        /* as event_encode has written them, joined by commas */
            bool more;
        } history;
        struct presence_page presence;
        struct {
            enum err code;
            struct str message;
        } error;
        struct {
            struct str code;
            struct str message;
        } warning;
        struct {
            struct str reason;
            uint64_t after_ms;
        } reconnect;
        struct {
            enum gap reason;
            struct position position; /* from which the channel goes on */
        } gap;
    };
};

#endif
