/* test_redis_broker.c - the Redis broker with a Redis that works. test_redis_failures.c has the other days. */
#include <stdio.h>

#include "redis_server.h"
#include "rig.h"
#include "server/broker/redis_broker.h"

struct fixture {
    struct redis_server server;
    struct rig rig;
    struct node a;
    struct node b;
};

static void start_node(struct fixture *f, struct node *node, const char *id)
{
    struct redis_broker_config config = {
        .turn = &f->rig.turn,
        .url = str_from_cstr(f->server.url),
        .prefix = STR("test"),
        .node_id = str_from_cstr(id),
        .connect_timeout_ms = 2000,
        .command_timeout_ms = 5000,
        .retry_max_ms = 300,
        .canary_interval_ms = 200,
        .idempotency_window_ms = 60000,
        .keepalive_s = 10,
        .pending_max = 10000,
        .pending_bytes_max = 64 << 20,
        .custom_events = true,
        .event_bytes_max = 4096,
    };
    struct error error;
    node_init(node);
    node->broker = redis_broker_create(&config, &node_sink, node, node->metrics, &error);
    if (!node->broker)
        fail_msg("%s", error.text);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    redis_server_start(&f->server, NULL);
    rig_init(&f->rig);
    start_node(f, &f->a, "a");
    start_node(f, &f->b, "b");
    RIG_WAIT(&f->rig, f->a.info.state == BROKER_UP && f->b.info.state == BROKER_UP);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    node_fini(&f->a, &f->rig);
    node_fini(&f->b, &f->rig);
    rig_fini(&f->rig);
    redis_server_end(&f->server);
    free(f);
    return 0;
}

static void join(struct fixture *f, struct node *node, const char *channel)
{
    size_t before = node->subscribed_count;
    node_subscribe(node, channel, 10);
    RIG_WAIT(&f->rig, node->subscribed_count > before);
    assert_string_equal(node->subscribed[before].channel, channel);
    assert_int_equal(node->subscribed[before].err, ERR_NONE);
}

static void numbers_pipelined_publications_densely(void **state)
{
    enum { COUNT = 10000 };
    struct fixture *f = *state;
    char out[64];
    join(f, &f->a, "c");
    join(f, &f->b, "c");
    for (int i = 0; i < COUNT; i++) {
        char text[24];
        snprintf(text, sizeof text, "%d", i);
        node_publish(&f->a, "c", text, "", 100);
    }
    RIG_WAIT(&f->rig, f->a.answer_count == COUNT && f->a.event_count == COUNT && f->b.event_count == COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        const struct seen_answer *answer = &f->a.answers[i];
        char text[24];
        snprintf(text, sizeof text, "%u", i);
        assert_int_equal(answer->err, ERR_NONE);
        assert_int_equal(answer->offset, i + 1);
        for (int n = 0; n < 2; n++) {
            const struct seen_event *event = n ? &f->b.events[i] : &f->a.events[i];
            assert_int_equal(event->offset, i + 1);
            assert_string_equal(event->data, text);
            assert_string_equal(event->id, answer->id);
            assert_string_equal(event->epoch, answer->epoch);
            assert_string_equal(event->channel, "c");
        }
    }
    REDIS_RUN(&f->server, out, "XLEN", "test:{c}:log");
    assert_string_equal(out, "100");
    REDIS_RUN(&f->server, out, "HGET", "test:{c}:meta", "offset");
    assert_string_equal(out, "10000");
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:log");
    assert_in_range(atoll(out), 1, 60000);
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:meta");
    assert_true(atoll(out) > 60000);
}

/* Who subscribes before the first event can name the place to go on from later. */
static void gives_both_nodes_one_epoch_before_the_first_event(void **state)
{
    struct fixture *f = *state;
    char out[64];
    node_subscribe(&f->a, "c", 10);
    node_subscribe(&f->b, "c", 10);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1 && f->b.subscribed_count == 1);
    const struct seen_subscribed *first = &f->a.subscribed[0], *second = &f->b.subscribed[0];
    assert_true(first->epoch[0] != '\0');
    assert_string_equal(first->epoch, second->epoch);
    assert_int_equal(first->offset, 0);
    assert_int_equal(second->offset, 0);
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:meta");
    assert_in_range(atoll(out), 24 * 3600 * 1000, 24 * 3600 * 1000 + 60000);
    node_publish(&f->b, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 1 && f->b.event_count == 1);
    assert_int_equal(f->a.events[0].offset, 1);
    assert_string_equal(f->a.events[0].epoch, first->epoch);
    assert_string_equal(node_answer(&f->b, &f->rig, 0)->epoch, first->epoch);
}

static void gives_no_position_without_history(void **state)
{
    struct fixture *f = *state;
    char out[64];
    node_subscribe(&f->a, "c", 0);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1);
    assert_string_equal(f->a.subscribed[0].epoch, "");
    assert_int_equal(f->a.subscribed[0].offset, 0);
    REDIS_RUN(&f->server, out, "EXISTS", "test:{c}:meta");
    assert_string_equal(out, "0");
}

/* A rule without a ttl: until the first event the meta ages, so that names nobody publishes on are forgotten. */
static void keeps_an_unused_epoch_for_a_day(void **state)
{
    struct fixture *f = *state;
    struct history_policy ageless = {.size = 10};
    char out[64];
    f->a.broker->ops->subscribe(f->a.broker, STR("c"), &ageless);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1);
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:meta");
    assert_in_range(atoll(out), 23 * 3600 * 1000, 24 * 3600 * 1000);
    struct publication *publication = publication_create(STR("c"), STR("tick"), STR("1"), STR(""));
    publication->history = ageless;
    f->a.broker->ops->publish(f->a.broker, publication);
    assert_int_equal(node_answer(&f->a, &f->rig, 0)->offset, 1);
    assert_string_equal(f->a.answers[0].epoch, f->a.subscribed[0].epoch);
    REDIS_RUN(&f->server, out, "PTTL", "test:{c}:meta");
    assert_string_equal(out, "-1");
}

static void orders_what_two_nodes_publish(void **state)
{
    enum { COUNT = 500 };
    struct fixture *f = *state;
    join(f, &f->a, "c");
    join(f, &f->b, "c");
    for (int i = 0; i < COUNT; i++) {
        node_publish(&f->a, "c", "\"a\"", "", 10);
        node_publish(&f->b, "c", "\"b\"", "", 10);
    }
    RIG_WAIT(&f->rig, f->a.event_count == 2 * COUNT && f->b.event_count == 2 * COUNT);
    for (unsigned i = 0; i < 2 * COUNT; i++) {
        assert_int_equal(f->a.events[i].offset, i + 1);
        assert_int_equal(f->b.events[i].offset, i + 1);
        assert_string_equal(f->a.events[i].id, f->b.events[i].id);
        assert_string_equal(f->a.events[i].epoch, f->b.events[0].epoch);
    }
}

static void publishes_an_event_id_once(void **state)
{
    struct fixture *f = *state;
    join(f, &f->a, "c");
    node_publish(&f->a, "c", "1", "k", 10);
    node_answer(&f->a, &f->rig, 0);
    node_publish(&f->b, "c", "1", "k", 10);
    const struct seen_answer *first = &f->a.answers[0], *second = node_answer(&f->b, &f->rig, 0);
    assert_false(first->duplicate);
    assert_true(second->duplicate);
    assert_string_equal(first->id, second->id);
    assert_string_equal(first->epoch, second->epoch);
    assert_int_equal(second->offset, 1);
    /* Without history too. */
    node_publish(&f->b, "live", "1", "k", 0);
    node_publish(&f->b, "live", "1", "k", 0);
    assert_true(node_answer(&f->b, &f->rig, 2)->duplicate);
    assert_false(f->b.answers[1].duplicate);
    assert_string_equal(f->b.answers[1].id, f->b.answers[2].id);
    assert_int_equal(f->b.answers[2].offset, 0);
    node_publish(&f->a, "c", "2", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 2);
    assert_int_equal(f->a.events[1].offset, 2);
}

static void survives_a_script_flush(void **state)
{
    struct fixture *f = *state;
    char out[64];
    join(f, &f->a, "c");
    for (unsigned i = 0; i < 300; i++) {
        if (i % 100 == 50)
            REDIS_RUN(&f->server, out, "SCRIPT", "FLUSH");
        node_publish(&f->a, "c", "1", "", 10);
        node_publish(&f->a, "live", "1", "", 0);
        if (i % 10 == 9)
            node_answer(&f->a, &f->rig, 2 * i + 1);
    }
    RIG_WAIT(&f->rig, f->a.event_count == 300);
    assert_int_equal(f->a.refused, 0);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(f->a.events[i].offset, i + 1);
    REDIS_RUN(&f->server, out, "SCRIPT", "FLUSH");
    join(f, &f->b, "c");
    assert_int_equal(f->b.subscribed[0].offset, 300);
}

/* Whatever is published while a node subscribes: what it is told to be the position, and the events it gets, fit. */
static void positions_and_events_fit(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 60; round++) {
        size_t events = f->b.event_count, answered = f->b.subscribed_count;
        for (int i = 0; i < 20; i++)
            node_publish(&f->a, "c", "1", "", 10);
        node_subscribe(&f->b, "c", 10);
        for (unsigned i = 0; i < round % 7; i++)
            uv_run(&f->rig.loop, UV_RUN_NOWAIT);
        for (int i = 0; i < 20; i++)
            node_publish(&f->a, "c", "1", "", 10);
        uint64_t last = (round + 1) * 40;
        RIG_WAIT(&f->rig, f->b.subscribed_count > answered &&
                              (f->b.subscribed[answered].offset == last ||
                               (f->b.event_count && f->b.events[f->b.event_count - 1].offset == last)));
        assert_int_equal(f->b.subscribed[answered].events_before, events);
        uint64_t offset = f->b.subscribed[answered].offset;
        for (size_t i = events; i < f->b.event_count; i++)
            assert_int_equal(f->b.events[i].offset, ++offset);
        assert_int_equal(offset, last);
        node_unsubscribe(&f->b, "c");
        if (round % 2)
            uv_run(&f->rig.loop, UV_RUN_NOWAIT); /* else its UNSUBSCRIBE and the next SUBSCRIBE are one turn's */
    }
}

static void leaves_and_joins_again_in_flight(void **state)
{
    struct fixture *f = *state;
    join(f, &f->a, "c");
    for (int i = 0; i < 50; i++) {
        node_unsubscribe(&f->a, "c");
        if (i % 3 == 0)
            uv_run(&f->rig.loop, UV_RUN_NOWAIT);
        node_subscribe(&f->a, "c", 10);
        if (i % 2 == 0)
            uv_run(&f->rig.loop, UV_RUN_NOWAIT);
    }
    size_t before = f->a.subscribed_count;
    node_publish(&f->b, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 1 || f->a.subscribed[f->a.subscribed_count - 1].offset == 1);
    node_publish(&f->b, "c", "2", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count && f->a.events[f->a.event_count - 1].offset == 2);
    assert_in_range(f->a.subscribed_count, before, 51);
    node_unsubscribe(&f->a, "c");
    char out[64];
    RIG_WAIT(&f->rig,
             (REDIS_RUN(&f->server, out, "EVAL", "return redis.call('PUBSUB','NUMSUB','test:{c}:live')[2]", "0"),
              strcmp(out, "0") == 0));
    assert_int_equal(node_metric(&f->a, METRIC_BROKER_SUBSCRIPTIONS), 0);
}

static void takes_what_backends_publish(void **state)
{
    struct fixture *f = *state;
    char out[64];
    join(f, &f->a, "a{b}%");
    REDIS_RUN(&f->server, out, "PUBLISH", "test:{a%7Bb%7D%25}:live", "{\"type\":\"tick\",\"data\":{\"n\":1.50}}");
    assert_string_equal(out, "1");
    REDIS_RUN(&f->server, out, "PUBLISH", "test:{a%7Bb%7D%25}:live", "rubbish");
    REDIS_RUN(&f->server, out, "PUBLISH", "test:{a%7Bb%7D%25}:live", "{\"type\":\"notification\",\"data\":{}}");
    REDIS_RUN(&f->server, out, "PUBLISH", "test:node:a", "rubbish");
    REDIS_RUN(&f->server, out, "PUBLISH", "test:control", "position 1 e test:{c}:live");
    REDIS_RUN(&f->server, out, "PUBLISH", "test:{a%7Bb%7D%25}:live", "{\"type\":\"tick\",\"data\":2,\"id\":\"x\"}");
    RIG_WAIT(&f->rig, f->a.event_count == 2);
    assert_string_equal(f->a.events[0].data, "{\"n\":1.50}");
    assert_string_equal(f->a.events[0].channel, "a{b}%");
    assert_string_equal(f->a.events[0].id, "");
    assert_int_equal(strlen(f->a.events[0].timestamp), CLOCK_RFC3339_LEN);
    assert_string_equal(f->a.events[1].id, "x");
    assert_int_equal(node_metric(&f->a, METRIC_BROKER_ERRORS), 4);
    node_publish(&f->b, "a{b}%", "3", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 3);
    assert_int_equal(f->a.events[2].offset, 1);
    assert_string_equal(f->a.events[2].channel, "a{b}%");
}

/* A log whose meta has gone (evicted, deleted) must not be mistaken for the new epoch's, whoever begins it. */
static void begins_an_epoch_when_meta_is_gone(void **state)
{
    struct fixture *f = *state;
    char out[64];
    node_publish(&f->a, "c", "1", "", 10);
    node_publish(&f->a, "c", "2", "", 10);
    node_answer(&f->a, &f->rig, 1);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:meta");
    node_publish(&f->a, "c", "3", "", 10);
    assert_int_equal(node_answer(&f->a, &f->rig, 2)->err, ERR_NONE);
    assert_int_equal(f->a.answers[2].offset, 1);
    assert_string_not_equal(f->a.answers[2].epoch, f->a.answers[1].epoch);
    REDIS_RUN(&f->server, out, "XLEN", "test:{c}:log");
    assert_string_equal(out, "1");
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:meta");
    join(f, &f->a, "c");
    assert_int_equal(f->a.subscribed[0].offset, 0);
    assert_string_not_equal(f->a.subscribed[0].epoch, f->a.answers[2].epoch);
    REDIS_RUN(&f->server, out, "XLEN", "test:{c}:log");
    assert_string_equal(out, "0");
}

static void says_when_a_channel_cannot_be_had(void **state)
{
    struct fixture *f = *state;
    char out[64];
    REDIS_RUN(&f->server, out, "SET", "test:{c}:meta", "text");
    node_subscribe(&f->a, "c", 10);
    RIG_WAIT(&f->rig, f->a.subscribed_count == 1);
    assert_int_equal(f->a.subscribed[0].err, ERR_UNAVAILABLE);
    node_publish(&f->a, "c", "1", "", 10);
    assert_int_equal(node_answer(&f->a, &f->rig, 0)->err, ERR_UNAVAILABLE);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:meta");
    join(f, &f->a, "c");
}

static void talks_between_nodes(void **state)
{
    struct fixture *f = *state;
    struct buf nodes = {0};
    f->a.broker->ops->control(f->a.broker, STR("b"), STR("one two"));
    RIG_WAIT(&f->rig, f->b.control_count == 1);
    assert_string_equal(f->b.control, "a|one two");
    f->b.broker->ops->control(f->b.broker, STR(""), STR("all"));
    RIG_WAIT(&f->rig, f->a.control_count == 1);
    assert_string_equal(f->a.control, "b|all");
    assert_int_equal(f->b.control_count, 1); /* not to itself */
    do {
        uv_run(&f->rig.loop, UV_RUN_ONCE);
        buf_clear(&nodes);
        f->a.broker->ops->nodes(f->a.broker, &nodes);
    } while (!str_eq_cstr(buf_str(&nodes), "a\nb"));
    node_close(&f->b, &f->rig);
    RIG_WAIT(&f->rig,
             (buf_clear(&nodes), f->a.broker->ops->nodes(f->a.broker, &nodes), str_eq_cstr(buf_str(&nodes), "a")));
    buf_fini(&nodes);
}

/* A failover or an old snapshot loses the last writes, and offsets are given a second time. */
static void begins_an_epoch_when_events_are_gone(void **state)
{
    struct fixture *f = *state;
    char out[64], epoch[SEEN_TEXT];
    join(f, &f->a, "c");
    node_subscribe(&f->a, "plain", 0);
    strcpy(epoch, f->a.subscribed[0].epoch);
    for (int i = 0; i < 5; i++)
        node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 5 && f->a.subscribed_count == 2);

    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 4); /* both again; nothing is gone */
    for (int i = 2; i < 4; i++) {
        bool plain = strcmp(f->a.subscribed[i].channel, "plain") == 0;
        assert_string_equal(f->a.subscribed[i].epoch, plain ? "" : epoch);
        assert_int_equal(f->a.subscribed[i].offset, plain ? 0 : 5);
    }
    node_unsubscribe(&f->a, "plain");

    RIG_WAIT(&f->rig, f->a.info.state == BROKER_UP);
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 6);
    REDIS_RUN(&f->server, out, "HSET", "test:{c}:meta", "offset", "4");
    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 5);
    assert_int_equal(f->a.subscribed[4].offset, 4);
    assert_string_not_equal(f->a.subscribed[4].epoch, epoch);
    strcpy(epoch, f->a.subscribed[4].epoch);
    REDIS_RUN(&f->server, out, "HGET", "test:{c}:meta", "epoch");
    assert_string_equal(out, epoch);

    /* Another event has come in the place of the last one seen, and more after it. */
    RIG_WAIT(&f->rig, f->a.info.state == BROKER_UP);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 7);
    assert_int_equal(f->a.events[6].offset, 5);
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
    REDIS_RUN(&f->server, out, "XADD", "test:{c}:log", "5-0", "d", "{\"id\":\"another\"}");
    REDIS_RUN(&f->server, out, "XADD", "test:{c}:log", "9-0", "d", "{\"id\":\"had\"}");
    REDIS_RUN(&f->server, out, "HSET", "test:{c}:meta", "offset", "9");
    REDIS_RUN(&f->server, out, "HDEL", "test:{c}:meta", "last");
    REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
    RIG_WAIT(&f->rig, f->a.subscribed_count == 6);
    assert_int_equal(f->a.subscribed[5].offset, 9);
    assert_string_not_equal(f->a.subscribed[5].epoch, epoch);

    /* Also when all that the node has had of it is the position, told with the event that is there. */
    RIG_WAIT(&f->rig, f->a.info.state == BROKER_UP);
    for (size_t i = 6; i < 8; i++) {
        strcpy(epoch, f->a.subscribed[i - 1].epoch);
        REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
        RIG_WAIT(&f->rig, f->a.subscribed_count == i + 1 && f->a.info.state == BROKER_UP);
        assert_int_equal(f->a.subscribed[i].offset, 9);
        assert_int_equal(strcmp(f->a.subscribed[i].epoch, epoch) == 0, i == 6);
        REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
        REDIS_RUN(&f->server, out, "XADD", "test:{c}:log", "9-0", "d", "{\"id\":\"another\"}");
    }
}

/* The log is gone, as when its ttl has passed; which event was the last one is still known, and then which one stood
 * before the first that came after. */
static void knows_the_last_event_when_it_has_aged(void **state)
{
    struct fixture *f = *state;
    char out[64], before[SEEN_TEXT], now[24];
    for (int i = 0; i < 2; i++)
        node_publish(&f->a, "c", "1", "", 10);
    const char *last_id = node_answer(&f->a, &f->rig, 1)->id;
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
    node_subscribe(&f->b, "c", 10);
    RIG_WAIT(&f->rig, f->b.subscribed_count == 1);
    assert_int_equal(f->b.subscribed[0].offset, 2);
    assert_string_equal(f->b.subscribed[0].id, last_id);
    node_publish(&f->a, "c", "1", "", 10);
    node_publish(&f->a, "c", "1", "", 10);
    RIG_WAIT(&f->rig, f->b.event_count == 2);
    assert_string_equal(node_history(&f->a, &f->rig, "c", false, 0, 1000), "4:3,4");
    node_check_page_ids(&f->a, 3, 1);
    assert_string_equal(node_history(&f->a, &f->rig, "c", false, 3, 1000), "4:4");
    node_check_page_ids(&f->a, 3, -1);

    /* So a node notices that another event was there before all that is kept. */
    REDIS_RUN(&f->server, out, "DEL", "test:{c}:log");
    for (size_t i = 1; i < 3; i++) {
        size_t last = 3 + i; /* that the node has had: an event, then the position it was told */
        snprintf(before, sizeof before, "%zu %.40s", last, i == 1 ? f->b.events[1].id : "another");
        snprintf(now, sizeof now, "%zu", last + 1);
        REDIS_RUN(&f->server, out, "HSET", "test:{c}:meta", "offset", now, "last", i == 1 ? "5 later" : "6 later",
                  "before", before);
        REDIS_RUN(&f->server, out, "CLIENT", "KILL", "TYPE", "pubsub");
        RIG_WAIT(&f->rig, f->b.subscribed_count == i + 1 && f->b.info.state == BROKER_UP);
        assert_int_equal(f->b.subscribed[i].offset, last + 1);
        assert_int_equal(strcmp(f->b.subscribed[i].epoch, f->b.subscribed[0].epoch) == 0, i == 1);
    }
}

static void reads_pages_of_a_log(void **state)
{
    struct fixture *f = *state;
    char out[64];
    node_check_paging(&f->a, &f->rig);
    assert_string_equal(node_history(&f->b, &f->rig, "paged", false, 17, 100000), "20:18,19,20");
    REDIS_RUN(&f->server, out, "SCRIPT", "FLUSH");
    assert_string_equal(node_history(&f->b, &f->rig, "paged", false, 17, 100000), "20:18,19,20");
    REDIS_RUN(&f->server, out, "DEL", "test:{paged}:log"); /* as when its ttl has passed */
    assert_string_equal(node_history(&f->b, &f->rig, "paged", false, 17, 100000), "20:");
    REDIS_RUN(&f->server, out, "XADD", "test:{paged}:log", "20-0", "d", "nonsense");
    assert_string_equal(node_history(&f->b, &f->rig, "paged", false, 17, 100000), "internal_error");
    REDIS_RUN(&f->server, out, "SET", "test:{paged}:log", "x");
    assert_string_equal(node_history(&f->b, &f->rig, "paged", false, 17, 100000), "internal_error");
}

static void measures_the_round_trip(void **state)
{
    struct fixture *f = *state;
    struct broker_info info;
    RIG_WAIT(&f->rig, node_metric(&f->a, METRIC_BROKER_ROUND_TRIP) >= 3);
    f->a.broker->ops->info(f->a.broker, &info);
    assert_string_equal(info.kind, "redis");
    assert_true(info.round_trip_us > 0);
    assert_int_equal(node_metric(&f->a, METRIC_BROKER_ERRORS), 0);
}

int main(void)
{
#define WITH_REDIS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_REDIS(numbers_pipelined_publications_densely),
        WITH_REDIS(gives_both_nodes_one_epoch_before_the_first_event),
        WITH_REDIS(gives_no_position_without_history),
        WITH_REDIS(keeps_an_unused_epoch_for_a_day),
        WITH_REDIS(orders_what_two_nodes_publish),
        WITH_REDIS(publishes_an_event_id_once),
        WITH_REDIS(survives_a_script_flush),
        WITH_REDIS(positions_and_events_fit),
        WITH_REDIS(leaves_and_joins_again_in_flight),
        WITH_REDIS(takes_what_backends_publish),
        WITH_REDIS(begins_an_epoch_when_meta_is_gone),
        WITH_REDIS(says_when_a_channel_cannot_be_had),
        WITH_REDIS(talks_between_nodes),
        WITH_REDIS(begins_an_epoch_when_events_are_gone),
        WITH_REDIS(knows_the_last_event_when_it_has_aged),
        WITH_REDIS(reads_pages_of_a_log),
        WITH_REDIS(measures_the_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
