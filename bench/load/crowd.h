/* crowd.h - many WebSocket clients of one server on one loop. Each client connects and speaks its dialect until it is
 * ready: subscribed, if there are channels. Then it hands over all that comes. Single thread: the loop's. */
#ifndef CARILLON_BENCH_LOAD_CROWD_H
#define CARILLON_BENCH_LOAD_CROWD_H

#include "bench/load/dialects/bench_dialect.h"
#include "bench/load/histogram.h"
#include "bench/load/loop_stream.h"
#include "common/protocol/ws_client.h"

enum crowd_state {
    CROWD_IDLE,
    CROWD_CONNECTING,
    CROWD_UPGRADING, /* the request is sent */
    CROWD_OPENING,   /* the handshake is done, the dialect is not */
    CROWD_READY,
    CROWD_GONE,
};

struct crowd_client {
    struct loop_stream stream; /* first: see loop_stream.h */
    struct crowd *crowd;
    enum crowd_state state;
    uint64_t began_us;
    char key[WS_KEY_LEN + 1];
    struct buf rest; /* the head of the server's answer, later a packet of the dialect, as far as it has come */
    struct talk talk;
    struct ws_decoder decoder;
};

struct crowd {
    struct loop *loop;
    const struct loop_target *target;
    const struct bench_dialect *dialect;
    const struct str *channels; /* client i subscribes to channels[(first + i) % channel_count] */
    size_t channel_count;       /* 0: to none */
    size_t first;
    const struct buf *tokens;  /* one for each client; NULL: none */
    const struct str *tickets; /* the same, for the query */
    size_t count;
    size_t at_once;    /* connections under way at a time */
    bool sends_binary; /* messages are binary, whatever the dialect sends */
    /* Called for each item (an event, an answer) that comes to a client that is ready. now_us: when its bytes were
     * read. payload is valid until the call returns. */
    void (*on_item)(void *owner, size_t client, enum dialect_item item, struct str payload, uint64_t now_us);
    void *owner;

    struct crowd_client *clients; /* owned */
    size_t begun;
    size_t ready;
    size_t gone;
    size_t pongs;             /* of WebSocket pings */
    struct histogram latency; /* from connect() to ready */
    struct error error;       /* why the first one has gone */
    struct buf answer;        /* scratch */
};

/* The fields before `clients` are the caller's, and what they point to must stay. */
void crowd_init(struct crowd *crowd);
void crowd_fini(struct crowd *crowd);

/* Connects all, and returns when all are ready. Anything else fails, with the reason in *error. */
enum err crowd_connect(struct crowd *crowd, uint64_t timeout_us, struct error *error);

/* Queues one message of a client that is ready; crowd_flush sends it. */
void crowd_queue(struct crowd *crowd, size_t client, struct str message);
void crowd_flush(struct crowd *crowd, size_t client);

/* The first makes a ready client stop reading, so that the kernel's buffers fill. The second makes it read again and
 * send a ping. The answer shows that it is still connected (pongs). */
void crowd_stop_reading(struct crowd *crowd, size_t client);
void crowd_read_again_and_ping(struct crowd *crowd, size_t client);

#endif
