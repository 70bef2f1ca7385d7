/* redis_guard.h - checks the bytes of a server before the reader of hiredis parses them. The reader allocates as much
 * as the server announces: an array of 2^31 elements would take 16 GB at once. Each array within an array takes a stack
 * frame. The guard bounds both. It checks RESP2 to the letter (redis.io, "Redis serialization protocol specification").
 * Pure, for one thread. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_GUARD_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_GUARD_H

#include "common/base/error.h"

enum {
    REDIS_DEPTH_MAX = 7,          /* arrays within each other; answers to our commands have 5 at most */
    REDIS_ELEMENTS_MAX = 1 << 20, /* of all arrays of a reply; the most fragmented map of a cluster has 400,000 */
    REDIS_LINE_MAX = 1 << 16,     /* bytes of a status or an error */
    REDIS_REPLY_BYTES = 64 << 20, /* of all texts of a reply, such as a page of a history */
};

/* At the beginning of a connection all is zero but bytes_max. */
struct redis_guard {
    uint64_t bytes_max; /* of one reply */
    uint64_t replies;   /* complete replies so far */
    /* The reply that is under way. */
    uint64_t bytes;
    uint64_t elements;
    uint64_t left[REDIS_DEPTH_MAX]; /* elements still to come, of each array around the present one */
    unsigned depth;
    /* The present line or text of the reply. */
    enum { GUARD_TYPE, GUARD_LENGTH, GUARD_LENGTH_END, GUARD_LINE, GUARD_LINE_END, GUARD_TEXT } state;
    char type;
    bool negative;
    unsigned digits;
    uint64_t length;
    uint64_t skip; /* bytes of a text that are still to come; of a line, bytes so far */
};

/* Checks the next bytes of the connection. ERR_INVALID_REQUEST: neither these bytes nor later ones may be parsed. The
 * error says what is wrong. */
enum err redis_guard_take(struct redis_guard *guard, struct str bytes, struct error *error);

#endif
