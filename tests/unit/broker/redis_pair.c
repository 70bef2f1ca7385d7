/* redis_pair.c - see redis_pair.h. */
#include "redis_pair.h"

#include "server/broker/redis/redis_broker.h"

static void start_node(struct redis_pair *pair, struct node *node, const char *id)
{
    struct redis_broker_config config = {
        .turn = &pair->rig.turn,
        .url = str_from_cstr(pair->server.url),
        .prefix = STR("test"),
        .node_id = str_from_cstr(id),
        .connect_timeout_ms = 2000,
        .command_timeout_ms = 20000, /* no test waits for it, and a busy machine may need it */
        .retry_max_ms = 300,
        .canary_interval_ms = 200,
        .idempotency_window_ms = 60000,
        .empty_ttl_ms = 60000,
        .keepalive_s = 10,
        .pending_max = 10000,
        .pending_bytes_max = 64 << 20,
        .custom_events = true,
        .event_bytes = 4096,
    };
    struct error error;
    node_init(node);
    node->broker = redis_broker_create(&config, &node_sink, node, node->metrics, &error);
    if (!node->broker)
        fail_msg("%s", error.text);
}

int redis_pair_set_up(void **state)
{
    struct redis_pair *pair = xcalloc(1, sizeof *pair);
    redis_server_start(&pair->server, NULL);
    rig_init(&pair->rig);
    start_node(pair, &pair->a, "a");
    start_node(pair, &pair->b, "b");
    RIG_WAIT(&pair->rig, pair->a.info.state == BROKER_UP && pair->b.info.state == BROKER_UP);
    *state = pair;
    return 0;
}

int redis_pair_tear_down(void **state)
{
    struct redis_pair *pair = *state;
    node_fini(&pair->a, &pair->rig);
    node_fini(&pair->b, &pair->rig);
    rig_fini(&pair->rig);
    redis_server_end(&pair->server);
    free(pair);
    return 0;
}

void redis_pair_join(struct redis_pair *pair, struct node *node, const char *channel)
{
    size_t before = node->subscribed_count;
    node_subscribe(node, channel, 10);
    RIG_WAIT(&pair->rig, node->subscribed_count > before);
    assert_string_equal(node->subscribed[before].channel, channel);
    assert_int_equal(node->subscribed[before].err, ERR_NONE);
}
