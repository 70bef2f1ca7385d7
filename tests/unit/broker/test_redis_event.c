/* test_redis_event.c - see redis_event.h. */
#include "server/broker/redis/redis_event.h"
#include "tests/support/unit.h"

static const struct event_limits limits = {.custom = true, .data_bytes = 65536};

static void reads_what_a_node_writes(void **state)
{
    struct event event = {
        .channel = STR("say \"hi\""),
        .type = STR("tick"),
        .id = STR("0197"),
        .timestamp = STR("2026-01-15T10:30:00.000Z"),
        .user = STR("ada \"l\""),
        .session = STR("0198c0de-0000-7000-8000-00000000000e"),
        .exclude = STR("0198c0de-0000-7000-8000-00000000000f"),
        .data = STR("{\"n\":12345678901234567890.50}"),
    };
    struct buf bytes = {0}, scratch = {0};
    redis_event_head(&bytes, &event);
    buf_append_lit(&bytes, ",\"epoch\":\"k3v9\",\"offset\":18446744073709551615");
    redis_event_tail(&bytes, &event);
    struct event found;
    bool direct = true;
    struct error error;
    if (redis_event_parse(buf_str(&bytes), event.channel, &limits, &scratch, &found, &direct, &error))
        fail_msg("%s", error.text);
    assert_false(direct);
    assert_true(str_eq(found.channel, event.channel));
    assert_true(str_eq(found.type, event.type));
    assert_true(str_eq(found.id, event.id));
    assert_true(str_eq(found.timestamp, event.timestamp));
    assert_true(str_eq(found.user, event.user));
    assert_true(str_eq(found.session, event.session));
    assert_true(str_eq(found.exclude, event.exclude));
    assert_true(str_eq(found.data, event.data));
    assert_true(str_eq_cstr(found.epoch, "k3v9"));
    assert_true(found.offset == UINT64_MAX);
    buf_fini(&bytes);
    buf_fini(&scratch);
}

static void reads_what_a_backend_writes(void **state)
{
    struct buf scratch = {0};
    struct event found;
    bool direct = false;
    assert_int_equal(
        redis_event_parse(STR(" {\"data\":[1, 2] , \"t\\u0079pe\":\"t\", \"type\":\"ti\\u0063k\",\"more\":1}\n"),
                          STR("c"), &limits, &scratch, &found, &direct, NULL),
        ERR_INVALID_REQUEST); /* type twice */
    assert_int_equal(redis_event_parse(STR(" {\"data\":[1, 2] , \"type\":\"ti\\u0063k\",\"more\":1}\n"), STR("c"),
                                       &limits, &scratch, &found, &direct, NULL),
                     ERR_NONE);
    assert_true(direct);
    assert_true(str_eq_cstr(found.type, "tick"));
    assert_true(str_eq_cstr(found.data, "[1, 2]"));
    assert_int_equal(found.id.len, 0);
    assert_int_equal(found.epoch.len, 0);
    assert_int_equal(found.offset, 0);
    assert_int_equal(found.timestamp.len, 0);
    /* Only a node names the publisher. A backend may have such members for itself. */
    const struct str own = STR("{\"type\":\"t\",\"data\":1,\"user\":\"ada\",\"session\":7,\"exclude_session\":"
                               "\"0198c0de-0000-7000-8000-00000000000f\"}");
    assert_int_equal(redis_event_parse(own, STR("c"), &limits, &scratch, &found, &direct, NULL), ERR_NONE);
    assert_int_equal(found.user.len, 0);
    assert_int_equal(found.session.len, 0);
    assert_true(str_eq_cstr(found.exclude, "0198c0de-0000-7000-8000-00000000000f"));
    assert_int_equal(redis_event_parse(STR("{\"type\":\"t\",\"data\":1,\"exclude_session\":\"me\"}"), STR("c"), &limits,
                                       &scratch, &found, &direct, NULL),
                     ERR_INVALID_REQUEST);
    buf_fini(&scratch);
}

static void refuses_what_is_no_event(void **state)
{
    static const char *const rows[] = {
        "",
        "null",
        "[]",
        "not json",
        "{\"type\":\"t\"}",
        "{\"data\":1}",
        "{\"type\":1,\"data\":1}",
        "{\"type\":\"T\",\"data\":1}",
        "{\"type\":\"error\",\"data\":1}",
        "{\"type\":\"t\\u0000\",\"data\":1}",
        "{\"type\":\"notification\",\"data\":{}}",
        "{\"type\":\"t\",\"data\":1,\"id\":\"\"}",
        "{\"type\":\"t\",\"data\":1,\"id\":\"a b\"}",
        "{\"type\":\"t\",\"data\":1,\"id\":7}",
        "{\"type\":\"t\",\"data\":1,\"timestamp\":\"2026<script>\"}",
        "{\"type\":\"t\",\"data\":1,\"timestamp\":12}",
        "{\"type\":\"t\",\"data\":1,\"channel\":\"other\"}",
        "{\"type\":\"t\",\"data\":1,\"epoch\":\"e\"}",
        "{\"type\":\"t\",\"data\":1,\"offset\":1}",
        "{\"type\":\"t\",\"data\":1,\"epoch\":\"e\",\"offset\":0}",
        "{\"type\":\"t\",\"data\":1,\"epoch\":\"e\",\"offset\":1.5}",
        "{\"type\":\"t\",\"data\":1,\"epoch\":\"\",\"offset\":1}",
        "{\"type\":\"t\",\"data\":1,\"epoch\":\"a\\\"b\",\"offset\":1}",
        "{\"type\":\"t\",\"data\":1,\"epoch\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"offset\":1}",
        "{\"type\":\"t\",\"data\":1} x",
        "{\"type\":\"t\",\"data\":\"\xff\"}",
    };
    struct buf scratch = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct event event;
        bool direct;
        if (!redis_event_parse(str_from_cstr(rows[i]), STR("c"), &limits, &scratch, &event, &direct, NULL))
            fail_msg("accepted: %s", rows[i]);
    }
    struct event_limits strict = {.custom = false, .data_bytes = 1};
    struct str custom = STR("{\"type\":\"t\",\"data\":1}");
    struct event event;
    bool direct;
    assert_int_equal(redis_event_parse(custom, STR("c"), &strict, &scratch, &event, &direct, NULL),
                     ERR_INVALID_REQUEST);
    strict.custom = true;
    assert_int_equal(redis_event_parse(custom, STR("c"), &strict, &scratch, &event, &direct, NULL), ERR_NONE);
    strict.data_bytes = 0;
    assert_int_equal(redis_event_parse(custom, STR("c"), &strict, &scratch, &event, &direct, NULL), ERR_TOO_LARGE);
    /* An event that another node has accepted and acknowledged is delivered, whatever the settings are here. */
    struct str of_a_node = STR("{\"type\":\"t\",\"channel\":\"c\",\"data\":1}");
    strict.custom = false;
    assert_int_equal(redis_event_parse(of_a_node, STR("c"), &strict, &scratch, &event, &direct, NULL), ERR_NONE);
    assert_false(direct);
    buf_fini(&scratch);
}

/* How a script tells that an epoch begins. No event is taken for it, and it is none. */
static void reads_where_an_epoch_begins(void **state)
{
    static const struct {
        const char *text;
        const char *epoch; /* NULL: it is not that */
        uint64_t offset;
        const char *id;
    } rows[] = {
        {"{\"type\":\"gap\",\"data\":{\"reason\":\"epoch_changed\",\"epoch\":\"abc\",\"offset\":0}}", "abc", 0, ""},
        {"{\"type\":\"gap\",\"data\":{\"reason\":\"r\",\"epoch\":\"e-1\",\"offset\":7,\"id\":\"i\"}}", "e-1", 7, "i"},
        {"{\"type\":\"gaps\",\"data\":{\"reason\":\"r\",\"epoch\":\"abc\",\"offset\":0}}", NULL, 0, NULL},
        {"{\"type\":\"gap\",\"data\":{\"reason\":\"r\",\"epoch\":\"\",\"offset\":0}}", NULL, 0, NULL},
        {"{\"type\":\"gap\",\"data\":{\"reason\":\"r\",\"epoch\":\"a b\",\"offset\":0}}", NULL, 0, NULL},
        {"{\"type\":\"gap\",\"data\":{\"reason\":\"r\",\"epoch\":\"abc\",\"offset\":-1}}", NULL, 0, NULL},
        {"{\"type\":\"gap\",\"data\":{\"epoch\":\"abc\",\"offset\":1}}", NULL, 0, NULL},
        {"{\"type\":\"gap\",\"data\":[]}", NULL, 0, NULL},
        {"position 0 abc i c", NULL, 0, NULL},
        {"", NULL, 0, NULL},
    };
    struct buf scratch = {0};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct position position = {0};
        struct event event;
        struct error error;
        bool direct;
        struct str text = str_from_cstr(rows[i].text);
        assert_int_equal(redis_event_parse_epoch(text, &scratch, &position), rows[i].epoch != NULL);
        if (!rows[i].epoch)
            continue;
        assert_true(str_eq_cstr(position.epoch, rows[i].epoch) && str_eq_cstr(position.id, rows[i].id));
        assert_int_equal(position.offset, rows[i].offset);
        assert_int_not_equal(redis_event_parse(text, STR("c"), &limits, &scratch, &event, &direct, &error), ERR_NONE);
    }
    buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_node_writes),
        cmocka_unit_test(reads_what_a_backend_writes),
        cmocka_unit_test(refuses_what_is_no_event),
        cmocka_unit_test(reads_where_an_epoch_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
