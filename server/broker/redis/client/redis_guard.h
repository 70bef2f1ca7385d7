/* redis_guard.h - looks at what a server sends before hiredis' reader does, which allocates whatever is announced: an
 * array of 2^31 elements would take 16 GB at once, and arrays within arrays as many stack frames as there are. RESP2,
 * to the letter (redis.io, "Redis serialization protocol specification"). Pure; one thread. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_GUARD_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_GUARD_H

#include "common/base/error.h"

enum {
    REDIS_DEPTH_MAX = 7,          /* arrays within each other; answers to our commands have 5 */
    REDIS_ELEMENTS_MAX = 1 << 20, /* of one reply, in all its arrays; the map of a cluster in pieces has 400,000 */
    REDIS_LINE_MAX = 1 << 16,     /* bytes of a status or an error */
    REDIS_REPLY_BYTES = 64 << 20, /* of one reply, of its texts in all: a page of a history, an event */
};

/* All zero, but for bytes_max, at the beginning of a connection. */
struct redis_guard {
    uint64_t bytes_max; /* of one reply */
    uint64_t replies;   /* whole ones seen so far */
    /* The one that is under way. */
    uint64_t bytes;
    uint64_t elements;
    uint64_t left[REDIS_DEPTH_MAX]; /* elements still to come, of each array around the present one */
    unsigned depth;
    /* Its present line or text. */
    enum { GUARD_TYPE, GUARD_LENGTH, GUARD_LENGTH_END, GUARD_LINE, GUARD_LINE_END, GUARD_TEXT } state;
    char type;
    bool negative;
    unsigned digits;
    uint64_t length;
    uint64_t skip; /* bytes of a text still to come, or what the line has so far */
};

/* The next bytes of the connection. ERR_INVALID_REQUEST: they must not be read, and nothing may be that follows; the
 * error says what is wrong. */
enum err redis_guard_take(struct redis_guard *guard, struct str bytes, struct error *error);

#endif
