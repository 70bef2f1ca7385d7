/* test_event_frame.c - the frame that a node makes of an event, at each length of its header. */
#include "common/protocol/event_frame.h"
#include "tests/support/unit.h"

/* The frame is the one that the framing makes, and its JSON is found again. */
static void is_the_frame_of_its_framing(void **state)
{
    static const size_t lengths[] = {2, 125, 126, 65535, 65536};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct buf json = {0}, expected = {0}, frame = {0};
        uint8_t header[EVENT_FRAME_HEADER_MAX];
        for (size_t at = 0; at < lengths[i]; at++)
            buf_append_char(&json, (char)('a' + at % 26));
        buf_append(&frame, str_from((const char *)header, event_frame_header(header, json.len)));
        buf_append(&frame, buf_str(&json));
        ws_framing.message(&expected, buf_str(&json));
        assert_true(str_eq(buf_str(&frame), buf_str(&expected)));
        assert_true(str_eq(event_frame_json(buf_str(&frame)), buf_str(&json)));
        buf_fini(&json);
        buf_fini(&expected);
        buf_fini(&frame);
    }
}

static void encode_otherwise(struct buf *out, const struct event *event)
{
    buf_append(out, event->data);
}

static void is_shared_by_its_language_and_framing_alone(void **state)
{
    static const struct framing other = {0};
    (void)state;
    assert_true(event_frame_is(event_encode, &ws_framing));
    assert_false(event_frame_is(encode_otherwise, &ws_framing));
    assert_false(event_frame_is(event_encode, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_frame_of_its_framing),
        cmocka_unit_test(is_shared_by_its_language_and_framing_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
