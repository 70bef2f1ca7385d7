/* server_private.h - what the files of the node share. server.c: start and end; server_api.c: what the HTTP API is
 * answered from; server_reload.c: SIGHUP; server_digest.c: what all nodes must share. */
#ifndef CARILLON_APP_SERVER_PRIVATE_H
#define CARILLON_APP_SERVER_PRIVATE_H

#include "common/base/random.h"
#include "server/api/api.h"
#include "server/app/capacity.h"
#include "server/app/configure.h"
#include "server/app/server.h"
#include "server/broker/redis/ingest/ingest_entry.h"
#include "server/net/http/listener.h"
#include "server/net/worker.h"
#include "server/node/node_presence.h"
#include "server/node/peers.h"
#include "server/node/revoker.h"
#include "server/node/router.h"
#include "server/node/settings_digest.h"
#include "server/node/survey.h"

enum { NODE_SIGNALS = 3 };

struct node {
    struct options *options; /* the present ones */
    struct option_sources *sources;
    const struct options_input *input;
    struct configuration configuration;
    struct capacity capacity; /* the same from the start to the end */
    uv_loop_t loop;
    struct turn turn;
    struct metrics metrics; /* of the main thread */
    struct metrics *worker_metrics;
    struct router router;
    struct broker *broker;
    struct peers *peers;
    struct surveys *surveys;
    struct presence *presence;
    struct survey_facts facts;
    struct quota *quota;
    struct revocations *revocations;
    struct revoker *revoker;
    struct worker *workers[ROUTER_WORKERS_MAX];
    struct connection_set *connections[ROUTER_WORKERS_MAX]; /* of the workers, for the listeners */
    struct api *apis[ROUTER_WORKERS_MAX];
    unsigned worker_count;
    struct listener *clients;
    struct listener *internal;
    uv_signal_t signals[NODE_SIGNALS];
    uv_timer_t drain_timer;
    uv_timer_t reload_timer; /* runs once after a SIGHUP */
    uv_timer_t tick_timer;   /* the router's */
    uint64_t drain_deadline_us;
    atomic_bool draining;
    uint64_t drain_started_us;
    bool ending; /* signals come too late to matter */
    bool broker_closed;
    char id[UUID_LEN + 1];
    uint64_t started_us; /* monotonic */
    uint64_t started_ms; /* wall clock */
};

/* --- server.c --- */
/* How entries of the ingest stream are judged. The rules are borrowed. */
struct ingest_settings node_ingest_settings(const struct node *node);

/* --- server_api.c --- */
/* After the workers: an API for each, and the survey they share. */
void node_create_apis(struct node *node);
/* New keys, limits and rules for all of them. */
void node_configure_apis(struct node *node);

/* --- server_digest.c --- */
/* The settings have been read: tells the other nodes those that they must share. */
void node_tell_settings(struct node *node);

/* --- server_reload.c --- */
void node_reload(struct node *node);

#endif
