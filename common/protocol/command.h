/* command.h - what a client sends: one JSON object a text frame (docs/protocol.md, "Commands from the client").
 * Pure; any thread. */
#ifndef CARILLON_PROTOCOL_COMMAND_H
#define CARILLON_PROTOCOL_COMMAND_H

#include "common/base/buf.h"
#include "common/base/error.h"
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

enum { COMMAND_ID_MAX = 64 };

/* Borrows from the text and from the scratch buffer given to command_parse. */
struct command {
    enum command_type type;
    struct str id; /* raw JSON (string with quotes, or integer), to be put back as it is; empty if absent */
    struct str channel;
    struct str event_type;  /* publish */
    struct json_value data; /* publish */
    struct str event_id;    /* publish */
    bool has_event_id;
    struct str token; /* refresh */
    bool has_since;   /* subscribe, history */
    struct position since;
    bool has_before; /* history */
    struct position before;
    bool has_last; /* subscribe */
    uint64_t last;
    bool has_limit; /* history, presence */
    uint64_t limit;
    struct str after; /* presence; empty if absent */
};

/* Parses one message. Checks form only: members, types, the length of the id (a string up to 64 bytes, or an integer).
 * A member that need not be there counts as absent when it is null.
 * Channel names and events are checked by their own functions. On failure *out still has the id where it could be read,
 * so that the error can be answered to it; ERR_INVALID_REQUEST. scratch is cleared first; it must outlive *out. */
enum err command_parse(struct str text, struct command *out, struct buf *scratch, struct error *error);

/* "subscribe" and so on. */
const char *command_name(enum command_type type);

#endif
