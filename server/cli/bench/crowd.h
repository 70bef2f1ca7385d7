/* crowd.h - many WebSocket clients of one server on one loop: each connects with its own token, waits for session_init,
 * subscribes if there is a channel, and then hands over what comes. Single thread: the loop's. */
#ifndef CARILLON_CLI_BENCH_CROWD_H
#define CARILLON_CLI_BENCH_CROWD_H

#include "common/protocol/ws_client.h"
#include "server/cli/bench/histogram.h"
#include "server/cli/bench/loop.h"

enum crowd_state {
    CROWD_IDLE,
    CROWD_CONNECTING,
    CROWD_UPGRADING,   /* the request is sent */
    CROWD_OPENING,     /* waits for session_init */
    CROWD_SUBSCRIBING, /* waits for subscribed */
    CROWD_READY,
    CROWD_GONE,
};

struct crowd_client {
    struct loop_source source;
    struct crowd *crowd;
    enum crowd_state state;
    uint64_t began_us;
    char key[WS_KEY_LEN + 1];
    struct buf head; /* of the server's answer, as far as it has come */
    struct ws_decoder decoder;
};

struct crowd {
    struct loop *loop;
    const struct loop_target *target;
    struct str channel;       /* that all subscribe to; empty: none */
    const struct buf *tokens; /* one for each client */
    size_t count;
    size_t at_once; /* connections under way at a time */
    /* Called for each text frame that comes to a client that is ready. text is valid until the call returns. */
    void (*on_text)(void *owner, size_t client, struct str text);
    void *owner;

    struct crowd_client *clients; /* owned */
    size_t begun;
    size_t ready;
    size_t gone;
    struct histogram latency; /* from connect() to ready */
    struct error error;       /* why the first one has gone */
};

/* The fields before `clients` are the caller's, and what they point to must stay. */
void crowd_init(struct crowd *crowd);
void crowd_fini(struct crowd *crowd);

/* Connects all, and returns when all are ready. Anything else fails, with the reason in *error. */
enum err crowd_connect(struct crowd *crowd, uint64_t timeout_us, struct error *error);

/* Sends one text frame of a client that is ready. */
void crowd_send(struct crowd *crowd, size_t client, struct str text);

#endif
