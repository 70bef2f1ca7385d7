/* server.h - one running server: the main loop with the node, the listeners and the signals, and the workers. With one
 * worker everything is in the main loop and thread. With more, each worker has a loop and a thread of its own. */
#ifndef CARILLON_APP_SERVER_H
#define CARILLON_APP_SERVER_H

#include "common/protocol/http_message.h"
#include "server/app/options.h"
#include "server/net/http/listener.h"

/* Where it listens, as "127.0.0.1:8080" or "[::1]:8080". */
struct server_addresses {
    char clients[LISTENER_ADDRESS_LEN + 1];
    char internal[LISTENER_ADDRESS_LEN + 1];
};

struct broker;
struct broker_sink;
struct connection_set;
struct entry_step;
struct hub;
struct net_transport;
struct node;
struct turn;

/* The parts of a server with one worker, for who watches them. Borrowed for the server's life. */
struct server;
struct server_parts {
    struct server *server;
    struct connection_set *connections; /* of the worker */
    /* Exchanges the rules of channels as a reload with --channels does. text: JSON; empty: the rules that the server
     * began with. False: nothing has changed, and *messages says what is wrong. */
    bool (*set_channels)(struct server *server, struct str text, struct buf *messages);
    /* Forgets how many tickets each user and each address has asked for. */
    void (*forget_ticket_rates)(struct server *server);
    struct node *node; /* its turn is the hub's, too */
    struct hub *hub;
    const struct options *options; /* the present ones, also after a reload */
};

/* What stands between the parts of the server while it is developed against. `serve` has none of it. All functions are
 * called in the main thread, in this order. */
struct server_hooks {
    void *owner;
    /* Carries the sessions of all endpoints, in front of ws_transport. */
    const struct net_transport *transport;
    /* Exchanges the sink that the broker gets, and its owner. */
    void (*sink)(void *owner, const struct broker_sink **sink, void **sink_owner);
    /* Puts a broker in front of that one. Takes it. */
    struct broker *(*broker)(void *owner, struct broker *broker, struct turn *turn);
    /* The entry step `fault` (server/net/entry/entry_steps.h). */
    const struct entry_step *fault_step;
    /* Of each request to the internal listener, when its head has come. False: the call has been answered. */
    bool (*admit)(void *owner, struct http_call *call);
    /* All parts are there, and no client yet. */
    void (*made)(void *owner, const struct server_parts *parts);
    /* The server begins to end. Called again when its parts are taken down: also where the first call did not come, or
     * made did not. */
    void (*ending)(void *owner);
};

struct server_start {
    struct options *options;           /* taken: freed when the server has ended */
    struct option_sources *sources;    /* taken, too */
    const struct options_input *input; /* where they came from, for reloads, borrowed */
    /* Called once, when clients can connect. May be NULL. */
    void (*ready)(void *owner, const struct server_addresses *addresses, const struct options *options);
    void *owner;
    /* Gets the requests to the internal listener that it has a path for, in place of the API, in the workers' threads.
     * Its owner is the one above. NULL: the API gets all. */
    const struct http_handler *more;
    const struct server_hooks *hooks; /* borrowed for the server's life. With it there is one worker. NULL: none */
};

/* Serves until SIGTERM or SIGINT, and then drains. A second signal, 0.2 s later or more, ends it at once. SIGHUP
 * reloads. An error at the start is logged. Returns the exit code: 0 after an orderly end. */
int server_run(const struct server_start *start);

#endif
