/* test_api_publish.c - publish, broadcast and batch. */
#include <stdio.h>

#include "tests/unit/api/api_fixture.h"

static struct fixture f;
static struct router_of x;

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_teardown(&f);
    return 0;
}

static void test_publish(void **state)
{
    (void)state;
    send_request(
        &f, &x, "POST", "/api/v1/publish",
        "{\"channel\":\"a\\u00e9\",\"type\":\"note\",\"data\":{\"n\":1e400, \"z\":[ ]},\"event_id\":\"once\"}");
    assert_int_equal(x.responses, 0);
    const struct publication *publication = f.publications[0];
    assert_str(publication->base.channel, "a\xC3\xA9");
    assert_str(publication->type, "note");
    assert_str(publication->data, "{\"n\":1e400, \"z\":[ ]}");
    assert_str(publication->event_id, "once");
    assert_int_equal(publication->history.size, 0);
    assert_int_equal(publication->accepted_us, 77);
    answer_publication(&f, 0);
    expect(&x, 200, "{\"id\":\"id-0\"}");
    const struct metrics *all[] = {&f.metrics};
    assert_int_equal(metrics_value(all, 1, METRIC_EVENTS_IN, METRICS_SOURCE_HTTP), 1);
    assert_int_equal(
        metrics_value(all, 1, METRIC_HTTP_REQUESTS, METRICS_ROUTE_PUBLISH * METRICS_STATUS_COUNT + METRICS_STATUS_2XX),
        1);
}

static void test_history_and_duplicates(void **state)
{
    (void)state;
    send_request(&f, &x, "POST", "/api/v1/publish", "{\"channel\":\"log:a\",\"type\":\"note\",\"data\":null}");
    assert_int_equal(f.publications[0]->history.size, 10);
    f.publications[0]->duplicate = true;
    answer_publication(&f, 0);
    expect(&x, 200, "{\"id\":\"id-0\",\"epoch\":\"e\",\"offset\":1,\"duplicate\":true}");
}

static void test_broker_refuses(void **state)
{
    (void)state;
    send_request(&f, &x, "POST", "/api/v1/publish", "{\"channel\":\"a\",\"type\":\"note\",\"data\":1}");
    fail_publication(&f, 0, ERR_UNAVAILABLE);
    assert_int_equal(x.call.response.retry_after_s, 3);
    expect(&x, 503, "{\"error\":{\"code\":\"unavailable\",\"message\":\"the broker says no\"}}");
}

static void test_bad_publish(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *part;
    } bad[] = {
        {"", 400, "\"code\":\"invalid_request\""},
        {"{\"channel\":\"a\",\"type\":\"note\",\"data\":1}x", 400, "invalid_request"},
        {"[]", 400, "expected an object, found an array"},
        {"{\"type\":\"note\",\"data\":1}", 400, "\"message\":\"channel: "},
        {"{\"channel\":\"a\",\"data\":1}", 400, "\"message\":\"type: "},
        {"{\"channel\":\"a\",\"type\":\"note\"}", 400, "\"message\":\"data: "},
        {"{\"channel\":7,\"type\":\"note\",\"data\":1}", 400, "\"message\":\"channel: expected a string"},
        {"{\"channel\":\"a\",\"channel\":\"b\",\"type\":\"note\",\"data\":1}", 400, "channel: given twice"},
        {"{\"channel\":\"a\\u0000\",\"type\":\"note\",\"data\":1}", 400, "channel: must not contain"},
        {"{\"channel\":\"\",\"type\":\"note\",\"data\":1}", 400, "\"message\":\"channel: "},
        {"{\"channel\":\"a b\",\"type\":\"note\",\"data\":1}", 400, "\"message\":\"channel: "},
        {"{\"channel\":\"a\",\"type\":\"Note\",\"data\":1}", 400, "\"message\":\"type: "},
        {"{\"channel\":\"a\",\"type\":\"subscribed\",\"data\":1}", 400, "reserved"},
        {"{\"channel\":\"a\",\"type\":\"notification\",\"data\":{}}", 400, "data.message"},
        {"{\"channel\":\"a\",\"type\":\"note\",\"data\":1,\"event_id\":\"\"}", 400, "\"message\":\"event_id: "},
        {"{\"channel\":\"a\",\"type\":\"note\",\"data\":1,\"event_id\":\"a b\"}", 400, "\"message\":\"event_id: "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        send_request(&f, &x, "POST", "/api/v1/publish", bad[i].body);
        expect_part(&x, bad[i].status, bad[i].part);
    }
    assert_int_equal(f.publication_count, 0);
}

/* A publish whose data is a string of so many bytes, quotes included. */
static void publish_sized(size_t data_bytes)
{
    char body[256];
    snprintf(body, sizeof body, "{\"channel\":\"a\",\"type\":\"note\",\"data\":\"%0*d\"}", (int)data_bytes - 2, 0);
    send_request(&f, &x, "POST", "/api/v1/publish", body);
}

static void test_size(void **state)
{
    (void)state;
    publish_sized(100);
    answer_publication(&f, 0);
    expect_part(&x, 200, "id-0");
    publish_sized(101);
    expect(&x, 413,
           "{\"error\":{\"code\":\"too_large\",\"message\":\"data: 101 bytes, at most 100 are allowed "
           "(limits.event_bytes)\"}}");
}

static void test_custom_events_off(void **state)
{
    (void)state;
    f.config.custom_events = false;
    api_configure(f.api, &f.config);
    send_request(&f, &x, "POST", "/api/v1/publish", "{\"channel\":\"a\",\"type\":\"note\",\"data\":1}");
    expect_part(&x, 400, "events.custom");
}

static void test_broadcast(void **state)
{
    (void)state;
    send_request(&f, &x, "POST", "/api/v1/broadcast",
                 "{\"channels\":[\"\\u0061\",\"not valid\",\"log:b\",\"c\"],\"type\":\"note\",\"data\":{}}");
    assert_int_equal(f.publication_count, 3);
    assert_str(f.publications[0]->base.channel, "a");
    /* Answers may come in any order. */
    answer_publication(&f, 1);
    fail_publication(&f, 2, ERR_UNAVAILABLE);
    assert_int_equal(x.responses, 0);
    answer_publication(&f, 0);
    expect(&x, 200,
           "{\"results\":[{\"channel\":\"a\",\"id\":\"id-0\"},"
           "{\"channel\":\"not valid\",\"error\":{\"code\":\"invalid_request\",\"message\":\"channel: byte 3 of "
           "the channel name is a space\"}},"
           "{\"channel\":\"log:b\",\"id\":\"id-1\",\"epoch\":\"e\",\"offset\":2},"
           "{\"channel\":\"c\",\"error\":{\"code\":\"unavailable\",\"message\":\"the broker says no\"}}]}");
}

static void test_broadcast_to_nobody(void **state)
{
    (void)state;
    send_request(&f, &x, "POST", "/api/v1/broadcast", "{\"channels\":[],\"type\":\"note\",\"data\":1}");
    expect(&x, 200, "{\"results\":[]}");
}

static void test_bad_broadcast(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *part;
    } bad[] = {
        {"{\"channel\":\"a\",\"type\":\"note\",\"data\":1}", 400, "\"message\":\"channels: "},
        {"{\"channels\":\"a\",\"type\":\"note\",\"data\":1}", 400, "channels: expected an array"},
        {"{\"channels\":[\"a\",7],\"type\":\"note\",\"data\":1}", 400, "channels[1]: expected a string"},
        {"{\"channels\":[\"a\"],\"type\":\"join\",\"data\":1}", 400, "reserved"},
        {"{\"channels\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"],\"type\":\"note\",\"data\":1}", 413,
         "channels: 6, at most 5"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        send_request(&f, &x, "POST", "/api/v1/broadcast", bad[i].body);
        expect_part(&x, bad[i].status, bad[i].part);
    }
    assert_int_equal(f.publication_count, 0);
}

static void test_batch(void **state)
{
    (void)state;
    f.config.max_batch = 6;
    api_configure(f.api, &f.config);
    f.answers_at_once = true;
    send_request(&f, &x, "POST", "/api/v1/batch",
                 "{\"commands\":[{\"publish\":{\"channel\":\"log:a\",\"type\":\"note\",\"data\":1}},"
                 "{\"publish\":{\"channel\":\"log:a\",\"type\":\"No\",\"data\":1}},"
                 "{\"broadcast\":{\"channels\":[\"b\",\"\",\"c\"],\"type\":\"note\",\"data\":2}},"
                 "{\"publish\":{\"channel\":\"log:a\",\"type\":\"note\",\"data\":3}}]}");
    assert_int_equal(f.publication_count, 4);
    assert_int_equal(x.responses, 1);
    const char *body = buf_cstr(&x.call.response.body);
    const char *first = strstr(body, "{\"results\":[{\"id\":\"id-0\",\"epoch\":\"e\",\"offset\":1},{\"error\":");
    const char *list =
        strstr(body, "},{\"results\":[{\"channel\":\"b\",\"id\":\"id-1\"},{\"channel\":\"\",\"error\":{");
    const char *rest =
        strstr(body, "},{\"channel\":\"c\",\"id\":\"id-2\"}]},{\"id\":\"id-3\",\"epoch\":\"e\",\"offset\":4}]}");
    if (first != body || !list || !rest || rest < list)
        fail_msg("%s", body);
    buf_fini(&x.call.response.body);
}

static void test_batch_waits_for_all(void **state)
{
    (void)state;
    send_request(&f, &x, "POST", "/api/v1/batch",
                 "{\"commands\":[{\"publish\":{\"channel\":\"a\",\"type\":\"note\",\"data\":\"\\u00e9\"}},"
                 "{\"publish\":{\"channel\":\"\\u0061\",\"type\":\"note\",\"data\":2}}]}");
    assert_int_equal(f.publication_count, 2);
    assert_str(f.publications[0]->data, "\"\\u00e9\"");
    assert_str(f.publications[1]->base.channel, "a");
    answer_publication(&f, 1);
    assert_int_equal(x.responses, 0);
    answer_publication(&f, 0);
    expect(&x, 200, "{\"results\":[{\"id\":\"id-0\"},{\"id\":\"id-1\"}]}");
}

static void test_bad_commands_fail_alone(void **state)
{
    static const struct {
        const char *command;
        const char *part;
    } bad[] = {
        {"7", "command: expected an object"},
        {"{}", "expected one of publish and broadcast"},
        {"{\"publish\":{},\"broadcast\":{}}", "expected one of publish and broadcast"},
        {"{\"publish\":7}", "command.publish: expected an object"},
        {"{\"publish\":{\"type\":\"note\",\"data\":1}}", "publish.channel: "},
        {"{\"broadcast\":{\"channels\":[1],\"type\":\"note\",\"data\":1}}", "channels[0]"},
    };
    (void)state;
    f.answers_at_once = true;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char body[512];
        snprintf(body, sizeof body,
                 "{\"commands\":[%s,{\"publish\":{\"channel\":\"a\",\"type\":\"note\",\"data\":1}}]}", bad[i].command);
        f.publication_count = 0;
        send_request(&f, &x, "POST", "/api/v1/batch", body);
        if (!strstr(buf_cstr(&x.call.response.body), bad[i].part))
            fail_msg("%s is not in %s", bad[i].part, buf_cstr(&x.call.response.body));
        expect_part(&x, 200, "}},{\"id\":\"id-0\"}]}");
    }
}

static void test_batch_limits(void **state)
{
    (void)state;
    f.answers_at_once = true;
    send_request(&f, &x, "POST", "/api/v1/batch", "{\"commands\":[1,2,3,4,5,6]}");
    expect_part(&x, 413, "commands: 6, at most 5");
    send_request(&f, &x, "POST", "/api/v1/batch", "{\"commands\":{}}");
    expect_part(&x, 400, "commands: expected an array");
    send_request(&f, &x, "POST", "/api/v1/batch", "{\"commands\":[]}");
    expect(&x, 200, "{\"results\":[]}");
    /* The events of all commands count together. */
    send_request(&f, &x, "POST", "/api/v1/batch",
                 "{\"commands\":[{\"broadcast\":{\"channels\":[\"1\",\"2\",\"3\"],\"type\":\"note\",\"data\":1}},"
                 "{\"broadcast\":{\"channels\":[\"1\",\"2\",\"3\"],\"type\":\"note\",\"data\":1}}]}");
    expect_part(&x, 200, "]},{\"error\":{\"code\":\"too_large\"");
    assert_int_equal(f.publication_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_publish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_history_and_duplicates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broker_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_publish, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_custom_events_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broadcast, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broadcast_to_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_broadcast, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch_waits_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_commands_fail_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
