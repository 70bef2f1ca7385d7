/* test_redis_map.c - the map from slots to shards when nodes of a cluster tell it differently, as they do while a
 * replica takes over. No server is there: the test gives the answers. */
#include <hiredis/hiredis.h>

#include "rig.h"
#include "server/broker/redis/redis_parts.h"
#include "server/broker/redis/topology/redis_slots.h"

#define KEY "test:{c}:live"

struct fixture {
    struct rig rig;
    struct node node;
    struct redis_broker *broker;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    rig_init(&f->rig);
    struct redis_broker_config config = {.turn = &f->rig.turn,
                                         .url = STR("redis+cluster://127.0.0.1:1"),
                                         .prefix = STR("test"),
                                         .node_id = STR("a"),
                                         .connect_timeout_ms = 60000,
                                         .command_timeout_ms = 60000,
                                         .retry_max_ms = 60000,
                                         .canary_interval_ms = 60000,
                                         .pending_max = 10,
                                         .pending_bytes_max = 1 << 20,
                                         .event_bytes = 4096};
    struct error error;
    node_init(&f->node);
    f->node.broker = redis_broker_create(&config, &node_sink, &f->node, f->node.metrics, &error);
    assert_non_null(f->node.broker);
    f->broker = CONTAINER_OF(f->node.broker, struct redis_broker, broker);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    node_fini(&f->node, &f->rig);
    rig_fini(&f->rig);
    free(f);
    return 0;
}

/* A map in which this port has all slots from first on. Nobody has those before. */
static void read_map(struct fixture *f, int first, int port)
{
    struct redis_topology *topology = &f->broker->topology;
    struct redis_endpoint from = redis_endpoint_copy(STR("127.0.0.1"), STR("1"));
    char text[100];
    int len = snprintf(text, sizeof text, "*1\r\n*3\r\n:%d\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n", first, port);
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    redisReaderFeed(reader, text, (size_t)len);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_true(topology->discovery.script->answered(topology, &from, reply));
    freeReplyObject(reply);
    redisReaderFree(reader);
    redis_endpoint_fini(&from);
}

/* The server that has the key's slot says that another one has it. The shard to which the request goes on at once. */
static const struct redis_shard *moved(struct fixture *f, int port)
{
    struct redis_topology *topology = &f->broker->topology;
    struct redis_route route = {0};
    char text[60];
    int len = snprintf(text, sizeof text, "MOVED %u 127.0.0.1:%d", redis_slot_of(STR(KEY)), port);
    assert_int_equal(topology->kind->redirect(topology, STR(KEY), str_from(text, (size_t)len), &route),
                     REDIS_AGAIN_LATER);
    return route.shard;
}

/* The port of the server that has the key's slot. 0: nobody has it. */
static int owner(const struct fixture *f)
{
    const struct redis_shard *shard = redis_topology_shard_of(&f->broker->topology, STR(KEY));
    return shard ? atoi(shard->endpoint.port) : 0;
}

static void pass_ms(struct fixture *f, uint64_t ms)
{
    uint64_t end_us = turn_now_us(&f->rig.turn) + ms * 1000;
    RIG_WAIT(&f->rig, turn_now_us(&f->rig.turn) >= end_us);
}

static void doubts_a_map_that_contradicts_a_fresh_moved(void **state)
{
    struct fixture *f = *state;
    read_map(f, 0, 2);
    assert_int_equal(owner(f), 2);
    moved(f, 3);
    read_map(f, 0, 2);
    assert_int_equal(owner(f), 3);
    pass_ms(f, 210);
    read_map(f, 0, 2);
    assert_int_equal(owner(f), 2);
}

/* A subscription stays, too. The position that it asks for must come from the same server. */
static void a_request_stays_with_a_slot_that_has_just_moved(void **state)
{
    struct fixture *f = *state;
    read_map(f, 0, 2);
    assert_non_null(moved(f, 3));
    assert_null(moved(f, 4));
    assert_int_equal(owner(f), 3);
    pass_ms(f, 210);
    assert_non_null(moved(f, 4));
    assert_int_equal(owner(f), 4);
}

/* A node that knows the old primary as a replica, and not yet that the new one has its slots. */
static void keeps_the_slots_that_nobody_has_for_a_while(void **state)
{
    struct fixture *f = *state;
    int first = (int)redis_slot_of(STR(KEY)) + 1;
    read_map(f, 0, 2);
    assert_false(timer_is_running(&f->broker->topology.discovery.timer));
    read_map(f, first, 2);
    assert_true(timer_is_running(&f->broker->topology.discovery.timer)); /* another node is asked soon */
    for (int round = 0; round < 2; round++) {
        read_map(f, 0, 2); /* the while ends with a whole map */
        read_map(f, first, 2);
        assert_int_equal(owner(f), 2);
        pass_ms(f, 1100);
        read_map(f, first, 2);
        assert_int_equal(owner(f), 2);
    }
    pass_ms(f, 1000);
    read_map(f, first, 2);
    assert_int_equal(owner(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(doubts_a_map_that_contradicts_a_fresh_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_stays_with_a_slot_that_has_just_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_the_slots_that_nobody_has_for_a_while, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
