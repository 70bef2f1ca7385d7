/* test_dialect.c - each dialect's conversation: the server's messages, the client's answers, when the client is
 * ready, and which messages are events. Every dialect of the table has a conversation. */
#include "bench/load/dialects/bench_dialect.h"
#include "bench/load/dialects/mqtt_packet.h"
#include "tests/support/unit.h"

/* The server says `said`; the client answers `answer`, and takes it for `item` with the text `out`. */
struct line {
    const char *said;
    enum dialect_item item;
    const char *out;
    const char *answer;
};

static void hold(const struct bench_dialect *dialect, const char *channel, const struct line *lines)
{
    struct talk talk = {.channel = str_from_cstr(channel)};
    struct buf answer = {0};
    dialect->open(&talk, &answer);
    for (; lines->said; lines++) {
        struct str message = str_from_cstr(lines->said), out = STR("");
        buf_clear(&answer);
        enum dialect_item item = dialect->read(&talk, &message, &out, &answer);
        if (item != lines->item)
            fail_msg("%s: %s", dialect->name, lines->said);
        assert_str(buf_str(&answer), lines->answer);
        if (lines->out)
            assert_str(out, lines->out);
    }
    buf_fini(&answer);
}

static void test_carillon(void **state)
{
    static const struct line subscriber[] = {
        {"{\"type\":\"session_init\",\"data\":{}}", DIALECT_MORE, NULL,
         "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":\"a:b\"}}"},
        {"{\"type\":\"subscribed\",\"id\":1}", DIALECT_READY, NULL, ""},
        {"{\"type\":\"bench\",\"data\":1}", DIALECT_EVENT, "{\"type\":\"bench\",\"data\":1}", ""},
        {"{\"type\":\"published\"}", DIALECT_ACCEPTED, NULL, ""},
        {"{\"type\":\"gap\"}", DIALECT_OTHER, "{\"type\":\"gap\"}", ""},
        {0},
    };
    static const struct line publisher[] = {
        {"{\"type\":\"session_init\",\"data\":{}}", DIALECT_READY, NULL, ""},
        {0},
    };
    static const struct line refused[] = {
        {"{\"type\":\"session_init\"}", DIALECT_MORE, NULL,
         "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":\"a\"}}"},
        {"{\"type\":\"error\"}", DIALECT_OTHER, "{\"type\":\"error\"}", ""},
        {0},
    };
    hold(&dialect_carillon, "a:b", subscriber);
    hold(&dialect_carillon, "", publisher);
    hold(&dialect_carillon, "a", refused);
}

static void test_socketio(void **state)
{
    static const struct line lines[] = {
        {"0{\"sid\":\"x\",\"pingInterval\":25000}", DIALECT_MORE, NULL, "40"},
        {"2", DIALECT_MORE, NULL, "3"},
        {"40{\"sid\":\"y\"}", DIALECT_MORE, NULL, "420[\"join\",\"a:b\"]"},
        {"430[]", DIALECT_READY, NULL, ""},
        {"42[\"event\",{\"n\":1}]", DIALECT_EVENT, "42[\"event\",{\"n\":1}]", ""},
        {"2", DIALECT_MORE, NULL, "3"},
        {"41", DIALECT_OTHER, "41", ""},
        {0},
    };
    static const struct line refused[] = {
        {"0{}", DIALECT_MORE, NULL, "40"},
        {"44{\"message\":\"no\"}", DIALECT_OTHER, "44{\"message\":\"no\"}", ""},
        {0},
    };
    hold(&dialect_socketio, "a:b", lines);
    hold(&dialect_socketio, "a:b", refused);
}

static void test_nats(void **state)
{
    static const struct line lines[] = {
        {"INFO {}\r\n", DIALECT_MORE, NULL,
         "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\n"
         "SUB a.b 1\r\nPING\r\n"},
        {"PONG\r\n", DIALECT_READY, NULL, ""},
        {"MSG a.b 1 2\r\nhi\r\n", DIALECT_EVENT, "hi", ""},
        {"PING\r\n", DIALECT_MORE, NULL, "PONG\r\n"},
        {"INFO {}\r\nMSG a.b 1 3\r\nyou\r\n", DIALECT_EVENT, "you", ""},
        {"-ERR 'Slow Consumer'\r\n", DIALECT_OTHER, "-ERR 'Slow Consumer'", ""},
        {0},
    };
    hold(&dialect_nats, "a:b", lines);
}

/* Binary, so with lengths. */
static enum dialect_item mqtt_reads(struct talk *talk, const char *bytes, size_t len, struct buf *answer)
{
    struct str message = str_from(bytes, len), out;
    buf_clear(answer);
    return dialect_mqtt.read(talk, &message, &out, answer);
}

static void test_mqtt(void **state)
{
    struct talk talk = {.channel = STR("a:b")}, publisher = {.channel = STR("")}, refused = {.channel = STR("a")};
    struct buf answer = {0}, packet = {0};
    struct str out;
    assert_false(dialect_mqtt.open(&talk, &answer));
    assert_int_equal(answer.ptr[0], 0x10);
    assert_int_equal(mqtt_reads(&talk, "\x20\2\0\0", 4, &answer), DIALECT_MORE);
    assert_int_equal((unsigned char)answer.ptr[0], 0x82);
    assert_int_equal(mqtt_reads(&talk, "\x90\3\0\1\0", 5, &answer), DIALECT_READY);
    mqtt_append_publish(&packet, STR("a:b"), STR("hello"));
    struct str message = buf_str(&packet);
    assert_int_equal(dialect_mqtt.read(&talk, &message, &out, &answer), DIALECT_EVENT);
    assert_str(out, "hello");
    assert_int_equal(dialect_mqtt.read(&talk, &message, &out, &answer), DIALECT_MORE);
    assert_int_equal(mqtt_reads(&talk, "\xd0\0", 2, &answer), DIALECT_OTHER);

    assert_int_equal(mqtt_reads(&publisher, "\x20\2\0\0", 4, &answer), DIALECT_READY);
    assert_int_equal(mqtt_reads(&refused, "\x20\2\0\5", 4, &answer), DIALECT_OTHER);
    buf_fini(&answer);
    buf_fini(&packet);
}

static void test_ready_at_once(void **state)
{
    static const struct bench_dialect *const ready[] = {&dialect_plain, &dialect_nchan};
    for (size_t i = 0; i < COUNT_OF(ready); i++) {
        struct talk talk = {.channel = STR("c")};
        struct buf answer = {0};
        struct str message = STR("anything"), out;
        assert_true(ready[i]->open(&talk, &answer));
        assert_int_equal(ready[i]->read(&talk, &message, &out, &answer), DIALECT_EVENT);
        assert_str(out, "anything");
        assert_int_equal(ready[i]->read(&talk, &message, &out, &answer), DIALECT_MORE);
        assert_int_equal(answer.len, 0);
    }
}

static void test_requests(void **state)
{
    static const struct {
        const struct bench_dialect *dialect;
        const char *upgrade;
        const char *post;
    } rows[] = {
        {&dialect_carillon, "/ws", "/api/v1/publish {\"channel\":\"a:b\",\"type\":\"bench\",\"data\":{}}"},
        {&dialect_plain, "/ws?channel=a%3Ab", "/publish?channel=a%3Ab {}"},
        {&dialect_nchan, "/sub/a%3Ab", "/pub/a%3Ab {}"},
        {&dialect_socketio, "/socket.io/?EIO=4&transport=websocket", "/publish?channel=a%3Ab {}"},
        {&dialect_mqtt, "/mqtt", NULL},
        {&dialect_nats, "/", NULL},
        {&dialect_tickets, "/", "/api/v1/tickets {\"user\":\"bench\",\"purpose\":\"bench\",\"resource\":\"load\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct bench_dialect *dialect = rows[i].dialect;
        struct buf out = {0};
        buf_append(&out, str_from_cstr(dialect->path));
        dialect->append_query(&out, STR("a:b"));
        assert_str(buf_str(&out), rows[i].upgrade);
        buf_clear(&out);
        assert_int_equal(dialect->append_post_target != NULL, rows[i].post != NULL);
        if (dialect->append_post_target) {
            dialect->append_post_target(&out, STR("a:b"));
            buf_append_char(&out, ' ');
            dialect->append_post_body(&out, STR("a:b"), STR("{}"));
            assert_str(buf_str(&out), rows[i].post);
        }
        buf_fini(&out);
    }
}

/* Each row has the functions that its transports need. */
static void test_every_row(void **state)
{
    size_t count = 0;
    for (; dialects[count]; count++) {
        const struct bench_dialect *dialect = dialects[count];
        assert_ptr_equal(dialect_find(dialect->name), dialect);
        assert_true(dialect->transports & 1U << dialect->usual);
        assert_int_equal((dialect->transports & 1 << TRANSPORT_HTTP) != 0, dialect->append_post_body != NULL);
        assert_int_equal((dialect->transports & 1 << TRANSPORT_WEBSOCKET) != 0, dialect->publish != NULL);
    }
    assert_int_equal(count, 7);
    assert_null(dialect_find("morse"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_carillon),  cmocka_unit_test(test_socketio),      cmocka_unit_test(test_nats),
        cmocka_unit_test(test_mqtt),      cmocka_unit_test(test_ready_at_once), cmocka_unit_test(test_requests),
        cmocka_unit_test(test_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
