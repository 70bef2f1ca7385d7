/* server_private.h - shared by the files of the server. server.c has start and end, server_api.c the node as the HTTP
 * API sees it, server_reload.c SIGHUP, and server_digest.c the settings that all nodes must share. */
#ifndef CARILLON_APP_SERVER_PRIVATE_H
#define CARILLON_APP_SERVER_PRIVATE_H

#include "common/base/random.h"
#include "server/api/api.h"
#include "server/api/inspector.h"
#include "server/api/ticket_desk.h"
#include "server/app/capacity.h"
#include "server/app/configure.h"
#include "server/app/server.h"
#include "server/net/http/listener.h"
#include "server/net/worker.h"
#include "server/node/node.h"
#include "server/node/settings_digest.h"
#include "server/outbound/outbound.h"
#include "server/upstream/connect_step.h"

enum { SERVER_SIGNALS = 3 };

/* What the internal listener of a worker hands requests to. */
struct api_front {
    struct api *api;
    const struct server *server;
};

struct server {
    struct options *options; /* the present ones */
    struct option_sources *sources;
    const struct options_input *input;
    struct configuration configuration;
    struct capacity capacity; /* the same from the start to the end */
    uv_loop_t loop;
    struct node node;
    struct broker *broker; /* as it was made; the node's is in front of it */
    struct metrics *worker_metrics;
    struct metrics outbound_metrics;
    struct lifecycle_feed *feed;
    struct outbound *outbound; /* has no thread without upstreams */
    struct quota *quota;
    struct worker *workers[ROUTER_WORKERS_MAX];
    struct connect_step connect_steps[ROUTER_WORKERS_MAX];  /* of the workers */
    struct connection_set *connections[ROUTER_WORKERS_MAX]; /* of the workers, for the listeners */
    struct api *apis[ROUTER_WORKERS_MAX];
    struct api_front fronts[ROUTER_WORKERS_MAX];
    struct buf build;                /* what the API says of this program */
    const struct http_handler *more; /* of struct server_start, as more_owner */
    void *more_owner;
    const struct server_hooks *hooks; /* of struct server_start; NULL: none */
    struct server_parts parts;        /* for the hooks */
    char *channels;                   /* rules that hooks have set in place of the given ones; NULL: none */
    struct options_input with_channels;
    char **argv_with_channels;
    struct ticket_desk *desks[ROUTER_WORKERS_MAX];
    struct ticket_rates *ticket_rates; /* of all desks */
    struct inspector *inspector;       /* NULL: console.enabled is off */
    unsigned worker_count;
    struct listener *clients;
    struct listener *internal;
    uv_signal_t signals[SERVER_SIGNALS];
    uv_timer_t drain_timer;
    uv_timer_t reload_timer; /* runs once after a SIGHUP */
    uint64_t drain_deadline_us;
    atomic_bool draining;
    uint64_t drain_started_us;
    bool internal_stopped; /* the internal listener takes no more connections */
    bool ending;           /* signals come too late to matter */
    uint64_t started_us;   /* monotonic */
    uint64_t started_ms;   /* wall clock */
};

/* --- server_api.c --- */
/* After the workers: an API for each. */
void server_create_apis(struct server *server);
/* New keys, limits and rules for all of them. */
void server_configure_apis(struct server *server);

/* --- server_digest.c --- */
/* The settings have been read: tells the other nodes those that they must share. */
void server_tell_settings(struct server *server);

/* --- server_reload.c --- */
/* Lifecycle events as the options say now. After the workers. */
enum err server_configure_lifecycle(struct server *server, struct error *error);
void server_reload(struct server *server);
/* As in struct server_parts. */
bool server_set_channels(struct server *server, struct str text, struct buf *messages);
void server_forget_ticket_rates(struct server *server);

#endif
