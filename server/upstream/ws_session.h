/* ws_session.h - what a WebSocket upstream keeps of one session. Private to this folder. One thread, the hub's. */
#ifndef CARILLON_UPSTREAM_WS_SESSION_H
#define CARILLON_UPSTREAM_WS_SESSION_H

#include "common/base/random.h"
#include "common/protocol/ws_client.h"
#include "server/upstream/backend_socket.h"
#include "server/upstream/ws_target.h"
#include "server/upstream/ws_upstream_private.h"

enum ws_state {
    WS_IDLE,       /* no connection; the next message opens one */
    WS_DENIED,     /* the target has not allowed one; the failure is told by the timer */
    WS_CONNECTING, /* until the socket is open */
    WS_UPGRADING,  /* until the answer to the upgrade request is there */
    WS_OPEN,
    WS_CLOSING, /* a close frame has been sent: the backend is to close the connection */
    WS_ENDED,   /* the socket is closing */
};

struct ws_session {
    struct upstream_session base;
    struct hub *hub;
    struct turn *turn; /* of the hub */
    enum ws_state state;
    char uuid[UUID_LEN + 1];
    struct session_origin *origin; /* one reference; NULL: none */
    struct list_link waiting;      /* struct ws_waiting */
    size_t waiting_count;
    size_t waiting_bytes;    /* of those messages, with WAITING_COST each */
    int close_code;          /* of the session, once it has ended; 0: none */
    struct buf close_reason; /* the same */
    struct backend_socket socket;
    struct timer
        timer; /* WS_DENIED: now; until it is open: its end; then: the next ping; at last: the end of closing */
    /* While the connection opens. */
    enum outbound_result denied;
    bool probe; /* for the breaker */
    uint64_t began_us;
    struct buf request;
    struct buf answer;
    size_t scanned;
    size_t dropped; /* bytes of interim answers */
    char key[WS_KEY_LEN + 1];
    /* While it is open. */
    bool counted; /* in the gauge */
    bool pinged;
    bool heard;    /* something has come since the timer fired last */
    size_t unsent; /* bytes, when the timer fired last */
    struct ws_decoder decoder;
    struct timer room; /* runs while the client has too much to read */
    uint8_t refused;   /* times in a row that input found no room */
    bool has_late;     /* a message that finds no room in the client's outbox; it is sent first */
    bool late_binary;
    struct buf late;
};

/* A message that waits until the connection is open. */
struct ws_waiting {
    struct list_link link;
    bool binary;
    struct buf bytes;
    char correlation[]; /* JSON, as the client wrote it; "": none */
};

static inline struct ws_session *ws_session_of(struct upstream_session *base)
{
    return CONTAINER_OF(base, struct ws_session, base);
}

static inline const struct ws_upstream *ws_upstream_of(const struct ws_session *state)
{
    return (const struct ws_upstream *)(const void *)state->base.upstream;
}

void ws_session_wait(struct ws_session *state, const struct session_message *message);
/* The oldest one; NULL: none waits. The caller frees it (ws_waiting_free). */
struct ws_waiting *ws_session_take_waiting(struct ws_session *state);
void ws_waiting_free(struct ws_waiting *waiting);

/* How much waits has changed: reads the client or does not, and tells what draining waits for. */
void ws_session_settle(struct ws_session *state);

/* Ends the connection now. The socket's `closed` follows. */
void ws_session_shut(struct ws_session *state);
/* Nothing is left of the connection, and the session has ended. */
void ws_session_free(struct ws_session *state);

#endif
