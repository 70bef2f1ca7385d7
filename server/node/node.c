/* node.c - see node.h. Here: the parts of a node, and the order in which they start and end. */
#include "server/node/node.h"

#include <stdio.h>

#include "common/base/log.h"

enum { TICK_US = 100000, FLUSH_US = 2000000 };

const struct node_ops node_ops = {
    .join = router_join,
    .leave = router_leave,
    .ask = router_ask,
    .presence = presence_post,
};

static struct node *node_of(void *router)
{
    return CONTAINER_OF((struct router *)router, struct node, router);
}

static void on_control(void *router, struct str from, struct str bytes)
{
    struct node *node = node_of(router);
    if (!peers_hear(node->peers, from, bytes))
        surveys_hear(node->surveys, from, bytes);
}

static void on_revoked(void *router, const struct revocation *revocation)
{
    revoker_hear(node_of(router)->revoker, revocation);
}

static void on_revocations(void *router, bool begin)
{
    revoker_hear_all(node_of(router)->revoker, begin);
}

static void on_answered(void *router, struct request *request)
{
    lifecycle_hear(node_of(router)->lifecycle, request);
    router_answered(router, request);
}

const struct broker_sink node_sink = {
    .answered = on_answered,
    .subscribed = router_subscribed,
    .located = router_located,
    .event = router_event,
    .control = on_control,
    .revoked = on_revoked,
    .revocations = on_revocations,
    .state = router_state,
};

static void on_tick(struct timer *timer, uint64_t timer_us)
{
    struct node *node = CONTAINER_OF(timer, struct node, tick);
    uint64_t now_us = turn_now_us(&node->turn);
    (void)timer_us;
    turn_start_timer(&node->turn, timer, TICK_US, on_tick);
    log_catch_up();
    router_tick(&node->router, now_us);
    revoker_tick(node->revoker, now_us);
    lifecycle_tick(node->lifecycle, now_us);
    peers_tick(node->peers, atomic_load(&node->router.broker_state) == BROKER_UP, now_us);
}

void node_init(struct node *node, const struct node_options *options)
{
    *node = (struct node){0};
    snprintf(node->id, sizeof node->id, "%s", options->id);
    turn_init(&node->turn, options->loop);
    metrics_init(&node->metrics, -1);
    router_init(&node->router, &node->turn, &node->metrics);
    if (options->router)
        router_configure(&node->router, options->router);
    node->revocations = revocations_create();
    node->revoker = revoker_create(&node->router, node->revocations);
    node->presence = presence_create(&node->router);
    node->lifecycle = lifecycle_create(&node->router, str_from_cstr(node->id));
    node->facts = (struct survey_facts){
        .node_id = str_from_cstr(node->id),
        .version = options->version,
        .libraries = options->libraries,
        .started_us = options->started_us,
        .timeout_ms = SURVEY_TIMEOUT_MS,
    };
}

void node_open(struct node *node, struct broker *broker)
{
    node->broker = node->router.broker = broker;
    node->peers = node->facts.peers = peers_create(broker, &node->metrics, str_from_cstr(node->id));
    node->surveys = surveys_create(&node->router, &node->facts);
    turn_start_timer(&node->turn, &node->tick, TICK_US, on_tick);
}

static void on_broker_closed(void *router)
{
    struct node *node = node_of(router);
    node->is_closed = node->router.has_ended = true;
}

/* The broker closes once it has the last lifecycle events. */
static void on_flush(struct timer *timer, uint64_t timer_us)
{
    struct node *node = CONTAINER_OF(timer, struct node, flush);
    (void)timer_us;
    if (lifecycle_flush(node->lifecycle) || turn_now_us(&node->turn) >= node->flush_until_us)
        node->broker->ops->close(node->broker, on_broker_closed);
    else
        turn_start_timer(&node->turn, timer, 0, on_flush);
}

void node_close(struct node *node)
{
    turn_stop_timer(&node->turn, &node->tick);
    mailbox_deliver(&node->router.mailbox); /* the slots of limited sessions that have just ended */
    if (node->surveys)
        surveys_close(node->surveys);
    presence_close(node->presence);
    node->flush_until_us = turn_now_us(&node->turn) + FLUSH_US;
    if (node->broker)
        on_flush(&node->flush, turn_now_us(&node->turn));
    else
        on_broker_closed(&node->router);
}

void node_answer_waiting(struct node *node)
{
    router_close(&node->router);
    presence_destroy(node->presence);
}

void node_fini(struct node *node)
{
    if (node->broker) {
        surveys_destroy(node->surveys);
        peers_destroy(node->peers);
        node->broker->ops->destroy(node->broker);
    }
    lifecycle_destroy(node->lifecycle);
    router_fini(&node->router);
    revoker_destroy(node->revoker);
    revocations_destroy(node->revocations);
    turn_close(&node->turn);
}
