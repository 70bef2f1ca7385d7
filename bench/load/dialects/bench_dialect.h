/* bench_dialect.h - what subscribers, and those who publish over WebSocket, say to the server under load, and how what
 * it says is understood. A dialect only turns bytes into bytes: it knows no sockets, no clock, and not what an event
 * means. The rows are in dialects.def. Any thread, each talk by one. */
#ifndef CARILLON_BENCH_LOAD_DIALECTS_BENCH_DIALECT_H
#define CARILLON_BENCH_LOAD_DIALECTS_BENCH_DIALECT_H

#include "common/base/buf.h"

enum transport {
#define TRANSPORT(symbol, name) TRANSPORT_##symbol,
#include "bench/load/dialects/transports.def"
#undef TRANSPORT
    TRANSPORT_COUNT
};

extern const char *const transport_names[TRANSPORT_COUNT];

/* One client's side of a conversation. */
enum { TALK_EPOCH_MAX = 32, TALK_ID_MAX = 36 };

struct talk {
    struct str channel; /* that it subscribes to; empty: none */
    unsigned stage;     /* 0 at first; the dialect's own */
    /* Where the channel has a history: set before, the position to come back to; once ready, the one it began at. */
    char epoch[TALK_EPOCH_MAX + 1];
    uint64_t offset;
    char id[TALK_ID_MAX + 1]; /* of the event there; "": not told */
};

/* The kind of the first message in the bytes. */
enum dialect_item {
    DIALECT_MORE,     /* nothing whole: the rest has to come, or all is used up */
    DIALECT_READY,    /* the client is there and subscribed; comes once */
    DIALECT_EVENT,    /* *out is the event, with whatever the dialect has around its data */
    DIALECT_ACCEPTED, /* the server has taken one event that this client published */
    DIALECT_OTHER,    /* *out is what the server said: before READY a refusal */
};

struct bench_dialect {
    const char *name;
    const char *path;          /* of the upgrade, where the URL has none */
    const char *subprotocol;   /* NULL: none */
    bool has_tokens;           /* clients bring a token in the Authorization header */
    bool has_echo;             /* answers a JSON ping */
    bool has_since;            /* clients can come back to a position */
    bool accepts_aloud;        /* a publish over WebSocket is answered: DIALECT_ACCEPTED */
    bool is_binary;            /* sends binary messages */
    unsigned transports;       /* bit 1 << enum transport: over which events may be published */
    enum transport usual;      /* unless --publish-over says otherwise */
    const char *batch_path;    /* of the HTTP API, for many events in one request; NULL: there is none */
    const char *accepted_mark; /* stands in the HTTP answer once for each event taken; NULL: any 2xx is one */

    /* Appends what follows `path` in the request target. */
    void (*append_query)(struct buf *out, struct str channel);
    /* After the handshake: appends the first message, if the client speaks first. True: the client is ready. */
    bool (*open)(struct talk *talk, struct buf *out);
    /* Takes one item off the front of *message and appends to *answer what must be sent back, if anything. *out borrows
     * from the message. Is called again until it returns DIALECT_MORE; what is then left in *message comes again with
     * more behind it. */
    enum dialect_item (*read)(struct talk *talk, struct str *message, struct str *out, struct buf *answer);
    /* Appends the message that publishes data (JSON) on the channel; NULL: not over WebSocket. */
    void (*publish)(struct buf *out, struct str channel, struct str data);
    /* Append the target and the body of the POST that does; NULL: not over HTTP. */
    void (*append_post_target)(struct buf *out, struct str channel);
    void (*append_post_body)(struct buf *out, struct str channel, struct str data);
};

#define DIALECT(name) extern const struct bench_dialect dialect_##name;
#include "bench/load/dialects/dialects.def"
#undef DIALECT

/* Ends with NULL. */
extern const struct bench_dialect *const dialects[];

const struct bench_dialect *dialect_find(const char *name);

/* Appends text with all but letters, digits and "-._~" percent-encoded. */
void dialect_append_encoded(struct buf *out, struct str text);

/* Pieces that several dialects share. */
bool dialect_open_ready(struct talk *talk, struct buf *out);
bool dialect_open_silent(struct talk *talk, struct buf *out);
enum dialect_item dialect_read_whole(struct talk *talk, struct str *message, struct str *out, struct buf *answer);
void dialect_append_channel_query(struct buf *out, struct str channel);
void dialect_append_nothing(struct buf *out, struct str channel);
void dialect_append_publish_target(struct buf *out, struct str channel);
void dialect_append_data_alone(struct buf *out, struct str channel, struct str data);

#endif
