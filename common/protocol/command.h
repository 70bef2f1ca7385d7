/* command.h - what a client asks, in whatever dialect it was written (server/core/dialect.h). Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_COMMAND_H
#define CARILLON_PROTOCOL_COMMAND_H

#include "common/protocol/event.h"

enum command_type {
    COMMAND_NONE,
    COMMAND_SUBSCRIBE,
    COMMAND_UNSUBSCRIBE,
    COMMAND_PING,
    COMMAND_PUBLISH,
    COMMAND_PRESENCE,
    COMMAND_HISTORY,
    COMMAND_REFRESH,
    COMMAND_TYPE_COUNT
};

/* COMMAND_ID_MAX: bytes of an id. COMMAND_ID_RAW_MAX: bytes of an id as the client wrote it: quoted, each byte escaped.
 */
enum { COMMAND_ID_MAX = 64, COMMAND_ID_RAW_MAX = 6 * COMMAND_ID_MAX + 2 };

/* Borrows from the message, and from the scratch buffer that it was parsed with. */
struct command {
    enum command_type type;
    struct str id; /* as the client wrote it, for the answer: COMMAND_ID_RAW_MAX bytes at most, no NUL; empty: none */
    struct str channel;
    struct str event_type;  /* publish */
    struct json_value data; /* publish; has passed json_check */
    struct str event_id;    /* publish */
    bool has_event_id;
    bool no_echo;          /* publish: this session does not get the event */
    struct str token;      /* refresh */
    bool has_since;        /* subscribe, history */
    struct position since; /* its epoch is of any length: the hub checks it, as before's */
    bool has_before;       /* history */
    struct position before;
    bool has_last; /* subscribe */
    uint64_t last;
    bool has_limit; /* history, presence */
    uint64_t limit;
    struct str after; /* presence; empty if absent */
};

/* "subscribe" and so on: what metrics are labelled with, and Carillon's own word for it. */
const char *command_name(enum command_type type);

#endif
