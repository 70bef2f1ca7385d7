/* test_nats_message.c - lines and messages, found in input that is cut anywhere. */
#include "bench/load/dialects/nats_message.h"
#include "tests/support/unit.h"

static void test_written(void **state)
{
    struct buf out = {0};
    nats_append_subscribe(&out, STR("bench:load:7"));
    nats_append_publish(&out, STR("a:b"), STR("hello"));
    assert_str(buf_str(&out), "SUB bench.load.7 1\r\nPING\r\nPUB a.b 5\r\nhello\r\n");
    buf_clear(&out);
    nats_append_subscribe(&out, STR(""));
    assert_str(buf_str(&out), "PING\r\n");
    buf_fini(&out);
}

static void test_cut_at_every_byte(void **state)
{
    static const char stream[] =
        "INFO {\"version\":\"2.9\"}\r\nPONG\r\nMSG a.b 1 5\r\nhel\r\n\r\nMSG a 1 _INBOX.x 0\r\n\r\n"
        "PING\r\n+OK\r\n-ERR 'Slow Consumer'\r\nMSG a 1 2\r\n\r\n\r\n";
    static const struct {
        enum nats_result kind;
        const char *text;
    } expected[] = {
        {NATS_INFO, "INFO {\"version\":\"2.9\"}"},
        {NATS_PONG, "PONG"},
        {NATS_MSG, "hel\r\n"},
        {NATS_MSG, ""},
        {NATS_PING, "PING"},
        {NATS_OK, "+OK"},
        {NATS_ERR, "-ERR 'Slow Consumer'"},
        {NATS_MSG, "\r\n"},
    };
    size_t at = 0, found = 0;
    for (size_t end = 0; end <= sizeof stream - 1; end++) {
        struct str bytes = str_from(stream + at, end - at), out;
        for (enum nats_result kind; (kind = nats_next(&bytes, &out)) != NATS_MORE; found++) {
            assert_true(found < COUNT_OF(expected));
            assert_int_equal(kind, expected[found].kind);
            assert_str(out, expected[found].text);
            at = (size_t)(bytes.ptr - stream);
        }
        assert_int_equal(bytes.len, end - at);
    }
    assert_int_equal(found, COUNT_OF(expected));
}

static void test_malformed(void **state)
{
    static const char *const lines[] = {"HELLO\r\n",    "\r\n",           "MSG a 1 x\r\n",
                                        "MSG a 1 \r\n", "MSG a 1 -5\r\n", "MSG a 1 18446744073709551615\r\n"};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct str bytes = str_from_cstr(lines[i]), out;
        assert_int_equal(nats_next(&bytes, &out), NATS_BAD);
        assert_int_equal(bytes.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
