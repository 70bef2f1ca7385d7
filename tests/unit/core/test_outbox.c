/* test_outbox.c - the queue of messages, against a plain counter. */
#include <stdio.h>
#include <stdlib.h>

#include "server/core/outbox.h"
#include "tests/support/unit.h"

static void test_order_and_counts(void **state)
{
    struct outbox outbox = {0};
    uint64_t in = 0;
    uint64_t out = 0;
    size_t bytes = 0;
    (void)state;
    srand(3);
    for (int step = 0; step < 50000; step++) {
        /* Phases of filling and of emptying, so that the ring grows, wraps and goes away. */
        bool add = rand() % 10 < (step / 500 % 2 ? 7 : 3);
        if (add) {
            char payload[32];
            int len = snprintf(payload, sizeof payload, "%llu", (unsigned long long)in);
            struct message *message = message_create(str_from(payload, (size_t)len));
            message->offset = in++;
            outbox_append(&outbox, message);
            bytes += message->frame_len;
            message_unref(message);
        } else {
            struct message *message = outbox_take(&outbox);
            assert_int_equal(message != NULL, in != out);
            if (message) {
                assert_int_equal(message->offset, out++);
                bytes -= message->frame_len;
                message_unref(message);
            }
        }
        assert_int_equal(outbox.count, in - out);
        assert_int_equal(outbox.bytes, bytes);
        if (in != out)
            assert_int_equal((*outbox_at(&outbox, 0))->offset, out);
        else
            assert_int_equal(outbox.cap, 0); /* an empty outbox keeps no memory */
    }
    outbox_clear(&outbox);
    assert_int_equal(outbox.bytes, 0);
    assert_null(outbox_take(&outbox));
}

static void test_message_copies_are_independent(void **state)
{
    struct event event = {.channel = STR("a"),
                          .type = STR("note"),
                          .epoch = STR("e1"),
                          .offset = 7,
                          .id = STR("i"),
                          .timestamp = STR("t"),
                          .data = STR("{}")};
    (void)state;
    struct message *message = message_from_event(&event, 5);
    struct message *copy = message_copy(message);
    assert_true(str_eq(message_frame(message), message_frame(copy)));
    assert_true(str_eq_cstr(message_channel(copy), "a"));
    assert_true(str_eq_cstr(message_epoch(copy), "e1"));
    assert_int_equal(copy->offset, 7);
    assert_int_equal(copy->accepted_us, 5);
    message_unref(message);
    assert_int_equal(copy->refs, 1);
    message_unref(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_counts),
        cmocka_unit_test(test_message_copies_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
