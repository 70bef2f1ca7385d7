/* test_ws_frame.c - frame headers at the edges of each form of the length (RFC 6455, 5.2), and close frames. */
#include "common/protocol/ws_frame.h"
#include "tests/support/unit.h"

static void assert_header(enum ws_opcode opcode, size_t len, const char *expected, size_t expected_len)
{
    uint8_t out[WS_HEADER_MAX];
    memset(out, 0xEE, sizeof out);
    assert_int_equal(ws_frame_header(out, opcode, len), expected_len);
    assert_memory_equal(out, expected, expected_len);
    for (size_t i = expected_len; i < sizeof out; i++)
        assert_int_equal(out[i], 0xEE);
}

static void test_header(void **state)
{
    assert_header(WS_TEXT, 0, "\x81\x00", 2);
    assert_header(WS_TEXT, 1, "\x81\x01", 2);
    assert_header(WS_TEXT, 125, "\x81\x7D", 2);
    assert_header(WS_TEXT, 126, "\x81\x7E\x00\x7E", 4);
    assert_header(WS_TEXT, 65535, "\x81\x7E\xFF\xFF", 4);
    assert_header(WS_BINARY, 65536, "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10);
    assert_header(WS_BINARY, 0x12345678, "\x82\x7F\x00\x00\x00\x00\x12\x34\x56\x78", 10);
    assert_header(WS_PING, 0, "\x89\x00", 2);
    assert_header(WS_PONG, 125, "\x8A\x7D", 2);
}

static void assert_close(int code, struct str reason, const char *expected, size_t expected_len)
{
    uint8_t out[2 + WS_CONTROL_MAX];
    assert_int_equal(ws_frame_close(out, code, reason), expected_len);
    assert_memory_equal(out, expected, expected_len);
}

static void test_close(void **state)
{
    assert_close(1000, STR(""), "\x88\x02\x03\xE8", 4);
    assert_close(1013, STR("slow_consumer"), "\x88\x0F\x03\xF5slow_consumer", 17);
    assert_close(4999, STR("x"), "\x88\x03\x13\x87x", 5);
}

static void test_close_cuts_the_reason(void **state)
{
    char reason[200];
    uint8_t out[2 + WS_CONTROL_MAX];
    memset(reason, 'r', sizeof reason);
    assert_int_equal(ws_frame_close(out, 1008, str_from(reason, 123)), 127);
    assert_int_equal(out[1], 125);
    assert_int_equal(ws_frame_close(out, 1008, str_from(reason, 124)), 127);
    assert_memory_equal(out + 4, reason, 123);

    memcpy(reason + 121, "\xE2\x82\xAC", 3); /* the cut at 123 would fall inside this character */
    assert_int_equal(ws_frame_close(out, 1008, str_from(reason, sizeof reason)), 2 + 2 + 121);
    assert_int_equal(out[1], 2 + 121);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_close_cuts_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
