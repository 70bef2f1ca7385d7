/* test_redis_broker.c - the Redis broker with a Redis that works. test_redis_failures.c has a Redis that fails.
 * test_redis_position.c has the positions of channels. */
#include <stdio.h>

#include "redis_pair.h"

static void numbers_pipelined_publications_densely(void **state)
{
    enum { COUNT = 10000 };
    struct redis_pair *f = *state;
    char out[64];
    redis_pair_join(f, &f->a, "c");
    redis_pair_join(f, &f->b, "c");
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

static void orders_what_two_nodes_publish(void **state)
{
    enum { COUNT = 500 };
    struct redis_pair *f = *state;
    redis_pair_join(f, &f->a, "c");
    redis_pair_join(f, &f->b, "c");
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
    struct redis_pair *f = *state;
    redis_pair_join(f, &f->a, "c");
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
    struct redis_pair *f = *state;
    char out[64];
    redis_pair_join(f, &f->a, "c");
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
    redis_pair_join(f, &f->b, "c");
    assert_int_equal(f->b.subscribed[0].offset, 300);
}

static void takes_what_backends_publish(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    redis_pair_join(f, &f->a, "a{b}%");
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
    assert_true(node_metric(&f->a, METRIC_BROKER_ERRORS) >= 4); /* a slow machine has others */
    node_publish(&f->b, "a{b}%", "3", "", 10);
    RIG_WAIT(&f->rig, f->a.event_count == 3);
    assert_int_equal(f->a.events[2].offset, 1);
    assert_string_equal(f->a.events[2].channel, "a{b}%");
}

/* A log whose meta has gone (evicted, deleted) must not be mistaken for the log of the new epoch, whoever begins that
 * epoch. */
static void begins_an_epoch_when_meta_is_gone(void **state)
{
    struct redis_pair *f = *state;
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
    redis_pair_join(f, &f->a, "c");
    assert_int_equal(f->a.subscribed[0].offset, 0);
    assert_string_not_equal(f->a.subscribed[0].epoch, f->a.answers[2].epoch);
    REDIS_RUN(&f->server, out, "XLEN", "test:{c}:log");
    assert_string_equal(out, "0");
}

static void talks_between_nodes(void **state)
{
    struct redis_pair *f = *state;
    struct buf nodes = {0};
    f->a.broker->nodes->send(f->a.broker, STR("b"), STR("one two"));
    RIG_WAIT(&f->rig, f->b.control_count == 1);
    assert_string_equal(f->b.control, "a|one two");
    f->b.broker->nodes->send(f->b.broker, STR(""), STR("all"));
    RIG_WAIT(&f->rig, f->a.control_count == 1);
    assert_string_equal(f->a.control, "b|all");
    assert_int_equal(f->b.control_count, 1); /* not to itself */
    do {
        uv_run(&f->rig.loop, UV_RUN_ONCE);
        buf_clear(&nodes);
        f->a.broker->nodes->list(f->a.broker, &nodes);
    } while (!str_eq_cstr(buf_str(&nodes), "a\nb"));
    node_close(&f->b, &f->rig);
    RIG_WAIT(&f->rig,
             (buf_clear(&nodes), f->a.broker->nodes->list(f->a.broker, &nodes), str_eq_cstr(buf_str(&nodes), "a")));
    buf_fini(&nodes);
}

static bool knows(struct redis_pair *f, const char *expected)
{
    struct buf nodes = {0};
    f->a.broker->nodes->list(f->a.broker, &nodes);
    bool same = str_eq_cstr(buf_str(&nodes), expected);
    buf_fini(&nodes);
    return same;
}

static void knows_a_node_by_its_message(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    RIG_WAIT(&f->rig, knows(f, "a\nb"));
    REDIS_RUN(&f->server, out, "PUBLISH", "test:control", "control c "); /* it is there */
    RIG_WAIT(&f->rig, knows(f, "a\nb\nc"));
    RIG_WAIT(&f->rig, knows(f, "a\nb")); /* a later read of the registry does not have it */
    REDIS_RUN(&f->server, out, "PUBLISH", "test:node:a", "control aa question");
    RIG_WAIT(&f->rig, knows(f, "a\naa\nb"));
    assert_int_equal(f->a.control_count, 1);
    assert_string_equal(f->a.control, "aa|question");
    REDIS_RUN(&f->server, out, "PUBLISH", "test:control", "control bad/id ");
    RIG_WAIT(&f->rig, knows(f, "a\nb"));
}

/* As after a restart of Redis without its data: the registry has each node again within a canary interval. */
static void knows_the_nodes_that_the_registry_has_lost(void **state)
{
    struct redis_pair *f = *state;
    char out[64];
    RIG_WAIT(&f->rig, knows(f, "a\nb"));
    for (int i = 0; i < 4; i++) {
        REDIS_RUN(&f->server, out, "DEL", "test:nodes");
        do {
            uv_run(&f->rig.loop, UV_RUN_ONCE);
            assert_true(knows(f, "a\nb"));
            REDIS_RUN(&f->server, out, "ZCARD", "test:nodes");
        } while (strcmp(out, "2") != 0);
    }
}

static void reads_pages_of_a_log(void **state)
{
    struct redis_pair *f = *state;
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
    struct redis_pair *f = *state;
    struct broker_info info;
    RIG_WAIT(&f->rig, node_metric(&f->a, METRIC_BROKER_ROUND_TRIP) >= 3);
    f->a.broker->ops->info(f->a.broker, &info);
    assert_string_equal(info.kind, "redis");
    assert_true(info.round_trip_us > 0);
    assert_int_equal(node_metric(&f->a, METRIC_BROKER_ERRORS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_REDIS_PAIR(numbers_pipelined_publications_densely),
        WITH_REDIS_PAIR(orders_what_two_nodes_publish),
        WITH_REDIS_PAIR(publishes_an_event_id_once),
        WITH_REDIS_PAIR(survives_a_script_flush),
        WITH_REDIS_PAIR(takes_what_backends_publish),
        WITH_REDIS_PAIR(begins_an_epoch_when_meta_is_gone),
        WITH_REDIS_PAIR(talks_between_nodes),
        WITH_REDIS_PAIR(knows_a_node_by_its_message),
        WITH_REDIS_PAIR(knows_the_nodes_that_the_registry_has_lost),
        WITH_REDIS_PAIR(reads_pages_of_a_log),
        WITH_REDIS_PAIR(measures_the_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
