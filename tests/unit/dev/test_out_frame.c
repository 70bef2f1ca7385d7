/* test_out_frame.c - joined frames are taken apart. */
#include "common/base/buf.h"
#include "server/dev/out_frame.h"
#include "tests/support/unit.h"

static struct buf joined;

static int set_up(void **state)
{
    (void)state;
    buf_clear(&joined);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_fini(&joined);
    return 0;
}

static void add(size_t len)
{
    struct buf text = {0};
    for (size_t i = 0; i < len; i++)
        buf_append_char(&text, (char)('a' + len % 26));
    ws_framing.message(&joined, buf_str(&text));
    buf_fini(&text);
}

static void test_frames_of_each_length(void **state)
{
    static const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 70000, 3};
    size_t total = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        add(lengths[i]);
    struct str rest = buf_str(&joined);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        const struct out_frame frame = out_frame_take(&rest);
        assert_int_equal(frame.opcode, WS_TEXT);
        assert_int_equal(frame.payload.len, lengths[i]);
        assert_ptr_equal(frame.whole.ptr, joined.ptr + total);
        assert_ptr_equal(frame.payload.ptr + frame.payload.len, frame.whole.ptr + frame.whole.len);
        if (lengths[i])
            assert_int_equal(frame.payload.ptr[lengths[i] - 1], 'a' + lengths[i] % 26);
        total += frame.whole.len;
    }
    assert_int_equal(rest.len, 0);
    assert_int_equal(total, joined.len);
}

static void test_frames_of_each_kind(void **state)
{
    (void)state;
    ws_framing.ping(&joined);
    ws_framing.binary(&joined, STR("\x01\x02"));
    ws_framing.pong(&joined, STR("pong"));
    ws_framing.close(&joined, 4000, STR("busy"));
    ws_framing.close(&joined, 0, STR(""));
    struct str rest = buf_str(&joined);
    assert_int_equal(out_frame_take(&rest).opcode, WS_PING);
    assert_str(out_frame_take(&rest).payload, "\x01\x02");
    assert_str(out_frame_take(&rest).payload, "pong");
    assert_str(str_skip(out_frame_take(&rest).payload, 2), "busy");
    const struct out_frame last = out_frame_take(&rest);
    assert_int_equal(last.opcode, WS_CLOSE);
    assert_int_equal(last.payload.len, 0);
    assert_int_equal(rest.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frames_of_each_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frames_of_each_kind, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
