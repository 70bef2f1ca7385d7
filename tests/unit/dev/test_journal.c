/* test_journal.c - the order of its lines, its bounds, and how a line is printed. */
#include "server/dev/journal.h"
#include "tests/support/unit.h"

static struct journal journal;

static int set_up(void **state)
{
    (void)state;
    journal_init(&journal);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    journal_fini(&journal);
    return 0;
}

static void add(struct str frame)
{
    journal_add(&journal, 0, &(struct journal_note){.kind = JOURNAL_RECEIVED, .frame = frame});
}

static void test_order(void **state)
{
    (void)state;
    assert_null(journal_after(&journal, 0));
    for (int i = 0; i < 3; i++)
        add(STR("1"));
    assert_int_equal(journal_after(&journal, 0)->n, 1);
    assert_int_equal(journal_after(&journal, 2)->n, 3);
    assert_null(journal_after(&journal, 3));
    assert_null(journal_after(&journal, 99));
    journal_empty(&journal);
    assert_null(journal_after(&journal, 0));
    add(STR("1"));
    assert_int_equal(journal_after(&journal, 0)->n, 4);
    journal_rewind(&journal);
    add(STR("1"));
    assert_int_equal(journal_after(&journal, 0)->n, 1);
}

static void test_bounds(void **state)
{
    static char large[1024 * 1024];
    (void)state;
    for (int i = 0; i < JOURNAL_LINES + 5; i++)
        add(STR(""));
    assert_int_equal(journal.count, JOURNAL_LINES);
    assert_int_equal(journal_after(&journal, 0)->n, 6);
    for (int i = 0; i < 100; i++)
        add(str_from(large, sizeof large));
    assert_true(journal.bytes <= JOURNAL_BYTES);
    assert_int_equal(journal_after(&journal, journal.last - 1)->note.frame.len, sizeof large);
    journal_empty(&journal);
    assert_int_equal(journal.bytes, 0);
}

struct ear {
    struct journal_listener listener;
    uint64_t heard;
};

static void hear_once(struct journal_listener *listener, const struct journal_line *line)
{
    CONTAINER_OF(listener, struct ear, listener)->heard += line->n;
    list_remove(&listener->link);
}

static void test_listeners(void **state)
{
    struct ear first = {.listener.hear = hear_once}, second = {.listener.hear = hear_once};
    (void)state;
    journal_listen(&journal, &first.listener);
    journal_listen(&journal, &second.listener);
    add(STR("1"));
    add(STR("1"));
    assert_int_equal(first.heard, 1);
    assert_int_equal(second.heard, 1);
}

static void assert_prints(const struct journal_note *note, const char *expected)
{
    struct buf out = {0};
    journal_rewind(&journal);
    journal_add(&journal, 1768473000000, note);
    journal_print(&out, journal_after(&journal, 0));
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void test_print(void **state)
{
    (void)state;
    assert_prints(
        &(struct journal_note){.kind = JOURNAL_DELIVERED,
                               .session = STR("s-1"),
                               .user = STR("ada \"x\""),
                               .channel = STR("room:1"),
                               .frame = STR("{\"a\": 1}")},
        "{\"n\":1,\"at\":\"2026-01-15T10:30:00.000Z\",\"dir\":\"out\",\"kind\":\"delivered\",\"session\":\"s-1\","
        "\"user\":\"ada \\\"x\\\"\",\"channel\":\"room:1\",\"frame\":{\"a\": 1}}");
    assert_prints(
        &(struct journal_note){.kind = JOURNAL_RECEIVED, .frame = STR("hello <b>")},
        "{\"n\":1,\"at\":\"2026-01-15T10:30:00.000Z\",\"dir\":\"in\",\"kind\":\"received\",\"frame\":\"hello <b>\"}");
    assert_prints(
        &(struct journal_note){.kind = JOURNAL_SENT, .frame = STR("ab"), .binary = true, .rule = STR("r1")},
        "{\"n\":1,\"at\":\"2026-01-15T10:30:00.000Z\",\"dir\":\"out\",\"kind\":\"sent\",\"rule\":\"r1\",\"bytes\":2}");
    assert_prints(&(struct journal_note){.kind = JOURNAL_CLOSED, .code = 1006, .text = STR("slow_consumer")},
                  "{\"n\":1,\"at\":\"2026-01-15T10:30:00.000Z\",\"dir\":\"sys\",\"kind\":\"closed\",\"code\":1006,"
                  "\"text\":\"slow_consumer\"}");
}

static void test_kinds(void **state)
{
    (void)state;
    for (int kind = 0; kind < JOURNAL_KINDS; kind++)
        assert_int_equal(journal_kind_of(str_from_cstr(journal_kind_text((enum journal_kind)kind))), kind);
    assert_int_equal(journal_kind_of(STR("nothing")), JOURNAL_KINDS);
}

static void hear_kept(struct journal_listener *listener, const struct journal_line *line)
{
    struct ear *ear = CONTAINER_OF(listener, struct ear, listener);
    ear->heard += line ? 1 : 100;
}

static void test_muted(void **state)
{
    struct ear ear = {.listener.hear = hear_kept};
    (void)state;
    assert_false(journal_is_heard(&journal));
    journal_mute(&journal);
    journal_listen(&journal, &ear.listener);
    assert_true(journal_is_heard(&journal));
    add(STR("1"));
    assert_int_equal(ear.heard, 100);
    assert_null(journal_after(&journal, 0));
    journal_rewind(&journal);
    add(STR("1"));
    assert_int_equal(ear.heard, 101);
    assert_int_equal(journal_after(&journal, 0)->n, 1);
    list_remove(&ear.listener.link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listeners, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_muted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_print, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
