/* redis_connection.h - one TCP connection to Redis (RESP2), with TLS if asked: resolve, connect, log in, then pipelined
 * commands whose answers come back in order. hiredis reads the answers; sockets, timers and limits are ours. What one
 * loop turn sends leaves in one write at its end.
 *
 * It knows nothing of channels and does not reconnect: it tells its owner once that it is down, and can then be
 * started again. One thread, that of its turn. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_H

#include "common/base/buf.h"
#include "common/base/mailbox.h"
#include "common/base/ring.h"
#include "server/broker/redis/client/redis_guard.h"
#include "server/broker/redis/client/redis_tls.h"
#include "server/broker/redis/client/redis_url.h"

struct redisReader;
struct redisReply;
struct redis_connection;

/* An answer, borrowed for the call. NULL: the connection was lost before it came; nobody knows if the command ran. */
typedef void redis_answered(void *owner, void *argument, const struct redisReply *reply);

struct redis_connection_events {
    /* Logged in. */
    void (*up)(struct redis_connection *connection);
    /* What Redis sends without being asked: pub/sub, and the confirmations of it. NULL: nothing such is expected. */
    void (*pushed)(struct redis_connection *connection, const struct redisReply *reply);
    /* Lost, refused or dropped: why says it, with the address and without secrets. All unanswered commands have been
     * answered with NULL; nothing is left on the loop. Never from within a call. */
    void (*down)(struct redis_connection *connection, const char *why);
};

struct redis_connection_config {
    const char *what;                      /* it connects to, for messages; borrowed for life */
    const struct redis_endpoint *endpoint; /* borrowed for life; may change while the connection is idle */
    const struct redis_login *login;       /* borrowed for life */
    const char *login_hint;                /* what it "wants" if there is no login; borrowed for life */
    const struct redis_tls *tls;           /* borrowed for life; NULL: without TLS */
    const char *name;                      /* shown by CLIENT LIST; borrowed for life */
    uint64_t connect_timeout_ms;           /* until logged in */
    uint64_t command_timeout_ms;           /* an answer later than that drops the connection */
    unsigned keepalive_s;                  /* 0: off */
    uint64_t reply_bytes_max;              /* a longer answer drops the connection; 0: REDIS_REPLY_BYTES */
};

enum redis_connection_state {
    REDIS_IDLE,
    REDIS_RESOLVING,
    REDIS_CONNECTING,
    REDIS_HANDSHAKE, /* of TLS */
    REDIS_LOGIN,
    REDIS_READY,
    REDIS_CLOSING,
};

enum { REDIS_READ_BYTES = 65536 };

/* An answer that is due. */
struct redis_expected {
    redis_answered *done;
    void *argument;
    uint64_t sent_us;
};

struct redis_connection {
    struct redis_connection_config config;
    const struct redis_connection_events *events;
    void *owner;
    const struct redis_connection_steps *steps;
    struct turn *turn;
    struct turn_hook hook;
    enum redis_connection_state state;
    uv_tcp_t tcp;
    struct timer timer; /* until it is up; then of the looks for overdue answers */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    uv_write_t write;
    unsigned open;            /* handles and requests that have to end before it is down */
    unsigned addresses;       /* of the host name */
    unsigned tried;           /* of them, since the start */
    bool again;               /* once closed, the next address is tried, and nobody is told */
    bool late;                /* the oldest answer was overdue at the last look */
    struct redis_guard guard; /* what it lets pass, the reader reads */
    struct redisReader *reader;
    struct redis_tls_stream *tls; /* NULL: without */
    struct buf plain;             /* what TLS has opened, to be read */
    struct buf sealed;            /* what TLS has sealed, to be written */
    struct buf out;               /* of this turn */
    struct buf writing;           /* what the kernel did not take at once */
    bool write_busy;
    struct ring expected; /* answers due: struct redis_expected */
    char why[200];
    char input[REDIS_READ_BYTES];
};

void redis_connection_init(struct redis_connection *connection, const struct redis_connection_config *config,
                           const struct redis_connection_events *events, void *owner, struct turn *turn);
/* It must be idle. */
void redis_connection_fini(struct redis_connection *connection);

/* From idle. Leads to up or to down. */
void redis_connection_start(struct redis_connection *connection);

/* Sends a command, from up until down. done NULL: its answer is pushed (pub/sub commands). */
void redis_connection_send(struct redis_connection *connection, size_t argc, const struct str *argv,
                           redis_answered *done, void *argument);

/* Ends it, unless it is idle or ending already: down follows. What has not reached Redis yet never will: a command that
 * arrived late, after those of the next connection, would undo what they have done. */
void redis_connection_drop(struct redis_connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, but what has been sent may still arrive: for the end of the node. */
void redis_connection_finish(struct redis_connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
