/* test_redis_shard.c - a shard whose server becomes a replica while the shard comes up. The server is a real one. The
 * test stands for the owner, so it says when all subscriptions are confirmed. */
#include "redis_server.h"
#include "rig.h"
#include "server/broker/redis/topology/redis_shard.h"

struct fixture {
    struct redis_server server;
    struct rig rig;
    struct metrics *metrics;
    struct redis_url url;
    struct redis_topology topology;
    struct closing parts;
    bool is_closed;
    bool is_subscribed, is_ready, has_come_up, has_gone_down;
};

static struct fixture *fixture_of(const struct redis_shard *shard)
{
    return CONTAINER_OF(shard->topology, struct fixture, topology);
}

static void on_ready(struct redis_shard *shard)
{
    fixture_of(shard)->is_ready = true;
}

static void on_subscriber_up(struct redis_shard *shard)
{
    struct str argv[] = {STR("SUBSCRIBE"), buf_str(&shard->channel)};
    redis_connection_send(&shard->subscriber, 2, argv, NULL, NULL);
}

static void on_confirmed(struct redis_shard *shard, struct str channel)
{
    assert_true(str_eq(channel, buf_str(&shard->channel)));
    fixture_of(shard)->is_subscribed = true;
}

static void on_canary_back(struct redis_shard *shard)
{
    fixture_of(shard)->has_come_up = true;
}

static void on_down(struct redis_shard *shard)
{
    fixture_of(shard)->has_gone_down = true;
}

static void ignore(struct redis_shard *shard)
{
    (void)shard;
}

static void on_all_closed(struct closing *parts)
{
    CONTAINER_OF(parts, struct fixture, parts)->is_closed = true;
}

static int set_up(void **state)
{
    static const struct redis_topology_kind kind = {.find = redis_shard_connect, .look_again = ignore};
    static const struct redis_shard_events events = {
        .ready = on_ready,
        .subscriber_up = on_subscriber_up,
        .before_canary = ignore,
        .canary_back = on_canary_back,
        .confirmed = on_confirmed,
        .down = on_down,
        .state = ignore,
    };
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error error;
    redis_server_start(&f->server, NULL);
    rig_init(&f->rig);
    f->metrics = xcalloc(1, sizeof *f->metrics);
    metrics_init(f->metrics, -1);
    assert_int_equal(redis_url_parse(str_from_cstr(f->server.url), &f->url, &error), ERR_NONE);
    f->parts.done = on_all_closed;
    f->topology.kind = &kind;
    f->topology.shard_events = &events;
    f->topology.config = (struct redis_topology_config){
        .turn = &f->rig.turn,
        .url = &f->url,
        .client_name = "test",
        .metrics = f->metrics,
        .closing = &f->parts,
        .connect_timeout_ms = 20000,
        .command_timeout_ms = 20000,
        .retry_max_ms = 300,
        .canary_interval_ms = 3600000, /* no second canary comes to the help of a test */
    };
    list_init(&f->topology.shards);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    LIST_EACH(link, &f->topology.shards)
    redis_shard_close(CONTAINER_OF(link, struct redis_shard, link));
    RIG_WAIT(&f->rig, f->is_closed);
    redis_url_fini(&f->url);
    rig_fini(&f->rig);
    redis_server_end(&f->server);
    free(f->metrics);
    free(f);
    return 0;
}

static void on_answer(void *owner, void *argument, const struct redisReply *reply)
{
    (void)owner;
    (void)reply;
    *(bool *)argument = true;
}

/* A replica takes subscriptions and gives canaries back. What clients publish at the new primary does not all come
 * through it. */
static void notices_a_server_that_becomes_a_replica_before_it_confirms(void **state)
{
    struct fixture *f = *state;
    char out[64];
    struct redis_shard *shard = redis_shard_create(&f->topology, &f->url.endpoints[0], STR("node"));
    RIG_WAIT(&f->rig, f->is_ready && f->is_subscribed);
    REDIS_RUN(&f->server, out, "REPLICAOF", "127.0.0.1", "1");
    redis_shard_all_confirmed(shard);
    RIG_WAIT(&f->rig, f->has_come_up || f->has_gone_down);
    bool is_answered = shard->commands.state != REDIS_READY;
    if (!is_answered) /* the canary has come before the answers of the other connection */
        redis_connection_send(&shard->commands, 1, (struct str[]){STR("TIME")}, on_answer, &is_answered);
    RIG_WAIT(&f->rig, is_answered);
    RIG_WAIT(&f->rig, shard->commands.state != REDIS_CLOSING);
    assert_true(f->has_gone_down);
    assert_non_null(strstr(shard->text, "it is a replica"));
    REDIS_RUN(&f->server, out, "REPLICAOF", "NO", "ONE");
    f->is_ready = f->is_subscribed = f->has_come_up = false;
    RIG_WAIT(&f->rig, f->is_ready && f->is_subscribed);
    redis_shard_all_confirmed(shard);
    RIG_WAIT(&f->rig, f->has_come_up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(notices_a_server_that_becomes_a_replica_before_it_confirms, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
