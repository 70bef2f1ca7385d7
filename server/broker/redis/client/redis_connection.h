/* redis_connection.h - one TCP connection to Redis (RESP2), with or without TLS. A connection resolves the host name,
 * connects and logs in. Then commands are pipelined, and their answers come back in order. hiredis parses the answers;
 * sockets, timers and limits are ours. All commands of a loop turn leave in one write at the end of the turn.
 *
 * A connection knows nothing of channels, and does not reconnect. It tells its owner once that it is down. Then the
 * owner may start it again. One thread, that of its turn. */
#ifndef CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_H
#define CARILLON_BROKER_REDIS_CLIENT_REDIS_CONNECTION_H

#include "common/base/buf.h"
#include "common/base/mailbox.h"
#include "common/base/name_lookup.h"
#include "common/base/ring.h"
#include "server/broker/redis/client/redis_guard.h"
#include "server/broker/redis/client/redis_tls.h"
#include "server/broker/redis/client/redis_url.h"

struct redisReader;
struct redisReply;
struct redis_connection;

/* Called with the answer to a command, borrowed for the call. NULL: the connection was lost before the answer came, and
 * nobody knows whether the command was run. */
typedef void redis_answered(void *owner, void *argument, const struct redisReply *reply);

struct redis_connection_events {
    /* The connection has logged in. */
    void (*up)(struct redis_connection *connection);
    /* Redis has sent a message of pub/sub, or confirms a subscription. NULL: the connection subscribes nothing. */
    void (*pushed)(struct redis_connection *connection, const struct redisReply *reply);
    /* The connection was lost, refused or dropped. why says the reason and the address, without secrets. All commands
     * without an answer have been answered with NULL, and nothing is left on the loop. Never called from within a call
     * of this file. */
    void (*down)(struct redis_connection *connection, const char *why);
};

struct redis_connection_config {
    const char *what;                      /* kind of server, for messages; borrowed for life */
    const struct redis_endpoint *endpoint; /* borrowed for life; may change while the connection is idle */
    const struct redis_login *login;       /* borrowed for life */
    const char *login_hint;                /* what to do if the server wants a login; borrowed for life */
    const struct redis_tls *tls;           /* borrowed for life; NULL: without TLS */
    const char *name;                      /* of the connection in CLIENT LIST; borrowed for life */
    uint64_t connect_timeout_ms;           /* from start to login */
    uint64_t command_timeout_ms;           /* an answer that takes longer drops the connection */
    unsigned keepalive_s;                  /* 0: off */
    uint64_t reply_bytes_max;              /* a longer answer drops the connection; 0: REDIS_REPLY_BYTES */
};

enum redis_connection_state {
    REDIS_IDLE,
    REDIS_RESOLVING,
    REDIS_CONNECTING,
    REDIS_HANDSHAKE, /* TLS handshake */
    REDIS_LOGIN,
    REDIS_READY,
    REDIS_CLOSING,
};

enum { REDIS_READ_BYTES = 65536 };

/* A command without an answer. */
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
    struct timer timer; /* until the connection is up: the connect timeout; then the checks for overdue answers */
    struct name_lookup *lookup; /* of the host name; NULL: none is under way */
    uv_connect_t connect;
    uv_write_t write;
    unsigned open;            /* handles and writes that have to end before the connection is down */
    unsigned addresses;       /* of the host name */
    unsigned tried;           /* addresses that were tried since the start */
    bool again;               /* after closing the next address is tried, and the owner is not told */
    bool late;                /* the oldest answer was overdue at the last check */
    struct redis_guard guard; /* checks the bytes before the reader parses them */
    struct redisReader *reader;
    struct tls_stream *tls; /* NULL: without */
    struct buf plain;       /* decrypted bytes that are to be parsed */
    struct buf sealed;      /* encrypted bytes that are to be written */
    struct buf out;         /* commands of this turn */
    struct buf writing;     /* bytes that the kernel did not take at once */
    bool write_busy;
    struct ring expected; /* of struct redis_expected, in the order of the commands */
    char why[200];
    char input[REDIS_READ_BYTES];
};

void redis_connection_init(struct redis_connection *connection, const struct redis_connection_config *config,
                           const struct redis_connection_events *events, void *owner, struct turn *turn);
/* The connection must be idle. */
void redis_connection_fini(struct redis_connection *connection);

/* Starts an idle connection. events->up or events->down follows. */
void redis_connection_start(struct redis_connection *connection);

/* Sends a command. The connection must be up. done NULL: the answer comes by events->pushed (commands of pub/sub). */
void redis_connection_send(struct redis_connection *connection, size_t argc, const struct str *argv,
                           redis_answered *done, void *argument);

/* Ends the connection, unless it is idle or ending; events->down follows. Commands that have not reached Redis yet
 * never will. A command that arrived later than those of the next connection could undo what these have done. */
void redis_connection_drop(struct redis_connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the connection as well, but commands that were sent may still arrive. For the end of the node. */
void redis_connection_finish(struct redis_connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
